//! The plain bulk client: what millpond is compared with.
//!
//! # Design
//! It is what an engineer writes who has a stream of bulk lines and a server: bulks of so many operations, one request at a time over
//! a kept connection, the next one when the last is answered; what the server refuses for the moment is sent again a little later. It
//! parses nothing but the action line, in which it puts another index name, and looks at the names of an update's sections.
//! The lines of a body go as they came, and of the answer it reads whether something in it failed.
//!
//! A server does not know millpond's field operations (`inc`, `append`, …). A bulk that has some goes out through the
//! sink's own rendering, an update with a script for each operation, but without fences: what a plain client sends is not
//! repeatable, and it has no fields of ours in its documents. So both sides have the same script, and differ in how often it runs.
//!
//! # Where there is doubt, it is given to this client
//! It asks for as short an answer as the sink does, which few clients do. It is not slowed down by a window, a queue or a second
//! thread, and its bodies are not encoded anew.
//!
//! # Invariants
//! 1. The operations of the input are sent in its order, each once unless it is refused for the moment.
//! 2. An answer that does not come, or that cannot be read, ends it: what was done is then not known, and nothing could be compared.

use super::{
    figures::{Figures, Row},
    indices::Pass,
    server::refused,
};
use crate::{
    bulk::{ActionLine, PlainLine, Verb},
    clock::Stopwatch,
    failure::{Failure, Result},
    replay::{queued::Queued, reader::Intake},
    sync::{Stop, pause},
    units,
};
use millpond::{
    Action, Batch, Expects, Item, ItemAction, NetOperation, Outcome, Sink,
    elastic::{ElasticSink, Method},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{ops::Range, time::Duration};

/// What is asked of an answer: no more than the sink asks for, and whether there is anything to look for.
const BULK: &str =
    "/_bulk?filter_path=error,status,errors,items.*._id,items.*.status,items.*.result,items.*.error";
/// The most bytes of one request, as the sink's.
const REQUEST_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How often one operation is sent at most.
const ATTEMPTS_MAX: u32 = 12;
/// The wait before the second attempt; it doubles with each.
const WAIT: Duration = Duration::from_millis(50);
/// The sections of an update that a server knows.
const KNOWN: [&[u8]; 4] = [b"doc", b"doc_as_upsert", b"upsert", b"detect_noop"];

/// Sends the operations of one run.
#[derive(Debug)]
pub(super) struct Plain {
    sink: ElasticSink,
    pass: Pass,
    operations_max: usize,
    stop: Stop,
    /// The bulk that is being filled, and where each of its operations ends.
    body: Vec<u8>,
    ends: Vec<usize>,
    /// Something in it is not for a server as it is.
    needs_script: bool,
    /// Since its first operation came.
    waiting: Option<Stopwatch>,
    sent: u64,
    retries: u64,
    failed: u64,
    longest_wait: Duration,
    /// Why the first operation failed.
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    errors: Option<bool>,
    #[serde(borrow)]
    items: Option<&'a RawValue>,
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
    status: u16,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// What became of an operation.
#[derive(Debug, PartialEq, Eq)]
enum Became {
    Done,
    /// Refused for the moment.
    Again(String),
    Failed(String),
}

impl Plain {
    pub(super) fn new(sink: ElasticSink, pass: Pass, operations_max: usize, stop: Stop) -> Self {
        Self {
            sink,
            pass,
            operations_max,
            stop,
            body: Vec::new(),
            ends: Vec::new(),
            needs_script: false,
            waiting: None,
            sent: 0,
            retries: 0,
            failed: 0,
            longest_wait: Duration::ZERO,
            reason: None,
        }
    }

    /// Sends what is left. What it came to, and why the first operation failed that did.
    pub(super) fn end(mut self) -> Result<(Figures, Option<String>)> {
        self.send()?;
        let mut figures = Figures::default();
        let sent = self.sink.sent();
        for (row, count) in [
            (Row::Operations, self.sent),
            (Row::Requests, sent.requests),
            (Row::RequestBytes, sent.bytes),
            (Row::Retries, self.retries),
            (Row::Failed, self.failed),
        ] {
            figures.set(row, units::float(count));
        }
        figures.set(Row::LongestWait, self.longest_wait.as_secs_f64());
        Ok((figures, self.reason))
    }

    fn add(&mut self, queued: &Queued<'_>) -> Result {
        self.waiting.get_or_insert_with(Stopwatch::start);
        let name = self.pass.name(queued.names.index)?;
        write_action(queued, name, &mut self.body);
        if !queued.body_line.is_empty() {
            self.body.extend_from_slice(queued.body_line.trim_ascii_end());
            self.body.push(b'\n');
        }
        self.ends.push(self.body.len());
        self.needs_script |= queued.verb == Verb::Update && !is_known(queued.body_line);
        if self.ends.len() >= self.operations_max || self.body.len() >= REQUEST_BYTES_MAX {
            self.send()?;
        }
        Ok(())
    }

    /// Sends the bulk that was filled.
    fn send(&mut self) -> Result {
        let waited = self.waiting.take().map_or(Duration::ZERO, Stopwatch::elapsed);
        self.longest_wait = self.longest_wait.max(waited);
        let mut attempts = 0;
        while !self.ends.is_empty() {
            let became = if self.needs_script { self.send_scripts()? } else { self.send_lines()? };
            attempts += 1;
            self.keep_refused(became, attempts);
            if !self.ends.is_empty() {
                if self.stop.is_set() {
                    break;
                }
                pause(WAIT * 2_u32.saturating_pow(attempts.min(ATTEMPTS_MAX) - 1));
            }
        }
        self.body.clear();
        self.ends.clear();
        self.needs_script = false;
        Ok(())
    }

    /// Counts what is done, and keeps what is to be sent again.
    fn keep_refused(&mut self, became: Vec<Became>, attempts: u32) {
        let (mut body, mut ends) = (Vec::new(), Vec::new());
        for (became, lines) in became.into_iter().zip(ranges(&self.ends)) {
            match became {
                Became::Done => self.sent += 1,
                Became::Again(_) if attempts < ATTEMPTS_MAX => {
                    body.extend_from_slice(self.body.get(lines).unwrap_or_default());
                    ends.push(body.len());
                }
                Became::Again(reason) | Became::Failed(reason) => {
                    self.failed += 1;
                    self.reason.get_or_insert(reason);
                }
            }
        }
        self.retries += ends.len() as u64;
        (self.body, self.ends) = (body, ends);
    }

    /// Sends the lines as they are.
    fn send_lines(&self) -> Result<Vec<Became>> {
        let count = self.ends.len();
        let answered = self
            .sink
            .ask(Method::Post, BULK, &self.body)
            .map_err(|error| Failure::Failed(format!("the plain client's bulk was not answered: {error}")))?;
        match answered.status {
            200 => became(&answered.body, count),
            429 | 503 => {
                let reason = refused("POST /_bulk", &answered).to_string();
                Ok((0..count).map(|_| Became::Again(reason.clone())).collect())
            }
            _ => Err(refused("POST /_bulk", &answered)),
        }
    }

    /// Sends each operation as the sink writes it, field operations as scripts.
    fn send_scripts(&self) -> Result<Vec<Became>> {
        let items: Vec<Item> = ranges(&self.ends)
            .map(|lines| item(self.body.get(lines).unwrap_or_default()))
            .collect::<Result<_>>()?;
        let outcomes = self.sink.send(&Batch { items, bytes: self.body.len() });
        outcomes
            .into_iter()
            .map(|outcome| match outcome {
                Outcome::Rejected(reason) => Ok(Became::Failed(reason)),
                Outcome::Again { reason, .. } => Ok(Became::Again(reason)),
                Outcome::Unknown(reason) => {
                    Err(Failure::Failed(format!("the plain client's bulk was not answered: {reason}")))
                }
                _ => Ok(Became::Done),
            })
            .collect()
    }
}

impl Intake for Plain {
    fn begin(&mut self, _: usize) {}

    fn take_in(&mut self, queued: &[Queued<'_>]) -> Result {
        queued.iter().try_for_each(|queued| self.add(queued))
    }
}

/// The pieces of a bulk, by where they end.
fn ranges(ends: &[usize]) -> impl Iterator<Item = Range<usize>> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(ends).map(|(start, end)| start..*end)
}

/// The action line with another index name; an id of the common form is not looked at again.
fn write_action(queued: &Queued<'_>, index: &str, out: &mut Vec<u8>) {
    if let Some(line) = PlainLine::read(queued.action_line) {
        for piece in ["{\"", line.verb.name(), "\":{\"_index\":\"", index, "\",\"_id\":\"", line.id, "\"}}"] {
            out.extend_from_slice(piece.as_bytes());
        }
    } else {
        let names = queued.names;
        let [index, id] = [index, names.id].map(|name| Some(name.into()));
        ActionLine { verb: queued.verb, index, id, routing: names.routing.map(Into::into) }.write(out);
    }
    out.push(b'\n');
}

/// True for the body of an update that has only sections which a server knows. Looks at the names on the first level alone.
fn is_known(body: &[u8]) -> bool {
    let (mut depth, mut at, mut is_name) = (0_usize, 0, false);
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => {
                let end = string_end(body, at);
                let text = body.get(at + 1..end.saturating_sub(1)).unwrap_or_default();
                if is_name && depth == 1 && !KNOWN.contains(&text) {
                    return false;
                }
                is_name = false;
                at = end;
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                is_name = *byte == b'{';
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => is_name = depth == 1,
            _ => {}
        }
        at += 1;
    }
    true
}

/// Behind the closing quote of a string that begins here.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        match text.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return text.len(),
        }
    }
}

/// An operation by itself, as the sink takes it. Without a fence: see the module.
fn item(lines: &[u8]) -> Result<Item> {
    let split = memchr::memchr(b'\n', lines).map_or(lines.len(), |at| at + 1);
    let (action, body) = lines.split_at_checked(split).unwrap_or((lines, b""));
    let wrong =
        |reason: String| Failure::Failed(format!("a line that was read before does not read: {reason}"));
    let line = ActionLine::read(action).map_err(|bad| wrong(bad.message))?;
    let body = body.trim_ascii_end();
    let net = NetOperation::new(match line.verb {
        Verb::Index => Action::Index(body),
        Verb::Create => Action::Create(body),
        Verb::Update => Action::Update(body),
        Verb::Delete => Action::Delete,
    })?;
    Ok(Item {
        index: line.index.unwrap_or_default().as_ref().into(),
        id: line.id.unwrap_or_default().as_ref().into(),
        routing: line.routing.map(Into::into),
        action: ItemAction::Net(net),
        first_seq: 1,
        last_seq: 1,
        operations: 1,
        repeatable: true,
        expects: Expects::Anything,
        attempt: 0,
    })
}

/// What became of each of so many operations.
fn became(answer: &[u8], count: usize) -> Result<Vec<Became>> {
    let unreadable = |what: String| Failure::Failed(format!("POST /_bulk: the answer does not read: {what}"));
    let answer: Answer<'_> = serde_json::from_slice(answer).map_err(|error| unreadable(error.to_string()))?;
    let (Some(errors), Some(items)) = (answer.errors, answer.items) else {
        return Err(unreadable("it has no errors or no items".to_owned()));
    };
    if !errors {
        return Ok((0..count).map(|_| Became::Done).collect());
    }
    let items: Vec<Answered<'_>> =
        serde_json::from_str(items.get()).map_err(|error| unreadable(error.to_string()))?;
    if items.len() != count {
        return Err(unreadable(format!("it has {} items for {count}", items.len())));
    }
    Ok(items.iter().map(judged).collect())
}

/// As the sink judges: what a later look at the documents would show to be as it was asked for is done.
fn judged(item: &Answered<'_>) -> Became {
    let (Answered::Index(fields)
    | Answered::Create(fields)
    | Answered::Update(fields)
    | Answered::Delete(fields)) = item;
    let Some(error) = fields.error else { return Became::Done };
    let reason = || format!("{} {error}", fields.status);
    match (fields.status, item) {
        (429, _) | (409, Answered::Index(_) | Answered::Update(_) | Answered::Delete(_)) => {
            Became::Again(reason())
        }
        (409, Answered::Create(_)) => Became::Done,
        (404, _) if error.get().contains("document_missing_exception") => Became::Done,
        _ => Became::Failed(reason()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::queued::Names;

    #[test]
    fn a_body_with_sections_that_a_server_knows_is_told_from_one_with_others() {
        for body in [
            r#"{"doc":{"inc":1,"a":{"set":"]}"}},"doc_as_upsert":true}"#,
            r#"{ "upsert" : {"min":[{"max":1}]}, "doc":{}}"#,
            r#"{"doc":{"a":"{\"inc\":"},"detect_noop":false}"#,
            r#"{"doc":{"a":["x","then"],"b":"remove"}}"#,
            "{}",
        ] {
            assert!(is_known(body.as_bytes()), "{body}");
        }
        for body in [
            r#"{"inc":{"n":1}}"#,
            r#"{"doc":{"a":[1,{"b":2}]},"union":{"l":[1]}}"#,
            r#"{"doc":{"a":"\\"},"append":{"l":[1]}}"#,
            r#"{"doc_as_upsert":true, "then":[]}"#,
        ] {
            assert!(!is_known(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn an_action_line_gets_another_index_and_keeps_everything_else() {
        for (action, expected) in [
            (r#"{"update":{"_index":"a","_id":"1"}}"#, r#"{"update":{"_index":"new","_id":"1"}}"#),
            (r#"{"index":{"_id":"1"}}"#, r#"{"index":{"_index":"new","_id":"1"}}"#),
            (
                r#"{ "delete": {"routing":"r", "_id":"\u0031", "_index":"a"}}"#,
                r#"{"delete":{"_index":"new","_id":"1","routing":"r"}}"#,
            ),
        ] {
            let line = ActionLine::read(action.as_bytes()).unwrap();
            let names =
                Names { index: "a", id: line.id.as_deref().unwrap(), routing: line.routing.as_deref() };
            let mut out = Vec::new();
            write_action(&Queued::new(line.verb, names, 1, [action.as_bytes(), b""]), "new", &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"));
        }
    }

    #[test]
    fn an_answer_without_errors_is_done_and_one_with_some_is_read_item_by_item() {
        let done = br#"{"errors":false,"items":[{"index":{"_id":"1","status":200}}]}"#;
        assert_eq!(became(done, 1).unwrap(), [Became::Done]);
        let mixed = br#"{"errors":true,"items":[
            {"index":{"_id":"1","status":429,"error":{"type":"rejected_execution_exception"}}},
            {"create":{"_id":"2","status":409,"error":{"type":"version_conflict_engine_exception"}}},
            {"update":{"_id":"3","status":404,"error":{"type":"document_missing_exception"}}},
            {"index":{"_id":"4","status":400,"error":{"type":"mapper_parsing_exception"}}},
            {"delete":{"_id":"5","status":404,"result":"not_found"}}]}"#;
        let became_of = became(mixed, 5).unwrap();
        assert!(matches!(
            became_of.as_slice(),
            [Became::Again(_), Became::Done, Became::Done, Became::Failed(_), Became::Done]
        ));
        assert!(became(mixed, 4).is_err());
        assert!(became(b"<html>", 1).is_err());
        assert!(became(b"{}", 1).is_err());
    }

    #[test]
    fn an_operation_by_itself_has_no_fence() {
        let lines = b"{\"update\":{\"_index\":\"i\",\"_id\":\"1\"}}\n{\"inc\":{\"n\":1}}\n";
        let item = item(lines).unwrap();
        assert_eq!((item.verb(), &*item.index, &*item.id, item.repeatable), ("update", "i", "1", true));
    }
}
