//! The sink on real servers: `dev/check servers` starts them and runs this; without them each test says that it is skipped.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and clippy sees helpers as no tests"
)]

mod folding;
mod indices;
mod resolved;
mod restart;
mod server;
mod single;
mod statuses;
#[path = "../support/mod.rs"]
mod support;
mod trouble;
mod writers;
