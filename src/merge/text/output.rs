//! Where text goes: into a buffer, or nowhere, where only its length is wanted.
//!
//! # Why one writer for both
//! The length is exact because it is the same code that writes: there is no second account to keep in step.

use crate::merge::json::scan::{byte, write_on_one_line};
use memchr::memchr2;
use std::borrow::Cow;

/// Takes text in pieces.
pub(crate) trait Output {
    /// Appends a piece.
    fn put(&mut self, piece: &[u8]);

    /// How much there is.
    fn length(&self) -> usize;

    /// Takes back all that was put since the length was this.
    fn take_back(&mut self, length: usize);
}

impl Output for Vec<u8> {
    #[inline]
    fn put(&mut self, piece: &[u8]) {
        self.extend_from_slice(piece);
    }

    #[inline]
    fn length(&self) -> usize {
        self.len()
    }

    #[inline]
    fn take_back(&mut self, length: usize) {
        self.truncate(length);
    }
}

/// Counts the bytes of a text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Length(pub(crate) usize);

impl Output for Length {
    #[inline]
    fn put(&mut self, piece: &[u8]) {
        self.0 += piece.len();
    }

    #[inline]
    fn length(&self) -> usize {
        self.0
    }

    #[inline]
    fn take_back(&mut self, length: usize) {
        self.0 = length;
    }
}

/// True where a text has a raw line break.
#[inline]
pub(crate) fn has_line_break(text: &[u8]) -> bool {
    memchr2(b'\n', b'\r', text).is_some()
}

/// Puts a value without any raw line break. Only between the tokens of a container can there be one.
#[inline]
pub(super) fn put_value(value: &[u8], out: &mut impl Output) {
    if matches!(byte(value, 0), b'{' | b'[') { put_tokens(value, out) } else { out.put(value) }
}

/// Puts a text of one value or several without any raw line break.
#[inline]
pub(super) fn put_tokens(text: &[u8], out: &mut impl Output) {
    out.put(&on_one_line(text));
}

#[inline]
fn on_one_line(text: &[u8]) -> Cow<'_, [u8]> {
    if !has_line_break(text) {
        return Cow::Borrowed(text);
    }
    let mut line = Vec::with_capacity(text.len());
    write_on_one_line(text, &mut line);
    Cow::Owned(line)
}

/// Puts a name as it is spelled, between quotes.
#[inline]
pub(super) fn put_quoted(raw: &[u8], out: &mut impl Output) {
    out.put(b"\"");
    out.put(raw);
    out.put(b"\"");
}
