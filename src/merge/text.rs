//! A net operation written as the text of a bulk line, so that it can be read back.
//!
//! # Design
//! A field may have a run of primitives, and one body holds one per path: such a patch is written in rounds, the first
//! as the body itself, the others inside its `then`. A walk over the patch gives each primitive the earliest round
//! in which all before it on its path are done; a merge takes as many rounds as the longest run below it. Each
//! round is then written section by section, the sections in order of first use. A patch without such a run is
//! written without a plan ([`direct`]). Text goes to an [`Output`], which may only count it.
//!
//! # Invariants
//! 1. Reading the text back gives an equal operation.
//! 2. The text has no raw line break.

mod direct;
mod output;

use super::encoding::{Fields, Kind, Primitive, Run};
use super::json::scan::byte;
use super::net::{Absent, NetRef, Parts, Patch};
pub(crate) use output::{Length, Output, has_line_break};
use output::{put_quoted, put_tokens, put_value};

/// The action word under which the operation is written.
pub(super) fn verb(net: NetRef<'_>) -> &'static str {
    match net.parts() {
        Parts::Put(_) => "index",
        Parts::Delete => "delete",
        Parts::Patch(patch) if is_create(patch) => "create",
        Parts::Patch(_) | Parts::Table => "update",
    }
}

fn is_create(patch: Patch<'_>) -> bool {
    patch.fields.is_empty() && !patch.is_always_written && matches!(patch.absent, Absent::Document(_))
}

/// Writes what follows the action line, without a line break.
pub(super) fn write_body<O: Output>(net: NetRef<'_>, out: &mut O) {
    let mut joined = Vec::new();
    let net = net.joined(&mut joined);
    match net.parts() {
        Parts::Put(document) => put_tokens(document, out),
        Parts::Delete | Parts::Table => {}
        Parts::Patch(patch) => write_patch(patch, net.longest_run() > 1, out),
    }
}

/// The same by the plan of rounds, also where none is needed: what [`direct`] is compared with.
#[cfg(test)]
pub(super) fn write_body_in_rounds(net: NetRef<'_>, out: &mut Vec<u8>) {
    match net.parts() {
        Parts::Patch(patch) => write_patch(patch, true, out),
        _ => write_body(net, out),
    }
}

fn write_patch<O: Output>(patch: Patch<'_>, in_rounds: bool, out: &mut O) {
    if is_create(patch) {
        if let Absent::Document(document) = patch.absent {
            put_tokens(document, out);
        }
        return;
    }
    out.put(b"{");
    if in_rounds {
        Plan::write(patch.fields, out);
    } else {
        direct::write(patch.fields, out);
    }
    match patch.absent {
        Absent::None => {}
        Absent::FromPatch => out.put(b",\"doc_as_upsert\":true"),
        Absent::Document(document) => {
            out.put(b",\"upsert\":");
            put_tokens(document, out);
        }
    }
    if patch.is_always_written {
        out.put(b",\"detect_noop\":false");
    }
    out.put(b"}");
}

/// A key of a body that holds operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Section {
    #[default]
    Doc,
    Set,
    Inc,
    Append,
    Union,
    Subtract,
    Min,
    Max,
    Remove,
}

impl Section {
    /// How many there are.
    const COUNT: usize = Self::Remove as usize + 1;

    /// Where a primitive that is no merge is written.
    #[inline]
    fn of(primitive: Primitive<'_>) -> Self {
        match primitive.kind {
            Kind::Set if byte(primitive.payload, 0) == b'{' => Self::Set,
            Kind::Inc => Self::Inc,
            Kind::Append => Self::Append,
            Kind::Union => Self::Union,
            Kind::Subtract => Self::Subtract,
            Kind::Min => Self::Min,
            Kind::Max => Self::Max,
            Kind::Remove => Self::Remove,
            Kind::Set | Kind::Keep | Kind::Create => Self::Doc,
        }
    }

    fn name(self) -> &'static [u8] {
        match self {
            Self::Doc => b"doc",
            Self::Set => b"set",
            Self::Inc => b"inc",
            Self::Append => b"append",
            Self::Union => b"union",
            Self::Subtract => b"subtract",
            Self::Min => b"min",
            Self::Max => b"max",
            Self::Remove => b"remove",
        }
    }
}

/// Writes what a section has for a primitive; without one, a level that is to be created.
#[inline]
fn put_operand<O: Output>(primitive: Option<Primitive<'_>>, out: &mut O) {
    match primitive {
        None => out.put(b"{}"),
        Some(Primitive { kind: Kind::Remove, .. }) => out.put(b"true"),
        Some(Primitive { kind: Kind::Append | Kind::Union | Kind::Subtract, payload, .. }) => {
            out.put(b"[");
            put_tokens(payload, out);
            out.put(b"]");
        }
        Some(primitive) => put_value(primitive.payload, out),
    }
}

/// What is written when: see the module's text.
struct Plan<'a> {
    levels: Vec<Level<'a>>,
    rounds: Vec<Vec<Leaf<'a>>>,
}

/// A level of the document; the first is its root.
struct Level<'a> {
    above: usize,
    depth: usize,
    name: &'a [u8],
}

/// Something to be written in one round.
struct Leaf<'a> {
    level: usize,
    name: &'a [u8],
    /// `None` for a level that is to be created and has nothing on it in this round that implies it.
    primitive: Option<Primitive<'a>>,
}

impl Leaf<'_> {
    fn section(&self) -> Section {
        self.primitive.map_or(Section::Doc, Section::of)
    }
}

impl<'a> Plan<'a> {
    /// Writes the rounds of a patch.
    fn write<O: Output>(fields: &'a [u8], out: &mut O) {
        let mut plan = Plan { levels: vec![Level { above: 0, depth: 0, name: b"" }], rounds: Vec::new() };
        plan.level(fields, 0, 0);
        let Some((first, rest)) = plan.rounds.split_first() else { return out.put(b"\"doc\":{}") };
        plan.write_round(first, out);
        for (index, round) in rest.iter().enumerate() {
            out.put(if index == 0 { b",\"then\":[{" } else { b",{" });
            plan.write_round(round, out);
            out.put(b"}");
        }
        if !rest.is_empty() {
            out.put(b"]");
        }
    }

    /// Plans the fields of a level from a round on. Returns the round after the last, and whether something in the
    /// first round implies that the level is created.
    fn level(&mut self, fields: &'a [u8], level: usize, round: usize) -> (usize, bool) {
        let (mut after, mut creates) = (round, false);
        for field in Fields(fields) {
            let (end, implied) = self.run(Run(field.run), level, field.name.raw, round);
            after = after.max(end);
            creates |= implied;
        }
        (after, creates)
    }

    fn run(&mut self, run: Run<'a>, level: usize, name: &'a [u8], first: usize) -> (usize, bool) {
        let (mut round, mut creates) = (first, false);
        for primitive in run.primitives() {
            if round == first {
                creates = primitive.kind.makes() == Some(true);
            }
            round = match primitive.kind {
                Kind::Keep | Kind::Create => self.merge(primitive, level, name, round),
                _ => {
                    self.put(round, Leaf { level, name, primitive: Some(primitive) });
                    round + 1
                }
            };
        }
        (round, creates)
    }

    fn merge(&mut self, primitive: Primitive<'a>, above: usize, name: &'a [u8], round: usize) -> usize {
        let level = self.levels.len();
        let depth = self.levels.get(above).map_or(0, |level| level.depth) + 1;
        self.levels.push(Level { above, depth, name });
        let (after, implied) = self.level(primitive.payload, level, round);
        if primitive.kind == Kind::Create && !implied {
            self.put(round, Leaf { level: above, name, primitive: None });
        }
        after.max(round + 1)
    }

    fn put(&mut self, round: usize, leaf: Leaf<'a>) {
        if self.rounds.len() <= round {
            self.rounds.resize_with(round + 1, Vec::new);
        }
        if let Some(leaves) = self.rounds.get_mut(round) {
            leaves.push(leaf);
        }
    }

    fn write_round<O: Output>(&self, leaves: &[Leaf<'a>], out: &mut O) {
        let mut sections: Vec<Section> = Vec::new();
        for leaf in leaves {
            let section = leaf.section();
            if !sections.contains(&section) {
                sections.push(section);
            }
        }
        for (index, section) in sections.iter().enumerate() {
            if index > 0 {
                out.put(b",");
            }
            put_quoted(section.name(), out);
            out.put(b":");
            let leaves = leaves.iter().filter(|leaf| leaf.section() == *section);
            if *section == Section::Set {
                self.write_pairs(leaves, out);
            } else {
                self.write_tree(leaves, out);
            }
        }
    }

    fn write_pairs<'l, O: Output>(&self, leaves: impl Iterator<Item = &'l Leaf<'a>>, out: &mut O)
    where
        'a: 'l,
    {
        out.put(b"[");
        for (index, leaf) in leaves.enumerate() {
            out.put(if index == 0 { b"[[" } else { b",[[" });
            for level in self.path(0, leaf.level) {
                put_quoted(self.name(level), out);
                out.put(b",");
            }
            put_quoted(leaf.name, out);
            out.put(b"],");
            put_operand(leaf.primitive, out);
            out.put(b"]");
        }
        out.put(b"]");
    }

    /// Writes leaves as one tree. They come in the order of a walk, so that those of one level stand together.
    fn write_tree<'l, O: Output>(&self, leaves: impl Iterator<Item = &'l Leaf<'a>>, out: &mut O)
    where
        'a: 'l,
    {
        out.put(b"{");
        let mut at = 0;
        let mut first = true;
        for leaf in leaves {
            let shared = self.shared_level(at, leaf.level);
            for _ in self.depth(shared)..self.depth(at) {
                out.put(b"}");
                first = false;
            }
            for level in self.path(shared, leaf.level) {
                write_comma(&mut first, out);
                put_quoted(self.name(level), out);
                out.put(b":{");
                first = true;
            }
            at = leaf.level;
            write_comma(&mut first, out);
            put_quoted(leaf.name, out);
            out.put(b":");
            put_operand(leaf.primitive, out);
        }
        for _ in 0..=self.depth(at) {
            out.put(b"}");
        }
    }

    fn depth(&self, level: usize) -> usize {
        self.levels.get(level).map_or(0, |level| level.depth)
    }

    fn above(&self, level: usize) -> usize {
        self.levels.get(level).map_or(0, |level| level.above)
    }

    fn name(&self, level: usize) -> &'a [u8] {
        self.levels.get(level).map_or(b"", |level| level.name)
    }

    /// The deepest level that is or is above both.
    fn shared_level(&self, mut one: usize, mut other: usize) -> usize {
        while one != other {
            if self.depth(one) >= self.depth(other) {
                one = self.above(one);
            } else {
                other = self.above(other);
            }
        }
        one
    }

    /// The levels from below one down to another.
    fn path(&self, from: usize, mut to: usize) -> Vec<usize> {
        let mut levels = Vec::new();
        while to != from {
            levels.push(to);
            to = self.above(to);
        }
        levels.reverse();
        levels
    }
}

fn write_comma(first: &mut bool, out: &mut impl Output) {
    if !*first {
        out.put(b",");
    }
    *first = false;
}
