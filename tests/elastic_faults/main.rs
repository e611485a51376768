//! The sink on servers against what real ones do too rarely: a scripted fake with a model of `_bulk` behind it, and a drain that is
//! run by hand, so that waits are those of a simulated clock.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and clippy sees helpers as no tests"
)]

mod answers;
mod connections;
#[path = "../support/http/mod.rs"]
mod http;
mod refusals;
mod resolved;
mod rig;
