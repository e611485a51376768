//! Reading documents back, by `_mget`.
//!
//! # Design
//! A read is realtime: it has what was written before it, refreshed or not. Many keys go into one request, as many as
//! [`KEYS_MAX`] and [`ASK_BYTES_MAX`] let; where the answer is longer than is read, each half is asked for by itself.
//!
//! An answer is believed as a whole or not at all, as one to a bulk request is: one document for each key, in order, with the id
//! that was asked for. A document or an index that is not there is nothing; anything else is an error and never
//! nothing, since what is made from nothing would replace what is there.
//!
//! Documents are given as they are stored, without their fence. An answer has the index that an alias stands for, so names of indices are
//! not compared; but where an id was asked for in two indices, an answer that names the other one is in the wrong place.
//!
//! # What a document's seq is
//! That of its fence, where it is this engine's; where seqs are versions, its version. Else nothing is known.
//!
//! # Invariants
//! 1. What is not said to be missing is not taken for missing.

use super::{
    JSON,
    client::Answer,
    client::Client,
    client::Failure,
    client::Method,
    fence,
    options::Mode,
    response::{Problem, words},
};
use crate::{BaseDocument, BaseKey, Error, ErrorKind, NetOperation, Result, Version};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::HashSet};

/// Documents of one request.
pub(super) const KEYS_MAX: usize = 1_000;
/// Bytes of one request, or those of a single key.
const ASK_BYTES_MAX: usize = 1024 * 1024;
/// An answer longer than this is asked for in parts, unless it is of one document.
const ANSWER_BYTES_MAX: u64 = 32 * 1024 * 1024;
const PATH: &str = "/_mget?realtime=true";

/// How documents are read.
pub(super) struct Reader<'a> {
    pub(super) client: &'a Client,
    pub(super) mode: Mode,
    pub(super) field: &'a str,
    /// The engine's id, as it stands in fences.
    pub(super) engine: String,
}

type Read = Result<Option<BaseDocument>>;

#[derive(Deserialize)]
struct Many<'a> {
    #[serde(borrow)]
    docs: Vec<Found<'a>>,
}

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow, rename = "_index", default)]
    index: Cow<'a, str>,
    #[serde(borrow, rename = "_id")]
    id: Cow<'a, str>,
    #[serde(rename = "found")]
    exists: Option<bool>,
    #[serde(rename = "_version")]
    version: Option<i64>,
    #[serde(rename = "_seq_no")]
    seq_no: Option<i64>,
    #[serde(rename = "_primary_term")]
    primary_term: Option<i64>,
    #[serde(borrow, rename = "_routing")]
    routing: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "_source")]
    source: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Why a request gave nothing.
enum Trouble {
    /// Its answer is longer than is read.
    TooLong(String),
    Other(String),
}

impl Reader<'_> {
    pub(super) fn read(&self, keys: &[BaseKey<'_>]) -> Vec<Read> {
        let mut answers = Vec::with_capacity(keys.len());
        while let Some(rest) = keys.get(answers.len()..).filter(|rest| !rest.is_empty()) {
            let count = count(rest);
            self.read_some(rest.get(..count).unwrap_or(rest), &mut answers);
        }
        answers
    }

    fn read_some(&self, keys: &[BaseKey<'_>], answers: &mut Vec<Read>) {
        match self.ask(keys) {
            Ok(read) => answers.extend(read),
            Err(Trouble::TooLong(_)) if keys.len() > 1 => {
                let (one, other) = keys.split_at(keys.len() / 2);
                self.read_some(one, answers);
                self.read_some(other, answers);
            }
            Err(Trouble::TooLong(reason) | Trouble::Other(reason)) => {
                let failed = |_| Err(Error::new(ErrorKind::Io, format!("reading documents: {reason}")));
                answers.extend(keys.iter().map(failed));
            }
        }
    }

    fn ask(&self, keys: &[BaseKey<'_>]) -> Result<Vec<Read>, Trouble> {
        let most = if keys.len() > 1 { ANSWER_BYTES_MAX } else { super::client::ANSWER_BYTES_MAX };
        let answer = self.client.send_within(Method::Post, PATH, JSON, &body(keys), most);
        let answer = answer.map_err(|failure| match failure {
            Failure { reason, is_too_long: true, .. } => Trouble::TooLong(reason),
            Failure { reason, .. } => Trouble::Other(reason),
        })?;
        self.documents(keys, &answer).map_err(Trouble::Other)
    }

    /// What an answer has for each key, or why it has nothing for any.
    fn documents(&self, keys: &[BaseKey<'_>], answer: &Answer) -> Result<Vec<Read>, String> {
        if answer.status != 200 {
            return Err(format!("status {}: {}", answer.status, words(&answer.body)));
        }
        let wrong = |problem: String| {
            format!("the server's answer cannot be understood: {problem}: {}", words(&answer.body))
        };
        let many: Many<'_> =
            serde_json::from_slice(&answer.body).map_err(|error| wrong(error.to_string()))?;
        if many.docs.len() != keys.len() {
            return Err(wrong(format!("it has {} documents for {}", many.docs.len(), keys.len())));
        }
        let mut asked = HashSet::new();
        for (at, (key, found)) in keys.iter().zip(&many.docs).enumerate() {
            if found.id != key.id {
                let (found, id) = (found.id.escape_debug(), key.id.escape_debug());
                return Err(wrong(format!("document {at} is \"{found}\", and \"{id}\" was asked for")));
            }
            if !found.index.is_empty() && found.index != key.index {
                if asked.is_empty() {
                    asked = keys.iter().map(|key| (key.index, key.id)).collect();
                }
                if asked.contains(&(&*found.index, key.id)) {
                    let (found, index) = (&found.index, key.index);
                    return Err(wrong(format!("document {at} is of index {found}, and not of {index}")));
                }
            }
        }
        Ok(keys.iter().zip(many.docs).map(|(key, found)| self.document(*key, &found)).collect())
    }

    fn document(&self, key: BaseKey<'_>, found: &Found<'_>) -> Read {
        if let Some(error) = found.error {
            return missing(key, error);
        }
        match (found.exists, found.source) {
            (Some(false), _) => Ok(None),
            (Some(true), Some(source)) => self.stored(key, found, source.get().as_bytes()).map(Some),
            (Some(true), None) => {
                Err(lasting(key, "its index keeps no _source, and nothing can be made from that"))
            }
            (None, _) => {
                let message = format!("the server does not say whether there is {}", name(key));
                Err(Error::new(ErrorKind::Io, message))
            }
        }
    }

    fn stored(&self, key: BaseKey<'_>, found: &Found<'_>, source: &[u8]) -> Result<BaseDocument> {
        // Somebody else may have written it: what is not as our own documents are, nothing can be made from.
        if let Err(error) = NetOperation::from_parts("index", source) {
            return Err(lasting(key, &error.to_string()));
        }
        let (source, fence) = fence::take_out(source, self.field, &self.engine)
            .map_err(|error| lasting(key, &error.to_string()))?;
        let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        let (seq, version) = match self.mode {
            Mode::Net => (fence.unwrap_or(0), None),
            Mode::External => (number(found.version).unwrap_or(0), None),
            Mode::Resolved => {
                let place = number(found.seq_no).zip(number(found.primary_term));
                let is_fenced = fence.is_some();
                let version = place.map(|(seq_no, primary_term)| Version { seq_no, primary_term, is_fenced });
                (fence.unwrap_or(0), version)
            }
        };
        let routing = found.routing.as_deref().map(Into::into);
        Ok(BaseDocument { source: Some(source), routing, seq, version })
    }
}

/// How many of these go into one request.
fn count(keys: &[BaseKey<'_>]) -> usize {
    let mut bytes = 0;
    let fits = |key: &&BaseKey<'_>| {
        bytes += key.index.len() + key.id.len() + key.routing.map_or(0, str::len) + KEY_BYTES;
        bytes <= ASK_BYTES_MAX
    };
    keys.iter().take(KEYS_MAX).take_while(fits).count().max(1)
}

/// Bytes of a key in a request beside its names.
const KEY_BYTES: usize = r#"{"_index":"","_id":"","routing":""},"#.len();

fn body(keys: &[BaseKey<'_>]) -> Vec<u8> {
    use super::super::lines::write_string;
    let mut out = b"{\"docs\":[".to_vec();
    for (at, key) in keys.iter().enumerate() {
        out.extend_from_slice(if at > 0 { b",{\"_index\":" } else { b"{\"_index\":" });
        write_string(key.index, &mut out);
        out.extend_from_slice(b",\"_id\":");
        write_string(key.id, &mut out);
        if let Some(routing) = key.routing {
            out.extend_from_slice(b",\"routing\":");
            write_string(routing, &mut out);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}

/// What an error in the place of a document is.
fn missing(key: BaseKey<'_>, error: &RawValue) -> Read {
    let problem: Problem<'_> = serde_json::from_str(error.get()).unwrap_or_default();
    let said = words(error.get().as_bytes());
    match &*problem.kind {
        "index_not_found_exception" => Ok(None),
        "routing_missing_exception" | "illegal_argument_exception" => Err(lasting(key, &said)),
        _ => Err(Error::new(ErrorKind::Io, format!("reading {}: {said}", name(key)))),
    }
}

/// An error that will not get better by itself.
fn lasting(key: BaseKey<'_>, reason: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{}: {reason}", name(key)))
}

fn name(key: BaseKey<'_>) -> String {
    format!("document \"{}\" of index \"{}\"", key.id.escape_debug(), key.index.escape_debug())
}

#[cfg(test)]
mod tests;
