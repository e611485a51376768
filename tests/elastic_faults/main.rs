//! The sink on servers against what real ones do too rarely: a scripted fake with a model of `_bulk` behind it, and a drain that is
//! run by hand, so that waits are those of a simulated clock.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and clippy sees helpers as no tests"
)]

mod answers;
mod connections;
mod conservation;
#[path = "../support/http/mod.rs"]
mod http;
mod load;
#[allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    reason = "each binary uses its own part of the shared support"
)]
#[path = "../support/simulation/random.rs"]
mod random;
mod refusals;
mod resolved;
mod rig;
mod script;
