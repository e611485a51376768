//! The shard as a plain machine: no lock, no clock, no thread.

use super::{
    Accepted, Demand, Flight, Garbage, Incoming, LATER_MAX, Pick, RUN_MAX, Refusal, Room, Settlement, Shard,
    Status, Taken, TicketCell,
    slot::{ENTRY_BYTES, EXTRA_BYTES, Known, SLOT_BYTES},
    tally::{Kind, Verdict},
};
use crate::{
    Action, NetOperation,
    document::IndexId,
    merge::{NetRef, encode},
};
use bytes::Bytes;
use std::sync::Arc;

#[cfg(shuttle)]
mod interleavings;
mod model;
mod restoring;
mod sweep;

const INDEX: IndexId = IndexId(0);
const PLENTY: Room<'_> = Room { bytes: usize::MAX, operations: usize::MAX, pick: Pick::Except(&[]) };

/// A shard, and the time that its tests pass in.
struct Bench {
    shard: Shard,
    now_us: u64,
    ceiling: u64,
    room: usize,
    /// Looks at the whole shard before and after each call: not where a test makes many.
    looks: bool,
}

impl Bench {
    fn new() -> Self {
        Self { shard: Shard::new(3, 100, 1 << 20), now_us: 0, ceiling: u64::MAX, room: 1 << 20, looks: true }
    }

    fn offer(
        &mut self,
        id: &str,
        routing: Option<&str>,
        action: Action<'_>,
        ticket: Option<&Arc<TicketCell>>,
    ) -> Result<Accepted, Refusal> {
        let mut encoded = Vec::new();
        encode(action, &mut encoded).expect("a good operation");
        let before = self.looks.then(|| (format!("{:?}", self.shard), self.read(id)));
        let accepted = self.shard.submit(&Incoming {
            tag: tag(id),
            index: INDEX,
            id,
            routing,
            kind: Kind::of(action),
            net: NetRef::from_bytes(&encoded),
            ticket,
            now_us: self.now_us,
            stamp_us: self.now_us,
            ceiling: self.ceiling,
            bytes: encoded.len(),
            room: self.room,
        });
        if let (Some(before), true) = (before, accepted.is_err()) {
            let same = |text: &str| text.split("scratch: [").next().map(str::to_owned);
            assert_eq!(same(&format!("{:?}", self.shard)), same(&before.0), "a refusal changes nothing");
            assert_eq!(self.read(id), before.1);
        }
        self.check();
        accepted
    }

    fn submit(&mut self, id: &str, action: Action<'_>) -> u64 {
        self.offer(id, None, action, None).expect("accepted").seq
    }

    fn update(&mut self, id: &str, body: &str) -> u64 {
        self.submit(id, Action::Update(body.as_bytes()))
    }

    fn take(&mut self, demand: Demand) -> Vec<Flight> {
        let (mut room, mut taken) = (PLENTY, Taken::default());
        // Some fit in the chunk, and some do not.
        taken.prepare(1);
        let stopped = self.shard.take(demand, self.now_us, &mut room, &mut taken);
        assert!(!stopped || matches!(demand, Demand::Pressure { .. }), "there was room");
        self.check();
        taken.flights
    }

    fn take_all(&mut self) -> Vec<Flight> {
        self.take(Demand::UpTo { seq: u64::MAX })
    }

    fn settle(&mut self, flight: &Flight, known: Option<Known>) -> bool {
        self.land(flight, Verdict::Done { existed: Some(false), noop: false }, known, 0)
    }

    fn land(&mut self, flight: &Flight, verdict: Verdict, known: Option<Known>, hold_until_us: u64) -> bool {
        let settlement = Settlement { verdict, known, hold_until_us, sent_bytes: Some(10), misfits: 0 };
        let landed = self.shard.settle(flight, settlement, self.now_us, &mut Garbage::default());
        self.check();
        let was_out = landed.is_some();
        for tracker in landed.into_iter().flatten() {
            tracker.tell(verdict);
        }
        was_out
    }

    fn put_back(&mut self, flight: &Flight) -> bool {
        let garbage = self.shard.put_back(flight, true, 0);
        self.check();
        garbage.is_some()
    }

    /// The document that a reader sees over nothing.
    fn read(&self, id: &str) -> Option<String> {
        let layers = self.shard.layers(tag(id), INDEX, id);
        let known = match layers.known {
            Known::Document { source, .. } => Some(source),
            Known::Unknown | Known::Absent => None,
        };
        let apply = |base: Option<Bytes>, net: &NetOperation| net.apply(base.as_deref()).document;
        let document = layers.layers.iter().fold(known, |base, layer| apply(base, &layer.net));
        document.map(|text| String::from_utf8_lossy(&text).into_owned())
    }

    fn check(&self) {
        if !self.looks {
            return;
        }
        assert_eq!(self.shard.validate(), Ok(()));
    }
}

/// Three tags for all keys: collisions are met.
fn tag(id: &str) -> u32 {
    id.bytes().map(u32::from).sum::<u32>() % 3
}

fn ids(flights: &[Flight]) -> Vec<&str> {
    flights.iter().map(|flight| &*flight.id).collect()
}

fn document(text: &'static str) -> Known {
    Known::Document { source: Bytes::from_static(text.as_bytes()), routing: None }
}

const COUNT: &str = r#"{"inc":{"n":1},"upsert":{"n":1}}"#;

#[test]
fn operations_on_a_key_fold_into_one_entry() {
    let mut bench = Bench::new();
    let first = bench.update("a", COUNT);
    bench.update("a", COUNT);
    let last = bench.update("a", COUNT);
    assert_eq!((bench.shard.pending_documents(), bench.shard.counts(INDEX).folded), (1, 2));
    assert_eq!(bench.read("a").as_deref(), Some(r#"{"n":3}"#));
    let flights = bench.take_all();
    assert_eq!(flights.len(), 1);
    assert_eq!((flights[0].first_seq, flights[0].last_seq, flights[0].operations), (first, last, 3));
    assert_eq!(bench.read("a").as_deref(), Some(r#"{"n":3}"#), "a flight stays readable");
}

#[test]
fn sequence_numbers_rise_by_the_stamp_and_stay_below_the_ceiling() {
    let mut bench = Bench::new();
    assert_eq!(bench.update("a", COUNT), 101, "above the floor, whatever the clock says");
    bench.now_us = 500;
    assert_eq!((bench.update("a", COUNT), bench.update("b", COUNT)), (500, 501));
    bench.now_us = 400;
    assert_eq!(bench.update("a", COUNT), 502);
    bench.shard.raise(600);
    assert_eq!(bench.update("a", COUNT), 601);
    bench.ceiling = 603;
    bench.now_us = 10_000;
    assert_eq!(bench.update("a", COUNT), 602);
    let action = Action::Update(COUNT.as_bytes());
    assert_eq!(bench.offer("c", None, action, None), Err(Refusal::SeqExhausted));
    assert_eq!(bench.shard.first_unsettled(), Some(101));
}

#[test]
fn another_routing_queues_up_to_its_bound_and_then_is_refused() {
    let mut bench = Bench::new();
    for n in 0..=LATER_MAX {
        let accepted = bench.offer("a", Some(["x", "y"][n % 2]), Action::Delete, None).unwrap();
        assert_eq!(accepted.urgent, n > 0);
    }
    let next = Some(["x", "y"][(LATER_MAX + 1) % 2]);
    assert_eq!(bench.offer("a", next, Action::Delete, None), Err(Refusal::Busy));
    // The topmost entry still folds, and other keys are not in the way.
    let top = Some(["x", "y"][LATER_MAX % 2]);
    assert!(bench.offer("a", top, Action::Delete, None).unwrap().urgent);
    bench.submit("b", Action::Delete);
    for n in 0..=LATER_MAX {
        let flights = bench.take(Demand::Urgent);
        assert_eq!(ids(&flights), ["a"]);
        assert_eq!(flights[0].routing(), Some(["x", "y"][n % 2]));
        assert!(bench.take(Demand::Urgent).is_empty(), "one flight of a key at a time");
        assert!(bench.settle(&flights[0], None));
    }
    assert_eq!(ids(&bench.take_all()), ["b"]);
}

#[test]
fn a_run_that_cannot_fold_any_further_queues_behind() {
    let mut bench = Bench::new();
    let mut queued = 0;
    for n in 0..RUN_MAX * (LATER_MAX + 1) {
        // Appends and subtractions do not fold with each other.
        let body = format!(r#"{{"{}":{{"l":[{n}]}}}}"#, ["append", "subtract"][n % 2]);
        let accepted = bench.offer("a", None, Action::Update(body.as_bytes()), None).unwrap();
        queued += usize::from(accepted.urgent);
    }
    assert!(queued >= LATER_MAX * RUN_MAX - RUN_MAX, "{queued}");
    let body = Action::Update(br#"{"append":{"l":[0]}}"#);
    assert_eq!(bench.offer("a", None, body, None), Err(Refusal::Busy));
    // A put folds with anything.
    bench.submit("a", Action::Index(b"{}"));
}

#[test]
fn a_fold_that_needs_more_than_its_room_is_refused_with_what_it_needs() {
    let mut bench = Bench::new();
    bench.submit("a", Action::Index(format!("{{\"pad\":\"{}\"}}", "x".repeat(1_000)).as_bytes()));
    let body = format!("{{\"doc\":{{\"more\":\"{}\"}}}}", "y".repeat(500));
    bench.room = 100;
    let refused = bench.offer("a", None, Action::Update(body.as_bytes()), None).unwrap_err();
    let Refusal::Cramped { bytes } = refused else { panic!("{refused:?}") };
    assert!((500..700).contains(&bytes), "{bytes}");
    bench.room = bytes;
    let before = bench.shard.weight().total;
    bench.update("a", &body);
    assert_eq!(bench.shard.weight().total, before + bytes, "exactly, without slack");
    bench.room = 1 << 20;
    let before = bench.shard.weight().total;
    bench.update("a", r#"{"doc":{"one":1}}"#);
    let slack = bench.shard.weight().total - before;
    assert!(slack > 100 && slack < 300, "an eighth where there is room: {slack}");
}

#[test]
fn no_submit_grows_a_shard_beyond_its_room() {
    let mut bench = Bench::new();
    let ticket = Arc::new(TicketCell::default());
    for n in 0..500_usize {
        let id = format!("k{}", n % 5);
        let body = format!("{{\"append\":{{\"l\":[{n}]}},\"inc\":{{\"n\":1e27}},\"doc_as_upsert\":true}}");
        let action = Action::Update(body.as_bytes());
        let net = NetOperation::new(action).unwrap();
        let tracked = (n % 3 > 0).then_some(&ticket);
        let routing = (n % 7 == 0).then_some("r");
        bench.room = 2 * net.as_net().as_bytes().len() + if tracked.is_some() { 500 } else { 300 };
        let before = bench.shard.weight().total;
        match bench.offer(&id, routing, action, tracked) {
            Ok(_) => assert!(bench.shard.weight().total <= before + bench.room, "operation {n}"),
            Err(Refusal::Cramped { bytes }) => assert!(bytes > bench.room),
            Err(Refusal::Busy) => {
                let before = bench.shard.weight().total;
                let flights = bench.take_all();
                assert!(bench.shard.weight().total <= before, "taking needs no memory");
                for flight in &flights {
                    bench.put_back(flight);
                }
                assert!(bench.shard.weight().total <= before, "nor does putting back");
                for flight in &bench.take_all() {
                    bench.settle(flight, None);
                }
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn due_takes_by_age_and_only_what_is_due() {
    let mut bench = Bench::new();
    for (at, id) in [(10, "a"), (20, "b"), (30, "c"), (40, "a")] {
        bench.now_us = at;
        bench.update(id, COUNT);
    }
    assert_eq!(bench.shard.oldest_us(), Some(10));
    assert!(bench.take(Demand::Due { arrived_us: 9 }).is_empty());
    assert_eq!(ids(&bench.take(Demand::Due { arrived_us: 20 })), ["a", "b"]);
    assert_eq!(ids(&bench.take(Demand::Due { arrived_us: 30 })), ["c"]);
}

#[test]
fn pressure_takes_the_least_recently_written_and_about_as_much_as_it_wants() {
    let mut bench = Bench::new();
    for id in ["a", "b", "c", "d", "a", "b"] {
        bench.update(id, COUNT);
    }
    assert_eq!(ids(&bench.take(Demand::Pressure { bytes: 1 })), ["c"]);
    assert_eq!(ids(&bench.take(Demand::Pressure { bytes: SLOT_BYTES + ENTRY_BYTES + 200 })), ["d", "a"]);
    assert_eq!(ids(&bench.take(Demand::Pressure { bytes: usize::MAX })), ["b"]);
}

#[test]
fn a_flush_takes_what_it_covers_in_order_of_age() {
    let mut bench = Bench::new();
    bench.update("b", COUNT);
    let target = bench.update("a", COUNT);
    bench.update("c", COUNT);
    bench.update("a", COUNT);
    assert_eq!(ids(&bench.take(Demand::UpTo { seq: target })), ["b", "a"]);
    assert_eq!(ids(&bench.take_all()), ["c"]);
}

#[test]
fn a_take_stops_where_its_room_ends_and_says_so() {
    let mut bench = Bench::new();
    for id in ["a", "b", "c"] {
        bench.update(id, COUNT);
    }
    let mut taken = Taken::default();
    let mut room = Room { operations: 2, ..PLENTY };
    assert!(bench.shard.take(Demand::UpTo { seq: u64::MAX }, 0, &mut room, &mut taken));
    assert_eq!(ids(&taken.flights), ["a", "b"]);
    // One that is larger than all of it still goes.
    let mut room = Room { bytes: 1, operations: 2, ..PLENTY };
    assert!(!bench.shard.take(Demand::UpTo { seq: u64::MAX }, 0, &mut room, &mut taken));
    assert_eq!(ids(&taken.flights), ["a", "b", "c"]);
}

#[test]
fn nothing_of_a_key_is_taken_while_its_flight_is_out_or_its_hold_lasts() {
    let mut bench = Bench::new();
    bench.update("a", COUNT);
    let flights = bench.take_all();
    bench.update("a", COUNT);
    assert!(bench.take_all().is_empty());
    let done = Verdict::Done { existed: None, noop: false };
    assert!(bench.land(&flights[0], done, Some(Known::Unknown), 1_000));
    assert!(bench.take_all().is_empty());
    bench.now_us = 999;
    assert!(bench.take_all().is_empty());
    bench.now_us = 1_000;
    assert_eq!(ids(&bench.take_all()), ["a"]);
}

#[test]
fn a_flight_is_settled_by_its_seq_and_never_by_its_key() {
    let mut bench = Bench::new();
    bench.update("a", COUNT);
    let old = bench.take_all().remove(0);
    assert!(bench.put_back(&old));
    bench.update("a", COUNT);
    let new = bench.take_all().remove(0);
    assert!(!bench.settle(&old, None) && !bench.put_back(&old), "it is not out any more");
    assert_eq!(bench.read("a").as_deref(), Some(r#"{"n":2}"#));
    assert!(bench.settle(&new, None) && !bench.settle(&new, None) && !bench.put_back(&new));
    assert_eq!((bench.read("a"), bench.shard.weight().total), (None, 0));
}

#[test]
fn what_is_put_back_goes_under_what_is_newer_and_keeps_its_age() {
    let mut bench = Bench::new();
    bench.now_us = 10;
    bench.submit("a", Action::Index(br#"{"n":1}"#));
    bench.now_us = 20;
    bench.update("b", COUNT);
    let flight = bench.take(Demand::Due { arrived_us: 10 }).remove(0);
    bench.now_us = 30;
    bench.update("a", COUNT);
    assert!(bench.put_back(&flight));
    assert_eq!(bench.read("a").as_deref(), Some(r#"{"n":2}"#));
    assert_eq!((bench.shard.oldest_us(), bench.shard.first_unsettled()), (Some(10), Some(flight.first_seq)));
    let flights = bench.take_all();
    assert_eq!(ids(&flights), ["a", "b"]);
    assert_eq!((flights[0].operations, flights[0].attempts(), bench.shard.oldest_us()), (2, 1, Some(10)));
    assert_eq!(bench.shard.counts(INDEX).put_back, 1);
}

#[test]
fn what_is_put_back_under_another_routing_stays_apart() {
    let mut bench = Bench::new();
    bench.offer("a", Some("x"), Action::Update(COUNT.as_bytes()), None).unwrap();
    let flight = bench.take_all().remove(0);
    bench.offer("a", Some("y"), Action::Update(COUNT.as_bytes()), None).unwrap();
    assert!(bench.put_back(&flight));
    assert_eq!(bench.read("a").as_deref(), Some(r#"{"n":2}"#));
    let flight = bench.take(Demand::Urgent).remove(0);
    assert_eq!(flight.routing(), Some("x"));
    assert!(bench.settle(&flight, None));
    assert_eq!(bench.take(Demand::Urgent).remove(0).routing(), Some("y"));
}

#[test]
fn a_status_holds_through_folding_and_putting_back() {
    let mut bench = Bench::new();
    let tickets = [(); 4].map(|()| Arc::new(TicketCell::default()));
    let track = |bench: &mut Bench, n: usize, action| {
        bench.offer("a", None, action, Some(&tickets[n])).unwrap();
    };
    track(&mut bench, 0, Action::Create(b"{}"));
    track(&mut bench, 1, Action::Delete);
    let flight = bench.take_all().remove(0);
    track(&mut bench, 2, Action::Update(br#"{"doc":{"n":1}}"#));
    track(&mut bench, 3, Action::Create(b"{}"));
    assert!(bench.put_back(&flight));
    let flight = bench.take_all().remove(0);
    assert!(bench.land(&flight, Verdict::Done { existed: Some(true), noop: false }, None, 0));
    let told = tickets.map(|cell| super::Ticket::new(0, cell, Arc::default()).status());
    let expected = [Status::Conflict, Status::Deleted, Status::NotFound, Status::Created];
    assert_eq!(told, expected.map(Some));
    assert_eq!((bench.shard.counts(INDEX).conflicts, bench.shard.counts(INDEX).not_found), (1, 1));
}

#[test]
fn a_settled_document_stays_known_until_it_is_evicted_least_recently_settled_first() {
    let mut bench = Bench::new();
    for id in ["a", "b", "c"] {
        bench.submit(id, Action::Index(br#"{"n":1}"#));
    }
    for flight in &bench.take_all() {
        assert!(bench.settle(flight, Some(document(r#"{"n":1}"#))));
    }
    assert_eq!(bench.shard.weight().clean, bench.shard.weight().total);
    // Written again, it is not clean, and folds over what is known.
    bench.update("a", COUNT);
    assert_eq!(bench.read("a").as_deref(), Some(r#"{"n":2}"#));
    drop(bench.shard.evict_clean(1, bench.now_us));
    bench.check();
    assert_eq!((bench.read("b"), bench.read("c").as_deref()), (None, Some(r#"{"n":1}"#)));
    drop(bench.shard.evict_clean(usize::MAX, bench.now_us));
    bench.check();
    assert_eq!((bench.read("c"), bench.read("a").as_deref()), (None, Some(r#"{"n":2}"#)));
    assert_eq!(bench.shard.weight().clean, 0);
}

#[test]
fn a_held_key_is_not_evicted_before_its_hold_is_over() {
    let mut bench = Bench::new();
    bench.submit("a", Action::Delete);
    let flight = bench.take_all().remove(0);
    let done = Verdict::Done { existed: None, noop: false };
    assert!(bench.land(&flight, done, Some(Known::Unknown), 50));
    drop(bench.shard.evict_clean(usize::MAX, 49));
    assert!(bench.shard.weight().clean > 0, "or what comes next would not be held");
    drop(bench.shard.evict_clean(usize::MAX, 50));
    bench.check();
    assert_eq!(bench.shard.weight().total, 0);
}

#[test]
fn what_is_known_stays_within_its_share() {
    const KNOWN: usize = SLOT_BYTES + EXTRA_BYTES + 10;
    let mut bench = Bench { shard: Shard::new(0, 0, 3 * KNOWN), ..Bench::new() };
    for n in 0..50 {
        bench.submit(&format!("k{n}"), Action::Index(br#"{"n":1}"#));
        for flight in &bench.take_all() {
            assert!(bench.settle(flight, Some(document(r#"{"n":1}"#))));
        }
        assert!(bench.shard.weight().clean <= 3 * KNOWN);
    }
    assert!(bench.shard.weight().clean > KNOWN);
}

#[test]
fn a_sealed_shard_takes_nothing_and_drains_on() {
    let mut bench = Bench::new();
    bench.update("a", COUNT);
    bench.shard.seal();
    assert_eq!(bench.offer("b", None, Action::Delete, None), Err(Refusal::Sealed));
    let flight = bench.take_all().remove(0);
    assert!(bench.settle(&flight, None));
    assert_eq!(bench.shard.first_unsettled(), None);
}

#[test]
fn an_abandoned_shard_gives_everything_unsettled_in_order_and_is_empty() {
    let mut bench = Bench::new();
    bench.update("a", COUNT);
    let _out = bench.take_all();
    bench.update("a", COUNT);
    bench.offer("a", Some("r"), Action::Delete, None).unwrap();
    let left = bench.shard.abandon();
    assert!(left.is_sorted_by_key(|left| left.first_seq));
    assert_eq!(left.iter().map(|left| left.operations).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!((bench.shard.weight().total, bench.shard.counts(INDEX).pending_bytes), (0, 0));
    assert_eq!(bench.offer("a", None, Action::Delete, None), Err(Refusal::Sealed));
    assert!(bench.shard.last_seq() >= left[2].last_seq);
}
