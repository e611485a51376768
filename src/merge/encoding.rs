//! The bytes of a net operation.
//!
//! # Design
//! One flat byte string, in memory only; the persistent form is text. Integers are LEB128; a length that is not
//! known when its place is written takes five bytes, padded.
//!
//! ```text
//! operation  tag (shape, flags, absent)  then  put: document | delete: nothing | patch:
//!            longest run (u32)  [absent document: length, bytes]  fields of the root
//! fields     field*                      in the order in which they create
//! field      (name length << 1 | escaped)  name  run length  run
//! run        primitive+                  carried out in order
//! primitive  kind  length  payload
//! payload    set: value | merge: fields | inc, min, max: scalar | append, union, subtract: elements with
//!            commas between, without brackets | remove: nothing
//! ```
//!
//! # Why not fixed-width headers
//! A partial update has names and values of a few bytes each: eight bytes of lengths per field would double it.
//!
//! # Invariants (checked by `validate`)
//! 1. Lengths add up; names of one level differ; a run is not empty; values and scalars are JSON.
//! 2. No two neighbours in a run fold: `set` and `remove` stand first in their run, and `remove` alone.
//! 3. A merge that does not create is not empty, and each of its fields leaves what is absent absent.
//! 4. The longest run in the header is the longest on any node.

use super::json::scan::{byte, part};
use super::json::string::Name;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

/// What a primitive does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The value is this.
    Set,
    /// There is no value.
    Remove,
    /// The fields are merged into an object; what is not an object stays.
    Keep,
    /// The fields are merged into an object; what is not an object becomes an empty one first.
    Create,
    /// A number is added.
    Inc,
    /// Elements are put at the end of a list.
    Append,
    /// Elements that are not there are put at the end of a list.
    Union,
    /// Equal elements are taken out of a list.
    Subtract,
    /// The lesser of two.
    Min,
    /// The greater of two.
    Max,
}

impl Kind {
    const ALL: [Kind; 10] = [
        Kind::Set,
        Kind::Remove,
        Kind::Keep,
        Kind::Create,
        Kind::Inc,
        Kind::Append,
        Kind::Union,
        Kind::Subtract,
        Kind::Min,
        Kind::Max,
    ];

    /// The kind of a byte; `Remove`, which has no payload, where there is none such.
    fn of(byte: u8) -> Kind {
        Self::ALL.get(usize::from(byte)).copied().unwrap_or(Kind::Remove)
    }

    /// True for both kinds of merge.
    pub(super) fn is_merge(self) -> bool {
        matches!(self, Kind::Keep | Kind::Create)
    }

    /// True where this turns what is absent into a value; `None` where it leaves it as it is.
    pub(super) fn makes(self) -> Option<bool> {
        match self {
            Kind::Remove => Some(false),
            Kind::Keep | Kind::Subtract => None,
            _ => Some(true),
        }
    }
}

/// Reads an integer; the integer and the place after it.
#[inline]
pub(super) fn read_length(bytes: &[u8], at: usize) -> (usize, usize) {
    let first = byte(bytes, at);
    if first < 0x80 {
        return (usize::from(first), at + 1);
    }
    read_long(bytes, at)
}

fn read_long(bytes: &[u8], mut at: usize) -> (usize, usize) {
    let (mut value, mut shift) = (0_usize, 0_u32);
    while shift < 35 {
        let next = byte(bytes, at);
        at += 1;
        value |= usize::from(next & 0x7F) << shift;
        if next < 0x80 {
            break;
        }
        shift += 7;
    }
    (value, at)
}

/// Writes an integer in as few bytes as it takes.
#[inline]
pub(super) fn write_length(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(low_bits(value) | 0x80);
        value >>= 7;
    }
    out.push(low_bits(value));
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits are meant")]
fn low_bits(value: usize) -> u8 {
    (value & 0x7F) as u8
}

/// The place of a length that is not known yet.
#[derive(Clone, Copy, Debug)]
#[must_use = "an open length must be closed"]
pub(super) struct Open(usize);

/// Bytes of a length written before it is known.
const OPEN_BYTES: usize = 5;

/// Leaves room for a length.
pub(super) fn open(out: &mut Vec<u8>) -> Open {
    out.extend_from_slice(&[0; OPEN_BYTES]);
    Open(out.len())
}

/// Fills in the length of all that was written since it was opened.
pub(super) fn close(out: &mut [u8], open: Open) {
    let mut value = out.len() - open.0;
    if let Some(room) = out.get_mut(open.0 - OPEN_BYTES..open.0) {
        for (index, byte) in room.iter_mut().enumerate() {
            *byte = low_bits(value) | if index + 1 < OPEN_BYTES { 0x80 } else { 0 };
            value >>= 7;
        }
    }
}

/// One field of a level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) name: Name<'a>,
    pub(super) run: &'a [u8],
    /// The whole field as it is encoded.
    pub(super) bytes: &'a [u8],
}

/// The fields of a level, in order.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let (header, name_start) = read_length(self.0, 0);
        let name_end = name_start + (header >> 1);
        let (run_length, run_start) = read_length(self.0, name_end);
        let end = (run_start + run_length).min(self.0.len());
        let field = Field {
            name: Name { raw: part(self.0, name_start, name_end), escaped: header & 1 == 1 },
            run: part(self.0, run_start, end),
            bytes: part(self.0, 0, end),
        };
        self.0 = part(self.0, end, self.0.len());
        Some(field)
    }
}

/// Writes a field's name; its run follows, between [`open`] and [`close`] or after its length.
pub(super) fn write_name(out: &mut Vec<u8>, name: Name<'_>) {
    write_length(out, name.raw.len() << 1 | usize::from(name.escaped));
    out.extend_from_slice(name.raw);
}

/// One primitive of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Primitive<'a> {
    pub(super) kind: Kind,
    pub(super) payload: &'a [u8],
    /// The whole primitive as it is encoded: by itself a run of one.
    pub(super) bytes: &'a [u8],
}

/// What is done to one field: primitives, carried out in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a>(pub(super) &'a [u8]);

impl<'a> Run<'a> {
    /// The first primitive of a run, and the rest.
    #[inline]
    pub(super) fn split_first(self) -> Option<(Primitive<'a>, Run<'a>)> {
        if self.0.is_empty() {
            return None;
        }
        let (length, start) = read_length(self.0, 1);
        let end = (start + length).min(self.0.len());
        let primitive = Primitive {
            kind: Kind::of(byte(self.0, 0)),
            payload: part(self.0, start, end),
            bytes: part(self.0, 0, end),
        };
        Some((primitive, Run(part(self.0, end, self.0.len()))))
    }

    /// The only primitive of a run that has one.
    #[inline]
    pub(super) fn single(self) -> Option<Primitive<'a>> {
        self.split_first().and_then(|(first, rest)| rest.0.is_empty().then_some(first))
    }

    /// Whether there is a value after the run, given whether there was one before only where none was.
    #[inline]
    pub(super) fn exists_after_absent(self, before: bool) -> bool {
        self.primitives().fold(before, |exists, primitive| primitive.kind.makes().unwrap_or(exists))
    }

    /// The primitives, in order.
    #[inline]
    pub(super) fn primitives(self) -> Primitives<'a> {
        Primitives(self)
    }
}

/// The primitives of a run, in order.
#[derive(Clone, Debug)]
pub(super) struct Primitives<'a>(Run<'a>);

impl<'a> Iterator for Primitives<'a> {
    type Item = Primitive<'a>;

    #[inline]
    fn next(&mut self) -> Option<Primitive<'a>> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }
}

/// Writes a run of one primitive, its length before it.
#[inline]
pub(super) fn write_single(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    write_single_header(out, kind, payload.len());
    out.extend_from_slice(payload);
}

/// Writes what stands before the payload of a run of one primitive.
#[inline]
pub(super) fn write_single_header(out: &mut Vec<u8>, kind: Kind, payload: usize) {
    let mut length_bytes = 1;
    while payload >> (7 * length_bytes) > 0 {
        length_bytes += 1;
    }
    write_length(out, 1 + length_bytes + payload);
    out.push(kind as u8);
    write_length(out, payload);
}

/// Starts a primitive whose payload follows, up to [`close`].
pub(super) fn open_primitive(out: &mut Vec<u8>, kind: Kind) -> Open {
    out.push(kind as u8);
    open(out)
}

/// The longest run on any node of a level.
pub(super) fn longest_run(fields: &[u8]) -> usize {
    let mut longest = 0;
    for field in Fields(fields) {
        let mut length = 0;
        for primitive in Run(field.run).primitives() {
            length += 1;
            if primitive.kind.is_merge() {
                longest = longest.max(longest_run(primitive.payload));
            }
        }
        longest = longest.max(length);
    }
    longest
}

/// Levels up to here are searched field by field; wider ones through a table.
const NARROW_MAX: usize = 16;

/// Finds fields of one level by name.
#[derive(Debug)]
pub(super) struct FieldIndex<'a> {
    fields: &'a [u8],
    /// How many fields there are.
    pub(super) count: usize,
    wide: Option<Box<WideIndex<'a>>>,
}

#[derive(Debug)]
struct WideIndex<'a> {
    state: RandomState,
    table: HashTable<usize>,
    fields: Vec<Field<'a>>,
}

impl<'a> FieldIndex<'a> {
    /// An index over encoded fields.
    pub(super) fn new(fields: &'a [u8]) -> Self {
        let count = Fields(fields).count();
        let wide = (count > NARROW_MAX).then(|| Box::new(WideIndex::new(fields, count)));
        Self { fields, count, wide }
    }

    /// The field of this name, and how many stand before it.
    #[inline]
    pub(super) fn find(&self, name: Name<'_>) -> Option<(usize, Field<'a>)> {
        match &self.wide {
            None => Fields(self.fields).enumerate().find(|(_, field)| field.name == name),
            Some(wide) => wide.find(name),
        }
    }
}

impl<'a> WideIndex<'a> {
    #[inline(never)]
    fn new(encoded: &'a [u8], count: usize) -> Self {
        let state = RandomState::default();
        let mut fields: Vec<Field<'a>> = Vec::with_capacity(count);
        let mut table = HashTable::with_capacity(count);
        for (index, field) in Fields(encoded).enumerate() {
            let hash = hash_name(field.name, &state);
            fields.push(field);
            table.insert_unique(hash, index, |other| {
                fields.get(*other).map_or(0, |field| hash_name(field.name, &state))
            });
        }
        Self { state, table, fields }
    }

    #[inline(never)]
    fn find(&self, name: Name<'_>) -> Option<(usize, Field<'a>)> {
        let same = |index: &usize| self.fields.get(*index).is_some_and(|field| field.name == name);
        let index = *self.table.find(hash_name(name, &self.state), same)?;
        Some((index, *self.fields.get(index)?))
    }
}

fn hash_name(name: Name<'_>, state: &RandomState) -> u64 {
    let mut hasher = state.build_hasher();
    name.hash_into(&mut hasher);
    hasher.finish()
}

/// A set of field positions of one level.
#[derive(Debug, Default)]
pub(super) struct Positions {
    near: u64,
    far: Vec<u64>,
    /// How many are in it.
    pub(super) count: usize,
}

impl Positions {
    /// Adds a position, which was not in it.
    #[inline]
    pub(super) fn insert(&mut self, position: usize) {
        self.count += 1;
        if position < 64 {
            self.near |= 1 << position;
            return;
        }
        let word = position / 64 - 1;
        if self.far.len() <= word {
            self.far.resize(word + 1, 0);
        }
        if let Some(bits) = self.far.get_mut(word) {
            *bits |= 1 << (position % 64);
        }
    }

    /// True where the position was added.
    #[inline]
    pub(super) fn contains(&self, position: usize) -> bool {
        let bits = match (position / 64).checked_sub(1) {
            None => self.near,
            Some(word) => self.far.get(word).copied().unwrap_or(0),
        };
        bits >> (position % 64) & 1 == 1
    }
}
