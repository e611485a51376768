//! A document taken apart: as its members lie in an entry that is written again and again.
//!
//! # Design
//! A put holds its document as text, and a patch onto a text has to walk it. Where updates follow a put, the text is
//! taken apart once: each member as a field whose run is one `set`, as in a patch, so that a member is found by the
//! print of its name and passed over by its length, however long its text. It takes as many bytes as the text, give
//! or take two for each long member.
//!
//! This form never leaves the shard: an operation that goes out or is read is [joined](join) to text again, which is
//! one copy. Only a text without white space between its members is taken apart, so that what was not touched comes
//! out byte for byte as it went in.
//!
//! # Why not a patch on top of the text
//! It would hold twice what was changed, and has to be carried out all the same when the document goes out.
//!
//! # Invariants (checked by `validate`)
//! 1. The bytes are the tag, then fields whose names differ, each with one `set`.
//! 2. Joined, it has at most one byte more than parted: the room of an entry is kept that much larger, so that
//!    joining, which nobody can refuse, needs no memory.

use super::apply::{Effect, apply_run};
use super::edits::{Edits, Source};
use super::encoding::{Fields, Kind, Run, Spot, close, open, open_primitive, write_name, write_single};
use super::in_place::{InPlace, find, single};
use super::json::scan::{byte, member, part, value_end};
use super::net::{Composed, NetRef, PARTED, PUT, Parts, Patch};
use bytes::BufMut;

/// Takes the document of a put apart, in its place: how long the operation then is. Nothing, and nothing changed,
/// where it is no put of a text, or there is white space between members, or no room.
pub(crate) fn part_in_place(room: &mut [u8], len: usize, scratch: &mut Vec<u8>) -> Option<usize> {
    if byte(room, 0) != PUT {
        return None;
    }
    let Parts::Put(document) = NetRef::from_bytes(part(room, 0, len)).parts() else { return None };
    scratch.clear();
    scratch.push(PARTED);
    let mut at = 1;
    while byte(document, at) != b'}' {
        let found = member(document, at)?;
        let end = value_end(document, found.value);
        let name_end = found.start + 1 + found.name.raw.len();
        let after = byte(document, end);
        let is_tight = found.start == at && found.value == name_end + 2 && matches!(after, b',' | b'}');
        if !is_tight {
            return None;
        }
        write_name(scratch, found.name);
        write_single(scratch, Kind::Set, part(document, found.value, end));
        at = end + usize::from(after == b',');
    }
    if at + 1 != document.len() || scratch.len() >= room.len() {
        return None;
    }
    room.get_mut(..scratch.len())?.copy_from_slice(scratch);
    Some(scratch.len())
}

/// Writes the document of a parted put as text.
pub(super) fn join(parted: &[u8], out: &mut impl BufMut) {
    let mut before: &[u8] = b"{\"";
    for field in Fields(part(parted, 1, parted.len())) {
        out.put_slice(before);
        out.put_slice(field.name.raw);
        out.put_slice(b"\":");
        out.put_slice(Run(field.run).single().map_or(b"null", |set| set.payload));
        before = b",\"";
    }
    out.put_slice(if before == b"{\"" { b"{}" } else { b"}" });
}

/// Folds a patch into a parted put, as [`fold_in_place`](super::fold_in_place) does.
pub(super) fn fold_into_parted(
    room: &mut [u8],
    len: usize,
    later: NetRef<'_>,
    second: Patch<'_>,
    scratch: &mut Vec<u8>,
) -> Option<InPlace> {
    if later.longest_run() > 1 {
        return None;
    }
    let later = later.as_bytes();
    let mut edits = Edits::default();
    let mut joint = Joint { bytes: part(room, 0, len), later, edits: &mut edits, scratch, misfits: 0 };
    let mut at = later.len() - second.fields.len();
    let mut cursor = 1;
    while at < later.len() {
        let field = Spot::at(later, at, later.len());
        match find(joint.bytes, (1, len), cursor, later, field) {
            Some(place) => {
                cursor = place.end;
                joint.change(place, field)?;
            }
            None => joint.add(field)?,
        }
        at = field.end;
    }
    let composed = Composed { misfits: joint.misfits, longest_run: 0 };
    // Invariant 2.
    let most = room.len().checked_sub(1)?;
    let len = edits.carry_out(room.get_mut(..most)?, len, later, scratch)?;
    Some(InPlace { len, composed })
}

/// A parted put and a patch that are being joined: the edits of the put's bytes.
struct Joint<'e, 's> {
    bytes: &'e [u8],
    later: &'e [u8],
    edits: &'s mut Edits,
    scratch: &'s mut Vec<u8>,
    misfits: u64,
}

impl Joint<'_, '_> {
    /// Carries a field's primitive out on the member that stands at a place.
    fn change(&mut self, place: Spot, field: Spot) -> Option<()> {
        let (kind, _) = single(self.later, field.run, field.end)?;
        match kind {
            Kind::Set => {
                self.edits.insert(place.name_end, place.end, Source::Later, field.name_end, field.end);
            }
            Kind::Remove => self.edits.insert(place.start, place.end, Source::Made, 0, 0),
            _ => {
                let (_, payload) = single(self.bytes, place.run, place.end)?;
                let (value, run) =
                    (part(self.bytes, payload, place.end), part(self.later, field.run, field.end));
                let start = self.scratch.len();
                let length = open(self.scratch);
                let set = open_primitive(self.scratch, Kind::Set);
                if apply_run(Run(run), Some(value), self.scratch, &mut self.misfits) != Effect::Written {
                    self.scratch.truncate(start);
                    return Some(());
                }
                close(self.scratch, set);
                close(self.scratch, length);
                self.edits.insert(place.name_end, place.end, Source::Made, start, self.scratch.len());
            }
        }
        Some(())
    }

    /// Adds the member that a field makes where there is none, if it makes one.
    fn add(&mut self, field: Spot) -> Option<()> {
        let (kind, _) = single(self.later, field.run, field.end)?;
        let end = self.bytes.len();
        if kind == Kind::Set {
            self.edits.insert(end, end, Source::Later, field.start, field.end);
        } else if kind.makes() == Some(true) {
            let start = self.scratch.len();
            write_name(self.scratch, field.name(self.later));
            let length = open(self.scratch);
            let set = open_primitive(self.scratch, Kind::Set);
            let run = Run(part(self.later, field.run, field.end));
            let effect = apply_run(run, None, self.scratch, &mut self.misfits);
            debug_assert_eq!(effect, Effect::Written, "what makes a value writes it");
            close(self.scratch, set);
            close(self.scratch, length);
            self.edits.insert(end, end, Source::Made, start, self.scratch.len());
        }
        Some(())
    }
}
