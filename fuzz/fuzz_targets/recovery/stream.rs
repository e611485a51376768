//! What was written to a file, by its lengths alone: nothing here knows a checksum.

pub const FILE_HEADER_BYTES: usize = 64;
const GROUP_HEADER_BYTES: usize = 36;
const GROUP_MAGIC: &[u8] = b"mpgroup\x01";
const OPERATION: u8 = 1;
const SETTLED: u8 = 5;
const BEGIN: u8 = 10;
const GONE: u8 = 11;
const HAS_ROUTING_OR_VERB: u8 = 0b111;
const HAS_SOURCE: u8 = 1 << 3;

/// The first bytes of a file, by which it is known: they have its number and its salt.
pub type Header = [u8; FILE_HEADER_BYTES];

/// An operation that was accepted: no other has this id and this seq.
pub type Name = (String, u64);

/// The header of a group, or a record.
#[derive(Debug)]
pub struct Part {
    pub at: usize,
    pub end: usize,
    pub is: Is,
}

#[derive(Debug)]
pub enum Is {
    /// Up to here the file was synced, as this says.
    Group {
        synced: usize,
    },
    Operation(Name),
    /// The file before this ends there.
    Begin {
        number: u64,
        end: usize,
    },
    /// Files below this number go.
    Gone {
        number: u64,
    },
    Other,
}

/// All that was written to a file, from its header on.
pub fn parts(file: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = FILE_HEADER_BYTES;
    while file.get(at..).is_some_and(|rest| rest.starts_with(GROUP_MAGIC)) {
        let start = at + GROUP_HEADER_BYTES;
        let end = start + usize::try_from(u32::from_le_bytes(array(file, at + 8))).unwrap();
        let synced = usize::try_from(u64::from_le_bytes(array(file, at + 16))).unwrap();
        let mut seq = u64::from_le_bytes(array(file, at + 24));
        parts.push(Part { at, end: start, is: Is::Group { synced } });
        at = start;
        while at < end {
            let mut rest = &file[at..end];
            let length = usize::try_from(varint(&mut rest)).unwrap();
            let next = end - rest.len() + length + 4;
            parts.push(Part { at, end: next, is: record(&rest[..length], &mut seq) });
            at = next;
        }
        assert_eq!(at, end, "a group ends with a record");
    }
    parts
}

fn record(bytes: &[u8], seq: &mut u64) -> Is {
    let (kind, mut rest) = bytes.split_first().unwrap();
    if (OPERATION..=SETTLED).contains(kind) {
        let zigzag = varint(&mut rest);
        *seq = seq.wrapping_add(zigzag >> 1 ^ (zigzag & 1).wrapping_neg());
    }
    match *kind {
        OPERATION => {
            let (flags, mut rest) = rest.split_first().unwrap();
            assert_eq!(flags & !(HAS_ROUTING_OR_VERB | HAS_SOURCE), 0);
            let numbers = if flags & HAS_SOURCE == 0 { 1 } else { 3 };
            (0..numbers).for_each(|_| _ = varint(&mut rest));
            let length = usize::try_from(varint(&mut rest)).unwrap();
            Is::Operation((String::from_utf8(rest[..length].to_vec()).unwrap(), *seq))
        }
        BEGIN => {
            let (number, end) = (varint(&mut rest), varint(&mut rest));
            Is::Begin { number, end: usize::try_from(end).unwrap() }
        }
        GONE => Is::Gone { number: varint(&mut rest) },
        _ => Is::Other,
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for place in 0.. {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

/// The bytes of a number at a place.
pub fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().unwrap()
}

/// What a header says.
pub fn number(header: &Header) -> u64 {
    u64::from_le_bytes(array(header, 40))
}

/// How long the file was made.
pub fn made(header: &Header) -> usize {
    usize::try_from(u64::from_le_bytes(array(header, 48))).unwrap()
}

/// The number of the oldest file that was kept when it was made.
pub fn oldest(header: &Header) -> u64 {
    number(header) - u64::from(u32::from_le_bytes(array(header, 56)))
}
