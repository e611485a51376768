//! Batches of 64: the engine beside the floors in batches, and the baseline, which takes them one by one.

use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use millpond_bench::{
    criterion::{PLAN, baseline, batches, checked, pond},
    floors::{LockHash, Probe, Scan},
    peer::{BATCH, Peer},
    workload::{Keys, Plan, Workload},
};

fn in_batches(criterion: &mut Criterion) {
    for (name, plan) in [("batch/zipf", PLAN), ("batch/uniform", Plan { keys: Keys::Uniform, ..PLAN })] {
        let workload = checked(&plan);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(BATCH as u64)).sample_size(20);
        bench(&mut group, "millpond", &pond(&workload), &workload);
        bench(&mut group, "baseline", &baseline(&workload), &workload);
        bench(&mut group, "floor: lock and hash", &LockHash::new(), &workload);
        let probe = |scan| Probe::new(scan, plan.documents);
        bench(&mut group, "floor: probe", &probe(Scan::Not), &workload);
        bench(&mut group, "floor: validating probe", &probe(Scan::Validating), &workload);
        group.finish();
    }
}

fn bench(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, peer: &impl Peer, workload: &Workload) {
    let batches = batches(workload);
    let mut next = batches.iter().cycle();
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            if let Some(batch) = next.next() {
                peer.submit_batch(batch);
            }
        });
    });
}

criterion_group!(benches, in_batches);
criterion_main!(benches);
