//! What the figures were measured on, and how much memory the process holds.

use std::{fs, process::Command};

/// Bytes of memory of this process that no file stands behind: the heap and the stacks.
pub fn anonymous_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = field(&status, "RssAnon:").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}

/// The machine, as it matters for figures.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The processor.
    pub cpu: String,
    /// How many of it there are.
    pub cores: usize,
    /// Memory in GiB.
    pub memory_gib: u64,
    /// The operating system.
    pub kernel: String,
    /// The compiler.
    pub rustc: String,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib = field(&memory, "MemTotal:").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        Self {
            cpu: field(&cpus, "model name").unwrap_or("unknown").trim_start_matches([':', ' ']).to_owned(),
            cores: crate::sync::available_parallelism().map_or(1, Into::into),
            memory_gib: kib.unwrap_or(0).div_ceil(1_024 * 1_024),
            kernel: said_by("uname", &["-sr"]),
            rustc: said_by("rustc", &["--version"]),
        }
    }
}

/// What stands behind a name in a file of names and values.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "unknown".to_owned())
}
