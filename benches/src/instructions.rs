//! Cases whose instructions are counted, by a tool that runs this program: `dev/instructions`.
//!
//! # Design
//! The program is told a case and how many operations. Whatever the number, it prepares the same: so the difference of two
//! runs of different lengths is what the operations took, and nothing else. There are no threads; the clock is simulated
//! and the seed is fixed, so that two runs of the same length take the same path.

use crate::{
    baseline::Baseline,
    floors::{Probe, Scan},
    peer::{BATCH, Peer},
    pond::{Pond, settings},
    workload::{INDEX, Keys, Kind, Mix, Operation, Plan, Workload},
};
use millpond::{Action, Drainer, NetOperation, Next, Outcome, SimulatedClock};
use std::{env, error::Error, hint::black_box, process::ExitCode, time::Duration};

/// Operations that are prepared; no run is longer.
pub const OPERATIONS_MAX: usize = 60_000;
/// How many documents there are.
const DOCUMENTS: u64 = 20_000;
/// When the simulated clock stands: in 2026, so that sequence numbers are as long as they are.
const WALL_US: u64 = 1_795_000_000_000_000;
/// A batch of the drain: a run's length is a multiple of it.
const DRAIN_BATCH: usize = 1_000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    SubmitPartial,
    SubmitWhole,
    SubmitZipf,
    Counter,
    Batch,
    MergeCompose,
    Get,
    Drain,
    Baseline,
    Floor,
}

const CASES: [(&str, Case, Mix, Keys); 10] = [
    ("submit-partial", Case::SubmitPartial, Mix::Partial, Keys::Uniform),
    ("submit-whole", Case::SubmitWhole, Mix::Whole, Keys::Uniform),
    ("submit-zipf", Case::SubmitZipf, Mix::Updates, Keys::Zipf),
    ("counter", Case::Counter, Mix::Counters, Keys::Zipf),
    ("batch", Case::Batch, Mix::Updates, Keys::Zipf),
    ("merge-compose", Case::MergeCompose, Mix::Updates, Keys::Zipf),
    ("get", Case::Get, Mix::Updates, Keys::Zipf),
    ("drain", Case::Drain, Mix::Updates, Keys::Each),
    // To compare with: submit-zipf by the baseline, and by the validating floor.
    ("baseline-zipf", Case::Baseline, Mix::Updates, Keys::Zipf),
    ("floor-zipf", Case::Floor, Mix::Updates, Keys::Zipf),
];

/// Runs a case: its name and the number of operations are the arguments. Without any, names the cases.
pub fn run() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let done = match arguments.as_slice() {
        [] => {
            for (name, ..) in CASES {
                println!("{name}");
            }
            Ok(())
        }
        [name, operations] => count(name, operations),
        _ => Err("a case and a number of operations are wanted".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn count(name: &str, operations: &str) -> Result<(), Box<dyn Error>> {
    let found =
        CASES.iter().find(|case| case.0 == name).ok_or_else(|| format!("no case is called {name}"))?;
    let (_, case, mix, keys) = *found;
    let operations: usize = operations.parse()?;
    if operations > OPERATIONS_MAX || !operations.is_multiple_of(DRAIN_BATCH) {
        return Err(format!("a multiple of {DRAIN_BATCH} up to {OPERATIONS_MAX} is wanted").into());
    }
    let documents = if case == Case::Drain { OPERATIONS_MAX as u64 } else { DOCUMENTS };
    let workload = Workload::new(&Plan { documents, operations: OPERATIONS_MAX, keys, mix, seed: 1 });
    let few = workload.operations().take(operations);
    match case {
        Case::MergeCompose => compose(few),
        Case::Baseline => submit(&Baseline::default(), few),
        Case::Floor => submit(&Probe::new(Scan::Validating, DOCUMENTS), few),
        _ => by_engine(case, &workload, operations),
    }
}

/// Ends the process, so that what a peer holds is not counted as it is dropped.
fn submit<'a>(
    peer: &impl Peer,
    operations: impl Iterator<Item = Operation<'a>>,
) -> Result<(), Box<dyn Error>> {
    operations.for_each(|operation| peer.submit(&operation));
    std::process::exit(0);
}

fn by_engine(case: Case, workload: &Workload, operations: usize) -> Result<(), Box<dyn Error>> {
    let few = workload.operations().take(operations);
    let clock = SimulatedClock::new(WALL_US);
    let (pond, drainer) = Pond::manual(settings().seed(1).clock(&clock).batch_operations(DRAIN_BATCH))?;
    if matches!(case, Case::Get | Case::Drain) {
        workload.operations().for_each(|operation| pond.submit(&operation));
    }
    match case {
        Case::Get => get(&pond, few),
        Case::Drain => drain(&pond, &drainer, operations),
        Case::Batch => {
            let all: Vec<Operation<'_>> = few.collect();
            all.chunks(BATCH).for_each(|batch| pond.submit_batch(batch));
            Ok(())
        }
        _ => submit(&pond, few),
    }?;
    std::process::exit(0);
}

fn compose<'a>(operations: impl Iterator<Item = Operation<'a>>) -> Result<(), Box<dyn Error>> {
    let mut held: Option<NetOperation> = None;
    for operation in operations {
        let body = operation.body.as_bytes();
        let later = NetOperation::new(match operation.kind {
            Kind::Index => Action::Index(body),
            Kind::Update => Action::Update(body),
        })?;
        held = Some(held.as_ref().map_or_else(|| later.clone(), |held| held.compose(&later)));
    }
    black_box(&held);
    Ok(())
}

fn get<'a>(pond: &Pond, operations: impl Iterator<Item = Operation<'a>>) -> Result<(), Box<dyn Error>> {
    for operation in operations {
        black_box(pond.engine.get(INDEX, operation.id)?.ok_or("every document is there")?);
    }
    Ok(())
}

fn drain(pond: &Pond, drainer: &Drainer, operations: usize) -> Result<(), Box<dyn Error>> {
    // With a simulated clock a flush is begun and not waited for: it says how much is left.
    let _ = pond.engine.flush(Duration::ZERO);
    let mut done = 0;
    while done < operations {
        let Next::Send(flights) = drainer.next()? else {
            return Err(format!("only {done} were there to drain").into());
        };
        let outcomes: Vec<Outcome> = pond.lines.write(flights.batch());
        done += outcomes.len();
        flights.finish(outcomes);
    }
    Ok(())
}
