//! Walking segments in key order: one by a [`Cursor`], several as one by a [`Merge`].
//!
//! # Design
//! A cursor checks a block when it enters it and then steps through its records. A merge looks at the
//! current records of its cursors, takes the least key, and of equal keys the newest segment's: the shadowing
//! order of the store. The number of cursors is the number of live segments, which tiering keeps to a
//! few dozen, so it compares them one by one.
//!
//! # Invariants
//! 1. Cursors of a merge are ordered from newest to oldest.
//! 2. A record that a merge gives out has a key above the one before it.

use super::{
    block::{Block, Place},
    format::Record,
    reader::{Segment, Stored},
};
use crate::Result;
use bytes::Bytes;
use std::{cmp::Ordering, sync::Arc};

/// A place in one segment.
#[derive(Debug)]
pub(crate) struct Cursor {
    segment: Arc<Segment>,
    block: usize,
    /// The position in the block of the record after the current one.
    next: usize,
    current: Option<Place>,
}

impl Cursor {
    /// Stands on the first record whose key is not below this one.
    pub(crate) fn seek(segment: Arc<Segment>, index: &str, id: &str) -> Result<Self> {
        let name = segment.index().name_lower_bound(index);
        let exact = segment.index().name(name) == Some(index);
        let id = if exact { id.as_bytes() } else { &[] };
        let block = segment.index().block_of(name, id).unwrap_or_default();
        let next = if name as usize >= segment.index().names().len() {
            usize::MAX
        } else {
            segment.block(block)?.lower_bound(name, id)?
        };
        let mut cursor = Self { segment, block, next, current: None };
        if next == usize::MAX {
            cursor.block = cursor.segment.index().blocks();
        }
        cursor.advance()?;
        Ok(cursor)
    }

    /// Steps to the next record. At the end there is no current one.
    pub(crate) fn advance(&mut self) -> Result<()> {
        self.current = None;
        let blocks = self.segment.index().blocks();
        while self.block < blocks {
            let range = self.segment.index().block_range(self.block).unwrap_or_default();
            let start = range.start;
            let block = match self.segment.bytes().get(range) {
                // Entered for the first time, and its sum is due.
                _ if self.next == 0 => self.segment.block(self.block)?,
                bytes => match Block::checked_before(bytes.unwrap_or_default(), start) {
                    Some(block) => block,
                    None => self.segment.block(self.block)?,
                },
            };
            if self.next < block.len() {
                let place =
                    block.record(self.next).map_err(|error| self.segment.in_block(self.block, &error))?;
                self.current = Some(place);
                self.next += 1;
                return Ok(());
            }
            self.block += 1;
            self.next = 0;
        }
        Ok(())
    }

    /// The current record; `None` at the end.
    pub(crate) fn record(&self) -> Result<Option<Record<'_>>> {
        let Some(place) = &self.current else { return Ok(None) };
        let routing = place.routing.clone().map(|range| self.segment.text(range)).transpose()?;
        Ok(Some(Record {
            index: self.segment.index().name(place.name).unwrap_or_default(),
            id: self.segment.text(place.id.clone())?,
            routing,
            seq: place.seq,
            source: place.source.clone().and_then(|range| self.segment.bytes().get(range)),
        }))
    }

    /// The current record's document, shared.
    pub(crate) fn stored(&self) -> Result<Option<Stored>> {
        self.current.as_ref().map(|place| self.segment.stored(place)).transpose()
    }

    fn key(&self) -> Option<(&str, &[u8])> {
        let place = self.current.as_ref()?;
        let id = self.segment.bytes().get(place.id.clone()).unwrap_or_default();
        Some((self.segment.index().name(place.name).unwrap_or_default(), id))
    }
}

/// Several segments as one.
#[derive(Debug)]
pub(crate) struct Merge {
    /// From newest to oldest.
    cursors: Vec<Cursor>,
    /// The cursor whose record was given out last, and which has yet to step on.
    given: Option<usize>,
}

impl Merge {
    /// Walks these segments, given from oldest to newest, from the first record that is not below a key.
    pub(crate) fn seek<'a>(
        segments: impl DoubleEndedIterator<Item = &'a Arc<Segment>>,
        index: &str,
        id: &str,
    ) -> Result<Self> {
        let cursors = segments.rev().map(|segment| segment.cursor(index, id)).collect::<Result<_>>()?;
        Ok(Self { cursors, given: None })
    }

    /// The cursor that stands on the next record, tombstones included; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<&Cursor>> {
        if let Some(given) = self.given.take().and_then(|at| self.cursors.get_mut(at)) {
            given.advance()?;
        }
        let mut least: Option<usize> = None;
        for at in 0..self.cursors.len() {
            match self.compare(least, at) {
                Ordering::Less => {}
                // An older segment's state of a key that a newer one has: shadowed.
                Ordering::Equal => {
                    if let Some(cursor) = self.cursors.get_mut(at) {
                        cursor.advance()?;
                    }
                }
                Ordering::Greater => least = Some(at),
            }
        }
        self.given = least;
        Ok(least.and_then(|at| self.cursors.get(at)))
    }

    /// How the least key so far compares with a cursor's. A cursor at its end is above everything.
    fn compare(&self, least: Option<usize>, at: usize) -> Ordering {
        let key = |at: usize| self.cursors.get(at).and_then(Cursor::key);
        match (least.and_then(key), key(at)) {
            (_, None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(least), Some(key)) => least.cmp(&key),
        }
    }
}

/// The live documents of a set, in key order, as a plain iterator. It ends after an error.
#[derive(Debug)]
pub(crate) struct Documents {
    merge: Option<Merge>,
}

/// A live document, on its way out.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) index: Arc<str>,
    pub(crate) id: Box<str>,
    pub(crate) routing: Option<Box<str>>,
    pub(crate) seq: u64,
    pub(crate) source: Bytes,
}

impl Documents {
    pub(crate) fn new(merge: Merge) -> Self {
        Self { merge: Some(merge) }
    }

    /// The next live document whose index `wanted` accepts; the walk ends at the first it does not.
    pub(crate) fn next_while(
        &mut self,
        mut name: impl FnMut(&str) -> Option<Arc<str>>,
    ) -> Option<Result<Live>> {
        let found = next_live(self.merge.as_mut()?, &mut name).transpose();
        if !matches!(found, Some(Ok(_))) {
            self.merge = None;
        }
        found
    }
}

fn next_live(merge: &mut Merge, name: &mut impl FnMut(&str) -> Option<Arc<str>>) -> Result<Option<Live>> {
    loop {
        let Some(cursor) = merge.next()? else { return Ok(None) };
        let (Some(record), Some(stored)) = (cursor.record()?, cursor.stored()?) else { return Ok(None) };
        let Some(index) = name(record.index) else { return Ok(None) };
        if let Some(source) = stored.source {
            let (id, routing, seq) = (record.id.into(), stored.routing, stored.seq);
            return Ok(Some(Live { index, id, routing, seq, source }));
        }
    }
}
