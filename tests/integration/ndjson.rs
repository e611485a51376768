//! The file of bulk NDJSON: what it says, read back, gives the same documents.

use crate::rig::{INDEX, json};
use millpond::{
    Drainer, Engine, MemoryDeadLetters, MemorySink, NdjsonSink, NetOperation, Operation, SimulatedClock,
    Sink, Takes,
};
use serde_json::Value;
use std::{collections::BTreeMap, path::Path, process::Command, sync::Arc, time::Duration};

type Documents = BTreeMap<(String, String), Value>;

fn engine(sink: Arc<dyn Sink>) -> (Engine, Drainer, Arc<MemoryDeadLetters>, SimulatedClock) {
    let (clock, letters) = (SimulatedClock::new(1_000_000), Arc::new(MemoryDeadLetters::new()));
    let builder = Engine::builder().clock(&clock).seed(3).dead_letters(Arc::clone(&letters) as _);
    let (engine, drainer) = builder.manual(sink, None).unwrap();
    (engine, drainer, letters, clock)
}

/// Reads bulk lines, carries them out one by one, and returns the documents and how many lines there were.
fn carry_out(text: &str) -> (Documents, usize) {
    let (mut documents, mut lines) = (Documents::new(), text.lines());
    let mut operations = 0;
    while let Some(action) = lines.next() {
        let action: Value = serde_json::from_str(action).unwrap_or_else(|error| panic!("{error}: {action}"));
        let (verb, meta) = action.as_object().unwrap().iter().next().unwrap();
        let name = |key: &str| meta[key].as_str().unwrap().to_owned();
        let key = (name("_index"), name("_id"));
        let body = if verb == "delete" { "" } else { lines.next().expect("a body") };
        let net =
            NetOperation::from_parts(verb, body.as_bytes()).unwrap_or_else(|error| panic!("{error}: {body}"));
        let base = documents.remove(&key).map(|document| serde_json::to_vec(&document).unwrap());
        if let Some(document) = net.apply(base.as_deref()).document {
            documents.insert(key, json(&document));
        }
        operations += 1;
    }
    (documents, operations)
}

fn stream(engine: &Engine, drainer: &Drainer) {
    let bodies = [
        "{\"inc\":{\"n\":1},\"doc\":{\"s\":\"\\u2028 \\\"\"},\"doc_as_upsert\":true}",
        "{\"append\":{\"l\":[1,\n 2]},\"upsert\":{\"l\":\n[0]}}",
        "{\"union\":{\"l\":[2,{\"x\":1.10}]}}",
        "{\"set\":[[[\"n\"],{\"m\":1e400}]],\"then\":[{\"inc\":{\"l\":1}}]}",
        "{\"subtract\":{\"l\":1},\"max\":{\"w\":11},\"remove\":{\"s\":true}}",
    ];
    for n in 0..400_usize {
        let id = format!("id \"{}\"", n * 31 % 17);
        let index = ["one", "two"][n % 2];
        let operation = match n % 9 {
            0 => Operation::index(index, &id, b"{\n\"n\":0,\r\n \"l\" : [ ]\n}"),
            4 => Operation::create(index, &id, b"{\"c\":1}"),
            7 if n % 4 == 0 => Operation::delete(index, &id),
            k => Operation::update(index, &id, bodies[k % 5].as_bytes()),
        };
        engine.submit(operation).unwrap();
        if n % 60 == 59 {
            let _ = engine.flush(Duration::ZERO);
            drainer.run().unwrap();
        }
    }
    let _ = engine.flush(Duration::ZERO);
    drainer.run().unwrap();
    engine.close(Duration::ZERO).unwrap();
}

#[test]
fn what_is_written_reads_back_to_the_same_documents() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.ndjson");
    let (file, drainer, _, _) = engine(Arc::new(NdjsonSink::create(&path).unwrap()));
    stream(&file, &drainer);
    let text = std::fs::read_to_string(&path).unwrap();
    let (documents, operations) = carry_out(&text);
    let stats = file.stats();
    assert_eq!(
        (stats.operations_in, stats.operations_out, stats.bytes_out),
        (400, operations as u64, text.len() as u64)
    );
    assert!(operations < 300, "{operations} of 400");

    let memory = Arc::new(MemorySink::new(Takes::NetOperations));
    let (other, drainer, _, _) = engine(Arc::clone(&memory) as _);
    stream(&other, &drainer);
    let stored = memory.documents().into_iter();
    let stored: Documents =
        stored.map(|((index, id), source)| ((index.to_string(), id.to_string()), json(&source))).collect();
    assert_eq!(documents, stored);
    assert!(documents.len() > 20);
}

#[test]
#[cfg(target_os = "linux")]
fn a_device_that_is_full_loses_nothing() {
    let (engine, drainer, letters, clock) = engine(Arc::new(NdjsonSink::create("/dev/full").unwrap()));
    engine.submit(Operation::index(INDEX, "a", b"{\"n\":1}")).unwrap();
    for _ in 0..5 {
        let _ = engine.flush(Duration::ZERO);
        drainer.run().unwrap();
        clock.advance(Duration::from_mins(1));
    }
    assert_eq!(json(&engine.get(INDEX, "a").unwrap().unwrap().source)["n"], 1);
    assert!(engine.stats().last_failure.unwrap().contains("writing bulk lines failed"));
    assert_eq!(engine.stats().operations_settled, 0);
    drop(engine);
    assert_eq!(letters.take().len(), 1);
}

/// Set for the copy of this test that runs under a limit on file sizes.
const LIMITED: &str = "MILLPOND_TEST_LIMITED_FILE";

#[test]
#[cfg(unix)]
fn a_batch_whose_writing_fails_half_way_leaves_nothing_in_the_file_and_is_not_lost() {
    if let Some(path) = std::env::var_os(LIMITED) {
        return write_until_the_limit(Path::new(&path));
    }
    // A child whose files may have 64 KiB, and who is told so by an error instead of a signal.
    let directory = tempfile::tempdir().unwrap();
    let name = "ndjson::a_batch_whose_writing_fails_half_way_leaves_nothing_in_the_file_and_is_not_lost";
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(LIMITED, directory.path().join("out.ndjson"))
        .status()
        .unwrap();
    assert!(status.success());
}

fn write_until_the_limit(path: &Path) {
    let (engine, drainer, letters, clock) = engine(Arc::new(NdjsonSink::create(path).unwrap()));
    let document = crate::rig::padded(1_000);
    let submit = |from: usize, to: usize| {
        for n in from..to {
            engine.submit(Operation::index(INDEX, &format!("{n:03}"), document.as_bytes())).unwrap();
        }
        let _ = engine.flush(Duration::ZERO);
        drainer.run().unwrap();
    };
    submit(0, 20);
    let whole = std::fs::read_to_string(path).unwrap();
    assert_eq!(carry_out(&whole).1, 20);
    // More than fits: some of it is written before the failure, and cut off again.
    submit(20, 400);
    assert_eq!(std::fs::read_to_string(path).unwrap(), whole);
    let stats = engine.stats();
    assert_eq!((stats.operations_settled, stats.retries), (20, 380));
    assert!(stats.last_failure.as_ref().unwrap().contains("writing bulk lines failed"), "{stats:?}");
    assert!(engine.get(INDEX, "399").unwrap().is_some());
    // What is written after that stands behind the whole lines.
    for n in 20..399 {
        engine.submit(Operation::delete(INDEX, &format!("{n:03}"))).unwrap();
    }
    clock.advance(Duration::from_mins(1));
    let _ = engine.flush(Duration::ZERO);
    drainer.run().unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.starts_with(&whole));
    let (documents, operations) = carry_out(&text);
    assert_eq!((documents.len(), operations), (21, 400));
    engine.close(Duration::ZERO).unwrap();
    assert!(letters.take().is_empty());
}
