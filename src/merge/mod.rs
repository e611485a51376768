//! The algebra: placeholder that fixes the interface.

use crate::{Action, Error, ErrorKind, Result};
use bytes::Bytes;

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

/// An owned net operation.
#[derive(Clone, Debug)]
pub struct NetOperation(Box<[u8]>);

/// What applying a net operation to a base gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The document after it, or `None`.
    pub document: Option<Bytes>,
    /// False where a document was there and is unchanged in value.
    pub changed: bool,
    /// Field operations that met a type that does not fit and left the value as it was.
    pub misfits: u64,
}

impl NetOperation {
    /// Validates an action and turns it into its net operation.
    pub fn new(action: Action<'_>) -> Result<Self> {
        let _ = action;
        Err(Error::new(ErrorKind::Invalid, "not yet"))
    }
    /// The bytes.
    pub fn shape(&self) -> Shape {
        let _ = &self.0;
        Shape::Delete
    }
}
