//! Applying a patch to a value.
//!
//! # Design
//! A walk over the base's text with the patch beside it. Levels that the patch names are entered, all else is
//! stepped over; each change is an edit of the one [`Splice`]. Each byte of the base is read at most once and
//! copied at most once, however deep the patch goes. Only a run of several primitives works on copies, one after
//! another.
//!
//! # Why not rebuild the object
//! Untouched members would be re-encoded, or at least copied one by one, and their spelling and the white space
//! around them would be lost.
//!
//! # Invariants
//! 1. A value that stays equal keeps its bytes, and then nothing is written for it.
//! 2. The stack holds one frame of [`Splice::edit`] and one of [`Splice::edit_object`] per level of the patch.

use super::decimal::{self, short_integer};
use super::encoding::{Fields, Kind, Primitive, Run};
use super::index::{FieldIndex, Positions};
use super::json::equal::equal;
use super::json::number::Number;
use super::json::scan::{byte, container_end, member, part, space, value_end};
use super::json::string;
use super::list;
use super::splice::{Items, Splice};
use std::cmp::Ordering;

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It is equal to what it was; nothing was written.
    Kept,
    /// It is another value, which was written.
    Written,
    /// There is none; nothing was written.
    Gone,
}

/// Applies a run to a value, or to none, and writes what it gives, if that is not what was there.
pub(super) fn apply_run(run: Run<'_>, value: Option<&[u8]>, out: &mut Vec<u8>, misfits: &mut u64) -> Effect {
    match value {
        Some(value) => {
            let mut splice = Splice::new(value, out);
            let (effect, _) = splice.edit(run, space(value, 0), false);
            *misfits += splice.misfits;
            if effect == Effect::Gone {
                return Effect::Gone;
            }
            if splice.finish() { Effect::Written } else { Effect::Kept }
        }
        None if run.exists_after_absent(false) => {
            write_absent(run, out, misfits);
            Effect::Written
        }
        None => Effect::Kept,
    }
}

/// Applies the fields of a creating level to an object and writes what it gives; true where that differs.
pub(super) fn apply_fields(fields: &[u8], object: &[u8], out: &mut Vec<u8>, misfits: &mut u64) -> bool {
    let mut splice = Splice::new(object, out);
    splice.edit_object(fields, space(object, 0), false);
    *misfits += splice.misfits;
    let changed = splice.finish();
    if !changed {
        out.extend_from_slice(object);
    }
    changed
}

/// Writes the object that a level makes out of nothing.
pub(super) fn write_object(fields: &[u8], out: &mut Vec<u8>, misfits: &mut u64) {
    out.push(b'{');
    let mut first = true;
    for field in Fields(fields) {
        let run = Run(field.run);
        if run.exists_after_absent(false) {
            if !first {
                out.push(b',');
            }
            first = false;
            write_member_name(field.name.raw, out);
            write_absent(run, out, misfits);
        }
    }
    out.push(b'}');
}

fn write_member_name(raw: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(raw);
    out.extend_from_slice(b"\":");
}

/// Writes what a run makes out of nothing; it does make something.
fn write_absent(run: Run<'_>, out: &mut Vec<u8>, misfits: &mut u64) {
    match run.single() {
        Some(Primitive { kind: Kind::Create, payload, .. }) => write_object(payload, out, misfits),
        Some(primitive) => write_operand(primitive, out),
        None => write_steps(run, None, out, misfits),
    }
}

/// Writes what a primitive that is not a merge makes out of nothing, or of null.
fn write_operand(primitive: Primitive<'_>, out: &mut Vec<u8>) {
    match primitive.kind {
        Kind::Inc => decimal::write_plain(primitive.payload, out),
        Kind::Append | Kind::Union => {
            out.push(b'[');
            out.extend_from_slice(primitive.payload);
            out.push(b']');
        }
        _ => out.extend_from_slice(primitive.payload),
    }
}

/// Carries out a run of several primitives one after another and writes the last value, if there is one.
#[inline(never)]
fn write_steps(run: Run<'_>, value: Option<&[u8]>, out: &mut Vec<u8>, misfits: &mut u64) {
    if let Some(value) = steps(run, value, misfits) {
        out.extend_from_slice(&value);
    }
}

/// Carries out a run of several primitives one after another.
#[inline(never)]
fn steps(run: Run<'_>, value: Option<&[u8]>, misfits: &mut u64) -> Option<Vec<u8>> {
    let mut current = value.map(<[u8]>::to_vec);
    let mut next = Vec::new();
    for primitive in run.primitives() {
        next.clear();
        match apply_run(Run(primitive.bytes), current.as_deref(), &mut next, misfits) {
            Effect::Kept => {}
            Effect::Gone => current = None,
            Effect::Written => std::mem::swap(current.get_or_insert_default(), &mut next),
        }
    }
    current
}

impl Splice<'_, '_> {
    /// Applies a run to the value at a place of the base. Returns the place after the value, which of an object need
    /// not be right where nobody `goes_on` from there: then what is behind the last change in it is not read.
    pub(super) fn edit(&mut self, run: Run<'_>, at: usize, goes_on: bool) -> (Effect, usize) {
        let Some(primitive) = run.single() else { return self.edit_steps(run, at) };
        match primitive.kind {
            Kind::Keep | Kind::Create if byte(self.base, at) == b'{' => {
                self.edit_object(primitive.payload, at, goes_on)
            }
            _ => self.edit_value(primitive, at),
        }
    }

    /// Applies the fields of a level to the object at a place of the base; as [`edit`](Self::edit).
    pub(super) fn edit_object(&mut self, fields: &[u8], at: usize, goes_on: bool) -> (Effect, usize) {
        let edits_before = self.edits;
        let index = FieldIndex::new(fields);
        let (mut found, mut items) = (Positions::default(), Items::new(at));
        while found.count < index.count
            && let Some(member) = member(self.base, items.end)
        {
            let Some((position, run)) = index.find_printed(member.name, member.print) else {
                items.keep(value_end(self.base, member.value));
                continue;
            };
            found.insert(position);
            let (effect, end) = self.edit(run, member.value, goes_on || found.count < index.count);
            if effect == Effect::Gone {
                self.cut_item(&items, member.start, end);
                items.end = end;
            } else {
                items.keep(end);
            }
        }
        let end = if found.count < index.count {
            self.add_members(fields, &found, &items)
        } else if goes_on {
            container_end(self.base, items.end)
        } else {
            items.end
        };
        let effect = if self.edits == edits_before { Effect::Kept } else { Effect::Written };
        (effect, end)
    }

    /// Adds the members that were not found, behind the last of an object's. Returns the place after the object.
    #[inline(never)]
    fn add_members(&mut self, fields: &[u8], found: &Positions, items: &Items) -> usize {
        let place = items.place_for_more(self.base);
        let mut comma = items.kept;
        for (position, field) in Fields(fields).enumerate() {
            let run = Run(field.run);
            if found.contains(position) || !run.exists_after_absent(false) {
                continue;
            }
            self.cut(place, place);
            if comma {
                self.out.push(b',');
            }
            comma = true;
            write_member_name(field.name.raw, self.out);
            write_absent(run, self.out, &mut self.misfits);
        }
        space(self.base, items.end) + 1
    }

    #[inline(never)]
    fn edit_steps(&mut self, run: Run<'_>, at: usize) -> (Effect, usize) {
        let end = value_end(self.base, at);
        let before = part(self.base, at, end);
        let effect = match steps(run, Some(before), &mut self.misfits) {
            None => Effect::Gone,
            Some(after) if equal(before, &after) => Effect::Kept,
            Some(after) => self.replace(at, end, &after),
        };
        (effect, end)
    }

    /// Applies a primitive to the value at a place of the base; a merge only where that is not an object.
    #[inline(never)]
    fn edit_value(&mut self, primitive: Primitive<'_>, at: usize) -> (Effect, usize) {
        let end = value_end(self.base, at);
        let value = part(self.base, at, end);
        let operand = primitive.payload;
        let is_null = byte(value, 0) == b'n';
        let effect = match primitive.kind {
            Kind::Set if equal(value, operand) => Effect::Kept,
            Kind::Set => self.replace(at, end, operand),
            Kind::Remove => Effect::Gone,
            Kind::Keep => Effect::Kept,
            Kind::Create => {
                self.cut(at, end);
                write_object(operand, self.out, &mut self.misfits);
                Effect::Written
            }
            Kind::Append | Kind::Union | Kind::Subtract
                if is_null && (operand.is_empty() || primitive.kind == Kind::Subtract) =>
            {
                Effect::Kept
            }
            _ if is_null => {
                self.cut(at, end);
                write_operand(primitive, self.out);
                Effect::Written
            }
            Kind::Inc => self.add(at, end, operand),
            Kind::Min => self.choose(at, end, operand, Ordering::Less),
            Kind::Max => self.choose(at, end, operand, Ordering::Greater),
            Kind::Append => list::append(self, at, end, operand),
            Kind::Union => list::union(self, at, end, operand),
            Kind::Subtract => list::subtract(self, at, end, operand),
        };
        (effect, end)
    }

    pub(super) fn replace(&mut self, from: usize, to: usize, value: &[u8]) -> Effect {
        self.cut(from, to);
        self.out.extend_from_slice(value);
        Effect::Written
    }

    fn misfit(&mut self) -> Effect {
        self.misfits += 1;
        Effect::Kept
    }

    fn add(&mut self, from: usize, to: usize, operand: &[u8]) -> Effect {
        let base = part(self.base, from, to);
        if let (Some(_), Some(operand_value)) = (short_integer(base), short_integer(operand)) {
            if operand_value == 0 {
                return Effect::Kept;
            }
        } else if !is_number(base) || !decimal::is_addable(base) {
            return self.misfit();
        } else if decimal::leaves_equal(base, operand) {
            return Effect::Kept;
        }
        self.cut(from, to);
        let added = decimal::write_sum(base, operand, self.out);
        debug_assert!(added, "an operand can be added to whatever can be added to");
        Effect::Written
    }

    fn choose(&mut self, from: usize, to: usize, operand: &[u8], wanted: Ordering) -> Effect {
        match compare_scalars(operand, part(self.base, from, to)) {
            None => self.misfit(),
            Some(order) if order == wanted => self.replace(from, to, operand),
            Some(_) => Effect::Kept,
        }
    }
}

fn is_number(value: &[u8]) -> bool {
    matches!(byte(value, 0), b'-' | b'0'..=b'9')
}

/// Orders two numbers by exact value or two strings by their bytes; nothing else compares.
pub(super) fn compare_scalars(one: &[u8], other: &[u8]) -> Option<Ordering> {
    if let (Some(one), Some(other)) = (short_integer(one), short_integer(other)) {
        Some(one.cmp(&other))
    } else if is_number(one) && is_number(other) {
        Some(Number::new(one).compare(&Number::new(other)))
    } else if byte(one, 0) == b'"' && byte(other, 0) == b'"' {
        Some(string::compare(one, other))
    } else {
        None
    }
}
