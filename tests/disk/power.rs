//! What a power cut leaves: each choice for bytes and for names does what it says, and can do all that it may.

use crate::simulated::{Bytes, Changes, PowerCut, SECTOR_BYTES, SimulatedDisk};
use millpond::disk::Disk;
use std::{collections::BTreeSet, path::Path};

const SECTORS: usize = 4;
const LENGTH: usize = SECTORS * SECTOR_BYTES;

/// A disk whose file `d/file` is durable and holds dots.
fn disk(seed: u64, bytes: usize) -> SimulatedDisk {
    let disk = SimulatedDisk::new(seed);
    disk.create_directory(Path::new("d")).unwrap();
    disk.write_file("d/file", &vec![b'.'; bytes]).unwrap();
    disk
}

/// All that may be left of these writes over `old` dots, over many seeds.
fn outcomes(choice: Bytes, old: usize, writes: &[(usize, usize, u8)]) -> BTreeSet<Vec<u8>> {
    let outcome = |seed| {
        let disk = disk(seed, old);
        let file = disk.open_for_writing(Path::new("d/file")).unwrap();
        for (at, bytes, with) in writes {
            file.write_all_at(&vec![*with; *bytes], *at as u64).unwrap();
        }
        disk.power_cut(PowerCut::new(choice, Changes::Lost));
        disk.validate();
        disk.read_file("d/file").unwrap()
    };
    (0..400).map(outcome).collect()
}

/// One letter a sector; `?` where a sector is of two kinds.
fn sketch(bytes: &[u8]) -> String {
    let letter = |sector: &[u8]| {
        let is_whole = sector.iter().all(|byte| *byte == sector[0]);
        char::from(if is_whole && sector[0] != 0 { sector[0] } else { b'?' })
    };
    bytes.chunks(SECTOR_BYTES).map(letter).collect()
}

fn sketches(choice: Bytes, writes: &[(usize, usize, u8)]) -> BTreeSet<String> {
    outcomes(choice, LENGTH, writes).iter().map(|bytes| sketch(bytes)).collect()
}

fn set(sketches: &[&str]) -> BTreeSet<String> {
    sketches.iter().map(ToString::to_string).collect()
}

#[test]
fn lost_keeps_nothing_and_kept_keeps_all() {
    let writes = [(0, LENGTH, b'a'), (SECTOR_BYTES, SECTOR_BYTES, b'b')];
    assert_eq!(sketches(Bytes::Lost, &writes), set(&["...."]));
    assert_eq!(sketches(Bytes::Kept, &writes), set(&["abaa"]));
}

#[test]
fn scattered_sectors_are_each_of_a_moment_of_their_own() {
    let two = 2 * SECTOR_BYTES;
    let found = sketches(Bytes::Scattered, &[(0, two, b'a'), (SECTOR_BYTES, two, b'b')]);
    let mut expected = BTreeSet::new();
    for first in [".", "a"] {
        for second in [".", "a", "b"] {
            for third in [".", "b"] {
                expected.insert(format!("{first}{second}{third}."));
            }
        }
    }
    // Among them: the second write whole and the first only where it is covered, and the other way round.
    assert_eq!(found, expected);
}

#[test]
fn a_later_write_to_a_sector_never_stands_without_the_earlier_one() {
    let found = outcomes(Bytes::Scattered, SECTOR_BYTES, &[(0, 100, b'a'), (200, 100, b'b')]);
    let starts: BTreeSet<(u8, u8)> = found.iter().map(|bytes| (bytes[0], bytes[200])).collect();
    assert_eq!(starts, BTreeSet::from([(b'.', b'.'), (b'a', b'.'), (b'a', b'b')]));
}

#[test]
fn reordered_keeps_what_was_written_last_and_loses_what_was_before() {
    let sectors = |first: usize, count: usize, with| (first * SECTOR_BYTES, count * SECTOR_BYTES, with);
    let found = sketches(Bytes::Reordered, &[sectors(0, 1, b'a'), sectors(1, 1, b'b'), sectors(2, 1, b'c')]);
    assert_eq!(found, set(&[".bc.", "..c."]));
    // Within one write: the later sectors and not the earlier ones.
    let found = sketches(Bytes::Reordered, &[sectors(0, 4, b'a')]);
    assert_eq!(found, set(&[".aaa", "..aa", "...a"]));
    // What was written last may lie in front.
    let found = sketches(Bytes::Reordered, &[sectors(3, 1, b'a'), sectors(0, 1, b'b')]);
    assert_eq!(found, set(&["b..."]));
}

#[test]
fn torn_keeps_writes_up_to_one_whose_last_sector_has_old_bytes_behind() {
    let found = outcomes(Bytes::Torn, LENGTH, &[(0, 300, b'a'), (300, 1000, b'b')]);
    let mut ends = BTreeSet::new();
    for bytes in &found {
        let a = bytes.iter().take_while(|byte| **byte == b'a').count();
        let b = bytes[a..].iter().take_while(|byte| **byte == b'b').count();
        assert!(bytes[a + b..].iter().all(|byte| *byte == b'.'), "{bytes:?}");
        assert!(b == 0 && a < 300 || a == 300, "{a} {b}");
        ends.insert(a + b);
    }
    // In the first write's only sector, or in the second one's last; never all of it.
    assert!(ends.iter().all(|end| *end < 300 || (1024..1300).contains(end)), "{ends:?}");
    assert!(ends.len() > 50 && ends.first().unwrap() < &30 && ends.last().unwrap() > &1270, "{ends:?}");
}

#[test]
fn a_length_survives_without_its_bytes_and_bytes_not_without_a_length() {
    let found = outcomes(Bytes::Scattered, 0, &[(0, 600, b'a')]);
    let kinds: BTreeSet<(usize, u8, u8)> = found
        .iter()
        .map(|bytes| {
            let at = |place: usize| bytes.get(place).copied().unwrap_or(b' ');
            (bytes.len(), at(0), at(599))
        })
        .collect();
    let expected = [(0, b' ', b' '), (600, 0, 0), (600, 0, b'a'), (600, b'a', 0), (600, b'a', b'a')];
    assert_eq!(kinds, BTreeSet::from(expected));
}

#[test]
fn a_cut_that_is_not_synced_is_there_or_not_and_never_in_part() {
    let left = |choice, seed| {
        let disk = disk(seed, 3 * SECTOR_BYTES);
        let file = disk.open_for_writing(Path::new("d/file")).unwrap();
        file.set_length(700).unwrap();
        file.set_length(1000).unwrap();
        disk.power_cut(PowerCut::new(choice, Changes::Lost));
        disk.read_file("d/file").unwrap()
    };
    let cut = [vec![b'.'; 700], [vec![b'.'; 700], vec![0; 300]].concat()];
    let whole = vec![b'.'; 3 * SECTOR_BYTES];
    assert_eq!(left(Bytes::Lost, 0), whole);
    assert_eq!(left(Bytes::Kept, 0), cut[1]);
    let found: BTreeSet<_> = (0..50).map(|seed| left(Bytes::Scattered, seed)).collect();
    assert_eq!(found, [whole].into_iter().chain(cut).collect());
}

#[test]
fn preallocated_bytes_are_as_durable_as_the_sync_behind_them() {
    let disk = SimulatedDisk::new(1);
    disk.create_directory(Path::new("d")).unwrap();
    let file = disk.create(Path::new("d/file"), 9000).unwrap();
    disk.sync_directory(Path::new("d")).unwrap();
    let fork = disk.fork();
    fork.power_cut(PowerCut::LOST);
    assert_eq!(fork.read_file("d/file").unwrap(), b"");
    assert_eq!(fork.used(), 0);
    file.sync_all().unwrap();
    disk.power_cut(PowerCut::LOST);
    assert_eq!(disk.read_file("d/file").unwrap(), [0; 9000]);
    assert_eq!(disk.used(), 3 * 4096);
}

/// The names that may be left of a fixed run of changes, over many seeds.
fn names_left(choice: Changes) -> BTreeSet<Vec<String>> {
    let left = |seed| {
        let disk = disk(seed, 0);
        let name = |name: &str| Path::new("d").join(name);
        disk.create(&name("a.tmp"), 0).unwrap();
        disk.rename(&name("a.tmp"), &name("a")).unwrap();
        disk.remove(&name("file")).unwrap();
        disk.power_cut(PowerCut::new(Bytes::Kept, choice));
        disk.validate();
        disk.names("d").unwrap()
    };
    (0..200).map(left).collect()
}

fn names(sets: &[&[&str]]) -> BTreeSet<Vec<String>> {
    sets.iter().map(|set| set.iter().map(ToString::to_string).collect()).collect()
}

#[test]
fn names_that_were_not_synced_are_lost_kept_or_there_up_to_one() {
    assert_eq!(names_left(Changes::Lost), names(&[&["file"]]));
    assert_eq!(names_left(Changes::Kept), names(&[&["a"]]));
    assert_eq!(names_left(Changes::Prefix), names(&[&["file"], &["a.tmp", "file"], &["a", "file"], &["a"]]));
}

#[test]
fn scattered_names_are_independent_unless_they_have_one_in_common() {
    let expected: [&[&str]; 6] = [&["file"], &["a.tmp", "file"], &["a", "file"], &["a"], &["a.tmp"], &[]];
    assert_eq!(names_left(Changes::Scattered), names(&expected));
}

#[test]
fn synced_names_stay_and_a_synced_file_without_a_durable_name_is_gone() {
    for choice in PowerCut::all() {
        let disk = disk(3, 0);
        let file = disk.create(Path::new("d/new"), 0).unwrap();
        file.write_all_at(b"new", 0).unwrap();
        file.sync_all().unwrap();
        let fork = disk.fork();
        fork.power_cut(PowerCut::new(Bytes::Kept, Changes::Lost));
        assert_eq!(fork.names("d").unwrap(), ["file"]);
        disk.sync_directory(Path::new("d")).unwrap();
        disk.power_cut(choice);
        assert_eq!(disk.names("d").unwrap(), ["file", "new"]);
        assert_eq!(disk.read_file("d/new").unwrap(), b"new");
    }
}

#[test]
fn a_replaced_file_is_the_old_one_or_the_new_one() {
    let mut seen = BTreeSet::new();
    for seed in 0..100 {
        let disk = disk(seed, 3);
        let file = disk.create(Path::new("d/file.tmp"), 0).unwrap();
        file.write_all_at(b"new", 0).unwrap();
        file.sync_all().unwrap();
        disk.rename(Path::new("d/file.tmp"), Path::new("d/file")).unwrap();
        disk.power_cut(PowerCut::MIXED);
        seen.insert(disk.read_file("d/file").unwrap());
    }
    assert_eq!(seen, BTreeSet::from([b"...".to_vec(), b"new".to_vec()]));
}

#[test]
fn a_made_directory_is_durable_at_once_and_with_those_above_it() {
    let disk = SimulatedDisk::new(1);
    disk.create_directory(Path::new("a/b/c")).unwrap();
    disk.power_cut(PowerCut::LOST);
    assert!(disk.names("a/b/c").unwrap().is_empty());
}
