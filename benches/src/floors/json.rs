//! Splits and validates JSON in one pass, without a tree: what the least an engine can do with a body costs.
//!
//! # Design
//! One pass over the bytes finds every member's name and value and holds the text to the grammar: structure, numbers,
//! escapes, surrogate pairs, UTF-8, no name twice in one object. A place in the text is what is left of it from there on.
//! Eight bytes are looked at together, in one register (`words.rs`), so that most names, strings and numbers take no loop
//! and no branch that would be guessed wrong.
//!
//! Names of an object are told apart by a print of each, and most of those by one bit. Where that does not tell (equal
//! prints, a name with escapes, many names) the object is read again by plain code. UTF-8 is checked at the end, and only
//! where a string had a byte outside ASCII.
//!
//! # Invariants
//! 1. Refused is exactly what is not JSON as RFC 8259 has it, what has a name twice in one object (by its characters,
//!    however spelled), and what is deeper than `DEPTH_MAX`.

#![expect(clippy::inline_always, reason = "most steps are shorter than a call")]

mod words;

use serde::de::IgnoredAny;
use std::collections::HashMap;
use words::{Words, before, equal, is_ascii, is_plain, mixed, non_digits, place, stops};

/// Nesting that is taken.
const DEPTH_MAX: usize = 1_000;
/// Levels of which the members are handed out: an update's envelope and its document.
const LEVELS_KEPT: usize = 2;
/// Names of all objects that are open at a time, of which prints are kept.
const PRINTS: usize = 128;

/// A member of an object. Places count from the end of the text.
#[derive(Clone, Copy, Debug)]
struct Member {
    name: usize,
    name_end: usize,
    value: usize,
    value_end: usize,
}

/// Splits texts, one after the other, into the same memory.
#[derive(Debug)]
pub struct Splitter {
    members: Vec<Member>,
    /// Of the names of all objects that are open, one upon the other.
    prints: [u64; PRINTS],
    words: Words,
    /// The bytes of all strings, one upon the other.
    bytes: u64,
}

/// The names of an object that have been passed.
struct Names {
    /// Where their prints begin and end.
    from: usize,
    to: usize,
    /// A bit for each print, which others may share.
    bits: u64,
    /// How many names have no print of their own.
    untold: usize,
}

impl Splitter {
    /// Has split nothing yet.
    pub const fn new() -> Self {
        Self { members: Vec::new(), prints: [0; PRINTS], words: Words::none(), bytes: 0 }
    }

    /// Splits a text; false if it is not valid.
    #[inline]
    pub fn split(&mut self, text: &[u8]) -> bool {
        self.members.clear();
        self.words = Words::new(text);
        self.bytes = 0;
        let rest = match text {
            [b'{', rest @ ..] => self.object(rest, 0, 1),
            _ => self.root(text),
        };
        rest.is_some_and(|rest| rest.is_empty() || space(rest).is_empty())
            && (is_ascii(self.bytes) || std::str::from_utf8(text).is_ok())
    }

    /// The members of the outer levels of the text split last, in the order in which they end: their names and values as
    /// they stand in it.
    pub fn members<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + 'a {
        let between =
            |from: usize, to: usize| text.get(text.len() - from..text.len() - to).unwrap_or_default();
        let spans = move |member: &Member| {
            (between(member.name, member.name_end), between(member.value, member.value_end))
        };
        self.members.iter().map(spans)
    }

    // Each of the following is given what is left of the text behind the byte that told it from others, and returns what is
    // left behind what it has passed; nothing where the text is bad.

    /// A text that does not begin with an object.
    #[inline(never)]
    fn root<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        self.value(space(text), 0, 0)
    }

    /// A value, from its first byte on, inside so many levels and beside so many prints.
    #[inline(always)]
    fn value<'a>(&mut self, rest: &'a [u8], prints: usize, depth: usize) -> Option<&'a [u8]> {
        match rest {
            [b'"', rest @ ..] => self.string(rest),
            [b'0'..=b'9', ..] => self.number(rest),
            [b'-', rest @ ..] => self.number(rest),
            [b'{', rest @ ..] => self.object(rest, prints, depth + 1),
            [b'[', rest @ ..] => self.array(rest, prints, depth + 1),
            [b't', rest @ ..] => rest.strip_prefix(b"rue"),
            [b'f', rest @ ..] => rest.strip_prefix(b"alse"),
            [b'n', rest @ ..] => rest.strip_prefix(b"ull"),
            _ => None,
        }
    }

    #[inline(never)]
    fn array<'a>(&mut self, rest: &'a [u8], prints: usize, depth: usize) -> Option<&'a [u8]> {
        let mut rest = space(rest);
        if let [b']', rest @ ..] = rest {
            return Some(rest);
        }
        if depth > DEPTH_MAX {
            return None;
        }
        loop {
            match space(self.value(rest, prints, depth)?) {
                [b',', next @ ..] => rest = space(next),
                [b']', rest @ ..] => return Some(rest),
                _ => return None,
            }
        }
    }

    #[inline(never)]
    fn object<'a>(&mut self, start: &'a [u8], prints: usize, depth: usize) -> Option<&'a [u8]> {
        let mut names = Names { from: prints, to: prints, bits: 0, untold: 0 };
        let mut rest = space(start);
        if let [b'}', rest @ ..] = rest {
            return Some(rest);
        }
        if depth > DEPTH_MAX {
            return None;
        }
        let mut name = rest.strip_prefix(b"\"")?;
        loop {
            let (end, print) = self.name(name)?;
            let value = match end {
                [b'"', b':', value @ ..] => {
                    self.note(print, &mut names);
                    space(value)
                }
                _ => self.rare_name(end, print, &mut names)?,
            };
            rest = self.value(value, names.to, depth)?;
            if depth <= LEVELS_KEPT {
                self.members.push(Member {
                    name: name.len(),
                    name_end: end.len(),
                    value: value.len(),
                    value_end: rest.len(),
                });
            }
            name = match rest {
                [b',', b'"', next @ ..] => next,
                [b'}', ..] => break,
                _ => match space(rest) {
                    [b',', next @ ..] => space(next).strip_prefix(b"\"")?,
                    closed => {
                        rest = closed;
                        break;
                    }
                },
            };
        }
        let rest = rest.strip_prefix(b"}")?;
        if names.untold > 0 { all_differ(start, rest, &names).then_some(rest) } else { Some(rest) }
    }

    /// A name up to its first byte that is not plain, and its print.
    #[inline(always)]
    fn name<'a>(&mut self, rest: &'a [u8]) -> Option<(&'a [u8], u64)> {
        let word = self.string_word(rest);
        let stops = stops(word);
        if stops == 0 {
            return self.long_name(rest.get(8..)?, mixed(word));
        }
        Some((rest.get(place(stops)..)?, mixed(word & before(stops))))
    }

    #[inline(always)]
    fn long_name<'a>(&mut self, mut rest: &'a [u8], mut print: u64) -> Option<(&'a [u8], u64)> {
        loop {
            let word = self.string_word(rest);
            let stops = stops(word);
            if stops != 0 {
                return Some((rest.get(place(stops)..)?, mixed(print ^ word & before(stops))));
            }
            (rest, print) = (rest.get(8..)?, mixed(print ^ word).rotate_left(32));
        }
    }

    /// From where a name is not plain, or has space behind it, to the value.
    #[cold]
    #[inline(never)]
    fn rare_name<'a>(&mut self, rest: &'a [u8], print: u64, names: &mut Names) -> Option<&'a [u8]> {
        let rest = if let [b'"', rest @ ..] = rest {
            self.note(print, names);
            rest
        } else {
            names.untold += 1;
            self.long_string(rest)?
        };
        space(rest).strip_prefix(b":").map(space)
    }

    /// Notes a name by its print, if no other has the same.
    #[inline(always)]
    fn note(&mut self, print: u64, names: &mut Names) {
        let bit = 1 << (print >> 58);
        if names.bits & bit != 0 && self.is_noted(print, names) {
            names.untold += 1;
            return;
        }
        let Some(place) = self.prints.get_mut(names.to) else {
            names.untold += 1;
            return;
        };
        *place = print;
        names.to += 1;
        names.bits |= bit;
    }

    #[inline(never)]
    fn is_noted(&self, print: u64, names: &Names) -> bool {
        self.prints.get(names.from..names.to).is_some_and(|prints| prints.contains(&print))
    }

    #[inline(always)]
    fn string<'a>(&mut self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let word = self.string_word(rest);
        match rest.get(place(stops(word))..)? {
            [b'"', rest @ ..] => Some(rest),
            rest => self.long_string(rest),
        }
    }

    #[inline(never)]
    fn long_string<'a>(&mut self, mut rest: &'a [u8]) -> Option<&'a [u8]> {
        loop {
            // As far as a block: behind one that is not plain, there is a byte that is not.
            for _ in 0..4 {
                let word = self.string_word(rest);
                rest = rest.get(place(stops(word))..)?;
                match rest {
                    [b'"', rest @ ..] => return Some(rest),
                    [b'\\', escape @ ..] => rest = escaped(escape)?,
                    [] | [0..0x20, ..] => return None,
                    _ => {}
                }
            }
            while let Some((block, behind)) = rest.split_first_chunk()
                && is_plain(block)
            {
                rest = behind;
            }
        }
    }

    /// The first eight bytes of what is left of a string.
    #[inline(always)]
    fn string_word(&mut self, rest: &[u8]) -> u64 {
        let word = self.words.first(rest);
        self.bytes |= word;
        word
    }

    /// A number behind its minus. Most have eight bytes at most, and for those it makes no difference whether they have a
    /// point: a branch for that would be guessed wrong as often as not.
    #[inline(always)]
    fn number<'a>(&self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let word = self.words.first(rest);
        let others = non_digits(word);
        let point = others & others.wrapping_neg() & equal(word, b'.');
        let ends = others ^ point;
        let end = rest.get(place(ends)..)?;
        if ends == 0 || matches!(end, [b'e' | b'E', ..]) {
            return long_number(rest);
        }
        // A digit first and behind the point; and none behind a zero.
        let is_bad = others & (0x80 | point << 8) != 0 || (word & 0xff == 0x30 && others & 0x8000 == 0);
        (!is_bad).then_some(end)
    }
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new()
    }
}

/// What is left behind space.
#[inline(always)]
fn space(rest: &[u8]) -> &[u8] {
    match rest {
        [first, ..] if *first > b' ' => rest,
        _ => far_space(rest),
    }
}

#[cold]
#[inline(never)]
fn far_space(mut rest: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r', behind @ ..] = rest {
        rest = behind;
    }
    rest
}

#[inline(never)]
fn long_number(start: &[u8]) -> Option<&[u8]> {
    let mut rest = digits(start)?;
    if let [b'0', b'0'..=b'9', ..] = start {
        return None;
    }
    if let [b'.', fraction @ ..] = rest {
        rest = digits(fraction)?;
    }
    match rest {
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => digits(exponent),
        _ => Some(rest),
    }
}

/// What is left behind one digit or more.
#[inline(always)]
fn digits(rest: &[u8]) -> Option<&[u8]> {
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count > 0 { rest.get(count..) } else { None }
}

/// What is left behind the escape of which this follows the backslash.
fn escaped(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', rest @ ..] => Some(rest),
        [b'u', rest @ ..] => match hex(rest)? {
            (0xd800..0xdc00, [b'\\', b'u', rest @ ..]) => {
                let (low, rest) = hex(rest)?;
                (0xdc00..0xe000).contains(&low).then_some(rest)
            }
            (0xd800..0xe000, _) => None,
            (_, rest) => Some(rest),
        },
        _ => None,
    }
}

fn hex(rest: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = rest.split_first_chunk::<4>()?;
    let number =
        digits.iter().try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))?;
    Some((number, rest))
}

/// True if an object has as many names as members. What follows its brace is known to be good up to where it ends, but for
/// bytes that are not UTF-8.
#[cold]
#[inline(never)]
#[expect(clippy::zero_sized_map_values, reason = "a set cannot be read from an object")]
fn all_differ(start: &[u8], rest: &[u8], names: &Names) -> bool {
    let mut text = vec![b'{'];
    text.extend(start.iter().take(start.len() - rest.len()));
    let members: Result<HashMap<String, IgnoredAny>, _> = serde_json::from_slice(&text);
    members.is_ok_and(|members| members.len() == names.to - names.from + names.untold)
}

#[cfg(test)]
mod tests;
