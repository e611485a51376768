//! How far a source has come: what it need not deliver again.
//!
//! # Design
//! The seqs of one source's operations fall on many shards, so it is kept which seq, and which place in the journal, each few
//! positions reached: a *stretch*. What is at the front is given up when it is safe. The source's handle writes them, and
//! whoever commits reads them, perhaps on another thread: one lock, taken for a moment.
//!
//! # Why a wait and not a callback
//! A commit goes over the network. In a callback it would hold up the drain or the journal's thread, and who calls it would have
//! to say what happens to its panics. A thread that waits is the caller's own.
//!
//! # Invariants
//! 1. Stretches are in order, and of positions, seqs and places each has the highest of its operations.
//! 2. What is told only rises, and is never above the mark.

use super::super::{Engine, Shared, journaling::Written};
use crate::{
    Result,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// Positions that are looked at as one.
const STRETCH: u32 = 64;

/// Some positions one after another, and how far they reached.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    position: u64,
    seq: u64,
    written: Written,
    count: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Progress {
    stretches: Mutex<Stretches>,
    /// Somebody may be waiting.
    is_awaited: AtomicBool,
}

#[derive(Debug)]
struct Stretches {
    waiting: VecDeque<Stretch>,
    committable: Option<u64>,
}

impl Progress {
    /// Of a source with this mark, all of which is safe.
    pub(super) fn new(mark: Option<u64>) -> Self {
        let stretches = Stretches { waiting: VecDeque::new(), committable: mark };
        Self { stretches: Mutex::new(stretches), is_awaited: AtomicBool::new(false) }
    }

    /// Operations up to a position were accepted.
    pub(super) fn note(&self, shared: &Shared, position: u64, seq: u64, written: Written) {
        let mut stretches = self.stretches.lock();
        match stretches.waiting.back_mut() {
            Some(last) if last.count < STRETCH => {
                last.position = position;
                last.seq = last.seq.max(seq);
                last.written = last.written.max(written);
                last.count += 1;
            }
            _ => stretches.waiting.push_back(Stretch { position, seq, written, count: 1 }),
        }
        drop(stretches);
        // Where its submit waited for the medium it is safe by now; else something else will tell.
        if self.is_awaited.load(Ordering::Acquire) && shared.is_safe(seq, written, 0) {
            shared.drain.changed();
        }
    }

    /// The highest position up to which all is safe.
    pub(super) fn committable(&self, engine: &Engine) -> Option<u64> {
        let shared = &engine.shared;
        // Not under the lock, as it takes the shards'. What settles in the meantime is told the next time.
        let watermark = if shared.journal.is_some() { 0 } else { engine.watermark() };
        let mut stretches = self.stretches.lock();
        while let Some(stretch) = stretches.waiting.front()
            && shared.is_safe(stretch.seq, stretch.written, watermark)
        {
            stretches.committable = Some(stretch.position);
            stretches.waiting.pop_front();
        }
        stretches.committable
    }
}

impl Shared {
    /// True where an operation need not be delivered again.
    fn is_safe(&self, seq: u64, written: Written, watermark: u64) -> bool {
        match &self.journal {
            Some(journal) => written.is_synced(journal),
            None => seq <= watermark,
        }
    }
}

/// A subscription to what a source need not deliver again, for a thread that commits while another delivers. See
/// [`Source::commits`](super::Source::commits).
#[derive(Debug)]
pub struct Commits {
    engine: Engine,
    progress: Arc<Progress>,
    told: Option<u64>,
}

impl Commits {
    pub(super) fn new(engine: Engine, progress: Arc<Progress>) -> Self {
        progress.is_awaited.store(true, Ordering::Release);
        Self { engine, progress, told: None }
    }

    /// Waits until the source may commit more than was told before, and tells it: the highest position that it need not
    /// deliver again, see [`Source::committable`](super::Source::committable). `None` where nothing more can be committed
    /// when `timeout` is over; under a simulated clock that is at once.
    ///
    /// Fails with [`ErrorKind::Latched`](crate::ErrorKind::Latched) once the engine has stopped, and nothing more will be
    /// told; what is safe all the same is told first.
    ///
    /// Without a journal each look locks every shard in turn, and one is taken whenever something has settled.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<u64>> {
        let Self { engine, progress, told } = self;
        let risen = || {
            let now = progress.committable(engine).filter(|now| told.is_none_or(|told| *now > told))?;
            *told = Some(now);
            Some(now)
        };
        let shared = &engine.shared;
        shared.drain.wait_until(timeout, shared.clock.is_simulated(), risen)
    }
}
