//! Writing a patch in which no field has more than one primitive: all but a few.
//!
//! # Design
//! Such a patch is one round, so nothing has to be planned: each section is one walk over the encoding that writes
//! what belongs to it. Which sections there are, and in what order, the first walk finds out; it writes `doc` as it
//! goes, which is mostly the first and the only one. A level is opened when it is entered, and taken back if
//! nothing was written on it.
//!
//! # Invariants
//! 1. The text is the one that the plan of rounds gives (`super::Plan`), byte for byte.

use super::output::{Output, put_quoted};
use super::{Section, put_operand};
use crate::merge::encoding::{Fields, Kind, Run};

/// Writes the sections of a patch whose runs have one primitive each.
pub(super) fn write<O: Output>(fields: &[u8], out: &mut O) {
    let start = out.length();
    let mut writer = Writer { out, section: Section::Doc, is_first: true, met: Met::default() };
    writer.section(fields);
    let met = writer.met;
    let sections = met.in_order();
    let rest = match sections.split_first() {
        None => return,
        Some((Section::Doc, rest)) => rest,
        Some(_) => {
            writer.out.take_back(start);
            sections
        }
    };
    for (index, section) in rest.iter().enumerate() {
        if index > 0 || rest.len() < sections.len() {
            writer.out.put(b",");
        }
        writer.section = *section;
        writer.section(fields);
    }
}

/// Writes the parts of one section.
struct Writer<'o, O> {
    out: &'o mut O,
    section: Section,
    /// Nothing stands yet on the level being written, so what comes needs no comma.
    is_first: bool,
    met: Met,
}

/// The names above a level.
#[derive(Clone, Copy)]
struct Path<'a> {
    above: Option<&'a Path<'a>>,
    name: &'a [u8],
}

impl<O: Output> Writer<'_, O> {
    fn section(&mut self, fields: &[u8]) {
        put_quoted(self.section.name(), self.out);
        self.is_first = true;
        if self.section == Section::Set {
            self.out.put(b":[");
            self.pairs(fields, None);
            self.out.put(b"]");
        } else {
            self.out.put(b":{");
            self.level(fields);
            self.out.put(b"}");
        }
    }

    /// Writes what a level has of the section. True where something on it implies that the level is created.
    fn level(&mut self, fields: &[u8]) -> bool {
        let mut implies = false;
        for field in Fields(fields) {
            let Some((primitive, _)) = Run(field.run).split_first() else { continue };
            implies |= primitive.kind.makes() == Some(true);
            if primitive.kind.is_merge() {
                self.merge(field.name.raw, primitive.kind, primitive.payload);
                continue;
            }
            let section = Section::of(primitive);
            self.met.note(section);
            if section == self.section {
                self.name(field.name.raw);
                put_operand(Some(primitive), self.out);
            }
        }
        implies
    }

    fn merge(&mut self, name: &[u8], kind: Kind, fields: &[u8]) {
        let (before, was_first) = (self.out.length(), self.is_first);
        self.name(name);
        self.out.put(b"{");
        let inside = self.out.length();
        self.is_first = true;
        let is_implied = self.level(fields);
        let mut is_written = self.out.length() > inside;
        if kind == Kind::Create && !is_implied {
            self.met.note(Section::Doc);
            is_written |= self.section == Section::Doc;
        }
        if is_written {
            self.out.put(b"}");
            self.is_first = false;
        } else {
            self.out.take_back(before);
            self.is_first = was_first;
        }
    }

    fn name(&mut self, name: &[u8]) {
        if !self.is_first {
            self.out.put(b",");
        }
        self.is_first = false;
        put_quoted(name, self.out);
        self.out.put(b":");
    }

    /// Writes the section `set`: paths and values, side by side.
    fn pairs(&mut self, fields: &[u8], above: Option<&Path<'_>>) {
        for field in Fields(fields) {
            let Some((primitive, _)) = Run(field.run).split_first() else { continue };
            let path = Path { above, name: field.name.raw };
            if primitive.kind.is_merge() {
                self.pairs(primitive.payload, Some(&path));
            } else if Section::of(primitive) == self.section {
                self.out.put(if self.is_first { b"[[" } else { b",[[" });
                self.is_first = false;
                self.names(&path);
                self.out.put(b"],");
                put_operand(Some(primitive), self.out);
                self.out.put(b"]");
            }
        }
    }

    fn names(&mut self, path: &Path<'_>) {
        if let Some(above) = path.above {
            self.names(above);
            self.out.put(b",");
        }
        put_quoted(path.name, self.out);
    }
}

/// The sections that a patch has, in order of first use.
#[derive(Clone, Copy, Default)]
struct Met {
    sections: [Section; Section::COUNT],
    count: usize,
}

impl Met {
    #[inline]
    fn note(&mut self, section: Section) {
        if self.in_order().contains(&section) {
            return;
        }
        if let Some(place) = self.sections.get_mut(self.count) {
            *place = section;
            self.count += 1;
        }
    }

    #[inline]
    fn in_order(&self) -> &[Section] {
        self.sections.get(..self.count).unwrap_or_default()
    }
}
