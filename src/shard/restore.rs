//! Restoring: what had not settled when an earlier engine ended waits again.
//!
//! # Design
//! A key's operations come back in the order of their sequence numbers, each with those it had. What may fold folds, as
//! it would have; what may not queues, however long the queue: it was all accepted. An operation that may be in the sink
//! already, and would change it again where more was folded into it, comes back *bound*: nothing folds into it, and it
//! goes out as it was.
//!
//! # Invariants
//! 1. Every operation restored is in an entry of its key, in order; sequence numbers given out from now on are above it.
//! 2. A bound entry is its key's lowest.

use super::{
    RUN_MAX, Shard,
    slot::{Entry, Slot},
    tally::{Existence, Kind, Pair, Tally},
};
use crate::{document::IndexId, merge::NetRef};

/// An operation, or some folded into one, as they were written down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restored<'a> {
    pub(crate) tag: u32,
    pub(crate) index: IndexId,
    pub(crate) id: &'a str,
    pub(crate) routing: Option<&'a str>,
    pub(crate) net: NetRef<'a>,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) tally: Tally,
    /// It may be in the sink already, and repeating it would not leave that as it is.
    pub(crate) is_bound: bool,
    /// Monotonic time.
    pub(crate) now_us: u64,
}

impl Tally {
    /// That of a single operation.
    pub(crate) fn of(kind: Kind, net: NetRef<'_>) -> Self {
        let mut tally = Self::default();
        tally.add(Pair::new(kind, net, Existence::SAME));
        tally
    }

    /// That of some that were folded.
    pub(crate) fn moved(operations: u32, not_found: [u32; 2], conflicts: [u32; 2]) -> Self {
        Self { operations, not_found, conflicts }
    }

    /// How many will not have found a document, if there was none below, and if there was one.
    pub(crate) fn not_found(&self) -> [u32; 2] {
        self.not_found
    }

    /// How many will have been creates that met one, likewise.
    pub(crate) fn conflicts(&self) -> [u32; 2] {
        self.conflicts
    }
}

impl Shard {
    /// Puts an operation on top of what was restored for its key before.
    pub(crate) fn restore(&mut self, restored: &Restored<'_>) {
        self.last_seq = self.last_seq.max(restored.last_seq);
        let entry = self.restored_entry(restored);
        let Some(id) = self.find(restored.tag, restored.index, restored.id) else {
            self.insert_slot(Slot::new(restored.tag, restored.index, restored.id), entry);
            return;
        };
        let top = self.change(id, Slot::take_top);
        let Some(mut top) = top else { return };
        let over = match (top.is_bound(), restored.is_bound) {
            (false, _) => self.stack(restored.index, &mut top, entry, RUN_MAX),
            (true, false) => Some(entry),
            // They were folded once.
            (true, true) => self.stack(restored.index, &mut top, entry, usize::MAX),
        };
        let queued = self.change(id, |slot| {
            slot.put_top(top);
            if let Some(over) = over {
                slot.put_top(over);
            }
            slot.queues()
        });
        if queued {
            self.make_urgent(id);
        }
        self.trim_scratch();
    }

    fn restored_entry(&mut self, restored: &Restored<'_>) -> Entry {
        let arrived_us = restored.now_us.max(self.last_arrived_us);
        self.last_arrived_us = arrived_us;
        let mut entry = Entry::new(&mut self.rooms, restored.net, restored.first_seq, arrived_us);
        entry.last_seq = restored.last_seq;
        entry.tally = restored.tally;
        if let Some(routing) = restored.routing {
            entry.rare_mut().routing = Some(routing.into());
        }
        if restored.is_bound {
            entry.rare_mut().is_bound = true;
        }
        self.counts_mut(restored.index).restored += u64::from(restored.tally.operations);
        entry
    }
}
