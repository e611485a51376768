//! Somebody else writes the same documents: what is kept of theirs, and of ours.

use crate::server::{Server, on_each};
use millpond::{Engine, Operation};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

const LONG: Duration = Duration::from_mins(1);
const DOCUMENTS: u64 = 3;
const ROUNDS: u64 = 80;

fn engine(server: &Server) -> Engine {
    Engine::builder().max_delay(Duration::from_millis(10)).build(Arc::new(server.sink()), None).unwrap()
}

fn stored(server: &Server, id: &str) -> Value {
    serde_json::from_str(&server.stored(id).unwrap()).unwrap()
}

#[test]
fn an_update_of_ours_and_those_of_another_writer_are_all_kept_where_they_collide() {
    on_each("updates that collide", |server| {
        server.create_index("{}");
        let (engine, ended) = (engine(server), AtomicBool::new(false));
        let theirs: u64 = thread::scope(|scope| {
            let other = scope.spawn(|| {
                let (mut wrote, mut number) = (0, 0);
                while !ended.load(Ordering::Relaxed) {
                    number += 1;
                    let body = json!({"doc":{"theirs":number},"doc_as_upsert":true}).to_string();
                    let path = format!("/{}/_update/{}", server.index, number % DOCUMENTS);
                    // Not tried again: where it collides with ours, it says so and has written nothing.
                    if server.ask("POST", &path, &body).0 < 300 {
                        wrote = number;
                    }
                }
                wrote
            });
            for _ in 0..ROUNDS {
                for id in 0..DOCUMENTS {
                    let body = br#"{"inc":{"ours":1},"append":{"l":[1]},"doc_as_upsert":true}"#;
                    engine.submit(Operation::update(&server.index, &id.to_string(), body)).unwrap();
                }
                engine.flush(LONG).unwrap();
            }
            ended.store(true, Ordering::Relaxed);
            other.join().unwrap()
        });
        let stats = engine.stats();
        assert_eq!(stats.dead_letters, 0, "{:?}", stats.last_failure);
        engine.close(LONG).unwrap();
        for id in 0..DOCUMENTS {
            let document = stored(server, &id.to_string());
            let list = document["l"].as_array().unwrap().len() as u64;
            assert_eq!((document["ours"].as_u64(), list), (Some(ROUNDS), ROUNDS), "{document}");
        }
        let last = stored(server, &(theirs % DOCUMENTS).to_string());
        assert_eq!(last["theirs"], theirs, "what they were told is written stays");
    });
}

#[test]
fn a_whole_document_of_ours_replaces_what_another_writer_has_written_since() {
    on_each("whole documents of two writers", |server| {
        server.create_index("{}");
        let engine = engine(server);
        let put = |body: &[u8]| {
            engine.submit(Operation::index(&server.index, "1", body)).unwrap();
            engine.flush(LONG).unwrap();
        };
        put(br#"{"ours":1}"#);
        let path = format!("/{}/_update/1", server.index);
        assert_eq!(server.ask("POST", &path, r#"{"doc":{"theirs":1}}"#).0, 200);
        engine.submit(Operation::update(&server.index, "1", br#"{"doc":{"ours":2}}"#)).unwrap();
        engine.flush(LONG).unwrap();
        assert_eq!(stored(server, "1"), json!({"ours":2,"theirs":1}), "an update keeps it");
        put(br#"{"ours":3}"#);
        assert_eq!(stored(server, "1"), json!({"ours":3}), "a whole document does not");
        engine.close(LONG).unwrap();
    });
}
