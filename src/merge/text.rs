//! A net operation written as the text of a bulk line, so that it can be read back.
//!
//! # Design
//! A field may have a run of primitives, and one body holds one per path: the patch is written in rounds, the first
//! as the body itself, the others inside its `then`. A walk over the patch gives each primitive the earliest round
//! in which all before it on its path are done; a merge takes as many rounds as the longest run below it. Each
//! round is then written section by section, the sections in order of first use.
//!
//! # Invariants
//! 1. Reading the text back gives an equal operation.
//! 2. The text has no raw line break.

use super::encoding::{Fields, Kind, Primitive, Run};
use super::json::scan::{byte, write_on_one_line};
use super::net::{Absent, NetRef, Parts, Patch};

/// The action word under which the operation is written.
pub(super) fn verb(net: NetRef<'_>) -> &'static str {
    match net.parts() {
        Parts::Put(_) => "index",
        Parts::Delete => "delete",
        Parts::Patch(patch) if is_create(patch) => "create",
        Parts::Patch(_) => "update",
    }
}

fn is_create(patch: Patch<'_>) -> bool {
    patch.fields.is_empty() && !patch.is_always_written && matches!(patch.absent, Absent::Document(_))
}

/// Writes what follows the action line, without a line break.
pub(super) fn write_body(net: NetRef<'_>, out: &mut Vec<u8>) {
    match net.parts() {
        Parts::Put(document) => write_on_one_line(document, out),
        Parts::Delete => {}
        Parts::Patch(patch) => write_patch(patch, out),
    }
}

fn write_patch(patch: Patch<'_>, out: &mut Vec<u8>) {
    if is_create(patch) {
        if let Absent::Document(document) = patch.absent {
            write_on_one_line(document, out);
        }
        return;
    }
    let mut plan = Plan { levels: vec![Level { above: 0, depth: 0, name: b"" }], rounds: Vec::new() };
    plan.level(patch.fields, 0, 0);
    out.push(b'{');
    match plan.rounds.split_first() {
        None => out.extend_from_slice(b"\"doc\":{}"),
        Some((first, rest)) => {
            plan.write_round(first, out);
            for (index, round) in rest.iter().enumerate() {
                out.extend_from_slice(if index == 0 { b",\"then\":[{" } else { b",{" });
                plan.write_round(round, out);
                out.push(b'}');
            }
            if !rest.is_empty() {
                out.push(b']');
            }
        }
    }
    match patch.absent {
        Absent::None => {}
        Absent::FromPatch => out.extend_from_slice(b",\"doc_as_upsert\":true"),
        Absent::Document(document) => {
            out.extend_from_slice(b",\"upsert\":");
            write_on_one_line(document, out);
        }
    }
    if patch.is_always_written {
        out.extend_from_slice(b",\"detect_noop\":false");
    }
    out.push(b'}');
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
    fn section(&self) -> &'static str {
        match self.primitive {
            None => "doc",
            Some(primitive) => match primitive.kind {
                Kind::Set if byte(primitive.payload, 0) == b'{' => "set",
                Kind::Inc => "inc",
                Kind::Append => "append",
                Kind::Union => "union",
                Kind::Subtract => "subtract",
                Kind::Min => "min",
                Kind::Max => "max",
                Kind::Remove => "remove",
                Kind::Set | Kind::Keep | Kind::Create => "doc",
            },
        }
    }

    fn write_operand(&self, out: &mut Vec<u8>) {
        match self.primitive {
            None => out.extend_from_slice(b"{}"),
            Some(Primitive { kind: Kind::Remove, .. }) => out.extend_from_slice(b"true"),
            Some(Primitive { kind: Kind::Append | Kind::Union | Kind::Subtract, payload, .. }) => {
                out.push(b'[');
                write_on_one_line(payload, out);
                out.push(b']');
            }
            Some(primitive) => write_on_one_line(primitive.payload, out),
        }
    }
}

impl<'a> Plan<'a> {
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

    fn write_round(&self, leaves: &[Leaf<'a>], out: &mut Vec<u8>) {
        let mut sections: Vec<&'static str> = Vec::new();
        for leaf in leaves {
            let section = leaf.section();
            if !sections.contains(&section) {
                sections.push(section);
            }
        }
        for (index, section) in sections.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_quoted(section.as_bytes(), out);
            out.push(b':');
            let leaves = leaves.iter().filter(|leaf| leaf.section() == *section);
            if *section == "set" { self.write_pairs(leaves, out) } else { self.write_tree(leaves, out) }
        }
    }

    fn write_pairs<'l>(&self, leaves: impl Iterator<Item = &'l Leaf<'a>>, out: &mut Vec<u8>)
    where
        'a: 'l,
    {
        out.push(b'[');
        for (index, leaf) in leaves.enumerate() {
            out.extend_from_slice(if index == 0 { b"[[" } else { b",[[" });
            for level in self.path(0, leaf.level) {
                write_quoted(self.name(level), out);
                out.push(b',');
            }
            write_quoted(leaf.name, out);
            out.extend_from_slice(b"],");
            leaf.write_operand(out);
            out.push(b']');
        }
        out.push(b']');
    }

    /// Writes leaves as one tree. They come in the order of a walk, so that those of one level stand together.
    fn write_tree<'l>(&self, leaves: impl Iterator<Item = &'l Leaf<'a>>, out: &mut Vec<u8>)
    where
        'a: 'l,
    {
        out.push(b'{');
        let mut at = 0;
        let mut first = true;
        for leaf in leaves {
            let shared = self.shared_level(at, leaf.level);
            for _ in self.depth(shared)..self.depth(at) {
                out.push(b'}');
                first = false;
            }
            for level in self.path(shared, leaf.level) {
                write_comma(&mut first, out);
                write_quoted(self.name(level), out);
                out.extend_from_slice(b":{");
                first = true;
            }
            at = leaf.level;
            write_comma(&mut first, out);
            write_quoted(leaf.name, out);
            out.push(b':');
            leaf.write_operand(out);
        }
        for _ in 0..=self.depth(at) {
            out.push(b'}');
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

fn write_comma(first: &mut bool, out: &mut Vec<u8>) {
    if !*first {
        out.push(b',');
    }
    *first = false;
}

fn write_quoted(raw: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(raw);
    out.push(b'"');
}
