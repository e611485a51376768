//! One read of a document that waits: the engine beside the baseline, which copies its tree, and the exact-key probe.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use millpond_bench::{
    criterion::{PLAN, again, baseline, checked, pond},
    floors::{Probe, Scan},
    peer::Peer,
    workload::INDEX,
};
use serde_json::Value;

fn reads(criterion: &mut Criterion) {
    let workload = checked(&PLAN);
    let (pond, baseline, probe) =
        (pond(&workload), baseline(&workload), Probe::new(Scan::Not, PLAN.documents));
    for operation in workload.operations().take(1_000) {
        let read = pond.engine.get(INDEX, operation.id).ok().flatten();
        let read = read.and_then(|document| serde_json::from_slice::<Value>(&document.source).ok());
        assert_eq!(read, baseline.get(operation.id), "{} reads alike", operation.id);
    }
    let mut group = criterion.benchmark_group("read/pending");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    let mut operations = again(&workload);
    group.bench_function("millpond", |bencher| {
        bencher.iter(|| operations.next().map(|operation| pond.engine.get(INDEX, operation.id)));
    });
    let mut operations = again(&workload);
    group.bench_function("baseline", |bencher| {
        bencher.iter(|| operations.next().map(|operation| baseline.get(operation.id)));
    });
    let mut operations = again(&workload);
    group.bench_function("floor: probe", |bencher| {
        bencher.iter(|| operations.next().map(|operation| probe.submit(&operation)));
    });
    group.finish();
}

criterion_group!(benches, reads);
criterion_main!(benches);
