//! The medium by itself: a file as the journal makes it, written in order, and a sync after each write.

use crate::clock::Stopwatch;
use millpond::disk::{Disk, DiskFile, SystemDisk};
use std::{fs, path::Path};

/// A file that is written in order, from its start on and around.
pub(super) struct Medium {
    file: Box<dyn DiskFile>,
    bytes: u64,
    at: u64,
}

impl Medium {
    /// A new file of so many bytes, made as the journal's are, and written once: the medium at its quickest.
    pub(super) fn new(directory: &Path, bytes: u64) -> Result<Self, String> {
        let wrong = |error| format!("making a file in {}: {error}", directory.display());
        let path = directory.join("raw");
        fs::remove_file(&path).ok();
        let file = SystemDisk.create(&path, bytes).map_err(wrong)?;
        let zeroes = vec![0; usize::try_from(bytes).map_err(|error| error.to_string())?];
        file.write_all_at(&zeroes, 0).and_then(|()| file.sync_all()).map_err(wrong)?;
        Ok(Self { file, bytes, at: 0 })
    }

    /// Writes `bytes` and syncs, so many times; returns nanoseconds.
    pub(super) fn write(&mut self, bytes: &[u8], times: usize) -> Result<u64, String> {
        let watch = Stopwatch::start();
        for _ in 0..times {
            if self.at + bytes.len() as u64 > self.bytes {
                self.at = 0;
            }
            let done = self.file.write_all_at(bytes, self.at).and_then(|()| self.file.sync_data());
            done.map_err(|error| format!("writing and syncing: {error}"))?;
            self.at += bytes.len() as u64;
        }
        Ok(watch.nanos())
    }
}

/// What a directory lies on: its kind of file system, and the device. Memory is refused, as nothing is synced there.
pub(super) fn name(directory: &Path) -> Result<String, String> {
    fs::create_dir_all(directory).map_err(|error| format!("making {}: {error}", directory.display()))?;
    let directory = fs::canonicalize(directory).map_err(|error| error.to_string())?;
    let mounts = fs::read_to_string("/proc/self/mounts").map_err(|error| error.to_string())?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut parts = line.split(' ');
        let (device, point, kind) = (parts.next()?, parts.next()?, parts.next()?);
        directory.starts_with(point).then_some((point.len(), device, kind))
    });
    let (_, device, kind) = mounts.max_by_key(|mount| mount.0).ok_or("no file system is known")?;
    if kind == "tmpfs" || kind == "ramfs" {
        return Err(format!("{} is in memory ({kind}): --dir", directory.display()));
    }
    Ok(format!("{kind} on {device}"))
}
