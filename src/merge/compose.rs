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
//! 2. The stack holds one frame of [`Fold::fields`] per level, and four small ones more where a run is longer than one.

use super::apply::{Effect, apply_run, compare_scalars, write_object};
use super::decimal;
use super::encoding::{Fields, Kind, Primitive, Run, close, open, open_primitive, write_name};
use super::index::{FieldIndex, Positions};
use super::json::string::Name;
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
pub(super) enum Pushed {
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
        let mut walk = Walk::new(earlier, later);
        while let Some(both) = walk.next(out) {
            write_name(out, both.name);
            let length = open(out);
            if let Some(levels) = Levels::of(both.earlier, both.later) {
                let merge = open_primitive(out, levels.kind);
                self.fields(levels.earlier, levels.later, out);
                close(out, merge);
                self.longest_run = self.longest_run.max(1);
            } else {
                self.run(both.earlier, both.later, out);
            }
            close(out, length);
            if let Some(path) = &mut self.clash {
                path.push(both.name.raw.to_vec());
                return;
            }
        }
    }

    /// Writes two runs, joined, of which one at least is not a merge alone.
    fn run(&mut self, earlier: Run<'_>, later: Run<'_>, out: &mut Vec<u8>) {
        if self.levels_only {
            self.clash = Some(Vec::new());
            return;
        }
        if !self.pair(earlier, later, out) {
            self.runs(earlier, later, out);
        }
    }

    /// Writes two primitives, joined; false, and nothing written, where either run has more than one.
    #[inline(never)]
    fn pair(&mut self, one: Run<'_>, two: Run<'_>, out: &mut Vec<u8>) -> bool {
        let (Some(first), Some(second)) = (one.single(), two.single()) else { return false };
        let mut length = 1;
        match self.push(first, second, out) {
            Pushed::Joined => {}
            Pushed::Earlier => out.extend_from_slice(first.bytes),
            Pushed::Later => out.extend_from_slice(second.bytes),
            Pushed::Both => {
                out.extend_from_slice(first.bytes);
                out.extend_from_slice(second.bytes);
                length = 2;
            }
        }
        self.longest_run = self.longest_run.max(length);
        true
    }

    /// Writes two runs of any lengths, joined.
    fn runs(&mut self, earlier: Run<'_>, later: Run<'_>, out: &mut Vec<u8>) {
        let mut joined: Vec<Piece<'_>> = Vec::new();
        joined.extend(earlier.primitives().map(|primitive| Piece::Borrowed(primitive.bytes)));
        for primitive in later.primitives() {
            self.push_piece(&mut joined, Piece::Borrowed(primitive.bytes));
        }
        for piece in &joined {
            out.extend_from_slice(piece.bytes());
        }
        self.longest_run = self.longest_run.max(joined.len());
    }

    /// Puts a primitive at the end of a run, folding it with the last there as long as that can be done.
    fn push_piece<'a>(&mut self, joined: &mut Vec<Piece<'a>>, mut piece: Piece<'a>) {
        while let Some(before) = joined.pop() {
            let mut written = Vec::new();
            match self.push_bytes(before.bytes(), piece.bytes(), &mut written) {
                Pushed::Later => {}
                Pushed::Joined => piece = Piece::Owned(written),
                Pushed::Earlier => return joined.push(before),
                Pushed::Both => {
                    joined.push(before);
                    break;
                }
            }
        }
        joined.push(piece);
    }

    fn push_bytes(&mut self, one: &[u8], two: &[u8], out: &mut Vec<u8>) -> Pushed {
        if let Some(levels) = Levels::of(Run(one), Run(two)) {
            let merge = open_primitive(out, levels.kind);
            self.fields(levels.earlier, levels.later, out);
            close(out, merge);
            return Pushed::Joined;
        }
        let (Some(one), Some(two)) = (Run(one).single(), Run(two).single()) else { return Pushed::Both };
        self.push(one, two, out)
    }

    /// Folds a primitive with the one before it, by the table above; two merges never come here. Of the earlier
    /// one nothing is read but its kind and its payload.
    #[inline(never)]
    pub(super) fn push(&mut self, one: Primitive<'_>, two: Primitive<'_>, out: &mut Vec<u8>) -> Pushed {
        use Kind::{Append, Create, Inc, Keep, Max, Min, Remove, Set, Subtract, Union};
        match (one.kind, two.kind) {
            (_, Set | Remove) | (Inc | Min | Max, Create) => Pushed::Later,
            (Set, _) => self.push_onto_value(Some(one.payload), two, out),
            (Remove, _) => self.push_onto_value(None, two, out),
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

/// Two merges on one node, to be joined.
struct Levels<'a> {
    kind: Kind,
    earlier: &'a [u8],
    later: &'a [u8],
}

impl<'a> Levels<'a> {
    /// The two merges, where either run is one.
    #[inline(never)]
    fn of(earlier: Run<'a>, later: Run<'a>) -> Option<Self> {
        let (one, two) = (earlier.single()?, later.single()?);
        if !one.kind.is_merge() || !two.kind.is_merge() {
            return None;
        }
        let kind = if one.kind == Kind::Create { Kind::Create } else { two.kind };
        Some(Self { kind, earlier: one.payload, later: two.payload })
    }
}

/// Two levels walked for joining: first the earlier one's fields, then what is left of the later one's.
struct Walk<'a> {
    earlier: &'a [u8],
    earlier_rest: Fields<'a>,
    later_rest: std::iter::Enumerate<Fields<'a>>,
    later_index: FieldIndex<'a>,
    /// Built where a field moves.
    earlier_index: Option<Box<FieldIndex<'a>>>,
    /// The later one's fields that the earlier one has.
    found: Positions,
    /// Those of them that stand in the later one's place.
    moved: Positions,
}

/// A field that both levels have.
struct Both<'a> {
    name: Name<'a>,
    earlier: Run<'a>,
    later: Run<'a>,
}

impl<'a> Walk<'a> {
    fn new(earlier: &'a [u8], later: &'a [u8]) -> Self {
        Self {
            earlier,
            earlier_rest: Fields(earlier),
            later_rest: Fields(later).enumerate(),
            later_index: FieldIndex::new(later),
            earlier_index: None,
            found: Positions::default(),
            moved: Positions::default(),
        }
    }

    /// Writes the fields that only one level has, up to the next that both have.
    fn next(&mut self, out: &mut Vec<u8>) -> Option<Both<'a>> {
        for field in self.earlier_rest.by_ref() {
            let Some((position, later)) = self.later_index.find_printed(field.name, field.print()) else {
                out.extend_from_slice(field.bytes);
                continue;
            };
            self.found.insert(position);
            if moves(Run(field.run), later) {
                self.moved.insert(position);
                continue;
            }
            return Some(Both { name: field.name, earlier: Run(field.run), later });
        }
        if self.found.count == self.later_index.count && self.moved.count == 0 {
            return None;
        }
        for (position, field) in self.later_rest.by_ref() {
            if !self.found.contains(position) {
                out.extend_from_slice(field.bytes);
            } else if self.moved.contains(position) {
                let earlier = self.earlier;
                let index = self.earlier_index.get_or_insert_with(|| Box::new(FieldIndex::new(earlier)));
                let (_, first) = index.find(field.name)?;
                return Some(Both { name: field.name, earlier: first, later: Run(field.run) });
            }
        }
        None
    }
}

/// A primitive of a run that is being joined.
enum Piece<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
}

impl Piece<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Piece::Borrowed(bytes) => bytes,
            Piece::Owned(bytes) => bytes,
        }
    }
}

/// True where the field is created at the later run's time: see the module's text.
fn moves(earlier: Run<'_>, later: Run<'_>) -> bool {
    !earlier.exists_after_absent(false) && later.exists_after_absent(false)
}

fn push_increment(one: &[u8], two: &[u8], out: &mut Vec<u8>) -> Pushed {
    let start = out.len();
    let length = open_primitive(out, Kind::Inc);
    if !decimal::write_sum(one, two, out) {
        debug_assert!(false, "operands are within the bounds of decimals");
        out.truncate(start);
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
