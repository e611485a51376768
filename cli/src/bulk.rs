//! The action lines of Elasticsearch's bulk format: `{"update":{"_index":"aircraft","_id":"N14228"}}`.
//!
//! # Design
//! A line is read in one pass and borrows from its text; only a name with an escape is copied. The form that nearly
//! every line has is read by comparing bytes ([`PlainLine`]), all others by a cursor. The metadata
//! are `_index`, `_id` and `routing`. A name may be written as an integer, as the servers take it, and
//! `null` is as if it were not there. Anything else is refused with the place in the line.
//!
//! A line that is refused still says what it could tell: with the verb known, a reader knows whether a body
//! follows, and loses one operation instead of its place in the stream.
//!
//! # Why not serde
//! A message must say the column of the field that is wrong; serde's custom errors point behind it.
//!
//! # Invariants
//! 1. Any bytes give a line or a refusal, never a panic; the offset of a refusal is at most the length.
//! 2. A line that is read, written with [`ActionLine::write`] and read again is equal.

mod plain;

pub use plain::PlainLine;
use std::{borrow::Cow, fmt};

/// What an action line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Store the document of the next line, whatever was there.
    Index,
    /// Store the document of the next line if there is none.
    Create,
    /// Change the document as the next line says.
    Update,
    /// Remove the document.
    Delete,
}

impl Verb {
    const ALL: [Self; 4] = [Self::Index, Self::Create, Self::Update, Self::Delete];

    /// The name in the bulk format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    /// True where a body line follows the action line.
    pub fn has_body(self) -> bool {
        self != Self::Delete
    }

    /// True where a document without an id is given one.
    pub fn makes_id(self) -> bool {
        matches!(self, Self::Index | Self::Create)
    }
}

/// An action line, borrowed from its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionLine<'a> {
    /// What to do.
    pub verb: Verb,
    /// The index, if the line names one.
    pub index: Option<Cow<'a, str>>,
    /// The document's id, if the line names one.
    pub id: Option<Cow<'a, str>>,
    /// The routing, if the line names one.
    pub routing: Option<Cow<'a, str>>,
}

/// Why a line was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Where in the line, in bytes from its start.
    pub offset: usize,
    /// What is wrong, as a clause.
    pub message: String,
    /// What the line asks for, if that much was clear.
    pub verb: Option<Verb>,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<'a> ActionLine<'a> {
    /// Reads a line, with or without its line end.
    pub fn read(line: &'a [u8]) -> Result<Self, BadLine> {
        if let Some(PlainLine { verb, index, id }) = PlainLine::read(line) {
            return Ok(Self {
                verb,
                index: index.map(Cow::Borrowed),
                id: Some(Cow::Borrowed(id)),
                routing: None,
            });
        }
        Self::read_any(line)
    }

    /// Reads a line of whatever form.
    fn read_any(line: &'a [u8]) -> Result<Self, BadLine> {
        let mut cursor = Cursor { text: line, at: 0 };
        let mut verb = None;
        cursor.action(&mut verb).map_err(|(offset, message)| BadLine {
            offset: offset.min(line.len()),
            message,
            verb,
        })
    }

    /// Appends the line to `out`, without a line end.
    pub fn write(&self, out: &mut Vec<u8>) {
        let names = [("_index", &self.index), ("_id", &self.id), ("routing", &self.routing)];
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(self.verb.name().as_bytes());
        out.extend_from_slice(b"\":{");
        let mut first = true;
        for (name, value) in names {
            let Some(value) = value else { continue };
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            string(name, out);
            out.push(b':');
            string(value, out);
        }
        out.extend_from_slice(b"}}");
    }
}

/// Appends a JSON string.
pub fn string(text: &str, out: &mut Vec<u8>) {
    // Writing a string to memory cannot fail; were it to, the line would be cut and refused when read.
    let _ = serde_json::to_writer(out, text);
}

/// A refusal while the verb is not yet attached: the offset and the clause.
type Refusal = (usize, String);

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn action(&mut self, verb: &mut Option<Verb>) -> Result<ActionLine<'a>, Refusal> {
        self.expect(b'{', "an action line is an object like {\"index\":{\"_id\":\"1\"}}")?;
        self.space();
        let start = self.at;
        let name = self.string("the action")?;
        let known = Verb::ALL.into_iter().find(|verb| verb.name() == name).ok_or_else(|| {
            (start, format!("unknown action {name:?}: index, create, update and delete are known"))
        })?;
        self.expect(b':', "expected a colon after the action")?;
        self.expect(b'{', "the action's metadata are an object")?;
        *verb = Some(known);
        let mut line = ActionLine { verb: known, index: None, id: None, routing: None };
        self.metadata(&mut line)?;
        self.expect(b'}', "expected } after the metadata: a line has one action")?;
        self.space();
        if self.at < self.text.len() {
            return Err((self.at, "nothing may follow the action on its line".to_owned()));
        }
        Ok(line)
    }

    /// The fields of the metadata, to and with the closing brace.
    fn metadata(&mut self, line: &mut ActionLine<'a>) -> Result<(), Refusal> {
        // Read already, be it as null.
        let mut seen = [false; 3];
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let start = self.at;
            let name = self.string("a metadata field")?;
            let [seen_index, seen_id, seen_routing] = &mut seen;
            let (name, place, seen) = match name.as_ref() {
                "_index" => ("_index", &mut line.index, seen_index),
                "_id" => ("_id", &mut line.id, seen_id),
                "routing" => ("routing", &mut line.routing, seen_routing),
                other => {
                    let known = "_index, _id and routing are known";
                    return Err((start, format!("metadata field {other:?} is not supported: {known}")));
                }
            };
            if std::mem::replace(seen, true) {
                return Err((start, format!("{name} is given twice")));
            }
            self.expect(b':', "expected a colon after the field's name")?;
            *place = self.name_or_null(name)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err((self.at, "expected a comma or } in the metadata".to_owned())),
            }
        }
    }

    /// A string, an integer as its digits, or null.
    fn name_or_null(&mut self, field: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
        self.space();
        let start = self.at;
        if self.peek() == Some(b'"') {
            return self.string(field).map(Some);
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
            self.at += 1;
        }
        let word = self.text.get(start..self.at).unwrap_or_default();
        if word == b"null" {
            return Ok(None);
        }
        let digits = word.strip_prefix(b"-").unwrap_or(word);
        let whole = match digits {
            [] => false,
            [b'0'] => true,
            [first, rest @ ..] => (b'1'..=b'9').contains(first) && rest.iter().all(u8::is_ascii_digit),
        };
        match std::str::from_utf8(word) {
            Ok(word) if whole => Ok(Some(Cow::Borrowed(word))),
            _ => Err((start, format!("{field} must be a string"))),
        }
    }

    /// A string; borrowed unless it has an escape.
    fn string(&mut self, what: &str) -> Result<Cow<'a, str>, Refusal> {
        self.space();
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err((start, format!("expected {what} as a string")));
        }
        let mut escaped = false;
        loop {
            self.at += 1;
            match self.peek() {
                None => return Err((start, "the string does not end".to_owned())),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 1;
                }
                Some(control) if control < b' ' => {
                    return Err((self.at, "a control character in a string must be escaped".to_owned()));
                }
                Some(_) => {}
            }
        }
        self.at += 1;
        let quoted = self.text.get(start..self.at).unwrap_or_default();
        if escaped {
            return serde_json::from_slice::<String>(quoted)
                .map(Cow::Owned)
                .map_err(|error| (start, format!("not a JSON string: {}", clause(&error))));
        }
        let plain = quoted.get(1..quoted.len() - 1).unwrap_or_default();
        std::str::from_utf8(plain)
            .map(Cow::Borrowed)
            .map_err(|error| (start + 1 + error.valid_up_to(), "not UTF-8".to_owned()))
    }

    fn expect(&mut self, byte: u8, or: &str) -> Result<(), Refusal> {
        self.space();
        if self.peek() != Some(byte) {
            return Err((self.at, or.to_owned()));
        }
        self.at += 1;
        Ok(())
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| b" \t\r\n".contains(&byte)) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
}

/// True for a line of white space alone, which stands for nothing between two operations.
pub fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

/// True if a line reads as the start of an operation, good or bad: a body is not likely to.
///
/// Used only behind an action line that could not be understood, to find the stream's step again.
pub fn starts_operation(line: &[u8]) -> bool {
    ActionLine::read(line).map_or_else(|bad| bad.verb.is_some(), |_| true)
}

/// serde's message without the place, which is within the string and not within the line.
fn clause(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}

#[cfg(test)]
mod tests;
