//! Reading one file of the journal: its records, and how it ends.
//!
//! # Design
//! A file is read group by group, record by record, as long as each is vouched for by the checksums from the file's header
//! on. What ends that, at some place x, is one of three things:
//!
//! - the **end**: of the last file, a group would begin at x and there are zeroes up to the end of the file; of any other
//!   file, x is where the next one says that this one ended, with the checksum that it says.
//! - a **tear**: what was being written when the machine or the process stopped. It is cut off.
//! - **damage**: something is wrong that was on the medium, and nobody can tell what is missing.
//!
//! A tear is told from damage by what the engine knew. It writes on while it syncs, so a crash leaves any mixture of old and
//! new sectors, but only behind what was synced. Each group's header states up to where that was, and can be believed by
//! itself. So in the last file x is damage if any group behind it states that more than x was synced, else a tear. Any
//! other file was synced whole before the next one took its first group: there is no tear in it. A record whose checksum is
//! right and whose content is not was written like that, and a file that is shorter than it was made, and synced, was cut
//! by somebody: that is damage wherever it is.
//!
//! The records of a group before x count, as their checksums vouch for them; so do not the ones behind, though some may be
//! sound: what a crash leaves must be a prefix of what was written.
//!
//! # Why a file with a tear is not written on
//! The header of the group in which it is cut states a length that goes beyond x, and sound groups may lie behind. So the
//! engine goes on in another file, whose first record says that this one ends at x. From then on it does, and nobody looks
//! at what lies behind.
//!
//! # Invariants
//! 1. [`Entry`]s are exactly the records that were written, from the first on, without a gap.
//! 2. A place that any group says was synced is read, or is damage.
//! 3. No bytes make it panic.

use super::{
    doubt::{self, Doubt},
    group::{FILE_HEADER_BYTES, FileHeader, GROUP_HEADER_BYTES, GroupHeader},
    record::{self, FileEnd, Link, Record, Sealed},
};
use crate::{Error, ErrorKind, Result};
use std::fmt;

/// Where a record lies, and what it takes to read it again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The number of the file.
    pub(crate) file: u64,
    /// The record's first byte.
    pub(crate) at: u64,
    /// How many it has, checksum and all.
    pub(crate) bytes: u32,
    /// The checksum before it.
    pub(crate) chain: u32,
}

/// One record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) place: Place,
    pub(crate) record: Record<'a>,
}

/// How a file ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As it should, before this byte, with this checksum.
    Clean { at: u64, chain: u32 },
    /// With something at this byte that was being written when all stopped: what lies there and behind is void. `chain` is
    /// the checksum before it.
    Torn { at: u64, chain: u32, reason: &'static str },
    /// With something at a byte that was on the medium and is wrong.
    Damaged(Box<Damage>),
}

/// What is wrong with a file that must not be read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// The first byte that nothing vouches for.
    pub(crate) at: u64,
    /// The checksum before it.
    pub(crate) chain: u32,
    pub(crate) reason: &'static str,
    /// Why it is no tear.
    pub(crate) proof: Proof,
    /// What would be lost if the file were cut there.
    pub(crate) doubt: Doubt,
}

/// Why what is wrong with a file is not a tear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A group behind it says that the file was on the medium up to there.
    Synced { to: u64 },
    /// The next file says that this one goes up to there.
    Continued { to: u64 },
    /// Its checksum is right.
    Sealed,
    /// The file was longer when it was made.
    Shortened { from: u64, to: u64 },
}

impl Damage {
    /// As an error about a file.
    pub(crate) fn error(&self, file: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Damaged, format!("{file}: {self}"))
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, reason, doubt, .. } = self;
        write!(f, "at byte {at}: {reason}, ")?;
        match self.proof {
            Proof::Synced { to } => write!(f, "and a later group says that {to} bytes were on the disk")?,
            Proof::Continued { to } => write!(f, "and the next file says that this one has {to} bytes")?,
            Proof::Sealed => f.write_str("though its checksum is right")?,
            Proof::Shortened { from, to } => {
                write!(f, "and of {from} bytes that it was made with it has {to}")?;
            }
        }
        write!(f, "; in doubt: {doubt}")
    }
}

/// Gives a file's entries, one after another; then [`end`](Reader::end) says how it ended.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    file: &'a [u8],
    header: FileHeader,
    /// How it ends, as the next file says.
    known: Option<FileEnd>,
    /// What is read goes no farther.
    limit: usize,
    at: usize,
    group_end: usize,
    link: Link,
    end: Option<End>,
}

impl<'a> Reader<'a> {
    /// Begins to read a whole file. `known`: what the first record of the file after it says, if there is one, see [`begin`].
    ///
    /// Fails where the header is wrong, or of a version above ours.
    pub(crate) fn new(file: &'a [u8], known: Option<FileEnd>) -> Result<Self> {
        let header = FileHeader::read(file)?;
        let known = known.filter(|end| end.number == header.number);
        let stated = known.and_then(|end| usize::try_from(end.at).ok());
        let link = Link { chain: header.chain(), seq: 0 };
        let limit = stated.unwrap_or(usize::MAX).min(file.len());
        let (at, group_end) = (FILE_HEADER_BYTES, FILE_HEADER_BYTES);
        Ok(Self { file, header, known, limit, at, group_end, link, end: None })
    }

    pub(crate) fn header(&self) -> &FileHeader {
        &self.header
    }

    /// How the file ends: reads what is left, and forgets it.
    pub(crate) fn end(mut self) -> End {
        while self.next().is_some() {}
        self.end.unwrap_or(End::Clean { at: self.at as u64, chain: self.link.chain })
    }

    /// Enters the group that begins where the one before ended; false where the file ends.
    #[inline]
    fn enter(&mut self) -> bool {
        let Some((header, chain)) = GroupHeader::read(self.file, self.header.salt, self.at) else {
            self.end_between_groups();
            return false;
        };
        let start = self.at + GROUP_HEADER_BYTES;
        let end = start.saturating_add(header.bytes as usize);
        if header.previous != self.link.chain {
            return self.stop("the group there does not follow what is before it", false);
        }
        self.link = Link { chain, seq: header.base_seq };
        (self.at, self.group_end) = (start, end);
        true
    }

    #[cold]
    fn end_between_groups(&mut self) {
        let rest = self.file.get(self.at..).unwrap_or_default();
        // In pieces without a way out, which takes a word at a time: it may be the whole file.
        let is_zero = |piece: &[u8]| piece.iter().fold(0, |any, byte| any | byte) == 0;
        if self.known.is_none() && rest.chunks(4_096).all(is_zero) {
            self.end_here();
        } else {
            self.stop("no group begins there", false);
        }
    }

    /// Where the file ends as it should, by what is known of it.
    #[cold]
    fn end_here(&mut self) {
        let (at, chain) = (self.at as u64, self.link.chain);
        if self.known.is_some_and(|known| known.at != at) {
            self.stop("the file ends there", false);
        } else if self.known.is_some_and(|known| known.chain != chain) {
            self.stop("what stands before it is not what was written there", false);
        } else if let Some(proof) = self.shortened() {
            self.damaged("the file ends", proof);
        } else {
            self.end = Some(End::Clean { at, chain });
        }
    }

    /// Something is wrong at the place reached. Always false.
    #[cold]
    fn stop(&mut self, reason: &'static str, is_sealed: bool) -> bool {
        let (at, chain) = (self.at as u64, self.link.chain);
        let synced = || doubt::synced(self.file, self.header.salt, self.at).filter(|to| *to > at);
        let proof = match self.known {
            Some(known) => Some(Proof::Continued { to: known.at }),
            None if is_sealed => Some(self.shortened().unwrap_or(Proof::Sealed)),
            None => synced().map(|to| Proof::Synced { to }).or_else(|| self.shortened()),
        };
        match proof {
            Some(proof) => self.damaged(reason, proof),
            None => self.end = Some(End::Torn { at, chain, reason }),
        }
        false
    }

    /// The last file is synced whole before it gets its name: it has the length that it was made with.
    fn shortened(&self) -> Option<Proof> {
        let (from, to) = (self.header.bytes, self.file.len() as u64);
        (self.known.is_none() && to < from).then_some(Proof::Shortened { from, to })
    }

    fn damaged(&mut self, reason: &'static str, proof: Proof) {
        let file = self.file.get(..self.limit).unwrap_or_default();
        let doubt = Doubt::behind(file, &self.header, self.at);
        let (at, chain) = (self.at as u64, self.link.chain);
        self.end = Some(End::Damaged(Box::new(Damage { at, chain, reason, proof, doubt })));
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        if self.end.is_some() {
            return None;
        }
        loop {
            if self.at == self.limit && self.known.is_some() {
                self.end_here();
                return None;
            }
            if self.at < self.group_end {
                break;
            }
            if !self.enter() {
                return None;
            }
        }
        let group = self.file.get(self.at..self.group_end.min(self.limit)).unwrap_or_default();
        let sealed = match record::unseal(group, self.link.chain) {
            Ok(sealed) => sealed,
            Err(wrong) => {
                self.stop(wrong.what, wrong.is_sealed);
                return None;
            }
        };
        if let Some(operation) = sealed.operation(self.link.seq) {
            self.link.seq = operation.seq;
            let place = self.pass(&sealed);
            return Some(Entry { place, record: Record::Operation(operation) });
        }
        self.next_of_any_kind(&sealed)
    }
}

impl<'a> Reader<'a> {
    fn next_of_any_kind(&mut self, sealed: &Sealed<'a>) -> Option<Entry<'a>> {
        match sealed.record(self.link.seq) {
            Ok(record) => {
                if record.kind().has_seq() {
                    self.link.seq = record.seq();
                }
                Some(Entry { place: self.pass(sealed), record })
            }
            Err(wrong) => {
                self.stop(wrong.what, wrong.is_sealed);
                None
            }
        }
    }

    /// Goes on behind a record.
    #[inline]
    fn pass(&mut self, sealed: &Sealed<'_>) -> Place {
        let (at, chain) = (self.at as u64, self.link.chain);
        self.at += sealed.bytes;
        self.link.chain = sealed.chain;
        let bytes = u32::try_from(sealed.bytes).unwrap_or(u32::MAX);
        Place { file: self.header.number, at, bytes, chain }
    }
}

/// What the first record of a file says about the one before it; nothing, where nothing was written to it yet that can be
/// believed, or where it follows none. The first 4 KiB of a file suffice.
///
/// A file is synced whole before the next one takes its first group. So what such a record says binds; and where a file has
/// none, the one before it is still the last.
pub(crate) fn begin(start: &[u8]) -> Option<FileEnd> {
    let file = FileHeader::read(start).ok()?;
    let (group, chain) = GroupHeader::read(start, file.salt, FILE_HEADER_BYTES)?;
    let records = start.get(FILE_HEADER_BYTES + GROUP_HEADER_BYTES..)?;
    let records = records.get(..group.bytes as usize).unwrap_or(records);
    match record::read(records, &mut Link { chain, seq: group.base_seq }).ok()? {
        (Record::Begin(end), _) if group.previous == file.chain() => Some(end),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
