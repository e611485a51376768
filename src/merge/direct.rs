//! The text of a common update, written as its net operation while it is checked.
//!
//! # Design
//! One pass over the text: each name and value goes to the output as soon as its end is found. As in
//! [`glance`](super::json::glance) the answer is the operation or nothing; then [`body`](super::body) reads the text
//! again, and decides. Left to it are `set`, `then`, and all that is refused.
//!
//! The sections of a body are written one after another. Where no name is on the upper level of two, that is all
//! there is to joining them.
//!
//! # Invariants
//! 1. What is written here is what [`body`](super::body) writes, byte for byte.

#![expect(
    clippy::inline_always,
    reason = "measured: left to its own judgement the compiler makes calls of steps shorter than a call"
)]

mod writer;

use super::body::{join, level_kind};
use super::encoding::Kind;
use super::json::between::{Next, name_after, next_member, opened, space, until, value_after};
use super::json::equal::equal;
use super::json::glance::{Glance, LEVELS_MAX, Level, short_print, with_prints};
use super::json::scan::{Elements, byte, part, trim};
use super::list::write_new_elements;
use super::net::Absent;
use super::scope::Scope;
use writer::Writer;

/// Bytes by which an operation may be longer than its text: a header, and lengths.
const LONGER_MAX: usize = 64;

/// Writes an update's net operation to `out`, whatever is there; nothing where that takes more than a glance.
pub(super) fn encode(text: &[u8], scope: &Scope, out: &mut Vec<u8>) -> Option<()> {
    let room = text.len() + LONGER_MAX;
    if out.len() < room {
        out.resize(room, 0);
    }
    let end = with_prints(|prints| {
        let glance = Glance::new(text, scope.document, prints)?;
        let writer = Writer::new(out, glance.reader());
        Direct { glance, increment_digits: scope.increment_digits, writer, names: Level::default() }.run()
    })?;
    out.truncate(end);
    Some(())
}

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
struct Direct<'a, 'p> {
    glance: Glance<'a, 'p>,
    increment_digits: Option<usize>,
    writer: Writer<'p>,
    /// The names on the upper level.
    names: Level,
}

impl<'a> Direct<'a, '_> {
    /// Writes the operation; where it ends.
    fn run(mut self) -> Option<usize> {
        let mut keys = 0_u32;
        let (mut upsert, mut doc_as_upsert, mut detect_noop) = (None, false, true);
        let text = space(self.glance.text());
        let mut rest = name_after(opened(text)?)?;
        let end = loop {
            // Told apart by their bits: the keys of a body are no names of a level.
            let name = self.glance.name(rest, &mut self.names.below())?;
            let key = Key::of(quoted(rest, name.after), name.print)?;
            let value = value_after(name.after)?;
            if keys & key.bit() != 0 {
                return None;
            }
            keys |= key.bit();
            let after = match key {
                Key::Section(kind) => self.section(kind, opened(value)?)?,
                Key::Upsert => {
                    opened(value)?;
                    let after = self.glance.value(value, self.names, LEVELS_MAX)?;
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
        let absent = match upsert {
            _ if doc_as_upsert => Absent::FromPatch,
            Some(document) => Absent::Document(document),
            None => Absent::None,
        };
        self.writer.finish(!detect_noop, absent)
    }

    /// Writes the fields of a section, of which this follows the opening brace, and joins them with those before; what
    /// follows it.
    fn section(&mut self, kind: Kind, rest: &'a [u8]) -> Option<&'a [u8]> {
        let Some(first) = name_after(rest) else { return space(rest).strip_prefix(b"}") };
        let (start, mut names) = (self.writer.at, self.names.below());
        let after = self.fields(kind, first, &mut names, LEVELS_MAX)?;
        if self.glance.have_in_common(self.names, names) {
            let (before, added) = self.writer.split_at(start)?;
            let joined = join(before, added, 0).ok()?;
            self.writer.replace(&joined)?;
        }
        self.names = self.names.with(names);
        Some(after)
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
            self.writer.put_name(rest, quoted(rest, name.after).len(), name.word)?;
            let value = value_after(name.after)?;
            let after = if let Some(level) = opened(value) {
                self.level(kind, level, *names, levels_left)?
            } else {
                let after = self.glance.value(value, *names, levels_left)?;
                match kind {
                    Kind::Set => self.writer.put_payload(kind, value, value.len() - after.len())?,
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
        let start = self.writer.open();
        let after = match name_after(rest) {
            Some(first) => self.fields(kind, first, &mut above.below(), levels_left)?,
            None if kind == Kind::Set => space(rest).strip_prefix(b"}")?,
            None => return None,
        };
        self.writer.close(start, level_kind(kind))?;
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
            Kind::Remove => self.writer.put_payload(kind, value, 0),
            Kind::Append | Kind::Union | Kind::Subtract if first == b'[' => {
                let elements = trim(part(operand, 1, operand.len() - 1));
                if kind == Kind::Append || are_distinct(elements) {
                    return self.writer.put_bytes(kind, elements);
                }
                let mut distinct = Vec::new();
                write_new_elements(b"", elements, &mut distinct);
                self.writer.put_bytes(kind, &distinct)
            }
            _ => self.writer.put_payload(kind, value, operand.len()),
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
}

/// A name, given what follows its opening quote and its closing one.
#[inline(always)]
fn quoted<'a>(start: &'a [u8], after: &[u8]) -> &'a [u8] {
    part(start, 0, start.len().wrapping_sub(after.len() + 1))
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
