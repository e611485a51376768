//! The bytes of a net operation.
//!
//! # Design
//! One flat byte string, as it lies in memory and in the journal's records: what changes here changes the journal's format,
//! whose version (`journal/group.rs`) then goes up. Elsewhere the persistent form is text. Integers are LEB128, in as few
//! bytes as they take: where a length is written before it is known, and takes more than one, what it measures moves.
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
use bytes::BufMut;

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
    #[inline]
    pub(super) fn of(byte: u8) -> Kind {
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
pub(super) fn write_length(out: &mut impl BufMut, mut value: usize) {
    while value >= 0x80 {
        out.put_u8(low_bits(value) | 0x80);
        value >>= 7;
    }
    out.put_u8(low_bits(value));
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits are meant")]
fn low_bits(value: usize) -> u8 {
    (value & 0x7F) as u8
}

/// How many bytes an integer takes.
#[inline]
fn length_bytes(value: usize) -> usize {
    let mut bytes = 1;
    while value >> (7 * bytes) > 0 {
        bytes += 1;
    }
    bytes
}

/// The place of a length that is not known yet.
#[derive(Clone, Copy, Debug)]
#[must_use = "an open length must be closed"]
pub(super) struct Open(usize);

/// Leaves room for a length: one byte, as most take.
#[inline]
pub(super) fn open(out: &mut Vec<u8>) -> Open {
    out.push(0);
    Open(out.len())
}

/// Fills in the length of all that was written since it was opened, which moves where its length takes more room.
#[inline]
pub(super) fn close(out: &mut Vec<u8>, open: Open) {
    let length = out.len() - open.0;
    if length < 0x80 {
        if let Some(room) = out.get_mut(open.0 - 1) {
            *room = low_bits(length);
        }
        return;
    }
    close_long(out, open, length);
}

#[inline(never)]
fn close_long(out: &mut Vec<u8>, open: Open, length: usize) {
    let bytes = length_bytes(length);
    out.resize(out.len() + bytes - 1, 0);
    out.copy_within(open.0..open.0 + length, open.0 + bytes - 1);
    let mut rest = length;
    for (index, byte) in out.iter_mut().skip(open.0 - 1).take(bytes).enumerate() {
        *byte = low_bits(rest) | if index + 1 < bytes { 0x80 } else { 0 };
        rest >>= 7;
    }
}

/// Where a field stands in some bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    /// The length of its name, doubled, and whether that has an escape.
    pub(super) header: usize,
    /// Its name.
    pub(super) name: usize,
    /// The place after its name, where the length of its run is.
    pub(super) name_end: usize,
    /// Its run.
    pub(super) run: usize,
    /// The place after it.
    pub(super) end: usize,
}

impl Spot {
    /// The field that starts at a place, before another.
    #[inline]
    pub(super) fn at(bytes: &[u8], at: usize, before: usize) -> Self {
        let (header, name) = read_length(bytes, at);
        let name_end = name + (header >> 1);
        let (run_length, run) = read_length(bytes, name_end);
        Self { header, name, name_end, run, end: (run + run_length).min(before) }
    }

    /// The print of its name.
    #[inline]
    pub(super) fn print(&self, bytes: &[u8]) -> u64 {
        Name::print(bytes, self.name, self.header >> 1)
    }

    /// Its name.
    #[inline]
    pub(super) fn name<'a>(&self, bytes: &'a [u8]) -> Name<'a> {
        Name { raw: part(bytes, self.name, self.name_end), escaped: self.is_escaped() }
    }

    /// True where its name has an escape.
    #[inline]
    pub(super) fn is_escaped(&self) -> bool {
        self.header & 1 == 1
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

impl Field<'_> {
    /// The print of its name.
    #[inline]
    pub(super) fn print(&self) -> u64 {
        Name::print(self.bytes, read_length(self.bytes, 0).1, self.name.raw.len())
    }
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
        let spot = Spot::at(self.0, 0, self.0.len());
        let field = Field {
            name: spot.name(self.0),
            run: part(self.0, spot.run, spot.end),
            bytes: part(self.0, 0, spot.end),
        };
        self.0 = part(self.0, spot.end, self.0.len());
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

/// The only primitive of a run: what it does, and where its payload starts.
#[inline]
pub(super) fn single(bytes: &[u8], run: usize, end: usize) -> Option<(Kind, usize)> {
    let (length, payload) = read_length(bytes, run + 1);
    (payload + length == end).then(|| (Kind::of(byte(bytes, run)), payload))
}

/// Writes a run of one primitive, its length before it.
#[inline]
pub(super) fn write_single(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    write_single_header(out, kind, payload.len());
    out.extend_from_slice(payload);
}

/// Writes what stands before the payload of a run of one primitive.
#[inline]
pub(super) fn write_single_header(out: &mut impl BufMut, kind: Kind, payload: usize) {
    write_length(out, 1 + length_bytes(payload) + payload);
    out.put_u8(kind as u8);
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
