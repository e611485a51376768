//! `docs/journal.md` says what is so.

use super::{
    group::{FILE_HEADER_BYTES, FILE_MAGIC, GROUP_HEADER_BYTES, GROUP_MAGIC, Group, VERSION},
    record::{KeyRef, Kind, Record},
};

const PAPER: &str = include_str!("../../docs/journal.md");

/// The cells of the table that follows a heading, or another line, without its head.
fn table(after: &str) -> Vec<Vec<&'static str>> {
    let (_, rest) = PAPER.split_once(after).unwrap_or_else(|| panic!("the paper has no {after:?}"));
    let lines =
        rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    lines.skip(2).map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// Checks that the fields of a table follow one another, and gives where each is, up to one that has no fixed length.
fn fields(after: &str) -> Vec<(usize, usize, &'static str)> {
    let mut at = 0;
    let mut fields = Vec::new();
    for row in table(after) {
        assert_eq!(row[0].parse(), Ok(at), "{row:?}");
        let Ok(bytes) = row[1].parse::<usize>() else { break };
        fields.push((at, bytes, row[2]));
        at += bytes;
    }
    fields
}

#[test]
fn the_paper_has_the_headers_as_they_are() {
    let file = fields("### Header (64 bytes");
    assert_eq!(file.iter().map(|field| field.1).sum::<usize>(), FILE_HEADER_BYTES);
    assert!(file[0].2.contains(str::from_utf8(&FILE_MAGIC).unwrap()));
    assert!(file[1].2.contains(&format!("version, {VERSION}")));
    let header =
        super::group::FileHeader { engine: 0xE1, salt: 0xA2, number: 0xB3, bytes: 0xC4, kept: 0xD }.write();
    for (what, value) in
        [("engine's id", 0xE1), ("salt", 0xA2), ("number", 0xB3), ("bytes that", 0xC4), ("kept", 0xD)]
    {
        let (at, ..) = file.iter().find(|field| field.2.contains(what)).unwrap();
        assert_eq!(header[*at], value, "{what}");
    }
    let group = fields("### Group");
    assert_eq!(group.iter().map(|field| field.1).sum::<usize>(), GROUP_HEADER_BYTES);
    assert!(group[0].2.contains(str::from_utf8(&GROUP_MAGIC[..7]).unwrap()));
    let header =
        super::group::GroupHeader { bytes: 0xE1, previous: 0xA2, synced: 0xB3, base_seq: 0xC4 }.write(0, 0);
    for (what, value) in
        [("bytes of the records", 0xE1), ("checksum before", 0xA2), ("synced", 0xB3), ("base seq", 0xC4)]
    {
        let (at, ..) = group.iter().find(|field| field.2.contains(what)).unwrap();
        assert_eq!(header[*at], value, "{what}");
    }
}

#[test]
fn the_paper_has_every_kind_of_record_and_no_other() {
    let rows = table("name that comes last has no length");
    let told: Vec<(u8, String)> =
        rows.iter().map(|row| (row[0].parse().unwrap(), row[1].to_owned())).collect();
    let kinds = (0..=u8::MAX).filter_map(|byte| Some((byte, format!("{:?}", Kind::of(byte)?))));
    assert_eq!(told, kinds.collect::<Vec<_>>());
    for (row, kind) in rows.iter().zip((1..).map_while(Kind::of)) {
        assert_eq!(row[2].contains("index (varint)"), kind.has_seq(), "{row:?}");
    }
}

#[test]
fn the_papers_example_is_what_is_written() {
    let (_, rest) = PAPER.split_once("An example:").unwrap();
    let text = rest.split("```").nth(1).unwrap().trim_start_matches("text");
    let bytes: Vec<u8> = text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    let (mut group, mut scratch) = (Group::default(), Vec::new());
    group.clear(100);
    group.push_record(&Record::Ceiling { seq: 300 }, &mut scratch);
    group.push_record(&Record::Unbound { key: KeyRef { index: 2, id: "a" }, last: 99 }, &mut scratch);
    group.seal(1, 64, 2, 3);
    assert_eq!(group.bytes(), bytes);
}
