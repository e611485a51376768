//! `millpond journal inspect`, `verify` and `repair`: what a journal's directory holds, whether it is whole, and what can be
//! made of one that is not.
//!
//! # Design
//! The first two take no lock and write nothing: they work beside an engine that writes the journal, and then see it as of a
//! moment ago. The third takes the journal for itself, and changes it only when told to.

use crate::{
    args::{JournalDirectory, JournalRepair},
    failure::{FAILED, Failure, Result, WELL},
    message,
    replay::done::DONE,
    units,
};
use millpond::journals::{DROPPED_FILE, Inspected, Repair, inspect};
use std::{
    fmt::Write as _,
    fs,
    io::{self, Write},
    path::Path,
};

/// How the files are called.
const SUFFIX: &str = ".journal";

/// Prints what a journal holds. Damage is a failure.
pub fn inspected(args: &JournalDirectory) -> Result<u8> {
    let found = look(&args.directory)?;
    print(&table(&found))?;
    Ok(judge(&args.directory, &found))
}

/// Reads all of a journal, and says whether an engine would take it.
pub fn verify(args: &JournalDirectory) -> Result<u8> {
    let found = look(&args.directory)?;
    let verdict = if found.damage.is_some() { "damaged" } else { "sound" };
    let records: u64 = found.files.iter().flat_map(|file| &file.records).map(|(_, count)| count).sum();
    print(&format!(
        "{}: {verdict} ({} files, {} records, {} bytes read)\n",
        args.directory.display(),
        units::count(found.files.len() as u64),
        units::count(records),
        units::count(found.files.iter().map(|file| file.bytes).sum()),
    ))?;
    Ok(judge(&args.directory, &found))
}

/// Says what a repair would keep and drop; and carries it out, where that is asked for.
pub fn repair(args: &JournalRepair) -> Result<u8> {
    let directory = &args.directory;
    holds_a_journal(directory)?;
    let Some(plan) = Repair::plan(directory).map_err(|error| about(directory, &error))? else {
        print(&format!("{}: sound; there is nothing to repair\n", directory.display()))?;
        return Ok(WELL);
    };
    print(&format!("{plan}\n"))?;
    if !args.yes {
        message::note("nothing was changed: --yes repairs it so");
        return Ok(FAILED);
    }
    let done = plan.carry_out().map_err(|error| about(directory, &error))?;
    // What was dropped of an input that was read wholly was not: another file of its path would hide that.
    match fs::remove_file(directory.join(DONE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Failure::io(format!("removing {}", directory.join(DONE).display()), &error));
        }
        _ => {}
    }
    let kept = done.directory.display();
    print(&match done.lines {
        0 => format!("repaired; the damaged files are in {kept}\n"),
        lines => format!(
            "repaired; the damaged files are in {kept}, and {} operations that were dropped are in {kept}/{DROPPED_FILE}, as bulk lines\n",
            units::count(lines)
        ),
    })?;
    Ok(WELL)
}

fn look(directory: &Path) -> Result<Inspected> {
    holds_a_journal(directory)?;
    inspect(directory).map_err(|error| about(directory, &error))
}

/// Other directories are not to be taken for sound journals, nor to be given a lock's file.
fn holds_a_journal(directory: &Path) -> Result {
    let unread = |error| Failure::io(format!("reading {}", directory.display()), &error);
    for entry in fs::read_dir(directory).map_err(unread)? {
        if entry.map_err(unread)?.file_name().as_encoded_bytes().ends_with(SUFFIX.as_bytes()) {
            return Ok(());
        }
    }
    Err(Failure::Failed(format!("{} holds no journal: none of its files is a {SUFFIX}", directory.display())))
}

fn about(directory: &Path, error: &millpond::Error) -> Failure {
    Failure::Failed(format!("{}: {error}", directory.display()))
}

/// Says what is wrong, and gives the exit status.
fn judge(directory: &Path, found: &Inspected) -> u8 {
    if let Some(torn) = &found.torn {
        message::note(&format!("the end is torn, and is cut when it is opened: {torn}"));
    }
    let Some(damage) = &found.damage else { return WELL };
    let shown = directory.display();
    message::error(&format!("{damage}; millpond journal repair {shown} shows what a repair would drop"));
    FAILED
}

fn table(found: &Inspected) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<24}{value:>32}");
    };
    if let Some(engine) = found.engine {
        line("engine", &format_args!("{engine:032x}"));
    }
    line("documents pending", &units::count(found.documents));
    line("records pending", &units::count(found.pieces));
    line("documents in flight", &units::count(found.in_flight));
    line("highest seq", &found.highest_seq);
    line("seqs in use below", &found.ceiling);
    line("files", &units::count(found.files.len() as u64));
    for file in &found.files {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        let (used, bytes) = (units::count(file.used), units::count(file.bytes));
        let _ = write!(text, "  {name}  {used} of {bytes} bytes");
        let _ = match (file.number, file.seqs) {
            (None, _) => write!(text, ", header damaged"),
            (Some(number), Some((low, high))) => write!(text, ", number {number}, seqs from {low} to {high}"),
            (Some(number), None) => write!(text, ", number {number}"),
        };
        let records = file.records.iter().map(|(kind, count)| format!("{kind} {}", units::count(*count)));
        let _ = writeln!(text, "\n    {}", records.collect::<Vec<_>>().join(", "));
    }
    for (name, mark) in &found.sources {
        let _ = match mark {
            Some(mark) => writeln!(text, "source {name:?}\n    accepted up to position {mark}"),
            None => writeln!(text, "source {name:?}\n    nothing accepted"),
        };
    }
    text
}

fn print(text: &str) -> Result {
    io::stdout().lock().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))
}
