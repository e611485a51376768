//! Tests of the store as a whole that need its insides: failing every call to the disk, once and for good, and cutting
//! the power at each.

use super::{
    directory::{Home, segment_file},
    format::Record,
    store::SegmentStore,
    view::SegmentReader,
};
use crate::{
    ErrorKind, Result,
    disk::simulated::{At, Call, Fault, PowerCut, SimulatedDisk, When},
    sync::atomic::AtomicBool,
};
use std::{collections::BTreeMap, io::Write as _, sync::Arc};

type Model = BTreeMap<String, Option<String>>;

const STEPS: usize = 12;
const PATH: &str = "store";

fn home(disk: &SimulatedDisk) -> Home {
    Home::new(Arc::new(disk.of_process()), PATH)
}

fn open(disk: &SimulatedDisk) -> Result<SegmentStore> {
    SegmentStore::open(home(disk))
}

/// A disk with an empty store on it, and nothing counted yet.
fn disk() -> SimulatedDisk {
    let disk = SimulatedDisk::new(7);
    drop(open(&disk).unwrap());
    disk.restart();
    disk
}

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

fn read(disk: &SimulatedDisk) -> Model {
    let reader = SegmentReader::open_on(Arc::new(disk.clone()), PATH).unwrap();
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

/// The calls that opening and the workload make.
fn calls() -> Vec<Call> {
    let disk = disk();
    let store = open(&disk).unwrap();
    let mut model = Model::new();
    for at in 0..STEPS {
        step(&store, at, &mut model).unwrap();
    }
    let calls = disk.calls();
    store.validate().unwrap();
    assert_eq!(read(&disk), live(&model));
    assert_eq!(store.set().len(), 1);
    calls
}

/// Kills the workload at a call: everything after it fails too. Returns what must be there, and what may be.
fn run_until_killed(disk: &SimulatedDisk, call: u64, when: When) -> (Model, Model) {
    disk.fail(At::Call(call), when, Fault::Kill);
    let mut model = Model::new();
    let Ok(store) = open(disk) else { return (model.clone(), model) };
    for at in 0..STEPS {
        let before = model.clone();
        if step(&store, at, &mut model).is_err() {
            // The step that was under way, carried out wholly on another store, is what may be there.
            let mut after = before.clone();
            step(&open(&SimulatedDisk::new(1)).unwrap(), at, &mut after).unwrap();
            return (before, after);
        }
    }
    (model.clone(), model)
}

/// Opens what a crash left: the old state or the new one, with nothing lying about, and it goes on.
fn assert_recovers(disk: &SimulatedDisk, before: &Model, after: &Model, case: &str) {
    disk.restart();
    let seen = read(disk);
    assert!(seen == live(before) || seen == live(after), "{case}: {seen:?}");
    let store = open(disk).unwrap();
    store.validate().unwrap();
    assert_eq!(read(disk), seen, "reopened, {case}");
    let listing = home(disk).list().unwrap();
    assert!(listing.temporary.is_empty(), "{case}: {listing:?}");
    let mut named: Vec<u64> = store.set().entries().iter().map(|entry| entry.number).collect();
    named.sort_unstable();
    assert_eq!(listing.segments, named, "{case}");
    step(&store, 1, &mut Model::new()).unwrap();
    store.validate().unwrap();
}

const WHEN: [When; 3] = [When::Before, When::Midway, When::After];

#[test]
fn a_kill_at_every_step_of_io_leaves_the_old_state_or_the_new_one() {
    let calls = calls();
    assert!(calls.iter().filter(|call| call.is_change()).count() > 60, "{calls:?}");
    for (number, call) in (0..).zip(&calls).filter(|(_, call)| call.is_change()) {
        for when in WHEN {
            let disk = disk();
            let (before, after) = run_until_killed(&disk, number, when);
            assert_recovers(&disk, &before, &after, &format!("killed at call {number}, {when:?} {call:?}"));
        }
    }
}

#[test]
fn a_power_cut_at_every_step_of_io_leaves_the_old_state_or_the_new_one() {
    for (number, call) in (0..).zip(calls()).filter(|(_, call)| call.is_change()) {
        let disk = disk();
        let (before, after) = run_until_killed(&disk, number, When::After);
        for choice in PowerCut::all() {
            let fork = disk.fork();
            fork.power_cut(choice);
            assert_recovers(&fork, &before, &after, &format!("{choice:?} behind call {number}, {call:?}"));
        }
    }
}

#[test]
fn a_store_whose_making_was_cut_short_is_made_by_the_next_opening() {
    let whole = SimulatedDisk::new(3);
    drop(open(&whole).unwrap());
    for number in 0..whole.calls().len() as u64 {
        for when in WHEN {
            let disk = SimulatedDisk::new(3);
            disk.fail(At::Call(number), when, Fault::Kill);
            open(&disk).unwrap_err();
            for choice in PowerCut::all() {
                let fork = disk.fork();
                fork.power_cut(choice);
                fork.restart();
                let store = open(&fork).unwrap();
                step(&store, 0, &mut Model::new()).unwrap();
                store.validate().unwrap();
            }
            disk.restart();
            open(&disk).unwrap().validate().unwrap();
        }
    }
}

#[test]
fn a_single_failure_at_any_step_either_latches_or_leaves_a_store_that_works() {
    let mut latched = 0;
    for (number, call) in (0..).zip(calls()) {
        for (when, fault) in WHEN.into_iter().flat_map(|when| [(when, Fault::Io), (when, Fault::Full)]) {
            let disk = disk();
            disk.fail(At::Call(number), when, fault);
            let case = format!("{fault:?} at call {number}, {when:?} {call:?}");
            if let Ok(store) = open(&disk) {
                latched += u64::from(latches_or_works(&disk, &store, &case));
            }
            disk.restart();
            open(&disk).unwrap().validate().unwrap();
        }
    }
    assert!(latched >= 60, "{latched}");
}

/// Runs the workload over one failure; true where it latched the store.
fn latches_or_works(disk: &SimulatedDisk, store: &SegmentStore, case: &str) -> bool {
    let mut model = Model::new();
    for at in 0..STEPS {
        // From outside: a call of our own would take the place of one of theirs.
        let manifest = || disk.read_file("store/manifest").unwrap();
        let before = manifest();
        let Err(error) = step(store, at, &mut model) else { continue };
        if error.kind() == ErrorKind::Latched {
            assert!(error.to_string().contains("what is on the disk is not known"), "{case}: {error}");
            // Latched for good: the sync is never tried again as if it could succeed.
            let again = step(store, 0, &mut Model::new()).unwrap_err();
            assert_eq!(again.kind(), ErrorKind::Latched, "{case}: {again}");
            return true;
        }
        // Not latched: nothing of the step is there, and trying it again works.
        assert_eq!(error.kind(), ErrorKind::Io, "{case}: {error}");
        assert_eq!(manifest(), before, "{case}");
        assert!(home(disk).list().unwrap().temporary.is_empty(), "{case}");
        assert_eq!(read(disk), live(&model), "{case}");
        store.validate().unwrap();
        step(store, at, &mut model).unwrap();
    }
    assert_eq!(read(disk), live(&model), "{case}");
    false
}

#[test]
fn the_ceiling_is_kept_and_is_above_everything_stored() {
    let disk = disk();
    let store = open(&disk).unwrap();
    assert_eq!(store.seq_ceiling(), 0);
    step(&store, 0, &mut Model::new()).unwrap();
    assert_eq!(store.seq_ceiling(), 101);
    store.reserve_seq(5_000).unwrap();
    store.reserve_seq(10).unwrap();
    drop(store);
    assert_eq!(open(&disk).unwrap().seq_ceiling(), 5_000);
}

#[test]
fn a_merge_that_is_stopped_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let store = SegmentStore::open(Home::system(dir.path())).unwrap();
    for batch in 0..4 {
        let ids: Vec<String> = (0..200).map(|id| format!("{batch} {id:03}")).collect();
        let record = |id| Record { index: "index", id, routing: None, seq: 1, source: Some(b"{}") };
        store.append(ids.iter().map(|id| record(id.as_str()))).unwrap();
    }
    let before = store.set().entries();
    assert!(!store.compact_once(&AtomicBool::new(true)).unwrap());
    assert_eq!(store.set().entries(), before);
    assert!(store.directory().home().list().unwrap().temporary.is_empty());
    assert!(store.compact_once(&AtomicBool::new(false)).unwrap());
    assert_eq!(store.set().len(), 1);
    store.validate().unwrap();
}

#[test]
fn damage_met_by_a_merge_latches_the_store_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = SegmentStore::open(Home::system(dir.path())).unwrap();
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
