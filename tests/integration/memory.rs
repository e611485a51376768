//! Memory is bounded, in bytes; at the bound a submit is handed back or waits, and nothing is dropped.

use crate::rig::{INDEX, Rig, padded};
use millpond::{DOCUMENT_SHARE, ErrorKind, MEMORY_BYTES_MIN, Next, Operation, Scripted, Takes};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

const BOUND: usize = MEMORY_BYTES_MIN;

fn small(takes: Takes) -> Rig {
    Rig::with(takes, |builder| builder.memory_bytes(BOUND))
}

fn check_bound(rig: &Rig) {
    let used = rig.engine.stats().used_bytes;
    assert!(used <= BOUND as u64, "{used} of {BOUND}");
}

#[test]
fn at_the_bound_an_operation_is_handed_back_with_the_numbers_and_nothing_is_dropped() {
    let rig = small(Takes::NetOperations);
    let mut accepted = 0;
    let refused = loop {
        let id = format!("k{accepted}");
        let document = padded(1_000);
        match rig.engine.submit(Operation::index(INDEX, &id, document.as_bytes())) {
            Ok(_) => accepted += 1,
            Err(refused) => {
                assert_eq!(refused.operation, Operation::index(INDEX, &id, document.as_bytes()));
                break refused.error;
            }
        }
        check_bound(&rig);
    };
    assert!(accepted > BOUND / 3_000 && accepted < BOUND / 1_000, "{accepted}");
    assert_eq!(refused.kind(), ErrorKind::Full);
    assert!(refused.is_temporary() && refused.to_string().contains(&BOUND.to_string()), "{refused}");
    // The drain makes room at once, without waiting for an age.
    assert!(rig.run() > 0);
    assert!(rig.engine.submit(Operation::index(INDEX, "one more", padded(1_000).as_bytes())).is_ok());
    rig.settle();
    assert_eq!(rig.sink.documents().len(), accepted + 1);
}

#[test]
fn a_refused_submit_is_heard_by_the_drain_below_the_pressure_mark() {
    let rig = Rig::with(Takes::NetOperations, |builder| builder.memory_bytes(BOUND).batch_operations(100));
    let mut ids = (0..10_000).map(|n| n.to_string());
    assert!(ids.any(|id| rig.engine.submit(Operation::delete(INDEX, &id)).is_err()));
    // What is out takes memory as well, and what stays does not press by itself.
    let mut out = Vec::new();
    while let Next::Send(flights) = rig.drainer.next().unwrap() {
        out.push(flights);
    }
    assert!(!out.is_empty(), "it presses until enough is out");
    // What is out lost the room it had to grow: a few more fit, and then none.
    assert!(ids.any(|id| rig.engine.submit(Operation::delete(INDEX, &id)).is_err()));
    assert!(matches!(rig.drainer.next().unwrap(), Next::Send(_)));
}

#[test]
fn used_bytes_never_pass_the_bound_whatever_is_folded_or_thrown_back() {
    for takes in [Takes::NetOperations, Takes::Documents] {
        let rig = small(takes);
        let mut turn = 0_u64;
        rig.script(move |_| {
            turn += 1;
            match turn % 7 {
                0 | 1 => Scripted::Again(None),
                2 => Scripted::Lost,
                3 => Scripted::DoneUnheard,
                _ => Scripted::Done,
            }
        });
        let (mut counts, mut refused) = (BTreeMap::new(), 0);
        let text = "y".repeat(900);
        for n in 0..6_000_u64 {
            let id = format!("k{}", n * 7_919 % 61);
            let body = format!(
                "{{\"inc\":{{\"n\":1}},\"append\":{{\"l{}\":[\"{text}\"]}},\"doc_as_upsert\":true}}",
                n % 3
            );
            let operation = Operation::update(INDEX, &id, body.as_bytes());
            let accepted = if n % 2 == 0 {
                rig.engine.submit_tracked(operation).map(drop)
            } else {
                rig.engine.submit(operation).map(drop)
            };
            match accepted {
                Ok(()) => *counts.entry(id).or_insert(0) += 1,
                Err(error) => {
                    assert_eq!(error.error.kind(), ErrorKind::Full);
                    refused += 1;
                }
            }
            check_bound(&rig);
            if n % 400 == 399 {
                // Lists must not outgrow what one document may be.
                for id in counts.keys() {
                    let _ = rig.engine.submit(Operation::update(
                        INDEX,
                        id,
                        br#"{"remove":{"l0":true,"l1":true,"l2":true}}"#,
                    ));
                }
                rig.clock.advance(Duration::from_secs(3));
                rig.run();
                check_bound(&rig);
            }
        }
        assert!(refused > 100, "{takes:?}: the bound was not met: {refused}");
        rig.sink.script(|_| Scripted::Done);
        rig.settle();
        for (id, count) in counts {
            assert_eq!(rig.stored(&id).unwrap()["n"], json!(count), "{takes:?} {id}");
        }
        assert_eq!(rig.engine.stats().pending_bytes, 0);
    }
}

#[test]
fn documents_that_wait_for_an_unknown_outcome_are_within_the_bound() {
    let rig = small(Takes::Documents);
    let document = padded(BOUND / DOCUMENT_SHARE - 100);
    for n in 0..60 {
        rig.index(&format!("k{n}"), &document);
        rig.settle();
    }
    let sent = rig.script(|_| Scripted::Lost);
    for n in 0..60 {
        // Small patches, whose documents are large.
        rig.update(&format!("k{n}"), r#"{"doc":{"n":1}}"#);
    }
    for _ in 0..40 {
        rig.drain();
        check_bound(&rig);
        rig.clock.advance(Duration::from_secs(2));
    }
    // Each of these is kept as it was sent: no more of them than the buffers' eighth holds.
    let kept: BTreeSet<_> = sent.try_iter().map(|item| item.id).collect();
    assert!(!kept.is_empty() && kept.len() * document.len() <= BOUND / 8, "{kept:?}");
    rig.sink.script(|_| Scripted::Done);
    rig.settle();
    assert_eq!(rig.stored("k59").unwrap()["n"], json!(1));
}

#[test]
fn memory_pressure_takes_the_least_recently_written_first() {
    let rig = Rig::with(Takes::NetOperations, |builder| builder.memory_bytes(BOUND).shards(1));
    let sent = rig.answers([]);
    let document = padded(2_000);
    let mut n = 0;
    while sent.try_iter().next().is_none() {
        rig.index("hot", &document);
        rig.index(&format!("k{n:04}"), &document);
        n += 1;
        rig.run();
    }
    assert!(n > 20);
    rig.index("hot", &document);
    assert_eq!(rig.stored("hot"), None, "the oldest of all, and written last");
    assert!(rig.stored("k0000").is_some());
}

#[test]
fn a_document_beyond_its_share_is_refused_with_both_numbers() {
    let rig = small(Takes::NetOperations);
    let most = BOUND / DOCUMENT_SHARE;
    let document = padded(most + 1);
    let refused = rig.engine.submit(Operation::index(INDEX, "a", document.as_bytes())).unwrap_err().error;
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    let message = refused.to_string();
    assert!(
        message.contains(&document.len().to_string()) && message.contains(&most.to_string()),
        "{message}"
    );
    assert!(rig.engine.submit(Operation::index(INDEX, "a", padded(most).as_bytes())).is_ok());
}

#[test]
fn clean_documents_make_room_for_submits() {
    let rig = small(Takes::NetOperations);
    for n in 0..2_000 {
        rig.index(&format!("k{n}"), &padded(500));
        if n % 50 == 0 {
            rig.settle();
        }
        check_bound(&rig);
    }
    rig.settle();
    let stats = rig.engine.stats();
    assert_eq!((stats.pending_bytes, stats.operations_settled), (0, 2_000));
    assert!(
        stats.used_bytes > 0 && stats.used_bytes <= BOUND as u64 / 4,
        "a quarter for what is known: {stats:?}"
    );
}

#[test]
fn a_key_that_can_neither_fold_nor_drain_hands_back_and_goes_on_once_it_drains() {
    let rig = Rig::new(Takes::NetOperations);
    let mut accepted = 0_u32;
    let refused = loop {
        let routing = ["x", "y"][accepted as usize % 2];
        let body = format!("{{\"append\":{{\"l\":[{accepted}]}},\"upsert\":{{\"l\":[{accepted}]}}}}");
        match rig.engine.submit(Operation::update(INDEX, "a", body.as_bytes()).routing(routing)) {
            Ok(_) => accepted += 1,
            Err(refused) => break refused.error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Busy);
    assert!(refused.is_temporary());
    assert!((4..32).contains(&accepted), "{accepted}");
    rig.settle();
    assert_eq!(rig.stored("a"), Some(json!({"l": (0..accepted).collect::<Vec<_>>()})));
    rig.update("a", r#"{"doc":{"l":0}}"#);
}
