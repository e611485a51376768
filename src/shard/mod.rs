//! Shards: where a submitted operation waits, folded into what waits already.
//!
//! # Design
//! A [`Shard`] is one lock's worth of keys, as a plain `&mut self` machine: no lock, no clock, no thread and
//! no I/O inside; time and sequence stamps come in as arguments, and whatever must be dropped or woken goes
//! out as a value. [`Bank`] is the thin shell: many shards, each behind its lock, and one memory bound.
//!
//! A key's [`Slot`] is a stack (see `slot.rs`). The slots whose document is known are the write cache, those
//! whose base is unknown the update log; both are taken alike: by age, for freshness, in an order that is kept; and
//! what was written least recently, for memory pressure, by a hand that looks for it (`sweep.rs`). The log is taken
//! so too, not in arrival order: by arrival, pressure would push out the hottest keys.
//!
//! # Why not a concurrent map
//! The folded operation, the two orders, the flight and the weights must change together; structures with
//! locks of their own would need a second protocol to agree.
//!
//! # Invariants
//! 1. The hash index holds exactly the slots in use, each under its hash.
//! 2. A slot stands in the age order iff it has a pending entry; that order never falls by first seq
//!    or by arrival. (Keys that an earlier engine had in two shards may have one seq.) A slot stands in the
//!    clean order iff it has neither pending entry nor flight.
//! 3. The hangar has exactly the flights that slots name.
//! 4. Sequence numbers given out rise; every one held is at most `last_seq`; within a slot they rise upwards.
//! 5. `weight` is the sum over slots and flights.
//! 6. The rooms in use are those of the entries.
//! 7. A slot has at most [`LATER_MAX`] + 1 entries beside its pending one, and no run beyond [`RUN_MAX`]
//!    except one that a single operation brought along.
//!
//! # Locking
//! LOCK: a thread holds at most one shard lock and takes no other lock under it. Values leave the shard
//! before they are dropped, and nobody is woken under it.

mod abandon;
mod arrival;
mod bank;
mod flight;
mod hangar;
mod hints;
mod index;
mod indices;
mod landing;
mod memory;
mod prefetch;
mod read;
mod restore;
mod rooms;
mod slab;
mod slot;
mod standing;
mod submit;
mod sweep;
mod tally;
mod ticket;

#[cfg(test)]
mod tests;
mod validate;

pub(crate) use arrival::FILES_MAX;
pub(crate) use bank::{Bank, Place, Refused, Submission};
pub(crate) use flight::{Demand, Flight, Pick, Room, Taken};
pub(crate) use landing::{Garbage, Settlement};
pub(crate) use memory::{Memory, Waiter};
pub(crate) use prefetch::prefetch_at;
pub(crate) use read::Layers;
pub(crate) use restore::Restored;
pub(crate) use slot::Known;
pub(crate) use submit::{Accepted, Incoming, Refusal};
pub use tally::Status;
pub(crate) use tally::{Kind, Tally, Tracker, Verdict};
pub use ticket::Ticket;
pub(crate) use ticket::TicketCell;

use crate::{document::IndexId, merge::Folding};
use hangar::Hangar;
use index::Index;
use rooms::Rooms;
use slab::{Order, Slab, SlotId};
use slot::Slot;
use std::collections::VecDeque;
use sweep::Sweep;

/// The longest run of primitives that an entry may grow by folding.
pub(crate) const RUN_MAX: usize = 16;
/// How many entries may queue up behind a key's pending one (operations that may not or cannot fold).
pub(crate) const LATER_MAX: usize = 8;
/// An entry does not grow by folding beyond this: what would make it longer queues behind it.
pub(crate) const ENTRY_BYTES_MAX: usize = 1 << 30;
/// A scratch buffer larger than this is given back to the allocator after use.
const SCRATCH_BYTES_MAX: usize = 64 * 1024;

/// Bytes held, by what they are held for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    pub(crate) total: usize,
    /// Of the total: operations that are out.
    pub(crate) aloft: usize,
    /// Of the total: slots that hold only a known document.
    pub(crate) clean: usize,
    /// Of the total: documents that are known, in clean slots and below what waits.
    pub(crate) known: usize,
}

/// Counts since the start, and what waits now; kept per index and shard, under the shard's lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) operations_in: u64,
    /// Operations of an earlier engine that had not settled.
    pub(crate) restored: u64,
    pub(crate) bytes_in: u64,
    pub(crate) folded: u64,
    pub(crate) misfits: u64,
    pub(crate) settled: u64,
    pub(crate) noops: u64,
    pub(crate) not_found: u64,
    pub(crate) conflicts: u64,
    pub(crate) dead: u64,
    pub(crate) put_back: u64,
    pub(crate) out: u64,
    pub(crate) bytes_out: u64,
    pub(crate) pending_bytes: u64,
}

impl Counts {
    /// Adds another shard's counts.
    pub(crate) fn add(&mut self, other: &Self) {
        self.operations_in += other.operations_in;
        self.restored += other.restored;
        self.bytes_in += other.bytes_in;
        self.folded += other.folded;
        self.misfits += other.misfits;
        self.settled += other.settled;
        self.noops += other.noops;
        self.not_found += other.not_found;
        self.conflicts += other.conflicts;
        self.dead += other.dead;
        self.put_back += other.put_back;
        self.out += other.out;
        self.bytes_out += other.bytes_out;
        self.pending_bytes += other.pending_bytes;
    }
}

/// One lock's worth of keys.
#[derive(Debug)]
pub(crate) struct Shard {
    number: u32,
    slab: Slab,
    /// Where the operations that wait lie.
    rooms: Rooms,
    index: Index,
    hangar: Hangar,
    urgent: VecDeque<SlotId>,
    last_seq: u64,
    last_arrived_us: u64,
    weight: Weight,
    counts: Vec<Counts>,
    scratch: Vec<u8>,
    folding: Folding,
    /// Known documents beyond this many bytes are let go when a flight settles.
    known_bytes_max: usize,
    /// Bytes that it may grow by, drawn from the memory that all shards share.
    credit: usize,
    sweep: Sweep,
    sealed: bool,
}

/// What a slot weighed before a change.
#[derive(Clone, Copy)]
struct Measure {
    weight: Weight,
    pending: usize,
}

impl Shard {
    /// An empty shard whose first sequence number is above `seq_floor`.
    pub(crate) fn new(number: u32, seq_floor: u64, known_bytes_max: usize) -> Self {
        Self {
            number,
            slab: Slab::new(),
            rooms: Rooms::new(),
            index: Index::new(),
            hangar: Hangar::default(),
            urgent: VecDeque::new(),
            last_seq: seq_floor,
            last_arrived_us: 0,
            weight: Weight::default(),
            counts: Vec::new(),
            scratch: Vec::new(),
            folding: Folding::default(),
            known_bytes_max,
            credit: 0,
            sweep: Sweep::default(),
            sealed: false,
        }
    }

    /// Bytes held.
    pub(crate) fn weight(&self) -> Weight {
        self.weight
    }

    /// Counts of one index; zeroes for one never seen.
    pub(crate) fn counts(&self, index: IndexId) -> Counts {
        self.counts.get(index.0 as usize).copied().unwrap_or_default()
    }

    /// Entries that wait, one per key (what queues behind them aside).
    pub(crate) fn pending_documents(&self) -> usize {
        self.slab.length(Order::Age)
    }

    /// Keys with anything that has not settled.
    pub(crate) fn unsettled_keys(&self) -> usize {
        self.slab.slots().filter(|(_, slot)| !slot.is_clean()).count()
    }

    /// True if this flight is out.
    pub(crate) fn has_flight(&self, first_seq: u64, last_seq: u64) -> bool {
        self.hangar.iter().any(|(_, flight)| (flight.first_seq, flight.last_seq) == (first_seq, last_seq))
    }

    /// From now on nothing is accepted.
    pub(crate) fn seal(&mut self) {
        self.sealed = true;
    }

    /// The highest sequence number given out, or promised not to be given out.
    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// No operation will get a sequence number at or below `seq` any more.
    pub(crate) fn raise(&mut self, seq: u64) {
        self.last_seq = self.last_seq.max(seq);
    }

    /// The first seq of the oldest operation that has not settled.
    pub(crate) fn first_unsettled(&self) -> Option<u64> {
        let flight = self.hangar.first().map(|flight| flight.first_seq);
        let pending =
            self.slab.first(Order::Age).and_then(|id| Some(self.slab.get(id)?.pending.as_ref()?.first_seq));
        [flight, pending].into_iter().flatten().min()
    }

    /// When the oldest operation that has not settled arrived.
    pub(crate) fn oldest_us(&self) -> Option<u64> {
        let flight = self.hangar.first().map(|flight| flight.arrival.us());
        [flight, self.oldest_pending_us()].into_iter().flatten().min()
    }

    /// When the oldest pending operation arrived: the next that age will take.
    pub(crate) fn oldest_pending_us(&self) -> Option<u64> {
        self.slab.first(Order::Age).and_then(|id| Some(self.slab.get(id)?.pending.as_ref()?.arrival.us()))
    }

    /// Arrival of the oldest pending entry per index, for those met within the first `steps` entries by age.
    pub(crate) fn oldest_by_index(&self, steps: usize, mut found: impl FnMut(IndexId, u64)) {
        for id in self.slab.iter(Order::Age).take(steps) {
            if let Some((index, entry)) =
                self.slab.get(id).and_then(|slot| Some((slot.index, slot.pending.as_ref()?)))
            {
                found(index, entry.arrival.us());
            }
        }
    }

    #[inline]
    fn find(&self, tag: u32, index: IndexId, id: &str) -> Option<SlotId> {
        let slab = &self.slab;
        self.index.find(tag, |slot| slab.get(slot).is_some_and(|slot| slot.index == index && slot.id == *id))
    }

    /// Asks for the operation that waits for a key with this tag.
    pub(crate) fn prefetch(&self, tag: u32) {
        if let Some(entry) = self.index.guess(tag).and_then(|id| self.slab.get(id)?.pending.as_ref()) {
            prefetch::prefetch_bytes(entry.net(&self.rooms).as_bytes());
        }
    }

    /// Where the hash index lies, and its size, for asking ahead.
    pub(crate) fn index_place(&self) -> (usize, u32) {
        let (start, bits) = self.index.place();
        (start.addr(), bits)
    }

    /// Bytes that the shard may grow by.
    pub(crate) fn credit_mut(&mut self) -> &mut usize {
        &mut self.credit
    }

    /// Takes the credit away.
    pub(crate) fn take_credit(&mut self) -> usize {
        std::mem::take(&mut self.credit)
    }

    /// What is to be dropped outside the lock.
    pub(crate) fn take_retired(&mut self) -> Vec<Vec<u8>> {
        self.rooms.take_retired()
    }

    fn make_urgent(&mut self, id: SlotId) {
        if let Some(slot) = self.slab.get_mut(id)
            && !slot.change_extra(|extra| std::mem::replace(&mut extra.urgent, true))
        {
            self.urgent.push_back(id);
        }
    }

    /// Links a slot that has just got a pending entry: where its first seq belongs.
    fn link_pending(&mut self, id: SlotId) {
        let first_seq =
            |slab: &Slab, id| slab.get(id).and_then(|slot: &Slot| Some(slot.pending.as_ref()?.first_seq));
        let mine = first_seq(&self.slab, id);
        let mut before = self.slab.last(Order::Age);
        while let Some(at) = before
            && first_seq(&self.slab, at) > mine
        {
            before = self.slab.previous(at);
        }
        self.slab.insert_after(Order::Age, id, before);
    }

    /// Changes a slot and keeps the weights.
    fn change<R>(&mut self, id: SlotId, f: impl FnOnce(&mut Slot) -> R) -> R
    where
        R: Default,
    {
        let Some(slot) = self.slab.get_mut(id) else { return R::default() };
        let before = measure(slot);
        let result = f(slot);
        let (after, index) = (measure(slot), slot.index);
        self.reweigh(index, before, after);
        result
    }

    fn reweigh(&mut self, index: IndexId, before: Measure, after: Measure) {
        let shift =
            |sum: &mut usize, before: usize, after: usize| *sum = (*sum + after).saturating_sub(before);
        shift(&mut self.weight.total, before.weight.total, after.weight.total);
        shift(&mut self.weight.clean, before.weight.clean, after.weight.clean);
        shift(&mut self.weight.known, before.weight.known, after.weight.known);
        let counts = self.counts_mut(index);
        counts.pending_bytes =
            (counts.pending_bytes + after.pending as u64).saturating_sub(before.pending as u64);
    }

    fn counts_mut(&mut self, index: IndexId) -> &mut Counts {
        let at = index.0 as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, Counts::default());
        }
        #[expect(clippy::indexing_slicing, reason = "made long enough two lines up")]
        &mut self.counts[at]
    }

    fn misfits(&mut self, index: IndexId, misfits: u64) {
        if misfits > 0 {
            self.counts_mut(index).misfits += misfits;
        }
    }

    fn trim_scratch(&mut self) {
        if self.scratch.capacity() > SCRATCH_BYTES_MAX {
            self.scratch = Vec::new();
        }
    }
}

fn measure(slot: &Slot) -> Measure {
    let total = slot.weight();
    let clean = if slot.is_clean() { total } else { 0 };
    let weight = Weight { total, aloft: 0, clean, known: slot.known().weight() };
    Measure { weight, pending: slot.pending_weight() }
}
