//! Answers that say nothing, too little or the wrong thing: never taken for done, and nothing is done twice.

use crate::{
    http::{Answer, Gate, Request, Response, SharedModel},
    rig::Rig,
};
use serde_json::json;

/// Both documents' increments meet this once, and count once.
fn counts_once(fault: impl FnOnce(&SharedModel, &Request) -> Answer + Send + 'static) {
    let rig = Rig::new();
    for id in ["1", "2", "3"] {
        rig.increment(id);
    }
    rig.next(fault);
    rig.drain();
    // What is newer waits, and counts too.
    for id in ["1", "2", "3"] {
        rig.increment(id);
    }
    rig.settle();
    assert_eq!(["1", "2", "3"].map(|id| rig.count(id)), [2; 3]);
    assert!(rig.bulks().len() >= 3, "the first was sent again, and then what is newer");
    assert!(rig.letters().is_empty());
}

#[test]
fn an_answer_with_fewer_items_says_nothing() {
    counts_once(|model, request| model.answer(request).map_items(|items| drop(items.pop())).into());
}

#[test]
fn an_answer_in_another_order_says_nothing() {
    counts_once(|model, request| model.answer(request).map_items(|items| items.reverse()).into());
}

#[test]
fn a_page_of_html_says_nothing_though_its_status_is_200() {
    counts_once(|model, request| {
        model.answer(request);
        Response::html(200).into()
    });
}

#[test]
fn an_answer_that_says_to_be_packed_and_is_not_says_nothing() {
    counts_once(|model, request| model.answer(request).header("content-encoding", "gzip").into());
}

#[test]
fn half_an_answer_says_nothing() {
    counts_once(|model, request| Answer::half(model.answer(request)));
}

#[test]
fn json_that_ends_early_says_nothing() {
    counts_once(|model, request| model.answer(request).truncated(40).into());
}

#[test]
fn an_answer_that_is_no_http_says_nothing() {
    counts_once(|model, request| {
        model.answer(request);
        Answer::Raw(b"\x00\x01\x02".to_vec())
    });
}

#[test]
fn an_error_of_the_server_after_it_was_carried_out_says_nothing() {
    counts_once(|model, request| {
        model.answer(request);
        Response::empty(502).into()
    });
}

#[test]
fn what_was_carried_out_and_never_answered_counts_once() {
    counts_once(|model, request| {
        model.answer(request);
        Answer::Hang(Gate::new())
    });
}

#[test]
fn what_a_proxy_sent_twice_counts_once() {
    let rig = Rig::new();
    rig.increment("1");
    rig.next(|model, request| model.answer_twice(request).into());
    rig.settle();
    rig.increment("1");
    rig.settle();
    assert_eq!(rig.count("1"), 2);
}

#[test]
fn a_request_that_is_carried_out_late_comes_before_what_is_newer() {
    let rig = Rig::new();
    let (late, sent) = std::sync::mpsc::channel();
    rig.put("1", r#"{"v":1}"#);
    rig.next(move |_, request| {
        late.send(request.clone()).unwrap();
        Answer::Close
    });
    rig.drain();
    rig.put("1", r#"{"v":2}"#);
    // The first one is sent again, and carried out; the second one waits, as the first may still come.
    for _ in 0..20 {
        rig.clock.advance(std::time::Duration::from_secs(1));
        rig.drain();
    }
    assert_eq!(rig.get("1"), Some(json!({"v": 1})));
    rig.model.answer(&sent.recv().unwrap());
    rig.settle();
    assert_eq!(rig.get("1"), Some(json!({"v": 2})));
}
