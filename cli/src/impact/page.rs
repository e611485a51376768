//! The report as a page: one file that needs no other, and no network.
//!
//! # Design
//! A sentence first, then pictures, then the whole table, each run by itself, how it was measured, and what it does not say. Bars
//! are lines of the page itself, so that they fit a phone; the plot over windows is SVG ([`plot`](super::plot)). Light or dark is the
//! reader's.
//!
//! # Why not a template engine
//! It is one page, and what stands in it is worked out here; a language of its own would be read once more than this.
//!
//! # Invariants
//! 1. Whatever comes from outside is escaped.
//! 2. Nothing is loaded from anywhere: no address but the text of the server's.

use super::{
    bench::{Run, is_one},
    figures::{Figures, Row, Unit, fewer},
    plot::{self, Series, Tick},
    report::{OF_WINDOWS, Report, label, times},
};
use crate::{estimate::Window, units};
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");
/// What is drawn as bars, where it was measured.
const BARS: [Row; 4] = [Row::Operations, Row::ServerCpu, Row::ServerWritten, Row::RequestBytes];
/// What is drawn over windows, at most; the first are taken that were measured.
const LINES: [Row; 4] = [Row::Operations, Row::ServerCpu, Row::ServerWritten, Row::RequestBytes];
const LINES_MAX: usize = 3;
/// What is told of each run.
const OF_RUNS: [Row; 6] =
    [Row::Operations, Row::Wall, Row::OwnCpu, Row::ServerCpu, Row::ServerWritten, Row::LongestWait];

const METHOD: &str = "<p>The plain client sends the operations as they came, in order, one request at a time over a kept connection; \
field operations go out as the same script that the folded side uses. Before the server’s counts are read both sides are refreshed \
and flushed, and their merges waited for. A run too short to be measured is repeated, and its figures are means.</p>\n";

const LIMITS: &str = "<h2>What it does not say</h2>\n<ul>\n\
<li><b>Folding saves where documents change often.</b> What is written once is sent once. Operations with routings that change, \
and mixed list operations on one field, stay side by side; scripts, versions of one’s own and <code>refresh</code> are not taken at all.</li>\n\
<li><b>It is paid for in time.</b> An operation waits before it is sent, as long as the table says and never longer than \
<code>--max-delay</code>, unless the server is away. The plot shows what is left where fewer may wait.</li>\n\
<li><b>Ingest pipelines</b> run on whole documents and upserts, never on partial documents: folding changes what they see.</li>\n\
<li><b>Other writers</b> of the same documents: a whole document of ours replaces what they wrote since.</li>\n\
<li><b>Digits.</b> The documents are equal by value. A server that carries an update out writes the document anew, so that \
<code>1.10</code> becomes <code>1.1</code>, on both sides.</li>\n\
<li><b>One server, one stream.</b> Its indices have no replicas, each of which would do most of the work once more. Where sender and \
server share the processors, wall time says least. Another stream saves as often as its documents change: \
<code>millpond estimate</code> tells of yours without any server.</li>\n</ul>\n";

/// The whole page.
pub(super) fn html(report: &Report<'_>) -> String {
    let mut out = String::new();
    let headline = escaped(&report.headline());
    put(
        &mut out,
        format_args!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>millpond impact: {headline}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>What folding saves a server, by millpond {}</h1>\n<p class=\"headline\">{headline}</p>\n\
         <p>{}.</p>\n<p class=\"soft\">{}</p>\n",
            env!("CARGO_PKG_VERSION"),
            escaped(&report.subject()),
            escaped(&report.when),
        ),
    );
    wrong(&mut out, report);
    bars(&mut out, report);
    windows(&mut out, report);
    table(&mut out, report);
    runs(&mut out, report);
    how(&mut out, report);
    out.push_str(LIMITS);
    out.push_str("</body>\n</html>\n");
    out
}

/// What is wrong, before anything else.
fn wrong(out: &mut String, report: &Report<'_>) {
    let compared = &report.results.compared;
    if compared.wrong() == 0 {
        let each = match report.results.comparisons {
            1 => "once, at the end".to_owned(),
            times => format!("after each of {times} folded runs"),
        };
        put(
            out,
            format_args!(
                "<p>All {} documents were compared with the plain client’s {each}: <b>0 wrong</b>.</p>\n",
                units::count(report.total.documents)
            ),
        );
        return;
    }
    put(
        out,
        format_args!(
            "<p class=\"bad\"><b>{} documents are wrong</b>: {} different, {} missing, {} extra.</p>\n<ul>\n",
            compared.wrong(),
            compared.different,
            compared.missing,
            compared.extra
        ),
    );
    for example in &compared.examples {
        put(out, format_args!("<li><code>{}</code></li>\n", escaped(example)));
    }
    out.push_str("</ul>\n");
}

fn bars(out: &mut String, report: &Report<'_>) {
    let (plain, folded) = (report.plain(), report.folded());
    out.push_str("<div class=\"bars\">\n");
    for row in BARS {
        let (Some(left), Some(right)) = (plain.get(row), folded.get(row)) else { continue };
        let most = left.max(right).max(f64::MIN_POSITIVE);
        let saved = ratio(fewer(&plain, &folded, row));
        let less = if row.unit() == Unit::Count { "fewer" } else { "less" };
        put(
            out,
            format_args!(
                "<div class=\"card\"><h3>{}</h3><b class=\"times\">{saved} {less}</b>\n",
                row.label()
            ),
        );
        for (side, number) in [("plain", left), ("folded", right)] {
            // The number stands behind the bar, and has to have room.
            let width = 70.0 * number / most;
            let shown = row.unit().show(number);
            put(
                out,
                format_args!(
                    "<div class=\"bar {side}\"><span>{side}</span><div><i style=\"width:{width:.2}%\"></i><span>{shown}</span></div></div>\n"
                ),
            );
        }
        out.push_str("</div>\n");
    }
    out.push_str("</div>\n");
}

/// The saving over windows, as a plot and as a table.
fn windows(out: &mut String, report: &Report<'_>) {
    let (plain, windows) = (report.plain(), &report.results.windows);
    if windows.is_empty() {
        return;
    }
    out.push_str("<h2>What is saved where only so many operations may wait</h2>\n");
    let has = |row: &Row| plain.get(*row).is_some();
    let drawn: Vec<Row> = LINES.into_iter().filter(has).take(LINES_MAX).collect();
    let mut sized: Vec<(f64, String, Figures)> = windows
        .iter()
        .map(|windowed| {
            let (operations, name) = match windowed.window {
                Window::Operations(operations) => (operations.get(), units::count(operations.get())),
                _ => (report.total.operations, "all".to_owned()),
            };
            (units::float(operations), name, windowed.figures())
        })
        .collect();
    sized.sort_by(|one, other| one.0.total_cmp(&other.0));
    if sized.len() > 1 {
        let ticks: Vec<Tick> = sized.iter().map(|(size, name, _)| (*size, name.clone())).collect();
        let series = |row: &Row| Series {
            points: sized
                .iter()
                .filter_map(|(size, _, of)| Some((*size, fewer(&plain, of, *row)?)))
                .collect(),
        };
        let series: Vec<Series> = drawn.iter().map(series).collect();
        legend(out, &drawn);
        out.push_str(&plot::svg(
            "How many times less than the plain client, over windows",
            "operations in a window, after which everything is sent",
            &series,
            &ticks,
        ));
    }
    let rows: Vec<Row> = OF_WINDOWS.into_iter().filter(has).collect();
    out.push_str("<div class=\"wide\"><table class=\"windows\"><thead><tr><th>folded over</th>");
    for row in &rows {
        put(out, format_args!("<th>{}</th>", row.label()));
    }
    out.push_str("</tr></thead><tbody>\n");
    for windowed in windows {
        let figures = windowed.figures();
        put(out, format_args!("<tr><td>{}</td>", label(windowed.window)));
        for row in &rows {
            put(out, format_args!("<td>{}", shown(&figures, *row)));
            if !is_one(windowed.window) {
                put(out, format_args!(" <b>{}</b>", ratio(fewer(&plain, &figures, *row))));
            }
            out.push_str("</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

fn legend(out: &mut String, rows: &[Row]) {
    out.push_str("<ul class=\"legend\">\n");
    for (number, row) in rows.iter().enumerate() {
        let shape = match number % LINES_MAX {
            0 => "<circle cx=\"5\" cy=\"5\" r=\"4.5\"/>",
            1 => "<rect x=\"1\" y=\"1\" width=\"8\" height=\"8\"/>",
            _ => "<path d=\"M0 5L5 0L10 5L5 10Z\"/>",
        };
        put(
            out,
            format_args!(
                "<li><svg class=\"line-{number}\" viewBox=\"0 0 10 10\" aria-hidden=\"true\">{shape}</svg>{}</li>\n",
                row.label()
            ),
        );
    }
    out.push_str("</ul>\n");
}

fn table(out: &mut String, report: &Report<'_>) {
    let (plain, folded) = (report.plain(), report.folded());
    out.push_str("<h2>All that was measured</h2>\n<div class=\"wide\"><table><thead><tr><th></th><th>plain</th><th>folded</th><th>fewer</th></tr></thead><tbody>\n");
    for row in report.rows() {
        put(
            out,
            format_args!(
                "<tr><td>{}<small>{}</small></td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                row.label(),
                row.meaning(),
                shown(&plain, row),
                shown(&folded, row),
                ratio(fewer(&plain, &folded, row))
            ),
        );
    }
    put(
        out,
        format_args!(
            "<tr><td>documents wrong<small>of the folded runs, against the plain client’s</small></td><td></td><td>{}</td><td></td></tr>\n</tbody></table></div>\n",
            units::count(report.results.compared.wrong())
        ),
    );
}

fn runs(out: &mut String, report: &Report<'_>) {
    let rows: Vec<Row> = OF_RUNS.into_iter().filter(|row| report.plain().get(*row).is_some()).collect();
    out.push_str("<details><summary>Each run</summary>\n<div class=\"wide\"><table class=\"runs\"><thead><tr><th>run</th>");
    for row in &rows {
        put(out, format_args!("<th>{}</th>", row.label()));
    }
    out.push_str("<th>mean of</th></tr></thead><tbody>\n");
    let mut each = |name: &str, runs: &[Run]| {
        for (number, run) in runs.iter().enumerate() {
            put(out, format_args!("<tr><td>{name} {}</td>", number + 1));
            for row in &rows {
                put(out, format_args!("<td>{}</td>", shown(&run.figures, *row)));
            }
            put(out, format_args!("<td>{}</td></tr>\n", run.repeats));
        }
    };
    each("plain", &report.results.plain);
    each("folded", &report.results.folded);
    for windowed in report.results.windows.iter().filter(|windowed| !is_one(windowed.window)) {
        each(&format!("over {},", label(windowed.window)), &windowed.runs);
    }
    out.push_str("</tbody></table></div></details>\n");
}

/// How it was measured, and on what.
fn how(out: &mut String, report: &Report<'_>) {
    let nodes = if report.nodes == 1 { "one node".to_owned() } else { format!("{} nodes", report.nodes) };
    let shards = report.args.shards;
    let shards = if shards.get() == 1 { "1 shard".to_owned() } else { format!("{shards} shards") };
    let place = if report.args.pid.is_some() { "Server and sender run on one machine" } else { "Sent from" };
    put(
        out,
        format_args!(
            "<h2>How it was measured</h2>\n<pre>{}</pre>\n<p>{}</p>\n{}<p>Each run has new indices of {shards}, without replicas, their \
             mapping left to the server.</p>\n<p>{}, {nodes}. {place}: {}.</p>\n",
            escaped(&report.command),
            escaped(&report.settings()),
            METHOD,
            escaped(&report.server),
            escaped(&report.machine.words()),
        ),
    );
}

fn shown(figures: &Figures, row: Row) -> String {
    figures.get(row).map_or("-".to_owned(), |number| row.unit().show(number))
}

/// How many times less.
fn ratio(fewer: Option<f64>) -> String {
    fewer.map_or("-".to_owned(), |fewer| format!("{}×", times(fewer)))
}

/// A text as it stands in the page.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

/// Writing to a string cannot fail.
fn put(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(arguments);
}
