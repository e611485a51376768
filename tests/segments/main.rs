//! The embedded store through its public door: what it promises about damage, crashes, writers and readers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers included")]

mod support;

mod answers;
mod crashes;
mod damage;
mod model;
mod snapshots;
mod writers;
