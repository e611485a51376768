//! Steps over checked JSON text: where a string, a value, a member ends.

use super::string::Name;

/// The byte at a place, or 0 beyond the end: no JSON text holds a raw 0.
#[inline]
pub(in crate::merge) fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// The bytes from one place to another; nothing where they do not lie in the text.
#[inline]
pub(in crate::merge) fn part(text: &[u8], from: usize, to: usize) -> &[u8] {
    text.get(from..to).unwrap_or_default()
}

/// True for the four bytes that JSON allows between tokens.
#[inline]
pub(in crate::merge) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The first place at or after `at` that is not white space.
#[inline]
pub(in crate::merge) fn space(text: &[u8], mut at: usize) -> usize {
    while is_space(byte(text, at)) {
        at += 1;
    }
    at
}

/// The text without white space at either end.
pub(in crate::merge) fn trim(text: &[u8]) -> &[u8] {
    let from = space(text, 0);
    let mut to = text.len();
    while to > from && is_space(byte(text, to - 1)) {
        to -= 1;
    }
    part(text, from, to)
}

/// Eight bytes, the first of them the lowest; nothing where fewer are left.
#[inline]
pub(in crate::merge) fn word(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..)?.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Eight bytes, the first of them the lowest; zeros beyond the end.
#[inline]
pub(in crate::merge) fn padded_word(text: &[u8], at: usize) -> u64 {
    word(text, at).unwrap_or_else(|| last_word(text, at))
}

/// The fewer than eight bytes from a place to the end of a text.
#[inline(never)]
fn last_word(text: &[u8], at: usize) -> u64 {
    part(text, at, text.len()).iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The high bit of each byte of a word that is `byte`; beyond the first, of others perhaps as well.
#[inline]
pub(in crate::merge) const fn hits(word: u64, byte: u8) -> u64 {
    let zero_where_equal = word ^ u64::from_le_bytes([byte; 8]);
    zero_where_equal.wrapping_sub(ONES) & !zero_where_equal & (ONES << 7)
}

/// How many bytes stand before the first hit.
#[inline]
fn first(hits: u64) -> usize {
    hits.trailing_zeros() as usize / 8
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Strings are searched word by word up to here, then by vector instructions, which take longer to start.
const WORDS_MAX: usize = 3;

/// The place after the string whose opening quote is at `at`, and whether it holds an escape.
#[inline]
pub(in crate::merge) fn string_end(text: &[u8], at: usize) -> (usize, bool) {
    let at = at + 1;
    let word = padded_word(text, at);
    let (quote, backslash) = (hits(word, b'"'), hits(word, b'\\'));
    if quote != 0 && backslash == 0 {
        return (at + first(quote) + 1, false);
    }
    longer_string_end(text, at)
}

/// The place after the string in which `at` lies, not behind a backslash, and whether it holds an escape from there.
#[inline(never)]
fn longer_string_end(text: &[u8], mut at: usize) -> (usize, bool) {
    for _ in 0..WORDS_MAX {
        let Some(word) = word(text, at) else { break };
        let (quote, backslash) = (hits(word, b'"'), hits(word, b'\\'));
        if quote | backslash == 0 {
            at += 8;
        } else if first(quote) < first(backslash) {
            return (at + first(quote) + 1, false);
        } else {
            break;
        }
    }
    long_string_end(text, at)
}

/// The place after the string in which `at` lies, not behind a backslash, and whether it holds an escape from there.
#[inline(never)]
fn long_string_end(text: &[u8], mut at: usize) -> (usize, bool) {
    let mut escaped = false;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if byte(text, at) == b'"' {
            return (at + 1, escaped);
        }
        escaped = true;
        at += 2;
    }
    (text.len(), escaped)
}

/// The place after the value that starts at `at`.
#[inline]
pub(in crate::merge) fn value_end(text: &[u8], at: usize) -> usize {
    match byte(text, at) {
        b'"' => string_end(text, at).0,
        b'{' | b'[' => container_end(text, at + 1),
        _ => scalar_end(text, at),
    }
}

/// Shorter texts are searched sooner without vector instructions.
const SHORT: usize = 24;

/// True where a byte stands in a text, as rarely it does.
#[inline]
pub(in crate::merge) fn has(text: &[u8], byte: u8) -> bool {
    if text.len() >= SHORT {
        return memchr::memchr(byte, text).is_some();
    }
    let (words, rest) = text.as_chunks::<8>();
    words.iter().any(|bytes| hits(u64::from_le_bytes(*bytes), byte) != 0) || rest.contains(&byte)
}

/// The place after the number or word that starts at `at`.
#[inline]
fn scalar_end(text: &[u8], mut at: usize) -> usize {
    while let Some(word) = word(text, at) {
        // `]` and `}` differ in one bit; what is below `!` is white space.
        let below = word.wrapping_sub(u64::from_le_bytes([b'!'; 8])) & !word & (ONES << 7);
        let ends = hits(word, b',') | hits(word | ONES << 5, b'}') | below;
        if ends != 0 {
            return at + first(ends);
        }
        at += 8;
    }
    while let Some(&next) = text.get(at) {
        if matches!(next, b',' | b'}' | b']') || is_space(next) {
            break;
        }
        at += 1;
    }
    at
}

/// The place after the bracket that closes the container in which `at` lies, between tokens.
pub(in crate::merge) fn container_end(text: &[u8], mut at: usize) -> usize {
    let mut depth = 1_usize;
    loop {
        if let Some(word) = word(text, at) {
            let lower = word | ONES << 5;
            let found = hits(word, b'"') | hits(lower, b'{') | hits(lower, b'}');
            if found == 0 {
                at += 8;
                continue;
            }
            at += first(found);
        }
        let Some(&next) = text.get(at) else { return text.len() };
        at += 1;
        match next {
            b'"' => at = string_end(text, at - 1).0,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
}

/// One member of an object, up to its value.
#[derive(Clone, Copy, Debug)]
pub(in crate::merge) struct Member<'a> {
    /// Where its opening quote stands.
    pub(in crate::merge) start: usize,
    /// Its name.
    pub(in crate::merge) name: Name<'a>,
    /// The print of its name.
    pub(in crate::merge) print: u64,
    /// Where its value starts.
    pub(in crate::merge) value: usize,
}

/// The next member of an object; `at` is after its opening brace, or after the value of the member before.
#[inline]
pub(in crate::merge) fn member(text: &[u8], at: usize) -> Option<Member<'_>> {
    // Mostly there is no white space, and the name is short.
    let mut start = at + usize::from(byte(text, at) == b',');
    if byte(text, start) != b'"' {
        start = spaced_member(text, at)?;
    }
    let (length, escaped, print) = short_name(text, start + 1).unwrap_or_else(|| long_name(text, start));
    let name_end = start + 1 + length;
    let name = Name { raw: part(text, start + 1, name_end), escaped };
    let colon = if byte(text, name_end + 1) == b':' { name_end + 1 } else { space(text, name_end + 1) };
    Some(Member { start, name, print, value: space(text, colon + 1) })
}

/// The length and the print of a name that has no escape and ends within a word, its first byte at `at`.
#[inline]
fn short_name(text: &[u8], at: usize) -> Option<(usize, bool, u64)> {
    let word = word(text, at)?;
    let (quote, backslash) = (hits(word, b'"'), hits(word, b'\\'));
    // All below the first quote.
    let before = (quote & quote.wrapping_neg()).wrapping_sub(1) >> 7;
    let length = first(quote);
    (quote != 0 && backslash == 0).then_some((length, false, word & before | (length as u64) << 56))
}

/// The length of a name whose quote is at `start`, whether it has an escape, and its print.
#[inline(never)]
fn long_name(text: &[u8], start: usize) -> (usize, bool, u64) {
    let (end, escaped) = string_end(text, start);
    let length = (end - start).saturating_sub(2);
    (length, escaped, Name::print(text, start + 1, length))
}

/// Where the next member of an object starts, with white space before it.
#[inline(never)]
fn spaced_member(text: &[u8], at: usize) -> Option<usize> {
    let mut start = space(text, at);
    if byte(text, start) == b',' {
        start = space(text, start + 1);
    }
    (byte(text, start) == b'"').then_some(start)
}

/// Where the next element of a list starts; `at` is after its opening bracket (or at the start of a text of
/// elements without brackets), or after the element before.
#[inline]
pub(in crate::merge) fn element(text: &[u8], at: usize) -> Option<usize> {
    let mut start = space(text, at);
    if byte(text, start) == b',' {
        start = space(text, start + 1);
    }
    (start < text.len() && byte(text, start) != b']').then_some(start)
}

/// The elements of a list's text without its brackets.
#[derive(Clone, Debug)]
pub(in crate::merge) struct Elements<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Elements<'a> {
    /// The elements of `text`, which has no brackets around it.
    pub(in crate::merge) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = element(self.text, self.at)?;
        self.at = value_end(self.text, start);
        Some(part(self.text, start, self.at))
    }
}

/// How deep the containers of a checked text nest; 0 for a scalar.
pub(in crate::merge) fn depth(text: &[u8]) -> usize {
    let (mut deepest, mut depth, mut at) = (0_usize, 0_usize, 0);
    while let Some(&next) = text.get(at) {
        at += 1;
        match next {
            b'"' => at = string_end(text, at - 1).0,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Writes a value without any raw line break: as it is where it has none, else without the white space
/// between its tokens.
pub(in crate::merge) fn write_on_one_line(text: &[u8], out: &mut Vec<u8>) {
    let has_break = match text.len() {
        0..SHORT => text.iter().any(|byte| matches!(byte, b'\n' | b'\r')),
        _ => memchr::memchr2(b'\n', b'\r', text).is_some(),
    };
    if !has_break {
        out.extend_from_slice(text);
        return;
    }
    out.extend(Tokens::new(text));
}

/// True where two texts differ at most in the white space between tokens.
pub(in crate::merge) fn same_tokens(one: &[u8], other: &[u8]) -> bool {
    one == other || Tokens::new(one).eq(Tokens::new(other))
}

/// The bytes of a text without the white space between tokens.
struct Tokens<'a> {
    bytes: std::slice::Iter<'a, u8>,
    in_string: bool,
    escape: bool,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { bytes: text.iter(), in_string: false, escape: false }
    }
}

impl Iterator for Tokens<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.next()?;
            if self.in_string {
                if self.escape {
                    self.escape = false;
                } else if byte == b'\\' {
                    self.escape = true;
                } else if byte == b'"' {
                    self.in_string = false;
                }
                return Some(byte);
            }
            if !is_space(byte) {
                self.in_string = byte == b'"';
                return Some(byte);
            }
        }
    }
}

#[cfg(test)]
mod tests;
