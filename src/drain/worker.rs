//! Threads around the cycle: a thin shell.

use super::{Begun, Drain};
use crate::{
    Result,
    sync::{Condvar, Mutex, Thread, spawn, wait_for},
};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

/// The drain threads of an engine.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    threads: Mutex<Vec<Thread>>,
    running: Arc<Running>,
}

/// How many threads have not ended.
#[derive(Debug, Default)]
struct Running {
    count: Mutex<usize>,
    ended: Condvar,
}

/// Counts a thread out, however it ends.
struct Ending(Arc<Running>);

impl Drop for Ending {
    fn drop(&mut self) {
        *self.0.count.lock() -= 1;
        self.0.ended.notify_all();
    }
}

impl Workers {
    /// Starts as many threads as batches may be out, and where the sink adapts one more, to make a batch while all of them are.
    pub(crate) fn start(&self, drain: &Arc<Drain>, count: usize) -> Result<()> {
        if drain.adapts {
            drain.scheduler.lock().make_ahead();
        }
        for n in 0..count + usize::from(drain.adapts) {
            let drain = Arc::clone(drain);
            *self.running.count.lock() += 1;
            // Dropped with the closure if the thread cannot be started.
            let ending = Ending(Arc::clone(&self.running));
            let body = move || {
                let _ending = ending;
                watched(&drain);
            };
            let thread = spawn(&format!("millpond-drain-{n}"), body)
                .map_err(|error| crate::Error::io("starting a drain thread", error))?;
            self.threads.lock().push(thread);
        }
        Ok(())
    }

    /// Stops the threads once each has finished the batch it has out, and waits for them at most this long: a
    /// sink may block for ever.
    pub(crate) fn stop(&self, drain: &Drain, wait: Duration) {
        drain.stop();
        let mut count = self.running.count.lock();
        while *count > 0 {
            if wait_for(&self.running.ended, &mut count, wait) {
                return;
            }
        }
        drop(count);
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // A thread that panicked has latched the engine with its reason.
            let _ = thread.join();
        }
    }
}

/// Runs the cycle until told to stop; a panic, of the sink for example, latches the engine.
fn watched(drain: &Drain) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(drain))) {
        drain.bank.latch.set(format_args!("a drain thread panicked: {}", panic_message(&*panic)));
        drain.signal_all();
    }
}

fn run(drain: &Drain) {
    loop {
        match drain.begin() {
            Ok(Begun::Dispatch(dispatch)) => {
                let outcomes = drain.sink().send(&dispatch.batch);
                drain.finish(dispatch, outcomes);
                if drain.is_stopping() {
                    return;
                }
            }
            Ok(Begun::Wait { until_us }) => {
                if !drain.wait(until_us) {
                    return;
                }
            }
            // Latched: nothing more goes out.
            Err(_) => return drain.signal_all(),
        }
    }
}

impl Drain {
    /// Waits until `until_us` or a signal. False when the threads are to stop.
    fn wait(&self, until_us: u64) -> bool {
        let mut scheduler = self.scheduler.lock();
        let now_us = self.parts.clock.now_us();
        if !scheduler.signalled && !scheduler.stopping && until_us > now_us {
            wait_for(&self.wake, &mut scheduler, Duration::from_micros(until_us - now_us));
        }
        scheduler.signalled = false;
        !scheduler.stopping
    }

    fn is_stopping(&self) -> bool {
        self.scheduler.lock().stopping
    }

    fn stop(&self) {
        self.scheduler.lock().stopping = true;
        self.wake.notify_all();
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
