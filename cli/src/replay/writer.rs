//! A writer: submits the operations of its chunks, in order.

use super::{
    chunk::{Chunk, Queued},
    reader::unwritable,
};
use crate::{
    distinct::Distinct,
    failure::{Failure, Result},
    pond::Engine,
    rejects::{Refusal, Rejects},
    sync::Stop,
};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use millpond::{ErrorKind, Operation};
use std::{sync::Arc, time::Duration};

/// Operations that are submitted at once.
const BATCH: usize = 64;
/// How often a writer without work looks whether it should stop.
const LOOK: Duration = Duration::from_millis(50);

/// Submits what the reader sends it.
pub(super) struct Writer {
    pub(super) engine: Engine,
    pub(super) chunks: Receiver<Chunk>,
    /// Where chunks go back to.
    pub(super) recycle: Sender<Chunk>,
    pub(super) rejects: Arc<Rejects>,
    pub(super) sources: Arc<[String]>,
    pub(super) stop: Stop,
    /// Hashes that are held in memory to count keys.
    pub(super) distinct_capacity: usize,
}

/// What a writer did.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Distinct keys among the operations that were accepted. No other writer has seen them.
    pub(super) documents: u64,
    /// Bytes of the operations that were accepted, as bulk lines.
    pub(super) bytes_in: u64,
}

/// What was accepted so far.
struct Accepted {
    distinct: Distinct,
    bytes_in: u64,
}

impl Accepted {
    fn add(&mut self, queued: &Queued<'_>) -> Result {
        self.bytes_in += queued.bytes();
        self.distinct.add(queued.hash).map_err(|error| uncounted(&error))
    }
}

impl Writer {
    /// Works until the reader has ended and all is submitted. After a stop it submits what it was sent, as long as
    /// the engine takes it at once.
    pub(super) fn run(self) -> Result<End> {
        let mut accepted = Accepted { distinct: Distinct::new(self.distinct_capacity), bytes_in: 0 };
        loop {
            match self.chunks.recv_timeout(LOOK) {
                Ok(chunk) => {
                    self.take_in(&chunk, &mut accepted)?;
                    // The reader may have ended; then nobody needs it.
                    let _ = self.recycle.send(chunk);
                }
                Err(RecvTimeoutError::Timeout) if !self.stop.is_set() => {}
                Err(_) => break,
            }
        }
        let documents = accepted.distinct.count().map_err(|error| uncounted(&error))?;
        Ok(End { documents, bytes_in: accepted.bytes_in })
    }

    /// Submits the operations of a chunk, in order, a batch at a time.
    fn take_in(&self, chunk: &Chunk, accepted: &mut Accepted) -> Result {
        let mut rest = chunk.operations();
        let (mut queued, mut operations) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        loop {
            queued.clear();
            queued.extend(rest.by_ref().take(BATCH));
            operations.clear();
            operations.extend(queued.iter().map(|queued| queued.operation));
            let (mut queued, mut operations) = (queued.as_slice(), operations.as_slice());
            if queued.is_empty() {
                return Ok(());
            }
            while !queued.is_empty() {
                let done = self.submit(queued, operations, chunk.source, accepted)?;
                queued = queued.get(done..).unwrap_or_default();
                operations = operations.get(done..).unwrap_or_default();
            }
        }
    }

    /// Submits a batch; how much of it is done with. The rest is to be tried again.
    fn submit(
        &self,
        queued: &[Queued<'_>],
        operations: &[Operation<'_>],
        source: usize,
        accepted: &mut Accepted,
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
                None => accepted.add(queued)?,
            }
        }
        match refused.next() {
            Some((_, error)) if !error.is_temporary() => Err(Failure::Failed(error.to_string())),
            // There was no room for this one before the stop.
            Some(_) if self.stop.is_set() => Ok(tried + 1),
            _ => Ok(tried),
        }
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

fn uncounted(error: &std::io::Error) -> Failure {
    Failure::io("counting documents in a temporary file (TMPDIR says where)", error)
}
