//! The hash index of a shard: from a key's hash to the slots that may hold it.
//!
//! # Design
//! One array of words, open addressing, linear probing. A word is a 32-bit tag (a part of the key's hash) beside a
//! slot's number: a probe that misses touches one cache line and no slot, and a hit goes to the one slot that
//! matters. A tag's top bits are its home, so that a table is in order of tags but for what collided.
//!
//! Growing is done in steps: the old array stays, and each insertion moves a few of its words to the new one. Tags
//! hold all that moving needs, so no slot is touched for it.
//!
//! # Why not hashbrown
//! It keeps its control bytes apart from its buckets (two lines for a hit, before the slot), it has no way to ask
//! for a line ahead of its use, and it grows all at once: for a shard of 16,000 keys half a millisecond under the
//! shard's lock, in which every writer that comes along waits.
//!
//! # Invariants
//! 1. Every slot that was inserted and not removed stands in exactly one word, in `new` or in `old` at or after
//!    `moved`, at or behind its tag's home with no empty word between.
//! 2. `used` counts the words of `new` that are not empty; `new` always has an empty word.
//! 3. `old` is empty unless words are being moved; it holds no slot before `moved`.

use super::slab::SlotId;

/// A word that was never used.
const EMPTY: u64 = 0;
/// A word of the old array whose slot has moved or gone: probes pass over it. No slot's word has zeros here.
const GONE: u64 = 1 << 32;
/// Words of the first array.
const FIRST_BITS: u32 = 5;
/// Of sixteen words, how many may be used before the array grows.
const LOAD_SIXTEENTHS: usize = 13;
/// Words of the old array that an insertion looks at.
const STEP_WORDS: usize = 16;

/// See the module.
#[derive(Debug)]
pub(crate) struct Index {
    new: Vec<u64>,
    /// `new` has `1 << bits` words.
    bits: u32,
    used: usize,
    old: Vec<u64>,
    moved: usize,
}

impl Index {
    pub(crate) fn new() -> Self {
        Self { new: vec![EMPTY; 1 << FIRST_BITS], bits: FIRST_BITS, used: 0, old: Vec::new(), moved: 0 }
    }

    /// The slot of this tag that `same` says yes to.
    #[inline]
    pub(crate) fn find(&self, tag: u32, mut same: impl FnMut(SlotId) -> bool) -> Option<SlotId> {
        let found = probe(&self.new, tag, &mut same);
        if found.is_some() || self.old.is_empty() {
            return found.map(|(_, slot)| slot);
        }
        probe(&self.old, tag, &mut same).map(|(_, slot)| slot)
    }

    /// The first slot of this tag: what a reader who is about to come will most likely want.
    #[inline]
    pub(crate) fn guess(&self, tag: u32) -> Option<SlotId> {
        self.find(tag, |_| true)
    }

    /// Adds a slot, which is not in it.
    pub(crate) fn insert(&mut self, tag: u32, slot: SlotId) {
        self.step();
        if (self.used + 1) * 16 > self.new.len() * LOAD_SIXTEENTHS {
            self.grow();
        }
        place(&mut self.new, word(tag, slot));
        self.used += 1;
    }

    /// Takes a slot out; false if it is not there.
    pub(crate) fn remove(&mut self, tag: u32, slot: SlotId) -> bool {
        if let Some((at, _)) = probe(&self.new, tag, |other| other == slot) {
            close_gap(&mut self.new, at);
            self.used -= 1;
            return true;
        }
        let found = probe(&self.old, tag, |other| other == slot);
        if let Some(gone) = found.and_then(|(at, _)| self.old.get_mut(at)) {
            *gone = GONE;
        }
        found.is_some()
    }

    /// Where the word of a tag stands, unless it collided: to be asked for ahead. The place and the number of bits
    /// that make an offset from it.
    pub(crate) fn place(&self) -> (*const u64, u32) {
        (self.new.as_ptr(), self.bits)
    }

    /// Begins to move to an array of twice the size.
    #[cold]
    fn grow(&mut self) {
        // Each insertion moves more words than it adds, so the last move has long ended; if not, it ends now.
        while !self.old.is_empty() {
            self.step();
        }
        self.bits += 1;
        let larger = vec![EMPTY; 1 << self.bits];
        self.old = std::mem::replace(&mut self.new, larger);
        (self.moved, self.used) = (0, 0);
    }

    /// Moves some words of the old array.
    #[inline]
    fn step(&mut self) {
        if self.old.is_empty() {
            return;
        }
        let end = (self.moved + STEP_WORDS).min(self.old.len());
        for moving in self.old.get_mut(self.moved..end).unwrap_or_default() {
            let word = std::mem::replace(moving, if *moving == EMPTY { EMPTY } else { GONE });
            if word != EMPTY && word != GONE {
                place(&mut self.new, word);
                self.used += 1;
            }
        }
        self.moved = end;
        if self.moved == self.old.len() {
            self.old = Vec::new();
        }
    }

    /// Slots in the index.
    pub(crate) fn len(&self) -> usize {
        let waiting = self.old.get(self.moved..).unwrap_or_default();
        self.used + waiting.iter().filter(|word| **word != EMPTY && **word != GONE).count()
    }

    /// Checks the invariants; the error names the one that fails.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let used = self.new.iter().filter(|word| **word != EMPTY).count();
        if used != self.used || used >= self.new.len() || self.new.contains(&GONE) {
            return Err(format!("index invariant 2: {used} words used, {} counted", self.used));
        }
        let before = self.old.get(..self.moved).unwrap_or(&self.old);
        if before.iter().any(|word| *word != EMPTY && *word != GONE) {
            return Err("index invariant 3: a slot stands before what is still to be moved".to_owned());
        }
        for words in [&self.new, &self.old] {
            for (at, word) in words.iter().enumerate().filter(|(_, word)| **word != EMPTY && **word != GONE) {
                let (tag, slot) = ((*word >> 32) as u32, number(*word));
                let found = probe(words, tag, |other| other == slot);
                if found.map(|(place, _)| place) != Some(at) {
                    return Err(format!(
                        "index invariant 1: slot {slot:?} cannot be reached, or stands twice"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// A slot's word. Slots are numbered below `u32::MAX`, so a word's low half is never zero.
#[inline]
fn word(tag: u32, slot: SlotId) -> u64 {
    u64::from(tag) << 32 | (u64::from(slot) + 1)
}

/// The slot of a word that has one.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
fn number(word: u64) -> SlotId {
    (word as u32).wrapping_sub(1)
}

/// Where the search for a tag begins in an array, whose length is a power of two.
#[inline]
pub(crate) fn home(tag: u32, bits: u32) -> usize {
    usize::try_from(u64::from(tag) >> (32 - bits)).unwrap_or(usize::MAX)
}

/// The word of a tag whose slot `same` says yes to: its place and its slot.
#[inline]
fn probe(words: &[u64], tag: u32, mut same: impl FnMut(SlotId) -> bool) -> Option<(usize, SlotId)> {
    let mask = words.len().checked_sub(1)?;
    let mut at = home(tag, words.len().trailing_zeros());
    loop {
        let word = *words.get(at & mask)?;
        if word == EMPTY {
            return None;
        }
        let is_tagged = (word >> 32) as u32 == tag;
        if is_tagged && word != GONE && same(number(word)) {
            return Some((at & mask, number(word)));
        }
        at += 1;
    }
}

/// Puts a word in the first empty place at or behind its home; there is one.
#[inline]
fn place(words: &mut [u64], word: u64) {
    let mut at = home((word >> 32) as u32, words.len().trailing_zeros());
    let mask = words.len() - 1;
    loop {
        match words.get_mut(at & mask) {
            Some(free) if *free == EMPTY => {
                *free = word;
                return;
            }
            Some(_) => at += 1,
            None => return,
        }
    }
}

/// Empties a place and moves up what could then not be reached any more.
fn close_gap(words: &mut [u64], mut gap: usize) {
    let (mask, bits) = (words.len() - 1, words.len().trailing_zeros());
    let mut at = gap;
    loop {
        at = (at + 1) & mask;
        let word = words.get(at).copied().unwrap_or(EMPTY);
        if word == EMPTY {
            break;
        }
        let from_home = at.wrapping_sub(home((word >> 32) as u32, bits)) & mask;
        // The word may stand anywhere from its home on: it moves if the gap is not before its home.
        if from_home >= at.wrapping_sub(gap) & mask {
            words.swap(gap, at);
            gap = at;
        }
    }
    if let Some(last) = words.get_mut(gap) {
        *last = EMPTY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn the_index_holds_what_a_map_holds_through_growth_and_removals(
            steps in proptest::collection::vec((any::<bool>(), 0..600_u32, 0..4_u32), 1..2_000)
        ) {
            let (mut index, mut model) = (Index::new(), BTreeMap::new());
            for (adds, slot, spread) in steps {
                // Few tags, so that they collide; near both ends, so that probes wrap.
                let tag = if spread == 0 { u32::MAX - slot % 3 } else { slot.wrapping_mul(spread * 7_000_003) };
                if adds && !model.contains_key(&slot) {
                    index.insert(tag, slot);
                    model.insert(slot, tag);
                } else if let Some(tag) = model.remove(&slot) {
                    prop_assert!(index.remove(tag, slot));
                    prop_assert!(!index.remove(tag, slot));
                }
            }
            prop_assert_eq!(index.validate(), Ok(()));
            prop_assert_eq!(index.len(), model.len());
            for (slot, tag) in model {
                prop_assert_eq!(index.find(tag, |other| other == slot), Some(slot));
                prop_assert!(index.guess(tag).is_some());
            }
        }
    }

    #[test]
    fn growing_moves_a_few_words_at_a_time_and_loses_none() {
        let mut index = Index::new();
        let tag = |slot: u32| slot.wrapping_mul(0x9E37_79B9);
        for slot in 0..10_000 {
            index.insert(tag(slot), slot);
            if slot % 97 == 0 {
                assert_eq!(index.validate(), Ok(()));
                assert!((0..=slot).all(|slot| index.find(tag(slot), |other| other == slot) == Some(slot)));
            }
        }
        assert_eq!(index.len(), 10_000);
        assert!(index.find(tag(10_000), |other| other == 10_000).is_none());
    }
}
