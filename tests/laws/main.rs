//! The laws of the merge algebra, held by properties, exhaustive small worlds, named cases and real documents.
//!
//! The judge is the naive model in `tests/support/model.rs`: it applies one operation at a time and composes nothing.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and clippy sees helpers as no tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod laws;
mod letters;
mod named;
mod numbers;
mod refusals;
mod small_worlds;
mod untouched;
mod webhooks;
