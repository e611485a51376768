//! The folded side: the engine as a replay has it, over the same server.
//!
//! # Design
//! One thread reads and submits, as a replay of a plain file does, and the engine's own threads send. Where a window is asked for,
//! everything is sent after each so many operations, and nothing is read meanwhile: that is what a client comes to that may hold
//! back only so many.
//!
//! # Invariants
//! 1. With a window, no operation is folded with one of another window.

use super::{
    figures::{Figures, Row},
    indices::Pass,
};
use crate::{
    failure::{Failure, Result},
    pond::Engine,
    replay::{
        queued::{Names, Queued},
        reader::Intake,
        submitter::Submitter,
    },
    sync::Mutex,
    units,
};
use millpond::{DeadLetter, DeadLetters, ErrorKind, elastic::ElasticSink};
use std::{num::NonZeroU64, sync::Arc, time::Duration};

/// How long the server is waited for at once; it is waited for again.
const WAIT: Duration = Duration::from_mins(1);

/// Keeps the first reason for which an operation failed. The others are counted by the engine.
#[derive(Debug, Default)]
pub(super) struct FirstLetter(Mutex<Option<String>>);

impl DeadLetters for FirstLetter {
    fn record(&self, letter: &DeadLetter<'_>) -> millpond::Result<()> {
        self.0.lock().get_or_insert_with(|| format!("{}/{}: {}", letter.index, letter.id, letter.reason));
        Ok(())
    }
}

/// Submits the operations of one run.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) engine: Engine,
    pub(super) sink: Arc<ElasticSink>,
    pub(super) letters: Arc<FirstLetter>,
    pub(super) submitter: Submitter,
    pub(super) pass: Pass,
    /// Everything is sent after so many operations.
    pub(super) window: Option<NonZeroU64>,
    /// Operations in the open window.
    pub(super) filled: u64,
}

impl Folded {
    /// Sends what is left. What it came to, and why the first operation failed that did.
    pub(super) fn end(self) -> Result<(Figures, Option<String>)> {
        wait(|| self.engine.close(WAIT))?;
        let (stats, sent) = (self.engine.stats(), self.sink.sent());
        let mut figures = Figures::default();
        for (row, count) in [
            (Row::Operations, stats.operations_out),
            (Row::Requests, sent.requests),
            (Row::RequestBytes, sent.bytes),
            (Row::Retries, stats.retries),
            (Row::Failed, stats.dead_letters),
        ] {
            figures.set(row, units::float(count));
        }
        figures.set(Row::LongestWait, stats.longest_wait.as_secs_f64());
        let reason = self.letters.0.lock().take();
        Ok((figures, reason))
    }
}

impl Intake for Folded {
    fn begin(&mut self, _: usize) {}

    fn take_in(&mut self, queued: &[Queued<'_>]) -> Result {
        let mut rest = queued;
        while !rest.is_empty() {
            let room = self.window.map_or(u64::MAX, |window| window.get() - self.filled);
            let (now, later) = rest.split_at(rest.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            let renamed = now.iter().map(|queued| {
                let names = Names { index: self.pass.name(queued.names.index)?, ..queued.names };
                Ok(Queued { names, ..*queued })
            });
            let renamed: Vec<Queued<'_>> = renamed.collect::<Result<_>>()?;
            self.submitter.take_in(&renamed, 0)?;
            self.filled += now.len() as u64;
            if self.window.is_some_and(|window| self.filled >= window.get()) {
                wait(|| self.engine.flush(WAIT))?;
                self.filled = 0;
            }
            rest = later;
        }
        Ok(())
    }
}

/// Tries again what only took too long: a server that is away may come back, and a second interrupt ends it.
fn wait(mut attempt: impl FnMut() -> millpond::Result<()>) -> Result {
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Timeout => {}
            Err(error) => return Err(Failure::from(error)),
        }
    }
}
