//! What pressure takes, against the order of writing.

use super::{Bench, COUNT};
use crate::shard::Demand;
use proptest::prelude::*;

proptest! {
    #[test]
    fn pressure_leaves_what_was_written_lately_until_the_rest_has_gone(
        writes in prop::collection::vec(0..300_usize, 1..900), share in 1..4_usize
    ) {
        let mut bench = Bench::new();
        let mut order: Vec<usize> = Vec::new();
        for write in &writes {
            bench.update(&write.to_string(), COUNT);
            order.retain(|id| id != write);
            order.push(*write);
        }
        let is_sampled_whole = order.len() <= 64;
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
                // Where there are more cells than in a sample, the mark is an estimate.
                let most = if is_sampled_whole { waiting.div_ceil(4) } else { waiting / 2 + 16 };
                prop_assert!(place <= most, "{place} of {waiting}");
                order.remove(place);
            }
        }
        let left = bench.take(Demand::Pressure { bytes: 1 });
        prop_assert!(left.is_empty());
    }
}
