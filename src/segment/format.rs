//! The bytes of a segment file: constants, checksums, the header and the footer.
//!
//! # Design
//! ```text
//! header | data block 0 | data block 1 | … | filter | index | footer
//! ```
//! Everything is little-endian and unaligned; parts touch, without padding. A record is found by filter,
//! index and one data block, and each of these has its own checksum. `docs/format.md` has the byte tables.
//!
//! # Why the place is part of a checksum
//! A checksum over a block's bytes alone stays right when the disk or a copy tool serves the right block
//! of the wrong place or the wrong file. So what is summed begins with the segment's number, the kind of
//! the part and its offset: a block is only ever right where it was written.
//!
//! # Invariants
//! 1. Every byte of a file is under exactly one checksum, or is compared with a constant.
//! 2. The first [`HEADER_BYTES`] bytes keep their layout in every version, so that any version can say which
//!    one it met.

use crate::{Error, ErrorKind, Result};

/// The first and the last eight bytes of a segment.
pub(crate) const MAGIC: [u8; 8] = *b"millpseg";
/// The version this code writes.
pub(crate) const VERSION: u32 = 1;
/// The oldest version this code reads.
pub(crate) const VERSION_OLDEST: u32 = 1;
pub(crate) const HEADER_BYTES: usize = 24;
pub(crate) const FOOTER_BYTES: usize = 56;
pub(crate) const CHECKSUM_BYTES: usize = 4;
/// A data block is closed before it would pass this; a record that is larger gets a block of its own.
pub(crate) const BLOCK_BYTES_TARGET: usize = 4 * 1024;
/// A record before its id, routing and document.
pub(crate) const RECORD_HEAD_BYTES: usize = 21;
/// The largest document a record can hold: its length and its block's length are 32-bit.
pub(crate) const SOURCE_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// The largest index name, id and routing a record can hold: their lengths are 16-bit.
pub(crate) const NAME_BYTES_MAX: usize = u16::MAX as usize;

// A block of one record of the largest size fits its 32-bit length.
const _: () = assert!(SOURCE_BYTES_MAX + 2 * NAME_BYTES_MAX + RECORD_HEAD_BYTES + 12 < u32::MAX as usize);

/// What a segment holds for one key, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) index: &'a str,
    pub(crate) id: &'a str,
    pub(crate) routing: Option<&'a str>,
    pub(crate) seq: u64,
    /// The document, or `None` for a tombstone.
    pub(crate) source: Option<&'a [u8]>,
}

impl Record<'_> {
    /// Says whether the parts fit the fields that hold their lengths.
    pub(crate) fn check_limits(&self) -> Result<()> {
        let named = [("index name", self.index.len()), ("id", self.id.len())];
        let routing = ("routing", self.routing.map_or(0, str::len));
        for (what, length) in named.into_iter().chain([routing]) {
            if length > NAME_BYTES_MAX {
                let message = format!("{what} of {length} bytes: a segment holds at most {NAME_BYTES_MAX}");
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
        }
        let length = self.source.map_or(0, <[u8]>::len);
        if length > SOURCE_BYTES_MAX {
            let message = format!("document of {length} bytes: a segment holds at most {SOURCE_BYTES_MAX}");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }
}

/// The kinds of checksummed parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Header,
    Block,
    Filter,
    Index,
    Footer,
}

impl Part {
    fn tag(self) -> [u8; 4] {
        match self {
            Part::Header => *b"head",
            Part::Block => *b"data",
            Part::Filter => *b"filt",
            Part::Index => *b"indx",
            Part::Footer => *b"foot",
        }
    }
}

/// The CRC-32 of a part at its place: segment number, tag, offset, then the bytes, given in pieces.
pub(crate) fn checksum(number: u64, part: Part, offset: u64, pieces: &[&[u8]]) -> u32 {
    let mut place = [0; 20];
    let (a, rest) = place.split_at_mut(8);
    let (b, c) = rest.split_at_mut(4);
    a.copy_from_slice(&number.to_le_bytes());
    b.copy_from_slice(&part.tag());
    c.copy_from_slice(&offset.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place);
    for piece in pieces {
        hasher.update(piece);
    }
    hasher.finalize()
}

/// The hash a filter is asked with: of the whole key, the same for every segment.
pub(crate) fn key_hash(index: &str, id: &str) -> u64 {
    id_hash(index_hash(index), id)
}

pub(crate) fn index_hash(index: &str) -> u64 {
    twox_hash::XxHash64::oneshot(0, index.as_bytes())
}

pub(crate) fn id_hash(index_hash: u64, id: &str) -> u64 {
    twox_hash::XxHash64::oneshot(index_hash, id.as_bytes())
}

/// The first bytes of a segment, in every version.
pub(crate) fn encode_header(number: u64) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    let mut fields = Vec::with_capacity(HEADER_BYTES);
    fields.extend_from_slice(&MAGIC);
    fields.extend_from_slice(&VERSION.to_le_bytes());
    fields.extend_from_slice(&number.to_le_bytes());
    let sum = checksum(number, Part::Header, 0, &[&fields]);
    fields.extend_from_slice(&sum.to_le_bytes());
    bytes.copy_from_slice(&fields);
    bytes
}

/// Checks a header and returns the segment's number.
pub(crate) fn decode_header(bytes: &[u8]) -> Result<u64> {
    let mut fields = Fields::new(bytes);
    let damaged = || damage("the header is cut short");
    if fields.take(8).ok_or_else(damaged)? != MAGIC {
        return Err(damage("not a segment: the first bytes are not its magic"));
    }
    let version = fields.u32().ok_or_else(damaged)?;
    let number = fields.u64().ok_or_else(damaged)?;
    let summed = bytes.get(..fields.at()).ok_or_else(damaged)?;
    if fields.u32().ok_or_else(damaged)? != checksum(number, Part::Header, 0, &[summed]) {
        return Err(damage("the header does not match its checksum"));
    }
    check_version("segment", version, VERSION_OLDEST, VERSION)?;
    Ok(number)
}

/// What the last bytes of a segment say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Where the data blocks end and the filter begins.
    pub(crate) filter_offset: u64,
    /// Where the filter ends and the index begins.
    pub(crate) index_offset: u64,
    pub(crate) documents: u64,
    pub(crate) tombstones: u64,
    /// The greatest seq of all records.
    pub(crate) seq_max: u64,
}

impl Footer {
    /// The footer's bytes and its checksum, which names the file's content in the manifest.
    pub(crate) fn encode(&self, number: u64, offset: u64) -> (Vec<u8>, u32) {
        let mut bytes = Vec::with_capacity(FOOTER_BYTES);
        for field in [self.filter_offset, self.index_offset, self.documents, self.tombstones, self.seq_max] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        let sum = checksum(number, Part::Footer, offset, &[&bytes]);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes.extend_from_slice(&MAGIC);
        (bytes, sum)
    }

    pub(crate) fn decode(bytes: &[u8], number: u64, offset: u64) -> Result<(Self, u32)> {
        let damaged = || damage("the footer is cut short");
        let mut fields = Fields::new(bytes);
        let mut next = || fields.u64().ok_or_else(damaged);
        let footer = Self {
            filter_offset: next()?,
            index_offset: next()?,
            documents: next()?,
            tombstones: next()?,
            seq_max: next()?,
        };
        let version = fields.u32().ok_or_else(damaged)?;
        let summed = bytes.get(..fields.at()).ok_or_else(damaged)?;
        let sum = fields.u32().ok_or_else(damaged)?;
        if fields.take(8) != Some(&MAGIC) || !fields.is_empty() {
            return Err(damage("the last bytes are not a segment's magic: the file is cut short or grown"));
        }
        if sum != checksum(number, Part::Footer, offset, &[summed]) {
            return Err(damage("the footer does not match its checksum"));
        }
        check_version("segment", version, VERSION_OLDEST, VERSION)?;
        Ok((footer, sum))
    }
}

/// Refuses what another version wrote and this one cannot read. Called only after the checksum was right.
pub(crate) fn check_version(what: &str, version: u32, oldest: u32, newest: u32) -> Result<()> {
    if version > newest {
        let message = format!(
            "this {what} has format version {version}, and this millpond reads up to {newest}: \
             use a newer millpond; nothing was changed"
        );
        return Err(Error::new(ErrorKind::Config, message));
    }
    if version < oldest {
        let message = format!("this {what} claims format version {version}; the oldest there is is {oldest}");
        return Err(Error::new(ErrorKind::Damaged, message));
    }
    Ok(())
}

pub(crate) fn damage(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Damaged, reason)
}

/// Reads little-endian fields one after another; `None` at the end of the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    /// How many bytes were taken.
    pub(crate) fn at(&self) -> usize {
        self.length - self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_gives_its_number_back_and_refuses_every_flipped_bit() {
        let header = encode_header(7);
        assert_eq!(decode_header(&header).unwrap(), 7);
        for bit in 0..HEADER_BYTES * 8 {
            let mut flipped = header;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_header(&flipped).unwrap_err().kind(), ErrorKind::Damaged, "bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_is_refused_by_name_and_an_unknown_older_one_is_damage() {
        for (version, kind) in [(VERSION + 1, ErrorKind::Config), (0, ErrorKind::Damaged)] {
            let mut header = encode_header(7).to_vec();
            header.truncate(HEADER_BYTES - CHECKSUM_BYTES);
            header[8..12].copy_from_slice(&version.to_le_bytes());
            let sum = checksum(7, Part::Header, 0, &[&header]);
            header.extend_from_slice(&sum.to_le_bytes());
            let error = decode_header(&header).unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().contains(&format!("version {version}")), "{error}");
        }
    }

    #[test]
    fn a_footer_reads_back_and_holds_only_at_its_place() {
        let footer =
            Footer { filter_offset: 100, index_offset: 200, documents: 3, tombstones: 1, seq_max: 9 };
        let (bytes, sum) = footer.encode(7, 300);
        assert_eq!(bytes.len(), FOOTER_BYTES);
        assert_eq!(Footer::decode(&bytes, 7, 300).unwrap(), (footer, sum));
        assert!(Footer::decode(&bytes, 8, 300).is_err());
        assert!(Footer::decode(&bytes, 7, 301).is_err());
        assert!(Footer::decode(&bytes[..FOOTER_BYTES - 1], 7, 300).is_err());
    }

    #[test]
    fn a_record_over_a_limit_is_refused_with_both_numbers() {
        let id = "x".repeat(NAME_BYTES_MAX + 1);
        let record = Record { index: "i", id: &id, routing: None, seq: 1, source: None };
        let error = record.check_limits().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("65536") && error.to_string().contains("65535"), "{error}");
    }

    /// The filter on disk depends on this function: its values must never change.
    #[test]
    fn the_key_hash_is_fixed_for_ever() {
        assert_eq!(index_hash(""), 0xef46_db37_51d8_e999);
        assert_eq!(key_hash("a", ""), id_hash(0xd24e_c4f1_a98c_6e5b, ""));
        assert_ne!(key_hash("a", "b"), key_hash("ab", ""));
    }
}
