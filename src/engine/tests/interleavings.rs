//! The whole engine, drain threads and all, under many schedules: see `sync/schedules.rs`.
//!
//! Time stands still, and waits end only by being woken: a schedule in which somebody waits for what has happened
//! already fails as a deadlock.

use super::{Engine, Full, Parts};
use crate::{
    Batch, ErrorKind, Limits, MemoryDeadLetters, MemorySink, Operation, Outcome, SimulatedClock, Sink, Takes,
    clock::Clock,
    config::Config,
    sync::{
        atomic::{AtomicUsize, Ordering},
        schedules::explore,
        scope,
    },
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const INDEX: &str = "i";
const SHARED: &str = "shared";
/// Wall time at which engines begin: November 2023.
const BEGIN_US: u64 = 1_700_000_000_000_000;
/// Waits have no end here.
const LONG: Duration = Duration::from_secs(1);
/// Adds to one counter for all, and to one of the writer's.
const COUNTS: [&str; 2] =
    [r#"{"inc":{"n":1,"w0":1},"doc_as_upsert":true}"#, r#"{"inc":{"n":1,"w1":1},"doc_as_upsert":true}"#];

/// An engine over a sink in memory.
struct Rig {
    engine: Engine,
    sink: Arc<MemorySink>,
    letters: Arc<MemoryDeadLetters>,
    clock: SimulatedClock,
}

/// A sink in memory that is sent batches as a server is, and sees that no more are out at once than may be.
struct Adapting {
    sink: Arc<MemorySink>,
    out: AtomicUsize,
    most: usize,
}

impl Sink for Adapting {
    fn takes(&self) -> Takes {
        self.sink.takes()
    }

    fn limits(&self) -> Limits {
        Limits { batch_operations: 1, ..self.sink.limits() }
    }

    fn adapts(&self) -> bool {
        true
    }

    fn send(&self, batch: &Batch) -> Vec<Outcome> {
        let out = self.out.fetch_add(1, Ordering::Relaxed);
        assert!(out < self.most, "{out} are out, and one more was sent");
        let outcomes = self.sink.send(batch);
        self.out.fetch_sub(1, Ordering::Relaxed);
        outcomes
    }
}

impl Rig {
    /// `memory_bytes` may be less than the builder takes, so that a few operations fill it.
    fn new(takes: Takes, memory_bytes: usize, threads: usize) -> Self {
        Self::over(takes, memory_bytes, threads, |sink| sink)
    }

    /// Over a sink that is sent one operation at a time, and so many at once: batches are made ahead.
    fn adapting(requests: usize) -> Self {
        Self::over(Takes::NetOperations, 64 * 1024, requests, |sink| {
            Arc::new(Adapting { sink, out: AtomicUsize::new(0), most: requests })
        })
    }

    fn over(
        takes: Takes,
        memory_bytes: usize,
        threads: usize,
        over: impl FnOnce(Arc<MemorySink>) -> Arc<dyn Sink>,
    ) -> Self {
        let clock = SimulatedClock::new(BEGIN_US);
        let sink = Arc::new(MemorySink::new(takes).with_clock(&clock));
        let letters = Arc::new(MemoryDeadLetters::new());
        let parts = Parts {
            sink: over(Arc::clone(&sink)),
            base: Some(Arc::clone(&sink) as _),
            letters: Arc::clone(&letters) as _,
            clock: Clock::simulated(&clock),
            journal: None,
        };
        let config = Config {
            memory_bytes,
            max_delay: Duration::from_hours(1),
            late_request_bound: Duration::ZERO,
            batch_bytes: memory_bytes,
            batch_operations: 100,
            shards: 2,
            drain_threads: threads,
            adaptive: true,
            keep_known: true,
            full: Full::Wait(LONG),
            seed: Some(7),
        };
        let engine = Engine::new(config, parts, None).expect("the settings fit");
        engine.start(threads).expect("threads start");
        Self { engine, sink, letters, clock }
    }

    fn submit(&self, id: &str, body: &str) -> Result<u64, ErrorKind> {
        let operation = Operation::update(INDEX, id, body.as_bytes());
        self.engine.submit(operation).map_err(|refused| refused.error.kind())
    }

    /// What a counter of a document stands at, for a reader.
    fn read(&self, id: &str, counter: &str) -> u64 {
        let document = self.engine.get(INDEX, id).expect("readable");
        document.map_or(0, |document| count(&document.source, counter))
    }

    /// As [`Engine::flush`], which does not wait where a clock stands still.
    fn flush(&self) -> Result<(), ErrorKind> {
        let drain = &self.engine.shared.drain;
        drain.wait_flushed(&drain.start_flush(), LONG).map_err(|error| error.kind())
    }

    /// As [`Engine::close`].
    fn close(&self) {
        self.engine.shared.seal();
        self.flush().expect("flushed");
        self.engine.close(LONG).expect("closed");
    }

    /// All documents of the sink.
    fn stored(&self) -> BTreeMap<String, String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let stored = self.sink.documents().into_iter();
        stored.map(|((_, id), source)| (id.into(), text(&source))).collect()
    }

    /// The engine's own invariants; and no byte has been drawn that nobody has. For when it is closed.
    fn check(&self) {
        self.engine.validate().expect("the engine's invariants");
        let bank = &self.engine.shared.bank;
        let held = (0..bank.shard_count())
            .map(|shard| bank.with(shard, |shard| shard.weight().total + *shard.credit_mut()));
        assert_eq!(bank.memory.granted(), held.sum::<usize>());
    }
}

/// A counter of a document's text.
fn count(source: &[u8], counter: &str) -> u64 {
    let document: serde_json::Value = serde_json::from_slice(source).expect("JSON");
    document[counter].as_u64().unwrap_or(0)
}

/// Two writers, who read what they wrote at once, and somebody who flushes meanwhile.
fn reads_during_a_drain(takes: Takes) {
    let rig = Rig::new(takes, 64 * 1024, 1);
    scope(|scope| {
        for (writer, body) in COUNTS.into_iter().enumerate() {
            let rig = &rig;
            scope.spawn(move || {
                let own = format!("w{writer}");
                let mut all = 0;
                for written in 1..=2 {
                    rig.submit(SHARED, body).expect("accepted");
                    assert_eq!(rig.read(SHARED, &own), written);
                    let now = rig.read(SHARED, "n");
                    assert!(now > all, "{now} after {all}");
                    all = now;
                }
            });
        }
        scope.spawn(|| rig.flush().expect("flushed"));
    });
    assert_eq!((rig.read(SHARED, "n"), rig.read(SHARED, "w0")), (4, 2));
    rig.flush().expect("flushed");
    assert_eq!(count(rig.stored()[SHARED].as_bytes(), "n"), 4);
    rig.close();
    rig.check();
}

#[test]
fn writers_read_what_they_wrote_while_net_operations_drain() {
    explore(|| reads_during_a_drain(Takes::NetOperations));
}

#[test]
fn writers_read_what_they_wrote_while_documents_drain() {
    explore(|| reads_during_a_drain(Takes::Documents));
}

#[test]
fn a_flush_ends_after_the_tickets_of_what_it_covers_were_told() {
    explore(|| {
        let rig = Rig::new(Takes::NetOperations, 64 * 1024, 2);
        scope(|scope| {
            for body in COUNTS {
                let rig = &rig;
                scope.spawn(move || {
                    let operation = Operation::update(INDEX, SHARED, body.as_bytes());
                    let ticket = rig.engine.submit_tracked(operation).expect("accepted");
                    rig.flush().expect("flushed");
                    assert!(ticket.status().is_some(), "flushed, and not told");
                });
            }
        });
        rig.close();
        rig.check();
    });
}

#[test]
fn a_submit_that_waits_for_room_is_let_in_by_the_drain() {
    explore(|| {
        const EACH: usize = 5;
        let rig = Rig::new(Takes::NetOperations, 2 * 1024, 1);
        // Six or seven of these fill it.
        let body = format!(r#"{{"doc":{{"a":"{}"}},"doc_as_upsert":true}}"#, "x".repeat(80));
        scope(|scope| {
            for writer in 0..3 {
                let (rig, body) = (&rig, &body);
                scope.spawn(move || {
                    for n in 0..EACH {
                        rig.submit(&format!("{writer}-{n}"), body).expect("let in");
                        let bank = &rig.engine.shared.bank;
                        assert!(bank.memory.granted() <= bank.memory.bound() / 8 * 7, "over the bound");
                    }
                });
            }
        });
        rig.close();
        rig.check();
        assert_eq!(rig.stored().len(), 3 * EACH);
    });
}

#[test]
fn a_submit_to_a_key_that_is_full_is_let_in_when_its_flight_lands_and_order_holds() {
    explore(|| {
        const EACH: u64 = 7;
        let rig = Rig::new(Takes::NetOperations, 64 * 1024, 1);
        let last = scope(|scope| {
            // Operations with another routing do not fold: they queue, and a key's queue is short.
            let writers = ["here", "there"].map(|routing| {
                let rig = &rig;
                scope.spawn(move || {
                    let submit = |n| {
                        let document = format!(r#"{{"n":{n},"by":"{routing}"}}"#);
                        let operation = Operation::index(INDEX, SHARED, document.as_bytes()).routing(routing);
                        (rig.engine.submit(operation).expect("let in"), document)
                    };
                    (0..EACH).map(submit).max().expect("some")
                })
            });
            writers.into_iter().map(|writer| writer.join().expect("no panic")).max().expect("two")
        });
        rig.close();
        rig.check();
        assert_eq!(rig.stored()[SHARED], last.1, "the last one accepted is the last one carried out");
    });
}

#[test]
fn whoever_waits_for_sequence_numbers_is_let_in_once_more_are_durable() {
    explore(|| {
        let rig = Rig::new(Takes::NetOperations, 64 * 1024, 1);
        // Far beyond what has been made durable: the first operation gets the last number there is.
        rig.clock.set_wall_us(2 * BEGIN_US);
        scope(|scope| {
            for body in COUNTS {
                let rig = &rig;
                scope.spawn(move || {
                    for _ in 0..2 {
                        let seq = rig.submit(SHARED, body).expect("let in");
                        assert!(seq < rig.sink.seq_floor(), "{seq} is not durable");
                    }
                });
            }
        });
        rig.close();
        rig.check();
        assert_eq!(count(rig.stored()[SHARED].as_bytes(), "n"), 4);
    });
}

#[test]
fn after_a_close_nothing_is_accepted_and_all_that_was_is_in_the_sink() {
    explore(|| {
        let rig = Rig::new(Takes::NetOperations, 4 * 1024, 2);
        let stored = || rig.stored().values().map(|source| count(source.as_bytes(), "n")).sum::<u64>();
        let accepted: u64 = scope(|scope| {
            let closer = scope.spawn(|| {
                rig.close();
                assert_eq!(rig.submit(SHARED, COUNTS[0]), Err(ErrorKind::Closed));
                stored()
            });
            let writers = COUNTS.map(|body| {
                let rig = &rig;
                scope.spawn(move || {
                    let refused = |n: &u64| {
                        rig.submit(&format!("k{n}"), body)
                            .map_err(|kind| {
                                assert_eq!(kind, ErrorKind::Closed);
                            })
                            .is_err()
                    };
                    (0..6).find(refused).unwrap_or(6)
                })
            });
            let accepted = writers.into_iter().map(|writer| writer.join().expect("no panic")).sum();
            assert_eq!(closer.join().expect("no panic"), accepted);
            accepted
        });
        rig.check();
        assert_eq!(stored(), accepted);
    });
}

/// Writers of keys of their own and of one that they share, each of which has all flushed before it ends.
fn batches_made_ahead(requests: usize) {
    let rig = Rig::adapting(requests);
    scope(|scope| {
        for (writer, body) in COUNTS.into_iter().enumerate() {
            let rig = &rig;
            scope.spawn(move || {
                for n in 0..2 {
                    rig.submit(&format!("{writer}-{n}"), body).expect("accepted");
                    rig.submit(SHARED, body).expect("accepted");
                }
                rig.flush().expect("flushed");
            });
        }
    });
    rig.close();
    rig.check();
    let counts = rig.stored().into_values().map(|source| count(source.as_bytes(), "n"));
    assert_eq!(counts.collect::<Vec<_>>(), [1, 1, 1, 1, 4]);
}

#[test]
fn a_batch_that_was_made_ahead_leaves_when_the_one_before_it_is_back() {
    explore(|| batches_made_ahead(1));
}

#[test]
fn with_two_requests_a_batch_that_was_made_ahead_leaves_with_the_first_place_that_is_free() {
    explore(|| batches_made_ahead(2));
}

#[test]
fn what_the_last_handle_leaves_is_in_the_sink_or_in_a_letter_and_nowhere_twice() {
    explore(|| the_last_handle(Rig::new(Takes::NetOperations, 64 * 1024, 1), SHARED, SHARED));
}

#[test]
fn what_the_last_handle_leaves_ahead_is_in_the_sink_or_in_a_letter_and_nowhere_twice() {
    explore(|| the_last_handle(Rig::adapting(1), "a", "b"));
}

fn the_last_handle(rig: Rig, first: &'static str, second: &'static str) {
    let Rig { engine, sink, letters, .. } = rig;
    let engines = [engine.clone(), engine];
    scope(|scope| {
        for (engine, body) in engines.into_iter().zip(COUNTS) {
            scope.spawn(move || {
                for id in [first, second] {
                    engine.submit(Operation::update(INDEX, id, body.as_bytes())).expect("accepted");
                    engine.shared.drain.start_flush();
                }
            });
        }
    });
    let stored: u64 = sink.documents().iter().map(|(_, source)| count(source, "n")).sum();
    let letters = letters.take();
    let operations = letters.iter().map(|line| count(line.as_bytes(), "operations"));
    assert_eq!(stored + operations.sum::<u64>(), 4, "{letters:?}");
}

#[test]
fn a_latched_engine_keeps_nobody_waiting() {
    explore(|| {
        let rig = Rig::new(Takes::NetOperations, 4 * 1024, 1);
        // Nothing is taken, and nothing can be taken again while the clock stands.
        rig.sink.script(|_| crate::Scripted::Again(Some(LONG)));
        scope(|scope| {
            for body in COUNTS {
                let rig = &rig;
                scope.spawn(move || {
                    let refused = (0..100).find_map(|n| rig.submit(&format!("{n}"), body).err());
                    assert_eq!(refused, Some(ErrorKind::Latched));
                });
            }
            scope.spawn(|| {
                rig.submit(SHARED, COUNTS[0]).ok();
                let flushed = rig.flush();
                assert!(flushed.is_ok() || flushed == Err(ErrorKind::Latched), "{flushed:?}");
            });
            // What a drain thread does that panicked.
            scope.spawn(|| {
                rig.engine.shared.bank.latch.set("on purpose");
                rig.engine.shared.drain.signal_all();
            });
        });
    });
}
