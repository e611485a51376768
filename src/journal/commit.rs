//! Group commit: many who wait for the medium, one who goes there.
//!
//! # Design
//! Who needs everything up to a place on the medium looks whether it is; else whether somebody is on the way. Where nobody
//! is, it goes itself: it writes what is filled, syncs, says how far it came, and wakes the others. What was placed
//! while it was away goes with the next.
//!
//! # Why not a thread of its own
//! A writer that commits for itself needs no other to be woken, and a simulation without threads runs the very same code.
//!
//! # Invariants
//! 1. `synced` only rises, and all that was placed below it is on the medium.
//! 2. At most one thread leads; whoever stops leading, however it stops, wakes the others.
//!
//! # Locking
//! LOCK: the writer's lock is taken by the leader and by who needs room; the state's lock is held for a look, never across
//! I/O, and taken last.

use super::{
    admission::{Admission, Class},
    ring::Ring,
    writer::{Room, Writer},
};
use crate::{
    Result,
    sync::{
        Condvar, Latch, LatchOnPanic, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        wait_for, yield_now,
    },
};
use std::{sync::Arc, time::Duration};

/// How often who waits for another's sync lets others run before it sleeps: to sleep and to be woken costs more than a
/// short sync takes.
const YIELDS: u32 = 100;
/// The longest single wait: a failure elsewhere may wake nobody.
const WAIT_STEP: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Commit {
    pub(super) ring: Ring,
    pub(super) admission: Admission,
    writer: Mutex<Writer>,
    leading: AtomicBool,
    sleepers: Mutex<usize>,
    landed: Condvar,
    synced: AtomicU64,
    latch: Arc<Latch>,
}

/// Lets the next one lead.
struct Leading<'a>(&'a Commit);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.0.leading.store(false, Ordering::SeqCst);
        // Locked: who is about to sleep has seen this, or sleeps.
        if *self.0.sleepers.lock() > 0 {
            self.0.landed.notify_all();
        }
    }
}

impl Commit {
    pub(super) fn new(ring: Ring, writer: Writer, latch: Arc<Latch>) -> Self {
        let admission = Admission::default();
        writer.set_limits(&ring, &admission);
        Self {
            ring,
            admission,
            writer: Mutex::new(writer),
            leading: AtomicBool::new(false),
            sleepers: Mutex::new(0),
            landed: Condvar::new(),
            synced: AtomicU64::new(0),
            latch,
        }
    }

    /// How far everything is on the medium.
    pub(super) fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    /// Returns when everything placed before `end` is on the medium.
    pub(super) fn commit(&self, end: u64) -> Result<()> {
        let mut yields = 0;
        while self.synced() < end {
            self.latch.check()?;
            // ORDERING: acquire, with the release of `Leading`: who leads next sees what the one before did.
            if !self.leading.swap(true, Ordering::Acquire) {
                let _leading = Leading(self);
                if self.synced() < end {
                    self.lead(end)?;
                }
            } else if yields < YIELDS {
                yields += 1;
                yield_now();
            } else {
                self.sleep(end);
            }
        }
        Ok(())
    }

    /// Sleeps until somebody has come back from the medium.
    fn sleep(&self, end: u64) {
        let mut sleepers = self.sleepers.lock();
        // ORDERING: sequentially consistent, here and in `Leading`: either this sees that nobody leads any more, or who
        // has just stopped sees that somebody sleeps.
        *sleepers += 1;
        if self.synced() < end && self.leading.load(Ordering::SeqCst) {
            wait_for(&self.landed, &mut sleepers, WAIT_STEP);
        }
        *sleepers -= 1;
    }

    /// Writes what is filled, up to `end` at least, and syncs it.
    fn lead(&self, end: u64) -> Result<()> {
        let mut writer = self.writer.lock();
        let synced = self.careful(|| {
            loop {
                writer.write_out(&self.ring, &self.admission)?;
                if writer.written_to() >= end {
                    break;
                }
                // Somebody has a place before ours and is about to fill it.
                yield_now();
            }
            writer.sync()?;
            Ok(writer.written_to())
        })?;
        self.synced.fetch_max(synced, Ordering::AcqRel);
        Ok(())
    }

    /// Lets a record in that was not let in at first.
    pub(super) fn let_in(&self, class: Class, needs: (u64, u64), may_rotate: bool) -> Result<Room> {
        let mut writer = self.writer.lock();
        self.careful(|| writer.let_in(&self.ring, &self.admission, class, needs, may_rotate))
    }

    /// What was let in will not be placed.
    pub(super) fn withdraw(&self, cost: u64, aside: u64) {
        self.admission.withdraw(cost);
        if aside > 0 {
            self.writer.lock().withdraw(aside);
        }
    }

    /// Runs `f` on the writer, alone.
    pub(super) fn with_writer<R>(&self, f: impl FnOnce(&mut Writer) -> Result<R>) -> Result<R> {
        let mut writer = self.writer.lock();
        self.careful(|| f(&mut writer))
    }

    /// Whatever fails while the journal is written is final: what is on the medium is not known any more.
    fn careful<R>(&self, f: impl FnOnce() -> Result<R>) -> Result<R> {
        self.latch.check()?;
        let _alarm = LatchOnPanic::new(&self.latch, "writing the journal");
        f().map_err(|error| {
            self.latch.set(format_args!(
                "{error}; what is on the disk is not known: restart, and the journal is read again"
            ));
            self.landed.notify_all();
            self.latch.check().err().unwrap_or(error)
        })
    }
}
