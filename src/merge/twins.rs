//! The quick paths beside the careful ones, for tests and fuzzing.
//!
//! # Design
//! [`glance`], [`direct`] and [`table`] may pass on whatever they like; what they take, [`check`](super::json::check) and
//! [`body`] must take too, and write the same, byte for byte.

use super::json::check::check_object;
use super::json::glance;
use super::net::NetRef;
use super::scope::Scope;
use super::{body, direct, table, validate};

/// How a text was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// In one pass.
    Quickly,
    /// By the careful path alone.
    Carefully,
    /// Not at all.
    Refused,
}

/// Takes a text as a document both ways.
pub(crate) fn document(text: &[u8]) -> Result<Taken, String> {
    let bounds = Scope::SUBMITTED.document;
    let mut put = b"left over".repeat(text.len() % 32);
    if table::write_document(text, bounds, &mut put).is_some() {
        let (net, careful) = (NetRef::from_bytes(&put), check_object(text, bounds));
        validate(net)?;
        if careful.as_ref().ok().map(|(object, _)| *object) != net.document() {
            return Err(format!("as a table {put:?}, but {careful:?}"));
        }
    }
    match (glance::object(text, bounds), check_object(text, bounds)) {
        (None, Err(_)) => Ok(Taken::Refused),
        (None, Ok(_)) => Ok(Taken::Carefully),
        (Some(quick), Ok((careful, _))) if quick.as_ptr_range() == careful.as_ptr_range() => {
            Ok(Taken::Quickly)
        }
        (Some(quick), careful) => {
            Err(format!("at a glance {}, but {careful:?}", String::from_utf8_lossy(quick)))
        }
    }
}

/// Takes a text as an update's body both ways.
pub(crate) fn update(text: &[u8]) -> Result<Taken, String> {
    let mut taken = Taken::Refused;
    for scope in [&Scope::READ_BACK, &Scope::SUBMITTED] {
        // What is in the output beforehand must not matter.
        let (mut quick, mut careful) = (b"left over".repeat(text.len() % 32), Vec::new());
        let is_quick = direct::encode(text, scope, &mut quick).is_some();
        taken = match (is_quick, body::encode_update(text, scope, &mut careful)) {
            (false, Err(_)) => Taken::Refused,
            (false, Ok(())) => Taken::Carefully,
            (true, Err(error)) => return Err(format!("taken at a glance, but {error}")),
            (true, Ok(())) => {
                validate(NetRef::from_bytes(&quick))?;
                if quick != careful {
                    return Err(format!("written at a glance as {quick:?}, but {careful:?}"));
                }
                Taken::Quickly
            }
        };
    }
    Ok(taken)
}
