//! millpond measured: beside what an ordinary engineer would write, and beside floors that no engine passes.
//!
//! # Design
//! A [`Workload`](workload::Workload) is made from a seed before anything is measured. A [`Peer`](peer::Peer) takes its
//! operations: the engine ([`pond`]), the baseline ([`baseline`]) or a floor ([`floors`]). What a peer has drained is
//! compared as parsed documents ([`answer`]) before a figure of it counts.
//!
//! The benches of this package ask for single figures, as criterion does; `table` asks for all that are promised, each
//! in a process of its own, the peers taking turns, and says which promises hold.
//!
//! # Why not in the library's package
//! Rivals and their dependencies are no business of those who build the library.

// What is measured with.
pub mod random;
pub mod workload;

// What is measured.
pub mod baseline;
pub mod floors;
pub mod folding;
pub mod peer;
pub mod pond;

// That it is right.
pub mod answer;

// How figures are taken and shown.
pub mod criterion;
pub mod instructions;
pub mod journal;
pub mod latency;
mod plot;
pub mod table;

// What it is measured on.
pub mod clock;
pub mod machine;
pub mod sync;
