//! Crashes between any two steps: states of the directory are put together by hand, and the next opening must see the old
//! state or the new one, and sweep what is neither. (Failing every single step of I/O is in `faults.rs`, and without
//! the sink in `src/segment/tests.rs`.)

use crate::support::{copy, delete, files, manual, outcomes, put, scan, segment_files, send};
use millpond::segments::{SegmentReader, SegmentSink};
use millpond::{Outcome, Sink};
use std::{collections::BTreeSet, fs, path::Path};

/// Files to put into a directory.
type State = Vec<(String, Vec<u8>)>;

fn names(path: &Path) -> BTreeSet<String> {
    files(path).into_iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_mix_of_files_before_and_after_a_batch_is_the_old_state_or_the_new() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sink = manual(old.path());
    send(&sink, vec![put("i", "1", "{}", 1)]);
    drop(sink);
    copy(old.path(), new.path()).unwrap();
    let sink = manual(new.path());
    send(&sink, vec![put("i", "2", "{}", 2)]);
    drop(sink);
    let (before, after) = (scan(old.path()).unwrap(), scan(new.path()).unwrap());
    let segment = "0000000002.segment";
    let whole = fs::read(new.path().join(segment)).unwrap();
    let manifest = fs::read(new.path().join("manifest")).unwrap();
    // In the order in which the steps are made.
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let states: Vec<(State, bool)> = vec![
        (vec![(format!("{segment}.tmp"), Vec::new())], false),
        (vec![(format!("{segment}.tmp"), half(&whole))], false),
        (vec![(format!("{segment}.tmp"), whole.clone())], false),
        (vec![(segment.to_owned(), whole.clone())], false),
        (vec![(segment.to_owned(), whole.clone()), ("manifest.tmp".to_owned(), half(&manifest))], false),
        (vec![(segment.to_owned(), whole.clone()), ("manifest.tmp".to_owned(), manifest.clone())], false),
        (vec![(segment.to_owned(), whole), ("manifest".to_owned(), manifest)], true),
    ];
    for (at, (state, is_new)) in states.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        copy(old.path(), dir.path()).unwrap();
        for (name, bytes) in state {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        let expected = if is_new { &after } else { &before };
        assert_eq!(&scan(dir.path()).unwrap(), expected, "read-only, state {at}");
        let sink = manual(dir.path());
        assert_eq!(&scan(dir.path()).unwrap(), expected, "opened, state {at}");
        assert_eq!(names(dir.path()), names(if is_new { new.path() } else { old.path() }), "state {at}");
        send(&sink, vec![put("i", "3", "{}", 3)]);
        assert_eq!(scan(dir.path()).unwrap().len(), expected.len() + 1);
    }
}

#[test]
fn inputs_of_a_merge_that_were_not_yet_unlinked_are_swept() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    for seq in 1..=4 {
        send(&sink, vec![put("i", &seq.to_string(), "{}", seq)]);
    }
    send(&sink, vec![delete("i", "1", 5)]);
    let inputs: Vec<_> =
        segment_files(dir.path()).into_iter().map(|file| (fs::read(&file).unwrap(), file)).collect();
    let before = scan(dir.path()).unwrap();
    assert!(sink.compact_once().unwrap());
    drop(sink);
    for (bytes, file) in inputs {
        fs::write(file, bytes).unwrap();
    }
    assert_eq!(scan(dir.path()).unwrap(), before);
    let sink = manual(dir.path());
    assert_eq!((scan(dir.path()).unwrap(), segment_files(dir.path()).len()), (before, sink.stats().segments));
}

#[test]
fn a_crash_before_the_first_manifest_is_an_empty_store() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("lock"), b"").unwrap();
    fs::write(dir.path().join("manifest.tmp"), b"millp").unwrap();
    let sink = manual(dir.path());
    assert_eq!((sink.stats().segments, sink.seq_floor()), (0, 0));
    assert_eq!(names(dir.path()), ["lock", "manifest"].map(str::to_owned).into());
}

#[test]
fn foreign_files_in_the_directory_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.tmp"), b"mine").unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    drop(manual(dir.path()));
    assert!(names(dir.path()).is_superset(&["notes.tmp", "sub"].map(str::to_owned).into()));
}

#[test]
fn reserved_numbers_survive_and_only_rise() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    sink.reserve_seq(1_000).unwrap();
    drop(sink);
    let sink = manual(dir.path());
    assert_eq!(sink.seq_floor(), 1_000);
    sink.reserve_seq(10).unwrap();
    send(&sink, vec![put("i", "1", "{}", 2_000)]);
    assert_eq!(sink.seq_floor(), 2_001);
    drop(sink);
    assert_eq!(manual(dir.path()).seq_floor(), 2_001);
    assert_eq!(SegmentReader::open(dir.path()).unwrap().stats().seq_ceiling, 2_001);
}

#[cfg(unix)]
#[test]
fn a_directory_that_takes_no_new_file_leaves_the_store_as_it_was_and_recovers() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let sink = SegmentSink::open(dir.path()).unwrap();
    send(&sink, vec![put("i", "1", "{}", 1)]);
    let expected = scan(dir.path()).unwrap();
    let allow = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
    allow(0o500);
    if fs::write(dir.path().join("probe"), b"").is_ok() {
        // Root is not kept from writing: a name that is taken by a directory does it.
        fs::remove_file(dir.path().join("probe")).unwrap();
        fs::create_dir(dir.path().join("0000000002.segment.tmp")).unwrap();
    }
    let given = outcomes(&sink, vec![put("i", "2", "{}", 2)]);
    assert!(matches!(&given[0], Outcome::Again { .. }), "{given:?}");
    assert_eq!(scan(dir.path()).unwrap(), expected);
    allow(0o700);
    fs::remove_dir(dir.path().join("0000000002.segment.tmp")).ok();
    send(&sink, vec![put("i", "2", "{}", 2)]);
    assert_eq!(scan(dir.path()).unwrap().len(), 2);
}
