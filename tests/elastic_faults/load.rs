//! A server under load or in trouble for long: what waits goes on folding, memory stays bounded, and nobody is starved or flooded.
//!
//! Batches are sent by hand and answered when simulated time has come to that: hours take seconds.

use crate::{
    http::{BulkModel, FakeServer, Item, Refusal, Response, Setup, SharedModel},
    rig::run_script,
};
use millpond::{
    Batch, Builder, Drainer, Engine, ErrorKind, Flights, Next, Operation, SimulatedClock, Sink,
    elastic::{ElasticOptions, ElasticSink},
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

const WALL_US: u64 = 1_700_000_000_000_000;
const STEP: Duration = Duration::from_millis(100);
const SECOND_US: u64 = 1_000_000;
const MEMORY_BYTES: usize = 1 << 20;

/// Why an item is refused at that time.
type Trouble = fn(&Item, u64) -> Option<Refusal>;

struct Load {
    engine: Engine,
    drainer: Drainer,
    clock: SimulatedClock,
    sink: Arc<ElasticSink>,
    model: SharedModel,
    /// What is out, and when it is answered.
    out: Vec<(u64, Flights)>,
    /// When batches were sent, and of which indices.
    sent: Vec<(u64, Vec<String>)>,
    most_out: usize,
    _server: FakeServer,
}

impl Load {
    fn new(trouble: Trouble, set: impl FnOnce(Builder) -> Builder) -> Self {
        let model = BulkModel::new().with_scripts(run_script).shared();
        let clock = SimulatedClock::new(WALL_US);
        let (behind, time) = (model.clone(), clock.clone());
        let server = Setup::default().forgetting_bodies().start(move |request| {
            if request.path.starts_with("/_scripts") {
                return Response::json(200, &json!({"acknowledged": true})).into();
            }
            let now_us = time.now_us();
            behind.lock().answer_refusing(request, |item| trouble(item, now_us)).into()
        });
        let sink = Arc::new(ElasticSink::new(&[server.url()], &ElasticOptions::new()).unwrap());
        let builder = Engine::builder()
            .clock(&clock)
            .seed(1)
            .memory_bytes(MEMORY_BYTES)
            .max_delay(Duration::from_secs(1))
            .drain_threads(8);
        let (engine, drainer) = set(builder).manual(Arc::clone(&sink) as _, None).unwrap();
        Self {
            engine,
            drainer,
            clock,
            sink,
            model,
            out: Vec::new(),
            sent: Vec::new(),
            most_out: 0,
            _server: server,
        }
    }

    /// Submits; false where there is no room for it.
    fn submit(&self, operation: Operation<'_>) -> bool {
        match self.engine.submit(operation) {
            Ok(_) => true,
            Err(refused) => {
                assert_eq!(refused.error.kind(), ErrorKind::Full, "{}", refused.error);
                false
            }
        }
    }

    fn increment(&self, index: &str, id: u64) -> bool {
        let id = id.to_string();
        self.submit(Operation::update(index, &id, br#"{"inc":{"n":1},"doc_as_upsert":true}"#))
    }

    /// Sends what there is to be sent, each to be answered after its time, and answers what is due.
    fn step(&mut self, takes: impl Fn(&Batch) -> Duration) {
        while let Next::Send(flights) = self.drainer.next().unwrap() {
            let batch = flights.batch();
            let now_us = self.clock.now_us();
            let mut indices: Vec<String> = batch.items.iter().map(|item| item.index.to_string()).collect();
            indices.dedup();
            self.sent.push((now_us, indices));
            let due_us = now_us + u64::try_from(takes(batch).as_micros()).unwrap();
            self.out.push((due_us, flights));
            self.most_out = self.most_out.max(self.out.len());
        }
        self.clock.advance(STEP);
        let now_us = self.clock.now_us();
        let (due, rest) =
            std::mem::take(&mut self.out).into_iter().partition(|(due_us, _)| *due_us <= now_us);
        self.out = rest;
        let due: Vec<(u64, Flights)> = due;
        for (_, flights) in due {
            let outcomes = self.sink.send(flights.batch());
            flights.finish(outcomes);
        }
        assert!(self.engine.stats().used_bytes <= MEMORY_BYTES as u64);
    }

    /// Until all that was accepted has settled.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            if self.engine.flush(Duration::ZERO).is_ok() {
                return;
            }
            self.step(|_| STEP);
        }
        panic!("{:?}", self.engine.stats());
    }

    fn counters(&self) -> u64 {
        let model = self.model.lock();
        model.documents().map(|(_, _, document)| document["n"].as_u64().unwrap_or(0)).sum()
    }

    /// Flights of an index that have settled.
    fn settled(&self, index: &str) -> u64 {
        let stats = self.engine.stats();
        stats.indices.iter().find(|of| *of.name == *index).map_or(0, |of| of.operations_out)
    }
}

#[test]
fn while_a_server_takes_half_a_minute_for_each_request_what_waits_folds_within_the_memory_bound_and_then_waits()
 {
    let mut load = Load::new(|_, _| None, |builder| builder);
    let (mut counted, mut put, mut turned_away) = (0_u64, 0_u64, 0_u64);
    let long = "x".repeat(2_000);
    // An hour.
    for step in 0..36_000_u64 {
        for n in 0..3 {
            counted += u64::from(load.increment("counters", (step * 7 + n) % 50));
        }
        // New documents all the time: these cannot fold.
        let (id, body) = (put.to_string(), format!(r#"{{"text":"{long}"}}"#));
        if load.submit(Operation::index("texts", &id, body.as_bytes())) {
            put += 1;
        } else {
            turned_away += 1;
        }
        load.step(|_| Duration::from_secs(30));
    }
    let stats = load.engine.stats();
    assert!(turned_away > 1_000, "at the bound writers wait: {turned_away}");
    let (taken_in, out) = (stats.operations_in, stats.operations_out);
    assert!(taken_in > 5 * out, "{taken_in} came in and {out} went out");
    assert!(stats.operations_folded > counted / 2, "{} of {counted} folded", stats.operations_folded);
    load.settle();
    assert_eq!(load.counters(), counted);
    let texts = load.model.lock().documents().filter(|(index, _, _)| *index == "texts").count() as u64;
    assert_eq!((texts, load.engine.stats().dead_letters), (put, 0));
}

/// Nothing is taken for three seconds, then everything for three.
fn flaps(_: &Item, now_us: u64) -> Option<Refusal> {
    is_down(now_us).then(Refusal::too_many_requests)
}

fn is_down(now_us: u64) -> bool {
    now_us / (3 * SECOND_US) % 2 == 1
}

#[test]
fn a_server_that_comes_and_goes_every_three_seconds_is_not_flooded_and_no_index_starves() {
    let mut load = Load::new(flaps, |builder| builder);
    let indices = ["a", "b", "c"];
    let (mut counted, mut limits) = (0, Vec::new());
    let (mut progress, mut before) = (Vec::new(), BTreeMap::new());
    for step in 0..6_000_u64 {
        for index in indices {
            for n in 0..5 {
                counted += u64::from(load.increment(index, (step * 5 + n) % 300));
            }
        }
        load.step(|_| Duration::from_millis(200));
        limits.push(load.engine.stats().batches.limit);
        if step % 600 == 599 {
            for index in indices {
                let settled = load.settled(index);
                progress.push((index, settled - before.insert(index, settled).unwrap_or(0)));
            }
        }
    }
    let start_us = load.sent[0].0;
    let down = load.sent.iter().filter(|(sent_us, _)| is_down(*sent_us)).count();
    let times = (load.clock.now_us() - start_us) / (6 * SECOND_US);
    let each = down as u64 / times;
    assert!(
        each <= 20,
        "{each} requests in each of {times} times of three seconds in which nothing is taken"
    );
    assert!(limits.contains(&1), "fewer are out");
    assert!(
        progress.iter().all(|(_, settled)| *settled > 100),
        "in each minute, of each index: {progress:?}"
    );
    load.settle();
    assert_eq!((load.counters(), load.engine.stats().dead_letters), (counted, 0));
}

#[test]
fn an_index_that_is_blocked_pauses_alone_and_the_others_go_on() {
    let blocked: Trouble = |item, _| (item.index == "blocked").then(Refusal::too_many_requests);
    let mut load = Load::new(blocked, |builder| builder);
    for step in 0..600_u64 {
        load.increment("blocked", step % 50);
        load.increment("well", step % 50);
        load.step(|_| STEP);
    }
    let of =
        |index: &str| load.sent.iter().filter(|(_, indices)| indices.iter().any(|of| of == index)).count();
    let (blocked, well) = (of("blocked"), of("well"));
    assert!(blocked < 100 && load.settled("blocked") == 0, "{blocked} tries in a minute");
    assert!(well > 200 && load.settled("well") > 500, "{well} batches, {} flights", load.settled("well"));
}

#[test]
fn an_index_that_is_slow_does_not_slow_another() {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let mut load = Load::new(|_, _| None, |builder| builder.memory_bytes(MEMORY_BYTES).drain_threads(2));
    for step in 0..1_200_u64 {
        for n in 0..10 {
            load.increment("slow", (step * 10 + n) % 500);
            load.increment("fast", (step * 10 + n) % 500);
        }
        load.step(|batch| {
            let is_slow = batch.items.iter().any(|item| &*item.index == "slow");
            Duration::from_millis(if is_slow { 10_000 } else { 100 })
        });
        let stats = load.engine.stats();
        let fast = stats.indices.iter().find(|of| &*of.name == "fast").unwrap();
        waits.lock().unwrap().push(fast.oldest_age.unwrap_or_default());
    }
    assert!(load.sent.iter().all(|(_, indices)| indices.len() == 1), "{:?}", load.sent);
    let longest = *waits.lock().unwrap().iter().max().unwrap();
    assert!(longest < Duration::from_secs(2), "what is fast has waited for {longest:?}");
    assert!(load.most_out <= 2 && load.settled("slow") > 0);
}
