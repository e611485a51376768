//! Where bulk lines come from: files and standard input, plain, gzip or zstd, as lines of bounded length.
//!
//! # Design
//! The first bytes tell the compression, not the name. The position that is published counts what was read
//! of the file itself, so that the time left can be told from compressed input. Gzip members and zstd
//! frames may follow one another, as parallel compressors write them.
//!
//! zstd is read by `ruzstd`, which is Rust: it keeps ahead of the writers, so the C library would gain nothing.
//!
//! # Invariants
//! 1. A line in memory has at most [`LINE_BYTES_MAX`] bytes, or as many as were asked for; the rest of a longer one is handed on in pieces.
//! 2. Every byte of the input is in exactly one line.

mod zstd;

use flate2::bufread::MultiGzDecoder;
use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The longest line that is taken in.
pub const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How much is read from a file at once.
const FILE_BUFFER_BYTES: usize = 64 * 1024;
/// How much text is held between the decoder and the lines.
const TEXT_BUFFER_BYTES: usize = 256 * 1024;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// One input of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `-`.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// The source that an argument names.
    pub fn new(argument: &Path) -> Self {
        if argument.as_os_str() == "-" { Self::Stdin } else { Self::File(argument.to_owned()) }
    }

    /// The size of the file, if that is known.
    pub fn bytes(&self) -> Option<u64> {
        let Self::File(path) = self else { return None };
        std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|data| data.len())
    }

    /// True for a regular file that is not compressed.
    pub fn is_plain_file(&self) -> bool {
        let Self::File(path) = self else { return false };
        let begin = || {
            let mut magic = Vec::with_capacity(ZSTD.len());
            File::open(path)?.take(ZSTD.len() as u64).read_to_end(&mut magic).map(|_| magic)
        };
        // What is no file is not opened: it may wait for a writer. A file that cannot be read is refused when it is opened.
        self.bytes().is_some()
            && begin().is_ok_and(|magic| matches!(Compression::of(&magic), Compression::Plain))
    }

    /// Opens the source. `position` rises by what is read of it, before decompression.
    pub fn open(&self, position: Arc<AtomicU64>) -> io::Result<Lines> {
        let raw: Box<dyn Read + Send> = match self {
            Self::Stdin => Box::new(io::stdin()),
            Self::File(path) => Box::new(File::open(path)?),
        };
        let mut raw = BufReader::with_capacity(FILE_BUFFER_BYTES, Counted { raw, position });
        // One read may bring a single byte from a pipe; the magic needs up to four.
        let mut magic = Vec::with_capacity(ZSTD.len());
        raw.by_ref().take(ZSTD.len() as u64).read_to_end(&mut magic)?;
        let kind = Compression::of(&magic);
        let whole = BufReader::with_capacity(FILE_BUFFER_BYTES, io::Cursor::new(magic).chain(raw));
        let text: Box<dyn Read + Send> = match kind {
            Compression::Plain => Box::new(whole),
            Compression::Gzip => Box::new(MultiGzDecoder::new(whole)),
            Compression::Zstd => Box::new(zstd::Frames::new(whole)),
        };
        Ok(Lines {
            text: BufReader::with_capacity(TEXT_BUFFER_BYTES, text),
            number: 0,
            line_bytes_max: LINE_BYTES_MAX,
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("<stdin>"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

enum Compression {
    Plain,
    Gzip,
    Zstd,
}

impl Compression {
    fn of(magic: &[u8]) -> Self {
        if magic.starts_with(&GZIP) {
            Self::Gzip
        } else if magic == ZSTD || zstd::is_skippable(magic) {
            Self::Zstd
        } else {
            Self::Plain
        }
    }
}

/// Publishes how much was read.
struct Counted {
    raw: Box<dyn Read + Send>,
    position: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.raw.read(buffer)?;
        // ORDERING: a figure for the progress bar; nothing is published with it.
        self.position.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// What a read of a line brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// There are no more lines.
    End,
    /// A whole line.
    Line,
    /// The first bytes, as many as are taken in, of a longer line; [`Lines::rest`] has the rest.
    TooLong,
}

/// The lines of one source.
pub struct Lines {
    text: BufReader<Box<dyn Read + Send>>,
    number: u64,
    /// The longest line that is taken in.
    line_bytes_max: usize,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Lines {
    /// The same, with lines of another length.
    #[must_use]
    pub fn up_to(self, line_bytes_max: usize) -> Self {
        Self { line_bytes_max, ..self }
    }

    /// The number of the line read last; the first is 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What has been read of the source and is not in a line yet. It may end within a line.
    pub fn buffered(&self) -> &[u8] {
        self.text.buffer()
    }

    /// Takes `lines` whole lines, `bytes` of [`Lines::buffered`], as read.
    pub fn take(&mut self, bytes: usize, lines: u64) {
        self.text.consume(bytes);
        self.number += lines;
    }

    /// Puts the next line, with its line end if it has one, in place of what is in `line`. Calls
    /// `before_wait` ahead of every read that may have to wait for input.
    pub fn read(&mut self, line: &mut Vec<u8>, mut before_wait: impl FnMut()) -> io::Result<Piece> {
        line.clear();
        loop {
            if self.text.buffer().is_empty() {
                before_wait();
            }
            let text = self.text.fill_buf()?;
            if text.is_empty() {
                self.number += u64::from(!line.is_empty());
                return Ok(if line.is_empty() { Piece::End } else { Piece::Line });
            }
            let end = memchr::memchr(b'\n', text).map(|at| at + 1);
            let room = self.line_bytes_max - line.len();
            let taken = end.unwrap_or(text.len()).min(room);
            line.extend_from_slice(text.get(..taken).unwrap_or_default());
            self.text.consume(taken);
            if end == Some(taken) {
                self.number += 1;
                return Ok(Piece::Line);
            }
            if line.len() == self.line_bytes_max {
                self.number += 1;
                return Ok(Piece::TooLong);
            }
        }
    }

    /// Hands on what is left of a line that is too long, piece by piece, with its line end if it has one.
    pub fn rest<E: From<io::Error>>(
        &mut self,
        mut piece: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            let text = self.text.fill_buf()?;
            if text.is_empty() {
                return Ok(());
            }
            let end = memchr::memchr(b'\n', text).map(|at| at + 1);
            let taken = end.unwrap_or(text.len());
            piece(text.get(..taken).unwrap_or_default())?;
            self.text.consume(taken);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests;
