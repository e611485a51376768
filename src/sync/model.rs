//! Locks, atomics and threads that a scheduler interleaves: what `sync.rs` hands out under `--cfg shuttle`.
//!
//! # Design
//! shuttle's own, in the shape of `parking_lot`'s: no poisoning, and a condition variable that takes the guard by
//! reference. Every operation on them is a point at which another thread may run; which one does is the schedule,
//! and a schedule can be written down and run again (`schedules.rs`).
//!
//! # What is not explored
//! - Memory orderings: every atomic is sequentially consistent here, whatever its `Ordering` says. What a weaker one
//!   would allow on top is argued at each `ORDERING:` and not tested.
//! - Time: a wait with a time-out waits for its notification. A time-out of ours either stands for time that passes,
//!   which a test does not let happen, or bounds how long a mistake lasts; so where a wake-up is lost, nobody can run any
//!   more, and the schedule fails as a deadlock. Were it taken now and then, the waiter would look again and hide
//!   that. The one mistake that is left to a time-out, a panic that latches and wakes nobody, is not explored.
//! - Waking without a notification, which the operating system may do: it can only make a waiter look once more.

pub(super) use shuttle::sync;
pub(crate) use shuttle::{
    sync::atomic,
    thread::{Builder, JoinHandle, scope, yield_now},
};
use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{PoisonError, TryLockError},
    time::Duration,
};

/// A mutex; nobody is told of panics under it.
#[derive(Default)]
pub(crate) struct Mutex<T>(sync::Mutex<T>);

/// What is locked. Empty for as long as it waits.
pub(crate) struct MutexGuard<'a, T>(Option<sync::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(MutexGuard(Some(guard))),
            Err(TryLockError::Poisoned(poisoned)) => Some(MutexGuard(Some(poisoned.into_inner()))),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The time never runs out.
    #[expect(clippy::unnecessary_wraps, reason = "the shape of the real one")]
    pub(crate) fn try_lock_for(&self, _wait: Duration) -> Option<MutexGuard<'_, T>> {
        Some(self.lock())
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        let Some(guard) = &self.0 else { unreachable!("borrowed by a wait") };
        guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        let Some(guard) = &mut self.0 else { unreachable!("borrowed by a wait") };
        guard
    }
}

/// A condition variable.
#[derive(Debug, Default)]
pub(crate) struct Condvar(sync::Condvar);

/// How a wait ended.
pub(crate) struct Waited;

impl Waited {
    /// No: see the module.
    #[expect(clippy::unused_self, reason = "the shape of the real one")]
    pub(crate) fn timed_out(&self) -> bool {
        false
    }
}

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(sync::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        guard.0 = guard.0.take().map(|guard| self.0.wait(guard).unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _wait: Duration) -> Waited {
        self.wait(guard);
        Waited
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A lock that readers share.
#[derive(Debug)]
pub(crate) struct RwLock<T>(sync::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(sync::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> sync::RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> sync::RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
