//! From a seed to a run.

use super::faults::{Answer, Reads};
use super::random::Random;
use super::step::{Heard, KINDS, LARGE, Step, Write};
use super::world::{Config, End, Report, Sabotage, World};
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a seed came to.
pub type Verdict = Result<Report, String>;

/// How often each thing happens in one run.
struct Mix {
    /// Weights of the answers, in the order of `Answer`.
    answers: [u64; 8],
    /// Weights of the kinds of operations.
    kinds: Vec<u64>,
    /// Percent of operations with a routing of their own.
    routed: u64,
    tracked: u64,
    large_bytes: u64,
    /// Percent of batches that are not answered.
    unheard: u64,
    /// Weights of steps, in the order of `Driver::step`.
    steps: [u64; 15],
}

struct Driver {
    random: Random,
    mix: Mix,
    world: World,
}

/// The command that runs one seed again.
pub fn replay_command(seed: u64) -> String {
    format!("cargo run --release --example simulate -- --seed {seed} --seeds 1")
}

/// One run; panics where a check fails. What the world is like and every step is told.
pub fn run(seed: u64, sabotage: Option<Sabotage>, tell: &dyn Fn(&dyn Debug)) -> Report {
    let mut random = Random::new(seed);
    let config = config(seed, &mut random, sabotage);
    tell(&config);
    let mix = mix(&mut random, &config);
    let steps = random.within(300, 3_700);
    let mut driver = Driver { random, mix, world: World::new(config) };
    for _ in 0..steps {
        let step = driver.choose();
        tell(&(driver.world.clock.now_us(), &step));
        driver.world.step(&step);
        if driver.world.config.fresh {
            while driver.world.take().is_none() {}
        }
    }
    driver.world.end()
}

/// One run; the message of the check that failed.
pub fn caught(seed: u64, sabotage: Option<Sabotage>) -> Verdict {
    caught_telling(seed, sabotage, &|_| {})
}

/// The same, with every step told.
pub fn caught_telling(seed: u64, sabotage: Option<Sabotage>, tell: &dyn Fn(&dyn Debug)) -> Verdict {
    catch_unwind(AssertUnwindSafe(|| run(seed, sabotage, tell))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
    })
}

fn config(seed: u64, random: &mut Random, sabotage: Option<Sabotage>) -> Config {
    let documents = random.chance(50);
    let keys = *random.pick(&[1, 2, 3, 5, 8, 24]);
    let fresh = random.chance(25);
    Config {
        seed,
        shards: *random.pick(&[1, 1, 2, 3, 8]),
        memory_bytes: *random.pick(if fresh { &[1 << 20] } else { &[256 * 1024, 300_000, 1 << 20] }),
        max_delay_us: *random.pick(&[10_000, 200_000, 1_000_000, 30_000_000]),
        late_bound_us: *random.pick(&[0, 1_000, 500_000, 5_000_000, 60_000_000]),
        batch_bytes: *random.pick(&[1, 1_000, 20_000, 8 * 1024 * 1024]),
        batch_operations: *random.pick(&[1, 2, 7, 1_000]),
        workers: *random.pick(&[1, 2, 4]),
        documents,
        base: documents || random.chance(70),
        forgets: random.chance(50),
        keep_known: random.chance(50),
        keys,
        fresh,
        end: *random.pick(&[End::Age, End::Close, End::Close, End::Drop]),
        sabotage,
    }
}

fn mix(random: &mut Random, config: &Config) -> Mix {
    let quiet = config.fresh || random.chance(10);
    let mut answers = [100, 0, 0, 0, 0, 0, 0, 0];
    if !quiet {
        for weight in &mut answers[1..] {
            *weight = if random.chance(60) { random.below(25) } else { 0 };
        }
    }
    let some = |random: &mut Random| if random.chance(70) { random.within(1, 10) } else { 0 };
    let mut kinds: Vec<u64> = (0..KINDS).map(|_| some(random)).collect();
    kinds[3] += 1;
    // Freshness is promised by a sink that keeps up: no buffer fills where it is watched.
    let large = if random.chance(30) && !config.fresh { 20 } else { 0 };
    for kind in LARGE {
        kinds[usize::from(kind)] = large;
    }
    if random.chance(15) {
        // What cannot fold.
        kinds[10] += 100;
        kinds[13] += 100;
    }
    let faults = u64::from(!quiet);
    Mix {
        answers,
        kinds,
        routed: *random.pick(&[0, 0, 5, 50]),
        tracked: *random.pick(&[0, 50, 100]),
        large_bytes: *random.pick(&[2_000, 14_000, 17_000]),
        unheard: if quiet { 0 } else { random.below(30) },
        steps: [
            random.within(10, 60),
            random.below(4),
            15,
            2,
            1,
            1,
            1,
            3,
            random.within(3, 15),
            1,
            random.within(3, 15),
            random.within(3, 15),
            random.within(3, 15),
            faults,
            faults,
        ],
    }
}

impl Driver {
    fn choose(&mut self) -> Step {
        let key = |random: &mut Random| random.next() as u8;
        let random = &mut self.random;
        match random.weighted(&self.mix.steps) {
            0 => {
                let (key, routing, write) = self.write();
                let tracked = self.random.chance(self.mix.tracked);
                Step::Submit { key, routing, tracked, write }
            }
            1 => {
                let count = self.random.within(1, 6);
                Step::Batch((0..count).map(|_| self.write()).collect())
            }
            2 => Step::Get(key(random)),
            3 => Step::GetMany((0..random.within(0, 4)).map(|_| key(random)).collect()),
            4 => Step::Scan { index: key(random), page: random.below(4) as u8 },
            5 => Step::Flush,
            6 => Step::Stats,
            7 => Step::Watermark,
            8 => Step::Advance(self.pause()),
            9 => {
                let far = *random.pick(&[1_000, 1_000_000, 3_600_000_000, 40_000_000_000_000]);
                let far = random.below(far).cast_signed();
                Step::Wall(if random.chance(50) { far } else { -far })
            }
            10 => Step::Take,
            11 => {
                let answers = (0..random.within(1, 5)).map(|_| answer(random, &self.mix.answers)).collect();
                Step::Send { batch: key(random), answers }
            }
            12 => {
                let heard = if random.chance(self.mix.unheard) {
                    *random.pick(&[Heard::TooFew, Heard::Nothing])
                } else {
                    Heard::All
                };
                Step::Finish { batch: key(random), heard }
            }
            13 => Step::Reads(*random.pick(&[
                Reads::Work,
                Reads::Work,
                Reads::Fail,
                Reads::Flicker,
                Reads::Damaged,
            ])),
            _ => Step::Letters(random.chance(70)),
        }
    }

    fn write(&mut self) -> (u8, u8, Write) {
        let random = &mut self.random;
        let routing = if random.chance(self.mix.routed) { random.within(1, 2) } else { 0 };
        let kind = random.weighted(&self.mix.kinds) as u8;
        let (field, value) = (random.next() as u8, random.next() as u8);
        let size = random.below(self.mix.large_bytes) as u16;
        (random.next() as u8, routing as u8, Write { kind, field, value, size })
    }

    /// How long nothing happens: never long where freshness is watched.
    fn pause(&mut self) -> u64 {
        let Config { max_delay_us, late_bound_us, fresh, .. } = self.world.config;
        let random = &mut self.random;
        if fresh {
            return random.within(1, max_delay_us / 16);
        }
        let most =
            *random.pick(&[1, 1_000, max_delay_us / 8, max_delay_us * 2, late_bound_us + 1, 60_000_000]);
        random.within(0, most)
    }
}

fn answer(random: &mut Random, weights: &[u64]) -> Answer {
    match random.weighted(weights) {
        0 => Answer::Done,
        1 => Answer::Untold,
        2 => Answer::Stale,
        3 => Answer::Rejected,
        4 if random.chance(50) => Answer::Again(None),
        4 => Answer::Again(Some(random.below(2_000_000))),
        5 => Answer::Lost,
        6 => Answer::DoneUnheard,
        _ => Answer::Late(random.next() as u8),
    }
}
