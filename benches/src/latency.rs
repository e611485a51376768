//! Latency over time: two writers as fast as they can while a drain is running, drawn per window of 100 ms.
//!
//! # Design
//! Each writer goes round its own operations until the time is up and keeps a histogram of every window. Afterwards the
//! windows of both are added up, and the median, the 99th percentile, the 99.9th and the worst of each are drawn.

use crate::{
    clock::{Stopwatch, today},
    machine::Machine,
    peer::Peer,
    plot::{self, Line},
    pond::Pond,
    sync::scope,
    table::Latencies,
    workload::{Keys, Mix, Plan, Workload},
};
use hdrhistogram::Histogram;
use std::{env, error::Error, fs, process::ExitCode, time::Duration};

const PLAN: Plan =
    Plan { documents: 1_000_000, operations: 5_000_000, keys: Keys::Zipf, mix: Mix::Updates, seed: 1 };
const WRITERS: usize = 2;
/// How long an operation waits before it is drained.
const DELAY: Duration = Duration::from_millis(50);
const WINDOW_NS: u64 = 100_000_000;
/// Where the drawing goes.
const DRAWING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/latency.svg");
/// A run shorter than this is only looked at.
const RECORD_SECONDS: u64 = 30;

/// Runs the bench with the arguments of the process.
pub fn run() -> ExitCode {
    match seconds().and_then(|seconds| draw(seconds).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn seconds() -> Result<u64, String> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.as_slice() {
        [] => Ok(60),
        [name, seconds] if name == "--seconds" => {
            seconds.parse().map_err(|_| "--seconds takes a number".into())
        }
        _ => Err("the only option is --seconds N".into()),
    }
}

fn draw(seconds: u64) -> Result<(), Box<dyn Error>> {
    let workloads = Workload::shares(&PLAN, WRITERS);
    let pond = Pond::draining(DELAY)?;
    let windows = usize::try_from(seconds.saturating_mul(1_000_000_000) / WINDOW_NS)?;
    let mut all: Vec<Latencies> = (0..windows).map(|_| window()).collect();
    let watch = Stopwatch::start();
    scope(|scope| {
        let start = |workload| {
            let pond = &pond;
            scope.spawn(move || write(pond, workload, watch, windows))
        };
        let writers: Vec<_> = workloads.iter().map(start).collect();
        for writer in writers {
            for (window, latencies) in all.iter_mut().zip(writer.join().unwrap_or_default()) {
                // All have the same bounds.
                let _ = window.add(latencies);
            }
        }
    });
    let operations: u64 = all.iter().map(Histogram::len).sum();
    let drained = pond.engine.stats().operations_out;
    let said = format!(
        "{operations} submits by {WRITERS} writers in {seconds} s, {drained} operations drained meanwhile"
    );
    println!("{said}");
    let lines = lines(&all);
    for line in &lines {
        println!(
            "{}: median window {:.2} µs, worst {:.2} µs",
            line.name,
            middle(&line.points),
            worst(&line.points)
        );
    }
    if seconds < RECORD_SECONDS {
        return Ok(());
    }
    let machine = Machine::this();
    let under = format!("{said}. {} × {}, {}", machine.cores, machine.cpu, today());
    fs::write(DRAWING, plot::svg("Latency of a submit while a drain is running", &under, 0.1, &lines))?;
    Ok(())
}

fn write(pond: &Pond, workload: &Workload, watch: Stopwatch, windows: usize) -> Vec<Latencies> {
    let mut done = Vec::with_capacity(windows);
    let mut current = window();
    let mut ends = WINDOW_NS;
    let mut before = watch.nanos();
    for operation in std::iter::repeat_with(|| workload.operations()).flatten() {
        pond.submit(&operation);
        let after = watch.nanos();
        // One look at the clock for both ends: what lies between two submits counts as the later one's.
        while before >= ends {
            done.push(std::mem::replace(&mut current, window()));
            ends += WINDOW_NS;
            if done.len() == windows {
                return done;
            }
        }
        current.saturating_record(after - before);
        before = after;
    }
    done
}

/// Two digits up to ten seconds: there are many windows.
#[expect(clippy::expect_used, reason = "the bounds are constants that a histogram takes")]
fn window() -> Latencies {
    Histogram::new_with_bounds(1, 10_000_000_000, 2).expect("the bounds are valid")
}

/// The lines of the drawing, in microseconds.
#[expect(clippy::cast_precision_loss, reason = "latencies are below 2^53")]
fn lines(windows: &[Latencies]) -> Vec<Line> {
    let line = |name, of: &dyn Fn(&Latencies) -> u64| Line {
        name,
        points: windows.iter().map(|window| of(window) as f64 / 1e3).collect(),
    };
    vec![
        line("p50", &|window| window.value_at_quantile(0.5)),
        line("p99", &|window| window.value_at_quantile(0.99)),
        line("p99.9", &|window| window.value_at_quantile(0.999)),
        line("max", &Histogram::max),
    ]
}

fn middle(points: &[f64]) -> f64 {
    let mut sorted = points.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn worst(points: &[f64]) -> f64 {
    points.iter().copied().fold(f64::NAN, f64::max)
}
