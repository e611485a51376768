//! Action lines as programs write them: `{"update":{"_index":"aircraft","_id":"N14228"}}`, without white space and
//! escapes, the fields in this order.
//!
//! # Design
//! Compared byte by byte with the one form it may have. Whatever is otherwise is left to the general reader, which
//! decides what is wrong: here is no error.
//!
//! # Invariants
//! 1. What is read here, the general reader reads alike.

use super::Verb;

/// The verbs with what stands before the metadata.
const STARTS: [(&[u8], Verb); 4] = [
    (b"{\"update\":{", Verb::Update),
    (b"{\"index\":{", Verb::Index),
    (b"{\"create\":{", Verb::Create),
    (b"{\"delete\":{", Verb::Delete),
];

/// A line with an id, as it borrows from its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainLine<'a> {
    /// What to do.
    pub verb: Verb,
    /// The index, if the line names one.
    pub index: Option<&'a str>,
    /// The document's id.
    pub id: &'a str,
}

impl<'a> PlainLine<'a> {
    /// Reads a line, with or without its line end; nothing where it has another form.
    #[inline]
    pub fn read(line: &'a [u8]) -> Option<Self> {
        let (verb, mut rest) =
            STARTS.iter().find_map(|(start, verb)| Some((*verb, line.strip_prefix(*start)?)))?;
        let mut index = None;
        if let Some(after) = rest.strip_prefix(b"\"_index\":\"") {
            let (name, after) = name(after)?;
            index = Some(name);
            rest = after.strip_prefix(b",")?;
        }
        let (id, rest) = name(rest.strip_prefix(b"\"_id\":\"")?)?;
        matches!(rest, b"}}\n" | b"}}\r\n" | b"}}").then_some(Self { verb, index, id })
    }
}

/// A name up to its quote, and what comes behind that.
#[inline]
fn name(text: &[u8]) -> Option<(&str, &[u8])> {
    let end = text.iter().position(|byte| matches!(byte, ..b' ' | b'"' | b'\\' | 0x80..))?;
    let (name, rest) = text.split_at_checked(end)?;
    Some((std::str::from_utf8(name).ok()?, rest.strip_prefix(b"\"")?))
}
