//! The second half of a cycle: from the sink's answers back to the shards.
//!
//! # Design
//! Flights come back in the order in which they were taken, shard by shard, so that those of one shard can settle
//! together: a few under one hold of its lock, with one reservation of memory. What they leave behind is told and
//! dropped outside it.

use super::{
    Dispatch, Drain, Flying,
    below::expects_of,
    journaling::Marks,
    lanes::Answered,
    limiter::{Flown, Place},
    retry::{Fate, Past, backoff_us, judge},
};
use crate::{
    Batch, Item, ItemAction, Outcome, Shape,
    clock::micros,
    merge::apply,
    shard::{Flight, Garbage, Known, Settlement, Shard, Tracker, Verdict, prefetch_at},
    sink::DeadLetter,
};
use bytes::Bytes;

/// A dead letter that could not be written waits as long as a flight after so many attempts: less than a second.
const LETTER_ATTEMPT: u32 = 2;

/// Flights settled under one hold of a shard's lock: a submit waits for no more than that.
const SETTLE_MAX: usize = 4;

/// A batch of which one in so many operations was not taken counts as refused.
const REFUSED_SHARE: usize = 4;

/// How many flights ahead of the one that settles what it will touch is asked for.
const LOOK_AHEAD: usize = 12;

/// Flights of one shard that are about to settle.
struct Landing {
    flights: Vec<Flight>,
    settlements: Vec<Settlement>,
    /// Who is to be told, and what is to be dropped, outside the lock; kept for their room.
    landed: Vec<(Verdict, Option<Vec<Tracker>>)>,
    garbage: Garbage,
    /// What the journal is told.
    marks: Marks,
}

impl Drain {
    /// Judges what the sink answered to a dispatch, item by item. An answer with another number of outcomes
    /// than items says nothing reliable about any of them.
    pub(crate) fn finish(&self, dispatch: Dispatch, outcomes: Vec<Outcome>) {
        let _settling = self.settling();
        let now_us = self.parts.clock.now_us();
        let Dispatch { batch, flying, places, indices, place, .. } = dispatch;
        let (sent, answered) = (batch.items.len(), outcomes.len());
        let mut outcomes = if sent == answered {
            outcomes
        } else {
            let reason = format!("the sink answered {answered} outcomes to {sent} items");
            vec![Outcome::Unknown(reason); sent]
        };
        let is_whole = !outcomes.iter().any(|one| matches!(one, Outcome::Again { .. } | Outcome::Unknown(_)));
        let flown = flown(&batch, &outcomes);
        self.answered(&outcomes, &flying, &places, (place, is_whole), now_us);
        // Its place is free before its flights have settled: who has the next batch need not wait for that.
        self.scheduler.lock().landed(place, &indices, flown, now_us);
        if self.adapts {
            self.wake.notify_one();
        }
        let (mut landing, mut unbuffered) = (Landing::new(), 0);
        let mut flying = flying.into_iter();
        for (at, place) in places.iter().enumerate() {
            if let Some(ahead) = places.get(at + LOOK_AHEAD) {
                prefetch_at(&outcomes, *ahead as usize);
                prefetch_at(&batch.items, *ahead as usize);
            }
            if let Some(ahead) = flying.as_slice().get(LOOK_AHEAD) {
                ahead.flight.expect();
            }
            let Some(flying) = flying.next() else { break };
            let place = *place as usize;
            let (Some(item), Some(outcome)) = (batch.items.get(place), outcomes.get_mut(place)) else {
                // Places are those of the items, and each has an outcome.
                self.lost(&flying.flight);
                continue;
            };
            let outcome = std::mem::replace(outcome, Outcome::Applied);
            self.land(flying, item, outcome, now_us, &mut landing, &mut unbuffered);
        }
        self.settle(&mut landing, now_us);
        drop(batch);
        self.bank.memory.release_buffer(unbuffered);
        if !is_whole {
            self.check_sink();
        }
    }

    /// Tells the scheduler of which indices something was taken; where all of it was, and nothing has failed before, there is
    /// nothing to tell.
    fn answered(
        &self,
        outcomes: &[Outcome],
        flying: &[Flying],
        places: &[u32],
        (place, is_whole): (Place, bool),
        now_us: u64,
    ) {
        if is_whole && !self.scheduler.lock().lanes.is_troubled() {
            return;
        }
        let mut answers: Vec<Answered> = Vec::new();
        for (flying, at) in flying.iter().zip(places) {
            let (is_taken, asked_us) = match outcomes.get(*at as usize) {
                Some(Outcome::Again { after, .. }) => (false, after.map_or(0, micros)),
                Some(Outcome::Unknown(_)) | None => (false, 0),
                Some(_) => (true, 0),
            };
            let index = flying.flight.index;
            match answers.last_mut() {
                Some(last) if last.index == index => last.add(is_taken, asked_us),
                _ => answers.push(Answered { index, is_taken, asked_us }),
            }
        }
        answers.sort_unstable_by_key(|answer| answer.index);
        answers.dedup_by(|one, kept| {
            let is_same = one.index == kept.index;
            if is_same {
                kept.add(one.is_taken, one.asked_us);
            }
            is_same
        });
        self.scheduler.lock().answered(&answers, place, now_us);
    }

    /// A sink that has stopped stops the engine: it would try for ever.
    fn check_sink(&self) {
        if let Err(error) = self.sink().health() {
            self.bank.latch.set(format_args!("the sink has stopped: {error}; restart when it is well again"));
            self.signal_all();
        }
    }

    /// Carries out what one outcome means. Adds to `unbuffered` what was set aside for an item that does not go out
    /// again.
    fn land(
        &self,
        mut flying: Flying,
        item: &Item,
        outcome: Outcome,
        now_us: u64,
        landing: &mut Landing,
        unbuffered: &mut usize,
    ) {
        let flight = &flying.flight;
        let net = flight.net.as_net();
        let past = Past {
            shape: net.shape(),
            creates: net.existence_after(false),
            existed: flying.existed,
            uncertain: flying.uncertain_until_us().is_some(),
        };
        let version = match outcome {
            Outcome::Stored { version, .. } => Some(version),
            _ => None,
        };
        match judge(outcome, past) {
            Fate::Settled { existed, noop } => {
                let known = if self.settings.keeps_known {
                    known_after(flight, item, existed)
                } else {
                    Known::Unknown
                };
                let settlement = Settlement {
                    verdict: Verdict::Done { existed, noop },
                    known: Some(known),
                    hold_until_us: flying.uncertain_until_us().unwrap_or(0),
                    sent_bytes: Some(flying.bytes as u64),
                    misfits: flying.misfits,
                };
                *unbuffered += flying.buffered();
                self.note_version(&item.index, &item.id, expects_of(version));
                self.settle_soon(flying.flight, settlement, now_us, landing);
            }
            Fate::Dead(reason) => {
                flying.trouble_mut().letter = Some(reason);
                self.bury(flying, item.clone(), now_us);
            }
            Fate::PutBack { reason, after } => {
                self.counters.failed(&reason);
                let wait_us = backoff_us(flight.attempts(), flight.first_seq).max(after.map_or(0, micros));
                *unbuffered += flying.buffered();
                self.unbind(&flying.flight);
                self.put_back(&flying.flight, true, now_us.saturating_add(wait_us));
            }
            Fate::Changed { reason } => {
                self.counters.failed(&reason);
                self.park_changed(flying, item.clone(), now_us);
            }
            Fate::Repeat { reason, uncertain } => {
                self.counters.failed(&reason);
                let due_us = now_us.saturating_add(backoff_us(item.attempt, flight.first_seq));
                if uncertain {
                    let until = now_us.saturating_add(self.settings.late_request_bound_us);
                    flying.trouble_mut().uncertain_until_us = Some(until);
                }
                self.scheduler.lock().park(due_us, flying, item.clone());
            }
        }
    }

    /// Writes the dead letter of a rejected flight and, once it is durable, settles it. A letter that cannot
    /// be written is tried again: until then the flight stays out.
    pub(super) fn bury(&self, mut flying: Flying, mut item: Item, now_us: u64) {
        // The letter holds the net operation, which the shard has as well: the item's document can go.
        item.action = ItemAction::Net(flying.flight.net.clone());
        self.bank.memory.release_buffer(flying.buffered());
        flying.is_buffered = false;
        let reason = flying.letter().unwrap_or_default().to_owned();
        let letter = DeadLetter {
            index: &item.index,
            id: &item.id,
            routing: flying.flight.routing(),
            operation: &flying.flight.net,
            reason: &reason,
            time_us: self.parts.clock.wall_us(),
            engine: self.settings.engine,
            first_seq: flying.flight.first_seq,
            last_seq: flying.flight.last_seq,
            operations: flying.flight.operations,
        };
        self.counters.failed(&reason);
        if let Err(error) = self.parts.letters.record(&letter) {
            self.counters.failed(&format!("a dead letter could not be written: {error}"));
            let due_us = now_us.saturating_add(backoff_us(LETTER_ATTEMPT, flying.flight.first_seq));
            self.scheduler.lock().park(due_us, flying, item);
            return;
        }
        self.counters.buried();
        let settlement = Settlement {
            verdict: Verdict::Rejected,
            known: flying.uncertain_until_us().map(|_| Known::Unknown),
            hold_until_us: flying.uncertain_until_us().unwrap_or(0),
            sent_bytes: None,
            misfits: 0,
        };
        self.settle_one(flying.flight, settlement, now_us);
    }

    /// Settles a flight in its shard.
    pub(super) fn settle_one(&self, flight: Flight, settlement: Settlement, now_us: u64) {
        let _settling = self.settling();
        let mut landing = Landing::new();
        self.settle_soon(flight, settlement, now_us, &mut landing);
        self.settle(&mut landing, now_us);
    }

    /// Has a flight settle together with those before and after it that are of the same shard.
    fn settle_soon(&self, flight: Flight, settlement: Settlement, now_us: u64, landing: &mut Landing) {
        let is_of_another = landing.flights.last().is_some_and(|last| last.shard != flight.shard);
        if is_of_another || landing.flights.len() >= SETTLE_MAX {
            self.settle(landing, now_us);
        }
        self.note_hold(settlement.hold_until_us);
        landing.flights.push(flight);
        landing.settlements.push(settlement);
    }

    /// Settles flights of one shard; tells and drops outside the lock.
    fn settle(&self, landing: &mut Landing, now_us: u64) {
        let Landing { flights, settlements, landed, garbage, marks } = landing;
        let Some(shard) = flights.first().map(|flight| flight.shard as usize) else { return };
        let reserved = self.reserve_known(settlements);
        // Nothing is allocated for it under the lock.
        landed.reserve(flights.len());
        garbage.prepare(flights.len());
        self.announce_settled(flights, marks);
        self.bank.with_reserved(shard, reserved, |shard: &mut Shard| {
            for (flight, settlement) in flights.iter().zip(settlements.drain(..)) {
                landed.push((settlement.verdict, shard.settle(flight, settlement, now_us, garbage)));
            }
            self.place_settled(marks);
        });
        self.note_settled(marks);
        for (flight, (verdict, landed)) in flights.drain(..).zip(landed.drain(..)) {
            let Some(trackers) = landed else {
                self.lost(&flight);
                continue;
            };
            for tracker in trackers {
                tracker.tell(verdict);
            }
        }
    }

    /// Sets memory aside for the documents that are known from now on; what there is none for is not known.
    fn reserve_known(&self, settlements: &mut [Settlement]) -> usize {
        let weight = |settlement: &Settlement| settlement.known.as_ref().map_or(0, Known::weight);
        let all: usize = settlements.iter().map(weight).sum();
        let memory = &self.bank.memory;
        if all == 0 || memory.reserve(all) {
            return all;
        }
        let mut reserved = 0;
        for settlement in settlements {
            let bytes = weight(settlement);
            if memory.reserve(bytes) {
                reserved += bytes;
            } else {
                settlement.known = Some(Known::Unknown);
            }
        }
        reserved
    }

    /// Puts a flight back in its shard. `sent`: it was out, and counts as an attempt.
    pub(super) fn put_back(&self, flight: &Flight, sent: bool, hold_until_us: u64) {
        self.note_hold(hold_until_us);
        let put_back =
            self.bank.with(flight.shard as usize, |shard| shard.put_back(flight, sent, hold_until_us));
        match put_back {
            Some(garbage) => drop(garbage),
            None => self.lost(flight),
        }
    }

    /// The scheduler looks again when a hold is over.
    pub(super) fn note_hold(&self, hold_until_us: u64) {
        if hold_until_us > 0 {
            self.scheduler.lock().note_hold(hold_until_us);
        }
    }

    /// A flight came back that its shard did not send: the books are wrong, and nothing they say can be trusted.
    fn lost(&self, flight: &Flight) {
        let Flight { shard, first_seq, last_seq, .. } = flight;
        self.bank.latch.set(format_args!("shard {shard} does not know flight {first_seq}..{last_seq}"));
        self.signal_all();
    }
}

impl Landing {
    fn new() -> Self {
        Self {
            flights: Vec::new(),
            settlements: Vec::new(),
            landed: Vec::new(),
            garbage: Garbage::default(),
            marks: Marks::default(),
        }
    }
}

/// What is known of a document after its flight was carried out.
fn known_after(flight: &Flight, item: &Item, existed: Option<bool>) -> Known {
    let routing = item.routing.clone();
    match &item.action {
        ItemAction::Put(source) => {
            // The document of a put lies in its operation, among others: kept, it would keep them as well.
            let is_part = flight.net.shape() == Shape::Put;
            let source = if is_part { Bytes::copy_from_slice(source) } else { source.clone() };
            Known::Document { source, routing }
        }
        ItemAction::Delete => Known::Absent,
        ItemAction::Net(net) => {
            let (source, routing) = match flight.known() {
                Known::Unknown if existed == Some(false) => (None, routing),
                Known::Unknown => return Known::Unknown,
                Known::Absent => (None, routing),
                Known::Document { source, routing } => (Some(source), routing.clone()),
            };
            debug_assert_eq!(net.shape(), Shape::Patch);
            let mut document = Vec::new();
            if apply(net.as_net(), source.map(Bytes::as_ref), &mut document).exists {
                Known::Document { source: document.into_boxed_slice().into(), routing }
            } else {
                Known::Absent
            }
        }
    }
}

/// What a batch was, and whether a good part of it was refused or not answered.
fn flown(batch: &Batch, outcomes: &[Outcome]) -> Flown {
    let is_failed = |outcome: &&Outcome| matches!(outcome, Outcome::Again { .. } | Outcome::Unknown(_));
    let failed = outcomes.iter().filter(is_failed).count();
    Flown {
        bytes: batch.bytes as u64,
        operations: outcomes.len() as u64,
        is_refused: failed > 0 && failed.saturating_mul(REFUSED_SHARE) >= outcomes.len(),
    }
}
