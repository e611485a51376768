//! The engine: one handle to submit, read, flush and close.
//!
//! # Design
//! An [`Engine`] is a cheap clone of a shared core: the shards, the drain and its threads, the base. It adds
//! what needs more than one of them: validation before and waiting around a submit ([`submit`]), reads
//! ([`scan`], `view.rs`), the life cycle here.
//!
//! # Invariants
//! 1. Once closing has begun, no operation is accepted: the shards are sealed under their locks.
//! 2. An engine that latched takes no more writes, sends nothing, and tells everybody who waits.
//! 3. When the last handle is dropped, what is left unsettled is in the journal, or else in the dead letters.

mod journaling;
mod manual;
mod refusal;
mod resubmit;
mod scan;
mod source;
mod statistics;
mod submit;

#[cfg(test)]
#[cfg(shuttle)]
#[path = "engine/tests/interleavings.rs"]
mod interleavings;

pub use manual::{Drainer, Flights, Next};
pub use refusal::{BatchError, SubmitError};
pub use scan::{Scan, ScanToken};
pub use source::{Commits, POSITION_MAX, SOURCE_NAME_BYTES_MAX, SOURCES_MAX, Source};

use crate::{
    Base, BaseKey, Builder, Document, Error, ErrorKind, Result,
    clock::Clock,
    config::{Config, DOCUMENT_SHARE, Full, JournalPlace, VERSIONS_SHARE},
    drain::{Bounds, CEILING_AHEAD_US, Drain, Pace, Parts, Setting, Settings, Workers, panic_message},
    journal::{Log, Opened},
    shard::{Bank, Shard, Verdict},
    sink::{DeadLetter, DeadLetters},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    view,
};
pub(crate) use journaling::read_journal;
use journaling::{Keeper, restore, start_journal};
use source::Sources;
use std::{
    hash::{BuildHasher, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
    time::Duration,
};

/// How long the last handle's drop waits for the drain.
const DROP_WAIT: Duration = Duration::from_secs(10);
/// How long is waited for threads that were told to stop. One that the sink still holds after that is left behind.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// A write-coalescing engine. Clones are handles to the same engine.
///
/// Operations on one key take effect in the order they were accepted; reads see them at once; the sink gets one
/// operation per key and drain. Nothing accepted is lost while the process lives: an operation ends settled or
/// in a dead letter. Without a [journal](crate::Builder::journal), what has not settled is lost when the process ends.
///
/// Dropping the last handle closes the engine with a wait of ten seconds; what has not settled by then stays in the
/// journal for the next engine or, without one, goes to the dead letters, and a drain thread that the sink does not let go is left behind.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    full: Full,
    _owner: Arc<Owner>,
}

struct Shared {
    bank: Arc<Bank>,
    drain: Arc<Drain>,
    workers: Workers,
    base: Option<Arc<dyn Base>>,
    letters: Arc<dyn DeadLetters>,
    clock: Clock,
    journal: Option<Arc<Log>>,
    keeper: Keeper,
    sources: Arc<Sources>,
    document_bytes_max: usize,
    /// Held while closing, so that two closers do not stop the threads twice.
    closing: Mutex<()>,
    closed: AtomicBool,
    /// Closing has begun: a submit that waits for room need not wait on. The shards decide what is accepted.
    sealed: AtomicBool,
}

/// Ends the engine when the last handle goes.
struct Owner(Arc<Shared>);

impl Engine {
    /// An engine with default settings over a store of its own in a directory: see [`Builder::open`].
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        Self::builder().open(directory)
    }

    /// Settings and components for an engine.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(
        config: Config,
        mut parts: Parts,
        journal: Option<(Opened, &JournalPlace)>,
    ) -> Result<Self> {
        let opened = journal.as_ref().map(|(opened, _)| opened);
        let floor = opened.map_or(0, Opened::seq_floor).max(parts.sink.seq_floor());
        let known_bytes = if config.keep_known { config.memory_bytes / 4 } else { 0 };
        let random = || std::collections::hash_map::RandomState::new().build_hasher().finish();
        let seed = config.seed.unwrap_or_else(random);
        let is_versioned = config.keep_known && parts.sink.tells_versions();
        let versions_bytes = if is_versioned { config.memory_bytes / VERSIONS_SHARE } else { 0 };
        let memory_bytes = config.memory_bytes - versions_bytes;
        let bank = Arc::new(Bank::new(config.shards, memory_bytes, known_bytes, seed, floor));
        let together = bank.memory.buffer_bytes();
        // Where batches follow what the sink shows, all that are out together stay within the buffers' share.
        let adapts = config.adaptive && parts.sink.adapts();
        let share = if adapts { together } else { together / config.drain_threads };
        let pace = Pace {
            max_delay_us: crate::clock::micros(config.max_delay),
            batch_bytes: config.batch_bytes.min(share),
            batch_operations: config.batch_operations,
        };
        let most = Setting { requests: config.drain_threads, bytes: pace.batch_bytes };
        let id = opened.and_then(|opened| opened.recovered.engine).unwrap_or_else(|| engine_id(seed));
        let settings = Settings {
            pace,
            bounds: Bounds { most, together },
            adapts: config.adaptive,
            late_request_bound_us: crate::clock::micros(config.late_request_bound),
            keeps_known: config.keep_known,
            versions_bytes,
            engine: id,
        };
        parts.sink.identify(id);
        let sources = Arc::new(Sources::default());
        let mut late_until_us = 0;
        if let Some((opened, place)) = journal {
            let now_us = parts.clock.now_us();
            if parts.sink.outlives_sender() && !opened.is_clean() {
                late_until_us = now_us.saturating_add(crate::clock::micros(config.late_request_bound));
            }
            restore(&opened, &bank, now_us)?;
            parts.journal = Some(start_journal(opened, place, &config, (id, seed), (&bank, &sources))?);
        }
        let journal = parts.journal.clone();
        let (base, letters, clock) = (parts.base.clone(), Arc::clone(&parts.letters), parts.clock.clone());
        let drain = Arc::new(Drain::new(Arc::clone(&bank), parts, settings));
        drain.begin_late(late_until_us);
        drain.raise_ceiling(clock.wall_us().max(floor).saturating_add(CEILING_AHEAD_US))?;
        let shared = Arc::new(Shared {
            bank,
            drain,
            workers: Workers::default(),
            base,
            letters,
            clock,
            journal,
            keeper: Keeper::default(),
            sources,
            document_bytes_max: config.memory_bytes / DOCUMENT_SHARE,
            closing: Mutex::new(()),
            closed: AtomicBool::new(false),
            sealed: AtomicBool::new(false),
        });
        Ok(Self { full: config.full, _owner: Arc::new(Owner(Arc::clone(&shared))), shared })
    }

    pub(crate) fn start(&self, threads: usize) -> Result<()> {
        self.shared.workers.start(&self.shared.drain, threads)?;
        self.shared.keeper.start(&self.shared)
    }

    pub(crate) fn drainer(&self) -> Drainer {
        Drainer::new(Arc::clone(&self.shared.drain), self.shared.clock.clone())
    }

    /// The same engine, with another answer to being full.
    #[must_use]
    pub fn with_full(&self, full: Full) -> Self {
        let full = if self.shared.clock.is_simulated() { Full::HandBack } else { full };
        Self { full, ..self.clone() }
    }

    /// The document of a key, as if every accepted operation had been applied to it. Costs a lock and a copy
    /// while the key waits in memory, a read of the base otherwise; fails with [`ErrorKind::NoBase`] where the
    /// document is not known here and the sink cannot be read.
    pub fn get(&self, index: &str, id: &str) -> Result<Option<Document>> {
        self.read_one(BaseKey::new(index, id))
    }

    /// The same of a document that is stored under a routing: a server finds it by that alone. It says where to look; what waits
    /// or is known in memory is found by its index and id.
    pub fn get_routed(&self, index: &str, id: &str, routing: &str) -> Result<Option<Document>> {
        self.read_one(BaseKey { index, id, routing: Some(routing) })
    }

    fn read_one(&self, key: BaseKey<'_>) -> Result<Option<Document>> {
        view::read_one(&self.shared.bank, self.shared.base.as_deref(), key)
    }

    /// The documents of several keys, in the order asked. The base is read once for all that need it.
    pub fn get_many(&self, keys: &[(&str, &str)]) -> Vec<Result<Option<Document>>> {
        let keys = keys.iter().map(|(index, id)| BaseKey::new(index, id));
        view::read(&self.shared.bank, self.shared.base.as_deref(), keys)
    }

    /// Waits until everything accepted before the call has settled: in the sink, or in the dead letters. By then a
    /// [`Ticket`](crate::Ticket) of any of it knows its status. Fails with [`ErrorKind::Timeout`] naming how much is left,
    /// and why as far as is known.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        self.shared.flush(timeout)
    }

    /// The watermark: every operation with a sequence number at or below it has settled, and no operation will
    /// get such a number any more. Locks every shard in turn.
    pub fn watermark(&self) -> u64 {
        self.shared.bank.watermark(self.shared.clock.wall_us())
    }

    /// Takes no more writes, drains what waits, stops the threads and closes the sink. An error says what could
    /// not be drained in time: the engine goes on draining, and closing can be tried again. Closing a closed
    /// engine does nothing. Reads still work afterwards.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        self.shared.close(timeout)
    }

    /// An error with the reason if the engine stopped after a failure.
    pub fn health(&self) -> Result<()> {
        self.shared.bank.latch.check()
    }

    /// Checks the invariants of the shards, the accounts and the drain, by number. For tests and diagnosis, while
    /// nothing is being drained: walks over everything that is held.
    pub fn validate(&self) -> Result<(), String> {
        self.shared.bank.validate()?;
        self.shared.drain.validate()
    }
}

/// The id of an engine that has none from its journal: as random as its seed.
fn engine_id(seed: u64) -> u128 {
    u128::from(seed) << 64 | u128::from(!seed)
}

impl Shared {
    fn flush(&self, timeout: Duration) -> Result<()> {
        let targets = self.drain.start_flush();
        if self.clock.is_simulated() {
            self.bank.latch.check()?;
            let flushed = self.drain.is_flushed(&targets);
            return if flushed { Ok(()) } else { Err(self.drain.not_flushed(Duration::ZERO)) };
        }
        self.drain.wait_flushed(&targets, timeout)
    }

    fn close(&self, timeout: Duration) -> Result<()> {
        self.seal();
        let began_us = self.clock.now_us();
        let Some(_closing) = self.closing.try_lock_for(timeout) else {
            return Err(Error::new(
                ErrorKind::Timeout,
                format!("another thread was still closing after {timeout:?}"),
            ));
        };
        if self.is_closed() {
            return Ok(());
        }
        let waited = Duration::from_micros(self.clock.now_us().saturating_sub(began_us));
        self.flush(timeout.saturating_sub(waited))?;
        // Nothing is out any more: the threads only have to notice.
        self.workers.stop(&self.drain, STOP_WAIT);
        self.close_journal()?;
        let closing = catch_unwind(AssertUnwindSafe(|| self.drain.sink().close()));
        closing.unwrap_or_else(|panic| {
            self.bank.latch.set(format_args!("closing the sink panicked: {}", panic_message(&*panic)));
            self.bank.latch.check()
        })?;
        self.closed.store(true, Ordering::Release);
        Ok(())
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn seal(&self) {
        self.sealed.store(true, Ordering::Release);
        for shard in 0..self.bank.shard_count() {
            self.bank.with(shard, Shard::seal);
        }
        self.bank.memory.wake_waiters();
    }

    /// Everything unsettled goes to the dead letters: there will be no engine to send it. With a journal the next one
    /// will: it stays there.
    fn abandon(&self) {
        if self.journal.is_some() {
            self.leave_to_journal();
            return;
        }
        for shard in 0..self.bank.shard_count() {
            for left in self.bank.with(shard, Shard::abandon) {
                let letter = DeadLetter {
                    index: &self.bank.indices.name(left.index),
                    id: &left.id,
                    routing: left.routing.as_deref(),
                    operation: &left.net,
                    reason: "the engine was dropped before the sink took it",
                    time_us: self.clock.wall_us(),
                    engine: self.drain.engine(),
                    first_seq: left.first_seq,
                    last_seq: left.last_seq,
                    operations: left.operations,
                };
                // Nobody is left to be told if even this fails or panics; the other letters are still written.
                let _ = catch_unwind(AssertUnwindSafe(|| self.letters.record(&letter)));
                for tracker in left.trackers {
                    tracker.tell(Verdict::Rejected);
                }
            }
        }
        // A batch that is still out finds nothing to settle, and a drain run by hand nothing to send.
        self.bank.latch.set("its last handle was dropped");
        self.drain.abandon();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if self.0.close(DROP_WAIT).is_err() {
            self.0.workers.stop(&self.0.drain, STOP_WAIT);
            self.0.abandon();
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("stats", &self.stats()).finish()
    }
}

/// An error for what cannot be done any more.
fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the engine is closed")
}
