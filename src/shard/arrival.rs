//! When an entry arrived, and where the journal has it as a whole: two numbers in one word.
//!
//! # Design
//! Forty-eight bits are the time of its first operation, in microseconds of the monotonic clock: nine years of them. The other
//! sixteen are the number of a file of the journal, modulo 65,535, or that there is none. Every entry pays for this word, with
//! a journal or without.
//!
//! # What the file says
//! Everything of the entry that was accepted before it was last written again stands in that file or in a later one. So what of it stands
//! in an older file need not be written again for that file's sake.
//!
//! # Why modulo
//! Two numbers are only compared within the files that are there, and who compares them sees to it that those are fewer than
//! [`FILES_MAX`].
//!
//! # Invariants
//! 1. A number that is set is that of a file that is there, or was there last: who removes a file has set newer ones first.

use std::cell::Cell;

/// So many files may be there where numbers are compared.
pub(crate) const FILES_MAX: u64 = 30_000;

const TIME_BITS: u32 = 48;
const TIME: u64 = (1 << TIME_BITS) - 1;
const MODULUS: u64 = 65_535;

/// See the module. It is set under the lock of its shard, through a shared reference.
#[derive(Debug, Default)]
pub(crate) struct Arrival(Cell<u64>);

impl Arrival {
    /// Arrived at this time, and stands nowhere as a whole.
    pub(crate) fn new(arrived_us: u64) -> Self {
        Self(Cell::new(arrived_us.min(TIME)))
    }

    /// When it arrived.
    #[inline]
    pub(crate) fn us(&self) -> u64 {
        self.0.get() & TIME
    }

    fn mark(&self) -> u64 {
        self.0.get() >> TIME_BITS
    }

    /// It was written as a whole to the file of this number, or a later one.
    pub(crate) fn set_written(&self, file: u64) {
        self.0.set(self.us() | (file % MODULUS + 1) << TIME_BITS);
    }

    /// True where it was written as a whole, but for what came later, to a file behind this one.
    pub(crate) fn is_written_behind(&self, file: u64) -> bool {
        let Some(written) = self.mark().checked_sub(1) else { return false };
        (1..=FILES_MAX).contains(&((written + MODULUS - file % MODULUS) % MODULUS))
    }

    /// Another is folded into it, with its operations in other places.
    pub(crate) fn join(&self, other: &Self) {
        if self.mark() != other.mark() {
            self.0.set(self.us());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_behind_another_however_many_there_were() {
        let arrival = Arrival::new(u64::MAX);
        assert_eq!(arrival.us(), TIME);
        assert!(!arrival.is_written_behind(0) && !arrival.is_written_behind(u64::MAX));
        let arrival = Arrival::new(77);
        for file in [1, 2, 65_533, 65_534, 65_535, 65_536, 1 << 40] {
            arrival.set_written(file);
            assert_eq!(arrival.us(), 77);
            for (other, behind) in
                [(file, false), (file - 1, true), (file + 1, false), (file + FILES_MAX, false)]
            {
                assert_eq!(arrival.is_written_behind(other), behind, "{file} {other}");
            }
            if let Some(oldest) = file.checked_sub(FILES_MAX) {
                assert!(arrival.is_written_behind(oldest));
            }
        }
    }

    #[test]
    fn two_that_stand_in_one_file_stand_there_together_and_others_nowhere() {
        let (one, other) = (Arrival::new(1), Arrival::new(2));
        one.set_written(9);
        other.set_written(9);
        one.join(&other);
        assert!(one.is_written_behind(8));
        other.set_written(10);
        one.join(&other);
        assert!(!one.is_written_behind(8));
        assert_eq!(one.us(), 1);
    }
}
