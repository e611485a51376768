//! How what left a shard comes back: settle, put back, and letting clean documents go.
//!
//! # Design
//! A flight ends in one of two ways. *Settled* ([`Shard::settle`]): its outcome is known and it is forgotten, by seq,
//! never by key. *Put back* ([`Shard::put_back`]): it is known not to have been carried out, and is composed under what has
//! arrived since, so that a retry goes on coalescing. While an outcome is unknown the flight simply stays.
//!
//! # Invariants
//! 1. What has landed once does not land again: its seq is not that of what is out.
//! 2. A slot that holds nothing any more is taken out of everything.

use super::{
    RUN_MAX, Shard,
    flight::Flight,
    hangar::NONE,
    slab::{Order, SlotId},
    slot::{Aloft, Entry, Known, Slot},
    tally::{Existence, Tracker, Verdict},
};
use crate::{
    document::IndexId,
    merge::{NetOperation, compose},
};

/// How a flight ended.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) verdict: Verdict,
    /// What is known of the document now; `None` leaves what was known before.
    pub(crate) known: Option<Known>,
    /// Nothing newer of this key goes out before.
    pub(crate) hold_until_us: u64,
    /// It was sent, as this many bytes of bulk NDJSON; `None` where it settled without.
    pub(crate) sent_bytes: Option<u64>,
    /// Field operations that met a type that does not fit.
    pub(crate) misfits: u64,
}

/// Values that left a shard and must be dropped outside its lock.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    slots: Vec<Slot>,
    known: Vec<Known>,
    nets: Vec<NetOperation>,
}

impl Garbage {
    /// Drops what is there, and makes room for what some flights leave: to be called before a lock is taken.
    pub(crate) fn prepare(&mut self, flights: usize) {
        self.slots.clear();
        self.slots.reserve(flights);
        self.known.clear();
        self.known.reserve(2 * flights);
        self.nets.clear();
        self.nets.reserve(flights);
    }
}

impl Shard {
    /// The first queued entry of a slot without a pending one becomes its pending entry.
    pub(super) fn promote(&mut self, id: SlotId) {
        if self.slab.get(id).is_none_or(|slot| !slot.queues()) {
            return;
        }
        let promoted = self.change(id, |slot| {
            if slot.pending.is_none() {
                slot.pending = slot.take_later();
                return slot.pending.is_some();
            }
            false
        });
        if promoted {
            self.link_pending(id);
            self.make_urgent(id);
        }
    }

    /// The flight's outcome is known: it is forgotten. Returns who waits to be told; `None` if this flight is not out
    /// (any more), which is a bug of the caller.
    pub(crate) fn settle(
        &mut self,
        flight: &Flight,
        settlement: Settlement,
        now_us: u64,
        garbage: &mut Garbage,
    ) -> Option<Vec<Tracker>> {
        let id = flight.slot;
        let aloft = self.strike(flight)?;
        let Settlement { known, hold_until_us, .. } = settlement;
        let dropped = self.land(id, hold_until_us, known);
        let counted = aloft.tally.count(settlement.verdict);
        let index = flight.index;
        let counts = self.counts_mut(index);
        if settlement.verdict == Verdict::Rejected {
            counts.dead += counted.operations;
        } else {
            counts.settled += counted.operations;
        }
        if let Some(bytes) = settlement.sent_bytes {
            counts.out += 1;
            counts.bytes_out += bytes;
        }
        counts.misfits += settlement.misfits;
        counts.noops += counted.noops;
        counts.not_found += counted.not_found;
        counts.conflicts += counted.conflicts;
        self.rest(id, now_us, &mut garbage.slots);
        let forgotten = self.forget(id, now_us, &mut garbage.slots);
        garbage.known.extend([dropped, forgotten].into_iter().flatten());
        garbage.nets.push(aloft.net);
        Some(aloft.rare.map(|rare| rare.trackers).unwrap_or_default())
    }

    /// The flight is known not to have been carried out: it goes back under what has arrived since.
    /// `None` if this flight is not out (any more), which is a bug of the caller.
    pub(crate) fn put_back(&mut self, flight: &Flight, sent: bool, hold_until_us: u64) -> Option<Garbage> {
        let id = flight.slot;
        let aloft = self.strike(flight)?;
        self.land(id, hold_until_us, None);
        let net = aloft.net.clone();
        let mut lower = aloft.into_entry(&mut self.rooms);
        if sent {
            lower.rare_mut().attempts += 1;
        }
        self.counts_mut(flight.index).put_back += u64::from(sent);
        self.slab.unlink(Order::Age, id);
        let upper = self.change(id, |slot| slot.pending.take());
        // What an earlier engine had out may be in the sink: nothing folds into it, however often it comes back.
        let queued = if lower.is_bound() {
            upper
        } else {
            upper.and_then(|upper| self.stack(flight.index, &mut lower, upper, RUN_MAX))
        };
        self.change(id, |slot| {
            slot.pending = Some(lower);
            if let Some(upper) = queued {
                slot.change_extra(|extra| {
                    extra.later.reserve_exact(1);
                    extra.later.push_front(upper);
                });
            }
        });
        self.slab.unlink(Order::Clean, id);
        self.link_old(id);
        if self.slab.get(id).is_some_and(|slot| slot.later().len() > 0) {
            self.make_urgent(id);
        }
        self.trim_scratch();
        Some(Garbage { nets: vec![net], ..Garbage::default() })
    }

    /// Composes `upper` onto `lower`, or gives it back where the two may not or cannot fold, or would make a run that is
    /// longer than `run_max`.
    pub(super) fn stack(
        &mut self,
        index: IndexId,
        lower: &mut Entry,
        upper: Entry,
        run_max: usize,
    ) -> Option<Entry> {
        if lower.routing() != upper.routing() || !lower.tally.holds(upper.tally.operations) {
            return Some(upper);
        }
        let (below, above) = (lower.net(&self.rooms), upper.net(&self.rooms));
        let existence = Existence::after(below);
        let composed = compose(below, above, &mut self.scratch);
        if composed.longest_run > run_max.max(above.longest_run())
            || self.scratch.len() > super::ENTRY_BYTES_MAX
        {
            return Some(upper);
        }
        self.misfits(index, composed.misfits);
        lower.arrival.join(&upper.arrival);
        let Entry { net, last_seq, rare, tally, .. } = upper;
        self.rooms.remove(net);
        lower.replace(&mut self.rooms, &self.scratch);
        lower.last_seq = last_seq;
        lower.tally.append(&tally, existence);
        if let Some(above) = rare.filter(|rare| !rare.trackers.is_empty()) {
            let trackers = &mut lower.rare_mut().trackers;
            trackers.reserve_exact(above.trackers.len());
            let through = |t: Tracker| Tracker { pair: t.pair.through(existence), ticket: t.ticket };
            trackers.extend(above.trackers.into_iter().map(through));
        }
        self.counts_mut(index).folded += 1;
        None
    }

    /// A slot's flight is out no more. Returns what was known, if something else is from now on.
    fn land(&mut self, id: SlotId, hold_until_us: u64, known: Option<Known>) -> Option<Known> {
        let slot = self.slab.get_mut(id)?;
        if slot.has_extra()
            || hold_until_us > 0
            || matches!(known, Some(Known::Absent | Known::Document { .. }))
        {
            return self.change(id, |slot| slot.land(hold_until_us, known));
        }
        slot.set_flight(NONE);
        if slot.is_clean() {
            self.weight.clean += slot.weight();
        }
        None
    }

    /// Takes the flight out, if it is the one that is out.
    fn strike(&mut self, flight: &Flight) -> Option<Aloft> {
        let number = self.slab.get(flight.slot)?.flight()?;
        if self.hangar.get(number)?.last_seq != flight.last_seq {
            return None;
        }
        let aloft = self.hangar.remove(number)?;
        let weight = aloft.weight();
        self.weight.total -= weight;
        self.weight.aloft -= weight;
        Some(aloft)
    }

    /// A slot whose flight has gone: it waits on with its next entry, stays as a clean document, or goes.
    fn rest(&mut self, id: SlotId, now_us: u64, slots: &mut Vec<Slot>) {
        self.promote(id);
        let Some(slot) = self.slab.get(id) else { return };
        if !slot.is_clean() {
            return;
        }
        if matches!(slot.known(), Known::Unknown) && slot.hold_until_us() <= now_us {
            slots.extend(self.free(id));
        } else {
            self.slab.push_back(Order::Clean, id);
        }
    }

    /// Links a slot whose pending entry is older than most: found from the old end.
    fn link_old(&mut self, id: SlotId) {
        let key = |shard: &Self, id| {
            shard.slab.get(id).and_then(|slot: &Slot| Some(slot.pending.as_ref()?.first_seq))
        };
        let mine = key(self, id);
        let (mut before, mut at) = (None, self.slab.first(Order::Age));
        while let Some(here) = at
            && key(self, here) < mine
        {
            (before, at) = (at, self.slab.next(here));
        }
        self.slab.insert_after(Order::Age, id, before);
    }

    /// Keeps known documents, and the slots that hold nothing else, within their share: clean ones go first,
    /// then the one that has just become known.
    fn forget(&mut self, id: SlotId, now_us: u64, slots: &mut Vec<Slot>) -> Option<Known> {
        while self.weight.known.max(self.weight.clean) > self.known_bytes_max {
            if !self.drop_clean(now_us, slots) {
                return self
                    .change(id, |slot| Some(slot.change_extra(|extra| std::mem::take(&mut extra.known))));
            }
        }
        None
    }

    /// Lets go of clean documents of about `bytes`, least recently settled first.
    pub(crate) fn evict_clean(&mut self, bytes: usize, now_us: u64) -> Garbage {
        let target = self.weight.clean.saturating_sub(bytes);
        let mut slots = Vec::new();
        while self.weight.clean > target && self.drop_clean(now_us, &mut slots) {}
        Garbage { slots, ..Garbage::default() }
    }

    /// Takes out the first clean slot whose hold has passed; false if there is none.
    fn drop_clean(&mut self, now_us: u64, slots: &mut Vec<Slot>) -> bool {
        let free = |id: &SlotId| self.slab.get(*id).is_some_and(|slot| slot.hold_until_us() <= now_us);
        let Some(id) = self.slab.iter(Order::Clean).find(free) else { return false };
        slots.extend(self.free(id));
        true
    }

    /// Takes a clean slot out of everything.
    fn free(&mut self, id: SlotId) -> Option<Slot> {
        self.slab.unlink(Order::Clean, id);
        let slot = self.slab.remove(id)?;
        let weight = slot.weight();
        self.weight.total -= weight;
        self.weight.clean -= weight;
        self.weight.known -= slot.known().weight();
        self.index.remove(slot.tag, id);
        if slot.is_urgent() {
            self.urgent.retain(|other| *other != id);
        }
        Some(slot)
    }
}
