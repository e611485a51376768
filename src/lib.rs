//! millpond: a write-coalescing engine for search ingestion.
//!
//! Many writes to one document go in; one operation per document comes out. While operations wait they are folded,
//! exactly, without knowing the document they will meet; reads see all of them at once; a sink gets one
//! operation per document and drain.
//!
//! ```
//! use millpond::{Engine, Operation};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let engine = Engine::open(directory.path().join("pond"))?;
//! let body = br#"{"doc":{"dest":"IAH"},"inc":{"flights":1},"doc_as_upsert":true}"#;
//! for _ in 0..80 {
//!     engine.submit(Operation::update("aircraft", "N14228", body))?;
//! }
//! let aircraft = engine.get("aircraft", "N14228")?.ok_or("it is there at once")?;
//! assert_eq!(aircraft.source, r#"{"dest":"IAH","flights":80}"#);
//! engine.flush(Duration::from_secs(60))?;
//! assert_eq!(engine.stats().operations_out, 1);
//! engine.close(Duration::from_secs(60))?;
//! # Ok(())
//! # }
//! ```
//!
//! # Where to start
//! - [`Engine`] is the handle: submit, get, scan, flush, close, statistics. Clones are the same engine.
//! - [`Operation`] is what is submitted, [`UpdateBody`] writes the body of an update.
//! - [`Builder`] has every setting, and takes the sink.
//! - [`Sink`] and [`Base`] are the two traits at the edge: where operations go, and where documents are read.
//!   [`segments`] is the embedded store, [`NdjsonSink`] writes bulk lines, [`MemorySink`] answers by a script.
//! - [`Builder::journal`] has what is accepted survive the process; a [`Source`] has what is delivered again dropped.
//! - [`disk`] is the seam to the medium, for a store or a journal on a disk that is not the system's.
//! - [`NetOperation`] is the algebra by itself: compose, apply, write as text.
//!
//! # Choosing settings
//! - [`max_delay`](Builder::max_delay) is the trade: an operation waits at most this long, and whatever else meets its
//!   document in that time costs the sink nothing. A document that changes every *t* goes out once per `max_delay`
//!   instead of once per *t*; beyond the time in which most documents change twice, longer gains little.
//! - [`memory_bytes`](Builder::memory_bytes) should hold what arrives in one `max_delay`, by the formula below, counted
//!   per document and not per operation. With less the engine drains early and folds less: it stays right, and
//!   bounded. One body may have a sixteenth of it ([`DOCUMENT_SHARE`]).
//! - [`keep_known`](Builder::keep_known) spares a read of the base for documents that change again soon.
//! - [`drain_threads`](Builder::drain_threads): as many as batches should be out at once. One suits the embedded store; a
//!   sink behind a network wants as many as round trips overlap. Order within a document holds at any number.
//! - [`full`](Builder::full): wait where the source can wait, hand back where it has somewhere else to put it.
//! - [`late_request_bound`](Builder::late_request_bound) must not be shorter than a request can linger on its way.
//!
//! # What an entry costs
//! In bytes, on a 64-bit machine, against the memory bound:
//!
//! ```text
//! 72                                             a document's slot (SLOT_BYTES)
//!   + id + 24, where it is longer than 23 bytes
//!   + 112 + known document, if one is kept (EXTRA_BYTES)
//!   + 88 (ENTRY_BYTES), for each entry that waits and for the one that is out:
//!       + net operation, and up to 1/8 to grow     its folded patch, or its document; 3 or 5 bytes of it per field
//!       + 56 + routing, if any (RARE_BYTES)
//!       + 48 per tracked operation (TRACKER_BYTES)
//! ```
//!
//! However many operations were folded, it is one net operation: counters and timestamps do not grow it, a new field
//! or a list's new element does. A submit copies its body once, and allocates only where its shard has no cell of that
//! size to give. Cells that were left are given to other operations of about the size; until their page has emptied, or is
//! filled again, they are held and not counted.
//!
//! # Errors
//! One [`Error`] with an [`ErrorKind`] to decide by. What is refused at submit comes back in [`SubmitError`].
//!
//! # The modules, in the order of a write's path
//! `document` and `operation` (what travels), `engine` (the handle), `shard` (where a submit lands), `merge` (the
//! algebra), `journal` (the log on disk), `drain` (from the shards to the sink and back), `sink` and `segment` (where it goes),
//! `view` (reads); and, used by all, `clock`, `config`, `disk`, `error`, `stats`, `sync`. `ARCHITECTURE.md` has the path as a drawing,
//! the decisions and why.

// Test support that unit tests share with the others calls the library by its name.
#[cfg(test)]
extern crate self as millpond;

// In the order of the path of a write.
mod document;
mod operation;

mod engine;

mod shard;

mod merge;

mod journal;

mod drain;

mod sink;

mod segment;

pub mod disk;

mod view;

mod clock;
mod config;
mod error;
mod stats;
mod sync;

pub use clock::{Clock, SimulatedClock};
pub use config::{Builder, DOCUMENT_SHARE, Full, MEMORY_BYTES_MIN};
pub use document::{Document, DocumentId, Key};
pub use engine::{
    BatchError, Commits, Drainer, Engine, Flights, Next, POSITION_MAX, SOURCE_NAME_BYTES_MAX, SOURCES_MAX,
    Scan, ScanToken, Source, SubmitError,
};
pub use error::{Error, ErrorKind, Result};
pub use journal::Journal;
pub use merge::{Applied, NetOperation, Shape};
pub use operation::{
    Action, BODY_BYTES_MAX, DEPTH_MAX, ID_BYTES_MAX, INDEX_BYTES_MAX, NUMBER_BYTES_MAX, Operation,
    ROUTING_BYTES_MAX, UpdateBody,
};
pub use shard::{Status, Ticket};
pub use sink::{
    Base, BaseDocument, BaseKey, Batch, DeadLetter, DeadLetterFile, DeadLetters, Expects, Item, ItemAction,
    Limits, MemoryDeadLetters, MemorySink, NdjsonSink, NullSink, Outcome, Scripted, Sink, Snapshot, Takes,
    Version,
};
pub use stats::{BatchStats, IndexStats, JournalStats, Stats};

/// A sink on Elasticsearch and OpenSearch servers (feature `elastic`).
#[cfg(feature = "elastic")]
pub mod elastic {
    pub use crate::sink::elastic::{
        Answered, Auth, ElasticOptions, ElasticSink, Method, Sent, Standing, Versioning,
    };
}

/// The embedded store: [`SegmentSink`](segments::SegmentSink) writes and reads it, [`SegmentReader`](segments::SegmentReader)
/// reads it from any process.
pub mod segments {
    pub use crate::segment::{Damage, IndexStats, Scan, SegmentReader, SegmentStats, VerifyReport, verify};
    pub use crate::sink::segments::{Compaction, SegmentOptions, SegmentSink};
}

/// Journals as files: see [`Builder::journal`] for the one that an engine keeps.
pub mod journals {
    pub use crate::journal::inspect::{Inspected, InspectedFile, inspect};
    pub use crate::journal::repair::{DROPPED_FILE, Repair, Repaired};
    pub use crate::journal::verify::{Verified, verify};
}

/// Doors for the fuzz targets and nobody else: compiled only under `--cfg fuzzing`.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use crate::journal::fuzz::{JournalStep, build_journal, read_journal, reseal_journal, seal_journal};
    pub use crate::merge::fuzzing::{Waiting, quick_paths_agree, split_json, validate_net};
    pub use crate::segment::fuzz::{Entries, build_segment, read_segment, reseal};
    #[cfg(feature = "elastic")]
    pub use crate::sink::elastic::bulk_outcomes;
}

/// The papers' examples compile: run as doctests and nothing else.
#[cfg(doctest)]
mod papers {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../ARCHITECTURE.md")]
    struct Architecture;
    #[doc = include_str!("../CONTRIBUTING.md")]
    struct Contributing;
    #[doc = include_str!("../docs/embedded.md")]
    struct Embedded;
}
