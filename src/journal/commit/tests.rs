//! Many who commit at once: nobody is left waiting, and what was acknowledged is on the medium.

use super::*;
use crate::{
    disk::{
        Disk,
        simulated::{At, Call, Fault, PowerCut, SimulatedDisk, When},
    },
    journal::{
        admission::{cost_of, words_of},
        file::{Before, Shape},
        reader::Reader,
        record::{Kind, Record},
        ring::Head,
        writer::{Marks, Names},
    },
};
use std::path::Path;

#[cfg(shuttle)]
use crate::sync::scope;
#[cfg(not(shuttle))]
use std::thread::scope;

const DIRECTORY: &str = "journal";
const WRITERS: u64 = 3;
const EACH: u64 = 2;

/// Watermarks name nothing.
struct NoNames;

impl Names for NoNames {
    fn index(&self, _: u32) -> Arc<str> {
        Arc::from("")
    }

    fn source(&self, _: u32) -> Arc<str> {
        Arc::from("")
    }
}

fn commit_on(disk: &SimulatedDisk) -> Commit {
    let directory = Path::new(DIRECTORY);
    disk.create_directory(directory).unwrap();
    let shape = Shape { engine: 1, file_bytes: 64 * 1024, seed: 1 };
    let names = Arc::new(NoNames);
    let before = (Before::default(), Vec::new(), (Marks::default(), 0));
    let disk = Arc::new(disk.clone());
    let writer =
        Writer::open(disk, directory, names, shape, before.0, (before.1, Vec::new()), before.2).unwrap();
    Commit::new(Ring::new(4096), writer, Arc::default())
}

/// Places a watermark of this seq, and has it on the medium.
fn acknowledge(commit: &Commit, seq: u64) -> Result<()> {
    let mut body = Vec::new();
    Record::Watermark { seq }.write_body(&mut body);
    assert!(commit.admission.admit(Class::Mark, cost_of(body.len())));
    let place = commit.ring.place(words_of(body.len()));
    commit.ring.fill(place, Head { kind: Kind::Watermark as u8, seq }, &body);
    commit.commit(place.end())
}

/// Each writer has some acknowledged; gives those that were.
fn write(commit: &Commit) -> Vec<u64> {
    let run = |writer: u64| {
        let seqs = (0..EACH).map(move |n| 1 + writer * EACH + n);
        seqs.take_while(|seq| acknowledge(commit, *seq).is_ok()).collect::<Vec<u64>>()
    };
    let mut acknowledged = Vec::new();
    scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || run(writer))).collect();
        acknowledged = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
    });
    acknowledged
}

/// What is there after a power cut that kept nothing but what was synced.
fn kept(disk: &SimulatedDisk) -> Vec<u64> {
    disk.power_cut(PowerCut::LOST);
    disk.restart();
    let directory = Path::new(DIRECTORY);
    let names = disk.list(directory).unwrap();
    let name = names.iter().find(|name| name.ends_with(".journal")).unwrap();
    let bytes = disk.open(&directory.join(name)).unwrap().read_all().unwrap();
    let seqs = Reader::new(&bytes, None).unwrap().filter_map(|entry| match entry.record {
        Record::Watermark { seq } => Some(seq),
        _ => None,
    });
    seqs.collect()
}

fn all_go() {
    let disk = SimulatedDisk::new(1);
    let commit = commit_on(&disk);
    // Others come while one is away.
    disk.watch(|call| {
        if call == Call::SyncData {
            yield_now();
        }
    });
    let acknowledged = write(&commit);
    assert_eq!(acknowledged, (1..=WRITERS * EACH).collect::<Vec<_>>());
    assert_eq!(commit.synced(), commit.ring.tail());
    drop(commit);
    let mut kept = kept(&disk);
    kept.sort_unstable();
    assert_eq!(kept, acknowledged);
}

fn none_goes_after_a_failure() {
    let disk = SimulatedDisk::new(1);
    let commit = commit_on(&disk);
    let syncs = disk.calls().iter().filter(|call| **call == Call::SyncData).count();
    disk.fail(At::Nth(Call::SyncData, syncs as u64 + 1), When::Before, Fault::Io);
    let acknowledged = write(&commit);
    assert!(commit.latch.check().is_err(), "at least two groups go");
    drop(commit);
    let kept = kept(&disk);
    assert!(acknowledged.iter().all(|seq| kept.contains(seq)), "{acknowledged:?} of {kept:?}");
}

#[cfg(not(shuttle))]
#[test]
fn what_many_have_acknowledged_is_on_the_medium() {
    all_go();
}

#[cfg(not(shuttle))]
#[test]
fn a_sync_that_fails_is_the_last_and_leaves_nobody_waiting() {
    none_goes_after_a_failure();
}

#[cfg(shuttle)]
mod interleavings {
    use super::*;
    use crate::sync::schedules::explore;

    #[test]
    fn nobody_is_left_waiting_and_what_was_acknowledged_is_on_the_medium() {
        explore(all_go);
    }

    #[test]
    fn a_sync_that_fails_leaves_nobody_waiting() {
        explore(none_goes_after_a_failure);
    }
}

#[cfg(not(shuttle))]
#[test]
fn room_that_somebody_was_promised_in_a_file_is_waited_for_and_no_file_is_begun() {
    let disk = SimulatedDisk::new(1);
    let commit = commit_on(&disk);
    let files = || disk.list(Path::new(DIRECTORY)).unwrap();
    let before = files();
    let let_in = |body| commit.let_in(Class::Operation, (64, body), u64::MAX).unwrap();
    assert!(matches!(let_in(40_000), Room::Some));
    // No file has room for both, and the first is not written yet.
    assert!(matches!(let_in(40_000), Room::Soon));
    assert!(matches!(let_in(70_000), Room::TooLarge { most } if (40_000..70_000).contains(&most)));
    assert_eq!(files(), before);
    commit.withdraw(64, 40_000);
    assert!(matches!(let_in(40_000), Room::Some));
    assert_eq!(files(), before);
}
