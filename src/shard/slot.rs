//! What a shard holds for one key: what waits, the flight, what is known below.
//!
//! # Design
//! A key's place is a small stack, bottom up: [`Known`] (the document below, if known), the flight (the operation
//! that is out, which lies in `hangar.rs`), the pending [`Entry`] (one folded net operation), and a queue of further entries for the rare case
//! that an operation may not or cannot fold: another routing, or a run at its bound.
//!
//! Nearly every key has a pending entry and nothing else. So that entry lies in the slot itself, with the id beside
//! it if it is short, and all else in an [`Extra`] that is made when it is needed. A slot with its links is 128 bytes,
//! two lines of memory: a submit that folds touches these and the operation's own bytes.
//!
//! # Invariants
//! 1. A slot in use has a pending entry, a flight, a known document, or a hold that has not passed.
//! 2. `later` is empty unless `pending` is there; sequence numbers rise from the flight upwards.
//! 3. What `known` says is true of the document below the flight.
//! 4. Where there is an [`Extra`], it holds something.

use super::{
    arrival::Arrival,
    hangar::{FlightId, NONE},
    rooms::{Room, Rooms, room_bytes},
    slab::Cell,
    tally::{Tally, Tracker},
    ticket::TicketCell,
};
use crate::{
    document::IndexId,
    merge::{NetOperation, NetRef},
};
use bytes::{Bytes, BytesMut};
use smol_str::SmolStr;
use std::{collections::VecDeque, fmt};

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
    /// Bytes it costs to know this, with the place for it.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Unknown => 0,
            Self::Absent => EXTRA_BYTES,
            Self::Document { source, routing } => {
                EXTRA_BYTES + source.len() + routing.as_ref().map_or(0, |r| r.len())
            }
        }
    }
}

/// Lengths of operations fit: the engine refuses bodies of more than a hundred mebibytes, and entries that would
/// grow beyond a gibibyte queue.
fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// A folded net operation, with the bookkeeping of what was folded into it; `N` is how the operation is held.
pub(crate) struct Folded<N> {
    pub(crate) net: N,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    /// Monotonic time of the first operation folded in: its age; and where the journal has it.
    pub(crate) arrival: Arrival,
    /// What few entries have.
    pub(crate) rare: Option<Box<Rare>>,
    pub(crate) tally: Tally,
    /// How much of its room the operation of an entry takes.
    len: u32,
}

/// Without the operation, which may be held in more than one form.
impl<N> fmt::Debug for Folded<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first_seq, last_seq, arrival, rare, tally, .. } = self;
        f.debug_tuple("Folded").field(&(first_seq, last_seq, arrival.us())).field(rare).field(tally).finish()
    }
}

/// What few entries have.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    pub(crate) routing: Option<Box<str>>,
    /// How often it was sent and put back.
    pub(crate) attempts: u32,
    pub(crate) trackers: Vec<Tracker>,
    /// It was restored as a flight that may have arrived: nothing folds into it.
    pub(crate) is_bound: bool,
}

/// One that waits: more is folded into its encoded operation.
pub(crate) type Entry = Folded<Room>;
/// The one that is out: its operation is shared with the drain.
pub(crate) type Aloft = Folded<NetOperation>;

impl<N> Folded<N> {
    #[inline]
    pub(crate) fn routing(&self) -> Option<&str> {
        self.rare.as_ref()?.routing.as_deref()
    }

    pub(crate) fn is_bound(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.is_bound)
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.attempts)
    }

    pub(crate) fn trackers(&self) -> &[Tracker] {
        self.rare.as_ref().map_or(&[], |rare| &rare.trackers)
    }

    pub(crate) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Bytes of everything but the operation.
    fn weight_beside(&self) -> usize {
        let rare = self.rare.as_ref().map_or(0, |rare| {
            RARE_BYTES
                + rare.routing.as_ref().map_or(0, |routing| routing.len())
                + rare.trackers.capacity() * TRACKER_BYTES
        });
        rare + ENTRY_BYTES
    }
}

impl Entry {
    /// An entry of one operation, or of none yet.
    pub(crate) fn new(rooms: &mut Rooms, net: NetRef<'_>, seq: u64, arrived_us: u64) -> Self {
        let bytes = net.as_bytes();
        Self {
            net: rooms.insert(bytes),
            first_seq: seq,
            last_seq: seq,
            arrival: Arrival::new(arrived_us),
            rare: None,
            tally: Tally::default(),
            len: length(bytes.len()),
        }
    }

    /// The operation.
    #[inline]
    pub(crate) fn net<'a>(&self, rooms: &'a Rooms) -> NetRef<'a> {
        NetRef::from_bytes(rooms.get(&self.net).get(..self.len()).unwrap_or_default())
    }

    /// Bytes of the operation.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// Bytes that the operation could have where it is.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.net.capacity()
    }

    /// Where the operation may be changed in its place.
    #[inline]
    pub(crate) fn room<'a>(&self, rooms: &'a mut Rooms) -> &'a mut [u8] {
        rooms.get_mut(&self.net)
    }

    /// After a change in its place.
    #[inline]
    pub(crate) fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.capacity(), "an operation lies in its room");
        self.len = length(len);
    }

    /// A room for `capacity` bytes, where that is more than it has.
    pub(crate) fn grow(&mut self, rooms: &mut Rooms, capacity: usize) {
        rooms.grow(&mut self.net, self.len as usize, capacity);
    }

    /// Another operation.
    pub(crate) fn replace(&mut self, rooms: &mut Rooms, bytes: &[u8]) {
        rooms.replace(&mut self.net, bytes);
        self.len = length(bytes.len());
    }

    /// Its operation's bytes, in their common form.
    pub(crate) fn joined(&self, rooms: &Rooms) -> Vec<u8> {
        let net = self.net(rooms);
        let mut bytes = Vec::with_capacity(net.room());
        net.write_joined(&mut bytes);
        bytes
    }

    /// Its operation shared: in the chunk, if it fits there.
    pub(crate) fn launch(self, rooms: &mut Rooms, chunk: &mut BytesMut) -> Aloft {
        let waiting = self.net(rooms);
        let shared = if waiting.room() > chunk.capacity() {
            NetOperation::from_encoded(self.joined(rooms))
        } else {
            waiting.write_joined(chunk);
            NetOperation::from_shared(chunk.split().freeze())
        };
        let Self { net, first_seq, last_seq, arrival, rare, tally, .. } = self;
        rooms.remove(net);
        let len = length(shared.as_net().as_bytes().len());
        Folded { net: shared, first_seq, last_seq, arrival, rare, tally, len }
    }

    /// Bytes of the whole, with the room that its operation has to grow.
    pub(crate) fn weight(&self) -> usize {
        self.capacity() + self.weight_beside()
    }
}

impl Aloft {
    /// Waiting again.
    pub(crate) fn into_entry(self, rooms: &mut Rooms) -> Entry {
        let Self { net, first_seq, last_seq, arrival, rare, tally, len } = self;
        let net = rooms.insert(net.as_net().as_bytes());
        Folded { net, first_seq, last_seq, arrival, rare, tally, len }
    }

    /// Bytes of the whole, with the room that its operation will have where it waits again: nobody can refuse that.
    pub(crate) fn weight(&self) -> usize {
        room_bytes(self.len as usize) + self.weight_beside()
    }
}

/// What few keys have at any one time: a queue, a document that is known, a hold.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    pub(crate) known: Known,
    /// Nothing newer goes out before this monotonic time.
    pub(crate) hold_until_us: u64,
    pub(crate) later: VecDeque<Entry>,
    /// The slot stands in the shard's queue of what must go out at once.
    pub(crate) urgent: bool,
}

impl Extra {
    fn is_empty(&self) -> bool {
        let Self { known, hold_until_us, later, urgent } = self;
        matches!(known, Known::Unknown) && *hold_until_us == 0 && later.is_empty() && !urgent
    }
}

/// One key's place in a shard.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The part of the key's hash that the shard's index goes by.
    pub(crate) tag: u32,
    pub(crate) index: IndexId,
    /// The flight that is out, or [`NONE`].
    flight: FlightId,
    pub(crate) id: SmolStr,
    pub(crate) pending: Option<Entry>,
    extra: Option<Box<Extra>>,
}

/// Bytes a slot costs beside what it points to and the entry in it: its cell, and its share of the hash index.
pub(crate) const SLOT_BYTES: usize = size_of::<Cell>() + 16 - size_of::<Entry>();
/// Bytes an entry or a flight costs beside what it points to, its share of pages that are partly filled among them: the
/// same wherever it stands, so that taking an operation and putting it back, which nobody can refuse, needs no memory. (What else a flight needs while it is out is booked
/// with the batch's buffers.)
pub(crate) const ENTRY_BYTES: usize = size_of::<Entry>() + 16;
/// Bytes a routing or the first tracker costs beside what it points to.
pub(crate) const RARE_BYTES: usize = size_of::<Rare>() + 8;
/// Bytes it costs to know a document, or that there is none.
pub(crate) const EXTRA_BYTES: usize = size_of::<Extra>() + 8;
/// Bytes a tracked operation costs: its place, and the cell that its ticket reads.
pub(crate) const TRACKER_BYTES: usize = size_of::<Tracker>() + size_of::<TicketCell>() + 16;
/// Trackers that the first of an entry makes room for.
pub(crate) const TRACKERS_FIRST: usize = 4;
/// Ids up to here lie in the slot.
pub(crate) const ID_INLINE_BYTES: usize = 23;

/// What an id costs beside its slot: a shared allocation where it is long.
pub(crate) fn id_bytes(id: &str) -> usize {
    if id.len() <= ID_INLINE_BYTES { 0 } else { id.len() + 24 }
}

/// What is known where nothing is.
pub(super) static UNKNOWN: Known = Known::Unknown;

impl Slot {
    pub(crate) fn new(tag: u32, index: IndexId, id: &str) -> Self {
        Self { tag, index, flight: NONE, id: SmolStr::new(id), pending: None, extra: None }
    }

    pub(crate) fn known(&self) -> &Known {
        self.extra.as_ref().map_or(&UNKNOWN, |extra| &extra.known)
    }

    /// The number of the flight that is out.
    pub(super) fn flight(&self) -> Option<FlightId> {
        (self.flight != NONE).then_some(self.flight)
    }

    pub(super) fn set_flight(&mut self, flight: FlightId) {
        self.flight = flight;
    }

    pub(crate) fn hold_until_us(&self) -> u64 {
        self.extra.as_ref().map_or(0, |extra| extra.hold_until_us)
    }

    pub(crate) fn is_urgent(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.urgent)
    }

    /// True where there is more than a pending entry or a flight.
    pub(super) fn has_extra(&self) -> bool {
        self.extra.is_some()
    }

    /// True where something queues behind the pending entry.
    pub(super) fn queues(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| !extra.later.is_empty())
    }

    /// What queues behind the pending entry, in order.
    pub(crate) fn later(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.extra.as_ref().map(|extra| extra.later.iter()).unwrap_or_default()
    }

    /// The entry that the next operation folds into, and whether it queues.
    pub(crate) fn top_mut(&mut self) -> Option<(&mut Entry, bool)> {
        match self.extra.as_mut().and_then(|extra| extra.later.back_mut()) {
            Some(queued) => Some((queued, true)),
            None => self.pending.as_mut().map(|entry| (entry, false)),
        }
    }

    /// Takes out the entry that the next operation would fold into.
    pub(super) fn take_top(&mut self) -> Option<Entry> {
        let queued = if self.queues() { self.change_extra(|extra| extra.later.pop_back()) } else { None };
        queued.or_else(|| self.pending.take())
    }

    /// Puts an entry on top of those that wait.
    pub(super) fn put_top(&mut self, entry: Entry) {
        if self.pending.is_none() {
            self.pending = Some(entry);
        } else {
            self.change_extra(|extra| {
                extra.later.reserve_exact(1);
                extra.later.push_back(entry);
            });
        }
    }

    /// Changes what few keys have.
    pub(crate) fn change_extra<R>(&mut self, change: impl FnOnce(&mut Extra) -> R) -> R {
        let result = change(self.extra.get_or_insert_default());
        self.extra.take_if(|extra| extra.is_empty());
        result
    }

    /// The flight is out no more. Returns what was known, if something else is from now on.
    pub(crate) fn land(&mut self, hold_until_us: u64, known: Option<Known>) -> Option<Known> {
        self.flight = NONE;
        self.change_extra(|extra| {
            extra.hold_until_us = extra.hold_until_us.max(hold_until_us);
            known.map(|known| std::mem::replace(&mut extra.known, known))
        })
    }

    /// The first that queues, taken out.
    pub(crate) fn take_later(&mut self) -> Option<Entry> {
        self.extra.as_ref()?;
        self.change_extra(|extra| extra.later.pop_front())
    }

    /// What waits, in order.
    pub(crate) fn into_waiting(self) -> impl Iterator<Item = Entry> {
        let Extra { later, .. } = self.extra.map(|extra| *extra).unwrap_or_default();
        self.pending.into_iter().chain(later)
    }

    /// Nothing waits and nothing is out.
    pub(crate) fn is_clean(&self) -> bool {
        self.pending.is_none() && self.flight == NONE
    }

    /// The pending entry may go out now.
    pub(crate) fn may_leave(&self, now_us: u64) -> bool {
        self.pending.is_some() && self.flight == NONE && self.hold_until_us() <= now_us
    }

    /// Bytes of everything the slot holds: a flight has its own weight.
    pub(crate) fn weight(&self) -> usize {
        SLOT_BYTES + id_bytes(&self.id) + self.known().weight() + self.pending_weight()
    }

    /// Bytes of the entries that wait.
    pub(crate) fn pending_weight(&self) -> usize {
        self.pending.as_ref().map_or(0, Entry::weight) + self.later().map(Entry::weight).sum::<usize>()
    }

    /// Checks invariant 4.
    pub(crate) fn validate(&self) -> Result<(), String> {
        match &self.extra {
            Some(extra) if extra.is_empty() => {
                Err("slot invariant 4: an extra that holds nothing".to_owned())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change here changes what an entry costs: the crate's documentation has the formula.
    #[test]
    fn a_slot_an_entry_and_a_tracker_cost_what_the_documentation_says() {
        assert_eq!((SLOT_BYTES, ENTRY_BYTES, TRACKER_BYTES), (72, 88, 48));
        assert_eq!((RARE_BYTES, EXTRA_BYTES), (56, 112));
    }

    #[test]
    fn a_slot_with_its_links_is_two_lines_of_memory() {
        assert_eq!(size_of::<Cell>(), 128);
    }
}
