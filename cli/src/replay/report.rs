//! The report: a table for people, JSON for programs.

use crate::{
    args::{Replay, SinkName},
    failure::{Failure, Result},
    pond::Stats,
    units,
};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

/// Makes the file of the report, or empties it: hours of work must not end in a directory that is not there.
pub(super) fn create(path: &Path) -> Result<File> {
    File::create(path).map_err(|error| Failure::io(format!("creating --report {}", path.display()), &error))
}

/// What a replay did.
pub(super) struct Report<'a> {
    pub(super) stats: Stats,
    /// Bytes of the lines that were accepted.
    pub(super) bytes_in: u64,
    /// Operations that an earlier run had accepted, by the journal.
    pub(super) seen: u64,
    /// Distinct keys.
    pub(super) documents: u64,
    /// Input lines that were refused.
    pub(super) rejected: u64,
    pub(super) time: Duration,
    pub(super) interrupted: bool,
    /// Why it failed, if it did.
    pub(super) failed: Option<String>,
    pub(super) peak_anonymous_bytes: Option<u64>,
    pub(super) inputs: Arc<[String]>,
    pub(super) sink: String,
    pub(super) args: &'a Replay,
}

impl Report<'_> {
    /// One JSON object, with the flags that made it.
    pub(super) fn write_json(&self, file: File) -> io::Result<()> {
        let mut out = BufWriter::new(file);
        serde_json::to_writer_pretty(&mut out, &self.json())?;
        out.write_all(b"\n")?;
        out.flush()
    }

    fn json(&self) -> Value {
        let Self { stats, args, .. } = self;
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "inputs": &self.inputs[..],
            "sink": self.sink,
            "flags": {
                "index": args.index,
                "memory_bytes": args.memory,
                "max_delay_seconds": args.max_delay.as_secs_f64(),
                "writers": args.writers,
                "batch_bytes": args.batch_bytes,
                "batch_ops": args.batch_ops,
                "journal": args.journal,
                "rejects": args.rejects,
                "dead_letters": args.dead_letters,
            },
            "interrupted": self.interrupted,
            "failed": self.failed,
            "operations_in": self.operations_in(),
            "operations_out": stats.operations_out,
            "operations_folded": stats.operations_folded,
            "operations_seen": self.seen,
            "operations_restored": stats.operations_restored,
            "journal_bytes": stats.journal.as_ref().map(|journal| journal.bytes),
            "journal_torn": stats.journal.as_ref().and_then(|journal| journal.torn.as_deref()),
            "bytes_in": self.bytes_in,
            "bytes_out": stats.bytes_out,
            "documents": self.documents,
            "noops": stats.noops,
            "not_found": stats.not_found,
            "conflicts": stats.conflicts,
            "misfits": stats.misfits,
            "retries": stats.retries,
            "batches": {
                "limit": stats.batches.limit,
                "bytes": stats.batches.bytes,
                "refused": stats.batches.refused,
            },
            "rejected": self.rejected,
            "dead_letters": stats.dead_letters,
            "seconds": self.time.as_secs_f64(),
            "operations_per_second": units::rate(self.operations_in(), self.time),
            "longest_wait_seconds": stats.longest_wait.as_secs_f64(),
            "peak_pending_bytes": stats.peak_pending_bytes,
            "peak_anonymous_bytes": self.peak_anonymous_bytes,
            "without_folding": { "operations": self.operations_in(), "bytes": self.bytes_in },
        })
    }

    /// The table.
    pub(super) fn table(&self) -> String {
        let Self { stats, .. } = self;
        let (operations_in, operations_out) = (self.operations_in(), stats.operations_out);
        let mut text = String::new();
        self.headline(&mut text);
        table_line(&mut text, ["", "in", "out", "ratio"]);
        pair(&mut text, "operations", operations_in, operations_out);
        pair(&mut text, "bytes (NDJSON)", self.bytes_in, stats.bytes_out);
        text.push('\n');
        let speed = units::whole(units::rate(operations_in, self.time));
        let byte_speed = units::bytes(units::whole(units::rate(self.bytes_in, self.time)));
        for (name, figure) in [
            (
                "without folding",
                format!("{} operations, {}", units::count(operations_in), units::bytes(self.bytes_in)),
            ),
            ("saved", self.saved()),
            ("documents", units::count(self.documents)),
            ("throughput", format!("{} operations/s, {byte_speed}/s in", units::count(speed))),
            ("longest wait", units::seconds(stats.longest_wait)),
            ("peak pending", self.peak_pending()),
        ] {
            row(&mut text, name, &figure);
        }
        if matches!(self.args.sink(), Ok(Some(SinkName::Server(_)))) {
            row(&mut text, "requests", &self.requests());
        }
        text.push('\n');
        for (name, count, always) in [
            ("read before", self.seen, self.args.journal.is_some()),
            ("restored", stats.operations_restored, self.args.journal.is_some()),
            ("noops", stats.noops, true),
            ("not found", stats.not_found, false),
            ("conflicts", stats.conflicts, false),
            ("misfits", stats.misfits, false),
            ("retries", stats.retries, false),
            ("rejected lines", self.rejected, true),
            ("dead letters", stats.dead_letters, true),
        ] {
            if always || count > 0 {
                row(&mut text, name, &units::count(count));
            }
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// Operations with an end: settled, or in a dead letter.
    fn operations_in(&self) -> u64 {
        self.stats.operations_settled + self.stats.operations_dead
    }

    fn headline(&self, text: &mut String) {
        let how = match (&self.failed, self.interrupted) {
            (Some(_), _) => "failed",
            (None, true) => "interrupted",
            (None, false) => "done",
        };
        let inputs = match &*self.inputs {
            [one] => one.clone(),
            many => format!("{} inputs", many.len()),
        };
        put(text, format_args!("\n{how}: {inputs} to {} in {}\n\n", self.sink, units::seconds(self.time)));
    }

    /// What did not have to be sent.
    fn saved(&self) -> String {
        let share = |whole: u64, part: u64| {
            let kept = units::ratio(part, whole).unwrap_or(1.0);
            format!("{:.1} %", 100.0 * (1.0 - kept))
        };
        let operations = share(self.operations_in(), self.stats.operations_out);
        format!("{operations} of the operations, {} of the bytes", share(self.bytes_in, self.stats.bytes_out))
    }

    /// How much was sent at once in the end.
    fn requests(&self) -> String {
        let batches = self.stats.batches;
        let (most, bytes) = (self.args.server.requests(), units::bytes(batches.bytes));
        format!(
            "{} of {most} at once in the end, of {bytes}; {} refused",
            batches.limit,
            units::count(batches.refused)
        )
    }

    fn peak_pending(&self) -> String {
        let bound = u64::try_from(self.args.memory).unwrap_or(u64::MAX);
        format!("{} of {}", units::bytes(self.stats.peak_pending_bytes), units::bytes(bound))
    }
}

/// Writing to a string cannot fail.
fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}

fn table_line(text: &mut String, cells: [&str; 4]) {
    let [name, left, right, ratio] = cells;
    put(text, format_args!("  {name:<16}{left:>15}{right:>15}{ratio:>12}\n"));
}

fn pair(text: &mut String, name: &str, whole: u64, part: u64) {
    let ratio = units::ratio(whole, part).map_or("-".to_owned(), |ratio| format!("{ratio:.1} : 1"));
    table_line(text, [name, &units::count(whole), &units::count(part), &ratio]);
}

fn row(text: &mut String, name: &str, figure: &str) {
    put(text, format_args!("  {name:<16}{figure:>15}\n"));
}
