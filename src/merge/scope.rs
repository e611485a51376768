//! What a body is held to: what is submitted to the limits, what this library wrote to what folding can make of them.

use super::json::check::Bounds;
use super::json::equal::VALUE_DEPTH_MAX;
use crate::operation::{BODY_BYTES_MAX, DEPTH_MAX, NUMBER_BYTES_MAX};

/// What a body is held to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    /// Bytes, nesting and numbers of a document.
    pub(super) document: Bounds,
    /// Digits of an increment, and its exponent either way; `None` for what folding made.
    pub(super) increment_digits: Option<usize>,
    /// Bodies inside `then`, however nested.
    pub(super) then_bodies: usize,
}

/// Digits of an increment, and its exponent either way.
const INCREMENT_DIGITS_MAX: usize = 28;

/// Bodies inside `then`.
const THEN_BODIES_MAX: usize = 1_024;

impl Scope {
    /// For what is submitted.
    pub(super) const SUBMITTED: Self = Self {
        document: Bounds { bytes: BODY_BYTES_MAX, depth: DEPTH_MAX, number_bytes: NUMBER_BYTES_MAX },
        increment_digits: Some(INCREMENT_DIGITS_MAX),
        then_bodies: THEN_BODIES_MAX,
    };

    /// For what this library wrote: an append to what is no list nests deeper, a sum has more digits.
    pub(super) const READ_BACK: Self = Self {
        document: Bounds { bytes: usize::MAX, depth: VALUE_DEPTH_MAX, number_bytes: 4 * NUMBER_BYTES_MAX },
        increment_digits: None,
        then_bodies: usize::MAX,
    };
}
