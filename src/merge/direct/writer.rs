//! Writes fields to room that was made for them beforehand.
//!
//! # Design
//! Names and values are copied a word at a time, with more behind them than is meant; what comes next covers it. What
//! stands before a value has a byte or three, and goes out with the value's first bytes in one word.
//!
//! A length takes the bytes it needs: one, nearly always, for which a level leaves room; where it turns out longer,
//! the level is moved.
//!
//! # Why not at the end of a vector
//! A vector asks for each piece whether it must grow, and copies each by a call.
//!
//! # Invariants
//! 1. Nothing is written outside the room: where it does not suffice the answer is nothing.

#![expect(
    clippy::inline_always,
    reason = "measured: left to its own judgement the compiler makes calls of steps shorter than a call"
)]

use super::super::encoding::Kind;
use super::super::json::scan::part;
use super::super::json::word::Reader;
use super::super::net::{Absent, HEADER_BYTES, header};

/// A length below this takes one byte.
const SHORT: usize = 0x80;

/// Bytes before the payload of a run of one primitive: two lengths, and a kind between.
const LEVEL_BYTES: usize = 3;

/// Room for an operation.
#[derive(Debug)]
pub(super) struct Writer<'o> {
    out: &'o mut [u8],
    reader: Reader,
    /// Where the next field goes.
    pub(super) at: usize,
}

impl<'o> Writer<'o> {
    /// Writes to `out`, after a patch's header, what is read by a reader.
    #[inline(always)]
    pub(super) fn new(out: &'o mut [u8], reader: Reader) -> Self {
        Self { out, reader, at: HEADER_BYTES }
    }

    /// Writes a word, of which only some bytes may be meant to stay.
    #[inline(always)]
    fn put_word(&mut self, at: usize, word: u64) -> Option<()> {
        *self.out.get_mut(at..)?.first_chunk_mut()? = word.to_le_bytes();
        Some(())
    }

    /// Copies text by words from `done` bytes on: what was copied before, together with other things.
    #[inline(always)]
    fn put_text(&mut self, at: usize, from: &[u8], mut done: usize, length: usize) -> Option<()> {
        while done < length {
            self.put_word(at + done, self.reader.word(from.get(done..)?))?;
            done += 8;
        }
        Some(())
    }

    /// Writes the name of a field: one without escapes, whose first bytes are those of a word.
    #[inline(always)]
    pub(super) fn put_name(&mut self, from: &[u8], length: usize, word: u64) -> Option<()> {
        if length << 1 >= SHORT {
            return None;
        }
        self.put_word(self.at, (word << 8) | ((length as u64) << 1))?;
        self.put_text(self.at + 1, from, 7, length)?;
        self.at += 1 + length;
        Some(())
    }

    /// Writes a run of one primitive, whose payload is the start of what is left.
    #[inline(always)]
    pub(super) fn put_payload(&mut self, kind: Kind, from: &[u8], length: usize) -> Option<()> {
        if length + 2 >= SHORT {
            return self.put_bytes(kind, part(from, 0, length));
        }
        self.put_word(self.at, (self.reader.word(from) << 24) | level_word(length, kind))?;
        self.put_text(self.at + LEVEL_BYTES, from, 5, length)?;
        self.at += LEVEL_BYTES + length;
        Some(())
    }

    /// Writes a run of one primitive.
    #[inline(never)]
    pub(super) fn put_bytes(&mut self, kind: Kind, payload: &[u8]) -> Option<()> {
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

    /// Leaves room for what stands before the fields of a level, up to [`close`](Self::close).
    #[inline(always)]
    pub(super) fn open(&mut self) -> usize {
        let start = self.at;
        self.at += LEVEL_BYTES;
        start
    }

    /// Fills in what stands before the fields of a level, which was opened at `start`.
    #[inline(always)]
    pub(super) fn close(&mut self, start: usize, kind: Kind) -> Option<()> {
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

    /// What was written after the header, up to a place and from there on.
    pub(super) fn split_at(&self, place: usize) -> Option<(&[u8], &[u8])> {
        self.out.get(HEADER_BYTES..self.at)?.split_at_checked(place - HEADER_BYTES)
    }

    /// Writes fields instead of all that were written.
    pub(super) fn replace(&mut self, fields: &[u8]) -> Option<()> {
        self.at = HEADER_BYTES + fields.len();
        self.out.get_mut(HEADER_BYTES..self.at)?.copy_from_slice(fields);
        Some(())
    }

    /// Writes what stands before the fields, and among it the absent document; where all that was written ends.
    pub(super) fn finish(mut self, is_always_written: bool, absent: Absent<'_>) -> Option<usize> {
        let has_fields = self.at > HEADER_BYTES;
        if let Absent::Document(document) = absent {
            self.put_document(document)?;
        }
        *self.out.first_chunk_mut()? = header(is_always_written, absent, u32::from(has_fields));
        Some(self.at)
    }

    /// Puts a document before the fields.
    fn put_document(&mut self, document: &[u8]) -> Option<()> {
        self.make_room(HEADER_BYTES, length_bytes(document.len()) + document.len())?;
        let at = self.put_length(HEADER_BYTES, document.len())?;
        self.out.get_mut(at..at + document.len())?.copy_from_slice(document);
        Some(())
    }
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
