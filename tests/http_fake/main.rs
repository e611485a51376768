//! The scripted server that sinks are tested with is itself what it says: its faults by plain sockets, its documents against real servers.

mod bulk;
mod client;
mod real;
mod wire;

#[path = "../support/http/mod.rs"]
mod http;
