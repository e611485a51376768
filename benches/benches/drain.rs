//! The drain of everything that waits, as bulk NDJSON: documents in a second. The floor copies what the engine writes.

use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use millpond_bench::{
    clock::Stopwatch,
    criterion::{PLAN, answer, baseline, checked, pond},
    peer::Drains,
};
use std::{hint::black_box, time::Duration};

fn drains(criterion: &mut Criterion) {
    let workload = checked(&PLAN);
    let documents = answer(&pond(&workload)).documents;
    let mut group = criterion.benchmark_group("drain");
    group.throughput(Throughput::Elements(documents)).sample_size(10);
    bench(&mut group, "millpond", documents, || pond(&workload));
    bench(&mut group, "baseline", documents, || baseline(&workload));
    let mut lines = Vec::new();
    pond(&workload).drain(Some(&mut |piece| lines.extend_from_slice(piece)));
    let mut copy = Vec::with_capacity(lines.len());
    group.bench_function("floor: copy", |bencher| {
        bencher.iter(|| {
            copy.clear();
            copy.extend_from_slice(black_box(&lines));
        });
    });
    group.finish();
}

/// Each drain empties a peer: filling it again is not measured.
fn bench<P: Drains>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    documents: u64,
    fill: impl Fn() -> P,
) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|drains| {
            let drain = |_| {
                let peer = fill();
                let watch = Stopwatch::start();
                assert_eq!(peer.drain(None).documents, documents, "all documents are drained");
                watch.elapsed()
            };
            (0..drains).map(drain).sum::<Duration>()
        });
    });
}

criterion_group!(benches, drains);
criterion_main!(benches);
