//! What pressure takes, against the order of writing.

use super::{Bench, COUNT};
use crate::shard::Demand;
use proptest::prelude::*;

proptest! {
    #[test]
    fn pressure_leaves_what_was_written_lately_until_the_rest_has_gone(
        writes in prop::collection::vec(0..300_usize, 1..900), share in 1..4_usize
    ) {
        let mut bench = Bench { looks: false, ..Bench::new() };
        let mut order: Vec<usize> = Vec::new();
        for write in &writes {
            bench.update(&write.to_string(), COUNT);
            order.retain(|id| id != write);
            order.push(*write);
        }
        let is_sampled_whole = order.len() <= 64;
        let (mut places, mut halves) = (0, 0);
        while !order.is_empty() {
            let demand = Demand::Pressure { bytes: share * 400 };
            let mut taken = bench.take(demand);
            if taken.is_empty() {
                // It had passed many cells, and let others have the lock.
                taken = bench.take(demand);
            }
            prop_assert!(!taken.is_empty());
            prop_assert_eq!(bench.shard.validate(), Ok(()));
            let waiting = order.len();
            for flight in taken {
                let place = order.iter().position(|id| *id.to_string() == *flight.id).unwrap();
                if is_sampled_whole {
                    prop_assert!(place <= waiting.div_ceil(4), "{place} of {waiting}");
                }
                (places, halves) = (places + place, halves + waiting / 2);
                order.remove(place);
            }
        }
        // Where there are more cells than in a sample each mark is an estimate, and a few are far off.
        prop_assert!(places <= halves + 16, "{places} of {halves}");
        let left = bench.take(Demand::Pressure { bytes: 1 });
        prop_assert!(left.is_empty());
    }
}
