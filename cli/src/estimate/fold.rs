//! One size of windows: an engine that is emptied at the end of each.
//!
//! # Design
//! The engine is driven by hand on a clock that stands still, so that nothing leaves it by age; what it hands out is counted
//! and answered as applied. It is the engine that a program would have, with its bounds: a field on which operations pile up
//! that cannot fold, or a document that is written under many routings, goes out early here as there.
//!
//! # Why not a map of net operations
//! It would fold as well, but would not know those bounds, and would copy a growing list once for each append to it.
//!
//! # Where it does not fit
//! Memory that presses would have the engine send early, and the count would be of windows cut short. Such a window is given up
//! instead, and says so.
//!
//! # Invariants
//! 1. What is counted left the engine at the end of a window, or because its key could hold no more.
//! 2. Nothing of a window is in the engine when the next one begins: as many operations as came have gone out.

use crate::failure::{Failure, Result};
use millpond::{
    BatchError, Drainer, Engine, Error, ErrorKind, Full, Next, NullSink, Operation, Outcome, SimulatedClock,
};
use std::{sync::Arc, time::Duration};

/// What went out of the windows of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Windows that held something.
    pub(super) windows: u64,
    pub(super) operations: u64,
    /// As bulk NDJSON.
    pub(super) bytes: u64,
    /// Operations that went out as they came: nothing folded with them.
    pub(super) alone: u64,
}

/// What came of an attempt to take operations in.
#[derive(Debug)]
pub(super) enum Taken {
    /// All but those at these positions, which are bad.
    All(Vec<(usize, Error)>),
    /// The memory bound was met; the window is given up.
    Overflow,
}

/// Folds one window after another.
#[derive(Debug)]
pub(super) struct Fold {
    engine: Engine,
    drainer: Drainer,
    counts: Counts,
    /// Nothing came since the last window ended.
    is_empty: bool,
    /// Operations that came and have not gone out, folded or not.
    waiting: u64,
}

impl Fold {
    /// Each window may take so many bytes of memory.
    pub(super) fn new(memory: usize) -> Result<Self> {
        let (engine, drainer) = Engine::builder()
            .memory_bytes(memory)
            .shards(1)
            .keep_known(false)
            // What makes room for its key goes first, and then there is no place for others.
            .batch_operations(1)
            .clock(&SimulatedClock::new(0))
            .full(Full::HandBack)
            .manual(Arc::new(NullSink), None)
            .map_err(|error| match error.kind() {
                ErrorKind::Config => Failure::Usage(error.message().replace("memory_bytes", "--memory")),
                _ => Failure::from(error),
            })?;
        Ok(Self { engine, drainer, counts: Counts::default(), is_empty: true, waiting: 0 })
    }

    /// Takes operations into the open window.
    pub(super) fn take_in(&mut self, operations: &[Operation<'_>]) -> Result<Taken> {
        let mut refused = Vec::new();
        let mut done = 0;
        while let Some(rest) = operations.get(done..).filter(|rest| !rest.is_empty()) {
            let (bad, stopped) = match self.engine.submit_batch(rest) {
                Ok(_) => (Vec::new(), None),
                Err(BatchError { mut refused, stopped_at, .. }) => {
                    let stopped = stopped_at.and_then(|at| Some((at, refused.pop()?.1)));
                    (refused, stopped)
                }
            };
            let tried = stopped.as_ref().map_or(rest.len(), |(at, _)| *at);
            self.waiting += (tried - bad.len()) as u64;
            self.is_empty &= self.waiting == 0;
            refused.extend(bad.into_iter().map(|(at, error)| (done + at, error)));
            done += tried;
            match stopped.map(|(_, error)| error) {
                None => {}
                Some(error) if error.kind() == ErrorKind::Full => return Ok(Taken::Overflow),
                // Its key can hold no more: what is sent makes room.
                Some(error) if error.kind() == ErrorKind::Busy && self.send()? => {}
                Some(error) => return Err(error.into()),
            }
        }
        Ok(Taken::All(refused))
    }

    /// Ends the open window, if anything is in it.
    pub(super) fn end_window(&mut self) -> Result {
        if self.is_empty {
            return Ok(());
        }
        // This begins it. On a clock that stands still it is not waited for, and the error says only that it has not ended.
        let _ = self.engine.flush(Duration::ZERO);
        while self.send()? {}
        if self.waiting > 0 {
            let waiting = self.waiting;
            return Err(Failure::Failed(format!(
                "the engine kept {waiting} operations at the end of a window"
            )));
        }
        self.counts.windows += 1;
        self.is_empty = true;
        Ok(())
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// The most bytes that waited at once.
    pub(super) fn peak_bytes(&self) -> u64 {
        self.engine.stats().peak_pending_bytes
    }

    /// Documents and bytes that wait.
    pub(super) fn pending(&self) -> (u64, u64) {
        let stats = self.engine.stats();
        (stats.pending_documents, stats.pending_bytes)
    }

    /// Sends one operation that is to go out now, and counts it; false where there is none. Before the end of a window that is
    /// one with others of its key behind it, which it does not fold with.
    fn send(&mut self) -> Result<bool> {
        let Next::Send(flights) = self.drainer.next()? else { return Ok(false) };
        let batch = flights.batch();
        self.counts.operations += batch.items.len() as u64;
        self.counts.bytes += batch.bytes as u64;
        for item in &batch.items {
            self.counts.alone += u64::from(item.operations == 1);
            self.waiting = self.waiting.saturating_sub(item.operations);
        }
        let outcomes = vec![Outcome::Applied; batch.items.len()];
        flights.finish(outcomes);
        Ok(true)
    }
}

impl Drop for Fold {
    /// Empties the engine, which would wait for whoever drains it.
    fn drop(&mut self) {
        let _ = self.end_window();
        let _ = self.engine.close(Duration::ZERO);
    }
}
