//! What a caller submits: operations, the limits on them, and a builder for update bodies.
//!
//! # Design
//! An [`Operation`] borrows everything and is `Copy`: submitting allocates nothing for it, and an error hands
//! it back by value. Bodies are JSON text as in Elasticsearch's bulk format: what follows an action line.
//! [`UpdateBody`] writes such text for callers who have values and no text yet.
//!
//! # Why not owned operations
//! What is submitted is copied once, into the shard that holds it; a copy before that would be thrown away.

mod update_body;

pub use update_body::UpdateBody;

use crate::{Error, ErrorKind, Result};

/// One write to one document, borrowed from the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// The index name.
    pub index: &'a str,
    /// The document's id.
    pub id: &'a str,
    /// The routing, if any. Operations on one key with different routings do not fold, and go out in order.
    pub routing: Option<&'a str>,
    /// What to do.
    pub action: Action<'a>,
}

impl<'a> Operation<'a> {
    /// Stores this document, whatever was there.
    pub fn index(index: &'a str, id: &'a str, document: &'a [u8]) -> Self {
        Self::new(index, id, Action::Index(document))
    }

    /// Stores this document if there is none.
    pub fn create(index: &'a str, id: &'a str, document: &'a [u8]) -> Self {
        Self::new(index, id, Action::Create(document))
    }

    /// Changes the document as this body says: see [`Action::Update`] and [`UpdateBody`].
    pub fn update(index: &'a str, id: &'a str, body: &'a [u8]) -> Self {
        Self::new(index, id, Action::Update(body))
    }

    /// Removes the document.
    pub fn delete(index: &'a str, id: &'a str) -> Self {
        Self::new(index, id, Action::Delete)
    }

    /// The same operation with a routing.
    #[must_use]
    pub fn routing(self, routing: &'a str) -> Self {
        Self { routing: Some(routing), ..self }
    }

    fn new(index: &'a str, id: &'a str, action: Action<'a>) -> Self {
        Self { index, id, routing: None, action }
    }
}

/// What an [`Operation`] does. Bodies are JSON text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// Store this document, whatever was there.
    Index(&'a [u8]),
    /// Store this document if there is none; else it is a conflict.
    Create(&'a [u8]),
    /// Change the document: the body has `doc`, `upsert`, `doc_as_upsert`, `detect_noop` as in Elasticsearch, and
    /// the field operations `set`, `inc`, `append`, `union`, `subtract`, `min`, `max`, `remove`, and `then`.
    Update(&'a [u8]),
    /// Remove the document.
    Delete,
}

/// Nesting of a document, and of the document that an update touches: 1,000 levels, as the servers take.
pub const DEPTH_MAX: usize = 1_000;
/// Bytes of one number's text.
pub const NUMBER_BYTES_MAX: usize = 4_096;
/// Bytes of one document or body. The engine refuses less than this when its memory bound is small.
pub const BODY_BYTES_MAX: usize = 100 * 1024 * 1024;
/// Bytes of an id, as Elasticsearch.
pub const ID_BYTES_MAX: usize = 512;
/// Bytes of an index name, as Elasticsearch.
pub const INDEX_BYTES_MAX: usize = 255;
/// Bytes of a routing value.
pub const ROUTING_BYTES_MAX: usize = 512;

impl std::fmt::Debug for Action<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, body) = match self {
            Action::Index(body) => ("Index", Some(*body)),
            Action::Create(body) => ("Create", Some(*body)),
            Action::Update(body) => ("Update", Some(*body)),
            Action::Delete => ("Delete", None),
        };
        match body {
            Some(body) => write!(f, "{name}({})", String::from_utf8_lossy(body)),
            None => f.write_str(name),
        }
    }
}

/// Holds the names in an operation to Elasticsearch's rules: index, id and routing.
#[cfg(test)]
fn check_names(operation: &Operation<'_>) -> Result<()> {
    check_index(operation.index)?;
    check_id_and_routing(operation)
}

/// Holds id and routing to their rules.
#[inline]
pub(crate) fn check_id_and_routing(operation: &Operation<'_>) -> Result<()> {
    check_length("the id", operation.id, ID_BYTES_MAX)?;
    operation.routing.map_or(Ok(()), |routing| check_length("the routing", routing, ROUTING_BYTES_MAX))
}

#[inline]
fn check_length(what: &str, text: &str, bytes_max: usize) -> Result<()> {
    if text.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, format!("{what} is empty")));
    }
    if text.len() > bytes_max {
        let message = format!("{what} has {} bytes, and at most {bytes_max} are taken", text.len());
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    Ok(())
}

/// What an index name may not hold.
const BANNED_IN_INDEX: [char; 13] = ['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '#', ':', '\0'];

/// Holds an index name to its rules. A name that is registered need not be looked at again.
pub(crate) fn check_index(index: &str) -> Result<()> {
    check_length("the index name", index, INDEX_BYTES_MAX)?;
    let refused =
        |why: String| Err(Error::new(ErrorKind::Invalid, format!("the index name {index:?} {why}")));
    if matches!(index, "." | "..") {
        return refused("is a directory's".to_owned());
    }
    if index.starts_with(['-', '_', '+']) {
        return refused("starts with one of - _ +".to_owned());
    }
    if let Some(found) = index.chars().find(|character| BANNED_IN_INDEX.contains(character)) {
        return refused(format!("holds {found:?}"));
    }
    // As Java's toLowerCase(Locale.ROOT), by which the servers decide.
    if index.chars().any(|character| !character.to_lowercase().eq([character])) {
        return refused("is not in lower case".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(index: &str, id: &str, routing: Option<&str>) -> Option<String> {
        let operation = Operation { routing, ..Operation::delete(index, id) };
        check_names(&operation).err().map(|error| error.to_string())
    }

    #[test]
    fn names_that_elasticsearch_takes_are_taken() {
        for index in ["a", "0", ".hidden", "logs-2013.01", "ünïcode", "a-_+", "日本"] {
            assert_eq!(refusal(index, "x", None), None, "{index}");
        }
        assert_eq!(refusal(&"a".repeat(255), &"i".repeat(512), Some(&"r".repeat(512))), None);
    }

    #[test]
    fn names_that_elasticsearch_refuses_are_refused() {
        for index in [
            "", ".", "..", "A", "aÜ", "-a", "_a", "+a", "a b", "a,b", "a#b", "a:b", "a*", "a?", "a\"", "a<",
            "a>", "a|", "a/", "a\\",
        ] {
            assert!(refusal(index, "x", None).is_some(), "{index}");
        }
        assert_eq!(refusal("a", "", None).as_deref(), Some("the id is empty"));
        assert_eq!(refusal("a", "x", Some("")).as_deref(), Some("the routing is empty"));
        let long = "é".repeat(257);
        assert_eq!(
            refusal("a", &long, None).as_deref(),
            Some("the id has 514 bytes, and at most 512 are taken")
        );
        assert!(
            refusal("a", "x", Some(&long)).is_some_and(|message| message.starts_with("the routing has 514"))
        );
        assert!(refusal(&"a".repeat(256), "x", None).is_some_and(|message| message.contains("255")));
        assert_eq!(
            refusal("Flights", "x", None).as_deref(),
            Some("the index name \"Flights\" is not in lower case")
        );
    }
}
