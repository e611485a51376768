//! Many threads, real ones: the end is the sequential one, and nothing hangs.

use crate::rig::{INDEX, json, padded};
use millpond::{
    Engine, ErrorKind, Full, MEMORY_BYTES_MIN, MemorySink, NdjsonSink, Operation, Scan, Scripted, Stats,
    Takes, Ticket,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// A bound against hanging, not a measure.
const LONG: Duration = Duration::from_mins(1);

fn engine(takes: Takes, full: Full) -> (Arc<MemorySink>, Engine) {
    let sink = Arc::new(MemorySink::new(takes));
    let builder = Engine::builder().memory_bytes(MEMORY_BYTES_MIN).drain_threads(2).shards(4).full(full);
    let builder = builder.max_delay(Duration::from_millis(10)).late_request_bound(Duration::ZERO);
    let engine = builder.build(Arc::clone(&sink) as _, Some(Arc::clone(&sink) as _)).unwrap();
    (sink, engine)
}

#[test]
fn handles_are_send_and_sync_and_clone() {
    fn holds<T: Send + Sync + Clone>() {}
    fn travels<T: Send>() {}
    fn shares<T: Send + Sync>() {}
    holds::<Engine>();
    holds::<millpond::Drainer>();
    holds::<Stats>();
    shares::<Ticket>();
    shares::<MemorySink>();
    shares::<NdjsonSink>();
    travels::<Scan>();
    travels::<millpond::Flights>();
}

#[test]
fn many_writers_on_shared_keys_end_with_the_sequential_result() {
    const WRITERS: u64 = 4;
    const WRITERS_EACH: [u64; 4] = [EACH; 4];
    const EACH: u64 = 3_000;
    const KEYS: u64 = 13;
    for takes in [Takes::NetOperations, Takes::Documents] {
        let (sink, engine) = engine(takes, Full::Wait(LONG));
        // Every class of answer, now and then.
        let mut turn = 0_u64;
        sink.script(move |_| {
            turn += 1;
            match turn % 11 {
                3 => Scripted::Again(None),
                5 => Scripted::DoneUnheard,
                7 => Scripted::Lost,
                _ => Scripted::Done,
            }
        });
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let engine = engine.clone();
                    scope.spawn(move || {
                        for n in 0..EACH {
                            let id = format!("k{}", (n * 7 + writer) % KEYS);
                            let body = format!("{{\"inc\":{{\"n\":1,\"w{writer}\":1}},\"max\":{{\"m\":{n}}},\"doc_as_upsert\":true}}");
                            engine.submit(Operation::update(INDEX, &id, body.as_bytes())).unwrap();
                        }
                    })
                })
                .collect();
            // Readers see counters that only rise.
            let reader = scope.spawn(|| {
                let mut seen = 0;
                while !done.load(Ordering::Acquire) {
                    let document = engine.get(INDEX, "k5").unwrap();
                    let n = document.map_or(0, |document| json(&document.source)["n"].as_u64().unwrap());
                    assert!(n >= seen, "{n} after {seen}");
                    seen = n;
                    thread::yield_now();
                }
            });
            for writer in writers {
                writer.join().unwrap();
            }
            done.store(true, Ordering::Release);
            reader.join().unwrap();
        });
        engine.flush(LONG).unwrap();
        let (mut total, mut by_writer) = (0, [0; 4]);
        for (_, source) in sink.documents() {
            let document = json(&source);
            total += document["n"].as_u64().unwrap();
            for (writer, sum) in by_writer.iter_mut().enumerate() {
                *sum += document[format!("w{writer}")].as_u64().unwrap_or(0);
            }
        }
        assert_eq!((total, by_writer), (WRITERS * EACH, WRITERS_EACH), "{takes:?}");
        let stats = engine.stats();
        assert_eq!((stats.operations_in, stats.operations_settled), (WRITERS * EACH, WRITERS * EACH));
        assert!(stats.operations_folded > 0 && stats.retries > 0);
        engine.validate().unwrap();
        engine.close(LONG).unwrap();
    }
}

#[test]
fn a_submit_that_waits_at_the_bound_is_let_in_by_the_drain() {
    let (sink, engine) = engine(Takes::NetOperations, Full::Wait(LONG));
    thread::scope(|scope| {
        for writer in 0..3 {
            let engine = engine.clone();
            scope.spawn(move || {
                for n in 0..500 {
                    let document = padded(4_000 + n);
                    engine
                        .submit(Operation::index(INDEX, &format!("{writer}-{n}"), document.as_bytes()))
                        .unwrap();
                }
            });
        }
        // What is used never passes the bound, whoever looks.
        scope.spawn(|| {
            for _ in 0..2_000 {
                let used = engine.stats().used_bytes;
                assert!(used <= MEMORY_BYTES_MIN as u64, "{used}");
                thread::yield_now();
            }
        });
    });
    engine.close(LONG).unwrap();
    assert_eq!(sink.documents().len(), 1_500);
}

#[test]
fn a_submit_that_waits_at_the_bound_is_handed_back_when_its_wait_is_over() {
    let (sink, engine) = engine(Takes::NetOperations, Full::Wait(Duration::from_millis(2)));
    sink.script(|_| Scripted::Again(None));
    let (document, ids) = (padded(8_000), (0..1_000).map(|n| n.to_string()).collect::<Vec<_>>());
    let submit =
        |engine: &Engine, id| engine.submit(Operation::index(INDEX, id, document.as_bytes())).map(drop);
    let accepted = ids.iter().position(|id| submit(&engine, id).is_err()).unwrap();
    assert!(accepted > 10);
    let refused = engine.submit(Operation::index(INDEX, "more", document.as_bytes())).unwrap_err();
    assert_eq!((refused.error.kind(), refused.operation.id), (ErrorKind::Full, "more"));
    let impatient = engine.with_full(Full::HandBack);
    assert_eq!(impatient.submit(refused.operation).unwrap_err().error.kind(), ErrorKind::Full);
    assert_eq!(engine.stats().operations_in, accepted as u64);
    sink.script(|_| Scripted::Done);
    engine.close(LONG).unwrap();
    assert_eq!(sink.documents().len(), accepted);
}

#[test]
fn a_closing_engine_hands_back_what_waits_at_the_bound() {
    let (sink, engine) = engine(Takes::NetOperations, Full::Wait(LONG));
    sink.script(|_| Scripted::Again(None));
    let (document, impatient) = (padded(8_000), engine.with_full(Full::HandBack));
    let mut ids = (0..1_000).map(|n| n.to_string());
    assert!(ids.any(|id| impatient.submit(Operation::index(INDEX, &id, document.as_bytes())).is_err()));
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            engine.submit(Operation::index(INDEX, "waits", document.as_bytes())).unwrap_err().error.kind()
        });
        assert_eq!(engine.close(Duration::from_millis(1)).unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(writer.join().unwrap(), ErrorKind::Closed);
        sink.script(|_| Scripted::Done);
        engine.close(LONG).unwrap();
    });
}
