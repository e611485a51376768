//! Folding a patch into a table: what is to be edited.
//!
//! # Design
//! Each field of the later patch is looked up, and what comes there is noted: its payload as it stands, or what had to be
//! made. Nothing is written to the table before all is known: see [`Edits`].
//!
//! A level that sets members of an object which stand there in the same order, as it mostly is, is laid over it in one
//! walk along both; one that sets all of a level's is taken as it is.
//!
//! # Why a value that is equal is replaced all the same
//! Of two spellings of one value either may stay, and to compare them took more than to copy the later one.
//!
//! # Invariants
//! 1. What comes of it is what [`compose`](mod@super::super::compose) gives, spellings of equal values aside: a document
//!    member by member, a patch primitive by primitive, in the same order. Where that is no table, the answer is nothing.

use super::super::apply::{Effect, apply_run};
use super::super::compose::{Fold, Pushed};
use super::super::decimal;
use super::super::encoding::{Kind, Primitive, Run, read_length};
use super::super::json::scan::{byte, member, padded_word, part, value_end};
use super::super::list;
use super::super::net::{ALWAYS, Absent, Composed, FROM_PATCH, Patch};
use super::edits::{Edits, Source};
use super::{BYTES_MAX, FIELDS_MAX, Flat, Key, Table, is_readable, ones, room};

/// The kind of nearly all fields.
const SET: u8 = Kind::Set as u8;

/// What folding into a table will come to.
#[derive(Clone, Copy, Debug)]
pub(in crate::merge) struct Folded {
    /// The tag that the table will have.
    pub(in crate::merge) tag: u8,
    /// The room it will need.
    pub(in crate::merge) needs: usize,
    pub(in crate::merge) composed: Composed,
}

/// As [`fold`](super::fold()), for a document or a patch.
#[inline]
pub(super) fn fold<const DOCUMENT: bool>(
    (bytes, len): (&[u8], usize),
    (later, patch): (&[u8], Patch<'_>),
    edits: &mut Edits,
    made: &mut Vec<u8>,
) -> Option<Folded> {
    let table = Table::<DOCUMENT>::of(bytes, len)?;
    let mut tag = byte(bytes, 0);
    if !DOCUMENT {
        if tag & FROM_PATCH == 0 && patch.absent != Absent::None {
            return None;
        }
        tag |= if patch.is_always_written { ALWAYS } else { 0 };
    }
    edits.begin(len);
    let mut misfits = 0;
    let mut at = later.len().checked_sub(patch.fields.len())?;
    while at < later.len() {
        let mut place = None;
        if let Some(flat) = Flat::short(later, at) {
            let key = Key::of(later, flat.name, flat.name_length);
            let payload = (flat.payload, flat.end);
            match table.find(key, later) {
                // A value for a value, as mostly.
                Some((place, field)) if flat.kind == SET && field.kind == SET => {
                    edits.replace(place, field, SET, Source::Later, payload);
                    at = flat.end;
                    continue;
                }
                None if flat.kind == SET || !DOCUMENT => {
                    edits.add::<DOCUMENT>(key, flat.kind, Source::Later, payload);
                    at = flat.end;
                    continue;
                }
                found => place = found.map(|(place, _)| place),
            }
        }
        at = meet::<DOCUMENT>((bytes, len), place, (later, at), edits, made, &mut misfits)?;
    }
    let (after, count) = edits.after::<DOCUMENT>(table.layout.count);
    let is_table = after <= BYTES_MAX
        && count <= FIELDS_MAX
        && (DOCUMENT || is_readable(after, count))
        && later.len().max(made.len()) <= BYTES_MAX;
    let longest_run = usize::from(!DOCUMENT && count > 0);
    let composed = Composed { misfits, longest_run };
    is_table.then_some(Folded { tag, needs: room(tag, after, count), composed })
}

/// Carries out the field at a place of the later operation, whatever it is and whether or not the table has it at a place
/// that is known; the place after it.
#[inline(never)]
fn meet<const DOCUMENT: bool>(
    (bytes, len): (&[u8], usize),
    place: Option<usize>,
    (later, at): (&[u8], usize),
    edits: &mut Edits,
    made: &mut Vec<u8>,
    misfits: &mut u64,
) -> Option<usize> {
    let table = Table::<DOCUMENT>::of(bytes, len)?;
    let flat = Flat::at(later, at)?;
    let (start, run) = (made.len(), Run(part(later, flat.run, flat.end)));
    let found = match place {
        Some(place) => Some((place, table.field(place, flat.name_length)?)),
        None => table.find(Key::of(later, flat.name, flat.name_length), later),
    };
    let Some((place, field)) = found else {
        let key = Key::of(later, flat.name, flat.name_length);
        if flat.kind == SET || !DOCUMENT {
            edits.add::<DOCUMENT>(key, flat.kind, Source::Later, (flat.payload, flat.end));
        } else if apply_run(run, None, made, misfits) == Effect::Written {
            edits.add::<DOCUMENT>(key, SET, Source::Made, (start, made.len()));
        }
        return Some(flat.end);
    };
    let (one, two) = (part(bytes, field.payload, field.end), part(later, flat.payload, flat.end));
    let meeting = Meeting { first: Kind::of(field.kind), one, second: Kind::of(flat.kind), two, run };
    let comes =
        if DOCUMENT { meeting.in_document(made, misfits)? } else { meeting.in_patch(made, misfits)? };
    match comes {
        Comes::Nothing => {}
        Comes::Gap => edits.remove::<DOCUMENT>(place, field),
        Comes::Later => {
            edits.replace(place, field, flat.kind, Source::Later, (flat.payload, flat.end));
        }
        Comes::Made(kind, from) => {
            edits.replace(place, field, kind as u8, Source::Made, (start + from, made.len()));
        }
    }
    Some(flat.end)
}

/// What comes where two fields meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    /// All stays as it is.
    Nothing,
    /// The field goes.
    Gap,
    /// The later one's kind and payload.
    Later,
    /// What was made, without so many bytes at its start.
    Made(Kind, usize),
}

/// Two primitives on one field.
struct Meeting<'a> {
    first: Kind,
    one: &'a [u8],
    second: Kind,
    two: &'a [u8],
    /// The run that the second is.
    run: Run<'a>,
}

impl Meeting<'_> {
    /// Carries a field's primitive out on a document's member.
    fn in_document(&self, made: &mut Vec<u8>, misfits: &mut u64) -> Option<Comes> {
        let start = made.len();
        match self.second {
            Kind::Set => return Some(Comes::Later),
            Kind::Remove => return Some(Comes::Gap),
            Kind::Create if overlay_text(self.one, self.two, made).is_some() => {
                return Some(Comes::Made(Kind::Set, 0));
            }
            _ => made.truncate(start),
        }
        match apply_run(self.run, Some(self.one), made, misfits) {
            Effect::Kept => Some(Comes::Nothing),
            Effect::Written => Some(Comes::Made(Kind::Set, 0)),
            Effect::Gone => None,
        }
    }

    /// Joins a primitive to that of a patch's field.
    fn in_patch(&self, made: &mut Vec<u8>, misfits: &mut u64) -> Option<Comes> {
        if self.first.makes() != Some(true) && self.second.makes() == Some(true) {
            return None; // It moves to the end: see `compose`.
        }
        match (self.first, self.second) {
            (_, Kind::Set | Kind::Remove) => Some(Comes::Later),
            (Kind::Inc, Kind::Inc) => {
                decimal::write_sum(self.one, self.two, made).then_some(Comes::Made(Kind::Inc, 0))
            }
            (Kind::Create, Kind::Create) if sets_all(self.one, self.two) => Some(Comes::Later),
            (Kind::Union, Kind::Union) if list::holds_all(self.one, self.two) => Some(Comes::Nothing),
            (Kind::Create | Kind::Keep, Kind::Create | Kind::Keep) => {
                let start = made.len();
                if overlay_fields(self.one, self.two, made).is_none() {
                    made.truncate(start);
                    let mut fold = Fold::default();
                    fold.fields(self.one, self.two, made);
                    *misfits += fold.misfits;
                    if fold.longest_run > 1 {
                        return None;
                    }
                }
                let kind = if self.first == Kind::Create { self.first } else { self.second };
                Some(Comes::Made(kind, 0))
            }
            _ => self.push(made, misfits),
        }
    }

    /// Joins two primitives by the table of `compose`.
    fn push(&self, made: &mut Vec<u8>, misfits: &mut u64) -> Option<Comes> {
        let one = Primitive { kind: self.first, payload: self.one, bytes: &[] };
        let (start, mut fold) = (made.len(), Fold::default());
        let pushed = fold.push(one, self.run.single()?, made);
        *misfits += fold.misfits;
        match pushed {
            Pushed::Both => None,
            Pushed::Earlier => Some(Comes::Nothing),
            Pushed::Later => Some(Comes::Later),
            Pushed::Joined => {
                let (_, payload) = read_length(made, start + 1);
                Some(Comes::Made(Kind::of(byte(made, start)), payload - start))
            }
        }
    }
}

/// True where two levels set the same members, in the same order; false where that takes longer to tell.
fn sets_all(earlier: &[u8], later: &[u8]) -> bool {
    let (mut at, mut next) = (0, 0);
    while let (Some(one), Some(two)) = (Flat::short(earlier, at), Flat::short(later, next)) {
        let is_same = one.kind == SET
            && two.kind == SET
            && one.name_length == two.name_length
            && is_same_name((earlier, one.name), (later, two.name), one.name_length);
        if !is_same {
            return false;
        }
        (at, next) = (one.end, two.end);
    }
    at == earlier.len() && next == later.len()
}

/// True where the same bytes stand at two places, so many.
#[inline(always)]
fn is_same_name((one, at): (&[u8], usize), (two, next): (&[u8], usize), length: usize) -> bool {
    (padded_word(one, at) ^ padded_word(two, next)) & ones(length) == 0
        && (length <= 8 || part(one, at + 8, at + length) == part(two, next + 8, next + length))
}

/// Writes the object that a text is, with the members that some fields set; nothing where these are not all there, in
/// this order, or do something else. What was written is then to be taken back.
fn overlay_text(text: &[u8], fields: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if byte(text, 0) != b'{' {
        return None;
    }
    let (mut copied, mut at, mut next) = (0, 1, 0);
    while next < fields.len() {
        let flat = Flat::at(fields, next).filter(|flat| flat.kind == SET)?;
        let name = part(fields, flat.name, flat.name + flat.name_length);
        loop {
            let found = member(text, at)?;
            at = value_end(text, found.value);
            if found.name.escaped {
                return None;
            }
            if found.name.raw == name {
                out.extend_from_slice(part(text, copied, found.value));
                out.extend_from_slice(part(fields, flat.payload, flat.end));
                copied = at;
                break;
            }
        }
        next = flat.end;
    }
    out.extend_from_slice(part(text, copied, text.len()));
    Some(())
}

/// The same of the fields of a patch.
fn overlay_fields(earlier: &[u8], later: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (mut copied, mut at, mut next) = (0, 0, 0);
    while next < later.len() {
        let flat = Flat::at(later, next).filter(|flat| flat.kind == SET)?;
        let name = part(later, flat.name, flat.name + flat.name_length);
        loop {
            let start = at;
            let found = Flat::at(earlier, at)?;
            at = found.end;
            if part(earlier, found.name, found.name + found.name_length) == name {
                if Kind::of(found.kind).makes() != Some(true) {
                    return None;
                }
                out.extend_from_slice(part(earlier, copied, start));
                out.extend_from_slice(part(later, next, flat.end));
                copied = at;
                break;
            }
        }
        next = flat.end;
    }
    out.extend_from_slice(part(earlier, copied, earlier.len()));
    Some(())
}
