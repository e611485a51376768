//! `millpond estimate`: what folding would save, computed from bulk lines, without any server.
//!
//! # Design
//! ```text
//! reader ─► estimator ─► one fold for each size of windows ─► counts
//! ```
//! One thread reads and folds; the main thread draws the bar and waits. The estimator is between them under a lock, so that
//! an interrupt can count what was read although the reader waits for input that never comes.
//!
//! # Memory
//! Each size of windows has an engine of its own, with a bound of its own (`--memory`). Of the input one buffer is held.
//!
//! # Locking
//! LOCK: the reader holds the lock while it hands over a batch, and the main thread while it looks: neither takes another one
//! but that of the rejects.

mod estimator;
mod fold;
mod report;
mod time;
mod window;

pub use window::Window;

use crate::{
    args,
    failure::{FAILED, Failure, INTERRUPTED, REFUSED, Result, WELL},
    message,
    progress::Progress,
    rejects::Rejects,
    replay::{
        ids::Ids,
        inputs::Inputs,
        queued::Queued,
        reader::{Intake, Reader},
        start,
    },
    sync::{Mutex, Stop},
    units,
};
use crossbeam_channel::unbounded;
use estimator::{Estimated, Estimator, Found};
use report::Report;
use std::{sync::Arc, time::Duration};

/// The data that is read when no file is named.
const BUNDLED: &str = "data/flights.ndjson.zst";
/// How often the main thread looks up.
const TICK: Duration = Duration::from_millis(100);

/// The estimator, until it is taken away to be finished.
type Shared = Arc<Mutex<Option<Estimator>>>;

/// What the reader hands operations to.
#[derive(Debug)]
struct Hand {
    shared: Shared,
    source: usize,
}

impl Intake for Hand {
    fn begin(&mut self, source: usize) {
        self.source = source;
    }

    fn take_in(&mut self, queued: &[Queued<'_>]) -> Result {
        // Taken away after an interrupt, which ends the reader.
        self.shared.lock().as_mut().map_or(Ok(()), |estimator| estimator.take_in(queued, self.source))
    }
}

/// Runs the command; the exit status, or why it failed.
pub fn run(args: &args::Estimate) -> Result<u8> {
    let windows = Window::of(args)?;
    let inputs = Inputs::new(&args.inputs, BUNDLED, &[])?;
    let stop = Stop::on_signals().map_err(|error| Failure::io("setting up Ctrl-C", &error))?;
    let progress = Progress::new(inputs.bytes(), args.quiet);
    let rejects = Arc::new(Rejects::unkept(progress.clone()));
    let field = args.time_field.as_deref();
    let estimator = Estimator::new(&windows, field, args.memory, Arc::clone(&rejects), inputs.names())?;
    let shared: Shared = Arc::new(Mutex::new(Some(estimator)));
    let reader = Reader {
        intake: Hand { shared: Arc::clone(&shared), source: 0 },
        ids: Ids::new(),
        index: args.index.clone(),
        rejects: Arc::clone(&rejects),
        stop: stop.clone(),
        position: progress.position(),
        marks: Vec::new(),
    };

    let failure = read(reader, &inputs, &shared, &progress, &stop)?;
    // A reader that still waits for input finds nothing to hand it to.
    let Some(estimator) = shared.lock().take() else { return Ok(FAILED) };
    let estimate = estimator.finish()?;
    progress.clear();
    let report = Report {
        estimate,
        rejected: rejects.finish().map_err(|error| Failure::io("counting bad lines", &error))?,
        time: progress.started().elapsed(),
        interrupted: stop.is_interrupted(),
        failed: failure.as_ref().map(ToString::to_string),
        inputs: inputs.names(),
        args,
    };
    finish(&report, failure)
}

/// Reads all input, or until the stop is set. What went wrong meanwhile comes back.
fn read(
    mut reader: Reader<Hand>,
    inputs: &Inputs,
    shared: &Shared,
    progress: &Progress,
    stop: &Stop,
) -> Result<Option<Failure>> {
    let (events, ended) = unbounded();
    let all = inputs.clone();
    start("reader", &events, |end: Result| end, move || reader.run(&all))?;
    loop {
        match ended.recv_timeout(TICK) {
            Ok(end) => return Ok(end.err()),
            Err(_) if stop.is_set() => return Ok(None),
            Err(_) => {}
        }
        if progress.is_shown()
            && let Some(estimator) = &*shared.lock()
        {
            progress.show(&estimator.figures());
        }
    }
}

/// Prints the report, and decides the exit status.
fn finish(report: &Report<'_>, failure: Option<Failure>) -> Result<u8> {
    let text = if report.args.json { report.json() } else { report.table() };
    message::report(&text)?;
    let overflows: Vec<&Estimated> = report.estimate.sizes.iter().filter(|size| size.is_overflow()).collect();
    for Estimated { window, found } in &overflows {
        if let Found::Overflow { operations } = found {
            let memory = units::bytes(u64::try_from(report.args.memory).unwrap_or(u64::MAX));
            let operations = units::count(*operations);
            message::error(&format!(
                "a window of {window} does not fit into --memory {memory}, which was full after {operations} operations of \
                 the input: pass more, or fold over less"
            ));
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    Ok(match () {
        () if report.interrupted => INTERRUPTED,
        () if !overflows.is_empty() => FAILED,
        () if report.rejected > 0 => REFUSED,
        () => WELL,
    })
}
