//! What callers are told of each of many operations, against what a plain client is told by the same server.
//!
//! The same stream goes to two indices: through an engine, and item by item, one request each. Sent one at a time, all statuses are equal.
//! Folded, they are as well, but for the stated limit: what changed nothing is told of all that was folded together, so *noop* and
//! *updated* may stand for each other.

use crate::server::{Server, on_each};
use millpond::{Action, Engine, Operation, Status, Ticket};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const LONG: Duration = Duration::from_mins(1);
const DOCUMENTS: u64 = 12;
const OPERATIONS: usize = 400;

/// Numbers that do not repeat soon.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// An operation that every client can send: an id, a verb and a body.
type Plain = (String, &'static str, String);

fn plain(random: &mut Random) -> Plain {
    let id = random.below(DOCUMENTS).to_string();
    let mut of = |names: &[&'static str]| names[usize::try_from(random.below(names.len() as u64)).unwrap()];
    let (field, other) = (of(&["a", "b", "c"]), of(&["a", "b", "d"]));
    let (value, more) = (random.below(3), random.below(3));
    let doc = format!(r#"{{"{field}":{value}}}"#);
    match random.below(12) {
        0 => (id, "index", doc),
        1 | 2 => (id, "create", doc),
        3 | 4 => (id, "delete", String::new()),
        5..=7 => (id, "update", format!(r#"{{"doc":{doc}}}"#)),
        8 => (id, "update", format!(r#"{{"doc":{doc},"detect_noop":false}}"#)),
        9 => (id, "update", format!(r#"{{"doc":{doc},"doc_as_upsert":true}}"#)),
        10 => (id, "update", format!(r#"{{"doc":{doc},"upsert":{{"{other}":{more}}}}}"#)),
        _ => (id, "update", format!(r#"{{"doc":{{"{field}":{{"x":{value}}},"{field}{field}":{more}}}}}"#)),
    }
}

/// What the server says of one item that is sent alone.
fn told(server: &Server, index: &str, (id, verb, body): &Plain) -> Status {
    let mut lines = format!("{{\"{verb}\":{{\"_index\":\"{index}\",\"_id\":\"{id}\"}}}}\n");
    if *verb != "delete" {
        lines.push_str(body);
        lines.push('\n');
    }
    let (status, answer) = server.ask("POST", "/_bulk", &lines);
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let item = &answer["items"][0][verb];
    match (item["status"].as_u64().unwrap(), item["result"].as_str()) {
        (200 | 201, Some("created")) => Status::Created,
        (200, Some("updated")) => Status::Updated,
        (200, Some("noop")) => Status::Noop,
        (200, Some("deleted")) => Status::Deleted,
        (404, Some("not_found")) => Status::NotFound,
        (404, None) if item["error"]["type"] == "document_missing_exception" => Status::NotFound,
        (409, None) => Status::Conflict,
        _ => panic!("{item}"),
    }
}

fn submit(engine: &Engine, index: &str, (id, verb, body): &Plain) -> Ticket {
    let body = body.as_bytes();
    let action = match *verb {
        "index" => Action::Index(body),
        "create" => Action::Create(body),
        "update" => Action::Update(body),
        _ => Action::Delete,
    };
    engine.submit_tracked(Operation { index, id, routing: None, action }).unwrap()
}

/// Sends a random stream both ways, drained after as many operations as are drawn below `most`; each with what it was told.
fn both(server: &Server, seed: u64, most: u64) -> Vec<(Plain, Status, Status)> {
    let [ours, theirs] = ["ours", "theirs"].map(|end| format!("{}-{end}", server.index));
    for index in [&ours, &theirs] {
        // Fields may be objects or numbers. Each request would wait for a sync, and nothing is asked of the disk here.
        let body = r#"{"mappings":{"enabled":false},"settings":{"number_of_replicas":0,"translog.durability":"async"}}"#;
        assert_eq!(server.ask("PUT", &format!("/{index}"), body).0, 200);
    }
    // The drain is told by the flushes alone.
    let engine =
        Engine::builder().max_delay(Duration::from_hours(1)).build(Arc::new(server.sink()), None).unwrap();
    let mut random = Random(seed);
    let (mut tickets, mut next) = (Vec::new(), 0);
    for number in 0..OPERATIONS {
        let operation = plain(&mut random);
        tickets.push((submit(&engine, &ours, &operation), operation));
        if number as u64 >= next {
            engine.flush(LONG).unwrap();
            next = number as u64 + 1 + random.below(most);
        }
    }
    engine.flush(LONG).unwrap();
    let of = |(ticket, operation): (Ticket, Plain)| {
        let expected = told(server, &theirs, &operation);
        (operation, ticket.status().unwrap(), expected)
    };
    let found: Vec<_> = tickets.into_iter().map(of).collect();
    engine.close(LONG).unwrap();
    for id in 0..DOCUMENTS {
        let [one, two] = [&ours, &theirs].map(|index| {
            let (_, body) = server.ask("GET", &format!("/{index}/_doc/{id}"), "");
            let mut found = serde_json::from_str::<Value>(&body).unwrap()["_source"].take();
            // Nobody but us leaves a fence.
            found.as_object_mut().map(|source| source.remove("_millpond"));
            found
        });
        assert_eq!(one, two, "{id}");
    }
    found
}

/// How often each status was told, so that a stream that has only some of them shows.
fn has_all(found: &[(Plain, Status, Status)]) {
    let mut counts = BTreeMap::<String, u64>::new();
    for (_, _, status) in found {
        *counts.entry(format!("{status:?}")).or_default() += 1;
    }
    println!("{counts:?}");
    assert_eq!(counts.len(), 6, "{counts:?}");
}

#[test]
fn one_at_a_time_each_operation_is_told_what_a_plain_client_is_told() {
    on_each("statuses one at a time", |server| {
        let found = both(server, 11, 1);
        has_all(&found);
        for (at, (operation, ours, theirs)) in found.iter().enumerate() {
            assert_eq!(ours, theirs, "{at}: {operation:?}");
        }
    });
}

#[test]
fn folded_each_operation_is_told_what_a_plain_client_is_told_but_for_noops() {
    on_each("statuses of what is folded", |server| {
        let found = both(server, 12, 60);
        has_all(&found);
        let is_written = |status: &Status| matches!(status, Status::Updated | Status::Noop);
        for (at, (operation, ours, theirs)) in found.iter().enumerate() {
            assert!(
                ours == theirs || is_written(ours) && is_written(theirs),
                "{at}: {operation:?}: {ours:?} for {theirs:?}"
            );
        }
    });
}
