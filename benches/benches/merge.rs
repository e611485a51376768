//! The algebra without an engine: one operation read from its text, and folded into one that is held.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use millpond::{Action, NetOperation};
use millpond_bench::{
    baseline::Baseline,
    criterion::{PLAN, again, checked},
    floors::json::Splitter,
    peer::Peer,
    workload::{Kind, Mix, Operation, Plan},
};

fn net(operation: &Operation<'_>) -> NetOperation {
    let body = operation.body.as_bytes();
    let action = match operation.kind {
        Kind::Index => Action::Index(body),
        Kind::Update => Action::Update(body),
    };
    NetOperation::new(action).unwrap_or_else(|error| panic!("{}: {error}", operation.body))
}

fn merges(criterion: &mut Criterion) {
    // All on one document.
    for (name, mix) in [("merge/updates", Mix::Updates), ("merge/counters", Mix::Counters)] {
        let plan = Plan { documents: 1, operations: 20_000, mix, ..PLAN };
        let workload = checked(&plan);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(1)).sample_size(20);
        let mut operations = again(&workload);
        let mut held = operations.next().map(|operation| net(&operation));
        group.bench_function("millpond: read and compose", |bencher| {
            bencher.iter(|| {
                let later = operations.next().map(|operation| net(&operation));
                held = held.take().zip(later).map(|(held, later)| held.compose(&later));
            });
        });
        let mut operations = again(&workload);
        group.bench_function("millpond: read", |bencher| {
            bencher.iter(|| operations.next().map(|operation| net(&operation)));
        });
        let (baseline, mut operations) = (Baseline::default(), again(&workload));
        group.bench_function("baseline: parse and merge", |bencher| {
            bencher.iter(|| operations.next().map(|operation| baseline.submit(&operation)));
        });
        let (mut splitter, mut operations) = (Splitter::new(), again(&workload));
        group.bench_function("floor: split and validate", |bencher| {
            bencher.iter(|| operations.next().map(|operation| splitter.split(operation.body.as_bytes())));
        });
        group.finish();
    }
}

criterion_group!(benches, merges);
criterion_main!(benches);
