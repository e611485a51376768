//! How small the journal's files stay while the sink is away and the same documents change over and over.
//!
//! # Design
//! An engine with a journal takes many operations on few documents; its sink refuses everything. Now and then the bytes of
//! its files are looked at; the most that they ever were, in the second half, counts. They are compared with what the pending
//! operations take encoded: a journal into which each document's operation was written once, after they were drained in
//! the end. Promised are 2.5 times that, and two files.
//!
//! # The answer
//! The engine is dropped while its sink is away, and another opens the journal: it has every operation, and what it drains is what an
//! engine without a journal drains.

#![expect(clippy::cast_precision_loss, reason = "figures are shown with three digits")]

use crate::{
    clock::Stopwatch,
    pond::operation,
    sync::Mutex,
    workload::{INDEX, Keys, Mix, Plan, Workload},
};
use millpond::{
    Action, Batch, Builder, Engine, Item, ItemAction, Journal, Limits, Operation, Outcome, Sink, Takes,
};
use std::{collections::BTreeMap, env, path::Path, process::ExitCode, sync::Arc, time::Duration};

/// Files may have so many times what is pending, beside two of them.
const PROMISED: f64 = 2.5;
const MEMORY_BYTES: usize = 64 << 20;
const FILE_BYTES: u64 = 8 << 20;
/// The files are looked at after so many operations.
const STEP: usize = 20_000;
const PATIENCE: Duration = Duration::from_mins(5);

/// What a document has pending: the verb, and its body.
type Pending = BTreeMap<String, (&'static str, Vec<u8>)>;

/// A sink that can be away, and keeps what it is sent.
#[derive(Debug, Default)]
struct Kept {
    is_away: Mutex<bool>,
    pending: Mutex<Pending>,
}

impl Sink for Kept {
    fn takes(&self) -> Takes {
        Takes::NetOperations
    }

    fn limits(&self) -> Limits {
        Limits { batch_bytes: 8 * 1024 * 1024, batch_operations: 50_000 }
    }

    fn outlives_sender(&self) -> bool {
        false
    }

    fn send(&self, batch: &Batch) -> Vec<Outcome> {
        if *self.is_away.lock() {
            return vec![Outcome::Again { reason: "away".into(), after: None }; batch.items.len()];
        }
        let mut pending = self.pending.lock();
        for item in &batch.items {
            pending.insert(item.id.to_string(), body(item));
        }
        vec![Outcome::Applied; batch.items.len()]
    }
}

fn body(item: &Item) -> (&'static str, Vec<u8>) {
    let mut bytes = Vec::new();
    match &item.action {
        ItemAction::Put(document) => ("index", document.to_vec()),
        ItemAction::Delete => ("delete", bytes),
        ItemAction::Net(net) => {
            net.write_body(&mut bytes);
            (net.verb(), bytes)
        }
    }
}

/// One case.
struct Found {
    operations: usize,
    pending: usize,
    /// Bytes that came in, what is pending, and of the files at most.
    came: u64,
    encoded: u64,
    files: u64,
    /// With what is allocated ahead.
    allocated: u64,
    nanos: f64,
}

impl Found {
    fn ratio(&self) -> f64 {
        self.files.saturating_sub(2 * FILE_BYTES) as f64 / self.encoded as f64
    }
}

/// Runs the command with the arguments of the process; files go below `directory`.
pub fn run(directory: &str) -> ExitCode {
    let quick = env::args().any(|argument| argument == "--quick");
    let operations = if quick { 600_000 } else { 5_000_000 };
    let plan = |keys, mix| Plan { documents: 50_000, operations, keys, mix, seed: 5 };
    let cases = [
        ("uniform, partial", plan(Keys::Uniform, Mix::Partial)),
        ("uniform, updates and documents", plan(Keys::Uniform, Mix::Updates)),
        ("Zipf, updates and documents", plan(Keys::Zipf, Mix::Updates)),
        ("Zipf, counters", plan(Keys::Zipf, Mix::Counters)),
    ];
    println!(
        "| workload | operations | came in | pending, encoded | files at most | allocated | less two files | ns an operation |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut holds = true;
    for (name, plan) in cases {
        match measure(&plan, Path::new(directory)) {
            Ok(found) => {
                holds &= found.ratio() <= PROMISED;
                println!(
                    "| {name} | {} on {} | {} | {} | {} | {} | {:.2} x (at most {PROMISED}) | {:.0} |",
                    found.operations,
                    found.pending,
                    megabytes(found.came),
                    megabytes(found.encoded),
                    megabytes(found.files),
                    megabytes(found.allocated),
                    found.ratio(),
                    found.nanos
                );
            }
            Err(error) => {
                eprintln!("error: {name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn settings() -> Builder {
    Engine::builder().memory_bytes(MEMORY_BYTES).keep_known(false)
}

fn measure(plan: &Plan, directory: &Path) -> Result<Found, String> {
    let wrong = |error: millpond::Error| error.to_string();
    let workload = Workload::new(plan);
    let directory = tempfile::tempdir_in(directory).map_err(|error| error.to_string())?;
    let kept = Arc::new(Kept::default());
    *kept.is_away.lock() = true;
    let open = |name: &str, policy: Journal, file_bytes: u64| {
        settings()
            .journal(directory.path().join(name), policy)
            .journal_file_bytes(file_bytes)
            .build(Arc::clone(&kept) as _, None)
            .map_err(wrong)
    };
    let interval = Journal::Interval(Duration::from_millis(100));
    let engine = open("journal", interval, FILE_BYTES)?;
    let (watch, mut files, mut allocated) = (Stopwatch::start(), 0, 0);
    for (number, given) in workload.operations().enumerate() {
        engine.submit(operation(&given)).map_err(|refused| refused.error.to_string())?;
        if number % STEP == 0 && number > workload.len() / 2 {
            let journal = engine.stats().journal.unwrap_or_default();
            (files, allocated) = (files.max(journal.used), allocated.max(journal.bytes));
        }
    }
    let nanos = watch.nanos() as f64 / workload.len() as f64;
    let came = engine.stats().bytes_in;
    drop(engine);

    let engine = open("journal", interval, FILE_BYTES)?;
    let restored = engine.stats().operations_restored;
    if restored != workload.len() as u64 {
        return Err(format!("{restored} of {} operations were in the journal", workload.len()));
    }
    *kept.is_away.lock() = false;
    engine.close(PATIENCE).map_err(wrong)?;
    drop(engine);
    let pending = std::mem::take(&mut *kept.pending.lock());
    if pending != drained(&workload)? {
        return Err("what was drained is not what an engine without a journal drains".into());
    }

    // Nothing is folded in a file that does not become full.
    let engine = open("encoded", Journal::Always, 1 << 30)?;
    let empty = engine.stats().journal.map_or(0, |journal| journal.used);
    let operations: Vec<Operation<'_>> = pending
        .iter()
        .map(|(id, (verb, body))| {
            let action = match *verb {
                "index" => Action::Index(body),
                "delete" => Action::Delete,
                _ => Action::Update(body),
            };
            Operation { index: INDEX, id, routing: None, action }
        })
        .collect();
    for batch in operations.chunks(1_000) {
        engine.submit_batch(batch).map_err(|refused| refused.to_string())?;
    }
    let encoded = engine.stats().journal.map_or(0, |journal| journal.used) - empty;
    engine.close(PATIENCE).map_err(wrong)?;
    Ok(Found { operations: workload.len(), pending: pending.len(), came, encoded, files, allocated, nanos })
}

/// What an engine without a journal drains.
fn drained(workload: &Workload) -> Result<Pending, String> {
    let kept = Arc::new(Kept::default());
    let settings = settings().memory_bytes(1 << 30).max_delay(Duration::from_hours(1));
    let engine = settings.build(Arc::clone(&kept) as _, None).map_err(|error| error.to_string())?;
    for given in workload.operations() {
        engine.submit(operation(&given)).map_err(|refused| refused.error.to_string())?;
    }
    engine.close(PATIENCE).map_err(|error| error.to_string())?;
    drop(engine);
    let pending = std::mem::take(&mut *kept.pending.lock());
    Ok(pending)
}
