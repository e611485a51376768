//! Tests that the two ends agree, and that an answer tells where they do not.

use super::*;
use crate::{
    baseline::Baseline,
    peer::{Drains, Peer},
    pond::Pond,
    random::Random,
    workload::{Keys, Kind, Mix, Operation, Plan, Workload},
};
use std::collections::BTreeMap;

type Documents = BTreeMap<String, Value>;

fn drained(peer: &impl Drains) -> Documents {
    let mut documents = Documents::new();
    let mut add = |lines: &[u8]| {
        let shown = for_each_document(lines, |id, document| {
            assert!(documents.insert(id.to_owned(), document.clone()).is_none(), "{id} twice");
        });
        shown.unwrap();
    };
    peer.drain(Some(&mut add));
    documents
}

/// A small value: scalars, arrays and objects meet one another at the same names.
fn value(depth: u32, random: &mut Random) -> String {
    match random.below(if depth > 2 { 4 } else { 7 }) {
        0 => random.below(5).to_string(),
        1 => "null".to_owned(),
        2 => "\"text\"".to_owned(),
        3 => format!("[{},1.5]", random.below(3)),
        _ => object(depth + 1, random),
    }
}

fn object(depth: u32, random: &mut Random) -> String {
    let names: Vec<&str> = ["a", "b", "m", "n"].into_iter().filter(|_| random.below(2) == 0).collect();
    let member = |name: &&str| format!("\"{name}\":{}", value(depth, random));
    format!("{{{}}}", names.iter().map(member).collect::<Vec<_>>().join(","))
}

fn body(random: &mut Random) -> (Kind, String) {
    let upsert = if random.below(2) == 0 { ",\"doc_as_upsert\":true" } else { "" };
    match random.below(8) {
        0 => (Kind::Index, object(0, random)),
        1 => (Kind::Update, format!("{{\"doc\":{},\"upsert\":{}}}", object(0, random), object(0, random))),
        2 | 3 => {
            let inc = if random.below(2) == 0 { "{\"n\":2}" } else { "{\"m\":{\"n\":-1,\"a\":1}}" };
            (Kind::Update, format!("{{\"inc\":{inc}{upsert}}}"))
        }
        _ => (Kind::Update, format!("{{\"doc\":{}{upsert}}}", object(0, random))),
    }
}

#[test]
fn the_baseline_merges_as_the_engine_does() {
    let mut random = Random::new(11);
    let (mut compared, mut absent) = (0, 0);
    for _ in 0..40 {
        let (pond, baseline) = (Pond::still().unwrap(), Baseline::default());
        for _ in 0..300 {
            let (id, (kind, body)) = (random.below(60).to_string(), body(&mut random));
            let operation = Operation { kind, id: &id, body: &body };
            pond.submit(&operation);
            baseline.submit(&operation);
        }
        let (one, other) = (drained(&pond), drained(&baseline));
        for (id, document) in &other {
            assert_eq!(one.get(id), Some(document), "{id}");
        }
        assert_eq!(one.len(), other.len());
        compared += one.len();
        absent += 60 - one.len();
    }
    assert!(compared > 1_500 && absent > 50, "{compared} documents, {absent} absent");
}

#[test]
fn both_ends_come_to_the_same_documents_on_every_workload() {
    for (mix, keys) in [
        (Mix::Updates, Keys::Zipf),
        (Mix::Partial, Keys::Uniform),
        (Mix::Whole, Keys::Each),
        (Mix::Counters, Keys::Zipf),
    ] {
        let workload = Workload::new(&Plan { documents: 300, operations: 3_000, keys, mix, seed: 5 });
        let (one, other) = (crate::criterion::pond(&workload), crate::criterion::baseline(&workload));
        assert_eq!(baseline_reads(&workload, &other), crate::criterion::answer(&one), "{mix:?}");
        assert_eq!(drained(&one), Documents::new(), "what was drained is not held");
    }
}

/// What the baseline holds, read and not drained.
fn baseline_reads(workload: &Workload, baseline: &Baseline) -> Answer {
    let ids: std::collections::BTreeSet<&str> = workload.operations().map(|operation| operation.id).collect();
    let mut answer = Answer::default();
    for id in ids {
        answer.add(id, &baseline.get(id).unwrap());
    }
    assert_eq!(crate::criterion::answer(baseline), answer, "a drain gives what reads have given");
    answer
}

#[test]
fn an_answer_tells_a_changed_value_a_changed_name_and_a_missing_document() {
    let answer = |lines: &str| {
        let mut answer = Answer::default();
        answer.add_lines(lines.as_bytes()).map(|()| answer)
    };
    let line =
        |id: &str, body: &str| format!("{{\"index\":{{\"_index\":\"x\",\"_id\":\"{id}\"}}}}\n{body}\n");
    let both = answer(&(line("1", r#"{"a":1,"b":2}"#) + &line("2", "{}"))).unwrap();
    assert_eq!(answer(&(line("2", "{ }") + &line("1", r#"{"b":2, "a":1}"#))).unwrap(), both);
    assert_ne!(answer(&(line("1", r#"{"a":1,"b":3}"#) + &line("2", "{}"))).unwrap(), both);
    assert_ne!(answer(&(line("1", r#"{"a":1,"b":2}"#) + &line("3", "{}"))).unwrap(), both);
    assert_ne!(answer(&line("1", r#"{"a":1,"b":2}"#)).unwrap(), both);
    assert!(answer("{\"index\":{\"_id\":\"1\"}}\n{\"a\":}\n").is_err());
    assert!(answer("nonsense\n").is_err());
}
