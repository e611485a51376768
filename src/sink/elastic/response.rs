//! What a server says of a bulk request, item by item.
//!
//! # Design
//! An answer is believed as a whole or not at all: it has one item for each that was sent, in the same order, with the same action
//! and id. Anything else (fewer items, another order, a page of HTML, half an answer) says nothing reliable of any item, and
//! all are unknown. What an item's status means is a table, [`outcome`]; a status of the whole request is in
//! [`whole`].
//!
//! # Invariants
//! 1. Nothing that was not said to be done is taken for done.

use super::{client::Answer, options::Mode, request};
use crate::{Expects, Item, ItemAction, Outcome, Version};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, time::Duration};

/// After a refusal that only somebody can mend.
const PAUSE: Duration = Duration::from_secs(30);
/// As much of what a server says as is kept.
const WORDS_MAX: usize = 2_000;

#[derive(Deserialize)]
struct Bulk<'a> {
    #[serde(borrow)]
    items: Vec<Answered<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answered<'a> {
    #[serde(borrow)]
    Index(Fields<'a>),
    Create(Fields<'a>),
    Update(Fields<'a>),
    Delete(Fields<'a>),
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, rename = "_id")]
    id: Cow<'a, str>,
    status: u16,
    #[serde(rename = "_seq_no")]
    seq_no: Option<i64>,
    #[serde(rename = "_primary_term")]
    primary_term: Option<i64>,
    #[serde(borrow)]
    result: Option<Cow<'a, str>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// The error of an item, or of a request.
#[derive(Deserialize, Default)]
pub(super) struct Problem<'a> {
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow, default)]
    reason: Cow<'a, str>,
}

/// What a request as a whole came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// Each item has its own answer.
    Items(Vec<Said>),
    /// Nothing of it was carried out; smaller ones may be.
    TooLarge(String),
    /// Nothing of it was carried out, and something in it never will be.
    Refused(String),
    /// Nothing of it was carried out, as the server has too much to do.
    Busy { reason: String, after: Option<Duration> },
    /// Nothing of it was carried out, and nothing will be until somebody mends it.
    Paused(String),
    /// Nothing can be told.
    Unknown(String),
}

/// What was said of an item.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) outcome: Outcome,
    /// The server does not have the script.
    pub(super) lacks_script: bool,
    /// The server's words where a mapping does not take a field.
    pub(super) strict: Option<String>,
}

/// Reads the answer to a request that held these items.
pub(super) fn read(items: &[Item], answer: &Answer, mode: Mode) -> Whole {
    match answer.status {
        200 | 201 => match items_of(items, &answer.body, mode) {
            Ok(said) => Whole::Items(said),
            Err(problem) => Whole::Unknown(format!(
                "the server's answer cannot be understood: {problem}: {}",
                words(&answer.body)
            )),
        },
        status => whole(status, answer),
    }
}

fn whole(status: u16, answer: &Answer) -> Whole {
    let problem = problem_of(&answer.body);
    let reason = match &problem {
        Some(problem) => format!("{status} {}: {}", problem.kind, problem.reason),
        None => format!("{status}: {}", words(&answer.body)),
    };
    let kind = problem.as_ref().map_or("", |problem| &*problem.kind);
    match status {
        413 => Whole::TooLarge(reason),
        429 => Whole::Busy { reason, after: answer.retry_after },
        // A server says so in its own words; a proxy may have other reasons.
        400 if problem.is_some() => Whole::Refused(reason),
        503 if kind == "cluster_block_exception" => Whole::Busy { reason, after: answer.retry_after },
        300..=499 => Whole::Paused(reason),
        _ => Whole::Unknown(reason),
    }
}

fn items_of(items: &[Item], body: &[u8], mode: Mode) -> Result<Vec<Said>, String> {
    let bulk: Bulk<'_> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if bulk.items.len() != items.len() {
        return Err(format!("it has {} items for {}", bulk.items.len(), items.len()));
    }
    let pairs = items.iter().zip(&bulk.items).enumerate();
    pairs.map(|(at, (item, answered))| said(at, item, answered, mode)).collect()
}

fn said(at: usize, item: &Item, answered: &Answered<'_>, mode: Mode) -> Result<Said, String> {
    let (verb, fields) = match answered {
        Answered::Index(fields) => ("index", fields),
        Answered::Create(fields) => ("create", fields),
        Answered::Update(fields) => ("update", fields),
        Answered::Delete(fields) => ("delete", fields),
    };
    let expected = request::verb(item);
    if verb != expected || *fields.id != *item.id {
        return Err(format!(
            "item {at} is of {verb} \"{}\", and was {} \"{}\"",
            fields.id.escape_debug(),
            expected,
            item.id.escape_debug()
        ));
    }
    let problem = fields.error.map(|error| serde_json::from_str(error.get()).unwrap_or_default());
    let kind = problem.as_ref().map_or("", |problem: &Problem<'_>| &*problem.kind);
    let reason = || match fields.error {
        Some(error) => format!("{} {}", fields.status, words(error.get().as_bytes())),
        None => format!("{} {}", fields.status, fields.result.as_deref().unwrap_or_default()),
    };
    let is_lacking = |error: &&RawValue| error.get().contains("unable to find script");
    let lacks_script = fields.error.as_ref().is_some_and(is_lacking);
    let outcome = if lacks_script {
        Outcome::Again { reason: reason(), after: None }
    } else {
        let outcome = outcome(verb, fields.status, fields.result.as_deref(), kind, reason);
        match mode {
            Mode::External if fields.status == 409 => Outcome::Stale,
            Mode::Resolved if fields.status == 409 && item.expects != Expects::Anything => {
                Outcome::Changed(reason())
            }
            Mode::Resolved => with_version(outcome, item, fields),
            Mode::Net | Mode::External => outcome,
        }
    };
    let strict = (kind == "strict_dynamic_mapping_exception").then(reason);
    Ok(Said { outcome, lacks_script, strict })
}

/// An outcome with the version of the document that is stored, if that is said.
fn with_version(outcome: Outcome, item: &Item, fields: &Fields<'_>) -> Outcome {
    let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    let created = match (&item.action, &outcome) {
        (ItemAction::Put(_), Outcome::Created) => true,
        (ItemAction::Put(_), Outcome::Updated) => false,
        _ => return outcome,
    };
    match (number(fields.seq_no), number(fields.primary_term)) {
        (Some(seq_no), Some(primary_term)) => {
            let version = Version { seq_no, primary_term, is_fenced: item.is_fenced() };
            Outcome::Stored { created, version }
        }
        _ => outcome,
    }
}

/// What became of an item, by its status. From [`docs/elastic.md`], which has it from the servers.
fn outcome(
    verb: &str,
    status: u16,
    result: Option<&str>,
    kind: &str,
    reason: impl Fn() -> String,
) -> Outcome {
    match (status, result) {
        (200 | 201, Some("created")) => Outcome::Created,
        (200 | 201, Some("updated")) => Outcome::Updated,
        (200 | 201, Some("noop")) => Outcome::Noop,
        (200 | 201, Some("deleted")) => Outcome::Deleted,
        (200 | 201, _) if kind.is_empty() => Outcome::Applied,
        (404, Some("not_found")) => Outcome::NotFound,
        (404, _) if kind == "document_missing_exception" => Outcome::NotFound,
        (404, _) if kind == "index_not_found_exception" && verb == "delete" => Outcome::NotFound,
        (409, _) if verb == "create" => Outcome::Conflict,
        (409 | 429, _) => Outcome::Again { reason: reason(), after: None },
        (401 | 403, _) => Outcome::Again { reason: reason(), after: Some(PAUSE) },
        (400..=499, _) => Outcome::Rejected(reason()),
        _ => Outcome::Unknown(reason()),
    }
}

/// The error in the body of a whole answer.
fn problem_of(body: &[u8]) -> Option<Problem<'_>> {
    #[derive(Deserialize)]
    struct Failed<'a> {
        #[serde(borrow)]
        error: &'a RawValue,
    }
    let failed: Failed<'_> = serde_json::from_slice(body).ok()?;
    serde_json::from_str(failed.error.get()).ok()
}

/// The outcome of items of which a whole request says that nothing was carried out.
pub(super) fn again(reason: &str, after: Option<Duration>) -> Outcome {
    Outcome::Again { reason: reason.to_owned(), after }
}

/// The same, until somebody mends it.
pub(super) fn paused(reason: &str) -> Outcome {
    again(reason, Some(PAUSE))
}

/// The start of what a server says.
pub(super) fn words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..WORDS_MAX).unwrap_or(bytes));
    let text = text.trim();
    if text.is_empty() { "nothing more is said".to_owned() } else { text.to_owned() }
}

/// What is taken for each item's outcome, where anything is.
#[cfg(fuzzing)]
pub fn outcomes(
    items: &[Item],
    options: &super::ElasticOptions,
    status: u16,
    body: &[u8],
) -> Option<Vec<Outcome>> {
    match read(items, &Answer { status, retry_after: None, body: body.to_vec() }, options.mode()) {
        Whole::Items(said) => Some(said.into_iter().map(|said| said.outcome).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
