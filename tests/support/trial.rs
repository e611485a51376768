//! One chain of operations over one base, held against the model: each law is a method that panics where it fails.
//!
//! # Design
//! The model carries the chain out one operation at a time, once; whatever the library does with the same chain
//! (one by one, folded from the left, from the right, cut anywhere, written and read back) must end in that document.

use super::action::OwnedAction;
use super::model::{After, Edit, Spellings, Status, Tree};
use millpond::{Applied, NetOperation, Shape};
use std::fmt::Write as _;

pub struct Trial {
    base: Option<String>,
    base_tree: Option<Tree>,
    chain: Vec<OwnedAction>,
    nets: Vec<NetOperation>,
    /// What the model says of each operation in turn.
    steps: Vec<After>,
    seen: Spellings,
}

impl Trial {
    pub fn new(base: Option<&str>, chain: &[OwnedAction]) -> Self {
        let base_tree = base.map(|text| Tree::parse(text.as_bytes()));
        let mut seen = Spellings::default();
        if let Some(tree) = &base_tree {
            seen.add(tree);
        }
        let mut steps: Vec<After> = Vec::new();
        for action in chain {
            let edit = Edit::read(action.action());
            edit.spellings(&mut seen);
            let before = steps.last().map_or(base_tree.as_ref(), |after| after.document.as_ref());
            let after = edit.apply(before);
            if let Some(tree) = &after.document {
                seen.add(tree);
            }
            steps.push(after);
        }
        let nets = chain.iter().map(|action| net(action)).collect();
        Self { base: base.map(str::to_owned), base_tree, chain: chain.to_vec(), nets, steps, seen }
    }

    /// Every law at once.
    pub fn obeys_every_law(&self) {
        self.one_by_one_agrees();
        self.folds_agree();
        self.is_associative();
        self.reads_back_as_written();
        self.keeps_statuses();
        self.tells_changes();
        self.repeats_where_it_says_so();
    }

    fn story(&self) -> String {
        let mut story = format!("base {}", self.base.as_deref().unwrap_or("absent"));
        for (action, after) in self.chain.iter().zip(&self.steps) {
            let _ = write!(story, "\n  {:?}", action.action());
            let _ = write!(story, "\n    model: {:?} {}", after.status, text(after.document.as_ref()));
        }
        story
    }

    fn expected(&self) -> Option<&Tree> {
        self.steps.last().map_or(self.base_tree.as_ref(), |after| after.document.as_ref())
    }

    fn base_bytes(&self) -> Option<&[u8]> {
        self.base.as_deref().map(str::as_bytes)
    }

    #[track_caller]
    fn ends_well(&self, what: &str, applied: &Applied) {
        self.is_document(what, self.expected(), applied);
    }

    #[track_caller]
    fn is_document(&self, what: &str, expected: Option<&Tree>, applied: &Applied) {
        let found = applied.document.as_deref();
        let same = match (expected, found) {
            (None, None) => true,
            (Some(expected), Some(found)) => {
                expected.to_text().as_bytes() == found || expected.reads_as(&Tree::parse(found), &self.seen)
            }
            _ => false,
        };
        assert!(
            same,
            "{what} differs from the model\n  found    {}\n  expected {}\n{}",
            found.map_or("absent".into(), String::from_utf8_lossy),
            text(expected),
            self.story()
        );
    }

    /// Applying each operation alone, in turn, does what the model does: document, change and misfits.
    pub fn one_by_one_agrees(&self) {
        let mut current = self.base_bytes().map(<[u8]>::to_vec);
        for (at, (net, after)) in self.nets.iter().zip(&self.steps).enumerate() {
            let applied = net.apply(current.as_deref());
            self.is_document(&format!("operation {at} alone"), after.document.as_ref(), &applied);
            // What follows in one body folds before there is a base, and a misfit may be gone by then.
            let all_told =
                !matches!(&self.chain[at], OwnedAction::Update(body) if body.contains(r#""then""#));
            let (told, model) = (applied.misfits, after.misfits);
            assert!(
                told == model || !all_told && told < model,
                "misfits of {at}: {told}, {model}\n{}",
                self.story()
            );
            current = applied.document.map(|document| document.to_vec());
        }
    }

    /// The whole chain folded from the left.
    pub fn left(&self) -> NetOperation {
        fold(&self.nets)
    }

    /// Folding from the left, and from the right, ends in the model's document.
    pub fn folds_agree(&self) {
        self.ends_well("the fold from the left", &self.left().apply(self.base_bytes()));
        self.ends_well("the fold from the right", &fold_right(&self.nets).apply(self.base_bytes()));
    }

    /// Wherever the chain is cut, the two halves folded and then composed are the whole. They need not be equal as
    /// operations: of two spellings of one value, or two places of a member, each may have kept another.
    pub fn is_associative(&self) {
        for cut in 1..self.nets.len() {
            let (early, late) = self.nets.split_at(cut);
            let joined = fold(early).compose(&fold_right(late));
            self.ends_well(&format!("the chain cut at {cut} and joined"), &joined.apply(self.base_bytes()));
        }
    }

    /// The fold, written as text and read back, is equal and has the same effect.
    pub fn reads_back_as_written(&self) {
        for net in self.nets.iter().chain([&self.left()]) {
            let mut body = Vec::new();
            net.write_body(&mut body);
            let read = NetOperation::from_parts(net.verb(), &body)
                .unwrap_or_else(|error| panic!("{error}: {}\n{}", written(net), self.story()));
            assert!(
                read == *net,
                "written and read back is not equal\n  wrote {}\n  read  {}\n{}",
                written(net),
                written(&read),
                self.story()
            );
            assert_eq!(read.detects_noop(), net.detects_noop(), "{}\n{}", written(net), self.story());
            assert_eq!(read.shape(), net.shape(), "{}\n{}", written(net), self.story());
        }
        let mut body = Vec::new();
        self.left().write_body(&mut body);
        if let Ok(read) = NetOperation::from_parts(self.left().verb(), &body) {
            self.ends_well("the fold written and read back", &read.apply(self.base_bytes()));
        }
    }

    /// What each operation did can be told from whether the base existed, by the prefix folded before it.
    /// A noop counts as updated: it is told of a flight as a whole.
    pub fn keeps_statuses(&self) {
        let mut prefix: Option<NetOperation> = None;
        for ((net, action), after) in self.nets.iter().zip(&self.chain).zip(&self.steps) {
            let base = self.base.is_some();
            let before = prefix.as_ref().map_or(base, |prefix| prefix.existence_after(base));
            let exists = net.existence_after(before);
            let told = match (action, before, exists) {
                (OwnedAction::Delete, true, false) => Status::Deleted,
                (OwnedAction::Create(_), true, true) => Status::Conflict,
                (OwnedAction::Index(_) | OwnedAction::Update(_), true, true) => Status::Updated,
                (OwnedAction::Delete | OwnedAction::Update(_), false, false) => Status::NotFound,
                (OwnedAction::Index(_) | OwnedAction::Create(_) | OwnedAction::Update(_), false, true) => {
                    Status::Created
                }
                other => panic!("{other:?} cannot be\n{}", self.story()),
            };
            let expected = if after.status == Status::Noop { Status::Updated } else { after.status };
            assert_eq!(told, expected, "{}", self.story());
            prefix = Some(prefix.map_or_else(|| net.clone(), |prefix| prefix.compose(net)));
        }
        assert_eq!(
            self.left().existence_after(self.base.is_some()),
            self.expected().is_some(),
            "{}",
            self.story()
        );
    }

    /// `changed` is false exactly where a patch leaves a document as it was, and so a noop is the model's noop.
    pub fn tells_changes(&self) {
        let Some(base) = &self.base_tree else { return };
        let (first, net) = (&self.steps[0], &self.nets[0]);
        if net.shape() == Shape::Patch {
            let changed = net.apply(self.base_bytes()).changed;
            let noop = !changed && net.detects_noop();
            let unchanged = matches!(first.status, Status::Noop | Status::Conflict);
            assert_eq!(noop, unchanged, "noop of the first operation\n{}", self.story());
        }
        let whole = self.left();
        if let (Shape::Patch, Some(after)) = (whole.shape(), self.expected()) {
            let changed = whole.apply(self.base_bytes()).changed;
            assert_eq!(
                changed,
                !base.equals(after),
                "changed, of the fold {}\n{}",
                written(&whole),
                self.story()
            );
        }
    }

    /// An operation that calls itself repeatable does nothing the second time.
    pub fn repeats_where_it_says_so(&self) {
        for net in self.nets.iter().chain([&self.left()]).filter(|net| net.is_repeatable()) {
            for base in [self.base_bytes(), None] {
                let Some(once) = net.apply(base).document else { continue };
                let twice = net.apply(Some(&once)).document;
                let same =
                    twice.as_deref().is_some_and(|twice| Tree::parse(twice).equals(&Tree::parse(&once)));
                assert!(
                    same,
                    "not repeatable: {}\n  once  {}\n  twice {:?}\n{}",
                    written(net),
                    String::from_utf8_lossy(&once),
                    twice,
                    self.story()
                );
            }
        }
    }

    /// One by one, the members of every object stand in the model's order: for partial documents alone, as the order of
    /// what the parts of one body add is not laid down.
    pub fn keeps_order(&self) {
        let found = self.one_by_one();
        let same = match (self.expected(), &found) {
            (Some(expected), Some(found)) => expected.ordered_as(found),
            _ => true,
        };
        assert!(same, "order, one by one: {}\n{}", text(found.as_ref()), self.story());
    }

    /// Folded, the members of every object stand where they stand one by one.
    pub fn folds_keep_order(&self) {
        let expected = self.one_by_one();
        for (what, net) in [("left", self.left()), ("right", fold_right(&self.nets))] {
            let found = net.apply(self.base_bytes()).document.map(|text| Tree::parse(&text));
            let same = match (&expected, &found) {
                (Some(expected), Some(found)) => expected.ordered_as(found),
                _ => true,
            };
            assert!(same, "order, folded from the {what}: {}\n{}", text(found.as_ref()), self.story());
        }
    }

    /// What the library itself makes of the chain, without folding.
    fn one_by_one(&self) -> Option<Tree> {
        let mut current = self.base_bytes().map(<[u8]>::to_vec);
        for net in &self.nets {
            current = net.apply(current.as_deref()).document.map(|document| document.to_vec());
        }
        current.map(|text| Tree::parse(&text))
    }
}

/// The net operation of one action, which must be valid.
#[track_caller]
pub fn net(action: &OwnedAction) -> NetOperation {
    NetOperation::new(action.action()).unwrap_or_else(|error| panic!("{error}: {action:?}"))
}

/// Folds a chain of at least one from the left.
pub fn fold(chain: &[NetOperation]) -> NetOperation {
    chain[1..].iter().fold(chain[0].clone(), |folded, later| folded.compose(later))
}

/// Folds a chain of at least one from the right.
pub fn fold_right(chain: &[NetOperation]) -> NetOperation {
    let (last, earlier) = chain.split_last().unwrap();
    earlier.iter().rev().fold(last.clone(), |folded, earlier| earlier.compose(&folded))
}

/// A net operation as people read it.
pub fn written(net: &NetOperation) -> String {
    let mut body = Vec::new();
    net.write_body(&mut body);
    format!("{} {}", net.verb(), String::from_utf8_lossy(&body))
}

fn text(document: Option<&Tree>) -> String {
    document.map_or_else(|| "absent".to_owned(), Tree::to_text)
}
