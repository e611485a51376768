//! The disk: the one seam between what millpond keeps and the medium it is kept on.
//!
//! # Design
//! Two traits. A [`Disk`] knows names: it makes directories and files, locks, lists, renames and removes. A [`DiskFile`]
//! knows bytes at places. [`SystemDisk`] is the operating system's; whoever keeps their data elsewhere writes their own,
//! and tests put a simulated one in its place that loses what was not synced and fails on cue.
//!
//! Errors are the standard library's: what an error means (try again, refuse, stop for ever) depends on who met it, and
//! only they can name what they were about to do. Nothing here waits, retries, asks for the time or starts a thread.
//!
//! # What a disk promises
//! 1. **Contents**: after [`sync_data`](DiskFile::sync_data) or [`sync_all`](DiskFile::sync_all) has returned `Ok`, what was
//!    written to the file before the call, and its length, survive a power cut. Without, any part of it may: a
//!    later write and not an earlier one, half a sector, the length and not the bytes.
//! 2. **Names**: creating, renaming and removing survive a power cut after
//!    [`sync_directory`](Disk::sync_directory) has returned `Ok`. Syncing a file does not make its name durable.
//! 3. **Rename** is atomic: whoever looks, and whatever survives, sees the old file under the new name or the new one.
//! 4. **A process that dies** loses nothing that was written, synced or not; its locks are free.
//! 5. **Preallocated bytes** ([`create`](Disk::create)) read as zeroes until they are written, and writing them does not fail
//!    for lack of space.
//! 6. **A sync that failed** says that nobody knows what is on the medium. millpond never syncs again in the hope that it
//!    succeeds: systems drop the pages that they could not write, and report the next sync as done.
//! 7. Calls may come from several threads at once, on one file as well.
//!
//! # Why not `std::fs`, with failures injected inside
//! What matters is what is *left* after a fault: which sectors, which names. That takes a whole file system that can be
//! asked what it would have kept; a hook that returns errors cannot tell.

#[cfg(test)]
#[path = "../tests/support/disk/mod.rs"]
pub(crate) mod simulated;
mod system;

use std::{any::Any, fmt, fs::File, io, path::Path};
pub use system::SystemDisk;

/// The name of the file in a directory that [`Disk::lock`] locks.
pub const LOCK_FILE: &str = "lock";

/// Names: directories and the files in them. What it promises is in the [module](self).
///
/// Paths are as the caller got them, and need not be absolute. An error's [kind](io::Error::kind) tells what is
/// documented with each call; everything else may be of any kind.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes a directory, and those above it that are missing, and makes their names durable. One that is there
    /// already is left as it is, and its name is made durable where that can be done.
    ///
    /// [`NotADirectory`](io::ErrorKind::NotADirectory) where something else has the name. A symbolic link is
    /// something else: what it stands for may change between two openings.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Takes a directory for one writer, until what is returned is dropped or the process ends. Leaves a file called
    /// [`LOCK_FILE`] in it.
    ///
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) where another writer has it, be it in this process;
    /// [`NotADirectory`](io::ErrorKind::NotADirectory) as with [`create_directory`](Self::create_directory);
    /// [`NotFound`](io::ErrorKind::NotFound) where it is not there.
    fn lock(&self, directory: &Path) -> io::Result<DirectoryLock>;

    /// The names in a directory, in any order. Those that are not UTF-8 are left out: millpond gave none of them.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Makes a new file of `bytes` zeroes, with all the space for them allocated, for reading and writing. Where this
    /// fails, no file is left unless removing it failed as well.
    ///
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) where the name is taken; [`StorageFull`](io::ErrorKind::StorageFull)
    /// where there is no space.
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading. [`NotFound`](io::ErrorKind::NotFound) where there is none.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file that is there for reading and writing.
    fn open_for_writing(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name in the same directory; a file that has that name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Who has it open can go on using it.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes durable what was created, renamed and removed in a directory.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
}

/// Bytes at places: an open file. What it promises is in the [module](self).
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Reads what lies at `offset` into the start of `into`, and returns how many bytes that were: fewer than asked
    /// for where it pleases, none only at or behind the end (or where none were asked for).
    /// [`Interrupted`](io::ErrorKind::Interrupted) means: try again.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes the first of `bytes` at `offset`, and returns how many. What lies between the end and `offset` reads as
    /// zeroes. [`Interrupted`](io::ErrorKind::Interrupted) means that nothing was written: try again.
    /// [`StorageFull`](io::ErrorKind::StorageFull) where there is no space.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes the contents and the length durable. Never [`Interrupted`](io::ErrorKind::Interrupted).
    fn sync_data(&self) -> io::Result<()>;

    /// Makes everything about the file durable but its name. Never [`Interrupted`](io::ErrorKind::Interrupted).
    fn sync_all(&self) -> io::Result<()>;

    /// How long the file is, in bytes.
    fn length(&self) -> io::Result<u64>;

    /// Cuts the file, or lengthens it by zeroes for which no space is allocated.
    fn set_length(&self, bytes: u64) -> io::Result<()>;

    /// The operating system's file, where this is one: it can be mapped then. A disk of another kind has none, and its
    /// files are read.
    fn as_file(&self) -> Option<&File> {
        None
    }
}

impl dyn DiskFile + '_ {
    /// Fills `into` with what lies at `offset`. [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) where the file ends
    /// before; what `into` holds then is of no use.
    pub fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        let mut filled = 0;
        while filled < into.len() {
            let rest = into.get_mut(filled..).unwrap_or_default();
            let wanted = rest.len();
            match self.read_at(rest, place(offset, filled)?) {
                Ok(0) => {
                    let message =
                        format!("the file ends {wanted} bytes before the end of what was to be read");
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
                }
                Ok(count) => filled += at_most(count, wanted)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes all of `bytes` at `offset`. After an error any part of them may be there.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            let rest = bytes.get(written..).unwrap_or_default();
            match self.write_at(rest, place(offset, written)?) {
                Ok(0) => {
                    let message = format!("the disk took none of {} bytes", rest.len());
                    return Err(io::Error::new(io::ErrorKind::WriteZero, message));
                }
                Ok(count) => written += at_most(count, rest.len())?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The whole file, as long as it is at the call.
    pub fn read_all(&self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.length()?)
            .map_err(|_| io::Error::new(io::ErrorKind::FileTooLarge, "the file does not fit into memory"))?;
        let mut bytes = vec![0; length];
        self.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

/// The place `done` bytes behind `offset`.
fn place(offset: u64, done: usize) -> io::Result<u64> {
    let place = u64::try_from(done).ok().and_then(|done| offset.checked_add(done));
    place.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a place behind the last there can be"))
}

/// A disk that claims to have done more than it was asked for is not believed.
fn at_most(count: usize, asked: usize) -> io::Result<usize> {
    if count <= asked {
        return Ok(count);
    }
    Err(io::Error::other(format!("the disk was asked for {asked} bytes and says it did {count}")))
}

/// A directory is held for one writer for as long as this lives: see [`Disk::lock`].
#[must_use = "the directory is free again when this is dropped"]
pub struct DirectoryLock {
    _held: Box<dyn Any + Send + Sync>,
}

impl DirectoryLock {
    /// A lock that is let go by dropping `held`.
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self { _held: Box::new(held) }
    }
}

impl fmt::Debug for DirectoryLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryLock").finish_non_exhaustive()
    }
}
