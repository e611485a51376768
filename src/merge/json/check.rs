//! The check of a text that comes in: RFC 8259, no name twice in one object, and the limits.
//!
//! # Design
//! One pass with a stack of its own, so that no nesting can overflow the thread's; short texts allocate
//! nothing. Names are compared as they come while an object is narrow; a wide one is checked through a hash
//! table when it closes, so that no object costs the square of its width.

use super::scan::{byte, part, space};
use super::string::{Name, escape_end};
use crate::{Error, ErrorKind, Result};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

/// What a text may not exceed.
#[derive(Clone, Copy, Debug)]
pub(in crate::merge) struct Bounds {
    /// Bytes of the whole text.
    pub(in crate::merge) bytes: usize,
    /// Nesting.
    pub(in crate::merge) depth: usize,
    /// Bytes of one number.
    pub(in crate::merge) number_bytes: usize,
}

impl Bounds {
    /// Bytes of a text: places in it are kept in 32 bits.
    pub(super) fn text_bytes(&self) -> usize {
        self.bytes.min(u32::MAX as usize)
    }
}

/// Checks a text: one JSON object with white space around it at most. Returns the object's text and how deep it
/// nests.
pub(in crate::merge) fn check_object(text: &[u8], bounds: Bounds) -> Result<(&[u8], usize)> {
    let (start, end, depth) = check(text, bounds)?;
    if byte(text, start) != b'{' {
        return Err(invalid("a document or body must be a JSON object", start));
    }
    Ok((part(text, start, end), depth))
}

/// Checks a text of one value: where it starts, where it ends, and how deep it nests.
pub(in crate::merge) fn check(text: &[u8], bounds: Bounds) -> Result<(usize, usize, usize)> {
    let limit = bounds.text_bytes();
    if text.len() > limit {
        let message = format!("the body has {} bytes, and at most {limit} are taken", text.len());
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    if let Err(error) = std::str::from_utf8(text) {
        return Err(invalid("the text is not UTF-8", error.valid_up_to()));
    }
    if text.starts_with(b"\xEF\xBB\xBF") {
        return Err(invalid("the text starts with a byte order mark", 0));
    }
    let mut checker = Checker { text, bounds, levels: Stack::default(), names: Stack::default(), deepest: 0 };
    let start = space(text, 0);
    let end = checker.run(start)?;
    let rest = space(text, end);
    if rest != text.len() {
        return Err(invalid("there is something after the value", rest));
    }
    Ok((start, end, checker.deepest))
}

fn invalid(message: impl Into<String>, at: usize) -> Error {
    Error::new(ErrorKind::Invalid, message).at(at)
}

/// An object's names are compared one with another up to here; beyond, through a table.
const NARROW_MAX: usize = 16;

/// A stack whose first entries need no allocation.
struct Stack<T, const N: usize> {
    near: [T; N],
    far: Vec<T>,
    len: usize,
}

impl<T: Copy + Default, const N: usize> Default for Stack<T, N> {
    fn default() -> Self {
        Self { near: [T::default(); N], far: Vec::new(), len: 0 }
    }
}

impl<T: Copy, const N: usize> Stack<T, N> {
    fn push(&mut self, value: T) {
        match self.near.get_mut(self.len) {
            Some(slot) => *slot = value,
            None => self.far.push(value),
        }
        self.len += 1;
    }

    fn get(&self, at: usize) -> Option<T> {
        if at >= self.len { None } else { self.near.get(at).or_else(|| self.far.get(at - N)).copied() }
    }

    fn last(&self) -> Option<T> {
        self.get(self.len.wrapping_sub(1))
    }

    fn truncate(&mut self, len: usize) {
        self.len = len;
        self.far.truncate(len.saturating_sub(N));
    }
}

/// A container that is open.
#[derive(Clone, Copy, Default)]
struct Level {
    is_object: bool,
    /// How many names were on the stack when it opened.
    names: usize,
}

/// Where a name stands, between its quotes. Texts are below 4 GiB.
#[derive(Clone, Copy, Default)]
struct Spot {
    from: u32,
    to: u32,
    escaped: bool,
}

struct Checker<'a> {
    text: &'a [u8],
    bounds: Bounds,
    levels: Stack<Level, 16>,
    names: Stack<Spot, 48>,
    deepest: usize,
}

impl<'a> Checker<'a> {
    /// Checks one value and returns the place after it.
    fn run(&mut self, mut at: usize) -> Result<usize> {
        loop {
            at = match byte(self.text, at) {
                open @ (b'{' | b'[') => {
                    self.open(open == b'{', at)?;
                    let next = space(self.text, at + 1);
                    // `]` is `[` + 2 and `}` is `{` + 2.
                    if byte(self.text, next) == open + 2 {
                        next
                    } else if open == b'{' {
                        at = self.name(next)?;
                        continue;
                    } else {
                        at = next;
                        continue;
                    }
                }
                b'"' => self.string(at)?.0,
                b'-' | b'0'..=b'9' => self.number(at)?,
                b't' => self.literal(at, b"true")?,
                b'f' => self.literal(at, b"false")?,
                b'n' => self.literal(at, b"null")?,
                _ => return Err(self.unexpected(at, "a value")),
            };
            match self.after_value(at)? {
                (next, true) => at = next,
                (end, false) => return Ok(end),
            }
        }
    }

    /// After a value: closes what closes here; then either the next value's place, or the end.
    fn after_value(&mut self, mut at: usize) -> Result<(usize, bool)> {
        loop {
            let Some(level) = self.levels.last() else { return Ok((at, false)) };
            at = space(self.text, at);
            match (byte(self.text, at), level.is_object) {
                (b',', true) => return Ok((self.name(space(self.text, at + 1))?, true)),
                (b',', false) => return Ok((space(self.text, at + 1), true)),
                (b'}', true) | (b']', false) => {
                    self.close(level)?;
                    at += 1;
                }
                (_, true) => return Err(self.unexpected(at, "a comma or a closing brace")),
                (_, false) => return Err(self.unexpected(at, "a comma or a closing bracket")),
            }
        }
    }

    fn open(&mut self, is_object: bool, at: usize) -> Result<()> {
        self.levels.push(Level { is_object, names: self.names.len });
        self.deepest = self.deepest.max(self.levels.len);
        if self.levels.len > self.bounds.depth {
            let message = format!("the text nests deeper than {} levels", self.bounds.depth);
            return Err(Error::new(ErrorKind::TooLarge, message).at(at));
        }
        Ok(())
    }

    fn close(&mut self, level: Level) -> Result<()> {
        if self.names.len - level.names > NARROW_MAX {
            self.check_wide(level)?;
        }
        self.names.truncate(level.names);
        self.levels.truncate(self.levels.len - 1);
        Ok(())
    }

    /// A member's name, its colon, and the space after: the place of its value.
    fn name(&mut self, at: usize) -> Result<usize> {
        if byte(self.text, at) != b'"' {
            return Err(self.unexpected(at, "a field name in quotes"));
        }
        let (end, escaped) = self.string(at)?;
        let spot = Spot { from: offset(at + 1), to: offset(end - 1), escaped };
        let first = self.levels.last().map_or(0, |level| level.names);
        if self.names.len - first <= NARROW_MAX {
            let name = self.spelled(spot);
            for index in first..self.names.len {
                if self.names.get(index).is_some_and(|other| self.spelled(other) == name) {
                    return Err(self.duplicate(spot));
                }
            }
        }
        self.names.push(spot);
        let colon = space(self.text, end);
        if byte(self.text, colon) != b':' {
            return Err(self.unexpected(colon, "a colon"));
        }
        Ok(space(self.text, colon + 1))
    }

    fn spelled(&self, spot: Spot) -> Name<'a> {
        Name { raw: part(self.text, spot.from as usize, spot.to as usize), escaped: spot.escaped }
    }

    fn duplicate(&self, spot: Spot) -> Error {
        let name = String::from_utf8_lossy(self.spelled(spot).raw);
        let message = format!("the field name \"{name}\" stands twice in one object");
        invalid(message, spot.from as usize - 1)
    }

    #[inline(never)]
    fn check_wide(&self, level: Level) -> Result<()> {
        let state = RandomState::default();
        let hash = |spot: Spot| {
            let mut hasher = state.build_hasher();
            self.spelled(spot).hash_into(&mut hasher);
            hasher.finish()
        };
        let mut seen: HashTable<Spot> = HashTable::with_capacity(self.names.len - level.names);
        for index in level.names..self.names.len {
            let Some(spot) = self.names.get(index) else { break };
            let hashed = hash(spot);
            if seen.find(hashed, |other| self.spelled(*other) == self.spelled(spot)).is_some() {
                return Err(self.duplicate(spot));
            }
            seen.insert_unique(hashed, spot, |other| hash(*other));
        }
        Ok(())
    }

    /// The place after the string that opens at `at`, and whether it holds an escape.
    fn string(&self, at: usize) -> Result<(usize, bool)> {
        let mut escaped = false;
        let mut at = at + 1;
        loop {
            match self.text.get(at) {
                Some(b'"') => return Ok((at + 1, escaped)),
                Some(b'\\') => {
                    escaped = true;
                    at = escape_end(self.text, at).ok_or_else(|| invalid("there is no such escape", at))?;
                }
                Some(0..0x20) => return Err(invalid("a control character in a string must be escaped", at)),
                Some(_) => at += 1,
                None => return Err(invalid("the string does not end", at)),
            }
        }
    }

    fn number(&self, start: usize) -> Result<usize> {
        let mut at = start + usize::from(byte(self.text, start) == b'-');
        at = match byte(self.text, at) {
            b'0' => at + 1,
            _ => self.digits(at)?,
        };
        if byte(self.text, at) == b'.' {
            at = self.digits(at + 1)?;
        }
        if matches!(byte(self.text, at), b'e' | b'E') {
            let sign = usize::from(matches!(byte(self.text, at + 1), b'+' | b'-'));
            at = self.digits(at + 1 + sign)?;
        }
        if at - start > self.bounds.number_bytes {
            let (bytes, most) = (at - start, self.bounds.number_bytes);
            let message = format!("a number has {bytes} bytes, and at most {most} are taken");
            return Err(Error::new(ErrorKind::TooLarge, message).at(start));
        }
        Ok(at)
    }

    fn digits(&self, start: usize) -> Result<usize> {
        let mut at = start;
        while byte(self.text, at).is_ascii_digit() {
            at += 1;
        }
        if at == start { Err(self.unexpected(at, "a digit")) } else { Ok(at) }
    }

    fn literal(&self, at: usize, word: &[u8]) -> Result<usize> {
        if self.text.get(at..at + word.len()) == Some(word) {
            Ok(at + word.len())
        } else {
            Err(self.unexpected(at, "a value"))
        }
    }

    fn unexpected(&self, at: usize, wanted: &str) -> Error {
        match std::str::from_utf8(part(self.text, at, self.text.len()))
            .ok()
            .and_then(|rest| rest.chars().next())
        {
            Some(found) => invalid(format!("expected {wanted}, found {found:?}"), at),
            None => invalid(format!("expected {wanted}, found the end"), at),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "INVARIANT: check refuses texts of 4 GiB")]
fn offset(at: usize) -> u32 {
    at as u32
}

#[cfg(test)]
mod tests;
