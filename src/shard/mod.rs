//! Shards: where a submitted operation waits, folded into what waits already.
//!
//! # Design
//! A [`Shard`] is one lock's worth of keys, as a plain `&mut self` machine: no lock, no clock, no thread and
//! no I/O inside; time and sequence stamps come in as arguments, and whatever must be dropped or woken goes
//! out as a value. [`Bank`] is the thin shell: many shards, each behind its lock, and one memory bound.
//!
//! A key's [`Slot`] is a stack (see `slot.rs`). The slots whose document is known are the write cache, those
//! whose base is unknown the update log; both stand in the same two orders, so that one walk serves both: by
//! age, for freshness, and least recently written first, for memory pressure. The log is taken in
//! least-recently-written order too, not in arrival order: by arrival, pressure would push out the hottest keys.
//!
//! # Why not a concurrent map
//! The folded operation, the two orders, the flight and the weights must change together; structures with
//! locks of their own would need a second protocol to agree.
//!
//! # Invariants
//! 1. The hash index holds exactly the slots in use, each under its hash.
//! 2. A slot stands in the age and write orders iff it has a pending entry; the age order rises by first seq
//!    and by arrival. A slot stands in the clean order iff it has neither pending entry nor flight.
//! 3. `flights` names exactly the slots with a flight, by the flight's first seq.
//! 4. Sequence numbers given out rise; every one held is at most `last_seq`; within a slot they rise upwards.
//! 5. `weight` is the sum over slots.
//! 6. A slot has at most [`LATER_MAX`] + 1 entries beside its pending one, and no run beyond [`RUN_MAX`]
//!    except one that a single operation brought along.
//!
//! # Locking
//! LOCK: a thread holds at most one shard lock and takes no other lock under it. Values leave the shard
//! before they are dropped, and nobody is woken under it.

mod bank;
mod flight;
mod indices;
mod memory;
mod read;
mod slab;
mod slot;
mod tally;
mod ticket;

#[cfg(test)]
mod tests;
mod validate;

pub(crate) use bank::{Bank, Refused, Submission};
pub(crate) use flight::{Demand, Flight, Room, Settlement};
pub(crate) use memory::Memory;
pub(crate) use read::Layers;
pub(crate) use slot::Known;
pub use tally::Status;
pub(crate) use tally::{Kind, Verdict, decides};
pub use ticket::Ticket;
pub(crate) use ticket::TicketCell;

use crate::{
    document::IndexId,
    merge::{NetRef, compose},
};
use hashbrown::{HashTable, hash_table::Entry as TableEntry};
use slab::{Order, Slab, SlotId};
use slot::{Entry, Slot};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};
use tally::{Existence, Pair, Tally, Tracker};

/// The longest run of primitives that an entry may grow by folding.
pub(crate) const RUN_MAX: usize = 16;
/// How many entries may queue up behind a key's pending one (operations that may not or cannot fold).
pub(crate) const LATER_MAX: usize = 8;
/// A scratch buffer larger than this is given back to the allocator after use.
const SCRATCH_BYTES_MAX: usize = 64 * 1024;

/// One operation on its way into a shard.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) hash: u64,
    pub(crate) index: IndexId,
    pub(crate) id: &'a str,
    pub(crate) routing: Option<&'a str>,
    pub(crate) kind: Kind,
    pub(crate) net: NetRef<'a>,
    pub(crate) ticket: Option<&'a Arc<TicketCell>>,
    /// Monotonic time.
    pub(crate) now_us: u64,
    /// Wall time: what the sequence number would like to be.
    pub(crate) stamp_us: u64,
    /// Sequence numbers must stay below this.
    pub(crate) ceiling: u64,
    /// Size as bulk NDJSON, for the statistics.
    pub(crate) bytes: usize,
    /// How many bytes the shard may grow by: at least [`Incoming::need`].
    pub(crate) room: usize,
}

impl Incoming<'_> {
    /// Bytes that an operation takes where nothing waits for its key. Folding into what waits may take more.
    pub(crate) fn need(net: NetRef<'_>, id: &str, routing: Option<&str>, is_tracked: bool) -> usize {
        let trackers = if is_tracked { slot::TRACKERS_FIRST * slot::TRACKER_BYTES } else { 0 };
        let texts = net.as_bytes().len() + id.len() + routing.map_or(0, str::len);
        slot::SLOT_BYTES + slot::ENTRY_BYTES + trackers + texts
    }
}

/// What a shard says of an operation it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) seq: u64,
    /// The key's pending entry should go out now: something queues behind it.
    pub(crate) urgent: bool,
}

/// Why a shard did not take an operation. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The key's queue is at its bound, and its flight or hold is in the way.
    Busy,
    /// No sequence number is left below the ceiling.
    SeqExhausted,
    /// What waits for the key would grow by more than there is room for: by this many bytes.
    Cramped { bytes: usize },
    /// The engine is closed.
    Sealed,
}

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
    table: HashTable<SlotId>,
    flights: BTreeSet<(u64, SlotId)>,
    urgent: VecDeque<SlotId>,
    last_seq: u64,
    last_arrived_us: u64,
    weight: Weight,
    counts: Vec<Counts>,
    scratch: Vec<u8>,
    /// Known documents beyond this many bytes are let go when a flight settles.
    known_bytes_max: usize,
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
            table: HashTable::new(),
            flights: BTreeSet::new(),
            urgent: VecDeque::new(),
            last_seq: seq_floor,
            last_arrived_us: 0,
            weight: Weight::default(),
            counts: Vec::new(),
            scratch: Vec::new(),
            known_bytes_max,
            sealed: false,
        }
    }

    /// Folds one operation into what waits for its key, or lets it wait there. On a refusal nothing changes.
    pub(crate) fn submit(&mut self, incoming: &Incoming<'_>) -> Result<Accepted, Refusal> {
        if self.sealed {
            return Err(Refusal::Sealed);
        }
        let seq =
            self.last_seq.max(incoming.stamp_us.min(incoming.ceiling.saturating_sub(1)).saturating_sub(1))
                + 1;
        if seq >= incoming.ceiling {
            return Err(Refusal::SeqExhausted);
        }
        let (id, is_new) = self.find_or_insert(incoming);
        let accepted = if is_new {
            let entry = self.entry(incoming, seq);
            self.change(id, |slot| slot.pending = Some(entry));
            self.link_pending(id);
            Ok(Accepted { seq, urgent: false })
        } else {
            self.fold(id, incoming, seq)
        };
        if let Ok(accepted) = &accepted {
            self.last_seq = accepted.seq;
            let counts = self.counts_mut(incoming.index);
            counts.operations_in += 1;
            counts.bytes_in += incoming.bytes as u64;
        }
        accepted
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
        let flight = self.flights.first().map(|(seq, _)| *seq);
        let pending =
            self.slab.first(Order::Age).and_then(|id| Some(self.slab.get(id)?.pending.as_ref()?.first_seq));
        [flight, pending].into_iter().flatten().min()
    }

    /// When the oldest operation that has not settled arrived.
    pub(crate) fn oldest_us(&self) -> Option<u64> {
        let flight =
            self.flights.first().and_then(|(_, id)| Some(self.slab.get(*id)?.flight.as_ref()?.arrived_us));
        [flight, self.oldest_pending_us()].into_iter().flatten().min()
    }

    /// When the oldest pending operation arrived: the next that age will take.
    pub(crate) fn oldest_pending_us(&self) -> Option<u64> {
        self.slab.first(Order::Age).and_then(|id| Some(self.slab.get(id)?.pending.as_ref()?.arrived_us))
    }

    /// Arrival of the oldest pending entry per index, for those met within the first `steps` entries by age.
    pub(crate) fn oldest_by_index(&self, steps: usize, mut found: impl FnMut(IndexId, u64)) {
        for id in self.slab.iter(Order::Age).take(steps) {
            if let Some((index, entry)) =
                self.slab.get(id).and_then(|slot| Some((slot.index, slot.pending.as_ref()?)))
            {
                found(index, entry.arrived_us);
            }
        }
    }

    fn find(&self, hash: u64, index: IndexId, id: &str) -> Option<SlotId> {
        let slab = &self.slab;
        let same = |slot: &SlotId| slab.get(*slot).is_some_and(|slot| slot.index == index && *slot.id == *id);
        self.table.find(hash, same).copied()
    }

    fn find_or_insert(&mut self, incoming: &Incoming<'_>) -> (SlotId, bool) {
        let Incoming { hash, index, id, .. } = *incoming;
        let (slab, table) = (&mut self.slab, &mut self.table);
        let same = |slot: &SlotId| slab.get(*slot).is_some_and(|slot| slot.index == index && *slot.id == *id);
        let rehash = |slot: &SlotId| slab.get(*slot).map_or(0, |slot| slot.hash);
        let vacant = match table.entry(hash, same, rehash) {
            TableEntry::Occupied(found) => return (*found.get(), false),
            TableEntry::Vacant(vacant) => vacant,
        };
        let slot = Slot::new(hash, index, id);
        self.weight.total += slot.weight();
        // A slot is born clean; `change` moves its weight over when it gets its first entry.
        self.weight.clean += slot.weight();
        let slot = self.slab.insert(slot);
        vacant.insert(slot);
        (slot, true)
    }

    fn entry(&mut self, incoming: &Incoming<'_>, seq: u64) -> Entry {
        // Threads read the time before they take the lock: arrivals are made to rise as seqs do.
        let arrived_us = incoming.now_us.max(self.last_arrived_us);
        self.last_arrived_us = arrived_us;
        let mut entry = Entry {
            net: incoming.net.as_bytes().to_vec(),
            routing: incoming.routing.map(Into::into),
            first_seq: seq,
            last_seq: seq,
            arrived_us,
            attempts: 0,
            tally: Tally::default(),
            trackers: Vec::new(),
        };
        note(&mut entry, incoming, seq, Existence::SAME);
        entry
    }

    /// Folds into the topmost entry of a slot in use, or queues up where it may not or cannot fold.
    fn fold(&mut self, id: SlotId, incoming: &Incoming<'_>, seq: u64) -> Result<Accepted, Refusal> {
        let Some(slot) = self.slab.get(id) else { return Err(Refusal::Busy) };
        let Some(top) = slot.later.back().or(slot.pending.as_ref()) else {
            let entry = self.entry(incoming, seq);
            self.slab.unlink(Order::Clean, id);
            self.change(id, |slot| slot.pending = Some(entry));
            self.link_pending(id);
            return Ok(Accepted { seq, urgent: false });
        };
        let below = NetRef::from_bytes(&top.net);
        let misfits = if top.routing.as_deref() == incoming.routing {
            let composed = compose(below, incoming.net, &mut self.scratch);
            let folds = composed.longest_run <= RUN_MAX.max(incoming.net.longest_run());
            folds.then_some(composed.misfits)
        } else {
            None
        };
        let accepted = match misfits {
            Some(misfits) => {
                self.replace_top(id, incoming, seq).inspect(|_| self.misfits(incoming.index, misfits))
            }
            // What does not fold is composed again later, or never: its misfits are counted then.
            None => self.queue(id, incoming, seq),
        };
        self.trim_scratch();
        accepted
    }

    /// The scratch buffer has the composed operation: it becomes the topmost entry's.
    fn replace_top(&mut self, id: SlotId, incoming: &Incoming<'_>, seq: u64) -> Result<Accepted, Refusal> {
        let top = self.slab.get(id).and_then(|slot| slot.later.back().or(slot.pending.as_ref()));
        let growth =
            top.map_or(Ok(Growth::default()), |top| Growth::of(top, self.scratch.len(), incoming))?;
        let scratch = std::mem::take(&mut self.scratch);
        let urgent = self.change(id, |slot| {
            let queued = !slot.later.is_empty();
            if let Some(top) = slot.later.back_mut().or(slot.pending.as_mut()) {
                let below = Existence::after(NetRef::from_bytes(&top.net));
                top.net.clear();
                top.net.reserve_exact(growth.net_capacity);
                top.net.extend_from_slice(&scratch);
                top.trackers.reserve_exact(growth.trackers);
                note(top, incoming, seq, below);
            }
            queued
        });
        self.scratch = scratch;
        self.counts_mut(incoming.index).folded += 1;
        self.slab.unlink(Order::Written, id);
        self.slab.push_back(Order::Written, id);
        Ok(Accepted { seq, urgent })
    }

    /// Lets an operation that may not fold wait behind the others of its key.
    fn queue(&mut self, id: SlotId, incoming: &Incoming<'_>, seq: u64) -> Result<Accepted, Refusal> {
        if self.slab.get(id).is_none_or(|slot| slot.later.len() >= LATER_MAX) {
            return Err(Refusal::Busy);
        }
        let entry = self.entry(incoming, seq);
        self.change(id, |slot| {
            slot.later.reserve_exact(1);
            slot.later.push_back(entry);
        });
        self.make_urgent(id);
        Ok(Accepted { seq, urgent: true })
    }

    fn make_urgent(&mut self, id: SlotId) {
        if let Some(slot) = self.slab.get_mut(id)
            && !std::mem::replace(&mut slot.urgent, true)
        {
            self.urgent.push_back(id);
        }
    }

    /// Links a slot that has just got a pending entry: by age where its first seq belongs, written last.
    fn link_pending(&mut self, id: SlotId) {
        let first_seq =
            |slab: &Slab, id| slab.get(id).and_then(|slot: &Slot| Some(slot.pending.as_ref()?.first_seq));
        let mine = first_seq(&self.slab, id);
        let mut before = self.slab.last(Order::Age);
        while let Some(at) = before
            && first_seq(&self.slab, at) > mine
        {
            before = self.slab.previous(Order::Age, at);
        }
        self.slab.insert_after(Order::Age, id, before);
        self.slab.push_back(Order::Written, id);
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
        shift(&mut self.weight.aloft, before.weight.aloft, after.weight.aloft);
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

/// How the buffers of an entry are to grow when an operation is folded in.
#[derive(Clone, Copy, Debug, Default)]
struct Growth {
    /// What the net operation's buffer is to hold; less than it does where it need not grow.
    net_capacity: usize,
    /// How many more trackers there is to be place for.
    trackers: usize,
}

impl Growth {
    /// What is needed to hold `length` bytes, with an eighth of slack where there is room for it; a refusal
    /// where there is no room even without.
    fn of(top: &Entry, length: usize, incoming: &Incoming<'_>) -> Result<Self, Refusal> {
        let is_full = incoming.ticket.is_some() && top.trackers.len() == top.trackers.capacity();
        let trackers = if is_full { slot::TRACKERS_FIRST.max(top.trackers.len() / 2) } else { 0 };
        let held = top.net.capacity();
        let bytes = length.saturating_sub(held) + trackers * slot::TRACKER_BYTES;
        let Some(left) = incoming.room.checked_sub(bytes) else { return Err(Refusal::Cramped { bytes }) };
        let slack = if length > held { left.min(length / 8) } else { 0 };
        Ok(Self { net_capacity: length + slack, trackers })
    }
}

/// Notes in an entry that an operation was folded into it, above `below`.
fn note(entry: &mut Entry, incoming: &Incoming<'_>, seq: u64, below: Existence) {
    let pair = Pair::new(incoming.kind, incoming.net, below);
    entry.last_seq = seq;
    entry.tally.add(pair);
    if let Some(ticket) = incoming.ticket {
        if entry.trackers.capacity() == 0 {
            entry.trackers.reserve_exact(slot::TRACKERS_FIRST);
        }
        entry.trackers.push(Tracker { pair, ticket: Arc::clone(ticket) });
    }
}

fn measure(slot: &Slot) -> Measure {
    let total = slot.weight();
    let clean = if slot.is_clean() { total } else { 0 };
    let weight = Weight { total, aloft: slot.aloft_weight(), clean, known: slot.known.weight() };
    Measure { weight, pending: slot.pending_weight() }
}
