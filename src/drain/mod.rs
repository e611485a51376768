//! The drain: takes net operations out of the shards, sends them, and brings their outcomes back.
//!
//! # Design
//! One cycle is *begin*, *send*, *finish*. [`Drain::begin`] asks the [`Scheduler`] what to do, takes flights
//! from the shards, resolves them against the base where the sink wants whole documents, and makes a
//! [`Dispatch`]: a batch and the flights behind it. Whoever has the dispatch sends the batch; [`Drain::finish`]
//! judges each outcome ([`retry`]) and settles, puts back, parks or buries each flight. Worker threads
//! ([`worker`]) run the cycle in a loop; in manual mode the caller runs it, which is how an asynchronous
//! client is attached, and how the deterministic simulation steps it.
//!
//! # Why begin and finish are two calls
//! So that no lock is held and nothing is decided while a batch is out, and so that many batches can be.
//!
//! # Invariants
//! 1. Every flight taken ends in exactly one of: settled, put back, parked (and then in one of these again).
//! 2. A dead letter is durable before its flight settles.
//! 3. A flight that was sent with an unknown outcome goes out again as the same item; after it has settled,
//!    nothing newer of its key goes out before the late-request bound is over.
//!
//! # Locking
//! LOCK: the scheduler's lock is never held together with a shard's, nor across a call of the sink, the base
//! or the dead letters.

mod below;
mod counters;
mod finish;
mod folding;
mod gather;
mod journaling;
mod lanes;
mod limiter;
mod order;
mod ready;
mod resolve;
mod retry;
mod scheduler;
mod versions;
mod worker;

pub(crate) use counters::Counters;
pub(crate) use worker::{Workers, panic_message};

use crate::{
    Base, Batch, Error, ErrorKind, Result, Sink, Takes,
    clock::Clock,
    document::IndexId,
    journal::Log,
    shard::{Bank, Flight},
    sink::DeadLetters,
    sync::{
        Condvar, LatchOnPanic, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        wait_for,
    },
};
use lanes::LANES_MAX;
pub(crate) use limiter::{Bounds, Setting};
use limiter::{Limiter, Place};
pub(crate) use scheduler::Pace;
use scheduler::Scheduler;
use std::{sync::Arc, time::Duration};
use versions::Versions;

/// How far ahead of the wall clock sequence numbers are made durable.
pub(crate) const CEILING_AHEAD_US: u64 = 60_000_000;

/// How often a flush that waits looks whether the engine was latched.
const LATCH_CHECK: Duration = Duration::from_millis(100);

/// The most operations of a batch, so that a position in one has four bytes.
const BATCH_OPERATIONS_MAX: usize = u32::MAX as usize;

/// What the drain needs to know beside its parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) pace: Pace,
    /// How much may be out, and whether that follows what the sink shows, where the sink wants it.
    pub(crate) bounds: Bounds,
    pub(crate) adapts: bool,
    pub(crate) late_request_bound_us: u64,
    /// Documents stay known after they have settled.
    pub(crate) keeps_known: bool,
    /// What the versions of known documents may take, where the sink tells them.
    pub(crate) versions_bytes: usize,
    /// The engine's id.
    pub(crate) engine: u128,
}

/// Where drained operations go, and what is read and written on the way.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) base: Option<Arc<dyn Base>>,
    pub(crate) letters: Arc<dyn DeadLetters>,
    pub(crate) clock: Clock,
    pub(crate) journal: Option<Arc<Log>>,
}

/// The drain of one engine.
pub(crate) struct Drain {
    bank: Arc<Bank>,
    parts: Parts,
    takes: Takes,
    /// What is made from a document goes out under its version.
    is_versioned: bool,
    /// LOCK: a leaf.
    versions: Option<Mutex<Versions>>,
    /// The sink wants batches and their number to follow what it shows.
    adapts: bool,
    settings: Settings,
    scheduler: Mutex<Scheduler>,
    wake: Condvar,
    settled: Mutex<Settled>,
    settlement: Condvar,
    extending: AtomicBool,
    /// What an earlier engine had sent may be carried out until this monotonic time: nothing is sent before. 0 where
    /// nothing can be.
    late_until_us: AtomicU64,
    /// A thread of its own keeps the journal; else whoever runs the drain does.
    has_keeper: AtomicBool,
    pub(crate) counters: Counters,
}

/// What a flush goes by.
#[derive(Debug, Default)]
struct Settled {
    /// How often there was something to look at again.
    changes: u64,
    /// How many threads have begun to settle flights.
    begun: u64,
    /// Which of them may not have told everybody yet.
    telling: Vec<u64>,
}

/// A flight and what has been done about it so far.
#[derive(Debug)]
pub(crate) struct Flying {
    flight: Flight,
    /// Whether the document existed, if the base was read.
    existed: Option<bool>,
    /// Bytes of its item as bulk NDJSON.
    bytes: usize,
    /// That many bytes of the buffers' share of memory are set aside for its item: from before it is sent until it is
    /// settled or put back, so also while it is parked.
    is_buffered: bool,
    /// Field operations that met a type that does not fit, when it was resolved.
    misfits: u64,
    /// What few have.
    trouble: Option<Box<Trouble>>,
}

/// What has gone wrong with a flight.
#[derive(Debug, Default)]
struct Trouble {
    /// An earlier outcome is unknown, and the request may still be carried out until this time.
    uncertain_until_us: Option<u64>,
    /// It was rejected with this reason, and its dead letter is not written yet.
    letter: Option<String>,
    /// The sink found another document than it was made from, and the base has not been read since.
    has_changed: bool,
    /// How often that was so.
    changes: u32,
}

impl Flying {
    fn uncertain_until_us(&self) -> Option<u64> {
        self.trouble.as_ref()?.uncertain_until_us
    }

    /// The reason for which it was rejected.
    fn letter(&self) -> Option<&str> {
        self.trouble.as_ref()?.letter.as_deref()
    }

    fn has_changed(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.has_changed)
    }

    fn trouble_mut(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }

    /// Bytes of the buffers' share that are set aside for its item.
    fn buffered(&self) -> usize {
        if self.is_buffered { self.bytes } else { 0 }
    }
}

/// A batch that is out, with the flights behind it. Must be given to [`Drain::finish`].
#[must_use = "a dispatch that is dropped leaves its flights out for ever"]
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) batch: Batch,
    /// In the order in which they were taken: shard by shard.
    flying: Vec<Flying>,
    /// Where in the batch each one's item is.
    places: Vec<u32>,
    /// The indices of them, each once.
    indices: Vec<IndexId>,
    /// When the oldest of what it was made of came.
    oldest_us: Option<u64>,
    /// What it holds of what may be out.
    place: Place,
}

/// What came of an attempt to make a dispatch.
enum Gathered {
    Dispatch(Dispatch),
    /// Everything settled without being sent, or was put back with a hold: look again at once.
    Nothing,
    /// Nothing was to be taken.
    Empty,
    /// The buffers are full with what is out and what is parked: look again when something of that has landed.
    Crowded,
}

/// What [`Drain::begin`] found to do.
#[derive(Debug)]
pub(crate) enum Begun {
    /// Send this.
    Dispatch(Dispatch),
    /// Nothing to do before this monotonic time, unless woken.
    Wait { until_us: u64 },
}

impl Drain {
    pub(crate) fn new(bank: Arc<Bank>, parts: Parts, settings: Settings) -> Self {
        let takes = parts.sink.takes();
        let is_versioned = parts.sink.tells_versions();
        let has_versions = is_versioned && settings.keeps_known;
        let versions = has_versions.then(|| Mutex::new(Versions::new(settings.versions_bytes)));
        let limits = parts.sink.limits();
        let pace = Pace {
            batch_bytes: settings.pace.batch_bytes.min(limits.batch_bytes).max(1),
            batch_operations: settings
                .pace
                .batch_operations
                .min(limits.batch_operations)
                .clamp(1, BATCH_OPERATIONS_MAX),
            ..settings.pace
        };
        let Bounds { most, together } = settings.bounds;
        let bounds = Bounds { most: Setting { bytes: pace.batch_bytes, ..most }, together };
        let settings = Settings { pace, bounds, ..settings };
        let adapts = parts.sink.adapts();
        let limiter = if adapts && settings.adapts { Limiter::new(bounds) } else { Limiter::fixed(bounds) };
        let scheduler = Mutex::new(Scheduler::new(pace, bank.shard_count(), limiter, adapts));
        Self {
            bank,
            parts,
            takes,
            is_versioned,
            versions,
            adapts,
            settings,
            scheduler,
            wake: Condvar::new(),
            settled: Mutex::new(Settled::default()),
            settlement: Condvar::new(),
            extending: AtomicBool::new(false),
            late_until_us: AtomicU64::new(0),
            has_keeper: AtomicBool::new(false),
            counters: Counters::default(),
        }
    }

    /// The engine's id.
    pub(crate) fn engine(&self) -> u128 {
        self.settings.engine
    }

    /// The sink, for whoever sends a dispatch.
    pub(crate) fn sink(&self) -> &Arc<dyn Sink> {
        &self.parts.sink
    }

    /// Latches the engine if what follows panics, where no worker thread is there to do so: flights that were
    /// taken and neither sent nor brought back would stay out for ever.
    pub(crate) fn alarm(&self, doing: &'static str) -> LatchOnPanic<'_> {
        LatchOnPanic::new(&self.bank.latch, doing)
    }

    /// Makes a waiting worker look again.
    pub(crate) fn signal(&self) {
        self.scheduler.lock().signalled = true;
        self.wake.notify_all();
    }

    /// Wakes everybody who waits for anything, to find the engine latched or closed.
    pub(crate) fn signal_all(&self) {
        self.scheduler.lock().signalled = true;
        self.wake.notify_all();
        self.settled_some();
    }

    /// Has everything accepted so far taken without waiting for its time. Returns how far, per shard.
    pub(crate) fn start_flush(&self) -> Vec<u64> {
        let count = self.bank.shard_count();
        let targets: Vec<u64> = (0..count).map(|n| self.bank.with(n, |shard| shard.last_seq())).collect();
        let mut scheduler = self.scheduler.lock();
        for (shard, target) in targets.iter().enumerate() {
            scheduler.flush(shard, *target);
        }
        drop(scheduler);
        self.signal();
        targets
    }

    /// True when everything up to `targets` has settled.
    pub(crate) fn is_flushed(&self, targets: &[u64]) -> bool {
        let settled = |(n, target): (usize, &u64)| {
            self.bank
                .with(n, |shard| Some(shard.first_unsettled()))
                .flatten()
                .is_none_or(|first| first > *target)
        };
        targets.iter().enumerate().all(settled)
    }

    /// Waits until everything up to `targets` has settled, and whoever has a ticket was told.
    pub(crate) fn wait_flushed(&self, targets: &[u64], timeout: Duration) -> Result<()> {
        let end_us = self.parts.clock.now_us().saturating_add(crate::clock::micros(timeout));
        let mut begun = None;
        loop {
            let seen = self.settled.lock().changes;
            if self.is_flushed(targets) {
                // Those who settled it have begun to; some may have let go of the shard, and not told yet.
                let settled = self.settled.lock();
                let begun = *begun.get_or_insert(settled.begun);
                if settled.telling.iter().all(|number| *number >= begun) {
                    return Ok(());
                }
            }
            self.bank.latch.check()?;
            let left = end_us.saturating_sub(self.parts.clock.now_us());
            if left == 0 {
                return Err(self.not_flushed(timeout));
            }
            self.wait_for_change(seen, left);
        }
    }

    /// Waits until `look` finds something: it is asked when something has settled, or was synced for the interval's sake, or was
    /// announced. `None` when the time is over; at once, where time is simulated.
    pub(crate) fn wait_until<T>(
        &self,
        timeout: Duration,
        is_simulated: bool,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>> {
        let end_us = self.parts.clock.now_us().saturating_add(crate::clock::micros(timeout));
        loop {
            let seen = self.settled.lock().changes;
            if let Some(found) = look() {
                return Ok(Some(found));
            }
            self.bank.latch.check()?;
            let left = end_us.saturating_sub(self.parts.clock.now_us());
            if left == 0 || is_simulated {
                return Ok(None);
            }
            self.wait_for_change(seen, left);
        }
    }

    /// Waits for a change after that number, but no longer than so many microseconds.
    fn wait_for_change(&self, seen: u64, left_us: u64) {
        let mut settled = self.settled.lock();
        if settled.changes == seen {
            // Not to the end at once: a panic outside the drain latches and wakes nobody.
            let step = Duration::from_micros(left_us).min(LATCH_CHECK);
            wait_for(&self.settlement, &mut settled, step);
        }
    }

    /// Drops the flights that were to go out: they have been told to be dead.
    pub(crate) fn abandon(&self) {
        let abandoned = self.scheduler.lock().abandon();
        for flying in abandoned {
            self.bank.memory.release_buffer(flying.buffered());
        }
    }

    /// The error of a flush that did not come to its end.
    pub(crate) fn not_flushed(&self, timeout: Duration) -> Error {
        let count = self.bank.shard_count();
        let left: usize = (0..count).map(|n| self.bank.with(n, |shard| shard.unsettled_keys())).sum();
        let why =
            self.counters.last_failure().map_or_else(String::new, |why| format!("; last failure: {why}"));
        Error::new(ErrorKind::Timeout, format!("{left} documents had not settled after {timeout:?}{why}"))
    }

    /// Keeps the ceiling of sequence numbers ahead of the clock, on durable record. Cheap where it is.
    pub(crate) fn keep_ceiling_ahead(&self) -> Result<()> {
        let wall_us = self.parts.clock.wall_us();
        if self.bank.ceiling() >= wall_us.saturating_add(CEILING_AHEAD_US / 2) {
            return Ok(());
        }
        self.raise_ceiling(wall_us.saturating_add(CEILING_AHEAD_US)).map(drop)
    }

    /// Makes durable that sequence numbers below `ceiling` may be in use, then lets them be used. False, and
    /// nothing done, where another thread is at it.
    pub(crate) fn raise_ceiling(&self, ceiling: u64) -> Result<bool> {
        if self.extending.swap(true, Ordering::AcqRel) {
            return Ok(false);
        }
        let _done = Extending(self);
        self.parts.sink.reserve_seq(ceiling)?;
        if let Some(journal) = &self.parts.journal {
            journal.reserve_seq(ceiling)?;
        }
        self.bank.raise_ceiling(ceiling);
        Ok(true)
    }

    /// Batches that are out, how much may be, and how many were refused or not answered.
    pub(crate) fn outstanding(&self) -> (usize, Setting, u64) {
        let scheduler = self.scheduler.lock();
        let limiter = scheduler.limiter();
        (limiter.out(), limiter.setting(), limiter.refused())
    }

    /// Bytes that wait of each index, where batches are of one each.
    fn waiting(&self, indices: usize) -> Option<Vec<(IndexId, u64)>> {
        (self.adapts && (2..=LANES_MAX).contains(&indices)).then(|| self.bank.waiting(indices))
    }

    /// Checks the scheduler's invariants, and that each flight it keeps is out in its shard. For tests, while no
    /// other thread drains: a flight may land between the two looks.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let kept = self.scheduler.lock().validate()?;
        if let Some(versions) = &self.versions {
            versions.lock().validate()?;
        }
        for (shard, first_seq, last_seq) in kept {
            if !self.bank.with(shard as usize, |shard| shard.has_flight(first_seq, last_seq)) {
                return Err(format!(
                    "scheduler invariant 1: shard {shard} has no flight {first_seq}..{last_seq}"
                ));
            }
        }
        Ok(())
    }

    /// Has those look again who wait for something to be safe.
    pub(crate) fn changed(&self) {
        self.settled.lock().changes += 1;
        self.settlement.notify_all();
    }

    fn settled_some(&self) {
        self.changed();
        self.bank.memory.wake_waiters();
    }

    /// To be held by whoever settles flights, from before it does until all who wait for one are told.
    fn settling(&self) -> Settling<'_> {
        let mut settled = self.settled.lock();
        let number = settled.begun;
        settled.begun += 1;
        settled.telling.push(number);
        Settling { drain: self, number }
    }
}

/// See [`Drain::settling`].
struct Settling<'a> {
    drain: &'a Drain,
    number: u64,
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        self.drain.settled.lock().telling.retain(|number| *number != self.number);
        self.drain.settled_some();
    }
}

impl std::fmt::Debug for Drain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drain").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Says that nobody extends the ceiling any more, also when the sink refuses or panics: then whoever waits for it tries.
struct Extending<'a>(&'a Drain);

impl Drop for Extending<'_> {
    fn drop(&mut self) {
        self.0.extending.store(false, Ordering::Release);
        self.0.bank.memory.wake_waiters();
    }
}
