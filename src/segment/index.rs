//! The block index of a segment: index names, and where each block begins and with which key.
//!
//! # Design
//! Decoded to the heap when a segment is opened, as the filter is and for the same reason: a search must not be
//! led astray by a bit that rotted after the check. Ids of first keys lie in one buffer. It takes 24 bytes and one
//! id per block of about 4 KiB, that is about 1 % of the documents' bytes.
//!
//! # Invariants
//! 1. Names rise strictly. Blocks' first keys rise strictly and name an existing name.
//! 2. Blocks tile the file from the header to the filter.
//! 3. There is at least one name and one block.

use super::{
    block::BLOCK_BYTES_MIN,
    format::{Fields, HEADER_BYTES, damage},
};
use crate::Result;

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
        fields.is_empty().then(|| Self { names, entries, ids: ids.into_boxed_slice() })
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
        let above = self.entries.partition_point(|entry| (entry.name, self.id(entry)) <= (name, id));
        above.checked_sub(1)
    }

    fn id(&self, entry: &Entry) -> &[u8] {
        let start = entry.id_start as usize;
        self.ids.get(start..start + usize::from(entry.id_length)).unwrap_or_default()
    }
}
