//! What was measured: a table for people, JSON for programs.

use super::{
    bench::{Results, Run, Windowed, is_one},
    figures::{Figures, Row, fewer},
    machine::Machine,
    scan::Total,
};
use crate::{args::Impact, estimate::Window, units};
use serde_json::{Map, Value, json};
use std::fmt::{Arguments, Write as _};

/// What the headline speaks of where it was measured, and how.
const TOLD: [(Row, &str); 3] = [
    (Row::Operations, "fewer operations"),
    (Row::ServerCpu, "less processor time of the server"),
    (Row::ServerWritten, "less written to its disk"),
];
/// The rows of the table of windows.
pub(super) const OF_WINDOWS: [Row; 4] =
    [Row::Operations, Row::RequestBytes, Row::ServerCpu, Row::ServerWritten];

/// What is printed.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) args: &'a Impact,
    /// What the input is called.
    pub(super) input: String,
    /// The name and version of the server.
    pub(super) server: String,
    pub(super) url: String,
    pub(super) nodes: u64,
    pub(super) total: Total,
    pub(super) results: Results,
    pub(super) machine: Machine,
    /// When it ended.
    pub(super) when: String,
    /// The command that was given.
    pub(super) command: String,
}

impl Report<'_> {
    pub(super) fn plain(&self) -> Figures {
        median(&self.results.plain)
    }

    pub(super) fn folded(&self) -> Figures {
        median(&self.results.folded)
    }

    /// The rows that were measured.
    pub(super) fn rows(&self) -> Vec<Row> {
        let (plain, folded) = (self.plain(), self.folded());
        Row::ALL
            .iter()
            .copied()
            .filter(|row| plain.get(*row).is_some() && folded.get(*row).is_some())
            .collect()
    }

    /// What is saved, in a sentence.
    pub(super) fn headline(&self) -> String {
        let (plain, folded) = (self.plain(), self.folded());
        let told: Vec<String> = TOLD
            .iter()
            .filter_map(|(row, words)| {
                Some(format!("{} times {words}", times(fewer(&plain, &folded, *row)?)))
            })
            .collect();
        let saved = match told.as_slice() {
            [] => "nothing that could be measured".to_owned(),
            [one] => one.clone(),
            [many @ .., last] => format!("{} and {last}", many.join(", ")),
        };
        let wrong = match self.results.compared.wrong() {
            0 => "the same documents in the end".to_owned(),
            wrong => format!("{} documents are wrong", units::count(wrong)),
        };
        format!("Folded: {saved}; {wrong}.")
    }

    /// The settings of both sides, in a sentence.
    pub(super) fn settings(&self) -> String {
        let args = self.args;
        let runs = args.runs.get();
        format!(
            "Bulks of at most {} operations; the plain client has one request out, the folded side {}{}. Folded in at most {}, for \
             at most {}. {} of each side, {}; one before them did not count.",
            units::count(args.batch_ops.get() as u64),
            args.requests(),
            if args.server.gzip { ", compressed" } else { "" },
            units::bytes(args.memory as u64),
            units::seconds(args.max_delay),
            if runs == 1 { "One run".to_owned() } else { format!("{runs} runs") },
            if runs == 1 { "as it was" } else { "in turn, and their medians" },
        )
    }

    /// The input and the server, in a line.
    pub(super) fn subject(&self) -> String {
        let Total { operations, documents, bytes, .. } = &self.total;
        format!(
            "{}: {} operations on {} documents, {} of bulk lines, to {} at {}",
            self.input,
            units::count(*operations),
            units::count(*documents),
            units::bytes(*bytes),
            self.server,
            self.url
        )
    }

    /// The table, and what it says in words.
    pub(super) fn table(&self) -> String {
        let (plain, folded) = (self.plain(), self.folded());
        let mut text = String::new();
        put(&mut text, format_args!("{}\n{}\n\n", self.subject(), self.settings()));
        line(&mut text, "", ["plain", "folded", "fewer"]);
        for row in self.rows() {
            let shown =
                |figures: &Figures| figures.get(row).map_or("-".to_owned(), |number| row.unit().show(number));
            line(
                &mut text,
                row.label(),
                [&shown(&plain), &shown(&folded), &ratio(fewer(&plain, &folded, row))],
            );
        }
        let wrong = units::count(self.results.compared.wrong());
        line(&mut text, "documents wrong", ["", &wrong, ""]);
        text.push('\n');
        self.windows(&mut text, &plain);
        put(&mut text, format_args!("{}\n", self.headline()));
        for example in &self.results.compared.examples {
            put(&mut text, format_args!("  wrong: {example}\n"));
        }
        for (side, runs) in [("plain", &self.results.plain), ("folded", &self.results.folded)] {
            if let Some(reason) = runs.iter().find_map(|run| run.reason.as_ref()) {
                put(&mut text, format_args!("  the first operation that failed, {side}: {reason}\n"));
            }
        }
        text
    }

    fn windows(&self, text: &mut String, plain: &Figures) {
        if self.results.windows.is_empty() {
            return;
        }
        let rows: Vec<Row> = OF_WINDOWS.into_iter().filter(|row| plain.get(*row).is_some()).collect();
        put(text, format_args!("  {:<20}", "folded over"));
        for row in &rows {
            put(text, format_args!("{:>23}{:>9}", row.label(), "fewer"));
        }
        text.push('\n');
        for windowed in &self.results.windows {
            let figures = windowed.figures();
            put(text, format_args!("  {:<20}", label(windowed.window)));
            for row in &rows {
                let shown = figures.get(*row).map_or("-".to_owned(), |number| row.unit().show(number));
                put(text, format_args!("{shown:>23}{:>9}", ratio(fewer(plain, &figures, *row))));
            }
            text.push('\n');
        }
        text.push('\n');
    }

    /// One JSON object, on one line.
    pub(super) fn json(&self) -> String {
        let Self { args, total, results, .. } = self;
        let (plain, folded) = (self.plain(), self.folded());
        let fewer_of = |figures: &Figures| -> Map<String, Value> {
            Row::ALL.iter().map(|row| (row.key().to_owned(), json!(fewer(&plain, figures, *row)))).collect()
        };
        let windows: Vec<Value> = results
            .windows
            .iter()
            .map(|windowed| {
                let figures = windowed.figures();
                let operations = match windowed.window {
                    Window::Operations(operations) => Some(operations.get()),
                    _ => None,
                };
                json!({
                    "operations": operations,
                    "is_plain": is_one(windowed.window),
                    "median": object(&figures),
                    "fewer": fewer_of(&figures),
                    "runs": runs(&windowed.runs),
                })
            })
            .collect();
        let compared = &results.compared;
        let report = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "when": self.when,
            "command": self.command,
            "input": self.input,
            "server": { "name": self.server, "url": self.url, "nodes": self.nodes },
            "machine": self.machine.json(),
            "operations_in": total.operations,
            "bytes_in": total.bytes,
            "documents": total.documents,
            "indices": total.indices,
            "settings": {
                "runs": args.runs,
                "batch_operations": args.batch_ops,
                "requests": args.requests(),
                "gzip": args.server.gzip,
                "memory_bytes": args.memory,
                "max_delay_seconds": args.max_delay.as_secs_f64(),
                "shards": args.shards,
            },
            "plain": { "median": object(&plain), "runs": runs(&results.plain) },
            "folded": { "median": object(&folded), "runs": runs(&results.folded) },
            "fewer": fewer_of(&folded),
            "windows": windows,
            "wrong": {
                "documents": compared.wrong(),
                "different": compared.different,
                "missing": compared.missing,
                "extra": compared.extra,
                "compared": compared.equal + compared.wrong(),
                "comparisons": results.comparisons,
                "examples": compared.examples,
            },
        });
        format!("{report}\n")
    }
}

impl Windowed {
    /// The medians of its runs.
    pub(super) fn figures(&self) -> Figures {
        median(&self.runs)
    }
}

fn median(runs: &[Run]) -> Figures {
    let figures: Vec<Figures> = runs.iter().map(|run| run.figures.clone()).collect();
    Figures::median(&figures)
}

fn object(figures: &Figures) -> Map<String, Value> {
    Row::ALL.iter().map(|row| (row.key().to_owned(), json!(figures.get(*row)))).collect()
}

fn runs(runs: &[Run]) -> Vec<Value> {
    let one = |run: &Run| {
        let mut object = object(&run.figures);
        object.insert("repeats".to_owned(), json!(run.repeats));
        object.insert("reason".to_owned(), json!(run.reason));
        Value::Object(object)
    };
    runs.iter().map(one).collect()
}

/// What a window is called: over one operation nothing folds.
pub(super) fn label(window: Window) -> String {
    if is_one(window) { "1 (plain client)".to_owned() } else { window.to_string() }
}

/// How many times, with as many digits as can be told.
pub(super) fn times(ratio: f64) -> String {
    match ratio {
        ..0.095 => format!("{ratio:.3}"),
        ..0.95 => format!("{ratio:.2}"),
        ..99.95 => format!("{ratio:.1}"),
        _ => units::count(units::whole(ratio)),
    }
}

fn ratio(fewer: Option<f64>) -> String {
    fewer.map_or("-".to_owned(), |fewer| format!("{} x", times(fewer)))
}

/// Writing to a string cannot fail.
fn put(text: &mut String, arguments: Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}

fn line(text: &mut String, name: &str, [plain, folded, fewer]: [&str; 3]) {
    let whole = format!("  {name:<24}{plain:>15}{folded:>15}{fewer:>12}");
    put(text, format_args!("{}\n", whole.trim_end()));
}
