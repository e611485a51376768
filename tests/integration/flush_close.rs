//! Flush: everything accepted before it is settled when it returns. Close: takes no more, drains, reports.

use crate::rig::{INDEX, Rig};
use millpond::{
    Batch, Engine, ErrorKind, Limits, MemoryDeadLetters, MemorySink, Operation, Outcome, Scripted, Sink,
    Takes,
};
use serde_json::json;
use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

/// Longer than any of these tests takes: a bound against hanging, not a measure.
const LONG: Duration = Duration::from_mins(1);

#[test]
fn a_flush_has_settled_everything_accepted_before_it() {
    let sink = Arc::new(MemorySink::new(Takes::Documents));
    let engine = Engine::builder().build(Arc::clone(&sink) as _, Some(Arc::clone(&sink) as _)).unwrap();
    for round in 0..20 {
        let tickets: Vec<_> = (0..50)
            .map(|n| engine.submit_tracked(Operation::index(INDEX, &format!("{round}-{n}"), b"{}")).unwrap())
            .collect();
        engine.flush(LONG).unwrap();
        assert!(tickets.iter().all(|ticket| ticket.status().is_some()));
        assert_eq!(sink.documents().len(), (round + 1) * 50);
    }
    engine.close(LONG).unwrap();
}

#[test]
fn a_flush_that_does_not_come_to_its_end_says_what_is_left_and_why() {
    let rig = Rig::new(Takes::NetOperations);
    rig.script(|_| Scripted::Again(None));
    rig.index("a", "{}");
    rig.index("b", "{}");
    rig.drain();
    let late = rig.engine.flush(Duration::ZERO).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout);
    let message = late.to_string();
    assert!(message.contains('2') && message.contains("throttled by the script"), "{message}");
}

#[test]
fn a_flush_waits_for_what_is_held_parked_or_cannot_be_buried_and_then_ends() {
    let rig = Rig::new(Takes::NetOperations);
    rig.answers([Scripted::DoneUnheard, Scripted::Done, Scripted::Rejected]);
    rig.index("a", r#"{"n":1}"#);
    rig.drain();
    assert!(rig.engine.flush(Duration::ZERO).is_err(), "parked");
    rig.pass(Duration::from_secs(1));
    assert!(rig.engine.flush(Duration::ZERO).is_ok());
    rig.index("a", r#"{"n":2}"#);
    rig.drain();
    assert!(rig.engine.flush(Duration::ZERO).is_err(), "held");
    rig.pass(Duration::from_secs(61));
    assert!(rig.engine.flush(Duration::ZERO).is_ok(), "rejected, and buried");
    assert_eq!((rig.get("a"), rig.letters.take().len()), (Some(json!({"n":1})), 1));
}

#[test]
fn a_flush_does_not_wait_for_what_was_accepted_after_it() {
    let rig = Rig::new(Takes::NetOperations);
    rig.index("a", "{}");
    let flights = rig.take();
    rig.index("b", "{}");
    flights.finish(vec![Outcome::Created]);
    assert_eq!(rig.run(), 0, "only the first was to be flushed");
    assert_eq!(rig.engine.stats().pending_documents, 1);
}

#[test]
fn a_closed_engine_takes_nothing_and_hands_it_back() {
    let rig = Rig::new(Takes::NetOperations);
    rig.index("a", r#"{"n":1}"#);
    assert_eq!(
        rig.engine.close(Duration::ZERO).unwrap_err().kind(),
        ErrorKind::Timeout,
        "nothing drains by itself"
    );
    let operation = Operation::index(INDEX, "b", b"{}");
    let refused = rig.engine.submit(operation).unwrap_err();
    assert_eq!((refused.operation, refused.error.kind()), (operation, ErrorKind::Closed));
    // Closing can be tried again, and again once it is done; reads go on.
    rig.run();
    rig.engine.close(Duration::ZERO).unwrap();
    rig.engine.close(Duration::ZERO).unwrap();
    assert_eq!(rig.get("a"), Some(json!({"n":1})));
    assert_eq!(rig.engine.scan(INDEX, None, Duration::ZERO).unwrap().count(), 1);
    let refused = rig.engine.submit_batch(&[operation, operation]).unwrap_err();
    assert_eq!((refused.stopped_at, refused.refused.len()), (Some(0), 1));
    assert!(rig.engine.flush(Duration::ZERO).is_ok());
}

#[test]
fn submits_that_race_a_close_are_settled_or_handed_back() {
    for _ in 0..20 {
        let sink = Arc::new(MemorySink::new(Takes::NetOperations));
        let engine = Engine::builder().build(Arc::clone(&sink) as _, None).unwrap();
        let accepted: usize = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3)
                .map(|writer| {
                    let engine = engine.clone();
                    scope.spawn(move || {
                        for n in 0.. {
                            let id = format!("{writer}-{n}");
                            match engine.submit(Operation::index(INDEX, &id, b"{}")) {
                                Ok(_) => {}
                                Err(refused) => {
                                    assert_eq!(refused.error.kind(), ErrorKind::Closed);
                                    return n;
                                }
                            }
                        }
                        0
                    })
                })
                .collect();
            engine.close(LONG).unwrap();
            writers.into_iter().map(|writer| writer.join().unwrap()).sum()
        });
        assert_eq!(sink.documents().len(), accepted);
    }
}

/// A sink that does not answer until it is told to, or its other end is gone.
struct Blocked(Mutex<mpsc::Receiver<()>>, mpsc::Sender<()>);

impl Sink for Blocked {
    fn takes(&self) -> Takes {
        Takes::NetOperations
    }

    fn limits(&self) -> Limits {
        Limits { batch_bytes: usize::MAX, batch_operations: usize::MAX }
    }

    fn send(&self, batch: &Batch) -> Vec<Outcome> {
        let _ = self.1.send(());
        let _ = self.0.lock().unwrap().recv();
        vec![Outcome::Applied; batch.items.len()]
    }
}

#[test]
fn a_sink_that_does_not_answer_holds_nobody_past_the_deadline() {
    let (answer, blocked) = mpsc::channel();
    let (begun, has_begun) = mpsc::channel();
    let sink = Arc::new(Blocked(Mutex::new(blocked), begun));
    let letters = Arc::new(MemoryDeadLetters::new());
    let engine = Engine::builder().dead_letters(letters).build(sink, None).unwrap();
    let ticket = engine.submit_tracked(Operation::index(INDEX, "a", b"{}")).unwrap();
    let tick = Duration::from_millis(1);
    assert_eq!(engine.flush(tick).unwrap_err().kind(), ErrorKind::Timeout);
    has_begun.recv_timeout(LONG).unwrap();
    assert_eq!(ticket.wait(tick).unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(engine.close(tick).unwrap_err().kind(), ErrorKind::Timeout);
    std::thread::scope(|scope| {
        // One that closes for long does not hold up one that closes for short.
        let patient = scope.spawn(|| engine.close(LONG));
        assert_eq!(engine.close(tick).unwrap_err().kind(), ErrorKind::Timeout);
        answer.send(()).unwrap();
        patient.join().unwrap().unwrap();
    });
    assert!(ticket.status().is_some());
}
