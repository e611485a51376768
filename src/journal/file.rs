//! A file of the journal, from when it is made until it is full.
//!
//! # Design
//! A file is made under another name, with its space allocated and its header on the medium: a *spare*. When it is needed it
//! gets its own name, which costs a rename and a sync of the directory. When it is full it is *old*, and all that is kept of it
//! is what it takes to remove it.
//!
//! # Invariants
//! 1. A file that has its name has a header that was synced before it got it.
//! 2. Names rise, as numbers do; each is above every seq in the files before.

use super::{
    group::{FILE_HEADER_BYTES, FileHeader, Group},
    record::FileEnd,
    zeroed::Zeroed,
};
use crate::{
    Error, Result,
    disk::{Disk, DiskFile},
};
use std::{
    collections::BTreeSet,
    hash::BuildHasher,
    io,
    path::{Path, PathBuf},
};

/// What a journal is made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) engine: u128,
    /// Bytes of each file.
    pub(super) file_bytes: u64,
    /// What the files' salts are drawn from.
    pub(super) seed: u64,
}

/// What the files before leave to the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    pub(super) end: Option<FileEnd>,
    /// No file before has a higher name,
    pub(super) name: u64,
    /// and no record in them a higher seq.
    pub(super) highest_seq: u64,
}

/// A file that is full.
#[derive(Clone, Debug)]
pub(super) struct Old {
    pub(super) path: PathBuf,
    pub(super) end: FileEnd,
    /// No record in it has a higher seq.
    pub(super) highest_seq: u64,
}

/// A file that is made, and not in use.
#[derive(Debug)]
pub(super) struct Spare {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    number: u64,
    salt: u64,
    /// Where the next group goes, and the checksum before it.
    at: u64,
    chain: u32,
}

/// The file that is being written.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) file: Box<dyn DiskFile>,
    pub(super) path: PathBuf,
    pub(super) name: u64,
    pub(super) number: u64,
    pub(super) salt: u64,
    /// Where the next group goes.
    pub(super) at: u64,
    /// All before this is on the medium.
    pub(super) synced: u64,
    pub(super) zeroed: Zeroed,
    pub(super) chain: u32,
    /// How the file before ended: its first record.
    pub(super) follows: Option<FileEnd>,
    /// Indices that it has stated the names of.
    pub(super) indices: BTreeSet<u32>,
    /// It has stated the sources, with their marks.
    pub(super) has_sources: bool,
}

/// An error of the disk's, with what was being done.
pub(super) fn failed(doing: &str, path: &Path, error: io::Error) -> Error {
    Error::io(format!("{doing} {}", path.display()), error)
}

impl Spare {
    /// Makes a file that can be used at once: with its space, and its header on the medium. `oldest`: the number of the oldest
    /// file that is kept.
    pub(super) fn make(
        disk: &dyn Disk,
        directory: &Path,
        shape: Shape,
        number: u64,
        oldest: u64,
    ) -> Result<Self> {
        let path = directory.join(spare_name(number));
        let file = disk.create(&path, shape.file_bytes).map_err(|error| failed("making", &path, error))?;
        let salt = salt(shape.seed, number);
        let kept = u32::try_from(number - oldest).unwrap_or(u32::MAX);
        let header = FileHeader { engine: shape.engine, salt, number, bytes: shape.file_bytes, kept };
        let bytes = header.write();
        file.write_all_at(&bytes, 0)
            .and_then(|()| file.sync_all())
            .map_err(|error| failed("writing to", &path, error))?;
        Ok(Self { file, path, number, salt, at: FILE_HEADER_BYTES as u64, chain: header.chain() })
    }

    /// Writes a group before it has its name. `synced`: up to where it is on the medium.
    pub(super) fn write(&mut self, group: &mut Group, synced: u64) -> Result<()> {
        let chain = group.seal(self.salt, self.at, self.chain, synced);
        self.file
            .write_all_at(group.bytes(), self.at)
            .map_err(|error| failed("writing to", &self.path, error))?;
        self.at += group.len() as u64;
        self.chain = chain;
        Ok(())
    }

    /// Makes durable what was written; gives up to where.
    pub(super) fn sync(&self) -> Result<u64> {
        self.file.sync_all().map_err(|error| failed("syncing", &self.path, error))?;
        Ok(self.at)
    }

    /// It gets its name, and will say what it follows.
    pub(super) fn activate(self, disk: &dyn Disk, directory: &Path, before: Before) -> Result<Current> {
        let Self { file, path, number, salt, at, chain } = self;
        let name = (before.name + 1).max(before.highest_seq + 1);
        let named = directory.join(file_name(name));
        disk.rename(&path, &named).map_err(|error| failed("renaming", &path, error))?;
        disk.sync_directory(directory).map_err(|error| failed("syncing", directory, error))?;
        let indices = BTreeSet::new();
        Ok(Current {
            file,
            path: named,
            name,
            number,
            salt,
            at,
            synced: at,
            zeroed: Zeroed(at),
            chain,
            follows: before.end,
            indices,
            has_sources: false,
        })
    }
}

/// Differs from file to file, and from journal to journal: what lies on the disk from before is not taken for what is new.
fn salt(seed: u64, number: u64) -> u64 {
    foldhash::fast::FixedState::with_seed(seed).hash_one(number)
}

/// What files are called: the least seq that no file before has.
pub(super) fn file_name(name: u64) -> String {
    format!("{name:020}.journal")
}

/// What a spare is called.
fn spare_name(number: u64) -> String {
    format!("{number:020}.spare.tmp")
}
