//! Whole documents under the versions that they were made from: conflicts of others' making and of one's own, and reads that fail.

use crate::{
    http::{Answer, Request, Response, SharedModel},
    rig::{INDEX, Rig},
};
use millpond::{Operation, Status};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// Seeds of the random run, where `SEEDS` says no other number.
const SEEDS: u64 = 60;
const INCREMENT: &[u8] = br#"{"inc":{"n":1},"doc_as_upsert":true}"#;

/// Somebody else carries out an action on a document, with a body if it has one.
fn other(model: &SharedModel, kind: &str, id: &str, body: Option<&Value>) {
    let mut lines = json!({ kind: {"_index": INDEX, "_id": id} }).to_string() + "\n";
    if let Some(body) = body {
        lines += &(body.to_string() + "\n");
    }
    let request = Request {
        method: "POST".to_owned(),
        path: "/_bulk".to_owned(),
        body: lines.into_bytes(),
        ..Request::default()
    };
    let answer = model.answer(&request);
    assert_eq!(answer.value()["errors"], false, "{answer:?}");
}

/// Somebody else counts in a field of its own.
fn other_counts(model: &SharedModel, id: &str) {
    let theirs = model.get(INDEX, id).map_or(0, |document| document["theirs"].as_u64().unwrap_or(0)) + 1;
    other(model, "update", id, Some(&json!({"doc": {"theirs": theirs}, "doc_as_upsert": true})));
}

#[test]
fn a_document_is_read_once_and_written_under_its_version_from_then_on() {
    let rig = Rig::resolved();
    for _ in 0..5 {
        rig.increment("1");
        rig.settle();
    }
    assert_eq!((rig.count("1"), rig.reads().len()), (5, 1));
    let bulks = rig.bulks();
    assert!(bulks[0].starts_with(r#"{"create":"#), "{}", bulks[0]);
    assert!(bulks[1..].iter().all(|bulk| bulk.contains(r#""if_seq_no":"#)), "{bulks:?}");
}

#[test]
fn ones_own_success_that_looks_like_a_conflict_counts_once_and_has_its_status() {
    let rig = Rig::resolved();
    let tracked = || rig.tracked(Operation::update(INDEX, "1", INCREMENT));
    for (expected, count) in [(Status::Created, 1), (Status::Updated, 2), (Status::Updated, 3)] {
        let ticket = tracked();
        rig.next(|model, request| model.answer_twice(request).into());
        rig.settle();
        assert_eq!((ticket.status(), rig.count("1")), (Some(expected), count));
    }
    assert_eq!((rig.bulks().len(), rig.letters().len()), (3, 0), "each was sent once");
    // What was done and not heard of is sent again, refused, and found.
    let ticket = tracked();
    rig.next(|model, request| {
        model.answer(request);
        Answer::Close
    });
    rig.settle();
    assert_eq!((ticket.status(), rig.count("1"), rig.bulks().len()), (Some(Status::Updated), 4, 5));
    // What repeating would not change has no fence, and is known by its document.
    rig.engine.submit(Operation::update(INDEX, "2", br#"{"doc":{"a":1.10},"doc_as_upsert":true}"#)).unwrap();
    rig.next(|model, request| model.answer_twice(request).into());
    rig.settle();
    assert_eq!((rig.bulks().len(), rig.letters().len()), (6, 0));
    assert_eq!(rig.get("2").unwrap().to_string(), r#"{"a":1.10}"#);
}

#[test]
fn another_writers_increment_to_the_same_number_is_not_taken_for_ours() {
    let rig = Rig::resolved();
    rig.put("1", r#"{"n":1}"#);
    rig.settle();
    rig.increment("1");
    rig.next(|model, request| {
        other(model, "index", "1", Some(&json!({"n": 2})));
        model.answer(request).into()
    });
    rig.settle();
    assert_eq!(rig.count("1"), 3);
}

#[test]
fn a_storm_of_conflicts_ends_with_both_writers_work_and_no_storm_of_requests() {
    let rig = Rig::resolved();
    rig.increment("1");
    rig.settle();
    for _ in 0..12 {
        rig.next(|model, request| {
            other_counts(model, "1");
            model.answer(request).into()
        });
    }
    rig.increment("1");
    let took = rig.settle();
    assert!(took > Duration::from_secs(4), "{took:?}");
    let document = rig.get("1").unwrap();
    assert_eq!((&document["n"], &document["theirs"]), (&json!(2), &json!(12)));
    assert_eq!((rig.bulks().len(), rig.reads().len(), rig.letters().len()), (14, 13, 0));
}

#[test]
fn what_changed_is_not_folded_with_what_is_newer_before_it_is_known_whether_it_is_there() {
    let rig = Rig::resolved();
    rig.increment("1");
    rig.settle();
    rig.increment("1");
    // Carried out twice, and the base cannot be read at first.
    rig.next(|model, request| model.answer_twice(request).into());
    for _ in 0..3 {
        rig.next_read(|_, _| Response::error(503, "cluster_block_exception", "away").into());
    }
    rig.drain();
    rig.increment("1");
    assert_eq!(rig.engine.get(INDEX, "1").unwrap().unwrap().source, br#"{"n":3}"#[..]);
    rig.settle();
    assert_eq!((rig.count("1"), rig.letters().len()), (3, 0));
}

#[test]
fn a_document_that_another_has_deleted_is_made_anew() {
    let rig = Rig::resolved();
    rig.put("1", r#"{"n":5,"a":1}"#);
    rig.settle();
    rig.increment("1");
    rig.next(|model, request| {
        other(model, "delete", "1", None);
        model.answer(request).into()
    });
    rig.settle();
    assert_eq!(rig.count("1"), 1);
    assert_eq!(rig.get("1").unwrap().get("a"), None);
    // And one that nothing is to be made of.
    let missing = rig.tracked(Operation::update(INDEX, "1", br#"{"doc":{"a":1}}"#));
    rig.next(|model, request| {
        other(model, "delete", "1", None);
        model.answer(request).into()
    });
    rig.settle();
    assert_eq!((missing.status(), rig.get("1")), (Some(Status::NotFound), None));
}

#[test]
fn a_fence_stays_in_a_document_whatever_is_made_from_it() {
    let rig = Rig::resolved();
    let fence = || {
        let document = rig.get("1").unwrap();
        let text = document["_millpond"].as_str().unwrap_or_default();
        text.split_once(':').map_or(0, |(_, seq)| seq.parse::<u64>().unwrap())
    };
    rig.engine.submit(Operation::update(INDEX, "1", br#"{"doc":{"a":1},"doc_as_upsert":true}"#)).unwrap();
    rig.settle();
    assert_eq!(fence(), 0, "repeating it would change nothing");
    rig.increment("1");
    rig.settle();
    let of_increment = fence();
    assert!(of_increment > 0);
    rig.engine.submit(Operation::update(INDEX, "1", br#"{"doc":{"a":2}}"#)).unwrap();
    rig.settle();
    let of_patch = fence();
    assert!(of_patch > of_increment, "{of_patch} after {of_increment}");
    // It is shown to nobody.
    assert_eq!(rig.engine.get(INDEX, "1").unwrap().unwrap().source, br#"{"a":2,"n":1}"#[..]);
    rig.put("1", r#"{"a":3}"#);
    rig.settle();
    assert_eq!(fence(), 0);
}

#[test]
fn a_request_that_is_carried_out_late_is_refused_and_brings_nothing_back() {
    let rig = Rig::resolved();
    rig.put("1", r#"{"n":1}"#);
    rig.settle();
    rig.increment("1");
    let (late, sent) = std::sync::mpsc::channel();
    rig.next(move |_, request| {
        late.send(request.clone()).unwrap();
        Answer::Close
    });
    rig.settle();
    assert_eq!(rig.count("1"), 2);
    let late = rig.model.answer(&sent.recv().unwrap());
    assert_eq!(late.value()["errors"], true);
    rig.increment("1");
    rig.settle();
    assert_eq!(rig.count("1"), 3);
}

#[test]
fn nothing_is_made_from_what_could_not_be_read() {
    let reads: [fn(&SharedModel, &Request) -> Answer; 7] = [
        |_, _| Response::error(503, "cluster_block_exception", "away").into(),
        |_, _| Response::too_many_requests().into(),
        |_, _| Response::html(200).into(),
        |_, _| Answer::Close,
        |model, request| model.answer(request).truncated(30).into(),
        |model, request| {
            let mut value = model.answer(request).value();
            value["docs"].as_array_mut().unwrap().reverse();
            Response::json(200, &value).into()
        },
        |_, _| {
            let away = json!({"type": "no_shard_available_action_exception", "reason": "away"});
            let docs = ["1", "2"].map(|id| json!({"_index": INDEX, "_id": id, "error": away}));
            Response::json(200, &json!({ "docs": docs })).into()
        },
    ];
    for (at, read) in reads.into_iter().enumerate() {
        let rig = Rig::resolved();
        for id in ["1", "2"] {
            other(&rig.model, "index", id, Some(&json!({"n": 5, "id": id})));
            rig.increment(id);
        }
        rig.next_read(read);
        rig.next_read(read);
        assert!(rig.settle() > Duration::ZERO, "{at}");
        for id in ["1", "2"] {
            let document = rig.get(id).unwrap();
            assert_eq!((&document["n"], &document["id"]), (&json!(6), &json!(id)), "{at}");
        }
        assert_eq!((rig.reads().len(), rig.letters().len()), (3, 0), "{at}");
    }
}

#[test]
fn a_document_of_which_the_server_keeps_no_source_is_a_dead_letter_and_the_others_go() {
    let rig = Rig::resolved();
    for id in ["1", "2"] {
        rig.increment(id);
    }
    rig.next_read(|_, _| {
        let docs = [
            json!({"_index": INDEX, "_id": "1", "found": true, "_seq_no": 1, "_primary_term": 1}),
            json!({"_index": INDEX, "_id": "2", "found": false}),
        ];
        Response::json(200, &json!({ "docs": docs })).into()
    });
    rig.settle();
    let letters = rig.letters();
    assert!(letters.len() == 1 && letters[0].contains("_source"), "{letters:?}");
    assert_eq!((rig.count("1"), rig.count("2")), (0, 1));
}

/// A stream of numbers that a seed decides.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Requests that nobody has carried out yet.
type Late = Arc<Mutex<Vec<Request>>>;

/// Has something go wrong with the next request, or another writer get ahead of it.
fn trouble(rig: &Rig, random: &mut Random, id: &'static str, late: &Late) {
    match random.below(11) {
        0 => rig.next(|model, request| model.answer_twice(request).into()),
        1 => rig.next(|model, request| {
            model.answer(request);
            Answer::Close
        }),
        2 => rig.next(|_, _| Answer::Close),
        3 => rig.next(|model, request| {
            model.answer(request);
            Response::empty(502).into()
        }),
        4 => rig.next(move |model, request| {
            model.answer(request);
            other_counts(model, id);
            Answer::Close
        }),
        5 => rig.next(move |model, request| {
            other_counts(model, id);
            model.answer_twice(request).into()
        }),
        6 => rig.next(|_, _| Response::too_many_requests().into()),
        7 => rig.next_read(|_, _| Response::empty(502).into()),
        8 | 9 => {
            let late = Arc::clone(late);
            rig.next(move |_, request| {
                late.lock().unwrap().push(request.clone());
                Answer::Close
            });
        }
        _ => rig.next_read(move |model, request| {
            let read = model.answer(request);
            other_counts(model, id);
            read.into()
        }),
    }
}

#[test]
fn random_increments_and_appends_are_exact_beside_another_writer_whatever_goes_wrong() {
    const IDS: [&str; 3] = ["1", "2", "3"];
    let seeds = std::env::var("SEEDS").map_or(SEEDS, |text| text.parse().unwrap());
    for seed in 0..seeds {
        let late = Late::default();
        let (rig, mut random) = (Rig::resolved(), Random(seed));
        let (mut counts, mut lists) = ([0_u64; 3], [const { Vec::<u64>::new() }; 3]);
        for step in 0..40 {
            let at = usize::try_from(random.below(3)).unwrap();
            let id = IDS[at];
            match random.below(6) {
                0 => trouble(&rig, &mut random, id, &late),
                5 => {
                    if let Some(request) = late.lock().unwrap().pop() {
                        rig.model.answer(&request);
                    }
                }
                1 => rig.drain(),
                2 => rig.clock.advance(Duration::from_millis(200)),
                3 => {
                    let body = json!({"append": {"l": [step]}, "doc_as_upsert": true}).to_string();
                    rig.engine.submit(Operation::update(INDEX, id, body.as_bytes())).unwrap();
                    lists[at].push(step);
                }
                _ => {
                    rig.increment(id);
                    counts[at] += 1;
                }
            }
            if let Ok(read) = rig.engine.get(INDEX, id) {
                let read = read.map_or(json!({}), |read| serde_json::from_slice(&read.source).unwrap());
                let (n, l) =
                    (read["n"].as_u64().unwrap_or(0), read["l"].as_array().cloned().unwrap_or_default());
                assert_eq!(
                    (n, l),
                    (counts[at], lists[at].iter().map(|n| json!(n)).collect()),
                    "seed {seed}, step {step}"
                );
            }
        }
        rig.settle();
        rig.engine.validate().unwrap();
        for (at, id) in IDS.iter().enumerate() {
            let document = rig.get(id).unwrap_or_default();
            assert_eq!(document["n"].as_u64().unwrap_or(0), counts[at], "seed {seed}: {document}");
            let list: Vec<Value> = lists[at].iter().map(|n| json!(n)).collect();
            assert_eq!(document["l"].as_array().cloned().unwrap_or_default(), list, "seed {seed}");
        }
        assert_eq!(rig.letters(), Vec::<String>::new(), "seed {seed}");
    }
}
