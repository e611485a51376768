//! What no operation touches comes out byte for byte, blanks and spellings included, however much was folded.

use crate::support::action::OwnedAction;
use crate::support::generate::{body_of, document};
use crate::support::model::{Edit, Name, Step, Tree, decode, raw_members};
use crate::support::trial::{fold, net};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The paths a chain touches: `None` below a name is the end of a path, where anything may change.
#[derive(Default)]
struct Touched(BTreeMap<Vec<u8>, Option<Touched>>);

impl Touched {
    fn end(&mut self, name: &Name) {
        self.0.insert(name.decoded.clone(), None);
    }

    /// The level below, unless a path ends there.
    fn below(&mut self, name: &Name) -> Option<&mut Touched> {
        self.0.entry(name.decoded.clone()).or_insert_with(|| Some(Touched::default())).as_mut()
    }

    fn add_step(&mut self, step: &Step) {
        match step {
            Step::Doc(tree) | Step::Field(_, tree) => self.add_tree(tree),
            Step::Set(path, _) => self.add_path(path),
        }
    }

    fn add_tree(&mut self, tree: &Tree) {
        for (name, value) in tree.members() {
            match value {
                Tree::Object(_) => {
                    if let Some(level) = self.below(name) {
                        level.add_tree(value);
                    }
                }
                _ => self.end(name),
            }
        }
    }

    fn add_path(&mut self, path: &[Name]) {
        match path {
            [] => {}
            [name] => self.end(name),
            [name, rest @ ..] => {
                if let Some(level) = self.below(name) {
                    level.add_path(rest);
                }
            }
        }
    }

    /// Every member of `before` that lies on no touched path stands in `after` with the same bytes.
    fn spares(&self, before: &str, after: &str) {
        let members = raw_members(after);
        for (name, value) in raw_members(before) {
            let found =
                members.iter().find(|(other, _)| other.decoded == name.decoded).map(|(_, value)| *value);
            match self.0.get(&name.decoded) {
                None => assert_eq!(found, Some(value), "{} of {before} in {after}", name.raw),
                Some(None) => {}
                Some(Some(below)) => match found {
                    Some(found) if value.starts_with('{') && found.starts_with('{') => {
                        below.spares(value, found);
                    }
                    Some(found) if below.0.is_empty() => assert!(found == value || found == "{}"),
                    _ => {}
                },
            }
        }
    }
}

fn spared_by(before: &str, bodies: Vec<String>) {
    let actions: Vec<_> = bodies.into_iter().map(OwnedAction::Update).collect();
    let mut touched = Touched::default();
    for action in &actions {
        if let Edit::Update { steps, .. } = Edit::read(action.action()) {
            for step in &steps {
                touched.add_step(step);
            }
        }
    }
    let nets: Vec<_> = actions.iter().map(net).collect();
    let after = fold(&nets).apply(Some(before.as_bytes())).document.unwrap();
    touched.spares(before, std::str::from_utf8(&after).unwrap());
}

proptest! {
    #![proptest_config(crate::laws::config())]

    #[test]
    fn untouched_members_keep_their_bytes(
        before in document(),
        bodies in prop::collection::vec(body_of(&crate::support::plan::PARTS), 1..4),
    ) {
        spared_by(&before, bodies);
    }
}

#[test]
fn numbers_that_nothing_touches_keep_their_digits() {
    for number in
        ["1.10", "1e400", "-0", "123456789012345678901234567890", "1E+2", "-0.0", "1e-400", "0.10e1"]
    {
        let before = format!(r#"{{"n":{number},"deep":{{"n": [{number} , {number}]}},"m":1}}"#);
        spared_by(&before, vec![r#"{"doc":{"m":2,"deep":{"new":1}}}"#.into(), r#"{"inc":{"m":1}}"#.into()]);
        let put = net(&OwnedAction::Index(before.clone()));
        assert_eq!(put.apply(None).document.as_deref(), Some(before.as_bytes()), "an index keeps every byte");
    }
}

#[test]
fn strings_that_nothing_touches_keep_their_escapes() {
    for string in
        [r#""\u0000""#, r#""\ud800""#, r#""\uDC00x""#, r#""\u0061\/""#, r#""\ud83d\ude00""#, "\"\u{7f}é😀\""]
    {
        let before = format!(r#"{{{string}:{string},"list":[{string}],"m":1}}"#);
        spared_by(&before, vec![r#"{"doc":{"m":2}}"#.into(), r#"{"append":{"other":["x"]}}"#.into()]);
        // A value that an operation brings keeps its spelling as well.
        let after =
            net(&OwnedAction::Update(format!(r#"{{"doc":{{"v":{string}}}}}"#))).apply(Some(b"{}")).document;
        assert_eq!(raw_members(std::str::from_utf8(&after.unwrap()).unwrap())[0].1, string);
    }
}

#[test]
fn the_model_reads_escapes_as_wtf_8() {
    assert_eq!(decode(r#""\ud800""#), [0xed, 0xa0, 0x80]);
    assert_eq!(decode(r#""\ud83d\ude00""#), "😀".as_bytes());
    assert_eq!(decode(r#""\u0061\u0000""#), b"a\0");
}
