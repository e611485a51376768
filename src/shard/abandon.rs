//! What is left when an engine ends without having sent everything.

use super::{
    Shard,
    slot::{Aloft, Rare},
    tally::Tracker,
};
use crate::{document::IndexId, merge::NetOperation};
use bytes::BytesMut;
use smol_str::SmolStr;

/// An operation that will not be sent any more.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) index: IndexId,
    pub(crate) id: SmolStr,
    pub(crate) routing: Option<Box<str>>,
    pub(crate) net: NetOperation,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) operations: u64,
    pub(crate) trackers: Vec<Tracker>,
}

impl Shard {
    /// Empties the shard and returns everything that has not settled, the operations of a key in order.
    pub(crate) fn abandon(&mut self) -> Vec<Left> {
        let emptied = std::mem::replace(self, Self::new(self.number, self.last_seq, 0));
        self.sealed = true;
        self.credit = emptied.credit;
        self.counts.clone_from(&emptied.counts);
        for counts in &mut self.counts {
            counts.pending_bytes = 0;
        }
        let (mut left, mut hangar, mut rooms) = (Vec::new(), emptied.hangar, emptied.rooms);
        for slot in emptied.slab.into_slots() {
            let (index, id) = (slot.index, slot.id.clone());
            let flight = slot.flight().and_then(|number| hangar.remove(number));
            let waiting = slot.into_waiting().map(|entry| entry.launch(&mut rooms, &mut BytesMut::new()));
            for folded in flight.into_iter().chain(waiting) {
                let Aloft { net, first_seq, last_seq, rare, tally, .. } = folded;
                let Rare { routing, trackers, .. } = rare.map(|rare| *rare).unwrap_or_default();
                let (id, operations) = (id.clone(), tally.operations.into());
                left.push(Left { index, id, routing, net, first_seq, last_seq, operations, trackers });
            }
        }
        left
    }
}
