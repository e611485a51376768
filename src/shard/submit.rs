//! Submitting: where an operation meets what waits for its key.
//!
//! # Design
//! A submit finds or makes the key's slot, folds the operation into the topmost entry that waits there, or lets
//! it queue where it may not fold (another routing) or cannot (the run would pass [`RUN_MAX`]). The shard may
//! grow by no more than the caller has set aside for it: where a fold needs more it is refused, with how much,
//! and the caller comes again with more.
//!
//! # Invariants
//! 1. On a refusal nothing has changed.
//! 2. An accepted operation's seq is above every one given out before, and below the ceiling.

use super::{
    Kind, LATER_MAX, RUN_MAX, Shard, TicketCell,
    slab::{Order, SlotId},
    slot::{self, Entry, Slot},
    tally::{Existence, Pair, Tally, Tracker},
};
use crate::{
    document::IndexId,
    merge::{NetRef, compose},
};
use hashbrown::hash_table::Entry as TableEntry;
use std::sync::Arc;

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

impl Shard {
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
