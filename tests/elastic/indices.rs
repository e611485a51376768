//! What becomes of a drain while somebody takes its index away: deletes it, closes it, or points its alias elsewhere.
//!
//! | the index is | operations come to |
//! | --- | --- |
//! | deleted, and the server makes missing ones | a new one, as the server makes it: what needs a document misses it |
//! | deleted or missing, and the server makes none | dead letters with the server's words; a delete is done |
//! | closed | dead letters with the server's words |
//! | another, by its alias | that one, from some operation on |
//! | several, by its alias | dead letters with the server's words |

use crate::server::{Server, on_each};
use millpond::{DeadLetters, Engine, MemoryDeadLetters, Operation, Status};
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
const INC: &[u8] = br#"{"inc":{"n":1},"doc_as_upsert":true}"#;
/// Indices with this name are not made by a server that was told so; all others are.
const FORBIDDEN: &str = "millpond-forbidden";

/// An engine, and its letters.
struct Run {
    engine: Engine,
    letters: Arc<MemoryDeadLetters>,
}

impl Run {
    fn new(server: &Server) -> Self {
        let letters = Arc::new(MemoryDeadLetters::new());
        let engine = Engine::builder()
            .max_delay(Duration::from_millis(10))
            .drain_threads(2)
            .dead_letters(Arc::clone(&letters) as Arc<dyn DeadLetters>)
            .build(Arc::new(server.sink()), None)
            .unwrap();
        Self { engine, letters }
    }

    fn status(&self, operation: Operation<'_>) -> Status {
        let ticket = self.engine.submit_tracked(operation).unwrap();
        self.engine.flush(LONG).unwrap();
        ticket.status().unwrap()
    }

    /// Every operation is settled or in a letter; the letters.
    fn nothing_is_lost(&self, submitted: u64) -> Vec<Value> {
        self.engine.flush(LONG).unwrap();
        let stats = self.engine.stats();
        assert_eq!(
            (stats.operations_in, stats.pending_documents),
            (submitted, 0),
            "{:?}",
            stats.last_failure
        );
        let letters: Vec<Value> =
            self.letters.take().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let dead: u64 = letters.iter().map(|letter| letter["operations"].as_u64().unwrap()).sum();
        assert_eq!((stats.operations_dead, stats.operations_settled), (dead, submitted - dead));
        letters
    }
}

/// Has the server make no index of a forbidden name.
fn forbid(server: &Server) -> String {
    let body = json!({"transient":{"action.auto_create_index":format!("-{FORBIDDEN}*,+*")}}).to_string();
    let (status, answer) = server.ask("PUT", "/_cluster/settings", &body);
    assert_eq!(status, 200, "{answer}");
    server.index.replace("millpond", FORBIDDEN)
}

fn well(server: &Server, method: &str, path: &str, body: &str) {
    let (status, answer) = server.ask(method, path, body);
    assert_eq!(status, 200, "{method} {path}: {answer}");
}

/// The sum of all counters of some indices.
fn sum(server: &Server, indices: &str) -> i64 {
    well(server, "POST", &format!("/{indices}/_refresh"), "");
    let body = r#"{"size":0,"aggs":{"sum":{"sum":{"field":"n"}}}}"#;
    let (status, answer) = server.ask("POST", &format!("/{indices}/_search"), body);
    assert_eq!(status, 200, "{answer}");
    let found: Value = serde_json::from_str(&answer).unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "a sum of small whole numbers")]
    let whole = found["aggregations"]["sum"]["value"].as_f64().unwrap() as i64;
    whole
}

fn words(letter: &Value) -> &str {
    letter["reason"].as_str().unwrap()
}

#[test]
fn an_index_that_is_missing_and_may_not_be_made_gives_dead_letters_with_the_servers_words() {
    on_each("an index that may not be made", |server| {
        let (run, index) = (Run::new(server), &*forbid(server));
        assert_eq!(run.status(Operation::index(index, "1", b"{}")), Status::Rejected);
        assert_eq!(run.status(Operation::create(index, "2", b"{}")), Status::Rejected);
        assert_eq!(run.status(Operation::update(index, "3", INC)), Status::Rejected);
        assert_eq!(run.status(Operation::delete(index, "4")), Status::NotFound);
        let letters = run.nothing_is_lost(4);
        assert_eq!(letters.len(), 3);
        for letter in &letters {
            let said = words(letter).contains("404") && words(letter).contains("index_not_found_exception");
            assert!(said && words(letter).contains("auto_create_index"), "{letter}");
        }
        let failure = format!("{:?}", run.engine.stats().last_failure);
        assert!(failure.contains("auto_create_index"), "it is told while it runs: {failure}");
        run.engine.close(LONG).unwrap();
        assert_eq!(server.ask("GET", &format!("/{index}"), "").0, 404, "nobody made it");
    });
}

#[test]
fn an_index_that_is_deleted_is_made_anew_only_where_the_server_makes_missing_ones() {
    on_each("an index that is deleted", |server| {
        let (run, forbidden) = (Run::new(server), &*forbid(server));
        well(server, "PUT", &format!("/{forbidden}"), "{}");
        let doc = br#"{"doc":{"a":1}}"#;
        for (index, is_made) in [(&*server.index, true), (forbidden, false)] {
            for id in ["1", "2", "3", "4"] {
                assert_eq!(run.status(Operation::update(index, id, INC)), Status::Created);
            }
            well(server, "DELETE", &format!("/{index}"), "");
            let or_rejected = |status| if is_made { status } else { Status::Rejected };
            let is =
                |operation, status| assert_eq!(run.status(operation), or_rejected(status), "{operation:?}");
            // A delete makes no index.
            assert_eq!(run.status(Operation::delete(index, "4")), Status::NotFound);
            is(Operation::update(index, "1", INC), Status::Created);
            is(Operation::update(index, "2", doc), Status::NotFound);
            is(Operation::index(index, "3", br#"{"n":5}"#), Status::Created);
            assert_eq!(server.ask("GET", &format!("/{index}"), "").0 == 200, is_made);
        }
        let letters = run.nothing_is_lost(16);
        assert_eq!(letters.len(), 3, "{letters:?}");
        assert!(
            letters.iter().all(|letter| words(letter).contains("index_not_found_exception")),
            "{letters:?}"
        );
        run.engine.close(LONG).unwrap();
        assert_eq!(sum(server, &server.index), 6);
    });
}

#[test]
fn nothing_is_lost_where_an_index_is_deleted_again_and_again_while_it_is_drained() {
    on_each("an index that is deleted during the drain", |server| {
        let (run, forbidden) = (Run::new(server), &*forbid(server));
        well(server, "PUT", &format!("/{forbidden}"), "{}");
        let ended = AtomicBool::new(false);
        let submitted = thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    for index in [&*server.index, forbidden] {
                        server.ask("DELETE", &format!("/{index}?ignore_unavailable=true"), "");
                    }
                    server.ask("PUT", &format!("/{forbidden}"), "{}");
                }
            });
            let mut submitted = 0;
            // Until some of it met no index; as long as that takes.
            while submitted < 2_000 || run.engine.stats().dead_letters == 0 {
                for index in [&*server.index, forbidden] {
                    let id = (submitted % 50).to_string();
                    run.engine.submit(Operation::update(index, &id, INC)).unwrap();
                    submitted += 1;
                }
                if submitted % 200 == 0 {
                    run.engine.flush(LONG).unwrap();
                }
            }
            run.engine.flush(LONG).unwrap();
            ended.store(true, Ordering::Relaxed);
            submitted
        });
        run.nothing_is_lost(submitted);
        run.engine.close(LONG).unwrap();
        server.ask("DELETE", &format!("/{forbidden}?ignore_unavailable=true"), "");
    });
}

#[test]
fn an_index_that_is_closed_gives_dead_letters_until_it_is_opened() {
    on_each("an index that is closed", |server| {
        server.create_index("{}");
        let (run, index) = (Run::new(server), &*server.index);
        assert_eq!(run.status(Operation::update(index, "1", INC)), Status::Created);
        well(server, "POST", &format!("/{index}/_close"), "");
        let closed = [
            Operation::update(index, "1", INC),
            Operation::index(index, "2", b"{}"),
            Operation::create(index, "3", b"{}"),
            Operation::delete(index, "4"),
        ];
        for operation in closed {
            assert_eq!(run.status(operation), Status::Rejected, "{operation:?}");
        }
        well(server, "POST", &format!("/{index}/_open"), "");
        well(server, "GET", &format!("/_cluster/health/{index}?wait_for_active_shards=2&timeout=30s"), "");
        assert_eq!(run.status(Operation::update(index, "1", INC)), Status::Updated);
        let letters = run.nothing_is_lost(6);
        assert_eq!(letters.len(), 4);
        assert!(
            letters.iter().all(|letter| words(letter).contains("400") && words(letter).contains("closed"))
        );
        run.engine.close(LONG).unwrap();
        assert_eq!(sum(server, index), 2);
    });
}

#[test]
fn each_operation_lands_in_one_of_two_indices_where_an_alias_is_switched_while_it_is_drained() {
    on_each("an alias that is switched", |server| {
        let run = Run::new(server);
        let [alias, one, two] = ["a", "b", "c"].map(|end| format!("{}-{end}", server.index));
        for index in [&one, &two] {
            well(server, "PUT", &format!("/{index}"), "{}");
        }
        let point = |to: &[&String]| {
            let mut actions = vec![json!({"remove":{"index":format!("{}-*", server.index),"alias":alias}})];
            actions.extend(to.iter().map(|index| json!({"add":{"index":index,"alias":alias}})));
            json!({ "actions": actions }).to_string()
        };
        well(
            server,
            "POST",
            "/_aliases",
            &json!({"actions":[{"add":{"index":one,"alias":alias}}]}).to_string(),
        );
        let mut submitted = 0;
        for round in 0..20 {
            for _ in 0..100 {
                run.engine.submit(Operation::update(&alias, &(submitted % 40).to_string(), INC)).unwrap();
                submitted += 1;
            }
            // What was submitted is on its way, or waits, or has landed.
            well(server, "POST", "/_aliases", &point(&[[&two, &one][round % 2]]));
        }
        run.engine.flush(LONG).unwrap();
        let found = [&one, &two].map(|index| sum(server, index));
        assert_eq!(found.iter().sum::<i64>(), i64::try_from(submitted).unwrap(), "{found:?}");
        assert!(found.iter().all(|sum| *sum > 0), "{found:?}");
        // Towards two at once the server does not know where to write.
        well(server, "POST", "/_aliases", &point(&[&one, &two]));
        assert_eq!(run.status(Operation::update(&alias, "1", INC)), Status::Rejected);
        let letters = run.nothing_is_lost(submitted + 1);
        assert!(letters.len() == 1 && words(&letters[0]).contains("no write index"), "{letters:?}");
        run.engine.close(LONG).unwrap();
    });
}
