//! The directory of a store: names, the lock, and every write to the disk.
//!
//! # Design
//! Files are only ever made whole: written under a temporary name, synced, renamed, and the directory synced
//! ([`TempFile`]). Whatever stops half-way leaves a temporary file, which its own drop or the next
//! opening removes. All writing goes through here, so that one place knows the latch and one place can be
//! made to fail in tests.
//!
//! # The latch
//! After a failed sync nobody knows what is on the disk: the system may drop the pages it could not write and
//! report the next sync as done. So a failed sync is never tried again; it latches the directory, and
//! every later write is refused with the reason, until a new opening reads back what is there. A full disk
//! shows when writing, is not latched, and may be tried again.
//!
//! # Invariants
//! 1. A name without `.tmp` is only ever given to a file that was written and synced whole.
//! 2. Only the holder of the lock changes the directory.

use super::manifest;
use crate::{Error, ErrorKind, Result, sync::Mutex};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

const LOCK_FILE: &str = "lock";
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

pub(crate) fn list(path: &Path) -> Result<Listing> {
    let what = || format!("listing {}", path.display());
    let mut listing = Listing::default();
    for entry in fs::read_dir(path).map_err(|error| Error::io(what(), error))? {
        let name = entry.map_err(|error| Error::io(what(), error))?.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some(number) = segment_number(name) {
            listing.segments.push(number);
        } else if is_temporary(name) {
            listing.temporary.push(name.to_owned());
        }
    }
    listing.segments.sort_unstable();
    Ok(listing)
}

/// A directory held for writing. See the module.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Held until this is dropped.
    _lock: File,
    latch: Mutex<Option<Box<str>>>,
    #[cfg(test)]
    pub(crate) faults: super::faults::Faults,
}

impl Directory {
    /// Takes the directory for writing, creating it if there is none.
    pub(crate) fn lock(path: &Path) -> Result<Self> {
        let shown = path.display();
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_symlink() => {
                let message = format!("{shown} is a symbolic link: name the directory it stands for");
                return Err(Error::new(ErrorKind::Config, message));
            }
            Ok(found) if !found.is_dir() => {
                return Err(Error::new(ErrorKind::Config, format!("{shown} is not a directory")));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => create_directory(path)?,
            Err(error) => return Err(Error::io(format!("looking at {shown}"), error)),
        }
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(LOCK_FILE))
            .map_err(|error| Error::io(format!("opening {shown} for writing"), error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message =
                    format!("{shown} is in use: another writer holds its lock, and a store has one writer");
                return Err(Error::new(ErrorKind::Io, message));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Error::io(format!("locking {shown}"), error));
            }
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
            latch: Mutex::new(None),
            #[cfg(test)]
            faults: super::faults::Faults::default(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses if the directory is latched.
    pub(crate) fn check(&self) -> Result<()> {
        match &*self.latch.lock() {
            None => Ok(()),
            Some(reason) => {
                let message = format!("the store in {} takes no more writes: {reason}", self.path.display());
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
        let temporary = self.path.join(format!("{name}{TEMP_SUFFIX}"));
        let file = self
            .step()
            .and_then(|()| File::create(&temporary))
            .map_err(|error| Error::io(format!("creating {}", temporary.display()), error))?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, Faulty { file, directory: self });
        Ok(TempFile { directory: self, file: Some(file), temporary, name })
    }

    /// Removes a file that nothing names any more. A failure is left to the sweep of the next opening.
    pub(crate) fn remove(&self, name: &str) {
        if self.step().is_ok() {
            fs::remove_file(self.path.join(name)).ok();
        }
    }

    /// Removes what a crash left behind: temporary files, and segments the manifest does not name.
    pub(crate) fn sweep(&self, live: &[u64]) -> Result<()> {
        let listing = list(&self.path)?;
        for name in &listing.temporary {
            self.remove(name);
        }
        for number in listing.segments.iter().filter(|number| !live.contains(number)) {
            self.remove(&segment_file(*number));
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let synced = self.step().and_then(|()| sync_directory(&self.path));
        synced.map_err(|error| self.sync_failed(&self.path, &error))
    }

    fn sync_failed(&self, what: &Path, error: &io::Error) -> Error {
        let reason =
            format!("syncing {} failed ({error}), so what is on the disk is not known", what.display());
        let message = format!("{reason}; the store takes no more writes");
        self.latch(reason);
        Error::new(ErrorKind::Latched, message)
    }

    /// One step of I/O is about to be made: tests fail it here.
    #[cfg_attr(not(test), expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "a test seam"))]
    fn step(&self) -> io::Result<()> {
        #[cfg(test)]
        self.faults.step()?;
        Ok(())
    }
}

/// Creates the directory and makes its name durable.
fn create_directory(path: &Path) -> Result<()> {
    let what = || format!("creating {}", path.display());
    fs::create_dir_all(path).map_err(|error| Error::io(what(), error))?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        sync_directory(parent).map_err(|error| Error::io(what(), error))?;
    }
    Ok(())
}

/// Makes renames and removals in a directory durable. Elsewhere than on Unix a directory cannot be opened, and
/// the system orders renames by itself.
fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// A file under a temporary name. Dropped without [`install`](Self::install), it is removed.
#[derive(Debug)]
pub(crate) struct TempFile<'d> {
    directory: &'d Directory,
    /// `None` once it is installed.
    file: Option<BufWriter<Faulty<'d>>>,
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
            let file = file.get_ref();
            let synced = directory.step().and_then(|()| file.file.sync_all());
            synced.map_err(|error| directory.sync_failed(&self.temporary, &error))?;
        }
        let target = directory.path.join(&self.name);
        directory
            .step()
            .and_then(|()| fs::rename(&self.temporary, &target))
            .map_err(|error| Error::io(format!("renaming {}", self.temporary.display()), error))?;
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
            if self.directory.step().is_ok() {
                fs::remove_file(&self.temporary).ok();
            }
        }
    }
}

/// A file whose writes are steps.
#[derive(Debug)]
struct Faulty<'d> {
    file: File,
    directory: &'d Directory,
}

impl Write for Faulty<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.directory.step()?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let first = Directory::lock(dir.path()).unwrap();
        let error = Directory::lock(dir.path()).unwrap_err();
        assert!(error.to_string().contains("in use"), "{error}");
        drop(first);
        Directory::lock(dir.path()).unwrap();
    }

    #[test]
    fn a_file_that_is_not_installed_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::lock(dir.path()).unwrap();
        let mut file = directory.create(segment_file(1)).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        let listing = list(dir.path()).unwrap();
        assert!(listing.segments.is_empty() && listing.temporary.is_empty());
    }

    #[test]
    fn a_sweep_removes_leftovers_and_keeps_live_segments_and_strangers() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::lock(dir.path()).unwrap();
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
        assert!(Directory::lock(&link).unwrap_err().to_string().contains("symbolic link"));
        let file = dir.path().join("file");
        fs::write(&file, b"").unwrap();
        assert!(Directory::lock(&file).unwrap_err().to_string().contains("not a directory"));
    }
}
