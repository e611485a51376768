//! Folding two patches into one.
//!
//! # Design
//! Two levels are joined field by field, the earlier one's order first; where both have a field, its runs are
//! joined by pushing the later primitives one by one onto the earlier run, each folding with the last one there as
//! long as the table allows. Everything is copied from borrowed bytes to the output once.
//!
//! | earlier | later | gives |
//! | --- | --- | --- |
//! | any | set, remove | the later |
//! | set, remove | any | the set or remove that it comes to |
//! | merge | merge | the joined merge, creating if either does |
//! | inc, min, max | creating merge | the merge: whatever was there is an object now |
//! | creating merge | inc, min, max | the merge: an object does not fit |
//! | append of something | creating merge | set: a list does not stay |
//! | append of something | inc, min, max, other merge | the append: a list does not fit |
//! | inc | inc | inc of the sum |
//! | min, max | the same, of one type | the one that wins; the earlier where they tie |
//! | append, union, subtract | the same | of both lists |
//!
//! All else stays side by side.
//!
//! # Why fields move
//! New members are appended in the order of the patch. A field that the earlier patch leaves absent where it was
//! absent, and the later one creates, is created at the later one's time: it stands in the later one's place.
//!
//! # Invariants
//! 1. Whether a field moves is known from the kinds in its two runs, before they are joined: no level is joined
//!    twice.
//! 2. The stack holds one frame of [`Fold::fields`] and at most three others per level.

use super::apply::{Effect, apply_run, compare_scalars, write_object};
use super::decimal;
use super::encoding::{
    FieldIndex, Fields, Kind, Positions, Primitive, Run, close, open, open_primitive, write_name,
};
use super::list;
use std::cmp::Ordering;

/// A fold in progress: what it finds out beside its output.
#[derive(Debug, Default)]
pub(super) struct Fold {
    /// Field operations that cannot fit whatever the base is.
    pub(super) misfits: u64,
    /// The longest run that was joined.
    pub(super) longest_run: usize,
    /// Where only levels may meet: the names of the first place where something else met, innermost first.
    pub(super) clash: Option<Vec<Vec<u8>>>,
    /// True where only levels may meet.
    pub(super) levels_only: bool,
}

/// What pushing a primitive onto another comes to.
enum Pushed {
    /// Both stay.
    Both,
    /// The earlier one stays as it is.
    Earlier,
    /// The later one stays as it is.
    Later,
    /// One that was written to the output.
    Joined,
}

impl Fold {
    /// Writes the fields of two levels, joined.
    pub(super) fn fields(&mut self, earlier: &[u8], later: &[u8], out: &mut Vec<u8>) {
        let index = FieldIndex::new(later);
        let mut found = Positions::default();
        let mut moved = Positions::default();
        for field in Fields(earlier) {
            let Some((position, later)) = index.find(field.name) else {
                out.extend_from_slice(field.bytes);
                continue;
            };
            found.insert(position);
            if moves(Run(field.run), Run(later.run)) {
                moved.insert(position);
                continue;
            }
            write_name(out, field.name);
            self.field(Run(field.run), Run(later.run), out);
            if let Some(path) = &mut self.clash {
                path.push(field.name.raw.to_vec());
                return;
            }
        }
        if found.count < index.count || moved.count > 0 {
            self.later_fields(earlier, later, &found, &moved, out);
        }
    }

    /// Writes those fields of the later level that stand in its own order.
    fn later_fields(
        &mut self,
        earlier: &[u8],
        later: &[u8],
        found: &Positions,
        moved: &Positions,
        out: &mut Vec<u8>,
    ) {
        let index = if moved.count > 0 { Some(FieldIndex::new(earlier)) } else { None };
        for (position, field) in Fields(later).enumerate() {
            if !found.contains(position) {
                out.extend_from_slice(field.bytes);
            } else if moved.contains(position)
                && let Some((_, first)) = index.as_ref().and_then(|index| index.find(field.name))
            {
                write_name(out, field.name);
                self.field(Run(first.run), Run(field.run), out);
                if let Some(path) = &mut self.clash {
                    path.push(field.name.raw.to_vec());
                    return;
                }
            }
        }
    }

    /// Writes two runs on one field, joined, with their length before them.
    fn field(&mut self, earlier: Run<'_>, later: Run<'_>, out: &mut Vec<u8>) {
        let length = open(out);
        match (earlier.single(), later.single()) {
            (Some(one), Some(two)) if one.kind.is_merge() && two.kind.is_merge() => {
                self.merges(one, two, out);
                self.longest_run = self.longest_run.max(1);
            }
            _ if self.levels_only => self.clash = Some(Vec::new()),
            (Some(one), Some(two)) => self.pair(one, two, out),
            _ => self.runs(earlier, later, out),
        }
        close(out, length);
    }

    /// Writes two merges, joined.
    fn merges(&mut self, one: Primitive<'_>, two: Primitive<'_>, out: &mut Vec<u8>) {
        let kind = if one.kind == Kind::Create { Kind::Create } else { two.kind };
        let length = open_primitive(out, kind);
        self.fields(one.payload, two.payload, out);
        close(out, length);
    }

    #[inline(never)]
    fn pair(&mut self, one: Primitive<'_>, two: Primitive<'_>, out: &mut Vec<u8>) {
        let mut length = 1;
        match self.push(one, two, out) {
            Pushed::Joined => {}
            Pushed::Earlier => out.extend_from_slice(one.bytes),
            Pushed::Later => out.extend_from_slice(two.bytes),
            Pushed::Both => {
                out.extend_from_slice(one.bytes);
                out.extend_from_slice(two.bytes);
                length = 2;
            }
        }
        self.longest_run = self.longest_run.max(length);
    }

    /// Writes two runs of any lengths, joined.
    #[inline(never)]
    fn runs(&mut self, earlier: Run<'_>, later: Run<'_>, out: &mut Vec<u8>) {
        let mut joined: Vec<Piece<'_>> = earlier.map(|primitive| Piece::Borrowed(primitive.bytes)).collect();
        for primitive in later {
            let mut last = Piece::Borrowed(primitive.bytes);
            while let Some(before) = joined.last() {
                let mut written = Vec::new();
                match self.push_bytes(before.bytes(), last.bytes(), &mut written) {
                    Pushed::Both => break,
                    Pushed::Earlier => {
                        last = Piece::Nothing;
                        break;
                    }
                    Pushed::Later => {}
                    Pushed::Joined => last = Piece::Owned(written),
                }
                joined.pop();
            }
            if !matches!(last, Piece::Nothing) {
                joined.push(last);
            }
        }
        for piece in &joined {
            out.extend_from_slice(piece.bytes());
        }
        self.longest_run = self.longest_run.max(joined.len());
    }

    fn push_bytes(&mut self, one: &[u8], two: &[u8], out: &mut Vec<u8>) -> Pushed {
        match (Run(one).single(), Run(two).single()) {
            (Some(one), Some(two)) => self.push(one, two, out),
            _ => Pushed::Both,
        }
    }

    /// Folds a primitive with the one before it, by the table above.
    fn push(&mut self, one: Primitive<'_>, two: Primitive<'_>, out: &mut Vec<u8>) -> Pushed {
        use Kind::{Append, Create, Inc, Keep, Max, Min, Remove, Set, Subtract, Union};
        match (one.kind, two.kind) {
            (_, Set | Remove) => Pushed::Later,
            (Set, _) => self.push_onto_value(Some(one.payload), two, out),
            (Remove, _) => self.push_onto_value(None, two, out),
            (Keep | Create, Keep | Create) => {
                self.merges(one, two, out);
                Pushed::Joined
            }
            (Inc | Min | Max, Create) => Pushed::Later,
            (Append, Create) if !one.payload.is_empty() => {
                let length = open_primitive(out, Set);
                write_object(two.payload, out, &mut self.misfits);
                close(out, length);
                Pushed::Joined
            }
            (Append, Keep) if !one.payload.is_empty() => Pushed::Earlier,
            (Create, Inc | Min | Max) => self.misfit(),
            (Append, Inc | Min | Max) if !one.payload.is_empty() => self.misfit(),
            (Inc, Inc) => push_increment(one.payload, two.payload, out),
            (Min, Min) => push_choice(one.payload, two.payload, Ordering::Less),
            (Max, Max) => push_choice(one.payload, two.payload, Ordering::Greater),
            (Append, Append) | (Union, Union) | (Subtract, Subtract) => {
                push_list(one, two.payload, out);
                Pushed::Joined
            }
            _ => Pushed::Both,
        }
    }

    fn misfit(&mut self) -> Pushed {
        self.misfits += 1;
        Pushed::Earlier
    }

    /// Applies a primitive to a value that is known, or known to be absent.
    fn push_onto_value(&mut self, value: Option<&[u8]>, two: Primitive<'_>, out: &mut Vec<u8>) -> Pushed {
        let start = out.len();
        let length = open_primitive(out, Kind::Set);
        let effect = apply_run(Run(two.bytes), value, out, &mut self.misfits);
        if effect == Effect::Written {
            close(out, length);
            return Pushed::Joined;
        }
        debug_assert!(effect == Effect::Kept, "only a remove takes a value away, and it was dealt with");
        out.truncate(start);
        Pushed::Earlier
    }
}

/// A primitive of a run that is being joined.
enum Piece<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
    Nothing,
}

impl Piece<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Piece::Borrowed(bytes) => bytes,
            Piece::Owned(bytes) => bytes,
            Piece::Nothing => &[],
        }
    }
}

/// True where the field is created at the later run's time: see the module's text.
fn moves(earlier: Run<'_>, later: Run<'_>) -> bool {
    !earlier.exists_after_absent(false) && later.exists_after_absent(false)
}

fn push_increment(one: &[u8], two: &[u8], out: &mut Vec<u8>) -> Pushed {
    let length = open_primitive(out, Kind::Inc);
    if !decimal::write_sum(one, two, out) {
        debug_assert!(false, "operands are within the bounds of decimals");
        out.truncate(out.len().saturating_sub(6));
        return Pushed::Both;
    }
    close(out, length);
    Pushed::Joined
}

fn push_choice(one: &[u8], two: &[u8], wanted: Ordering) -> Pushed {
    match compare_scalars(two, one) {
        None => Pushed::Both,
        Some(order) if order == wanted => Pushed::Later,
        Some(_) => Pushed::Earlier,
    }
}

/// Writes the joined operand of two like list operations.
fn push_list(one: Primitive<'_>, two: &[u8], out: &mut Vec<u8>) {
    if one.kind == Kind::Append {
        let comma: &[u8] = if one.payload.is_empty() || two.is_empty() { b"" } else { b"," };
        let length = open_primitive(out, Kind::Append);
        out.extend_from_slice(one.payload);
        out.extend_from_slice(comma);
        out.extend_from_slice(two);
        close(out, length);
        return;
    }
    let length = open_primitive(out, one.kind);
    out.extend_from_slice(one.payload);
    let end = out.len();
    if !one.payload.is_empty() {
        out.push(b',');
    }
    let start = out.len();
    list::write_new_elements(one.payload, two, out);
    if out.len() == start {
        out.truncate(end);
    }
    close(out, length);
}
