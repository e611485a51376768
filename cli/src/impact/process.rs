//! What the server's process has taken of the machine, as the kernel counts it.
//!
//! # Design
//! `/proc/PID/stat` has processor time in ticks of the clock, mostly a hundredth of a second each, and `/proc/PID/io` the bytes that
//! were caused to be written to a disk. A run of a few ticks says little: [`TICKS_MIN`] are wanted of a measurement, and a short run is
//! repeated until there are as many.

use super::figures::{Figures, Row};
use crate::{
    failure::{Failure, Result},
    units,
};
use std::fs;

/// Ticks of processor time from which a measurement is taken as one: the tick it may be off is then one part in a hundred.
pub(super) const TICKS_MIN: f64 = 100.0;
/// Where the two fields stand behind the name of the process: user and system time.
const USER_FIELD: usize = 11;

/// A process on this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    id: u32,
    ticks_a_second: u64,
}

impl Process {
    /// The process of this number. Fails where it is not there, or is another user's.
    pub(super) fn new(id: u32) -> Result<Self> {
        let process = Self { id, ticks_a_second: rustix::param::clock_ticks_per_second() };
        process.figures()?;
        Ok(process)
    }

    /// What it has taken since it was started.
    pub(super) fn figures(&self) -> Result<Figures> {
        let stat = self.read("stat")?;
        let ticks = ticks(&stat).ok_or_else(|| self.unread("stat"))?;
        let io = self.read("io")?;
        let written = written(&io).ok_or_else(|| self.unread("io"))?;
        let mut figures = Figures::default();
        figures.set(Row::ServerCpu, units::float(ticks) / units::float(self.ticks_a_second));
        figures.set(Row::ServerWritten, units::float(written));
        Ok(figures)
    }

    /// True where as much was taken as can be measured well.
    pub(super) fn is_measurable(&self, figures: &Figures) -> bool {
        let seconds = figures.get(Row::ServerCpu).unwrap_or(0.0);
        seconds * units::float(self.ticks_a_second) >= TICKS_MIN
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = format!("/proc/{}/{name}", self.id);
        fs::read_to_string(&path)
            .map_err(|error| Failure::io(format!("--pid {}: reading {path}", self.id), &error))
    }

    fn unread(&self, name: &str) -> Failure {
        Failure::Failed(format!("--pid {0}: /proc/{0}/{name} does not read as the kernel writes it", self.id))
    }
}

/// User and system time. The name before them may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(USER_FIELD);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    user.checked_add(system)
}

fn written(io: &str) -> Option<u64> {
    io.lines().find_map(|line| line.strip_prefix("write_bytes:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read_whatever_the_process_is_called() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 70 30 5 5 20 0 1 0 12345 1000 10";
        assert_eq!(ticks(stat), Some(100));
        assert_eq!(ticks("42 (java) S 1"), None);
        assert_eq!(written("rchar: 1\nwrite_bytes: 4096\ncancelled_write_bytes: 7\n"), Some(4096));
        assert_eq!(written("rchar: 1\n"), None);
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let failure = Process::new(u32::MAX).unwrap_err().to_string();
        assert!(failure.contains("--pid 4294967295"), "{failure}");
        let own = Process::new(std::process::id()).unwrap().figures().unwrap();
        assert!(own.get(Row::ServerCpu).is_some() && own.get(Row::ServerWritten).is_some());
    }
}
