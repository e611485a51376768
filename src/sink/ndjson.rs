//! A file of bulk NDJSON as a sink: what a bulk client could send, one operation per document and drain.
//!
//! # Design
//! Takes net operations as they are, and writes them with the keys of the bulk format. Nothing can be read
//! back, so there is no base, and whether a document existed is never told. A batch is written in pieces of
//! [`PIECE_BYTES`] and synced. If a write fails, what was written of the batch is cut off again, so that the
//! batch is known not to be there; only where even that fails, or on a pipe, is the outcome unknown.

use crate::{
    Batch, Error, Limits, Outcome, Result, Sink, Takes,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

/// How much is encoded before it is written.
const PIECE_BYTES: usize = 64 * 1024;
/// Bytes of one batch.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Operations of one batch.
const BATCH_OPERATIONS: usize = 50_000;

/// Writes batches as bulk NDJSON.
#[derive(Debug)]
pub struct NdjsonSink {
    state: Mutex<State>,
    broken_pipe: AtomicBool,
}

#[derive(Debug)]
struct State {
    target: Target,
    piece: Vec<u8>,
}

#[derive(Debug)]
enum Target {
    File { file: File, length: u64 },
    Stdout(io::Stdout),
}

impl NdjsonSink {
    /// Writes to a new file; one that is there already is emptied.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file =
            File::create(path).map_err(|error| Error::io(format!("creating {}", path.display()), error))?;
        Ok(Self::to(Target::File { file, length: 0 }))
    }

    /// Writes to standard output.
    pub fn stdout() -> Self {
        Self::to(Target::Stdout(io::stdout()))
    }

    /// True once the reader of standard output has gone: nothing will ever be taken again.
    pub fn is_broken_pipe(&self) -> bool {
        self.broken_pipe.load(Ordering::Relaxed)
    }

    fn to(target: Target) -> Self {
        Self { state: Mutex::new(State { target, piece: Vec::new() }), broken_pipe: AtomicBool::new(false) }
    }
}

impl Sink for NdjsonSink {
    fn takes(&self) -> Takes {
        Takes::NetOperations
    }

    fn outlives_sender(&self) -> bool {
        false
    }

    fn limits(&self) -> Limits {
        Limits { batch_bytes: BATCH_BYTES, batch_operations: BATCH_OPERATIONS }
    }

    fn send(&self, batch: &Batch) -> Vec<Outcome> {
        let mut state = self.state.lock();
        let outcome = match state.write(batch) {
            Ok(()) => Outcome::Applied,
            Err(error) => {
                if error.kind() == io::ErrorKind::BrokenPipe {
                    self.broken_pipe.store(true, Ordering::Relaxed);
                }
                let reason = format!("writing bulk lines failed: {error}");
                if state.take_back() {
                    Outcome::Again { reason, after: None }
                } else {
                    Outcome::Unknown(reason)
                }
            }
        };
        vec![outcome; batch.items.len()]
    }

    fn close(&self) -> Result<()> {
        match &mut self.state.lock().target {
            Target::File { file, .. } => file.sync_all(),
            Target::Stdout(stdout) => stdout.flush(),
        }
        .map_err(|error| Error::io("finishing the bulk lines", error))
    }
}

impl State {
    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        self.piece.clear();
        let mut written = 0;
        for item in &batch.items {
            item.write_lines(&mut self.piece);
            if self.piece.len() >= PIECE_BYTES {
                written += self.flush_piece()?;
            }
        }
        written += self.flush_piece()?;
        match &mut self.target {
            Target::File { file, length } => {
                file.sync_data()?;
                *length += written;
                Ok(())
            }
            Target::Stdout(stdout) => stdout.flush(),
        }
    }

    fn flush_piece(&mut self) -> io::Result<u64> {
        match &mut self.target {
            Target::File { file, .. } => file.write_all(&self.piece)?,
            Target::Stdout(stdout) => stdout.write_all(&self.piece)?,
        }
        let written = self.piece.len() as u64;
        self.piece.clear();
        if self.piece.capacity() > 16 * PIECE_BYTES {
            self.piece = Vec::new();
        }
        Ok(written)
    }

    /// Cuts off what was written of a failed batch; true if it is certain that nothing of it is left.
    fn take_back(&mut self) -> bool {
        match &mut self.target {
            Target::File { file, length } => {
                let cut =
                    file.set_len(*length).and_then(|()| io::Seek::seek(file, io::SeekFrom::Start(*length)));
                cut.is_ok()
            }
            Target::Stdout(_) => false,
        }
    }
}

/// A sink that takes everything and keeps nothing: to measure what folding saves, or how fast it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullSink;

impl Sink for NullSink {
    fn takes(&self) -> Takes {
        Takes::NetOperations
    }

    fn outlives_sender(&self) -> bool {
        false
    }

    fn limits(&self) -> Limits {
        Limits { batch_bytes: BATCH_BYTES, batch_operations: BATCH_OPERATIONS }
    }

    fn send(&self, batch: &Batch) -> Vec<Outcome> {
        vec![Outcome::Applied; batch.items.len()]
    }
}
