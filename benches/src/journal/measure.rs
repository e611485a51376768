//! What a process can be told to measure, and that it came to the right documents.

use super::medium::Medium;
use crate::{
    answer::Answer,
    clock::Stopwatch,
    peer::Peer,
    pond::{Pond, operation, settings},
    sync::{Barrier, channel, scope},
    table::{Figures, median},
    workload::{INDEX, Keys, Kind, Mix, Plan, Workload},
};
use millpond::{
    Builder, Journal,
    disk::{Disk, SystemDisk},
    journals::verify,
};
use std::{
    collections::BTreeSet,
    fs,
    hint::black_box,
    mem::ManuallyDrop,
    path::{Path, PathBuf},
    time::Duration,
};
use twox_hash::XxHash3_64;

/// In which memory that was given back is used again: see `in_process`.
pub(super) const READING: &str = "reading";
/// All measurements, by name.
pub(super) const TASKS: [&str; 5] = ["none", "interval", READING, "batches", "singles"];

const INTERVAL: Journal = Journal::Interval(Duration::from_millis(100));
/// Operations of a batch that is one sync.
const BATCH: usize = 1_000;
/// Threads that submit one by one.
const WRITERS: usize = 64;
/// Times that the medium is written before an engine, and again after it.
const RAW_PARTS: usize = 4;

const MEMORY_BYTES: usize = 256 << 20;
/// Holds everything that is measured: a file that becomes full is folded.
const FILE_BYTES: u64 = 144 << 20;
/// How often it is looked whether all is on the medium.
const LOOK: Duration = Duration::from_millis(5);

/// Where a journal's files are copied to that are opened again.
const COPY: &str = "copy";
/// How often a log is read.
const READS: usize = 5;
/// Bytes that are checksummed at once, at which XXH3 is at its quickest.
const SUMMED_BYTES: usize = 64 * 1024;

/// How much is measured.
pub(super) struct Size {
    documents: u64,
    operations: usize,
    batches: usize,
    singles: usize,
    raw: usize,
}

impl Size {
    /// For figures.
    pub(super) const FULL: Self =
        Self { documents: 200_000, operations: 1_000_000, batches: 300, singles: 4_000, raw: 1_000 };
    /// To see that it works.
    pub(super) const QUICK: Self =
        Self { documents: 5_000, operations: 20_000, batches: 10, singles: 20, raw: 20 };

    fn plan(&self, operations: usize, mix: Mix) -> Plan {
        Plan { documents: self.documents, operations, keys: Keys::Zipf, mix, seed: 1 }
    }
}

/// Measures.
pub(super) fn run(task: &str, size: &Size, directory: &Path) -> Result<Figures, String> {
    let scratch = tempfile::tempdir_in(directory).map_err(|error| error.to_string())?;
    let directory = scratch.path();
    match task {
        "none" => none(size),
        "interval" => interval(size, directory),
        READING => reading(size, directory),
        "batches" => batches(size, directory),
        "singles" => singles(size, WRITERS, directory),
        // To be looked at by hand: nothing is promised of fewer.
        "singles-8" => singles(size, 8, directory),
        "singles-1" => singles(size, 1, directory),
        other => Err(format!("nothing is called {other}")),
    }
}

fn still() -> Builder {
    settings().memory_bytes(MEMORY_BYTES).max_delay(Duration::from_hours(24))
}

/// An engine that is never closed, as that would drain it: the process ends.
fn pond(journal: Option<(&Path, Journal)>) -> Result<ManuallyDrop<Pond>, String> {
    let settings = match journal {
        Some((directory, policy)) => still().journal(directory, policy).journal_file_bytes(FILE_BYTES),
        None => still(),
    };
    Pond::with(settings).map(ManuallyDrop::new).map_err(|error| error.to_string())
}

#[expect(clippy::cast_precision_loss, reason = "times and counts are below 2^53")]
fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other as f64
}

/// One writer without a journal.
fn none(size: &Size) -> Result<Figures, String> {
    let workload = Workload::new(&size.plan(size.operations, Mix::Updates));
    let pond = pond(None)?;
    let watch = Stopwatch::start();
    workload.operations().for_each(|operation| pond.submit(&operation));
    Ok(Figures::default().with("none_ns", ratio(watch.nanos(), workload.len() as u64)))
}

/// The same with one, and what that takes of the disk.
fn interval(size: &Size, directory: &Path) -> Result<Figures, String> {
    let workload = Workload::new(&size.plan(size.operations, Mix::Updates));
    let pond = pond(Some((directory, INTERVAL)))?;
    let watch = Stopwatch::start();
    workload.operations().for_each(|operation| pond.submit(&operation));
    let figures = Figures::default().with("interval_ns", ratio(watch.nanos(), workload.len() as u64));
    check(&pond, std::slice::from_ref(&workload), directory)?;
    let operations = workload.len() as u64;
    Ok(figures
        .with("log_bytes", ratio(log_bytes(directory)?, operations))
        .with("ndjson_bytes", ratio(ndjson_bytes(&workload), operations)))
}

/// Batches that are each a sync, beside writing and syncing as many bytes as often; and beside the same without a journal,
/// which tells what part of the time is the journal's.
fn batches(size: &Size, directory: &Path) -> Result<Figures, String> {
    let workload = Workload::new(&size.plan(size.batches * BATCH, Mix::Updates));
    let submit = |pond: &Pond| {
        let all: Vec<_> = workload.operations().map(|given| operation(&given)).collect();
        let watch = Stopwatch::start();
        let refused = all.chunks(BATCH).find_map(|batch| pond.engine.submit_batch(batch).err());
        refused.map_or(Ok(watch.nanos()), |error| Err(error.to_string()))
    };
    let plain = pond(None)?;
    let without = submit(&plain)?;
    let pond = pond(Some((directory, Journal::Always)))?;
    let with = submit(&pond)?;
    let bytes = log_bytes(directory)?;
    let group = vec![7; usize::try_from(bytes).map_err(|_| "too much")? / size.batches];
    let mut medium = Medium::new(directory, 64 << 20)?;
    let raw = medium.write(&group, size.batches)?;
    check(&pond, std::slice::from_ref(&workload), directory)?;
    Ok(Figures::default()
        .with("batch_bytes", ratio(bytes, size.batches as u64))
        .with("batches_mbs", ratio(bytes * 1_000, with))
        .with("batches_raw_mbs", ratio(bytes * 1_000, raw))
        .with("batches_journal_mbs", ratio(bytes * 1_000, with.saturating_sub(without).max(1)))
        .with("batches_mops", ratio(workload.len() as u64 * 1_000, with)))
}

/// Many writers, each of whose operations waits for the medium.
fn singles(size: &Size, writers: usize, directory: &Path) -> Result<Figures, String> {
    // Counters, as their order does not matter to what they come to.
    let workloads = Workload::shares(&size.plan(size.singles * writers, Mix::Counters), writers);
    let mut medium = Medium::new(directory, 64 << 20)?;
    let pond = pond(Some((directory, Journal::Always)))?;
    let (mut took, mut raw, mut bytes) = (0, 0, 4_096);
    for part in 0..RAW_PARTS {
        raw += medium.write(&vec![7; bytes], size.raw / RAW_PARTS)?;
        took += submit_part(&pond, &workloads, part, RAW_PARTS);
        // As much as all writers together write, with what a group takes.
        let done = (size.singles * writers * (part + 1) / RAW_PARTS).max(1);
        bytes = usize::try_from(log_bytes(directory)?).unwrap_or(0) / done * writers;
    }
    check(&pond, &workloads, directory)?;
    let operations: usize = workloads.iter().map(Workload::len).sum();
    let syncs = ratio((size.raw / RAW_PARTS * RAW_PARTS) as u64 * 1_000_000_000, raw);
    Ok(Figures::default()
        .with("singles", ratio(operations as u64 * 1_000_000_000, took))
        .with("raw_syncs", syncs))
}

/// What such a log takes to be read, beside what cannot be done without.
fn reading(size: &Size, directory: &Path) -> Result<Figures, String> {
    let workload = Workload::new(&size.plan(size.operations, Mix::Updates));
    let operations = workload.len() as u64;
    let pond = pond(Some((directory, INTERVAL)))?;
    workload.operations().for_each(|operation| pond.submit(&operation));
    let copy = directory.join(COPY);
    copy_synced(&pond, directory, &copy)?;
    let (mut read, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..READS {
        let watch = Stopwatch::start();
        let verified = verify(&copy).map_err(|error| error.to_string())?;
        read.push(ratio(watch.nanos(), verified.bytes));
        // One more, by which it is known that the last was there.
        if verified.operations != operations + 1 || verified.torn.is_some() {
            return Err(format!("of {operations} operations and one the journal has {verified:?}"));
        }
        floor.push(copy_and_sum(&copy, verified.bytes)?);
    }
    Ok(Figures::default().with("read_ns", median(&read)).with("copy_ns", median(&floor)))
}

/// What reading a log cannot do without: its bytes copied out of the page cache, and their checksum. Nanoseconds a byte.
fn copy_and_sum(directory: &Path, bytes: u64) -> Result<f64, String> {
    let wrong = |error: std::io::Error| format!("reading the journal: {error}");
    let (mut buffer, mut nanos, mut left) = (Vec::new(), 0, bytes);
    for path in files(directory)? {
        let file = SystemDisk.open(&path).map_err(wrong)?;
        let length = file.length().map_err(wrong)?.min(left);
        left -= length;
        let watch = Stopwatch::start();
        // One buffer for all files, as where it is read.
        buffer.resize(buffer.len().max(usize::try_from(length).unwrap_or(0)), 0);
        let part = buffer.get_mut(..usize::try_from(length).unwrap_or(0)).unwrap_or_default();
        file.read_exact_at(part, 0).map_err(wrong)?;
        let sum = part.chunks(SUMMED_BYTES).fold(0, XxHash3_64::oneshot_with_seed);
        nanos += watch.nanos();
        black_box(sum);
    }
    Ok(ratio(nanos, bytes))
}

/// A part of each writer's operations, all writers at once; nanoseconds until the last had finished.
fn submit_part(pond: &Pond, workloads: &[Workload], part: usize, parts: usize) -> u64 {
    let ready = Barrier::new(workloads.len() + 1);
    let mut watch = Stopwatch::start();
    scope(|scope| {
        for workload in workloads {
            let ready = &ready;
            let share = workload.len() / parts;
            scope.spawn(move || {
                let count = if part + 1 == parts { usize::MAX } else { share };
                let mut operations = workload.operations().skip(part * share).take(count).peekable();
                operations.peek();
                ready.wait();
                operations.for_each(|operation| pond.submit(&operation));
            });
        }
        ready.wait();
        watch = Stopwatch::start();
    });
    watch.nanos()
}

/// Opens what is on the medium as another engine: it must come to the documents that one without a journal comes to.
fn check(pond: &Pond, workloads: &[Workload], directory: &Path) -> Result<(), String> {
    let copy = directory.join(COPY);
    copy_synced(pond, directory, &copy)?;
    let (known, again) = (self::pond(None)?, self::pond(Some((&copy, INTERVAL)))?);
    let mut ids = BTreeSet::new();
    for operation in workloads.iter().flat_map(Workload::operations) {
        known.submit(&operation);
        ids.insert(operation.id);
    }
    let answer = |pond: &Pond| {
        let mut answer = Answer::default();
        for id in &ids {
            let document = pond.engine.get(INDEX, id).map_err(|error| error.to_string())?;
            let document = document.ok_or_else(|| format!("{id} is not there"))?;
            let parsed =
                serde_json::from_slice(&document.source).map_err(|error| format!("{id}: {error}"))?;
            answer.add(id, &parsed);
        }
        Ok::<_, String>(answer)
    };
    let (expected, found) = (answer(&known)?, answer(&again)?);
    let (submitted, restored) = (pond.engine.stats().operations_in, again.engine.stats().operations_restored);
    if expected == found && submitted == restored {
        return Ok(());
    }
    Err(format!(
        "{submitted} operations were submitted, and come to {expected:?}; the journal has {restored}, and comes to \
         {found:?}"
    ))
}

/// Copies a journal's files as soon as the last operation is on the medium.
fn copy_synced(pond: &Pond, directory: &Path, copy: &Path) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("copying the journal: {error}");
    let mut source = pond.engine.source("bench").map_err(|error| error.to_string())?;
    let last = millpond::Operation::delete(INDEX, "the last");
    source.submit(1, last).map_err(|error| error.to_string())?;
    // Nobody sends: to wait for it is to sleep.
    let (_sender, nothing) = channel::<()>();
    while source.committable() != Some(1) {
        pond.engine.health().map_err(|error| error.to_string())?;
        let _ = nothing.recv_timeout(LOOK);
    }
    fs::create_dir(copy).map_err(wrong)?;
    for path in files(directory)? {
        fs::copy(&path, copy.join(path.file_name().unwrap_or_default())).map_err(wrong)?;
    }
    Ok(())
}

/// The files of a journal, the oldest first.
fn files(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let wrong = |error: std::io::Error| format!("listing the journal: {error}");
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(wrong)? {
        files.push(entry.map_err(wrong)?.path());
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "journal"));
    files.sort_unstable();
    Ok(files)
}

/// Bytes of all files of a journal, up to the last that is not zero.
fn log_bytes(directory: &Path) -> Result<u64, String> {
    let mut bytes = 0;
    for path in files(directory)? {
        let file = fs::read(path).map_err(|error| format!("reading the journal: {error}"))?;
        bytes += file.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1) as u64;
    }
    Ok(bytes)
}

/// Bytes of the same operations as lines of the bulk format.
fn ndjson_bytes(workload: &Workload) -> u64 {
    let line = |verb: &str, id: &str, body: &str| {
        format!("{{\"{verb}\":{{\"_index\":\"{INDEX}\",\"_id\":\"{id}\"}}}}\n{body}\n").len() as u64
    };
    let lines = workload.operations().map(|operation| match operation.kind {
        Kind::Index => line("index", operation.id, operation.body),
        Kind::Update => line("update", operation.id, operation.body),
    });
    lines.sum()
}
