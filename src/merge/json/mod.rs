//! JSON as text: checked once when it comes in, then only ever cut and joined.
//!
//! # Design
//! [`check`] reads a text once, iteratively, and holds RFC 8259 and the limits; [`glance`] does so for common texts,
//! faster and without words for what is wrong. Everything after them works on text that was checked: [`scan`] steps
//! over values without looking at what they mean, [`string`] and [`number`] compare single tokens by value, [`equal`]
//! compares and hashes whole values.
//!
//! # Why not a tree
//! A parsed tree costs more than all else a submit does, and forgets how numbers and strings were spelled.
//!
//! # Invariants
//! 1. Nothing here panics on text that was not checked, or loops for ever: reads beyond the end give 0.
//! 2. Only [`equal`] recurses, to `VALUE_DEPTH_MAX`, and [`glance`], to a few levels.

pub(super) mod between;
pub(super) mod check;
pub(super) mod equal;
pub(super) mod glance;
pub(super) mod number;
pub(super) mod scan;
pub(super) mod string;
pub(super) mod word;
