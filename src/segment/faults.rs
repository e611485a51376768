//! Failing I/O on cue, for tests: the n-th step of a workload fails, and perhaps all after it.

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
};

/// Counts the steps a directory makes and fails one of them.
#[derive(Debug)]
pub(crate) struct Faults {
    /// Steps until the failure; never, if negative.
    left: AtomicI64,
    /// All steps after it fail as well, like in a process that was killed.
    crash: AtomicBool,
    taken: AtomicI64,
}

impl Default for Faults {
    fn default() -> Self {
        Self { left: AtomicI64::new(-1), crash: AtomicBool::new(false), taken: AtomicI64::new(0) }
    }
}

impl Faults {
    pub(crate) fn fail_at(&self, step: i64, crash: bool) {
        self.crash.store(crash, Ordering::SeqCst);
        self.left.store(step, Ordering::SeqCst);
        self.taken.store(0, Ordering::SeqCst);
    }

    /// Steps since the last [`fail_at`](Self::fail_at).
    pub(crate) fn taken(&self) -> i64 {
        self.taken.load(Ordering::SeqCst)
    }

    pub(crate) fn step(&self) -> io::Result<()> {
        self.taken.fetch_add(1, Ordering::SeqCst);
        let left = self.left.load(Ordering::SeqCst);
        if left > 0 {
            self.left.store(left - 1, Ordering::SeqCst);
        }
        if left == 0 {
            if !self.crash.load(Ordering::SeqCst) {
                self.left.store(-1, Ordering::SeqCst);
            }
            return Err(io::Error::other("injected failure"));
        }
        Ok(())
    }
}
