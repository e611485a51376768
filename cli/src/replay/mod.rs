//! `millpond replay`: bulk lines in, one operation per document out, and a report.
//!
//! # Design
//! ```text
//! reader ─► chunks, spread by key ─► writers ─► engine ─► sink
//!    ▲                                  │
//!    └───────── empty chunks ◄──────────┘          bad lines ─► rejects
//! ```
//! One thread reads lines and spreads operations by the hash of their key, so that a key's operations stay in
//! order; writers submit them. The main thread only watches: it draws the bar, samples memory, takes the
//! ends of the threads as events, and closes the engine when the last writer has ended.
//!
//! With one writer and plain files there is no writer: the reader submits. What it reads is there when it asks, so that a
//! second thread would wait for the first and cost what it takes to wake it and to move the lines to another processor.
//! Input that has to be unpacked, or may keep one waiting, is read ahead.
//!
//! # The end
//! Input that has ended and an interrupt come together in one way out: writers finish the chunks they were given,
//! the engine is closed, which drains it, and the report is made. A thread that waits for input after an
//! interrupt is left behind. A failure stops the writers at once; what was accepted is still drained.
//!
//! # Memory
//! Beside the engine's own bound the program holds at most `READ_AHEAD_BYTES` of chunks and one line of
//! each kind, `DISTINCT_BYTES` to count keys, and the decoder's window.

mod chunk;
pub(crate) mod done;
mod identity;
pub(crate) mod ids;
pub(crate) mod inputs;
pub(crate) mod queued;
pub(crate) mod reader;
mod report;
mod spread;
pub(crate) mod submitter;
mod writer;

use crate::{
    args::{Replay, SinkName},
    failure::{FAILED, Failure, INTERRUPTED, REFUSED, Result, WELL},
    memory, message,
    pond::{Pond, Source, Stats},
    progress::{Figures, Progress},
    rejects::Rejects,
    sync::{self, Caught, Stop, processors},
};
use crossbeam_channel::{Receiver, Sender, unbounded};
use done::Done;
use ids::Ids;
use inputs::Inputs;
use reader::Reader;
use report::Report;
use spread::Spread;
use std::{any::Any, num::NonZeroUsize, path::Path, sync::Arc, time::Duration};
use submitter::Submitter;
use writer::Writer;

/// The data that is read when no file is named.
const BUNDLED: &str = "data/flights-counters.ndjson.zst";
/// Chunks that are read ahead of the writers.
const READ_AHEAD_BYTES: usize = 8 * 1024 * 1024;
/// Memory to count distinct keys, over all writers.
const DISTINCT_BYTES: usize = 8 * 1024 * 1024;
/// The most writers by default: beyond that reading is the bound.
const WRITERS_DEFAULT_MAX: usize = 8;
const WRITERS_MAX: usize = 256;
/// How often the main thread looks up.
const TICK: Duration = Duration::from_millis(100);
/// A drain is not given up: a sink that is away may come back, and a second interrupt ends it.
const DRAIN_MAX: Duration = Duration::from_hours(365 * 24);

/// Runs the command; the exit status, or why it failed.
pub fn run(args: &Replay) -> Result<u8> {
    let inputs = Inputs::new(&args.inputs, BUNDLED, &outputs(args))?;
    let identities = identity::of_inputs(args, &inputs.sources)?;
    let stop = Stop::on_signals().map_err(|error| Failure::io("setting up Ctrl-C", &error))?;
    let report_file = args.report.as_deref().map(report::create).transpose()?;
    let progress = Progress::new(inputs.bytes(), args.quiet);
    let rejects =
        Rejects::new(args.rejects.as_deref(), progress.clone(), args.journal.is_some()).map_err(|error| {
            Failure::io(format!("creating {}", flag("--rejects", args.rejects.as_deref())), &error)
        })?;
    let pond = Pond::open(args)?;
    if let Some(torn) = pond.engine.stats().journal.and_then(|journal| journal.torn) {
        message::warning(&format!("the journal's end was torn and is cut: {torn}"));
    }
    let done = args.journal.as_deref().map(Done::read).transpose()?.unwrap_or_default();
    let handles = identity::open(&pond.engine, &identities, &done)?;
    if let (true, SinkName::Segments(path), false) = (args.sink.is_empty(), &pond.sink, args.quiet) {
        message::note(&format!("writing segments to {}", path.display()));
    }

    let mut replay = Run {
        stop,
        progress,
        rejects: Arc::new(rejects),
        pond,
        documents: 0,
        bytes_in: 0,
        seen: 0,
        peak_anonymous_bytes: memory::anonymous_bytes(),
        failure: None,
    };
    replay.fold(args, inputs.clone(), handles)?;
    replay.drain()?;
    replay.progress.clear();
    if let Some(journal) = args.journal.as_deref().filter(|_| replay.is_whole()) {
        done.add(journal, &identities)?;
    }
    replay.finish(args, &inputs, report_file)
}

/// The files that a replay writes, each with the flag that names it.
fn outputs(args: &Replay) -> Vec<(&str, &Path)> {
    let sink = match args.sink.first() {
        Some(SinkName::Ndjson(path)) => Some(path),
        _ => None,
    };
    [
        ("--rejects", args.rejects.as_ref()),
        ("--dead-letters", args.dead_letters.as_ref()),
        ("--report", args.report.as_ref()),
        ("--sink", sink),
    ]
    .into_iter()
    .filter_map(|(flag, path)| Some((flag, path?.as_path())))
    .collect()
}

/// What a flag names, for a message.
fn flag(name: &str, path: Option<&Path>) -> String {
    path.map_or_else(|| name.to_owned(), |path| format!("{name} {}", path.display()))
}

/// The state of the main thread.
struct Run {
    stop: Stop,
    progress: Progress,
    rejects: Arc<Rejects>,
    pond: Pond,
    /// Distinct keys, as far as the writers have ended.
    documents: u64,
    /// Bytes of the lines accepted, as far as the writers have ended.
    bytes_in: u64,
    /// Operations that an earlier run had accepted, as far as the writers have ended.
    seen: u64,
    peak_anonymous_bytes: Option<u64>,
    /// The first thing that went wrong.
    failure: Option<Failure>,
}

/// The end of a thread.
enum Event {
    Reader(Result),
    Writer(Result<submitter::End>),
    Drained(Result),
}

impl Run {
    /// Reads all input into the engine, or as much as there is time for.
    fn fold(&mut self, args: &Replay, inputs: Inputs, mut handles: Vec<Source>) -> Result {
        let is_journaled = args.journal.is_some();
        // The operations of a source are submitted in order, by one thread.
        let writers = if is_journaled { 1 } else { writers(args) };
        let marks = handles.iter().map(|handle| handle.mark().unwrap_or(0)).collect();
        let (events, ended) = unbounded();
        let mut submitter = || {
            let capacity = DISTINCT_BYTES / size_of::<u64>() / writers;
            let rejects = Arc::clone(&self.rejects);
            let handles = std::mem::take(&mut handles);
            let engine = self.pond.engine.clone();
            Submitter::new(engine, handles, rejects, inputs.names(), self.stop.clone(), capacity)
        };
        let spread = if writers == 1 && !is_journaled && inputs.are_at_hand() {
            Spread::to_engine(submitter())
        } else {
            let (recycle, recycled) = unbounded();
            let mut chunks = Vec::with_capacity(writers);
            for number in 0..writers {
                let (sender, receiver) = unbounded();
                chunks.push(sender);
                let writer = Writer { submitter: submitter(), chunks: receiver, recycle: recycle.clone() };
                start(&format!("writer-{number}"), &events, Event::Writer, move || writer.run())?;
            }
            Spread::over(chunks, recycled, READ_AHEAD_BYTES)
        };
        let reader = Reader {
            intake: spread,
            ids: Ids::new(),
            index: args.index.clone(),
            rejects: Arc::clone(&self.rejects),
            stop: self.stop.clone(),
            position: self.progress.position(),
            marks,
        };
        start_reader(reader, inputs, &events)?;

        let (mut running, mut is_reading) = (writers, true);
        // Writers end when the reader has let go of them, which may be before it says how it ended. After a stop it may
        // wait for input for ever.
        while running > 0 || (is_reading && !self.stop.is_set()) {
            match self.next(&ended) {
                Some(Event::Writer(end)) => {
                    running -= 1;
                    match end {
                        Ok(end) => {
                            self.documents += end.documents;
                            self.bytes_in += end.bytes_in;
                            self.seen += end.seen;
                        }
                        Err(failure) => self.fail(failure),
                    }
                }
                Some(Event::Reader(end)) => {
                    is_reading = false;
                    // The writers end by themselves when they have done what was read.
                    if let Err(failure) = end {
                        self.failure.get_or_insert(failure);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Closes the engine, which sends everything that is pending.
    fn drain(&mut self) -> Result {
        self.progress.draining();
        let (events, ended) = unbounded();
        let engine = self.pond.engine.clone();
        start("drain", &events, Event::Drained, move || engine.close(DRAIN_MAX).map_err(Failure::from))?;
        loop {
            if let Some(Event::Drained(result)) = self.next(&ended) {
                if let Err(failure) = result {
                    self.failure.get_or_insert(failure);
                }
                return Ok(());
            }
            if self.pond.is_reader_gone() {
                return Err(Failure::ReaderGone);
            }
        }
    }

    /// The next event, or nothing after a tick. Draws the bar and samples memory.
    fn next(&mut self, ended: &Receiver<Event>) -> Option<Event> {
        let event = ended.recv_timeout(TICK);
        if self.progress.is_shown() {
            self.progress.show(&figures(&self.pond.engine.stats()));
        }
        self.peak_anonymous_bytes = self.peak_anonymous_bytes.max(memory::anonymous_bytes());
        if self.pond.is_reader_gone() {
            self.stop.fail();
        }
        event.ok()
    }

    /// True where all input was read, and has been sent.
    fn is_whole(&self) -> bool {
        self.failure.is_none() && !self.stop.is_interrupted()
    }

    fn fail(&mut self, failure: Failure) {
        self.stop.fail();
        self.failure.get_or_insert(failure);
    }

    /// Reports, and decides the exit status.
    fn finish(self, args: &Replay, inputs: &Inputs, file: Option<std::fs::File>) -> Result<u8> {
        let rejected = self.rejects.finish().map_err(|error| {
            Failure::io(format!("writing {}", flag("--rejects", args.rejects.as_deref())), &error)
        })?;
        let report = Report {
            stats: self.pond.engine.stats(),
            bytes_in: self.bytes_in,
            seen: self.seen,
            documents: self.documents,
            rejected,
            time: self.progress.started().elapsed(),
            interrupted: self.stop.is_interrupted(),
            failed: self.failure.as_ref().map(ToString::to_string),
            peak_anonymous_bytes: self.peak_anonymous_bytes,
            inputs: inputs.names(),
            sink: self.pond.sink.to_string(),
            args,
        };
        if let Some(file) = file {
            report.write_json(file).map_err(|error| {
                Failure::io(format!("writing {}", flag("--report", args.report.as_deref())), &error)
            })?;
        }
        if !args.quiet {
            message::note(&report.table());
        }
        if report.stats.dead_letters > 0 {
            let path = self.pond.dead_letters.display();
            message::warning(&format!("operations that the sink refused are in {path}, with the reason"));
        }
        match self.failure {
            Some(failure) => {
                message::error(&failure.to_string());
                Ok(FAILED)
            }
            None if self.stop.is_interrupted() => Ok(INTERRUPTED),
            None if rejected > 0 || report.stats.dead_letters > 0 => Ok(REFUSED),
            None => Ok(WELL),
        }
    }
}

/// Starts the reader, which tells how it has ended, and as what else if it was the writer as well.
fn start_reader(mut reader: Reader<Spread>, inputs: Inputs, events: &Sender<Event>) -> Result {
    if !reader.intake.submits() {
        return start("reader", events, Event::Reader, move || reader.run(&inputs));
    }
    let read = events.clone();
    start("reader", events, Event::Writer, move || {
        // Sending fails only when the main thread no longer listens.
        let _ = read.send(Event::Reader(reader.run(&inputs)));
        reader.intake.end()
    })
}

/// Starts a thread whose end comes as an event, a panic as a failure.
pub(crate) fn start<T: Send + 'static, E: Send + 'static>(
    name: &str,
    events: &Sender<E>,
    event: impl FnOnce(Result<T>) -> E + Send + 'static,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result {
    let (events, label) = (events.clone(), name.to_owned());
    let done = move |result: Caught<Result<T>>| {
        let result = result.unwrap_or_else(|panic| Err(panicked(&label, &*panic)));
        // Sending fails only when the main thread no longer listens.
        let _ = events.send(event(result));
    };
    sync::spawn(name.to_owned(), work, done)
        .map_err(|error| Failure::io(format!("starting thread {name}"), &error))
}

fn panicked(thread: &str, panic: &(dyn Any + Send)) -> Failure {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    Failure::Failed(format!("thread {thread} panicked: {text}"))
}

fn writers(args: &Replay) -> usize {
    args.writers.map_or_else(writers_default, NonZeroUsize::get).min(WRITERS_MAX)
}

fn writers_default() -> usize {
    (processors() / 2).clamp(1, WRITERS_DEFAULT_MAX)
}

fn figures(stats: &Stats) -> Figures {
    Figures {
        operations_in: stats.operations_in,
        operations_out: stats.operations_out,
        pending_documents: stats.pending_documents,
        pending_bytes: stats.pending_bytes,
    }
}
