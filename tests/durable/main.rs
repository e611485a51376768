//! What a journal promises, held through kills and power cuts: see `world.rs`. One seed is one run.
//!
//! `MILLPOND_SEEDS=FIRST..END` runs others: `MILLPOND_SEEDS=17..18 cargo test --release --test durable` runs one again.
#![expect(clippy::duplicate_mod, reason = "both kinds of support draw from the same generator")]
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking, and clippy sees helpers as no tests"
)]

mod commits;
#[path = "../support/disk/mod.rs"]
mod disk;
mod exhaustive;
mod files;
mod named;
mod repair;
#[path = "../support/simulation/mod.rs"]
mod simulation;
mod source;
mod steps;
mod world;

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

/// Seeds of the everyday test.
const SEEDS: Range<u64> = 0..300;

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("MILLPOND_SEEDS") else { return SEEDS };
    let parsed = text.split_once("..").and_then(|(first, end)| Some(first.parse().ok()?..end.parse().ok()?));
    parsed.unwrap_or_else(|| panic!("MILLPOND_SEEDS is FIRST..END, not {text}"))
}

/// What must have happened in many runs, for them to show anything.
#[test]
fn what_was_acknowledged_survives_kills_and_power_cuts_and_is_carried_out_once() {
    let mut total = world::Report::default();
    let seeds = seeds();
    for seed in seeds.clone() {
        match catch_unwind(AssertUnwindSafe(|| steps::run(seed))) {
            Ok(report) => total.add(&report),
            Err(panic) => {
                println!("run it again: MILLPOND_SEEDS={seed}..{} cargo test --test durable", seed + 1);
                resume_unwind(panic);
            }
        }
    }
    println!("{total:?}");
    if seeds.end - seeds.start >= 300 {
        total.has_seen_everything();
    }
}
