//! Tests of the store as a whole that need its insides: failing every step of I/O, once and for good.

use super::{
    directory::{list, segment_file},
    format::Record,
    manifest::Manifest,
    store::SegmentStore,
    verify,
    view::SegmentReader,
};
use crate::{ErrorKind, Result, sync::atomic::AtomicBool};
use std::{collections::BTreeMap, io::Write as _, path::Path};

type Model = BTreeMap<String, Option<String>>;

const STEPS: usize = 12;

/// A fixed workload: writes over each other, a delete, a reservation, and merges in between.
fn step(store: &SegmentStore, at: usize, model: &mut Model) -> Result<()> {
    match at {
        5 | 9 => return store.compact_once(&AtomicBool::new(false)).map(|_| ()),
        6 => return store.reserve_seq(5_000),
        11 => return store.compact_all().map(|_| ()),
        _ => {}
    }
    let puts =
        (0..3).map(|offset| (format!("id {}", (at * 2 + offset) % 9), Some(format!("{{\"at\":{at}}}"))));
    let gone = (format!("id {}", (at * 2 + 5) % 9), None);
    let batch: Model = puts.chain([gone]).collect();
    let records: Vec<Record<'_>> = batch
        .iter()
        .map(|(id, source)| {
            let source = source.as_deref().map(str::as_bytes);
            Record { index: "index", id, routing: None, seq: 100 + at as u64, source }
        })
        .collect();
    store.append(records.into_iter())?;
    model.extend(batch);
    Ok(())
}

fn read(path: &Path) -> Model {
    let reader = SegmentReader::open(path).unwrap();
    assert!(reader.verify().is_sound());
    let documents = reader.scan(None, None, usize::MAX).unwrap();
    documents
        .into_iter()
        .map(|(key, document)| (key.id.into(), Some(String::from_utf8(document.source.to_vec()).unwrap())))
        .collect()
}

fn live(model: &Model) -> Model {
    model
        .iter()
        .filter(|(_, source)| source.is_some())
        .map(|(id, source)| (id.clone(), source.clone()))
        .collect()
}

/// How many steps of I/O the workload makes.
fn steps_of_io() -> i64 {
    let dir = tempfile::tempdir().unwrap();
    let store = SegmentStore::open(dir.path()).unwrap();
    store.directory().faults.fail_at(-1, false);
    let mut model = Model::new();
    for at in 0..STEPS {
        step(&store, at, &mut model).unwrap();
        store.validate().unwrap();
    }
    assert_eq!(read(dir.path()), live(&model));
    assert_eq!(store.set().len(), 1);
    store.directory().faults.taken()
}

/// Kills the workload at a step of I/O: everything after it fails too. Returns what must be there, and what may be.
fn run_until_killed(path: &Path, at_io: i64) -> (Model, Model) {
    let store = SegmentStore::open(path).unwrap();
    store.directory().faults.fail_at(at_io, true);
    let mut model = Model::new();
    for at in 0..STEPS {
        let before = model.clone();
        if step(&store, at, &mut model).is_err() {
            // The step that was under way, carried out wholly on another store, is what may be there.
            let other = tempfile::tempdir().unwrap();
            let other = SegmentStore::open(other.path()).unwrap();
            let mut after = before.clone();
            step(&other, at, &mut after).unwrap();
            return (before, after);
        }
    }
    (model.clone(), model)
}

#[test]
fn a_kill_at_every_step_of_io_leaves_the_old_state_or_the_new_one() {
    let steps = steps_of_io();
    assert!(steps > 60, "{steps}");
    for at_io in 0..steps {
        let dir = tempfile::tempdir().unwrap();
        let (before, after) = run_until_killed(dir.path(), at_io);
        let seen = read(dir.path());
        assert!(seen == live(&before) || seen == live(&after), "killed at step {at_io}: {seen:?}");
        // The next opening sweeps, goes on without help, and sees the same.
        let store = SegmentStore::open(dir.path()).unwrap();
        store.validate().unwrap();
        assert_eq!(read(dir.path()), seen, "reopened after step {at_io}");
        let listing = list(dir.path()).unwrap();
        assert!(listing.temporary.is_empty(), "step {at_io}: {listing:?}");
        let mut named: Vec<u64> = store.set().entries().iter().map(|entry| entry.number).collect();
        named.sort_unstable();
        assert_eq!(listing.segments, named, "step {at_io}");
        step(&store, 1, &mut Model::new()).unwrap();
        store.validate().unwrap();
    }
}

#[test]
fn a_single_failure_at_any_step_either_latches_or_leaves_a_store_that_works() {
    let steps = steps_of_io();
    let mut latched = 0;
    for at_io in 0..steps {
        let dir = tempfile::tempdir().unwrap();
        let store = SegmentStore::open(dir.path()).unwrap();
        store.directory().faults.fail_at(at_io, false);
        let mut model = Model::new();
        for at in 0..STEPS {
            let generation = Manifest::read(dir.path()).unwrap().unwrap();
            let Err(error) = step(&store, at, &mut model) else { continue };
            if error.kind() == ErrorKind::Latched {
                latched += 1;
                assert!(error.to_string().contains("sync"), "{error}");
                // Latched for good: the sync is never tried again as if it could succeed.
                let again = step(&store, 0, &mut Model::new()).unwrap_err();
                assert_eq!(again.kind(), ErrorKind::Latched, "{again}");
                break;
            }
            // Not latched: nothing of the step is there, and trying it again works.
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
            assert_eq!(Manifest::read(dir.path()).unwrap().unwrap(), generation, "step {at_io}");
            assert!(list(dir.path()).unwrap().temporary.is_empty(), "step {at_io}");
            assert_eq!(read(dir.path()), live(&model));
            store.validate().unwrap();
            step(&store, at, &mut model).unwrap();
        }
        drop(store);
        SegmentStore::open(dir.path()).unwrap().validate().unwrap();
        assert!(verify(dir.path()).unwrap().is_sound());
    }
    assert!(latched >= 10, "{latched}");
}

#[test]
fn the_ceiling_is_kept_and_is_above_everything_stored() {
    let dir = tempfile::tempdir().unwrap();
    let store = SegmentStore::open(dir.path()).unwrap();
    assert_eq!(store.seq_ceiling(), 0);
    step(&store, 0, &mut Model::new()).unwrap();
    assert_eq!(store.seq_ceiling(), 101);
    store.reserve_seq(5_000).unwrap();
    store.reserve_seq(10).unwrap();
    drop(store);
    assert_eq!(SegmentStore::open(dir.path()).unwrap().seq_ceiling(), 5_000);
}

#[test]
fn a_merge_that_is_stopped_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let store = SegmentStore::open(dir.path()).unwrap();
    for batch in 0..4 {
        let ids: Vec<String> = (0..200).map(|id| format!("{batch} {id:03}")).collect();
        let record = |id| Record { index: "index", id, routing: None, seq: 1, source: Some(b"{}") };
        store.append(ids.iter().map(|id| record(id.as_str()))).unwrap();
    }
    let before = store.set().entries();
    assert!(!store.compact_once(&AtomicBool::new(true)).unwrap());
    assert_eq!(store.set().entries(), before);
    assert!(list(dir.path()).unwrap().temporary.is_empty());
    assert!(store.compact_once(&AtomicBool::new(false)).unwrap());
    assert_eq!(store.set().len(), 1);
    store.validate().unwrap();
}

#[test]
fn damage_met_by_a_merge_latches_the_store_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = SegmentStore::open(dir.path()).unwrap();
    let mut model = Model::new();
    for at in 0..4 {
        step(&store, at, &mut model).unwrap();
    }
    let file = dir.path().join(segment_file(store.set().entries()[0].number));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[60] ^= 1;
    // In place, under the map, as a disk would do it.
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().write_all(&bytes).unwrap();
    let error = store.compact_once(&AtomicBool::new(false)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    assert!(error.to_string().contains("0000000001.segment: block 0"), "{error}");
    assert_eq!(step(&store, 4, &mut model).unwrap_err().kind(), ErrorKind::Latched);
    assert!(store.set().get("index", "id 8").unwrap().is_some());
}
