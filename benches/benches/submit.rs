//! One submit: the engine beside the baseline and the floors, on documents that all are there.

use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use millpond_bench::{
    criterion::{PLAN, again, baseline, checked, pond},
    floors::{LockHash, Probe, Scan},
    peer::Peer,
    workload::{Keys, Mix, Plan, Workload},
};

fn submits(criterion: &mut Criterion) {
    for (name, plan) in [
        ("submit/zipf", PLAN),
        ("submit/uniform", Plan { keys: Keys::Uniform, ..PLAN }),
        ("submit/counters", Plan { mix: Mix::Counters, ..PLAN }),
    ] {
        let workload = checked(&plan);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(1)).sample_size(20);
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
    let mut operations = again(workload);
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            if let Some(operation) = operations.next() {
                peer.submit(&operation);
            }
        });
    });
}

criterion_group!(benches, submits);
criterion_main!(benches);
