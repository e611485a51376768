//! The quick paths beside the careful ones, for tests and fuzzing.
//!
//! # Design
//! [`glance`] and [`direct`] may pass on whatever they like; what they take, [`check`](super::json::check) and
//! [`body`] must take too, and write the same. Lengths are compared by what they say: the careful path pads some.

use super::encoding::{Fields, Run, write_length, write_name};
use super::json::check::check_object;
use super::json::glance;
use super::net::{Absent, NetRef, Parts, header};
use super::scope::Scope;
use super::{body, direct, validate};

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
                if quick != packed(NetRef::from_bytes(&careful)) {
                    return Err(format!("written at a glance as {quick:?}, but {careful:?}"));
                }
                Taken::Quickly
            }
        };
    }
    Ok(taken)
}

/// The same operation, its lengths in as few bytes as they take.
fn packed(net: NetRef<'_>) -> Vec<u8> {
    let Parts::Patch(patch) = net.parts() else { return net.as_bytes().to_vec() };
    let longest_run = u32::try_from(net.longest_run()).unwrap_or(u32::MAX);
    let mut out = header(patch.is_always_written, patch.absent, longest_run).to_vec();
    if let Absent::Document(document) = patch.absent {
        write_length(&mut out, document.len());
        out.extend_from_slice(document);
    }
    out.extend(packed_fields(patch.fields));
    out
}

fn packed_fields(fields: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in Fields(fields) {
        let mut run = Vec::new();
        for primitive in Run(field.run).primitives() {
            let merged = primitive.kind.is_merge().then(|| packed_fields(primitive.payload));
            let payload = merged.as_deref().unwrap_or(primitive.payload);
            run.push(primitive.kind as u8);
            write_length(&mut run, payload.len());
            run.extend_from_slice(payload);
        }
        write_name(&mut out, field.name);
        write_length(&mut out, run.len());
        out.extend(run);
    }
    out
}
