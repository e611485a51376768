//! What the drain counts beside what the shards count under their locks.

use crate::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one engine's drain.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    repeats: AtomicU64,
    dead_letters: AtomicU64,
    longest_wait_us: AtomicU64,
    last_failure: Mutex<Option<Box<str>>>,
}

/// A reading of [`Counters`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Flights that went out again as they were.
    pub(crate) repeats: u64,
    /// Dead letters written.
    pub(crate) dead_letters: u64,
    /// The longest that an operation waited for its first attempt.
    pub(crate) longest_wait_us: u64,
}

impl Counters {
    pub(super) fn repeated(&self) {
        self.repeats.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn buried(&self) {
        self.dead_letters.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn waited(&self, wait_us: u64) {
        self.longest_wait_us.fetch_max(wait_us, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, reason: &str) {
        let mut last = self.last_failure.lock();
        if last.as_deref() != Some(reason) {
            *last = Some(reason.into());
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        Totals {
            repeats: self.repeats.load(Ordering::Relaxed),
            dead_letters: self.dead_letters.load(Ordering::Relaxed),
            longest_wait_us: self.longest_wait_us.load(Ordering::Relaxed),
        }
    }

    /// The most recent failure of the sink, the base or the dead letters.
    pub(crate) fn last_failure(&self) -> Option<Box<str>> {
        self.last_failure.lock().clone()
    }
}
