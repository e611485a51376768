//! millpond: a write-coalescing engine for search ingestion.
//!
//! Many writes to one document go in; one operation per document comes out.

// In the order of the path of a write.
mod document;
mod operation;

mod merge;

mod segment;

mod sink;

mod clock;
mod error;
mod sync;

pub use document::{Document, Key};
pub use error::{Error, ErrorKind, Result};
pub use merge::{Applied, NetOperation, Shape};
pub use operation::{Action, Operation, UpdateBody};
pub use sink::{Base, BaseDocument, Batch, Item, ItemAction, Limits, Outcome, Sink, Snapshot, Takes};

/// Doors for the fuzz targets and nobody else: compiled only under `--cfg fuzzing`.
#[cfg(fuzzing)]
pub mod fuzzing {}
