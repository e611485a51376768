//! The deterministic simulation: one seed, one run of an engine, checked at every step against a naive model.
//!
//! # Design
//! A [`World`] is an engine in manual mode under a simulated clock, over a sink with scripted answers, together with
//! a [`history`] for each key: every accepted operation, carried out one at a time on a parsed document. A [`Step`]
//! does one thing to it, as data, so that the same world is driven by a seed ([`run`]), by proptest, which shrinks
//! the list of steps, and by the fuzzer's bytes. The checks live with what they check: reads and statuses in
//! [`checks`], what is out in [`flights`].
//!
//! # Why not threads
//! The machine inside knows no lock, clock or thread, and this drives it as it is: every order of events that
//! threads could bring about between batches is one that some seed brings about, and each can be had again.
//!
//! # Invariants
//! 1. A run depends on its seed alone: nothing here asks for the time, a random number or an address.
#![allow(dead_code, unused_imports, reason = "each binary uses its own part of the shared support")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking, and clippy sees helpers as no tests"
)]
#![allow(missing_docs, unreachable_pub, reason = "test support is read in its source, and has no outside")]

#[path = "../action.rs"]
mod action;
mod checks;
mod ending;
mod faults;
mod flights;
mod history;
#[path = "../model.rs"]
mod model;
mod random;
mod seeds;
mod step;
mod world;

pub use action::OwnedAction;
pub use faults::{Answer, Reads};
pub use model::{Model, Tree};
pub use random::Random;
pub use seeds::{Verdict, caught, caught_telling, replay_command, run};
pub use step::{Heard, KINDS, Step, Write};
pub use world::{Config, End, Report, Sabotage, World};
