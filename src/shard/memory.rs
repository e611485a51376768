//! One memory bound for the whole engine, in bytes.
//!
//! # Design
//! What submits may fill is one number, and shards draw on it in advance: each has a *credit*, under its own lock, of
//! bytes it may still grow by. A submit that fits in its shard's credit touches nothing that other shards' writers
//! touch; one that does not draws a [`grant`](Memory::grant_bytes) for its shard. What a shard frees goes to its
//! credit, and what is more than a grant there goes back. So the sum never passes the bound, whatever the threads do
//! at once, and where it is near, credits are called back from all shards before a submit is refused.
//!
//! Each shard publishes its exact weights here for whoever wants a sum. A share of the bound ([`BUFFER_SHARE`]) is
//! kept from submits for the drain's encode buffers, so that draining never needs memory that is not there.
//!
//! # Why not one counter
//! It was: two writers on different shards then pass one line of memory back and forth, four times an operation.
//!
//! # Invariants
//! 1. `granted` is the sum of the shards' weights and credits, plus what was drawn and has not reached its shard.
//! 2. `granted` stays at or below `admit` wherever it was raised by a submit.
//! 3. A waiter is woken by whatever may let it in from when it is counted on: it looks once more after that, and only
//!    then waits.

use super::Weight;
use crate::sync::{
    Condvar, Mutex,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    wait_for,
};
use crossbeam_utils::CachePadded;
use std::time::Duration;

/// The part of the bound that is kept for encode buffers: one in this many.
const BUFFER_SHARE: usize = 8;
/// Above this part of what submits may fill, the drain takes entries although they are not due.
const PRESSURE_SHARE: (usize, usize) = (7, 8);

/// A shard's credit is at most this.
const GRANT_BYTES_MAX: usize = 16 * 1024;
/// All shards' credits together are at most one in this many of what submits may fill.
const GRANTS_SHARE: usize = 8;

/// The accounts.
#[derive(Debug)]
pub(crate) struct Memory {
    bound: usize,
    /// What submits may fill.
    admit: usize,
    /// What shards have drawn.
    granted: AtomicUsize,
    levels: Box<[CachePadded<Levels>]>,
    buffers: AtomicUsize,
    peak_pending: AtomicU64,
    waiters: AtomicUsize,
    /// A submit was refused since the drain last looked.
    refused: AtomicBool,
    /// The drain was told that memory presses, and has not looked since.
    told: AtomicBool,
    /// How often waiters were woken.
    woken: Mutex<u64>,
    freed: Condvar,
}

/// Somebody who waits for room, counted as such until it is dropped.
#[derive(Debug)]
pub(crate) struct Waiter<'a> {
    memory: &'a Memory,
    /// How often waiters had been woken when it began to look the last time.
    seen: u64,
}

/// What a shard weighs, as it last said.
#[derive(Debug, Default)]
struct Levels {
    total: AtomicUsize,
    aloft: AtomicUsize,
    clean: AtomicUsize,
}

impl Memory {
    pub(crate) fn new(bound: usize, shards: usize) -> Self {
        Self {
            bound,
            admit: bound - bound / BUFFER_SHARE,
            granted: AtomicUsize::new(0),
            levels: (0..shards).map(|_| CachePadded::default()).collect(),
            buffers: AtomicUsize::new(0),
            peak_pending: AtomicU64::new(0),
            waiters: AtomicUsize::new(0),
            refused: AtomicBool::new(false),
            told: AtomicBool::new(false),
            woken: Mutex::new(0),
            freed: Condvar::new(),
        }
    }

    pub(crate) fn bound(&self) -> usize {
        self.bound
    }

    /// What all encode buffers together may take.
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.bound / BUFFER_SHARE
    }

    /// How much a shard draws at once, where there is enough.
    pub(crate) fn grant_bytes(&self) -> usize {
        (self.admit / self.levels.len() / GRANTS_SHARE).min(GRANT_BYTES_MAX)
    }

    /// Draws `bytes`; false, and nothing drawn, if that would pass the bound.
    pub(crate) fn reserve(&self, bytes: usize) -> bool {
        // ORDERING: sequentially consistent, here and in `release` and `line_up`: a waiter that counts itself
        // and then finds no room must be seen by whoever makes room after that. Not added first and looked at
        // after: that would pass the bound for a moment, and refuse others because of it.
        let fits = |granted: usize| granted.checked_add(bytes).filter(|sum| *sum <= self.admit);
        self.granted.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_ok()
    }

    /// Gives back what was drawn, and wakes whoever waits for it.
    pub(crate) fn release(&self, bytes: usize) {
        if bytes > 0 {
            self.granted.fetch_sub(bytes, Ordering::SeqCst);
            self.wake_waiters();
        }
    }

    /// Books a shard's change, under its lock: what it grew by comes from its credit and what was drawn for it, and
    /// the rest is its credit. Returns what is too much of that, to be [released](Memory::release) after the lock.
    pub(crate) fn book(&self, change: &Change, credit: &mut usize) -> usize {
        let Change { shard, before, after, drawn } = *change;
        if before != after
            && let Some(levels) = self.levels.get(shard)
        {
            levels.total.store(after.total, Ordering::Relaxed);
            levels.aloft.store(after.aloft, Ordering::Relaxed);
            levels.clean.store(after.clean, Ordering::Relaxed);
        }
        let available = *credit + drawn + before.total;
        // What grew without having been drawn is not a submit's: it cannot be refused.
        let missing = after.total.saturating_sub(available);
        if missing > 0 {
            self.granted.fetch_add(missing, Ordering::SeqCst);
        }
        let left = (available + missing) - after.total;
        let kept = if self.waiters.load(Ordering::SeqCst) > 0 { 0 } else { self.grant_bytes() };
        *credit = left.min(kept);
        left - *credit
    }

    /// Sets aside `bytes` of the buffers' share for an item that is to go out; false, and nothing set aside,
    /// if that would pass the share. The only item out always fits, however large.
    pub(crate) fn reserve_buffer(&self, bytes: usize) -> bool {
        let most = self.buffer_bytes();
        let fits = |out: usize| out.checked_add(bytes).filter(|sum| out == 0 || *sum <= most);
        self.buffers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_ok()
    }

    /// Gives back what [`Memory::reserve_buffer`] set aside.
    pub(crate) fn release_buffer(&self, bytes: usize) {
        self.buffers.fetch_sub(bytes, Ordering::SeqCst);
    }

    /// Bytes in use, buffers included. Costs a look at every shard's levels, as do the sums below.
    pub(crate) fn used(&self) -> usize {
        self.sum().total + self.buffers.load(Ordering::Relaxed)
    }

    /// Bytes that submits may not have: in use by shards, or drawn by them.
    pub(crate) fn granted(&self) -> usize {
        self.granted.load(Ordering::SeqCst)
    }

    /// Bytes of operations that have not settled: entries and flights.
    pub(crate) fn pending(&self) -> usize {
        self.pending_of(self.sum())
    }

    /// The same, of a sum; the peak is noted.
    fn pending_of(&self, sum: Weight) -> usize {
        let pending = sum.total.saturating_sub(sum.clean);
        self.peak_pending.fetch_max(pending as u64, Ordering::Relaxed);
        pending
    }

    /// The most that `pending` was seen to be: it is looked at whenever a shard draws, and whenever the drain looks.
    pub(crate) fn peak_pending(&self) -> u64 {
        self.peak_pending.load(Ordering::Relaxed)
    }

    fn sum(&self) -> Weight {
        let mut sum = Weight::default();
        for levels in &self.levels {
            sum.total += levels.total.load(Ordering::Relaxed);
            sum.aloft += levels.aloft.load(Ordering::Relaxed);
            sum.clean += levels.clean.load(Ordering::Relaxed);
        }
        sum
    }

    /// True where what waits stands so high that the drain should take of it although nothing is due, and it was not
    /// told so since it last looked. To be asked after a shard has drawn.
    pub(crate) fn begins_to_press(&self) -> bool {
        let staying = self.staying();
        staying > self.mark() && !self.told.swap(true, Ordering::Relaxed)
    }

    /// Notes that a submit found no room: the drain is to make some.
    pub(crate) fn note_refusal(&self) {
        self.refused.store(true, Ordering::SeqCst);
    }

    /// Bytes that wait and are not on their way out already. Clean documents are not among them: submits push
    /// them out themselves.
    fn staying(&self) -> usize {
        let sum = self.sum();
        self.pending_of(sum).saturating_sub(sum.aloft)
    }

    fn mark(&self) -> usize {
        self.admit / PRESSURE_SHARE.1 * PRESSURE_SHARE.0
    }

    /// How many bytes the drain should take out although nothing is due: what stands above the pressure mark;
    /// or a share of it all, if a submit larger than what is left was refused since this was last asked.
    pub(crate) fn pressure(&self) -> usize {
        self.told.store(false, Ordering::Relaxed);
        let staying = self.staying();
        let over = staying.saturating_sub(self.mark());
        let refused = self.refused.swap(false, Ordering::SeqCst) || self.waiters.load(Ordering::SeqCst) > 0;
        if over == 0 && refused && staying > 0 { self.admit / 16 } else { over }
    }

    /// Counts the caller among those who wait. It has to look once more before it [waits](Waiter::wait): what came free
    /// before it was counted woke nobody, and may be a shard's credit that is only now called back.
    pub(crate) fn line_up(&self) -> Waiter<'_> {
        self.waiters.fetch_add(1, Ordering::SeqCst);
        Waiter { memory: self, seen: *self.woken.lock() }
    }

    /// Wakes every waiting submit, to look again.
    pub(crate) fn wake_waiters(&self) {
        if self.waiters.load(Ordering::SeqCst) > 0 {
            let mut woken = self.woken.lock();
            *woken += 1;
            self.freed.notify_all();
        }
    }
}

impl Waiter<'_> {
    /// Waits to be woken, at most `wait`; not at all if it was since it last looked.
    pub(crate) fn wait(&mut self, wait: Duration) {
        let mut woken = self.memory.woken.lock();
        if *woken == self.seen {
            wait_for(&self.memory.freed, &mut woken, wait);
        }
        self.seen = *woken;
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.memory.waiters.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a shard's lock was taken for, as far as memory goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) shard: usize,
    pub(crate) before: Weight,
    pub(crate) after: Weight,
    /// What was drawn for it before.
    pub(crate) drawn: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(total: usize) -> Weight {
        Weight { total, ..Weight::default() }
    }

    fn book(memory: &Memory, before: Weight, after: Weight, drawn: usize, credit: &mut usize) {
        let excess = memory.book(&Change { shard: 0, before, after, drawn }, credit);
        memory.release(excess);
    }

    #[test]
    fn what_would_pass_the_bound_leaves_nothing_drawn() {
        let memory = Memory::new(800, 1);
        assert!(memory.reserve(700));
        assert!(!memory.reserve(1));
        let mut credit = 0;
        book(&memory, weight(0), weight(300), 700, &mut credit);
        // One shard keeps an eighth of what may be filled as its credit.
        assert_eq!((memory.used(), credit, memory.granted()), (300, 87, 387));
        assert!(memory.reserve(313));
        assert!(!memory.reserve(1));
    }

    #[test]
    fn what_is_freed_is_the_shards_credit_up_to_a_grant_and_all_of_it_goes_back_while_somebody_waits() {
        let memory = Memory::new(1_600, 2);
        let mut credit = 0;
        assert!(memory.reserve(1_000));
        book(&memory, weight(0), weight(1_000), 1_000, &mut credit);
        book(&memory, weight(1_000), weight(800), 0, &mut credit);
        assert_eq!((credit, memory.granted()), (memory.grant_bytes(), 800 + memory.grant_bytes()));
        book(&memory, weight(800), weight(800 + memory.grant_bytes()), 0, &mut credit);
        assert_eq!((credit, memory.granted()), (0, 800 + memory.grant_bytes()));
        memory.waiters.fetch_add(1, Ordering::SeqCst);
        book(&memory, weight(800 + memory.grant_bytes()), weight(800), 0, &mut credit);
        assert_eq!((credit, memory.granted()), (0, 800));
    }

    #[test]
    fn pending_leaves_out_clean_documents_and_pressure_leaves_out_flights() {
        let memory = Memory::new(1_600, 1);
        let after = Weight { total: 1_400, aloft: 100, clean: 50, known: 50 };
        assert!(memory.reserve(1_400));
        book(&memory, Weight::default(), after, 1_400, &mut 0);
        assert_eq!((memory.pending(), memory.peak_pending()), (1_350, 1_350));
        // 1,250 bytes stay; the mark is seven eighths of seven eighths of the bound.
        assert!(memory.begins_to_press() && !memory.begins_to_press());
        assert_eq!(memory.pressure(), 1_250 - 1_225);
        assert!(memory.begins_to_press());
    }
}
