//! The rows of the table: what is promised, which measurements it takes, and how the figure comes of them.

use super::{
    figures::Figures,
    measure::{Job, PeerKind, Task},
};
use crate::workload::{Keys, Mix, Plan};
use std::collections::BTreeMap;

/// What the measurements of one repetition came to, by their names.
pub(super) type Round = BTreeMap<&'static str, Figures>;

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// To ask for it on the command line, with others of its kind.
    pub group: &'static str,
    /// For people.
    pub name: &'static str,
    /// What the figure counts.
    pub unit: &'static str,
    /// True where more is better.
    pub more: bool,
    /// What is wanted.
    pub goal: f64,
    /// What has to be.
    pub least: f64,
    /// The measurements it needs.
    pub needs: &'static [&'static str],
    /// The figure of one repetition.
    pub figure: fn(&Round) -> f64,
}

/// The baseline and the validating floor, which tell whether the machine was idle.
pub(super) const GUARDS: [&str; 2] = ["zipf.baseline", "zipf.validating"];
/// Reads every document of the guards' workload.
pub(super) const READS_OF: &str = "read.pending";
/// What the baseline makes at least on an idle machine, in millions of operations in a second.
pub(super) const BASELINE_MOPS_MIN: f64 = 0.45;
/// What the validating floor takes at most, in nanoseconds.
pub(super) const VALIDATING_NS_MAX: f64 = 200.0;

/// A figure of a measurement.
fn of(round: &Round, name: &str, figure: &str) -> f64 {
    round.get(name).map_or(f64::NAN, |figures| figures.get(figure))
}

/// How often a figure of one measurement goes into that of another.
fn ratio(round: &Round, figure: &str, over: &str, under: &str) -> f64 {
    of(round, over, figure) / of(round, under, figure)
}

/// All rows, in the order of the table.
pub(super) const ROWS: &[Row] = &[
    Row {
        group: "submit",
        name: "single submit, 1 writer, against the baseline",
        unit: "×",
        more: true,
        goal: 9.0,
        least: 6.0,
        needs: &["zipf.baseline", "zipf.pond"],
        figure: |round| ratio(round, "ns", "zipf.baseline", "zipf.pond"),
    },
    Row {
        group: "submit",
        name: "single submit, 2 writers, against the baseline",
        unit: "×",
        more: true,
        goal: 14.0,
        least: 9.0,
        needs: &["two.baseline", "two.pond"],
        figure: |round| ratio(round, "ns", "two.baseline", "two.pond"),
    },
    Row {
        group: "submit",
        name: "single submit against the validating floor",
        unit: "×",
        more: false,
        goal: 1.25,
        least: 1.7,
        needs: &["zipf.validating", "zipf.pond"],
        figure: |round| ratio(round, "ns", "zipf.pond", "zipf.validating"),
    },
    Row {
        group: "batch",
        name: "batches of 64, Zipf, against the baseline",
        unit: "×",
        more: true,
        goal: 14.0,
        least: 9.0,
        needs: &["zipf.baseline", "zipf.batches"],
        figure: |round| ratio(round, "ns", "zipf.baseline", "zipf.batches"),
    },
    Row {
        group: "batch",
        name: "batches of 64, uniform, against the baseline",
        unit: "×",
        more: true,
        goal: 10.0,
        least: 7.0,
        needs: &["uniform.baseline", "uniform.batches"],
        figure: |round| ratio(round, "ns", "uniform.baseline", "uniform.batches"),
    },
    Row {
        group: "memory",
        name: "resident bytes per pending document",
        unit: "B",
        more: false,
        goal: 310.0,
        least: 420.0,
        needs: &["zipf.pond"],
        figure: |round| of(round, "zipf.pond", "bytes_per_document"),
    },
    Row {
        group: "drain",
        name: "drain, one thread, against the baseline",
        unit: "×",
        more: true,
        goal: 10.0,
        least: 6.0,
        needs: &["zipf.baseline", "zipf.pond"],
        figure: |round| ratio(round, "drain_ns", "zipf.baseline", "zipf.pond"),
    },
    Row {
        group: "drain",
        name: "drain, one thread",
        unit: "M documents/s",
        more: true,
        goal: 4.0,
        least: 0.0,
        needs: &["zipf.pond"],
        figure: |round| of(round, "zipf.pond", "drain_mdocs"),
    },
    Row {
        group: "drain",
        name: "process CPU from the first submit to the last byte out, against the baseline",
        unit: "×",
        more: false,
        goal: 0.125,
        least: 0.2,
        needs: &["zipf.baseline", "zipf.pond"],
        figure: |round| ratio(round, "cpu_ns", "zipf.pond", "zipf.baseline"),
    },
    Row {
        group: "contention",
        name: "two writers, drain running: p99 of a submit",
        unit: "µs",
        more: false,
        goal: 1.3,
        least: 3.0,
        needs: &["tail.pond", "tail.baseline"],
        figure: |round| of(round, "tail.pond", "p99_us"),
    },
    Row {
        group: "contention",
        name: "two writers, drain running: p99.9 of a submit",
        unit: "µs",
        more: false,
        goal: 3.0,
        least: 6.0,
        needs: &["tail.pond", "tail.baseline"],
        figure: |round| of(round, "tail.pond", "p999_us"),
    },
    Row {
        group: "counters",
        name: "counters (`inc` on hot keys) against the baseline",
        unit: "×",
        more: true,
        goal: 6.0,
        least: 4.0,
        needs: &["counters.baseline", "counters.pond"],
        figure: |round| ratio(round, "ns", "counters.baseline", "counters.pond"),
    },
    Row {
        group: "read",
        name: "get of a pending document against a submit",
        unit: "×",
        more: false,
        goal: 1.0,
        least: 1.5,
        needs: &["read.pending"],
        figure: |round| of(round, "read.pending", "get_submits"),
    },
    Row {
        group: "read",
        name: "get from a warm segment",
        unit: "µs",
        more: false,
        goal: 1.0,
        least: 2.0,
        needs: &["read.warm"],
        figure: |round| of(round, "read.warm", "get_us"),
    },
    Row {
        group: "replay",
        name: "`replay` of the flights, input per core",
        unit: "GB/s",
        more: true,
        goal: 0.6,
        least: 0.35,
        needs: &["replay"],
        figure: |round| of(round, "replay", "gb_per_core"),
    },
    Row {
        group: "growth",
        name: "4 M documents against 100 k, ns per submit",
        unit: "×",
        more: false,
        goal: 1.6,
        least: 2.2,
        needs: &["size.10k", "size.100k", "zipf.pond", "size.4m"],
        figure: |round| ratio(round, "ns", "size.4m", "size.100k"),
    },
];

/// Every measurement by its name, in the order of a repetition: those that are compared stand side by side.
pub(super) fn jobs(quick: bool) -> Vec<(&'static str, Job)> {
    let operations = if quick { 300_000 } else { 5_000_000 };
    let documents = if quick { 100_000 } else { 1_000_000 };
    let zipf = Plan { documents, operations, keys: Keys::Zipf, mix: Mix::Updates, seed: 1 };
    let uniform = Plan { keys: Keys::Uniform, operations: operations * 3 / 5, ..zipf };
    let counters = Plan { mix: Mix::Counters, ..zipf };
    let sized = |documents| Plan { documents, ..zipf };
    let most = if quick { 200_000 } else { 4_000_000 };
    let store = Plan { documents: 100_000.min(documents), keys: Keys::Uniform, ..zipf };
    let job = |task, peer, plan, writers| Job { task, peer, plan, writers };
    let (pond, baseline) = (PeerKind::Pond, PeerKind::Baseline);
    vec![
        ("zipf.baseline", job(Task::Single, baseline, zipf, 1)),
        ("zipf.pond", job(Task::Single, pond, zipf, 1)),
        ("zipf.validating", job(Task::Single, PeerKind::Validating, zipf, 1)),
        ("zipf.lock-hash", job(Task::Single, PeerKind::LockHash, zipf, 1)),
        ("zipf.probe", job(Task::Single, PeerKind::Probe, zipf, 1)),
        ("zipf.batches", job(Task::Batches, pond, zipf, 1)),
        ("two.baseline", job(Task::Single, baseline, zipf, 2)),
        ("two.pond", job(Task::Single, pond, zipf, 2)),
        ("uniform.baseline", job(Task::Single, baseline, uniform, 1)),
        ("uniform.batches", job(Task::Batches, pond, uniform, 1)),
        ("counters.baseline", job(Task::Single, baseline, counters, 1)),
        ("counters.pond", job(Task::Single, pond, counters, 1)),
        ("tail.one.baseline", job(Task::Tail, baseline, zipf, 1)),
        ("tail.one.pond", job(Task::Tail, pond, zipf, 1)),
        ("tail.baseline", job(Task::Tail, baseline, zipf, 2)),
        ("tail.pond", job(Task::Tail, pond, zipf, 2)),
        ("read.pending", job(Task::Pending, pond, zipf, 1)),
        ("read.warm", job(Task::Warm, pond, store, 1)),
        ("replay", job(Task::Replay, pond, zipf, 1)),
        ("size.10k", job(Task::Single, pond, sized(10_000), 1)),
        ("size.100k", job(Task::Single, pond, sized(100_000), 1)),
        ("size.4m", job(Task::Single, pond, sized(most), 1)),
    ]
}

/// Measurements that must come to the same documents: checked once, before anything is measured.
pub(super) const ALIKE: [[&str; 2]; 4] = [
    ["zipf.baseline", "zipf.pond"],
    ["two.baseline", "two.pond"],
    ["uniform.baseline", "uniform.batches"],
    ["counters.baseline", "counters.pond"],
];
