//! Eight bytes of a text at a time, in a register.
//!
//! # Design
//! A text's bytes are read as little-endian words, so that its first byte is a word's lowest; beyond the end are
//! zeros, which no token contains. A search answers with the high bit of each byte that it hits. What follows the
//! first hit may be wrong by a borrow or a carry: only the first counts, and [`first`] is all that is asked.
//!
//! # Why not vector instructions
//! Names and values of a partial update have a few bytes each: a word finds the end of most of them without a loop,
//! and so without a branch that is predicted wrongly. For what is longer, [`is_plain`] is written so that the
//! compiler makes vector instructions of it on every machine that has them.

const ONES: u64 = each(1);
const HIGH: u64 = each(0x80);

/// A word of one byte, eight times.
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// A text, read as words.
#[derive(Clone, Copy, Debug)]
pub(in crate::merge) struct Words<'a> {
    pub(in crate::merge) text: &'a [u8],
    /// The last eight bytes; of a shorter text all of them, at the upper end.
    last: u64,
}

impl<'a> Words<'a> {
    #[inline]
    pub(super) fn new(text: &'a [u8]) -> Self {
        let last = match text.last_chunk::<8>() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => text.iter().fold(0, |word, byte| (word >> 8) | (u64::from(*byte) << 56)),
        };
        Self { text, last }
    }

    /// The eight bytes from a place on.
    #[inline]
    pub(in crate::merge) fn at(&self, at: usize) -> u64 {
        match self.text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => self.near_end(at),
        }
    }

    #[inline(never)]
    fn near_end(&self, at: usize) -> u64 {
        match self.text.len().saturating_sub(at) {
            0 => 0,
            left => self.last >> (64 - 8 * left.min(8)),
        }
    }
}

/// How many bytes stand before the first hit: 8 where there is none.
#[inline]
pub(super) fn first(hits: u64) -> usize {
    hits.trailing_zeros() as usize / 8
}

/// The lowest bytes of a word, the others zero; `count` is below 8.
#[inline]
pub(super) fn lowest(word: u64, count: usize) -> u64 {
    word & !(u64::MAX << ((8 * count) & 63))
}

/// One byte of a word; `index` is below 8.
#[inline]
pub(super) fn byte_of(word: u64, index: usize) -> u8 {
    (word >> ((8 * index) & 63)).to_le_bytes()[0]
}

/// Hits quotes, backslashes and control characters.
#[inline]
pub(super) fn specials(word: u64) -> u64 {
    let quote = (word ^ each(b'"')).wrapping_sub(ONES);
    let backslash = (word ^ each(b'\\')).wrapping_sub(ONES);
    let control = word.wrapping_sub(each(b' '));
    (quote | backslash | control) & !word & HIGH
}

/// Hits what is not a digit.
#[inline]
pub(super) fn non_digits(word: u64) -> u64 {
    let digits = word ^ each(b'0');
    (digits.wrapping_add(each(0x76)) | digits) & HIGH
}

/// True where a byte of the word is not ASCII.
#[inline]
pub(super) fn has_high(word: u64) -> bool {
    word & HIGH != 0
}

/// True where a block is ASCII without quotes, backslashes and control characters.
#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "branches would keep it from becoming vector instructions")]
pub(super) fn is_plain(block: &[u8; 32]) -> bool {
    // As signed bytes, what is not ASCII is below the controls.
    let hits = block.map(|byte| {
        let hit = (byte == b'"') | (byte == b'\\') | (byte.cast_signed() < 0x20);
        if hit { 0xFF_u8 } else { 0 }
    });
    let (halves, _) = hits.as_chunks::<16>();
    halves.iter().fold(0, |any, half| any | u128::from_ne_bytes(*half)) == 0
}
