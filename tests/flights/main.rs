//! The bundled flights through the engine, with random drains and evictions, against a sequential program.
#![expect(clippy::expect_used, reason = "a test fails by panicking, and clippy sees helpers as no tests")]

mod sequential;

use millpond::{Action, Engine, Full, MemorySink, Next, Operation, SimulatedClock, Sink, Takes};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use sequential::Documents;
use std::{fs::File, io::Read, path::Path, sync::Arc, time::Duration};

const FLIGHTS: usize = 334_264;
const AIRCRAFT: usize = 4_043;

#[test]
fn a_year_of_flights_ends_as_if_every_update_had_been_applied_by_itself() {
    check("flights.ndjson.zst", Takes::Documents, 1);
}

#[test]
fn a_year_of_counted_flights_ends_as_if_every_update_had_been_applied_by_itself() {
    check("flights-counters.ndjson.zst", Takes::Documents, 2);
}

#[test]
fn a_sink_of_net_operations_ends_with_the_same_documents() {
    check("flights-counters.ndjson.zst", Takes::NetOperations, 3);
}

fn check(file: &str, takes: Takes, seed: u8) {
    let lines = read(file);
    let (expected, updates) = sequential::run(&lines);
    assert_eq!((updates, expected.len()), (FLIGHTS, AIRCRAFT), "{file} is not the file this test knows");
    let sink = Arc::new(MemorySink::new(takes));
    let sends = drain_at_random(&lines, &sink, seed);
    let found: Documents = sink
        .documents()
        .into_iter()
        .map(|((_, id), source)| (id.into(), serde_json::from_slice(&source).expect("a document is JSON")))
        .collect();
    assert_eq!(found.len(), AIRCRAFT);
    for (id, document) in &expected {
        assert_eq!(found.get(id), Some(document), "{file}: {id}");
    }
    assert!(sends > AIRCRAFT as u64, "nothing was drained on the way: the test showed little");
    assert!(sends < FLIGHTS as u64 * 3 / 4, "{sends} operations sent: little was folded");
}

/// Submits every line to an engine that is too small to hold them all, draining at random moments.
fn drain_at_random(lines: &str, sink: &Arc<MemorySink>, seed: u8) -> u64 {
    let clock = SimulatedClock::new(1_700_000_000_000_000);
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let builder = Engine::builder().memory_bytes(512 * 1024).shards(8).seed(seed.into()).clock(&clock);
    let (engine, drainer) = builder
        .full(Full::HandBack)
        .manual(Arc::clone(sink) as _, Some(Arc::clone(sink) as _))
        .expect("an engine");
    let mut lines = lines.lines();
    while let (Some(action), Some(body)) = (lines.next(), lines.next()) {
        let id = action.split('"').nth(9).expect("the id is the fifth string");
        let operation =
            Operation { index: "aircraft", id, routing: None, action: Action::Update(body.as_bytes()) };
        while let Err(refused) = engine.submit(operation) {
            assert!(refused.error.is_temporary(), "{refused}");
            assert!(drainer.run().expect("the drain runs") > 0, "full, and nothing to drain");
        }
        match random.next_u32() % 20_000 {
            0 => clock.advance(Duration::from_secs(40)),
            1 => drop(engine.flush(Duration::ZERO)),
            2 => {
                if let Next::Send(flights) = drainer.next().expect("the drain runs") {
                    let outcomes = sink.send(flights.batch());
                    flights.finish(outcomes);
                }
            }
            _ => {}
        }
    }
    assert!(engine.stats().used_bytes <= 512 * 1024);
    assert!(engine.flush(Duration::ZERO).is_err(), "something was left to flush");
    drainer.run().expect("the drain runs");
    engine.close(Duration::ZERO).expect("all is drained");
    assert_eq!(engine.validate(), Ok(()));
    let stats = engine.stats();
    assert_eq!(stats.operations_settled, FLIGHTS as u64);
    assert_eq!(stats.operations_out, sink.sends());
    sink.sends()
}

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(file);
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut decoder = ruzstd::decoding::StreamingDecoder::new(file).expect("a zstd frame");
    let mut lines = String::new();
    decoder.read_to_string(&mut lines).expect("UTF-8 lines");
    lines
}
