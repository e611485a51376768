//! `millpond get`, `scan`, `verify` and `stats`: what a segment directory holds.
//!
//! # Design
//! All four open the last state of the directory for reading, take no lock and write nothing: they work beside a
//! replay that is writing it. A document is printed byte for byte as it is stored.

use crate::{
    args::{Directory, Get, Scan},
    bulk,
    failure::{FAILED, Failure, Result, WELL},
    message,
    pond::{self, SegmentReader},
    units,
};
use millpond::Document;
use std::{
    fmt::Write as _,
    io::{self, BufWriter, Write},
    path::Path,
};

const BUFFER_BYTES: usize = 256 * 1024;

/// Prints one document, as a line of [`scan`].
pub fn get(args: &Get) -> Result {
    let document = open(&args.directory)?.get(&args.index, &args.id)?.ok_or_else(|| {
        let Get { index, id, directory } = args;
        Failure::Failed(format!("{} has no document {id:?} in index {index:?}", directory.display()))
    })?;
    let mut out = Vec::new();
    line(&args.index, &args.id, &document, &mut out);
    io::stdout().lock().write_all(&out).map_err(|error| Failure::stdout(&error))
}

/// Prints documents in order of index, then id, both as bytes.
pub fn scan(args: &Scan) -> Result {
    let index = args.index.as_deref();
    let after = index.zip(args.after.as_deref());
    let limit = args.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    let mut text = Vec::new();
    for found in open(&args.directory)?.documents(index, after)?.take(limit) {
        let (key, document) = match found {
            Ok(found) => found,
            Err(error) => {
                out.flush().map_err(|error| Failure::stdout(&error))?;
                return Err(Failure::Failed(format!("{error}; millpond verify names what is damaged")));
            }
        };
        text.clear();
        line(&key.index, &key.id, &document, &mut text);
        out.write_all(&text).map_err(|error| Failure::stdout(&error))?;
    }
    out.flush().map_err(|error| Failure::stdout(&error))
}

/// Reads everything. Damage is a failure.
pub fn verify(args: &Directory) -> Result<u8> {
    let report = pond::verify(&args.directory).map_err(|error| unopened(&args.directory, &error))?;
    for damage in &report.damage {
        message::error(&damage.to_string());
    }
    let verdict = match report.damage.len() {
        0 => "sound".to_owned(),
        1 => "1 place is damaged".to_owned(),
        places => format!("{places} places are damaged"),
    };
    print(&format!(
        "{}: {verdict} ({} segments, {} records, {} bytes read)\n",
        args.directory.display(),
        units::count(report.segments as u64),
        units::count(report.records),
        units::count(report.bytes),
    ))?;
    Ok(if report.damage.is_empty() { WELL } else { FAILED })
}

/// Prints counts.
pub fn stats(args: &Directory) -> Result {
    let stats = open(&args.directory)?.stats();
    let mut text = String::new();
    let mut row = |name: &str, count: u64| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<24}{:>18}", units::count(count));
    };
    row("segments", stats.segments as u64);
    if stats.broken > 0 {
        row("damaged segments", stats.broken as u64);
    }
    row("bytes", stats.bytes);
    row("documents", stats.documents);
    row("tombstones", stats.tombstones);
    for index in &stats.indices {
        row(&format!("  {}", index.name), index.documents);
    }
    if stats.segments > 1 {
        text.push_str(
            "\nA document counts once in each segment that holds a state of it, until they are merged.\n",
        );
    }
    print(&text)
}

fn open(directory: &Path) -> Result<SegmentReader> {
    SegmentReader::open(directory).map_err(|error| unopened(directory, &error))
}

fn unopened(directory: &Path, error: &millpond::Error) -> Failure {
    Failure::Failed(format!("{}: {error}", directory.display()))
}

/// `_routing` only where there is one, and the source as it is stored.
fn line(index: &str, id: &str, document: &Document, out: &mut Vec<u8>) {
    let names = [
        ("{\"_index\":", Some(index)),
        (",\"_id\":", Some(id)),
        (",\"_routing\":", document.routing.as_deref()),
    ];
    for (name, value) in names {
        if let Some(value) = value {
            out.extend_from_slice(name.as_bytes());
            bulk::string(value, out);
        }
    }
    out.extend_from_slice(b",\"_source\":");
    out.extend_from_slice(&document.source);
    out.extend_from_slice(b"}\n");
}

fn print(text: &str) -> Result {
    io::stdout().lock().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_routing_only_where_there_is_one_and_the_source_untouched() {
        let mut document = Document { source: "{\"a\": 1.10}".into(), routing: None };
        let mut out = Vec::new();
        line("i", "\"é\n", &document, &mut out);
        document.routing = Some("r".into());
        line("i", "1", &document, &mut out);
        let expected = "{\"_index\":\"i\",\"_id\":\"\\\"é\\n\",\"_source\":{\"a\": 1.10}}\n\
                        {\"_index\":\"i\",\"_id\":\"1\",\"_routing\":\"r\",\"_source\":{\"a\": 1.10}}\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
