//! What a shard holds for one key: what is known below, the flight, and what waits on top.
//!
//! # Design
//! A [`Slot`] is a small stack, bottom up: [`Known`] (the document below, if known), the flight (the
//! operation that is out), the pending [`Entry`] (one folded net operation), and a queue of further entries
//! for the rare case that an operation may not or cannot fold: another routing, or a run at its bound.
//!
//! # Invariants
//! 1. A slot in use has a pending entry, a flight, a known document, or a hold that has not passed.
//! 2. `later` is empty unless `pending` is there; sequence numbers rise from the flight upwards.
//! 3. What `known` says is true of the document below the flight.

use super::{
    tally::{Tally, Tracker},
    ticket::TicketCell,
};
use crate::{document::IndexId, merge::NetOperation};
use bytes::Bytes;
use std::collections::VecDeque;

/// What is known of the document below a key's flight and entries.
#[derive(Clone, Debug, Default)]
pub(crate) enum Known {
    /// Nothing: it must be read from the base.
    #[default]
    Unknown,
    /// There is none.
    Absent,
    /// This one.
    Document { source: Bytes, routing: Option<Box<str>> },
}

impl Known {
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Unknown | Self::Absent => 0,
            Self::Document { source, routing } => source.len() + routing.as_ref().map_or(0, |r| r.len()),
        }
    }
}

/// A folded net operation, with the bookkeeping of what was folded into it; `N` is how the operation is held.
#[derive(Debug)]
pub(crate) struct Folded<N> {
    pub(crate) net: N,
    pub(crate) routing: Option<Box<str>>,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    /// Monotonic time of the first operation folded in: its age.
    pub(crate) arrived_us: u64,
    /// How often it was sent and put back.
    pub(crate) attempts: u32,
    pub(crate) tally: Tally,
    pub(crate) trackers: Vec<Tracker>,
}

/// One that waits: more is folded into its encoded operation.
pub(crate) type Entry = Folded<Vec<u8>>;
/// The one that is out: its operation is shared with the drain.
pub(crate) type Aloft = Folded<NetOperation>;

impl<N> Folded<N> {
    /// The same operation, held otherwise.
    pub(crate) fn held<M>(self, hold: impl FnOnce(N) -> M) -> Folded<M> {
        let Self { net, routing, first_seq, last_seq, arrived_us, attempts, tally, trackers } = self;
        Folded { net: hold(net), routing, first_seq, last_seq, arrived_us, attempts, tally, trackers }
    }

    /// Bytes of everything but the operation.
    fn weight_beside(&self) -> usize {
        let routing = self.routing.as_ref().map_or(0, |routing| routing.len());
        routing + self.trackers.capacity() * TRACKER_BYTES + ENTRY_BYTES
    }
}

impl Entry {
    /// Bytes of the whole, with the room that its buffer has to grow.
    pub(crate) fn weight(&self) -> usize {
        self.net.capacity() + self.weight_beside()
    }
}

impl Aloft {
    /// Bytes of the whole.
    pub(crate) fn weight(&self) -> usize {
        self.net.weight() + self.weight_beside()
    }
}

/// One key's place in a shard.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) hash: u64,
    pub(crate) index: IndexId,
    pub(crate) id: Box<str>,
    pub(crate) known: Known,
    /// Nothing newer goes out before this monotonic time.
    pub(crate) hold_until_us: u64,
    pub(crate) flight: Option<Box<Aloft>>,
    pub(crate) pending: Option<Entry>,
    pub(crate) later: VecDeque<Entry>,
    /// The slot stands in the shard's queue of what must go out at once.
    pub(crate) urgent: bool,
}

/// Bytes a slot costs beside what it points to: itself and its share of the hash index and the lists.
pub(crate) const SLOT_BYTES: usize = size_of::<Slot>() + 32;
/// Bytes an entry or a flight costs beside what it points to: the larger of the two and the same wherever it
/// stands, so that taking an operation and putting it back, which nobody can refuse, needs no memory.
pub(crate) const ENTRY_BYTES: usize =
    if size_of::<Entry>() > size_of::<Aloft>() { size_of::<Entry>() } else { size_of::<Aloft>() };
/// Bytes a tracked operation costs: its place, and the cell that its ticket reads.
pub(crate) const TRACKER_BYTES: usize = size_of::<Tracker>() + size_of::<TicketCell>() + 16;
/// Trackers that the first of an entry makes room for.
pub(crate) const TRACKERS_FIRST: usize = 4;

impl Slot {
    pub(crate) fn new(hash: u64, index: IndexId, id: &str) -> Self {
        Self {
            hash,
            index,
            id: id.into(),
            known: Known::Unknown,
            hold_until_us: 0,
            flight: None,
            pending: None,
            later: VecDeque::new(),
            urgent: false,
        }
    }

    /// Nothing waits and nothing is out.
    pub(crate) fn is_clean(&self) -> bool {
        self.pending.is_none() && self.flight.is_none()
    }

    /// The pending entry may go out now.
    pub(crate) fn may_leave(&self, now_us: u64) -> bool {
        self.pending.is_some() && self.flight.is_none() && self.hold_until_us <= now_us
    }

    /// Bytes of everything the slot holds.
    pub(crate) fn weight(&self) -> usize {
        SLOT_BYTES + self.id.len() + self.known.weight() + self.aloft_weight() + self.pending_weight()
    }

    /// Bytes of the flight.
    pub(crate) fn aloft_weight(&self) -> usize {
        self.flight.as_ref().map_or(0, |flight| flight.weight())
    }

    /// Bytes of the entries that wait.
    pub(crate) fn pending_weight(&self) -> usize {
        self.pending.as_ref().map_or(0, Entry::weight) + self.later.iter().map(Entry::weight).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change here changes what an entry costs: the crate's documentation has the formula.
    #[test]
    fn a_slot_an_entry_and_a_tracker_cost_what_the_documentation_says() {
        assert_eq!((SLOT_BYTES, ENTRY_BYTES, TRACKER_BYTES), (296, 136, 48));
    }
}
