//! What a peer has drained, as parsed documents, in a number that can be compared between processes.
//!
//! # Design
//! Lines of bulk NDJSON are read back: an operation is applied to nothing, as there is nothing below the engine in a
//! bench, and the document is parsed and written again with its names in order. The hashes of all documents with their keys
//! are added up, so that the order of draining does not matter.

use millpond::NetOperation;
use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Documents, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// How many.
    pub documents: u64,
    /// The sum of the hashes of keys and documents.
    pub sum: u64,
}

impl Answer {
    /// Counts a document in.
    pub fn add(&mut self, id: &str, document: &Value) {
        // With the same keys in every process; names are in order, as the maps of trees are.
        let mut hasher = DefaultHasher::new();
        (id, document.to_string()).hash(&mut hasher);
        self.documents += 1;
        self.sum = self.sum.wrapping_add(hasher.finish());
    }

    /// As many bits of the sum as a floating-point number can tell.
    pub fn comparable(&self) -> u64 {
        self.sum >> 12
    }

    /// Counts in the documents that these lines of bulk NDJSON make of nothing. An error says what is wrong with them.
    pub fn add_lines(&mut self, lines: &[u8]) -> Result<(), String> {
        for_each_document(lines, |id, document| self.add(id, document))
    }
}

/// Shows every document that these lines of bulk NDJSON make of nothing, with its id.
pub fn for_each_document(lines: &[u8], mut show: impl FnMut(&str, &Value)) -> Result<(), String> {
    let mut lines = lines.split(|byte| *byte == b'\n');
    while let Some(action) = lines.next().filter(|line| !line.is_empty()) {
        let action: Value = serde_json::from_slice(action).map_err(|error| format!("an action: {error}"))?;
        let (verb, names) =
            action.as_object().and_then(|action| action.iter().next()).ok_or("an action without a verb")?;
        let id = names.get("_id").and_then(Value::as_str).ok_or("an action without an id")?;
        if verb == "delete" {
            continue;
        }
        let body = lines.next().ok_or("an action without a body")?;
        let net = NetOperation::from_parts(verb, body).map_err(|error| format!("{id}: {error}"))?;
        if let Some(document) = net.apply(None).document {
            let document = serde_json::from_slice(&document).map_err(|error| format!("{id}: {error}"))?;
            show(id, &document);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
