//! The first half of a cycle: from the shards to a batch.
//!
//! # Design
//! Flights are taken shard by shard, a few under one hold of a lock; then each becomes an item, resolved against
//! what lies below it where the sink wants documents; then the items are put in order. What costs the same for
//! one as for many is done once a batch: looking up names, reading the base, setting memory aside, sorting.

use super::{
    Begun, Dispatch, Drain, Flying, Gathered,
    order::order,
    resolve::{Resolved, resolve, whole},
    scheduler::Step,
};
use crate::{
    BaseDocument, Batch, Error, ErrorKind, Item, ItemAction, Result, Takes,
    document::IndexId,
    shard::{Bank, Demand, Flight, Known, Room, Settlement, Taken, Verdict},
    sink::item_bytes,
};
use std::sync::Arc;

/// Flights taken under one hold of a shard's lock: a submit waits for no more than that.
const TAKE_MAX: usize = 4;

/// What becomes of a flight before it is sent, beside being made ready.
enum Prepared {
    /// Its item is the last of those that are ready.
    Ready,
    Settled(Flight, Settlement),
    /// The base could not be read now.
    Later(Flight, String),
    /// The base is damaged here, and will not get better.
    Dead(Box<(Flying, Item)>),
}

/// Flights with their items, in the order in which they were taken.
#[derive(Default)]
struct Ready {
    flying: Vec<Flying>,
    items: Vec<Item>,
    bytes: usize,
}

/// The names of the indices of a batch, each looked up once.
struct Names<'a> {
    bank: &'a Bank,
    names: Vec<Option<Arc<str>>>,
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
        let mut taken = Taken::default();
        let count = self.bank.shard_count();
        let demand = |demand: Option<&Demand>, shard: usize| match demand {
            Some(demand) => *demand,
            None => Demand::UpTo { seq: flush_to.get(shard).copied().unwrap_or(0) },
        };
        'full: for wanted in demands.iter().map(Some).chain([None]) {
            for shard in (first..count).chain(0..first.min(count)) {
                let full = self.take_from(shard, demand(wanted, shard), now_us, &mut room, &mut taken);
                if full {
                    self.scheduler.lock().stopped_at(shard);
                    break 'full;
                }
            }
        }
        let wait = self.scheduler.lock().look_again_us(now_us);
        (taken.flights, wait)
    }

    /// Takes what a shard has for a demand, a few at a time so that nobody waits long for its lock. True where it
    /// stopped for lack of room.
    fn take_from(
        &self,
        shard: usize,
        mut demand: Demand,
        now_us: u64,
        room: &mut Room,
        taken: &mut Taken,
    ) -> bool {
        loop {
            taken.prepare(TAKE_MAX);
            let (before, operations) = (taken.flights.len(), room.operations.min(TAKE_MAX));
            let mut few = Room { operations, ..*room };
            let has_more = self.bank.with(shard, |shard| shard.take(demand, now_us, &mut few, taken));
            *room = Room { bytes: few.bytes, operations: room.operations - (operations - few.operations) };
            if let Demand::Pressure { bytes } = &mut demand {
                let weight: usize = taken.flights.iter().skip(before).map(Flight::weight).sum();
                *bytes = bytes.saturating_sub(weight);
            }
            if !has_more || room.operations == 0 || room.bytes == 0 {
                return has_more;
            }
        }
    }

    /// Makes a dispatch of flights: resolved where the sink wants documents, sorted, and within a batch's
    /// bytes; what does not fit any more goes back as if it had not been taken.
    fn prepare(&self, flights: Vec<Flight>, now_us: u64) -> Gathered {
        let first_sent = flights.iter().filter(|flight| flight.attempts == 0);
        if let Some(oldest_us) = first_sent.map(|flight| flight.arrived_us).min() {
            self.counters.waited(now_us.saturating_sub(oldest_us));
        }
        let mut names = Names { bank: &self.bank, names: Vec::new() };
        let mut read = self.read_below(&flights, &mut names).into_iter();
        let (mut ready, mut is_full) = (Ready::with_capacity(flights.len()), false);
        for flight in flights {
            let below = if self.asks(&flight) { read.next().transpose() } else { Ok(None) };
            if is_full {
                self.put_back(&flight, false, 0);
                continue;
            }
            match self.prepare_one(flight, below, &mut names, &mut ready) {
                Prepared::Ready => {
                    if ready.bytes > self.settings.pace.batch_bytes && ready.items.len() > 1 {
                        is_full = true;
                        self.take_back(&mut ready);
                    }
                }
                Prepared::Settled(flight, settlement) => self.settle_one(flight, settlement, now_us),
                Prepared::Later(flight, reason) => {
                    self.counters.failed(&reason);
                    let wait_us = super::retry::backoff_us(flight.attempts, flight.first_seq);
                    self.put_back(&flight, true, now_us + wait_us);
                }
                Prepared::Dead(pair) => self.bury(pair.0, pair.1, now_us),
            }
        }
        is_full |= !self.buffer(&mut ready);
        match self.dispatch(ready) {
            Some(dispatch) => Gathered::Dispatch(dispatch),
            None if is_full => Gathered::Crowded,
            None => Gathered::Nothing,
        }
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
        let item = |position: u32| items.get_mut(position as usize).and_then(Option::take);
        let batch = Batch { items: order.into_iter().filter_map(item).collect(), bytes };
        Some(Dispatch { batch, flying, places })
    }

    /// Flights that were parked: those with a reason are buried, the others go out as they are.
    fn send_again(&self, again: Vec<(Flying, Item)>) -> Option<Dispatch> {
        let now_us = self.parts.clock.now_us();
        let mut ready = Ready::with_capacity(again.len());
        for (flying, mut item) in again {
            if flying.letter.is_some() {
                self.bury(flying, item, now_us);
                continue;
            }
            item.attempt += 1;
            self.counters.repeated();
            ready.push(flying, item);
        }
        self.dispatch(ready)
    }

    /// True where it matters what lies below a flight, and the shard does not know.
    fn asks(&self, flight: &Flight) -> bool {
        self.takes == Takes::Documents
            && self.parts.base.is_some()
            && matches!(flight.known, Known::Unknown)
            && (flight.needs_the_bit || !flight.net.as_net().decides())
    }

    /// Reads what lies below the flights that ask for it, in one call; an answer for each.
    fn read_below(&self, flights: &[Flight], names: &mut Names<'_>) -> Vec<Result<Known>> {
        let asking: Vec<&Flight> = flights.iter().filter(|flight| self.asks(flight)).collect();
        let Some(base) = self.parts.base.as_ref().filter(|_| !asking.is_empty()) else { return Vec::new() };
        let indices: Vec<Arc<str>> = asking.iter().map(|flight| names.name(flight.index)).collect();
        let keys: Vec<(&str, &str)> =
            indices.iter().zip(&asking).map(|(name, f)| (&**name, &*f.id)).collect();
        let too_few = || Err(Error::new(ErrorKind::Io, "the base gave too few answers"));
        let mut answers: Vec<Result<Known>> =
            base.read(&keys).into_iter().map(|found| found.map(known)).take(keys.len()).collect();
        answers.resize_with(keys.len(), too_few);
        answers
    }

    /// Makes a flight ready, or says what else becomes of it. `read`: what the base has, where it was asked.
    fn prepare_one(
        &self,
        flight: Flight,
        read: Result<Option<Known>>,
        names: &mut Names<'_>,
        ready: &mut Ready,
    ) -> Prepared {
        if self.takes == Takes::NetOperations {
            let action = whole(&flight.net).unwrap_or_else(|| ItemAction::Net(flight.net.clone()));
            let routing = flight.routing.clone();
            ready.fly(flight, action, routing, names);
            return Prepared::Ready;
        }
        let below = match read {
            Ok(Some(read)) => read,
            Ok(None) => flight.known.clone(),
            // What lies below is damaged. What does not need it goes out: it mends the damage.
            Err(error) if flight.net.as_net().decides() => {
                self.counters.failed(&error.to_string());
                Known::Unknown
            }
            Err(error) if error.kind() == ErrorKind::Damaged => {
                let action = ItemAction::Net(flight.net.clone());
                let routing = flight.routing.clone();
                let (mut flying, item) = fly(flight, action, routing, names);
                flying.letter = Some(format!("the document below it cannot be read: {error}"));
                return Prepared::Dead(Box::new((flying, item)));
            }
            Err(error) => return Prepared::Later(flight, error.to_string()),
        };
        match resolve(&flight.net, flight.routing.as_deref(), &below) {
            Resolved::Send { action, routing, existed, misfits } => {
                let flying = ready.fly(flight, action, routing, names);
                if let Some(flying) = flying {
                    (flying.existed, flying.misfits) = (existed, misfits);
                }
                Prepared::Ready
            }
            Resolved::Settled { existed, noop, misfits } => {
                let verdict = Verdict::Done { existed: Some(existed), noop };
                let known = Some(if existed { below } else { Known::Absent });
                let settlement = Settlement { verdict, known, hold_until_us: 0, sent_bytes: None, misfits };
                Prepared::Settled(flight, settlement)
            }
        }
    }
}

impl Ready {
    fn with_capacity(count: usize) -> Self {
        Self { flying: Vec::with_capacity(count), items: Vec::with_capacity(count), bytes: 0 }
    }

    fn push(&mut self, flying: Flying, item: Item) {
        self.bytes += flying.bytes;
        self.flying.push(flying);
        self.items.push(item);
    }

    /// Adds a flight with its item.
    fn fly(
        &mut self,
        flight: Flight,
        action: ItemAction,
        routing: Option<Box<str>>,
        names: &mut Names<'_>,
    ) -> Option<&mut Flying> {
        let (flying, item) = fly(flight, action, routing, names);
        self.push(flying, item);
        self.flying.last_mut()
    }
}

impl Names<'_> {
    fn name(&mut self, index: IndexId) -> Arc<str> {
        let at = index.0 as usize;
        if self.names.len() <= at {
            self.names.resize(at + 1, None);
        }
        let bank = self.bank;
        match self.names.get_mut(at) {
            Some(name) => Arc::clone(name.get_or_insert_with(|| bank.indices.name(index))),
            None => bank.indices.name(index),
        }
    }
}

/// A flight and its item.
fn fly(
    flight: Flight,
    action: ItemAction,
    routing: Option<Box<str>>,
    names: &mut Names<'_>,
) -> (Flying, Item) {
    let repeatable = match &action {
        ItemAction::Put(_) | ItemAction::Delete => true,
        ItemAction::Net(net) => net.is_repeatable(),
    };
    let item = Item {
        index: names.name(flight.index),
        id: flight.id.clone().into(),
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
        existed: None,
        bytes,
        is_buffered: false,
        misfits: 0,
        uncertain_until_us: None,
        letter: None,
    };
    (flying, item)
}

fn known(found: Option<BaseDocument>) -> Known {
    match found {
        Some(BaseDocument { source: Some(source), routing, .. }) => Known::Document { source, routing },
        _ => Known::Absent,
    }
}
