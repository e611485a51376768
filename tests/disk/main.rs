//! The storage seam: the operating system's disk, the simulated one, and that both are the same where nothing fails.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and clippy sees helpers as no tests"
)]

mod faults;
mod helpers;
mod power;
mod same;

#[path = "../support/disk/mod.rs"]
mod simulated;
mod system;
