//! What the criterion benches share: the workload they run on, and that its answer is right.
//!
//! # Design
//! Criterion repeats short measurements in one process: for a look at one figure while it is worked on. The documents are
//! fewer than in `table` and are all there before anything is measured, so that every operation meets one.

use crate::{
    answer::Answer,
    baseline::Baseline,
    peer::{BATCH, Drains, Peer},
    pond::Pond,
    workload::{Keys, Mix, Operation, Plan, Workload},
};

/// 200,000 operations on 50,000 documents.
pub const PLAN: Plan =
    Plan { documents: 50_000, operations: 200_000, keys: Keys::Zipf, mix: Mix::Updates, seed: 1 };

/// The operations of a plan, after the engine and the baseline have come to the same documents by them.
///
/// # Panics
/// If they have not: what is wrong is not to be measured.
pub fn checked(plan: &Plan) -> Workload {
    let workload = Workload::new(plan);
    let (pond, baseline) = (pond(&workload), baseline(&workload));
    let (one, other) = (answer(&pond), answer(&baseline));
    assert_eq!(one, other, "the engine and the baseline come to different documents");
    assert!(one.documents > 0, "there is something to compare");
    workload
}

/// An engine that holds the workload.
///
/// # Panics
/// If it cannot be built.
#[expect(clippy::expect_used, reason = "a bench that has no engine has nothing to measure")]
pub fn pond(workload: &Workload) -> Pond {
    let pond = Pond::still().expect("the settings are valid");
    workload.operations().for_each(|operation| pond.submit(&operation));
    pond
}

/// A baseline that holds the workload.
pub fn baseline(workload: &Workload) -> Baseline {
    let baseline = Baseline::default();
    workload.operations().for_each(|operation| baseline.submit(&operation));
    baseline
}

/// What a peer drains, as documents.
///
/// # Panics
/// If it is not valid bulk NDJSON.
#[expect(clippy::expect_used, reason = "lines that cannot be read are a wrong answer")]
pub fn answer(peer: &impl Drains) -> Answer {
    let mut answer = Answer::default();
    let drained = peer.drain(Some(&mut |lines| answer.add_lines(lines).expect("the lines can be read")));
    assert_eq!(drained.documents, answer.documents, "each document is drained once");
    answer
}

/// The operations of a workload over and over.
pub fn again(workload: &Workload) -> impl Iterator<Item = Operation<'_>> {
    std::iter::repeat_with(|| workload.operations()).flatten()
}

/// The operations of a workload in batches.
pub fn batches(workload: &Workload) -> Vec<Vec<Operation<'_>>> {
    let operations: Vec<Operation<'_>> = workload.operations().collect();
    operations.chunks_exact(BATCH).map(<[Operation<'_>]>::to_vec).collect()
}
