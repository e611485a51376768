//! Runs the deterministic simulation over many seeds, on every core.
//!
//! ```text
//! cargo run --release --example simulate -- --seeds 100000
//! cargo run --release --example simulate -- --seed 7 --seeds 1
//! ```
//!
//! A failing seed is printed with the command that replays it, and the status is 1. One seed alone tells its steps.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[path = "../tests/support/simulation/mod.rs"]
mod simulation;

/// Seeds between two lines of progress.
const PROGRESS_EVERY: u64 = 1_000;

const USAGE: &str = "usage: simulate [--seeds N] [--seed FIRST]";

fn main() -> ExitCode {
    let Some((first, count)) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    // The panics are caught, and told once.
    std::panic::set_hook(Box::new(|_| {}));
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(first, count, &next, &failed));
        }
    });
    if failed.load(Ordering::Relaxed) {
        return ExitCode::FAILURE;
    }
    eprintln!("{count} seeds from {first} on: no failure");
    ExitCode::SUCCESS
}

/// Takes seeds until there are none left, or one has failed.
fn work(first: u64, count: u64, next: &AtomicU64, failed: &AtomicBool) {
    while !failed.load(Ordering::Relaxed) {
        let done = next.fetch_add(1, Ordering::Relaxed);
        if done >= count {
            return;
        }
        let seed = first.wrapping_add(done);
        // One seed alone is looked at closely.
        let tell = |step: &dyn std::fmt::Debug| {
            if count == 1 {
                eprintln!("{step:?}");
            }
        };
        if let Err(why) = simulation::caught_telling(seed, None, &tell) {
            failed.store(true, Ordering::Relaxed);
            println!("seed {seed} failed: {why}\nreplay with: {}", simulation::replay_command(seed));
        }
        if (done + 1).is_multiple_of(PROGRESS_EVERY) {
            eprintln!("{} of {count} seeds", done + 1);
        }
    }
}

/// The first seed and how many.
fn arguments() -> Option<(u64, u64)> {
    let (mut first, mut count) = (0, 1_000);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next()?.parse().ok()?;
        match name.as_str() {
            "--seed" => first = value,
            "--seeds" => count = value,
            _ => return None,
        }
    }
    Some((first, count))
}
