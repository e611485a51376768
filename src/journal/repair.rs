//! Repairing a journal that opening refuses.
//!
//! # Design
//! A journal with a wrong place is cut there. What stands before it is kept, as a prefix of what was accepted; what lies behind
//! is dropped: copied to a directory `damaged-<n>` in the journal's own, and what of it had not settled, as far as it can be
//! read, is written there as bulk lines too, so that it can be submitted again. Then one file takes the place of all
//! (`rewritten.rs`).
//!
//! What lies behind is not believed in what it accepted, but it is in what it says of what was accepted before: that a
//! document's operations had settled, or have left. Else a put from before the place would be sent once more, over the newer
//! document that the sink has had since.
//!
//! Where the oldest file is missing, nothing is cut: all that is there is kept, and what was in that file alone is lost.
//!
//! # Why not keep what can be read behind the place
//! An operation that is missing leaves no trace: those behind it would be carried out without it, and a source that could deliver it
//! again would be told that it was accepted. Of a prefix each source knows where to go on.
//!
//! # Why the files are copied and not moved
//! Opening would take for whole what is left while they are moved. Copies take space, and where there is none nothing has
//! changed.
//!
//! # Invariants
//! 1. [`Repair::plan`] changes nothing but the lock's file.
//! 2. Until [`Repair::carry_out`] renames its file the journal is what it was; from then on it is repaired. What fails or
//!    crashes in between can be done again.
//! 3. No file goes before what is dropped of it is copied and on the medium.

mod sides;
mod told;

use super::{
    file::failed,
    open::take,
    reading::{Behind, Cut, Reading},
    record::{Moved, Operation, Record},
    recovery::Unsettled,
    rewritten::Standing,
};
use crate::{
    Error, ErrorKind, Expects, Item, ItemAction, NetOperation, Result,
    disk::{DirectoryLock, Disk, SystemDisk},
};
use sides::{Dropped, Sides};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The bulk lines of what was dropped, in a directory of dropped files.
pub const DROPPED_FILE: &str = "dropped.ndjson";
/// How much is copied at once.
const COPY_BYTES: usize = 1024 * 1024;

/// A repair that was planned, and not carried out yet. Displayed, it says what would be kept and what dropped. Holds the
/// directory's lock.
pub struct Repair {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    reading: Reading,
    cut: Cut,
    kept: Vec<Unsettled>,
    /// In the order of their seqs.
    dropped: Vec<Dropped>,
    /// Names of indices, and what else is known of both sides of the cut.
    behind: Behind,
    _lock: DirectoryLock,
}

/// What a repair has done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// Where the files that were cut are now, and the [lines](DROPPED_FILE) of what was dropped.
    pub directory: PathBuf,
    /// How many lines: operations on documents, of which each may stand for several that were accepted.
    pub lines: u64,
}

impl Repair {
    /// Looks for what opening a journal would refuse, and plans its repair; nothing, where opening it would not. Fails
    /// where another process has the journal, where a newer version wrote it, or where it cannot be read.
    pub fn plan(directory: impl AsRef<Path>) -> Result<Option<Self>> {
        Self::plan_on(Arc::new(SystemDisk), directory)
    }

    /// The same on a disk of the caller's own.
    pub fn plan_on(disk: Arc<dyn Disk>, directory: impl AsRef<Path>) -> Result<Option<Self>> {
        let directory = directory.as_ref().to_owned();
        let lock = take(&*disk, &directory)?;
        let mut reading = Reading::of(&*disk, &directory)?;
        let Some((cut, mut behind)) = reading.cut.take().or_else(|| reading.cut_behind_all()) else {
            return Ok(None);
        };
        let all = std::mem::take(&mut behind.all.keys);
        let (kept, dropped) = Sides::new(&reading, &all).split()?;
        Ok(Some(Self { disk, directory, reading, cut, kept, dropped, behind, _lock: lock }))
    }

    /// Writes what is dropped to a directory `damaged-<n>` in the journal's, and the journal anew. Fails, and the journal
    /// is as it was, where there is no space for both.
    pub fn carry_out(self) -> Result<Repaired> {
        let directory = self.new_directory()?;
        self.write_dropped(&directory)?;
        for seen in self.reading.files.iter().skip(self.cut.file) {
            self.copy(&seen.path, &directory)?;
        }
        self.disk.sync_directory(&directory).map_err(|error| failed("syncing", &directory, error))?;
        self.remove(&self.reading.void)?;
        self.standing().write(&*self.disk, &self.directory, |piece| self.reading.bytes_of(piece))?;
        let old: Vec<PathBuf> = self.reading.files.iter().map(|seen| seen.path.clone()).collect();
        self.remove(&old)?;
        Ok(Repaired { directory, lines: self.dropped.len() as u64 })
    }

    fn standing(&self) -> Standing<'_> {
        let (before, all) = (&self.reading.recovered, &self.behind.all);
        let numbers =
            self.reading.files.iter().filter_map(|seen| Some(seen.found.as_ref().ok()?.header.number));
        let name = self.reading.files.iter().map(|seen| seen.name).max().unwrap_or_default();
        Standing {
            engine: all.engine.unwrap_or_else(|| u128::from(name) << 64 | 1),
            keys: &self.kept,
            indices: &all.indices,
            sources: &before.sources,
            ceiling: all.ceiling.max(all.highest_seq).max(name),
            name,
            number: numbers.max().unwrap_or_default(),
            highest_seq: all.highest_seq,
        }
    }

    /// A directory that is not there yet.
    fn new_directory(&self) -> Result<PathBuf> {
        let mut number = 1_u64;
        loop {
            let path = self.directory.join(format!("damaged-{number}"));
            match self.disk.list(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.disk.create_directory(&path).map_err(|error| failed("making", &path, error))?;
                    return Ok(path);
                }
                Err(error) if error.kind() != io::ErrorKind::NotADirectory => {
                    return Err(failed("looking at", &path, error));
                }
                _ => number += 1,
            }
        }
    }

    fn write_dropped(&self, directory: &Path) -> Result<()> {
        let path = directory.join(DROPPED_FILE);
        let mut lines = Vec::new();
        for dropped in &self.dropped {
            self.item(dropped)?.write_lines(&mut lines);
        }
        let file = self.disk.create(&path, lines.len() as u64);
        file.and_then(|file| file.write_all_at(&lines, 0).and_then(|()| file.sync_all()))
            .map_err(|error| failed("writing", &path, error))
    }

    fn item(&self, dropped: &Dropped) -> Result<Item> {
        let bytes = self.reading.bytes_of(&dropped.piece)?;
        let record = dropped.piece.read(&bytes)?;
        let (Record::Operation(Operation { net, .. }) | Record::Moved(Moved { net, .. })) = record else {
            return Err(Error::new(ErrorKind::Damaged, "what was an operation is none any more"));
        };
        let net = NetOperation::from_encoded(net.to_vec());
        Ok(Item {
            index: self.index(dropped.index).into(),
            id: dropped.id.as_ref().into(),
            routing: dropped.piece.routing.clone(),
            repeatable: net.is_repeatable(),
            action: ItemAction::Net(net),
            first_seq: dropped.piece.first,
            last_seq: dropped.piece.last,
            operations: dropped.operations,
            expects: Expects::Anything,
            attempt: 0,
        })
    }

    fn index(&self, number: usize) -> &str {
        self.behind.all.indices.get(number).map_or("", |name| name)
    }

    fn copy(&self, path: &Path, directory: &Path) -> Result<()> {
        let copy = directory.join(path.file_name().unwrap_or_default());
        let file = self.disk.open(path).map_err(|error| failed("opening", path, error))?;
        let length = file.length().map_err(|error| failed("looking at", path, error))?;
        let to = self.disk.create(&copy, length).map_err(|error| failed("making", &copy, error))?;
        let mut bytes = vec![0; COPY_BYTES];
        let mut at = 0;
        while at < length {
            let count = usize::try_from(length - at).unwrap_or(COPY_BYTES).min(COPY_BYTES);
            let piece = bytes.get_mut(..count).unwrap_or_default();
            file.read_exact_at(piece, at).map_err(|error| failed("reading", path, error))?;
            to.write_all_at(piece, at).map_err(|error| failed("writing to", &copy, error))?;
            at += count as u64;
        }
        to.sync_all().map_err(|error| failed("syncing", &copy, error))
    }

    fn remove(&self, paths: &[PathBuf]) -> Result<()> {
        for path in paths {
            self.disk.remove(path).map_err(|error| failed("removing", path, error))?;
        }
        self.disk.sync_directory(&self.directory).map_err(|error| failed("syncing", &self.directory, error))
    }
}
