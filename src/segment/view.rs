//! Reading a store from outside: by another process, or beside the writer in this one.
//!
//! # Design
//! A [`SegmentReader`] reads the last manifest, opens what it names and stays with that: a snapshot, for as long as it is
//! held, whatever the writer does meanwhile. It takes no lock and writes nothing. A damaged segment does not keep the
//! others from being read: only what would have to look into it is an error.

use super::{
    cursor::{Documents, Live},
    directory::Home,
    set::SegmentSet,
    store,
    verify::{self, VerifyReport},
};
use crate::{Document, Key, Result, disk::Disk};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// A read-only snapshot of a store's directory.
#[derive(Clone, Debug)]
pub struct SegmentReader {
    home: Home,
    set: Arc<SegmentSet>,
    seq_ceiling: u64,
}

impl SegmentReader {
    /// Opens the last state of the store in a directory, whether or not a writer holds it.
    ///
    /// An error says that there is no store, or that its manifest is lost or damaged. A damaged segment is not an error
    /// here, but on the reads that need it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_at(Home::system(path.as_ref()))
    }

    /// The same, on another disk than the system's: its segments are read into memory, and not mapped.
    pub fn open_on(disk: Arc<dyn Disk>, path: impl AsRef<Path>) -> Result<Self> {
        Self::open_at(Home::new(disk, path.as_ref()))
    }

    fn open_at(home: Home) -> Result<Self> {
        let (manifest, set) = store::open_for_reading(&home)?;
        Ok(Self { home, set: Arc::new(set), seq_ceiling: manifest.seq_ceiling })
    }

    /// The document of a key. Its bytes are shared with the mapped file.
    pub fn get(&self, index: &str, id: &str) -> Result<Option<Document>> {
        let found = self.set.get(index, id)?;
        Ok(found.and_then(|stored| Some(Document { source: stored.source?, routing: stored.routing })))
    }

    /// Up to `limit` documents in order of index, then id, both bytewise: of one index or of all, above `after`.
    /// Fewer than `limit` means there are no more.
    pub fn scan(
        &self,
        index: Option<&str>,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Vec<(Key, Document)>> {
        self.documents(index, after)?.take(limit).collect()
    }

    /// The same, one after another. After an error there is nothing more.
    pub fn documents(&self, index: Option<&str>, after: Option<(&str, &str)>) -> Result<Scan> {
        // The least id above another is that id and a zero byte.
        let above = after.map(|(index, id)| (index, format!("{id}\0")));
        let above = above.as_ref().map_or(("", ""), |(index, id)| (*index, id.as_str()));
        let start = above.max((index.unwrap_or_default(), ""));
        let merge = self.set.merge_from(start.0, start.1)?;
        Ok(Scan { documents: Documents::new(merge), only: index.map(Box::from), name: "".into() })
    }

    /// What the store holds, by the segments' own counts: cheap, nothing is read.
    pub fn stats(&self) -> SegmentStats {
        SegmentStats::of(&self.set, self.seq_ceiling)
    }

    /// Reads everything and names what is damaged. See [`verify`](super::verify::verify) for a store that does not open.
    pub fn verify(&self) -> VerifyReport {
        verify::verify_set(&self.home, &self.set)
    }
}

/// The documents of a [`SegmentReader`], in order: see [`SegmentReader::documents`].
#[derive(Debug)]
pub struct Scan {
    documents: Documents,
    only: Option<Box<str>>,
    /// The index of the document before, so that all of its documents share one name.
    name: Arc<str>,
}

impl Iterator for Scan {
    type Item = Result<(Key, Document)>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { documents, only, name } = self;
        let found = documents.next_while(|index| {
            if only.as_deref().is_some_and(|only| only != index) {
                return None;
            }
            if **name != *index {
                *name = index.into();
            }
            Some(Arc::clone(name))
        })?;
        Some(found.map(|live| {
            let Live { index, id, routing, source, seq: _ } = live;
            (Key { index, id }, Document { source, routing })
        }))
    }
}

/// What a store holds, by its segments' own counts. A key counts once in each segment that holds it, until a merge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentStats {
    /// Live segment files.
    pub segments: usize,
    /// Segments that the manifest names and that cannot be read; the counts are without them.
    pub broken: usize,
    /// Documents in them, older states of a key included.
    pub documents: u64,
    /// Tombstones in them.
    pub tombstones: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// The same by index, sorted by name.
    pub indices: Vec<IndexStats>,
    /// Sequence numbers below this one may have been used.
    pub seq_ceiling: u64,
}

/// What a store holds of one index.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexStats {
    /// The index name.
    pub name: Box<str>,
    /// Its documents, older states included.
    pub documents: u64,
    /// Its tombstones.
    pub tombstones: u64,
}

impl SegmentStats {
    pub(crate) fn of(set: &SegmentSet, seq_ceiling: u64) -> Self {
        let mut stats = Self { segments: set.len(), seq_ceiling, ..Self::default() };
        let mut indices: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for slot in set.slots() {
            let Ok(segment) = slot else {
                stats.broken += 1;
                continue;
            };
            stats.documents += segment.footer().documents;
            stats.tombstones += segment.footer().tombstones;
            stats.bytes += segment.bytes().len() as u64;
            for name in segment.index().names() {
                let counts = indices.entry(&name.name).or_default();
                counts.0 += name.documents;
                counts.1 += name.tombstones;
            }
        }
        let index = |(name, (documents, tombstones)): (&str, _)| IndexStats {
            name: name.into(),
            documents,
            tombstones,
        };
        stats.indices = indices.into_iter().map(index).collect();
        stats
    }
}
