//! A submitter: hands operations to the engine, in order, and counts what was accepted.

use super::{queued::Queued, reader::unwritable};
use crate::{
    distinct::Distinct,
    failure::{Failure, Result},
    pond::Engine,
    rejects::{Refusal, Rejects},
    sync::Stop,
};
use millpond::{ErrorKind, Operation};
use std::{io, sync::Arc};

/// Submits the operations of one thread.
#[derive(Debug)]
pub(super) struct Submitter {
    engine: Engine,
    rejects: Arc<Rejects>,
    /// What the inputs are called.
    sources: Arc<[String]>,
    stop: Stop,
    distinct: Distinct,
    bytes_in: u64,
}

/// What was accepted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    /// Distinct keys among the operations that were accepted. No other submitter has seen them.
    pub(super) documents: u64,
    /// Bytes of the operations that were accepted, as bulk lines.
    pub(super) bytes_in: u64,
}

impl Submitter {
    /// `distinct_capacity` hashes are held in memory to count keys.
    pub(super) fn new(
        engine: Engine,
        rejects: Arc<Rejects>,
        sources: Arc<[String]>,
        stop: Stop,
        distinct_capacity: usize,
    ) -> Self {
        Self { engine, rejects, sources, stop, distinct: Distinct::new(distinct_capacity), bytes_in: 0 }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_set()
    }

    /// Submits operations of one source as a batch, all of them. After a stop, as long as the engine takes them at
    /// once.
    pub(super) fn take_in(&mut self, mut queued: &[Queued<'_>], source: usize) -> Result {
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
    pub(super) fn end(self) -> Result<End> {
        let documents = self.distinct.count().map_err(|error| uncounted(&error))?;
        Ok(End { documents, bytes_in: self.bytes_in })
    }

    /// Submits some; how many of them are done with. The rest is to be tried again.
    fn submit(
        &mut self,
        operations: &[Operation<'_>],
        queued: &[Queued<'_>],
        source: usize,
    ) -> Result<usize> {
        let (refused, stopped_at) = match self.engine.submit_batch(operations) {
            Ok(_) => (Vec::new(), None),
            Err(error) => (error.refused, error.stopped_at),
        };
        let tried = stopped_at.unwrap_or(queued.len());
        let mut refused = refused.into_iter().peekable();
        for (position, queued) in queued.iter().enumerate().take(tried) {
            match refused.next_if(|(at, _)| *at == position) {
                Some((_, error)) => self.refuse(queued, source, &error)?,
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

    fn accept(&mut self, queued: &Queued<'_>) -> Result {
        self.bytes_in += queued.bytes();
        self.distinct.add(queued.hash).map_err(|error| uncounted(&error))
    }

    fn refuse(&self, queued: &Queued<'_>, source: usize, error: &millpond::Error) -> Result {
        // A place is one in the body; what is wrong with a name or the whole is shown at the action.
        let (line, offset, text) = match error.offset() {
            Some(offset) if !queued.body_line.is_empty() => (queued.line + 1, offset, queued.body_line),
            _ => (queued.line, 0, queued.action_line),
        };
        let mut reason = error.message().to_owned();
        if error.kind() == ErrorKind::TooLarge && error.offset().is_none() {
            reason.push_str("; a larger --memory takes larger documents");
        }
        let source = self.sources.get(source).map(String::as_str).unwrap_or_default();
        let refusal = Refusal { source, line, offset, text, reason: &reason };
        let lines = [queued.action_line, queued.body_line];
        self.rejects.refuse(&refusal, &lines).map_err(|error| unwritable(&error))
    }
}

fn uncounted(error: &io::Error) -> Failure {
    Failure::io("counting documents in a temporary file (TMPDIR says where)", error)
}
