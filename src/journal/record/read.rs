//! Reading a record: what its bytes say, or what is wrong with them.
//!
//! # Design
//! The checksum is looked at first: what is behind it was written as it is, so anything wrong there is no tear
//! ([`Wrong::is_sealed`]). Everything that a version does not know is wrong: a kind, a flag, bytes behind the end.
//!
//! # Why the net operation is not looked at
//! To check one costs many times what the checksum does ([`check_net`]), and nearly all that a log holds has settled. What
//! has not is read again, and checked then.

use super::{
    CHECKSUM_BYTES, FileEnd, HAS_ROUTING, HAS_SOURCE, KeyRef, Kind, Moved, Operation, POSITION_MAX, Record,
    VERB_BITS, Verb,
};
use crate::journal::{
    checksum::extend,
    varint::{Parts, Wrong, unzigzag},
};
use crate::merge::{self, NetRef};

/// What a record is read by: the checksum before it, and the seq of the record about a key before it in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) chain: u32,
    pub(crate) seq: u64,
}

/// A record whose checksum is right, and which is not taken apart yet.
#[derive(Clone, Copy, Debug)]
pub(in crate::journal) struct Sealed<'a> {
    /// Its length in bytes, checksum and all.
    pub(in crate::journal) bytes: usize,
    /// Its checksum.
    pub(in crate::journal) chain: u32,
    /// Kind, seq and body; and where they start.
    content: &'a [u8],
    start: usize,
}

/// Reads the record at the start of some bytes, which end where its group does. Gives it with its length in bytes, checksum
/// and all, and moves `link` on.
///
/// The net operation in it is not looked at: see [`check_net`].
pub(crate) fn read<'a>(bytes: &'a [u8], link: &mut Link) -> Result<(Record<'a>, usize), Wrong> {
    let sealed = unseal(bytes, link.chain)?;
    let record = sealed.record(link.seq)?;
    link.chain = sealed.chain;
    if record.kind().has_seq() {
        link.seq = record.seq();
    }
    Ok((record, sealed.bytes))
}

/// Reads a record once more whose (last) seq is known, and the checksum before it.
pub(crate) fn read_again(bytes: &[u8], chain: u32, seq: u64) -> Result<Record<'_>, Wrong> {
    let sealed = unseal(bytes, chain)?;
    parse(Parts::new(sealed.content), |_| seq).map_err(|wrong| sealed.wrong(wrong))
}

/// Checks a net operation that was read: in the common form, and whole.
pub(crate) fn check_net(net: &[u8]) -> Result<(), String> {
    let net = NetRef::from_bytes(net);
    if net.as_bytes().is_empty() || net.is_table() {
        return Err("the operation is not in its common form".to_owned());
    }
    merge::validate(net)
}

/// Finds the record at the start of some bytes, which end where its group does, and checks it against the checksum before it.
#[expect(clippy::inline_always, reason = "measured: see `Parts`")]
#[inline(always)]
pub(in crate::journal) fn unseal(bytes: &[u8], chain: u32) -> Result<Sealed<'_>, Wrong> {
    let mut parts = Parts::new(bytes);
    let length = parts.integer("the record's length is no integer")?;
    let start = parts.at();
    let content = parts.bytes(length, "the record is longer than what is left of its group")?;
    let end = parts.at();
    let checksum = parts.array("the record is longer than what is left of its group")?;
    let sum = extend(chain, bytes.get(..end).unwrap_or_default());
    if sum != u32::from_le_bytes(checksum) {
        return Err(Wrong { at: 0, what: "the record does not match its checksum", is_sealed: false });
    }
    Ok(Sealed { bytes: end + CHECKSUM_BYTES, chain: sum, content, start })
}

impl<'a> Sealed<'a> {
    /// The operation that it is, if it is one and nothing is wrong with it: what nearly all records are, without going
    /// through a value that could be any. `previous` is the seq of the record about a key before it.
    #[expect(clippy::inline_always, reason = "measured: see `Parts`")]
    #[inline(always)]
    pub(in crate::journal) fn operation(&self, previous: u64) -> Option<Operation<'a>> {
        let mut parts = Parts::new(self.content);
        if parts.byte("").ok()? != Kind::Operation as u8 {
            return None;
        }
        let seq = unzigzag(previous, parts.integer("").ok()?);
        Operation::parse(&mut parts, seq).ok()
    }

    /// The record.
    #[inline(never)]
    pub(in crate::journal) fn record(&self, previous: u64) -> Result<Record<'a>, Wrong> {
        let seq = |distance| unzigzag(previous, distance);
        parse(Parts::new(self.content), seq).map_err(|wrong| self.wrong(wrong))
    }

    fn wrong(&self, wrong: Wrong) -> Wrong {
        Wrong { at: self.start + wrong.at, is_sealed: true, ..wrong }
    }
}

fn parse(mut parts: Parts<'_>, seq: impl FnOnce(u64) -> u64) -> Result<Record<'_>, Wrong> {
    let kind = Kind::of(parts.byte("the record has no kind")?);
    let kind = kind.ok_or(Wrong { at: 0, what: "there is no such kind of record", is_sealed: true })?;
    let seq = if kind.has_seq() { seq(parts.integer("its seq is no integer")?) } else { 0 };
    let parts = &mut parts;
    let record = match kind {
        Kind::Operation => Record::Operation(Operation::parse(parts, seq)?),
        Kind::Moved => Record::Moved(Moved::parse(parts, seq)?),
        Kind::Bounds => {
            let first = first_of(parts, seq)?;
            Record::Bounds { key: KeyRef::parse(parts)?, first, last: seq }
        }
        Kind::Unbound => Record::Unbound { key: KeyRef::parse(parts)?, last: seq },
        Kind::Settled => Record::Settled { key: KeyRef::parse(parts)?, last: seq },
        Kind::Watermark => Record::Watermark { seq: parts.integer("the watermark is no integer")? },
        Kind::Ceiling => Record::Ceiling { seq: parts.integer("the ceiling is no integer")? },
        Kind::Index => Record::Index {
            number: parts.small("the index's number is not one of 32 bits")?,
            name: parts.rest_as_text("the index's name is not UTF-8")?,
        },
        Kind::Source => Record::Source {
            number: parts.small("the source's number is not one of 32 bits")?,
            mark: parts.integer("the source's mark is no integer")?.checked_sub(1),
            name: parts.rest_as_text("the source's name is not UTF-8")?,
        },
        Kind::Begin => Record::Begin(FileEnd {
            number: parts.integer("the number of the file before is no integer")?,
            at: parts.integer("the end of the file before is no integer")?,
            chain: u32::from_le_bytes(parts.array("the checksum of the file before is cut short")?),
        }),
        Kind::Gone => Record::Gone { number: parts.integer("the number of the oldest file is no integer")? },
    };
    if parts.is_empty() { Ok(record) } else { Err(parts.wrong("the record goes on behind its end")) }
}

/// The first seq, which is written as its distance from the last.
fn first_of(parts: &mut Parts<'_>, last: u64) -> Result<u64, Wrong> {
    let before = *parts;
    let distance = parts.integer("its first seq is no integer")?;
    last.checked_sub(distance).ok_or_else(|| before.wrong("its first seq would be below zero"))
}

impl<'a> KeyRef<'a> {
    #[inline]
    fn parse(parts: &mut Parts<'a>) -> Result<Self, Wrong> {
        let index = parts.small("the index's number is not one of 32 bits")?;
        Ok(Self { index, id: parts.rest_as_text("the id is not UTF-8")? })
    }
}

impl<'a> Operation<'a> {
    #[expect(clippy::inline_always, reason = "measured: see `Parts`")]
    #[inline(always)]
    fn parse(parts: &mut Parts<'a>, seq: u64) -> Result<Self, Wrong> {
        let at = parts.at();
        let flags = parts.byte("the operation has no flags")?;
        if flags & !(VERB_BITS | HAS_ROUTING | HAS_SOURCE) != 0 {
            return Err(Wrong { at, what: "there is no such flag", is_sealed: true });
        }
        let index = parts.small("the index's number is not one of 32 bits")?;
        let source = if flags & HAS_SOURCE == 0 { None } else { Some(source(parts)?) };
        let id = parts.text("the id is cut short, or not UTF-8")?;
        let routing = routing(parts, flags)?;
        let net = parts.rest();
        Ok(Self { seq, verb: Verb::of(flags), index, id, routing, source, net })
    }
}

impl<'a> Moved<'a> {
    fn parse(parts: &mut Parts<'a>, last: u64) -> Result<Self, Wrong> {
        let first = first_of(parts, last)?;
        let before = *parts;
        let flags = parts.byte("the operation has no flags")?;
        if flags & !HAS_ROUTING != 0 {
            return Err(before.wrong("there is no such flag"));
        }
        let index = parts.small("the index's number is not one of 32 bits")?;
        let id = parts.text("the id is cut short, or not UTF-8")?;
        let routing = routing(parts, flags)?;
        let mut count = || parts.small("a count is not one of 32 bits");
        let operations = count()?;
        let [not_found, conflicts] = [[count()?, count()?], [count()?, count()?]];
        let net = parts.rest();
        Ok(Self { first, last, index, id, routing, operations, not_found, conflicts, net })
    }
}

#[expect(clippy::inline_always, reason = "measured: see `Parts`")]
#[inline(always)]
fn routing<'a>(parts: &mut Parts<'a>, flags: u8) -> Result<Option<&'a str>, Wrong> {
    if flags & HAS_ROUTING == 0 {
        return Ok(None);
    }
    parts.text("the routing is cut short, or not UTF-8").map(Some)
}

#[expect(clippy::inline_always, reason = "measured: see `Parts`")]
#[inline(always)]
fn source(parts: &mut Parts<'_>) -> Result<(u32, u64), Wrong> {
    let number = parts.small("the source's number is not one of 32 bits")?;
    let at = parts.at();
    let position = parts.integer("the source's position is no integer")?;
    if position > POSITION_MAX {
        return Err(Wrong { at, what: "the source's position is above the last there is", is_sealed: true });
    }
    Ok((number, position))
}
