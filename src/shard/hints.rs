//! Where keys lie, for asking ahead: guesses that cost no lock.
//!
//! # Design
//! A submit of a key that was not touched lately waits for memory three times over, as each place is known only from
//! the one before: the index's word, the slot, the operation that waits there. Two of these waits go where both places
//! are remembered beside the shards: then slot and operation are asked for at once, before the body is checked, and
//! arrive meanwhile. A hint is one word at a place that the key's hash gives, written under the shard's lock and read
//! without it.
//!
//! Nothing is ever decided by a hint. Another key's, an old one, one whose memory was freed: each costs a line that is
//! fetched in vain. A batch has time to look as well, key after key.
//!
//! # Why not read the index without the lock
//! It grows and moves, so readers without the lock would need its old arrays kept, or counted. And it knows the slot
//! only, where the other half of the wait is for the operation.
//!
//! # Invariants
//! 1. There is at most one hint for [`BYTES_PER_HINT`] bytes of the memory bound, and never more than
//!    [`HINTS_MAX`]: below a hundredth of what they serve.

use super::prefetch::{prefetch_address, prefetch_from, prefetch_up_to};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Of the memory bound there is one hint for so many bytes.
const BYTES_PER_HINT: usize = 1024;
/// Eight mebibytes of hints.
const HINTS_MAX: usize = 1 << 20;
/// Places are kept in steps of sixteen bytes, which is what an allocator gives out.
const STEP_BITS: u32 = 4;
/// Bits of an address that a hint keeps. All places share the others, mostly.
const PLACE_BITS: u32 = 32 + STEP_BITS;

/// Lines of a slot.
pub(super) const SLOT_LINES: usize = 2;
/// Lines of an operation, from its end: what is at its end is looked at first.
const OPERATION_LINES: usize = 6;

/// Where a key lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Of its slot.
    pub(super) slot: usize,
    /// Of the end of the operation that waits there.
    pub(super) operation_end: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Hints {
    words: Box<[AtomicU64]>,
    /// The upper bits of the addresses noted last.
    upper: AtomicUsize,
}

impl Hints {
    /// Hints for an engine that may hold so much.
    pub(super) fn new(memory_bytes: usize) -> Self {
        let most = (memory_bytes / BYTES_PER_HINT).clamp(1, HINTS_MAX);
        let count = if most.is_power_of_two() { most } else { most.next_power_of_two() / 2 };
        Self { words: (0..count).map(|_| AtomicU64::new(0)).collect(), upper: AtomicUsize::new(0) }
    }

    #[inline]
    fn word(&self, tag: u32) -> Option<&AtomicU64> {
        // The lower bits: the upper ones are the key's place in the index.
        self.words.get(tag as usize & (self.words.len() - 1))
    }

    /// Asks for the hint of a key itself: it will be noted.
    #[inline]
    pub(super) fn announce(&self, tag: u32) {
        if let Some(word) = self.word(tag) {
            prefetch_address(std::ptr::from_ref(word).addr());
        }
    }

    /// Asks for a key's slot, and for the last lines of its operation.
    #[inline]
    pub(super) fn follow(&self, tag: u32) {
        if let Some(address) = self.get(tag) {
            prefetch_from(address.slot, SLOT_LINES);
            prefetch_up_to(address.operation_end, OPERATION_LINES);
        }
    }

    /// Where a key was last, to [`STEP_BITS`].
    #[inline]
    fn get(&self, tag: u32) -> Option<Address> {
        let word = self.word(tag)?.load(Ordering::Relaxed);
        let upper = self.upper.load(Ordering::Relaxed) << PLACE_BITS;
        let place = |half: u64| upper | (usize::try_from(half).unwrap_or(0) << STEP_BITS);
        (word != 0)
            .then(|| Address { slot: place(word >> 32), operation_end: place(word & u64::from(u32::MAX)) })
    }

    /// Notes where a key lies. To be called under its shard's lock, while the hint's line is near.
    #[inline]
    pub(super) fn note(&self, tag: u32, address: Address) {
        let Some(word) = self.word(tag) else { return };
        let half = |address: usize| (address >> STEP_BITS) as u64 & u64::from(u32::MAX);
        let new = (half(address.slot) << 32) | half(address.operation_end);
        if word.load(Ordering::Relaxed) != new {
            word.store(new, Ordering::Relaxed);
            let upper = address.slot >> PLACE_BITS;
            if self.upper.load(Ordering::Relaxed) != upper {
                self.upper.store(upper, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_says_where_its_key_was_last_to_sixteen_bytes() {
        let hints = Hints::new(1 << 20);
        assert_eq!(hints.get(7), None);
        hints.note(7, Address { slot: 0x7F3A_1234_5680, operation_end: 0x7F3A_8765_4321 });
        let known = Address { slot: 0x7F3A_1234_5680, operation_end: 0x7F3A_8765_4320 };
        assert_eq!(hints.get(7), Some(known));
        hints.note(8, Address { slot: 0x7F3A_0000_0080, operation_end: 0x7F3A_0000_0010 });
        assert_eq!(hints.get(7), Some(known));
        hints.announce(7);
        hints.follow(7);
    }

    #[test]
    fn there_are_as_many_hints_as_the_bound_allows() {
        for (bound, count) in [(0, 1), (1 << 20, 1 << 10), ((1 << 21) - 1, 1 << 10), (usize::MAX, HINTS_MAX)]
        {
            assert_eq!(Hints::new(bound).words.len(), count);
        }
    }
}
