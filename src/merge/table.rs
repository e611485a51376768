//! A document or a patch as a table: as it lies in an entry that is written again and again.
//!
//! # Design
//! A text has to be walked to find a member, and a flat patch to find a field. So a table has a directory behind its
//! fields: a field is found by a byte of its name's hash, eight at a time; then its name is compared. The directory stands
//! at the end, so that a field that is added or grows moves little.
//!
//! ```text
//! document   tag  text  hash*  end (u16)*  count (u8)      as many hashes and ends as there are members
//! patch      tag  body*  hash*  meta*  count (u8)          as many bodies, hashes and metas as there are fields
//! tag        that of a put or of a patch (absent: nothing, or from the patch), and `TABLE`
//! hash       a byte of the name's hash
//! end        where a member's value ends
//! body       name  payload       in the order in which they create
//! meta       where the body ends (u16)  name length (u8)  kind (u8)
//! ```
//!
//! The text of a document is as it goes out. A put is made into a table while it is [checked](write_document), a patch when
//! the first update comes. This form never leaves the shard: what goes out or is read is [joined](mod@join), which for
//! a document is to leave away the directory. Only what is simple becomes a table: a text without white space between its
//! members, a patch of which no field has a run; names without escapes; and not more than the directory can say. All
//! else is [composed](mod@super::compose).
//!
//! # Why not lengths between the fields
//! It was: a field was found by walking over those before it, which cost more than all else that a fold did.
//!
//! # Invariants (checked by `validate`)
//! 1. Members, with a comma between two, or bodies follow one another from behind the tag to the hashes; there is no byte
//!    more. All is below 64 KiB.
//! 2. Names differ and have no escapes; a hash is its name's.
//! 3. Joined, it has at most [`room`] bytes: an entry's room is kept that large, so that joining, which nobody can refuse,
//!    needs no memory.

#![expect(
    clippy::inline_always,
    reason = "measured: left to its own judgement the compiler makes calls of steps shorter than a call"
)]

mod build;
mod edits;
mod fold;
mod join;

use super::encoding::{Kind, Spot, single};
use super::json::glance::mixed;
use super::json::scan::{byte, hits, padded_word, part};
use super::net::{PUT, Patch, TABLE};
pub(super) use build::{tabulate, write_document};
pub(super) use edits::Edits;
pub(super) use fold::Folded;
pub(super) use join::join;

/// The most fields a table has.
const FIELDS_MAX: usize = 254;
/// The most bytes it has: so that each place fits a `u16`.
const BYTES_MAX: usize = u16::MAX as usize;
/// The longest name of a patch's field.
const NAME_MAX: usize = u8::MAX as usize;
/// Bytes of a patch's meta,
const META: usize = 4;
/// and of a document's end of a member.
const END: usize = 2;

/// True where a table is a document.
fn is_document(bytes: &[u8]) -> bool {
    byte(bytes, 0) == PUT | TABLE
}

/// The bytes that a table of this tag, length and count of fields may come to when it is joined, and at least its own.
///
/// A flat field has four bytes beside its body, one less than a table's; a name or a payload of 64 bytes or more has
/// longer lengths, by not more than a byte for each 63 of its body. A patch's header has three bytes more than a table's
/// tag and count.
fn room(tag: u8, len: usize, count: usize) -> usize {
    if tag & !TABLE == PUT {
        return len;
    }
    len + len / 63 + 3_usize.saturating_sub(count)
}

/// As [`room`], of the table that these bytes are.
pub(super) fn room_of(bytes: &[u8]) -> usize {
    let count = byte(bytes, bytes.len().saturating_sub(1));
    room(byte(bytes, 0), bytes.len(), count.into())
}

/// The text of the document that a table is.
pub(super) fn document(bytes: &[u8]) -> &[u8] {
    Layout::of::<true>(bytes, bytes.len()).map_or(b"{}", |layout| part(bytes, 1, layout.hashes))
}

/// Notes in `edits` what folding a patch, all of whose bytes are `later`, changes in the table that the first `len` of
/// some bytes are. What has to be made is put to `made`, which is empty.
#[inline]
pub(super) fn fold(
    table: (&[u8], usize),
    later: (&[u8], Patch<'_>),
    edits: &mut Edits,
    made: &mut Vec<u8>,
) -> Option<Folded> {
    if is_document(table.0) {
        fold::fold::<true>(table, later, edits, made)
    } else {
        fold::fold::<false>(table, later, edits, made)
    }
}

/// True where there are as many bytes before a patch's metas as are read together with the first: nearly always.
#[inline]
fn is_readable(len: usize, count: usize) -> bool {
    count == 0 || len > META * (count + 1)
}

/// Where the parts of a table are.
#[derive(Clone, Copy, Debug)]
struct Layout {
    len: usize,
    count: usize,
    hashes: usize,
    /// A patch's metas, or a document's ends.
    metas: usize,
}

impl Layout {
    /// That of the table that the first `len` bytes are.
    #[inline(always)]
    fn of<const DOCUMENT: bool>(bytes: &[u8], len: usize) -> Option<Self> {
        let count = usize::from(byte(bytes, len.checked_sub(1)?));
        let metas = (len - 1).checked_sub(count * if DOCUMENT { END } else { META })?;
        let hashes = metas.checked_sub(count)?;
        (DOCUMENT || is_readable(len, count)).then_some(Self { len, count, hashes, metas })
    }
}

/// A table, in bytes that may go on behind it.
#[derive(Clone, Copy, Debug)]
struct Table<'a, const DOCUMENT: bool> {
    bytes: &'a [u8],
    layout: Layout,
}

/// A field of a table.
#[derive(Clone, Copy, Debug)]
struct Field {
    /// Its name.
    name: usize,
    payload: usize,
    end: usize,
    kind: u8,
}

impl<'a, const DOCUMENT: bool> Table<'a, DOCUMENT> {
    #[inline(always)]
    fn of(bytes: &'a [u8], len: usize) -> Option<Self> {
        Some(Self { bytes, layout: Layout::of::<DOCUMENT>(bytes, len)? })
    }

    /// The field at a place; of a document's member, which should have a name of this length.
    #[inline(always)]
    fn field(&self, place: usize, name_length: usize) -> Option<Field> {
        if DOCUMENT {
            // The end before tells where the member before it ends: then come a comma and a quote.
            let at = self.layout.metas + END * place - END;
            let &[start, start_high, end, end_high] = self.bytes.get(at..)?.first_chunk()?;
            let start = if place == 0 { 1 } else { usize::from(u16::from_le_bytes([start, start_high])) };
            let payload = start + 2 + name_length + 2;
            let end = u16::from_le_bytes([end, end_high]).into();
            return Some(Field { name: start + 2, payload, end, kind: Kind::Set as u8 });
        }
        let at = self.layout.metas + META * place - META;
        let &[start, start_high, _, _, end, end_high, name_length, kind] =
            self.bytes.get(at..)?.first_chunk()?;
        let name = if place == 0 { 1 } else { usize::from(u16::from_le_bytes([start, start_high])) };
        let payload = name + usize::from(name_length);
        Some(Field { name, payload, end: u16::from_le_bytes([end, end_high]).into(), kind })
    }

    /// The place and the field of a name, which stands in `other`.
    #[inline(always)]
    fn find(&self, key: Key, other: &[u8]) -> Option<(usize, Field)> {
        let mut from = 0;
        while from < self.layout.count {
            // Beyond the hashes is something else.
            let mut hits = hits(padded_word(self.bytes, self.layout.hashes + from), key.hash);
            while hits != 0 {
                let place = from + hits.trailing_zeros() as usize / 8;
                if place >= self.layout.count {
                    break;
                }
                let field = self.field(place, key.length)?;
                if self.is_named(field, key, other) {
                    return Some((place, field));
                }
                hits &= hits - 1;
            }
            from += 8;
        }
        None
    }

    #[inline(always)]
    fn is_named(&self, field: Field, key: Key, other: &[u8]) -> bool {
        let has_length = if DOCUMENT {
            byte(self.bytes, field.name + key.length) == b'"'
        } else {
            field.payload - field.name == key.length
        };
        has_length
            && padded_word(self.bytes, field.name) & key.kept == key.first
            && (key.length <= 8
                || padded_word(self.bytes, field.name + key.length - 8) == key.last
                    && (key.length <= 16
                        || part(self.bytes, field.name, field.name + key.length)
                            == part(other, key.name, key.name + key.length)))
    }
}

/// A length or a place in a table: all are below 64 KiB.
#[inline(always)]
fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// The byte of a hash: of the bits that depend on all.
#[inline(always)]
fn hash(mixed: u64) -> u8 {
    mixed.to_be_bytes()[0]
}

/// A name that is looked for.
#[derive(Clone, Copy, Debug)]
struct Key {
    name: usize,
    length: usize,
    /// Its first eight bytes, or as many as it has,
    first: u64,
    /// and ones for these.
    kept: u64,
    /// Its last eight bytes, where it has more.
    last: u64,
    hash: u8,
}

/// Ones for as many bytes of a word as a name has.
#[inline(always)]
fn ones(length: usize) -> u64 {
    if length < 8 { !(u64::MAX << (8 * length)) } else { u64::MAX }
}

impl Key {
    /// The name at a place of some bytes.
    #[inline(always)]
    fn of(bytes: &[u8], name: usize, length: usize) -> Self {
        let kept = ones(length);
        let first = padded_word(bytes, name) & kept;
        let last = if length > 8 { padded_word(bytes, name + length - 8) } else { 0 };
        let hash = hash(mixed(first ^ last.rotate_left(27)));
        Self { name, length, first, kept, last, hash }
    }
}

/// A field of flat bytes that a table can hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flat {
    name: usize,
    name_length: usize,
    pub(super) kind: u8,
    /// The run, which is one primitive,
    pub(super) run: usize,
    /// and its payload.
    pub(super) payload: usize,
    /// The place after both.
    pub(super) end: usize,
}

impl Flat {
    /// The field at a place of flat bytes; nothing where it is none for a table.
    #[inline]
    fn at(bytes: &[u8], at: usize) -> Option<Self> {
        Self::short(bytes, at).or_else(|| Self::long(bytes, at))
    }

    /// The same where it has a short name without an escape, and a short payload: as nearly all have.
    #[inline(always)]
    pub(super) fn short(bytes: &[u8], at: usize) -> Option<Self> {
        let header = usize::from(byte(bytes, at));
        let name_end = at + 1 + (header >> 1);
        let &[run_length, kind, length] = bytes.get(name_end..)?.first_chunk()?;
        let payload = name_end + 3;
        let end = payload + usize::from(length);
        let is_short = header & 0x81 == 0 && run_length < 0x80 && run_length == length + 2;
        (is_short && end <= bytes.len()).then_some(Self {
            name: at + 1,
            name_length: header >> 1,
            kind,
            run: name_end + 1,
            payload,
            end,
        })
    }

    #[inline(never)]
    fn long(bytes: &[u8], at: usize) -> Option<Self> {
        let spot = Spot::at(bytes, at, bytes.len());
        let (kind, payload) = single(bytes, spot.run, spot.end)?;
        let name_length = spot.name_end - spot.name;
        let fits = !spot.is_escaped() && name_length <= NAME_MAX && spot.end > at;
        fits.then_some(Self {
            name: spot.name,
            name_length,
            kind: kind as u8,
            run: spot.run,
            payload,
            end: spot.end,
        })
    }
}

/// Checks invariants 1 and 2 of the table that these bytes are, as far as they are not those of what it is joined to.
pub(super) fn validate(bytes: &[u8]) -> Result<(), String> {
    if is_document(bytes) { validate_as::<true>(bytes) } else { validate_as::<false>(bytes) }
}

fn validate_as<const DOCUMENT: bool>(bytes: &[u8]) -> Result<(), String> {
    let broken = |number: u8| format!("table invariant {number}: {:?}", String::from_utf8_lossy(bytes));
    let table = Table::<DOCUMENT>::of(bytes, bytes.len()).ok_or_else(|| broken(1))?;
    if bytes.len() > BYTES_MAX || table.layout.count > FIELDS_MAX {
        return Err(broken(1));
    }
    let mut end = 1;
    for place in 0..table.layout.count {
        let mut field = table.field(place, 0).ok_or_else(|| broken(1))?;
        if DOCUMENT {
            let name = part(bytes, field.name, field.end);
            let length = name.iter().position(|byte| *byte == b'"').unwrap_or(0);
            field.payload = field.name + length;
            let before: &[u8] = if place == 0 { b"{\"" } else { b",\"" };
            let after = part(bytes, field.payload, field.payload + 2);
            if (part(bytes, end, field.name), after) != (before, b"\":") {
                return Err(broken(1));
            }
        } else if field.name != end {
            return Err(broken(1));
        }
        if field.payload > field.end || field.end > table.layout.hashes {
            return Err(broken(1));
        }
        end = field.end;
        let key = Key::of(bytes, field.name, field.payload - field.name);
        if byte(bytes, table.layout.hashes + place) != key.hash
            || part(bytes, field.name, field.payload).contains(&b'\\')
            || table.find(key, bytes).map(|found| found.0) != Some(place)
        {
            return Err(broken(2));
        }
    }
    let is_whole = match (DOCUMENT, table.layout.count) {
        (false, _) => end == table.layout.hashes,
        (true, 0) => part(bytes, 1, table.layout.hashes) == b"{}",
        (true, _) => part(bytes, end, table.layout.hashes) == b"}",
    };
    if is_whole { Ok(()) } else { Err(broken(1)) }
}
