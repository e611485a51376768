//! The key filter of a segment: says "not here" without touching a block.
//!
//! # Design
//! A blocked Bloom filter: a key's hash picks one 64-byte line and six bits in it, so a probe costs one
//! cache miss whatever the size. At ten bits a key about one probe in sixty is wrong, always towards "may be
//! here". It is held on the heap, not in the map: it was checked once at opening, and a bit that rots later
//! would silently hide a document.
//!
//! # Why it is sized first and folded last
//! A merge streams; it knows how many records go in, not how many come out. So the builder is sized
//! for all of them and halved at the end while ten bits a key remain: lines are numbered by the high bits of
//! the hash, so halving joins neighbours.
//!
//! # Invariants
//! 1. A key that was inserted is always found (no false negatives), before and after folding.
//! 2. There is at least one line.

use super::format::{Fields, damage};
use crate::Result;

pub(crate) const LINE_BYTES: usize = 64;
const LINE_BITS: usize = LINE_BYTES * 8;
const BITS_PER_KEY: usize = 10;
const PROBES: usize = 6;
/// How often a filter can be halved: lines come in multiples of two to this power.
const FOLDS: usize = 4;

type Line = [u64; LINE_BYTES / 8];

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    lines: Vec<Line>,
}

impl Filter {
    /// An empty filter with room for `keys`.
    pub(crate) fn with_room_for(keys: u64) -> Self {
        let keys = usize::try_from(keys).unwrap_or(usize::MAX);
        let lines = keys.saturating_mul(BITS_PER_KEY).div_ceil(LINE_BITS).max(1);
        // Small filters stay small: they need no room for folding.
        let step = if lines < 1 << FOLDS { 1 } else { 1 << FOLDS };
        Self { lines: vec![[0; _]; lines.next_multiple_of(step)] }
    }

    pub(crate) fn insert(&mut self, hash: u64) {
        let at = line_of(hash, self.lines.len());
        if let Some(line) = self.lines.get_mut(at) {
            for (word, bit) in bits_of(hash) {
                if let Some(word) = line.get_mut(word) {
                    *word |= bit;
                }
            }
        }
    }

    /// False where no key of this hash was inserted.
    pub(crate) fn may_hold(&self, hash: u64) -> bool {
        let Some(line) = self.lines.get(line_of(hash, self.lines.len())) else { return true };
        bits_of(hash).all(|(word, bit)| line.get(word).is_some_and(|word| word & bit != 0))
    }

    /// Halves the filter while `keys` still have their bits.
    pub(crate) fn fold_to(&mut self, keys: u64) {
        let keys = usize::try_from(keys).unwrap_or(usize::MAX);
        let enough = keys.saturating_mul(BITS_PER_KEY);
        while self.lines.len().is_multiple_of(2) && self.lines.len() / 2 * LINE_BITS >= enough {
            let (pairs, _) = self.lines.as_chunks::<2>();
            self.lines =
                pairs.iter().map(|[a, b]| std::array::from_fn(|i| word(a, i) | word(b, i))).collect();
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        self.lines.as_flattened().iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(LINE_BYTES) {
            return Err(damage(format!("the filter is {} bytes long, not a multiple of 64", bytes.len())));
        }
        let mut fields = Fields::new(bytes);
        let line = |_| std::array::from_fn(|_| fields.u64().unwrap_or_default());
        Ok(Self { lines: (0..bytes.len() / LINE_BYTES).map(line).collect() })
    }
}

fn word(line: &Line, at: usize) -> u64 {
    line.get(at).copied().unwrap_or_default()
}

/// The line of a hash: its high half, scaled.
fn line_of(hash: u64, lines: usize) -> usize {
    let scaled = (u128::from(hash) * lines as u128) >> 64;
    // Below `lines`, so it fits.
    usize::try_from(scaled).unwrap_or_default()
}

/// Six bits within a line, taken from a product whose high bits depend on the whole hash, so that keys of one
/// line differ in them.
fn bits_of(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..PROBES).map(move |probe| {
        let bit = (mixed >> (64 - 9 * (probe + 1))) & 511;
        (usize::try_from(bit >> 6).unwrap_or_default(), 1 << (bit & 63))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::format::key_hash;

    fn filled(keys: u64, room: u64) -> Filter {
        let mut filter = Filter::with_room_for(room);
        for key in 0..keys {
            filter.insert(key_hash("index", &key.to_string()));
        }
        filter
    }

    /// Of a thousand absent keys, how many are not recognised as absent.
    fn false_per_mille(filter: &Filter) -> usize {
        let wrong =
            (0..20_000).filter(|key| filter.may_hold(key_hash("index", &format!("absent {key}")))).count();
        wrong / 20
    }

    #[test]
    fn every_inserted_key_is_found_and_few_others_are() {
        let filter = filled(10_000, 10_000);
        for key in 0..10_000 {
            assert!(filter.may_hold(key_hash("index", &key.to_string())));
        }
        assert!(false_per_mille(&filter) < 25, "{}", false_per_mille(&filter));
    }

    #[test]
    fn folding_loses_no_key_and_keeps_ten_bits_a_key() {
        let mut filter = filled(10_000, 45_000);
        let before = filter.lines.len();
        filter.fold_to(10_000);
        assert!(filter.lines.len() * 4 == before && filter.lines.len() * LINE_BITS >= 100_000);
        for key in 0..10_000 {
            assert!(filter.may_hold(key_hash("index", &key.to_string())));
        }
        assert!(false_per_mille(&filter) < 25, "{}", false_per_mille(&filter));
    }

    #[test]
    fn a_filter_reads_back_and_refuses_a_broken_length() {
        let filter = filled(100, 100);
        let bytes = filter.encode();
        assert_eq!(Filter::decode(&bytes).unwrap(), filter);
        assert!(Filter::decode(&bytes[1..]).is_err());
        assert!(Filter::decode(&[]).is_err());
    }
}
