//! Edits of a text from left to right, without touching what lies between them.
//!
//! # Design
//! A [`Splice`] reads a base and writes the edited text behind itself: each edit first copies what lies between
//! the last one and itself. Nested levels edit the one base by absolute places, so that every byte is copied at
//! most once however deep it lies, and nothing at all is written where nothing changes.
//!
//! # Invariants
//! 1. `copied` never moves back: edits come in the order of their places.
//! 2. With no edit made, `out` is as it was.

use super::json::scan::{byte, part, space};

/// An edit in progress.
#[derive(Debug)]
pub(super) struct Splice<'b, 'o> {
    /// The text that is edited.
    pub(super) base: &'b [u8],
    /// Where the edited text is written.
    pub(super) out: &'o mut Vec<u8>,
    /// How many edits were made.
    pub(super) edits: usize,
    /// Field operations that met a type that does not fit.
    pub(super) misfits: u64,
    copied: usize,
}

impl<'b, 'o> Splice<'b, 'o> {
    /// An edit of `base`, written behind what `out` holds.
    pub(super) fn new(base: &'b [u8], out: &'o mut Vec<u8>) -> Self {
        Self { base, out, edits: 0, misfits: 0, copied: 0 }
    }

    /// Leaves out what lies between two places; what is then written to `out` stands in its place.
    pub(super) fn cut(&mut self, from: usize, to: usize) {
        debug_assert!(self.copied <= from && from <= to, "edits go from left to right");
        self.out.extend_from_slice(part(self.base, self.copied, from));
        self.copied = to;
        self.edits += 1;
    }

    /// Cuts a member or an element with one comma.
    pub(super) fn cut_item(&mut self, items: &Items, start: usize, end: usize) {
        if items.kept {
            self.cut(items.end, end);
            return;
        }
        let after = space(self.base, end);
        let to = if byte(self.base, after) == b',' { space(self.base, after + 1) } else { end };
        self.cut(start, to);
    }

    /// Copies what is left, if anything was edited; true where it was.
    pub(super) fn finish(self) -> bool {
        if self.edits > 0 {
            self.out.extend_from_slice(part(self.base, self.copied, self.base.len()));
        }
        self.edits > 0
    }
}

/// Where a walk over members or elements stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Items {
    /// True where one that was passed stays.
    pub(super) kept: bool,
    /// The end of the last one passed, or the place after the opening bracket.
    pub(super) end: usize,
}

impl Items {
    /// At the start of the container whose bracket is at `at`.
    pub(super) fn new(at: usize) -> Self {
        Self { kept: false, end: at + 1 }
    }

    /// Passes one that stays.
    pub(super) fn keep(&mut self, end: usize) {
        *self = Self { kept: true, end };
    }

    /// Where new ones are to be put: after the last that stays, or before the closing bracket.
    pub(super) fn place_for_more(&self, base: &[u8]) -> usize {
        if self.kept { self.end } else { space(base, self.end) }
    }
}
