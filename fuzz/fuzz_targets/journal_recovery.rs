//! Bytes as a short history of an engine with a journal, what then happens to its disk, and what must come of it when the next
//! engine opens what is left.
//!
//! # The rule
//! Of each file it is known what was written to it, in which order: groups, each with up to where it says that the file was
//! synced, and their records. So from what is left it follows, without a checksum, what the opening must do (`recovery/rule.rs`
//! does this, file by file and in the order of their names, as `docs/journal.md` has it under "Tear or damage"):
//!
//! - A file whose first 64 bytes are not those of a file that was made is **damage**.
//! - One that is older than the oldest that any header says was kept is passed over.
//! - Numbers go up by one from file to file, or it is **damage**.
//! - Where the first record of the next file is whole, it says where this one ends: all before must be as it was written, or it is
//!   **damage** at the first group header or record that is not; what lies behind does not matter.
//! - Any other file is the last of its log. Let x be the start of the first group header or record that is not as it was written, or the
//!   end of what was written. Where x is between groups and all from x on is zero, the file ends there, if it has the length that it was
//!   made with, or it is **damage**. Else it is **damage** at x if any group that begins at x or behind, and has its header as it was written,
//!   says that more than x was synced; or if the file is shorter than it was made. Else it is a **tear**, and ends at x.
//! - Where files before the first are missing, neither a record that counts nor a header may fail to say that they went, or it
//!   is **damage**.
//! - Of the last, where not even one record counts, nothing counts, and the one before is the last.
//!
//! Damage is refused, with [`ErrorKind::Damaged`](millpond::ErrorKind::Damaged), the file and x, and all files stay as they are; with the
//! sound files back in their places it opens. Where it opens, what counts is the records before each x, and so the first so
//! many of the operations that were accepted:
//!
//! - Each document is as if those, and no others, had been carried out, one at a time; or, where the sink has more of them than are left,
//!   which only damage can bring about, as the sink has it.
//! - The mark of the source is the highest position among them.
//! - Where nothing but what was not synced was lost, they are at least all that was acknowledged as durable.
//! - Then the engine goes on: everything drains, and the sink holds the same. Where no harm was done it accepts more before.
//!
//! # What no opening can tell
//! That every file is missing, or has lost all that was written to it: so a journal begins. That the opening does not panic, and
//! changes nothing where it refuses, is then all that is checked.
//!
//! # The bytes
//! What the world is like (3), how the power is cut (1), how many harms (1), five bytes for each, and then the steps.
#![no_main]
#![expect(clippy::duplicate_mod, reason = "both kinds of support draw from the same generator")]

#[path = "../../tests/support/disk/mod.rs"]
mod disk;
mod recovery;
#[path = "../../tests/support/simulation/mod.rs"]
mod simulation;

use disk::PowerCut;
use libfuzzer_sys::fuzz_target;
use recovery::{Answer, Config, Harm, World};
use simulation::Write;

/// Longer inputs say nothing that shorter ones do not.
const STEPS_MAX: usize = 150;
const HARMS_MAX: u8 = 3;
/// A long one: a few of these fill a file.
const LONG_BYTES: u16 = 9_000;

struct Bytes<'a>(std::slice::Iter<'a, u8>);

impl Bytes<'_> {
    /// The next byte; zeroes when there are no more.
    fn next(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    fn config(&mut self) -> Config {
        let (flags, sizes, seed) = (self.next(), self.next(), self.next());
        Config {
            seed: seed.into(),
            always: flags & 1 != 0,
            net_operations: flags & 2 != 0,
            keep_known: flags & 4 != 0,
            shards: [1, 2][usize::from(flags >> 3) % 2],
            keys: [1, 2, 3, 6][usize::from(sizes) % 4],
            batch_operations: [1, 2, 100][usize::from(sizes >> 2) % 3],
        }
    }

    /// Most often none: the process is killed, and the machine goes on.
    fn power_cut(&mut self) -> Option<PowerCut> {
        let choices = PowerCut::all();
        choices.get(usize::from(self.next() % 32)).copied()
    }

    fn harm(&mut self) -> Harm {
        let (kind, file) = (self.next(), self.next());
        let (place, bits) = (u16::from_be_bytes([self.next(), self.next()]), self.next());
        Harm { kind, file, place, bits }
    }

    fn write(&mut self) -> (u8, Write) {
        let (place, kind, value) = (self.next(), self.next(), self.next());
        let size = if value >= 200 { LONG_BYTES } else { u16::from(value) };
        (place, Write { kind, field: value / 5, value, size })
    }

    fn step(&mut self, world: &mut World) {
        match self.next() % 32 {
            0..10 => {
                let (key, write) = self.write();
                world.submit(key, write);
            }
            10..14 => {
                let (key, write) = self.write();
                world.deliver(key, write);
            }
            // Many long ones at once: files become full.
            14..17 => {
                let (key, write) = self.write();
                for more in 0..8 {
                    world.submit(key.wrapping_add(more), Write { kind: 19, size: LONG_BYTES, ..write });
                }
            }
            17..20 => {
                let magnitude = u64::from(self.next()) << (self.next() % 16);
                world.advance(magnitude);
            }
            20..24 => world.take(),
            24..28 => world.send(Answer::of(self.next())),
            28 | 29 => world.drain(),
            30 => {
                let step_back = self.next() & 1 == 0;
                let cut = self.power_cut();
                world.crash(cut);
                world.wall(step_back);
            }
            _ => world.check_reads(),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut bytes = Bytes(input.iter());
    let mut config = bytes.config();
    let cut = bytes.power_cut();
    let harms: Vec<Harm> = (0..bytes.next() % (HARMS_MAX + 1)).map(|_| bytes.harm()).collect();
    // A sink that keeps no seq carries out again what the log does not say that it has.
    config.net_operations &= harms.is_empty();
    let mut world = World::new(config);
    for _ in 0..STEPS_MAX {
        if bytes.0.len() == 0 {
            break;
        }
        bytes.step(&mut world);
    }
    world.end(cut, &harms);
});
