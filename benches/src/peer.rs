//! What takes operations: the engine, the baseline, the floors.

use crate::workload::Operation;

/// How many operations are handed over at once where batches are measured.
pub const BATCH: usize = 64;

/// Takes operations from any number of threads.
pub trait Peer: Sync {
    /// Takes one. What is refused was not made well: a refusal ends the measurement.
    fn submit(&self, operation: &Operation<'_>);

    /// Takes several, in order.
    fn submit_batch(&self, operations: &[Operation<'_>]) {
        for operation in operations {
            self.submit(operation);
        }
    }
}

/// Takes lines of bulk NDJSON.
pub type TakesLines<'a> = &'a mut dyn FnMut(&[u8]);

/// A peer that gives back what it holds.
pub trait Drains: Peer {
    /// Writes everything held as bulk NDJSON and holds it no longer. Where somebody asks for the lines, they are handed
    /// on; else they are written into memory that is used again.
    fn drain(&self, lines: Option<TakesLines<'_>>) -> Drained;
}

/// What was drained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Documents.
    pub documents: u64,
    /// Bytes of bulk NDJSON.
    pub bytes: u64,
}
