//! Ranks by Zipf's law, without a table.
//!
//! # Design
//! Rejection-inversion after Hörmann and Derflinger (1996): the area under x^-s over the ranks is inverted for a
//! candidate, which is accepted in most cases at once. About one power and one logarithm a rank, for any
//! number of ranks.
//!
//! # Why not `rand_distr`
//! Its values may change with a release, and it computes with the platform's mathematics. Here the same seed
//! gives the same ranks for ever; see the test of `generate`.

/// Ranks from 1 to `ranks`, with the weight k^-s.
pub(super) struct Zipf {
    ranks: f64,
    exponent: f64,
    area_start: f64,
    area_end: f64,
    shortcut: f64,
}

impl Zipf {
    /// `exponent` 0 draws evenly.
    #[expect(clippy::cast_precision_loss, reason = "ranks beyond 2^53 are not asked for; args bounds them")]
    pub(super) fn new(ranks: u64, exponent: f64) -> Self {
        let ranks = ranks.max(1) as f64;
        let mut zipf = Self { ranks, exponent, area_start: 0.0, area_end: 0.0, shortcut: 0.0 };
        zipf.area_start = zipf.area(1.5) - 1.0;
        zipf.area_end = zipf.area(ranks + 0.5);
        zipf.shortcut = 2.0 - zipf.inverse(zipf.area(2.5) - zipf.weight(2.0));
        zipf
    }

    /// A rank, from numbers between 0 and 1.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=ranks")]
    pub(super) fn rank(&self, mut unit: impl FnMut() -> f64) -> u64 {
        loop {
            let area = self.area_end + unit() * (self.area_start - self.area_end);
            let place = self.inverse(area);
            let rank = libm::floor(place + 0.5).clamp(1.0, self.ranks);
            if rank - place <= self.shortcut || area >= self.area(rank + 0.5) - self.weight(rank) {
                return rank as u64;
            }
        }
    }

    fn weight(&self, place: f64) -> f64 {
        libm::exp(-self.exponent * libm::log(place))
    }

    /// The integral of the weight from 1 to `place`.
    fn area(&self, place: f64) -> f64 {
        let log = libm::log(place);
        log * expm1_over((1.0 - self.exponent) * log)
    }

    /// The place up to which the integral is `area`.
    fn inverse(&self, area: f64) -> f64 {
        let scaled = (area * (1.0 - self.exponent)).max(-1.0);
        libm::exp(area * log1p_over(scaled))
    }
}

/// (e^x - 1) / x, also near 0.
fn expm1_over(x: f64) -> f64 {
    if x.abs() > 1e-8 { libm::expm1(x) / x } else { 1.0 + x / 2.0 * (1.0 + x / 3.0) }
}

/// log(1 + x) / x, also near 0.
fn log1p_over(x: f64) -> f64 {
    if x.abs() > 1e-8 { libm::log1p(x) / x } else { 1.0 - x * (0.5 - x / 3.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_pcg::{Lcg128Xsl64, rand_core::Rng};

    fn frequencies(ranks: u64, exponent: f64, draws: u32) -> Vec<f64> {
        let mut random = Lcg128Xsl64::new(1, 1);
        let zipf = Zipf::new(ranks, exponent);
        let mut counts = vec![0.0; usize::try_from(ranks).unwrap()];
        for _ in 0..draws {
            let rank = zipf.rank(|| f64::from(random.next_u32()) / 4_294_967_296.0);
            counts[usize::try_from(rank - 1).unwrap()] += 1.0 / f64::from(draws);
        }
        counts
    }

    #[test]
    fn the_frequencies_are_those_of_the_law() {
        for exponent in [0.0, 0.5, 0.99, 1.0, 1.5] {
            let found = frequencies(50, exponent, 200_000);
            let weights: Vec<f64> = (1..=50).map(|rank| f64::from(rank).powf(-exponent)).collect();
            let total: f64 = weights.iter().sum();
            for (rank, (found, weight)) in found.iter().zip(&weights).enumerate() {
                let expected = weight / total;
                // Six standard deviations: the seed is fixed, so this fails only if the law is wrong.
                let slack = 6.0 * (expected / 200_000.0).sqrt();
                assert!(
                    (found - expected).abs() < slack,
                    "s={exponent} rank {}: {found} {expected}",
                    rank + 1
                );
            }
        }
    }

    #[test]
    fn one_rank_is_always_drawn() {
        let zipf = Zipf::new(1, 0.99);
        for unit in [0.0, 0.25, 0.5, 0.999] {
            assert_eq!(zipf.rank(|| unit), 1);
        }
    }
}
