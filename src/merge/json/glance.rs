//! The check of the common text, in one pass.
//!
//! # Design
//! Says of a text that it is sound, or nothing: then [`check`](super::check) reads it again and decides, in words. So
//! whatever is rare may be left to it: a malformed text, a name with an escape, deep nesting, many names, two
//! names that look equal. Places are found word by word ([`word`](super::word)).
//!
//! Names of one object are told apart by their prints: of a name up to seven bytes the print is as good as the name,
//! of a longer one it is a hash. A set of 64 bits says of most new names that they are new.
//!
//! UTF-8 is checked at the end, and only where a string had a byte that is not ASCII.
//!
//! # Invariants
//! 1. What is taken here, [`check`](super::check) takes, with the same start and end.
//! 2. It recurses no deeper than [`LEVELS_MAX`].

use super::check::{Bounds, check_object};
use super::scan::{byte, is_space, part};
use super::string::escape_end;
use super::word::{Words, byte_of, first, has_high, is_plain, lowest, non_digits, specials};
use crate::Result;
use crate::operation::DEPTH_MAX;

/// Levels that are looked at here.
pub(in crate::merge) const LEVELS_MAX: usize = 32;

const _: () = assert!(LEVELS_MAX <= DEPTH_MAX);

/// Names of the objects that are open at one time.
const NAMES_MAX: usize = 64;

/// The object that a text is, with white space around it at most: at a glance, or after a closer look.
pub(in crate::merge) fn checked_object(text: &[u8], bounds: Bounds) -> Result<&[u8]> {
    match object(text, bounds) {
        Some(object) => Ok(object),
        None => check_object(text, bounds).map(|(object, _)| object),
    }
}

/// The object that a text is, with white space around it at most; nothing where that takes more than a glance.
pub(in crate::merge) fn object(text: &[u8], bounds: Bounds) -> Option<&[u8]> {
    let mut glance = Glance::new(text, bounds)?;
    let start = glance.space(0);
    if byte(text, start) != b'{' {
        return None;
    }
    let end = glance.object(start + 1, Level::default(), LEVELS_MAX.min(bounds.depth))?;
    glance.finish(end)?;
    Some(part(text, start, end))
}

/// Which of the prints are those of one object's names.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::merge) struct Level {
    from: usize,
    to: usize,
    /// One bit of each name.
    seen: u64,
}

impl Level {
    /// An object inside this one.
    #[inline]
    pub(in crate::merge) fn below(&self) -> Self {
        Self { from: self.to, to: self.to, seen: 0 }
    }
}

/// A name: the place of its closing quote, and its print.
#[derive(Clone, Copy, Debug)]
pub(in crate::merge) struct Seen {
    pub(in crate::merge) end: usize,
    pub(in crate::merge) print: u64,
}

/// A text that is looked at.
#[derive(Debug)]
pub(in crate::merge) struct Glance<'a> {
    pub(in crate::merge) words: Words<'a>,
    /// The words of all strings, one upon the other.
    bytes: u64,
    number_bytes: usize,
    /// The names of the objects that are open.
    prints: [u64; NAMES_MAX],
}

impl<'a> Glance<'a> {
    /// A look at a text; nothing where it is too long.
    #[inline]
    pub(in crate::merge) fn new(text: &'a [u8], bounds: Bounds) -> Option<Self> {
        if text.len() > bounds.text_bytes() {
            return None;
        }
        let (words, number_bytes) = (Words::new(text), bounds.number_bytes);
        Some(Self { words, bytes: 0, number_bytes, prints: [0; NAMES_MAX] })
    }

    /// After the last token: nothing follows, and what was in strings is UTF-8.
    #[inline]
    pub(in crate::merge) fn finish(&self, at: usize) -> Option<()> {
        if self.space(at) != self.words.text.len() {
            return None;
        }
        if has_high(self.bytes) {
            return std::str::from_utf8(self.words.text).ok().map(drop);
        }
        Some(())
    }

    #[inline]
    pub(in crate::merge) fn byte(&self, at: usize) -> u8 {
        byte(self.words.text, at)
    }

    /// The first place at or after `at` that is not white space.
    #[inline]
    pub(in crate::merge) fn space(&self, at: usize) -> usize {
        if self.byte(at) > b' ' { at } else { self.long_space(at) }
    }

    #[inline(never)]
    fn long_space(&self, mut at: usize) -> usize {
        while is_space(self.byte(at)) {
            at += 1;
        }
        at
    }

    /// The place of what follows a comma or a colon.
    #[inline]
    pub(in crate::merge) fn after(&self, at: usize, mark: u8) -> Option<usize> {
        let at = self.space(at);
        if self.byte(at) == mark { Some(self.space(at + 1)) } else { None }
    }

    /// The place after the object whose opening brace stands before `at`.
    fn object(&mut self, at: usize, mut level: Level, levels_left: usize) -> Option<usize> {
        let levels_left = levels_left.checked_sub(1)?;
        let mut at = self.space(at);
        if self.byte(at) == b'}' {
            return Some(at + 1);
        }
        loop {
            at = self.member(at, &mut level)?.1;
            at = self.value(at, level, levels_left)?;
            at = self.space(at);
            match self.byte(at) {
                b',' => at = self.space(at + 1),
                b'}' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// The place after the list whose opening bracket stands before `at`.
    fn list(&mut self, at: usize, level: Level, levels_left: usize) -> Option<usize> {
        let levels_left = levels_left.checked_sub(1)?;
        let mut at = self.space(at);
        if self.byte(at) == b']' {
            return Some(at + 1);
        }
        loop {
            at = self.value(at, level, levels_left)?;
            at = self.space(at);
            match self.byte(at) {
                b',' => at = self.space(at + 1),
                b']' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// The place after the value at a place, of which `levels_left` levels are looked at.
    #[inline]
    pub(in crate::merge) fn value(&mut self, at: usize, level: Level, levels_left: usize) -> Option<usize> {
        match self.byte(at) {
            b'"' => self.string(at + 1),
            b'-' | b'0'..=b'9' => self.number(at),
            b'{' => self.object(at + 1, level.below(), levels_left),
            b'[' => self.list(at + 1, level.below(), levels_left),
            _ => self.literal(at),
        }
    }

    /// A member's name, which is new to its object, and the place of its value.
    #[inline]
    pub(in crate::merge) fn member(&mut self, at: usize, level: &mut Level) -> Option<(Seen, usize)> {
        if self.byte(at) != b'"' {
            return None;
        }
        let name = self.name(at + 1)?;
        self.note(name.print, level)?;
        Some((name, self.after(name.end + 1, b':')?))
    }

    /// The name whose opening quote stands before `at`.
    #[inline]
    pub(in crate::merge) fn name(&mut self, at: usize) -> Option<Seen> {
        let word = self.words.at(at);
        self.bytes |= word;
        let length = first(specials(word));
        if length == 8 {
            return self.long_name(at, mixed(word));
        }
        let is_end = byte_of(word, length) == b'"';
        is_end.then(|| Seen { end: at + length, print: mixed(lowest(word, length)) })
    }

    #[inline(never)]
    fn long_name(&mut self, mut at: usize, mut print: u64) -> Option<Seen> {
        loop {
            at += 8;
            let word = self.words.at(at);
            self.bytes |= word;
            let length = first(specials(word));
            print = mixed(print.rotate_left(32) ^ lowest_or_all(word, length));
            if length < 8 {
                return (byte_of(word, length) == b'"').then_some(Seen { end: at + length, print });
            }
        }
    }

    /// Adds a name to its object, where it may not stand yet.
    #[inline]
    fn note(&mut self, print: u64, level: &mut Level) -> Option<()> {
        let bit = 1 << (print >> 58);
        if level.seen & bit != 0 && self.prints.get(level.from..level.to)?.contains(&print) {
            return None;
        }
        *self.prints.get_mut(level.to)? = print;
        level.to += 1;
        level.seen |= bit;
        Some(())
    }

    /// The place after the string whose opening quote stands before `at`.
    #[inline]
    pub(in crate::merge) fn string(&mut self, at: usize) -> Option<usize> {
        let word = self.words.at(at);
        self.bytes |= word;
        let length = first(specials(word));
        if length < 8 && byte_of(word, length) == b'"' {
            return Some(at + length + 1);
        }
        self.long_string(at + length)
    }

    #[inline(never)]
    fn long_string(&mut self, mut at: usize) -> Option<usize> {
        loop {
            at = self.plain(at);
            match self.byte(at) {
                b'"' => return Some(at + 1),
                b'\\' => at = escape_end(self.words.text, at)?,
                _ => return None,
            }
        }
    }

    /// The first quote, backslash or control character at or after a place; the end where there is none.
    #[inline]
    fn plain(&mut self, mut at: usize) -> usize {
        loop {
            let word = self.words.at(at);
            self.bytes |= word;
            let length = first(specials(word));
            at += length;
            if length < 8 {
                return at;
            }
            while let Some(block) = self.words.text.get(at..).and_then(<[u8]>::first_chunk::<32>)
                && is_plain(block)
            {
                at += 32;
            }
        }
    }

    /// The place after the number that starts at `at`.
    #[inline]
    pub(in crate::merge) fn number(&self, at: usize) -> Option<usize> {
        let start = at + usize::from(self.byte(at) == b'-');
        let word = self.words.at(start);
        let length = first(non_digits(word));
        let next = byte_of(word, length);
        if length == 8 || next == b'.' || next | 0x20 == b'e' {
            return self.long_number(at, start);
        }
        let is_number = length > 0 && (length == 1 || byte_of(word, 0) != b'0');
        is_number.then_some(start + length)
    }

    #[inline(never)]
    fn long_number(&self, at: usize, start: usize) -> Option<usize> {
        let mut end = self.digits(start)?;
        if self.byte(start) == b'0' && end > start + 1 {
            return None;
        }
        if self.byte(end) == b'.' {
            end = self.digits(end + 1)?;
        }
        if self.byte(end) | 0x20 == b'e' {
            end += 1 + usize::from(matches!(self.byte(end + 1), b'+' | b'-'));
            end = self.digits(end)?;
        }
        (end - at <= self.number_bytes).then_some(end)
    }

    fn digits(&self, start: usize) -> Option<usize> {
        let mut at = start;
        loop {
            let length = first(non_digits(self.words.at(at)));
            at += length;
            if length < 8 {
                return (at > start).then_some(at);
            }
        }
    }

    /// The place after the `true`, `false` or `null` at a place.
    #[inline]
    pub(in crate::merge) fn literal(&self, at: usize) -> Option<usize> {
        let word = self.words.at(at);
        let four = lowest(word, 4);
        if four == TRUE || four == NULL {
            return Some(at + 4);
        }
        (lowest(word, 5) == FALSE).then_some(at + 5)
    }
}

const TRUE: u64 = u64::from_le_bytes(*b"true\0\0\0\0");
const NULL: u64 = u64::from_le_bytes(*b"null\0\0\0\0");
const FALSE: u64 = u64::from_le_bytes(*b"false\0\0\0");

/// The low bytes of a word up to a hit, if there was one.
fn lowest_or_all(word: u64, length: usize) -> u64 {
    if length < 8 { lowest(word, length) } else { word }
}

/// A word's bits, mixed one to one: the upper ones depend on all.
#[inline]
fn mixed(word: u64) -> u64 {
    word.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
