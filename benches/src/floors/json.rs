//! Splits and validates JSON in one pass, without a tree: what the least an engine can do with a body costs.
//!
//! # Design
//! One pass over the bytes finds every member's name and value and holds the text to the grammar: structure, numbers,
//! escapes, surrogate pairs, UTF-8, no name twice in one object. Strings are skipped eight bytes at a time, long ones
//! sixteen; a string with bytes outside ASCII is checked as UTF-8 by itself. Names are compared by their first eight bytes
//! and their length before anything else. What is rare (names with escapes, objects with many members) is left to plain code.
//!
//! # Invariants
//! 1. Refused is exactly what is not JSON as RFC 8259 has it, what has a name twice in one object (by its characters,
//!    however spelled), and what is deeper than `DEPTH_MAX`.

#![expect(clippy::inline_always, reason = "one loop with its state in registers is the point of it")]

use std::{collections::BTreeSet, ops::Range};

/// Nesting that is taken.
const DEPTH_MAX: usize = 1_000;
/// Members of an object of which each is compared with each.
const FEW: usize = 32;
/// Levels of which the members are handed out: an update's envelope and its document.
const LEVELS_KEPT: usize = 2;
/// Bytes of a string from which on it is skipped by larger steps.
const LONG: usize = 32;

/// Spreads bits: an odd number without a pattern.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// What begins with a byte.
#[derive(Clone, Copy)]
enum Start {
    Nothing,
    String,
    Number,
    Object,
    Array,
    True,
    False,
    Null,
}

static STARTS: [Start; 256] = starts();

#[expect(clippy::indexing_slicing, reason = "all of them are bytes")]
const fn starts() -> [Start; 256] {
    let mut starts = [Start::Nothing; 256];
    let mut digit = b'0';
    while digit <= b'9' {
        starts[digit as usize] = Start::Number;
        digit += 1;
    }
    starts[b'-' as usize] = Start::Number;
    starts[b'"' as usize] = Start::String;
    starts[b'{' as usize] = Start::Object;
    starts[b'[' as usize] = Start::Array;
    starts[b't' as usize] = Start::True;
    starts[b'f' as usize] = Start::False;
    starts[b'n' as usize] = Start::Null;
    starts
}

/// A member of an object, as places in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The first eight bytes of the name.
    prefix: u64,
    /// Which object of the text it is a member of, in the order in which they open, and the bytes of the name.
    shape: u64,
    name_start: u32,
    value_start: u32,
    value_end: u32,
    escaped: bool,
}

/// Splits texts, one after the other, into the same memory.
#[derive(Debug)]
pub struct Splitter {
    members: Vec<Member>,
    objects: u32,
    /// The string passed last has an escape.
    escaped: bool,
}

impl Splitter {
    /// Has split nothing yet.
    pub const fn new() -> Self {
        Self { members: Vec::new(), objects: 0, escaped: false }
    }

    /// Splits a text; false if it is not valid.
    #[inline]
    pub fn split(&mut self, text: &[u8]) -> bool {
        self.members.clear();
        self.objects = 0;
        let end = self.value(text, seek(text, 0), 0).map(|at| seek(text, at).0);
        u32::try_from(text.len()).is_ok() && end == Some(text.len())
    }

    /// The members of the outer levels of the text split last: their names and values as they stand in it.
    pub fn members<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + 'a {
        self.members.iter().map(move |member| {
            let value = text.get(member.value_start as usize..member.value_end as usize);
            (member.name(text), value.unwrap_or_default())
        })
    }

    // Each of the following stands at a place in the text, and returns the place behind what it has passed; nothing where
    // the text is bad. The place is an argument, not a field: so it stays in a register.

    /// A value that begins with this byte. What it is cannot be guessed, so it is decided by one jump, not by several.
    #[inline(always)]
    fn value(&mut self, text: &[u8], (at, byte): (usize, u8), depth: usize) -> Option<usize> {
        match STARTS.get(usize::from(byte)).copied().unwrap_or(Start::Nothing) {
            Start::Nothing => None,
            Start::String => self.string(text, at + 1).map(|end| end + 1),
            Start::Number => number(text, at),
            Start::Object => self.object(text, at + 1, depth + 1),
            Start::Array => self.array(text, at + 1, depth + 1),
            Start::True => word(text, at, b"true"),
            Start::False => word(text, at, b"false"),
            Start::Null => word(text, at, b"null"),
        }
    }

    #[inline(never)]
    fn array(&mut self, text: &[u8], at: usize, depth: usize) -> Option<usize> {
        let mut here = seek(text, at);
        if here.1 == b']' {
            return Some(here.0 + 1);
        }
        if depth > DEPTH_MAX {
            return None;
        }
        loop {
            here = seek(text, self.value(text, here, depth)?);
            match here.1 {
                b',' => here = seek(text, here.0 + 1),
                b']' => return Some(here.0 + 1),
                _ => return None,
            }
        }
    }

    #[inline(never)]
    fn object(&mut self, text: &[u8], at: usize, depth: usize) -> Option<usize> {
        self.objects += 1;
        let mut object = Object { number: self.objects, first: self.members.len(), count: 0, seen: 0 };
        let mut here = seek(text, at);
        if here.1 == b'}' {
            return Some(here.0 + 1);
        }
        if depth > DEPTH_MAX {
            return None;
        }
        let mut escaped = false;
        loop {
            if here.1 != b'"' {
                return None;
            }
            let start = here.0 + 1;
            self.escaped = false;
            let end = self.string(text, start)?;
            escaped |= self.escaped;
            here = seek_behind(text, end + 1, b':')?;
            let place = self.push(text, &mut object, start..end, here.0)?;
            let end = self.value(text, here, depth)?;
            if let Some(member) = self.members.get_mut(place) {
                member.value_end = short(end);
            }
            let Some(next) = seek_behind(text, end, b',') else {
                here = seek(text, end);
                break;
            };
            here = next;
        }
        if object.count > FEW || escaped {
            self.all_differ(text, &object)?;
        }
        if depth > LEVELS_KEPT {
            self.members.truncate(object.first);
        }
        (here.1 == b'}').then_some(here.0 + 1)
    }

    /// Notes a name, unless its object has it already. In large objects that is seen at the end.
    #[inline(always)]
    fn push(&mut self, text: &[u8], object: &mut Object, name: Range<usize>, value: usize) -> Option<usize> {
        let bytes = name.end - name.start;
        let prefix = prefix(text, name.start, bytes);
        let shape = u64::from(object.number) << 32 | u64::from(short(bytes));
        let bit = 1 << ((prefix ^ shape).wrapping_mul(SPREAD) >> 58);
        if object.seen & bit != 0 && object.count <= FEW {
            let is_same = |held: &Member| {
                held.prefix == prefix
                    && held.shape == shape
                    && (bytes <= 8 || Some(held.name(text)) == text.get(name.clone()))
            };
            if self.members.get(object.first..)?.iter().any(is_same) {
                return None;
            }
        }
        object.seen |= bit;
        object.count += 1;
        let (name_start, value_start) = (short(name.start), short(value));
        let member = Member { prefix, shape, name_start, value_start, value_end: 0, escaped: self.escaped };
        self.members.push(member);
        Some(self.members.len() - 1)
    }

    /// Compares all names of an object by their characters.
    #[cold]
    #[inline(never)]
    fn all_differ(&self, text: &[u8], object: &Object) -> Option<()> {
        let mut seen = BTreeSet::new();
        let is_own = |member: &&Member| member.shape >> 32 == u64::from(object.number);
        for member in self.members.get(object.first..)?.iter().filter(is_own) {
            let name = member.name(text);
            let spelled = if member.escaped {
                let quoted = [b"\"", name, b"\""].concat();
                serde_json::from_slice::<String>(&quoted).ok()?.into_bytes()
            } else {
                name.to_vec()
            };
            if !seen.insert(spelled) {
                return None;
            }
        }
        Some(())
    }

    /// A string from behind its opening quote to its closing one, which is where this ends.
    #[inline(always)]
    fn string(&mut self, text: &[u8], start: usize) -> Option<usize> {
        let mut at = start;
        while let Some(word) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
            let stops = stops(u64::from_le_bytes(*word));
            if stops != 0 {
                at += stops.trailing_zeros() as usize / 8;
                if peek(text, at) == b'"' {
                    return Some(at);
                }
                return self.rare_string(text, start, at);
            }
            at += 8;
            if at - start == LONG {
                at = skip_plain(text, at);
            }
        }
        self.rare_string(text, start, at)
    }

    /// A string with escapes, with bytes outside ASCII, or near the end of the text; plain up to `at`.
    #[inline(never)]
    fn rare_string(&mut self, text: &[u8], start: usize, at: usize) -> Option<usize> {
        let (mut at, mut foreign) = (at, false);
        loop {
            match *text.get(at)? {
                b'"' => break,
                b'\\' => {
                    self.escaped = true;
                    at = escape(text, at + 1)?;
                }
                byte if byte >= 0x80 => {
                    foreign = true;
                    at += 1;
                }
                byte if byte < 0x20 => return None,
                _ => at = skip_plain(text, at + 1),
            }
        }
        if foreign {
            std::str::from_utf8(text.get(start..at)?).ok()?;
        }
        Some(at)
    }
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new()
    }
}

impl Member {
    fn name<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let start = self.name_start as usize;
        text.get(start..start + short_back(self.shape)).unwrap_or_default()
    }
}

/// An object that is being passed: its number, where its members begin and how many they are, and a bit for each of
/// their names, which other names may share.
struct Object {
    number: u32,
    first: usize,
    count: usize,
    seen: u64,
}

/// The byte here; past the end a byte that stands nowhere in JSON.
#[inline(always)]
fn peek(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// The next place that is not space, and the byte there.
#[inline(always)]
fn seek(text: &[u8], at: usize) -> (usize, u8) {
    let byte = peek(text, at);
    if byte <= b' ' { seek_far(text, at) } else { (at, byte) }
}

#[cold]
#[inline(never)]
fn seek_far(text: &[u8], mut at: usize) -> (usize, u8) {
    while matches!(peek(text, at), b' ' | b'\t' | b'\n' | b'\r') {
        at += 1;
    }
    (at, peek(text, at))
}

/// The same behind a byte that has to stand next.
#[inline(always)]
fn seek_behind(text: &[u8], at: usize, byte: u8) -> Option<(usize, u8)> {
    match text.get(at..).and_then(<[u8]>::first_chunk::<2>) {
        Some([found, next]) if *found == byte && *next > b' ' => Some((at + 1, *next)),
        Some([found, _]) if *found != byte && *found > b' ' => None,
        _ => {
            let (at, found) = seek(text, at);
            (found == byte).then(|| seek(text, at + 1))
        }
    }
}

#[inline(always)]
fn word(text: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    text.get(at..at + word.len()).is_some_and(|found| found == word).then(|| at + word.len())
}

#[inline(always)]
fn number(text: &[u8], at: usize) -> Option<usize> {
    let start = at + usize::from(peek(text, at) == b'-');
    let at = digits(text, start)?;
    if (at - start > 1) & (peek(text, start) == b'0') {
        return None;
    }
    if matches!(peek(text, at), b'.' | b'e' | b'E') { fraction(text, at) } else { Some(at) }
}

#[inline(never)]
fn fraction(text: &[u8], mut at: usize) -> Option<usize> {
    if peek(text, at) == b'.' {
        at = digits(text, at + 1)?;
    }
    if matches!(peek(text, at), b'e' | b'E') {
        let sign = usize::from(matches!(peek(text, at + 1), b'+' | b'-'));
        at = digits(text, at + 1 + sign)?;
    }
    Some(at)
}

/// One digit or more. Eight are looked at together: a loop's end would be guessed wrong as often as not.
#[inline(always)]
fn digits(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while let Some(word) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let values = u64::from_le_bytes(*word) ^ u64::from_ne_bytes([b'0'; 8]);
        let others = (values.wrapping_add(u64::from_ne_bytes([0x76; 8])) | values) & HIGHS;
        if others != 0 {
            at += others.trailing_zeros() as usize / 8;
            return (at > start).then_some(at);
        }
        at += 8;
    }
    while peek(text, at).is_ascii_digit() {
        at += 1;
    }
    (at > start).then_some(at)
}

/// A place in a text, of which there are less than 2^32.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the length of the text is held to 32 bits")]
fn short(at: usize) -> u32 {
    at as u32
}

/// The bytes of a name, from a member's shape.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
fn short_back(shape: u64) -> usize {
    shape as u32 as usize
}

/// The first eight bytes of a name, nothing for those it has not.
#[inline(always)]
fn prefix(text: &[u8], start: usize, bytes: usize) -> u64 {
    let word = match text.get(start..).and_then(<[u8]>::first_chunk::<8>) {
        Some(word) => u64::from_le_bytes(*word),
        None => text.iter().skip(start).take(8).rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    if bytes >= 8 { word } else { word & ((1 << (8 * bytes)) - 1) }
}

/// The high bit of every byte of a word at which a plain run may end, the lowest exactly: a quote, a backslash, a control
/// character, and what is not ASCII.
#[inline(always)]
fn stops(word: u64) -> u64 {
    let quote = word ^ u64::from_ne_bytes([b'"'; 8]);
    let backslash = word ^ u64::from_ne_bytes([b'\\'; 8]);
    let control = word.wrapping_sub(u64::from_ne_bytes([0x20; 8]));
    (quote.wrapping_sub(ONES) | backslash.wrapping_sub(ONES) | control | word) & HIGHS
}

#[inline(always)]
fn is_plain(byte: u8) -> bool {
    (0x20..0x80).contains(&byte) && byte != b'"' && byte != b'\\'
}

/// The first place from here on that is not plain.
#[inline]
fn skip_plain(text: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = text.get(at..).and_then(<[u8]>::first_chunk::<16>) {
        // Without branches: one comparison of sixteen bytes at a time.
        if !chunk.iter().fold(true, |plain, byte| plain & is_plain(*byte)) {
            break;
        }
        at += 16;
    }
    while text.get(at).is_some_and(|byte| is_plain(*byte)) {
        at += 1;
    }
    at
}

/// Behind the escape whose backslash stands before `at`.
fn escape(text: &[u8], at: usize) -> Option<usize> {
    match *text.get(at)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
        b'u' => match hex(text, at + 1)? {
            0xd800..0xdc00 => {
                let low = (text.get(at + 5..at + 7)? == b"\\u").then(|| hex(text, at + 7))??;
                (0xdc00..0xe000).contains(&low).then_some(at + 11)
            }
            0xdc00..0xe000 => None,
            _ => Some(at + 5),
        },
        _ => None,
    }
}

fn hex(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4)?;
    digits.iter().try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests;
