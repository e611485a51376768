//! Reads see every accepted write of their key, in order, at once.

use crate::rig::{INDEX, Rig, json};
use millpond::{Engine, ErrorKind, NullSink, Operation, Outcome, Scripted, Takes};
use serde_json::json;
use std::{sync::Arc, time::Duration};

const BOTH: [Takes; 2] = [Takes::NetOperations, Takes::Documents];

#[test]
fn a_read_sees_every_accepted_write_at_once_and_in_order() {
    for takes in BOTH {
        let rig = Rig::new(takes);
        assert_eq!(rig.get("a"), None);
        rig.index("a", r#"{"n":1}"#);
        assert_eq!(rig.get("a"), Some(json!({"n":1})));
        rig.update("a", r#"{"inc":{"n":1},"doc":{"m":2}}"#);
        assert_eq!(rig.get("a"), Some(json!({"n":2,"m":2})));
        rig.delete("a");
        assert_eq!(rig.get("a"), None);
        rig.update("a", r#"{"doc":{"n":5},"upsert":{"n":4}}"#);
        assert_eq!(rig.get("a"), Some(json!({"n":4})));
        rig.settle();
        assert_eq!((rig.get("a"), rig.stored("a")), (Some(json!({"n":4})), Some(json!({"n":4}))));
    }
}

#[test]
fn a_read_sees_the_entry_over_the_flight_over_the_base() {
    for takes in BOTH {
        let rig = Rig::with(takes, |builder| builder.keep_known(false));
        rig.index("a", r#"{"n":1}"#);
        rig.settle();
        rig.update("a", r#"{"inc":{"n":10}}"#);
        let flights = rig.take();
        rig.update("a", r#"{"inc":{"n":100}}"#);
        assert_eq!((rig.get("a"), rig.stored("a")), (Some(json!({"n":111})), Some(json!({"n":1}))));
        drop(flights);
        assert_eq!(rig.get("a"), Some(json!({"n":111})));
        rig.settle();
        assert_eq!((rig.get("a"), rig.stored("a")), (Some(json!({"n":111})), Some(json!({"n":111}))));
    }
}

#[test]
fn a_read_does_not_apply_twice_what_the_base_holds_already() {
    for takes in BOTH {
        let rig = Rig::with(takes, |builder| builder.keep_known(false));
        rig.index("a", r#"{"n":1}"#);
        rig.settle();
        rig.answers([Scripted::DoneUnheard]);
        rig.update("a", r#"{"inc":{"n":10}}"#);
        rig.drain();
        assert_eq!((rig.get("a"), rig.stored("a")), (Some(json!({"n":11})), Some(json!({"n":11}))));
        rig.update("a", r#"{"inc":{"n":100}}"#);
        assert_eq!(rig.get("a"), Some(json!({"n":111})));
        rig.settle();
        assert_eq!((rig.get("a"), rig.stored("a")), (Some(json!({"n":111})), Some(json!({"n":111}))));
    }
}

#[test]
fn what_was_put_back_stays_in_sight() {
    let rig = Rig::new(Takes::NetOperations);
    rig.answers([Scripted::Again(None)]);
    rig.update("a", r#"{"inc":{"n":1},"upsert":{"n":1}}"#);
    let flights = rig.take();
    rig.update("a", r#"{"inc":{"n":10}}"#);
    let again = Outcome::Again { reason: "busy".into(), after: None };
    flights.finish(vec![again]);
    assert_eq!(rig.get("a"), Some(json!({"n":11})));
}

#[test]
fn a_rejected_flight_is_left_out_of_reads() {
    for takes in BOTH {
        let rig = Rig::new(takes);
        rig.index("a", r#"{"n":1}"#);
        rig.settle();
        rig.answers([Scripted::Rejected]);
        rig.update("a", r#"{"inc":{"n":10}}"#);
        assert_eq!(rig.get("a"), Some(json!({"n":11})));
        rig.drain();
        assert_eq!(rig.get("a"), Some(json!({"n":1})));
        rig.update("a", r#"{"inc":{"n":100}}"#);
        assert_eq!(rig.get("a"), Some(json!({"n":101})));
        rig.settle();
        assert_eq!(rig.stored("a"), Some(json!({"n":101})));
    }
}

#[test]
fn a_multi_get_answers_in_the_order_asked() {
    let rig = Rig::with(Takes::NetOperations, |builder| builder.keep_known(false));
    for n in 0..10 {
        rig.index(&format!("k{n}"), &format!("{{\"n\":{n}}}"));
    }
    rig.settle();
    rig.update("k3", r#"{"doc":{"n":33}}"#);
    let keys = [(INDEX, "k7"), (INDEX, "nothing"), (INDEX, "k3"), ("other", "k7"), (INDEX, "k0")];
    let found = rig.engine.get_many(&keys).into_iter();
    let found: Vec<_> =
        found.map(|found| found.unwrap().map(|document| json(&document.source)["n"].clone())).collect();
    assert_eq!(found, [Some(json!(7)), None, Some(json!(33)), None, Some(json!(0))]);
}

#[test]
fn a_scan_walks_an_index_in_id_order_and_goes_on_from_its_token() {
    let rig = Rig::new(Takes::Documents);
    for n in (0..600).rev() {
        rig.index(&format!("{n:03}"), &format!("{{\"n\":{n}}}"));
    }
    rig.submit(Operation::index("other", "000", b"{}"));
    rig.delete("300");
    rig.settle();
    let mut scan = rig.engine.scan(INDEX, None, Duration::ZERO).unwrap();
    assert_eq!(scan.token(), None);
    let first: Vec<_> = scan.by_ref().take(250).map(|found| found.unwrap().0).collect();
    let token = scan.token().unwrap().to_string().parse().unwrap();
    // What is written after the walk began is not in it.
    rig.index("999", r#"{"n":999}"#);
    rig.settle();
    assert_eq!(first.len() + scan.count(), 599);
    let rest = rig.engine.scan(INDEX, Some(&token), Duration::ZERO).unwrap();
    let rest: Vec<_> = rest.map(|found| found.unwrap().0).collect();
    let expected: Vec<String> =
        (0..600).chain([999]).filter(|n| *n != 300).map(|n| format!("{n:03}")).collect();
    assert_eq!(first.iter().chain(&rest).map(ToString::to_string).collect::<Vec<_>>(), expected);
}

#[test]
fn a_scan_flushes_what_it_covers_first() {
    let rig = Rig::new(Takes::Documents);
    rig.index("a", "{}");
    // Without threads nothing drains while the scan waits: it says so, and has asked for the flush.
    assert_eq!(rig.engine.scan(INDEX, None, Duration::ZERO).unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(rig.run(), 1);
    assert_eq!(rig.engine.scan(INDEX, None, Duration::ZERO).unwrap().count(), 1);
}

#[test]
fn without_a_base_only_what_the_engine_knows_by_itself_can_be_read() {
    let clock = millpond::SimulatedClock::new(1);
    let builder = Engine::builder().clock(&clock).keep_known(false);
    let (engine, drainer) = builder.manual(Arc::new(NullSink), None).unwrap();
    engine.submit(Operation::index(INDEX, "a", b"{\"n\":1}")).unwrap();
    engine.submit(Operation::update(INDEX, "b", b"{\"doc\":{\"n\":1}}")).unwrap();
    assert!(engine.get(INDEX, "a").unwrap().is_some());
    for key in ["b", "c"] {
        assert_eq!(engine.get(INDEX, key).unwrap_err().kind(), ErrorKind::NoBase);
    }
    assert_eq!(engine.scan(INDEX, None, Duration::ZERO).unwrap_err().kind(), ErrorKind::NoBase);
    let _ = engine.flush(Duration::ZERO);
    drainer.run().unwrap();
    assert_eq!(engine.get(INDEX, "a").unwrap_err().kind(), ErrorKind::NoBase);
}

#[test]
fn a_document_comes_back_byte_for_byte_and_with_its_routing() {
    for takes in BOTH {
        let rig = Rig::new(takes);
        let text = "{ \"a\" : 1.10,\"b\":1e400 ,\"c\":[ 123456789012345678901234567890 ]}";
        rig.submit(Operation::index(INDEX, "a", text.as_bytes()).routing("r"));
        for _ in 0..2 {
            let document = rig.engine.get(INDEX, "a").unwrap().unwrap();
            assert_eq!(String::from_utf8_lossy(&document.source), text);
            assert_eq!(document.routing.as_deref(), Some("r"));
            rig.settle();
        }
    }
}
