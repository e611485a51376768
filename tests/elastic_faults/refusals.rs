//! What the server refuses: sent again, in parts, later or never, and nothing beside it is lost.

use crate::{
    http::{Refusal, Response},
    rig::{INDEX, Rig},
};
use millpond::{Operation, Status};
use serde_json::json;
use std::time::Duration;

#[test]
fn a_server_that_has_too_much_to_do_is_left_alone_for_as_long_as_it_asks() {
    let rig = Rig::new();
    rig.put("1", r#"{"a":1}"#);
    rig.next(|_, _| Response::too_many_requests().header("retry-after", "7").into());
    assert!(rig.settle() >= Duration::from_secs(7));
    assert_eq!(rig.get("1"), Some(json!({"a": 1})));
    assert_eq!((rig.bulks().len(), rig.letters().len()), (2, 0));
}

#[test]
fn of_a_batch_only_what_was_refused_for_now_is_sent_again() {
    let rig = Rig::new();
    for id in ["1", "2", "3"] {
        rig.increment(id);
    }
    rig.next(|model, request| {
        let refuse =
            |item: &crate::http::Item| (item.id.as_deref() == Some("2")).then(Refusal::too_many_requests);
        model.lock().answer_refusing(request, refuse).into()
    });
    rig.settle();
    assert_eq!(["1", "2", "3"].map(|id| rig.count(id)), [1; 3]);
    let again = &rig.bulks()[1];
    assert!(again.contains(r#""_id":"2""#) && !again.contains(r#""_id":"1""#), "{again}");
}

#[test]
fn a_blocked_cluster_and_shards_that_are_away_make_no_dead_letters() {
    let rig = Rig::new();
    rig.increment("1");
    rig.next(|_, _| Response::error(503, "cluster_block_exception", "state not recovered").into());
    rig.next(|model, request| model.lock().answer_refusing(request, |_| Some(Refusal::unavailable())).into());
    rig.settle();
    assert_eq!((rig.count("1"), rig.letters().len()), (1, 0));
}

#[test]
fn a_request_that_is_too_large_is_split_and_a_document_that_is_too_large_becomes_a_dead_letter() {
    let rig = Rig::new();
    for id in 0..20 {
        rig.put(&id.to_string(), r#"{"a":"0123456789012345678901234567890123456789"}"#);
    }
    rig.put("long", &format!(r#"{{"a":"{}"}}"#, "x".repeat(3_000)));
    for _ in 0..200 {
        rig.next(|model, request| {
            if request.body.len() > 500 { Response::empty(413).into() } else { model.answer(request).into() }
        });
    }
    rig.settle();
    assert!((0..20).all(|id| rig.get(&id.to_string()).is_some()));
    let letters = rig.letters();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].contains(r#""_id":"long""#) && letters[0].contains("413"), "{letters:?}");
}

#[test]
fn a_document_that_a_mapping_does_not_take_is_a_dead_letter_with_the_servers_words_and_alone() {
    let rig = Rig::new();
    for id in ["1", "2"] {
        rig.increment(id);
    }
    rig.next(|model, request| {
        let refuse = |item: &crate::http::Item| (item.id.as_deref() == Some("2")).then(Refusal::mapping);
        model.lock().answer_refusing(request, refuse).into()
    });
    rig.settle();
    assert_eq!((rig.count("1"), rig.count("2")), (1, 0));
    let letters = rig.letters();
    assert!(letters.len() == 1 && letters[0].contains("failed to parse field [x]"), "{letters:?}");
}

#[test]
fn of_a_request_that_is_refused_for_one_bad_operation_all_others_are_carried_out() {
    let rig = Rig::new();
    for id in 0..30 {
        rig.put(&id.to_string(), if id == 17 { r#"{"poison":1}"# } else { r#"{"a":1}"# });
    }
    for _ in 0..100 {
        rig.next(|model, request| {
            if request.text().contains("poison") {
                return Response::error(400, "illegal_argument_exception", "that one").into();
            }
            model.answer(request).into()
        });
    }
    rig.settle();
    assert!((0..30).filter(|id| *id != 17).all(|id| rig.get(&id.to_string()).is_some()));
    let letters = rig.letters();
    assert!(
        letters.len() == 1 && letters[0].contains("that one") && letters[0].contains("poison"),
        "{letters:?}"
    );
}

#[test]
fn an_update_of_nothing_and_a_create_of_something_are_told_to_their_callers() {
    let rig = Rig::new();
    rig.put("there", "{}");
    rig.settle();
    let missing = rig.tracked(Operation::update(INDEX, "gone", br#"{"doc":{"a":1}}"#));
    let conflict = rig.tracked(Operation::create(INDEX, "there", b"{}"));
    rig.settle();
    assert_eq!((missing.status(), conflict.status()), (Some(Status::NotFound), Some(Status::Conflict)));
    assert!(rig.letters().is_empty());
}

#[test]
fn an_update_that_somebody_else_got_ahead_of_is_tried_again() {
    let rig = Rig::new();
    rig.increment("1");
    rig.next(|model, request| {
        let conflict = || Refusal::new(409, "version_conflict_engine_exception", "required seqNo");
        model.lock().answer_refusing(request, |_| Some(conflict())).into()
    });
    rig.settle();
    assert_eq!((rig.count("1"), rig.letters().len()), (1, 0));
}

#[test]
fn credentials_that_stop_working_are_a_pause_without_loss() {
    for status in [401, 403] {
        let rig = Rig::new();
        rig.increment("1");
        for _ in 0..2 {
            rig.next(move |_, _| Response::error(status, "security_exception", "no").into());
        }
        rig.drain();
        rig.increment("1");
        assert!(rig.settle() >= Duration::from_secs(30));
        assert_eq!((rig.count("1"), rig.letters().len()), (2, 0));
    }
}
