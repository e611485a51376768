//! Deciding what the drain does next: a plain machine, no lock, no clock, no I/O.
//!
//! # Design
//! [`Scheduler::next`] is told the time and how hard memory presses, and returns a [`Step`]: send parked
//! flights again, take from the shards by some demands, or wait. The shell carries it out. What the scheduler
//! remembers is small: parked flights (those whose outcome is unknown, and those whose dead letter could not
//! be written), a pause after a batch that failed as a whole, how far each shard is to be flushed, and where
//! the last walk over the shards stopped, so that none starves.
//!
//! # Why entries are taken before they are due
//! An entry is due after 7/8 of `max_delay`, and the shards are looked at every 1/16 of it: so it leaves by
//! 15/16, and the last sixteenth is for the walk and the batch ahead of it.
//!
//! # Invariants
//! 1. A parked flight is still out in its shard; it comes back from `next` exactly once, as it went in.
//! 2. Nothing is sent before a pause is over.
//! 3. Flush targets never fall.

use super::Flying;
use crate::{Item, shard::Demand};
use std::collections::{BTreeMap, BTreeSet};

/// How soon operations leave, and in what batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) max_delay_us: u64,
    pub(crate) batch_bytes: usize,
    pub(crate) batch_operations: usize,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Send these again, exactly as they are; or write their dead letters, for those that have a reason.
    Again(Vec<(Flying, Item)>),
    /// Take from the shards, starting at `first`, by each of the demands in turn, then whatever is to be
    /// flushed, shard by shard.
    Take { demands: Vec<Demand>, first: usize, flush_to: Box<[u64]> },
    /// Nothing may be sent before this time.
    Pause { until_us: u64 },
}

/// What the drain remembers between steps.
#[derive(Debug)]
pub(crate) struct Scheduler {
    pace: Pace,
    parked: BTreeMap<(u64, u64), (Flying, Item)>,
    parked_ever: u64,
    /// When holds of keys end, in whole milliseconds.
    holds: BTreeSet<u64>,
    pause_until_us: u64,
    failures: u32,
    flush_to: Box<[u64]>,
    first: usize,
    /// Threads told to look again although they wait.
    pub(crate) signalled: bool,
    pub(crate) stopping: bool,
}

impl Scheduler {
    pub(crate) fn new(pace: Pace, shards: usize) -> Self {
        Self {
            pace,
            parked: BTreeMap::new(),
            parked_ever: 0,
            holds: BTreeSet::new(),
            pause_until_us: 0,
            failures: 0,
            flush_to: vec![0; shards].into_boxed_slice(),
            first: 0,
            signalled: false,
            stopping: false,
        }
    }

    /// What to do now. `pressure`: bytes that memory wants out.
    pub(crate) fn next(&mut self, now_us: u64, pressure: usize) -> Step {
        if now_us < self.pause_until_us {
            return Step::Pause { until_us: self.pause_until_us };
        }
        let again = self.unpark(now_us);
        if !again.is_empty() {
            return Step::Again(again);
        }
        let mut demands = vec![Demand::Urgent];
        if let Some(arrived_us) = now_us.checked_sub(self.pace.max_delay_us / 8 * 7) {
            demands.push(Demand::Due { arrived_us });
        }
        if pressure > 0 {
            // A share for each shard; at least a fraction of a batch in all, so that batches are worth sending.
            let bytes = pressure.max(self.pace.batch_bytes / 4) / self.flush_to.len() + 1;
            demands.push(Demand::Pressure { bytes });
        }
        Step::Take { demands, first: self.first, flush_to: self.flush_to.clone() }
    }

    /// Everything of `shard` up to `seq` is to be taken without waiting for its time.
    pub(crate) fn flush(&mut self, shard: usize, seq: u64) {
        if let Some(target) = self.flush_to.get_mut(shard) {
            *target = (*target).max(seq);
        }
    }

    /// The walk over the shards ended at `shard`: the next one starts there.
    pub(crate) fn stopped_at(&mut self, shard: usize) {
        self.first = shard % self.flush_to.len();
    }

    /// Keeps a flight until it is to go out again.
    pub(crate) fn park(&mut self, due_us: u64, flying: Flying, item: Item) {
        self.parked_ever += 1;
        self.parked.insert((due_us, self.parked_ever), (flying, item));
    }

    /// A key is held until this time: there may be something to take then.
    pub(crate) fn note_hold(&mut self, until_us: u64) {
        self.holds.insert(until_us.div_ceil(1_000).saturating_mul(1_000));
    }

    /// True where a key is held, or its hold has not been looked at since it ended.
    pub(crate) fn is_holding(&self, now_us: u64) -> bool {
        self.holds.last().is_some_and(|until_us| *until_us > now_us)
    }

    /// A batch came back. Where nothing of it was taken, the sink as a whole is given a pause.
    pub(crate) fn answered(&mut self, failed_whole: bool, now_us: u64, asked_us: u64) {
        if !failed_whole {
            self.failures = 0;
            return;
        }
        let pause = super::retry::backoff_us(self.failures, now_us).max(asked_us);
        self.failures = self.failures.saturating_add(1);
        self.pause_until_us = self.pause_until_us.max(now_us.saturating_add(pause));
    }

    /// When to look again if nothing happens before.
    pub(crate) fn look_again_us(&mut self, now_us: u64) -> u64 {
        while self.holds.first().is_some_and(|until_us| *until_us <= now_us) {
            self.holds.pop_first();
        }
        let hold = self.holds.first().copied().unwrap_or(u64::MAX);
        let regular = now_us + (self.pace.max_delay_us / 16).max(1);
        let parked = self.parked.first_key_value().map_or(u64::MAX, |((due_us, _), _)| *due_us);
        regular.min(parked).min(hold).max(self.pause_until_us).max(now_us + 1)
    }

    /// Takes out everything that is parked.
    pub(crate) fn abandon(&mut self) -> Vec<(Flying, Item)> {
        std::mem::take(&mut self.parked).into_values().collect()
    }

    /// Checks the invariants that can be seen from inside, and returns the flights that are kept, so that their
    /// shards can be asked for them (invariant 1): shard, first and last seq.
    pub(crate) fn validate(&self) -> Result<Vec<(u32, u64, u64)>, String> {
        if self.first >= self.flush_to.len() {
            return Err(format!("the next walk starts at shard {} of {}", self.first, self.flush_to.len()));
        }
        let mut kept = Vec::with_capacity(self.parked.len());
        for ((_, number), (flying, item)) in &self.parked {
            let flight = &flying.flight;
            if *number > self.parked_ever
                || (item.first_seq, item.last_seq) != (flight.first_seq, flight.last_seq)
            {
                return Err(format!("scheduler invariant 1: parked flight {number} does not match its item"));
            }
            kept.push((flight.shard, flight.first_seq, flight.last_seq));
        }
        Ok(kept)
    }

    /// Takes out what is due, up to one batch.
    fn unpark(&mut self, now_us: u64) -> Vec<(Flying, Item)> {
        let (mut again, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = self.parked.first_entry() {
            let size = entry.get().0.bytes;
            let full = again.len() >= self.pace.batch_operations || bytes + size > self.pace.batch_bytes;
            if entry.key().0 > now_us || (full && !again.is_empty()) {
                break;
            }
            bytes += size;
            again.push(entry.remove());
        }
        again
    }
}

#[cfg(test)]
mod tests;
