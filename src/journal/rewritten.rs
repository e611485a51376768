//! One file that says all that a journal comes to: what a repair leaves.
//!
//! # Design
//! The file is written under another name: sources, pieces, flights. When it is on the medium it gets the name of the next file, and
//! its header says that no file before it was kept. So everything older stops counting with one rename, which is atomic, and
//! it does not matter when the older files go, or whether the power fails in between.
//!
//! Pieces are written as they were read, but for where they came from: how far each source is stands at the start, and an
//! operation's own position says nothing more than that.
//!
//! No watermark is written. It would say that nothing that was sent is still on its way, and who repairs does not know.
//!
//! # Invariants
//! 1. Before the file has its name, all of it is on the medium, and its last group says so: from then on a wrong byte in it is
//!    damage, and no tear.

use super::{
    file::{Before, Shape, Spare},
    group::{FILE_HEADER_BYTES, Group},
    record::{FileEnd, Moved, Operation, Record},
    recovery::{Piece, Unsettled},
};
use crate::{Result, disk::Disk};
use std::path::{Path, PathBuf};

/// A group that has so many bytes takes no further record.
const GROUP_BYTES: usize = 256 * 1024;
/// What a record may take more than it did, with its group's header: longer numbers.
const RECORD_MARGIN: u64 = 64;
/// What stands beside the records.
const FILE_MARGIN: u64 = 4096;

/// What a journal comes to, as it is to be written.
pub(super) struct Standing<'a> {
    pub(super) engine: u128,
    pub(super) keys: &'a [Unsettled],
    pub(super) indices: &'a [Box<str>],
    pub(super) sources: &'a [(Box<str>, Option<u64>)],
    pub(super) ceiling: u64,
    /// No file has a higher name,
    pub(super) name: u64,
    /// and none a higher number,
    pub(super) number: u64,
    /// and no record a higher seq.
    pub(super) highest_seq: u64,
}

impl Standing<'_> {
    /// Bytes that the file needs at most.
    fn bytes(&self) -> u64 {
        let named = |name: &str| name.len() as u64 + RECORD_MARGIN;
        let indices: u64 = self.indices.iter().map(|name| named(name)).sum();
        let sources: u64 = self.sources.iter().map(|(name, _)| named(name)).sum();
        let keys = self.keys.iter().map(|key| {
            let pieces: u64 =
                key.pieces.iter().map(|piece| u64::from(piece.place.bytes) + RECORD_MARGIN).sum();
            named(&key.id) + pieces
        });
        (FILE_MARGIN + indices + sources + keys.sum::<u64>()).next_multiple_of(FILE_MARGIN)
    }

    /// Writes the file, and gives it the name with which all before it stops counting. `read` gives the bytes of a piece.
    pub(super) fn write(
        &self,
        disk: &dyn Disk,
        directory: &Path,
        read: impl Fn(&Piece) -> Result<Vec<u8>>,
    ) -> Result<PathBuf> {
        let folded = self.engine ^ self.engine >> 64;
        let seed = u64::try_from(folded & u128::from(u64::MAX)).unwrap_or_default() ^ self.ceiling;
        let shape = Shape { engine: self.engine, file_bytes: self.bytes(), seed };
        let number = self.number + 1;
        let mut file =
            Writing { spare: Spare::make(disk, directory, shape, number, number)?, group: Group::default() };
        file.group.clear(self.highest_seq);
        self.push_start(&mut file);
        for key in self.keys {
            for piece in &key.pieces {
                let bytes = read(piece)?;
                file.push(&at_home(piece.read(&bytes)?, key.index))?;
            }
            let out = key.pieces.get(..key.in_flight).unwrap_or_default();
            if let [first, ..] = out
                && let [.., last] = out
            {
                let key = super::record::KeyRef { index: small(key.index), id: &key.id };
                file.push(&Record::Bounds { key, first: first.first, last: last.last })?;
            }
        }
        file.end(&Record::Ceiling { seq: self.ceiling })?;
        let before = Before { end: None, name: self.name, highest_seq: self.highest_seq };
        file.spare.activate(disk, directory, before).map(|current| current.path)
    }

    fn push_start(&self, file: &mut Writing) {
        let mut scratch = Vec::new();
        if self.number > 0 {
            // It says that it follows a file, as each but the first does; that one does not count.
            let end = FileEnd { number: self.number, at: FILE_HEADER_BYTES as u64, chain: 0 };
            file.group.push_record(&Record::Begin(end), &mut scratch);
        }
        file.group.push_record(&Record::Ceiling { seq: self.ceiling }, &mut scratch);
        for (number, (name, mark)) in self.sources.iter().enumerate() {
            let source = Record::Source { number: small(number), mark: *mark, name };
            file.group.push_record(&source, &mut scratch);
        }
        for (number, name) in self.indices.iter().enumerate() {
            file.group.push_record(&Record::Index { number: small(number), name }, &mut scratch);
        }
    }
}

/// The file while it is written.
struct Writing {
    spare: Spare,
    group: Group,
}

impl Writing {
    fn push(&mut self, record: &Record<'_>) -> Result<()> {
        let mut body = Vec::new();
        self.group.push_record(record, &mut body);
        if self.group.len() < GROUP_BYTES { Ok(()) } else { self.write(FILE_HEADER_BYTES as u64) }
    }

    fn write(&mut self, synced: u64) -> Result<()> {
        self.spare.write(&mut self.group, synced)?;
        self.group.clear(0);
        Ok(())
    }

    /// Makes all durable, and says so with a last record.
    fn end(&mut self, last: &Record<'_>) -> Result<()> {
        if !self.group.is_empty() {
            self.write(FILE_HEADER_BYTES as u64)?;
        }
        let synced = self.spare.sync()?;
        self.group.push_record(last, &mut Vec::new());
        self.write(synced)?;
        self.spare.sync().map(drop)
    }
}

/// A piece, without its source, and with its index's number in this file.
fn at_home(record: Record<'_>, index: usize) -> Record<'_> {
    let index = small(index);
    match record {
        Record::Operation(operation) => Record::Operation(Operation { index, source: None, ..operation }),
        Record::Moved(moved) => Record::Moved(Moved { index, ..moved }),
        other => other,
    }
}

/// A number of 32 bits: a journal has fewer names than that.
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
