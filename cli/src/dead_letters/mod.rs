//! `millpond dead-letters list` and `replay`: what a sink would not take, and sending it again.
//!
//! # Design
//! ```text
//! list    letters ─► a line each ─► totals
//! replay  letters ─► rounds ─► what was written since? ─► engine ─► sink, as the flights they were
//!                                        │                  └─► refused again ─► another file
//!                                        └─► told, and not sent
//! ```
//! A letter's operation is older than what was accepted and sent on its document afterwards. Applied now it would take effect
//! in another order: an old document over a newer one. So `evidence` weighs what the sink holds of each document, and only what
//! is known to have nothing newer above it goes out by itself. It goes out as the flight it was, with its own sequence numbers and its
//! engine's id (`again`), so that the sink's own defences hold: a repeat is a repeat.
//!
//! # Why not the time of the letter
//! A letter says when it was written. No server says when a document was.
//!
//! # Invariants
//! 1. Nothing of a file is passed over silently: each line ends in exactly one of the outcomes that are told.
//! 2. The file that is read is never written.

pub(crate) mod again;
mod evidence;
mod letter;
mod list;
mod outcome;
mod reader;
mod reason;
mod replay;
mod target;

pub use list::run as list;
pub use replay::run as replay;
