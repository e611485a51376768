//! The algebra: what operations mean, and how two become one.
//!
//! # Design
//! An operation is a function from an optional document to an optional document. All of them, and all that come of
//! composing them, have one of three [`Shape`]s, so composing never fails, never needs the document, and never makes a
//! list of operations.
//!
//! | earlier, then later | gives |
//! | --- | --- |
//! | anything, `Put` or `Delete` | the later one |
//! | `Put(d)`, `Patch{p, _}` | `Put(p(d))` |
//! | `Delete`, `Patch{_, Some(u)}` or `Patch{_, None}` | `Put(u)` or `Delete` |
//! | `Patch{p, Some(d)}`, `Patch{q, _}` | `Patch{p·q, Some(q(d))}` |
//! | `Patch{p, None}`, `Patch{q, a}` | `Patch{p·q, a}` |
//!
//! A net operation is one flat byte string ([`encoding`]). [`body`] makes it from the text of an update and [`text`]
//! writes it back as text; [`compose`](mod@compose) folds two patches, [`apply`](mod@apply) carries one out on a
//! document's text.
//!
//! # Why not a parsed tree
//! An operation is kept for seconds and folded into several times: parsing it into a tree, with an allocation for each
//! name and value, costs many times what folding costs.
//!
//! # Invariants
//! 1. `apply(compose(a, b), base) = apply(b, apply(a, base))` for every base, by value.
//! 2. A document that an operation leaves equal keeps its bytes.
//! 3. No step costs more than its input's length, times its nesting, times the longest run on a node.

mod apply;
mod body;
mod compose;
mod decimal;
mod encoding;
mod json;
mod list;
mod meaning;
mod net;
mod splice;
mod text;
mod validate;

pub use net::{Applied, NetOperation, Shape};
pub(crate) use net::{AppliedTo, Composed, NetRef, apply, compose, encode};
#[cfg(any(test, fuzzing, debug_assertions))]
pub(crate) use validate::validate;
