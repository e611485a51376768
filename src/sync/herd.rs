//! A lock with bells: who waits for one goes on together with all others who do.
//!
//! # Design
//! The standard library's mutex and condition variables. They wake all who wait by one call of the system, and each takes
//! the lock when it runs.
//!
//! # Why not those that everything else uses
//! `parking_lot` wakes one of many and has each wake the next when it lets the lock go: right where each does something
//! under the lock, and a chain of as many calls, one after another, where all have only waited for the same thing.

#[cfg(all(test, shuttle))]
use super::model::sync as native;
#[cfg(not(all(test, shuttle)))]
use std::sync as native;
use std::sync::PoisonError;

/// See the module.
pub(crate) struct Herd<T> {
    state: native::Mutex<T>,
    bells: [native::Condvar; 2],
}

/// What is locked.
pub(crate) type Held<'a, T> = native::MutexGuard<'a, T>;

impl<T> Herd<T> {
    pub(crate) fn new(state: T) -> Self {
        Self { state: native::Mutex::new(state), bells: [(); 2].map(|()| native::Condvar::new()) }
    }

    pub(crate) fn lock(&self) -> Held<'_, T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the lock go and waits until a bell rings, or for no reason. Bells go by even and odd.
    pub(crate) fn wait<'a>(&'a self, held: Held<'a, T>, bell: u64) -> Held<'a, T> {
        self.bell(bell).wait(held).unwrap_or_else(PoisonError::into_inner)
    }

    /// Rings for one who waits for this bell.
    pub(crate) fn wake_one(&self, bell: u64) {
        self.bell(bell).notify_one();
    }

    /// Rings for all who wait for this bell.
    pub(crate) fn wake_all(&self, bell: u64) {
        self.bell(bell).notify_all();
    }

    fn bell(&self, bell: u64) -> &native::Condvar {
        let [even, odd] = &self.bells;
        if bell.is_multiple_of(2) { even } else { odd }
    }
}
