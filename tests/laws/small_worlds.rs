//! Small worlds, exhaustively: every base, with every pair and every triple of operations.
//!
//! # The worlds
//! Names do not interact but for their order, so a world of depth 2 is covered by one name with two names below it
//! (what a level does to what is under it, and to what stood in its place) and one of two names side by side.
//! The five values are null, `1`, `"x"`, `[1]` and `{}`.
//!
//! | world | bases | operations | cases, in triples |
//! | --- | --- | --- | --- |
//! | partial documents below one name | 42 | 41 | 42 × 41³ = 2,894,682 |
//! | partial documents over two names | 37 | 36 | 37 × 36³ = 1,726,272 |
//! | every primitive | 18 | 41 | 18 × 41³ = 1,240,578 |
//! | whole actions | 7 | 29 | 7 × 29³ = 170,723 |
//!
//! A case folds its operations from the left and from the right, and holds both against the model (and each against the
//! other, as an operation equal to it); the pairs are tried
//! on the way to the triples. Each test counts its cases. The larger world, every pair of the 1,681 partial documents of
//! depth 2 over both names (37 × 1,681 × 1,681 = 104,553,157 cases), is ignored by default, and in two halves, for two threads:
//! `cargo test --release --test laws small_worlds -- --ignored`.

use crate::support::action::OwnedAction;
use crate::support::model::{After, Edit, Spellings, Tree};
use crate::support::trial::{net, written};
use millpond::NetOperation;

const VALUES: [&str; 5] = ["null", "1", r#""x""#, "[1]", "{}"];

struct World {
    bases: Vec<Option<String>>,
    operations: Vec<OwnedAction>,
    /// Try triples; else pairs alone.
    triples: bool,
}

impl World {
    /// Every triple over every base, and on the way every pair. Returns the number of cases.
    fn holds(&self) -> usize {
        self.holds_where(|_| true)
    }

    /// The same of those whose first operation is one of these.
    fn holds_where(&self, is_first: impl Fn(usize) -> bool) -> usize {
        let nets: Vec<NetOperation> = self.operations.iter().map(net).collect();
        let edits: Vec<Edit> = self.operations.iter().map(|action| Edit::read(action.action())).collect();
        let bases: Vec<Option<Tree>> =
            self.bases.iter().map(|base| base.as_ref().map(|text| Tree::parse(text.as_bytes()))).collect();
        let mut seen = Spellings::default();
        for edit in &edits {
            edit.spellings(&mut seen);
        }
        bases.iter().flatten().for_each(|base| seen.add(base));
        let judge = Judge { world: self, seen };
        let rows: Vec<Vec<NetOperation>> = if self.triples {
            nets.iter().map(|first| nets.iter().map(|second| first.compose(second)).collect()).collect()
        } else {
            Vec::new()
        };
        let mut cases = 0;
        for (first, edit) in edits.iter().enumerate().filter(|(first, _)| is_first(*first)) {
            let after_first = applied_to(edit, bases.iter().map(Option::as_ref));
            judge.agree(&[&nets[first]], &[first], &after_first);
            for (second, edit) in edits.iter().enumerate() {
                let pair = nets[first].compose(&nets[second]);
                let after_second = applied_to(edit, after_first.iter().map(|after| after.document.as_ref()));
                judge.agree(&[&pair], &[first, second], &after_second);
                if !self.triples {
                    cases += after_second.len();
                    continue;
                }
                for (third, edit) in edits.iter().enumerate() {
                    let from_left = pair.compose(&nets[third]);
                    let from_right = nets[first].compose(&rows[second][third]);
                    let after = applied_to(edit, after_second.iter().map(|after| after.document.as_ref()));
                    judge.agree(&[&from_left, &from_right], &[first, second, third], &after);
                    judge.are_equal(&from_left, &from_right, &[first, second, third]);
                    cases += after.len();
                }
            }
        }
        cases
    }
}

fn applied_to<'a>(edit: &Edit, documents: impl Iterator<Item = Option<&'a Tree>>) -> Vec<After> {
    documents.map(|document| edit.apply(document)).collect()
}

struct Judge<'a> {
    world: &'a World,
    seen: Spellings,
}

impl Judge<'_> {
    /// The two folds are equal as operations, unless a member is removed: set again, it may stand in either place.
    fn are_equal(&self, from_left: &NetOperation, from_right: &NetOperation, chain: &[usize]) {
        let removes = |at: &usize| matches!(&self.world.operations[*at], OwnedAction::Update(body) if body.contains("remove"));
        let equal = from_left == from_right || chain.iter().any(removes);
        assert!(equal, "{} is not {}", written(from_left), written(from_right));
    }

    /// Each of the folds, applied to each base, gives the model's document.
    fn agree(&self, folds: &[&NetOperation], chain: &[usize], after: &[After]) {
        for (base, after) in self.world.bases.iter().zip(after) {
            let expected = after.document.as_ref();
            let expected_text = expected.map(Tree::to_text);
            for (way, fold) in folds.iter().enumerate() {
                let applied = fold.apply(base.as_deref().map(str::as_bytes));
                let found = applied.document.as_deref();
                let same = found == expected_text.as_deref().map(str::as_bytes)
                    || matches!((expected, found), (Some(expected), Some(found))
                        if expected.reads_as(&Tree::parse(found), &self.seen));
                let story = || {
                    let chain: Vec<_> = chain.iter().map(|at| &self.world.operations[*at]).collect();
                    let found = found.map(String::from_utf8_lossy);
                    format!("way {way}: {base:?} with {chain:?} is {found:?}, expected {expected_text:?}")
                };
                assert!(same, "{}", story());
                assert_eq!(fold.existence_after(base.is_some()), expected.is_some(), "{}", story());
            }
        }
    }
}

/// Every object over two names, each absent or with one of the values.
fn objects(values: &[String]) -> Vec<String> {
    let choices = |name: &str| -> Vec<String> {
        let present = values.iter().map(|value| format!(r#""{name}":{value}"#));
        std::iter::once(String::new()).chain(present).collect()
    };
    let mut all = Vec::new();
    for a in choices("a") {
        for b in choices("b") {
            let comma = if a.is_empty() || b.is_empty() { "" } else { "," };
            all.push(format!("{{{a}{comma}{b}}}"));
        }
    }
    all
}

/// The values of depth at most 1: the given ones, and every object over two names of them.
fn nested_values(values: &[&str]) -> Vec<String> {
    let values: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
    let objects = objects(&values);
    // The empty object is among the objects.
    values.into_iter().filter(|value| value != "{}").chain(objects).collect()
}

fn bases(documents: impl IntoIterator<Item = String>) -> Vec<Option<String>> {
    std::iter::once(None).chain(documents.into_iter().map(Some)).collect()
}

fn doc_as_upsert(documents: &[String]) -> Vec<OwnedAction> {
    documents
        .iter()
        .map(|doc| OwnedAction::Update(format!(r#"{{"doc":{doc},"doc_as_upsert":true}}"#)))
        .collect()
}

fn values() -> Vec<String> {
    VALUES.map(str::to_owned).to_vec()
}

#[test]
fn partial_documents_below_one_name() {
    let below = nested_values(&VALUES).into_iter().map(|value| format!(r#"{{"a":{value}}}"#));
    let documents: Vec<_> = std::iter::once("{}".to_owned()).chain(below).collect();
    let operations = doc_as_upsert(&documents);
    let world = World { bases: bases(documents), operations, triples: true };
    assert_eq!(world.holds(), 2_894_682);
}

#[test]
fn partial_documents_over_two_names() {
    let documents = objects(&values());
    let operations = doc_as_upsert(&documents);
    let world = World { bases: bases(documents), operations, triples: true };
    assert_eq!(world.holds(), 1_726_272);
}

#[test]
fn every_primitive() {
    let bases = bases(PRIMITIVE_BASES.map(str::to_owned));
    let operations = PRIMITIVES.map(|body| OwnedAction::Update(body.to_owned())).to_vec();
    let world = World { bases, operations, triples: true };
    assert_eq!(world.holds(), 1_240_578);
}

const PRIMITIVE_BASES: [&str; 17] = [
    "{}",
    r#"{"a":null}"#,
    r#"{"a":1}"#,
    r#"{"a":2}"#,
    r#"{"a":0.5}"#,
    r#"{"a":"x"}"#,
    r#"{"a":"y"}"#,
    r#"{"a":[]}"#,
    r#"{"a":[1]}"#,
    r#"{"a":[1,"x",1]}"#,
    r#"{"a":{}}"#,
    r#"{"a":{"a":1}}"#,
    r#"{"a":{"a":"x"}}"#,
    r#"{"a":{"a":[1]}}"#,
    r#"{"a":{"a":null,"b":1}}"#,
    r#"{"a":{"a":{}}}"#,
    r#"{"b":1}"#,
];

const PRIMITIVES: [&str; 41] = [
    r#"{"doc":{"a":null}}"#,
    r#"{"doc":{"a":1}}"#,
    r#"{"doc":{"a":"x"}}"#,
    r#"{"doc":{"a":[1]}}"#,
    r#"{"doc":{"a":{}}}"#,
    r#"{"doc":{"a":{"a":1}}}"#,
    r#"{"doc":{"a":{"b":"x"}}}"#,
    r#"{"set":[[["a"],null]]}"#,
    r#"{"set":[[["a"],1]]}"#,
    r#"{"set":[[["a"],{}]]}"#,
    r#"{"set":[[["a"],{"a":1}]]}"#,
    r#"{"set":[[["a","a"],1]]}"#,
    r#"{"remove":{"a":true}}"#,
    r#"{"remove":{"a":{"a":true}}}"#,
    r#"{"inc":{"a":1}}"#,
    r#"{"inc":{"a":-1}}"#,
    r#"{"inc":{"a":0.5}}"#,
    r#"{"inc":{"a":{"a":1}}}"#,
    r#"{"append":{"a":1}}"#,
    r#"{"append":{"a":[]}}"#,
    r#"{"append":{"a":[1,"x"]}}"#,
    r#"{"append":{"a":{"a":[1]}}}"#,
    r#"{"union":{"a":1}}"#,
    r#"{"union":{"a":[]}}"#,
    r#"{"union":{"a":["x",null]}}"#,
    r#"{"union":{"a":{"a":1}}}"#,
    r#"{"subtract":{"a":1}}"#,
    r#"{"subtract":{"a":[]}}"#,
    r#"{"subtract":{"a":["x",null]}}"#,
    r#"{"subtract":{"a":{"a":1}}}"#,
    r#"{"min":{"a":1}}"#,
    r#"{"min":{"a":"x"}}"#,
    r#"{"min":{"a":0.5}}"#,
    r#"{"min":{"a":{"a":0}}}"#,
    r#"{"max":{"a":1.0}}"#,
    r#"{"max":{"a":"x"}}"#,
    r#"{"max":{"a":2}}"#,
    r#"{"max":{"a":{"a":2}}}"#,
    r#"{"doc":{"a":{}},"remove":{"a":{"a":true}}}"#,
    r#"{"doc":{"a":{"b":1}},"inc":{"a":{"a":1}}}"#,
    r#"{"inc":{"a":1},"then":[{"append":{"a":1}},{"union":{"a":2}}]}"#,
];

#[test]
fn whole_actions() {
    let documents = ["{}", r#"{"a":1}"#, r#"{"a":null}"#, r#"{"a":"x"}"#, r#"{"a":{"b":1}}"#, r#"{"a":[1]}"#];
    let parts = [
        r#""doc":{"a":1}"#,
        r#""doc":{"a":{"b":1}}"#,
        r#""doc":{},"inc":{"a":1}"#,
        r#""doc":{},"remove":{"a":true}"#,
        r#""doc":{},"append":{"a":1}"#,
        r#""doc":{},"max":{"a":2}"#,
    ];
    let absent = ["", r#","upsert":{"a":0}"#, r#","upsert":{}"#, r#","doc_as_upsert":true"#];
    let mut operations: Vec<_> = parts
        .iter()
        .flat_map(|part| absent.iter().map(move |absent| OwnedAction::Update(format!("{{{part}{absent}}}"))))
        .collect();
    for document in ["{}", r#"{"a":1}"#] {
        operations.push(OwnedAction::Index(document.into()));
        operations.push(OwnedAction::Create(document.into()));
    }
    operations.push(OwnedAction::Delete);
    let world = World { bases: bases(documents.map(str::to_owned)), operations, triples: true };
    assert_eq!(world.holds(), 170_723);
}

fn of_depth_two_over_two_names() -> World {
    let operations = doc_as_upsert(&objects(&nested_values(&VALUES)));
    World { bases: bases(objects(&values())), operations, triples: false }
}

#[test]
#[ignore = "fifty million cases: minutes, not seconds"]
fn partial_documents_of_depth_two_over_two_names_in_pairs_of_which_the_first_is_even() {
    assert_eq!(of_depth_two_over_two_names().holds_where(|first| first % 2 == 0), 37 * 1_681 * 841);
}

#[test]
#[ignore = "fifty million cases: minutes, not seconds"]
fn partial_documents_of_depth_two_over_two_names_in_pairs_of_which_the_first_is_odd() {
    assert_eq!(of_depth_two_over_two_names().holds_where(|first| first % 2 == 1), 37 * 1_681 * 840);
}
