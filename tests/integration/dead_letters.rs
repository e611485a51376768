//! Dead letters: durable before the flight settles, complete, and replayable.

use crate::rig::{INDEX, Rig, json};
use millpond::{
    Builder, DeadLetter, DeadLetterFile, DeadLetters, Error, ErrorKind, NetOperation, Operation, Result,
    Scripted, Status, Takes,
};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

fn letters_of(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| json(line.as_bytes())).collect()
}

/// The net operation that a letter holds, read back from its text.
fn read_back(line: &str) -> NetOperation {
    #[derive(Debug)]
    struct Raw(Option<Box<serde_json::value::RawValue>>);
    let all: std::collections::HashMap<String, Box<serde_json::value::RawValue>> =
        serde_json::from_str(line).unwrap();
    let action: Value = serde_json::from_str(all["action"].get()).unwrap();
    let verb = action.as_object().unwrap().keys().next().unwrap().clone();
    let body = Raw(all.get("body").cloned());
    NetOperation::from_parts(&verb, body.0.as_ref().map_or(b"", |body| body.get().as_bytes())).unwrap()
}

fn with_file(path: &Path) -> impl FnOnce(Builder) -> Builder {
    let file = Arc::new(DeadLetterFile::open(path).unwrap());
    move |builder| builder.dead_letters(file)
}

#[test]
fn a_letter_has_the_operation_the_reason_the_time_the_seqs_and_the_count() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dead.ndjson");
    let rig = Rig::with(Takes::NetOperations, with_file(&path));
    rig.script(|_| Scripted::Rejected);
    let body = r#"{"doc":{"a":{"b":"\u0000 \" \\ é"}},"inc":{"n":1.10}}"#.as_bytes();
    let first = rig.submit(Operation::update(INDEX, "id \"1\"\n", body).routing("r\u{1}"));
    let last = rig.submit(Operation::update(INDEX, "id \"1\"\n", br#"{"inc":{"n":1}}"#).routing("r\u{1}"));
    rig.clock.advance(Duration::from_secs(1));
    rig.drain();
    let letters = letters_of(&path);
    assert_eq!(letters.len(), 1);
    let letter = letters[0].as_object().unwrap();
    assert_eq!(letter["action"], json!({"update":{"_index":INDEX,"_id":"id \"1\"\n","routing":"r\u{1}"}}));
    assert_eq!(letter["reason"], "rejected by the script");
    assert_eq!(letter["time_ms"], json!(crate::rig::BEGIN_US / 1_000 + 1_000));
    assert_eq!(
        (&letter["first_seq"], &letter["last_seq"], &letter["operations"]),
        (&json!(first), &json!(last), &json!(2))
    );
    let engine = letter["engine"].as_str().unwrap();
    assert!(engine.len() == 32 && u128::from_str_radix(engine, 16).is_ok_and(|id| id > 0), "{engine}");
    let net = NetOperation::new(millpond::Action::Update(body)).unwrap();
    let whole = net.compose(&NetOperation::new(millpond::Action::Update(br#"{"inc":{"n":1}}"#)).unwrap());
    assert_eq!(read_back(std::fs::read_to_string(&path).unwrap().trim_end()), whole);
}

#[test]
fn letters_of_every_shape_can_be_replayed() {
    let rig = Rig::new(Takes::NetOperations);
    rig.script(|_| Scripted::Rejected);
    let operations = [
        Operation::index(INDEX, "0", b"{\n  \"a\" : \"x\\ny\" ,\r\n\"b\":[ ]}"),
        Operation::create(INDEX, "1", b"{\"a\":1e400}"),
        Operation::update(INDEX, "2", b"{\"doc\":{\"l\":[1,\n2]},\n\"upsert\":{\n\"x\":1}}"),
        Operation::update(INDEX, "3", b"{\"append\":{\"l\":[{\"a\":\n1}]},\"then\":[{\"inc\":{\"l\":1}}]}"),
        Operation::delete(INDEX, "4"),
    ];
    for operation in operations {
        rig.submit(operation);
    }
    rig.drain();
    let mut lines = rig.letters.take();
    assert!(lines.iter().all(|line| !line.contains(['\n', '\r'])), "{lines:?}");
    lines.sort_by_key(|line| {
        json(line.as_bytes())["action"].as_object().unwrap().values().next().unwrap()["_id"].to_string()
    });
    assert_eq!(lines.len(), operations.len());
    for (line, operation) in lines.iter().zip(operations) {
        let net = NetOperation::new(operation.action).unwrap();
        for base in [None, Some(&b"{\"l\":[5],\"z\":0}"[..])] {
            let documents = [read_back(line).apply(base).document, net.apply(base).document];
            let [one, two] = documents.map(|document| document.map(|text| json(&text)));
            assert_eq!(one, two, "{line}");
        }
    }
}

/// A box that is full until it is not.
struct Fitful(AtomicBool, millpond::MemoryDeadLetters);

impl DeadLetters for Fitful {
    fn record(&self, letter: &DeadLetter<'_>) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Io, "the disk is full"));
        }
        self.1.record(letter)
    }
}

#[test]
fn a_flight_does_not_settle_before_its_letter_is_written() {
    let letters = Arc::new(Fitful(AtomicBool::new(true), millpond::MemoryDeadLetters::new()));
    let given = Arc::clone(&letters);
    let rig = Rig::with(Takes::Documents, |builder| builder.dead_letters(given));
    rig.answers([Scripted::Rejected]);
    let ticket = rig.track(Operation::index(INDEX, "a", b"{\"n\":1}"));
    for _ in 0..20 {
        rig.drain();
        assert_eq!((ticket.status(), rig.engine.watermark() < ticket.seq()), (None, true));
        assert_eq!(rig.get("a"), Some(json!({"n":1})), "kept until its letter is");
        let why = rig.engine.flush(Duration::ZERO).unwrap_err().to_string();
        assert!(why.contains("the disk is full"), "{why}");
        rig.clock.advance(Duration::from_secs(40));
    }
    assert_eq!(rig.sink.sends(), 1, "what is rejected is not sent again");
    letters.0.store(false, Ordering::Relaxed);
    rig.settle();
    assert_eq!((ticket.status(), letters.1.take().len(), rig.get("a")), (Some(Status::Rejected), 1, None));
    let stats = rig.engine.stats();
    assert_eq!((stats.operations_dead, stats.operations_settled, stats.dead_letters), (1, 0, 1));
}

#[test]
fn while_letters_cannot_be_written_submits_go_on_until_memory_presses_and_all_is_well_afterwards() {
    let letters = Arc::new(Fitful(AtomicBool::new(true), millpond::MemoryDeadLetters::new()));
    let given = Arc::clone(&letters);
    let rig = Rig::with(Takes::NetOperations, |builder| {
        builder.dead_letters(given).memory_bytes(millpond::MEMORY_BYTES_MIN).keep_known(false)
    });
    rig.script(|item| if item.id.starts_with("bad") { Scripted::Rejected } else { Scripted::Done });
    let first = rig.index("bad", "{}");
    rig.drain();
    let (document, mut bad, mut good) = (crate::rig::padded(1_000), 1, 0);
    // All others settle; what has no letter stays, until nothing more fits beside it.
    let refused = loop {
        rig.index(&format!("good{good}"), r#"{"n":1}"#);
        good += 1;
        rig.drain();
        if let Err(refused) =
            rig.engine.submit(Operation::index(INDEX, &format!("bad{bad}"), document.as_bytes()))
        {
            break refused.error;
        }
        bad += 1;
        rig.drain();
        assert!(rig.engine.watermark() < first, "it passes nothing that is out");
        assert!(bad < 1_000, "memory has a bound");
    };
    assert_eq!(refused.kind(), ErrorKind::Full);
    assert!(bad > 30, "they go on for long: {bad}");
    let stats = rig.engine.stats();
    assert_eq!((stats.operations_dead, stats.dead_letters), (0, 0));
    assert!(stats.last_failure.unwrap().contains("the disk is full"));
    assert!((0..good - 1).all(|n| rig.stored(&format!("good{n}")).is_some()));
    letters.0.store(false, Ordering::Relaxed);
    rig.settle();
    assert_eq!((letters.1.take().len(), rig.engine.stats().operations_dead), (bad, bad as u64));
    assert!(rig.engine.watermark() > first);
    rig.index("more", "{}");
    rig.settle();
    assert!(rig.stored("more").is_some() && rig.stored(&format!("good{}", good - 1)).is_some());
}

#[test]
fn a_box_in_memory_that_is_full_keeps_flights_out_and_others_go_on() {
    let rig = Rig::with(Takes::NetOperations, |builder| builder.memory_bytes(64 << 20));
    rig.script(|item| if item.id.starts_with("bad") { Scripted::Rejected } else { Scripted::Done });
    let most = millpond::MemoryDeadLetters::LETTERS_MAX;
    for n in 0..most + 5 {
        rig.engine.submit(Operation::index(INDEX, &format!("bad{n}"), b"{}")).unwrap();
    }
    rig.drain();
    assert_eq!(rig.engine.stats().operations_dead, most as u64);
    rig.index("good", "{}");
    rig.drain();
    assert!(rig.stored("good").is_some());
    assert_eq!(rig.letters.take().len(), most);
    rig.settle();
    assert_eq!(rig.letters.take().len(), 5);
}

#[test]
fn letters_are_appended_and_half_a_letter_does_not_spoil_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dead.ndjson");
    for round in 0..3 {
        let rig = Rig::with(Takes::NetOperations, with_file(&path));
        rig.script(|_| Scripted::Rejected);
        rig.index(&format!("{round}"), "{}");
        rig.drain();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 3);
    // A crash in the middle of the third.
    std::fs::write(&path, &text[..text.len() - 7]).unwrap();
    let rig = Rig::with(Takes::NetOperations, with_file(&path));
    rig.script(|_| Scripted::Rejected);
    rig.index("next", "{}");
    rig.drain();
    let text = std::fs::read_to_string(&path).unwrap();
    let whole = text.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count();
    assert_eq!((text.lines().count(), whole), (4, 3));
    assert!(text.lines().last().unwrap().contains("next"));
}

#[test]
#[cfg(target_os = "linux")]
fn letters_that_cannot_be_written_lose_nothing() {
    let rig = Rig::with(Takes::NetOperations, with_file(Path::new("/dev/full")));
    rig.answers([Scripted::Rejected]);
    rig.index("a", r#"{"n":1}"#);
    rig.drain();
    rig.pass(Duration::from_mins(1));
    assert_eq!(rig.get("a"), Some(json!({"n":1})));
    assert_eq!(rig.engine.stats().operations_dead, 0);
    assert!(rig.engine.stats().last_failure.unwrap().contains("/dev/full"));
}
