//! Folding an operation into the buffer of the one that waits, where that is cheap.
//!
//! # Design
//! [`compose`](super::net::compose) writes the composed operation anew, every byte of it. An update touches a few
//! fields of many, so that most of those bytes were there before: here only what differs is written, over what was
//! there. What differs is found first, by the code that `compose` uses: on a document's text the edits of a
//! [`Splice`], which are noted and not carried out; on a patch, field by field, what [`Fold::push`] makes of two
//! primitives. When all edits are known and fit, they are carried out in one go.
//!
//! # Why there is `compose` beside it
//! A fold need not fit where the earlier operation stands, and some change all of it: a field that moves, a document
//! that is made for where there was none, long runs. And it is the twin that this is tested against.
//!
//! # Invariants
//! 1. What it gives is what `compose` gives: a document to the byte, a patch primitive by primitive.
//! 2. Where it gives nothing, nothing has changed.
//! 3. It is tried only where no run was longer than one: then none is longer than two.

use super::compose::{Fold, Levels};
use super::edits::Edits;
use super::encoding::{
    Field, Fields, Kind, Run, close, open, read_length, write_length, write_single_header,
};
use super::json::scan::{byte, part};
use super::json::string::Name;
use super::net::{ALWAYS, Absent, Composed, NetRef, PUT, Parts, Patch, write_absent_document};
use super::splice::Splice;

/// Levels of the later patch with more fields than this are composed anew.
const FIELDS_MAX: usize = 8;

/// What folding in place came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InPlace {
    /// How long the composed operation is.
    pub(crate) len: usize,
    /// As of [`compose`](super::compose()).
    pub(crate) composed: Composed,
}

/// Folds an operation into the one that the first `len` bytes of `room` are, using no more than `room`; nothing, and
/// `room` as it was, where that is not cheap or does not fit. `scratch` is a buffer to work in.
///
/// The longest run of what it makes is at most 2.
pub(crate) fn fold_in_place(
    room: &mut [u8],
    len: usize,
    later: NetRef<'_>,
    scratch: &mut Vec<u8>,
) -> Option<InPlace> {
    let Parts::Patch(second) = later.parts() else {
        let later = later.as_bytes();
        room.get_mut(..later.len())?.copy_from_slice(later);
        return Some(InPlace { len: later.len(), composed: Composed { misfits: 0, longest_run: 0 } });
    };
    scratch.clear();
    let mut edits = Edits::default();
    let bytes = part(room, 0, len);
    let earlier = NetRef::from_bytes(bytes);
    let mut composed = Composed { misfits: 0, longest_run: 0 };
    match earlier.parts() {
        Parts::Put(document) => {
            edits.origin = 1;
            let mut splice = Splice::noting(document, scratch, &mut edits);
            splice.edit_object(second.fields, 0);
            composed.misfits = splice.misfits;
            splice.finish();
        }
        Parts::Delete if second.absent == Absent::None => {}
        Parts::Delete => {
            scratch.push(PUT);
            write_absent_document(second, scratch);
            edits.insert(0, len, 0, scratch.len());
        }
        Parts::Patch(first) => {
            let longest_run = earlier.longest_run().max(later.longest_run());
            let stays = matches!(
                (first.absent, second.absent),
                (Absent::FromPatch, _) | (Absent::None, Absent::None)
            );
            if longest_run > 1 || !stays {
                return None;
            }
            let fold = Fold { longest_run, ..Fold::default() };
            let mut joint = Joint { bytes, edits: &mut edits, scratch, fold };
            joint.patch(first, second)?;
            composed = Composed { misfits: joint.fold.misfits, longest_run: joint.fold.longest_run };
        }
    }
    Some(InPlace { len: edits.carry_out(room, len, scratch)?, composed })
}

/// Two patches that are being joined: the edits of the earlier one's bytes.
struct Joint<'e, 's> {
    bytes: &'e [u8],
    edits: &'s mut Edits,
    scratch: &'s mut Vec<u8>,
    fold: Fold,
}

/// Where a field stands.
#[derive(Clone, Copy)]
struct Place {
    /// The length of its run.
    header: usize,
    /// Its run.
    run: usize,
    /// The place after it.
    end: usize,
}

impl Joint<'_, '_> {
    fn patch(&mut self, first: Patch<'_>, second: Patch<'_>) -> Option<()> {
        let known = self.fold.longest_run;
        let end = self.bytes.len();
        self.level(end - first.fields.len(), end, second.fields)?;
        if second.is_always_written && !first.is_always_written {
            let tag = byte(self.bytes, 0) | ALWAYS;
            self.write(0, 1, |out| out.push(tag));
        }
        if self.fold.longest_run != known || known != NetRef::from_bytes(self.bytes).longest_run() {
            let longest = u32::try_from(self.fold.longest_run).ok()?;
            self.write(1, 5, |out| out.extend_from_slice(&longest.to_le_bytes()));
        }
        Some(())
    }

    /// Notes an edit, its bytes written by `write`.
    fn write(&mut self, from: usize, to: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.scratch.len();
        write(self.scratch);
        self.edits.insert(from, to, start, self.scratch.len());
    }

    /// Joins a level's fields to those that stand between two places. Returns how long the level then is.
    fn level(&mut self, from: usize, to: usize, later: &[u8]) -> Option<usize> {
        let (mut length, mut cursor) = (to - from, from);
        let mut is_new = [false; FIELDS_MAX];
        let mut new = 0;
        for (position, field) in Fields(later).enumerate() {
            let is_new = is_new.get_mut(position)?;
            if let Some(place) = self.find(from, to, cursor, field.name) {
                length = length + self.field(place, field)? - (place.end - place.header);
                cursor = place.end;
            } else {
                *is_new = true;
                new += field.bytes.len();
            }
        }
        if new > 0 {
            self.write(to, to, |out| {
                for (field, is_new) in Fields(later).zip(is_new) {
                    if is_new {
                        out.extend_from_slice(field.bytes);
                    }
                }
            });
        }
        Some(length + new)
    }

    /// The field of a name, from `cursor` on and then before it: fields mostly come in the order of an earlier time.
    fn find(&self, from: usize, to: usize, cursor: usize, name: Name<'_>) -> Option<Place> {
        self.find_between(cursor, to, name).or_else(|| self.find_between(from, cursor, name))
    }

    fn find_between(&self, mut at: usize, to: usize, name: Name<'_>) -> Option<Place> {
        while at < to {
            let (header, name_start) = read_length(self.bytes, at);
            let name_end = name_start + (header >> 1);
            let (run_length, run) = read_length(self.bytes, name_end);
            let other = Name { raw: part(self.bytes, name_start, name_end), escaped: header & 1 == 1 };
            at = run + run_length;
            if other == name {
                return Some(Place { header: name_end, run, end: at });
            }
        }
        None
    }

    /// Joins a field to the one at a place. Returns how long it then is from its run's length on.
    fn field(&mut self, place: Place, later: Field<'_>) -> Option<usize> {
        let (one, two) = (Run(part(self.bytes, place.run, place.end)), Run(later.run));
        let (first, second) = (one.single()?, two.single()?);
        if first.kind.makes() != Some(true) && second.kind.makes() == Some(true) {
            return None; // It moves to the end: see `compose`.
        }
        self.fold.longest_run = self.fold.longest_run.max(1);
        if let Some(levels) = Levels::of(one, two) {
            return self.levels(place, &levels, first.kind);
        }
        let start = self.scratch.len();
        if matches!(second.kind, Kind::Set | Kind::Remove) {
            write_length(self.scratch, later.run.len());
            self.scratch.extend_from_slice(later.run);
        } else {
            let length = open(self.scratch);
            self.fold.pair(one, two, self.scratch);
            close(self.scratch, length);
        }
        self.edits.insert(place.header, place.end, start, self.scratch.len());
        Some(self.scratch.len() - start)
    }

    /// Joins two levels, of which the earlier is the whole run at a place.
    fn levels(&mut self, place: Place, levels: &Levels<'_>, kind: Kind) -> Option<usize> {
        let before = levels.earlier.len();
        let start = place.end - before;
        let length = self.level(start, place.end, levels.later)?;
        if length == before && levels.kind == kind {
            return Some(place.end - place.header);
        }
        let header_start = self.scratch.len();
        write_single_header(self.scratch, levels.kind, length);
        let header = self.scratch.len() - header_start;
        self.edits.insert(place.header, start, header_start, self.scratch.len());
        Some(header + length)
    }
}
