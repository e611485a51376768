//! Accepted means kept; and an operation ends settled or in a dead letter.

use crate::rig::{INDEX, Rig, json};
use millpond::{Operation, Scripted, Takes};
use serde_json::json;
use std::time::Duration;

#[test]
fn what_was_accepted_is_kept_while_the_sink_refuses_it_for_now() {
    let rig = Rig::new(Takes::NetOperations);
    let sent = rig.answers(vec![Scripted::Again(None); 20]);
    rig.index("a", r#"{"n":1}"#);
    for _ in 0..20 {
        rig.drain();
        assert_eq!(rig.get("a"), Some(json!({"n":1})));
        assert_eq!(rig.stored("a"), None);
        rig.clock.advance(Duration::from_secs(31));
    }
    rig.drain();
    assert_eq!(rig.stored("a"), Some(json!({"n":1})));
    assert_eq!(sent.try_iter().count(), 21);
    assert_eq!(rig.engine.stats().retries, 20);
}

#[test]
fn every_operation_ends_settled_or_in_a_dead_letter() {
    let rig = Rig::new(Takes::NetOperations);
    rig.script(|item| if item.id.starts_with("bad") { Scripted::Rejected } else { Scripted::Done });
    for n in 0..30 {
        rig.update(&format!("good{}", n % 7), r#"{"inc":{"n":1},"upsert":{"n":1}}"#);
        rig.update(&format!("bad{}", n % 3), r#"{"inc":{"n":1}}"#);
    }
    rig.settle();
    let stats = rig.engine.stats();
    assert_eq!((stats.operations_in, stats.operations_settled, stats.operations_dead), (60, 30, 30));
    assert_eq!((stats.dead_letters, stats.operations_out), (3, 7));
    let dead: u64 =
        rig.letters.take().iter().map(|line| json(line.as_bytes())["operations"].as_u64().unwrap()).sum();
    assert_eq!(dead, 30);
}

#[test]
fn what_the_last_handle_leaves_unsettled_is_in_the_dead_letters() {
    let Rig { engine, drainer, letters, sink, .. } = Rig::new(Takes::NetOperations);
    engine.submit(Operation::index(INDEX, "waits", b"{\"n\":1}")).unwrap();
    engine.submit(Operation::update(INDEX, "out", b"{\"inc\":{\"n\":1}}").routing("r")).unwrap();
    sink.script(|_| Scripted::Lost);
    let _ = engine.flush(Duration::ZERO);
    drainer.run().unwrap();
    engine.submit(Operation::update(INDEX, "out", b"{\"inc\":{\"n\":2}}").routing("r")).unwrap();
    let other = engine.clone();
    drop(engine);
    assert!(letters.take().is_empty(), "a handle is left");
    drop(other);
    let mut left: Vec<_> = letters.take().iter().map(|line| json(line.as_bytes())).collect();
    left.sort_by_key(|letter| (letter["action"].to_string(), letter["first_seq"].as_u64()));
    let bodies: Vec<_> = left.iter().map(|letter| letter["body"].to_string()).collect();
    assert_eq!(bodies, [r#"{"n":1}"#, r#"{"inc":{"n":1}}"#, r#"{"inc":{"n":2}}"#]);
    assert_eq!(left[1]["action"]["update"]["routing"], "r");
    // What is in the letters is not sent any more.
    assert!(drainer.next().is_err());
}

#[test]
fn a_refused_operation_comes_back_and_leaves_nothing_behind() {
    let rig = Rig::new(Takes::NetOperations);
    let operation = Operation::update(INDEX, "a", b"{\"doc\":[]}").routing("r");
    let refused = rig.engine.submit(operation).unwrap_err();
    assert_eq!(refused.operation, operation);
    assert!(refused.error.is_bad_input());
    assert_eq!(rig.engine.stats().operations_in, 0);
    assert_eq!((rig.get("a"), rig.run()), (None, 0));
}

#[test]
fn a_batch_leaves_out_what_is_bad_and_takes_the_rest() {
    let rig = Rig::new(Takes::NetOperations);
    let refused = rig
        .engine
        .submit_batch(&[
            Operation::index(INDEX, "a", b"{\"n\":1}"),
            Operation::index(INDEX, "b", b"{\"n\":"),
            Operation::index(INDEX, "c", b"{\"n\":3}"),
        ])
        .unwrap_err();
    assert_eq!(refused.refused.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [1]);
    assert_eq!(refused.stopped_at, None);
    assert!(refused.last_seq.is_some());
    assert_eq!(
        (rig.get("a"), rig.get("b"), rig.get("c")),
        (Some(json!({"n":1})), None, Some(json!({"n":3})))
    );
}

#[test]
fn operations_on_one_document_go_out_as_one() {
    let rig = Rig::new(Takes::NetOperations);
    let sent = rig.answers([]);
    for _ in 0..80 {
        rig.update("a", r#"{"inc":{"n":1},"upsert":{"n":1}}"#);
    }
    rig.settle();
    let items: Vec<_> = sent.try_iter().collect();
    assert_eq!(items.iter().map(|item| item.operations).collect::<Vec<_>>(), [80]);
    assert_eq!(rig.stored("a"), Some(json!({"n":80})));
    assert_eq!(rig.engine.stats().operations_folded, 79);
}
