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
//! made into a [`table`], where little of them changes.
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
mod encoding;
mod in_place;
mod index;
mod json;
mod list;
mod meaning;
mod net;
mod reference;
mod scope;
mod splice;
mod table;
mod text;
#[cfg(any(test, fuzzing))]
mod twins;
mod validate;

pub(crate) use in_place::Folding;
pub(crate) use json::equal::equal;
pub use net::{Applied, NetOperation, Shape};
pub(crate) use net::{NetRef, apply, compose, encode};
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

    /// An operation that waits, with so many bytes of room behind it.
    #[derive(Debug)]
    pub struct Waiting {
        room: Vec<u8>,
        len: usize,
    }

    impl Waiting {
        /// One that waits with so many bytes of room behind it.
        pub fn new(net: &NetOperation, slack: usize) -> Self {
            let mut room = net.as_net().as_bytes().to_vec();
            let len = room.len();
            room.resize(len + slack, 0);
            Self { room, len }
        }

        /// Folds an operation into it where it stands; checks that it is what it is to be.
        pub fn fold(&mut self, later: &NetOperation) -> Result<(), String> {
            let (mut folding, mut scratch) = (super::Folding::default(), Vec::new());
            folding.find(&self.room, self.len, later.as_net(), &mut scratch);
            let needs = folding.needs();
            self.room.resize(self.room.len().max(needs), 0);
            self.len = folding.carry_out(&mut self.room, self.len, later.as_net(), &scratch);
            let net = self.net();
            if self.len > needs || net.room() > self.room.len() {
                return Err(format!("{} bytes for {} in {needs}", self.len, net.room()));
            }
            super::validate(net)
        }

        fn net(&self) -> super::NetRef<'_> {
            super::NetRef::from_bytes(self.room.get(..self.len).unwrap_or_default())
        }

        /// The operation as it goes out.
        pub fn joined(&self) -> NetOperation {
            let mut joined = Vec::new();
            self.net().write_joined(&mut joined);
            NetOperation::from_encoded(joined)
        }
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
