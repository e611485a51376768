//! The text of an update, turned into a patch.
//!
//! # Design
//! The text is checked once as JSON; then its sections are read in the order in which they stand, each into the
//! encoding of a patch of its own, and joined level by level. Bodies inside `then` follow one after another. A body
//! with one section is written to the output directly.
//!
//! This is the careful path: it takes every body and says what is wrong with one. A common body is taken by
//! [`direct`](super::direct) before it comes here.
//!
//! # Why a balanced fold
//! A long `then` or `set` folded from the left would copy the result once per element; folded in halves it is copied
//! once per doubling.
//!
//! # Invariants
//! 1. Within one body no path is touched twice; levels may be shared.
//! 2. A level creates unless all that stands on it are removals and subtractions.

use super::compose::Fold;
use super::encoding::{Kind, close, longest_run, open, open_primitive, write_name, write_single};
use super::json::check::{Bounds, check};
use super::json::number::Number;
use super::json::scan::{byte, depth, element, member, part, space, trim, value_end};
use super::json::string::Name;
use super::list::write_new_elements;
use super::net::{Absent, Patch, finish_patch, start_patch};
use super::scope::Scope;
use crate::operation::DEPTH_MAX;
use crate::{Error, ErrorKind, Result};

/// Levels that a body may add around the documents in it.
const BODY_LEVELS_MAX: usize = 64;

/// Checks an update's text and writes its net operation.
pub(super) fn encode_update(text: &[u8], scope: &Scope, out: &mut Vec<u8>) -> Result<()> {
    let bounds = Bounds { depth: scope.document.depth + BODY_LEVELS_MAX, ..scope.document };
    let (start, _, deepest) = check(text, bounds)?;
    if byte(text, start) != b'{' {
        return Err(invalid("an update's body must be a JSON object", start));
    }
    let reader = Reader { text, scope, is_deep: deepest > scope.document.depth };
    let body = reader.body(start, false)?;
    if !body.touches_something() {
        return Err(invalid("an update needs doc or a field operation", start));
    }
    let upsert = body.upsert.map(|at| reader.document(at, "upsert")).transpose()?;
    // Where a body has both, the server takes doc_as_upsert; so is it here.
    let absent = match upsert {
        _ if body.doc_as_upsert => Absent::FromPatch,
        Some(document) => Absent::Document(document),
        None => Absent::None,
    };
    start_patch(Patch { is_always_written: !body.detect_noop, absent, fields: &[] }, out);
    let fields_start = out.len();
    if body.then.is_none() {
        reader.sections(&body, out)?;
        finish_patch(usize::from(out.len() > fields_start), out);
        return Ok(());
    }
    let mut bodies = Vec::new();
    reader.flatten(body, &mut bodies)?;
    let fields = reader.fold(&bodies)?;
    out.extend_from_slice(&fields);
    finish_patch(longest_run(&fields), out);
    Ok(())
}

fn invalid(message: impl Into<String>, at: usize) -> Error {
    Error::new(ErrorKind::Invalid, message).at(at)
}

/// A key of a body whose value is a part of the patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Doc,
    Set,
    Tree(Kind),
}

const SECTIONS: [(&str, Section); 9] = [
    ("doc", Section::Doc),
    ("set", Section::Set),
    ("inc", Section::Tree(Kind::Inc)),
    ("append", Section::Tree(Kind::Append)),
    ("union", Section::Tree(Kind::Union)),
    ("subtract", Section::Tree(Kind::Subtract)),
    ("min", Section::Tree(Kind::Min)),
    ("max", Section::Tree(Kind::Max)),
    ("remove", Section::Tree(Kind::Remove)),
];

/// Where the parts of a body stand.
#[derive(Clone, Copy, Debug)]
struct Body {
    sections: [(Section, usize); SECTIONS.len()],
    count: usize,
    then: Option<usize>,
    upsert: Option<usize>,
    doc_as_upsert: bool,
    detect_noop: bool,
}

impl Body {
    fn touches_something(&self) -> bool {
        self.count > 0 || self.then.is_some()
    }
}

/// The names above a field, for messages.
#[derive(Clone, Copy)]
struct Path<'p> {
    above: Option<&'p Path<'p>>,
    name: &'p [u8],
}

impl Path<'_> {
    fn text(&self) -> String {
        let mut names = Vec::new();
        let mut path = Some(self);
        while let Some(step) = path {
            names.push(String::from_utf8_lossy(step.name));
            path = step.above;
        }
        names.reverse();
        names.join(".")
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    text: &'a [u8],
    scope: &'a Scope,
    /// True where the text as a whole nests deeper than a document may: then each part is measured.
    is_deep: bool,
}

impl<'a> Reader<'a> {
    fn body(self, at: usize, is_inside_then: bool) -> Result<Body> {
        let mut body = Body {
            sections: [(Section::Doc, 0); SECTIONS.len()],
            count: 0,
            then: None,
            upsert: None,
            doc_as_upsert: false,
            detect_noop: true,
        };
        let mut at = at + 1;
        while let Some(member) = member(self.text, at) {
            at = value_end(self.text, member.value);
            if let Some((_, section)) = SECTIONS.iter().find(|(word, _)| member.name.is(word)) {
                // INVARIANT: names in an object differ, so there is room for each section once.
                if let Some(room) = body.sections.get_mut(body.count) {
                    *room = (*section, member.value);
                }
                body.count += 1;
            } else if member.name.is("then") {
                body.then = Some(member.value);
            } else if is_inside_then {
                return Err(refused_key(member.name, member.start, true));
            } else if member.name.is("upsert") {
                body.upsert = Some(member.value);
            } else if member.name.is("doc_as_upsert") {
                body.doc_as_upsert = self.boolean(member.value, "doc_as_upsert")?;
            } else if member.name.is("detect_noop") {
                body.detect_noop = self.boolean(member.value, "detect_noop")?;
            } else {
                return Err(refused_key(member.name, member.start, false));
            }
        }
        Ok(body)
    }

    fn boolean(self, at: usize, key: &str) -> Result<bool> {
        match byte(self.text, at) {
            b't' => Ok(true),
            b'f' => Ok(false),
            _ => Err(invalid(format!("{key} must be true or false"), at)),
        }
    }

    fn document(self, at: usize, key: &str) -> Result<&'a [u8]> {
        if byte(self.text, at) != b'{' {
            return Err(invalid(format!("{key} must be a JSON object"), at));
        }
        self.measure(at, 0)?;
        Ok(part(self.text, at, value_end(self.text, at)))
    }

    /// Holds the value at a place to the depth of a document in which it stands below some levels.
    fn measure(self, at: usize, above: usize) -> Result<()> {
        if !self.is_deep && above == 0 {
            return Ok(());
        }
        let limit = self.scope.document.depth;
        let levels = above + depth(part(self.text, at, value_end(self.text, at)));
        if levels > limit || above > DEPTH_MAX {
            let message = format!("the update nests {levels} levels, and at most {limit} are taken");
            return Err(Error::new(ErrorKind::TooLarge, message).at(at));
        }
        Ok(())
    }

    /// Adds a body and those in its `then`, in the order in which they take effect.
    fn flatten(self, body: Body, bodies: &mut Vec<Body>) -> Result<()> {
        bodies.push(body);
        let Some(list) = body.then else { return Ok(()) };
        if bodies.len() > self.scope.then_bodies {
            let message = format!("then holds more than {} bodies", self.scope.then_bodies);
            return Err(Error::new(ErrorKind::TooLarge, message).at(list));
        }
        if byte(self.text, list) != b'[' {
            return Err(invalid("then must be a list of bodies", list));
        }
        let mut at = list + 1;
        while let Some(start) = element(self.text, at) {
            if byte(self.text, start) != b'{' {
                return Err(invalid("a body in then must be a JSON object", start));
            }
            let body = self.body(start, true)?;
            if !body.touches_something() {
                return Err(invalid("a body in then needs doc or a field operation", start));
            }
            self.flatten(body, bodies)?;
            if bodies.len() > self.scope.then_bodies.saturating_add(1) {
                let message = format!("then holds more than {} bodies", self.scope.then_bodies);
                return Err(Error::new(ErrorKind::TooLarge, message).at(start));
            }
            at = value_end(self.text, start);
        }
        Ok(())
    }

    /// The fields of several bodies, one after another.
    fn fold(self, bodies: &[Body]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        match bodies {
            [] => {}
            [body] => self.sections(body, &mut out)?,
            _ => {
                let (first, second) = bodies.split_at(bodies.len() / 2);
                Fold::default().fields(&self.fold(first)?, &self.fold(second)?, &mut out);
            }
        }
        Ok(out)
    }

    /// Writes the fields of one body.
    fn sections(self, body: &Body, out: &mut Vec<u8>) -> Result<()> {
        let sections = body.sections.get(..body.count).unwrap_or_default();
        let Some(((first, at), rest)) = sections.split_first() else { return Ok(()) };
        let start = out.len();
        self.section(*first, *at, out)?;
        for (section, at) in rest {
            let mut added = Vec::new();
            self.section(*section, *at, &mut added)?;
            let joined = join(part(out, start, out.len()), &added, *at)?;
            out.truncate(start);
            out.extend_from_slice(&joined);
        }
        Ok(())
    }

    fn section(self, section: Section, at: usize, out: &mut Vec<u8>) -> Result<()> {
        let name = SECTIONS.iter().find(|(_, other)| *other == section).map_or("", |(name, _)| name);
        if section == Section::Set {
            return self.pairs(at, out);
        }
        self.document(at, name)?;
        match section {
            Section::Tree(kind) => {
                self.tree(kind, at, Path { above: None, name: name.as_bytes() }, 1, out)?
            }
            _ => self.doc(at, 1, out)?,
        };
        Ok(())
    }

    /// Writes the fields of a `doc` level; the place after it.
    fn doc(self, at: usize, level: usize, out: &mut Vec<u8>) -> Result<usize> {
        check_level(level, at)?;
        let mut at = at + 1;
        while let Some(member) = member(self.text, at) {
            write_name(out, member.name);
            at = if byte(self.text, member.value) == b'{' {
                let run = open(out);
                let merge = open_primitive(out, Kind::Create);
                let end = self.doc(member.value, level + 1, out)?;
                close(out, merge);
                close(out, run);
                end
            } else {
                let end = value_end(self.text, member.value);
                write_single(out, Kind::Set, part(self.text, member.value, end));
                end
            };
        }
        Ok(space(self.text, at) + 1)
    }

    /// Writes the fields of a level of a field operation's tree; the place after it.
    fn tree(self, kind: Kind, at: usize, above: Path<'_>, level: usize, out: &mut Vec<u8>) -> Result<usize> {
        check_level(level, at)?;
        let mut at = at + 1;
        while let Some(member) = member(self.text, at) {
            write_name(out, member.name);
            let path = Path { above: Some(&above), name: member.name.raw };
            at = if byte(self.text, member.value) == b'{' {
                if byte(self.text, space(self.text, member.value + 1)) == b'}' {
                    return Err(no_operand(path, member.value));
                }
                let run = open(out);
                let merge = open_primitive(out, level_kind(kind));
                let end = self.tree(kind, member.value, path, level + 1, out)?;
                close(out, merge);
                close(out, run);
                end
            } else {
                let end = value_end(self.text, member.value);
                self.leaf(kind, part(self.text, member.value, end), path, member.value, out)?;
                end
            };
        }
        Ok(space(self.text, at) + 1)
    }

    #[inline(never)]
    fn leaf(self, kind: Kind, operand: &[u8], path: Path<'_>, at: usize, out: &mut Vec<u8>) -> Result<()> {
        let first = byte(operand, 0);
        let is_number = matches!(first, b'-' | b'0'..=b'9');
        let wanted = match kind {
            Kind::Inc if is_number => {
                self.check_increment(operand, path, at)?;
                None
            }
            Kind::Inc => Some("a number"),
            Kind::Min | Kind::Max if !is_number && first != b'"' => Some("a number or a string"),
            Kind::Remove if operand != b"true" => Some("true"),
            _ => None,
        };
        if let Some(wanted) = wanted {
            return Err(invalid(format!("{} must be {wanted}", path.text()), at));
        }
        let list = if first == b'[' { trim(part(operand, 1, operand.len() - 1)) } else { operand };
        match kind {
            Kind::Remove => write_single(out, kind, b""),
            Kind::Append => write_single(out, kind, list),
            Kind::Union | Kind::Subtract => {
                let mut distinct = Vec::new();
                write_new_elements(b"", list, &mut distinct);
                write_single(out, kind, &distinct);
            }
            _ => write_single(out, kind, operand),
        }
        Ok(())
    }

    fn check_increment(self, operand: &[u8], path: Path<'_>, at: usize) -> Result<()> {
        let Some(most) = self.scope.increment_digits else { return Ok(()) };
        let number = Number::new(operand);
        let digits = number.digits();
        let refused = |message: String| Err(Error::new(ErrorKind::TooLarge, message).at(at));
        if digits > most {
            return refused(format!("{} has {digits} digits, and at most {most} are taken", path.text()));
        }
        if number.written_exponent().is_none_or(|exponent| exponent.unsigned_abs() > most as u64) {
            let exponent = String::from_utf8_lossy(number.exponent);
            return refused(format!("{} has the exponent {exponent}, and ±{most} are taken", path.text()));
        }
        Ok(())
    }

    /// Writes the fields of `set`: a list of pairs of a path and a value.
    fn pairs(self, list: usize, out: &mut Vec<u8>) -> Result<()> {
        if byte(self.text, list) != b'[' {
            return Err(invalid("set must be a list of [path, value] pairs", list));
        }
        let mut pairs = Vec::new();
        let mut at = list + 1;
        while let Some(start) = element(self.text, at) {
            pairs.push(start);
            at = value_end(self.text, start);
        }
        out.extend_from_slice(&self.fold_pairs(&pairs)?);
        Ok(())
    }

    fn fold_pairs(self, pairs: &[usize]) -> Result<Vec<u8>> {
        match pairs {
            [] => Ok(Vec::new()),
            [pair] => self.pair(*pair),
            _ => {
                let (first, second) = pairs.split_at(pairs.len() / 2);
                let (one, other) = (self.fold_pairs(first)?, self.fold_pairs(second)?);
                join(&one, &other, second.first().copied().unwrap_or(0))
            }
        }
    }

    /// The fields of one pair of `set`.
    fn pair(self, pair: usize) -> Result<Vec<u8>> {
        let malformed = || invalid("an entry of set must be [path, value], its path a list of names", pair);
        let path = Some(pair).filter(|at| byte(self.text, *at) == b'[');
        let path = path.and_then(|at| element(self.text, at + 1)).ok_or_else(malformed)?;
        let value = element(self.text, value_end(self.text, path)).ok_or_else(malformed)?;
        let value_end = value_end(self.text, value);
        if byte(self.text, path) != b'[' || element(self.text, value_end).is_some() {
            return Err(malformed());
        }
        let mut names = Vec::new();
        let mut at = path + 1;
        while let Some(start) = element(self.text, at) {
            at = super::json::scan::value_end(self.text, start);
            if byte(self.text, start) != b'"' {
                return Err(malformed());
            }
            names.push(Name::of_string(part(self.text, start, at)));
        }
        let Some((last, above)) = names.split_last() else { return Err(malformed()) };
        self.measure(value, names.len())?;
        let mut out = Vec::new();
        let mut levels = Vec::new();
        for name in above {
            write_name(&mut out, *name);
            levels.push(open(&mut out));
            levels.push(open_primitive(&mut out, Kind::Create));
        }
        write_name(&mut out, *last);
        write_single(&mut out, Kind::Set, part(self.text, value, value_end));
        for level in levels.into_iter().rev() {
            close(&mut out, level);
        }
        Ok(out)
    }
}

/// The fields of two parts of one body, which may share levels and nothing else.
pub(super) fn join(one: &[u8], other: &[u8], at: usize) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(one.len() + other.len());
    let mut fold = Fold { levels_only: true, ..Fold::default() };
    fold.fields(one, other, &mut out);
    match fold.clash {
        None => Ok(out),
        Some(mut names) => {
            names.reverse();
            let path = String::from_utf8_lossy(&names.join(&b'.')).into_owned();
            Err(invalid(format!("the path {path} is touched twice in one body"), at))
        }
    }
}

pub(super) fn level_kind(kind: Kind) -> Kind {
    if matches!(kind, Kind::Remove | Kind::Subtract) { Kind::Keep } else { Kind::Create }
}

fn check_level(level: usize, at: usize) -> Result<()> {
    if level <= DEPTH_MAX {
        return Ok(());
    }
    let message = format!("the update nests deeper than {DEPTH_MAX} levels");
    Err(Error::new(ErrorKind::TooLarge, message).at(at))
}

#[inline(never)]
fn no_operand(path: Path<'_>, at: usize) -> Error {
    invalid(format!("{} is an empty level: it has no operand", path.text()), at)
}

#[inline(never)]
fn refused_key(name: Name<'_>, at: usize, is_inside_then: bool) -> Error {
    let key = String::from_utf8_lossy(name.raw);
    if name.is("script") {
        let message = "a script cannot be folded; use the field operations inc, append, union, subtract, min, max, \
                       set, remove";
        return invalid(message, at);
    }
    let place = if is_inside_then { "a body in then" } else { "an update's body" };
    invalid(format!("{place} cannot have the key \"{key}\""), at)
}
