//! The sequential program: one update at a time, on parsed documents. What the engine must end with.
//!
//! Knows just what the two flights files use: `doc`, `inc` of integers, `union`, `max` of integers, and
//! `doc_as_upsert`; and takes nothing from the engine.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a line it does not know must end the test"
)]

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Documents by id.
pub(crate) type Documents = BTreeMap<String, Value>;

/// Applies bulk lines one after the other; returns the documents and the number of updates.
pub(crate) fn run(lines: &str) -> (Documents, usize) {
    let (mut documents, mut updates) = (Documents::new(), 0);
    let mut lines = lines.lines();
    while let (Some(action), Some(body)) = (lines.next(), lines.next()) {
        let action: Value = serde_json::from_str(action).expect("an action line");
        let body: Value = serde_json::from_str(body).expect("a body line");
        let id = action["update"]["_id"].as_str().expect("an update with an id");
        assert_eq!(body["doc_as_upsert"], Value::Bool(true), "every update can make its document");
        let document = documents.entry(id.to_owned()).or_insert_with(|| Value::Object(Map::new()));
        update(document, &body);
        updates += 1;
    }
    (documents, updates)
}

fn update(document: &mut Value, body: &Value) {
    for (name, operand) in body.as_object().expect("a body is an object") {
        match name.as_str() {
            "doc" => merge(document, operand),
            "inc" => each(document, operand, |old, by| {
                Value::from(integer(old).unwrap_or(0) + integer(by).expect("an integer"))
            }),
            "max" => each(document, operand, |old, new| match integer(old) {
                Some(old) if old >= integer(new).expect("an integer") => Value::from(old),
                _ => new.clone(),
            }),
            "union" => each(document, operand, |old, new| {
                let mut list = old.as_array().cloned().unwrap_or_default();
                for item in new.as_array().expect("a list") {
                    if !list.contains(item) {
                        list.push(item.clone());
                    }
                }
                Value::Array(list)
            }),
            "doc_as_upsert" => {}
            other => panic!("the flights do not use {other}"),
        }
    }
}

fn merge(document: &mut Value, patch: &Value) {
    let (Some(document), Some(patch)) = (document.as_object_mut(), patch.as_object()) else {
        panic!("two objects merge");
    };
    for (name, value) in patch {
        match (document.get_mut(name), value) {
            (Some(old @ Value::Object(_)), Value::Object(_)) => merge(old, value),
            (Some(old), _) => *old = value.clone(),
            (None, _) => drop(document.insert(name.clone(), value.clone())),
        }
    }
}

fn each(document: &mut Value, operands: &Value, f: impl Fn(&Value, &Value) -> Value) {
    let fields = document.as_object_mut().expect("a document is an object");
    for (name, operand) in operands.as_object().expect("operands by field") {
        let new = f(fields.get(name).unwrap_or(&Value::Null), operand);
        fields.insert(name.clone(), new);
    }
}

fn integer(value: &Value) -> Option<i64> {
    value.as_i64()
}
