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
use millpond::ErrorKind;
use std::{sync::Arc, time::Duration};

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

impl Writer {
    /// Works until the reader has ended and all is submitted. After a stop it submits what it was sent, as long as
    /// the engine takes it at once.
    pub(super) fn run(self) -> Result<End> {
        let mut distinct = Distinct::new(self.distinct_capacity);
        let mut bytes_in = 0;
        loop {
            match self.chunks.recv_timeout(LOOK) {
                Ok(chunk) => {
                    for queued in chunk.operations() {
                        if self.submit(&queued, chunk.source)? {
                            distinct.add(queued.hash).map_err(|error| uncounted(&error))?;
                            bytes_in += queued.bytes();
                        }
                    }
                    // The reader may have ended; then nobody needs it.
                    let _ = self.recycle.send(chunk);
                }
                Err(RecvTimeoutError::Timeout) if !self.stop.is_set() => {}
                Err(_) => break,
            }
        }
        let documents = distinct.count().map_err(|error| uncounted(&error))?;
        Ok(End { documents, bytes_in })
    }

    /// True if the engine accepted the operation; false if it was refused, or there was no room before the stop.
    fn submit(&self, queued: &Queued<'_>, source: usize) -> Result<bool> {
        loop {
            let Err(refused) = self.engine.submit(queued.operation) else { return Ok(true) };
            let error = refused.error();
            if error.is_bad_input() {
                self.refuse(queued, source, error)?;
                return Ok(false);
            }
            if !error.is_temporary() {
                return Err(Failure::Failed(error.to_string()));
            }
            if self.stop.is_set() {
                return Ok(false);
            }
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
