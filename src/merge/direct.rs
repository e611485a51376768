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

#![expect(
    clippy::inline_always,
    reason = "measured: left to its own judgement the compiler makes calls of steps shorter than a call"
)]

use super::body::level_kind;
use super::encoding::Kind;
use super::json::between::{Next, name_after, next_member, opened, space, until, value_after};
use super::json::equal::equal;
use super::json::glance::{Glance, LEVELS_MAX, Level, Seen, short_print};
use super::json::scan::{Elements, byte, part, trim};
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

/// The keys of up to seven bytes, by their prints.
const SHORT_KEYS: [(u64, Key); 8] = [
    (short_print(*b"doc\0\0\0\0\0"), Key::Section(Kind::Set)),
    (short_print(*b"inc\0\0\0\0\0"), Key::Section(Kind::Inc)),
    (short_print(*b"union\0\0\0"), Key::Section(Kind::Union)),
    (short_print(*b"max\0\0\0\0\0"), Key::Section(Kind::Max)),
    (short_print(*b"min\0\0\0\0\0"), Key::Section(Kind::Min)),
    (short_print(*b"append\0\0"), Key::Section(Kind::Append)),
    (short_print(*b"remove\0\0"), Key::Section(Kind::Remove)),
    (short_print(*b"upsert\0\0"), Key::Upsert),
];

impl Key {
    #[inline(always)]
    fn of(name: &[u8], print: u64) -> Option<Self> {
        if name.len() < 8 {
            return SHORT_KEYS.iter().find(|(short, _)| *short == print).map(|(_, key)| *key);
        }
        match name {
            b"doc_as_upsert" => Some(Self::DocAsUpsert),
            b"detect_noop" => Some(Self::DetectNoop),
            b"subtract" => Some(Self::Section(Kind::Subtract)),
            _ => None,
        }
    }

    /// Its bit in a set of keys.
    #[inline(always)]
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
struct Direct<'a, 'o> {
    glance: Glance<'a>,
    increment_digits: Option<usize>,
    out: &'o mut [u8],
    /// Where the next field goes.
    at: usize,
}

impl<'a> Direct<'a, '_> {
    /// Writes the operation; where it ends.
    fn run(mut self) -> Option<usize> {
        let (mut keys, mut names) = (0_u32, Level::default());
        let (mut upsert, mut doc_as_upsert, mut detect_noop) = (None, false, true);
        let text = space(self.glance.text());
        let mut rest = name_after(opened(text)?)?;
        let end = loop {
            // Told apart by their bits: the keys of a body are no names of a level.
            let name = self.glance.name(rest, &mut names.below())?;
            let key = Key::of(quoted(rest, name.after), name.print)?;
            let value = value_after(name.after)?;
            if keys & key.bit() != 0 {
                return None;
            }
            keys |= key.bit();
            let after = match key {
                Key::Section(kind) => self.section(kind, opened(value)?, &mut names)?,
                Key::Upsert => {
                    opened(value)?;
                    let after = self.glance.value(value, names, LEVELS_MAX)?;
                    upsert = Some(until(value, after));
                    after
                }
                Key::DocAsUpsert => self.boolean(value, &mut doc_as_upsert)?,
                Key::DetectNoop => self.boolean(value, &mut detect_noop)?,
            };
            match next_member(after)? {
                Next::Item(next) => rest = next,
                Next::Closed(after) => break after,
            }
        };
        self.glance.finish(end)?;
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

    /// Writes the fields of a section, of which this follows the opening brace; what follows it.
    fn section(&mut self, kind: Kind, rest: &'a [u8], names: &mut Level) -> Option<&'a [u8]> {
        match name_after(rest) {
            Some(first) => self.fields(kind, first, names, LEVELS_MAX),
            None => space(rest).strip_prefix(b"}"),
        }
    }

    /// Writes the fields of a level, of which this follows the opening quote of the first; what follows it.
    fn fields(
        &mut self,
        kind: Kind,
        mut rest: &'a [u8],
        names: &mut Level,
        levels_left: usize,
    ) -> Option<&'a [u8]> {
        let levels_left = levels_left.checked_sub(1)?;
        loop {
            let name = self.glance.name(rest, names)?;
            self.put_name(rest, name)?;
            let value = value_after(name.after)?;
            let after = if let Some(level) = opened(value) {
                self.level(kind, level, *names, levels_left)?
            } else {
                let after = self.glance.value(value, *names, levels_left)?;
                match kind {
                    Kind::Set => self.put_payload(kind, value, value.len() - after.len())?,
                    _ => self.operand(kind, value, after)?,
                }
                after
            };
            match next_member(after)? {
                Next::Item(next) => rest = next,
                Next::Closed(after) => return Some(after),
            }
        }
    }

    /// Writes the field of an object, of which this follows the opening brace; what follows it.
    fn level(&mut self, kind: Kind, rest: &'a [u8], above: Level, levels_left: usize) -> Option<&'a [u8]> {
        let start = self.at;
        self.at += LEVEL_BYTES;
        let after = match name_after(rest) {
            Some(first) => self.fields(kind, first, &mut above.below(), levels_left)?,
            None if kind == Kind::Set => space(rest).strip_prefix(b"}")?,
            None => return None,
        };
        self.close(start, level_kind(kind))?;
        Some(after)
    }

    /// Writes the field of an operand, which is followed by `after`.
    #[inline(never)]
    fn operand(&mut self, kind: Kind, value: &'a [u8], after: &'a [u8]) -> Option<()> {
        let operand = until(value, after);
        let first = *operand.first()?;
        let is_number = matches!(first, b'-' | b'0'..=b'9');
        let is_fit = match kind {
            Kind::Inc => is_number && self.is_increment(operand),
            Kind::Min | Kind::Max => is_number || first == b'"',
            Kind::Remove => first == b't',
            _ => true,
        };
        if !is_fit {
            return None;
        }
        match kind {
            Kind::Remove => self.put_payload(kind, value, 0),
            Kind::Append | Kind::Union | Kind::Subtract if first == b'[' => {
                let elements = trim(part(operand, 1, operand.len() - 1));
                if kind == Kind::Append || are_distinct(elements) {
                    return self.put_bytes(kind, elements);
                }
                let mut distinct = Vec::new();
                write_new_elements(b"", elements, &mut distinct);
                self.put_bytes(kind, &distinct)
            }
            _ => self.put_payload(kind, value, operand.len()),
        }
    }

    /// True where a number's digits and exponent are few enough beyond doubt.
    fn is_increment(&self, number: &[u8]) -> bool {
        self.increment_digits
            .is_none_or(|most| number.len() <= most && !number.iter().any(|byte| byte | 0x20 == b'e'))
    }

    fn boolean(&self, value: &'a [u8], is_true: &mut bool) -> Option<&'a [u8]> {
        let after = self.glance.literal(value)?;
        *is_true = value.first() == Some(&b't');
        (value.first() != Some(&b'n')).then_some(after)
    }

    /// Writes a word, of which only some bytes may be meant to stay.
    #[inline(always)]
    fn put_word(&mut self, at: usize, word: u64) -> Option<()> {
        *self.out.get_mut(at..)?.first_chunk_mut()? = word.to_le_bytes();
        Some(())
    }

    /// Copies text by words from `done` bytes on: what was copied before, together with other things.
    #[inline(always)]
    fn put_text(&mut self, at: usize, from: &'a [u8], mut done: usize, length: usize) -> Option<()> {
        while done < length {
            self.put_word(at + done, self.glance.word(from.get(done..)?))?;
            done += 8;
        }
        Some(())
    }

    /// Writes the name of a field: one without escapes.
    #[inline(always)]
    fn put_name(&mut self, from: &'a [u8], name: Seen<'a>) -> Option<()> {
        let length = quoted(from, name.after).len();
        if length << 1 >= SHORT {
            return None;
        }
        self.put_word(self.at, (name.word << 8) | ((length as u64) << 1))?;
        self.put_text(self.at + 1, from, 7, length)?;
        self.at += 1 + length;
        Some(())
    }

    /// Writes a run of one primitive, whose payload is the start of what is left.
    #[inline(always)]
    fn put_payload(&mut self, kind: Kind, from: &'a [u8], length: usize) -> Option<()> {
        if length + 2 >= SHORT {
            return self.put_bytes(kind, part(from, 0, length));
        }
        self.put_word(self.at, (self.glance.word(from) << 24) | level_word(length, kind))?;
        self.put_text(self.at + LEVEL_BYTES, from, 5, length)?;
        self.at += LEVEL_BYTES + length;
        Some(())
    }

    /// Writes a run of one primitive.
    #[inline(never)]
    fn put_bytes(&mut self, kind: Kind, payload: &[u8]) -> Option<()> {
        let at = self.put_level(self.at, kind, payload.len())?;
        self.at = at + payload.len();
        self.out.get_mut(at..self.at)?.copy_from_slice(payload);
        Some(())
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
    #[inline(always)]
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

/// A name, given what follows its opening quote and its closing one.
#[inline(always)]
fn quoted<'a>(start: &'a [u8], after: &[u8]) -> &'a [u8] {
    part(start, 0, start.len().wrapping_sub(after.len() + 1))
}

/// A level's three bytes, in a word.
#[inline(always)]
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
