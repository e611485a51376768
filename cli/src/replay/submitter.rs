//! A submitter: hands operations to the engine, in order, and counts what was accepted.

use super::{
    queued::{BATCH, JOURNALED_BATCH, Queued},
    reader::unwritable,
};
use crate::{
    distinct::Distinct,
    failure::{Failure, Result},
    pond::{Engine, Source},
    rejects::{Refusal, Rejects},
    sync::Stop,
};
use millpond::{BatchError, ErrorKind, Operation};
use std::{io, sync::Arc};

/// Submits the operations of one thread.
#[derive(Debug)]
pub(crate) struct Submitter {
    engine: Engine,
    /// With a journal, the handle of each input.
    handles: Vec<Source>,
    rejects: Arc<Rejects>,
    /// What the inputs are called.
    sources: Arc<[String]>,
    stop: Stop,
    distinct: Distinct,
    bytes_in: u64,
    seen: u64,
}

/// What was accepted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End {
    /// Distinct keys among the operations that were accepted. No other submitter has seen them.
    pub(crate) documents: u64,
    /// Bytes of the operations that were accepted, as bulk lines.
    pub(crate) bytes_in: u64,
    /// Operations that an earlier run had accepted, by the journal.
    pub(crate) seen: u64,
}

impl Submitter {
    /// `handles` are those of all inputs, or none. `distinct_capacity` hashes are held in memory to count keys.
    pub(crate) fn new(
        engine: Engine,
        handles: Vec<Source>,
        rejects: Arc<Rejects>,
        sources: Arc<[String]>,
        stop: Stop,
        distinct_capacity: usize,
    ) -> Self {
        let distinct = Distinct::new(distinct_capacity);
        Self { engine, handles, rejects, sources, stop, distinct, bytes_in: 0, seen: 0 }
    }

    /// How many operations are to be submitted at once: under a journal they wait for the disk together.
    pub(super) fn batch(&self) -> usize {
        if self.handles.is_empty() { BATCH } else { JOURNALED_BATCH }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_set()
    }

    /// Submits operations of one source as a batch, all of them. After a stop, as long as the engine takes them at
    /// once.
    pub(crate) fn take_in(&mut self, mut queued: &[Queued<'_>], source: usize) -> Result {
        if let Some(mark) = self.handles.get(source).and_then(Source::mark) {
            let (seen, new) = queued.split_at(queued.partition_point(|queued| queued.line <= mark));
            self.seen += seen.len() as u64;
            queued = new;
        }
        let operations: Vec<Operation<'_>> = queued.iter().map(Queued::operation).collect();
        let mut operations = operations.as_slice();
        while !operations.is_empty() {
            let done = self.submit(operations, queued, source)?;
            operations = operations.get(done..).unwrap_or_default();
            queued = queued.get(done..).unwrap_or_default();
        }
        Ok(())
    }

    /// What was accepted, when all is submitted.
    pub(crate) fn end(self) -> Result<End> {
        let documents = self.distinct.count().map_err(|error| uncounted(&error))?;
        Ok(End { documents, bytes_in: self.bytes_in, seen: self.seen })
    }

    /// Submits some; how many of them are done with. The rest is to be tried again.
    fn submit(
        &mut self,
        operations: &[Operation<'_>],
        queued: &[Queued<'_>],
        source: usize,
    ) -> Result<usize> {
        let (refused, stopped_at) = match self.offer(operations, queued, source) {
            Ok(_) => (Vec::new(), None),
            Err(error) => (error.refused, error.stopped_at),
        };
        let tried = stopped_at.unwrap_or(queued.len());
        let mut refused = refused.into_iter().peekable();
        for (position, queued) in queued.iter().enumerate().take(tried) {
            match refused.next_if(|(at, _)| *at == position) {
                Some((_, error)) => {
                    let source = self.sources.get(source).map(String::as_str).unwrap_or_default();
                    refuse(queued, source, &error, &self.rejects)?;
                }
                None => self.accept(queued)?,
            }
        }
        match refused.next() {
            Some((_, error)) if !error.is_temporary() => Err(Failure::Failed(error.to_string())),
            // There was no room for this one before the stop.
            Some(_) if self.stop.is_set() => Ok(tried + 1),
            _ => Ok(tried),
        }
    }

    /// Under a journal with the number of its action line, so that what is read again is dropped.
    fn offer(
        &mut self,
        operations: &[Operation<'_>],
        queued: &[Queued<'_>],
        source: usize,
    ) -> std::result::Result<Option<u64>, BatchError> {
        let Some(handle) = self.handles.get_mut(source) else {
            return self.engine.submit_batch(operations);
        };
        let lines: Vec<u64> = queued.iter().map(|queued| queued.line).collect();
        handle.submit_batch(operations, &lines)
    }

    fn accept(&mut self, queued: &Queued<'_>) -> Result {
        self.bytes_in += queued.bytes();
        self.distinct.add(queued.hash).map_err(|error| uncounted(&error))
    }
}

/// Refuses an operation that the engine does not take.
pub(crate) fn refuse(
    queued: &Queued<'_>,
    source: &str,
    error: &millpond::Error,
    rejects: &Rejects,
) -> Result {
    // A place is one in the body; what is wrong with a name or the whole is shown at the action.
    let (line, offset, text) = match error.offset() {
        Some(offset) if !queued.body_line.is_empty() => (queued.line + 1, offset, queued.body_line),
        _ => (queued.line, 0, queued.action_line),
    };
    let mut reason = error.message().to_owned();
    if error.kind() == ErrorKind::TooLarge && error.offset().is_none() {
        reason.push_str("; a larger --memory takes larger documents");
    }
    let refusal = Refusal { source, line, offset, text, reason: &reason };
    let lines = [queued.action_line, queued.body_line];
    rejects.refuse(&refusal, &lines).map_err(|error| unwritable(&error))
}

/// Documents could not be counted.
pub(crate) fn uncounted(error: &io::Error) -> Failure {
    Failure::io("counting documents in a temporary file (TMPDIR says where)", error)
}
