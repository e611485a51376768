//! Opening a journal: what is in its directory, and what that comes to.
//!
//! # Design
//! Files are read whole, from the oldest on. A tear at the end of the last is cut, which is to say that the next file states
//! where it is; anything worse is refused, and nothing is changed. What an earlier opening made and did not come to use (a
//! spare, a file without a record) goes.
//!
//! # Files that come back
//! That a file is gone is on the medium once its directory was synced. Where that fails, nobody sees the file any more, and
//! after a power cut it is there again; while one that was newer, and was removed later, is not. So each file's header says
//! how many before it were kept, and what is older than any says is passed over, and removed again. A file without a
//! record is passed over as well, unless the next one follows it, and goes only when another has its number.
//!
//! # Why nothing is copied
//! What has not settled stays where it is: it is read again, piece by piece, into the shards, and its files go when it has
//! settled.
//!
//! # Invariants
//! 1. Where this fails, nothing was changed but the lock's file.
//! 2. What was read is on the medium before anything is written behind it.
//! 3. Each file that stays is one of those that [`Before`] speaks of.

use super::{
    doubt,
    file::{Before, Old, failed, file_name},
    group::{FILE_HEADER_BYTES, FileHeader},
    reader::{self, End},
    record::{FileEnd, Record},
    recovery::{Piece, Recovered, Recovery},
};
use crate::{
    Error, ErrorKind, Result,
    disk::{DirectoryLock, Disk, DiskFile},
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// As much of a file as holds its first record, which says how the one before it ended.
const START_BYTES: usize = 4096;
const SUFFIX: &str = ".journal";
/// No journal comes to a higher name.
const NAME_MAX: u64 = u64::MAX >> 1;
const TEMPORARY: &str = ".tmp";

/// A journal that was read, and is not written yet.
pub(crate) struct Opened {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) directory: PathBuf,
    pub(super) lock: DirectoryLock,
    pub(crate) recovered: Recovered,
    /// What was cut off the last file, if something was.
    pub(crate) torn: Option<String>,
    files: BTreeMap<u64, Box<dyn DiskFile>>,
    pub(super) old: Vec<Old>,
    pub(super) before: Before,
    /// Spares, used or not.
    spares: Vec<PathBuf>,
    /// Files of which nothing counts.
    pub(super) useless: Vec<PathBuf>,
    /// Of the last file what no group says was synced: its place, and its bytes.
    tail: Option<(PathBuf, u64, Vec<u8>)>,
}

/// A file of the directory.
pub(super) struct Found {
    pub(super) name: u64,
    pub(super) path: PathBuf,
    pub(super) file: Box<dyn DiskFile>,
    pub(super) header: FileHeader,
    /// What it says of the end of the file before.
    pub(super) begin: Option<FileEnd>,
}

impl Opened {
    /// Takes a directory, which is made if it is not there, and reads the journal in it.
    pub(crate) fn read(disk: Arc<dyn Disk>, directory: &Path) -> Result<Self> {
        Self::read_whole(disk, directory).map_err(|error| repairable(directory, error))
    }

    fn read_whole(disk: Arc<dyn Disk>, directory: &Path) -> Result<Self> {
        let lock = make_and_take(&*disk, directory)?;
        let (found, spares) = list(&*disk, directory)?;
        let oldest = found.iter().map(|found| found.header.oldest()).max().unwrap_or_default();
        let (found, gone): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|file| file.header.number >= oldest);
        let mut opened = Self {
            disk,
            directory: directory.to_owned(),
            lock,
            recovered: Recovered::default(),
            torn: None,
            files: BTreeMap::new(),
            old: Vec::new(),
            before: Before::default(),
            spares,
            useless: gone.into_iter().map(|found| found.path).collect(),
            tail: None,
        };
        let mut recovery = Recovery::default();
        let begins: Vec<FileEnd> = found.iter().filter_map(|found| found.begin).collect();
        for file in found {
            let known = file.end(&begins);
            opened.file(file, known, &mut recovery)?;
        }
        recovery.check_first().map_err(|error| named(directory, &error))?;
        opened.recovered = recovery.finish()?;
        opened.before.end = opened.recovered.last;
        opened.before.highest_seq = opened.recovered.highest_seq;
        for old in &mut opened.old {
            old.highest_seq = opened.recovered.highest_seq;
        }
        Ok(opened)
    }

    /// Reads the next file. `known`: what the one after it says of its end.
    fn file(&mut self, found: Found, known: Option<FileEnd>, recovery: &mut Recovery) -> Result<()> {
        let Found { name, path, file, header: FileHeader { number, salt, .. }, .. } = found;
        let bytes = file.read_all().map_err(|error| failed("reading", &path, error))?;
        let end = recovery.read_file(&bytes, known).map_err(|error| named(&path, &error))?;
        let (at, chain) = match end {
            End::Clean { at, chain } => (at, chain),
            End::Torn { at, chain, reason } => {
                self.torn = Some(format!("{}: cut at byte {at}: {reason}", path.display()));
                (at, chain)
            }
            End::Damaged(damage) => return Err(damage.error(path.display())),
        };
        self.before.name = name;
        if at == FILE_HEADER_BYTES as u64 && known.is_none() {
            // Nothing was written to it that counts: the one before it is the last.
            self.useless.push(path);
            recovery.forget_file();
            return Ok(());
        }
        let synced = doubt::synced(&bytes, salt, FILE_HEADER_BYTES).unwrap_or(FILE_HEADER_BYTES as u64);
        let unsure = usize::try_from(synced).ok().zip(usize::try_from(at).ok());
        let unsure = unsure.and_then(|(from, to)| bytes.get(from..to)).unwrap_or_default();
        self.tail = Some((path.clone(), synced, unsure.to_vec()));
        self.old.push(Old { path, end: FileEnd { number, at, chain }, highest_seq: 0 });
        self.files.insert(number, file);
        Ok(())
    }

    /// Every sequence number in use is at or below it.
    pub(crate) fn seq_floor(&self) -> u64 {
        self.recovered.ceiling.max(self.recovered.highest_seq)
    }

    /// True where there was nothing, or it was closed, and nothing that was sent could still be carried out.
    pub(crate) fn is_clean(&self) -> bool {
        let Recovered { keys, watermark, highest_seq, last, .. } = &self.recovered;
        keys.is_empty() && (last.is_none() || watermark.is_some_and(|watermark| *highest_seq <= watermark))
    }

    /// Reads a piece again, and gives it to `f`.
    pub(crate) fn piece<R>(&self, piece: &Piece, f: impl FnOnce(&Record<'_>) -> Result<R>) -> Result<R> {
        let number = piece.place.file;
        let file = self.files.get(&number).ok_or_else(|| {
            Error::new(ErrorKind::Damaged, format!("file {number} of the journal is not there"))
        })?;
        let mut bytes = vec![0; piece.place.bytes as usize];
        file.read_exact_at(&mut bytes, piece.place.at)
            .map_err(|error| Error::io(format!("reading file {number} of the journal"), error))?;
        let record = piece.read(&bytes).map_err(|error| repairable(&self.directory, error))?;
        f(&record)
    }

    /// Makes what was read durable, and removes what is of no use. Done once all was read, and before anything is written.
    ///
    /// A process that was killed may have written the end of the last file without syncing it, or have met a sync that
    /// failed: then it can be read for as long as the system remembers it, and another sync would say that all is well. What
    /// was read there is acted on from now on, and the next file will say that it is there. So it is written again.
    pub(super) fn make_sure(&self) -> Result<()> {
        if let Some((path, at, bytes)) = &self.tail {
            let file = self.disk.open_for_writing(path).map_err(|error| failed("opening", path, error))?;
            file.write_all_at(bytes, *at)
                .and_then(|()| file.sync_data())
                .map_err(|error| failed("writing to", path, error))?;
        }
        for path in &self.spares {
            self.disk.remove(path).map_err(|error| failed("removing", path, error))?;
        }
        if self.spares.is_empty() {
            return Ok(());
        }
        self.disk.sync_directory(&self.directory).map_err(|error| failed("syncing", &self.directory, error))
    }
}

impl Found {
    /// How it ends, if the file after it says so.
    pub(super) fn end(&self, begins: &[FileEnd]) -> Option<FileEnd> {
        begins.iter().find(|end| end.number == self.header.number).copied()
    }

    pub(super) fn open(disk: &dyn Disk, name: u64, path: PathBuf) -> Result<Self> {
        let file = disk.open(&path).map_err(|error| failed("opening", &path, error))?;
        let length = file.length().map_err(|error| failed("looking at", &path, error))?;
        let mut start = vec![0; START_BYTES.min(usize::try_from(length).unwrap_or(START_BYTES))];
        file.read_exact_at(&mut start, 0).map_err(|error| failed("reading", &path, error))?;
        let header = FileHeader::read(&start).map_err(|error| named(&path, &error))?;
        Ok(Self { name, path, file, header, begin: reader::begin(&start) })
    }
}

/// Says of damage what can be done.
fn repairable(directory: &Path, error: Error) -> Error {
    if error.kind() != ErrorKind::Damaged {
        return error;
    }
    let (message, shown) = (error.message(), directory.display());
    let message = format!("{message}; millpond journal repair {shown} shows what can be kept");
    Error::new(ErrorKind::Damaged, message)
}

pub(super) fn named(path: &Path, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The journal's files, from the oldest on, and what was left of files that were being made.
pub(super) fn list(disk: &dyn Disk, directory: &Path) -> Result<(Vec<Found>, Vec<PathBuf>)> {
    let (named, spares) = names(disk, directory)?;
    let found = named.into_iter().map(|(name, path)| Found::open(disk, name, path)).collect::<Result<_>>()?;
    Ok((found, spares))
}

/// A file by the number in its name, and its path.
pub(super) type Named = (u64, PathBuf);

/// The same by their names alone.
pub(super) fn names(disk: &dyn Disk, directory: &Path) -> Result<(Vec<Named>, Vec<PathBuf>)> {
    let (mut named, mut spares) = (Vec::new(), Vec::new());
    for name in disk.list(directory).map_err(|error| failed("listing", directory, error))? {
        let path = directory.join(&name);
        if name.ends_with(TEMPORARY) {
            spares.push(path);
        } else if let Some(number) = number(&name) {
            named.push((number, path));
        }
    }
    named.sort_unstable();
    Ok((named, spares))
}

/// The number in a file's name; nothing for a name that no journal gave: each file that follows has a higher one.
fn number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(SUFFIX)?.parse().ok()?;
    (number <= NAME_MAX && file_name(number) == name).then_some(number)
}

/// Takes a directory for a journal, which is made if it is not there.
fn make_and_take(disk: &dyn Disk, directory: &Path) -> Result<DirectoryLock> {
    let what = format!("making the journal's directory {}", directory.display());
    disk.create_directory(directory).map_err(|error| Error::io(what, error))?;
    take(disk, directory)
}

/// Takes a directory that is there.
pub(super) fn take(disk: &dyn Disk, directory: &Path) -> Result<DirectoryLock> {
    disk.lock(directory).map_err(|error| {
        if error.kind() == io::ErrorKind::ResourceBusy {
            let shown = directory.display();
            let message =
                format!("{shown} is in use: another engine holds its lock, and a journal has one writer");
            return Error::new(ErrorKind::Io, message).because(error);
        }
        Error::io(format!("taking the journal's directory {}", directory.display()), error)
    })
}
