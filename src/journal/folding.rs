//! Where files become full faster than they are folded: who begins a file waits.
//!
//! # Design
//! The *keeper* is the engine's thread that folds. It looks now and then, and when it is called; each look, and each file folded, is a
//! *round*. The full files may have so many bytes as it said last, and one file more; who would begin another calls it, and
//! waits for a round, and looks again. So a file is begun for each that goes, and who submits is slowed to what the folding takes.
//!
//! A round ends also where there is nothing to fold, or nothing may be; and after some of them the file is begun anyhow: so nobody
//! waits for what will not come.
//!
//! # Locking
//! LOCK: `state` is taken last, but for the keeper's own under it, by which it is called.

use super::admission::Class;
use crate::sync::{
    Condvar, Latch, Mutex,
    atomic::{AtomicU64, Ordering},
    wait_for,
};
use std::time::Duration;

/// The longest single wait: a failure elsewhere wakes nobody.
const WAIT_STEP: Duration = Duration::from_millis(50);

/// See the module.
#[derive(Default)]
pub(crate) struct Folding {
    state: Mutex<State>,
    ended: Condvar,
    /// What the keeper said.
    old_max: AtomicU64,
}

#[derive(Default)]
struct State {
    rounds: u64,
    /// Calls the keeper, where there is one.
    call: Option<Box<dyn Fn() + Send>>,
}

impl Folding {
    /// From now on there is a keeper, which is called by this; or none any more.
    pub(crate) fn set_keeper(&self, call: Option<Box<dyn Fn() + Send>>) {
        let is_none = call.is_none();
        self.state.lock().call = call;
        if is_none {
            self.ended.notify_all();
        }
    }

    /// A round is over.
    pub(crate) fn end_round(&self) {
        self.state.lock().rounds += 1;
        self.ended.notify_all();
    }

    /// The full files may have so many bytes.
    pub(super) fn set_old_max(&self, bytes: u64) {
        self.old_max.store(bytes, Ordering::Relaxed);
    }

    /// How many they may have where this class begins a file. What is written again makes others go.
    pub(super) fn old_max(&self, class: Class) -> u64 {
        match class {
            Class::Operation if self.state.lock().call.is_some() => self.old_max.load(Ordering::Relaxed),
            _ => u64::MAX,
        }
    }

    /// Returns when a round is over that was called for, or there will be none.
    pub(super) fn wait(&self, latch: &Latch) {
        let mut state = self.state.lock();
        // One that is under way may not see what there is now, and may be nearly over: it counts all the same.
        let before = state.rounds;
        while state.rounds == before && latch.check().is_ok() {
            match &state.call {
                Some(call) => call(),
                None => return,
            }
            wait_for(&self.ended, &mut state, WAIT_STEP);
        }
    }
}
