//! Segments: the embedded store of documents.
//!
//! # Design
//! Each batch becomes one immutable file of documents and tombstones, sorted by key. A manifest names the live
//! files from oldest to newest; the newest that holds a key has its state. Reads take a set of mapped
//! files as a value and keep it; a policy chooses which neighbours to merge, and one worker merges them.
//!
//! From the bytes upwards: `format` (layout, checksums), `filter`, `index`, `block` (the parts of a file), `writer`,
//! `reader`, `cursor` (one file, several as one), `set` (the live ones), `manifest`, `directory` (the disk),
//! `store` (all of it, for writing), `tiering`, `compactor` (merging), `view`, `verify` (reading from other processes).
//! `docs/format.md` has the byte tables and what is assumed of the medium.
//!
//! # Invariants
//! 1. A flipped bit, a cut or a misplaced block is an error or leaves right answers; never a wrong document.
//! 2. What was appended is read from then on, by this process and by any that opens the store later.
//! 3. At every moment, a crash leaves the old set or the new one, and the next opening needs no help.

mod block;
mod filter;
mod format;
mod index;

mod cursor;
mod reader;
mod writer;

mod directory;
mod manifest;
mod set;

mod compactor;
mod store;
mod tiering;

mod verify;
mod view;

#[cfg(test)]
mod tests;

pub use verify::{Damage, VerifyReport, verify};
pub use view::{IndexStats, Scan, SegmentReader, SegmentStats};

pub(crate) use compactor::Compactor;
pub(crate) use cursor::Documents;
pub(crate) use directory::Home;
pub(crate) use format::Record;
pub(crate) use set::SegmentSet;
pub(crate) use store::SegmentStore;

#[cfg(fuzzing)]
pub(crate) mod fuzz;
