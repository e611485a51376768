//! One record of the journal: its bytes.
//!
//! # Design
//! ```text
//! record  length (of kind, seq and body)  kind  [seq: zigzagged distance from the one before in its group]  body  checksum
//! ```
//! A record is written in two steps, as its seq and its place are known late. Whoever submits writes the *body*
//! ([`Record::write_body`]), outside of all locks. Whoever writes the file puts the head before it and leaves room for the
//! checksum ([`push`]); and when the header of the group is known, goes over its records once more and fills the
//! checksums in ([`seal`]). `docs/journal.md` has the byte table.
//!
//! # Why the numbers stand in front of the names
//! Who writes the file must state the name of an index and of a source before their first use in it. [`uses`] finds their
//! numbers in the first bytes of a body, without walking over what is longer.
//!
//! # Invariants
//! 1. What is read and written again is the same bytes: there is one spelling of each record.
//! 2. [`read`](read()) gives what was written, or says what is wrong; no bytes make it panic.

mod read;

use super::{
    checksum::extend,
    varint::{self, INTEGER_BYTES_MAX, Parts, Wrong, write_bytes, zigzag},
};
use crate::merge::NetRef;
use bytes::BufMut;
pub(crate) use read::{Link, check_net, read, read_again};
pub(super) use read::{Sealed, unseal};

/// Bytes of a checksum.
pub(super) const CHECKSUM_BYTES: usize = 4;
/// What a record has at most beside its body: length, kind, seq and checksum.
pub(crate) const BESIDE_BODY_BYTES_MAX: usize = 5 + 1 + INTEGER_BYTES_MAX + CHECKSUM_BYTES;
/// The last position a source can have: a mark is one more.
pub(crate) const POSITION_MAX: u64 = u64::MAX - 1;

const HAS_ROUTING: u8 = 1 << 2;
const HAS_SOURCE: u8 = 1 << 3;
const VERB_BITS: u8 = 3;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    /// See [`Operation`].
    Operation = 1,
    /// See [`Moved`].
    Moved = 2,
    /// See [`Record::Bounds`].
    Bounds = 3,
    /// See [`Record::Unbound`].
    Unbound = 4,
    /// See [`Record::Settled`].
    Settled = 5,
    /// See [`Record::Watermark`].
    Watermark = 6,
    /// See [`Record::Ceiling`].
    Ceiling = 7,
    /// See [`Record::Index`].
    Index = 8,
    /// See [`Record::Source`].
    Source = 9,
    /// See [`Record::Begin`].
    Begin = 10,
    /// See [`Record::Gone`].
    Gone = 11,
}

impl Kind {
    const ALL: [Kind; 11] = [
        Kind::Operation,
        Kind::Moved,
        Kind::Bounds,
        Kind::Unbound,
        Kind::Settled,
        Kind::Watermark,
        Kind::Ceiling,
        Kind::Index,
        Kind::Source,
        Kind::Begin,
        Kind::Gone,
    ];

    /// The kind of a byte.
    #[inline]
    pub(crate) fn of(byte: u8) -> Option<Kind> {
        Self::ALL.get(usize::from(byte).checked_sub(1)?).copied()
    }

    /// True for those about a key, which have a seq in their head.
    #[inline]
    pub(crate) fn has_seq(self) -> bool {
        matches!(self, Kind::Operation | Kind::Moved | Kind::Bounds | Kind::Unbound | Kind::Settled)
    }
}

/// The action that an operation was submitted as, which its statuses depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Verb {
    Index = 0,
    Create = 1,
    Update = 2,
    Delete = 3,
}

impl Verb {
    fn of(flags: u8) -> Self {
        match flags & VERB_BITS {
            0 => Self::Index,
            1 => Self::Create,
            2 => Self::Update,
            _ => Self::Delete,
        }
    }
}

/// An operation that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operation<'a> {
    pub(crate) seq: u64,
    pub(crate) verb: Verb,
    /// The number of its index, which an [`Record::Index`] before it in the file names.
    pub(crate) index: u32,
    pub(crate) id: &'a str,
    pub(crate) routing: Option<&'a str>,
    /// The number of its source, which a [`Record::Source`] before it in the file names, and its position in it, at
    /// most [`POSITION_MAX`].
    pub(crate) source: Option<(u32, u64)>,
    /// A net operation; written in its common form.
    pub(crate) net: &'a [u8],
}

/// Operations of one key that had not settled, folded and written again so that a file before could be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved<'a> {
    /// The seq of the first operation in it, and of the last.
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) index: u32,
    pub(crate) id: &'a str,
    pub(crate) routing: Option<&'a str>,
    /// How many operations it is.
    pub(crate) operations: u32,
    /// How many of them will not have found a document, if there was none below, and if there was one.
    pub(crate) not_found: [u32; 2],
    /// How many of them will have been creates that met one, likewise.
    pub(crate) conflicts: [u32; 2],
    /// A net operation; written in its common form.
    pub(crate) net: &'a [u8],
}

/// One key: its index by number, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyRef<'a> {
    pub(crate) index: u32,
    pub(crate) id: &'a str,
}

/// How the file before ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileEnd {
    /// The file's number.
    pub(crate) number: u64,
    /// Bytes up to its end.
    pub(crate) at: u64,
    /// The last checksum in it.
    pub(crate) chain: u32,
}

/// A record, borrowed from the bytes it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// Was accepted.
    Operation(Operation<'a>),
    /// Takes the place of those it was made of.
    Moved(Moved<'a>),
    /// What waits of a key from `first` to `last` is about to leave as one, and must not be folded with what is newer: it
    /// may have been carried out.
    Bounds { key: KeyRef<'a>, first: u64, last: u64 },
    /// The flight that ends with `last` was put back: it is known not to have been carried out.
    Unbound { key: KeyRef<'a>, last: u64 },
    /// Everything of the key up to `last` is settled.
    Settled { key: KeyRef<'a>, last: u64 },
    /// Everything up to it is settled, of all keys.
    Watermark { seq: u64 },
    /// Sequence numbers below it may be in use.
    Ceiling { seq: u64 },
    /// The name of an index, from here on in this file.
    Index { number: u32, name: &'a str },
    /// The name of a source, from here on in this file, and the highest of its positions among all operations before this.
    Source { number: u32, mark: Option<u64>, name: &'a str },
    /// The first record of a file that follows another.
    Begin(FileEnd),
    /// Files with numbers below it are about to be removed, or were.
    Gone { number: u64 },
}

impl Record<'_> {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Record::Operation(_) => Kind::Operation,
            Record::Moved(_) => Kind::Moved,
            Record::Bounds { .. } => Kind::Bounds,
            Record::Unbound { .. } => Kind::Unbound,
            Record::Settled { .. } => Kind::Settled,
            Record::Watermark { .. } => Kind::Watermark,
            Record::Ceiling { .. } => Kind::Ceiling,
            Record::Index { .. } => Kind::Index,
            Record::Source { .. } => Kind::Source,
            Record::Begin(_) => Kind::Begin,
            Record::Gone { .. } => Kind::Gone,
        }
    }

    /// The last seq of a record about a key; 0 for the others, which have none in their head.
    pub(crate) fn seq(&self) -> u64 {
        match *self {
            Record::Operation(Operation { seq, .. }) => seq,
            Record::Moved(Moved { last, .. })
            | Record::Bounds { last, .. }
            | Record::Unbound { last, .. }
            | Record::Settled { last, .. } => last,
            _ => 0,
        }
    }

    /// Writes what stands behind the head. Of a record about a key, this does not depend on its (last) seq, but for the
    /// distance from the first to the last.
    pub(crate) fn write_body(&self, out: &mut Vec<u8>) {
        match self {
            Record::Operation(operation) => operation.write_body(out),
            Record::Moved(moved) => moved.write_body(out),
            Record::Bounds { key, first, last } => {
                varint::write(out, last.saturating_sub(*first));
                key.write(out);
            }
            Record::Unbound { key, .. } | Record::Settled { key, .. } => key.write(out),
            Record::Watermark { seq: number } | Record::Ceiling { seq: number } | Record::Gone { number } => {
                varint::write(out, *number);
            }
            Record::Index { number, name } => {
                varint::write(out, u64::from(*number));
                out.extend_from_slice(name.as_bytes());
            }
            Record::Source { number, mark, name } => {
                varint::write(out, u64::from(*number));
                varint::write(out, mark.map_or(0, |mark| mark.saturating_add(1)));
                out.extend_from_slice(name.as_bytes());
            }
            Record::Begin(FileEnd { number, at, chain }) => {
                varint::write(out, *number);
                varint::write(out, *at);
                out.extend_from_slice(&chain.to_le_bytes());
            }
        }
    }
}

impl Operation<'_> {
    fn write_body(&self, out: &mut Vec<u8>) {
        let routing = if self.routing.is_some() { HAS_ROUTING } else { 0 };
        let source = if self.source.is_some() { HAS_SOURCE } else { 0 };
        out.push(self.verb as u8 | routing | source);
        varint::write(out, u64::from(self.index));
        if let Some((number, position)) = self.source {
            debug_assert!(position <= POSITION_MAX, "positions are checked at submit");
            varint::write(out, u64::from(number));
            varint::write(out, position);
        }
        write_bytes(out, self.id.as_bytes());
        if let Some(routing) = self.routing {
            write_bytes(out, routing.as_bytes());
        }
        NetRef::from_bytes(self.net).write_joined(out);
    }
}

impl Moved<'_> {
    fn write_body(&self, out: &mut Vec<u8>) {
        varint::write(out, self.last.saturating_sub(self.first));
        out.push(if self.routing.is_some() { HAS_ROUTING } else { 0 });
        varint::write(out, u64::from(self.index));
        write_bytes(out, self.id.as_bytes());
        if let Some(routing) = self.routing {
            write_bytes(out, routing.as_bytes());
        }
        let [not_found, conflicts] = [self.not_found, self.conflicts];
        for count in [self.operations].into_iter().chain(not_found).chain(conflicts) {
            varint::write(out, u64::from(count));
        }
        NetRef::from_bytes(self.net).write_joined(out);
    }
}

impl KeyRef<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        varint::write(out, u64::from(self.index));
        out.extend_from_slice(self.id.as_bytes());
    }
}

/// Appends a record about to be [sealed](seal). `previous` is the seq of the record about a key before it in the group, and
/// then this one's; records about no key leave it. At most [`BESIDE_BODY_BYTES_MAX`] bytes more than the body.
pub(super) fn push(out: &mut Vec<u8>, previous: &mut u64, kind: Kind, seq: u64, body: &[u8]) {
    let mut head = [0; 1 + INTEGER_BYTES_MAX];
    let mut room = head.as_mut_slice();
    room.put_u8(kind as u8);
    if kind.has_seq() {
        varint::write(&mut room, zigzag(*previous, seq));
        *previous = seq;
    }
    let left = room.len();
    let head = head.get(..head.len() - left).unwrap_or_default();
    varint::write(out, (head.len() + body.len()) as u64);
    out.extend_from_slice(head);
    out.extend_from_slice(body);
    out.extend_from_slice(&[0; CHECKSUM_BYTES]);
}

/// Fills in the checksums of records that were [pushed](push) one after another, and gives the last: `chain`, where there is
/// none. May be done again, with another `chain`.
pub(super) fn seal(records: &mut [u8], chain: u32) -> u32 {
    let (at, chain) = seal_whole(records, chain);
    debug_assert_eq!(at, records.len(), "what was pushed is whole");
    chain
}

/// The same, as far as there are whole records: and how far that is.
pub(super) fn seal_whole(records: &mut [u8], mut chain: u32) -> (usize, u32) {
    let mut at = 0;
    while let Some((sealed, checksum)) = records.get_mut(at..).and_then(split_record) {
        chain = extend(chain, sealed);
        *checksum = chain.to_le_bytes();
        at += sealed.len() + CHECKSUM_BYTES;
    }
    (at, chain)
}

/// The record at the start of some bytes: what is under its checksum, and that.
#[inline]
fn split_record(bytes: &mut [u8]) -> Option<(&[u8], &mut [u8; CHECKSUM_BYTES])> {
    let mut parts = Parts::new(bytes);
    let length = usize::try_from(parts.integer("").ok()?).ok()?;
    let end = parts.at().checked_add(length)?;
    let (sealed, rest) = bytes.split_at_mut_checked(end)?;
    Some((sealed, rest.first_chunk_mut()?))
}

/// What a body refers to by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    /// The number of the key's index.
    pub(crate) index: Option<u32>,
    /// The number of the source, and the position.
    pub(crate) source: Option<(u32, u64)>,
}

/// What a body refers to: found in its first bytes, in a few steps. Nothing, where it is not one.
#[inline]
pub(crate) fn uses(kind: Kind, body: &[u8]) -> Uses {
    find_uses(kind, Parts::new(body)).unwrap_or_default()
}

fn find_uses(kind: Kind, mut body: Parts<'_>) -> Result<Uses, Wrong> {
    if matches!(kind, Kind::Moved | Kind::Bounds) {
        body.integer("")?;
    }
    let flags = if matches!(kind, Kind::Operation | Kind::Moved) { body.byte("")? } else { 0 };
    let index = if kind.has_seq() { Some(body.small("")?) } else { None };
    let source = if flags & HAS_SOURCE == 0 { None } else { Some((body.small("")?, body.integer("")?)) };
    Ok(Uses { index, source })
}

#[cfg(test)]
pub(super) mod tests;
