//! Equality and hashes of whole values.
//!
//! # Design
//! By value, key order aside, array order kept. Two objects are walked side by side as long as their names
//! agree, which is the common case; from the first that differs on, the rest of one is indexed by name.
//!
//! # Invariants
//! 1. Equal values hash alike.
//! 2. Below `VALUE_DEPTH_MAX` levels, which no text that was accepted reaches, values compare by their bytes
//!    and hash alike: the stack is bounded whatever comes in.

use super::number::Number;
use super::scan::{byte, container_end, element, has, member, part, space, string_end, value_end};
use super::string::{self, Name};
use crate::operation::DEPTH_MAX;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::cmp::Ordering;
use std::hash::{BuildHasher, Hash, Hasher};

/// How deep values are compared: an append to what is not a list nests one deeper, once per level, so that
/// documents within [`DEPTH_MAX`] can grow to twice that.
pub(in crate::merge) const VALUE_DEPTH_MAX: usize = 2 * DEPTH_MAX + 8;

/// True where two values are equal: by value, key order aside, and an integer never equals a non-integer.
pub(crate) fn equal(one: &[u8], other: &[u8]) -> bool {
    one == other || !differ_at_a_glance(one, other) && equal_by_value(one, other)
}

/// True where two values that are spelled differently are scalars of which that says all.
#[inline]
fn differ_at_a_glance(one: &[u8], other: &[u8]) -> bool {
    match (byte(one, 0), byte(other, 0)) {
        (b'1'..=b'9', b'1'..=b'9') => is_digits(one) && is_digits(other),
        (b'"', b'"') => !has(one, b'\\') && !has(other, b'\\'),
        _ => false,
    }
}

fn is_digits(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_digit)
}

#[inline(never)]
fn equal_by_value(one: &[u8], other: &[u8]) -> bool {
    Pair { one, other }.equal(space(one, 0), space(other, 0), VALUE_DEPTH_MAX).is_some()
}

/// A hash by value: equal values have equal hashes under one state.
pub(in crate::merge) fn hash(value: &[u8], state: &RandomState) -> u64 {
    hash_at(value, space(value, 0), state, VALUE_DEPTH_MAX).0
}

/// Two texts walked side by side.
#[derive(Clone, Copy)]
struct Pair<'a> {
    one: &'a [u8],
    other: &'a [u8],
}

impl<'a> Pair<'a> {
    /// Compares the values at two places; the places after them where they are equal.
    fn equal(self, one: usize, other: usize, levels: usize) -> Option<(usize, usize)> {
        match (byte(self.one, one), byte(self.other, other)) {
            (b'{', b'{') if levels > 0 => match self.equal_in_order(one + 1, other + 1, levels - 1)? {
                Walked::All(one, other) => Some((one, other)),
                Walked::Until(one, other) => self.equal_in_any_order(one, other, levels - 1),
            },
            (b'[', b'[') if levels > 0 => self.equal_lists(one + 1, other + 1, levels - 1),
            _ => self.equal_scalars(one, other),
        }
    }

    #[inline(never)]
    fn equal_scalars(self, one: usize, other: usize) -> Option<(usize, usize)> {
        let (one_end, other_end) = (value_end(self.one, one), value_end(self.other, other));
        let (a, b) = (part(self.one, one, one_end), part(self.other, other, other_end));
        let equal = a == b
            || match (byte(a, 0), byte(b, 0)) {
                (b'"', b'"') => string::compare(a, b) == Ordering::Equal,
                (b'-' | b'0'..=b'9', b'-' | b'0'..=b'9') => Number::new(a).equals(&Number::new(b)),
                _ => false,
            };
        equal.then_some((one_end, other_end))
    }

    fn equal_lists(self, mut one: usize, mut other: usize, levels: usize) -> Option<(usize, usize)> {
        loop {
            match (element(self.one, one), element(self.other, other)) {
                (Some(a), Some(b)) => (one, other) = self.equal(a, b, levels)?,
                (None, None) => return Some((space(self.one, one) + 1, space(self.other, other) + 1)),
                _ => return None,
            }
        }
    }

    /// Compares the members of two objects as long as their names come in one order.
    fn equal_in_order(self, mut one: usize, mut other: usize, levels: usize) -> Option<Walked> {
        loop {
            match (member(self.one, one), member(self.other, other)) {
                (Some(a), Some(b)) if a.name == b.name => {
                    (one, other) = self.equal(a.value, b.value, levels)?;
                }
                (Some(_), Some(_)) => return Some(Walked::Until(one, other)),
                (None, None) => {
                    return Some(Walked::All(space(self.one, one) + 1, space(self.other, other) + 1));
                }
                _ => return None,
            }
        }
    }

    /// Compares what is left of two objects, in any order of names.
    fn equal_in_any_order(self, mut one: usize, other: usize, levels: usize) -> Option<(usize, usize)> {
        let (mut rest, other_end) = members_by_name(self.other, other);
        while let Some((value, other_value)) = self.partner(one, &mut rest) {
            one = self.equal(value, other_value?, levels)?.0;
        }
        rest.is_empty().then(|| (space(self.one, one) + 1, other_end))
    }

    /// Where the value of the next member stands, and that of its namesake, which is taken out of `rest`.
    #[inline(never)]
    fn partner(self, one: usize, rest: &mut MembersByName<'a>) -> Option<(usize, Option<usize>)> {
        let member = member(self.one, one)?;
        Some((member.value, rest.remove(&NameKey(member.name))))
    }
}

/// Where values stand.
type MembersByName<'a> = HashMap<NameKey<'a>, usize, RandomState>;

/// The members of an object from a place on, and the place after the object.
#[inline(never)]
fn members_by_name(text: &[u8], mut at: usize) -> (MembersByName<'_>, usize) {
    let mut members = MembersByName::default();
    while let Some(member) = member(text, at) {
        members.insert(NameKey(member.name), member.value);
        at = value_end(text, member.value);
    }
    (members, space(text, at) + 1)
}

/// How far two objects were walked side by side.
enum Walked {
    /// To their ends.
    All(usize, usize),
    /// To the first members whose names differ.
    Until(usize, usize),
}

/// A name that hashes by what it means.
#[derive(PartialEq, Eq)]
struct NameKey<'a>(Name<'a>);

impl Hash for NameKey<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.hash_into(hasher);
    }
}

/// The hash of the value at a place, and the place after it.
fn hash_at(text: &[u8], at: usize, state: &RandomState, levels: usize) -> (u64, usize) {
    match byte(text, at) {
        b'{' if levels > 0 => {
            // Members may come in any order: their hashes are added up.
            let (mut sum, mut at) = (1_u64, at + 1);
            while let Some(member) = member(text, at) {
                let (value, end) = hash_at(text, member.value, state, levels - 1);
                sum = sum.wrapping_add(hash_member(member.name, value, state));
                at = end;
            }
            (state.hash_one(sum), space(text, at) + 1)
        }
        b'[' if levels > 0 => {
            let (mut chain, mut at) = (2_u64, at + 1);
            while let Some(start) = element(text, at) {
                let (value, end) = hash_at(text, start, state, levels - 1);
                chain = state.hash_one((chain, value));
                at = end;
            }
            (chain, space(text, at) + 1)
        }
        b'{' | b'[' => (3, container_end(text, at + 1)),
        _ => hash_scalar(text, at, state),
    }
}

#[inline(never)]
fn hash_member(name: Name<'_>, value: u64, state: &RandomState) -> u64 {
    let mut hasher = state.build_hasher();
    name.hash_into(&mut hasher);
    hasher.write_u64(value);
    hasher.finish()
}

#[inline(never)]
fn hash_scalar(text: &[u8], at: usize, state: &RandomState) -> (u64, usize) {
    let mut hasher = state.build_hasher();
    let end = match byte(text, at) {
        b'"' => {
            let (end, escaped) = string_end(text, at);
            hasher.write_u8(b'"');
            string::hash_string(part(text, at + 1, end - 1), escaped, &mut hasher);
            end
        }
        b'-' | b'0'..=b'9' => {
            let end = value_end(text, at);
            Number::new(part(text, at, end)).hash_into(&mut hasher);
            end
        }
        _ => {
            let end = value_end(text, at);
            hasher.write(part(text, at, end));
            end
        }
    };
    (hasher.finish(), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        let state = RandomState::default();
        let same = equal(one.as_bytes(), other.as_bytes());
        assert_eq!(same, equal(other.as_bytes(), one.as_bytes()));
        if same {
            assert_eq!(hash(one.as_bytes(), &state), hash(other.as_bytes(), &state), "{one} {other}");
        }
        same
    }

    #[test]
    fn values_are_equal_by_value_with_key_order_aside() {
        for (one, other) in [
            ("1.10", "1.1"),
            (r#""\u00e9""#, r#""é""#),
            (r#"{"a":1,"b":[1,2]}"#, r#"{ "b" : [1 ,2], "\u0061":1 }"#),
            (r#"{"a":1,"b":2,"c":{"x":1,"y":2}}"#, r#"{"a":1,"c":{"y":2,"x":1},"b":2}"#),
            ("[]", "[ ]"),
            ("{}", "{ }"),
            ("1e999999999999999999999", "10e999999999999999999998"),
        ] {
            assert!(same(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("1", "1.0"),
            ("null", "false"),
            ("[1,2]", "[2,1]"),
            ("[1]", "[1,1]"),
            ("{}", "[]"),
            (r#"{"a":1}"#, r#"{"a":1,"b":1}"#),
            (r#"{"a":1,"c":1}"#, r#"{"a":1,"b":1}"#),
            (r#"{"b":1,"a":2}"#, r#"{"a":1,"b":2}"#),
            (r#""1""#, "1"),
        ] {
            assert!(!same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn values_deeper_than_any_document_do_not_overflow_the_stack() {
        let deep = |inner: &str| {
            let levels = 50_000;
            format!("{}{inner}{}", r#"{"b":1,"a":"#.repeat(levels), "}".repeat(levels))
        };
        assert!(same(&deep("1"), &deep("1")));
        assert!(!same(&deep("1"), &deep("2")));
    }

    #[test]
    fn the_deepest_values_that_folding_can_make_compare_by_value() {
        let deep = |before: &str, after: &str| {
            let levels = VALUE_DEPTH_MAX - 1;
            let (open, close) = (format!("{{{before}\"a\":"), format!("{after}}}"));
            format!("{}[1]{}", open.repeat(levels), close.repeat(levels))
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
            let compare = || assert!(same(&deep("\"b\":1,", ""), &deep("", ",\"b\":1")));
            thread.spawn_scoped(scope, compare).unwrap().join().unwrap();
        });
    }
}
