//! What can be told of a file behind a place where it cannot be read.
//!
//! # Design
//! Groups are found by the magic that their headers begin with, and believed by the checksum in them. A group that is found
//! says up to where the file was synced; and its records, which are vouched for from its header on, say what would be lost
//! if the file were cut before them.
//!
//! # Invariants
//! 1. Only what is vouched for by a checksum is told.

use super::{
    group::{FILE_HEADER_BYTES, FileHeader, GROUP_HEADER_BYTES, GROUP_MAGIC, GroupHeader},
    record::{self, Link, Moved, Operation, Record},
};
use memchr::memmem;
use std::{collections::BTreeMap, fmt};

/// Keys that are told by name.
const KEYS_MAX: usize = 10;

/// What would be lost if a file were cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// Bytes of which nothing can be told.
    pub(crate) unreadable: u64,
    /// Operations that can be read, whether they had settled or not.
    pub(crate) operations: u64,
    /// Other records that can be read.
    pub(crate) others: u64,
    /// The lowest and the highest seq of those about a key.
    pub(crate) seqs: Option<(u64, u64)>,
    /// The first keys of the operations, as index and id.
    pub(crate) keys: Vec<(String, String)>,
}

impl Doubt {
    /// What lies behind a place of a file at which it cannot be read.
    pub(super) fn behind(file: &[u8], header: &FileHeader, at: usize) -> Self {
        let mut doubt = Self::default();
        let mut names = BTreeMap::new();
        let before = file.get(..at).unwrap_or_default();
        // Groups before the place are as they were, but for the one it lies in.
        for found in records(before, header.salt, FILE_HEADER_BYTES) {
            name(&mut names, &found.record);
        }
        let end = file.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let mut told = 0;
        for found in records(file, header.salt, at) {
            told += found.share;
            name(&mut names, &found.record);
            doubt.add(&found.record, &names);
        }
        doubt.unreadable = end.saturating_sub(at).saturating_sub(told) as u64;
        doubt
    }

    fn add(&mut self, record: &Record<'_>, names: &BTreeMap<u32, String>) {
        if record.kind().has_seq() {
            let seq = record.seq();
            self.seqs = Some(self.seqs.map_or((seq, seq), |(low, high)| (low.min(seq), high.max(seq))));
        }
        let (Record::Operation(Operation { index, id, .. }) | Record::Moved(Moved { index, id, .. })) =
            *record
        else {
            self.others += 1;
            return;
        };
        self.operations += 1;
        let key = || (names.get(&index).map_or_else(|| format!("#{index}"), String::clone), id.to_owned());
        if self.keys.len() < KEYS_MAX && !self.keys.iter().any(|known| *known == key()) {
            self.keys.push(key());
        }
    }
}

fn name(names: &mut BTreeMap<u32, String>, record: &Record<'_>) {
    if let Record::Index { number, name } = *record {
        names.insert(number, name.to_owned());
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unreadable, operations, others, seqs, keys } = self;
        write!(f, "{unreadable} bytes that cannot be read, {operations} operations, {others} other records")?;
        if let Some((low, high)) = seqs {
            write!(f, ", with seqs from {low} to {high}")?;
        }
        for (position, (index, id)) in keys.iter().enumerate() {
            let start = if position == 0 { "; keys: " } else { ", " };
            write!(f, "{start}{}/{}", index.escape_debug(), id.escape_debug())?;
        }
        if keys.len() == KEYS_MAX {
            f.write_str(", …")?;
        }
        Ok(())
    }
}

/// Up to where a file was synced, by what the groups that begin behind a place say.
pub(super) fn synced(file: &[u8], salt: u64, at: usize) -> Option<u64> {
    groups(file, salt, at).map(|(_, header, _)| header.synced).max()
}

/// The groups that begin at a place or behind it and can be believed: where, the header, and its checksum.
fn groups(file: &[u8], salt: u64, from: usize) -> impl Iterator<Item = (usize, GroupHeader, u32)> {
    let rest = file.get(from..).unwrap_or_default();
    // A magic does not overlap another.
    memmem::find_iter(rest, &GROUP_MAGIC).filter_map(move |at| {
        let (header, chain) = GroupHeader::read(file, salt, from + at)?;
        Some((from + at, header, chain))
    })
}

/// A record that can be believed though what is before it cannot be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Believed<'a> {
    /// Its first byte.
    pub(crate) at: usize,
    /// Its bytes; and with its share of the group's header.
    pub(crate) bytes: usize,
    pub(crate) share: usize,
    /// The checksum before it.
    pub(crate) chain: u32,
    pub(crate) record: Record<'a>,
}

/// The records at a place and behind it that can be believed, from the headers of their groups on.
pub(crate) fn records(file: &[u8], salt: u64, from: usize) -> impl Iterator<Item = Believed<'_>> {
    groups(file, salt, from).flat_map(move |(at, header, chain)| {
        let start = at + GROUP_HEADER_BYTES;
        let mut group = file.get(start..).unwrap_or_default();
        group = group.get(..header.bytes as usize).unwrap_or(group);
        let (mut at, mut beside) = (start, GROUP_HEADER_BYTES);
        let mut link = Link { chain, seq: header.base_seq };
        std::iter::from_fn(move || {
            let chain = link.chain;
            let (record, bytes) = record::read(group, &mut link).ok()?;
            let found = Believed { at, bytes, share: bytes + std::mem::take(&mut beside), chain, record };
            at += bytes;
            group = group.get(bytes..)?;
            Some(found)
        })
    })
}
