//! The first half of a cycle: from the shards to a batch.

use super::{
    Begun, Dispatch, Drain, Flying, Gathered,
    resolve::{Resolved, resolve, whole},
    scheduler::Step,
    sort,
};
use crate::{
    BaseDocument, Batch, Error, ErrorKind, Item, ItemAction, Result, Takes,
    shard::{Demand, Flight, Known, Room, Settlement, Verdict},
    sink::item_bytes,
};
use std::sync::Arc;

/// What becomes of a flight before it is sent.
enum Prepared {
    Ready(Box<(Flying, Item)>),
    Settled(Flight, Settlement),
    /// The base could not be read now.
    Later(Flight, String),
    /// The base is damaged here, and will not get better.
    Dead(Box<(Flying, Item)>),
}

impl Drain {
    /// Finds something to do: the first half of a cycle.
    pub(crate) fn begin(&self) -> Result<Begun> {
        loop {
            self.bank.latch.check()?;
            if let Err(error) = self.keep_ceiling_ahead() {
                self.counters.failed(&error.to_string());
            }
            let now_us = self.parts.clock.now_us();
            let pressure = self.bank.memory.pressure();
            let step = self.scheduler.lock().next(now_us, pressure);
            let (flights, wait) = match step {
                Step::Pause { until_us } => return Ok(Begun::Wait { until_us }),
                Step::Again(again) => match self.send_again(again) {
                    Some(dispatch) => return Ok(Begun::Dispatch(dispatch)),
                    None => continue,
                },
                Step::Take { demands, first, flush_to } => self.take(now_us, &demands, first, &flush_to),
            };
            if flights.is_empty() {
                return Ok(Begun::Wait { until_us: wait });
            }
            match self.prepare(flights, now_us) {
                Gathered::Dispatch(dispatch) => return Ok(Begun::Dispatch(dispatch)),
                Gathered::Crowded => return Ok(Begun::Wait { until_us: wait }),
                Gathered::Nothing => {}
            }
        }
    }

    /// Walks the shards, a demand at a time, until a batch is full. Also: when to look again.
    fn take(&self, now_us: u64, demands: &[Demand], first: usize, flush_to: &[u64]) -> (Vec<Flight>, u64) {
        let mut room =
            Room { bytes: self.settings.pace.batch_bytes, operations: self.settings.pace.batch_operations };
        let mut flights = Vec::new();
        let count = self.bank.shard_count();
        let demand = |demand: Option<&Demand>, shard: usize| match demand {
            Some(demand) => *demand,
            None => Demand::UpTo { seq: flush_to.get(shard).copied().unwrap_or(0) },
        };
        'full: for wanted in demands.iter().map(Some).chain([None]) {
            for shard in (first..count).chain(0..first.min(count)) {
                let full =
                    self.bank.with(shard, |s| s.take(demand(wanted, shard), now_us, &mut room, &mut flights));
                if full {
                    self.scheduler.lock().stopped_at(shard);
                    break 'full;
                }
            }
        }
        let wait = self.scheduler.lock().look_again_us(now_us);
        (flights, wait)
    }

    /// Makes a dispatch of flights: resolved where the sink wants documents, sorted, and within a batch's
    /// bytes; what does not fit any more goes back as if it had not been taken.
    fn prepare(&self, flights: Vec<Flight>, now_us: u64) -> Gathered {
        for flight in flights.iter().filter(|flight| flight.attempts == 0) {
            self.counters.waited(now_us.saturating_sub(flight.arrived_us));
        }
        let below = self.read_below(&flights);
        let (mut ready, mut bytes, mut is_full) = (Vec::new(), 0, false);
        for (flight, below) in flights.into_iter().zip(below) {
            if is_full {
                self.put_back(&flight, false, 0);
                continue;
            }
            match self.prepare_one(flight, below) {
                Prepared::Ready(mut pair) => {
                    let size = pair.0.bytes;
                    let fits = ready.is_empty() || bytes + size <= self.settings.pace.batch_bytes;
                    if fits && self.bank.memory.reserve_buffer(size) {
                        pair.0.buffered = size;
                        bytes += size;
                        ready.push(*pair);
                    } else {
                        is_full = true;
                        self.put_back(&pair.0.flight, false, 0);
                    }
                }
                Prepared::Settled(flight, settlement) => self.settle(&flight, settlement, now_us),
                Prepared::Later(flight, reason) => {
                    self.counters.failed(&reason);
                    let wait_us = super::retry::backoff_us(flight.attempts, flight.first_seq);
                    self.put_back(&flight, true, now_us + wait_us);
                }
                Prepared::Dead(pair) => self.bury(pair.0, pair.1, now_us),
            }
        }
        match self.dispatch(ready) {
            Some(dispatch) => Gathered::Dispatch(dispatch),
            None if is_full => Gathered::Crowded,
            None => Gathered::Nothing,
        }
    }

    fn dispatch(&self, mut ready: Vec<(Flying, Item)>) -> Option<Dispatch> {
        if ready.is_empty() {
            self.settled_some();
            return None;
        }
        sort(&mut ready);
        let bytes = ready.iter().map(|(flying, _)| flying.bytes).sum();
        let (flying, items) = ready.into_iter().unzip();
        Some(Dispatch { batch: Batch { items, bytes }, flying })
    }

    /// Flights that were parked: those with a reason are buried, the others go out as they are.
    fn send_again(&self, again: Vec<(Flying, Item)>) -> Option<Dispatch> {
        let now_us = self.parts.clock.now_us();
        let (letters, mut repeats): (Vec<_>, Vec<_>) =
            again.into_iter().partition(|(flying, _)| flying.letter.is_some());
        for (flying, item) in letters {
            self.bury(flying, item, now_us);
        }
        for (_, item) in &mut repeats {
            item.attempt += 1;
            self.counters.repeated();
        }
        self.dispatch(repeats)
    }

    /// Reads what lies below the flights for which it matters and is not known; in one call.
    fn read_below(&self, flights: &[Flight]) -> Vec<Result<Known>> {
        let asks = |flight: &Flight| {
            let needs = !flight.net.as_net().decides() || flight.needs_the_bit;
            self.takes == Takes::Documents && needs && matches!(flight.known, Known::Unknown)
        };
        let Some(base) = self.parts.base.as_ref().filter(|_| flights.iter().any(asks)) else {
            return flights.iter().map(|flight| Ok(flight.known.clone())).collect();
        };
        let asked = || flights.iter().filter(|flight| asks(flight));
        let names: Vec<Arc<str>> = asked().map(|flight| self.bank.indices.name(flight.index)).collect();
        let keys: Vec<(&str, &str)> = names.iter().zip(asked()).map(|(name, f)| (&**name, &*f.id)).collect();
        let mut answers = base.read(&keys).into_iter();
        let below = |flight: &Flight| match asks(flight).then(|| answers.next()) {
            Some(Some(found)) => found.map(known),
            Some(None) => Err(Error::new(ErrorKind::Io, "the base gave too few answers")),
            None => Ok(flight.known.clone()),
        };
        flights.iter().map(below).collect()
    }

    fn prepare_one(&self, flight: Flight, below: Result<Known>) -> Prepared {
        let net = &flight.net;
        let below = match below {
            Ok(below) if self.takes == Takes::Documents => below,
            Ok(_) => {
                let action = whole(net).unwrap_or_else(|| ItemAction::Net(flight.net.clone()));
                let routing = flight.routing.clone();
                return Prepared::Ready(Box::new(self.fly(flight, action, routing, None)));
            }
            // What lies below is damaged. What does not need it goes out: it mends the damage.
            Err(error) if net.as_net().decides() => {
                self.counters.failed(&error.to_string());
                Known::Unknown
            }
            Err(error) if error.kind() == ErrorKind::Damaged => {
                let action = ItemAction::Net(flight.net.clone());
                let routing = flight.routing.clone();
                let (mut flying, item) = self.fly(flight, action, routing, None);
                flying.letter = Some(format!("the document below it cannot be read: {error}"));
                return Prepared::Dead(Box::new((flying, item)));
            }
            Err(error) => return Prepared::Later(flight, error.to_string()),
        };
        match resolve(net, flight.routing.as_deref(), &below) {
            Resolved::Send { action, routing, existed, misfits } => {
                let (mut flying, item) = self.fly(flight, action, routing, existed);
                flying.misfits = misfits;
                Prepared::Ready(Box::new((flying, item)))
            }
            Resolved::Settled { existed, noop, misfits } => {
                let verdict = Verdict::Done { existed: Some(existed), noop };
                let known = Some(if existed { below } else { Known::Absent });
                let settlement = Settlement { verdict, known, hold_until_us: 0, sent_bytes: None, misfits };
                Prepared::Settled(flight, settlement)
            }
        }
    }

    fn fly(
        &self,
        flight: Flight,
        action: ItemAction,
        routing: Option<Box<str>>,
        existed: Option<bool>,
    ) -> (Flying, Item) {
        let repeatable = match &action {
            ItemAction::Put(_) | ItemAction::Delete => true,
            ItemAction::Net(net) => net.is_repeatable(),
        };
        let item = Item {
            index: self.bank.indices.name(flight.index),
            id: flight.id.as_str().into(),
            routing,
            action,
            first_seq: flight.first_seq,
            last_seq: flight.last_seq,
            operations: flight.operations,
            repeatable,
            attempt: 0,
        };
        let bytes = item_bytes(&item);
        let flying = Flying {
            flight,
            existed,
            bytes,
            buffered: 0,
            misfits: 0,
            uncertain_until_us: None,
            letter: None,
        };
        (flying, item)
    }
}

fn known(found: Option<BaseDocument>) -> Known {
    match found {
        Some(BaseDocument { source: Some(source), routing, .. }) => Known::Document { source, routing },
        _ => Known::Absent,
    }
}
