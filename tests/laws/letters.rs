//! A net operation that became a dead letter comes back as the one it was: from its line, through an engine, into the embedded store.

use crate::support::{
    action::OwnedAction,
    generate::{base, chain},
};
use millpond::{
    Base, BaseKey, DeadLetter, Engine, ErrorKind, NetOperation, Operation, Status, segments::SegmentSink,
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::value::RawValue;
use std::{collections::HashMap, sync::Arc, time::Duration};

const DOCUMENTS: usize = 600;
const CHAIN_MAX: usize = 7;
const LONG: Duration = Duration::from_mins(1);

/// What a chain folds to; nothing where all of it is refused.
fn folded(chain: &[OwnedAction]) -> Option<NetOperation> {
    let nets = chain.iter().filter_map(|action| NetOperation::new(action.action()).ok());
    nets.reduce(|earlier, later| earlier.compose(&later))
}

/// The operation of a letter's line.
fn read_back(line: &str) -> NetOperation {
    let all: HashMap<&str, &RawValue> = serde_json::from_str(line).unwrap();
    let action: HashMap<&str, &RawValue> = serde_json::from_str(all["action"].get()).unwrap();
    let verb = action.keys().next().unwrap();
    NetOperation::from_parts(verb, all.get("body").map_or(b"", |body| body.get().as_bytes())).unwrap()
}

fn line(id: &str, operation: &NetOperation) -> String {
    let letter = DeadLetter {
        index: "i",
        id,
        routing: None,
        operation,
        reason: "no",
        time_us: 0,
        engine: 1,
        first_seq: 1,
        last_seq: 2,
        operations: 2,
    };
    let mut line = Vec::new();
    letter.write_line(&mut line);
    String::from_utf8(line).unwrap()
}

#[test]
fn a_letter_that_is_sent_again_does_in_the_store_what_its_operation_does() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SegmentSink::open(directory.path()).unwrap());
    let engine = Engine::builder().build(Arc::clone(&store) as _, Some(Arc::clone(&store) as _)).unwrap();
    let (mut runner, bases, chains) = (TestRunner::deterministic(), base(), chain(1..CHAIN_MAX));
    let mut expected = Vec::new();
    for number in 0..DOCUMENTS {
        let base = bases.new_tree(&mut runner).unwrap().current();
        let Some(net) = folded(&chains.new_tree(&mut runner).unwrap().current()) else { continue };
        let id = number.to_string();
        if let Some(base) = &base {
            engine.submit(Operation::index("i", &id, base.as_bytes())).unwrap();
        }
        let again = read_back(line(&id, &net).trim_end());
        assert_eq!(again, net);
        expected.push((id, again.apply(base.as_deref().map(str::as_bytes)).document, again, net, base));
    }
    engine.flush(LONG).unwrap();
    for (id, _, again, ..) in &expected {
        engine.submit_net("i", id, None, again).unwrap();
    }
    engine.close(LONG).unwrap();
    let mut stored = 0;
    for (id, document, _, net, base) in expected {
        let found = store.read(&[BaseKey::new("i", &id)]).remove(0).unwrap().and_then(|found| found.source);
        assert_eq!(found, document, "{id}: {net:?} over {base:?}");
        let applied = net.apply(base.as_deref().map(str::as_bytes)).document;
        assert_eq!(applied.is_some(), document.is_some(), "{id}");
        stored += usize::from(document.is_some());
    }
    assert!(stored > DOCUMENTS / 3, "{stored}");
}

#[test]
fn a_folded_operation_that_no_submit_takes_is_taken_as_it_was_written() {
    let digits = "9".repeat(28);
    let body = format!(r#"{{"inc":{{"n":{digits}}},"doc_as_upsert":true}}"#);
    let one = NetOperation::new(millpond::Action::Update(body.as_bytes())).unwrap();
    let sum = one.compose(&one);
    let (mut text, directory) = (Vec::new(), tempfile::tempdir().unwrap());
    sum.write_body(&mut text);
    let engine = Engine::open(directory.path()).unwrap();
    let refused = engine.submit(Operation::update("i", "1", &text)).unwrap_err();
    assert_eq!(refused.error().kind(), ErrorKind::TooLarge, "29 digits: {}", refused.error());
    let ticket = engine.submit_net("i", "1", None, &read_back(line("1", &sum).trim_end())).unwrap();
    engine.flush(LONG).unwrap();
    assert_eq!(ticket.status(), Some(Status::Created));
    let stored = engine.get("i", "1").unwrap().unwrap();
    assert_eq!(stored.source, format!(r#"{{"n":1{}8}}"#, "9".repeat(27)));
}

#[test]
fn names_and_sizes_are_held_to_the_same_bounds() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::builder().memory_bytes(256 * 1024).open(directory.path()).unwrap();
    let delete = NetOperation::new(millpond::Action::Delete).unwrap();
    for (index, id, routing) in [("Upper", "1", None), ("i", "", None), ("i", "1", Some(""))] {
        let refused = engine.submit_net(index, id, routing, &delete).unwrap_err();
        assert!(refused.is_bad_input(), "{index} {id}: {refused}");
    }
    let long = format!(r#"{{"t":"{}"}}"#, "x".repeat(20_000));
    let large = NetOperation::new(millpond::Action::Index(long.as_bytes())).unwrap();
    assert_eq!(engine.submit_net("i", "1", None, &large).unwrap_err().kind(), ErrorKind::TooLarge);
    engine.close(LONG).unwrap();
    assert_eq!(engine.submit_net("i", "1", None, &delete).unwrap_err().kind(), ErrorKind::Closed);
}
