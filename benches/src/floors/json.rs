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
//!    however spelled), and what is deeper than [`DEPTH_MAX`].

use std::collections::BTreeSet;

/// Nesting that is taken.
const DEPTH_MAX: usize = 1_000;
/// Members of an object of which each is compared with each.
const FEW: usize = 32;
/// Levels of which the members are handed out: an update's envelope and its document.
const LEVELS_KEPT: usize = 2;

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// A member of an object, as places in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which object of the text it is a member of, in the order in which they open; and the bytes of the name.
    object: u32,
    name_bytes: u32,
    /// The first eight bytes of the name.
    prefix: u64,
    name_start: u32,
    value_start: u32,
    value_end: u32,
    escaped: bool,
}

/// Splits texts, one after the other, into the same memory.
#[derive(Debug)]
pub struct Splitter {
    members: Vec<Member>,
}

impl Splitter {
    /// Has split nothing yet.
    pub const fn new() -> Self {
        Self { members: Vec::new() }
    }

    /// Splits a text; false if it is not valid.
    #[inline]
    pub fn split(&mut self, text: &[u8]) -> bool {
        self.members.clear();
        let mut pass = Pass { text, at: 0, objects: 0, members: &mut self.members };
        u32::try_from(text.len()).is_ok() && pass.value(0).is_some() && {
            pass.skip_space();
            pass.at == text.len()
        }
    }

    /// The members of the outer levels of the text split last: their names and values as they stand in it.
    pub fn members<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + 'a {
        self.members.iter().map(move |member| {
            let value = text.get(member.value_start as usize..member.value_end as usize);
            (member.name(text), value.unwrap_or_default())
        })
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
        text.get(start..start + self.name_bytes as usize).unwrap_or_default()
    }
}

/// A string's contents, between its quotes.
struct Span {
    start: usize,
    end: usize,
    escaped: bool,
}

/// One pass over one text. Every step gives nothing where the text is bad.
struct Pass<'a> {
    text: &'a [u8],
    at: usize,
    objects: u32,
    members: &'a mut Vec<Member>,
}

impl Pass<'_> {
    /// The byte here; past the end a byte that stands nowhere in JSON.
    #[inline(always)]
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn skip_space(&mut self) {
        while self.peek() <= b' ' && matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    #[inline(always)]
    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        let taken = self.peek() == byte;
        self.at += usize::from(taken);
        taken.then_some(())
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        self.skip_space();
        match self.peek() {
            b'"' => self.string().map(drop),
            b'{' => self.object(depth + 1),
            b'[' => self.array(depth + 1),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let found = self.text.get(self.at..)?.starts_with(word);
        self.at += word.len();
        found.then_some(())
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        self.skip_space();
        if self.peek() == b']' {
            self.at += 1;
            return Some(());
        }
        if depth > DEPTH_MAX {
            return None;
        }
        loop {
            self.value(depth)?;
            self.skip_space();
            let byte = self.peek();
            self.at += 1;
            match byte {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        self.objects += 1;
        let (object, first) = (self.objects, self.members.len());
        let (mut count, mut escaped) = (0, false);
        self.skip_space();
        if self.peek() == b'}' {
            self.at += 1;
            return Some(());
        }
        if depth > DEPTH_MAX {
            return None;
        }
        loop {
            self.skip_space();
            let name = (self.peek() == b'"').then(|| self.string())??;
            self.take(b':')?;
            self.skip_space();
            let place = self.push(object, first, count, &name)?;
            (count, escaped) = (count + 1, escaped | name.escaped);
            self.value(depth)?;
            if let Some(member) = self.members.get_mut(place) {
                member.value_end = end(self.at);
            }
            self.skip_space();
            let byte = self.peek();
            self.at += 1;
            match byte {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        if count > FEW || escaped {
            self.all_differ(object, first)?;
        }
        if depth > LEVELS_KEPT {
            self.members.truncate(first);
        }
        Some(())
    }

    /// Notes a name, unless its object has it already. In large objects that is seen at the end.
    #[inline]
    fn push(&mut self, object: u32, first: usize, count: usize, name: &Span) -> Option<usize> {
        let bytes = self.text.get(name.start..name.end)?;
        let member = Member {
            object,
            name_bytes: end(bytes.len()),
            prefix: prefix(self.text, name.start, bytes.len()),
            name_start: end(name.start),
            value_start: end(self.at),
            value_end: 0,
            escaped: name.escaped,
        };
        if count <= FEW {
            let is_same = |held: &Member| {
                (held.prefix, held.object, held.name_bytes) == (member.prefix, object, member.name_bytes)
                    && (bytes.len() <= 8 || held.name(self.text) == bytes)
            };
            if self.members.get(first..)?.iter().any(is_same) {
                return None;
            }
        }
        self.members.push(member);
        Some(self.members.len() - 1)
    }

    /// Compares all names of an object by their characters.
    #[cold]
    fn all_differ(&self, object: u32, first: usize) -> Option<()> {
        let mut seen = BTreeSet::new();
        for member in self.members.get(first..)?.iter().filter(|member| member.object == object) {
            let name = member.name(self.text);
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

    /// A string, from its opening quote to behind its closing one.
    #[inline]
    fn string(&mut self) -> Option<Span> {
        let start = self.at + 1;
        let mut at = start;
        let mut words = 0;
        while let Some(word) = self.text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
            let stops = stops(u64::from_le_bytes(*word));
            if stops != 0 {
                at += stops.trailing_zeros() as usize / 8;
                return self.string_from(start, at);
            }
            at += 8;
            words += 1;
            if words == 4 {
                at = skip_plain(self.text, at);
            }
        }
        while self.text.get(at).is_some_and(|byte| is_plain(*byte)) {
            at += 1;
        }
        self.string_from(start, at)
    }

    /// A string of which all before `at` is plain, and what stands there is not.
    #[inline(always)]
    fn string_from(&mut self, start: usize, at: usize) -> Option<Span> {
        if self.text.get(at) == Some(&b'"') {
            self.at = at + 1;
            return Some(Span { start, end: at, escaped: false });
        }
        self.rare_string(start, at)
    }

    /// A string with escapes or with bytes outside ASCII.
    #[inline(never)]
    fn rare_string(&mut self, start: usize, at: usize) -> Option<Span> {
        let (mut at, mut escaped, mut foreign) = (at, false, false);
        loop {
            match *self.text.get(at)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    at = escape(self.text, at + 1)?;
                }
                byte if byte >= 0x80 => {
                    foreign = true;
                    at += 1;
                }
                byte if byte < 0x20 => return None,
                _ => at = skip_plain(self.text, at + 1),
            }
        }
        if foreign {
            std::str::from_utf8(self.text.get(start..at)?).ok()?;
        }
        self.at = at + 1;
        Some(Span { start, end: at, escaped })
    }

    fn number(&mut self) -> Option<()> {
        self.at += usize::from(self.peek() == b'-');
        if self.peek() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), b'+' | b'-'));
            self.digits()?;
        }
        Some(())
    }

    #[inline(always)]
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

/// A place in a text, of which there are less than 2^32.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the length of the text was held to 32 bits")]
fn end(at: usize) -> u32 {
    at as u32
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
