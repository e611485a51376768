//! The embedded store through its public door: what it promises about damage, crashes, writers and readers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers included")]

#[path = "../support/disk/mod.rs"]
mod disk;
mod support;

mod answers;
mod crashes;
mod damage;
mod faults;
mod model;
mod snapshots;
mod writers;
