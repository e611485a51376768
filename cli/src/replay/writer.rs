//! A writer: a thread that submits the operations of its chunks, in order.

use super::{
    chunk::Chunk,
    submitter::{End, Submitter},
};
use crate::failure::Result;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

/// How often a writer without work looks whether it should stop.
const LOOK: Duration = Duration::from_millis(50);

/// Submits what the reader sends it.
pub(super) struct Writer {
    pub(super) submitter: Submitter,
    pub(super) chunks: Receiver<Chunk>,
    /// Where chunks go back to.
    pub(super) recycle: Sender<Chunk>,
}

impl Writer {
    /// Works until the reader has ended and all is submitted. After a stop it submits what it was sent, as long as
    /// the engine takes it at once.
    pub(super) fn run(mut self) -> Result<End> {
        loop {
            match self.chunks.recv_timeout(LOOK) {
                Ok(chunk) => {
                    self.take_in(&chunk)?;
                    // The reader may have ended; then nobody needs it.
                    let _ = self.recycle.send(chunk);
                }
                Err(RecvTimeoutError::Timeout) if !self.submitter.is_stopped() => {}
                Err(_) => break,
            }
        }
        self.submitter.end()
    }

    /// Submits the operations of a chunk, in order, a batch at a time.
    fn take_in(&mut self, chunk: &Chunk) -> Result {
        let mut rest = chunk.operations();
        let mut batch = Vec::with_capacity(self.submitter.batch());
        loop {
            batch.clear();
            batch.extend(rest.by_ref().take(self.submitter.batch()));
            if batch.is_empty() {
                return Ok(());
            }
            self.submitter.take_in(&batch, chunk.source)?;
        }
    }
}
