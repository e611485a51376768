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
    ENTRY_BYTES_MAX, Kind, LATER_MAX, RUN_MAX, Shard, TicketCell,
    hints::Address,
    rooms::room_bytes,
    slab::{Order, SlotId},
    slot::{self, Entry, Slot},
    tally::{Existence, Pair, Tracker},
};
use crate::{document::IndexId, merge::NetRef};
use std::sync::Arc;

/// One operation on its way into a shard.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) tag: u32,
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
    /// How many bytes the shard may grow by, beyond its credit.
    pub(crate) room: usize,
}

impl Incoming<'_> {
    /// Bytes that the operation takes where nothing waits for its key and its slot is to be made.
    pub(crate) fn need(&self) -> usize {
        slot::SLOT_BYTES + slot::id_bytes(self.id) + self.entry_bytes()
    }

    /// Bytes that the operation takes as an entry of its own.
    fn entry_bytes(&self) -> usize {
        let rare = match (self.routing, self.ticket) {
            (None, None) => 0,
            (routing, None) => slot::RARE_BYTES + routing.map_or(0, str::len),
            (routing, Some(_)) => {
                slot::RARE_BYTES + routing.map_or(0, str::len) + slot::TRACKERS_FIRST * slot::TRACKER_BYTES
            }
        };
        slot::ENTRY_BYTES + rare + room_bytes(self.net.as_bytes().len())
    }
}

/// What a shard says of an operation it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) seq: u64,
    /// The key's pending entry should go out now: something queues behind it.
    pub(crate) urgent: bool,
    /// The shard drew on the memory of all: whether that presses is to be looked at.
    pub(crate) drew: bool,
    /// Where the key lies now.
    pub(super) address: Address,
}

/// Why a shard did not take an operation. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The key's queue is at its bound, and its flight or hold is in the way.
    Busy,
    /// No sequence number is left below the ceiling.
    SeqExhausted,
    /// The shard would grow by more than there is room for: by this many bytes.
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
        let (id, urgent) = match self.find(incoming.tag, incoming.index, incoming.id) {
            Some(id) => (id, self.fold(id, incoming, seq)?),
            None => (self.insert(incoming, seq)?, false),
        };
        self.last_seq = seq;
        let counts = self.counts_mut(incoming.index);
        counts.operations_in += 1;
        counts.bytes_in += incoming.bytes as u64;
        Ok(Accepted { seq, urgent, drew: false, address: self.address(id) })
    }

    /// Where a slot lies, and the operation that waits there.
    #[inline]
    fn address(&self, id: SlotId) -> Address {
        let pending = self.slab.get(id).and_then(|slot| slot.pending.as_ref());
        let operation_end =
            pending.map_or(0, |entry| entry.net(&self.rooms).as_bytes().as_ptr_range().end.addr());
        Address { slot: self.slab.address(id), operation_end }
    }

    /// Bytes that the shard may grow by for this operation.
    fn room(&self, incoming: &Incoming<'_>) -> usize {
        self.credit + incoming.room
    }

    /// A key of which nothing is here.
    fn insert(&mut self, incoming: &Incoming<'_>, seq: u64) -> Result<SlotId, Refusal> {
        let bytes = incoming.need();
        if bytes > self.room(incoming) {
            return Err(Refusal::Cramped { bytes });
        }
        let entry = self.entry(incoming, seq);
        Ok(self.insert_slot(Slot::new(incoming.tag, incoming.index, incoming.id), entry))
    }

    /// A new slot, in which this entry waits.
    #[inline]
    pub(super) fn insert_slot(&mut self, mut slot: Slot, entry: Entry) -> SlotId {
        let (tag, index) = (slot.tag, slot.index);
        let pending = entry.weight();
        slot.pending = Some(entry);
        self.weight.total += slot.weight();
        self.counts_mut(index).pending_bytes += pending as u64;
        let id = self.slab.insert(slot);
        self.index.insert(tag, id);
        self.link_pending(id);
        id
    }

    fn entry(&mut self, incoming: &Incoming<'_>, seq: u64) -> Entry {
        // Threads read the time before they take the lock: arrivals are made to rise as seqs do.
        let arrived_us = incoming.now_us.max(self.last_arrived_us);
        self.last_arrived_us = arrived_us;
        let mut entry = Entry::new(&mut self.rooms, incoming.net, seq, arrived_us);
        if let Some(routing) = incoming.routing {
            entry.rare_mut().routing = Some(routing.into());
        }
        note(&mut entry, incoming, seq, Existence::SAME);
        entry
    }

    /// Folds into the topmost entry of a slot in use, or queues up where it may not or cannot fold. True where
    /// something queues.
    fn fold(&mut self, id: SlotId, incoming: &Incoming<'_>, seq: u64) -> Result<bool, Refusal> {
        let room = self.room(incoming);
        let Some(slot) = self.slab.get_mut(id) else { return Err(Refusal::Busy) };
        let Some((top, queued)) = slot.top_mut() else { return self.wait_again(id, incoming, seq) };
        if top.routing() != incoming.routing || !top.tally.holds(1) || top.is_bound() {
            return self.queue(id, incoming, seq);
        }
        let (rooms, folding) = (&mut self.rooms, &mut self.folding);
        let existence = Existence::after(top.net(rooms));
        folding.find(top.room(rooms), top.len(), incoming.net, &mut self.scratch);
        let (composed, needs) = (folding.composed(), folding.needs());
        if composed.longest_run > RUN_MAX.max(incoming.net.longest_run()) || needs > ENTRY_BYTES_MAX {
            // What does not fold is composed again later, or never: its misfits are counted then.
            self.trim_scratch();
            return self.queue(id, incoming, seq);
        }
        // Mostly the operation changes what is there, or the cell has room for what it adds: nothing grows.
        let mut growth = None;
        if incoming.ticket.is_some() || needs > top.capacity() {
            let before = top.weight();
            let trackers = more_trackers(top, needs, incoming, room)?;
            if needs > top.capacity() {
                top.grow(rooms, needs);
            }
            if trackers > 0 {
                top.rare_mut().trackers.reserve_exact(trackers);
            }
            growth = Some((before, top.weight()));
        }
        let len = folding.carry_out(top.room(rooms), top.len(), incoming.net, &self.scratch);
        top.set_len(len);
        note(top, incoming, seq, existence);
        if let Some((before, after)) = growth {
            self.weight.total = self.weight.total + after - before;
            let counts = self.counts_mut(incoming.index);
            counts.pending_bytes = counts.pending_bytes + after as u64 - before as u64;
        }
        self.folded(incoming.index, composed.misfits);
        Ok(queued)
    }

    /// After an operation was folded into an entry.
    fn folded(&mut self, index: IndexId, misfits: u64) {
        let counts = self.counts_mut(index);
        counts.folded += 1;
        counts.misfits += misfits;
        self.trim_scratch();
    }

    /// A key of which nothing waits, but something is known, or out, or holds it.
    fn wait_again(&mut self, id: SlotId, incoming: &Incoming<'_>, seq: u64) -> Result<bool, Refusal> {
        let bytes = incoming.entry_bytes();
        if bytes > self.room(incoming) {
            return Err(Refusal::Cramped { bytes });
        }
        let entry = self.entry(incoming, seq);
        self.slab.unlink(Order::Clean, id);
        self.change(id, |slot| slot.pending = Some(entry));
        self.link_pending(id);
        Ok(false)
    }

    /// Lets an operation that may not fold wait behind the others of its key.
    fn queue(&mut self, id: SlotId, incoming: &Incoming<'_>, seq: u64) -> Result<bool, Refusal> {
        if self.slab.get(id).is_none_or(|slot| slot.later().len() >= LATER_MAX) {
            return Err(Refusal::Busy);
        }
        let bytes = incoming.entry_bytes();
        if bytes > self.room(incoming) {
            return Err(Refusal::Cramped { bytes });
        }
        let entry = self.entry(incoming, seq);
        self.change(id, |slot| {
            slot.change_extra(|extra| {
                extra.later.reserve_exact(1);
                extra.later.push_back(entry);
            });
        });
        self.make_urgent(id);
        Ok(true)
    }
}

/// How many more trackers an entry is to have place for when an operation is folded in and its net operation then needs
/// so many bytes; a refusal where there is no room for both.
fn more_trackers(top: &Entry, needs: usize, incoming: &Incoming<'_>, room: usize) -> Result<usize, Refusal> {
    let (trackers, rare) = match (incoming.ticket, &top.rare) {
        (None, _) => (0, 0),
        (Some(_), None) => (slot::TRACKERS_FIRST, slot::RARE_BYTES),
        (Some(_), Some(rare)) if rare.trackers.len() < rare.trackers.capacity() => (0, 0),
        (Some(_), Some(rare)) => (slot::TRACKERS_FIRST.max(rare.trackers.len() / 2), 0),
    };
    let held = top.capacity();
    let grown = if needs > held { room_bytes(needs) - held } else { 0 };
    let bytes = grown + trackers * slot::TRACKER_BYTES + rare;
    if bytes > room { Err(Refusal::Cramped { bytes }) } else { Ok(trackers) }
}

/// Notes in an entry that an operation was folded into it, above `below`.
#[inline]
fn note(entry: &mut Entry, incoming: &Incoming<'_>, seq: u64, below: Existence) {
    let pair = Pair::new(incoming.kind, incoming.net, below);
    entry.last_seq = seq;
    entry.tally.add(pair);
    if let Some(ticket) = incoming.ticket {
        let rare = entry.rare_mut();
        if rare.trackers.capacity() == 0 {
            rare.trackers.reserve_exact(slot::TRACKERS_FIRST);
        }
        rare.trackers.push(Tracker { pair, ticket: Arc::clone(ticket) });
    }
}
