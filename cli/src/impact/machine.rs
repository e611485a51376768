//! The machine that something was measured on: figures of another one are not comparable.

use crate::{sync::processors, units};
use serde_json::{Value, json};
use std::fs;

/// What is told of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    processor: String,
    processors: usize,
    memory_bytes: u64,
    kernel: String,
}

impl Machine {
    /// The one that this runs on. What the system does not say is left empty.
    pub(super) fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            processors: processors(),
            memory_bytes: memory(&read("/proc/meminfo")).unwrap_or(0),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "processor": self.processor,
            "processors": self.processors,
            "memory_bytes": self.memory_bytes,
            "kernel": self.kernel,
        })
    }

    /// In words.
    pub(super) fn words(&self) -> String {
        let processor =
            if self.processor.is_empty() { "a processor without a name" } else { &self.processor };
        let count =
            if self.processors == 1 { "one processor" } else { &format!("{} processors", self.processors) };
        format!("{processor}, {count}, {} of memory, Linux {}", units::bytes(self.memory_bytes), self.kernel)
    }
}

/// The value of a line like `model name : something`.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim_start().strip_prefix(':')?.trim().to_owned())
}

fn memory(text: &str) -> Option<u64> {
    let kib: u64 = field(text, "MemTotal")?.strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        assert_eq!(
            field("a: 1\nmodel name\t: A CPU @ 2 GHz\n", "model name").as_deref(),
            Some("A CPU @ 2 GHz")
        );
        assert_eq!(memory("MemTotal:       2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert_eq!(memory("MemTotal: much\n"), None);
        assert!(Machine::this().words().contains("of memory"));
    }
}
