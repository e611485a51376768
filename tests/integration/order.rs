//! One key, one order: through retries, splits and changes of routing.

use crate::rig::{INDEX, Rig};
use millpond::{Next, Operation, Scripted, Takes};
use serde_json::json;
use std::time::Duration;

/// Appends `n` to the list at `log`: the document then tells the order.
fn append(n: u32) -> String {
    format!("{{\"append\":{{\"log\":[{n}]}},\"upsert\":{{\"log\":[{n}]}}}}")
}

#[test]
fn operations_keep_their_order_through_retries_of_every_class() {
    for takes in [Takes::NetOperations, Takes::Documents] {
        let rig = Rig::with(takes, |builder| builder.late_request_bound(Duration::from_secs(5)));
        let mut turn = 0;
        rig.script(move |_| {
            turn += 1;
            match turn % 5 {
                1 => Scripted::Again(None),
                2 => Scripted::Lost,
                3 => Scripted::DoneUnheard,
                4 => Scripted::Late(Duration::from_secs(4)),
                _ => Scripted::Done,
            }
        });
        for n in 0..100 {
            rig.update("a", &append(n));
            rig.drain();
            rig.clock.advance(Duration::from_millis(u64::from(n) * 13 % 700));
        }
        rig.settle();
        rig.clock.advance(Duration::from_secs(5));
        let log: Vec<u32> = (0..100).collect();
        assert_eq!(rig.stored("a"), Some(json!({"log": log})), "{takes:?}");
        assert_eq!(rig.get("a"), Some(json!({"log": log})));
    }
}

#[test]
fn an_operation_with_another_routing_waits_for_the_flight_before_it() {
    let rig = Rig::new(Takes::NetOperations);
    let sent = rig.answers([Scripted::Again(Some(Duration::from_secs(3)))]);
    for (n, routing) in [(0, "x"), (1, "y"), (2, "y"), (3, "x")] {
        let body = append(n);
        rig.submit(Operation::update(INDEX, "a", body.as_bytes()).routing(routing));
    }
    rig.run();
    assert_eq!(sent.try_iter().count(), 1, "the first is thrown back; nothing passes it");
    rig.settle();
    let routings: Vec<_> =
        sent.try_iter().map(|item| (item.routing.unwrap().to_string(), item.operations)).collect();
    assert_eq!(routings, [("x".into(), 1), ("y".into(), 2), ("x".into(), 1)]);
    assert_eq!(rig.stored("a"), Some(json!({"log":[0,1,2,3]})));
}

#[test]
fn operations_that_wait_behind_another_go_out_without_waiting_for_their_age() {
    let rig = Rig::new(Takes::NetOperations);
    rig.submit(Operation::index(INDEX, "a", b"{\"n\":1}").routing("x"));
    rig.submit(Operation::index(INDEX, "a", b"{\"n\":2}").routing("y"));
    rig.run();
    assert_eq!(rig.stored("a"), Some(json!({"n":2})));
}

#[test]
fn a_second_operation_on_a_key_is_not_sent_while_the_first_is_out() {
    let rig = Rig::new(Takes::NetOperations);
    rig.update("a", &append(0));
    let flights = rig.take();
    rig.update("a", &append(1));
    rig.update("b", &append(0));
    let others = rig.take();
    let ids = |flights: &millpond::Flights| -> Vec<String> {
        flights.batch().items.iter().map(|item| item.id.to_string()).collect()
    };
    assert_eq!((ids(&flights), ids(&others)), (vec!["a".to_owned()], vec!["b".to_owned()]));
    assert!(matches!(rig.drainer.next().unwrap(), Next::Wait(_)));
}

#[test]
fn after_an_unknown_outcome_newer_operations_wait_for_the_late_request_bound() {
    let bound = Duration::from_mins(1);
    let rig = Rig::with(Takes::NetOperations, |builder| builder.late_request_bound(bound));
    let sent = rig.answers([Scripted::Late(Duration::from_secs(50))]);
    rig.index("a", r#"{"n":1}"#);
    rig.drain();
    rig.index("a", r#"{"n":2}"#);
    rig.pass(Duration::from_secs(1));
    // The repeat is done; the first request may still be carried out.
    assert_eq!(sent.try_iter().count(), 2);
    assert_eq!((rig.stored("a"), rig.get("a")), (Some(json!({"n":1})), Some(json!({"n":2}))));
    rig.drain();
    rig.pass(Duration::from_secs(58));
    assert_eq!(sent.try_iter().count(), 0, "still held");
    rig.pass(Duration::from_secs(2));
    assert_eq!(sent.try_iter().count(), 1);
    assert_eq!(rig.stored("a"), Some(json!({"n":2})));
    rig.clock.advance(bound);
    assert_eq!(rig.stored("a"), Some(json!({"n":2})));
}

#[test]
fn a_batch_that_is_split_keeps_the_order_of_each_key() {
    let rig = Rig::with(Takes::NetOperations, |builder| builder.batch_operations(1).shards(1));
    let sent = rig.answers([]);
    for n in 0..5 {
        for key in ["a", "b", "c"] {
            rig.update(key, &append(n));
        }
    }
    rig.settle();
    assert_eq!(sent.try_iter().count(), 3);
    for key in ["a", "b", "c"] {
        assert_eq!(rig.stored(key), Some(json!({"log":[0,1,2,3,4]})));
    }
}

#[test]
fn a_batch_is_grouped_by_index_and_bounded_by_operations_and_bytes() {
    let rig = Rig::with(Takes::NetOperations, |builder| builder.batch_operations(10).batch_bytes(1_000));
    for n in 0..40 {
        let index = ["one", "two"][n % 2];
        rig.submit(Operation::index(index, &format!("{n:02}"), b"{\"n\":1}"));
    }
    let _ = rig.engine.flush(Duration::ZERO);
    let mut seen = 0;
    while let Next::Send(flights) = rig.drainer.next().unwrap() {
        let batch = flights.batch();
        assert!(batch.items.len() <= 10 && batch.bytes <= 1_000, "{} {}", batch.items.len(), batch.bytes);
        assert!(batch.items.is_sorted_by_key(|item| (item.index.clone(), item.id.clone())));
        seen += batch.items.len();
        let done = vec![millpond::Outcome::Created; batch.items.len()];
        flights.finish(done);
    }
    assert_eq!(seen, 40);
}
