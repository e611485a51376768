//! The tail: how long single submits take while a drain is running.
//!
//! # Design
//! Writers submit as fast as they can, and each notes how long every single submit took, the cost of asking for the time
//! included. The engine drains what has waited for 50 ms, so that its drain always has something to do; the baseline is
//! drained by a thread that goes round every 50 ms.

use super::figures::Figures;
use crate::{
    baseline::Baseline,
    clock::Stopwatch,
    peer::{Drains, Peer},
    pond::Pond,
    sync::{Receiver, channel, scope},
    workload::{Plan, Workload},
};
use hdrhistogram::Histogram;
use std::{error::Error, time::Duration};

/// How long an operation waits before it is drained.
const DELAY: Duration = Duration::from_millis(50);
/// What a histogram tells apart: a thousandth, up to ten minutes.
const DIGITS: u8 = 3;
const NANOS_MAX: u64 = 600_000_000_000;

/// Nanoseconds of single operations.
pub type Latencies = Histogram<u64>;

/// An empty histogram.
#[expect(clippy::expect_used, reason = "the bounds are constants that a histogram takes")]
fn latencies() -> Latencies {
    Histogram::new_with_bounds(1, NANOS_MAX, DIGITS).expect("the bounds are valid")
}

/// The engine under its own drain.
pub(super) fn pond(plan: &Plan, writers: usize) -> Result<Figures, Box<dyn Error>> {
    let pond = Pond::draining(DELAY)?;
    let workloads = Workload::shares(plan, writers);
    let latencies = submit_all(&pond, &workloads);
    pond.drain(None);
    let stats = pond.engine.stats();
    let operations: usize = workloads.iter().map(Workload::len).sum();
    if stats.operations_settled != operations as u64 {
        return Err(format!("{} of {operations} operations have settled", stats.operations_settled).into());
    }
    Ok(figures(&latencies).count("drained", stats.operations_out))
}

/// The baseline with a thread that drains it.
pub(super) fn baseline(plan: &Plan, writers: usize) -> Figures {
    let baseline = Baseline::default();
    let workloads = Workload::shares(plan, writers);
    let (stop, stopped) = channel::<()>();
    let mut latencies = latencies();
    scope(|scope| {
        let drained = &baseline;
        let draining = scope.spawn(move || drain_until(drained, &stopped));
        latencies = submit_all(&baseline, &workloads);
        drop(stop);
        let _ = draining.join();
    });
    figures(&latencies)
}

fn drain_until(baseline: &Baseline, stopped: &Receiver<()>) {
    while stopped.recv_timeout(DELAY).is_err_and(|error| error == crate::sync::RecvTimeoutError::Timeout) {
        baseline.drain(None);
    }
}

fn submit_all<P: Peer>(peer: &P, workloads: &[Workload]) -> Latencies {
    let mut all = latencies();
    scope(|scope| {
        let writers: Vec<_> =
            workloads.iter().map(|workload| scope.spawn(|| submit(peer, workload))).collect();
        for writer in writers {
            if let Ok(latencies) = writer.join() {
                // Both have the same bounds.
                let _ = all.add(latencies);
            }
        }
    });
    all
}

fn submit<P: Peer>(peer: &P, workload: &Workload) -> Latencies {
    let mut latencies = latencies();
    for operation in workload.operations() {
        let watch = Stopwatch::start();
        peer.submit(&operation);
        latencies.saturating_record(watch.nanos());
    }
    latencies
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
fn figures(latencies: &Latencies) -> Figures {
    let at = |quantile: f64| latencies.value_at_quantile(quantile) as f64 / 1e3;
    Figures::default()
        .with("p50_us", at(0.5))
        .with("p99_us", at(0.99))
        .with("p999_us", at(0.999))
        .with("max_us", latencies.max() as f64 / 1e3)
        .count("operations", latencies.len())
}
