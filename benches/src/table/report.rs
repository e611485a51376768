//! The table for people, and the figures as data.

use super::{
    figures::{median, spread},
    rows::{Round, Row},
};
use crate::{clock::today, machine::Machine};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write, fs};

const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/figures.json");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
/// Between these the table stands on the page.
const MARKERS: (&str, &str) = ("<!-- table -->\n", "<!-- end of the table -->");

/// How a row came out.
struct Result<'a> {
    row: &'a Row,
    figures: Vec<f64>,
    median: f64,
}

impl Result<'_> {
    fn reaches(&self, bound: f64) -> bool {
        if self.row.more { self.median >= bound } else { self.median <= bound }
    }

    fn verdict(&self) -> &'static str {
        match (self.reaches(self.row.goal), self.reaches(self.row.least)) {
            (true, _) => "goal",
            // Where nothing is set as the least, nothing is reached by missing the goal.
            (false, true) if self.row.least > 0.0 => "least",
            _ => "**missed**",
        }
    }
}

fn results<'a>(rows: &[&'a Row], rounds: &[Round]) -> Vec<Result<'a>> {
    let result = |row: &&'a Row| {
        let figures: Vec<f64> = rounds.iter().map(|round| (row.figure)(round)).collect();
        Result { row, median: median(&figures), figures }
    };
    rows.iter().map(result).collect()
}

/// True if every row reaches what it has to.
pub(super) fn all_hold(rows: &[&Row], rounds: &[Round]) -> bool {
    results(rows, rounds).iter().all(|result| result.reaches(result.row.least))
}

/// The table on standard output.
pub(super) fn print(rows: &[&Row], rounds: &[Round], refused: &[String]) {
    print!("{}", table(&results(rows, rounds)));
    println!("\n{} repetitions; {} did not count", rounds.len(), refused.len());
}

/// The table onto the page, and the figures into their file.
pub(super) fn write(rows: &[&Row], rounds: &[Round], refused: &[String]) -> std::result::Result<(), String> {
    let (results, machine) = (results(rows, rounds), Machine::this());
    let mut text = serde_json::to_string_pretty(&data(&results, rounds, refused, &machine))
        .map_err(|error| format!("writing {FIGURES}: {error}"))?;
    text.push('\n');
    fs::write(FIGURES, text).map_err(|error| format!("writing {FIGURES}: {error}"))?;
    let page = fs::read_to_string(PAGE).map_err(|error| format!("reading {PAGE}: {error}"))?;
    let under = format!(
        "\n{}, on {} × {}, {} GiB, {}, {}. Median of {} repetitions, {} more did not count.\n",
        today(),
        machine.cores,
        machine.cpu,
        machine.memory_gib,
        machine.kernel,
        machine.rustc,
        rounds.len(),
        refused.len()
    );
    let page = between(&page, MARKERS, &(table(&results) + &under))
        .ok_or_else(|| format!("{PAGE} lacks its markers"))?;
    fs::write(PAGE, page).map_err(|error| format!("writing {PAGE}: {error}"))
}

/// A page with this between its markers.
pub(crate) fn between(page: &str, markers: (&str, &str), text: &str) -> Option<String> {
    let (before, rest) = page.split_once(markers.0)?;
    let (_, after) = rest.split_once(markers.1)?;
    Some([before, markers.0, text, markers.1, after].concat())
}

fn table(results: &[Result<'_>]) -> String {
    let mut table = String::from(
        "| | goal | least | measured | apart | holds |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for result in results {
        let Row { name, unit, more, goal, least, .. } = result.row;
        let sign = if *more { "≥" } else { "≤" };
        let bound =
            |bound: f64| if bound > 0.0 { format!("{sign} {bound} {unit}") } else { "–".to_owned() };
        let (median, apart) = (short(result.median), spread(&result.figures) * 100.0);
        let verdict = result.verdict();
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "| {name} | {} | {} | {median} {unit} | {apart:.0} % | {verdict} |",
            bound(*goal),
            bound(*least)
        );
    }
    table
}

/// Three digits that count.
pub(crate) fn short(figure: f64) -> String {
    let digits = match figure.abs() {
        above if above >= 100.0 => 0,
        above if above >= 10.0 => 1,
        above if above >= 1.0 => 2,
        _ => 3,
    };
    format!("{figure:.digits$}")
}

fn data(results: &[Result<'_>], rounds: &[Round], refused: &[String], machine: &Machine) -> Value {
    let row = |result: &Result<'_>| {
        let Row { group, name, unit, goal, least, .. } = result.row;
        let least = (*least > 0.0).then_some(*least);
        json!({
            "row": name, "group": group, "unit": unit, "goal": goal, "least": least,
            "median": rounded(result.median), "repetitions": result.figures.iter().copied().map(rounded).collect::<Vec<_>>(),
            "spread": rounded(spread(&result.figures)),
        })
    };
    let mut measurements: BTreeMap<&str, BTreeMap<&str, Vec<f64>>> = BTreeMap::new();
    for (name, figures) in rounds.iter().flatten() {
        for (figure, value) in figures.iter() {
            measurements.entry(name).or_default().entry(figure).or_default().push(rounded(value));
        }
    }
    json!({
        "date": today(),
        "machine": {
            "cpu": machine.cpu, "cores": machine.cores, "memory_gib": machine.memory_gib,
            "kernel": machine.kernel, "rustc": machine.rustc,
        },
        "repetitions": rounds.len(),
        "refused": refused,
        "rows": results.iter().map(row).collect::<Vec<_>>(),
        "measurements": measurements,
    })
}

/// To four digits behind the point: what is behind them is noise.
fn rounded(figure: f64) -> f64 {
    (figure * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::{
        super::{figures::Figures, rows::ROWS},
        *,
    };

    fn round(baseline: f64, pond: f64) -> Round {
        let ns = |ns: f64| Figures::default().with("ns", ns);
        Round::from([("zipf.baseline", ns(baseline)), ("zipf.pond", ns(pond))])
    }

    #[test]
    fn a_row_holds_by_the_median_of_its_ratios() {
        let row = [&ROWS[0]];
        let rounds = |ponds: [f64; 3]| ponds.map(|pond| round(1800.0, pond));
        assert!(all_hold(&row, &rounds([300.0, 900.0, 200.0])));
        assert!(!all_hold(&row, &rounds([300.0, 301.0, 302.0])));
        assert!(!all_hold(&row, &[Round::new()]), "what was not measured does not hold");
        let text = table(&results(&row, &rounds([200.0, 190.0, 210.0])));
        assert!(text.contains("| ≥ 9 × | ≥ 6 × | 9.00 × | 10 % | goal |"), "{text}");
    }

    #[test]
    fn the_table_goes_between_the_markers() {
        let page = format!("a\n{}old{}\nb\n", MARKERS.0, MARKERS.1);
        assert_eq!(
            between(&page, MARKERS, "new\n").unwrap(),
            format!("a\n{}new\n{}\nb\n", MARKERS.0, MARKERS.1)
        );
        assert!(between("a", MARKERS, "new").is_none());
    }
}
