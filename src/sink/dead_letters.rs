//! Dead letters: flights that the sink will never take, kept with the reason.
//!
//! # Design
//! A letter must be durable before its flight settles, so [`DeadLetters::record`] returns only then. The file
//! ([`DeadLetterFile`]) holds one JSON object a line; `action` and `body` are the two lines of the bulk format,
//! so that a letter can be mended and replayed. An engine that was given no place for letters keeps a bounded
//! number of them in memory ([`MemoryDeadLetters`]); when that is full the flights stay out, as they do when a
//! file cannot be written: nothing is dropped.

use super::lines::{write_action, write_string};
use crate::{Error, ErrorKind, NetOperation, Result, sync::Mutex};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// A flight that was rejected for ever.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetter<'a> {
    /// The index name.
    pub index: &'a str,
    /// The document's id.
    pub id: &'a str,
    /// The routing, if any.
    pub routing: Option<&'a str>,
    /// The net operation: all that was folded together.
    pub operation: &'a NetOperation,
    /// Why the sink will never take it.
    pub reason: &'a str,
    /// Wall time, in microseconds since the Unix epoch.
    pub time_us: u64,
    /// The id of the engine, which with `last_seq` is the flight's fence: the same that [`Sink::identify`](crate::Sink::identify) tells.
    pub engine: u128,
    /// The sequence number of the first operation folded in.
    pub first_seq: u64,
    /// The sequence number of the last.
    pub last_seq: u64,
    /// How many were folded in.
    pub operations: u64,
}

/// Keeps dead letters. Called from drain threads, one letter at a time each.
pub trait DeadLetters: Send + Sync {
    /// Keeps a letter; when this returns `Ok` it is as durable as it can be made. On an error the flight
    /// stays out, and the letter comes again.
    fn record(&self, letter: &DeadLetter<'_>) -> Result<()>;
}

impl DeadLetter<'_> {
    /// Appends the letter as one line of JSON, with its line break.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        let Self { time_us, engine, first_seq, last_seq, operations, .. } = self;
        out.extend_from_slice(format!("{{\"time_ms\":{},\"reason\":", time_us / 1_000).as_bytes());
        write_string(self.reason, out);
        let counts = format!(
            ",\"engine\":\"{engine:032x}\",\"first_seq\":{first_seq},\"last_seq\":{last_seq},\"operations\":{operations}"
        );
        out.extend_from_slice(counts.as_bytes());
        out.extend_from_slice(b",\"action\":");
        write_action(self.operation.verb(), self.index, self.id, self.routing, out);
        let body = out.len();
        out.extend_from_slice(b",\"body\":");
        let start = out.len();
        self.operation.write_body(out);
        if out.len() == start {
            out.truncate(body);
        }
        out.extend_from_slice(b"}\n");
    }
}

/// Dead letters in an NDJSON file, synced letter by letter.
#[derive(Debug)]
pub struct DeadLetterFile {
    path: PathBuf,
    state: Mutex<FileState>,
}

#[derive(Debug)]
struct FileState {
    file: File,
    /// What is known to be written and synced.
    length: u64,
    /// A failed sync is final: what the disk holds is not known any more.
    failed: bool,
}

impl DeadLetterFile {
    /// Opens the file for appending, making it if it is not there. Half a letter at its end, which a crash
    /// left, is given an end of its own: it was never durable, and must not spoil the next.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let what = || format!("opening the dead letters {}", path.display());
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(&path)
            .map_err(|error| Error::io(what(), error))?;
        let length = end_last_line(&mut file).map_err(|error| Error::io(what(), error))?;
        Ok(Self { path, state: Mutex::new(FileState { file, length, failed: false }) })
    }
}

/// Makes sure that a file ends with a line break, if with anything; returns its length.
fn end_last_line(file: &mut File) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    if length == 0 {
        return Ok(0);
    }
    let mut last = [0];
    file.seek(SeekFrom::Start(length - 1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" {
        return Ok(length);
    }
    file.write_all(b"\n")?;
    Ok(length + 1)
}

impl DeadLetters for DeadLetterFile {
    fn record(&self, letter: &DeadLetter<'_>) -> Result<()> {
        let mut line = Vec::new();
        letter.write_line(&mut line);
        let mut state = self.state.lock();
        if state.failed {
            let message =
                format!("{} failed to sync before and is not written any more", self.path.display());
            return Err(Error::new(ErrorKind::Io, message));
        }
        if let Err(error) = state.file.write_all(&line) {
            // Half a line must not stay; if it cannot be taken back the file is given up.
            state.failed = state.file.set_len(state.length).is_err();
            return Err(Error::io(format!("writing {}", self.path.display()), error));
        }
        if let Err(error) = state.file.sync_data() {
            state.failed = true;
            return Err(Error::io(format!("syncing {}", self.path.display()), error));
        }
        state.length += line.len() as u64;
        Ok(())
    }
}

/// Dead letters in memory, up to [`MemoryDeadLetters::LETTERS_MAX`].
#[derive(Debug, Default)]
pub struct MemoryDeadLetters {
    lines: Mutex<Vec<Box<str>>>,
}

impl MemoryDeadLetters {
    /// How many letters are kept; the next ones are refused until some are taken.
    pub const LETTERS_MAX: usize = 10_000;

    /// An empty box.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the letters out, as the lines that a file would hold.
    pub fn take(&self) -> Vec<Box<str>> {
        std::mem::take(&mut *self.lines.lock())
    }
}

impl DeadLetters for MemoryDeadLetters {
    fn record(&self, letter: &DeadLetter<'_>) -> Result<()> {
        let mut line = Vec::new();
        letter.write_line(&mut line);
        let mut lines = self.lines.lock();
        if lines.len() >= Self::LETTERS_MAX {
            let message = format!("{} dead letters are kept in memory, which is the most", Self::LETTERS_MAX);
            return Err(Error::new(ErrorKind::Full, message));
        }
        lines.push(String::from_utf8_lossy(&line).trim_end().into());
        Ok(())
    }
}
