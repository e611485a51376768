//! Settings, and how an engine is put together.
//!
//! # Design
//! Settings are plain data with defaults and ranges; components (the sink, the base, the clock, where dead
//! letters go) are passed to the builder. What does not fit together is refused when the engine is built,
//! naming the setting and its range.

use crate::{
    Base, Drainer, Engine, Error, ErrorKind, Result, Sink, Takes,
    clock::{Clock, SimulatedClock},
    disk::{Disk, SystemDisk},
    engine::read_journal,
    journal::{Journal, Opened},
    sink::{DeadLetterFile, DeadLetters, MemoryDeadLetters, segments::SegmentSink},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The least memory bound.
pub const MEMORY_BYTES_MIN: usize = 256 * 1024;
/// The part of the memory bound that one document may be: one in this many.
pub const DOCUMENT_SHARE: usize = 16;

/// The part of the memory bound in which the versions of known documents are kept, where the sink tells them: one in this many. Known
/// documents have a quarter of it, so there is a version for each of some hundreds of bytes.
pub(crate) const VERSIONS_SHARE: usize = 16;

/// What a submit does when the engine is at its memory bound, or a key at its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Waits for the drain, at most this long, then hands the operation back.
    Wait(Duration),
    /// Hands the operation back at once.
    HandBack,
}

/// Plain settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) memory_bytes: usize,
    pub(crate) max_delay: Duration,
    pub(crate) late_request_bound: Duration,
    pub(crate) batch_bytes: usize,
    pub(crate) batch_operations: usize,
    pub(crate) shards: usize,
    pub(crate) drain_threads: usize,
    pub(crate) adaptive: bool,
    pub(crate) keep_known: bool,
    pub(crate) full: Full,
    pub(crate) seed: Option<u64>,
}

/// Puts an [`Engine`] together. Start with [`Engine::builder`].
#[must_use = "a builder does nothing until it builds"]
pub struct Builder {
    config: Config,
    clock: Clock,
    letters: Option<Arc<dyn DeadLetters>>,
    journal: Option<JournalPlace>,
}

/// Where a journal is, and how it is kept.
#[derive(Clone, Debug)]
pub(crate) struct JournalPlace {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) directory: PathBuf,
    pub(crate) policy: Journal,
    pub(crate) file_bytes: Option<u64>,
}

impl Default for Builder {
    fn default() -> Self {
        let config = Config {
            memory_bytes: 256 * 1024 * 1024,
            max_delay: Duration::from_secs(30),
            late_request_bound: Duration::from_mins(1),
            batch_bytes: 8 * 1024 * 1024,
            batch_operations: 20_000,
            shards: 64,
            drain_threads: 1,
            adaptive: true,
            keep_known: true,
            full: Full::Wait(Duration::from_secs(30)),
            seed: None,
        };
        Self { config, clock: Clock::system(), letters: None, journal: None }
    }
}

impl Builder {
    /// The memory bound in bytes, over entries, flights, clean documents and encode buffers. Default 256 MiB;
    /// at least [`MEMORY_BYTES_MIN`]. One document may be a sixteenth of it.
    pub fn memory_bytes(mut self, bytes: usize) -> Self {
        self.config.memory_bytes = bytes;
        self
    }

    /// How long an operation may wait for its first attempt, while the sink accepts. Default 30 s; 10 ms to a
    /// day. Longer folds more.
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.config.max_delay = delay;
        self
    }

    /// How long after it was sent a request may still be carried out by the sink. Default 60 s. After an unknown
    /// outcome, newer operations on its key wait this long.
    pub fn late_request_bound(mut self, bound: Duration) -> Self {
        self.config.late_request_bound = bound;
        self
    }

    /// Bytes of one batch, as uncompressed bulk NDJSON. Default 8 MiB, and never more than the sink's own limit
    /// or an eighth of the memory bound shared by the batches that are out. A batch holds at least one operation.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.config.batch_bytes = bytes;
        self
    }

    /// Operations of one batch. Default 20,000, and never more than the sink's own limit.
    pub fn batch_operations(mut self, operations: usize) -> Self {
        self.config.batch_operations = operations;
        self
    }

    /// Locks to spread the keys over. Default 64; 1 to 4,096.
    pub fn shards(mut self, shards: usize) -> Self {
        self.config.shards = shards;
        self
    }

    /// Threads that drain, each with one batch out at a time: the most batches that are out at once. Default 1; 1 to 256. Where
    /// the sink [adapts](Sink::adapts) there is one thread more, which makes a batch while all of them are out; and as
    /// [`Builder::adaptive`] is left as it is, fewer are out while more gain nothing.
    pub fn drain_threads(mut self, threads: usize) -> Self {
        self.config.drain_threads = threads;
        self
    }

    /// Whether the bytes of a batch and the number of those that are out follow what the sink shows, up to
    /// [`Builder::batch_bytes`] and [`Builder::drain_threads`], where it [wants that](Sink::adapts). Default true; false keeps both at
    /// their most.
    pub fn adaptive(mut self, adaptive: bool) -> Self {
        self.config.adaptive = adaptive;
        self
    }

    /// Whether documents stay known after they have settled, within a quarter of the memory bound, to answer
    /// reads and to resolve the next update. Default true.
    pub fn keep_known(mut self, keep: bool) -> Self {
        self.config.keep_known = keep;
        self
    }

    /// What a submit does at the bound. Default: waits up to 30 s. With a simulated clock nothing can be waited
    /// for, and operations are handed back at once.
    pub fn full(mut self, full: Full) -> Self {
        self.config.full = full;
        self
    }

    /// Fixes how keys spread over shards, for simulations that must replay. Default: drawn at random, so that
    /// those who choose ids cannot choose where they collide.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = Some(seed);
        self
    }

    /// Takes the time from a simulated clock.
    pub fn clock(mut self, clock: &SimulatedClock) -> Self {
        self.clock = Clock::simulated(clock);
        self
    }

    /// Where dead letters go. Default: `dead-letters.ndjson` in the directory of [`Builder::open`]; else in
    /// memory, up to [`MemoryDeadLetters::LETTERS_MAX`] of them.
    pub fn dead_letters(mut self, letters: Arc<dyn DeadLetters>) -> Self {
        self.letters = Some(letters);
        self
    }

    /// Keeps a journal in a directory of its own, which is made if it is not there: what is accepted survives the process,
    /// as `policy` says, and what had not settled when an earlier engine ended is sent by this one. Default:
    /// [`Journal::None`].
    ///
    /// Under [`Journal::Always`] each submit waits for the medium; many that wait share the way, and a batch waits once.
    pub fn journal(self, directory: impl AsRef<Path>, policy: Journal) -> Self {
        self.journal_on(Arc::new(SystemDisk), directory, policy)
    }

    /// The same on a disk of the caller's own: for storage that is not the operating system's, and for simulations.
    pub fn journal_on(mut self, disk: Arc<dyn Disk>, directory: impl AsRef<Path>, policy: Journal) -> Self {
        let place = JournalPlace { disk, directory: directory.as_ref().to_owned(), policy, file_bytes: None };
        self.journal = Some(place).filter(|place| place.policy != Journal::None);
        self
    }

    /// Bytes of each file of the journal. Default 16 MiB, and more where one document may be larger than half of
    /// that, which is an eighth of the memory bound; at least 64 KiB. A file is allocated when the one before it is begun, so
    /// a journal takes two of them at least. One is read whole when it is folded, and when it is opened: beside the memory bound
    /// that takes its bytes, and half as much again.
    pub fn journal_file_bytes(mut self, bytes: u64) -> Self {
        if let Some(journal) = &mut self.journal {
            journal.file_bytes = Some(bytes);
        }
        self
    }

    /// An engine over a store of its own in a directory, which is made if it is not there. One process at a
    /// time may write to a directory.
    pub fn open(mut self, directory: impl AsRef<Path>) -> Result<Engine> {
        let directory = directory.as_ref();
        // Nothing is made where something is refused.
        let opened = self.read_journal()?;
        let store = Arc::new(SegmentSink::open(directory)?);
        if self.letters.is_none() {
            self.letters = Some(Arc::new(DeadLetterFile::open(directory.join("dead-letters.ndjson"))?));
        }
        let base: Arc<dyn Base> = Arc::clone(&store) as _;
        let threads = self.config.drain_threads;
        let engine = self.assemble(store, Some(base), opened)?;
        engine.start(threads)?;
        Ok(engine)
    }

    /// An engine over a sink, with what can be read back from it. A sink that takes documents only needs a base.
    pub fn build(self, sink: Arc<dyn Sink>, base: Option<Arc<dyn Base>>) -> Result<Engine> {
        let threads = self.config.drain_threads;
        let opened = self.read_journal()?;
        let engine = self.assemble(sink, base, opened)?;
        engine.start(threads)?;
        Ok(engine)
    }

    /// An engine without threads: the caller runs the drain, through the [`Drainer`]. For asynchronous clients,
    /// and for simulations.
    pub fn manual(self, sink: Arc<dyn Sink>, base: Option<Arc<dyn Base>>) -> Result<(Engine, Drainer)> {
        let opened = self.read_journal()?;
        let engine = self.assemble(sink, base, opened)?;
        let drainer = engine.drainer();
        Ok((engine, drainer))
    }

    /// What the journal holds, once the settings are well.
    fn read_journal(&self) -> Result<Option<Opened>> {
        self.config.check()?;
        let Some(place) = &self.journal else { return Ok(None) };
        place.check()?;
        read_journal(place).map(Some)
    }

    fn assemble(
        mut self,
        sink: Arc<dyn Sink>,
        base: Option<Arc<dyn Base>>,
        opened: Option<Opened>,
    ) -> Result<Engine> {
        if sink.takes() == Takes::Documents && base.is_none() {
            let message = "the sink takes whole documents only, and there is no base to apply patches to";
            return Err(Error::new(ErrorKind::Config, message));
        }
        if self.clock.is_simulated() {
            self.config.full = Full::HandBack;
        }
        let letters = self.letters.unwrap_or_else(|| Arc::new(MemoryDeadLetters::new()));
        let parts = crate::drain::Parts { sink, base, letters, clock: self.clock, journal: None };
        Engine::new(self.config, parts, opened.zip(self.journal.as_ref()))
    }
}

impl JournalPlace {
    fn check(&self) -> Result<()> {
        let (least, most) = (Duration::from_millis(2), Duration::from_hours(1));
        match self.policy {
            Journal::Interval(interval) if interval < least || interval > most => {
                let message =
                    format!("the journal's interval is {interval:?}; it must be from 2 ms to an hour");
                Err(Error::new(ErrorKind::Config, message))
            }
            _ => Ok(()),
        }
    }
}

impl Config {
    fn check(&self) -> Result<()> {
        let range = |name: &str, value: usize, least: usize, most: usize| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            let message = format!("{name} is {value}; it must be from {least} to {most}");
            Err(Error::new(ErrorKind::Config, message))
        };
        range("memory_bytes", self.memory_bytes, MEMORY_BYTES_MIN, isize::MAX as usize)?;
        range("shards", self.shards, 1, 4_096)?;
        range("drain_threads", self.drain_threads, 1, 256)?;
        range("batch_bytes", self.batch_bytes, 1, usize::MAX)?;
        range("batch_operations", self.batch_operations, 1, usize::MAX)?;
        let day = Duration::from_hours(24);
        if self.max_delay < Duration::from_millis(10) || self.max_delay > day {
            let message = format!("max_delay is {:?}; it must be from 10 ms to a day", self.max_delay);
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}
