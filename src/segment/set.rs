//! The live segments, as a value: what a reader holds while it reads.
//!
//! # Design
//! A set never changes. The store swaps one `Arc` of it for another; who holds the old one keeps its
//! segments open, whose files may be gone from the directory by then.
//!
//! A key's newest state is in the newest segment that holds it; a tombstone there hides all below. A set opened by
//! a reader may have segments that could not be opened: what lies above such a segment is still answered, and what
//! would have to look into it is an error.
//!
//! # Invariants
//! 1. Segments are ordered from oldest to newest, in the manifest's order.

use super::{
    cursor::Merge,
    format,
    manifest::Entry,
    reader::{Segment, Stored},
};
use crate::{Error, ErrorKind, Result};
use std::sync::Arc;

/// A segment that is named by the manifest and cannot be read, and why.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) number: u64,
    kind: ErrorKind,
    message: Box<str>,
}

impl Broken {
    pub(crate) fn new(number: u64, error: &Error) -> Self {
        Self { number, kind: error.kind(), message: error.to_string().into() }
    }

    pub(crate) fn error(&self) -> Error {
        Error::new(self.kind, &*self.message)
    }
}

pub(crate) type Slot = std::result::Result<Arc<Segment>, Arc<Broken>>;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct SegmentSet {
    slots: Vec<Slot>,
}

impl SegmentSet {
    pub(crate) fn new(slots: Vec<Slot>) -> Self {
        Self { slots }
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// All segments, or the first error of one that could not be opened.
    pub(crate) fn segments(&self) -> Result<Vec<&Arc<Segment>>> {
        self.slots.iter().map(|slot| slot.as_ref().map_err(|broken| broken.error())).collect()
    }

    /// The newest state of a key, tombstones included.
    pub(crate) fn get(&self, index: &str, id: &str) -> Result<Option<Stored>> {
        let hash = format::key_hash(index, id);
        for slot in self.slots.iter().rev() {
            let segment = slot.as_ref().map_err(|broken| broken.error())?;
            if let Some(found) = segment.get(hash, index, id)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// False where no segment holds anything for a key.
    pub(crate) fn may_hold(&self, index: &str, id: &str) -> bool {
        let hash = format::key_hash(index, id);
        self.slots.iter().any(|slot| slot.as_ref().map_or(true, |segment| segment.may_hold(hash)))
    }

    /// Walks everything from the first key that is not below this one.
    pub(crate) fn merge_from(&self, index: &str, id: &str) -> Result<Merge> {
        Merge::seek(self.segments()?.into_iter(), index, id)
    }

    /// The greatest seq of all records.
    pub(crate) fn seq_max(&self) -> Option<u64> {
        self.slots.iter().flatten().map(|segment| segment.footer().seq_max).max()
    }

    /// The manifest's entries for this set.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let entry = |segment: &Arc<Segment>| Entry {
            number: segment.number(),
            bytes: segment.bytes().len() as u64,
            identity: segment.identity(),
        };
        self.slots.iter().flatten().map(entry).collect()
    }

    /// This set with one more, newest, segment.
    pub(crate) fn with(&self, newest: Arc<Segment>) -> Self {
        let mut slots = self.slots.clone();
        slots.push(Ok(newest));
        Self { slots }
    }

    /// This set with the segments of these numbers, which stand together, replaced by at most one; `None` if they are
    /// not all there.
    pub(crate) fn replacing(&self, numbers: &[u64], by: Option<Arc<Segment>>) -> Option<Self> {
        let number =
            |slot: &Slot| slot.as_ref().map_or_else(|broken| broken.number, |segment| segment.number());
        let start = self.slots.iter().position(|slot| Some(&number(slot)) == numbers.first())?;
        let range = start..start + numbers.len();
        let old: Vec<u64> = self.slots.get(range.clone())?.iter().map(number).collect();
        let mut slots = self.slots.clone();
        slots.splice(range, by.map(Ok));
        (old == numbers).then_some(Self { slots })
    }
}
