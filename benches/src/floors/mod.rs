//! Floors: parts of a submit's work, as fast as we can make them. They bound what any sharded design can reach.
//!
//! # Design
//! [`LockHash`] hashes the key and takes its shard's lock. [`Probe`] finds the key exactly, in a table like an engine's, and
//! counts. With [`Scan::Validating`] it also splits and validates the body ([`json`]) before it takes the lock, and has
//! asked for the line of the index before that, so that memory works while the processor does. A floor keeps nothing of a
//! body.
//!
//! # Why not an early load
//! A load whose value is needed late lets the processor run ahead only until its reorder buffer is full, which is a third of
//! a body. A prefetch is let go at once; `prefetch-index` has the `unsafe` for it.

pub mod json;
mod probe;

pub use probe::{Probe, Scan};

use crate::{peer::Peer, sync::Mutex, workload::Operation};
use crossbeam_utils::CachePadded;
use foldhash::fast::FixedState;
use std::hash::{BuildHasher, Hasher};

/// Locks to spread the keys over.
const SHARDS: usize = 256;
/// The number of the one index of a workload: an engine has looked its name up.
const INDEX_NUMBER: u16 = 1;

/// Hashes a key of the workload.
#[inline]
fn hash(state: &FixedState, id: &str) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write_u32(u32::from(INDEX_NUMBER));
    hasher.write(id.as_bytes());
    hasher.finish()
}

/// The shard of a hash: from its top bits.
#[inline]
fn shard_of(hash: u64) -> usize {
    usize::try_from(hash >> 56).unwrap_or(0) % SHARDS
}

/// Hashes the key, takes one of the locks, and counts.
#[derive(Debug)]
pub struct LockHash {
    state: FixedState,
    shards: Box<[CachePadded<Mutex<u64>>]>,
}

impl LockHash {
    /// All counts at nothing.
    pub fn new() -> Self {
        let shards = (0..SHARDS).map(|_| CachePadded::default()).collect();
        Self { state: FixedState::with_seed(1), shards }
    }

    /// Operations counted.
    pub fn operations(&self) -> u64 {
        self.shards.iter().map(|shard| *shard.lock()).sum()
    }
}

impl Default for LockHash {
    fn default() -> Self {
        Self::new()
    }
}

impl Peer for LockHash {
    #[inline]
    fn submit(&self, operation: &Operation<'_>) {
        if let Some(shard) = self.shards.get(shard_of(hash(&self.state, operation.id))) {
            *shard.lock() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        criterion::batches,
        workload::{Keys, Mix, Plan, Workload},
    };
    use std::collections::BTreeSet;

    #[test]
    fn a_probe_tells_every_key_from_every_other() {
        let plan =
            Plan { documents: 5_000, operations: 20_032, keys: Keys::Uniform, mix: Mix::Updates, seed: 1 };
        let workload = Workload::new(&plan);
        let ids: BTreeSet<&str> = workload.operations().map(|operation| operation.id).collect();
        for scan in [Scan::Not, Scan::Validating] {
            let (single, batched) = (Probe::new(scan, 5_000), Probe::new(scan, 5_000));
            workload.operations().for_each(|operation| single.submit(&operation));
            for batch in batches(&workload) {
                batched.submit_batch(&batch);
            }
            assert_eq!(single.counts(), (ids.len() as u64, 20_032));
            assert_eq!(batched.counts(), single.counts());
        }
        let floor = LockHash::new();
        workload.operations().for_each(|operation| floor.submit(&operation));
        assert_eq!(floor.operations(), 20_032);
    }
}
