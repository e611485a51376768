//! The invariants of a net operation's bytes, for tests and fuzzing: see [`encoding`](super::encoding).

use super::encoding::{Fields, Kind, Primitive, Run, longest_run};
use super::index::FieldIndex;
use super::json::check::{Bounds, check, check_object};
use super::json::scan::byte;
use super::net::{Absent, NetRef, Parts};
use crate::operation::DEPTH_MAX;

/// No bounds: the text is well formed, however long it grew.
const ANY: Bounds = Bounds { bytes: usize::MAX, depth: usize::MAX, number_bytes: usize::MAX };

/// Checks the invariants of a net operation's bytes, each by its number in [`encoding`](super::encoding).
pub(crate) fn validate(net: NetRef<'_>) -> Result<(), String> {
    let document = |text: &[u8]| match check_object(text, ANY) {
        Ok((object, _)) if object == text => Ok(()),
        _ => Err(broken(1, "a document is not one JSON object", text)),
    };
    if net.is_table() {
        return table(net);
    }
    match net.parts() {
        Parts::Put(text) => document(text),
        Parts::Delete | Parts::Table => Ok(()),
        Parts::Patch(patch) => {
            if let Absent::Document(text) = patch.absent {
                document(text)?;
            }
            fields(patch.fields, 1)?;
            let longest = longest_run(patch.fields);
            if longest == net.longest_run() {
                return Ok(());
            }
            Err(format!("invariant 4: the longest run is {longest}, the header says {}", net.longest_run()))
        }
    }
}

/// Those of a table, and of what it is joined to.
fn table(net: NetRef<'_>) -> Result<(), String> {
    super::table::validate(net.as_bytes())?;
    let mut joined = Vec::new();
    net.write_joined(&mut joined);
    if joined.len() > net.room() {
        return Err(format!("table invariant 3: {} bytes for {} bytes", net.room(), joined.len()));
    }
    validate(NetRef::from_bytes(&joined))
}

fn broken(invariant: u8, what: &str, bytes: &[u8]) -> String {
    format!("invariant {invariant}: {what}: {}", String::from_utf8_lossy(bytes))
}

fn fields(encoded: &[u8], level: usize) -> Result<(), String> {
    if level > DEPTH_MAX {
        return Err("invariant 1: a patch nests too deep".to_owned());
    }
    let index = FieldIndex::new(encoded);
    let mut bytes = 0;
    for (position, field) in Fields(encoded).enumerate() {
        bytes += field.bytes.len();
        if index.find(field.name).map(|found| found.0) != Some(position) {
            return Err(broken(1, "a name stands twice", field.name.raw));
        }
        if field.name.escaped != field.name.raw.contains(&b'\\') {
            return Err(broken(1, "a name's flag is wrong", field.name.raw));
        }
        run(Run(field.run), level)?;
    }
    if bytes == encoded.len() { Ok(()) } else { Err(broken(1, "lengths do not add up", encoded)) }
}

fn run(run: Run<'_>, level: usize) -> Result<(), String> {
    let mut bytes = 0;
    let mut before: Option<Primitive<'_>> = None;
    for primitive in run.primitives() {
        bytes += primitive.bytes.len();
        payload(primitive, level)?;
        if before.is_some_and(|before| folds(before, primitive)) {
            return Err(broken(2, "two neighbours fold", run.0));
        }
        before = Some(primitive);
    }
    if bytes == 0 || bytes != run.0.len() {
        return Err(broken(1, "a run is empty, or lengths do not add up", run.0));
    }
    Ok(())
}

fn folds(one: Primitive<'_>, two: Primitive<'_>) -> bool {
    use Kind::{Append, Create, Inc, Keep, Max, Min, Remove, Set, Subtract, Union};
    match (one.kind, two.kind) {
        (Min, Min) | (Max, Max) => byte(one.payload, 0) == b'"' && byte(two.payload, 0) == b'"',
        (Append, Create | Keep | Inc | Min | Max) => !one.payload.is_empty(),
        (Set | Remove, _)
        | (_, Set | Remove)
        | (Keep | Create, Keep | Create)
        | (Inc | Min | Max, Create)
        | (Create, Inc | Min | Max)
        | (Inc, Inc)
        | (Append, Append)
        | (Union, Union)
        | (Subtract, Subtract) => true,
        _ => false,
    }
}

fn payload(primitive: Primitive<'_>, level: usize) -> Result<(), String> {
    let text = primitive.payload;
    let first = byte(text, 0);
    let is_number = matches!(first, b'-' | b'0'..=b'9');
    let is_whole =
        |text: &[u8]| check(text, ANY).is_ok_and(|(start, end, _)| (start, end) == (0, text.len()));
    let is_sound = match primitive.kind {
        Kind::Set => is_whole(text),
        Kind::Inc => is_number && is_whole(text),
        Kind::Min | Kind::Max => (is_number || first == b'"') && is_whole(text),
        Kind::Append | Kind::Union | Kind::Subtract => check(&[b"[", text, b"]"].concat(), ANY).is_ok(),
        Kind::Remove => text.is_empty(),
        Kind::Create => return fields(text, level + 1),
        Kind::Keep => {
            let creates = Fields(text).any(|field| Run(field.run).exists_after_absent(false));
            if creates || text.is_empty() {
                return Err(broken(
                    3,
                    "a merge that does not create is empty or has a field that does",
                    text,
                ));
            }
            return fields(text, level + 1);
        }
    };
    if is_sound { Ok(()) } else { Err(broken(1, "a payload is malformed", text)) }
}
