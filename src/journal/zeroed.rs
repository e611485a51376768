//! Zeroes ahead of what is written: so that a sync has only bytes to bring to the medium.
//!
//! # Design
//! A file's space is allocated when it is made, and reads as zeroes; but the file system knows that nothing was written there,
//! and a sync that meets such space must change that in the file system's own log as well. Measured on ext4, a disk
//! whose sync of written space takes 100 µs: 200 to 250 µs, and up to milliseconds for a single page. So where little is synced at once, a
//! stretch of zeroes is written ahead, which one sync brings out and the next hundred find written.
//!
//! # Why not the whole file when it is made
//! It may have gigabytes, and would be waited for. Where much is synced at once, nothing is gained: the zeroes are as many
//! bytes again.
//!
//! # Invariants
//! 1. What is written here was zero and stays so: whether a crash leaves it makes no difference.

use crate::disk::DiskFile;
use std::io;

/// So far ahead,
const AHEAD_BYTES: u64 = 1024 * 1024;
/// in pieces of so many bytes,
static PIECE: [u8; 64 * 1024] = [0; 64 * 1024];
/// where at most so many are synced at once.
const GROUP_BYTES_MAX: u64 = AHEAD_BYTES / 8;

/// Up to where a file was written, be it with zeroes.
#[derive(Debug)]
pub(super) struct Zeroed(pub(super) u64);

impl Zeroed {
    /// What lies between these two is about to be synced: writes zeroes behind it, if as much again would not find any.
    pub(super) fn go_ahead(
        &mut self,
        file: &dyn DiskFile,
        (from, to): (u64, u64),
        file_bytes: u64,
    ) -> io::Result<()> {
        self.0 = self.0.max(to);
        let group = to - from;
        if self.0 - to >= group || group > GROUP_BYTES_MAX {
            return Ok(());
        }
        let end = file_bytes.min(self.0 + AHEAD_BYTES);
        while self.0 < end {
            let left = usize::try_from(end - self.0).ok();
            let piece = left.and_then(|left| PIECE.get(..left)).unwrap_or(&PIECE);
            file.write_all_at(piece, self.0)?;
            self.0 += piece.len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, SystemDisk};

    /// How far was written ahead, by what is not zero any more where the file was not zeroes before.
    fn written_to(file: &dyn DiskFile) -> u64 {
        let bytes = file.read_all().unwrap();
        bytes.iter().rposition(|byte| *byte == 0).map_or(0, |last| last as u64 + 1)
    }

    fn file_of_ones(bytes: usize) -> (tempfile::TempDir, Box<dyn DiskFile>) {
        let directory = tempfile::tempdir().unwrap();
        let file = SystemDisk.create(&directory.path().join("file"), bytes as u64).unwrap();
        file.write_all_at(&vec![1; bytes], 0).unwrap();
        (directory, file)
    }

    #[test]
    fn zeroes_go_ahead_of_small_groups_once_in_a_stretch_and_not_behind_the_end() {
        let bytes = 3 * AHEAD_BYTES / 2;
        let (_directory, file) = file_of_ones(usize::try_from(bytes).unwrap());
        let mut zeroed = Zeroed(64);
        zeroed.go_ahead(&*file, (64, 164), bytes).unwrap();
        assert_eq!(written_to(&*file), 164 + AHEAD_BYTES);
        assert_eq!(file.read_all().unwrap().iter().position(|byte| *byte == 0), Some(164));
        zeroed.go_ahead(&*file, (164, 300), bytes).unwrap();
        assert_eq!(zeroed.0, 164 + AHEAD_BYTES, "there are enough");
        zeroed.go_ahead(&*file, (AHEAD_BYTES, AHEAD_BYTES + 100), bytes).unwrap();
        assert_eq!((written_to(&*file), zeroed.0), (bytes, bytes));
        zeroed.go_ahead(&*file, (bytes - 100, bytes), bytes).unwrap();
        assert_eq!(file.length().unwrap(), bytes);
    }

    #[test]
    fn large_groups_go_without() {
        let (_directory, file) = file_of_ones(200_000);
        let mut zeroed = Zeroed(64);
        zeroed.go_ahead(&*file, (64, 65 + GROUP_BYTES_MAX), 200_000).unwrap();
        assert_eq!((written_to(&*file), zeroed.0), (0, 65 + GROUP_BYTES_MAX));
    }
}
