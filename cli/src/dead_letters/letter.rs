//! One dead letter, read from its line.
//!
//! # Design
//! A line is one JSON object: `action` and `body` are the two lines of the bulk format. All of it is checked when it is read, the
//! operation as well, so that a letter that is listed can also be sent. Fields that are not known are left alone, and those that
//! only people need (the time, the reason) may lack, as a letter may have been mended by hand.
//!
//! # Invariants
//! 1. The net operation is the one that was written: nothing of it is folded, rounded or left out.

use crate::bulk::ActionLine;
use millpond::NetOperation;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A letter, as it stands in a file.
#[derive(Deserialize)]
struct Written<'a> {
    time_ms: Option<i64>,
    #[serde(borrow, default)]
    reason: Cow<'a, str>,
    #[serde(borrow)]
    engine: Option<Cow<'a, str>>,
    first_seq: u64,
    last_seq: u64,
    operations: u64,
    #[serde(borrow)]
    action: &'a RawValue,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// A flight that a sink would not take.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Letter {
    /// When it was written, in milliseconds since 1970.
    pub(super) time_ms: Option<i64>,
    /// Why it was refused.
    pub(super) reason: String,
    /// The id of its engine; older letters do not say.
    pub(super) engine: Option<u128>,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    /// How many operations were folded into it.
    pub(super) operations: u64,
    pub(super) index: String,
    pub(super) id: String,
    pub(super) routing: Option<String>,
    pub(super) net: NetOperation,
}

impl Letter {
    /// Reads a line; or says what is wrong with it, as a clause.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        let written: Written<'_> = serde_json::from_slice(line).map_err(|error| clause(&error))?;
        let action = ActionLine::read(written.action.get().as_bytes())
            .map_err(|bad| format!("its action: {}", bad.message))?;
        let named = |name: Option<Cow<'_, str>>, what: &str| {
            name.map(Cow::into_owned).ok_or_else(|| format!("its action has no {what}"))
        };
        let body = written.body.map_or(&b""[..], |body| body.get().as_bytes());
        let net = NetOperation::from_parts(action.verb.name(), body)
            .map_err(|error| format!("its operation: {}", error.message()))?;
        let engine = written.engine.map(|engine| u128::from_str_radix(&engine, 16));
        if written.first_seq > written.last_seq {
            return Err("its first_seq is above its last_seq".to_owned());
        }
        Ok(Self {
            time_ms: written.time_ms,
            reason: written.reason.into_owned(),
            engine: engine.transpose().map_err(|_| "its engine is not an id".to_owned())?,
            first_seq: written.first_seq,
            last_seq: written.last_seq,
            operations: written.operations,
            index: named(action.index, "_index")?,
            id: named(action.id, "_id")?,
            routing: action.routing.map(Cow::into_owned),
            net,
        })
    }

    /// Whose document it is.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.index, &self.id)
    }
}

/// serde's message: the line that it names is the line of a file, and always its first.
fn clause(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line 1 column ") {
        Some((message, column)) => format!("{message} at column {column}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millpond::{Action, DeadLetter};

    fn line(net: &NetOperation) -> Vec<u8> {
        let letter = DeadLetter {
            index: "i",
            id: "\"1\"\n",
            routing: Some("r"),
            operation: net,
            reason: "said \"no\"",
            time_us: 1_234_567,
            engine: 0xabc,
            first_seq: 5,
            last_seq: 7,
            operations: 2,
        };
        let mut line = Vec::new();
        letter.write_line(&mut line);
        line
    }

    #[test]
    fn a_letter_reads_as_it_was_written() {
        let net = NetOperation::new(Action::Update(br#"{"inc":{"n":1.10},"then":[{"append":{"n":[1]}}]}"#));
        let net = net.unwrap();
        let expected = Letter {
            time_ms: Some(1_234),
            reason: "said \"no\"".to_owned(),
            engine: Some(0xabc),
            first_seq: 5,
            last_seq: 7,
            operations: 2,
            index: "i".to_owned(),
            id: "\"1\"\n".to_owned(),
            routing: Some("r".to_owned()),
            net: net.clone(),
        };
        assert_eq!(Letter::read(&line(&net)).unwrap(), expected);
        let delete = NetOperation::new(Action::Delete).unwrap();
        assert_eq!(Letter::read(&line(&delete)).unwrap().net, delete);
    }

    #[test]
    fn a_letter_of_an_earlier_version_or_mended_by_hand_is_read() {
        let text = br#"{"first_seq":1,"last_seq":1,"operations":1,"action":{"delete":{"_index":"i","_id":7}},"note":"mine"}"#;
        let letter = Letter::read(text).unwrap();
        assert_eq!((letter.key(), letter.engine, &*letter.reason), (("i", "7"), None, ""));
    }

    #[test]
    fn what_is_no_letter_is_told_why() {
        let seqs = r#""first_seq":1,"last_seq":1,"operations":1"#;
        for (text, why) in [
            ("{\"time_ms\":1,\"rea".to_owned(), "EOF"),
            ("nonsense".to_owned(), "expected"),
            ("{}".to_owned(), "first_seq"),
            (format!(r#"{{{seqs},"action":{{"index":{{"_index":"i","_id":"1"}}}}}}"#), "operation"),
            (format!(r#"{{{seqs},"action":{{"index":{{"_id":"1"}}}},"body":{{}}}}"#), "_index"),
            (format!(r#"{{{seqs},"action":{{"index":{{"_index":"i"}}}},"body":{{}}}}"#), "_id"),
            (format!(r#"{{{seqs},"action":{{"script":{{}}}},"body":{{}}}}"#), "unknown action"),
            (
                r#"{"first_seq":2,"last_seq":1,"operations":1,"action":{"delete":{"_index":"i","_id":"1"}}}"#
                    .to_owned(),
                "first_seq",
            ),
        ] {
            let said = Letter::read(text.as_bytes()).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
