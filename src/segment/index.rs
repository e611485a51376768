//! The block index of a segment: index names, and where each block begins and with which key.
//!
//! # Design
//! Decoded to the heap when a segment is opened, as the filter is and for the same reason: a search must not be
//! led astray by a bit that rotted after the check. Ids of first keys lie in one buffer. It takes 32 bytes and one
//! id per block of about 4 KiB, that is about 1 % of the documents' bytes.
//!
//! A search goes over *heads*: one integer per block that orders like its first key, but for what is equal. They lie
//! side by side, where ids lie apart: of a search's seventeen steps in 100,000 blocks each would wait for memory. It goes
//! over each [`STRIDE`]th first, which stay in the processor's cache.
//!
//! # Invariants
//! 1. Names rise strictly. Blocks' first keys rise strictly and name an existing name.
//! 2. Blocks tile the file from the header to the filter.
//! 3. There is at least one name and one block.
//! 4. Each first id begins with `prefix`; heads are those of the entries, and do not fall.

use super::{
    block::BLOCK_BYTES_MIN,
    format::{Fields, HEADER_BYTES, damage},
};
use crate::{
    Result,
    document::{common_prefix, head},
};

/// An index name, and how many of the segment's records are of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexName {
    pub(crate) name: Box<str>,
    pub(crate) documents: u64,
    pub(crate) tombstones: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u64,
    length: u32,
    name: u32,
    id_start: u32,
    id_length: u16,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct BlockIndex {
    names: Vec<IndexName>,
    entries: Vec<Entry>,
    /// First ids, one after another.
    ids: Box<[u8]>,
    /// What all first ids begin with.
    prefix: Box<[u8]>,
    heads: Box<[u64]>,
    /// Of each [`STRIDE`] heads, the first.
    tops: Box<[u64]>,
}

/// Heads that one top stands for.
const STRIDE: usize = 64;

/// Bits of a head that the id has; the index name has those above.
const ID_BITS: u32 = 48;

/// An integer that orders like a key whose id has this after the prefix, or says that they are equal.
fn key_head(name: u32, rest: &[u8]) -> u64 {
    // Names beyond those that fit are all alike, and above the others.
    match u16::try_from(name) {
        Ok(name) if name < u16::MAX => u64::from(name) << ID_BITS | head(rest) >> (u64::BITS - ID_BITS),
        _ => u64::MAX << ID_BITS,
    }
}

impl BlockIndex {
    /// Decodes the index of a segment whose blocks end at `blocks_end`.
    pub(crate) fn decode(bytes: &[u8], blocks_end: u64) -> Result<Self> {
        let index =
            Self::decode_fields(bytes).ok_or_else(|| damage("the index's parts do not fit its length"))?;
        index.validate(blocks_end).map_err(damage)?;
        Ok(index)
    }

    fn decode_fields(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let mut names = Vec::new();
        for _ in 0..fields.u32()? {
            let length = fields.u16()?;
            let name = std::str::from_utf8(fields.take(usize::from(length))?).ok()?.into();
            names.push(IndexName { name, documents: fields.u64()?, tombstones: fields.u64()? });
        }
        let mut entries = Vec::new();
        let mut ids = Vec::new();
        let mut start = HEADER_BYTES as u64;
        for _ in 0..fields.u32()? {
            let (length, name, id_length) = (fields.u32()?, fields.u32()?, fields.u16()?);
            let id_start = u32::try_from(ids.len()).ok()?;
            ids.extend_from_slice(fields.take(usize::from(id_length))?);
            entries.push(Entry { start, length, name, id_start, id_length });
            start = start.checked_add(u64::from(length))?;
        }
        entries.shrink_to_fit();
        let (ids, nothing) = (ids.into_boxed_slice(), Box::default());
        let (heads, tops) = (Box::default(), Box::default());
        let mut index = Self { names, entries, ids, prefix: nothing, heads, tops };
        index.prefix = common_prefix(index.entries.iter().map(|entry| index.id(entry))).into();
        index.heads = index.entries.iter().map(|entry| index.head(entry)).collect();
        index.tops = index.heads.iter().step_by(STRIDE).copied().collect();
        fields.is_empty().then_some(index)
    }

    fn head(&self, entry: &Entry) -> u64 {
        key_head(entry.name, self.id(entry).get(self.prefix.len()..).unwrap_or_default())
    }

    /// Checks the invariants of the module, by number.
    pub(crate) fn validate(&self, blocks_end: u64) -> Result<(), String> {
        if !self.names.is_sorted_by(|a, b| a.name < b.name) {
            return Err("the index's names do not rise".to_owned());
        }
        let first = |entry: &Entry| (entry.name, self.id(entry));
        if !self.entries.is_sorted_by(|a, b| first(a) < first(b)) {
            return Err("the first keys of the blocks do not rise".to_owned());
        }
        if self.entries.last().is_some_and(|entry| entry.name as usize >= self.names.len()) {
            return Err("a block begins with an index that has no name".to_owned());
        }
        let too_short = |entry: &Entry| (entry.length as usize) < BLOCK_BYTES_MIN;
        if !self.entries.iter().map(|entry| self.head(entry)).eq(self.heads.iter().copied())
            || !self.heads.is_sorted()
            || self.entries.iter().any(|entry| !self.id(entry).starts_with(&self.prefix))
        {
            return Err("the heads of the blocks' first keys are not theirs".to_owned());
        }
        let end = self.entries.last().map(|entry| entry.start + u64::from(entry.length));
        if end != Some(blocks_end) || self.entries.iter().any(too_short) {
            return Err("the blocks do not fill the file up to the filter".to_owned());
        }
        if self.names.is_empty() {
            return Err("the index has no names".to_owned());
        }
        Ok(())
    }

    pub(crate) fn names(&self) -> &[IndexName] {
        &self.names
    }

    /// The number of an index name.
    pub(crate) fn name_number(&self, name: &str) -> Option<u32> {
        let at = match self.names.as_slice() {
            [only] => (&*only.name == name).then_some(0),
            names => names.binary_search_by(|probe| (*probe.name).cmp(name)).ok(),
        };
        u32::try_from(at?).ok()
    }

    /// The number of the first index name that is not below `name`.
    pub(crate) fn name_lower_bound(&self, name: &str) -> u32 {
        u32::try_from(self.names.partition_point(|probe| *probe.name < *name)).unwrap_or(u32::MAX)
    }

    pub(crate) fn name(&self, number: u32) -> Option<&str> {
        Some(&*self.names.get(number as usize)?.name)
    }

    pub(crate) fn blocks(&self) -> usize {
        self.entries.len()
    }

    /// The bytes of a block in the file.
    pub(crate) fn block_range(&self, block: usize) -> Option<std::ops::Range<usize>> {
        let entry = self.entries.get(block)?;
        let start = usize::try_from(entry.start).ok()?;
        Some(start..start.checked_add(entry.length as usize)?)
    }

    /// The first key of a block.
    pub(crate) fn first_key(&self, block: usize) -> Option<(u32, &[u8])> {
        let entry = self.entries.get(block)?;
        Some((entry.name, self.id(entry)))
    }

    /// The only block that can hold a key: the last one that does not begin above it.
    pub(crate) fn block_of(&self, name: u32, id: &[u8]) -> Option<usize> {
        let is_not_above = |entry: &Entry| (entry.name, self.id(entry)) <= (name, id);
        let Some(rest) = id.strip_prefix(&*self.prefix) else {
            return self.entries.partition_point(is_not_above).checked_sub(1);
        };
        let head = key_head(name, rest);
        let below = self.below(head);
        let rest = self.heads.get(below..)?;
        let alike = match rest {
            [_, next, ..] if *next == head => rest.partition_point(|other| *other == head),
            _ => usize::from(rest.first() == Some(&head)),
        };
        let above = below + self.entries.get(below..below + alike)?.partition_point(is_not_above);
        above.checked_sub(1)
    }

    /// How many heads are below one.
    fn below(&self, head: u64) -> usize {
        let strides = self.tops.partition_point(|top| *top < head);
        let start = strides.saturating_sub(1) * STRIDE;
        let some = self.heads.get(start..self.heads.len().min(start + STRIDE)).unwrap_or_default();
        start + some.partition_point(|other| *other < head)
    }

    fn id(&self, entry: &Entry) -> &[u8] {
        let start = entry.id_start as usize;
        self.ids.get(start..start + usize::from(entry.id_length)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const LENGTH: u32 = 100;

    fn encoded(names: u32, keys: &BTreeSet<(u32, String)>) -> Vec<u8> {
        let mut bytes = names.to_le_bytes().to_vec();
        for name in 0..names {
            bytes.extend_from_slice(&7_u16.to_le_bytes());
            bytes.extend_from_slice(format!("{name:07}").as_bytes());
            bytes.extend_from_slice(&[0; 16]);
        }
        bytes.extend_from_slice(&u32::try_from(keys.len()).unwrap().to_le_bytes());
        for (name, id) in keys {
            bytes.extend_from_slice(&LENGTH.to_le_bytes());
            bytes.extend_from_slice(&name.to_le_bytes());
            bytes.extend_from_slice(&u16::try_from(id.len()).unwrap().to_le_bytes());
            bytes.extend_from_slice(id.as_bytes());
        }
        bytes
    }

    fn index(names: u32, keys: &BTreeSet<(u32, String)>) -> BlockIndex {
        let end = HEADER_BYTES as u64 + keys.len() as u64 * u64::from(LENGTH);
        BlockIndex::decode(&encoded(names, keys), end).unwrap()
    }

    proptest! {
        #[test]
        fn a_block_is_found_as_by_comparing_all_first_keys(
            prefix in "[ab]{0,9}",
            keys in prop::collection::btree_set((0..3_u32, "[a-c]{0,9}|[\\x00a]{0,3}"), 1..300),
            asked in prop::collection::vec((0..3_u32, "[a-c]{0,9}|[\\x00a]{0,3}", any::<bool>()), 1..40),
        ) {
            let keys: BTreeSet<_> = keys.into_iter().map(|(name, id)| (name, prefix.clone() + &id)).collect();
            let index = index(3, &keys);
            for (name, id, has_prefix) in asked {
                let key = (name, if has_prefix { prefix.clone() + &id } else { id });
                let above = keys.iter().filter(|first| **first <= key).count();
                prop_assert_eq!(index.block_of(name, key.1.as_bytes()), above.checked_sub(1), "{:?}", key);
            }
        }
    }

    #[test]
    fn names_beyond_those_that_fit_a_head_are_told_apart_all_the_same() {
        let most = u32::from(u16::MAX);
        let numbers = [0, most - 1, most, most + 1, most + 2];
        let keys = numbers.iter().flat_map(|name| ["b", "c"].map(|id| (*name, id.to_owned()))).collect();
        let index = index(most + 3, &keys);
        for (block, (name, id)) in keys.iter().enumerate() {
            assert_eq!(index.block_of(*name, id.as_bytes()), Some(block));
            assert_eq!(index.block_of(*name, b"a"), block.checked_sub(if id == "b" { 1 } else { 2 }));
        }
    }
}
