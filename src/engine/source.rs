//! Sources: where operations come from, so that what is delivered again is not counted again.
//!
//! # Design
//! A source is a name, with positions that rise: an offset in a partition, a line of a file. Whoever reads it submits each
//! operation with its position through a [`Source`], one at a time, so that the highest position accepted says all: what
//! is at or below it was seen, and is dropped. With a journal the mark is written in the operation's own record, so that it
//! survives exactly where the operation does.
//!
//! What a source may forget is another question: [`Source::committable`] answers it, and [`Source::commits`] tells it as it
//! rises (`source/commits.rs`). With a journal that is what is on the medium; without, what has settled.
//!
//! # Why one handle for a name
//! Two readers of one source would each see the other's higher positions, and drop what nobody has accepted.
//!
//! # Invariants
//! 1. A mark only rises; it is the highest position of an operation that was accepted, here or in the journal's past.
//! 2. Of one name there is at most one handle.

mod commits;

use super::{Engine, journaling::Written, submit::Origin};
use crate::{BatchError, Error, ErrorKind, Operation, Result, SubmitError, sync::Mutex};
pub use commits::Commits;
use commits::Progress;
use std::{collections::HashMap, sync::Arc};

/// The longest name of a source, in bytes.
pub const SOURCE_NAME_BYTES_MAX: usize = 512;
/// The last position of a source.
pub const POSITION_MAX: u64 = u64::MAX - 1;
/// Sources that one engine keeps.
pub const SOURCES_MAX: usize = 10_000;

/// The sources of an engine, by number.
#[derive(Debug, Default)]
pub(super) struct Sources(Mutex<Registry>);

#[derive(Debug, Default)]
struct Registry {
    known: Vec<Known>,
    numbers: HashMap<Arc<str>, u32>,
}

#[derive(Debug)]
struct Known {
    name: Arc<str>,
    mark: Option<u64>,
    is_open: bool,
}

impl Sources {
    /// The name of a number.
    pub(super) fn name(&self, number: u32) -> Arc<str> {
        let registry = self.0.lock();
        registry.known.get(number as usize).map_or_else(|| Arc::from(""), |known| Arc::clone(&known.name))
    }

    /// All names, with their marks.
    fn all(&self) -> Vec<(Arc<str>, Option<u64>)> {
        self.0.lock().known.iter().map(|known| (Arc::clone(&known.name), known.mark)).collect()
    }

    /// Notes what the journal says of a source.
    pub(super) fn restore(&self, name: &str, mark: Option<u64>) -> Result<u32> {
        let mut registry = self.0.lock();
        let number = registry.intern(name)?;
        if let Some(known) = registry.known.get_mut(number as usize) {
            known.mark = known.mark.max(mark);
        }
        Ok(number)
    }

    fn open(&self, name: &str) -> Result<(u32, Option<u64>)> {
        let mut registry = self.0.lock();
        let number = registry.intern(name)?;
        match registry.known.get_mut(number as usize) {
            Some(known) if !known.is_open => {
                known.is_open = true;
                Ok((number, known.mark))
            }
            _ => Err(Error::new(ErrorKind::Busy, format!("the source {name:?} has a handle already"))),
        }
    }

    fn close(&self, number: u32, mark: Option<u64>) {
        if let Some(known) = self.0.lock().known.get_mut(number as usize) {
            known.is_open = false;
            known.mark = known.mark.max(mark);
        }
    }
}

impl Registry {
    fn intern(&mut self, name: &str) -> Result<u32> {
        if let Some(number) = self.numbers.get(name) {
            return Ok(*number);
        }
        if name.is_empty() || name.len() > SOURCE_NAME_BYTES_MAX {
            let message =
                format!("a source's name has 1 to {SOURCE_NAME_BYTES_MAX} bytes; this has {}", name.len());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let number = u32::try_from(self.known.len()).ok().filter(|_| self.known.len() < SOURCES_MAX);
        let Some(number) = number else {
            let message = format!("the source {name:?} would be one more than {SOURCES_MAX}");
            return Err(Error::new(ErrorKind::TooLarge, message));
        };
        let name: Arc<str> = name.into();
        self.known.push(Known { name: Arc::clone(&name), mark: None, is_open: false });
        self.numbers.insert(name, number);
        Ok(number)
    }
}

/// A handle to one source: submits its operations, with their positions. See [`Engine::source`].
#[derive(Debug)]
pub struct Source {
    engine: Engine,
    number: u32,
    name: Arc<str>,
    mark: Option<u64>,
    progress: Arc<Progress>,
}

impl Engine {
    /// The handle of a source. Its name is the caller's choice, the same after each restart: a topic and partition, the
    /// identity of a file; up to [`SOURCE_NAME_BYTES_MAX`] bytes. Fails with [`ErrorKind::Busy`] while there is another
    /// handle of that name.
    pub fn source(&self, name: &str) -> Result<Source> {
        let (number, mark) = self.shared.sources.open(name)?;
        let name = self.shared.sources.name(number);
        let engine = self.clone();
        // What is accepted was acknowledged before, or is on the medium since.
        Ok(Source { engine, number, name, mark, progress: Arc::new(Progress::new(mark)) })
    }

    /// The names of all sources that the engine or its journal knows, each with its mark when it last had no handle.
    pub fn sources(&self) -> Vec<(Arc<str>, Option<u64>)> {
        self.shared.sources.all()
    }
}

impl Source {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The highest position that was accepted: what is at or below it is dropped.
    pub fn mark(&self) -> Option<u64> {
        self.mark
    }

    /// Accepts one operation, as [`Engine::submit`] does; `None` where its position was seen. Positions must rise from call
    /// to call, up to [`POSITION_MAX`]; they may leave gaps.
    pub fn submit<'a>(
        &mut self,
        position: u64,
        operation: Operation<'a>,
    ) -> Result<Option<u64>, SubmitError<'a>> {
        if let Err(error) = check_position(position) {
            return Err(SubmitError { operation, error });
        }
        if self.mark >= Some(position) {
            return Ok(None);
        }
        match self.engine.accept(&operation, None, Some(Origin { source: self.number, position })) {
            Ok(put) => {
                self.note(position, put.seq, put.written);
                Ok(Some(put.seq))
            }
            Err(error) => Err(SubmitError { operation, error }),
        }
    }

    /// Accepts operations in order, each with its position, as [`Engine::submit_batch`] does. Those that were seen are
    /// dropped. `positions` is as long as `operations`, and rises; else nothing is accepted.
    pub fn submit_batch(
        &mut self,
        operations: &[Operation<'_>],
        positions: &[u64],
    ) -> Result<Option<u64>, BatchError> {
        if let Err(error) = check_positions(operations.len(), positions) {
            return Err(BatchError { refused: vec![(0, error)], stopped_at: Some(0), last_seq: None });
        }
        let seen = self.mark.map_or(0, |mark| positions.partition_point(|position| *position <= mark));
        let (operations, positions) =
            (operations.get(seen..).unwrap_or_default(), positions.get(seen..).unwrap_or_default());
        let origin = Some((self.number, positions));
        let (accepted, written) = self.engine.accept_batch(operations, origin);
        let (end, last_seq) = match &accepted {
            Ok(last_seq) => (operations.len(), *last_seq),
            Err(error) => (error.stopped_at.unwrap_or(operations.len()), error.last_seq),
        };
        if let (Some(last), Some(seq)) = (end.checked_sub(1).and_then(|last| positions.get(last)), last_seq) {
            self.note(*last, seq, written);
        }
        accepted.map_err(|mut error| {
            error.refused.iter_mut().for_each(|(at, _)| *at += seen);
            error.stopped_at = error.stopped_at.map(|at| at + seen);
            error
        })
    }

    /// The highest position that the source need not deliver again, whatever happens here: with a journal all up to it is on
    /// the medium, without one it has settled. It only rises. Without a journal it locks every shard in turn.
    pub fn committable(&mut self) -> Option<u64> {
        self.progress.committable(&self.engine)
    }

    /// A subscription to [`committable`](Self::committable), for another thread. It begins with what can be committed now, and
    /// goes on when this handle is dropped, as what was accepted becomes safe.
    pub fn commits(&self) -> Commits {
        Commits::new(self.engine.clone(), Arc::clone(&self.progress))
    }

    fn note(&mut self, position: u64, seq: u64, written: Written) {
        self.mark = Some(position);
        self.progress.note(&self.engine.shared, position, seq, written);
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.engine.shared.sources.close(self.number, self.mark);
    }
}

fn check_position(position: u64) -> Result<()> {
    if position <= POSITION_MAX {
        return Ok(());
    }
    let message = format!("the position {position} is above {POSITION_MAX}, the last that a source can have");
    Err(Error::new(ErrorKind::Invalid, message))
}

fn check_positions(operations: usize, positions: &[u64]) -> Result<()> {
    if operations != positions.len() {
        let message = format!("{} positions were given for {operations} operations", positions.len());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    if let Some([first, second]) = positions.array_windows().find(|[first, second]| first >= second) {
        let message = format!("the position {second} comes after {first}: positions rise");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    positions.last().map_or(Ok(()), |last| check_position(*last))
}
