//! Whole documents under the versions that they were made from, where others write as well.

use crate::server::{Server, on_each, ways};
use millpond::{Base, Engine, Operation, Sink, elastic::ElasticOptions};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const LONG: Duration = Duration::from_mins(1);
const ROUNDS: u64 = 150;
const DOCUMENTS: usize = 4;
const INCREMENT: &[u8] = br#"{"inc":{"n":1},"doc_as_upsert":true}"#;

fn engine(server: &Server, options: &ElasticOptions) -> Engine {
    let sink = Arc::new(server.sink_with(options));
    let builder = Engine::builder().max_delay(Duration::from_millis(10));
    builder.build(Arc::clone(&sink) as Arc<dyn Sink>, Some(sink as Arc<dyn Base>)).unwrap()
}

fn resolving() -> ElasticOptions {
    ElasticOptions::new().resolve(true)
}

fn stored(server: &Server, id: &str) -> Value {
    server.stored(id).map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
}

/// Another writer adds one to a field of its own, in a document of its own making; true where it got through.
fn add_one(server: &Server, id: &str) -> bool {
    let (_, body) = server.ask("GET", &format!("/{}/_doc/{id}", server.index), "");
    let found: Value = serde_json::from_str(&body).unwrap();
    if found["found"] != true {
        let path = format!("/{}/_create/{id}", server.index);
        return server.ask("PUT", &path, r#"{"theirs":1}"#).0 == 201;
    }
    let mut source = found["_source"].clone();
    source["theirs"] = json!(source["theirs"].as_u64().unwrap_or(0) + 1);
    let (seq_no, term) = (&found["_seq_no"], &found["_primary_term"]);
    let path = format!("/{}/_doc/{id}?if_seq_no={seq_no}&if_primary_term={term}", server.index);
    server.ask("PUT", &path, &source.to_string()).0 == 200
}

#[test]
fn what_another_writer_changes_in_mid_run_survives_and_increments_stay_exact() {
    on_each("another writer", |server| {
        server.create_index(r#"{"dynamic":true}"#);
        let engine = engine(server, &resolving());
        let is_over = AtomicBool::new(false);
        let mut theirs = [0_u64; DOCUMENTS];
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let mut written = [0_u64; DOCUMENTS];
                while !is_over.load(Ordering::Relaxed) {
                    for (id, written) in written.iter_mut().enumerate() {
                        *written += u64::from(add_one(server, &id.to_string()));
                    }
                }
                written
            });
            for round in 0..ROUNDS {
                for id in 0..DOCUMENTS {
                    engine.submit(Operation::update(&server.index, &id.to_string(), INCREMENT)).unwrap();
                }
                if round % 3 == 0 {
                    engine.flush(LONG).unwrap();
                }
            }
            engine.flush(LONG).unwrap();
            is_over.store(true, Ordering::Relaxed);
            theirs = other.join().unwrap();
        });
        assert!(theirs.iter().all(|written| *written > 0), "{theirs:?}");
        for (id, written) in theirs.iter().enumerate() {
            let stored = stored(server, &id.to_string());
            assert_eq!((&stored["n"], &stored["theirs"]), (&json!(ROUNDS), &json!(written)), "{stored}");
        }
        assert_eq!(engine.stats().dead_letters, 0);
        // What is known may be old, and is not taken for the last word.
        assert!(add_one(server, "0"));
        let same =
            engine.submit_tracked(Operation::update(&server.index, "0", br#"{"doc":{"theirs":0}}"#)).unwrap();
        engine.flush(LONG).unwrap();
        assert_eq!(stored(server, "0")["theirs"], 0, "{:?}", same.status());
        engine.close(LONG).unwrap();
    });
}

#[test]
fn an_update_that_would_change_nothing_of_what_is_remembered_is_made_where_another_has_written() {
    on_each("an old memory", |server| {
        server.create_index(r#"{"dynamic":true}"#);
        let engine = engine(server, &resolving());
        let update = |body: &'static str| {
            engine.submit(Operation::update(&server.index, "1", body.as_bytes())).unwrap();
            engine.flush(LONG).unwrap();
        };
        update(r#"{"doc":{"a":1},"doc_as_upsert":true}"#);
        let path = format!("/{}/_doc/1", server.index);
        assert_eq!(server.ask("PUT", &path, r#"{"a":2,"b":1}"#).0, 200);
        update(r#"{"doc":{"a":1}}"#);
        assert_eq!(stored(server, "1"), json!({"a": 1, "b": 1}));
        // One that is remembered as gone, and is there again.
        engine.submit(Operation::delete(&server.index, "1")).unwrap();
        engine.flush(LONG).unwrap();
        assert_eq!(server.ask("PUT", &path, r#"{"b":2}"#).0, 201);
        update(r#"{"doc":{"a":3}}"#);
        assert_eq!(stored(server, "1"), json!({"a": 3, "b": 2}));
        engine.submit(Operation::delete(&server.index, "1")).unwrap();
        engine.flush(LONG).unwrap();
        assert_eq!(server.ask("PUT", &path, r#"{"b":2}"#).0, 201);
        engine.submit(Operation::delete(&server.index, "1")).unwrap();
        engine.close(LONG).unwrap();
        assert_eq!(server.stored("1"), None, "a delete is sent whatever is remembered");
    });
}

#[test]
fn a_document_that_stays_known_is_read_once() {
    on_each("a hot document", |server| {
        server.create_index(r#"{"dynamic":true}"#);
        let engine = engine(server, &resolving());
        for _ in 0..20 {
            engine.submit(Operation::update(&server.index, "1", INCREMENT)).unwrap();
            engine.submit(Operation::update(&server.index, "2", INCREMENT)).unwrap();
            engine.flush(LONG).unwrap();
        }
        let (_, body) = server.ask("GET", &format!("/{}/_stats/get", server.index), "");
        let stats: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(stats["_all"]["total"]["get"]["total"], 2, "{stats}");
        engine.close(LONG).unwrap();
        assert_eq!(stored(server, "1")["n"], 20);
    });
}

#[test]
fn every_digit_is_kept_though_documents_are_patched() {
    on_each("digits", |server| {
        for (way, options) in ways().into_iter().skip(1) {
            let server = server.another();
            server.create_index(r#"{"enabled":false}"#);
            let document = r#"{"a":1.10,"b":[1e400,{"c":123456789012345678901234567890}],"d":-0.0,"e":12345678901234567.12}"#;
            let first = engine(&server, &options);
            first.submit(Operation::index(&server.index, "1", document.as_bytes())).unwrap();
            first.close(LONG).unwrap();
            // It is read, patched, known, and patched again.
            let second = engine(&server, &options);
            for _ in 0..2 {
                let body = br#"{"inc":{"x":0.10},"doc":{"y":2.50}}"#;
                second.submit(Operation::update(&server.index, "1", body)).unwrap();
                second.flush(LONG).unwrap();
            }
            second.close(LONG).unwrap();
            let kept = document.strip_suffix('}').unwrap();
            let stored = server.stored("1").unwrap();
            assert!(stored.starts_with(kept), "{way}: {stored}");
            assert!(stored.contains(r#""x":0.20"#) && stored.contains(r#""y":2.50"#), "{way}: {stored}");
            let read = engine(&server, &options).get(&server.index, "1").unwrap().unwrap();
            assert!(read.source.starts_with(kept.as_bytes()) && !stored.is_empty(), "{way}: {read:?}");
            assert!(!String::from_utf8_lossy(&read.source).contains("_millpond"), "{way}: {read:?}");
        }
    });
}

#[test]
fn a_version_of_our_own_is_the_seq_and_what_is_older_is_refused() {
    on_each("external versions", |server| {
        server.create_index(r#"{"dynamic":true}"#);
        let [.., (_, options)] = ways();
        let engine = engine(server, &options);
        for _ in 0..3 {
            engine.submit(Operation::update(&server.index, "1", INCREMENT)).unwrap();
            engine.flush(LONG).unwrap();
        }
        let (_, body) = server.ask("GET", &format!("/{}/_doc/1", server.index), "");
        let found: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(found["_source"], json!({"n": 3}), "it carries no fence");
        let version = found["_version"].as_u64().unwrap();
        assert!(version > 1_700_000_000_000_000, "{version}");
        // Somebody else has a later version: what is older is told, and not taken for done.
        let path = format!("/{}/_doc/1?version={}&version_type=external", server.index, u64::MAX / 4);
        assert_eq!(server.ask("PUT", &path, r#"{"n":100}"#).0, 200);
        engine.submit(Operation::update(&server.index, "1", INCREMENT)).unwrap();
        engine.flush(LONG).unwrap();
        assert_eq!((engine.stats().dead_letters, stored(server, "1")), (1, json!({"n": 100})));
        engine.close(LONG).unwrap();
    });
}

#[test]
fn a_scan_of_a_server_is_refused_with_what_to_do_instead() {
    on_each("a scan", |server| {
        let engine = engine(server, &ElasticOptions::new());
        let error = engine.scan(&server.index, None, LONG).err().unwrap().to_string();
        assert!(error.contains("the embedded store"), "{error}");
        assert_eq!(engine.get(&server.index, "1").unwrap(), None, "its index is not there");
        engine.close(LONG).unwrap();
    });
}
