//! Data blocks: records in key order, found by binary search.
//!
//! # Design
//! ```text
//! record 0 | record 1 | … | offset of record 0, 1, … (u32 each) | count (u32) | checksum (u32)
//! ```
//! A record is a fixed head (flags, seq, index number, three lengths), then id, routing and document as they
//! are: the document's bytes lie in one piece and are handed out in place. The index is a number into the
//! segment's sorted list of names, so comparing numbers compares names.
//!
//! # Why no prefix compression
//! Ids share little once an index's name is out of the way, and a plain offset table lets a search
//! compare in place without decoding its neighbours.
//!
//! # Invariants
//! 1. Records tile the bytes before the offset table, in strictly rising order of (index number, id).
//! 2. The count is at least one.

use super::format::{
    CHECKSUM_BYTES, Fields, NAME_BYTES_MAX, Part, RECORD_HEAD_BYTES, Record, checksum, damage,
};
use crate::Result;
use std::{cmp::Ordering, ops::Range};

const FLAG_TOMBSTONE: u8 = 1;
const FLAG_ROUTING: u8 = 2;
const OFFSET_BYTES: usize = 4;
/// The shortest a block can be: one record of empty parts.
pub(crate) const BLOCK_BYTES_MIN: usize = RECORD_HEAD_BYTES + 2 * OFFSET_BYTES + CHECKSUM_BYTES;

/// A record's head and the two short parts, ready to be followed by its document. The parts' lengths were
/// checked by [`Record::check_limits`].
pub(crate) fn encode_head(record: &Record<'_>, name: u32, out: &mut Vec<u8>) {
    let routing = record.routing.unwrap_or_default();
    let tombstone = if record.source.is_none() { FLAG_TOMBSTONE } else { 0 };
    let routed = if record.routing.is_some() { FLAG_ROUTING } else { 0 };
    out.push(tombstone | routed);
    out.extend_from_slice(&record.seq.to_le_bytes());
    out.extend_from_slice(&name.to_le_bytes());
    out.extend_from_slice(&short(record.id.len()).to_le_bytes());
    out.extend_from_slice(&short(routing.len()).to_le_bytes());
    let length = u32::try_from(record.source.map_or(0, <[u8]>::len)).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(record.id.as_bytes());
    out.extend_from_slice(routing.as_bytes());
}

fn short(length: usize) -> u16 {
    debug_assert!(length <= NAME_BYTES_MAX, "checked before encoding");
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// The offset table and the count that end a block, before its checksum.
pub(crate) fn encode_tail(offsets: &[u32], out: &mut Vec<u8>) {
    for offset in offsets {
        out.extend_from_slice(&offset.to_le_bytes());
    }
    out.extend_from_slice(&u32::try_from(offsets.len()).unwrap_or(u32::MAX).to_le_bytes());
}

/// Where a record's parts lie, as offsets in the file, and what its head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of its index in the segment's list of names.
    pub(crate) name: u32,
    pub(crate) seq: u64,
    pub(crate) id: Range<usize>,
    pub(crate) routing: Option<Range<usize>>,
    pub(crate) source: Option<Range<usize>>,
}

/// A data block whose checksum was right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    /// The records.
    records: &'a [u8],
    /// The offset table.
    offsets: &'a [[u8; OFFSET_BYTES]],
    /// Where the block begins in the file.
    start: usize,
}

impl<'a> Block<'a> {
    /// Checks the bytes of a block that begins at `start` of segment `number`, checksum included.
    pub(crate) fn check(bytes: &'a [u8], number: u64, start: usize) -> Result<Self> {
        let (body, sum) = bytes
            .split_last_chunk::<CHECKSUM_BYTES>()
            .ok_or_else(|| damage("the block is shorter than its checksum"))?;
        if u32::from_le_bytes(*sum) != checksum(number, Part::Block, start as u64, &[body]) {
            return Err(damage("the block does not match its checksum"));
        }
        Self::parse(body, start).ok_or_else(|| damage("the block's record count does not fit its length"))
    }

    /// The same block again, without the sum: for a cursor that checked it when it entered.
    pub(crate) fn checked_before(bytes: &'a [u8], start: usize) -> Option<Self> {
        Self::parse(bytes.split_last_chunk::<CHECKSUM_BYTES>()?.0, start)
    }

    fn parse(body: &'a [u8], start: usize) -> Option<Self> {
        let (rest, count) = body.split_last_chunk()?;
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let table = rest.len().checked_sub(count.checked_mul(OFFSET_BYTES)?)?;
        let (records, table) = rest.split_at_checked(table)?;
        let (offsets, _) = table.as_chunks();
        (count > 0).then_some(Self { records, offsets, start })
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// The record at a position below [`len`](Self::len).
    pub(crate) fn record(&self, at: usize) -> Result<Place> {
        self.place(at).ok_or_else(|| damage(format!("record {at} of the block does not fit its length")))
    }

    /// The record of a key, if the block holds it.
    pub(crate) fn find(&self, name: u32, id: &[u8]) -> Result<Option<Place>> {
        let at = self.lower_bound(name, id)?;
        if at == self.len() || self.compare(at, name, id)? != Ordering::Equal {
            return Ok(None);
        }
        self.record(at).map(Some)
    }

    /// The position of the first record whose key is not below this one.
    pub(crate) fn lower_bound(&self, name: u32, id: &[u8]) -> Result<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.compare(middle, name, id)? {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => high = middle,
            }
        }
        Ok(low)
    }

    /// How the key of a record compares with this one. Reads no more of the record than that takes.
    fn compare(&self, at: usize, name: u32, id: &[u8]) -> Result<Ordering> {
        let key = self.key(at);
        let (own_name, own_id) =
            key.ok_or_else(|| damage(format!("record {at} of the block does not fit its length")))?;
        Ok(own_name.cmp(&name).then_with(|| own_id.cmp(id)))
    }

    fn offset(&self, at: usize) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(*self.offsets.get(at)?)).ok()
    }

    fn key(&self, at: usize) -> Option<(u32, &'a [u8])> {
        let mut fields = Fields::new(self.records.get(self.offset(at)?..)?);
        fields.take(9)?;
        let name = fields.u32()?;
        let id = fields.u16()?;
        fields.take(6)?;
        Some((name, fields.take(usize::from(id))?))
    }

    fn place(&self, at: usize) -> Option<Place> {
        let start = self.offset(at)?;
        let end = if at + 1 == self.len() { self.records.len() } else { self.offset(at + 1)? };
        let mut fields = Fields::new(self.records.get(start..end)?);
        let flags = fields.u8()?;
        let seq = fields.u64()?;
        let name = fields.u32()?;
        let [id, routing] = [fields.u16()?, fields.u16()?].map(usize::from);
        let source = usize::try_from(fields.u32()?).ok()?;
        let mut next = self.start + start + fields.at();
        let mut part = |length: usize| {
            fields.take(length)?;
            next += length;
            Some(next - length..next)
        };
        let (id, routing, source) = (part(id)?, part(routing)?, part(source)?);
        let tombstone = flags & FLAG_TOMBSTONE != 0;
        let routed = flags & FLAG_ROUTING != 0;
        let sound = fields.is_empty()
            && flags <= (FLAG_TOMBSTONE | FLAG_ROUTING)
            && (routed || routing.is_empty())
            && (!tombstone || source.is_empty())
            && (at > 0 || start == 0);
        sound.then_some(Place {
            name,
            seq,
            id,
            routing: routed.then_some(routing),
            source: (!tombstone).then_some(source),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: usize = 24;

    fn block(ids: &[&str]) -> Vec<u8> {
        let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
        for (seq, id) in ids.iter().enumerate() {
            offsets.push(u32::try_from(bytes.len()).unwrap());
            let routing = (seq % 2 == 1).then_some("r");
            let source = (seq % 3 != 2).then_some(id.as_bytes());
            let record = Record { index: "i", id, routing, seq: seq as u64, source };
            encode_head(&record, 0, &mut bytes);
            bytes.extend_from_slice(source.unwrap_or_default());
        }
        encode_tail(&offsets, &mut bytes);
        let sum = checksum(7, Part::Block, START as u64, &[&bytes]);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    #[test]
    fn every_record_is_found_in_its_place_and_no_other_key_is() {
        let ids = ["", "a", "ab", "b", "ba"];
        let bytes = block(&ids);
        let block = Block::check(&bytes, 7, START).unwrap();
        assert_eq!(block.len(), ids.len());
        for (at, id) in ids.iter().enumerate() {
            let place = block.find(0, id.as_bytes()).unwrap().unwrap();
            assert_eq!(place, block.record(at).unwrap());
            assert_eq!(place.seq, at as u64);
            assert_eq!(&bytes[place.id.start - START..place.id.end - START], id.as_bytes());
            assert_eq!(place.routing.is_some(), at % 2 == 1);
            assert_eq!(place.source.is_none(), at % 3 == 2);
        }
        for (name, id) in [(0, "0"), (0, "aa"), (0, "c"), (1, "a")] {
            assert_eq!(block.find(name, id.as_bytes()).unwrap(), None, "{name} {id}");
        }
        assert_eq!(block.lower_bound(0, b"aa").unwrap(), 2);
        assert_eq!(block.lower_bound(1, b"").unwrap(), 5);
    }

    #[test]
    fn a_block_is_refused_elsewhere_and_with_any_bit_flipped() {
        let bytes = block(&["a", "b"]);
        assert!(Block::check(&bytes, 8, START).is_err());
        assert!(Block::check(&bytes, 7, START + 1).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Block::check(&flipped, 7, START).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn malformed_records_under_a_right_checksum_are_damage_not_a_panic() {
        let sound = block(&["a", "b"]);
        for at in 0..sound.len() - CHECKSUM_BYTES {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = sound.clone();
                bytes.truncate(sound.len() - CHECKSUM_BYTES);
                bytes[at] = value;
                let sum = checksum(7, Part::Block, START as u64, &[&bytes]);
                bytes.extend_from_slice(&sum.to_le_bytes());
                let Ok(block) = Block::check(&bytes, 7, START) else { continue };
                for at in 0..block.len() {
                    if let Ok(place) = block.record(at) {
                        assert!(place.id.end <= START + bytes.len());
                    }
                }
                block.find(0, b"b").ok();
            }
        }
    }

    #[test]
    fn the_shortest_block_is_one_record_of_empty_parts() {
        assert_eq!(block(&[""]).len(), BLOCK_BYTES_MIN);
    }
}
