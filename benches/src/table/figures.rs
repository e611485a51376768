//! Named numbers: what a process that measured tells the one that started it.

use std::{collections::BTreeMap, fmt::Write};

/// Named numbers, exact up to 2^53.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// With one more.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, figure: f64) -> Self {
        self.0.insert(name.to_owned(), figure);
        self
    }

    /// With one more, from a whole number.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    pub(crate) fn count(self, name: &str, figure: u64) -> Self {
        self.with(name, figure as f64)
    }

    /// One of them; not a number where there is no such name, so that nothing it goes into holds.
    pub(crate) fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(f64::NAN)
    }

    /// All of them, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, figure)| (name.as_str(), *figure))
    }

    /// As lines of text.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for (name, figure) in self.iter() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name} {figure}");
        }
        text
    }

    /// From such lines; a line that is none is left out.
    pub(crate) fn from_text(text: &str) -> Self {
        let figure = |line: &str| {
            let (name, figure) = line.split_once(' ')?;
            Some((name.to_owned(), figure.parse().ok()?))
        };
        Self(text.lines().filter_map(figure).collect())
    }
}

/// The middle of some figures, or the mean of the two in the middle.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle.wrapping_sub(1)), sorted.get(middle)) {
        (Some(below), Some(above)) if sorted.len().is_multiple_of(2) => f64::midpoint(*below, *above),
        (_, Some(middle)) => *middle,
        _ => f64::NAN,
    }
}

/// How far apart figures are: the largest less the smallest, as a part of the median.
pub(crate) fn spread(figures: &[f64]) -> f64 {
    let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let most = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (most - least) / median(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_survive_the_way_between_processes() {
        let figures = Figures::default().with("ns", 1.25).count("sum", (1 << 52) - 1);
        assert_eq!(Figures::from_text(&figures.to_text()), figures);
        assert!(figures.get("nothing").is_nan());
    }

    #[test]
    fn the_median_is_in_the_middle() {
        let close = |one: f64, other: f64| (one - other).abs() < 1e-12;
        assert!(close(median(&[3.0, 1.0, 2.0]), 2.0));
        assert!(close(median(&[4.0, 1.0, 2.0, 3.0]), 2.5));
        assert!(close(spread(&[1.0, 2.0, 3.0]), 1.0));
        assert!(median(&[]).is_nan());
    }
}
