//! Connections that do not come about or break, nodes that are away, and a script that is lost.

use crate::{
    http::{Answer, FakeServer, Reading, Response, Setup},
    rig::Rig,
};
use millpond::{
    Engine, Operation,
    elastic::{ElasticOptions, ElasticSink},
};
use serde_json::json;
use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// An address at which nobody listens.
fn nobody() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}")
}

#[test]
fn a_connection_that_breaks_in_the_midst_of_a_request_or_after_it_loses_nothing_and_doubles_nothing() {
    for reading in [Reading::Close { after: 10 }, Reading::Reset { after: 10 }] {
        let bulks = AtomicU32::new(0);
        let setup = Setup::default().reading(move |request| {
            let is_first = request.path.starts_with("/_bulk") && bulks.fetch_add(1, Ordering::Relaxed) == 0;
            if is_first { reading.clone() } else { Reading::Whole }
        });
        let rig = Rig::with(setup, |url| vec![url.to_owned()]);
        rig.increment("1");
        rig.settle();
        assert_eq!(rig.count("1"), 1);
    }
    for answer in [Answer::Close, Answer::Reset] {
        let rig = Rig::new();
        rig.increment("1");
        rig.next(|model, request| {
            model.answer(request);
            answer
        });
        rig.settle();
        assert_eq!(rig.count("1"), 1);
    }
}

#[test]
fn of_several_nodes_one_that_is_away_is_passed_over() {
    let rig = Rig::with(Setup::default(), |url| vec![nobody(), url.to_owned(), nobody()]);
    for _ in 0..6 {
        rig.increment("1");
        assert_eq!(rig.settle(), Duration::ZERO, "nothing had to be sent again");
    }
    assert_eq!(rig.count("1"), 6);
}

#[test]
fn a_server_that_nobody_can_reach_is_sent_what_waited_once_it_is_there() {
    let away = nobody();
    let rig = Rig::with(Setup::default(), |_| vec![away.clone()]);
    for _ in 0..3 {
        rig.increment("1");
        rig.drain();
        rig.clock.advance(Duration::from_secs(1));
    }
    let model = rig.model.clone();
    let address = away.strip_prefix("http://").unwrap().parse().unwrap();
    let server = Setup::default().at(address).start(move |request| {
        if request.path.starts_with("/_scripts") {
            return Response::json(200, &json!({})).into();
        }
        model.answer(request).into()
    });
    rig.settle();
    assert_eq!((rig.count("1"), rig.letters().len()), (3, 0));
    let bulks = server.requests().iter().filter(|request| request.path.starts_with("/_bulk")).count();
    assert_eq!(bulks, 1, "what waited was folded");
}

#[test]
fn a_script_that_the_server_has_lost_is_stored_again() {
    let rig = Rig::new();
    rig.increment("1");
    rig.settle();
    rig.increment("1");
    rig.next(|model, request| {
        let lost =
            || crate::http::Refusal::new(404, "resource_not_found_exception", "unable to find script [x]");
        model.lock().answer_refusing(request, |_| Some(lost())).into()
    });
    rig.settle();
    assert_eq!((rig.count("1"), rig.letters().len()), (2, 0));
    let stored = rig.server.requests().iter().filter(|request| request.path.starts_with("/_scripts")).count();
    assert_eq!(stored, 2);
}

#[test]
fn a_script_that_may_not_be_stored_goes_along() {
    let server = FakeServer::start(|request| {
        if request.path.starts_with("/_scripts") {
            return Response::error(403, "security_exception", "no").into();
        }
        assert!(request.text().contains(r#""source":"#) && !request.text().contains(r#""script":{"id""#));
        let item = json!({"update": {"_id": "1", "status": 201, "result": "created"}});
        Response::json(200, &json!({"took": 1, "errors": false, "items": [item]})).into()
    });
    let sink = ElasticSink::new(&[server.url()], &ElasticOptions::new()).unwrap();
    let engine = Engine::builder().build(Arc::new(sink), None).unwrap();
    for _ in 0..2 {
        engine.submit(Operation::update("i", "1", br#"{"inc":{"n":1},"doc_as_upsert":true}"#)).unwrap();
        engine.flush(Duration::from_mins(1)).unwrap();
    }
    engine.close(Duration::from_mins(1)).unwrap();
    let asked = server.requests().iter().filter(|request| request.path.starts_with("/_scripts")).count();
    assert_eq!(asked, 1, "it is asked once");
}
