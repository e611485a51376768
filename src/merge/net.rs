//! Net operations: the three shapes over a patch.
//!
//! # Design
//! [`NetOperation`] owns the bytes and is what the world sees; [`NetRef`] borrows them, and with it [`encode`],
//! [`compose`] and [`apply`] work from slices into one output that the caller keeps, without allocating for it.
//!
//! What the bytes say is read in [`reference`](super::reference).

use super::apply::{apply_fields, write_object};
use super::compose::Fold;
use super::encoding::{close, longest_run, open, write_length};
use super::json::glance;
use super::json::scan::part;
pub(crate) use super::reference::NetRef;
pub(super) use super::reference::{ALWAYS, Absent, FROM_PATCH, HEADER_BYTES, PUT, Parts, Patch, TABLE};
use super::reference::{DELETE, DOCUMENT, NONE, PATCH};
use super::scope::Scope;
use super::{body, direct, meaning, table};
use crate::{Action, Error, ErrorKind, Result};
use bytes::Bytes;
use std::fmt;

/// The shape of a net operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Whatever was there, now this document.
    Put,
    /// Whatever was there, now nothing.
    Delete,
    /// If there is a document, patch it; if there is none, perhaps a document of its own.
    Patch,
}

/// An operation, or several folded into one: a function from an optional document to an optional document.
///
/// Two net operations are equal where they mean the same by their parts: documents and operands byte for byte
/// (white space between tokens aside), patches field by field in any order. A clone shares the bytes.
#[derive(Clone)]
pub struct NetOperation(Bytes);

/// What applying a net operation to a base gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The document after it, or `None`.
    pub document: Option<Bytes>,
    /// False where a patch left a document equal in value to what it was (it is then the same byte for byte), and
    /// where there was no document and there is none. A put always changes: servers always write it.
    pub changed: bool,
    /// Field operations that met a type that does not fit and left the value as it was.
    pub misfits: u64,
}

impl NetOperation {
    /// Checks an action and turns it into its net operation.
    ///
    /// Errors say what is wrong and at which byte of the body.
    pub fn new(action: Action<'_>) -> Result<Self> {
        let mut out = Vec::new();
        encode_within(action, &Scope::SUBMITTED, &mut out)?;
        Ok(Self::from_encoded(out))
    }

    /// The shape of the operation.
    pub fn shape(&self) -> Shape {
        self.as_net().shape()
    }

    /// This operation and then another, as one. Never fails and never needs the document.
    #[must_use]
    pub fn compose(&self, later: &Self) -> Self {
        let mut out = Vec::new();
        compose(self.as_net(), later.as_net(), &mut out);
        Self::from_encoded(out)
    }

    /// Carries the operation out. `base` is the text of a JSON object, or nothing.
    pub fn apply(&self, base: Option<&[u8]>) -> Applied {
        let mut out = Vec::new();
        let AppliedTo { exists, changed, misfits } = apply(self.as_net(), base, &mut out);
        Applied { document: exists.then(|| Bytes::from(out)), changed, misfits }
    }

    /// True where carrying it out twice is known to be the same as once, whatever the base: a put, a delete, or a
    /// patch that applied twice is as once and whose own document, patched, stays as it is.
    ///
    /// False is the safe answer: a field with several operations that do not fold may get it undeservedly.
    pub fn is_repeatable(&self) -> bool {
        self.as_net().is_repeatable()
    }

    /// True where the operation need not be written if it leaves a document as it is: a patch without
    /// `"detect_noop":false`.
    pub fn detects_noop(&self) -> bool {
        self.as_net().detects_noop()
    }

    /// Whether there is a document after the operation, given whether there was one before.
    pub fn existence_after(&self, existed: bool) -> bool {
        self.as_net().existence_after(existed)
    }

    /// The most operations that stay side by side on any one field because they cannot fold; 0 for a put or delete.
    pub fn longest_run(&self) -> usize {
        self.as_net().longest_run()
    }

    /// The action word of the bulk format that writes this operation: `index`, `create`, `update` or `delete`.
    pub fn verb(&self) -> &'static str {
        self.as_net().verb()
    }

    /// Writes what follows the action line in the bulk format, without a line break: nothing for a delete.
    pub fn write_body(&self, out: &mut Vec<u8>) {
        self.as_net().write_body(out);
    }

    /// Reads back what [`verb`](Self::verb) and [`write_body`](Self::write_body) wrote. Takes what [`new`](Self::new)
    /// takes, and what folding can make of it: deeper documents, longer numbers and larger bodies.
    pub fn from_parts(verb: &str, body: &[u8]) -> Result<Self> {
        let action = match verb {
            "index" => Action::Index(body),
            "create" => Action::Create(body),
            "update" => Action::Update(body),
            "delete" if body.is_empty() => Action::Delete,
            "delete" => return Err(Error::new(ErrorKind::Invalid, "a delete has no body")),
            _ => return Err(Error::new(ErrorKind::Invalid, format!("there is no action \"{verb}\""))),
        };
        let mut out = Vec::new();
        encode_within(action, &Scope::READ_BACK, &mut out)?;
        Ok(Self::from_encoded(out))
    }

    /// Takes bytes that came from [`encode`] or [`compose`], and holds no more than they need.
    pub(crate) fn from_encoded(bytes: Vec<u8>) -> Self {
        Self(bytes.into_boxed_slice().into())
    }

    /// The same, shared already.
    pub(crate) fn from_shared(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Bytes it holds.
    pub(crate) fn weight(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn as_net(&self) -> NetRef<'_> {
        NetRef::from_bytes(&self.0)
    }

    /// The document of a put: a part of the operation's own bytes, shared with it.
    pub(crate) fn document(&self) -> Option<Bytes> {
        self.as_net().document().map(|document| self.0.slice_ref(document))
    }
}

impl PartialEq for NetOperation {
    fn eq(&self, other: &Self) -> bool {
        meaning::means_the_same(self.as_net(), other.as_net())
    }
}

impl Eq for NetOperation {}

impl fmt::Debug for NetOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut body = Vec::new();
        self.write_body(&mut body);
        write!(f, "{} {}", self.verb(), String::from_utf8_lossy(&body))
    }
}

/// What composing found out beside its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Composed {
    /// Field operations that do not fit whatever the base is, and were dropped: counted here and never again.
    pub(crate) misfits: u64,
    /// [`NetRef::longest_run`] of the result.
    pub(crate) longest_run: usize,
}

/// What applying gave, beside the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AppliedTo {
    /// True where there is a document, which is then the output.
    pub(crate) exists: bool,
    /// As [`Applied::changed`].
    pub(crate) changed: bool,
    /// As [`Applied::misfits`].
    pub(crate) misfits: u64,
}

/// Checks an action and writes its net operation for a shard to `out`, which is cleared; on an error it stays empty.
/// A put is mostly a [`table`].
pub(crate) fn encode(action: Action<'_>, out: &mut Vec<u8>) -> Result<()> {
    if let Action::Index(document) = action
        && table::write_document(document, Scope::SUBMITTED.document, out).is_some()
    {
        return Ok(());
    }
    encode_within(action, &Scope::SUBMITTED, out)
}

fn encode_within(action: Action<'_>, scope: &Scope, out: &mut Vec<u8>) -> Result<()> {
    if let Action::Update(text) = action
        && direct::encode(text, scope, out).is_some()
    {
        return Ok(());
    }
    out.clear();
    match action {
        Action::Index(document) => {
            let document = glance::checked_object(document, scope.document)?;
            out.reserve(document.len() + 1);
            out.push(PUT);
            out.extend_from_slice(document);
        }
        Action::Create(document) => {
            let document = glance::checked_object(document, scope.document)?;
            start_patch(
                Patch { is_always_written: false, absent: Absent::Document(document), fields: &[] },
                out,
            );
        }
        Action::Update(text) => {
            if let Err(error) = body::encode_update(text, scope, out) {
                out.clear();
                return Err(error);
            }
        }
        Action::Delete => out.push(DELETE),
    }
    Ok(())
}

/// Writes a patch: its header, its absent document and its fields. The longest run is patched in later.
pub(super) fn start_patch(patch: Patch<'_>, out: &mut Vec<u8>) {
    start_header(patch.is_always_written, patch.absent, out);
    if let Absent::Document(document) = patch.absent {
        write_length(out, document.len());
        out.extend_from_slice(document);
    }
    out.extend_from_slice(patch.fields);
}

fn start_header(is_always_written: bool, absent: Absent<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&header(is_always_written, absent, 0));
}

/// What stands before a patch's absent document and its fields.
pub(super) fn header(is_always_written: bool, absent: Absent<'_>, longest_run: u32) -> [u8; HEADER_BYTES] {
    let absent = match absent {
        Absent::None => NONE,
        Absent::FromPatch => FROM_PATCH,
        Absent::Document(_) => DOCUMENT,
    };
    let [a, b, c, d] = longest_run.to_le_bytes();
    [PATCH | absent | if is_always_written { ALWAYS } else { 0 }, a, b, c, d]
}

/// Fills in a patch's longest run.
pub(super) fn finish_patch(longest_run: usize, out: &mut [u8]) {
    if let Some(room) = out.get_mut(1..5) {
        room.copy_from_slice(&u32::try_from(longest_run).unwrap_or(u32::MAX).to_le_bytes());
    }
}

/// Writes an operation and then another, as one, to `out`, which is cleared.
pub(crate) fn compose(earlier: NetRef<'_>, later: NetRef<'_>, out: &mut Vec<u8>) -> Composed {
    out.clear();
    let mut composed = Composed { misfits: 0, longest_run: 0 };
    let (mut earlier_joined, mut later_joined) = (Vec::new(), Vec::new());
    let later = later.joined(&mut later_joined);
    let Parts::Patch(second) = later.parts() else {
        later.write_joined(out);
        return composed;
    };
    let earlier = earlier.joined(&mut earlier_joined);
    match earlier.parts() {
        Parts::Put(document) => {
            out.push(PUT);
            apply_fields(second.fields, document, out, &mut composed.misfits);
        }
        Parts::Table => debug_assert!(false, "it was joined"),
        Parts::Delete if second.absent == Absent::None => out.push(DELETE),
        Parts::Delete => {
            out.push(PUT);
            write_absent_document(second, out);
        }
        Parts::Patch(first) => {
            let known = earlier.longest_run().max(later.longest_run());
            composed = compose_patches(first, second, known, out);
        }
    }
    composed
}

fn compose_patches(first: Patch<'_>, second: Patch<'_>, longest: usize, out: &mut Vec<u8>) -> Composed {
    let is_always_written = first.is_always_written || second.is_always_written;
    match (first.absent, second.absent) {
        (Absent::FromPatch, _) => start_header(is_always_written, Absent::FromPatch, out),
        (Absent::None, Absent::None) => start_header(is_always_written, Absent::None, out),
        (Absent::None, Absent::FromPatch) if first.fields.is_empty() => {
            start_header(is_always_written, Absent::FromPatch, out);
        }
        (Absent::None, _) => {
            start_header(is_always_written, Absent::Document(&[]), out);
            let length = open(out);
            write_absent_document(second, out);
            close(out, length);
        }
        (Absent::Document(document), _) => {
            start_header(is_always_written, Absent::Document(&[]), out);
            let length = open(out);
            // What does not fit here is counted where the patches meet, once.
            apply_fields(second.fields, document, out, &mut 0);
            close(out, length);
        }
    }
    let start = out.len();
    let mut fold = Fold::default();
    fold.fields(first.fields, second.fields, out);
    // Where no run was longer than one, the longest now is among those that were joined.
    let longest_run =
        if longest <= 1 { longest.max(fold.longest_run) } else { longest_run(part(out, start, out.len())) };
    finish_patch(longest_run, out);
    Composed { misfits: fold.misfits, longest_run }
}

/// Writes what a patch makes where there is no document, if it makes one.
pub(super) fn write_absent_document(patch: Patch<'_>, out: &mut Vec<u8>) -> bool {
    match patch.absent {
        Absent::None => return false,
        Absent::FromPatch => write_object(patch.fields, out, &mut 0),
        Absent::Document(document) => out.extend_from_slice(document),
    }
    true
}

/// Carries an operation out and writes the document to `out`, which is cleared.
pub(crate) fn apply(net: NetRef<'_>, base: Option<&[u8]>, out: &mut Vec<u8>) -> AppliedTo {
    out.clear();
    let (mut misfits, mut joined) = (0, Vec::new());
    let (exists, changed) = match (net.joined(&mut joined).parts(), base) {
        (Parts::Put(document), _) => {
            out.extend_from_slice(document);
            (true, true)
        }
        (Parts::Delete | Parts::Table, base) => (false, base.is_some()),
        (Parts::Patch(patch), Some(base)) => (true, apply_fields(patch.fields, base, out, &mut misfits)),
        (Parts::Patch(patch), None) => {
            let exists = write_absent_document(patch, out);
            (exists, exists)
        }
    };
    AppliedTo { exists, changed, misfits }
}
