//! A drawing of lines over time on a logarithmic scale, as SVG.

use std::fmt::Write;

/// A line: its name, and a point for each step of time.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<f64>,
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 60.0;
/// Told apart also by those who do not see all colours.
const COLOURS: [&str; 4] = ["#0072b2", "#009e73", "#e69f00", "#d55e00"];

/// Where values go on the drawing.
struct Scale {
    low: f64,
    decades: f64,
    seconds: f64,
}

impl Scale {
    fn new(lines: &[Line], step: f64) -> Self {
        let points = || lines.iter().flat_map(|line| &line.points).copied().filter(|point| *point > 0.0);
        let low = points().fold(f64::INFINITY, f64::min).clamp(1e-3, 1e6).log10().floor();
        let high = points().fold(0.0, f64::max).clamp(1e-3, 1e9).log10().ceil();
        let steps = lines.iter().map(|line| line.points.len()).max().unwrap_or(0);
        Self { low, decades: (high - low).max(1.0), seconds: (count(steps) * step).max(step) }
    }

    fn x(&self, second: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * second / self.seconds
    }

    fn y(&self, micros: f64) -> f64 {
        let part = (micros.max(1e-9).log10() - self.low) / self.decades;
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part.clamp(0.0, 1.0)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a drawing has fewer points than 2^53")]
fn count(number: usize) -> f64 {
    number as f64
}

/// Draws lines of microseconds, `step` seconds from point to point.
pub(crate) fn svg(title: &str, under: &str, step: f64, lines: &[Line]) -> String {
    let scale = Scale::new(lines, step);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    text(&mut out, (LEFT, 24.0), "start", title);
    text(&mut out, (LEFT, HEIGHT - 12.0), "start", under);
    grid(&mut out, &scale);
    // The names stand at the ends of their lines, and not on one another.
    let mut free = HEIGHT;
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let _ = write!(out, "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1\" points=\"");
        for (number, point) in line.points.iter().enumerate() {
            let _ = write!(out, "{:.1},{:.1} ", scale.x(count(number) * step), scale.y(*point));
        }
        out.push_str("\"/>\n");
        let at = line.points.last().map_or(free, |point| scale.y(*point) + 4.0).min(free - 14.0);
        free = at;
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{at:.1}\" fill=\"{colour}\">{}</text>",
            WIDTH - RIGHT + 6.0,
            line.name
        );
    }
    out.push_str("</svg>\n");
    out
}

/// A line across for each power of ten, and one up for each tenth of the time.
fn grid(out: &mut String, scale: &Scale) {
    let mut power = scale.low;
    while power <= scale.low + scale.decades {
        let (micros, y) = (10_f64.powf(power), scale.y(10_f64.powf(power)));
        rule(out, (LEFT, y), (WIDTH - RIGHT, y));
        let label = if micros >= 1_000.0 { format!("{} ms", micros / 1e3) } else { format!("{micros} µs") };
        text(out, (LEFT - 6.0, y + 4.0), "end", &label);
        power += 1.0;
    }
    for tenth in 0..=10 {
        let second = scale.seconds * f64::from(tenth) / 10.0;
        let x = scale.x(second);
        rule(out, (x, TOP), (x, HEIGHT - BOTTOM));
        text(out, (x, HEIGHT - BOTTOM + 18.0), "middle", &format!("{second:.0} s"));
    }
}

fn rule(out: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ =
        writeln!(out, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ddd\"/>");
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decade_is_as_high_as_the_next() {
        let lines = [Line { name: "p50", points: vec![0.2, 1.0, 10.0, 90.0] }];
        let scale = Scale::new(&lines, 0.1);
        let (one, two, three) = (scale.y(1.0), scale.y(10.0), scale.y(100.0));
        assert!((one - two - (two - three)).abs() < 1e-9 && one > two);
        let svg = svg("a title", "where", 0.1, &lines);
        assert!(svg.contains("0.1 µs") && svg.contains("100 µs") && svg.contains(">p50<"), "{svg}");
        let points = svg.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(points.split_whitespace().count(), 4);
    }
}
