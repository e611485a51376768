//! Seeded numbers: even ones, and ranks by Zipf's law.
//!
//! # Design
//! Even numbers by `SplitMix64`. Ranks as YCSB draws them (Gray et al., "Quickly generating billion-record synthetic
//! databases", 1994): "Zipf 0.99" in a benchmark of stores means this generator. Powers are computed by `libm`, not by the
//! platform, so that a seed means the same operations everywhere.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of `SplitMix64`: a bijection.
#[inline]
pub fn mix(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A stream of even numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(GOLDEN)))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number from 0 to below 1, of 53 bits.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A whole number from 0 to below `bound`. The bias is below bound / 2^64.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// The same, as a position.
    pub fn position(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap_or(0)
    }

    /// One of these.
    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.get(self.position(from.len())).copied().unwrap_or_default()
    }
}

/// Ranks from 0 to below a bound, rank k with the weight (k + 1)^-s.
#[derive(Clone, Copy, Debug)]
pub struct Zipf {
    ranks: f64,
    total: f64,
    skew: f64,
    eta: f64,
    second: f64,
}

impl Zipf {
    /// For `ranks` ranks; the exponent is above 0 and below 1. Adds up all weights: some 20 ns a rank.
    #[expect(clippy::cast_precision_loss, reason = "ranks beyond 2^53 are not asked for")]
    pub fn new(ranks: u64, exponent: f64) -> Self {
        let weight = |rank: u64| libm::pow(rank as f64, -exponent);
        let total: f64 = (1..=ranks).map(weight).sum();
        let second = weight(2);
        let ranks = ranks as f64;
        let eta = (1.0 - libm::pow(2.0 / ranks, 1.0 - exponent)) / (1.0 - (1.0 + second) / total);
        Self { ranks, total, skew: 1.0 / (1.0 - exponent), eta, second: 1.0 + second }
    }

    /// A rank.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..ranks")]
    pub fn rank(&self, random: &mut Random) -> u64 {
        let unit = random.unit();
        let area = unit * self.total;
        if area < 1.0 {
            return 0;
        }
        if area < self.second {
            return 1;
        }
        let place = self.ranks * libm::pow(self.eta * unit - self.eta + 1.0, self.skew);
        place.clamp(0.0, self.ranks - 1.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_the_ranks_has_its_share() {
        let (ranks, draws) = (1_000, 200_000);
        let (zipf, mut random) = (Zipf::new(ranks, 0.99), Random::new(7));
        let mut counts = vec![0_u32; 1_000];
        for _ in 0..draws {
            counts[usize::try_from(zipf.rank(&mut random)).unwrap()] += 1;
        }
        let total: f64 = (1..=1_000).map(|rank| f64::from(rank).powf(-0.99)).sum();
        // The first two ranks are drawn exactly, the others by a continuous approximation of the law.
        for (rank, slack) in [(1_u16, 0.02), (2, 0.02), (4, 0.15), (100, 0.3)] {
            let expected = f64::from(rank).powf(-0.99) / total;
            let found = f64::from(counts[usize::from(rank) - 1]) / f64::from(draws);
            assert!((found / expected - 1.0).abs() < slack, "rank {rank}: {found} for {expected}");
        }
        assert!(counts.iter().all(|count| *count > 0));
    }

    #[test]
    fn even_numbers_reach_every_place() {
        let mut random = Random::new(1);
        let mut seen = [false; 16];
        (0..1_000).for_each(|_| seen[random.position(16)] = true);
        assert!(seen.iter().all(|seen| *seen));
    }
}
