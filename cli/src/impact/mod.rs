//! `millpond impact`: what folding saves a server, measured on it.
//!
//! # Design
//! ```text
//!            ┌► plain client ─► millpond-impact-…-plain-N-INDEX  ─┐
//! input ─────┤                                                    ├─► compared, document by document
//!            └► engine, sink ─► millpond-impact-…-folded-M-INDEX ─┘
//! ```
//! The same input goes to the same server twice, over and over: as it came, by a plain bulk client (`plain`), and folded by
//! the engine as a replay has it (`folded`). Each run has indices of its own, made alike and empty (`indices`), and is measured by
//! what the server counts, what its process takes, and what we take (`bench`). All documents are compared at the end (`check`).
//! What comes out is a table, a JSON object (`report`) and a page (`page`).
//!
//! # What makes it a fair comparison
//! - Both sides read the same file the same way, and send bulks of the same size to indices of the same settings.
//! - The plain client is as good as one can be written (`plain` says where it is even favoured). It has one request out, since
//!   with several of them updates of one document arrive in another order than they were made.
//! - The first run of each, in which a server compiles what it will need often, does not count. The others take turns, so that a
//!   machine that gets slower slows both, and medians are told.
//! - What is measured of the server includes what it still has to do when everything has been answered: both sides are refreshed
//!   and flushed, and their merges waited for.
//! - A document without an id is given one, the same on both sides, so that they can be compared.
//!
//! # Why not two programs and a script
//! The counts would be taken at other times, of indices that were made otherwise, and nobody would compare the documents.
//!
//! # Invariants
//! 1. No index is touched that was not made here, and none stays unless it is asked for.
//! 2. Nothing is held of the input but what the engine holds: it may be larger than memory.

mod bench;
mod check;
mod figures;
mod folded;
mod indices;
mod machine;
mod page;
mod plain;
mod plot;
mod process;
mod report;
mod scan;
mod server;
mod value;

use crate::{
    args::Impact,
    clock,
    failure::{FAILED, Failure, INTERRUPTED, Result, WELL},
    input::Source,
    message,
    replay::inputs::Inputs,
    sync::Stop,
};
use bench::Bench;
use machine::Machine;
use report::Report;
use server::Server;
use std::{env, fs::File, io::Write, path::Path};

/// The data that is read when no file is named.
const BUNDLED: &str = "data/flights.ndjson.zst";
/// The most sizes of windows: each takes some runs.
const WINDOWS_MAX: usize = 16;

/// Runs the command; the exit status, or why it failed.
pub fn run(args: &Impact) -> Result<u8> {
    if args.input.as_deref().map(Source::new) == Some(Source::Stdin) {
        let text = "impact reads its input once for each run, and standard input can be read once: write it to a file";
        return Err(Failure::Usage(text.to_owned()));
    }
    if args.windows.len() > WINDOWS_MAX {
        let text = format!("--windows names {} of them, and {WINDOWS_MAX} is the most", args.windows.len());
        return Err(Failure::Usage(text));
    }
    let outputs: Vec<(&str, &Path)> = args.html.iter().map(|path| ("--html", path.as_path())).collect();
    let inputs = Inputs::new(args.input.as_slice(), BUNDLED, &outputs)?;
    let url = args.urls()?.join(" ");
    let stop = Stop::on_signals().map_err(|error| Failure::io("setting up Ctrl-C", &error))?;
    let server = Server::open(args)?;
    let mut bench = Bench::new(args, &inputs, &stop, &server)?;
    let page = args.html.as_deref().map(|path| create(path).map(|file| (file, path))).transpose()?;

    let ran = bench.run();
    let cleaned = bench.clean(args.keep && matches!(ran, Ok(Some(_))));
    // What went wrong first is the reason; what is left behind is told beside it.
    let Some(results) = (match (ran, cleaned) {
        (Ok(results), Ok(())) => results,
        (Ok(_), Err(failure)) | (Err(failure), Ok(())) => return Err(failure),
        (Err(failure), Err(left)) => {
            message::error(&left.to_string());
            return Err(failure);
        }
    }) else {
        return Ok(INTERRUPTED);
    };
    let report = Report {
        args,
        input: inputs.names().first().cloned().unwrap_or_default(),
        server: server.name.clone(),
        url,
        nodes: server.nodes,
        total: bench.total.clone(),
        results,
        machine: Machine::this(),
        when: clock::now(),
        command: env::args().collect::<Vec<_>>().join(" "),
    };
    if let Some((mut file, path)) = page {
        file.write_all(page::html(&report).as_bytes())
            .map_err(|error| Failure::io(format!("writing --html {}", path.display()), &error))?;
    }
    finish(&report)
}

fn create(path: &Path) -> Result<File> {
    File::create(path).map_err(|error| Failure::io(format!("creating --html {}", path.display()), &error))
}

/// Prints the report, and decides the exit status.
fn finish(report: &Report<'_>) -> Result<u8> {
    let text = if report.args.json { report.json() } else { report.table() };
    message::report(&text)?;
    let compared = &report.results.compared;
    if compared.wrong() == 0 {
        return Ok(WELL);
    }
    message::error(&format!(
        "{} documents are wrong: {} different, {} missing, {} extra",
        compared.wrong(),
        compared.different,
        compared.missing,
        compared.extra
    ));
    Ok(FAILED)
}

#[cfg(test)]
mod tests;
