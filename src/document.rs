//! Keys and documents: the values that travel.

use bytes::Bytes;
use smol_str::SmolStr;
use std::{fmt, ops::Deref, sync::Arc};

/// The name of a document: an index and an id. Operations on one key take effect in order and fold together.
///
/// Keys order by index name, then id, both as bytes: the order of segments and scans.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The index name. Shared: an engine holds one copy of each name.
    pub index: Arc<str>,
    /// The document's id within the index.
    pub id: Box<str>,
}

impl Key {
    /// A key from its parts; nothing is checked here: [`Engine::submit`](crate::Engine::submit) checks names and ids.
    pub fn new(index: impl Into<Arc<str>>, id: impl Into<Box<str>>) -> Self {
        Self { index: index.into(), id: id.into() }
    }
}

/// A document's id within its index. One of up to 23 bytes lies in it, a longer one is shared: a clone allocates
/// nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId(SmolStr);

impl Deref for DocumentId {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for DocumentId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl From<SmolStr> for DocumentId {
    fn from(id: SmolStr) -> Self {
        Self(id)
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// A document as it is stored: one JSON object, kept as the bytes that came in, and its routing.
///
/// The bytes are shared: a clone costs a reference count, and a document that comes from a segment
/// points into the mapped file. Holding it keeps that file's mapping (not its directory entry) alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The JSON text of the object.
    pub source: Bytes,
    /// The routing it was written with, if any.
    pub routing: Option<Box<str>>,
}

/// An index name's number within one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct IndexId(pub(crate) u16);

/// What all of some ids begin with.
pub(crate) fn common_prefix<'a>(mut ids: impl Iterator<Item = &'a [u8]>) -> &'a [u8] {
    let mut common = ids.next().unwrap_or_default();
    for id in ids {
        if !id.starts_with(common) {
            let alike = common.iter().zip(id).take_while(|(one, other)| one == other).count();
            common = common.get(..alike).unwrap_or_default();
        }
    }
    common
}

/// The first bytes of an id as a number that orders like them; what is shorter is filled up with zero bytes.
pub(crate) fn head(id: &[u8]) -> u64 {
    let mut bytes = [0; size_of::<u64>()];
    match id.first_chunk() {
        Some(first) => bytes = *first,
        None => bytes.iter_mut().zip(id).for_each(|(place, byte)| *place = *byte),
    }
    u64::from_be_bytes(bytes)
}

/// Writes a text as a JSON string, piece by piece: between quotes, with what JSON does not take bare escaped.
pub(crate) fn quote(text: &str, mut put: impl FnMut(&str)) {
    let is_escaped = |byte: u8| matches!(byte, ..b' ' | b'"' | b'\\');
    put("\"");
    let mut rest = text;
    // Looked at as a whole first, without a branch per byte: nearly every name is plain.
    let mut is_plain = !text.bytes().fold(false, |any, byte| any | is_escaped(byte));
    while !is_plain {
        let Some(at) = rest.bytes().position(is_escaped) else { break };
        let (plain, from) = rest.split_at(at);
        // What is escaped is one byte long.
        let (one, after) = from.split_at(1);
        put(plain);
        match one {
            "\"" | "\\" => {
                put("\\");
                put(one);
            }
            _ => one.bytes().for_each(|byte| put(&format!("\\u{byte:04x}"))),
        }
        rest = after;
        is_plain = rest.is_empty();
    }
    put(rest);
    put("\"");
}
