//! Real documents: webhook payloads, and the changes that lead from one payload of an event to the next.
//!
//! # Design
//! From each pair of payloads of one kind of event an update is made: what differs becomes a partial document, what
//! is gone is removed, and where both have a number or a list the change is a field operation. A stream of such
//! updates folded must end where the model ends, however it is cut.

use crate::support::action::OwnedAction;
use crate::support::model::{Decimal, Tree};
use crate::support::trial::{Trial, fold, net};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const PAYLOADS: &str = include_str!("../data/webhooks.ndjson");

/// The payloads of each kind of event, as text.
fn payloads() -> BTreeMap<String, Vec<String>> {
    let mut events: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in PAYLOADS.lines() {
        let line = Tree::parse(line.as_bytes());
        let (event, payload) = (line.member("event").unwrap(), line.member("payload").unwrap());
        events.entry(event.to_text()).or_default().push(payload.to_text());
    }
    events
}

/// The trees of one body, by the key each is written under.
#[derive(Default)]
struct Parts(BTreeMap<&'static str, Vec<(Vec<String>, String)>>);

impl Parts {
    fn add(&mut self, part: &'static str, path: &[String], operand: String) {
        self.0.entry(part).or_default().push((path.to_vec(), operand));
    }

    /// The touches that lead from one object to another.
    fn difference(&mut self, path: &mut Vec<String>, before: &Tree, after: &Tree) {
        for (name, old) in before.members() {
            path.push(name.raw.clone());
            let new =
                after.members().iter().find(|(other, _)| other.decoded == name.decoded).map(|(_, new)| new);
            match (old, new) {
                (_, None) => self.add("remove", path, "true".into()),
                (Tree::Object(_), Some(new @ Tree::Object(_))) => self.difference(path, old, new),
                (_, Some(new)) if old.equals(new) => {}
                (Tree::Number { text: old, .. }, Some(Tree::Number { text: new, .. })) => {
                    self.number(path, old, new);
                }
                (Tree::Array(_), Some(Tree::Array(_))) => self.add("union", path, new.unwrap().to_text()),
                (_, Some(new @ Tree::Object(_))) => self.set(path, new),
                (_, Some(new)) => self.add("doc", path, new.to_text()),
            }
            path.pop();
        }
        for (name, new) in after.members() {
            if before.members().iter().all(|(other, _)| other.decoded != name.decoded) {
                path.push(name.raw.clone());
                match new {
                    Tree::Object(_) => self.set(path, new),
                    Tree::Array(_) => self.add("append", path, new.to_text()),
                    _ => self.add("doc", path, new.to_text()),
                }
                path.pop();
            }
        }
    }

    /// The step from one number to another where it is small enough to add, else the greater of the two.
    fn number(&mut self, path: &[String], old: &str, new: &str) {
        let step = Decimal::parse(new).sum(&Decimal::parse(&negated(old)));
        match step.len() {
            ..=20 => self.add("inc", path, step),
            _ => self.add("max", path, new.to_owned()),
        }
    }

    fn set(&mut self, path: &[String], new: &Tree) {
        let pair = format!("[[{}],{}]", path.join(","), new.to_text());
        self.add("set", &[], pair);
    }

    fn body(&self) -> String {
        let mut body = String::from("{\"detect_noop\":true");
        for (part, touches) in &self.0 {
            let tree = if *part == "set" {
                let pairs: Vec<_> = touches.iter().map(|(_, pair)| pair.as_str()).collect();
                format!("[{}]", pairs.join(","))
            } else {
                nested(
                    &touches
                        .iter()
                        .map(|(path, operand)| (path.as_slice(), operand.as_str()))
                        .collect::<Vec<_>>(),
                )
            };
            write!(body, r#","{part}":{tree}"#).unwrap();
        }
        if self.0.is_empty() {
            body.push_str(r#","doc":{}"#);
        }
        body + "}"
    }
}

fn negated(number: &str) -> String {
    number.strip_prefix('-').map_or_else(|| format!("-{number}"), str::to_owned)
}

/// The end of a path, and the operand there.
type Touch<'a> = (&'a [String], &'a str);

/// Touches, each with its path, as one tree of objects.
fn nested(touches: &[Touch<'_>]) -> String {
    let mut levels: Vec<(&String, Vec<Touch<'_>>)> = Vec::new();
    for (path, operand) in touches {
        let (name, rest) = path.split_first().unwrap();
        match levels.iter_mut().find(|(other, _)| *other == name) {
            Some((_, below)) => below.push((rest, operand)),
            None => levels.push((name, vec![(rest, operand)])),
        }
    }
    let members: Vec<_> = levels
        .iter()
        .map(|(name, below)| match below.as_slice() {
            [([], operand)] => format!("{name}:{operand}"),
            below => format!("{name}:{}", nested(below)),
        })
        .collect();
    format!("{{{}}}", members.join(","))
}

/// The update that leads from one payload to the next.
fn update(before: &str, after: &str) -> OwnedAction {
    let mut parts = Parts::default();
    parts.difference(&mut Vec::new(), &Tree::parse(before.as_bytes()), &Tree::parse(after.as_bytes()));
    OwnedAction::Update(parts.body())
}

/// For each event, the updates from each payload to the next, around the circle.
fn streams() -> Vec<(Vec<String>, Vec<OwnedAction>)> {
    payloads()
        .into_values()
        .map(|payloads| {
            let next = payloads.iter().cycle().skip(1);
            let updates = payloads.iter().zip(next).map(|(before, after)| update(before, after)).collect();
            (payloads, updates)
        })
        .collect()
}

#[test]
fn the_data_is_as_its_readme_says() {
    let events = payloads();
    assert_eq!((events.len(), events.values().map(Vec::len).sum::<usize>()), (15, 60));
}

#[test]
fn changes_between_real_documents_fold_to_what_the_model_says() {
    for (payloads, updates) in streams() {
        Trial::new(Some(&payloads[0]), &updates).obeys_every_law();
        // The same changes over a document of another stage meet other types and absent fields.
        Trial::new(Some(&payloads[2]), &updates).obeys_every_law();
        Trial::new(None, &updates).obeys_every_law();
    }
}

#[test]
fn whole_payloads_as_partial_documents_fold_to_what_the_model_says() {
    for payloads in payloads().into_values() {
        let as_update =
            |payload: &String| OwnedAction::Update(format!(r#"{{"doc":{payload},"doc_as_upsert":true}}"#));
        let updates: Vec<_> = payloads.iter().map(as_update).collect();
        for base in [Some(payloads[3].as_str()), Some("{}"), None] {
            let trial = Trial::new(base, &updates);
            trial.obeys_every_law();
            trial.keeps_order();
            trial.folds_keep_order();
        }
    }
}

#[test]
fn all_events_over_one_document_fold_to_what_the_model_says() {
    let updates: Vec<_> = streams().into_iter().flat_map(|(_, updates)| updates).collect();
    let base = payloads().into_values().next().unwrap().remove(0);
    let trial = Trial::new(Some(&base), &updates);
    trial.one_by_one_agrees();
    trial.folds_agree();
    trial.reads_back_as_written();
    trial.keeps_statuses();
}

#[test]
fn an_index_of_a_real_document_keeps_every_byte_through_an_update_that_changes_nothing() {
    for payload in payloads().into_values().flatten() {
        let chain =
            [OwnedAction::Index(payload.clone()), OwnedAction::Update(format!(r#"{{"doc":{payload}}}"#))];
        let after = fold(&chain.iter().map(net).collect::<Vec<_>>()).apply(None).document.unwrap();
        assert_eq!(after, payload.as_bytes());
    }
}
