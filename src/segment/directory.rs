//! The directory of a store: names, the lock, and every write to the disk.
//!
//! # Design
//! Files are only ever made whole: written under a temporary name, synced, renamed, and the directory synced
//! ([`TempFile`]). Whatever stops half-way leaves a temporary file, which its own drop or the next
//! opening removes. All writing goes through here, so that one place knows the latch; and on to a [`Disk`], in whose place
//! tests put one that fails on cue.
//!
//! # The latch
//! After a failed sync nobody knows what is on the disk: the system may drop the pages it could not write and
//! report the next sync as done. So a failed sync is never tried again; it latches the directory, and
//! every later write is refused with the reason, until a new opening reads back what is there. So does a rename that failed
//! and was done. A full disk shows when writing, is not latched, and may be tried again.
//!
//! # Invariants
//! 1. A name without `.tmp` is only ever given to a file that was written and synced whole.
//! 2. Only the holder of the lock changes the directory.

use super::manifest;
use crate::{
    Error, ErrorKind, Result,
    disk::{DirectoryLock, Disk, DiskFile, SystemDisk},
    sync::Mutex,
};
use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

const TEMP_SUFFIX: &str = ".tmp";
const SEGMENT_SUFFIX: &str = ".segment";
const BUFFER_BYTES: usize = 128 * 1024;

pub(crate) fn segment_file(number: u64) -> String {
    format!("{number:010}{SEGMENT_SUFFIX}")
}

/// The number in the name of a segment file; `None` for any name this store did not give.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(SEGMENT_SUFFIX)?.parse().ok()?;
    (segment_file(number) == name).then_some(number)
}

fn is_temporary(name: &str) -> bool {
    name.strip_suffix(TEMP_SUFFIX)
        .is_some_and(|name| name == manifest::FILE || segment_number(name).is_some())
}

/// What lies in a directory, of this store's names only: anything else is nobody's business here.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) segments: Vec<u64>,
    pub(crate) temporary: Vec<String>,
}

/// Where a store lies. Who only reads needs no more.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
}

impl Home {
    pub(crate) fn new(disk: Arc<dyn Disk>, path: impl Into<PathBuf>) -> Self {
        Self { disk, path: path.into() }
    }

    /// On the system's disk.
    pub(crate) fn system(path: impl Into<PathBuf>) -> Self {
        Self::new(Arc::new(SystemDisk), path)
    }

    pub(crate) fn list(&self) -> Result<Listing> {
        let names = self.disk.list(&self.path);
        let names =
            names.map_err(|error| Error::io(format_args!("listing {}", self.path.display()), error))?;
        let mut listing = Listing::default();
        for name in names {
            if let Some(number) = segment_number(&name) {
                listing.segments.push(number);
            } else if is_temporary(&name) {
                listing.temporary.push(name);
            }
        }
        listing.segments.sort_unstable();
        Ok(listing)
    }
}

/// A directory held for writing. See the module.
#[derive(Debug)]
pub(crate) struct Directory {
    home: Home,
    /// Held until this is dropped.
    _lock: DirectoryLock,
    latch: Mutex<Option<Box<str>>>,
}

impl Directory {
    /// Takes the directory for writing, creating it if there is none.
    pub(crate) fn lock(home: Home) -> Result<Self> {
        let refused = |what, error| refused(&home.path, what, error);
        home.disk.create_directory(&home.path).map_err(|error| refused("creating", error))?;
        let lock = home.disk.lock(&home.path).map_err(|error| refused("locking", error))?;
        Ok(Self { home, _lock: lock, latch: Mutex::new(None) })
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// Refuses if the directory is latched.
    pub(crate) fn check(&self) -> Result<()> {
        match &*self.latch.lock() {
            None => Ok(()),
            Some(reason) => {
                let path = self.home.path.display();
                let message = format!("the store in {path} takes no more writes: {reason}");
                Err(Error::new(ErrorKind::Latched, message))
            }
        }
    }

    /// Refuses every later write. The first reason stays.
    pub(crate) fn latch(&self, reason: impl Into<Box<str>>) {
        self.latch.lock().get_or_insert_with(|| reason.into());
    }

    /// Begins a file that will be called `name` once it is whole.
    pub(crate) fn create(&self, name: String) -> Result<TempFile<'_>> {
        self.check()?;
        let temporary = self.home.path.join(format!("{name}{TEMP_SUFFIX}"));
        let disk = &self.home.disk;
        let made = match disk.create(&temporary, 0) {
            // One whose removal failed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                disk.remove(&temporary).and_then(|()| disk.create(&temporary, 0))
            }
            made => made,
        };
        let file = made.map_err(|error| {
            // It may be there although the disk says it failed.
            disk.remove(&temporary).ok();
            Error::io(format_args!("creating {}", temporary.display()), error)
        })?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, Appending { file, at: 0 });
        Ok(TempFile { directory: self, file: Some(file), temporary, name })
    }

    /// Removes a file that nothing names any more. A failure is left to the sweep of the next opening.
    pub(crate) fn remove(&self, name: &str) {
        self.home.disk.remove(&self.home.path.join(name)).ok();
    }

    /// Removes what a crash left behind: temporary files, and segments the manifest does not name.
    pub(crate) fn sweep(&self, live: &[u64]) -> Result<()> {
        let listing = self.home.list()?;
        for name in &listing.temporary {
            self.remove(name);
        }
        for number in listing.segments.iter().filter(|number| !live.contains(number)) {
            self.remove(&segment_file(*number));
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let Home { disk, path } = &self.home;
        disk.sync_directory(path).map_err(|error| self.in_doubt("syncing", path, &error))
    }

    /// Latches over what failed and may have been done, wholly or in part.
    fn in_doubt(&self, doing: &str, what: &Path, error: &io::Error) -> Error {
        let what = what.display();
        let reason = format!("{doing} {what} failed ({error}), so what is on the disk is not known");
        let message = format!("{reason}; the store takes no more writes");
        self.latch(reason);
        Error::new(ErrorKind::Latched, message)
    }
}

/// Why a directory is not taken for writing.
fn refused(path: &Path, doing: &str, error: io::Error) -> Error {
    let shown = path.display();
    match error.kind() {
        // The disk says what it is instead; the system, met half-way down, does not.
        io::ErrorKind::NotADirectory if error.raw_os_error().is_none() => {
            Error::new(ErrorKind::Io, error.to_string())
        }
        io::ErrorKind::NotADirectory => {
            Error::new(ErrorKind::Io, format!("{shown} is not below a directory")).because(error)
        }
        io::ErrorKind::ResourceBusy => {
            let message =
                format!("{shown} is in use: another writer holds its lock, and a store has one writer");
            Error::new(ErrorKind::Io, message)
        }
        _ => Error::io(format_args!("{doing} {shown} for writing"), error),
    }
}

/// A file under a temporary name. Dropped without [`install`](Self::install), it is removed.
#[derive(Debug)]
pub(crate) struct TempFile<'d> {
    directory: &'d Directory,
    /// `None` once it is installed.
    file: Option<BufWriter<Appending>>,
    temporary: PathBuf,
    name: String,
}

impl TempFile<'_> {
    /// Makes the file durable and gives it its name. An error of kind [`Latched`](ErrorKind::Latched) leaves it
    /// open whether the name holds the new file or the old one; any other leaves the old one.
    pub(crate) fn install(mut self) -> Result<()> {
        let directory = self.directory;
        let failed = |error| Error::io(format!("writing {}", self.temporary.display()), error);
        if let Some(file) = &mut self.file {
            file.flush().map_err(failed)?;
            let synced = file.get_ref().file.sync_all();
            synced.map_err(|error| directory.in_doubt("syncing", &self.temporary, &error))?;
        }
        let Home { disk, path } = &directory.home;
        if let Err(error) = disk.rename(&self.temporary, &path.join(&self.name)) {
            // An error does not say that nothing happened, but the old name does.
            return Err(match disk.open(&self.temporary) {
                Ok(_) => Error::io(format!("renaming {}", self.temporary.display()), error),
                Err(_) => directory.in_doubt("renaming", &self.temporary, &error),
            });
        }
        self.file = None;
        directory.sync()
    }
}

impl Write for TempFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(io::Error::other("the file was installed")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for TempFile<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // What is still buffered is not worth writing.
            drop(file.into_parts());
            self.directory.home.disk.remove(&self.temporary).ok();
        }
    }
}

/// A file that is written from its start to its end.
#[derive(Debug)]
struct Appending {
    file: Box<dyn DiskFile>,
    at: u64,
}

impl Write for Appending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_this_stores_own_names_are_recognised() {
        assert_eq!(segment_number("0000000007.segment"), Some(7));
        assert_eq!(segment_number(&segment_file(u64::MAX)), Some(u64::MAX));
        for name in ["7.segment", "+000000007.segment", "0000000007.segment.bak", "x.segment", "manifest"] {
            assert_eq!(segment_number(name), None, "{name}");
        }
        assert!(is_temporary("manifest.tmp") && is_temporary("0000000007.segment.tmp"));
        assert!(!is_temporary("notes.tmp") && !is_temporary("lock"));
    }

    #[test]
    fn a_second_writer_is_refused_until_the_first_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let first = Directory::lock(Home::system(dir.path())).unwrap();
        let error = Directory::lock(Home::system(dir.path())).unwrap_err();
        assert!(error.to_string().contains("in use"), "{error}");
        drop(first);
        Directory::lock(Home::system(dir.path())).unwrap();
    }

    #[test]
    fn a_file_that_is_not_installed_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::lock(Home::system(dir.path())).unwrap();
        let mut file = directory.create(segment_file(1)).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        let listing = directory.home().list().unwrap();
        assert!(listing.segments.is_empty() && listing.temporary.is_empty());
    }

    #[test]
    fn a_sweep_removes_leftovers_and_keeps_live_segments_and_strangers() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::lock(Home::system(dir.path())).unwrap();
        for name in ["0000000001.segment", "0000000002.segment", "manifest.tmp", "notes.tmp", "7.segment"] {
            fs::write(dir.path().join(name), b"").unwrap();
        }
        directory.sweep(&[2]).unwrap();
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["0000000002.segment", "7.segment", "lock", "notes.tmp"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_and_a_file_are_refused_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        assert!(Directory::lock(Home::system(&link)).unwrap_err().to_string().contains("symbolic link"));
        let file = dir.path().join("file");
        fs::write(&file, b"").unwrap();
        assert!(Directory::lock(Home::system(&file)).unwrap_err().to_string().contains("not a directory"));
    }
}
