//! The door for the fuzz target `journal_reader`: journals in memory, no files.

use super::{
    checksum::extend,
    group::{FILE_HEADER_BYTES, FileHeader, GROUP_HEADER_BYTES, GROUP_MAGIC, Group, GroupHeader},
    reader::{End, Entry, Reader, begin},
    record::{self, FileEnd, KeyRef, Kind, Moved, Operation, Record, Verb},
    recovery::{Piece, Recovery},
};
use crate::merge::NetRef;
use memchr::memmem;

/// What is written next: a choice, a key, and a number.
pub type JournalStep = (u8, u8, u8);

const FILE_BYTES: u64 = 4_096;
const IDS: [&str; 3] = ["a", "bc", "\u{e9}"];

fn header(number: u64) -> FileHeader {
    FileHeader { engine: 1, salt: 77 + number, number, bytes: FILE_BYTES, kept: 0 }
}

fn record((kind, of, number): JournalStep, seq: u64, net: &[u8]) -> Record<'_> {
    let (index, id) = (u32::from(of % 2), IDS.get(usize::from(of) % 3).copied().unwrap_or(""));
    let (key, first) = (KeyRef { index, id }, seq.saturating_sub(u64::from(number)));
    let routing = (of & 0x40 != 0).then_some("r");
    match kind % 9 {
        0 => Record::Moved(Moved {
            first,
            last: seq,
            index,
            id,
            routing,
            operations: u32::from(number),
            not_found: [1, 200],
            conflicts: [0; 2],
            net,
        }),
        1 => Record::Bounds { key, first, last: seq },
        2 => Record::Unbound { key, last: seq },
        3 => Record::Settled { key, last: first },
        4 => Record::Watermark { seq: seq.saturating_sub(400) },
        5 => Record::Ceiling { seq },
        _ => {
            let source = (of & 0x80 != 0).then(|| (0, u64::from(number)));
            Record::Operation(Operation { seq, verb: Verb::Update, index, id, routing, source, net })
        }
    }
}

/// Files of records that these steps describe, with this as the net operation of each.
#[must_use]
pub fn build_journal(steps: &[JournalStep], net: &[u8]) -> Vec<Vec<u8>> {
    // A table would be joined, for which it has to be one.
    let net = if NetRef::from_bytes(net).is_table() { &[] } else { net };
    let mut files = Vec::new();
    let (mut group, mut scratch) = (Group::default(), Vec::new());
    let (mut seq, mut last): (u64, Option<FileEnd>) = (1_000, None);
    for (number, steps) in (1..).zip(steps.chunks(30)) {
        let header = header(number);
        let (mut file, mut chain, mut synced) = (header.write().to_vec(), header.chain(), 64);
        group.clear(seq);
        let names = [0, 1].map(|number| Record::Index { number, name: if number == 0 { "x" } else { "yz" } });
        let source = Record::Source { number: 0, mark: None, name: "s" };
        for record in last.map(Record::Begin).iter().chain(&names).chain([&source]) {
            group.push_record(record, &mut scratch);
        }
        for step in steps {
            seq += u64::from(step.2) * u64::from(step.2 % 3);
            group.push_record(&record(*step, seq, net), &mut scratch);
            if step.0 >= 0xC0 {
                chain = group.seal(header.salt, file.len() as u64, chain, synced);
                file.extend_from_slice(group.bytes());
                synced = if step.0 & 1 == 0 { synced } else { file.len() as u64 };
                group.clear(seq);
            }
        }
        chain = group.seal(header.salt, file.len() as u64, chain, synced);
        file.extend_from_slice(group.bytes());
        last = Some(FileEnd { number, at: file.len() as u64, chain });
        file.resize(file.len().max(FILE_BYTES.try_into().unwrap_or(0)), 0);
        files.push(file);
    }
    files
}

/// A file of one group of records that have these kinds and bodies, whatever they are, and right checksums.
#[must_use]
pub fn seal_journal(contents: &[(u8, &[u8])]) -> Vec<u8> {
    let header = header(1);
    let mut group = Group::default();
    for (kind, body) in contents {
        let kind = Kind::of(kind % 11).unwrap_or(Kind::Operation);
        group.push(kind, body.first().copied().unwrap_or(0).into(), body);
    }
    group.seal(header.salt, 64, header.chain(), 64);
    let mut file = [&header.write(), group.bytes()].concat();
    file.resize(file.len().max(FILE_BYTES.try_into().unwrap_or(0)), 0);
    file
}

/// Makes the checksums of a changed file right again, as far as its headers and lengths lead: what then is malformed was not
/// met by a checksum, but by what is behind it.
pub fn reseal_journal(file: &mut [u8]) {
    let seal = |bytes: &mut [u8], sum: u32| {
        if let Some(checksum) = bytes.last_chunk_mut() {
            *checksum = sum.to_le_bytes();
        }
    };
    let Some(head) = file.get_mut(..FILE_HEADER_BYTES) else { return };
    let sum = extend(0, head.get(..FILE_HEADER_BYTES - 4).unwrap_or_default());
    seal(head, sum);
    let Ok(header) = FileHeader::read(file) else { return };
    let mut previous = header.chain();
    let starts: Vec<usize> = memmem::find_iter(&*file, &GROUP_MAGIC).collect();
    for at in starts {
        let Some(group) = file.get_mut(at..) else { return };
        let word = |from: usize| group.get(from..).and_then(<[u8]>::first_chunk).copied();
        let (Some(bytes), Some(synced), Some(base_seq)) = (word(8), word(16), word(24)) else { return };
        let [a, b, c, d, ..]: [u8; 8] = bytes;
        let bytes = u32::from_le_bytes([a, b, c, d]);
        let [synced, base_seq] = [synced, base_seq].map(u64::from_le_bytes);
        let sound = GroupHeader { bytes, previous, synced, base_seq }.write(header.salt, at as u64);
        let Some(room) = group.first_chunk_mut::<GROUP_HEADER_BYTES>() else { return };
        *room = sound;
        let chain = sound.last_chunk().map_or(0, |sum| u32::from_le_bytes(*sum));
        let end = GROUP_HEADER_BYTES.saturating_add(bytes as usize).min(group.len());
        let records = group.get_mut(GROUP_HEADER_BYTES..end).unwrap_or_default();
        (_, previous) = record::seal_whole(records, chain);
    }
}

/// Reads files as a journal, in every way there is; of each, exactly what `sound` has may be read, from the start on. True
/// where each ends as it should, whatever its records come to.
///
/// # Panics
/// On a record that is wrong.
#[must_use]
pub fn read_journal(files: &[Vec<u8>], sound: Option<&[Vec<u8>]>) -> bool {
    let mut recovery = Some(Recovery::default());
    let mut is_clean = true;
    for (position, file) in files.iter().enumerate() {
        let known = files.get(position + 1).and_then(|next| begin(next));
        let (entries, end) = read(file, known);
        if let Some(sound) = sound.and_then(|sound| sound.get(position)) {
            let (expected, _) = read(sound, None);
            assert!(expected.starts_with(&entries), "a record is wrong");
        }
        is_clean &= matches!(end, Some(End::Clean { .. }));
        if let Some(End::Damaged(damage)) = &end {
            assert!(!damage.error("it").to_string().is_empty());
        }
        // What is damaged is not read on.
        recovery = recovery.and_then(|mut recovery| {
            let end = recovery.read_file(file, known).ok()?;
            (!matches!(end, End::Damaged(_))).then_some(recovery)
        });
    }
    let Some(recovered) = recovery.and_then(|recovery| recovery.finish().ok()) else { return is_clean };
    for key in &recovered.keys {
        assert!(key.in_flight <= key.pieces.len() && !key.pieces.is_empty());
        assert!(key.pieces.is_sorted_by(|one, other| one.last < other.first));
        for piece in &key.pieces {
            let bytes = files.iter().find_map(|file| bytes_of(file, piece)).unwrap_or_default();
            if let Ok(record) = piece.read(bytes) {
                assert_eq!(record.seq(), piece.last, "another record is read again");
            }
        }
    }
    is_clean
}

fn read(file: &[u8], known: Option<FileEnd>) -> (Vec<Entry<'_>>, Option<End>) {
    let Ok(mut reader) = Reader::new(file, known) else { return (Vec::new(), None) };
    let entries = reader.by_ref().collect();
    (entries, Some(reader.end()))
}

fn bytes_of<'a>(file: &'a [u8], piece: &Piece) -> Option<&'a [u8]> {
    let at = usize::try_from(piece.place.at).ok()?;
    let is_this = FileHeader::read(file).ok()?.number == piece.place.file;
    is_this.then(|| file.get(at..at + piece.place.bytes as usize))?
}
