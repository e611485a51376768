//! The baseline: a concurrent map of parsed documents, merged as they come in, as an ordinary engineer would write it.
//!
//! # Design
//! `DashMap<String, Value>` with its default hasher and shards, the key made of the index and the id. A body is parsed into
//! a struct or a tree before the map is locked, and merged by the rules of Elasticsearch's partial documents; a counter is
//! added to. Drained by writing each document behind an action line. Nothing here is slower than it has to be within that
//! design: no tree for an update's envelope, no allocation for an action line, no copy of a tree that can be moved.
//!
//! # Why not more of what the engine has
//! It knows neither order in the sink, nor retries, nor a bound on its memory, nor documents that it has not seen: what it
//! is told to change and does not hold, it takes for absent. That is less work than the engine does, in its favour.

use crate::{
    peer::{Drained, Drains, Peer, TakesLines},
    workload::{INDEX, Kind, Operation},
};
use dashmap::{DashMap, Entry};
use serde::Deserialize;
use serde_json::{Map, Number, Value, map};

/// Bytes of lines that are handed on at once.
const PIECE_BYTES: usize = 64 * 1024;
/// Between the index and the id of a key. No index name holds it.
const BETWEEN: char = '/';

/// A concurrent map of parsed documents.
#[derive(Debug, Default)]
pub struct Baseline {
    documents: DashMap<String, Value>,
}

/// The body of an update.
#[derive(Debug, Deserialize)]
struct Update {
    doc: Option<Map<String, Value>>,
    inc: Option<Map<String, Value>>,
    upsert: Option<Map<String, Value>>,
    #[serde(default)]
    doc_as_upsert: bool,
}

impl Baseline {
    /// How many documents are held.
    pub fn documents(&self) -> usize {
        self.documents.len()
    }

    /// The document of an id, if there is one.
    pub fn get(&self, id: &str) -> Option<Value> {
        self.documents.get(&key(INDEX, id)).map(|document| document.value().clone())
    }

    /// Stores a document.
    fn index(&self, id: &str, body: &str) -> serde_json::Result<()> {
        let document: Value = serde_json::from_str(body)?;
        self.documents.insert(key(INDEX, id), document);
        Ok(())
    }

    /// Changes a document, or makes it.
    fn update(&self, id: &str, body: &str) -> serde_json::Result<()> {
        let update: Update = serde_json::from_str(body)?;
        match self.documents.entry(key(INDEX, id)) {
            Entry::Occupied(mut held) => {
                if let Value::Object(document) = held.get_mut() {
                    update.apply(document);
                }
            }
            Entry::Vacant(place) => {
                if update.doc_as_upsert {
                    let mut document = Map::new();
                    update.apply(&mut document);
                    place.insert(Value::Object(document));
                } else if let Some(upsert) = update.upsert {
                    place.insert(Value::Object(upsert));
                }
            }
        }
        Ok(())
    }
}

impl Update {
    fn apply(self, document: &mut Map<String, Value>) {
        if let Some(doc) = self.doc {
            merge(document, doc);
        }
        if let Some(inc) = self.inc {
            increment(document, inc);
        }
    }
}

/// Objects merge, everything else replaces.
fn merge(document: &mut Map<String, Value>, doc: Map<String, Value>) {
    for (name, value) in doc {
        match document.entry(name) {
            map::Entry::Vacant(place) => {
                place.insert(value);
            }
            map::Entry::Occupied(mut held) => match (held.get_mut(), value) {
                (Value::Object(below), Value::Object(above)) => merge(below, above),
                (held, value) => *held = value,
            },
        }
    }
}

/// Adds the numbers of a tree to those of the document. A field that is absent or null starts at nothing; one that is no
/// number stays.
fn increment(document: &mut Map<String, Value>, inc: Map<String, Value>) {
    for (name, by) in inc {
        let held = document.entry(name).or_insert(Value::Null);
        match by {
            Value::Object(inner) => {
                if !held.is_object() {
                    *held = Value::Object(Map::new());
                }
                if let Value::Object(below) = held {
                    increment(below, inner);
                }
            }
            Value::Number(by) => match held {
                Value::Null => *held = Value::Number(by),
                Value::Number(number) => *number = sum(number, &by),
                _ => {}
            },
            _ => {}
        }
    }
}

fn sum(one: &Number, other: &Number) -> Number {
    if let (Some(one), Some(other)) = (one.as_i64(), other.as_i64())
        && let Some(sum) = one.checked_add(other)
    {
        return sum.into();
    }
    let sum = one.as_f64().unwrap_or(0.0) + other.as_f64().unwrap_or(0.0);
    Number::from_f64(sum).unwrap_or_else(|| one.clone())
}

fn key(index: &str, id: &str) -> String {
    let mut key = String::with_capacity(index.len() + 1 + id.len());
    key.push_str(index);
    key.push(BETWEEN);
    key.push_str(id);
    key
}

impl Peer for Baseline {
    #[expect(clippy::expect_used, reason = "a workload holds valid bodies only; its tests parse them")]
    fn submit(&self, operation: &Operation<'_>) {
        match operation.kind {
            Kind::Index => self.index(operation.id, operation.body),
            Kind::Update => self.update(operation.id, operation.body),
        }
        .expect("the workload's bodies are valid");
    }
}

impl Drains for Baseline {
    fn drain(&self, mut lines: Option<TakesLines<'_>>) -> Drained {
        let (mut piece, mut drained) = (Vec::with_capacity(2 * PIECE_BYTES), Drained::default());
        let mut hand_on = |piece: &mut Vec<u8>, drained: &mut Drained| {
            drained.bytes += piece.len() as u64;
            if let Some(lines) = &mut lines {
                lines(piece);
            }
            std::hint::black_box(&*piece);
            piece.clear();
        };
        self.documents.retain(|key, document| {
            write_lines(key, document, &mut piece);
            drained.documents += 1;
            if piece.len() >= PIECE_BYTES {
                hand_on(&mut piece, &mut drained);
            }
            false
        });
        hand_on(&mut piece, &mut drained);
        drained
    }
}

/// Appends a document as bulk NDJSON. The ids of a workload need no escapes.
#[expect(clippy::expect_used, reason = "writing a tree to memory does not fail")]
fn write_lines(key: &str, document: &Value, out: &mut Vec<u8>) {
    let (index, id) = key.split_once(BETWEEN).unwrap_or((key, ""));
    out.extend_from_slice(b"{\"index\":{\"_index\":\"");
    out.extend_from_slice(index.as_bytes());
    out.extend_from_slice(b"\",\"_id\":\"");
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(b"\"}}\n");
    serde_json::to_writer(&mut *out, document).expect("memory takes all that is written");
    out.push(b'\n');
}
