//! What leaves a shard: entries become flights.
//!
//! # Design
//! [`Shard::take`] turns pending entries into flights: the entry's net operation becomes shared between the
//! shard, which still answers reads with it, and the drain. How a flight ends is in `landing.rs`.
//!
//! # Invariants
//! 1. At most one flight per key; nothing of a key is taken while its flight is out or its hold lasts.
//! 2. A flight's bounds (its net operation, first and last seq) never change while it is out.

use super::{
    Shard,
    hints::SLOT_LINES,
    prefetch::{prefetch_bytes, prefetch_from},
    slab::{Order, SlotId},
    slot::{Aloft, ENTRY_BYTES, Entry, Known, SLOT_BYTES, Slot, UNKNOWN, id_bytes},
};
use crate::{document::IndexId, merge::NetOperation};
use bytes::BytesMut;
use smol_str::SmolStr;

/// What to take, in the order of precedence of the drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// What has something queueing behind it.
    Urgent,
    /// What arrived at or before this monotonic time.
    Due { arrived_us: u64 },
    /// Least recently written entries of about this many bytes.
    Pressure { bytes: usize },
    /// Everything with a first seq at or below this.
    UpTo { seq: u64 },
}

/// Of which indices something may be taken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pick<'a> {
    Only(IndexId),
    Except(&'a [IndexId]),
}

/// How much the batch being made can still take, and of what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room<'a> {
    pub(crate) bytes: usize,
    pub(crate) operations: usize,
    pub(crate) pick: Pick<'a>,
}

/// One key's operation, on its way to the sink.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) shard: u32,
    pub(super) slot: SlotId,
    /// Where that lies, for asking ahead.
    slot_at: usize,
    pub(crate) index: IndexId,
    /// Statuses or counts depend on whether the document existed.
    pub(crate) needs_the_bit: bool,
    pub(crate) id: SmolStr,
    pub(crate) net: NetOperation,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) operations: u64,
    /// What few flights have: a batch has many of them, and is gone over several times.
    rare: Option<Box<Luggage>>,
}

/// What few flights have.
#[derive(Debug, Default)]
struct Luggage {
    routing: Option<Box<str>>,
    /// What the shard knew of the document below.
    known: Known,
    /// How often these operations were sent and put back before.
    attempts: u32,
    /// It may be in the sink already: an earlier engine was about to send it.
    is_bound: bool,
}

/// Flights that left their shards, and memory for their operations.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) flights: Vec<Flight>,
    /// When the oldest of those arrived that were not sent before.
    pub(crate) oldest_us: Option<u64>,
    /// Operations are copied into it one behind the other: one allocation and one count for many, and whoever goes
    /// over them finds them side by side.
    chunk: BytesMut,
}

/// How many slots ahead of the one that is taken the operations are asked for.
const LOOK_AHEAD: usize = 4;
/// The size of a chunk: no operation keeps more than this from being freed.
const CHUNK_BYTES: usize = 32 * 1024;
/// A chunk with less than this left is not taken to another lock.
const CHUNK_BYTES_LEAST: usize = 4 * 1024;

impl Taken {
    /// Makes room for some more flights: to be called before a lock is taken.
    pub(crate) fn prepare(&mut self, flights: usize) {
        self.flights.reserve(flights);
        if self.chunk.capacity() < CHUNK_BYTES_LEAST {
            self.chunk = BytesMut::with_capacity(CHUNK_BYTES);
        }
    }
}

impl Shard {
    /// Takes what `demand` asks for, as far as there is room. Returns whether it stopped for
    /// lack of room. Costs a step per entry taken, and one per entry in the way that may not leave, or is of
    /// an index that is not wanted.
    pub(crate) fn take(
        &mut self,
        demand: Demand,
        now_us: u64,
        room: &mut Room<'_>,
        taken: &mut Taken,
    ) -> bool {
        if demand == Demand::Urgent {
            return self.take_urgent(now_us, room, taken);
        }
        if let Demand::Pressure { bytes } = demand {
            return self.take_least_written(bytes, now_us, room, taken);
        }
        let mut at = self.slab.first(Order::Age);
        let mut ahead = at;
        for _ in 0..LOOK_AHEAD {
            ahead = self.look_ahead(ahead);
        }
        while let Some(id) = at {
            at = self.slab.next(id);
            ahead = self.look_ahead(ahead);
            let Some(slot) = self.slab.get(id) else { continue };
            let Some(entry) = &slot.pending else { continue };
            match demand {
                Demand::Due { arrived_us } if entry.arrival.us() > arrived_us => return false,
                Demand::UpTo { seq } if entry.first_seq > seq => return false,
                _ => {}
            }
            if !room.wants(slot) || !slot.may_leave(now_us) {
                continue;
            }
            if !room.admits(slot) {
                return true;
            }
            self.launch(id, taken);
        }
        false
    }

    /// Asks for the operation that waits in a slot; the slot after it by age.
    fn look_ahead(&self, id: Option<SlotId>) -> Option<SlotId> {
        let slot = self.slab.get(id?)?;
        prefetch_bytes(slot.pending.as_ref()?.net(&self.rooms).as_bytes());
        self.slab.next(id?)
    }

    fn take_urgent(&mut self, now_us: u64, room: &mut Room<'_>, taken: &mut Taken) -> bool {
        for _ in 0..self.urgent.len() {
            let Some(id) = self.urgent.pop_front() else { break };
            let Some(slot) = self.slab.get_mut(id) else { continue };
            if slot.pending.is_none() {
                slot.change_extra(|extra| extra.urgent = false);
            } else if !room.wants(slot) || !slot.may_leave(now_us) {
                self.urgent.push_back(id);
            } else if room.admits(slot) {
                slot.change_extra(|extra| extra.urgent = false);
                self.launch(id, taken);
            } else {
                self.urgent.push_front(id);
                return true;
            }
        }
        false
    }

    /// The pending entry of a slot becomes its flight.
    pub(super) fn launch(&mut self, id: SlotId, taken: &mut Taken) {
        self.slab.unlink(Order::Age, id);
        let Some(slot) = self.slab.get_mut(id) else { return };
        let Some(entry) = slot.pending.take() else { return };
        let waited = entry.weight();
        let slot_at = std::ptr::from_ref(slot).addr();
        let aloft = entry.launch(&mut self.rooms, &mut taken.chunk);
        taken.flights.push(Flight {
            shard: self.number,
            slot: id,
            slot_at,
            index: slot.index,
            needs_the_bit: aloft.tally.needs_the_bit(aloft.trackers()),
            id: slot.id.clone(),
            net: aloft.net.clone(),
            first_seq: aloft.first_seq,
            last_seq: aloft.last_seq,
            operations: aloft.tally.operations.into(),
            rare: Luggage::of(&aloft, slot.known()),
        });
        if aloft.attempts() == 0 {
            let oldest_us = taken.oldest_us.get_or_insert(aloft.arrival.us());
            *oldest_us = (*oldest_us).min(aloft.arrival.us());
        }
        let weight = aloft.weight();
        self.weight.total = self.weight.total + weight - waited;
        self.weight.aloft += weight;
        slot.set_flight(self.hangar.insert(aloft));
        let index = slot.index;
        self.counts_mut(index).pending_bytes -= waited as u64;
        self.promote(id);
    }
}

impl Luggage {
    fn of(aloft: &Aloft, known: &Known) -> Option<Box<Self>> {
        if matches!(known, Known::Unknown) && aloft.rare.is_none() {
            return None;
        }
        let (routing, attempts) = (aloft.routing().map(Into::into), aloft.attempts());
        Some(Box::new(Self { routing, known: known.clone(), attempts, is_bound: aloft.is_bound() }))
    }
}

impl Flight {
    /// Asks for what settling it will touch. Takes no lock.
    #[inline]
    pub(crate) fn expect(&self) {
        prefetch_from(self.slot_at, SLOT_LINES);
    }

    /// True where an earlier engine was about to send it.
    pub(crate) fn is_bound(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.is_bound)
    }

    /// The routing of its operations.
    pub(crate) fn routing(&self) -> Option<&str> {
        self.rare.as_ref()?.routing.as_deref()
    }

    /// What the shard knew of the document below.
    pub(crate) fn known(&self) -> &Known {
        self.rare.as_ref().map_or(&UNKNOWN, |rare| &rare.known)
    }

    /// How often these operations were sent and put back before.
    pub(crate) fn attempts(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.attempts)
    }

    /// About what its slot weighs.
    pub(crate) fn weight(&self) -> usize {
        SLOT_BYTES + ENTRY_BYTES + id_bytes(&self.id) + self.net.weight() + self.known().weight()
    }
}

impl Room<'_> {
    /// True where the slot's index is one that is taken.
    #[inline]
    pub(super) fn wants(&self, slot: &Slot) -> bool {
        match self.pick {
            Pick::Only(index) => slot.index == index,
            Pick::Except(indices) => !indices.contains(&slot.index),
        }
    }

    /// True, and less room, if the slot's pending entry fits. A first entry always fits, however large.
    pub(super) fn admits(&mut self, slot: &Slot) -> bool {
        let bytes = slot.pending.as_ref().map_or(0, Entry::len) + slot.id.len();
        if self.operations == 0 || self.bytes == 0 {
            return false;
        }
        self.operations -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
        true
    }
}
