//! The second half of a cycle: from the sink's answers back to the shards.

use super::{
    Dispatch, Drain, Flying,
    retry::{Fate, Past, backoff_us, judge},
};
use crate::{
    Item, ItemAction, Outcome, Shape,
    clock::micros,
    merge::apply,
    shard::{Flight, Known, Settlement, Verdict},
    sink::DeadLetter,
};
use bytes::Bytes;
use std::time::Duration;

/// A dead letter that could not be written waits as long as a flight after so many attempts: less than a second.
const LETTER_ATTEMPT: u32 = 4;

impl Drain {
    /// Judges what the sink answered to a dispatch, item by item. An answer with another number of outcomes
    /// than items says nothing reliable about any of them.
    pub(crate) fn finish(&self, dispatch: Dispatch, outcomes: Vec<Outcome>) {
        let now_us = self.parts.clock.now_us();
        let Dispatch { batch, flying } = dispatch;
        let (sent, answered) = (batch.items.len(), outcomes.len());
        let outcomes = if sent == answered {
            outcomes
        } else {
            let reason = format!("the sink answered {answered} outcomes to {sent} items");
            vec![Outcome::Unknown(reason); sent]
        };
        let (failed_whole, asked) = failed_whole(&outcomes);
        self.scheduler.lock().answered(failed_whole, now_us, asked);
        for ((flying, item), outcome) in flying.into_iter().zip(batch.items).zip(outcomes) {
            self.land(flying, item, outcome, now_us);
        }
        self.settled_some();
    }

    fn land(&self, mut flying: Flying, item: Item, outcome: Outcome, now_us: u64) {
        let flight = &flying.flight;
        let net = flight.net.as_net();
        let past = Past {
            shape: net.shape(),
            creates: net.existence_after(false),
            existed: flying.existed,
            uncertain: flying.uncertain_until_us.is_some(),
        };
        match judge(outcome, past) {
            Fate::Settled { existed, noop } => {
                let known = known_after(flight, &item, existed);
                let settlement = Settlement {
                    verdict: Verdict::Done { existed, noop },
                    known: Some(known),
                    hold_until_us: flying.uncertain_until_us.unwrap_or(0),
                    sent_bytes: Some(flying.bytes as u64),
                    misfits: flying.misfits,
                };
                self.unbuffer(&mut flying, item);
                self.settle(&flying.flight, settlement, now_us);
            }
            Fate::Dead(reason) => {
                flying.letter = Some(reason);
                self.bury(flying, item, now_us);
            }
            Fate::PutBack { reason, after } => {
                self.counters.failed(&reason);
                let wait_us = backoff_us(flight.attempts, flight.first_seq).max(after.map_or(0, micros));
                self.unbuffer(&mut flying, item);
                self.put_back(&flying.flight, true, now_us.saturating_add(wait_us));
            }
            Fate::Repeat { reason, uncertain } => {
                self.counters.failed(&reason);
                if uncertain {
                    let until = now_us.saturating_add(self.settings.late_request_bound_us);
                    flying.uncertain_until_us = Some(until);
                }
                let due_us = now_us.saturating_add(backoff_us(item.attempt, flight.first_seq));
                self.scheduler.lock().park(due_us, flying, item);
            }
        }
    }

    /// Writes the dead letter of a rejected flight and, once it is durable, settles it. A letter that cannot
    /// be written is tried again: until then the flight stays out.
    pub(super) fn bury(&self, mut flying: Flying, mut item: Item, now_us: u64) {
        // The letter holds the net operation, which the shard has as well: the item's document can go.
        item.action = ItemAction::Net(flying.flight.net.clone());
        self.release(&mut flying);
        let reason = flying.letter.clone().unwrap_or_default();
        let letter = DeadLetter {
            index: &item.index,
            id: &item.id,
            routing: flying.flight.routing.as_deref(),
            operation: &flying.flight.net,
            reason: &reason,
            time_us: self.parts.clock.wall_us(),
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
            known: flying.uncertain_until_us.map(|_| Known::Unknown),
            hold_until_us: flying.uncertain_until_us.unwrap_or(0),
            sent_bytes: None,
            misfits: 0,
        };
        self.settle(&flying.flight, settlement, now_us);
    }

    /// Drops an item that will not go out any more, and gives back what was set aside for it.
    fn unbuffer(&self, flying: &mut Flying, item: Item) {
        drop(item);
        self.release(flying);
    }

    fn release(&self, flying: &mut Flying) {
        self.bank.memory.release_buffer(std::mem::take(&mut flying.buffered));
    }

    /// Settles a flight in its shard; tells and drops outside the lock.
    pub(super) fn settle(&self, flight: &Flight, mut settlement: Settlement, now_us: u64) {
        let mut reserved = settlement.known.as_ref().map_or(0, Known::weight);
        if !self.bank.memory.reserve(reserved) {
            reserved = 0;
            settlement.known = Some(Known::Unknown);
        }
        self.note_hold(settlement.hold_until_us);
        let verdict = settlement.verdict;
        let shard = flight.shard as usize;
        let landed =
            self.bank.with_reserved(shard, reserved, |shard| shard.settle(flight, settlement, now_us));
        let Some(landed) = landed else { return self.lost(flight) };
        for tracker in landed.trackers {
            tracker.tell(verdict);
        }
        drop(landed.garbage);
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
    fn note_hold(&self, hold_until_us: u64) {
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

/// What is known of a document after its flight was carried out.
fn known_after(flight: &Flight, item: &Item, existed: Option<bool>) -> Known {
    let routing = item.routing.clone();
    match &item.action {
        ItemAction::Put(source) => Known::Document { source: source.clone(), routing },
        ItemAction::Delete => Known::Absent,
        ItemAction::Net(net) => {
            let (source, routing) = match &flight.known {
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

/// True where not one item was taken, and the longest wait the sink asked for, in microseconds.
fn failed_whole(outcomes: &[Outcome]) -> (bool, u64) {
    let mut asked = Duration::ZERO;
    let whole = outcomes.iter().all(|outcome| match outcome {
        Outcome::Again { after, .. } => {
            asked = asked.max(after.unwrap_or_default());
            true
        }
        Outcome::Unknown(_) => true,
        _ => false,
    });
    (whole && !outcomes.is_empty(), micros(asked))
}
