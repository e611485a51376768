//! Bytes as steps done to an engine of one shard, checked against the sequential model at each.
//!
//! The first two bytes say what the world is like; each step is a byte that says which, and its operands.
#![no_main]

#[path = "../../tests/support/simulation/mod.rs"]
mod simulation;

use libfuzzer_sys::fuzz_target;
use simulation::{Answer, Config, End, Heard, Reads, Step, World, Write};

/// Longer inputs say nothing that shorter ones do not.
const STEPS_MAX: usize = 400;

struct Bytes<'a>(std::slice::Iter<'a, u8>);

impl Bytes<'_> {
    /// The next byte; zeroes when there are no more.
    fn next(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    /// A number spread over many magnitudes.
    fn magnitude(&mut self) -> u64 {
        u64::from(self.next()) << (self.next() % 18)
    }

    fn config(&mut self) -> Config {
        let (flags, sizes) = (self.next(), self.next());
        let flag = |bit: u8| flags & (1 << bit) != 0;
        Config {
            seed: u64::from(sizes),
            batch_bytes: [1, 1_000, 1 << 20][usize::from(sizes) % 3],
            batch_operations: [1, 3, 100][usize::from(sizes / 3) % 3],
            workers: usize::from(sizes / 9) % 3 + 1,
            documents: flag(0),
            base: flag(1),
            forgets: flag(2),
            keep_known: flag(3),
            end: [End::Close, End::Age, End::Drop, End::Close][usize::from(flags >> 4) % 4],
            ..Config::default()
        }
    }

    fn write(&mut self) -> (u8, u8, Write) {
        let (place, kind, value) = (self.next(), self.next(), self.next());
        let size = if value >= 250 { 14_000 } else { u16::from(value) };
        let routing = if place >= 200 { place % 3 } else { 0 };
        (place % 4, routing, Write { kind, field: value / 5, value, size })
    }

    fn answer(&mut self) -> Answer {
        match self.next() % 10 {
            0..3 => Answer::Done,
            3 => Answer::Untold,
            4 => Answer::Stale,
            5 => Answer::Rejected,
            6 => Answer::Again(Some(self.magnitude())),
            7 => Answer::Lost,
            8 => Answer::DoneUnheard,
            _ => Answer::Late(self.next()),
        }
    }

    fn step(&mut self) -> Step {
        match self.next() % 32 {
            0..10 => {
                let (key, routing, write) = self.write();
                Step::Submit { key, routing, tracked: write.value & 1 == 0, write }
            }
            10 => Step::Batch((0..=self.next() % 4).map(|_| self.write()).collect()),
            11..14 => Step::Get(self.next()),
            14 => Step::GetMany(vec![self.next(), self.next()]),
            15 => Step::Scan { index: self.next(), page: self.next() % 4 },
            16 => Step::Flush,
            17 => Step::Watermark,
            18..21 => Step::Advance(self.magnitude()),
            21 => {
                let far = i64::from(self.next()) << 26;
                Step::Wall(if self.next() & 1 == 0 { far } else { -far })
            }
            22..25 => Step::Take,
            25 | 26 => Step::Send { batch: self.next(), answers: vec![self.answer(), self.answer()] },
            27 | 28 => {
                let heard =
                    [Heard::All, Heard::All, Heard::TooFew, Heard::Nothing][usize::from(self.next()) % 4];
                Step::Finish { batch: self.next(), heard }
            }
            29 => Step::Reads(
                [Reads::Work, Reads::Fail, Reads::Flicker, Reads::Damaged][usize::from(self.next()) % 4],
            ),
            30 => Step::Letters(self.next() & 1 == 0),
            _ if self.next() == 255 => Step::Close,
            _ => Step::Stats,
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut bytes = Bytes(input.iter());
    let mut world = World::new(bytes.config());
    for _ in 0..STEPS_MAX {
        if bytes.0.len() == 0 {
            break;
        }
        let step = bytes.step();
        world.step(&step);
    }
    world.end();
});
