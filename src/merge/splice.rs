//! Edits of a text from left to right, without touching what lies between them.
//!
//! # Design
//! A [`Splice`] reads a base and writes the edited text behind itself: each edit first copies what lies between
//! the last one and itself. Nested levels edit the one base by absolute places, so that every byte is copied at
//! most once however deep it lies, and nothing at all is written where nothing changes.
//!
//! Where the base itself is to become the edited text ([`in_place`](super::in_place)), the edits are noted instead:
//! then what lies between them is not copied, and `out` has only what stands in the place of what was cut.
//!
//! # Invariants
//! 1. `copied` never moves back: edits come in the order of their places.
//! 2. With no edit made, `out` is as it was.

use super::edits::Edits;
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
    /// Where the edits are noted, if that is all that is wanted, and the bytes of the patch.
    noted: Option<(&'o mut Edits, &'o [u8])>,
}

impl<'b, 'o> Splice<'b, 'o> {
    /// An edit of `base`, written behind what `out` holds.
    pub(super) fn new(base: &'b [u8], out: &'o mut Vec<u8>) -> Self {
        Self { base, out, edits: 0, misfits: 0, copied: 0, noted: None }
    }

    /// An edit of `base` that notes what is cut and writes what stands in its place, and nothing else; and of that
    /// only what does not stand in `patch`.
    pub(super) fn noting(
        base: &'b [u8],
        out: &'o mut Vec<u8>,
        edits: &'o mut Edits,
        patch: &'o [u8],
    ) -> Self {
        Self { base, out, edits: 0, misfits: 0, copied: 0, noted: Some((edits, patch)) }
    }

    /// Leaves out what lies between two places; what is then written to `out` stands in its place.
    pub(super) fn cut(&mut self, from: usize, to: usize) {
        debug_assert!(self.copied <= from && from <= to, "edits go from left to right");
        match &mut self.noted {
            None => self.out.extend_from_slice(part(self.base, self.copied, from)),
            Some((edits, _)) => edits.cut(from, to, self.out.len()),
        }
        self.copied = to;
        self.edits += 1;
    }

    /// Puts a value in the place of another.
    pub(super) fn put(&mut self, from: usize, to: usize, value: &[u8]) {
        if let Some((edits, patch)) = &mut self.noted
            && let Some(start) = value.first().and_then(|first| patch.element_offset(first))
        {
            edits.replace(from, to, start, start + value.len(), self.out.len());
            self.copied = to;
            self.edits += 1;
            return;
        }
        self.cut(from, to);
        self.out.extend_from_slice(value);
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
        match self.noted {
            None if self.edits > 0 => {
                self.out.extend_from_slice(part(self.base, self.copied, self.base.len()));
            }
            None => {}
            Some((edits, _)) => edits.close(self.out.len()),
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
