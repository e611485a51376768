//! Taking what was written least recently, where memory presses.
//!
//! # Design
//! A hand goes over the slab, cell after cell, and takes each entry whose last write is not after a *mark*. The mark is
//! set so that about a quarter of what may leave lies before it: by a sample of [`SAMPLE`] cells, spread over the slab,
//! as caches do that have no room for an order. Once round, a new mark is set. In a shard of no more cells than a
//! sample has, what is taken is exactly the oldest quarter.
//!
//! # Why not a list in the order of writing
//! It was one: then each write of a key that was not hot moved it to the list's end, which wrote to the memory of
//! three other keys, and pressure is rare. And the list's walk met its slots in no order, where a hand meets them side
//! by side.
//!
//! # Invariants
//! 1. Nothing is taken whose last write is after the mark.
//! 2. A walk ends: when it has gone round twice, under two marks, and nothing may leave.

use super::{
    Shard,
    flight::{Room, Taken},
    prefetch::prefetch_bytes,
    slab::SlotId,
    slot::Slot,
};

/// Cells that are looked at to set a mark.
const SAMPLE: u32 = 64;
/// One in so many of the entries that may leave lies before a mark.
const SHARE: usize = 4;
/// Cells that are passed under one hold of the lock.
const PASS_MAX: usize = 512;
/// How many cells ahead of the hand the operations are asked for.
const LOOK_AHEAD: u32 = 4;

/// Where the hand is.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    hand: SlotId,
    /// What was written last at or before this goes.
    mark: u64,
    /// Cells until the next mark is set.
    left: usize,
    /// Cells passed since something was taken.
    idle: usize,
}

impl Shard {
    /// Takes entries of about `wanted` bytes. True where it stopped and there may be more: for lack of room, or as it
    /// held the lock for long.
    pub(super) fn take_least_written(
        &mut self,
        mut wanted: usize,
        now_us: u64,
        room: &mut Room<'_>,
        taken: &mut Taken,
    ) -> bool {
        let cells = self.slab.cells();
        for _ in 0..PASS_MAX {
            if wanted == 0 {
                return false;
            }
            if self.sweep.idle > 2 * cells {
                self.sweep = Sweep { hand: self.sweep.hand, ..Sweep::default() };
                return false;
            }
            if self.sweep.left == 0 {
                let Some(mark) = self.mark(now_us, room) else { return false };
                (self.sweep.mark, self.sweep.left) = (mark, cells);
            }
            let id = if (self.sweep.hand as usize) < cells { self.sweep.hand } else { 0 };
            if let Some(ahead) =
                self.slab.get(id.saturating_add(LOOK_AHEAD)).filter(|slot| self.is_before_mark(slot))
                && let Some(entry) = &ahead.pending
            {
                prefetch_bytes(entry.net(&self.rooms).as_bytes());
            }
            if let Some(slot) = self
                .slab
                .get(id)
                .filter(|slot| self.is_before_mark(slot) && room.wants(slot) && slot.may_leave(now_us))
            {
                if !room.admits(slot) {
                    return true;
                }
                wanted = wanted.saturating_sub(slot.weight());
                self.launch(id, taken);
                self.sweep.idle = 0;
            }
            self.sweep.hand = id + 1;
            self.sweep.idle += 1;
            self.sweep.left -= 1;
        }
        true
    }

    fn is_before_mark(&self, slot: &Slot) -> bool {
        slot.pending.as_ref().is_some_and(|entry| entry.last_seq <= self.sweep.mark)
    }

    /// A new mark; nothing where nothing may leave.
    fn mark(&self, now_us: u64, room: &Room<'_>) -> Option<u64> {
        let may_leave = |slot: &Slot| room.wants(slot) && slot.may_leave(now_us);
        let cells = SlotId::try_from(self.slab.cells()).unwrap_or(SlotId::MAX);
        let step = (cells / SAMPLE).max(1);
        let at = |n: u32| (self.sweep.hand % step).saturating_add(n.saturating_mul(step));
        let written = |id| {
            let slot = self.slab.get(id).filter(|slot| may_leave(slot))?;
            Some(slot.pending.as_ref()?.last_seq)
        };
        let (mut sample, mut count) = ([0; SAMPLE as usize], 0);
        for (place, seq) in sample.iter_mut().zip((0..SAMPLE).map(at).filter_map(written)) {
            *place = seq;
            count += 1;
        }
        let sample = sample.get_mut(..count)?;
        if sample.is_empty() {
            // Hardly anything may leave: whatever is met goes.
            return self.slab.slots().any(|(_, slot)| may_leave(slot)).then_some(u64::MAX);
        }
        let nth = (count / SHARE).max(1) - 1;
        Some(*sample.select_nth_unstable(nth).1)
    }
}
