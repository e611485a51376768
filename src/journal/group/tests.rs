//! Headers and groups: there and back, and what is refused.

use super::*;
use crate::journal::record::{KeyRef, Link, read};

const HEADER: FileHeader =
    FileHeader { engine: 7 << 70, salt: 0xABCD_EF01_2345, number: 3, bytes: 65_536, kept: 2 };

#[test]
fn a_files_header_reads_back_and_refuses_every_flipped_bit() {
    let bytes = HEADER.write();
    assert_eq!(FileHeader::read(&bytes).unwrap(), HEADER);
    assert_eq!(HEADER.chain().to_le_bytes(), bytes[60..]);
    for bit in 0..FILE_HEADER_BYTES * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(FileHeader::read(&flipped).unwrap_err().kind(), ErrorKind::Damaged, "bit {bit}");
    }
    for end in 0..FILE_HEADER_BYTES {
        assert_eq!(FileHeader::read(&bytes[..end]).unwrap_err().kind(), ErrorKind::Damaged, "cut at {end}");
    }
}

/// A header with this at a place, and its checksum made right.
fn changed(at: usize, with: &[u8]) -> [u8; FILE_HEADER_BYTES] {
    let mut bytes = HEADER.write();
    bytes[at..at + with.len()].copy_from_slice(with);
    let sum = extend(0, &bytes[..60]);
    bytes[60..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn a_newer_version_is_refused_by_name_and_an_unknown_older_one_is_damage() {
    for (version, kind) in [(VERSION + 1, ErrorKind::Config), (0, ErrorKind::Damaged)] {
        let error = FileHeader::read(&changed(8, &version.to_le_bytes())).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(&format!("version {version}")), "{error}");
    }
}

#[test]
fn what_must_be_zero_in_a_header_is_and_no_more_files_were_kept_than_there_were() {
    for (at, with) in [(12, [1].as_slice()), (56, &[3]), (40, &[0; 8])] {
        assert_eq!(FileHeader::read(&changed(at, with)).unwrap_err().kind(), ErrorKind::Damaged, "{at}");
    }
    assert_eq!(FileHeader::read(&changed(40, &3_u64.to_le_bytes())).unwrap(), HEADER);
    assert_eq!(HEADER.oldest(), 1);
}

#[test]
fn a_groups_header_is_believed_only_where_it_was_written() {
    let header = GroupHeader { bytes: 10, previous: 1, synced: 64, base_seq: 9 };
    let file = [vec![0; 100], header.write(5, 100).to_vec(), vec![0; 10]].concat();
    let (read, chain) = GroupHeader::read(&file, 5, 100).unwrap();
    assert_eq!((read, chain.to_le_bytes().as_slice()), (header, &file[132..136]));
    assert!(GroupHeader::read(&file, 6, 100).is_none(), "another file's salt");
    assert!(GroupHeader::read(&file[1..], 5, 99).is_none(), "another place");
    assert!(GroupHeader::read(&file[..135], 5, 100).is_none(), "cut short");
    for bit in 0..GROUP_HEADER_BYTES * 8 {
        let mut flipped = file.clone();
        flipped[100 + bit / 8] ^= 1 << (bit % 8);
        assert!(GroupHeader::read(&flipped, 5, 100).is_none(), "bit {bit}");
    }
}

#[test]
fn a_group_reads_back_and_may_be_sealed_again_for_another_place() {
    let (mut group, mut scratch) = (Group::default(), Vec::new());
    assert!(group.is_empty());
    group.clear(1_000);
    let key = KeyRef { index: 1, id: "x" };
    let records = [Record::Index { number: 1, name: "i" }, Record::Settled { key, last: 1_003 }];
    for record in &records {
        group.push_record(record, &mut scratch);
    }
    for (at, previous) in [(64, HEADER.chain()), (900, 17)] {
        let end = group.seal(HEADER.salt, at, previous, 64);
        let mut file = vec![0; usize::try_from(at).unwrap()];
        file.extend_from_slice(group.bytes());
        let (header, chain) = GroupHeader::read(&file, HEADER.salt, usize::try_from(at).unwrap()).unwrap();
        assert_eq!((header.previous, header.synced, header.base_seq), (previous, 64, 1_000));
        assert_eq!(header.bytes as usize, group.len() - GROUP_HEADER_BYTES);
        let mut link = Link { chain, seq: header.base_seq };
        let mut rest = &group.bytes()[GROUP_HEADER_BYTES..];
        for record in &records {
            let (read, length) = read(rest, &mut link).unwrap();
            assert_eq!(read, *record);
            rest = &rest[length..];
        }
        assert!(rest.is_empty());
        assert_eq!(link, Link { chain: end, seq: 1_003 });
    }
    group.clear(2_000);
    assert!(group.is_empty());
}

/// What is on disks was written with these: they never change. Those of a group are in the paper, and held by its test.
#[test]
fn the_bytes_of_a_files_header_are_fixed_for_ever() {
    let hex: Vec<String> = HEADER.write().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex.concat(),
        "6d696c6c706a6e6c0100000000000000\
         0000000000000000c001000000000000\
         452301efcdab000003000000000000000000010000000000\
         0200000091bc5b57"
    );
}
