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
//! A net operation is one flat byte string ([`encoding`]). [`direct`] makes it from the text of a common update in one
//! pass, [`body`] from any, and [`text`] writes it back as text; [`compose`](mod@compose) folds two patches,
//! [`apply`](mod@apply) carries one out on a document's text; [`in_place`] does either on the bytes that are there,
//! where little of them changes.
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
mod direct;
mod edits;
mod encoding;
mod in_place;
mod index;
mod json;
mod list;
mod meaning;
mod net;
mod parted;
mod reference;
mod scope;
mod splice;
mod text;
#[cfg(any(test, fuzzing))]
mod twins;
mod validate;

pub(crate) use in_place::{InPlace, fold_in_place};
#[cfg(test)]
pub(crate) use net::Composed;
pub use net::{Applied, NetOperation, Shape};
pub(crate) use net::{NetRef, apply, compose, encode};
pub(crate) use parted::part_in_place;
pub(crate) use text::{Length, Output, has_line_break};
pub(crate) use validate::validate;

/// What the fuzz targets compare with other implementations.
#[cfg(fuzzing)]
pub(crate) mod fuzzing {
    use super::json::{check, scan};
    use crate::NetOperation;
    use crate::operation::{BODY_BYTES_MAX, DEPTH_MAX, NUMBER_BYTES_MAX};

    /// Checks a text as a document and takes it apart: each member's name between its quotes, and its value,
    /// both as they are spelled. Nothing where the text is refused.
    pub fn split_json(text: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
        let bounds =
            check::Bounds { bytes: BODY_BYTES_MAX, depth: DEPTH_MAX, number_bytes: NUMBER_BYTES_MAX };
        let (object, _) = check::check_object(text, bounds).ok()?;
        let (mut members, mut at) = (Vec::new(), 1);
        while let Some(member) = scan::member(object, at) {
            at = scan::value_end(object, member.value);
            members.push((member.name.raw, scan::part(object, member.value, at)));
        }
        Some(members)
    }

    /// Folds two operations in place, with so many bytes of room beyond the earlier one.
    pub fn fold_in_place(earlier: &NetOperation, later: &NetOperation, slack: usize) -> Option<NetOperation> {
        let mut room = earlier.as_net().as_bytes().to_vec();
        let mut len = room.len();
        room.resize(len + slack, 0);
        if slack % 2 == 1 {
            len = super::part_in_place(&mut room, len, &mut Vec::new()).unwrap_or(len);
        }
        let folded = super::fold_in_place(&mut room, len, later.as_net(), &mut Vec::new())?;
        room.truncate(folded.len);
        let mut joined = Vec::new();
        super::NetRef::from_bytes(&room).write_joined(&mut joined);
        Some(NetOperation::from_encoded(joined))
    }

    /// Checks that the quick paths take nothing as a document or as an update that the careful ones would not, and
    /// write the same.
    pub fn quick_paths_agree(text: &[u8]) -> Result<(), String> {
        super::twins::document(text)?;
        super::twins::update(text).map(drop)
    }

    /// Checks the invariants of a net operation's bytes.
    pub fn validate_net(net: &NetOperation) -> Result<(), String> {
        super::validate(net.as_net())
    }
}

#[cfg(test)]
mod tests;
