//! Where operations go once they are read: to writers, spread by key, or to the engine itself.
//!
//! # Design
//! Read-ahead is bounded in bytes. The reader alone keeps the account: a chunk counts from when it is sent until
//! it comes back empty, and over the bound the reader waits for one to come back.
//!
//! Without writers the reader submits what it has read from where it lies, and reads no further before that is accepted.
//!
//! # Invariants
//! 1. All operations of a key go one way, in the order of the input.

use super::{
    chunk::Chunk,
    queued::Queued,
    reader::Intake,
    submitter::{End, Submitter},
};
use crate::failure::Result;
use crossbeam_channel::{Receiver, Sender};

/// The size at which a chunk goes out.
const CHUNK_BYTES: usize = 128 * 1024;

/// Takes operations in, in the order of the input.
#[derive(Debug)]
pub(super) struct Spread {
    /// The number of the source that is read.
    source: usize,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Writers(Writers),
    Engine(Box<Submitter>),
}

impl Spread {
    /// Spreads over writers.
    pub(super) fn over(writers: Vec<Sender<Chunk>>, recycled: Receiver<Chunk>, bytes_max: usize) -> Self {
        let each = writers.into_iter().map(|sender| (Chunk::default(), sender)).collect();
        let writers = Writers { each, recycled, empty: Vec::new(), out_bytes: 0, out_bytes_max: bytes_max };
        Self { source: 0, way: Way::Writers(writers) }
    }

    /// Submits on the thread that reads.
    pub(super) fn to_engine(submitter: Submitter) -> Self {
        Self { source: 0, way: Way::Engine(Box::new(submitter)) }
    }

    /// True where there are no writers.
    pub(super) fn submits(&self) -> bool {
        matches!(self.way, Way::Engine(_))
    }

    /// What was submitted here, without writers.
    pub(super) fn end(self) -> Result<End> {
        match self.way {
            Way::Writers(_) => Ok(End::default()),
            Way::Engine(submitter) => submitter.end(),
        }
    }
}

impl Intake for Spread {
    fn begin(&mut self, source: usize) {
        self.source = source;
    }

    fn take_in(&mut self, queued: &[Queued<'_>]) -> Result {
        match &mut self.way {
            Way::Writers(writers) => queued.iter().for_each(|queued| writers.push(queued, self.source)),
            Way::Engine(submitter) => submitter.take_in(queued, self.source)?,
        }
        Ok(())
    }

    fn send_all(&mut self) {
        if let Way::Writers(writers) = &mut self.way {
            writers.send_all(self.source);
        }
    }
}

/// Chunks on their way to the writers, and the account of them.
#[derive(Debug)]
struct Writers {
    each: Vec<(Chunk, Sender<Chunk>)>,
    recycled: Receiver<Chunk>,
    empty: Vec<Chunk>,
    /// Chunks that were sent and have not come back, in operations' bytes.
    out_bytes: usize,
    out_bytes_max: usize,
}

impl Writers {
    /// Adds an operation to the chunk of its writer.
    fn push(&mut self, queued: &Queued<'_>, source: usize) {
        let number = writer_of(queued.hash, self.each.len());
        let Some((chunk, _)) = self.each.get_mut(number) else { return };
        chunk.push(queued);
        if chunk.bytes() >= CHUNK_BYTES {
            self.send(number, source);
        }
    }

    /// Sends every chunk that holds something.
    fn send_all(&mut self, source: usize) {
        for number in 0..self.each.len() {
            self.send(number, source);
        }
    }

    fn send(&mut self, number: usize, source: usize) {
        let Some((chunk, sender)) = self.each.get_mut(number) else { return };
        if chunk.is_empty() {
            return;
        }
        let mut full = std::mem::replace(chunk, self.empty.pop().unwrap_or_default());
        full.source = source;
        self.out_bytes += full.bytes();
        // A writer that has gone was stopped; its chunk counts for nothing any more.
        if let Err(returned) = sender.send(full) {
            self.out_bytes -= returned.0.bytes();
        }
        while let Ok(chunk) = self.recycled.try_recv() {
            self.take_back(chunk);
        }
        while self.out_bytes > self.out_bytes_max {
            match self.recycled.recv() {
                Ok(chunk) => self.take_back(chunk),
                Err(_) => return,
            }
        }
    }

    fn take_back(&mut self, mut chunk: Chunk) {
        self.out_bytes = self.out_bytes.saturating_sub(chunk.bytes());
        chunk.clear();
        // A chunk for each writer to fill, and a few in their hands.
        if self.empty.len() < self.each.len() * 2 {
            self.empty.push(chunk);
        }
    }
}

/// The high bits choose the writer.
fn writer_of(hash: u64, writers: usize) -> usize {
    let wide = u128::from(hash) * writers as u128;
    usize::try_from(wide >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bulk::Verb, replay::queued::Names};
    use std::collections::HashSet;

    #[test]
    fn keys_spread_over_all_writers() {
        for writers in [1, 2, 3, 7] {
            let found: HashSet<usize> = (0..1_000)
                .map(|id| {
                    let id = id.to_string();
                    let names = Names { index: "i", id: &id, routing: None };
                    writer_of(Queued::new(Verb::Delete, names, 1, [b"", b""]).hash, writers)
                })
                .collect();
            assert_eq!(found, (0..writers).collect());
        }
    }
}
