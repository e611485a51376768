//! Eight bytes of a text in a register.
//!
//! # Design
//! The first byte is the lowest of a word; behind the end of the text are zeros, which stand in no token. A search marks
//! bytes by their high bits: the lowest mark exactly, those above it perhaps wrongly.

#![expect(clippy::inline_always, reason = "all are shorter than a call")]

const HIGHS: u64 = each(0x80);

/// A byte, eight times.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Reads a text's bytes eight at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    /// The last eight bytes; of a shorter text all, as the upper ones.
    last: u64,
}

impl Words {
    /// Of no text.
    pub(super) const fn none() -> Self {
        Self { last: 0 }
    }

    /// Of a text.
    #[inline(always)]
    pub(super) fn new(text: &[u8]) -> Self {
        let last = text.last_chunk().map_or_else(
            || text.iter().fold(0, |word, byte| word >> 8 | u64::from(*byte) << 56),
            |chunk| u64::from_le_bytes(*chunk),
        );
        Self { last }
    }

    /// The first eight bytes of what is left of the text.
    #[inline(always)]
    pub(super) fn first(self, rest: &[u8]) -> u64 {
        rest.first_chunk().map_or_else(|| self.near_end(rest.len()), |chunk| u64::from_le_bytes(*chunk))
    }

    #[inline(never)]
    fn near_end(self, left: usize) -> u64 {
        if left == 0 { 0 } else { self.last >> (64 - 8 * left) }
    }
}

/// A quote, a backslash or a control character.
#[inline(always)]
pub(super) fn stops(word: u64) -> u64 {
    // With one bit turned, the quote stands right above the control characters.
    let low = (word ^ each(b'"' ^ 0x20)).wrapping_sub(each(0x21));
    let backslash = (word ^ each(b'\\')).wrapping_sub(each(1));
    (low | backslash) & !word & HIGHS
}

/// What is not a digit; exactly up to the second mark if the lowest is a point.
#[inline(always)]
pub(super) fn non_digits(word: u64) -> u64 {
    let values = word ^ each(b'0');
    (values.wrapping_add(each(0x76)) | values) & HIGHS
}

/// A byte.
#[inline(always)]
pub(super) fn equal(word: u64, byte: u8) -> u64 {
    let others = word ^ each(byte);
    others.wrapping_sub(each(1)) & !others & HIGHS
}

/// Where the lowest mark stands; eight without any.
#[inline(always)]
pub(super) fn place(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

/// Ones for the bytes before the lowest mark, of which there is one.
#[inline(always)]
pub(super) fn before(marks: u64) -> u64 {
    (marks ^ marks.wrapping_sub(1)) >> 8
}

/// Spreads a word's bits, the upper ones best.
#[inline(always)]
pub(super) fn mixed(word: u64) -> u64 {
    word.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// True where no byte is outside ASCII.
#[inline(always)]
pub(super) fn is_ascii(word: u64) -> bool {
    word & HIGHS == 0
}

/// True where a block is ASCII without quotes, backslashes and control characters. Without branches, so that all of it is
/// looked at together.
#[inline(always)]
#[expect(clippy::needless_bitwise_bool, reason = "branches would keep it from becoming vector instructions")]
pub(super) fn is_plain(block: &[u8; 32]) -> bool {
    block.iter().fold(true, |plain, byte| plain & ((byte ^ 2).cast_signed() > 0x20) & (*byte != b'\\'))
}
