//! What waits of one key: its pieces, and its flight's bounds.
//!
//! # Invariants
//! 1. Pieces rise by seq and do not overlap.

use super::damage;
use crate::Result;
use crate::journal::{
    reader::{Entry, Place},
    record::{Moved, Operation, Record, check_net, read_again},
};

/// Operations of one key that have not settled, in one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The seq of the first, and of the last.
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) routing: Option<Box<str>>,
    pub(crate) place: Place,
}

impl Piece {
    pub(super) fn new(first: u64, last: u64, routing: Option<&str>, entry: &Entry<'_>) -> Self {
        Self { first, last, routing: routing.map(Box::from), place: entry.place }
    }

    /// Reads the piece again, an [`Operation`] or a [`Moved`], from the bytes at its place; and checks its net operation,
    /// which nobody has looked at before.
    pub(crate) fn read<'a>(&self, bytes: &'a [u8]) -> Result<Record<'a>> {
        let wrong = |what: &str| {
            let Place { file, at, .. } = self.place;
            damage(format!("file {file}, at byte {at}: {what}"))
        };
        let record = read_again(bytes, self.place.chain, self.last).map_err(|error| wrong(error.what))?;
        let (Record::Operation(Operation { net, .. }) | Record::Moved(Moved { net, .. })) = record else {
            return Err(wrong("there was an operation, and now there is none"));
        };
        check_net(net).map_err(|error| wrong(&error))?;
        Ok(record)
    }
}

/// What waits of a key.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    pub(super) pieces: Vec<Piece>,
    /// The first and the last seq of the flight that is not repeatable by itself, if one is out.
    pub(super) bounds: Option<(u64, u64)>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.bounds.is_none()
    }

    /// An operation was accepted. What is wrong with it, where something is; so do the others.
    pub(super) fn append(&mut self, piece: Piece) -> Result<(), String> {
        if let Some(newest) = self.pieces.last().filter(|newest| newest.last >= piece.first) {
            let (seq, before) = (piece.first, newest.last);
            return Err(format!("an operation has seq {seq}, and follows one of its key with {before}"));
        }
        self.reserve();
        self.pieces.push(piece);
        Ok(())
    }

    /// A piece takes the place of those within it.
    pub(super) fn replace(&mut self, piece: Piece) -> Result<(), String> {
        let Piece { first, last, .. } = piece;
        let start = self.pieces.partition_point(|other| other.last < first);
        let end = self.pieces.partition_point(|other| other.first <= last);
        let within = self.pieces.get(start..end).unwrap_or_default();
        if let Some(other) = within.iter().find(|other| other.first < first || other.last > last) {
            let (from, to) = (other.first, other.last);
            return Err(format!(
                "operations from seq {first} to {last} were moved, which cuts those from {from} to {to} in two"
            ));
        }
        // Only what was put back is folded with what is newer: that the flight is over was about to be written.
        self.bounds = self.bounds.filter(|bounds| first > bounds.0 || last <= bounds.1);
        self.reserve();
        self.pieces.splice(start..end, [piece]);
        Ok(())
    }

    /// Nearly every key has one piece.
    fn reserve(&mut self) {
        if self.pieces.is_empty() {
            self.pieces.reserve_exact(1);
        }
    }

    /// Takes out what has settled, up to `last`; gives how many pieces went.
    pub(super) fn settle(&mut self, last: u64) -> Result<usize, String> {
        let settled = self.pieces.partition_point(|piece| piece.last <= last);
        if let Some(cut) = self.pieces.get(settled).filter(|next| next.first <= last) {
            let (from, to) = (cut.first, cut.last);
            return Err(format!(
                "all up to seq {last} is settled, which cuts operations from {from} to {to} in two"
            ));
        }
        self.bounds = self.bounds.filter(|bounds| bounds.1 > last);
        self.pieces.drain(..settled);
        Ok(settled)
    }

    /// How many of the first pieces are the flight, if there is one: all that it was must be there, and nothing below.
    pub(super) fn in_flight(&self) -> Result<usize, String> {
        let Some((first, last)) = self.bounds else { return Ok(0) };
        let count = self.pieces.partition_point(|piece| piece.last <= last);
        let begins = self.pieces.first().map(|piece| piece.first);
        let ends = count.checked_sub(1).and_then(|newest| self.pieces.get(newest)).map(|piece| piece.last);
        if (begins, ends) == (Some(first), Some(last)) {
            return Ok(count);
        }
        let pieces = self.pieces.iter().map(|piece| format!("{} to {}", piece.first, piece.last));
        let there = pieces.collect::<Vec<_>>().join(", ");
        Err(format!("a flight is out from seq {first} to {last}, and what waits is from {there}"))
    }
}
