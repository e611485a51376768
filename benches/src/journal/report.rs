//! The table: on standard output, and on the page.

use crate::{
    clock::today,
    machine::Machine,
    table::{Figures, between, median, short, spread},
};
use std::{fmt::Write, fs};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
/// Between these the table stands on the page.
const MARKERS: (&str, &str) = ("<!-- journal -->\n", "<!-- end of the journal's table -->");
const WRITERS: f64 = 64.0;

/// One promise, and how it came out.
pub(super) struct Row {
    name: &'static str,
    more: bool,
    goal: f64,
    least: f64,
    figures: Vec<f64>,
    /// What the figure is made of.
    of: String,
}

impl Row {
    fn reaches(&self, bound: f64) -> bool {
        let median = median(&self.figures);
        if self.more { median >= bound } else { median <= bound }
    }

    /// True where what must be reached is.
    pub(super) fn holds(&self) -> bool {
        self.reaches(self.least)
    }

    fn verdict(&self) -> &'static str {
        match (self.reaches(self.goal), self.holds()) {
            (true, _) => "goal",
            (false, true) => "least",
            (false, false) => "**missed**",
        }
    }
}

/// A figure of each repetition.
pub(super) fn all(rounds: &[Figures], of: impl Fn(&Figures) -> f64) -> Vec<f64> {
    rounds.iter().map(of).collect()
}

/// How each promise came out.
pub(super) fn rows(rounds: &[Figures]) -> Vec<Row> {
    let ratio = |one: &str, other: &str| all(rounds, |round| round.get(one) / round.get(other));
    let middle = |name: &str| short(median(&all(rounds, |round| round.get(name))));
    let row = |name, more, (goal, least), figures, of| Row { name, more, goal, least, figures, of };
    vec![
        row(
            "`Interval(100 ms)` submit, one writer, against `None`",
            false,
            (1.3, 1.7),
            ratio("interval_ns", "none_ns"),
            format!("{} against {} ns", middle("interval_ns"), middle("none_ns")),
        ),
        row(
            "`Always`, batches of 1,000, one writer: bytes a second against raw write + fdatasync",
            true,
            (0.9, 0.75),
            ratio("batches_mbs", "batches_raw_mbs"),
            format!(
                "{} against {} MB/s; {} MB/s over what the batches take without a journal",
                middle("batches_mbs"),
                middle("batches_raw_mbs"),
                middle("batches_journal_mbs")
            ),
        ),
        row(
            "`Always`, 64 writers singly: operations a second against 64 × the raw fdatasync rate",
            true,
            (0.8, 0.5),
            all(rounds, |round| round.get("singles") / round.get("raw_syncs") / WRITERS),
            format!("{} operations, {} syncs a second", middle("singles"), middle("raw_syncs")),
        ),
        row(
            "log bytes per operation against its NDJSON",
            false,
            (0.7, 0.9),
            ratio("log_bytes", "ndjson_bytes"),
            format!("{} against {} B", middle("log_bytes"), middle("ndjson_bytes")),
        ),
        row(
            "reading and verifying a log from a warm page cache, one thread, against copying and checksumming the same bytes",
            false,
            (2.0, 4.0),
            ratio("read_ns", "copy_ns"),
            format!("{} against {} ns/B", middle("read_ns"), middle("copy_ns")),
        ),
    ]
}

/// The rows as a table.
pub(super) fn table(rows: &[Row]) -> String {
    let mut table = String::from(
        "| | goal | least | measured | apart | holds | |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        let Row { name, more, goal, least, figures, of } = row;
        let sign = if *more { "≥" } else { "≤" };
        let (measured, apart, verdict) = (short(median(figures)), spread(figures) * 100.0, row.verdict());
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "| {name} | {sign} {goal} × | {sign} {least} × | {measured} × | {apart:.0} % | {verdict} | {of} |"
        );
    }
    table
}

/// What the table was measured on.
pub(super) fn under(medium: &str, repetitions: usize) -> String {
    let Machine { cpu, cores, memory_gib, kernel, rustc } = Machine::this();
    format!(
        "{}, on {cores} × {cpu}, {memory_gib} GiB, {kernel}, {rustc}; files on {medium}. Median of {repetitions} repetitions.\n",
        today()
    )
}

/// The table onto the page.
pub(super) fn write(rows: &[Row], medium: &str, repetitions: usize) -> Result<(), String> {
    let page = fs::read_to_string(PAGE).map_err(|error| format!("reading {PAGE}: {error}"))?;
    let text = format!("{}\n{}", table(rows), under(medium, repetitions));
    let page = between(&page, MARKERS, &text).ok_or_else(|| format!("{PAGE} lacks its markers"))?;
    fs::write(PAGE, page).map_err(|error| format!("writing {PAGE}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_by_its_median_whether_it_holds() {
        let round = |ns| Figures::default().with("interval_ns", ns).with("none_ns", 100.0);
        let verdict = |figures: [f64; 3]| rows(&figures.map(round))[0].verdict();
        assert_eq!(verdict([120.0, 130.0, 900.0]), "goal");
        assert_eq!(verdict([120.0, 131.0, 900.0]), "least");
        assert_eq!(verdict([120.0, 171.0, 900.0]), "**missed**");
        assert!(!rows(&[Figures::default()]).iter().any(Row::holds), "what was not measured does not hold");
    }
}
