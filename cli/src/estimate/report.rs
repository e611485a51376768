//! What was estimated: a table for people, JSON for programs.

use super::{
    estimator::{Estimate, Estimated, Found, Total},
    window::Window,
};
use crate::{args, units};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    fmt::{Arguments, Write as _},
    sync::Arc,
    time::Duration,
};

/// What is printed.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) estimate: Estimate,
    /// Input lines that were refused.
    pub(super) rejected: u64,
    pub(super) time: Duration,
    pub(super) interrupted: bool,
    /// Why it failed, if it did.
    pub(super) failed: Option<String>,
    pub(super) inputs: Arc<[String]>,
    pub(super) args: &'a args::Estimate,
}

impl Report<'_> {
    /// One JSON object, on one line.
    pub(super) fn json(&self) -> String {
        let Self { estimate: Estimate { total, documents, sizes }, args, .. } = self;
        let moment = |micros: i64| Timestamp::from_microsecond(micros).map(|time| time.to_string()).ok();
        let time = args.time_field.as_ref().map(|field| {
            json!({
                "field": field,
                "missing": total.missing,
                "unreadable": total.unreadable,
                "first": total.span.and_then(|(first, _)| moment(first)),
                "last": total.span.and_then(|(_, last)| moment(last)),
            })
        });
        let report = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "inputs": &self.inputs[..],
            "interrupted": self.interrupted,
            "failed": self.failed,
            "operations_in": total.operations,
            "bytes_in": total.bytes,
            "documents": documents,
            "rejected": self.rejected,
            "memory_bytes": args.memory,
            "seconds": self.time.as_secs_f64(),
            "time": time,
            "windows": sizes.iter().map(|size| size.json(total)).collect::<Vec<_>>(),
        });
        format!("{report}\n")
    }

    /// The table, and what it says in words.
    pub(super) fn table(&self) -> String {
        let Estimate { total, documents, sizes } = &self.estimate;
        let mut text = String::new();
        let (operations, documents) =
            (counted(total.operations, "operation"), counted(*documents, "document"));
        let inputs = match &*self.inputs {
            [one] => one.clone(),
            many => format!("{} inputs", many.len()),
        };
        let part = if self.interrupted || self.failed.is_some() { ", as far as it was read" } else { "" };
        let bytes = units::bytes(total.bytes);
        put(
            &mut text,
            format_args!("{inputs}{part}: {operations} on {documents}, {bytes} of bulk lines\n\n"),
        );
        line(
            &mut text,
            "folded over",
            ["operations out", "fewer", "bytes out", "fewer", "alone", "held at most"],
        );
        for size in sizes {
            self.row(&mut text, size);
        }
        text.push('\n');
        let last = |is_of_time| {
            let is_told = |size: &&Estimated| size.window.is_of_time() == is_of_time && !size.is_overflow();
            sizes.iter().rev().find(is_told)
        };
        for size in [last(false), last(true)].into_iter().flatten() {
            size.sentence(total, &mut text);
        }
        self.notes(&mut text);
        text
    }

    fn row(&self, text: &mut String, size: &Estimated) {
        let total = &self.estimate.total;
        let name = size.window.to_string();
        match size.found {
            Found::Overflow { .. } => {
                let bound = units::bytes(u64::try_from(self.args.memory).unwrap_or(u64::MAX));
                put(text, format_args!("  {name:<18}does not fit into --memory {bound}\n"));
            }
            Found::Whole { counts, peak_bytes, .. } => {
                let cells = [
                    units::count(counts.operations),
                    times(total.operations, counts.operations),
                    units::bytes(counts.bytes),
                    times(total.bytes, counts.bytes),
                    units::count(counts.alone),
                    units::bytes(peak_bytes),
                ];
                line(text, &name, cells.each_ref().map(String::as_str));
            }
        }
    }

    /// What of the input was not as it should be.
    fn notes(&self, text: &mut String) {
        let Estimate { total, sizes, .. } = &self.estimate;
        if let Some(field) = &self.args.time_field {
            let timed = total.operations - total.missing - total.unreadable;
            put(text, format_args!("  {field}: a time in {}", counted(timed, "operation")));
            if let Some((first, last)) = total.span {
                let [first, last] =
                    [first, last].map(|at| Timestamp::from_microsecond(at).unwrap_or_default());
                put(text, format_args!(", from {first} to {last}"));
            }
            for (count, what) in
                [(total.missing, "without one"), (total.unreadable, "with one that cannot be read")]
            {
                if count > 0 {
                    put(text, format_args!("; {} {what}", units::count(count)));
                }
            }
            if total.missing + total.unreadable > 0 {
                text.push_str(", which count with the one before");
            }
            text.push('\n');
        }
        for size in sizes {
            if let Found::Whole { late, .. } = size.found
                && late > 0
            {
                let late = counted(late, "operation");
                put(
                    text,
                    format_args!(
                        "  {}: {late} came late and counted in the window that was open\n",
                        size.window
                    ),
                );
            }
        }
        if self.rejected > 0 {
            put(text, format_args!("  left out: {}\n", counted(self.rejected, "bad line")));
        }
    }
}

impl Estimated {
    pub(super) fn is_overflow(&self) -> bool {
        matches!(self.found, Found::Overflow { .. })
    }

    fn json(&self, total: &Total) -> Value {
        let (operations, seconds) = match self.window {
            Window::All => (None, None),
            Window::Operations(operations) => (Some(operations.get()), None),
            Window::Time(length) => (None, Some(Duration::from_micros(length.get()).as_secs_f64())),
        };
        let window = json!({
            "window": self.window.to_string(),
            "operations": operations,
            "seconds": seconds,
            "fits": !self.is_overflow(),
        });
        let mut object = window;
        if let (Some(object), Found::Whole { counts, late, peak_bytes }) =
            (object.as_object_mut(), self.found)
        {
            for (name, value) in [
                ("windows", json!(counts.windows)),
                ("operations_out", json!(counts.operations)),
                ("operations_factor", json!(units::ratio(total.operations, counts.operations))),
                ("bytes_out", json!(counts.bytes)),
                ("bytes_factor", json!(units::ratio(total.bytes, counts.bytes))),
                ("operations_alone", json!(counts.alone)),
                ("operations_late", json!(late)),
                ("peak_pending_bytes", json!(peak_bytes)),
            ] {
                object.insert(name.to_owned(), value);
            }
        }
        object
    }

    /// What is saved, in words.
    fn sentence(&self, total: &Total, text: &mut String) {
        let Found::Whole { counts, .. } = self.found else { return };
        let (name, came) = (self.window, units::count(total.operations));
        if counts.operations == total.operations {
            put(
                text,
                format_args!(
                    "  Folded over {name}, no two of {came} operations meet: nothing would be saved.\n"
                ),
            );
            return;
        }
        let left = units::count(counts.operations);
        let operations = fewer(total.operations, counts.operations);
        let bytes = fewer(total.bytes, counts.bytes);
        put(
            text,
            format_args!(
                "  Folded over {name}, of {came} operations {left} would go out: {operations} fewer, and {bytes} fewer bytes.\n"
            ),
        );
    }
}

/// `82.7 times`, or where that is hardly more than once, `3.1 %`.
fn fewer(whole: u64, part: u64) -> String {
    match units::ratio(whole, part) {
        None => "no".to_owned(),
        Some(ratio) if ratio < 1.1 => format!("{:.1} %", 100.0 * (1.0 - 1.0 / ratio)),
        Some(ratio) => format!("{ratio:.1} times"),
    }
}

/// `1 document`, `2 documents`.
fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", units::count(count), if count == 1 { "" } else { "s" })
}

fn times(whole: u64, part: u64) -> String {
    units::ratio(whole, part).map_or("-".to_owned(), |ratio| format!("{ratio:.1} x"))
}

/// Writing to a string cannot fail.
fn put(text: &mut String, arguments: Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}

fn line(text: &mut String, name: &str, cells: [&str; 6]) {
    let [operations, fewer, bytes, fewer_bytes, alone, held] = cells;
    put(
        text,
        format_args!(
            "  {name:<18}{operations:>15}{fewer:>10}{bytes:>13}{fewer_bytes:>10}{alone:>12}{held:>14}\n"
        ),
    );
}
