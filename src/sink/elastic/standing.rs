//! What a server holds of some documents, as far as that tells when they were written: for what comes late, as a dead letter that is
//! sent again.
//!
//! # Design
//! One `_mget` for as many documents as go into one, of the version and of the fence alone: the documents themselves are not
//! read. What it tells is for the caller to weigh: a fence is that of the last operation that left one, and not of what was
//! written without; a version is a seq only where an index is written with external versions.
//!
//! # Invariants
//! 1. There is one answer to each key, in their order, of the key that was asked for; else all is an error.

use super::{
    ElasticSink, JSON,
    client::{Answer, Method},
    reading::KEYS_MAX,
};
use crate::{Error, ErrorKind, Result, sink::lines::write_string};
use serde::Deserialize;
use std::{borrow::Cow, collections::BTreeMap};

/// Digits of an engine's id in a fence.
const ENGINE_DIGITS: usize = 32;
const MGET: &str =
    "/_mget?filter_path=docs._index,docs._id,docs.found,docs._version,docs._source,docs.error,error";

/// What a server holds of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its version, as the server counts, or as it was given by who wrote it.
    pub version: u64,
    /// The fence in it: the engine's id, and the seq of the last operation that left one.
    pub fence: Option<(u128, u64)>,
}

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow)]
    docs: Vec<Document<'a>>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, rename = "_id")]
    id: Cow<'a, str>,
    #[serde(default)]
    found: bool,
    #[serde(rename = "_version")]
    version: Option<u64>,
    #[serde(borrow, default, rename = "_source")]
    source: BTreeMap<Cow<'a, str>, serde_json::Value>,
    #[serde(borrow)]
    error: Option<Problem<'a>>,
}

#[derive(Deserialize)]
struct Problem<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    reason: Cow<'a, str>,
}

impl ElasticSink {
    /// What the server holds of some documents, each by its index, its id and its routing; `None` where there is no such document,
    /// and an error where that cannot be told of one of them. An error of the whole may be gone when it is tried again.
    pub fn standings(&self, keys: &[(&str, &str, Option<&str>)]) -> Result<Vec<Result<Option<Standing>>>> {
        let mut standings = Vec::with_capacity(keys.len());
        for some in keys.chunks(KEYS_MAX) {
            standings.extend(self.ask_standings(some)?);
        }
        Ok(standings)
    }

    fn ask_standings(&self, keys: &[(&str, &str, Option<&str>)]) -> Result<Vec<Result<Option<Standing>>>> {
        let body = question(keys, &self.fence_field);
        let failed = |reason: String| Error::new(ErrorKind::Io, format!("reading documents: {reason}"));
        let sent = self.client.send(Method::Post, MGET, JSON, &body);
        let answer = sent.map_err(|failure| failed(failure.reason))?;
        read(keys, &self.fence_field, &answer).map_err(failed)
    }
}

fn question(keys: &[(&str, &str, Option<&str>)], field: &str) -> Vec<u8> {
    let mut out = b"{\"docs\":[".to_vec();
    for (at, (index, id, routing)) in keys.iter().enumerate() {
        out.extend_from_slice(if at > 0 { b",{\"_index\":" } else { b"{\"_index\":" });
        write_string(index, &mut out);
        out.extend_from_slice(b",\"_id\":");
        write_string(id, &mut out);
        if let Some(routing) = routing {
            out.extend_from_slice(b",\"routing\":");
            write_string(routing, &mut out);
        }
        out.extend_from_slice(b",\"_source\":[");
        write_string(field, &mut out);
        out.extend_from_slice(b"]}");
    }
    out.extend_from_slice(b"]}");
    out
}

fn read(
    keys: &[(&str, &str, Option<&str>)],
    field: &str,
    answer: &Answer,
) -> Result<Vec<Result<Option<Standing>>>, String> {
    let words = String::from_utf8_lossy(&answer.body);
    if answer.status != 200 {
        return Err(format!("status {}: {}", answer.status, words.trim()));
    }
    let found: Found<'_> = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    if found.docs.len() != keys.len() {
        return Err(format!("the answer has {} documents for {}", found.docs.len(), keys.len()));
    }
    let pairs = keys.iter().zip(found.docs);
    pairs.map(|((_, id, _), document)| standing(id, field, &document)).collect()
}

fn standing(id: &str, field: &str, document: &Document<'_>) -> Result<Result<Option<Standing>>, String> {
    if document.id != id {
        return Err(format!("the answer has document {:?} where {id:?} was asked for", document.id));
    }
    if let Some(Problem { kind, reason }) = &document.error {
        let is_missing = kind == "index_not_found_exception";
        let error = || Error::new(ErrorKind::Io, format!("{kind}: {reason}"));
        return Ok(if is_missing { Ok(None) } else { Err(error()) });
    }
    if !document.found {
        return Ok(Ok(None));
    }
    let version = document.version.ok_or("the answer has a document without a version")?;
    let fence = document.source.get(field).and_then(|text| fence(text.as_str()?));
    Ok(Ok(Some(Standing { version, fence })))
}

/// The engine and the seq of a fence; nothing for any other text.
fn fence(text: &str) -> Option<(u128, u64)> {
    let (engine, seq) = text.split_once(':')?;
    if engine.len() != ENGINE_DIGITS {
        return None;
    }
    Some((u128::from_str_radix(engine, 16).ok()?, seq.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(status: u16, body: &str) -> Result<Vec<Result<Option<Standing>>>, String> {
        let answer = Answer { status, retry_after: None, body: body.as_bytes().to_vec() };
        read(&[("i", "1", None), ("i", "2", Some("r"))], "_millpond", &answer)
    }

    #[test]
    fn what_is_asked_for_is_the_fence_alone_with_routing_where_there_is_one() {
        let body = question(&[("i", "\"1", None), ("j", "2", Some("r"))], "_millpond");
        let expected = r#"{"docs":[{"_index":"i","_id":"\"1","_source":["_millpond"]},{"_index":"j","_id":"2","routing":"r","_source":["_millpond"]}]}"#;
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[test]
    fn a_document_tells_its_version_and_its_fence_and_a_missing_one_or_index_nothing() {
        let engine = "00000000000000000000000000000abc";
        let text = format!(
            r#"{{"docs":[{{"_index":"i","_id":"1","found":true,"_version":7,"_source":{{"_millpond":"{engine}:12"}}}},{{"_index":"i","_id":"2","found":false}}]}}"#
        );
        let found = answers(200, &text).unwrap();
        assert_eq!(found[0].as_ref().unwrap(), &Some(Standing { version: 7, fence: Some((0xabc, 12)) }));
        assert_eq!(found[1].as_ref().unwrap(), &None);
        let text = r#"{"docs":[{"_id":"1","found":true,"_version":7,"_source":{"_millpond":"x:12"}},
            {"_id":"2","error":{"type":"index_not_found_exception","reason":"no such index [i]"}}]}"#;
        let found = answers(200, text).unwrap();
        assert_eq!(found[0].as_ref().unwrap(), &Some(Standing { version: 7, fence: None }));
        assert_eq!(found[1].as_ref().unwrap(), &None);
    }

    #[test]
    fn what_cannot_be_told_of_one_is_an_error_of_that_one_and_a_wrong_answer_of_all() {
        let text = r#"{"docs":[{"_id":"1","found":false},{"_id":"2","error":{"type":"index_closed_exception","reason":"closed"}}]}"#;
        let found = answers(200, text).unwrap();
        assert!(found[0].is_ok());
        assert!(found[1].as_ref().unwrap_err().to_string().contains("index_closed_exception"));
        for (status, text) in [
            (503, "away"),
            (200, "<html>"),
            (200, r#"{"docs":[{"_id":"1","found":false}]}"#),
            (200, r#"{"docs":[{"_id":"2","found":false},{"_id":"1","found":false}]}"#),
            (200, r#"{"docs":[{"_id":"1","found":true},{"_id":"2","found":false}]}"#),
        ] {
            assert!(answers(status, text).is_err(), "{status} {text}");
        }
    }
}
