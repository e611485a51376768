//! What is replayed, and the documents that it comes to, one operation at a time: the state that nobody kills.
//!
//! # Design
//! Counters and lists tell how often an operation was applied, which puts and partial documents alone would not. A put or a
//! delete hides what went wrong before it, so there are streams without any.

use rand_pcg::{Lcg128Xsl64, rand_core::Rng};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fmt::Write as _};

/// By id.
pub(crate) type Documents = BTreeMap<String, Map<String, Value>>;

/// Of a thousand operations so many are partial documents, and so many appends; what is left are increments.
const DOC: u64 = 200;
const APPEND: u64 = 100;

/// What a stream is drawn from.
#[derive(Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) documents: u64,
    /// Puts and deletes among a thousand operations.
    pub(crate) anew: u64,
    /// Characters of a text.
    pub(crate) text: u64,
}

/// The documents that the operations drawn so far come to.
#[derive(Default)]
pub(crate) struct Model(Documents);

impl Model {
    /// Draws an operation, appends its lines to `out`, and does it.
    pub(crate) fn operation(&mut self, random: &mut Random, stream: Stream, out: &mut String) {
        let Stream { documents, anew, text } = stream;
        let (id, number) = (random.below(documents).to_string(), random.below(100));
        let (verb, body) = match random.below(1_000) {
            draw if draw < anew / 4 => {
                self.0.remove(&id);
                ("delete", None)
            }
            draw if draw < anew => {
                let document = json!({ "n": number, "in": { "a": number }, "text": random.text(text) });
                self.0.insert(id.clone(), object(&document).clone());
                ("index", Some(document))
            }
            draw if draw < anew + DOC => {
                let field = random.of(&["a", "b", "c"]);
                let change = json!({ "in": { field: number }, "text": random.text(text) });
                merge(self.0.entry(id.clone()).or_default(), object(&change));
                ("update", Some(json!({ "doc": change, "doc_as_upsert": true })))
            }
            draw if draw < anew + DOC + APPEND => {
                let list = self.0.entry(id.clone()).or_default().entry("list").or_insert(json!([]));
                list.as_array_mut().unwrap().push(number.into());
                ("update", Some(json!({ "append": { "list": [number] }, "upsert": { "list": [number] } })))
            }
            _ => {
                let document = self.0.entry(id.clone()).or_default();
                let sum = document.get("n").map_or(0, |n| n.as_u64().unwrap()) + number;
                document.insert("n".to_owned(), sum.into());
                ("update", Some(json!({ "inc": { "n": number }, "upsert": { "n": number } })))
            }
        };
        writeln!(out, "{}", json!({ verb: { "_index": "i", "_id": id } })).unwrap();
        if let Some(body) = body {
            writeln!(out, "{body}").unwrap();
        }
    }

    /// How documents that were found differ from these, if they do.
    pub(crate) fn difference(&self, found: &Documents) -> Option<String> {
        let mut ids = self.0.keys().chain(found.keys());
        let id = ids.find(|id| self.0.get(*id) != found.get(*id))?;
        let (expected, found) = (self.0.get(id), found.get(id));
        let (expected, found) = (unlike(expected, found), unlike(found, expected));
        Some(format!("document {id} differs:\n found    {found}\n expected {expected}"))
    }
}

/// The fields of a document that another does not have like this.
fn unlike(document: Option<&Map<String, Value>>, other: Option<&Map<String, Value>>) -> String {
    let Some(mut rest) = document.cloned() else { return "no document".to_owned() };
    rest.retain(|name, value| other.and_then(|other| other.get(name)) != Some(value));
    Value::Object(rest).to_string()
}

/// Puts fields into a document: objects are gone into, all else takes the place of what was there.
fn merge(document: &mut Map<String, Value>, change: &Map<String, Value>) {
    for (name, value) in change {
        match (document.get_mut(name), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            _ => drop(document.insert(name.clone(), value.clone())),
        }
    }
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

/// What is drawn from a seed.
pub(crate) struct Random(Lcg128Xsl64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Lcg128Xsl64::new(seed.into(), 0))
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound.max(1)
    }

    pub(crate) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }

    /// So many characters, give or take a few.
    fn text(&mut self, length: u64) -> String {
        let part: String = (0..8).map(|_| self.of(&['a', 'ö', '"', '7'])).collect();
        part.repeat(usize::try_from(length / 8).unwrap())
    }
}
