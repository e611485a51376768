//! How many distinct keys went by, exactly up to a 64-bit hash, in a bounded piece of memory.
//!
//! # Design
//! Hashes gather in a buffer. When it is full it is sorted and cleared of repeats, and if that gave little
//! room it is written to a temporary file as one sorted run. The count at the end is one merge of the runs.
//! When there are many runs they are merged into one, so that a merge never reads more than `RUNS_MAX`.
//! A small table of recent hashes keeps hot keys, which are most of a skewed stream, out of the buffer.
//!
//! # Why not an estimate, or a set
//! The report states the number as a fact, and checks that compare two runs need it exact. A set of a
//! hundred million hashes would be a gigabyte beside an engine that is told to stay within 256 MiB.
//!
//! # Invariants
//! 1. A hash that was added is in the buffer or in a run.
//! 2. A run is sorted and has no hash twice.
//! 3. Memory is the buffer, the table, and one read buffer a run while merging.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufWriter, Write},
    ops::Range,
    os::unix::fs::FileExt,
};

/// Slots of the table of recent hashes.
const RECENT: usize = 1 << 14;
/// Runs that are merged at once.
const RUNS_MAX: usize = 64;
/// Bytes read of a run at once.
const READ_BYTES: usize = 16 * 1024;
const HASH_BYTES: u64 = 8;

/// Counts distinct hashes.
#[derive(Debug)]
pub struct Distinct {
    buffer: Vec<u64>,
    capacity: usize,
    recent: Box<[u64]>,
    spilled: Option<Spilled>,
}

/// The runs on disk: byte ranges of one unlinked file.
#[derive(Debug)]
struct Spilled {
    file: File,
    runs: Vec<Range<u64>>,
}

impl Distinct {
    /// A counter whose buffer holds `capacity` hashes of 8 bytes.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(16);
        Self { buffer: Vec::new(), capacity, recent: vec![0; RECENT].into_boxed_slice(), spilled: None }
    }

    /// Adds a hash. Fails if the temporary file cannot be written.
    pub fn add(&mut self, hash: u64) -> io::Result<()> {
        // Zero marks an empty slot, so the hash zero is simply never found there.
        let slot = usize::try_from(hash % RECENT as u64).unwrap_or(0);
        if let Some(recent) = self.recent.get_mut(slot) {
            if *recent == hash && hash != 0 {
                return Ok(());
            }
            *recent = hash;
        }
        if self.buffer.len() >= self.capacity {
            self.make_room()?;
        }
        self.buffer.push(hash);
        Ok(())
    }

    /// The number of distinct hashes added.
    pub fn count(mut self) -> io::Result<u64> {
        self.sort();
        let Some(spilled) = self.spilled.take() else { return Ok(self.buffer.len() as u64) };
        let mut count = 0;
        let spilled = spilled.with_run(&self.buffer)?;
        drop(self);
        spilled.merge(|_| {
            count += 1;
            Ok(())
        })?;
        Ok(count)
    }

    fn sort(&mut self) {
        self.buffer.sort_unstable();
        self.buffer.dedup();
    }

    fn make_room(&mut self) -> io::Result<()> {
        self.sort();
        if self.buffer.len() <= self.capacity / 2 {
            return Ok(());
        }
        let spilled = match self.spilled.take() {
            Some(spilled) if spilled.runs.len() >= RUNS_MAX => spilled.merged()?,
            Some(spilled) => spilled,
            None => Spilled::new()?,
        };
        self.spilled = Some(spilled.with_run(&self.buffer)?);
        self.buffer.clear();
        Ok(())
    }
}

impl Spilled {
    fn new() -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile()?, runs: Vec::new() })
    }

    fn end(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.end)
    }

    fn with_run(mut self, hashes: &[u64]) -> io::Result<Self> {
        let start = self.end();
        let mut writer = BufWriter::new(&self.file);
        for hash in hashes {
            writer.write_all(&hash.to_le_bytes())?;
        }
        writer.flush()?;
        drop(writer);
        self.runs.push(start..start + hashes.len() as u64 * HASH_BYTES);
        Ok(self)
    }

    /// All runs as one, in a new file.
    fn merged(self) -> io::Result<Self> {
        let mut whole = Self::new()?;
        let mut writer = BufWriter::new(&whole.file);
        let mut count = 0;
        self.merge(|hash| {
            count += 1;
            writer.write_all(&hash.to_le_bytes())
        })?;
        writer.flush()?;
        drop(writer);
        whole.runs.push(0..count * HASH_BYTES);
        Ok(whole)
    }

    /// Calls `each` with every distinct hash, in order.
    fn merge(&self, mut each: impl FnMut(u64) -> io::Result<()>) -> io::Result<()> {
        let mut readers: Vec<RunReader<'_>> =
            self.runs.iter().map(|run| RunReader::new(&self.file, run.clone())).collect();
        let mut heads = BinaryHeap::with_capacity(readers.len());
        for (number, reader) in readers.iter_mut().enumerate() {
            heads.extend(reader.next()?.map(|hash| Reverse((hash, number))));
        }
        let mut last = None;
        while let Some(Reverse((hash, number))) = heads.pop() {
            if last != Some(hash) {
                each(hash)?;
                last = Some(hash);
            }
            if let Some(reader) = readers.get_mut(number) {
                heads.extend(reader.next()?.map(|hash| Reverse((hash, number))));
            }
        }
        Ok(())
    }
}

/// Reads one run at its own place in the file.
struct RunReader<'a> {
    file: &'a File,
    left: Range<u64>,
    buffer: Vec<u8>,
    at: usize,
}

impl<'a> RunReader<'a> {
    fn new(file: &'a File, run: Range<u64>) -> Self {
        Self { file, left: run, buffer: Vec::new(), at: 0 }
    }

    fn next(&mut self) -> io::Result<Option<u64>> {
        if self.at == self.buffer.len() {
            let left = usize::try_from(self.left.end - self.left.start).unwrap_or(usize::MAX);
            self.buffer.resize(left.min(READ_BYTES), 0);
            self.file.read_exact_at(&mut self.buffer, self.left.start)?;
            self.left.start += self.buffer.len() as u64;
            self.at = 0;
        }
        let hash = self.buffer.get(self.at..).and_then(<[u8]>::first_chunk).copied().map(u64::from_le_bytes);
        self.at += hash.map_or(0, |hash| size_of_val(&hash));
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Adds `numbers` spread over the whole range, and compares with a set.
    fn counts_as_a_set_does(capacity: usize, numbers: impl Iterator<Item = u64>) {
        let (mut distinct, mut set) = (Distinct::new(capacity), HashSet::new());
        for number in numbers {
            let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            distinct.add(hash).unwrap();
            set.insert(hash);
        }
        assert!(distinct.buffer.len() <= capacity);
        assert_eq!(distinct.count().unwrap(), set.len() as u64);
    }

    #[test]
    fn repeats_count_once_in_memory() {
        counts_as_a_set_does(1_000, (0..10_000).map(|number| number % 700));
        counts_as_a_set_does(1_000, std::iter::repeat_n(0, 5));
        counts_as_a_set_does(1_000, std::iter::empty());
    }

    #[test]
    fn repeats_count_once_over_many_runs_and_merges_of_runs() {
        // 16 hashes a run and 20,000 numbers: the runs are merged into one many times over.
        counts_as_a_set_does(16, (0..20_000).map(|number| number * 7 % 9_001));
    }

    #[test]
    fn the_hash_zero_is_a_hash() {
        let mut distinct = Distinct::new(16);
        for hash in [0, 0, 1, 0] {
            distinct.add(hash).unwrap();
        }
        assert_eq!(distinct.count().unwrap(), 2);
    }
}
