//! What single operations come to at the server, and what their callers are told.

use crate::server::{Server, on_each, on_each_in_each_way};
use millpond::{
    Action, Base, Engine, ErrorKind, Operation, Sink, Status, elastic::ElasticOptions, elastic::ElasticSink,
};
use std::{sync::Arc, time::Duration};

const LONG: Duration = Duration::from_mins(1);

fn engine(server: &Server, options: &ElasticOptions) -> Engine {
    let sink = Arc::new(server.sink_with(options));
    let builder = Engine::builder().max_delay(Duration::from_millis(10));
    builder.build(Arc::clone(&sink) as Arc<dyn Sink>, Some(sink as Arc<dyn Base>)).unwrap()
}

fn status(engine: &Engine, operation: Operation<'_>) -> Status {
    let ticket = engine.submit_tracked(operation).unwrap();
    engine.flush(LONG).unwrap();
    ticket.status().unwrap()
}

#[test]
fn each_operation_has_the_status_that_the_server_gives_it() {
    on_each_in_each_way("statuses", |server, options| {
        // The index is made by the server itself.
        let (engine, index) = (engine(server, options), &*server.index);
        let is = |operation, expected| assert_eq!(status(&engine, operation), expected, "{operation:?}");
        let update = |body: &'static [u8]| Operation::update(index, "1", body);
        is(Operation::index(index, "1", br#"{"a":1.10}"#), Status::Created);
        assert_eq!(server.stored("1").unwrap(), r#"{"a":1.10}"#);
        is(Operation::index(index, "1", br#"{"a":1}"#), Status::Updated);
        is(Operation::create(index, "1", b"{}"), Status::Conflict);
        is(update(br#"{"doc":{"a":1}}"#), Status::Noop);
        is(update(br#"{"doc":{"a":2}}"#), Status::Updated);
        is(update(br#"{"inc":{"a":1}}"#), Status::Updated);
        is(update(br#"{"remove":{"x":true}}"#), Status::Noop);
        is(Operation::delete(index, "1"), Status::Deleted);
        is(Operation::delete(index, "1"), Status::NotFound);
        is(update(br#"{"doc":{"a":1}}"#), Status::NotFound);
        is(update(br#"{"inc":{"a":1}}"#), Status::NotFound);
        is(update(br#"{"inc":{"a":1},"doc_as_upsert":true}"#), Status::Created);
        engine.close(LONG).unwrap();
    });
}

#[test]
fn what_was_routed_is_found_by_its_routing() {
    on_each_in_each_way("routing", |server, options| {
        server.create_index(r#"{"_routing":{"required":true}}"#);
        let engine = engine(server, options);
        let body = br#"{"inc":{"a":1},"upsert":{"b":1}}"#;
        for _ in 0..3 {
            let operation =
                Operation { index: &server.index, id: "1", routing: Some("r"), action: Action::Update(body) };
            assert_ne!(status(&engine, operation), Status::Rejected);
        }
        let read = engine.get_routed(&server.index, "1", "r").unwrap().unwrap();
        assert_eq!(read.routing.as_deref(), Some("r"));
        engine.close(LONG).unwrap();
        // One that has it nowhere but at the server.
        let read_anew = self::engine(server, options).get_routed(&server.index, "1", "r").unwrap();
        assert_eq!(read_anew.as_ref(), Some(&read));
        let stored = server.stored_under("1", Some("r")).unwrap();
        assert!(stored.contains(r#""a":2"#) && stored.contains(r#""b":1"#), "{stored}");
    });
}

#[test]
fn one_bad_document_is_rejected_with_the_servers_words_and_the_others_go() {
    on_each_in_each_way("a mapping conflict", |server, options| {
        server.create_index(r#"{"properties":{"n":{"type":"integer"}}}"#);
        let engine = engine(server, options);
        let bad = engine.submit_tracked(Operation::index(&server.index, "1", br#"{"n":"x"}"#)).unwrap();
        let good = engine.submit_tracked(Operation::index(&server.index, "2", br#"{"n":2}"#)).unwrap();
        engine.flush(LONG).unwrap();
        assert_eq!(bad.status(), Some(Status::Rejected));
        assert_eq!(good.status(), Some(Status::Created));
        let failure = format!("{:?}", engine.stats().last_failure);
        assert!(
            failure.contains("mapper_parsing_exception") || failure.contains("document_parsing_exception"),
            "{failure}"
        );
        engine.close(LONG).unwrap();
    });
}

#[test]
fn a_strict_mapping_without_the_fence_stops_the_engine_with_the_line_to_add_which_is_right() {
    on_each("a strict mapping", |server| strict(server, &ElasticOptions::new()));
    on_each("a strict mapping, resolved", |server| strict(server, &ElasticOptions::new().resolve(true)));
}

fn strict(server: &Server, options: &ElasticOptions) {
    server.create_index(r#"{"dynamic":"strict","properties":{"n":{"type":"integer"}}}"#);
    let refusing = engine(server, options);
    let body = br#"{"inc":{"n":1},"doc_as_upsert":true}"#;
    refusing.submit(Operation::update(&server.index, "1", body)).unwrap();
    let error = refusing.flush(LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Latched, "{error}");
    let text = error.to_string();
    let (path, mapping) = text.split_once("PUT ").unwrap().1.split_once(' ').unwrap();
    let mapping = &mapping[..=mapping.rfind('}').unwrap()];
    assert_eq!(server.ask("PUT", path, mapping).0, 200, "{path} {mapping}");
    drop(refusing);
    let engine = engine(server, options);
    assert_eq!(status(&engine, Operation::update(&server.index, "1", body)), Status::Created);
    assert_eq!(status(&engine, Operation::update(&server.index, "1", body)), Status::Updated);
    engine.close(LONG).unwrap();
    assert!(server.stored("1").unwrap().contains(r#""n":2"#));
}

#[test]
fn a_fence_has_the_name_that_was_chosen() {
    on_each("a name for fences", |server| {
        let options = ElasticOptions::new().fence_field("fence");
        let sink = ElasticSink::new(&[&server.url], &options).unwrap();
        let engine = Engine::builder().build(Arc::new(sink), None).unwrap();
        let body = br#"{"inc":{"n":1},"doc_as_upsert":true}"#;
        engine.submit(Operation::update(&server.index, "1", body)).unwrap();
        engine.close(LONG).unwrap();
        let stored = server.stored("1").unwrap();
        assert!(stored.contains(r#""fence":""#) && !stored.contains("_millpond"), "{stored}");
    });
}
