//! Damage: every bit of every file flipped, every cut made. The answer is an error or right, never wrong, never a panic,
//! and verification names it.

use crate::support::{
    Live, copy, delete, files, manual, outcomes, owned, put, routed, scan, segment_files, send,
};
use millpond::segments::{SegmentReader, SegmentSink, verify};
use millpond::{Base, BaseKey, ErrorKind};
use std::{
    fs::{self, OpenOptions},
    io::{Seek, SeekFrom, Write},
    panic::catch_unwind,
    path::{Path, PathBuf},
};

/// Two small segments, the newer one over the older: documents, routings, tombstones, three indices.
fn small_store(path: &Path) -> Live {
    let sink = manual(path);
    send(
        &sink,
        vec![
            put("a", "1", r#"{"old":1}"#, 1),
            put("a", "2", r#"{"two":2}"#, 2),
            routed(put("b", "1", r#"{"b":[1,2,3]}"#, 3), "r"),
        ],
    );
    send(&sink, vec![put("a", "1", r#"{"new":1}"#, 4), delete("a", "2", 5), put("c", "é", "{}", 6)]);
    scan(path).unwrap()
}

const KEYS: [(&str, &str); 6] = [("a", "1"), ("a", "2"), ("a", "3"), ("b", "1"), ("c", "é"), ("d", "1")];

/// Every answer must be right or an error. True where there was an error, which is then to be found by verification.
fn right_or_error(path: &Path, expected: &Live) -> bool {
    let Ok(reader) = SegmentReader::open(path) else { return true };
    let mut errors = 0;
    for (index, id) in KEYS {
        match reader.get(index, id) {
            Err(_) => errors += 1,
            Ok(found) => {
                let found =
                    found.map(|document| (document.source.to_vec(), document.routing.map(String::from)));
                assert_eq!(found.as_ref(), expected.get(&(index.to_owned(), id.to_owned())), "{index}/{id}");
            }
        }
    }
    match reader.documents(None, None) {
        Err(_) => errors += 1,
        Ok(documents) => {
            let mut seen = expected.iter();
            for document in documents {
                let Ok(document) = document else {
                    errors += 1;
                    continue;
                };
                let (key, value) = owned(document);
                assert_eq!(seen.next(), Some((&key, &value)), "a scan gave something else");
            }
            assert!(errors > 0 || seen.next().is_none(), "a scan ended early without an error");
        }
    }
    errors > 0
}

fn check(path: &Path, expected: &Live, what: &str) {
    let outcome = catch_unwind(|| {
        right_or_error(path, expected);
        // Flipped, cut or grown: there is no byte that verification does not look at.
        assert!(!verify(path).unwrap().is_sound(), "not found by verification");
        if let Ok(reader) = SegmentReader::open(path) {
            assert!(!reader.verify().is_sound(), "not found by the reader's verification");
        }
    });
    assert!(outcome.is_ok(), "{what}");
}

fn files_with_content(path: &Path) -> Vec<PathBuf> {
    let files: Vec<PathBuf> =
        files(path).into_iter().filter(|file| file.metadata().unwrap().len() > 0).collect();
    assert_eq!(files.len(), 3, "two segments and a manifest: {files:?}");
    files
}

#[test]
fn every_flipped_bit_of_every_file_is_an_error_or_leaves_the_right_answer() {
    let dir = tempfile::tempdir().unwrap();
    let expected = small_store(dir.path());
    assert_eq!(expected.len(), 3);
    assert!(!right_or_error(dir.path(), &expected) && verify(dir.path()).unwrap().is_sound());
    for path in files_with_content(dir.path()) {
        let sound = fs::read(&path).unwrap();
        let mut file = OpenOptions::new().write(true).open(&path).unwrap();
        let mut write = |at: usize, byte: u8| {
            file.seek(SeekFrom::Start(at as u64)).unwrap();
            file.write_all(&[byte]).unwrap();
        };
        for (at, byte) in sound.iter().enumerate() {
            for bit in 0..8 {
                write(at, byte ^ (1 << bit));
                check(dir.path(), &expected, &format!("{}, byte {at}, bit {bit}", path.display()));
            }
            write(at, *byte);
        }
    }
    assert_eq!(scan(dir.path()).unwrap(), expected);
}

#[test]
fn every_cut_and_every_growth_of_every_file_is_an_error_or_leaves_the_right_answer() {
    let dir = tempfile::tempdir().unwrap();
    let expected = small_store(dir.path());
    for path in files_with_content(dir.path()) {
        let sound = fs::read(&path).unwrap();
        for length in 0..sound.len() {
            fs::write(&path, &sound[..length]).unwrap();
            check(dir.path(), &expected, &format!("{}, cut to {length}", path.display()));
        }
        for more in [1, 56, 4096] {
            fs::write(&path, [&*sound, &vec![0; more]].concat()).unwrap();
            check(dir.path(), &expected, &format!("{}, grown by {more}", path.display()));
        }
        fs::write(&path, sound).unwrap();
    }
}

#[test]
fn a_writer_does_not_open_a_damaged_store_and_says_what_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    small_store(dir.path());
    for path in files_with_content(dir.path()) {
        let sound = fs::read(&path).unwrap();
        let mut flipped = sound.clone();
        let last = flipped.len() - 20;
        flipped[last] ^= 1;
        fs::write(&path, flipped).unwrap();
        let before = files(dir.path());
        let error = SegmentSink::open(dir.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged);
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(error.to_string().contains(name), "{error} does not name {name}");
        assert_eq!(files(dir.path()), before, "nothing is touched");
        fs::write(&path, sound).unwrap();
    }
}

#[test]
fn the_newer_segment_of_another_time_is_not_taken_for_its_own() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    small_store(dir.path());
    let sink = manual(other.path());
    send(&sink, vec![put("a", "1", r#"{"not":"mine"}"#, 1)]);
    let (mine, theirs) = (&segment_files(dir.path())[0], &segment_files(other.path())[0]);
    assert_eq!(mine.file_name(), theirs.file_name());
    fs::remove_file(mine).unwrap();
    fs::copy(theirs, mine).unwrap();
    let reader = SegmentReader::open(dir.path()).unwrap();
    assert_eq!(reader.get("b", "1").unwrap_err().kind(), ErrorKind::Damaged);
    assert!(reader.get("a", "1").unwrap().is_some(), "the newer segment still answers");
    let report = verify(dir.path()).unwrap();
    assert_eq!(report.damage.len(), 1);
    assert!(report.damage[0].reason.contains("another time"), "{}", report.damage[0]);
}

#[test]
fn a_swapped_block_is_damage_though_its_own_bytes_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    // Documents larger than a block get one each, here all of the same length.
    let document = |n: u8| format!("{{\"n\":\"{}\"}}", char::from(n).to_string().repeat(5000));
    send(&sink, (b'a'..=b'c').map(|n| put("i", &char::from(n).to_string(), document(n), 1)).collect());
    let path = &segment_files(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let block = 21 + 1 + document(b'a').len() + 12;
    let (a, b) = bytes[24..24 + 2 * block].split_at_mut(block);
    a.swap_with_slice(b);
    fs::write(path, bytes).unwrap();
    let reader = SegmentReader::open(dir.path()).unwrap();
    for id in ["a", "b"] {
        assert_eq!(reader.get("i", id).unwrap_err().kind(), ErrorKind::Damaged);
    }
    assert_eq!(reader.get("i", "c").unwrap().unwrap().source, document(b'c'));
}

#[test]
fn verification_goes_on_after_damage_and_names_file_block_offset_and_keys() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    let id = |n: usize| format!("{n:04}");
    send(&sink, (0..1000).map(|n| put("i", &id(n), format!("{{\"n\":{n}}}"), 1)).collect());
    send(&sink, vec![put("i", "newer", "{}", 2)]);
    let path = &segment_files(dir.path())[0];
    let sound = verify(dir.path()).unwrap();
    assert!(sound.is_sound() && sound.blocks > 5 && sound.records == 1001 && sound.segments == 2);
    let mut bytes = fs::read(path).unwrap();
    for at in [100, 10_000] {
        bytes[at] ^= 0x10;
    }
    fs::write(path, bytes).unwrap();
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.segments, report.blocks, report.damage.len()), (2, sound.blocks, 2));
    assert!(report.records > 600, "the blocks beside are still read: {}", report.records);
    for (damage, at) in report.damage.iter().zip([100, 10_000]) {
        assert_eq!(&*damage.file, "0000000001.segment");
        assert!(damage.offset.unwrap() <= at && at < damage.offset.unwrap() + 4096, "{damage}");
        assert!(damage.reason.contains("checksum"), "{damage}");
        let (from, to) = (damage.keys.0.clone().unwrap(), damage.keys.1.clone().unwrap());
        let reader = SegmentReader::open(dir.path()).unwrap();
        for n in 0..1000 {
            let in_doubt = *from.id <= *id(n) && *id(n) < *to.id;
            if in_doubt {
                assert!(reader.get("i", &id(n)).is_err(), "{n} is in doubt");
            }
        }
        assert!(reader.get("i", &to.id).is_ok());
    }
}

#[test]
fn a_file_cut_under_an_open_reader_is_an_error_and_not_the_end_of_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    send(&sink, vec![put("i", "1", "x".repeat(100_000), 1)]);
    send(&sink, vec![put("i", "2", "{}", 1)]);
    let reader = SegmentReader::open(dir.path()).unwrap();
    let path = &segment_files(dir.path())[0];
    OpenOptions::new().write(true).open(path).unwrap().set_len(100).unwrap();
    assert_eq!(reader.get("i", "1").unwrap_err().kind(), ErrorKind::Damaged);
    assert!(sink.read(&[BaseKey::new("i", "1")]).remove(0).is_err());
    assert!(reader.get("i", "2").unwrap().is_some(), "the other segment still answers");
    assert!(reader.documents(None, None).is_err());
    assert_eq!(reader.verify().damage.len(), 1);
}

#[test]
fn damage_under_a_running_writer_is_an_error_on_read() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    send(&sink, vec![put("i", "1", r#"{"n":1}"#, 1)]);
    let path = &segment_files(dir.path())[0];
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(50)).unwrap();
    file.write_all(b"?").unwrap();
    assert_eq!(sink.read(&[BaseKey::new("i", "1")]).remove(0).unwrap_err().kind(), ErrorKind::Damaged);
    assert!(sink.snapshot().unwrap().page("i", None, 1).is_err());
}

#[test]
fn a_lost_manifest_is_an_error_for_all_and_verification_still_reads_the_segments() {
    let dir = tempfile::tempdir().unwrap();
    small_store(dir.path());
    fs::remove_file(dir.path().join("manifest")).unwrap();
    for error in [SegmentSink::open(dir.path()).unwrap_err(), SegmentReader::open(dir.path()).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Damaged);
        assert!(error.to_string().contains("manifest is missing"), "{error}");
    }
    assert_eq!(segment_files(dir.path()).len(), 2);
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.segments, report.records, report.damage.len()), (2, 6, 1));
    assert_eq!(&*report.damage[0].file, "manifest");
}

#[test]
fn a_newer_format_is_refused_and_left_untouched() {
    let dir = tempfile::tempdir().unwrap();
    small_store(dir.path());
    let path = dir.path().join("manifest");
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 4);
    bytes[8] = 99;
    let sum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    fs::write(dir.path().join("0000000077.segment"), b"of the newer version").unwrap();
    let before = tempfile::tempdir().unwrap();
    copy(dir.path(), before.path()).unwrap();
    for error in [SegmentSink::open(dir.path()).unwrap_err(), SegmentReader::open(dir.path()).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("version 99"), "{error}");
    }
    assert!(verify(dir.path()).is_err());
    for (now, then) in files(dir.path()).iter().zip(files(before.path())) {
        assert_eq!(fs::read(now).unwrap(), fs::read(then).unwrap());
    }
}

#[test]
fn a_store_that_is_not_there_is_an_error_for_a_reader() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("absent")] {
        let error = SegmentReader::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("no manifest"), "{error}");
        assert!(!path.join("lock").exists(), "a reader writes nothing");
    }
}

#[test]
fn sends_go_on_after_a_refused_batch() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    outcomes(&sink, vec![put("i", "b", "{}", 1), put("i", "a", "{}", 1)]);
    send(&sink, vec![put("i", "a", "{}", 1)]);
    assert_eq!(scan(dir.path()).unwrap().len(), 1);
}
