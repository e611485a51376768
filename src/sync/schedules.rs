//! Runs a test under many schedules, or under the one that failed.
//!
//! # Design
//! Half of the schedules are random walks: at each point any thread that can run does. The other half give the threads
//! priorities and change them at a few points (PCT), which finds what needs one thread to stand still for long while
//! others get far. Both come from a fixed seed, so that a gate that passed passes again.
//!
//! # Replaying
//! A schedule that fails is printed. With it in `MILLPOND_SCHEDULE`, the test runs that schedule and no other:
//!
//! ```text
//! MILLPOND_SCHEDULE=91021fb3... dev/check shuttle NAME
//! ```
//!
//! `MILLPOND_SCHEDULES` (10,000) is how many a test runs, `SHUTTLE_RANDOM_SEED` another seed.

use shuttle::{
    Config, MaxSteps, Runner,
    rand::{RngCore, thread_rng},
    scheduler::{PctScheduler, RandomScheduler, ReplayScheduler},
};
use std::env;

/// Schedules of a test.
const SCHEDULES: usize = 10_000;
/// What schedules are drawn from.
const SEED: u64 = 0x6D69_6C6C_706F_6E64;
/// Priorities change at one point less: with few threads, most mistakes need no more.
const DEPTH: usize = 4;
/// More steps than any schedule of ours takes: one that takes more runs in circles.
const STEPS_MAX: usize = 100_000;
/// A submit keeps a round of operations on its stack.
const STACK_BYTES: usize = 512 * 1024;

/// Runs `test` under many schedules; panics under the first that fails, after printing it. Everything that the test
/// looks at must be made in it, and its threads come from [`shuttle::thread`] or `sync.rs`.
pub(crate) fn explore(test: fn()) {
    if let Ok(schedule) = env::var("MILLPOND_SCHEDULE") {
        // It is printed over many lines.
        let schedule: String = schedule.split_whitespace().collect();
        Runner::new(ReplayScheduler::new_from_encoded(&schedule), config()).run(test);
        return;
    }
    let parse = |count: String| count.parse().unwrap_or_else(|error| panic!("MILLPOND_SCHEDULES: {error}"));
    let count: usize = env::var("MILLPOND_SCHEDULES").map_or(SCHEDULES, parse);
    Runner::new(RandomScheduler::new_from_seed(SEED, count.div_ceil(2)), config()).run(test);
    Runner::new(PctScheduler::new_from_seed(SEED, DEPTH, count / 2), config()).run(test);
}

/// A choice that the schedule makes.
pub(crate) fn toss() -> bool {
    thread_rng().next_u32().is_multiple_of(2)
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    // That orderings are not modelled stands in `model.rs`.
    config.silence_warnings = true;
    config
}
