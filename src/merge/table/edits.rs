//! The edits of a table: noted field by field, then carried out where it stands.
//!
//! # Design
//! An edit says which field's payload goes, and which bytes of another buffer come; or that a field goes, or comes. All are
//! noted before the first is carried out: then it is known how long the table will be. Each moves what stands behind it
//! by itself. Where there is little room, first those do that take bytes, then those that add some: so the table is never
//! longer than it was or will be, and where it fits beforehand and afterwards it fits all the while.
//!
//! # Why not all moves at once
//! Measured: to sort the edits and to keep account of what moves by how much takes more than moving some two hundred
//! bytes again.
//!
//! # Invariants
//! 1. No two edits are of one field. New fields come in the order in which they were noted.

use super::super::json::scan::byte;
use super::{END, Field, Key, Layout, META, Table, is_document, short};

/// Where the bytes that come are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In the operation that is folded in.
    Later,
    /// Among what was made for the purpose.
    Made,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// It gets a payload no longer than it had.
    Shrinks,
    /// It gets a longer payload.
    Grows,
    /// It goes.
    Goes,
    /// It is new: this is its name in the later operation, and its hash.
    Comes { name: usize, hash: u8 },
}

/// One edit.
#[derive(Clone, Copy, Debug)]
struct Edit {
    change: Change,
    source: Source,
    kind: u8,
    place: usize,
    name_length: usize,
    /// The payload that comes: from here
    start: usize,
    /// to here.
    end: usize,
}

/// Edits of one table.
#[derive(Debug, Default)]
pub(in crate::merge) struct Edits {
    list: Vec<Edit>,
    /// How long the table will be.
    len: usize,
    /// By how much those that add some add to it.
    grown: usize,
    /// Fields that come,
    fields_added: usize,
    /// and fields that go.
    fields_taken: usize,
}

impl Edits {
    /// Begins anew, with a table of so many bytes.
    #[inline]
    pub(super) fn begin(&mut self, len: usize) {
        self.list.clear();
        (self.len, self.grown, self.fields_added, self.fields_taken) = (len, 0, 0, 0);
    }

    /// Another payload for a field, from a place of a source to another.
    #[inline(always)]
    pub(super) fn replace(
        &mut self,
        place: usize,
        old: Field,
        kind: u8,
        source: Source,
        (start, end): (usize, usize),
    ) {
        let (goes, comes) = (old.end - old.payload, end - start);
        self.len = self.len + comes - goes;
        let change = if comes > goes {
            self.grown += comes - goes;
            Change::Grows
        } else {
            Change::Shrinks
        };
        let name_length = old.payload - old.name;
        self.list.push(Edit { change, source, kind, place, name_length, start, end });
    }

    /// A field goes.
    pub(super) fn remove<const DOCUMENT: bool>(&mut self, place: usize, old: Field) {
        // A member with a quote and a comma before it: see `after` for what has none.
        self.len -= old.end - old.name + if DOCUMENT { 2 + 1 + END } else { 1 + META };
        self.fields_taken += 1;
        let (change, source) = (Change::Goes, Source::Later);
        self.list.push(Edit { change, source, kind: 0, place, name_length: 0, start: 0, end: 0 });
    }

    /// A field of the later operation comes, its payload from a place of a source to another.
    #[inline]
    pub(super) fn add<const DOCUMENT: bool>(
        &mut self,
        key: Key,
        kind: u8,
        source: Source,
        (start, end): (usize, usize),
    ) {
        // A member's two quotes, colon and comma.
        let comes = key.length + (end - start) + if DOCUMENT { 4 + 1 + END } else { 1 + META };
        self.len += comes;
        self.grown += comes;
        self.fields_added += 1;
        let (name_length, change) = (key.length, Change::Comes { name: key.name, hash: key.hash });
        self.list.push(Edit { change, source, kind, place: usize::MAX, name_length, start, end });
    }

    /// The length and the number of fields that the table, which has so many, comes to.
    #[inline]
    pub(super) fn after<const DOCUMENT: bool>(&self, count: usize) -> (usize, usize) {
        let after = count + self.fields_added - self.fields_taken;
        // One comma fewer than members; but where there are none, there are not fewer.
        let len = match (count, after) {
            (0, 1..) if DOCUMENT => self.len - 1,
            (1.., 0) if DOCUMENT => self.len + 1,
            _ => self.len,
        };
        (len, after)
    }

    /// Carries the edits out on the table that the first `len` bytes of `room` are, with what comes from `later` and
    /// `made`. The new length; nothing where the bytes are no table that they were noted of, or the room does not do.
    pub(in crate::merge) fn carry_out(
        &mut self,
        room: &mut [u8],
        len: usize,
        later: &[u8],
        made: &[u8],
    ) -> Option<usize> {
        if is_document(room) {
            self.carry_out_as::<true>(room, len, later, made)
        } else {
            self.carry_out_as::<false>(room, len, later, made)
        }
    }

    #[inline]
    fn carry_out_as<const DOCUMENT: bool>(
        &mut self,
        room: &mut [u8],
        len: usize,
        later: &[u8],
        made: &[u8],
    ) -> Option<usize> {
        let layout = Layout::of::<DOCUMENT>(room, len)?;
        let is_roomy = len + self.grown <= room.len() && self.fields_taken == 0;
        let mut standing = Standing::<DOCUMENT> { room, layout, later, made };
        if is_roomy {
            for edit in &self.list {
                standing.carry_out(edit)?;
            }
        } else {
            self.carry_out_by_turns(&mut standing)?;
        }
        Some(standing.layout.len)
    }

    /// First those that take bytes, then those that add some.
    #[inline(never)]
    fn carry_out_by_turns<const DOCUMENT: bool>(
        &mut self,
        standing: &mut Standing<'_, DOCUMENT>,
    ) -> Option<()> {
        for grows in [false, true] {
            for number in 0..self.list.len() {
                let edit = *self.list.get(number)?;
                if matches!(edit.change, Change::Grows | Change::Comes { .. }) != grows {
                    continue;
                }
                standing.carry_out(&edit)?;
                if edit.change == Change::Goes {
                    // Those behind it stand a place before.
                    let behind = |other: &&mut Edit| {
                        other.place > edit.place && !matches!(other.change, Change::Comes { .. })
                    };
                    self.list.iter_mut().filter(behind).for_each(|other| other.place -= 1);
                }
            }
        }
        Some(())
    }
}

/// Copies bytes, mostly few: by words that may overlap.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    if from.len() <= 16
        && let (Some(first), Some(last)) = (from.first_chunk::<8>(), from.last_chunk::<8>())
    {
        if let Some(to) = to.first_chunk_mut() {
            *to = *first;
        }
        if let Some(to) = to.last_chunk_mut() {
            *to = *last;
        }
    } else if from.len() < 8 {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    } else {
        to.copy_from_slice(from);
    }
}

/// A table that is edited.
struct Standing<'r, const DOCUMENT: bool> {
    room: &'r mut [u8],
    layout: Layout,
    later: &'r [u8],
    made: &'r [u8],
}

impl<const DOCUMENT: bool> Standing<'_, DOCUMENT> {
    /// Bytes of a meta.
    const META: usize = if DOCUMENT { END } else { META };

    #[inline(always)]
    fn carry_out(&mut self, edit: &Edit) -> Option<()> {
        let source = if edit.source == Source::Later { self.later } else { self.made };
        let payload = source.get(edit.start..edit.end)?;
        match edit.change {
            Change::Shrinks | Change::Grows => self.replace(edit, payload),
            Change::Goes => self.remove(edit.place),
            Change::Comes { name, hash } => {
                let name = self.later.get(name..name + edit.name_length)?;
                self.add(name, hash, edit.kind, payload)
            }
        }
    }

    /// Moves all from a place on, up to the table's end.
    #[inline(always)]
    fn slide(&mut self, from: usize, to: usize) -> Option<()> {
        let len = self.layout.len;
        let moved = len.checked_sub(from)?;
        if len > self.room.len() || to + moved > self.room.len() {
            return None;
        }
        self.room.copy_within(from..len, to);
        Some(())
    }

    #[inline(always)]
    fn put(&mut self, at: usize, bytes: &[u8]) -> Option<()> {
        copy(self.room.get_mut(at..at + bytes.len())?, bytes);
        Some(())
    }

    /// The body at a place got longer or shorter, and all behind it moved.
    #[inline(always)]
    fn moved(&mut self, place: usize, comes: usize, goes: usize) -> Option<()> {
        let by = comes.wrapping_sub(goes);
        let Layout { len, count, hashes, metas } = self.layout;
        let moved = |at: usize| at.wrapping_add(by);
        self.layout = Layout { len: moved(len), count, hashes: moved(hashes), metas: moved(metas) };
        let metas = self.layout.metas;
        let metas = self.room.get_mut(metas + Self::META * place..metas + Self::META * count)?;
        if DOCUMENT {
            let by = short(comes).wrapping_sub(short(goes));
            for end in metas.as_chunks_mut::<END>().0 {
                *end = u16::from_le_bytes(*end).wrapping_add(by).to_le_bytes();
            }
        } else {
            // The place after a body is a meta's lower half: adding never carries out of it, nor does taking borrow.
            let by = u32::from(short(comes)).wrapping_sub(u32::from(short(goes)));
            for meta in metas.as_chunks_mut::<META>().0 {
                *meta = u32::from_le_bytes(*meta).wrapping_add(by).to_le_bytes();
            }
        }
        Some(())
    }

    #[inline(always)]
    fn replace(&mut self, edit: &Edit, payload: &[u8]) -> Option<()> {
        let name_length = if DOCUMENT { edit.name_length.checked_sub(2)? } else { 0 };
        let field =
            Table::<DOCUMENT> { bytes: self.room, layout: self.layout }.field(edit.place, name_length)?;
        let goes = field.end.checked_sub(field.payload)?;
        if goes != payload.len() {
            self.slide(field.end, field.payload + payload.len())?;
            self.moved(edit.place, payload.len(), goes)?;
        }
        self.put(field.payload, payload)?;
        if !DOCUMENT && edit.kind != field.kind {
            *self.room.get_mut(self.layout.metas + META * edit.place + META - 1)? = edit.kind;
        }
        Some(())
    }

    #[inline(never)]
    fn add(&mut self, name: &[u8], hash: u8, kind: u8, payload: &[u8]) -> Option<()> {
        let Layout { len, count, hashes, metas } = self.layout;
        // A member comes before the brace that closes.
        let start = hashes.checked_sub(usize::from(DOCUMENT))?;
        let before: &[u8] = match count {
            _ if !DOCUMENT => b"",
            0 => b"\"",
            _ => b",\"",
        };
        let between: &[u8] = if DOCUMENT { b"\":" } else { b"" };
        let body = before.len() + name.len() + between.len() + payload.len();
        self.slide(metas, metas + body + 1)?;
        if metas > self.room.len() || hashes > metas {
            return None;
        }
        self.room.copy_within(hashes..metas, hashes + body);
        let mut at = start;
        for piece in [before, name, between, payload] {
            self.put(at, piece)?;
            at += piece.len();
        }
        if DOCUMENT {
            *self.room.get_mut(at)? = b'}';
        }
        *self.room.get_mut(hashes + body + count)? = hash;
        self.layout = Layout {
            len: len + body + 1 + Self::META,
            count: count + 1,
            hashes: hashes + body,
            metas: metas + body + 1,
        };
        let [low, high] = short(at).to_le_bytes();
        let number = u8::try_from(count + 1).ok()?;
        let last = self.room.get_mut(self.layout.len - 1 - Self::META..)?;
        if DOCUMENT {
            *last.first_chunk_mut()? = [low, high, number];
        } else {
            *last.first_chunk_mut()? = [low, high, u8::try_from(name.len()).ok()?, kind, number];
        }
        Some(())
    }

    #[inline(never)]
    fn remove(&mut self, place: usize) -> Option<()> {
        let field = Table::<DOCUMENT> { bytes: self.room, layout: self.layout }.field(place, 0)?;
        // Of a document, with one comma: the one before it, or that after the first.
        let (from, to) = match (DOCUMENT, place) {
            (false, _) => (field.name, field.end),
            (true, 0) => (field.name - 1, field.end + usize::from(self.layout.count > 1)),
            (true, _) => (field.name - 2, field.end),
        };
        self.slide(to, from)?;
        self.moved(place, 0, to.checked_sub(from)?)?;
        let Layout { hashes, metas, .. } = self.layout;
        self.slide(metas + Self::META * (place + 1), metas + Self::META * place)?;
        self.layout.len -= Self::META;
        self.slide(hashes + place + 1, hashes + place)?;
        self.layout.len -= 1;
        self.layout.metas -= 1;
        self.layout.count -= 1;
        let number = byte(self.room, self.layout.len - 1).checked_sub(1)?;
        self.put(self.layout.len - 1, &[number])
    }
}
