//! Group commit: many who wait for the medium, one who goes there.
//!
//! # Design
//! Who needs everything up to a place on the medium looks whether it is; else whether somebody is on the way. Where nobody
//! is, it goes itself: it writes what is filled, syncs, says how far it came, calls one of those that came while it was
//! away, and wakes those that it went for. So the next is on the way while they still wake up. What a woken
//! one finds is not taken for granted: it looks again, and waits or goes itself where it was not gone for.
//!
//! # Why not a thread of its own
//! A writer that commits for itself needs no other to be woken, and a simulation without threads runs the very same code.
//!
//! # Why those that wait look a few times, and then sleep
//! To look costs less than to be woken; but many who look again and again take the processors from those who have something
//! to do, so that fewer go with the next. Thousands of operations a second of 64 writers where each looks so often, on two
//! processors with nothing else to do, and with three endless loops of others:
//!
//! | looks | alone | beside others |
//! | --- | --- | --- |
//! | 0 | 135 to 150 | 65 to 118 |
//! | 3 or 4 | 216 to 221 | 100 to 102 |
//! | 8 or 10 | 220 to 254 | 86 |
//! | 100 | 231 to 236 | 18, once |
//!
//! So 64 may look four times each, and fewer oftener. A group is woken by one call of the system (`sync/herd.rs`).
//!
//! # Why the next does not wait for those that were just woken
//! As many as can come while one sync lasts go with the next as it is. Where all of 64 were waited for, there were a third
//! as many syncs, each three times as far from the next: 212,000 operations a second instead of 208,000.
//!
//! # Invariants
//! 1. `synced` only rises, and all that was placed below it is on the medium.
//! 2. At most one thread leads.
//! 3. Where nobody leads, nobody waits who was not called, or will not be by one that was: whoever stops leading calls one,
//!    and whoever was called leads, or calls another.
//!
//! # Locking
//! LOCK: the writer's lock is taken by the leader and by who needs room; the turn's lock is held for a look, never across
//! I/O, and taken last. Bells ring outside of it.

use super::{
    admission::{Admission, Class},
    ring::Ring,
    writer::{Room, Writer},
};
use crate::{
    Result,
    sync::{
        Held, Herd, Latch, LatchOnPanic, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
        yield_now,
    },
};
use crossbeam_utils::CachePadded;
use std::sync::Arc;

/// How often those who wait let others run before they sleep, all of them together: to sleep and to be woken costs more than
/// a short sync takes.
const LOOKS: u32 = 256;

/// See the module.
pub(super) struct Commit {
    pub(super) ring: Ring,
    pub(super) admission: Admission,
    writer: Mutex<Writer>,
    turn: Herd<Turn>,
    /// Somebody is on the way: what [`Turn`] says, for a look without the lock.
    is_led: AtomicBool,
    /// How many look whether it is over.
    looking: CachePadded<AtomicU32>,
    synced: AtomicU64,
    latch: Arc<Latch>,
}

/// Who goes to the medium, and who waits.
#[derive(Default)]
struct Turn {
    /// Somebody is on the way.
    leading: bool,
    /// The group that sets out next. Who has come before waits for its bell.
    group: u64,
    /// Whether anybody may wait for the bell of a group, by even and odd.
    waiting: [bool; 2],
}

impl Turn {
    fn waiting(&mut self, group: u64) -> &mut bool {
        let [even, odd] = &mut self.waiting;
        if group.is_multiple_of(2) { even } else { odd }
    }
}

/// Lets the next one lead.
struct Leading<'a>(&'a Commit);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        let mut turn = self.0.turn.lock();
        turn.leading = false;
        // ORDERING: relaxed, here and where it is set: who acts on it takes the lock and looks again.
        self.0.is_led.store(false, Ordering::Relaxed);
        self.0.land(turn);
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
            turn: Herd::new(Turn::default()),
            is_led: AtomicBool::new(false),
            looking: CachePadded::new(AtomicU32::new(0)),
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
        if self.synced() >= end {
            return Ok(());
        }
        let (mut turn, mut has_looked) = (self.turn.lock(), false);
        while self.synced() < end && self.latch.check().is_ok() {
            if !turn.leading {
                turn.leading = true;
                self.is_led.store(true, Ordering::Relaxed);
                drop(turn);
                let _leading = Leading(self);
                return self.lead(end);
            }
            if !std::mem::replace(&mut has_looked, true) {
                drop(turn);
                self.look(end);
                turn = self.turn.lock();
                continue;
            }
            let group = turn.group;
            *turn.waiting(group) = true;
            turn = self.turn.wait(turn, group);
        }
        // Whoever was called to lead, and need not, calls the next.
        self.call_next(turn);
        if self.synced() >= end { Ok(()) } else { self.latch.check() }
    }

    /// Lets others run a few times, as long as somebody is on the way.
    fn look(&self, end: u64) {
        let mut looking = self.looking.fetch_add(1, Ordering::Relaxed) + 1;
        let mut looks = 0;
        while looks * looking < LOOKS && self.synced() < end && self.is_led.load(Ordering::Relaxed) {
            yield_now();
            looks += 1;
            looking = self.looking.load(Ordering::Relaxed);
        }
        self.looking.fetch_sub(1, Ordering::Relaxed);
    }

    /// A group has come back: calls one of the next, and then all of this.
    fn land(&self, mut turn: Held<'_, Turn>) {
        let landed = turn.group.wrapping_sub(1);
        let waited = std::mem::take(turn.waiting(landed));
        self.call_next(turn);
        if waited {
            self.turn.wake_all(landed);
        }
    }

    /// Where nobody leads, and somebody waits: calls one to lead. All, where the journal has failed.
    fn call_next(&self, mut turn: Held<'_, Turn>) {
        let next = turn.group;
        let waits = *turn.waiting(next) && !turn.leading;
        drop(turn);
        if self.latch.check().is_err() {
            self.turn.wake_all(next);
            self.turn.wake_all(next.wrapping_sub(1));
        } else if waits {
            self.turn.wake_one(next);
        }
    }

    /// Writes what is filled, up to `end` at least, and syncs it.
    fn lead(&self, end: u64) -> Result<()> {
        let mut writer = self.writer.lock();
        // What is filled by now goes with this group: so does who has come.
        self.turn.lock().group += 1;
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
    pub(super) fn let_in(&self, class: Class, needs: (u64, u64), old_max: u64) -> Result<Room> {
        let mut writer = self.writer.lock();
        self.careful(|| writer.let_in(&self.ring, &self.admission, class, needs, old_max))
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
            self.latch.check().err().unwrap_or(error)
        })
    }
}

#[cfg(test)]
mod tests;
