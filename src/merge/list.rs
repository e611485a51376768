//! Lists: append, union, subtract.
//!
//! # Design
//! An operand is the text of elements with commas between, so that appending is copying. Few elements are
//! compared one with another; many through a table of hashes by value, so that no operation costs the product of
//! two lengths. A list of scalars in which few are looked for is not taken apart: a string without an escape stands
//! in its text as it is, or not at all.

use super::apply::Effect;
use super::json::equal::{equal, hash};
use super::json::scan::{Elements, byte, element, hits, is_space, padded_word, part, value_end};
use super::splice::{Items, Splice};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use memchr::{memchr, memchr_iter, memchr3};

/// Puts elements at the end of the value at a place of the base, which is not null.
pub(super) fn append(splice: &mut Splice<'_, '_>, at: usize, end: usize, operand: &[u8]) -> Effect {
    if operand.is_empty() {
        return Effect::Kept;
    }
    add(splice, at, end, |out| out.extend_from_slice(operand));
    Effect::Written
}

/// Puts those elements that are not there at the end of the value at a place of the base, which is not null.
pub(super) fn union(splice: &mut Splice<'_, '_>, at: usize, end: usize, operand: &[u8]) -> Effect {
    let value = part(splice.base, at, end);
    let mut new = Vec::new();
    write_new_elements(list_elements(value), operand, &mut new);
    if new.is_empty() {
        return Effect::Kept;
    }
    add(splice, at, end, |out| out.extend_from_slice(&new));
    Effect::Written
}

/// Takes every element equal to one of the operand's out of the value at a place of the base, which is not null.
pub(super) fn subtract(splice: &mut Splice<'_, '_>, at: usize, end: usize, operand: &[u8]) -> Effect {
    let base = splice.base;
    if byte(base, at) != b'[' {
        let gone = Elements::new(operand).any(|element| equal(element, part(base, at, end)));
        return if gone { splice.replace(at, end, b"[]") } else { Effect::Kept };
    }
    let edits_before = splice.edits;
    let out_of_list = Members::new(operand, base.len());
    let mut items = Items::new(at);
    while let Some(start) = element(base, items.end) {
        let end = value_end(base, start);
        if out_of_list.contains(part(base, start, end)) {
            splice.cut_item(&items, start, end);
            items.end = end;
        } else {
            items.keep(end);
        }
    }
    if splice.edits == edits_before { Effect::Kept } else { Effect::Written }
}

/// The elements that a value stands for: a list's own, or the value itself.
fn list_elements(value: &[u8]) -> &[u8] {
    if byte(value, 0) == b'[' { part(value, 1, value.len() - 1) } else { value }
}

/// Puts something behind the last element of a list, or makes a list of what is not one.
fn add(splice: &mut Splice<'_, '_>, at: usize, end: usize, write: impl FnOnce(&mut Vec<u8>)) {
    if byte(splice.base, at) != b'[' {
        splice.cut(at, at);
        splice.out.push(b'[');
        splice.cut(end, end);
        splice.out.push(b',');
        write(splice.out);
        splice.out.push(b']');
        return;
    }
    let mut place = end - 1;
    while place > at + 1 && is_space(byte(splice.base, place - 1)) {
        place -= 1;
    }
    let is_empty = place == at + 1;
    splice.cut(place, place);
    if !is_empty {
        splice.out.push(b',');
    }
    write(splice.out);
}

/// Writes the elements of `added` that are neither among `present` nor written already, with commas between
/// (and none before the first).
pub(super) fn write_new_elements(present: &[u8], added: &[u8], out: &mut Vec<u8>) {
    let mut seen = Members::new(present, added.len());
    let mut first = true;
    for element in Elements::new(added) {
        if seen.insert(element) {
            if !first {
                out.push(b',');
            }
            first = false;
            out.extend_from_slice(element);
        }
    }
}

/// Elements that are looked for together.
const TOGETHER_MAX: usize = 4;

/// True where all elements of a list are among those of another: few short strings in a list of such. False where they are
/// not, or where that takes longer to tell.
pub(super) fn holds_all(present: &[u8], added: &[u8]) -> bool {
    let mut wanted = [0; TOGETHER_MAX];
    let (mut count, mut at) = (0_u32, 0);
    while let Some((string, end)) = short_string(added, at) {
        let Some(place) = wanted.get_mut(count as usize) else { return false };
        (*place, count, at) = (string, count + 1, end + 1);
    }
    if at != added.len() + 1 {
        return false;
    }
    let (mut missing, mut at) = ((1_u32 << count) - 1, 0);
    while let Some((string, end)) = short_string(present, at) {
        for (number, wanted) in wanted.iter().enumerate() {
            missing &= !(u32::from(string == *wanted) << number);
        }
        if missing == 0 {
            return true;
        }
        at = end + 1;
    }
    false
}

/// The string of at most eight bytes, quotes included and without an escape, that begins at a place; and the place behind it,
/// where a comma stands or the text ends.
#[inline]
fn short_string(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let word = padded_word(text, at);
    let inner = word >> 8;
    let stops = hits(inner, b'"') | hits(inner, b'\\');
    let length = stops.trailing_zeros() as usize / 8 + 2;
    if byte(text, at) != b'"' || stops == 0 || byte(text, at + length - 1) != b'"' {
        return None;
    }
    let is_last = at + length == text.len();
    let string = word & (u64::MAX >> (64 - 8 * length));
    (is_last || byte(text, at + length) == b',').then_some((string, at + length))
}

/// Two lists with fewer bytes than this together are compared element by element.
const SEARCH_BYTES_MAX: usize = 256;
/// A list is searched as text for each element of another with fewer bytes than this.
const FEW_BYTES_MAX: usize = 33;

/// A set of elements by value.
struct Members<'a> {
    /// Elements that are searched as the text they are: scalars, and strings without an escape.
    text: &'a [u8],
    elements: Vec<&'a [u8]>,
    table: Option<(RandomState, HashTable<&'a [u8]>)>,
}

impl<'a> Members<'a> {
    /// The elements of a text, to be compared with a text of `other_bytes`.
    fn new(text: &'a [u8], other_bytes: usize) -> Self {
        let is_small = text.len() + other_bytes < SEARCH_BYTES_MAX;
        let is_flat = || memchr3(b'\\', b'{', b'[', text).is_none();
        if (is_small || other_bytes < FEW_BYTES_MAX) && is_flat() {
            return Self { text, elements: Vec::new(), table: None };
        }
        let table = (!is_small).then(|| (RandomState::default(), HashTable::new()));
        let mut members = Self { text: &[], elements: Vec::new(), table };
        for element in Elements::new(text) {
            members.insert(element);
        }
        members
    }

    fn contains(&self, element: &[u8]) -> bool {
        let in_text = if is_plain_string(element) {
            holds_string(self.text, element)
        } else {
            Elements::new(self.text).any(|other| equal(other, element))
        };
        in_text
            || match &self.table {
                None => self.elements.iter().any(|other| equal(other, element)),
                Some((state, table)) => {
                    table.find(hash(element, state), |other| equal(other, element)).is_some()
                }
            }
    }

    /// Adds an element; false where an equal one is there.
    fn insert(&mut self, element: &'a [u8]) -> bool {
        if self.contains(element) {
            return false;
        }
        match &mut self.table {
            None => self.elements.push(element),
            Some((state, table)) => {
                table.insert_unique(hash(element, state), element, |other| hash(other, state));
            }
        }
        true
    }
}

/// True for a string without an escape: it is equal to another such where their bytes are.
fn is_plain_string(element: &[u8]) -> bool {
    byte(element, 0) == b'"' && memchr(b'\\', element).is_none()
}

/// True where a plain string is an element of a text without escapes and containers.
fn holds_string(text: &[u8], string: &[u8]) -> bool {
    let (mut counted, mut quotes) = (0, 0);
    // The byte behind the quote is rarer than quotes are.
    for place in memchr_iter(byte(string, 1), text) {
        let Some(start) = place.checked_sub(1) else { continue };
        if !part(text, start, text.len()).starts_with(string) {
            continue;
        }
        // What begins between two strings, like "," in ["a","b"], is none.
        quotes += memchr_iter(b'"', part(text, counted, start)).count();
        counted = start;
        if quotes % 2 == 0 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is new, told by comparing each with each.
    fn told_apart(present: &[&str], added: &[&str]) -> String {
        let mut all: Vec<&str> = present.to_vec();
        let mut new = Vec::new();
        for element in added {
            if !all.iter().any(|other| equal(other.as_bytes(), element.as_bytes())) {
                all.push(element);
                new.push(*element);
            }
        }
        new.join(",")
    }

    #[test]
    fn short_strings_are_found_together_wherever_they_stand() {
        let present = br#""EWR","IAH","","JFK-LG","ORD""#;
        for (added, all) in [
            (&br#""ORD""#[..], true),
            (br#""EWR","ORD","","IAH""#, true),
            (br#""EWR","MIA""#, false),
            (br#""JFK""#, false),
            (br#"",""#, false),
        ] {
            assert_eq!(holds_all(present, added), all, "{}", String::from_utf8_lossy(added));
        }
        // That of these takes longer to tell.
        for slow in [&br#""1234567""#[..], br#""\u0041""#, br"1", br#""a" , "b""#, b""] {
            assert!(!holds_all(slow, slow), "{}", String::from_utf8_lossy(slow));
        }
    }

    proptest! {
        #[test]
        fn an_element_is_new_where_no_other_equals_it_however_it_is_looked_for(
            present in prop::collection::vec(0..13_usize, 0..80), added in prop::collection::vec(0..13_usize, 0..12),
        ) {
            let values = [
                "\"a\"", "\"ab\"", "\",\"", "\"\"", "\"\\u0061\"", "1", "1.0", "10", "null", "\"1\"", "[\"a\"]",
                "{\"a\":1}", "\", \"",
            ];
            for flat in [true, false] {
                let kept = |index: &&usize| !flat || !values[**index].contains(['\\', '[', '{']);
                let pick = |from: &[usize]| from.iter().filter(kept).map(|index| values[*index]).collect::<Vec<_>>();
                let (present, added) = (pick(&present), pick(&added));
                let mut out = Vec::new();
                write_new_elements(present.join(",").as_bytes(), added.join(",").as_bytes(), &mut out);
                let new = told_apart(&present, &added);
                if holds_all(present.join(",").as_bytes(), added.join(",").as_bytes()) {
                    prop_assert_eq!(&new, "");
                }
                prop_assert_eq!(String::from_utf8(out).unwrap(), new);
            }
        }
    }
}
