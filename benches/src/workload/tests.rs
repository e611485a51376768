//! Tests of the workload: it is what the page says, and the same each time.

use super::*;
use serde_json::Value;
use std::collections::BTreeSet;

const PLAN: Plan = Plan { documents: 1_000, operations: 5_000, keys: Keys::Zipf, mix: Mix::Updates, seed: 1 };

#[test]
fn the_same_seed_gives_the_same_operations() {
    let (one, again) = (Workload::new(&PLAN), Workload::new(&PLAN));
    assert_eq!(one.text, again.text);
    assert_ne!(one.text, Workload::new(&Plan { seed: 2, ..PLAN }).text);
}

#[test]
fn shares_and_sizes_are_those_of_the_page() {
    let workload = Workload::new(&PLAN);
    let (mut whole, mut partial_bytes) = (0, 0);
    for operation in workload.operations() {
        assert_eq!(operation.id.len(), ID_BYTES);
        let body: Value = serde_json::from_str(operation.body).unwrap();
        match operation.kind {
            Kind::Index => {
                whole += 1;
                assert!((200..=1_000).contains(&operation.body.len()), "{}", operation.body);
                assert_eq!(body.as_object().unwrap().len(), 11);
            }
            Kind::Update => {
                partial_bytes += operation.body.len() - r#"{"doc":,"doc_as_upsert":true}"#.len();
                assert!(body["doc"].is_object());
            }
        }
    }
    assert!((400..600).contains(&whole), "{whole}");
    let mean = partial_bytes / (5_000 - whole);
    assert!((45..=55).contains(&mean), "{mean}");
    assert_eq!(workload.operations().len(), 5_000);
    assert_eq!(workload.operations().count(), 5_000);
}

#[test]
fn documents_are_laid_out_each_in_its_own_way() {
    let workload = Workload::new(&Plan { mix: Mix::Whole, keys: Keys::Each, ..PLAN });
    let place =
        |operation: Operation<'_>| operation.body.find("\"text\"").unwrap() * 10 / operation.body.len();
    let places: BTreeSet<usize> = workload.operations().map(place).collect();
    assert!(places.len() >= 5, "{places:?}");
    let first = |operation: Operation<'_>| operation.body.split('"').nth(1).unwrap().to_owned();
    assert_eq!(workload.operations().map(first).collect::<BTreeSet<_>>().len(), 11);
    let foreign = workload.operations().filter(|operation| !operation.body.is_ascii()).count();
    let escaped = workload.operations().filter(|operation| operation.body.contains('\\')).count();
    assert!((500..800).contains(&foreign) && (200..450).contains(&escaped), "{foreign} {escaped}");
}

#[test]
fn each_key_once_is_each_key_once() {
    let workload = Workload::new(&Plan { operations: 1_000, keys: Keys::Each, ..PLAN });
    assert_eq!(workload.operations().map(|operation| operation.id).collect::<BTreeSet<_>>().len(), 1_000);
}
