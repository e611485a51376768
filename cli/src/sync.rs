//! Threads, locks and signals, in one place.

pub use parking_lot::Mutex;

use signal_hook::{consts::TERM_SIGNALS, flag};
use std::{
    io,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// Exit status of the second interrupt, which ends the program at once.
const EXIT_AT_ONCE: i32 = crate::failure::INTERRUPTED as i32;

/// Asks every thread to come to an end: set by an interrupt, or by a thread that failed.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    interrupted: Arc<AtomicBool>,
    failed: Arc<AtomicBool>,
}

impl Stop {
    /// A stop that the first interrupt (or termination) sets; the second one ends the process.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::default();
        for signal in TERM_SIGNALS {
            // In this order: the shutdown is armed by the flag, which is set after it was looked at.
            flag::register_conditional_shutdown(*signal, EXIT_AT_ONCE, Arc::clone(&stop.interrupted))?;
            flag::register(*signal, Arc::clone(&stop.interrupted))?;
        }
        Ok(stop)
    }

    /// True after an interrupt.
    pub fn is_interrupted(&self) -> bool {
        // ORDERING: a request, not a publication; what it stops is handed over by channels.
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Stops everything because a thread cannot go on.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// True if threads should come to an end.
    pub fn is_set(&self) -> bool {
        self.is_interrupted() || self.failed.load(Ordering::Relaxed)
    }
}

/// Waits so long, where there is nothing that would tell of an end: a server is asked again.
pub fn pause(time: Duration) {
    // Nobody ever sends: it is the deadline that ends it.
    let _ = crossbeam_channel::never::<()>().recv_timeout(time);
}

/// What a thread gave, or what it panicked with.
pub type Caught<T> = thread::Result<T>;

/// Processors that threads may run on; one if that cannot be told.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Starts a thread that hands its result, or the fact that it panicked, to `done`.
///
/// The thread is not joined: one that waits for input which never comes must not keep the program.
pub fn spawn<T: Send + 'static>(
    name: String,
    work: impl FnOnce() -> T + Send + 'static,
    done: impl FnOnce(Caught<T>) + Send + 'static,
) -> io::Result<()> {
    thread::Builder::new().name(name).spawn(move || done(catch_unwind(AssertUnwindSafe(work))))?;
    Ok(())
}
