//! Random batches, merges, reservations and reopenings against a map, compared both ways.

use crate::support::{delete, manual, put, routed, send};
use millpond::segments::{SegmentReader, verify};
use millpond::{Base, BaseKey};
use proptest::prelude::*;
use std::collections::BTreeMap;

const INDICES: [&str; 3] = ["a", "ab", "b"];

/// A key's state: document or nothing, routing, seq.
type Model = BTreeMap<(String, String), (Option<Vec<u8>>, Option<String>, u64)>;

#[derive(Clone, Debug)]
enum Step {
    /// Per key: a document of this length, or a delete.
    Batch(BTreeMap<(usize, u8), (Option<usize>, bool)>),
    CompactOnce,
    CompactAll,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = (0..INDICES.len(), 0_u8..30);
    let length = prop_oneof![8 => (0_usize..60).prop_map(Some), 1 => (3_000_usize..9_000).prop_map(Some), 4 => Just(None)];
    let batch = prop::collection::btree_map(key, (length, any::<bool>()), 1..25).prop_map(Step::Batch);
    let step = prop_oneof![8 => batch, 3 => Just(Step::CompactOnce), 1 => Just(Step::CompactAll), 1 => Just(Step::Reopen)];
    prop::collection::vec(step, 1..25)
}

/// Ids of several lengths, some a prefix of others.
fn id(number: u8) -> String {
    "x".repeat(usize::from(number % 3)) + &number.to_string()
}

fn compare(base: &dyn Base, model: &Model, path: &std::path::Path) -> Result<(), TestCaseError> {
    // The model in the system: every key it knows, and some it does not.
    for index in INDICES.into_iter().chain(["absent"]) {
        for number in 0..33 {
            let id = id(number);
            let found = base.read(&[BaseKey::new(index, &id)]).remove(0).unwrap();
            match (found, model.get(&(index.to_owned(), id.clone()))) {
                (Some(found), Some((source, routing, seq))) => {
                    prop_assert_eq!(found.seq, *seq);
                    prop_assert_eq!(found.source.as_deref(), source.as_deref());
                    if source.is_some() {
                        prop_assert_eq!(found.routing.as_deref(), routing.as_deref());
                    }
                }
                // A tombstone may be forgotten, a document may not.
                (None, expected) => prop_assert!(expected.is_none_or(|(source, ..)| source.is_none())),
                // A delete of an unknown key leaves nothing, or, where a filter erred, a tombstone.
                (Some(found), None) => prop_assert_eq!(found.source, None),
            }
        }
    }
    // The system in the model: everything a scan shows, and nothing else.
    let live: Vec<_> = model.iter().filter(|(_, (source, ..))| source.is_some()).collect();
    let reader = SegmentReader::open(path).unwrap();
    let scanned = reader.scan(None, None, usize::MAX).unwrap();
    prop_assert_eq!(scanned.len(), live.len());
    for ((key, document), ((index, id), (source, routing, _))) in scanned.iter().zip(&live) {
        prop_assert_eq!((&*key.index, &*key.id), (&**index, &**id));
        prop_assert_eq!(Some(&*document.source), source.as_deref());
        prop_assert_eq!(document.routing.as_deref(), routing.as_deref());
    }
    let snapshot = base.snapshot().unwrap();
    let mut names: Vec<&str> = live.iter().map(|((index, _), _)| index.as_str()).collect();
    names.dedup();
    prop_assert!(snapshot.indices().unwrap().iter().map(|name| &**name).eq(names.iter().copied()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_store_is_a_sorted_map_through_merges_and_reopenings(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = manual(dir.path());
        let mut model = Model::new();
        for (seq, step) in (1..).zip(steps) {
            match step {
                Step::Batch(batch) => {
                    let mut items = Vec::new();
                    for ((index, number), (length, has_routing)) in batch {
                        let (index, id) = (INDICES[index], id(number));
                        let source = length.map(|length| format!("{{\"{seq}\":\"{}\"}}", "z".repeat(length)));
                        let item = match &source {
                            Some(source) => put(index, &id, source.clone(), seq),
                            None => delete(index, &id, seq),
                        };
                        items.push(if has_routing { routed(item, "r") } else { item });
                        let routing = has_routing.then(|| "r".to_owned());
                        let key = (index.to_owned(), id);
                        // A delete of what was never stored leaves nothing, not even a tombstone.
                        let known = model.contains_key(&key);
                        if source.is_some() || known {
                            model.insert(key, (source.map(String::into_bytes), routing, seq));
                        }
                    }
                    send(&sink, items);
                }
                Step::CompactOnce => { sink.compact_once().unwrap(); }
                Step::CompactAll => { sink.compact_all().unwrap(); }
                Step::Reopen => {
                    drop(sink);
                    sink = manual(dir.path());
                }
            }
            compare(&sink, &model, dir.path())?;
        }
        prop_assert!(verify(dir.path()).unwrap().is_sound());
    }
}
