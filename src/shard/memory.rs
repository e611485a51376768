//! One memory bound for the whole engine, in bytes.
//!
//! # Design
//! Every shard keeps the exact weight of what it holds, under its lock; the shell adds the differences up
//! here. A submit *reserves* what it may need before it takes the shard lock and gives back what it did not
//! use; the shard refuses what would grow it by more. So the sum never passes the bound, whatever the threads
//! do at once. A share of the bound
//! ([`BUFFER_SHARE`]) is kept from submits for the drain's encode buffers, so that draining never needs
//! memory that is not there.
//!
//! # Invariants
//! 1. `used` is the sum of the shards' weights, plus reservations and buffers not yet given back.
//! 2. `used` minus buffers stays at or below `admit` wherever it was raised by a submit.
//! 3. A waiter is woken after every decrease that may let it in: it counts itself before it looks.

use super::Weight;
use crate::sync::{Condvar, Mutex, wait_for};
use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

/// The part of the bound that is kept for encode buffers: one in this many.
const BUFFER_SHARE: usize = 8;
/// Above this part of what submits may fill, the drain takes entries although they are not due.
const PRESSURE_SHARE: (usize, usize) = (7, 8);

/// The accounts.
#[derive(Debug)]
pub(crate) struct Memory {
    bound: usize,
    /// What submits may fill.
    admit: usize,
    used: AtomicUsize,
    aloft: AtomicUsize,
    clean: AtomicUsize,
    buffers: AtomicUsize,
    peak_pending: AtomicU64,
    waiters: AtomicUsize,
    /// A submit was refused since the drain last looked.
    refused: AtomicBool,
    gate: Mutex<()>,
    freed: Condvar,
}

impl Memory {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            bound,
            admit: bound - bound / BUFFER_SHARE,
            used: AtomicUsize::new(0),
            aloft: AtomicUsize::new(0),
            clean: AtomicUsize::new(0),
            buffers: AtomicUsize::new(0),
            peak_pending: AtomicU64::new(0),
            waiters: AtomicUsize::new(0),
            refused: AtomicBool::new(false),
            gate: Mutex::new(()),
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

    /// Sets aside `bytes` for a submit; false, and nothing set aside, if that would pass the bound.
    pub(crate) fn reserve(&self, bytes: usize) -> bool {
        // ORDERING: sequentially consistent, here and in `book` and `wait`: a waiter that counts itself and
        // then finds no room must be seen by whoever makes room after that. Not added first and looked at
        // after: that would pass the bound for a moment, and refuse others because of it.
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.admit);
        self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_ok()
    }

    /// Books a shard's change of weight and gives back the reservation made for it.
    pub(crate) fn book(&self, before: Weight, after: Weight, reserved: usize) {
        shift(&self.aloft, before.aloft, after.aloft);
        shift(&self.clean, before.clean, after.clean);
        shift(&self.used, before.total + reserved, after.total);
        if after.total > before.total {
            let pending = self.pending() as u64;
            if pending > self.peak_pending.load(Ordering::Relaxed) {
                self.peak_pending.fetch_max(pending, Ordering::Relaxed);
            }
        }
        if before.total + reserved > after.total {
            self.wake_waiters();
        }
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

    /// Bytes in use, buffers included.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed) + self.buffers.load(Ordering::Relaxed)
    }

    /// Bytes of operations that have not settled: entries and flights.
    pub(crate) fn pending(&self) -> usize {
        self.used.load(Ordering::Relaxed).saturating_sub(self.clean.load(Ordering::Relaxed))
    }

    /// The most that `pending` ever was.
    pub(crate) fn peak_pending(&self) -> u64 {
        self.peak_pending.load(Ordering::Relaxed)
    }

    /// What waits stands so high that the drain should take of it although nothing is due.
    pub(crate) fn is_pressed(&self) -> bool {
        self.staying() > self.mark()
    }

    /// Notes that a submit found no room: the drain is to make some.
    pub(crate) fn note_refusal(&self) {
        self.refused.store(true, Ordering::SeqCst);
    }

    /// Bytes that wait and are not on their way out already. Clean documents are not among them: submits push
    /// them out themselves.
    fn staying(&self) -> usize {
        self.pending().saturating_sub(self.aloft.load(Ordering::Relaxed))
    }

    fn mark(&self) -> usize {
        self.admit / PRESSURE_SHARE.1 * PRESSURE_SHARE.0
    }

    /// How many bytes the drain should take out although nothing is due: what stands above the pressure mark;
    /// or a share of it all, if a submit larger than what is left was refused since this was last asked.
    pub(crate) fn pressure(&self) -> usize {
        let staying = self.staying();
        let over = staying.saturating_sub(self.mark());
        let refused = self.refused.swap(false, Ordering::SeqCst) || self.waiters.load(Ordering::SeqCst) > 0;
        if over == 0 && refused && staying > 0 { self.admit / 16 } else { over }
    }

    /// Waits until there may be room for `bytes`, at most `wait`. True if the time ran out first.
    pub(crate) fn wait(&self, bytes: usize, wait: Duration) -> bool {
        self.waiters.fetch_add(1, Ordering::SeqCst);
        let mut gate = self.gate.lock();
        let room = self.used.load(Ordering::SeqCst) + bytes <= self.admit;
        let timed_out = !room && wait_for(&self.freed, &mut gate, wait);
        drop(gate);
        self.waiters.fetch_sub(1, Ordering::SeqCst);
        timed_out
    }

    /// Waits for any settlement, at most `wait`. True if the time ran out first.
    pub(crate) fn wait_for_change(&self, wait: Duration) -> bool {
        self.wait(usize::MAX / 2, wait)
    }

    /// Wakes every waiting submit, to look again.
    pub(crate) fn wake_waiters(&self) {
        if self.waiters.load(Ordering::SeqCst) > 0 {
            let _gate = self.gate.lock();
            self.freed.notify_all();
        }
    }
}

fn shift(sum: &AtomicUsize, before: usize, after: usize) {
    if after > before {
        sum.fetch_add(after - before, Ordering::SeqCst);
    } else if before > after {
        sum.fetch_sub(before - after, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_that_would_pass_the_bound_leaves_nothing_set_aside() {
        let memory = Memory::new(800);
        assert!(memory.reserve(700));
        assert!(!memory.reserve(1));
        memory.book(Weight::default(), Weight { total: 300, ..Weight::default() }, 700);
        assert_eq!(memory.used(), 300);
        assert!(memory.reserve(400));
    }

    #[test]
    fn pending_leaves_out_clean_documents_and_pressure_leaves_out_flights() {
        let memory = Memory::new(1_600);
        let after = Weight { total: 1_400, aloft: 100, clean: 50, known: 50 };
        assert!(memory.reserve(1_400));
        memory.book(Weight::default(), after, 1_400);
        assert_eq!((memory.pending(), memory.peak_pending()), (1_350, 1_350));
        // 1,250 bytes stay; the mark is seven eighths of seven eighths of the bound.
        assert_eq!(memory.pressure(), 1_250 - 1_225);
    }
}
