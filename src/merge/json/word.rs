//! Eight bytes of a text at a time, in a register.
//!
//! # Design
//! A text's bytes are read as little-endian words, so that its first byte is a word's lowest; beyond the end are
//! zeros, which no token contains. A search answers with the high bit of each byte that it hits. What follows the
//! first hit may be wrong by a borrow or a carry: only the first counts, and [`Hit`] keeps no other.
//!
//! # Why not vector instructions
//! Names and values of a partial update have a few bytes each: a word finds the end of most of them without a loop,
//! and so without a branch that is predicted wrongly. For what is longer, [`is_plain`] is written so that the
//! compiler makes vector instructions of it on every machine that has them.

#![expect(
    clippy::inline_always,
    reason = "measured: left to its own judgement the compiler makes calls of steps shorter than a call"
)]

const ONES: u64 = each(1);
const HIGH: u64 = each(0x80);

/// A word of one byte, eight times.
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Reads words at the front of what is left of a text.
#[derive(Clone, Copy, Debug)]
pub(in crate::merge) struct Reader {
    /// The last eight bytes of the text; of a shorter text all of them, at the upper end.
    last: u64,
}

impl Reader {
    #[inline(always)]
    pub(super) fn new(text: &[u8]) -> Self {
        let last = match text.last_chunk::<8>() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => text.iter().fold(0, |word, byte| (word >> 8) | (u64::from(*byte) << 56)),
        };
        Self { last }
    }

    /// The first eight bytes of what is left of the text.
    #[inline(always)]
    pub(in crate::merge) fn word(self, rest: &[u8]) -> u64 {
        match rest.first_chunk() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => self.near_end(rest.len()),
        }
    }

    #[inline(never)]
    fn near_end(self, left: usize) -> u64 {
        if left == 0 { 0 } else { self.last >> (64 - 8 * left) }
    }
}

/// What a search found in a word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    /// How many bits stand before the first byte that was hit: 0 to 56.
    bits: u32,
    /// Ones for the bytes before it.
    before: u64,
}

impl Hit {
    #[inline(always)]
    fn of(hits: u64) -> Option<Self> {
        // The lowest bit that is set is the highest of its byte.
        (hits != 0).then(|| Self { bits: hits.trailing_zeros() & 0x38, before: (hits ^ (hits - 1)) >> 8 })
    }

    /// How many bytes stand before the first that was hit: 0 to 7.
    #[inline(always)]
    pub(super) fn place(self) -> usize {
        (self.bits / 8) as usize
    }

    /// The byte that was hit.
    #[inline(always)]
    pub(super) fn byte(self, word: u64) -> u8 {
        (word >> self.bits).to_le_bytes()[0]
    }

    /// The bytes before it, and zeros.
    #[inline(always)]
    pub(super) fn before(self, word: u64) -> u64 {
        word & self.before
    }
}

/// The lowest bytes of a word, the others zero.
#[inline(always)]
pub(super) fn lowest(word: u64, bytes: u32) -> u64 {
    word & !(u64::MAX << ((8 * bytes) & 63))
}

/// Finds the first quote, backslash or control character.
#[inline(always)]
pub(super) fn special(word: u64) -> Option<Hit> {
    // With its second bit turned, a quote stands just above the controls, and nothing else comes to stand there.
    let low = (word ^ each(2)).wrapping_sub(each(0x21));
    let backslash = (word ^ each(b'\\')).wrapping_sub(ONES);
    Hit::of((low | backslash) & !word & HIGH)
}

/// Finds the first byte that is not a digit.
#[inline(always)]
pub(super) fn non_digit(word: u64) -> Option<Hit> {
    let digits = word ^ each(b'0');
    Hit::of((digits.wrapping_add(each(0x76)) | digits) & HIGH)
}

/// True where a byte of the word is not ASCII.
#[inline(always)]
pub(super) fn has_high(word: u64) -> bool {
    word & HIGH != 0
}

/// True where a block is ASCII without quotes, backslashes and control characters.
#[inline(always)]
#[expect(clippy::needless_bitwise_bool, reason = "branches would keep it from becoming vector instructions")]
pub(super) fn is_plain(block: &[u8; 32]) -> bool {
    // As in `special`; and as signed bytes, what is not ASCII is below the controls.
    let hits = block.map(|byte| {
        let hit = ((byte ^ 2).cast_signed() < 0x21) | (byte == b'\\');
        if hit { 0xFF_u8 } else { 0 }
    });
    let (halves, _) = hits.as_chunks::<16>();
    halves.iter().fold(0, |any, half| any | u128::from_ne_bytes(*half)) == 0
}
