//! What can be said of net operations without a base: whether two mean the same, and whether one may be repeated.
//!
//! # Design
//! Both walk the encoding. Two patches are compared by their parts, fields in any order; that is what writing as
//! text and reading back keeps. Repeatable is decided field by field: every primitive but an increment by
//! something and an append of something gives the same when applied to its own result; of a run of several no claim
//! is made.

use super::apply::{apply_fields, write_object};
use super::encoding::{Fields, Kind, Primitive, Run};
use super::index::FieldIndex;
use super::json::number::Number;
use super::json::scan::same_tokens;
use super::net::{Absent, NetRef, Parts, Patch};

/// True where two operations mean the same by their parts.
pub(super) fn means_the_same(one: NetRef<'_>, other: NetRef<'_>) -> bool {
    let (mut one_joined, mut other_joined) = (Vec::new(), Vec::new());
    match (one.joined(&mut one_joined).parts(), other.joined(&mut other_joined).parts()) {
        (Parts::Put(one), Parts::Put(other)) => same_tokens(one, other),
        (Parts::Delete, Parts::Delete) => true,
        (Parts::Patch(one), Parts::Patch(other)) => {
            one.is_always_written == other.is_always_written
                && same_absent(one, other)
                && same_fields(one.fields, other.fields)
        }
        _ => false,
    }
}

fn same_absent(one: Patch<'_>, other: Patch<'_>) -> bool {
    let from_patch = |patch: Patch<'_>, document: &[u8]| {
        let mut made = Vec::new();
        write_object(patch.fields, &mut made, &mut 0);
        same_tokens(&made, document)
    };
    match (one.absent, other.absent) {
        (Absent::None, Absent::None) | (Absent::FromPatch, Absent::FromPatch) => true,
        (Absent::Document(one), Absent::Document(other)) => same_tokens(one, other),
        (Absent::FromPatch, Absent::Document(document)) => from_patch(one, document),
        (Absent::Document(document), Absent::FromPatch) => from_patch(other, document),
        _ => false,
    }
}

fn same_fields(one: &[u8], other: &[u8]) -> bool {
    let index = FieldIndex::new(other);
    let mut count = 0;
    for field in Fields(one) {
        count += 1;
        let Some((_, same)) = index.find(field.name) else { return false };
        if !same_run(Run(field.run), same) {
            return false;
        }
    }
    count == index.count
}

fn same_run(mut one: Run<'_>, mut other: Run<'_>) -> bool {
    loop {
        match (one.split_first(), other.split_first()) {
            (None, None) => return true,
            (Some((first, one_rest)), Some((second, other_rest))) if same_primitive(first, second) => {
                (one, other) = (one_rest, other_rest);
            }
            _ => return false,
        }
    }
}

fn same_primitive(one: Primitive<'_>, other: Primitive<'_>) -> bool {
    one.kind == other.kind
        && if one.kind.is_merge() {
            same_fields(one.payload, other.payload)
        } else {
            same_tokens(one.payload, other.payload)
        }
}

/// True where carrying the operation out twice is known to be the same as once, whatever the base.
pub(super) fn is_repeatable(net: NetRef<'_>) -> bool {
    let Parts::Patch(patch) = net.parts() else { return true };
    if !repeats(patch.fields) {
        return false;
    }
    match patch.absent {
        Absent::None | Absent::FromPatch => true,
        Absent::Document(document) => !apply_fields(patch.fields, document, &mut Vec::new(), &mut 0),
    }
}

fn repeats(fields: &[u8]) -> bool {
    Fields(fields).all(|field| match Run(field.run).single() {
        None => false,
        Some(primitive) => match primitive.kind {
            Kind::Inc => Number::new(primitive.payload).is_zero(),
            Kind::Append => primitive.payload.is_empty(),
            Kind::Keep | Kind::Create => repeats(primitive.payload),
            Kind::Set | Kind::Remove | Kind::Union | Kind::Subtract | Kind::Min | Kind::Max => true,
        },
    })
}
