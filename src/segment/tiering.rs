//! When to merge which segments: a pure function of their sizes.
//!
//! # Design
//! A segment of s bytes is of tier ⌈log₄(s / 16 KiB)⌉, and at least 0. Segments stand in order of age, and
//! only neighbours are merged, so that "newer shadows older" stays a matter of position. A segment's *effective* tier
//! is the highest tier of itself and all newer ones: a small segment that was overtaken by a larger one
//! counts with it. Effective tiers fall from old to new, so each forms one contiguous group, and a group of
//! four is merged into one, the newest such group first.
//!
//! # The two numbers
//! - **Segments.** At rest a tier has at most three, so a store has at most `3 × (1 + ⌈log₄(largest / 16 KiB)⌉)`:
//!   30 for a largest segment of 1 GiB, 45 for 1 TiB. That bounds the filters a get asks and the cursors a scan
//!   holds.
//! - **Write amplification.** Batches of one size are rewritten about once per tier, `log₄(store / batch)`
//!   times in all. At worst, where merges shrink and big batches alternate with small, a merge carries one old segment
//!   of its tier along with one new: at most five times per tier.
//!
//! Both are held by simulation in the tests below.
//!
//! # Why not leveled
//! Leveling rewrites a whole level's overlap for each arrival, four to ten times as much, to save space and probes.
//! What arrives here was coalesced first, so it seldom shadows much, and the filter already makes a probe of
//! a segment without the key cheap.
//!
//! # Invariants
//! 1. A choice is a range of at least two segments.
//! 2. Carrying choices out ends: each leaves fewer segments.

use std::ops::Range;

/// How many segments of one tier are merged into one.
pub(crate) const FANOUT: usize = 4;
/// Segments up to this size are of the lowest tier: writing one costs no more than syncing it.
const TIER_BYTES: u64 = 16 * 1024;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Nothing,
    /// Merge these positions, counted from the oldest.
    Merge(Range<usize>),
}

/// Decides over the sizes in bytes, from the oldest segment to the newest.
pub(crate) fn choose(sizes: &[u64]) -> Choice {
    let mut effective = 0;
    let mut end = sizes.len();
    let mut start = end;
    for size in sizes.iter().rev() {
        if tier(*size) > effective {
            if end - start >= FANOUT {
                break;
            }
            effective = tier(*size);
            end = start;
        }
        start -= 1;
    }
    if end - start >= FANOUT { Choice::Merge(start..end) } else { Choice::Nothing }
}

fn tier(bytes: u64) -> u32 {
    let (mut tier, mut limit) = (0, TIER_BYTES);
    while bytes > limit {
        tier += 1;
        limit = limit.saturating_mul(FANOUT as u64);
    }
    tier
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Segments at rest never exceed this.
    fn segments_max(largest: u64) -> usize {
        (FANOUT - 1) * (1 + tier(largest) as usize)
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn ratio(a: u64, b: u64) -> f64 {
        a as f64 / b as f64
    }

    /// Feeds batches, carries out all choices, and returns (bytes written per byte fed, most segments at rest).
    /// `shrink` says what is left of merged bytes.
    fn simulate(
        batches: impl Iterator<Item = u64>,
        mut shrink: impl FnMut(u64) -> u64,
    ) -> (f64, usize, Vec<u64>) {
        let (mut sizes, mut fed, mut written, mut most, mut largest) = (Vec::new(), 0, 0, 0, 0);
        for batch in batches {
            sizes.push(batch);
            fed += batch;
            written += batch;
            while let Choice::Merge(range) = choose(&sizes) {
                assert!(range.len() >= 2 && range.end <= sizes.len());
                let merged = shrink(sizes[range.clone()].iter().sum()).max(1);
                written += merged;
                sizes.splice(range, [merged]);
            }
            largest = largest.max(sizes.iter().copied().max().unwrap_or(0));
            assert!(sizes.len() <= segments_max(largest), "{sizes:?}");
            most = most.max(sizes.len());
        }
        (ratio(written, fed), most, sizes)
    }

    #[test]
    fn four_of_a_tier_are_merged_and_three_are_not() {
        assert_eq!(choose(&[]), Choice::Nothing);
        assert_eq!(choose(&[1, 1, 1]), Choice::Nothing);
        assert_eq!(choose(&[1, 1, 1, 1]), Choice::Merge(0..4));
        assert_eq!(choose(&[1 << 20, 1, 1, 1, 1]), Choice::Merge(1..5));
        assert_eq!(choose(&[1 << 20, 1 << 20, 1 << 20, 1, 1, 1]), Choice::Nothing);
    }

    #[test]
    fn a_small_segment_under_a_large_one_goes_with_it() {
        assert_eq!(choose(&[1, 1, 1, 1 << 20, 1]), Choice::Merge(0..4));
        assert_eq!(choose(&[1 << 30, 1, 1 << 20, 1, 1 << 20, 1]), Choice::Merge(1..5));
    }

    #[test]
    fn the_newest_full_group_goes_first() {
        let mib = 1 << 20;
        assert_eq!(choose(&[mib, mib, mib, mib, 1, 1, 1, 1]), Choice::Merge(4..8));
    }

    #[test]
    fn equal_batches_are_rewritten_once_per_tier() {
        for batch in [20 * 1024, 1 << 20, 16 << 20] {
            let (amplification, most, _) = simulate((0..4096).map(|_| batch), |bytes| bytes);
            // log₄ 4096 is 6, and the first write makes it 7.
            assert!(amplification <= 7.0, "{batch}: {amplification}");
            assert!(most <= 18, "{batch}: {most}");
        }
    }

    #[test]
    fn a_hot_set_that_always_shrinks_to_itself_stays_cheap() {
        // A thousand batches of 100 KiB over 1 MiB of distinct documents.
        let (amplification, most, sizes) = simulate((0..1000).map(|_| 100 << 10), |bytes| bytes.min(1 << 20));
        assert!(amplification <= 7.0, "{amplification}");
        assert!(most <= 12, "{most}");
        assert!(sizes.iter().sum::<u64>() <= 4 << 20, "{sizes:?}");
    }

    #[test]
    fn large_and_small_in_turns_stay_within_five_per_tier() {
        let batches = (0..4000).map(|at| if at % 2 == 0 { 1 } else { 1 << 20 });
        let (amplification, ..) = simulate(batches, |bytes| bytes);
        assert!(amplification <= 5.0 * 6.0, "{amplification}");
    }

    proptest! {
        #[test]
        fn any_stream_keeps_both_bounds(
            batches in prop::collection::vec((0_u32..24, 1_u64..4), 1..400),
            left in 1_u64..=100,
        ) {
            let sizes = batches.iter().map(|(shift, factor)| factor << shift);
            let (amplification, _, at_rest) = simulate(sizes, |bytes| bytes * left / 100);
            let tiers = f64::from(1 + tier(batches.iter().map(|(shift, factor)| factor << shift).sum()));
            // Writing one lowest segment over and over is bounded by its absolute size instead.
            let fed: u64 = batches.iter().map(|(shift, factor)| factor << shift).sum();
            let floor = ratio(batches.len() as u64 * TIER_BYTES, fed);
            prop_assert!(amplification <= 1.0 + 5.0 * tiers + floor, "{amplification} over {tiers} tiers");
            prop_assert_eq!(choose(&at_rest), Choice::Nothing);
        }
    }
}
