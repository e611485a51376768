//! The text of a common update, written as its net operation while it is checked.
//!
//! # Design
//! One pass over the text: each name and value goes to the output as soon as its end is found. As in
//! [`glance`](super::json::glance) the answer is the operation or nothing; then [`body`](super::body) reads the text
//! again, and decides. Left to it are `set`, `then`, sections that share a level, and all that is refused.
//!
//! The sections of a body are written one after another, the names on their upper levels held apart as if they
//! were one object's: then joining them is putting them in a row.
//!
//! Lengths take the bytes they need: one, nearly always, for which room is left; where a level turns out longer,
//! it is moved.
//!
//! # Invariants
//! 1. What is written here is what [`body`](super::body) writes, but for the padding of lengths.

use super::body::level_kind;
use super::encoding::Kind;
use super::json::equal::equal;
use super::json::glance::{Glance, LEVELS_MAX, Level, Seen};
use super::json::scan::{Elements, byte, is_space, part};
use super::list::write_new_elements;
use super::net::{Absent, HEADER_BYTES, header};
use super::scope::Scope;

/// Bytes by which an operation may be longer than its text: a header, and lengths.
const LONGER_MAX: usize = 64;

/// A length below this takes one byte.
const SHORT: usize = 0x80;

/// Writes an update's net operation to `out`, whatever is there; nothing where that takes more than a glance.
pub(super) fn encode(text: &[u8], scope: &Scope, out: &mut Vec<u8>) -> Option<()> {
    let glance = Glance::new(text, scope.document)?;
    let room = text.len() + LONGER_MAX;
    if out.len() < room {
        out.resize(room, 0);
    }
    let direct = Direct { glance, increment_digits: scope.increment_digits, out, at: HEADER_BYTES };
    let end = direct.run()?;
    out.truncate(end);
    Some(())
}

/// Bytes before the payload of a run of one primitive: two lengths, and a kind between.
const LEVEL_BYTES: usize = 3;

/// A key of a body.
#[derive(Clone, Copy, Debug)]
enum Key {
    /// `doc`, as sets, or a field operation.
    Section(Kind),
    Upsert,
    DocAsUpsert,
    DetectNoop,
}

impl Key {
    #[inline]
    fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"doc" => Self::Section(Kind::Set),
            b"inc" => Self::Section(Kind::Inc),
            b"append" => Self::Section(Kind::Append),
            b"union" => Self::Section(Kind::Union),
            b"subtract" => Self::Section(Kind::Subtract),
            b"min" => Self::Section(Kind::Min),
            b"max" => Self::Section(Kind::Max),
            b"remove" => Self::Section(Kind::Remove),
            b"upsert" => Self::Upsert,
            b"doc_as_upsert" => Self::DocAsUpsert,
            b"detect_noop" => Self::DetectNoop,
            _ => return None,
        })
    }

    /// Its bit in a set of keys.
    #[inline]
    fn bit(self) -> u32 {
        match self {
            Self::Section(kind) => 1 << kind as u8,
            Self::Upsert => 1 << 16,
            Self::DocAsUpsert => 1 << 17,
            Self::DetectNoop => 1 << 18,
        }
    }
}

/// The bits of the sections.
const SECTIONS: u32 = 0xFFFF;

#[derive(Debug)]
struct Direct<'t, 'o> {
    glance: Glance<'t>,
    increment_digits: Option<usize>,
    out: &'o mut [u8],
    /// Where the next field goes.
    at: usize,
}

impl Direct<'_, '_> {
    /// Writes the operation; where it ends.
    fn run(mut self) -> Option<usize> {
        let (mut keys, mut names) = (0_u32, Level::default());
        let (mut upsert, mut doc_as_upsert, mut detect_noop) = (None, false, true);
        let mut at = self.glance.space(0);
        if self.glance.byte(at) != b'{' {
            return None;
        }
        at = self.glance.space(at + 1);
        loop {
            if self.glance.byte(at) != b'"' {
                return None;
            }
            let end = self.glance.name(at + 1)?.end;
            let key = Key::of(part(self.glance.words.text, at + 1, end))?;
            at = self.glance.after(end + 1, b':')?;
            if keys & key.bit() != 0 {
                return None;
            }
            keys |= key.bit();
            match key {
                Key::Section(kind) => at = self.section(kind, at, &mut names)?,
                Key::Upsert => {
                    let start = at;
                    at = self.document(at, names)?;
                    upsert = Some(part(self.glance.words.text, start, at));
                }
                Key::DocAsUpsert => (doc_as_upsert, at) = self.boolean(at)?,
                Key::DetectNoop => (detect_noop, at) = self.boolean(at)?,
            }
            at = self.glance.space(at);
            match self.glance.byte(at) {
                b',' => at = self.glance.space(at + 1),
                b'}' => break,
                _ => return None,
            }
        }
        self.glance.finish(at + 1)?;
        if keys & SECTIONS == 0 {
            return None;
        }
        let fields = self.at - HEADER_BYTES;
        let absent = match upsert {
            _ if doc_as_upsert => Absent::FromPatch,
            Some(document) => {
                self.put_upsert(document)?;
                Absent::Document(document)
            }
            None => Absent::None,
        };
        *self.out.first_chunk_mut()? = header(!detect_noop, absent, u32::from(fields > 0));
        Some(self.at)
    }

    /// Writes the fields of a section, whose value starts at `at`; the place after it.
    fn section(&mut self, kind: Kind, at: usize, names: &mut Level) -> Option<usize> {
        if self.glance.byte(at) != b'{' {
            return None;
        }
        let first = self.glance.space(at + 1);
        if self.glance.byte(first) == b'}' {
            return Some(first + 1);
        }
        self.fields(kind, first, names, LEVELS_MAX)
    }

    /// Writes the fields of a level that has some, the first of which starts at `at`; the place after it.
    fn fields(&mut self, kind: Kind, mut at: usize, names: &mut Level, levels_left: usize) -> Option<usize> {
        let levels_left = levels_left.checked_sub(1)?;
        loop {
            let start = at + 1;
            let (Seen { end, .. }, value) = self.glance.member(at, names)?;
            self.put_name(start, end - start)?;
            at = if self.glance.byte(value) == b'{' {
                self.level(kind, value, *names, levels_left)?
            } else {
                let end = self.glance.value(value, *names, levels_left)?;
                self.leaf(kind, value, end)?;
                end
            };
            at = self.glance.space(at);
            match self.glance.byte(at) {
                b',' => at = self.glance.space(at + 1),
                b'}' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// Writes the field of an object, which stands at `at`; the place after it.
    fn level(&mut self, kind: Kind, at: usize, above: Level, levels_left: usize) -> Option<usize> {
        let start = self.at;
        self.at += LEVEL_BYTES;
        let first = self.glance.space(at + 1);
        let end = if self.glance.byte(first) != b'}' {
            self.fields(kind, first, &mut above.below(), levels_left)?
        } else if kind == Kind::Set {
            first + 1
        } else {
            return None;
        };
        self.close(start, level_kind(kind))?;
        Some(end)
    }

    /// Writes the field of an operand.
    #[inline]
    fn leaf(&mut self, kind: Kind, at: usize, end: usize) -> Option<()> {
        match kind {
            Kind::Set => self.put_payload(kind, at, end),
            _ => self.operand(kind, at, end),
        }
    }

    fn operand(&mut self, kind: Kind, mut at: usize, mut end: usize) -> Option<()> {
        let text = self.glance.words.text;
        let first = self.glance.byte(at);
        let is_number = matches!(first, b'-' | b'0'..=b'9');
        let is_fit = match kind {
            Kind::Inc => is_number && self.is_increment(part(text, at, end)),
            Kind::Min | Kind::Max => is_number || first == b'"',
            Kind::Remove => first == b't',
            _ => true,
        };
        if !is_fit {
            return None;
        }
        match kind {
            Kind::Remove => end = at,
            Kind::Append | Kind::Union | Kind::Subtract if first == b'[' => {
                (at, end) = self.inside(at, end);
                if kind != Kind::Append && !are_distinct(part(text, at, end)) {
                    return self.put_distinct(kind, part(text, at, end));
                }
            }
            _ => {}
        }
        self.put_payload(kind, at, end)
    }

    /// True where a number's digits and exponent are few enough beyond doubt.
    fn is_increment(&self, number: &[u8]) -> bool {
        self.increment_digits
            .is_none_or(|most| number.len() <= most && !number.iter().any(|byte| byte | 0x20 == b'e'))
    }

    /// Where the elements of a list start and end.
    fn inside(&self, at: usize, end: usize) -> (usize, usize) {
        let (from, mut to) = (self.glance.space(at + 1), end - 1);
        while to > from && is_space(self.glance.byte(to - 1)) {
            to -= 1;
        }
        (from, to)
    }

    /// The place after the object at a place.
    fn document(&mut self, at: usize, names: Level) -> Option<usize> {
        if self.glance.byte(at) != b'{' {
            return None;
        }
        self.glance.value(at, names, LEVELS_MAX)
    }

    fn boolean(&self, at: usize) -> Option<(bool, usize)> {
        let end = self.glance.literal(at)?;
        match self.glance.byte(at) {
            b't' => Some((true, end)),
            b'f' => Some((false, end)),
            _ => None,
        }
    }

    /// Writes a word where the next bytes go; only some of its bytes may be meant to stay.
    #[inline]
    fn put_word(&mut self, at: usize, word: u64) -> Option<()> {
        *self.out.get_mut(at..)?.first_chunk_mut()? = word.to_le_bytes();
        Some(())
    }

    /// Copies text by words from `done` bytes on: what was copied before with other things.
    #[inline]
    fn put_text(&mut self, at: usize, from: usize, mut done: usize, length: usize) -> Option<()> {
        while done < length {
            self.put_word(at + done, self.glance.words.at(from + done))?;
            done += 8;
        }
        Some(())
    }

    /// Writes the name of a field: one without escapes.
    #[inline]
    fn put_name(&mut self, from: usize, length: usize) -> Option<()> {
        if length << 1 >= SHORT {
            return None;
        }
        self.put_word(self.at, self.glance.words.at(from) << 8 | (length as u64) << 1)?;
        self.put_text(self.at + 1, from, 7, length)?;
        self.at += 1 + length;
        Some(())
    }

    /// Writes a run of one primitive.
    #[inline]
    fn put_payload(&mut self, kind: Kind, from: usize, end: usize) -> Option<()> {
        let length = end - from;
        if length + 2 >= SHORT {
            return self.put_long_payload(kind, part(self.glance.words.text, from, end));
        }
        self.put_word(self.at, self.glance.words.at(from) << 24 | level_word(length, kind))?;
        self.put_text(self.at + LEVEL_BYTES, from, 5, length)?;
        self.at += LEVEL_BYTES + length;
        Some(())
    }

    #[inline(never)]
    fn put_long_payload(&mut self, kind: Kind, payload: &[u8]) -> Option<()> {
        let at = self.put_level(self.at, kind, payload.len())?;
        self.at = at + payload.len();
        self.out.get_mut(at..self.at)?.copy_from_slice(payload);
        Some(())
    }

    #[inline(never)]
    fn put_distinct(&mut self, kind: Kind, list: &[u8]) -> Option<()> {
        let mut distinct = Vec::new();
        write_new_elements(b"", list, &mut distinct);
        self.put_long_payload(kind, &distinct)
    }

    /// Writes the length of a run, its only primitive's kind, and that one's length; the place after them.
    #[inline(never)]
    fn put_level(&mut self, at: usize, kind: Kind, length: usize) -> Option<usize> {
        let at = self.put_length(at, 1 + length_bytes(length) + length)?;
        *self.out.get_mut(at)? = kind as u8;
        self.put_length(at + 1, length)
    }

    fn put_length(&mut self, mut at: usize, mut length: usize) -> Option<usize> {
        while length >= SHORT {
            *self.out.get_mut(at)? = low_byte(length) | 0x80;
            (at, length) = (at + 1, length >> 7);
        }
        *self.out.get_mut(at)? = low_byte(length);
        Some(at + 1)
    }

    /// Fills in what stands before the fields of a level, for which there is room at `start`.
    #[inline]
    fn close(&mut self, start: usize, kind: Kind) -> Option<()> {
        let length = self.at - start - LEVEL_BYTES;
        if length + 2 >= SHORT {
            return self.close_long(start, kind, length);
        }
        let head: &mut [u8; LEVEL_BYTES] = self.out.get_mut(start..)?.first_chunk_mut()?;
        *head = [low_byte(length + 2), kind as u8, low_byte(length)];
        Some(())
    }

    #[inline(never)]
    fn close_long(&mut self, start: usize, kind: Kind, length: usize) -> Option<()> {
        let inner = length_bytes(length);
        let bytes = length_bytes(1 + inner + length) + 1 + inner;
        self.make_room(start + LEVEL_BYTES, bytes - LEVEL_BYTES)?;
        self.put_level(start, kind, length).map(drop)
    }

    /// Moves what was written from a place on.
    fn make_room(&mut self, from: usize, bytes: usize) -> Option<()> {
        let written = self.out.get_mut(..self.at + bytes)?;
        written.copy_within(from..self.at, from + bytes);
        self.at += bytes;
        Some(())
    }

    /// Puts an absent document before the fields.
    fn put_upsert(&mut self, document: &[u8]) -> Option<()> {
        self.make_room(HEADER_BYTES, length_bytes(document.len()) + document.len())?;
        let at = self.put_length(HEADER_BYTES, document.len())?;
        self.out.get_mut(at..at + document.len())?.copy_from_slice(document);
        Some(())
    }
}

/// A level's three bytes, in a word.
#[inline]
fn level_word(length: usize, kind: Kind) -> u64 {
    let length = length as u64;
    (length + 2) | (kind as u64) << 8 | length << 16
}

fn low_byte(length: usize) -> u8 {
    length.to_le_bytes()[0]
}

/// Bytes of a length.
fn length_bytes(length: usize) -> usize {
    (usize::BITS - (length | 1).leading_zeros()).div_ceil(7) as usize
}

/// Elements that are compared one with another here.
const ELEMENTS_MAX: usize = 8;

/// True where no two elements of a list, given without its brackets, are equal, and there is no white space between.
fn are_distinct(list: &[u8]) -> bool {
    let mut elements = [&[][..]; ELEMENTS_MAX];
    let (mut count, mut bytes) = (0, 0);
    let is_plain = !list.contains(&b'\\');
    let is_string = |element: &[u8]| byte(element, 0) == b'"';
    for element in Elements::new(list) {
        let Some(room) = elements.get_mut(count) else { return false };
        *room = element;
        let before = elements.get(..count).unwrap_or_default();
        let same = |other: &&[u8]| {
            if is_plain && (is_string(element) || is_string(other)) {
                element == *other
            } else {
                equal(element, other)
            }
        };
        if before.iter().any(same) {
            return false;
        }
        count += 1;
        bytes += element.len();
    }
    bytes + count.saturating_sub(1) == list.len()
}
