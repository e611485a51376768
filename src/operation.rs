//! What a caller submits: operations, the limits on them, and a builder for update bodies.
//!
//! # Design
//! An [`Operation`] borrows everything and is `Copy`: submitting allocates nothing for it, and an error hands
//! it back by value. Bodies are JSON text as in Elasticsearch's bulk format: what follows an action line.

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

/// Nesting of a document or body: as Elasticsearch and OpenSearch, 1,000 levels.
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

/// Builds the body of an update: placeholder until the algebra lands.
#[derive(Debug)]
pub struct UpdateBody(());

pub(crate) fn check_names(_o: &Operation<'_>) -> crate::Result<()> {
    Ok(())
}
