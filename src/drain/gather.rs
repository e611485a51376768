//! The first half of a cycle: from the shards to a batch.
//!
//! # Design
//! Flights are taken shard by shard, a few under one hold of a lock, and each becomes an item at once, while its
//! operation is near. Only those that must be resolved against what lies below them wait until all are taken: the
//! base is read for many in one call (`below.rs`). Then the items are put in order. What costs the same for one as for many is done once a
//! batch: looking up names, reading the base, setting memory aside, sorting.

use super::{
    Begun, Dispatch, Drain, Flying, Gathered,
    below::{ASK_MAX, Below, is_lasting, unreadable},
    limiter::Place,
    order::order,
    ready::{Names, Ready, fly},
    resolve::{Resolved, resolve, whole},
    scheduler::{Look, Step},
};
use crate::{
    Batch, Error, Expects, Item, ItemAction, Result, Takes,
    document::IndexId,
    shard::{Demand, Flight, Known, Pick, Room, Settlement, Taken, Verdict, prefetch_at},
    sync::atomic::Ordering,
};
use std::{cmp::Reverse, collections::BinaryHeap};

/// Flights taken under one hold of a shard's lock: a submit waits for no more than that.
const TAKE_MAX: usize = 4;

/// Where all shards have as much to give, each gives its share of a batch in so many parts.
const SHARE_PARTS: usize = 4;

/// How many items ahead of the one that is put in its place are asked for.
const LOOK_AHEAD: usize = 8;

/// A batch that is being made.
struct Gather<'a> {
    drain: &'a Drain,
    now_us: u64,
    names: Names<'a>,
    /// What the shards may still give: bytes and operations.
    bytes_left: usize,
    operations_left: usize,
    /// What the batch may have.
    bytes_most: usize,
    taken: Taken,
    /// Since when what was taken last had waited.
    last_seq: u64,
    ready: Ready,
    /// Flights that must be resolved against what the base has.
    asking: Vec<Flight>,
    /// The base gave nothing when it was asked: it is not asked again at once.
    has_failed: bool,
    /// What was taken does not all fit.
    is_full: bool,
    is_any: bool,
}

/// Why no more was taken from a shard.
enum TookFrom {
    AllOfIt,
    /// It has more, and others have their turn.
    ItsShare,
    /// The batch is full.
    WhatFits,
}

impl Drain {
    /// Finds something to do: the first half of a cycle.
    pub(crate) fn begin(&self) -> Result<Begun> {
        let (mut passed, mut looks_again) = (Vec::new(), false);
        loop {
            self.bank.latch.check()?;
            if let Err(error) = self.keep_ceiling_ahead() {
                self.counters.failed(&error.to_string());
            }
            let now_us = self.parts.clock.now_us();
            if !self.has_keeper.load(Ordering::Relaxed) {
                self.keep_journal(now_us, false)?;
            }
            if let Some(until_us) = self.late_until_us(now_us) {
                return Ok(Begun::Wait { until_us });
            }
            let pressure = self.bank.memory.pressure();
            let indices = self.bank.indices.count();
            let waiting = self.waiting(indices);
            let look = Look { now_us, pressure, indices, waiting: waiting.as_deref(), passed: &passed };
            let step = self.scheduler.lock().next(&look);
            match step {
                Step::Pause { until_us } | Step::Full { until_us } => return Ok(Begun::Wait { until_us }),
                Step::Idle if std::mem::take(&mut looks_again) => passed.clear(),
                Step::Idle => return Ok(Begun::Wait { until_us: self.starved(now_us) }),
                Step::Leave(dispatch) => {
                    self.wake.notify_one();
                    self.waited(dispatch.oldest_us, now_us);
                    return Ok(Begun::Dispatch(dispatch));
                }
                Step::Again(again, place) => match self.send_again(again) {
                    Some(dispatch) => return self.leave(dispatch, place, false),
                    None => looks_again |= self.scheduler.lock().came_to_nothing(false, now_us),
                },
                Step::Take { demands, first, flush_to, turn } => {
                    let mut gather = Gather::new(self, now_us, turn.bytes);
                    let pick = turn.only.map_or(Pick::Except(&turn.paused), Pick::Only);
                    let has_more = gather.walk(pick, &demands, first, &flush_to);
                    match gather.finish() {
                        Gathered::Dispatch(dispatch) if turn.is_ahead => {
                            self.keep_ahead(Dispatch { place: turn.place, ..dispatch })?;
                        }
                        Gathered::Dispatch(dispatch) => {
                            // Of other indices nothing is known.
                            let has_more = has_more || turn.only.is_some();
                            return self.leave(dispatch, turn.place, has_more);
                        }
                        gathered => {
                            looks_again |= self.scheduler.lock().came_to_nothing(turn.is_ahead, now_us);
                            match (gathered, turn.only) {
                                (Gathered::Empty, Some(index)) => passed.push(index),
                                (Gathered::Nothing | Gathered::Dispatch(_), _) => {}
                                (Gathered::Empty, None) if std::mem::take(&mut looks_again) => {}
                                (Gathered::Empty, None) if !turn.is_ahead => {
                                    return Ok(Begun::Wait { until_us: self.starved(now_us) });
                                }
                                (Gathered::Empty | Gathered::Crowded, _) => {
                                    return Ok(Begun::Wait { until_us: self.look_again_us(now_us) });
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// There is a place, and nothing to send. When to look again.
    fn starved(&self, now_us: u64) -> u64 {
        let mut scheduler = self.scheduler.lock();
        scheduler.starved(now_us);
        scheduler.look_again_us(now_us)
    }

    /// What has waited since then is about to be sent for the first time.
    fn waited(&self, oldest_us: Option<u64>, now_us: u64) {
        if let Some(oldest_us) = oldest_us {
            self.counters.waited(now_us.saturating_sub(oldest_us));
        }
    }

    fn look_again_us(&self, now_us: u64) -> u64 {
        self.scheduler.lock().look_again_us(now_us)
    }

    /// A batch has a place, and leaves. `has_more`: another one can be made at once.
    fn leave(&self, mut dispatch: Dispatch, place: Place, has_more: bool) -> Result<Begun> {
        dispatch.place = place;
        self.scheduler.lock().left(&dispatch.indices, has_more);
        if self.adapts {
            self.wake.notify_one();
        }
        self.cleared(dispatch)
    }

    /// Puts the last flight that was made ready back.
    fn take_back(&self, ready: &mut Ready) {
        ready.items.pop();
        if let Some(flying) = ready.flying.pop() {
            ready.bytes -= flying.bytes;
            self.put_back(&flying.flight, false, 0);
        }
    }

    /// Sets memory aside for what is to go out. False where there is none for some of it: that goes back.
    fn buffer(&self, ready: &mut Ready) -> bool {
        let memory = &self.bank.memory;
        let fits_whole = memory.reserve_buffer(ready.bytes);
        let fits = |flying: &mut Flying| {
            flying.is_buffered = fits_whole || memory.reserve_buffer(flying.bytes);
            flying.is_buffered
        };
        let fitting = ready.flying.iter_mut().map(fits).take_while(|fits| *fits).count();
        let is_crowded = fitting < ready.flying.len();
        while ready.flying.len() > fitting {
            self.take_back(ready);
        }
        !is_crowded
    }

    fn dispatch(&self, ready: Ready) -> Option<Dispatch> {
        let Ready { flying, items, bytes } = ready;
        if items.is_empty() {
            self.settled_some();
            return None;
        }
        let order = order(flying.iter().map(|flying| flying.flight.index), &items);
        let mut places = vec![0; items.len()];
        for (place, position) in (0..).zip(&order) {
            if let Some(at) = places.get_mut(*position as usize) {
                *at = place;
            }
        }
        let mut items: Vec<Option<Item>> = items.into_iter().map(Some).collect();
        let mut sorted = Vec::with_capacity(items.len());
        for (place, position) in order.iter().enumerate() {
            if let Some(ahead) = order.get(place + LOOK_AHEAD) {
                prefetch_at(&items, *ahead as usize);
            }
            sorted.extend(items.get_mut(*position as usize).and_then(Option::take));
        }
        let batch = Batch { items: sorted, bytes };
        let indices = indices_of(&flying);
        Some(Dispatch { batch, flying, places, indices, oldest_us: None, place: Place::default() })
    }

    /// Flights that were parked: those with a reason are buried, those whose document has changed are made from it anew, the
    /// others go out as they are.
    fn send_again(&self, again: Vec<(Flying, Item)>) -> Option<Dispatch> {
        let now_us = self.parts.clock.now_us();
        let (mut ready, mut changed) = (Ready::default(), Vec::new());
        for (flying, mut item) in again {
            if flying.letter().is_some() {
                self.bury(flying, item, now_us);
                continue;
            }
            if flying.has_changed() {
                changed.push((flying, item));
                continue;
            }
            item.attempt += 1;
            self.counters.repeated();
            ready.push(flying, item);
        }
        self.make_anew(changed, &mut ready, now_us);
        self.dispatch(ready)
    }
}

/// Of which indices they are, each once.
fn indices_of(flying: &[Flying]) -> Vec<IndexId> {
    let mut indices: Vec<IndexId> = Vec::new();
    for index in flying.iter().map(|flying| flying.flight.index) {
        if indices.last() != Some(&index) {
            indices.push(index);
        }
    }
    indices.sort_unstable();
    indices.dedup();
    indices
}

impl<'a> Gather<'a> {
    fn new(drain: &'a Drain, now_us: u64, bytes_most: usize) -> Self {
        Self {
            drain,
            now_us,
            names: Names::new(&drain.bank, drain.late_until_us.load(Ordering::Relaxed)),
            bytes_left: bytes_most,
            operations_left: drain.settings.pace.batch_operations,
            bytes_most,
            taken: Taken::default(),
            last_seq: 0,
            ready: Ready::default(),
            asking: Vec::new(),
            has_failed: false,
            is_full: false,
            is_any: false,
        }
    }

    /// Walks the shards, a demand at a time, until the batch is full; true if it is. What leaves by its age leaves a little at a
    /// time, from the shard whose last was the oldest: so batches hold what came at about the same time, wherever it lies.
    /// Keys that follow each other then reach the sink side by side, and a server finds out with less work that it does not have them.
    fn walk(&mut self, pick: Pick<'_>, demands: &[Demand], first: usize, flush_to: &[u64]) -> bool {
        let count = self.drain.bank.shard_count();
        let demand = |demand: Option<&Demand>, shard: usize| match demand {
            Some(demand) => *demand,
            None => Demand::UpTo { seq: flush_to.get(shard).copied().unwrap_or(0) },
        };
        let share = self.operations_left / count.max(1) / SHARE_PARTS;
        for wanted in demands.iter().map(Some).chain([None]) {
            let most = match wanted {
                // How much of these a shard gives is theirs to say.
                Some(Demand::Urgent | Demand::Pressure { .. }) => usize::MAX,
                _ => share.max(TAKE_MAX),
            };
            // Shards by what was taken of them last, then in turn.
            let shards = (first..count).chain(0..first.min(count));
            let mut next: BinaryHeap<_> = (0_usize..).zip(shards).map(|turn| Reverse((0, turn))).collect();
            while let Some(Reverse((_, (turn, shard)))) = next.pop() {
                match self.take_from(shard, pick, demand(wanted, shard), most) {
                    TookFrom::AllOfIt => {}
                    TookFrom::ItsShare => next.push(Reverse((self.last_seq, (turn, shard)))),
                    TookFrom::WhatFits => {
                        self.drain.scheduler.lock().stopped_at(shard);
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Takes what a shard has for a demand, and no more than so many operations, a few at a time so that nobody waits long
    /// for its lock.
    fn take_from(&mut self, shard: usize, pick: Pick<'_>, mut demand: Demand, most: usize) -> TookFrom {
        let mut left = most;
        loop {
            let Self { drain, now_us, taken, .. } = self;
            taken.prepare(TAKE_MAX);
            let operations = self.operations_left.min(left).min(TAKE_MAX);
            let mut few = Room { bytes: self.bytes_left, operations, pick };
            let has_more = drain.bank.with(shard, |shard| shard.take(demand, *now_us, &mut few, taken));
            let took = operations - few.operations;
            (self.bytes_left, self.operations_left) = (few.bytes, self.operations_left - took);
            left -= took;
            if let Demand::Pressure { bytes } = &mut demand {
                let weight: usize = taken.flights.iter().map(Flight::weight).sum();
                *bytes = bytes.saturating_sub(weight);
            }
            self.sort_out();
            if self.is_full || (has_more && (self.operations_left == 0 || self.bytes_left == 0)) {
                return TookFrom::WhatFits;
            }
            if !has_more {
                return TookFrom::AllOfIt;
            }
            if left == 0 {
                return TookFrom::ItsShare;
            }
        }
    }

    /// Makes what was taken ready, but for those that ask.
    fn sort_out(&mut self) {
        let mut flights = std::mem::take(&mut self.taken.flights);
        self.is_any |= !flights.is_empty();
        if let Some(last) = flights.last() {
            self.last_seq = last.first_seq;
        }
        for flight in flights.drain(..) {
            let expects = if self.is_full { Some(Expects::Anything) } else { self.drain.expects(&flight) };
            match expects {
                Some(expects) => self.prepare(flight, Ok(None), expects),
                None => self.asking.push(flight),
            }
        }
        // Kept for its room.
        self.taken.flights = flights;
    }

    /// Makes a dispatch of what was gathered: resolved where the sink wants documents, sorted, and within a batch's
    /// bytes; what does not fit any more goes back as if it had not been taken.
    fn finish(mut self) -> Gathered {
        if !self.is_any {
            return Gathered::Empty;
        }
        let oldest_us = self.taken.oldest_us;
        self.drain.waited(oldest_us, self.now_us);
        self.ask();
        let Self { drain, mut ready, mut is_full, .. } = self;
        is_full |= !drain.buffer(&mut ready);
        match drain.dispatch(ready) {
            Some(dispatch) => Gathered::Dispatch(Dispatch { oldest_us, ..dispatch }),
            None if is_full => Gathered::Crowded,
            None => Gathered::Nothing,
        }
    }

    /// Reads what lies below those that ask, some at a time: what is read before the batch is full is about what it holds.
    fn ask(&mut self) {
        let mut asking = std::mem::take(&mut self.asking).into_iter();
        while asking.len() > 0 {
            let some: Vec<Flight> = asking.by_ref().take(ASK_MAX).collect();
            if self.is_full || self.has_failed {
                for flight in &some {
                    self.drain.put_back(flight, false, 0);
                }
                continue;
            }
            let below = self.drain.read_below(&some, &mut self.names);
            let indices = some.iter().map(|flight| flight.index);
            self.has_failed = self.drain.has_failed_whole(&below, indices, self.now_us);
            for (flight, below) in some.into_iter().zip(below) {
                match below {
                    Ok(below) => {
                        let expects = below.expects;
                        self.prepare(flight, Ok(Some(below)), expects);
                    }
                    Err(error) => self.prepare(flight, Err(error), Expects::Anything),
                }
            }
        }
    }

    /// Makes a flight ready, if it is to be sent. `read`: what the base has, where it was asked. `expects`: what must still be
    /// there, if it is made from what is known.
    fn prepare(&mut self, flight: Flight, read: Result<Option<Below>>, expects: Expects) {
        let drain = self.drain;
        if self.is_full {
            return drain.put_back(&flight, false, 0);
        }
        if drain.takes == Takes::NetOperations {
            let action = whole(&flight.net).unwrap_or_else(|| ItemAction::Net(flight.net.clone()));
            let routing = flight.routing().map(Into::into);
            self.ready.fly(flight, action, routing, expects, &mut self.names);
            return self.bound();
        }
        let read = match read {
            // It was stored, and whoever sent it did not live to hear of it.
            Ok(Some(below)) if below.seq >= flight.last_seq => {
                return self.stored(flight, below.known, expects);
            }
            Ok(read) => read.map(|below| below.known),
            // What lies below is damaged. What does not need it goes out: it mends the damage.
            Err(error) if flight.net.as_net().decides() => {
                drain.counters.failed(&error.to_string());
                Some(Known::Unknown)
            }
            Err(error) => return self.unread(flight, &error),
        };
        let unheeded = drain.is_versioned && flight.net.as_net().decides();
        let below = if unheeded { &Known::Unknown } else { read.as_ref().unwrap_or(flight.known()) };
        match resolve(&flight.net, flight.routing(), below) {
            Resolved::Send { action, routing, existed, misfits } => {
                if let Some(flying) = self.ready.fly(flight, action, routing, expects, &mut self.names) {
                    (flying.existed, flying.misfits) = (existed, misfits);
                }
                self.bound();
            }
            // Nothing is sent, so nobody would say that what is remembered is not so any more.
            Resolved::Settled { .. } if drain.is_versioned && read.is_none() => self.asking.push(flight),
            Resolved::Settled { existed, noop, misfits } => {
                drain.note_version(&self.names.name(flight.index), &flight.id, expects);
                let verdict = Verdict::Done { existed: Some(existed), noop };
                let known = Some(if existed { below.clone() } else { Known::Absent });
                let settlement = Settlement { verdict, known, hold_until_us: 0, sent_bytes: None, misfits };
                drain.settle_one(flight, settlement, self.now_us);
            }
        }
    }

    /// The base has what a flight would store.
    fn stored(&mut self, flight: Flight, known: Known, expects: Expects) {
        self.drain.note_version(&self.names.name(flight.index), &flight.id, expects);
        let verdict = Verdict::Done { existed: None, noop: false };
        let known = Some(known);
        let settlement = Settlement { verdict, known, hold_until_us: 0, sent_bytes: None, misfits: 0 };
        self.drain.settle_one(flight, settlement, self.now_us);
    }

    /// What lies below a flight that needs it could not be read: it waits, or is buried where that will not get better.
    fn unread(&mut self, flight: Flight, error: &Error) {
        if is_lasting(error) {
            let (action, routing) = (ItemAction::Net(flight.net.clone()), flight.routing().map(Into::into));
            let (mut flying, item) = fly(flight, action, routing, Expects::Anything, &mut self.names);
            flying.trouble_mut().letter = Some(unreadable(error));
            return self.drain.bury(flying, item, self.now_us);
        }
        self.drain.counters.failed(&error.to_string());
        let wait_us = super::retry::backoff_us(flight.attempts(), flight.first_seq);
        self.drain.put_back(&flight, true, self.now_us + wait_us);
    }

    /// Puts the last flight back where with it the batch has too many bytes.
    fn bound(&mut self) {
        if self.ready.bytes > self.bytes_most && self.ready.items.len() > 1 {
            self.is_full = true;
            self.drain.take_back(&mut self.ready);
        }
    }
}
