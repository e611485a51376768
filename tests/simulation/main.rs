//! The deterministic simulation over a fixed range of seeds, those that failed before, and the canaries: worlds that
//! are broken on purpose, in which the checks must bite.

#[path = "../support/simulation/mod.rs"]
mod simulation;

mod regressions;

use simulation::{Report, Sabotage, caught, replay_command};

/// Seeds of a usual run.
const SEEDS: u64 = 2_000;
/// Seeds within which a broken world must be found out.
const CANARY_SEEDS: u64 = 300;

fn check(seed: u64) -> Report {
    match caught(seed, None) {
        Ok(report) => report,
        Err(why) => panic!("seed {seed}: {why}\nreplay with: {}", replay_command(seed)),
    }
}

#[test]
fn no_seed_that_failed_before_fails_again() {
    for line in include_str!("regressions.txt").lines().filter(|line| !line.starts_with('#')) {
        let seed = line.split_whitespace().next().unwrap();
        check(seed.parse().unwrap());
    }
}

#[test]
fn two_thousand_seeds_hold_and_meet_everything_that_can_happen() {
    let reports: Vec<Report> = (0..SEEDS).map(check).collect();
    let sum = |what: fn(&Report) -> u64| reports.iter().map(what).sum::<u64>();
    let met = [
        ("accepted", sum(|r| r.accepted)),
        ("refused as full", sum(|r| r.full)),
        ("refused as busy", sum(|r| r.busy)),
        ("refused as too large", sum(|r| r.too_large)),
        ("refused as bad", sum(|r| r.bad)),
        ("flights", sum(|r| r.flights)),
        ("flights settled", sum(|r| r.settled)),
        ("repeats", sum(|r| r.repeats)),
        ("put back", sum(|r| r.put_back)),
        ("unknown outcomes", sum(|r| r.unknown)),
        ("late requests", sum(|r| r.late)),
        ("dead letters", sum(|r| r.dead_letters)),
        ("noops told", sum(|r| r.noops)),
        ("applied told", sum(|r| r.applied)),
        ("statuses", sum(|r| r.statuses)),
        ("reads", sum(|r| r.reads)),
        ("failed reads", sum(|r| r.failed_reads)),
        ("scans", sum(|r| r.scans)),
        ("flushes", sum(|r| r.flushes)),
    ];
    println!("{met:?}");
    for (what, count) in met {
        assert!(count > SEEDS / 20, "only {count} times: {what}");
    }
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    for seed in 0..20 {
        assert_eq!(format!("{:?}", caught(seed, None)), format!("{:?}", caught(seed, None)));
    }
}

/// A broken world must be found out; not by every seed.
fn bites(sabotage: Sabotage) {
    let found = (0..CANARY_SEEDS).find(|seed| caught(*seed, Some(sabotage)).is_err());
    assert!(found.is_some(), "{sabotage:?} went unseen for {CANARY_SEEDS} seeds");
}

#[test]
fn a_base_that_says_its_documents_are_older_than_they_are_is_found_out() {
    bites(Sabotage::WrongSeqs);
}

#[test]
fn a_sink_that_carries_out_twice_what_is_not_repeatable_is_found_out() {
    bites(Sabotage::NoFence);
}

#[test]
fn a_sink_that_says_done_and_forgets_is_found_out() {
    bites(Sabotage::Forgetful);
}

#[test]
fn a_sink_that_is_later_than_the_bound_is_found_out() {
    bites(Sabotage::LateBeyondBound);
}

#[test]
fn a_sink_that_says_created_for_updated_is_found_out() {
    bites(Sabotage::WrongWord);
}
