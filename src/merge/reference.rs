//! A borrowed net operation: what its bytes say.
//!
//! # Design
//! What a patch makes where there is no document is kept as one of three: nothing; the patch applied to `{}`,
//! which is a flag, so that a stream of `doc_as_upsert` keeps each document once; or a document.
//!
//! # Invariants
//! 1. The bytes begin with a tag: bits 0–1 the shape, bit 2 "always written", bits 3–4 what is made of nothing,
//!    bit 5 that it is a table.
//! 2. Puts and deletes have no flags: they are always written.

use super::encoding::read_length;
use super::json::scan::{byte, part};
use super::net::Shape;
use super::text::Output;
use super::{meaning, table, text};
use bytes::BufMut;

/// A borrowed net operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NetRef<'a>(&'a [u8]);

pub(super) const PUT: u8 = 0;
pub(super) const DELETE: u8 = 1;
pub(super) const PATCH: u8 = 2;
const SHAPE_BITS: u8 = 3;
pub(super) const ALWAYS: u8 = 4;
pub(super) const NONE: u8 = 0;
pub(super) const FROM_PATCH: u8 = 1 << 3;
pub(super) const DOCUMENT: u8 = 2 << 3;
const ABSENT_BITS: u8 = 3 << 3;
/// Not another shape, but another form: see [`table`].
pub(super) const TABLE: u8 = 1 << 5;

/// Bytes of a patch's tag and longest run.
pub(super) const HEADER_BYTES: usize = 5;

/// What a patch makes where there is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent<'a> {
    /// Nothing.
    None,
    /// The patch applied to `{}`.
    FromPatch,
    /// This document.
    Document(&'a [u8]),
}

/// A patch, taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patch<'a> {
    /// True where it is written even if it changes nothing.
    pub(super) is_always_written: bool,
    pub(super) absent: Absent<'a>,
    /// The fields of the root, which creates.
    pub(super) fields: &'a [u8],
}

/// A net operation, taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parts<'a> {
    Put(&'a [u8]),
    Delete,
    Patch(Patch<'a>),
    /// A patch as a table.
    Table,
}

impl<'a> NetRef<'a> {
    /// The net operation that these bytes are; they were written by `encode` or `compose`.
    pub(crate) fn from_bytes(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    #[inline]
    pub(super) fn parts(self) -> Parts<'a> {
        let tag = byte(self.0, 0);
        match tag & (SHAPE_BITS | TABLE) {
            PUT => Parts::Put(part(self.0, 1, self.0.len())),
            PATCH => {
                let (absent, at) = match tag & ABSENT_BITS {
                    FROM_PATCH => (Absent::FromPatch, 5),
                    DOCUMENT => {
                        let (length, start) = read_length(self.0, 5);
                        (Absent::Document(part(self.0, start, start + length)), start + length)
                    }
                    _ => (Absent::None, 5),
                };
                let fields = part(self.0, at, self.0.len());
                Parts::Patch(Patch { is_always_written: tag & ALWAYS != 0, absent, fields })
            }
            DELETE => Parts::Delete,
            _ => self.parts_of_table(),
        }
    }

    #[inline(never)]
    fn parts_of_table(self) -> Parts<'a> {
        if self.shape() == Shape::Put { Parts::Put(table::document(self.0)) } else { Parts::Table }
    }

    pub(crate) fn shape(self) -> Shape {
        match byte(self.0, 0) & SHAPE_BITS {
            PUT => Shape::Put,
            PATCH => Shape::Patch,
            _ => Shape::Delete,
        }
    }

    /// True where it is a table, which is the shard's business: see [`table`].
    #[inline]
    pub(crate) fn is_table(self) -> bool {
        byte(self.0, 0) & TABLE != 0
    }

    /// True where it is a patch in its common form, with no document of its own.
    #[inline]
    pub(super) fn is_plain_patch(self) -> bool {
        byte(self.0, 0) & (SHAPE_BITS | TABLE | DOCUMENT) == PATCH
    }

    /// Bytes that suffice for the operation and for its common form.
    #[inline]
    pub(crate) fn room(self) -> usize {
        if self.is_table() { table::room_of(self.0) } else { self.0.len() }
    }

    /// Writes the operation to `out` in its common form.
    pub(crate) fn write_joined(self, out: &mut impl BufMut) {
        if self.is_table() {
            table::join(self.0, out);
        } else {
            out.put_slice(self.0);
        }
    }

    /// The operation in a form whose parts can be told, which is written to a buffer where it has another.
    pub(super) fn joined<'b>(self, buffer: &'b mut Vec<u8>) -> NetRef<'b>
    where
        'a: 'b,
    {
        if !self.is_table() || self.shape() == Shape::Put {
            return self;
        }
        self.write_joined(buffer);
        NetRef(buffer)
    }

    /// The document of a put.
    pub(crate) fn document(self) -> Option<&'a [u8]> {
        match self.parts() {
            Parts::Put(document) => Some(document),
            _ => None,
        }
    }

    pub(crate) fn detects_noop(self) -> bool {
        byte(self.0, 0) & (SHAPE_BITS | ALWAYS) == PATCH
    }

    pub(crate) fn existence_after(self, existed: bool) -> bool {
        let tag = byte(self.0, 0);
        match tag & SHAPE_BITS {
            PUT => true,
            PATCH => existed || tag & ABSENT_BITS != NONE,
            _ => false,
        }
    }

    /// True where the operation alone says what the document is: a put or a delete. A patch needs to know it.
    pub(crate) fn decides(self) -> bool {
        self.shape() != Shape::Patch
    }

    #[inline]
    pub(crate) fn longest_run(self) -> usize {
        match self.0.get(1..5) {
            _ if self.is_table() => usize::from(self.shape() == Shape::Patch && self.0.last() != Some(&0)),
            Some(&[a, b, c, d]) if self.shape() == Shape::Patch => u32::from_le_bytes([a, b, c, d]) as usize,
            _ => 0,
        }
    }

    pub(crate) fn is_repeatable(self) -> bool {
        meaning::is_repeatable(self)
    }

    pub(crate) fn verb(self) -> &'static str {
        text::verb(self)
    }

    pub(crate) fn write_body<O: Output>(self, out: &mut O) {
        text::write_body(self, out);
    }
}
