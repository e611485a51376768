//! A small log, with every byte of it changed, cut or zeroed: cut, refused or read unchanged, by the rule and by nothing else.

use super::*;
use crate::Action;
use crate::journal::{
    group::Group,
    record::{KeyRef, Operation, Verb, tests::net},
};

const HEADER: FileHeader = FileHeader { engine: 9, salt: 0x5EED, number: 4, bytes: 4_096, kept: 0 };
/// Sectors are zeroed whole.
const SECTOR: usize = 64;

/// A file as it lies on a disk, and what is known of how it was made.
struct Log {
    file: Vec<u8>,
    /// Where each record ends.
    ends: Vec<usize>,
    /// Where each group begins, and up to where it states the file to be synced.
    groups: Vec<(usize, u64)>,
    /// Where the last group ends, and the last checksum.
    end: FileEnd,
}

/// Writes groups; each is the records in it, and whether what came before was synced first.
fn log(groups: &[(usize, bool)]) -> Log {
    let net = net(Action::Update(br#"{"doc":{"name":"a name"},"inc":{"n":1}}"#));
    let mut file = HEADER.write().to_vec();
    let (mut chain, mut synced, mut seq) = (HEADER.chain(), FILE_HEADER_BYTES as u64, 1_000);
    let (mut ends, mut places, mut scratch) = (Vec::new(), Vec::new(), Vec::new());
    let mut group = Group::default();
    for (records, is_synced) in groups {
        if *is_synced {
            synced = file.len() as u64;
        }
        group.clear(seq);
        for record in 0..*records {
            seq += 7;
            let id = format!("id {seq}");
            let record = match record % 4 {
                0 => Record::Index { number: 1, name: "things" },
                1 => Record::Operation(Operation {
                    seq,
                    verb: Verb::Update,
                    index: 1,
                    id: &id,
                    routing: None,
                    source: None,
                    net: &net,
                }),
                2 => Record::Settled { key: KeyRef { index: 1, id: &id }, last: seq - 7 },
                _ => Record::Watermark { seq: seq - 7 },
            };
            group.push_record(&record, &mut scratch);
            ends.push(file.len() + group.len());
        }
        places.push((file.len(), synced));
        chain = group.seal(HEADER.salt, file.len() as u64, chain, synced);
        file.extend_from_slice(group.bytes());
    }
    let end = FileEnd { number: HEADER.number, at: file.len() as u64, chain };
    file.resize(usize::try_from(HEADER.bytes).unwrap(), 0);
    Log { file, ends, groups: places, end }
}

fn read(file: &[u8], known: Option<FileEnd>) -> (Vec<Entry<'_>>, End) {
    let mut reader = Reader::new(file, known).unwrap();
    let entries: Vec<Entry<'_>> = reader.by_ref().collect();
    (entries, reader.end())
}

impl Log {
    /// What the words of the rule say of a last file in which `changed` is the first byte that is not as it was: where it is
    /// cut, and whether that is damage.
    fn rule(&self, changed: usize, believable: impl Fn(usize) -> bool) -> (usize, bool) {
        // The start of the record or of the header of a group in which it lies.
        let starts = self.groups.iter().flat_map(|group| [group.0, group.0 + GROUP_HEADER_BYTES]);
        let at = starts.chain(self.ends.iter().copied()).filter(|start| *start <= changed).max().unwrap();
        // Within a header, its start.
        let header =
            self.groups.iter().find(|group| (group.0..group.0 + GROUP_HEADER_BYTES).contains(&changed));
        let at = header.map_or(at, |group| group.0);
        let behind = self.groups.iter().filter(|group| group.0 > at && believable(group.0));
        (at, behind.into_iter().any(|group| group.1 > at as u64))
    }

    /// Checks what was read of a changed file against the rule.
    fn check(&self, file: &[u8], changed: usize, believable: impl Fn(usize) -> bool) {
        let (sound, _) = read(&self.file, None);
        let (entries, end) = read(file, None);
        let (at, is_damage) = self.rule(changed, believable);
        let whole = self.ends.iter().filter(|end| **end <= at).count();
        assert_eq!(entries, sound[..whole], "changed at {changed}");
        match end {
            End::Torn { at: cut, .. } => {
                assert_eq!((cut, false), (at as u64, is_damage), "changed at {changed}");
            }
            End::Damaged(damage) => {
                assert_eq!((damage.at, true), (at as u64, is_damage), "changed at {changed}: {damage}");
                let Proof::Synced { to } = damage.proof else { panic!("changed at {changed}: {damage}") };
                assert!(to > damage.at);
            }
            End::Clean { .. } => panic!("changed at {changed}"),
        }
    }
}

/// Nothing was ever synced.
fn sample() -> Log {
    log(&[(3, false), (2, false), (5, false), (2, false), (3, false)])
}

/// The first group was on the disk when the second was written, and the third when the fourth was.
fn partly_synced() -> Log {
    log(&[(3, false), (2, true), (5, false), (4, true), (3, false), (2, false)])
}

#[test]
fn a_sound_file_is_read_to_its_end() {
    for log in [log(&[]), sample(), partly_synced()] {
        for known in [None, Some(log.end)] {
            let (entries, end) = read(&log.file, known);
            assert_eq!(end, End::Clean { at: log.end.at, chain: log.end.chain });
            let ends: Vec<usize> = entries
                .iter()
                .map(|entry| usize::try_from(entry.place.at).unwrap() + entry.place.bytes as usize)
                .collect();
            assert_eq!(ends, log.ends);
            for Entry { place, record } in entries {
                let at = usize::try_from(place.at).unwrap();
                let bytes = &log.file[at..at + place.bytes as usize];
                assert_eq!(record::read_again(bytes, place.chain, record.seq()), Ok(record));
            }
        }
    }
}

#[test]
fn every_flipped_bit_is_cut_or_refused_by_the_rule() {
    for log in [sample(), partly_synced()] {
        let written = usize::try_from(log.end.at).unwrap();
        for bit in 0..log.file.len() * 8 {
            let at = bit / 8;
            let mut file = log.file.clone();
            file[at] ^= 1 << (bit % 8);
            if at < FILE_HEADER_BYTES {
                assert_eq!(Reader::new(&file, None).unwrap_err().kind(), ErrorKind::Damaged);
            } else if at < written {
                log.check(&file, at, |group| group > at);
            } else {
                // Rubbish behind the end: nothing that was synced is missing.
                let (entries, end) = read(&file, None);
                assert_eq!(entries.len(), log.ends.len());
                let End::Torn { at: cut, chain, .. } = end else { panic!("bit {bit}: {end:?}") };
                assert_eq!((cut, chain), (log.end.at, log.end.chain));
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_a_file_that_another_follows_is_refused() {
    let log = sample();
    let written = usize::try_from(log.end.at).unwrap();
    let (sound, _) = read(&log.file, None);
    for bit in FILE_HEADER_BYTES * 8..log.file.len() * 8 {
        let mut file = log.file.clone();
        file[bit / 8] ^= 1 << (bit % 8);
        let (entries, end) = read(&file, Some(log.end));
        if bit / 8 >= written {
            assert_eq!(end, End::Clean { at: log.end.at, chain: log.end.chain }, "it does not look there");
            continue;
        }
        let (at, _) = log.rule(bit / 8, |_| true);
        let End::Damaged(damage) = end else { panic!("bit {bit}: {end:?}") };
        assert_eq!((damage.at, damage.proof), (at as u64, Proof::Continued { to: log.end.at }));
        assert_eq!(entries, sound[..entries.len()]);
    }
}

#[test]
fn zeroed_sectors_are_a_tear_where_nothing_behind_them_was_synced_later_and_else_damage() {
    let mut seen = [0; 3];
    for log in [sample(), partly_synced()] {
        let written = usize::try_from(log.end.at).unwrap();
        for first in FILE_HEADER_BYTES / SECTOR..written / SECTOR {
            for last in first..=written / SECTOR {
                let hole = first * SECTOR..(last + 1) * SECTOR;
                let mut file = log.file.clone();
                file[hole.clone()].fill(0);
                let changed = (0..written).find(|at| file[*at] != log.file[*at]).unwrap();
                let touches = |group: usize| {
                    let header = group..(group + GROUP_HEADER_BYTES).min(file.len());
                    file[header.clone()] != log.file[header]
                };
                let start = log.rule(changed, |_| false).0;
                if file[start..].iter().all(|byte| *byte == 0)
                    && log.groups.iter().any(|group| group.0 == start)
                {
                    // As if that group and all behind it had never been written.
                    let (_, end) = read(&file, None);
                    assert!(matches!(end, End::Clean { at, .. } if at == start as u64), "{end:?}");
                    seen[2] += 1;
                    continue;
                }
                log.check(&file, changed, |group| !touches(group));
                seen[usize::from(log.rule(changed, |group| !touches(group)).1)] += 1;
            }
        }
    }
    assert!(seen.into_iter().all(|count| count > 0), "the test is of no use: {seen:?}");
}

#[test]
fn a_file_that_is_shorter_than_it_was_made_is_damage_and_gives_what_is_before_the_cut() {
    let log = partly_synced();
    let (sound, _) = read(&log.file, None);
    for length in 0..log.file.len() {
        let file = &log.file[..length];
        if length < FILE_HEADER_BYTES {
            assert_eq!(Reader::new(file, None).unwrap_err().kind(), ErrorKind::Damaged);
            continue;
        }
        let (entries, end) = read(file, None);
        let End::Damaged(damage) = end else { panic!("cut at {length}: {end:?}") };
        assert_eq!(damage.proof, Proof::Shortened { from: HEADER.bytes, to: length as u64 });
        let whole = log.ends.iter().filter(|end| **end <= length).count();
        assert_eq!(entries, sound[..whole], "cut at {length}");
    }
}

#[test]
fn of_a_file_that_another_follows_only_what_it_needs_must_be_there() {
    let log = partly_synced();
    let (sound, _) = read(&log.file, None);
    let written = usize::try_from(log.end.at).unwrap();
    for length in FILE_HEADER_BYTES..log.file.len() {
        let (entries, end) = read(&log.file[..length], Some(log.end));
        if length >= written {
            assert_eq!(end, End::Clean { at: log.end.at, chain: log.end.chain });
            assert_eq!(entries, sound);
        } else {
            let End::Damaged(damage) = end else { panic!("cut at {length}: {end:?}") };
            assert_eq!(damage.proof, Proof::Continued { to: log.end.at });
        }
    }
}

/// What was cut once ends there for good: what lies behind is not looked at, however sound.
#[test]
fn a_file_ends_where_the_next_one_says_be_it_within_a_group() {
    let log = sample();
    let (sound, _) = read(&log.file, None);
    let starts = sound.iter().map(|entry| (entry.place.at, entry.place.chain));
    for (count, (at, chain)) in starts.enumerate() {
        let known = FileEnd { number: HEADER.number, at, chain };
        let (entries, end) = read(&log.file, Some(known));
        assert_eq!((entries.len(), end), (count, End::Clean { at, chain }));
        let other = FileEnd { chain: chain ^ 1, ..known };
        assert!(matches!(read(&log.file, Some(other)).1, End::Damaged(_)), "another checksum");
        let within = FileEnd { at: at + 1, ..known };
        assert!(matches!(read(&log.file, Some(within)).1, End::Damaged(_)), "no record ends there");
        let others = FileEnd { number: 77, ..known };
        assert_eq!(read(&log.file, Some(others)).0.len(), sound.len(), "it speaks of another file");
    }
}

/// A crash after the cut of a tear: groups of before lie behind what was written anew.
#[test]
fn a_group_of_another_stream_is_not_taken_for_the_next() {
    let log = sample();
    let second = log.groups[1].0;
    let mut file = log.file.clone();
    let mut group = Group::default();
    group.push_record(&Record::Ceiling { seq: 1 }, &mut Vec::new());
    group.seal(HEADER.salt, second as u64, 12_345, 64);
    file[second..second + group.len()].copy_from_slice(group.bytes());
    log.check(&file, second, |at| at > second);
}

#[test]
fn what_is_in_doubt_is_told_by_count_seqs_and_keys() {
    let log = partly_synced();
    let (sound, _) = read(&log.file, None);
    let place = sound[1].place;
    let mut file = log.file.clone();
    file[usize::try_from(place.at).unwrap() + 9] ^= 1;
    let (_, End::Damaged(damage)) = read(&file, None) else { panic!() };
    assert_eq!(damage.at, place.at);
    let behind = &sound[3..];
    let seqs = || behind.iter().filter(|entry| entry.record.kind().has_seq()).map(|entry| entry.record.seq());
    let ids = behind.iter().filter_map(|entry| match entry.record {
        Record::Operation(operation) => Some(("things".to_owned(), operation.id.to_owned())),
        _ => None,
    });
    let keys: Vec<_> = ids.collect();
    let expected = Doubt {
        unreadable: log.groups[1].0 as u64 - place.at,
        operations: keys.len() as u64,
        others: (behind.len() - keys.len()) as u64,
        seqs: Some((seqs().min().unwrap(), seqs().max().unwrap())),
        keys,
    };
    assert_eq!(damage.doubt, expected);
    let error = damage.error("1.journal").to_string();
    for part in ["1.journal", &format!("byte {}", place.at), "things/id ", "bytes were on the disk"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_record_that_was_written_as_it_is_and_cannot_be_read_is_damage_and_no_tear() {
    let mut log = log(&[(2, false)]);
    let at = usize::try_from(log.end.at).unwrap();
    let mut group = Group::default();
    group.push_record(&Record::Ceiling { seq: 1 }, &mut Vec::new());
    // A kind that a later version may have.
    let mut bytes = group.bytes().to_vec();
    bytes[GROUP_HEADER_BYTES + 1] = 200;
    group.seal(HEADER.salt, log.end.at, log.end.chain, 64);
    bytes[..GROUP_HEADER_BYTES].copy_from_slice(&group.bytes()[..GROUP_HEADER_BYTES]);
    let (_, chain) = GroupHeader::read(&[vec![0; at], bytes.clone()].concat(), HEADER.salt, at).unwrap();
    let sum = super::super::checksum::extend(chain, &bytes[GROUP_HEADER_BYTES..bytes.len() - 4]);
    let length = bytes.len();
    bytes[length - 4..].copy_from_slice(&sum.to_le_bytes());
    log.file[at..at + length].copy_from_slice(&bytes);
    let (_, End::Damaged(damage)) = read(&log.file, None) else { panic!() };
    assert_eq!((damage.at, damage.proof), ((at + GROUP_HEADER_BYTES) as u64, Proof::Sealed));
}

#[test]
fn the_first_record_of_a_file_says_how_the_one_before_ended() {
    let end = FileEnd { number: 3, at: 700, chain: 0xDEAD_BEEF };
    let mut group = Group::default();
    group.push_record(&Record::Begin(end), &mut Vec::new());
    group.push_record(&Record::Ceiling { seq: 1 }, &mut Vec::new());
    group.seal(HEADER.salt, FILE_HEADER_BYTES as u64, HEADER.chain(), 64);
    let file = [&HEADER.write(), group.bytes()].concat();
    assert_eq!(begin(&file), Some(end));
    // The rest of the group may be torn off, or not have been read.
    assert_eq!(begin(&file[..file.len() - 3]), Some(end));
    assert_eq!(begin(&file[..FILE_HEADER_BYTES + GROUP_HEADER_BYTES + 5]), None);
    assert_eq!(begin(&sample().file), None);
    assert_eq!(begin(&log(&[]).file), None);
    assert_eq!(begin(b""), None);
}
