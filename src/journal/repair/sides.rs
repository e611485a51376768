//! What a repair keeps, and what it drops.
//!
//! # Invariants
//! 1. What is kept is what is before the cut, but for what has settled since, and for what was folded since with newer
//!    operations: that is kept as it was folded.
//! 2. No operation is both kept and dropped.

use super::super::{
    reading::Reading,
    record::Record,
    recovery::{Piece, Unsettled},
};
use crate::Result;
use std::collections::HashMap;

/// An operation behind the cut that had not settled, or several that were folded.
pub(super) struct Dropped {
    pub(super) index: usize,
    pub(super) id: Box<str>,
    pub(super) operations: u64,
    pub(super) piece: Piece,
}

/// What had not settled on both sides of a cut: by what is before it, and by all.
pub(super) struct Sides<'a> {
    reading: &'a Reading,
    before: HashMap<(usize, &'a str), &'a Unsettled>,
    all: &'a [Unsettled],
}

impl<'a> Sides<'a> {
    pub(super) fn new(reading: &'a Reading, all: &'a [Unsettled]) -> Self {
        let before = reading.recovered.keys.iter().map(|key| ((key.index, key.id.as_str()), key)).collect();
        Self { reading, before, all }
    }

    /// What is kept, and what is dropped, in the order of its seqs.
    pub(super) fn split(&self) -> Result<(Vec<Unsettled>, Vec<Dropped>)> {
        let (mut kept, mut dropped) = (Vec::new(), Vec::new());
        for key in self.all {
            let known = self.before.get(&(key.index, key.id.as_str())).copied();
            let last = known.and_then(|known| known.pieces.last()).map(|piece| piece.last);
            // What was folded since with what is before is kept as it is: they cannot be told apart any more.
            let stay = key.pieces.partition_point(|piece| last >= Some(piece.first));
            let (stays, goes) = key.pieces.split_at(stay);
            if let Some(known) = known
                && !self.are_operations(stays)?
            {
                kept.push(known.clone());
            } else if !stays.is_empty() {
                let in_flight = if key.in_flight <= stay { key.in_flight } else { 0 };
                let pieces = stays.to_vec();
                kept.push(Unsettled { index: key.index, id: key.id.clone(), pieces, in_flight });
            }
            for piece in goes {
                if let Some(operations) = self.operations(piece)? {
                    let (id, piece) = (key.id.as_str().into(), piece.clone());
                    dropped.push(Dropped { index: key.index, id, operations, piece });
                }
            }
        }
        dropped.sort_unstable_by_key(|dropped| dropped.piece.first);
        Ok((kept, dropped))
    }

    fn are_operations(&self, pieces: &[Piece]) -> Result<bool> {
        for piece in pieces {
            if self.operations(piece)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How many operations a piece is, if it is any.
    fn operations(&self, piece: &Piece) -> Result<Option<u64>> {
        let bytes = self.reading.bytes_of(piece)?;
        Ok(match piece.read(&bytes) {
            Ok(Record::Moved(moved)) => Some(moved.operations.into()),
            Ok(_) => Some(1),
            Err(_) => None,
        })
    }
}
