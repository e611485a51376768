//! A source that remembers only what it was told it may forget, and delivers the rest again.

use crate::simulation::{KINDS, Random, Write};

/// The name under which it is known.
pub const NAME: &str = "source";

/// See the module.
#[derive(Debug, Default)]
pub struct Outside {
    /// It delivers from here on after a crash: nothing before is asked for again.
    pub committed: u64,
    /// The next position.
    pub next: u64,
    /// All positions below were delivered.
    delivered: u64,
}

impl Outside {
    /// The operation at a position: the same each time, on one of so many keys.
    pub fn operation(position: u64, keys: usize) -> (usize, Write) {
        let mut random = Random::new(position ^ 0x5EED);
        let key = random.below(keys as u64) as usize;
        // Counters, so that what is counted twice shows, and what cannot fold, so that they do not all become one.
        let kind = *random.pick(&[7, 8, 8, 10, 20]);
        assert!(kind < KINDS);
        (key, Write { kind, field: random.next() as u8, value: random.next() as u8, size: 0 })
    }

    /// It delivers what is at its next position, whatever comes of it.
    pub fn deliver(&mut self) -> u64 {
        self.delivered = self.delivered.max(self.next + 1);
        self.next
    }

    /// It was told that it need not deliver up to a position again; it remembers that, or less.
    pub fn may_forget(&mut self, position: Option<u64>, random: &mut Random) {
        let end = position.map_or(0, |position| position + 1);
        assert!(end <= self.delivered, "told to forget {end}, of {}", self.delivered);
        let behind = random.below(4);
        self.committed = self.committed.max(end.saturating_sub(behind));
    }

    /// All that it had not committed comes again.
    pub fn begin_again(&mut self) {
        self.next = self.committed;
    }
}
