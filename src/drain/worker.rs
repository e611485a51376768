//! Threads around the cycle: a thin shell.

use super::{Begun, Drain};
use crate::{
    Result,
    sync::{Mutex, Thread, spawn, wait_for},
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
}

impl Workers {
    /// Starts `count` threads.
    pub(crate) fn start(&self, drain: &Arc<Drain>, count: usize) -> Result<()> {
        for n in 0..count {
            let drain = Arc::clone(drain);
            let thread = spawn(&format!("millpond-drain-{n}"), move || watched(&drain))
                .map_err(|error| crate::Error::io("starting a drain thread", error))?;
            self.threads.lock().push(thread);
        }
        Ok(())
    }

    /// Stops the threads once each has finished the batch it has out, and waits for them.
    pub(crate) fn stop(&self, drain: &Drain) {
        drain.stop();
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
        drain.bank.latch.set(format_args!("a drain thread panicked: {}", message(&*panic)));
        drain.signal_all();
    }
}

fn run(drain: &Drain) {
    loop {
        match drain.begin() {
            Ok(Begun::Dispatch(dispatch)) => {
                let outcomes = drain.sink().send(&dispatch.batch);
                drain.finish(dispatch, outcomes);
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

    fn stop(&self) {
        self.scheduler.lock().stopping = true;
        self.wake.notify_all();
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
