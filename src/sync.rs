//! Threads and locks: the only place that names them.
//!
//! # Design
//! Everything else takes its mutexes, condition variables and threads from here, so that a scheduler that
//! explores interleavings can be put in their place, and so that the lock order can be checked by reading
//! who imports what. A [`Latch`] is how a failure that must stop the engine is told to everybody.
//!
//! Atomics by which threads agree come from here too, so that such a scheduler sees them. Those that only count, hint
//! or tell a test's time are the standard library's: no thread decides anything by them.
//!
//! # The scheduler
//! Unit tests built with `--cfg shuttle` get its locks, atomics and threads instead (`sync/model.rs`, which says what it
//! does not model), and run under many schedules each (`sync/schedules.rs`, which says how one is run again). The others
//! are built with them too and cannot run then; the library by itself never is.

mod herd;
#[cfg(test)]
#[cfg(shuttle)]
mod model;
#[cfg(test)]
#[cfg(shuttle)]
pub(crate) mod schedules;

use crate::{Error, ErrorKind};
use atomic::{AtomicBool, Ordering};
pub(crate) use herd::{Held, Herd};
#[cfg(all(test, shuttle))]
use model::{Builder, JoinHandle};
#[cfg(all(test, shuttle))]
pub(crate) use model::{Condvar, Mutex, MutexGuard, RwLock, atomic, scope, yield_now};
#[cfg(not(all(test, shuttle)))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::sync::atomic;
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::thread::yield_now;
#[cfg(not(all(test, shuttle)))]
use std::thread::{Builder, JoinHandle};
use std::{fmt, io, thread, time::Duration};

/// A joinable thread.
pub(crate) type Thread = JoinHandle<()>;

/// Starts a named thread.
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    Builder::new().name(name.to_owned()).spawn(body)
}

/// True while this thread unwinds from a panic.
pub(crate) fn is_unwinding() -> bool {
    thread::panicking()
}

/// Waits on `condvar` for at most `wait`; true if the time ran out.
pub(crate) fn wait_for<T>(condvar: &Condvar, guard: &mut MutexGuard<'_, T>, wait: Duration) -> bool {
    condvar.wait_for(guard, wait).timed_out()
}

/// How often a lock that is held for a microsecond or two is looked at before a thread gives up its processor for it.
#[cfg(not(all(test, shuttle)))]
const LOOKS: u32 = 150;
/// For a scheduler once is as good as often: it may let others run at each look.
#[cfg(all(test, shuttle))]
const LOOKS: u32 = 1;

/// Locks what is held for a microsecond or two: to give up the processor, and to get it back, takes far longer, so it is
/// looked for a while before.
#[inline]
pub(crate) fn lock_soon<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    for _ in 0..LOOKS {
        if let Some(guard) = mutex.try_lock() {
            return guard;
        }
        std::hint::spin_loop();
    }
    mutex.lock()
}

/// A number that nobody else in the process has; at least one.
pub(crate) fn next_number() -> u64 {
    // It outlives the engines, and so every schedule.
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The first failure that must stop the engine. Set once, read everywhere.
///
/// # Invariants
/// 1. Once set, it stays set, with the first reason.
#[derive(Default)]
pub(crate) struct Latch {
    set: AtomicBool,
    reason: Mutex<Option<Box<str>>>,
}

impl Latch {
    /// Latches with a reason; the first one stays.
    pub(crate) fn set(&self, reason: impl fmt::Display) {
        let mut slot = self.reason.lock();
        if slot.is_none() {
            *slot = Some(reason.to_string().into_boxed_str());
        }
        drop(slot);
        // ORDERING: release, so that whoever sees the flag also sees what led to it.
        self.set.store(true, Ordering::Release);
    }

    /// An error with the reason if it is set: one relaxed-cost load where it is not.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.set.load(Ordering::Acquire) { Err(self.error()) } else { Ok(()) }
    }

    fn error(&self) -> Error {
        let reason = self.reason.lock();
        Error::new(
            ErrorKind::Latched,
            format!("the engine stopped: {}", reason.as_deref().unwrap_or("unknown reason")),
        )
    }
}

impl fmt::Debug for Latch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latch").field("reason", &*self.reason.lock()).finish_non_exhaustive()
    }
}

/// Latches if it is dropped by a panic: put one on the stack around what must not be left half done.
pub(crate) struct LatchOnPanic<'a> {
    latch: &'a Latch,
    doing: &'static str,
    /// The thread was unwinding already: what it does in its destructors is not what panicked.
    unwinding: bool,
}

impl<'a> LatchOnPanic<'a> {
    pub(crate) fn new(latch: &'a Latch, doing: &'static str) -> Self {
        Self { latch, doing, unwinding: is_unwinding() }
    }
}

impl Drop for LatchOnPanic<'_> {
    fn drop(&mut self) {
        if is_unwinding() && !self.unwinding {
            self.latch.set(format_args!("a panic while {}", self.doing));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays_latched() {
        let latch = Latch::default();
        assert!(latch.check().is_ok());
        latch.set("disk on fire");
        latch.set("and more");
        assert_eq!(latch.check().unwrap_err().to_string(), "the engine stopped: disk on fire");
    }

    #[test]
    fn a_panic_under_the_guard_latches() {
        let latch = Latch::default();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _guard = LatchOnPanic::new(&latch, "testing");
            panic!("on purpose");
        }));
        assert!(caught.is_err());
        assert_eq!(latch.check().unwrap_err().to_string(), "the engine stopped: a panic while testing");
    }

    #[test]
    fn a_guard_used_while_the_thread_unwinds_for_another_reason_does_not_latch() {
        struct InItsDestructor<'a>(&'a Latch);
        impl Drop for InItsDestructor<'_> {
            fn drop(&mut self) {
                drop(LatchOnPanic::new(self.0, "working in a destructor"));
            }
        }
        let latch = Latch::default();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _cleaner = InItsDestructor(&latch);
            panic!("on purpose");
        }));
        assert!(caught.is_err());
        assert!(latch.check().is_ok());
    }
}
