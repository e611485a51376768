//! The naive model: one operation at a time, on a parsed document, with nothing folded anywhere.
//!
//! # Design
//! What an operation means, written the way one would explain it, from the design document alone: it shares no line
//! with the library. [`Edit`] is an operation that was read; [`Edit::apply`] carries it out; [`Model`] is a map
//! from key to document, for tests of everything that stores documents.
//!
//! # Why a tree and not the library's own representation
//! The two must be able to disagree. The model never composes, so a wrong rule of composition cannot be in both.

#[path = "decimal.rs"]
mod decimal;
#[path = "field.rs"]
mod field;
#[path = "tree.rs"]
mod tree;

use millpond::Action;
use std::collections::BTreeMap;

use field::Change;

pub use decimal::Decimal;
pub use field::Field;
pub use tree::{Members, Name, Spellings, Tree, decode, find, raw_members};

/// What a server would answer for one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Created,
    Updated,
    Noop,
    Deleted,
    NotFound,
    Conflict,
}

/// Documents by index and id.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub documents: BTreeMap<(String, String), Tree>,
}

impl Model {
    /// Carries out one operation, which must be valid.
    pub fn apply(&mut self, index: &str, id: &str, action: Action<'_>) -> Status {
        let key = (index.to_owned(), id.to_owned());
        let after = Edit::read(action).apply(self.documents.get(&key));
        match after.document {
            Some(document) => drop(self.documents.insert(key, document)),
            None => drop(self.documents.remove(&key)),
        }
        after.status
    }

    pub fn get(&self, index: &str, id: &str) -> Option<&Tree> {
        self.documents.get(&(index.to_owned(), id.to_owned()))
    }
}

/// One part of an update's body. Parts of one body touch different paths, so their order does not matter.
#[derive(Clone, Debug)]
pub enum Step {
    Doc(Tree),
    Set(Vec<Name>, Tree),
    Field(Field, Tree),
}

/// An operation, read from its text.
#[derive(Clone, Debug)]
pub enum Edit {
    Index(Tree),
    Create(Tree),
    Update { steps: Vec<Step>, upsert: Option<Tree>, doc_as_upsert: bool, detect_noop: bool },
    Delete,
}

/// What one operation did.
#[derive(Clone, Debug)]
pub struct After {
    pub document: Option<Tree>,
    pub status: Status,
    /// Field operations that met a type that does not fit.
    pub misfits: u64,
}

impl Edit {
    /// Reads an operation, which must be valid.
    pub fn read(action: Action<'_>) -> Self {
        match action {
            Action::Index(document) => Self::Index(Tree::parse(document)),
            Action::Create(document) => Self::Create(Tree::parse(document)),
            Action::Update(body) => Self::read_body(&Tree::parse(body)),
            Action::Delete => Self::Delete,
        }
    }

    fn read_body(body: &Tree) -> Self {
        let flag = |name, default| match body.member(name) {
            Some(Tree::Bool(value)) => *value,
            None => default,
            Some(other) => panic!("{name} is {other:?}"),
        };
        let mut steps = Vec::new();
        read_steps(body, &mut steps);
        Self::Update {
            steps,
            upsert: body.member("upsert").cloned(),
            doc_as_upsert: flag("doc_as_upsert", false),
            detect_noop: flag("detect_noop", true),
        }
    }

    /// Every scalar the operation holds.
    pub fn spellings(&self, seen: &mut Spellings) {
        match self {
            Self::Index(document) | Self::Create(document) => seen.add(document),
            Self::Update { steps, upsert, .. } => {
                for step in steps {
                    let (Step::Doc(tree) | Step::Set(_, tree) | Step::Field(_, tree)) = step;
                    seen.add(tree);
                }
                if let Some(upsert) = upsert {
                    seen.add(upsert);
                }
            }
            Self::Delete => {}
        }
    }

    /// Carries out the operation on a document, or on nothing.
    pub fn apply(&self, base: Option<&Tree>) -> After {
        let done = |document: &Tree, status| After { document: Some(document.clone()), status, misfits: 0 };
        match (self, base) {
            (Self::Index(document) | Self::Create(document), None) => done(document, Status::Created),
            (Self::Index(document), Some(_)) => done(document, Status::Updated),
            (Self::Create(_), Some(base)) => done(base, Status::Conflict),
            (Self::Delete, None) => After { document: None, status: Status::NotFound, misfits: 0 },
            (Self::Delete, Some(_)) => After { document: None, status: Status::Deleted, misfits: 0 },
            (Self::Update { steps, detect_noop, .. }, Some(base)) => {
                let (document, misfits) = run(steps, base);
                let unchanged = *detect_noop && document.equals(base);
                let status = if unchanged { Status::Noop } else { Status::Updated };
                After { document: Some(document), status, misfits }
            }
            (Self::Update { steps, doc_as_upsert: true, .. }, None) => {
                let (document, misfits) = run(steps, &Tree::empty_object());
                After { document: Some(document), status: Status::Created, misfits }
            }
            (Self::Update { upsert: Some(upsert), .. }, None) => done(upsert, Status::Created),
            (Self::Update { upsert: None, .. }, None) => {
                After { document: None, status: Status::NotFound, misfits: 0 }
            }
        }
    }
}

/// The parts of a body in order, what `then` carries after the rest.
fn read_steps(body: &Tree, steps: &mut Vec<Step>) {
    let mut then: &[Tree] = &[];
    for (name, value) in body.members() {
        let field = match name.decoded.as_slice() {
            b"doc" => {
                steps.push(Step::Doc(value.clone()));
                continue;
            }
            b"set" => {
                steps.extend(items(value).iter().map(read_set));
                continue;
            }
            b"then" => {
                then = items(value);
                continue;
            }
            b"upsert" | b"doc_as_upsert" | b"detect_noop" => continue,
            b"inc" => Field::Increment,
            b"append" => Field::Append,
            b"union" => Field::Union,
            b"subtract" => Field::Subtract,
            b"min" => Field::Min,
            b"max" => Field::Max,
            b"remove" => Field::Remove,
            _ => panic!("an update has no {}", name.raw),
        };
        steps.push(Step::Field(field, value.clone()));
    }
    for body in then {
        read_steps(body, steps);
    }
}

fn read_set(pair: &Tree) -> Step {
    let [path, value] = items(pair) else { panic!("{pair:?} is not a path and a value") };
    let name = |item: &Tree| match item {
        Tree::Text { raw, decoded } => Name { decoded: decoded.clone(), raw: raw.clone() },
        other => panic!("{other:?} is not a name"),
    };
    Step::Set(items(path).iter().map(name).collect(), value.clone())
}

fn items(tree: &Tree) -> &[Tree] {
    match tree {
        Tree::Array(items) => items,
        other => panic!("a list was expected, not {other:?}"),
    }
}

/// The document after the steps, and how many field operations did not fit.
fn run(steps: &[Step], base: &Tree) -> (Tree, u64) {
    let mut members = base.members().clone();
    let mut misfits = 0;
    for step in steps {
        match step {
            Step::Doc(patch) => merge(&mut members, patch.members()),
            Step::Set(path, value) => set(&mut members, path, value),
            Step::Field(field, operands) => touch(&mut members, *field, operands.members(), &mut misfits),
        }
    }
    (Tree::Object(members), misfits)
}

/// A partial document, as Elasticsearch merges it: two objects merge, anything else replaces.
fn merge(members: &mut Members, patch: &Members) {
    for (name, value) in patch {
        match (find(members, &name.decoded), value) {
            (None, _) => members.push((name.clone(), value.clone())),
            (Some(at), Tree::Object(patch)) if matches!(members[at].1, Tree::Object(_)) => {
                merge(level(members, name), patch);
            }
            (Some(at), _) => members[at].1 = value.clone(),
        }
    }
}

fn set(members: &mut Members, path: &[Name], value: &Tree) {
    match path {
        [] => panic!("set has an empty path"),
        [name] => put(members, name, value.clone()),
        [name, rest @ ..] => set(level(members, name), rest, value),
    }
}

/// A tree of operands, walked beside the document.
fn touch(members: &mut Members, field: Field, operands: &Members, misfits: &mut u64) {
    for (name, operand) in operands {
        let found = find(members, &name.decoded);
        match (operand, found) {
            (Tree::Object(below), _) if !matches!(field, Field::Remove | Field::Subtract) => {
                touch(level(members, name), field, below, misfits);
            }
            (Tree::Object(below), Some(at)) => {
                if let Tree::Object(inner) = &mut members[at].1 {
                    touch(inner, field, below, misfits);
                }
            }
            (Tree::Object(_), None) => {}
            (_, Some(at)) if field == Field::Remove => drop(members.remove(at)),
            (operand, _) => match field.result(found.map(|at| &members[at].1), operand) {
                Change::Keep => {}
                Change::Misfit => *misfits += 1,
                Change::To(value) => put(members, name, value),
            },
        }
    }
}

/// The object below a name, made where something else stands there or nothing does.
fn level<'a>(members: &'a mut Members, name: &Name) -> &'a mut Members {
    let at = find(members, &name.decoded).unwrap_or_else(|| {
        members.push((name.clone(), Tree::Null));
        members.len() - 1
    });
    if !matches!(members[at].1, Tree::Object(_)) {
        members[at].1 = Tree::empty_object();
    }
    let Tree::Object(inner) = &mut members[at].1 else { unreachable!("made an object above") };
    inner
}

fn put(members: &mut Members, name: &Name, value: Tree) {
    match find(members, &name.decoded) {
        Some(at) => members[at].1 = value,
        None => members.push((name.clone(), value)),
    }
}
