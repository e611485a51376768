//! Lines over a logarithmic scale on both axes, as SVG that takes its colours from the page.
//!
//! # Design
//! Small enough to be read on a phone without being moved about: it has the width of one, and grows with the page. Colours are classes,
//! so that the page's light and dark are its own. Lines have a marker of their own shape each, for those who do not see all
//! colours, and their last value stands at their end.

use super::report::times;
use crate::units;
use std::fmt::Write;

/// A line: its points go to the right.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) points: Vec<(f64, f64)>,
}

/// A place on the axis below, and what stands there.
pub(super) type Tick = (f64, String);

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = 46.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 44.0;
/// Labels do not come nearer to each other than a character and a line.
const CHARACTER_WIDTH: f64 = 6.5;
const LABEL_HEIGHT: f64 = 14.0;
const MARKER: f64 = 4.0;
/// Where lines are drawn across within each power of ten.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];

/// From values to places.
struct Scale {
    left: f64,
    decades_across: f64,
    low: f64,
    decades_up: f64,
}

impl Scale {
    fn new(series: &[Series], ticks: &[Tick]) -> Self {
        let across = || {
            series
                .iter()
                .flat_map(|line| &line.points)
                .map(|point| point.0)
                .chain(ticks.iter().map(|tick| tick.0))
        };
        let up = || series.iter().flat_map(|line| &line.points).map(|point| point.1).chain([1.0]);
        let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min).max(1e-3);
        let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max).max(1e-3);
        let (left, right) = (least(&mut across()), most(&mut across()));
        let (low, high) = (step_below(least(&mut up())), step_above(most(&mut up())));
        Self {
            left,
            decades_across: (right / left).log10().max(0.1),
            low,
            decades_up: (high / low).log10().max(0.1),
        }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (value.max(1e-3) / self.left).log10() / self.decades_across
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value.max(1e-3) / self.low).log10() / self.decades_up
    }
}

/// Draws lines; the first has the class `line-0`, and so on.
pub(super) fn svg(title: &str, below: &str, series: &[Series], ticks: &[Tick]) -> String {
    let scale = Scale::new(series, ticks);
    let mut out = format!(
        "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n"
    );
    grid(&mut out, &scale, ticks);
    text(&mut out, (LEFT + (WIDTH - LEFT - RIGHT) / 2.0, HEIGHT - 6.0), "middle", below);
    for (number, line) in series.iter().enumerate() {
        let _ = write!(out, "<g class=\"line-{number}\"><polyline points=\"");
        for (across, up) in &line.points {
            let _ = write!(out, "{:.1},{:.1} ", scale.x(*across), scale.y(*up));
        }
        out.push_str("\"/>");
        for (across, up) in &line.points {
            marker(&mut out, number, (scale.x(*across), scale.y(*up)));
        }
        out.push_str("</g>\n");
    }
    ends(&mut out, &scale, series);
    out.push_str("</svg>\n");
    out
}

/// Lines across at round values, and a mark below for each place.
fn grid(out: &mut String, scale: &Scale, ticks: &[Tick]) {
    let mut value = scale.low;
    let high = scale.low * 10_f64.powf(scale.decades_up) * 1.001;
    let mut free = f64::INFINITY;
    while value <= high {
        let y = scale.y(value);
        let _ =
            writeln!(out, "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>", WIDTH - RIGHT);
        if y + LABEL_HEIGHT <= free {
            text(out, (LEFT - 6.0, y + 4.0), "end", &format!("{}×", round(value)));
            free = y;
        }
        value = step_above(value * 1.01);
    }
    // From the right: the last one matters most.
    let mut free = f64::INFINITY;
    for (across, label) in ticks.iter().rev() {
        let (x, y) = (scale.x(*across), HEIGHT - BOTTOM);
        let half = CHARACTER_WIDTH * units::float(label.chars().count() as u64) / 2.0;
        let _ = writeln!(out, "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y}\" y2=\"{:.1}\"/>", y + 5.0);
        if x + half <= free {
            text(out, (x, y + 18.0), "middle", label);
            free = x - half - CHARACTER_WIDTH;
        }
    }
}

/// The last value of each line at its end, from the top down, and none on another.
fn ends(out: &mut String, scale: &Scale, series: &[Series]) {
    let mut ends: Vec<(usize, f64, f64)> = series
        .iter()
        .enumerate()
        .filter_map(|(number, line)| line.points.last().map(|(across, up)| (number, *across, *up)))
        .collect();
    ends.sort_by(|one, other| other.2.total_cmp(&one.2));
    let mut free = 0.0_f64;
    for (number, across, up) in ends {
        let y = (scale.y(up) + 4.0).max(free);
        free = y + LABEL_HEIGHT;
        let x = scale.x(across) + 8.0;
        let _ = writeln!(out, "<text class=\"end-{number}\" x=\"{x:.1}\" y=\"{y:.1}\">{}×</text>", times(up));
    }
}

/// Round, square, or standing on a corner.
fn marker(out: &mut String, number: usize, (x, y): (f64, f64)) {
    let _ = match number % 3 {
        0 => write!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{MARKER}\"/>"),
        1 => {
            let (left, top, side) = (x - MARKER, y - MARKER, 2.0 * MARKER);
            write!(out, "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{side}\" height=\"{side}\"/>")
        }
        _ => {
            let far = MARKER * 1.4;
            write!(
                out,
                "<path d=\"M{:.1} {y:.1}L{x:.1} {:.1}L{:.1} {y:.1}L{x:.1} {:.1}Z\"/>",
                x - far,
                y - far,
                x + far,
                y + far
            )
        }
    };
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

/// The least of 1, 2, 5, 10, 20 and so on that is not below a value.
fn step_above(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let steps = STEPS.iter().map(|step| step * power);
    steps.into_iter().find(|step| *step >= value * 0.999).unwrap_or(power * 10.0)
}

/// The greatest that is not above it.
fn step_below(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let steps = STEPS.iter().rev().map(|step| step * power);
    steps.into_iter().find(|step| *step <= value * 1.001).unwrap_or(power)
}

fn round(value: f64) -> String {
    if value < 0.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_ones_twos_and_fives_of_every_power() {
        for (value, below, above) in
            [(1.0, 1.0, 1.0), (3.0, 2.0, 5.0), (82.7, 50.0, 100.0), (0.7, 0.5, 1.0), (100.0, 100.0, 100.0)]
        {
            assert!((step_below(value) - below).abs() < 1e-9, "{value}: {}", step_below(value));
            assert!((step_above(value) - above).abs() < 1e-9, "{value}: {}", step_above(value));
        }
    }

    #[test]
    fn lines_lie_within_the_drawing_and_their_ends_do_not_lie_on_one_another() {
        let series: Vec<Series> = [80.0, 79.0, 78.0]
            .map(|most| Series { points: vec![(1.0, 1.0), (1_000.0, 1.4), (334_264.0, most)] })
            .to_vec();
        let ticks = [(1.0, "1".to_owned()), (1_000.0, "1,000".to_owned()), (334_264.0, "all".to_owned())];
        let svg = svg("saving", "window", &series, &ticks);
        for points in svg.split("points=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            for point in points.split_whitespace() {
                let (x, y) = point.split_once(',').unwrap();
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                assert!((LEFT..=WIDTH - RIGHT + 0.1).contains(&x), "{x}");
                assert!((TOP..=HEIGHT - BOTTOM + 0.1).contains(&y), "{y}");
            }
        }
        let ends: Vec<f64> = svg
            .split("class=\"end-")
            .skip(1)
            .map(|rest| rest.split("y=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(ends.len(), 3);
        assert!(ends.windows(2).all(|pair| pair[1] - pair[0] >= LABEL_HEIGHT - 0.1), "{ends:?}");
        assert!(svg.contains(">80.0×<") && svg.contains(">all<") && svg.contains(">100×<"), "{svg}");
    }

    #[test]
    fn one_place_and_one_value_are_drawn_too() {
        let svg = svg("t", "b", &[Series { points: vec![(1.0, 1.0)] }], &[(1.0, "1".to_owned())]);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
