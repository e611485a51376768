//! Random calls against a naive model: a list of all operations per key.

use super::{Bench, COUNT, document, ids};
use crate::{
    Action, NetOperation,
    shard::{Demand, Flight, Known, Refusal, tally::Verdict},
};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug)]
enum Step {
    Submit { key: usize, kind: usize, routing: bool, tight: bool },
    Take { demand: usize },
    Settle { flight: usize, known: bool, hold: u64 },
    Reject { flight: usize },
    PutBack { flight: usize },
    Stale { flight: usize },
    Evict { bytes: usize },
    Pass { us: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let submit = (0..5_usize, 0..6_usize, prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    let submit = submit.prop_map(|(key, kind, routing, tight)| Step::Submit { key, kind, routing, tight });
    let settle = (any::<usize>(), any::<bool>(), prop_oneof![3 => Just(0), 1 => 1..50_u64]);
    let step = prop_oneof![
        10 => submit,
        3 => (0..4_usize).prop_map(|demand| Step::Take { demand }),
        3 => settle.prop_map(|(flight, known, hold)| Step::Settle { flight, known, hold }),
        1 => any::<usize>().prop_map(|flight| Step::Reject { flight }),
        2 => any::<usize>().prop_map(|flight| Step::PutBack { flight }),
        1 => any::<usize>().prop_map(|flight| Step::Stale { flight }),
        1 => (0..2_000_usize).prop_map(|bytes| Step::Evict { bytes }),
        2 => (0..60_u64).prop_map(|us| Step::Pass { us }),
    ];
    prop::collection::vec(step, 1..80)
}

const BODIES: [&str; 3] = [COUNT, r#"{"append":{"l":[1]}}"#, r#"{"subtract":{"l":[1]},"upsert":{"s":1}}"#];

fn action(kind: usize) -> Action<'static> {
    match kind {
        0 => Action::Index(br#"{"n":10}"#),
        1 => Action::Create(br#"{"n":20}"#),
        2 => Action::Delete,
        _ => Action::Update(BODIES[kind - 3].as_bytes()),
    }
}

/// What one key has been through: the document as the sink has it, and what has not settled.
#[derive(Default)]
struct Past {
    stored: Option<String>,
    unsettled: Vec<(u64, NetOperation)>,
    held_until_us: u64,
    out: bool,
}

impl Past {
    fn expected(&self) -> Option<String> {
        let base = self.stored.clone().map(String::into_bytes);
        let document = self
            .unsettled
            .iter()
            .fold(base, |base, (_, net)| net.apply(base.as_deref()).document.map(|text| text.to_vec()));
        document.map(|text| String::from_utf8(text).expect("JSON is UTF-8"))
    }

    /// The flight's operations leave; what they came to is stored if `done`.
    fn land(&mut self, flight: &Flight, done: bool) {
        let count = self.unsettled.iter().take_while(|(seq, _)| *seq <= flight.last_seq).count();
        let flown: Vec<_> = self.unsettled.drain(..count).collect();
        assert_eq!((count as u64, flown[0].0), (flight.operations, flight.first_seq));
        if done {
            let base = self.stored.take();
            let after = flight.net.apply(base.as_deref().map(str::as_bytes)).document;
            self.stored = after.map(|text| String::from_utf8_lossy(&text).into_owned());
        }
        self.out = false;
    }
}

#[derive(Default)]
struct Model {
    keys: BTreeMap<String, Past>,
    flights: Vec<Flight>,
    landed: Vec<Flight>,
    last_seq: u64,
}

impl Model {
    fn submit(&mut self, bench: &mut Bench, key: usize, kind: usize, routing: bool, tight: bool) {
        let (id, action) = (format!("k{key}"), action(kind));
        bench.room = if tight { 40 } else { 1 << 20 };
        if tight && bench.shard.layers(super::tag(&id), super::INDEX, &id).layers.is_empty() {
            // Where nothing waits, the room is what `need` says; it is not the shard's to refuse.
            bench.room = 1 << 20;
        }
        match bench.offer(&id, routing.then_some("r"), action, None) {
            Ok(accepted) => {
                assert!(accepted.seq > self.last_seq);
                self.last_seq = accepted.seq;
                let past = self.keys.entry(id).or_default();
                past.unsettled.push((accepted.seq, NetOperation::new(action).expect("good")));
            }
            Err(Refusal::Busy) => assert!(self.keys[&id].unsettled.len() > 8),
            Err(Refusal::Cramped { bytes }) => assert!(tight && bytes > 40),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn take(&mut self, bench: &mut Bench, demand: usize) {
        let middle = self.last_seq.saturating_sub(5);
        let demand = match demand {
            0 => Demand::Urgent,
            1 => Demand::Due { arrived_us: bench.now_us.saturating_sub(30) },
            2 => Demand::Pressure { bytes: 600 },
            _ => Demand::UpTo { seq: middle },
        };
        let taken = bench.take(demand);
        if !matches!(demand, Demand::Urgent | Demand::Pressure { .. }) {
            assert!(taken.is_sorted_by_key(|flight| flight.first_seq), "{:?}", ids(&taken));
        }
        for flight in taken {
            let past = self.keys.get_mut(&*flight.id).expect("submitted");
            assert!(
                !past.out && past.held_until_us <= bench.now_us,
                "one flight per key, and none while held"
            );
            past.out = true;
            self.flights.push(flight);
        }
    }

    fn pick(&mut self, flight: usize) -> Option<Flight> {
        (!self.flights.is_empty()).then(|| self.flights.swap_remove(flight % self.flights.len()))
    }

    fn settle(&mut self, bench: &mut Bench, flight: Flight, known: bool, hold: u64) {
        let past = self.keys.get_mut(&*flight.id).expect("submitted");
        past.land(&flight, true);
        let until_us = if hold > 0 { bench.now_us + hold } else { 0 };
        past.held_until_us = past.held_until_us.max(until_us);
        let known = match (&past.stored, known) {
            (Some(text), true) => Known::Document { source: text.clone().into(), routing: None },
            (None, true) => Known::Absent,
            (_, false) => Known::Unknown,
        };
        let done = Verdict::Done { existed: None, noop: false };
        assert!(bench.land(&flight, done, Some(known), until_us));
        self.landed.push(flight);
    }

    fn step(&mut self, bench: &mut Bench, step: Step) {
        match step {
            Step::Submit { key, kind, routing, tight } => self.submit(bench, key, kind, routing, tight),
            Step::Take { demand } => self.take(bench, demand),
            Step::Settle { flight, known, hold } => {
                if let Some(flight) = self.pick(flight) {
                    self.settle(bench, flight, known, hold);
                }
            }
            Step::Reject { flight } => {
                if let Some(flight) = self.pick(flight) {
                    self.keys.get_mut(&*flight.id).expect("submitted").land(&flight, false);
                    assert!(bench.land(&flight, Verdict::Rejected, None, 0));
                    self.landed.push(flight);
                }
            }
            Step::PutBack { flight } => {
                if let Some(flight) = self.pick(flight) {
                    self.keys.get_mut(&*flight.id).expect("submitted").out = false;
                    assert!(bench.put_back(&flight));
                }
            }
            Step::Stale { flight } => {
                if let Some(old) = self.landed.get(flight % self.landed.len().max(1)) {
                    assert!(bench.shard.put_back(old, true, 0).is_none(), "landed before");
                }
            }
            Step::Evict { bytes } => {
                drop(bench.shard.evict_clean(bytes, bench.now_us));
                bench.check();
            }
            Step::Pass { us } => bench.now_us += us,
        }
    }

    fn check(&self, bench: &Bench) {
        let first = |past: &Past| past.unsettled.first().map(|(seq, _)| *seq);
        assert_eq!(bench.shard.first_unsettled(), self.keys.values().filter_map(first).min());
        for (id, past) in &self.keys {
            let layers = bench.shard.layers(super::tag(id), super::INDEX, id);
            let base = match layers.known {
                Known::Document { source, .. } => Some(source.to_vec()),
                Known::Absent => None,
                // The reader would ask the sink.
                Known::Unknown => past.stored.clone().map(String::into_bytes),
            };
            let read = layers.layers.iter().fold(base, |base, layer| {
                layer.net.apply(base.as_deref()).document.map(|text| text.to_vec())
            });
            let read = read.map(|text| String::from_utf8(text).expect("JSON is UTF-8"));
            assert_eq!(read, past.expected(), "{id}");
        }
        let unsettled = self.keys.values().filter(|past| !past.unsettled.is_empty()).count();
        assert_eq!(bench.shard.unsettled_keys(), unsettled);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_shard_agrees_with_a_list_of_all_operations(steps in steps()) {
        let (mut bench, mut model) = (Bench::new(), Model::default());
        for step in steps {
            model.step(&mut bench, step);
            model.check(&bench);
        }
        // Everything drains in the end, and nothing is left.
        bench.now_us += 1_000;
        for _ in 0..100 {
            while let Some(flight) = model.pick(0) {
                model.settle(&mut bench, flight, false, 0);
            }
            for flight in bench.take(Demand::UpTo { seq: u64::MAX }) {
                model.flights.push(flight);
            }
        }
        model.check(&bench);
        assert_eq!(bench.shard.first_unsettled(), None);
        drop(bench.shard.evict_clean(usize::MAX, bench.now_us));
        assert_eq!(bench.shard.weight().total, 0);
    }
}

#[test]
fn a_known_document_is_what_the_next_flight_is_told() {
    let mut bench = Bench::new();
    bench.submit("a", Action::Index(b"{}"));
    let flight = bench.take(Demand::UpTo { seq: u64::MAX }).remove(0);
    assert!(matches!(flight.known(), Known::Unknown));
    assert!(bench.settle(&flight, Some(document("{}"))));
    bench.update("a", COUNT);
    let flight = bench.take(Demand::UpTo { seq: u64::MAX }).remove(0);
    assert!(matches!(flight.known(), Known::Document { source, .. } if source == "{}"));
}
