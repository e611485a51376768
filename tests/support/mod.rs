//! What the test binaries share: the naive model, the strategies that make its inputs, and the trial that
//! holds the library against the model.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part of the shared support")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking, and clippy sees helpers as no tests"
)]
#![allow(missing_docs, unreachable_pub, reason = "test support is read in its source, and has no outside")]

pub mod action;
pub mod alphabet;
pub mod generate;
pub mod model;
pub mod plan;
pub mod trial;
