//! Strings and field names by what they mean, however they are spelled.
//!
//! # Design
//! Two spellings are equal where their code points are. An escaped surrogate without its other half is a code
//! point of its own, as the servers keep it; in bytes it is written as WTF-8 would. UTF-8 and WTF-8 order as
//! code points do, so comparing code points compares the bytes.

use super::scan::{byte, padded_word, part};
use std::cmp::Ordering;
use std::hash::Hasher;

/// A field name: the text between its quotes.
#[derive(Clone, Copy, Debug)]
pub(in crate::merge) struct Name<'a> {
    /// As it was spelled.
    pub(in crate::merge) raw: &'a [u8],
    /// True where the spelling has a backslash: only then can two spellings be one name.
    pub(in crate::merge) escaped: bool,
}

impl<'a> Name<'a> {
    /// The name between the quotes of a string's text.
    pub(in crate::merge) fn of_string(text: &'a [u8]) -> Self {
        let raw = part(text, 1, text.len().saturating_sub(1));
        Self { raw, escaped: raw.contains(&b'\\') }
    }

    /// A print of the name that starts at a place of a text and has no escape: two of up to seven bytes are equal
    /// where their prints are, and of longer ones only those whose prints are.
    #[inline]
    pub(in crate::merge) fn print(text: &[u8], at: usize, length: usize) -> u64 {
        let start = padded_word(text, at);
        let kept = 8 * length.min(Self::PRINTED);
        start & !(u64::MAX << kept) | (length.min(0xFF) as u64) << 56
    }

    /// Names up to this length are as good as their prints.
    pub(in crate::merge) const PRINTED: usize = 7;

    /// True where the name means this word, which has no backslash.
    pub(in crate::merge) fn is(&self, word: &str) -> bool {
        *self == Name { raw: word.as_bytes(), escaped: false }
    }

    /// Hashes what the name means.
    pub(in crate::merge) fn hash_into(&self, hasher: &mut impl Hasher) {
        hash_string(self.raw, self.escaped, hasher);
    }
}

impl PartialEq for Name<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
            || ((self.escaped || other.escaped) && CodePoints::new(self.raw).eq(CodePoints::new(other.raw)))
    }
}

impl Eq for Name<'_> {}

/// Orders two strings, given with their quotes, by the bytes they mean.
pub(in crate::merge) fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let (one, other) = (Name::of_string(one), Name::of_string(other));
    if one.escaped || other.escaped {
        CodePoints::new(one.raw).cmp(CodePoints::new(other.raw))
    } else {
        one.raw.cmp(other.raw)
    }
}

/// The place after the escape whose backslash is at `at`; nothing where there is no such escape.
pub(in crate::merge) fn escape_end(text: &[u8], at: usize) -> Option<usize> {
    match byte(text, at + 1) {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' if text.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => Some(at + 6),
        _ => None,
    }
}

/// Hashes the bytes that a string means; `raw` has no quotes.
pub(in crate::merge) fn hash_string(raw: &[u8], escaped: bool, hasher: &mut impl Hasher) {
    if escaped {
        hasher.write(&decoded(raw));
    } else {
        hasher.write(raw);
    }
}

/// The bytes that a string means: UTF-8, with lone surrogates as in WTF-8. `raw` has no quotes.
pub(in crate::merge) fn decoded(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    for point in CodePoints::new(raw) {
        push_code_point(point, &mut out);
    }
    out
}

#[expect(clippy::cast_possible_truncation, reason = "each byte takes six or fewer bits of a code point")]
fn push_code_point(point: u32, out: &mut Vec<u8>) {
    let low = |shift: u32| (0x80 | ((point >> shift) & 0x3F)) as u8;
    match point {
        0..0x80 => out.push(point as u8),
        0x80..0x800 => out.extend([0xC0 | (point >> 6) as u8, low(0)]),
        0x800..0x1_0000 => out.extend([0xE0 | (point >> 12) as u8, low(6), low(0)]),
        _ => out.extend([0xF0 | (point >> 18) as u8, low(12), low(6), low(0)]),
    }
}

/// The code points that a string means, surrogates without a partner among them.
struct CodePoints<'a> {
    raw: &'a [u8],
    at: usize,
}

impl<'a> CodePoints<'a> {
    fn new(raw: &'a [u8]) -> Self {
        Self { raw, at: 0 }
    }

    /// The code unit of the `\uXXXX` that stands at `at`, if one does.
    fn unit(&self, at: usize) -> Option<u32> {
        if byte(self.raw, at) != b'\\' || byte(self.raw, at + 1) != b'u' {
            return None;
        }
        let digits = std::str::from_utf8(self.raw.get(at + 2..at + 6)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    }

    fn escape(&mut self) -> u32 {
        let start = self.at;
        self.at += 2;
        match byte(self.raw, start + 1) {
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => 0x0A,
            b'r' => 0x0D,
            b't' => 0x09,
            b'u' => {
                self.at += 4;
                let unit = self.unit(start).unwrap_or(0xFFFD);
                if !(0xD800..0xDC00).contains(&unit) {
                    return unit;
                }
                match self.unit(self.at) {
                    Some(low @ 0xDC00..0xE000) => {
                        self.at += 6;
                        0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
                    }
                    _ => unit,
                }
            }
            other => u32::from(other),
        }
    }
}

impl Iterator for CodePoints<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let first = *self.raw.get(self.at)?;
        if first == b'\\' {
            return Some(self.escape());
        }
        let (bytes, bits) = match first {
            0..0x80 => (1, first),
            0x80..0xE0 => (2, first & 0x1F),
            0xE0..0xF0 => (3, first & 0x0F),
            _ => (4, first & 0x07),
        };
        let mut point = u32::from(bits);
        for offset in 1..bytes {
            point = (point << 6) | u32::from(byte(self.raw, self.at + offset) & 0x3F);
        }
        self.at += bytes;
        Some(point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(raw: &str) -> Name<'_> {
        Name { raw: raw.as_bytes(), escaped: raw.contains('\\') }
    }

    #[test]
    fn a_name_is_what_it_means_and_not_how_it_is_spelled() {
        assert_eq!(name("a"), name(r"\u0061"));
        assert_eq!(name("é"), name(r"\u00E9"));
        assert_eq!(name("😀"), name(r"\ud83d\uDE00"));
        assert_eq!(name("/"), name(r"\/"));
        assert_eq!(name(r"\ud800"), name(r"\uD800"));
        assert_ne!(name(r"\ud800"), name(r"\ud801"));
        assert_ne!(name("a"), name("b"));
        assert_ne!(name(r"\n"), name("n"));
    }

    #[test]
    fn strings_order_by_the_bytes_they_mean() {
        assert_eq!(compare(r#""a""#.as_bytes(), r#""\u0062""#.as_bytes()), Ordering::Less);
        assert_eq!(compare(r#""\ud800""#.as_bytes(), "\"\u{e000}\"".as_bytes()), Ordering::Less);
        assert_eq!(compare(r#""\ud800""#.as_bytes(), "\"\u{d7ff}\"".as_bytes()), Ordering::Greater);
        assert_eq!(compare("\"\u{1f600}\"".as_bytes(), "\"\u{ffff}\"".as_bytes()), Ordering::Greater);
    }

    #[test]
    fn decoding_keeps_lone_surrogates_apart_from_replacement_characters() {
        assert_eq!(decoded(br"\ud800x"), [0xED, 0xA0, 0x80, b'x']);
        assert_eq!(decoded(br"\u0000\n\ud83d\ude00"), "\0\n😀".as_bytes());
    }
}
