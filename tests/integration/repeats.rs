//! Each flight reaches the sink at least once, and repeating it changes nothing.

use crate::rig::{INDEX, Rig};
use millpond::{ItemAction, Next, Operation, Outcome, Scripted, Takes};
use serde_json::json;
use std::time::Duration;

#[test]
fn a_flight_with_an_unknown_outcome_goes_out_again_exactly_as_it_was() {
    for takes in [Takes::NetOperations, Takes::Documents] {
        let rig = Rig::new(takes);
        let sent =
            rig.answers([Scripted::Lost, Scripted::Again(None), Scripted::DoneUnheard, Scripted::Lost]);
        rig.update("a", r#"{"inc":{"n":1},"upsert":{"n":1}}"#);
        rig.update("a", r#"{"inc":{"n":1}}"#);
        rig.drain();
        // This one must not fold into what is half known.
        rig.update("a", r#"{"inc":{"n":10}}"#);
        rig.settle();
        let items: Vec<_> = sent.try_iter().collect();
        let bounds = |item: &millpond::Item| (item.first_seq, item.last_seq, item.operations);
        let text = |item: &millpond::Item| match &item.action {
            ItemAction::Put(document) => String::from_utf8_lossy(document).into_owned(),
            ItemAction::Delete => "delete".to_owned(),
            ItemAction::Net(net) => format!("{net:?}"),
        };
        for (attempt, item) in (0..).zip(&items[..5]) {
            assert_eq!((bounds(item), text(item)), (bounds(&items[0]), text(&items[0])));
            assert_eq!(item.attempt, attempt);
        }
        assert_eq!((items.len(), items[0].operations, items[5].operations), (6, 2, 1));
        assert_eq!(rig.stored("a"), Some(json!({"n":12})), "{takes:?}");
    }
}

#[test]
fn only_what_is_known_not_to_have_been_applied_goes_on_coalescing() {
    let rig = Rig::new(Takes::NetOperations);
    let sent = rig.answers([Scripted::Again(None)]);
    let first = rig.update("a", r#"{"inc":{"n":1},"upsert":{"n":1}}"#);
    rig.drain();
    let last = rig.update("a", r#"{"inc":{"n":10}}"#);
    rig.settle();
    let items: Vec<_> = sent.try_iter().collect();
    assert_eq!(items.len(), 2);
    assert_eq!((items[1].first_seq, items[1].last_seq, items[1].operations), (first, last, 2));
    assert_eq!((items[1].attempt, rig.stored("a")), (0, Some(json!({"n":11}))));
}

#[test]
fn what_would_change_a_document_twice_carries_a_fence() {
    let repeatable = |operation: Operation<'_>| {
        let rig = Rig::new(Takes::NetOperations);
        let sent = rig.answers([]);
        rig.submit(operation);
        rig.drain();
        sent.try_iter().next().unwrap().repeatable
    };
    let update = |body: &'static str| Operation::update(INDEX, "a", body.as_bytes());
    for fenced in [r#"{"doc":{"a":1},"upsert":{"a":0}}"#, r#"{"inc":{"n":1}}"#, r#"{"append":{"l":[1]}}"#] {
        assert!(!repeatable(update(fenced)), "{fenced}");
    }
    for free in [r#"{"doc":{"a":1}}"#, r#"{"doc":{"a":1},"doc_as_upsert":true}"#, r#"{"max":{"a":1}}"#] {
        assert!(repeatable(update(free)), "{free}");
    }
    assert!(repeatable(Operation::index(INDEX, "a", b"{}")));
    assert!(repeatable(Operation::delete(INDEX, "a")));
}

#[test]
fn repeating_a_flight_of_any_kind_changes_nothing() {
    let bodies = [
        r#"{"inc":{"n":1},"upsert":{"n":1}}"#,
        r#"{"doc":{"n":1},"upsert":{"n":0}}"#,
        r#"{"append":{"n":[1]},"doc_as_upsert":true}"#,
        r#"{"union":{"n":[1,2]}}"#,
        r#"{"doc":{"n":{"m":1}}}"#,
    ];
    for takes in [Takes::NetOperations, Takes::Documents] {
        for before in [None, Some(r#"{"n":[7]}"#), Some(r#"{"n":5}"#)] {
            for body in bodies {
                let once = Rig::new(takes);
                let twice = Rig::new(takes);
                for rig in [&once, &twice] {
                    if let Some(before) = before {
                        rig.index("a", before);
                        rig.settle();
                    }
                }
                twice.answers([
                    Scripted::DoneUnheard,
                    Scripted::DoneUnheard,
                    Scripted::Late(Duration::from_secs(40)),
                ]);
                for rig in [&once, &twice] {
                    rig.update("a", body);
                    rig.settle();
                    rig.clock.advance(Duration::from_mins(1));
                }
                assert_eq!(twice.stored("a"), once.stored("a"), "{takes:?} {body} over {before:?}");
            }
        }
    }
}

#[test]
fn a_batch_dropped_unanswered_counts_as_unknown() {
    let rig = Rig::new(Takes::NetOperations);
    let sent = rig.answers([]);
    rig.update("a", r#"{"inc":{"n":1},"upsert":{"n":1}}"#);
    let flights = rig.take();
    let seq = flights.batch().items[0].last_seq;
    drop(flights);
    rig.update("a", r#"{"inc":{"n":1}}"#);
    rig.settle();
    let items: Vec<_> = sent.try_iter().collect();
    assert_eq!((items[0].last_seq, items[0].attempt), (seq, 1));
    assert_eq!(rig.stored("a"), Some(json!({"n":2})));
}

#[test]
fn an_answer_of_another_length_says_nothing_about_any_item() {
    let rig = Rig::new(Takes::NetOperations);
    let sent = rig.answers([]);
    rig.index("a", "{}");
    rig.index("b", "{}");
    let flights = rig.take();
    flights.finish(vec![Outcome::Created]);
    assert!(rig.engine.stats().last_failure.unwrap().contains("1 outcomes to 2 items"));
    rig.settle();
    assert!(sent.try_iter().all(|item| item.attempt == 1));
    assert_eq!(rig.engine.stats().operations_settled, 2);
}

#[test]
fn a_first_send_that_is_stale_is_reported_and_never_taken_for_done() {
    let rig = Rig::new(Takes::NetOperations);
    rig.answers([Scripted::Stale]);
    rig.index("a", "{}");
    rig.settle();
    let letters = rig.letters.take();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].contains("stale"), "{letters:?}");
    // A repeat may meet its own first attempt: then it is done.
    rig.answers([Scripted::DoneUnheard, Scripted::Stale]);
    rig.index("b", "{}");
    rig.settle();
    assert!(rig.letters.take().is_empty());
    assert_eq!(rig.engine.stats().operations_settled, 1);
}

#[test]
fn a_sink_that_takes_nothing_of_a_batch_is_given_a_pause() {
    let rig = Rig::new(Takes::NetOperations);
    rig.script(|_| Scripted::Again(Some(Duration::from_secs(7))));
    rig.index("a", "{}");
    rig.drain();
    rig.index("b", "{}");
    let _ = rig.engine.flush(Duration::ZERO);
    let Next::Wait(wait) = rig.drainer.next().unwrap() else { panic!("sent in the pause") };
    assert_eq!(wait, Duration::from_secs(7));
}
