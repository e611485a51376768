//! From a seed to a run.

use crate::{
    disk::{At, Fault, PowerCut, When},
    simulation::{KINDS, Random, Write},
    world::{Config, Report, World},
};
use millpond::{Journal, Scripted, Takes};
use std::time::Duration;

/// A partial document with a long text.
const LARGE: u8 = 19;

/// One run.
pub fn run(seed: u64) -> Report {
    let mut random = Random::new(seed);
    let config = Config {
        seed,
        takes: if random.chance(50) { Takes::Documents } else { Takes::NetOperations },
        policy: if random.chance(50) {
            Journal::Always
        } else {
            Journal::Interval(Duration::from_millis(random.within(2, 50)))
        },
        shards: *random.pick(&[1, 2, 4]),
        keys: *random.pick(&[1, 2, 3, 6]),
        file_bytes: *random.pick(&[64 * 1024, 64 * 1024, 128 * 1024, 1024 * 1024]),
        large: *random.pick(&[0, 0, 10, 30]),
    };
    let faults = random.chance(30);
    let answers = answers(&mut random);
    let steps = random.within(20, 250);
    let mut world = World::new(config, random);
    for _ in 0..steps {
        step(&mut world, faults, &answers);
    }
    world.end()
}

/// What the sink answers in one run.
fn answers(random: &mut Random) -> Vec<Scripted> {
    let mut answers = vec![Scripted::Done; 4];
    for other in [
        Scripted::Again(None),
        Scripted::Lost,
        Scripted::DoneUnheard,
        Scripted::Late(Duration::from_secs(random.within(0, 4))),
    ] {
        if random.chance(30) {
            answers.push(other);
        }
    }
    answers
}

fn step(world: &mut World, faults: bool, answers: &[Scripted]) {
    match world.random.weighted(&[30, 5, 20, 5, 10, 12, 12, 3, 3, u64::from(faults)]) {
        0 => {
            let (key, write) = write(world);
            world.submit(key, write);
        }
        1 => {
            let count = world.random.within(1, 8);
            let writes: Vec<_> = (0..count).map(|_| write(world)).collect();
            world.submit_batch(&writes);
        }
        2 => world.deliver(),
        3 => world.commit(),
        4 => {
            let us = *world.random.pick(&[0, 500, 20_000, 150_000, 6_000_000]);
            world.advance(us);
        }
        5 => drop(world.take()),
        6 => {
            let count = world.random.within(1, 4);
            let chosen: Vec<_> = (0..count).map(|_| world.random.pick(answers).clone()).collect();
            world.send(&chosen);
        }
        7 => world.check_reads(),
        8 => {
            let choices = PowerCut::all();
            let choice = *world.random.pick(&choices);
            let choice = world.random.chance(80).then_some(choice);
            world.crash(choice);
        }
        _ => fault(world),
    }
}

fn write(world: &mut World) -> (usize, Write) {
    let random = &mut world.random;
    let key = random.below(world.config.keys as u64) as usize;
    let (kind, field, value) = (random.below(KINDS.into()) as u8, random.next() as u8, random.next() as u8);
    if random.chance(world.config.large) {
        // So that files become full, and are folded.
        return (key, Write { kind: LARGE, field, value, size: random.below(14_000) as u16 });
    }
    (key, Write { kind, field, value, size: random.below(4_000) as u16 })
}

/// Something goes wrong with the disk, now or soon.
fn fault(world: &mut World) {
    let random = &mut world.random;
    let later = world.disk.calls().len() as u64 + random.below(12);
    let when = *random.pick(&[When::Before, When::Midway, When::After]);
    match random.below(4) {
        0 => world.disk.set_capacity(*random.pick(&[0, 300_000, u64::MAX])),
        1 => world.disk.fail(At::Call(later), when, Fault::Kill),
        2 => world.disk.fail(At::Call(later), when, Fault::Io),
        _ => {
            let kind = *random.pick(&[Fault::Short, Fault::Interrupted]);
            world.disk.fail(At::Call(later), when, kind);
        }
    }
}
