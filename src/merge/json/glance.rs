//! The check of the common text, in one pass.
//!
//! # Design
//! Says of a text that it is sound, or nothing: then [`check`](super::check) reads it again and decides, in words. So
//! whatever is rare may be left to it: a malformed text, a name with an escape, deep nesting, many names, two
//! names that look equal. Places are found word by word ([`word`](super::word)).
//!
//! Names of one object are told apart by their prints: of a name up to seven bytes the print is as good as the name,
//! of a longer one it is a hash. A set of 64 bits says of most new names that they are new. Prints are kept per
//! thread: to empty the room for them would take longer than to fill it.
//!
//! UTF-8 is checked at the end, and only where a string had a byte that is not ASCII.
//!
//! # Invariants
//! 1. What is taken here, [`check`](super::check) takes, with the same start and end.
//! 2. It recurses no deeper than [`LEVELS_MAX`].

#![expect(
    clippy::inline_always,
    reason = "measured: left to its own judgement the compiler makes calls of steps shorter than a call"
)]

use super::between::{Next, name_after, next_member, opened, space, until, value_after};
use super::check::{Bounds, check_object};
use super::string::escape_end;
use super::word::{Reader, has_high, is_plain, lowest, non_digit, special};
use crate::Result;
use crate::operation::{DEPTH_MAX, NUMBER_BYTES_MAX};
use std::cell::RefCell;

/// Levels that are looked at here.
pub(in crate::merge) const LEVELS_MAX: usize = 32;

const _: () = assert!(LEVELS_MAX <= DEPTH_MAX);
// The numbers that are taken without measuring them: a minus, seven digits, a point, seven digits.
const _: () = assert!(NUMBER_BYTES_MAX >= 16);

/// Names of the objects that are open at one time.
pub(in crate::merge) const NAMES_MAX: usize = 128;

/// The prints of the names of the objects that are open.
pub(in crate::merge) type Prints = [u64; NAMES_MAX];

thread_local! {
    /// Room for prints: a kilobyte that need not be made empty for each text.
    static PRINTS: RefCell<Prints> = const { RefCell::new([0; NAMES_MAX]) };
}

/// Looks at a text; `look` may not look at another meanwhile.
pub(in crate::merge) fn with_prints<T>(look: impl FnOnce(&mut Prints) -> T) -> T {
    PRINTS.with_borrow_mut(look)
}

/// The object that a text is, with white space around it at most: at a glance, or after a closer look.
pub(in crate::merge) fn checked_object(text: &[u8], bounds: Bounds) -> Result<&[u8]> {
    match object(text, bounds) {
        Some(object) => Ok(object),
        None => check_object(text, bounds).map(|(object, _)| object),
    }
}

/// The object that a text is, with white space around it at most; nothing where that takes more than a glance.
pub(in crate::merge) fn object(text: &[u8], bounds: Bounds) -> Option<&[u8]> {
    with_prints(|prints| {
        let mut glance = Glance::new(text, bounds, prints)?;
        let start = space(text);
        let end = glance.object(opened(start)?, Level::default(), LEVELS_MAX.min(bounds.depth))?;
        glance.finish(end)?;
        Some(until(start, end))
    })
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
    #[inline(always)]
    pub(in crate::merge) fn below(&self) -> Self {
        Self { from: self.to, to: self.to, seen: 0 }
    }

    /// This object with names that were put [`below`](Self::below) it.
    #[inline(always)]
    pub(in crate::merge) fn with(&self, added: Self) -> Self {
        Self { from: self.from, to: added.to, seen: self.seen | added.seen }
    }
}

/// A name.
#[derive(Clone, Copy, Debug)]
pub(in crate::merge) struct Seen<'a> {
    /// What follows its closing quote.
    pub(in crate::merge) after: &'a [u8],
    /// Its first bytes, and what follows them.
    pub(in crate::merge) word: u64,
    pub(in crate::merge) print: u64,
}

/// A text that is looked at. Places in it are what is left of it from there on.
#[derive(Debug)]
pub(in crate::merge) struct Glance<'a, 'p> {
    text: &'a [u8],
    reader: Reader,
    /// The words of all strings, one upon the other.
    bytes: u64,
    number_bytes: usize,
    prints: &'p mut Prints,
}

impl<'a, 'p> Glance<'a, 'p> {
    /// A look at a text; nothing where it is too long.
    #[inline(always)]
    pub(in crate::merge) fn new(text: &'a [u8], bounds: Bounds, prints: &'p mut Prints) -> Option<Self> {
        if text.len() > bounds.text_bytes() {
            return None;
        }
        let (reader, number_bytes) = (Reader::new(text), bounds.number_bytes);
        Some(Self { text, reader, bytes: 0, number_bytes, prints })
    }

    /// After the last token: nothing follows, and what was in strings is UTF-8.
    #[inline(always)]
    pub(in crate::merge) fn finish(&self, rest: &'a [u8]) -> Option<()> {
        if !rest.is_empty() && !space(rest).is_empty() {
            return None;
        }
        if has_high(self.bytes) {
            return std::str::from_utf8(self.text).ok().map(drop);
        }
        Some(())
    }

    /// The whole text.
    pub(in crate::merge) fn text(&self) -> &'a [u8] {
        self.text
    }

    /// What reads the text.
    pub(in crate::merge) fn reader(&self) -> Reader {
        self.reader
    }

    /// The first eight bytes of what is left.
    #[inline(always)]
    pub(in crate::merge) fn word(&self, rest: &[u8]) -> u64 {
        self.reader.word(rest)
    }

    /// The object of which this follows the opening brace; what follows it.
    fn object(&mut self, rest: &'a [u8], mut level: Level, levels_left: usize) -> Option<&'a [u8]> {
        let levels_left = levels_left.checked_sub(1)?;
        let Some(mut rest) = name_after(rest) else { return space(rest).strip_prefix(b"}") };
        loop {
            let name = self.name(rest, &mut level)?;
            let value = value_after(name.after)?;
            let after = self.value(value, level, levels_left)?;
            match next_member(after)? {
                Next::Item(next) => rest = next,
                Next::Closed(after) => return Some(after),
            }
        }
    }

    /// The list of which this follows the opening bracket; what follows it.
    fn list(&mut self, rest: &'a [u8], level: Level, levels_left: usize) -> Option<&'a [u8]> {
        let levels_left = levels_left.checked_sub(1)?;
        let mut rest = space(rest);
        if let [b']', after @ ..] = rest {
            return Some(after);
        }
        loop {
            let after = self.value(rest, level, levels_left)?;
            match space(after) {
                [b',', next @ ..] => rest = space(next),
                [b']', after @ ..] => return Some(after),
                _ => return None,
            }
        }
    }

    /// A value, of which `levels_left` levels are looked at; what follows it.
    #[inline(always)]
    pub(in crate::merge) fn value(
        &mut self,
        rest: &'a [u8],
        level: Level,
        levels_left: usize,
    ) -> Option<&'a [u8]> {
        match rest {
            [b'"', rest @ ..] => self.string(rest),
            [b'0'..=b'9', ..] => self.number(rest),
            [b'-', rest @ ..] => self.number(rest),
            [b'{', rest @ ..] => self.object(rest, level.below(), levels_left),
            [b'[', rest @ ..] => self.list(rest, level.below(), levels_left),
            _ => self.literal(rest),
        }
    }

    /// The name of which this follows the opening quote: one that is new to its object.
    #[inline(always)]
    pub(in crate::merge) fn name(&mut self, rest: &'a [u8], level: &mut Level) -> Option<Seen<'a>> {
        let word = self.word(rest);
        self.bytes |= word;
        let (after, print) = match special(word) {
            Some(hit) if hit.byte(word) == b'"' => (rest.get(hit.place() + 1..)?, mixed(hit.before(word))),
            Some(_) => return None,
            None => self.name_of_two_words(rest, word)?,
        };
        self.note(print, level)?;
        Some(Seen { after, word, print })
    }

    /// The rest of a name that has more than a word: what follows it, and its print.
    #[inline(always)]
    fn name_of_two_words(&mut self, rest: &'a [u8], first: u64) -> Option<(&'a [u8], u64)> {
        let (rest, print) = (rest.get(8..)?, mixed(first).rotate_left(32));
        let word = self.word(rest);
        self.bytes |= word;
        match special(word) {
            Some(hit) if hit.byte(word) == b'"' => {
                Some((rest.get(hit.place() + 1..)?, mixed(print ^ hit.before(word))))
            }
            Some(_) => None,
            None => self.long_name(rest, mixed(print ^ word)),
        }
    }

    #[inline(never)]
    fn long_name(&mut self, mut rest: &'a [u8], mut print: u64) -> Option<(&'a [u8], u64)> {
        loop {
            rest = rest.get(8..)?;
            let word = self.word(rest);
            self.bytes |= word;
            print = print.rotate_left(32);
            let Some(hit) = special(word) else {
                print = mixed(print ^ word);
                continue;
            };
            let after = rest.get(hit.place()..)?.strip_prefix(b"\"")?;
            return Some((after, mixed(print ^ hit.before(word))));
        }
    }

    /// Adds a name to its object, where it may not stand yet.
    #[inline(always)]
    fn note(&mut self, print: u64, level: &mut Level) -> Option<()> {
        let bit = 1 << (print >> 58);
        if level.seen & bit != 0 && self.stands(print, *level) {
            return None;
        }
        *self.prints.get_mut(level.to)? = print;
        level.to += 1;
        level.seen |= bit;
        Some(())
    }

    /// True where names of two objects may be equal.
    #[inline(always)]
    pub(in crate::merge) fn have_in_common(&self, one: Level, other: Level) -> bool {
        one.seen & other.seen != 0
            && self.prints_of(other).iter().any(|print| self.prints_of(one).contains(print))
    }

    fn prints_of(&self, level: Level) -> &[u64] {
        self.prints.get(level.from..level.to).unwrap_or_default()
    }

    #[inline(never)]
    fn stands(&self, print: u64, level: Level) -> bool {
        self.prints_of(level).contains(&print)
    }

    /// The string of which this follows the opening quote; what follows it.
    #[inline(always)]
    fn string(&mut self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let word = self.word(rest);
        self.bytes |= word;
        match special(word) {
            Some(hit) if hit.byte(word) == b'"' => rest.get(hit.place() + 1..),
            Some(_) => self.long_string(rest),
            None => self.long_string(rest.get(8..)?),
        }
    }

    #[inline(never)]
    fn long_string(&mut self, mut rest: &'a [u8]) -> Option<&'a [u8]> {
        loop {
            // As long as a block: where that was not plain, for this it is only where something is not ASCII.
            for _ in 0..4 {
                let word = self.word(rest);
                self.bytes |= word;
                rest = match special(word) {
                    None => rest.get(8..)?,
                    Some(hit) => match rest.get(hit.place()..)? {
                        [b'"', after @ ..] => return Some(after),
                        [b'\\', ..] => {
                            let escape = rest.get(hit.place()..)?;
                            escape.get(escape_end(escape, 0)?..)?
                        }
                        _ => return None,
                    },
                };
            }
            while let Some((block, after)) = rest.split_first_chunk()
                && is_plain(block)
            {
                rest = after;
            }
        }
    }

    /// The number of which this follows the minus, if it has one; what follows it.
    #[inline(always)]
    fn number(&self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let word = self.word(rest);
        let Some(whole) = non_digit(word) else { return self.long_number(rest) };
        let mark = whole.byte(word);
        if mark == b'.' || mark | 0x20 == b'e' {
            return self.fraction(rest, whole.place());
        }
        let is_number = whole.place() == 1 || (whole.place() > 1 && word.to_le_bytes()[0] != b'0');
        if is_number { rest.get(whole.place()..) } else { None }
    }

    /// The same for a number with so many digits before a point or an exponent.
    #[inline(never)]
    fn fraction(&self, rest: &'a [u8], whole: usize) -> Option<&'a [u8]> {
        if let [_, b'.', fraction @ ..] = rest.get(whole.checked_sub(1)?..)?
            && (whole == 1 || rest.first() != Some(&b'0'))
        {
            let word = self.word(fraction);
            if let Some(digits) = non_digit(word)
                && digits.byte(word) | 0x20 != b'e'
            {
                return if digits.place() > 0 { fraction.get(digits.place()..) } else { None };
            }
        }
        self.long_number(rest)
    }

    #[inline(never)]
    fn long_number(&self, start: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = self.digits(start)?;
        if let [b'0', b'0'..=b'9', ..] = start {
            return None;
        }
        if let [b'.', fraction @ ..] = rest {
            rest = self.digits(fraction)?;
        }
        if let [b'e' | b'E', exponent @ ..] = rest {
            rest = self.digits(if let [b'+' | b'-', digits @ ..] = exponent { digits } else { exponent })?;
        }
        // With a minus before it, which may or may not be there.
        (start.len() - rest.len() < self.number_bytes).then_some(rest)
    }

    /// What follows some digits.
    #[inline(always)]
    fn digits(&self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let word = self.word(rest);
        match non_digit(word) {
            Some(hit) if hit.place() > 0 => rest.get(hit.place()..),
            Some(_) => None,
            None => rest.get(rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len())..),
        }
    }

    /// A `true`, `false` or `null`; what follows it.
    #[inline(always)]
    pub(in crate::merge) fn literal(&self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let word = self.word(rest);
        let four = lowest(word, 4);
        if four == TRUE || four == NULL {
            return rest.get(4..);
        }
        if lowest(word, 5) == FALSE { rest.get(5..) } else { None }
    }
}

/// The print of a name of up to seven bytes, with zeros after it: no other such name has it.
pub(in crate::merge) const fn short_print(name: [u8; 8]) -> u64 {
    mixed(u64::from_le_bytes(name))
}

const TRUE: u64 = u64::from_le_bytes(*b"true\0\0\0\0");
const NULL: u64 = u64::from_le_bytes(*b"null\0\0\0\0");
const FALSE: u64 = u64::from_le_bytes(*b"false\0\0\0");

/// A word's bits, mixed one to one: the upper ones depend on all.
#[inline(always)]
pub(in crate::merge) const fn mixed(word: u64) -> u64 {
    word.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
