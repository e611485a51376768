//! Integers of the journal, and taking a record's bytes apart.
//!
//! # Design
//! Integers are LEB128: seven bits a byte, low ones first, at most ten bytes, in as few as they take. A signed difference is
//! zigzagged first. [`Parts`] takes one thing after another off some bytes, and names what is wrong with its place.
//!
//! # Invariants
//! 1. An integer has one spelling: what is read and written again is the same bytes.
//! 2. No bytes make it panic.

use bytes::BufMut;
use std::fmt;

/// The longest integer.
pub(super) const INTEGER_BYTES_MAX: usize = 10;

/// Set in every byte of an integer but its last.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// What is wrong with some bytes, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// How far behind the start of what was read.
    pub(crate) at: usize,
    /// A clause that names the thing.
    pub(crate) what: &'static str,
    /// The checksum was right: these bytes were written as they are, and are not a tear.
    pub(crate) is_sealed: bool,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

/// Writes an integer.
#[inline]
pub(super) fn write(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(low_bits(value) | 0x80);
        value >>= 7;
    }
    out.put_u8(low_bits(value));
}

fn low_bits(value: u64) -> u8 {
    (value & 0x7F) as u8
}

/// Writes a length and then the bytes.
pub(super) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// How far `to` is from `from`, whichever way, as an integer that is small where the distance is.
#[inline]
pub(super) fn zigzag(from: u64, to: u64) -> u64 {
    let distance = to.wrapping_sub(from).cast_signed();
    (distance << 1 ^ distance >> 63).cast_unsigned()
}

/// Where one is, going by a zigzagged distance.
#[inline]
pub(super) fn unzigzag(from: u64, zigzag: u64) -> u64 {
    from.wrapping_add(zigzag >> 1 ^ (zigzag & 1).wrapping_neg())
}

/// Reads an integer of more than a byte: it, and its length, which is 0 where there is none.
///
/// Up to eight bytes are read as one word; else it is done byte by byte.
fn long_integer(bytes: &[u8]) -> (u64, usize) {
    let Some(word) = bytes.first_chunk().map(|word| u64::from_le_bytes(*word)) else {
        return slow_integer(bytes);
    };
    // The highest bit of each byte that is the last of an integer; the lowest of them is that of this one.
    let ends = !word & HIGH_BITS;
    if ends == 0 {
        return slow_integer(bytes);
    }
    let length = ends.trailing_zeros() as usize / 8 + 1;
    // Seven bits of each byte, put together by twos, by fours and by eights.
    let sevens = word & (ends ^ (ends - 1)) & !HIGH_BITS;
    let pairs = (sevens & 0x007F_007F_007F_007F) | (sevens & 0x7F00_7F00_7F00_7F00) >> 1;
    let fours = (pairs & 0x0000_3FFF_0000_3FFF) | (pairs & 0x3FFF_0000_3FFF_0000) >> 2;
    let value = (fours & 0x0FFF_FFFF) | (fours & 0x0FFF_FFFF_0000_0000) >> 4;
    // A last byte of zero could be left away.
    if value >> (7 * (length - 1)) == 0 { (0, 0) } else { (value, length) }
}

fn slow_integer(bytes: &[u8]) -> (u64, usize) {
    let (mut value, mut shift) = (0, 0);
    for (byte, length) in bytes.iter().zip(1..=INTEGER_BYTES_MAX) {
        let bits = u64::from(byte & 0x7F);
        value |= bits << shift;
        if *byte < 0x80 {
            // More bits than there are, or a byte that could be left away.
            let is_wrong = (bits << shift) >> shift != bits || *byte == 0;
            return if is_wrong { (0, 0) } else { (value, length) };
        }
        shift += 7;
    }
    (0, 0)
}

/// Bytes that are taken apart from the front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    rest: &'a [u8],
    length: usize,
}

#[expect(clippy::inline_always, reason = "measured: kept in registers, a record is read in half the time")]
impl<'a> Parts<'a> {
    #[inline(always)]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    /// How many bytes were taken.
    #[inline(always)]
    pub(super) fn at(&self) -> usize {
        self.length - self.rest.len()
    }

    /// What is wrong at the place reached.
    #[inline(always)]
    pub(super) fn wrong(&self, what: &'static str) -> Wrong {
        Wrong { at: self.at(), what, is_sealed: false }
    }

    #[inline(always)]
    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, Wrong> {
        let Some((first, rest)) = self.rest.split_first() else { return Err(self.wrong(what)) };
        self.rest = rest;
        Ok(*first)
    }

    /// An integer.
    #[inline(always)]
    pub(super) fn integer(&mut self, what: &'static str) -> Result<u64, Wrong> {
        let (value, length) = match *self.rest {
            [first @ ..0x80, ..] => (u64::from(first), 1),
            [first, second @ 1..0x80, ..] => (u64::from(first & 0x7F) | u64::from(second) << 7, 2),
            _ => long_integer(self.rest),
        };
        match self.rest.get(length..) {
            Some(rest) if length > 0 => self.rest = rest,
            _ => return Err(self.wrong(what)),
        }
        Ok(value)
    }

    /// An integer of 32 bits.
    #[inline(always)]
    pub(super) fn small(&mut self, what: &'static str) -> Result<u32, Wrong> {
        let at = self.at();
        u32::try_from(self.integer(what)?).map_err(|_| Wrong { at, what, is_sealed: false })
    }

    #[inline(always)]
    pub(super) fn bytes(&mut self, length: u64, what: &'static str) -> Result<&'a [u8], Wrong> {
        let taken = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let Some((taken, rest)) = taken else { return Err(self.wrong(what)) };
        self.rest = rest;
        Ok(taken)
    }

    #[inline(always)]
    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Wrong> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else { return Err(self.wrong(what)) };
        self.rest = rest;
        Ok(*taken)
    }

    /// A length, and a text of as many bytes.
    #[inline(always)]
    pub(super) fn text(&mut self, what: &'static str) -> Result<&'a str, Wrong> {
        let length = self.integer(what)?;
        let at = self.at();
        str::from_utf8(self.bytes(length, what)?).map_err(|_| Wrong { at, what, is_sealed: false })
    }

    /// All that is left.
    #[inline(always)]
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// All that is left, as a text.
    #[inline(always)]
    pub(super) fn rest_as_text(&mut self, what: &'static str) -> Result<&'a str, Wrong> {
        let at = self.at();
        str::from_utf8(self.rest()).map_err(|_| Wrong { at, what, is_sealed: false })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, value);
        out
    }

    #[test]
    fn integers_come_back_at_every_length() {
        let around = (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for value in around.chain([u64::MAX]) {
            let bytes = written(value);
            assert!(bytes.len() <= INTEGER_BYTES_MAX);
            let mut parts = Parts::new(&bytes);
            assert_eq!(parts.integer("it"), Ok(value));
            assert!(parts.is_empty());
            let cut = &bytes[..bytes.len() - 1];
            assert_eq!(Parts::new(cut).integer("it").unwrap_err().what, "it");
            assert_eq!(Parts::new(&bytes).small("it").ok(), u32::try_from(value).ok());
        }
    }

    #[test]
    fn an_integer_has_one_spelling() {
        for wrong in [
            &[0x80, 0x00][..],
            &[0xFF, 0x80, 0x00],
            &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02],
            &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x81, 0x00],
            &[0x80; 12],
        ] {
            assert!(Parts::new(wrong).integer("it").is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn distances_go_both_ways_and_around() {
        for (from, to) in [(5, 5), (5, 6), (6, 5), (0, u64::MAX), (u64::MAX, 0), (0, 1 << 63), (1 << 63, 0)] {
            assert_eq!(unzigzag(from, zigzag(from, to)), to, "{from} to {to}");
        }
        assert_eq!([zigzag(5, 5), zigzag(5, 4), zigzag(5, 6)], [0, 1, 2]);
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let mut parts = Parts::new(&[3, b'a', 0xC3, b'b', 9]);
        assert_eq!(parts.text("the id"), Err(Wrong { at: 1, what: "the id", is_sealed: false }));
        let mut parts = Parts::new(&[9, b'a']);
        assert_eq!(parts.text("the id").unwrap_err().at, 1);
    }
}
