//! The operating system's disk.
//!
//! # Design
//! A thin layer over `std::fs`. What it adds: a directory's name is made durable from the top down, so that a process
//! that is killed half-way leaves nothing that a later opening would take for durable; and space is really
//! allocated, with `fallocate` where the system has it and by writing zeroes where it has not.
//!
//! # Why not a sparse file
//! Lengthening a file allocates nothing: the lack of space shows when it is written, and by then operations have been
//! accepted. File systems that write elsewhere at each write (btrfs, ZFS) may lack space even in allocated bytes; there
//! a full disk shows as a failed write.

use super::{DirectoryLock, Disk, DiskFile, LOCK_FILE};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// The disk of the operating system, with files and directories as everybody sees them.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let path = without_trailing(path);
        if is_directory(&path)? {
            // Whoever made it may have been killed before its name was durable.
            return sync_if_allowed(parent(&path));
        }
        let parent = parent(&path);
        if parent.is_dir() {
            sync_if_allowed(self::parent(parent))?;
        } else {
            self.create_directory(parent)?;
        }
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_directory(&path)? => {}
            done => done?,
        }
        self.sync_directory(parent)
    }

    fn lock(&self, directory: &Path) -> io::Result<DirectoryLock> {
        let directory = without_trailing(directory);
        if !is_directory(&directory)? {
            let message = format!("{} is not there", directory.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false);
        let file = file.open(directory.join(LOCK_FILE))?;
        match file.try_lock() {
            Ok(()) => Ok(DirectoryLock::new(file)),
            Err(TryLockError::WouldBlock) => {
                let message = format!("{} is in use: another writer holds its lock", directory.display());
                Err(io::Error::new(io::ErrorKind::ResourceBusy, message))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        let file = SystemFile(file);
        if let Err(error) = allocate(&file, bytes) {
            // Closed first: not every system removes what is open.
            drop(file);
            fs::remove_file(path).ok();
            return Err(error);
        }
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(SystemFile(File::open(path)?)))
    }

    fn open_for_writing(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(SystemFile(OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    /// Elsewhere than on Unix a directory cannot be opened, and the system orders renames by itself.
    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
    }
}

/// An open file. Its position is nobody's: everything is done at places.
#[derive(Debug)]
struct SystemFile(File);

impl DiskFile for SystemFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at;
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read;
        read(&self.0, into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        #[cfg(unix)]
        let write = std::os::unix::fs::FileExt::write_at;
        #[cfg(windows)]
        let write = std::os::windows::fs::FileExt::seek_write;
        write(&self.0, bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn length(&self) -> io::Result<u64> {
        // Asking for the end is the cheapest way to a length, a third of a `stat`.
        (&self.0).seek(SeekFrom::End(0))
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn as_file(&self) -> Option<&File> {
        Some(&self.0)
    }
}

/// The path as its names say: a slash at its end, or a dot, would have a symbolic link followed.
fn without_trailing(path: &Path) -> PathBuf {
    path.components().collect()
}

/// True for a directory, false for nothing; anything else is refused.
fn is_directory(path: &Path) -> io::Result<bool> {
    let refuse = |reason: &str| {
        Err(io::Error::new(io::ErrorKind::NotADirectory, format!("{} {reason}", path.display())))
    };
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            refuse("is a symbolic link: name the directory that it stands for")
        }
        Ok(found) if !found.is_dir() => refuse("is not a directory"),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The directory that a path's last name stands in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Syncs a directory whose names somebody else may have given: one that we may not open is left to them.
fn sync_if_allowed(directory: &Path) -> io::Result<()> {
    match SystemDisk.sync_directory(directory) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

/// Allocates the first `bytes` of an empty file, and makes it that long.
fn allocate(file: &SystemFile, bytes: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if bytes > 0 {
        use rustix::{
            fs::{FallocateFlags, fallocate},
            io::Errno,
        };
        loop {
            match fallocate(&file.0, FallocateFlags::empty(), 0, bytes) {
                Err(Errno::INTR) => {}
                // Not every file system can: NFS before 4.2, for one.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => break,
                done => return Ok(done?),
            }
        }
    }
    write_zeroes(file, bytes)
}

fn write_zeroes(file: &dyn DiskFile, bytes: u64) -> io::Result<()> {
    static ZEROES: [u8; 64 * 1024] = [0; 64 * 1024];
    // Longer than a file can be shows here, and not on a disk full of zeroes.
    file.set_length(bytes)?;
    let mut offset = 0;
    while offset < bytes {
        let count = usize::try_from(bytes - offset).map_or(ZEROES.len(), |left| left.min(ZEROES.len()));
        let zeroes = ZEROES.get(..count).unwrap_or(&ZEROES);
        file.write_all_at(zeroes, offset)?;
        offset = super::place(offset, zeroes.len())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_what_its_names_say() {
        assert_eq!(without_trailing(Path::new("a/link/.//")), Path::new("a/link"));
        for (path, above) in [("a/b", "a"), ("a", "."), (".", "."), ("/a", "/"), ("/", "/")] {
            assert_eq!(parent(Path::new(path)), Path::new(above), "{path}");
        }
    }

    #[test]
    fn more_zeroes_than_a_file_can_have_are_refused_before_the_first() {
        let file = SystemFile(tempfile::tempfile().unwrap());
        write_zeroes(&file, u64::MAX).unwrap_err();
        assert_eq!(file.length().unwrap(), 0);
    }

    #[test]
    fn zeroes_are_written_to_the_byte() {
        let system = SystemFile(tempfile::tempfile().unwrap());
        let file: &dyn DiskFile = &system;
        for bytes in [0, 1, 64 * 1024, 64 * 1024 + 1, 200_000] {
            file.set_length(0).unwrap();
            write_zeroes(file, bytes).unwrap();
            assert_eq!(file.length().unwrap(), bytes);
            assert_eq!(file.read_all().unwrap(), vec![0; usize::try_from(bytes).unwrap()]);
            #[cfg(unix)]
            assert!(std::os::unix::fs::MetadataExt::blocks(&system.0.metadata().unwrap()) * 512 >= bytes);
        }
    }
}
