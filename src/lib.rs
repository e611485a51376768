//! millpond: a write-coalescing engine for search ingestion.
//!
//! Many writes to one document go in; one operation per document comes out.

// In the order of the path of a write.
mod document;
mod operation;

mod engine;

mod shard;

mod merge;

mod drain;

mod sink;

mod segment;

mod view;

mod clock;
mod config;
mod error;
mod stats;
mod sync;

pub use clock::{Clock, SimulatedClock};
pub use config::{Builder, DOCUMENT_SHARE, Full, MEMORY_BYTES_MIN};
pub use document::{Document, Key};
pub use engine::{BatchError, Drainer, Engine, Flights, Next, Scan, ScanToken, SubmitError};
pub use error::{Error, ErrorKind, Result};
pub use merge::{Applied, NetOperation, Shape};
pub use operation::{
    Action, BODY_BYTES_MAX, DEPTH_MAX, ID_BYTES_MAX, INDEX_BYTES_MAX, NUMBER_BYTES_MAX, Operation,
    ROUTING_BYTES_MAX, UpdateBody,
};
pub use shard::{Status, Ticket};
pub use sink::{
    Base, BaseDocument, Batch, DeadLetter, DeadLetterFile, DeadLetters, Item, ItemAction, Limits,
    MemoryDeadLetters, MemorySink, NdjsonSink, NullSink, Outcome, Scripted, Sink, Snapshot, Takes,
};
pub use stats::{IndexStats, Stats};

/// The embedded store: [`SegmentSink`](segments::SegmentSink) writes and reads it, [`SegmentReader`](segments::SegmentReader)
/// reads it from any process.
pub mod segments {
    pub use crate::segment::{Damage, IndexStats, Scan, SegmentReader, SegmentStats, VerifyReport, verify};
    pub use crate::sink::segments::{Compaction, SegmentOptions, SegmentSink};
}

/// Doors for the fuzz targets and nobody else: compiled only under `--cfg fuzzing`.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use crate::merge::fuzzing::{split_json, validate_net};
    pub use crate::segment::fuzz::{Entries, build_segment, read_segment, reseal};
}
