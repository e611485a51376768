//! The limiter against model servers: it finds what a sweep over fixed settings finds, and stays within its bounds.

use super::{BYTES_LEAST, Bounds, Flown, Limiter, Place, Setting};
use std::collections::BinaryHeap;

const MIB: usize = 1024 * 1024;
const BOUNDS: Bounds = Bounds { most: Setting { requests: 8, bytes: 8 * MIB }, together: 64 * MIB };
const SECOND_US: u64 = 1_000_000;
/// Models that are tried.
const SEEDS: u64 = 24;
/// The bytes of one operation.
const OPERATION_BYTES: u64 = 512;

/// Random numbers that are the same everywhere: splitmix64.
struct Random(u64);

impl Random {
    fn within(&mut self, least: u64, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        least + (mixed ^ (mixed >> 31)) % (most - least + 1)
    }

    fn size(&mut self, least: u64, most: u64) -> usize {
        usize::try_from(self.within(least, most)).unwrap()
    }
}

/// A server that carries out so many requests at a time, in the order in which they come.
#[derive(Clone, Debug)]
struct Model {
    parallel: usize,
    fixed_us: u64,
    /// What a KiB costs, in nanoseconds.
    kib_ns: u64,
    /// Each request beyond those that are carried out makes all slower by so many thousandths.
    crowding: u64,
    /// Above so many bytes at once it refuses.
    bytes_max: usize,
    /// How much a request's time differs from the mean, in percent.
    noise: u64,
    /// What the client takes to make a batch, in nanoseconds a KiB.
    client_ns: u64,
    /// Nothing is answered but with a refusal between these times.
    away_us: (u64, u64),
    /// From then on everything takes so many times as long.
    slow_from_us: u64,
    slower: u64,
}

impl Model {
    fn of(seed: u64) -> Self {
        let mut random = Random(seed);
        Self {
            parallel: random.size(1, 6),
            fixed_us: random.within(200, 20_000),
            kib_ns: random.within(10_000, 400_000),
            crowding: random.within(0, 30),
            bytes_max: usize::MAX,
            noise: random.within(0, 40),
            client_ns: random.within(500, 3_000),
            away_us: (u64::MAX, u64::MAX),
            slow_from_us: u64::MAX,
            slower: 1,
        }
    }
}

/// What a run came to.
#[derive(Debug, Default)]
struct Run {
    /// Bytes that came home in each second.
    seconds: Vec<u64>,
    refused: u64,
    settings: Vec<Setting>,
}

impl Run {
    /// Bytes a second from then on.
    fn rate(&self, from: usize) -> u64 {
        let seconds = &self.seconds[from..];
        seconds.iter().sum::<u64>() / seconds.len() as u64
    }
}

/// A request on its way back: when, and with what.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Back {
    at_us: std::cmp::Reverse<u64>,
    number: u64,
    place: (u64, u64, u64),
    bytes: usize,
    is_refused: bool,
}

/// Sends without end for so long.
fn run(limiter: &mut Limiter, model: &Model, seed: u64, seconds: usize) -> Run {
    let mut random = Random(seed ^ 0xABCD);
    let mut run = Run { seconds: vec![0; seconds], ..Run::default() };
    let mut workers = vec![0_u64; model.parallel];
    let mut backs: BinaryHeap<Back> = BinaryHeap::new();
    let (mut now_us, mut client_free_us, mut number, mut held) = (0, 0, 0, 0);
    let end_us = seconds as u64 * SECOND_US;
    loop {
        while limiter.has_room() {
            let bytes = limiter.setting().bytes;
            let Place { began_us, change, cut } = limiter.take(now_us);
            // One batch is made at a time.
            client_free_us = client_free_us.max(now_us) + bytes as u64 / 1024 * model.client_ns / 1_000;
            let sent_us = client_free_us;
            let is_away = (model.away_us.0..model.away_us.1).contains(&sent_us);
            let is_refused = is_away || held + bytes > model.bytes_max && held > 0 || bytes > model.bytes_max;
            let at_us = if is_refused {
                sent_us + 2_000
            } else {
                held += bytes;
                let excess = (limiter.out()).saturating_sub(model.parallel) as u64;
                let mean = model.fixed_us + bytes as u64 / 1024 * model.kib_ns / 1_000;
                let mean = mean + mean * excess * model.crowding / 1_000;
                let mean = if sent_us >= model.slow_from_us { mean * model.slower } else { mean };
                let spread = mean * model.noise / 100;
                let takes_us = mean - spread + random.within(0, 2 * spread);
                let worker = workers.iter_mut().min().unwrap();
                *worker = sent_us.max(*worker) + takes_us.max(1);
                *worker
            };
            let at_us = std::cmp::Reverse(at_us);
            backs.push(Back { at_us, number, place: (began_us, change, cut), bytes, is_refused });
            number += 1;
        }
        let back = backs.pop().unwrap();
        now_us = back.at_us.0;
        if now_us >= end_us {
            return run;
        }
        if !back.is_refused {
            held -= back.bytes;
            run.seconds[usize::try_from(now_us / SECOND_US).unwrap()] += back.bytes as u64;
        }
        let (began_us, change, cut) = back.place;
        let operations = back.bytes as u64 / OPERATION_BYTES;
        let flown = Flown { bytes: back.bytes as u64, operations, is_refused: back.is_refused };
        limiter.landed(Place { began_us, change, cut }, flown, now_us);
        if back.is_refused {
            run.refused += 1;
            // What was refused waits.
            now_us += 50_000;
        }
        limiter.validate().unwrap();
        assert!(limiter.out() <= BOUNDS.most.requests);
        run.settings.push(limiter.setting());
    }
}

/// The best that a fixed setting comes to, of all that a sweep tries.
fn best(model: &Model, seed: u64) -> (u64, Setting) {
    let sizes = (0..8).map(|shift| BYTES_LEAST << shift);
    let settings = sizes.flat_map(|bytes| (1..=8).map(move |requests| Setting { requests, bytes }));
    let rate = |most: Setting| {
        let mut limiter = Limiter::fixed(Bounds { most, together: usize::MAX });
        (run(&mut limiter, model, seed, 60).rate(10), most)
    };
    settings.map(rate).max_by_key(|(rate, _)| *rate).unwrap()
}

/// What it comes to by itself after so many seconds, in percent of the best, which is of the same model without what goes wrong.
fn share(model: &Model, seed: u64, from: usize) -> (u64, String) {
    let well = Model { away_us: (u64::MAX, u64::MAX), ..model.clone() };
    let (best, setting) = best(&well, seed);
    let mut limiter = Limiter::new(BOUNDS);
    let share = run(&mut limiter, model, seed, from + 60).rate(from) * 100 / best;
    (
        share,
        format!("seed {seed}: {share} % of the best, which is {setting:?}, at {:?}; {model:?}", limiter.at),
    )
}

const LEAST_SHARE: u64 = 80;

#[test]
fn it_comes_within_a_fifth_of_the_best_fixed_setting_on_every_model() {
    for seed in 0..SEEDS {
        let (share, what) = share(&Model::of(seed), seed, 15);
        assert!(share >= LEAST_SHARE, "{what}");
    }
}

#[test]
fn where_a_server_refuses_above_a_bound_it_finds_what_is_below_and_is_seldom_refused() {
    for seed in 0..SEEDS {
        let mut model = Model::of(seed);
        model.bytes_max = Random(seed).size(2, 24) << 20;
        let mut limiter = Limiter::new(BOUNDS);
        let run = run(&mut limiter, &model, seed, 300);
        let (best, _) = best(&model, seed);
        let share = run.rate(60) * 100 / best;
        assert!(share >= 60, "seed {seed}: {share} % of {best}, at {:?}; {model:?}", limiter.at);
        let sent = run.settings.len() as u64;
        assert!(run.refused <= 100.max(sent / 20), "seed {seed}: {} of {sent} refused", run.refused);
    }
}

#[test]
fn it_comes_back_after_a_time_in_which_nothing_was_taken() {
    for seed in 0..SEEDS {
        let away_us = (20 * SECOND_US, 50 * SECOND_US);
        let (share, what) = share(&Model { away_us, ..Model::of(seed) }, seed, 80);
        assert!(share >= LEAST_SHARE, "{what}");
    }
}

#[test]
fn while_nothing_is_taken_one_small_request_is_out() {
    let mut limiter = Limiter::new(BOUNDS);
    let model = Model { away_us: (0, u64::MAX), ..Model::of(1) };
    let run = run(&mut limiter, &model, 1, 10);
    let last = *run.settings.last().unwrap();
    assert_eq!(last, Setting { requests: 1, bytes: super::BYTES_CUT_LEAST });
    assert_eq!(run.refused, limiter.refused());
}

#[test]
fn it_finds_the_best_anew_when_everything_takes_ten_times_as_long() {
    for seed in 0..SEEDS {
        let model = Model { slow_from_us: 30 * SECOND_US, slower: 10, ..Model::of(seed) };
        let always = Model { slow_from_us: 0, ..model.clone() };
        let (best, setting) = best(&always, seed);
        let mut limiter = Limiter::new(BOUNDS);
        let share = run(&mut limiter, &model, seed, 240).rate(120) * 100 / best;
        assert!(share >= 75, "seed {seed}: {share} % of {setting:?}, at {:?}; {model:?}", limiter.at);
    }
}

#[test]
fn what_has_too_little_to_send_changes_nothing() {
    let mut limiter = Limiter::new(BOUNDS);
    let first = limiter.setting();
    for round in 0..1_000 {
        let now_us = round * SECOND_US;
        let place = limiter.take(now_us);
        limiter.landed(place, Flown { bytes: 1_000, operations: 1, is_refused: false }, now_us + 5_000);
        limiter.take(now_us + 5_000);
        limiter.give_back(now_us + 5_001);
        limiter.starved(now_us + 5_001);
    }
    assert_eq!((limiter.setting(), limiter.out()), (first, 0));
}

#[test]
fn flights_that_were_out_together_and_are_refused_cut_once() {
    let mut limiter = Limiter::new(BOUNDS);
    (limiter.at.requests, limiter.at.bytes) = (8, MIB);
    let places: Vec<_> = (0..8).map(|_| limiter.take(0)).collect();
    for (place, now_us) in places.into_iter().zip(1_000..) {
        limiter.landed(place, Flown { bytes: 1, operations: 1, is_refused: true }, now_us);
    }
    assert_eq!(limiter.setting(), Setting { requests: 4, bytes: MIB });
}

#[test]
fn small_bounds_are_kept_too() {
    for (requests, bytes, together) in
        [(1, 1, 1), (1, 100, 50), (8, 100, 200), (256, 8 * MIB, MIB), (2, MIB, MIB)]
    {
        let most = Setting { requests, bytes };
        let mut limiter = Limiter::new(Bounds { most, together });
        limiter.validate().unwrap();
        for round in 0..10_000_u64 {
            let place = limiter.take(round * 10_000);
            let flown = Flown { bytes: 1_000, operations: 1, is_refused: round % 97 == 0 };
            limiter.landed(place, flown, round * 10_000 + 7_000);
            limiter.validate().unwrap();
        }
    }
}
