//! The scripted server that sinks are tested with is itself what it says: its faults by plain sockets, its documents against real servers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and clippy sees helpers as no tests"
)]

mod bulk;
mod client;
mod real;
mod wire;

#[path = "../support/http/mod.rs"]
mod http;
