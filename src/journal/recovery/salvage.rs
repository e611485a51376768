//! Going on behind a place where a journal cannot be read.
//!
//! # Design
//! Records that can be believed by themselves are taken as if nothing were missing between them. What of them cannot be, as
//! what it speaks of is missing, is passed over. The result is no state that the journal ever had; it tells what of the state
//! before the place had settled since, and what was accepted since and had not.
//!
//! # Invariants
//! 1. A record that is passed over changes nothing.

use super::{Current, Recovered, Recovery};
use crate::{
    Result,
    journal::{
        group::FileHeader,
        reader::Entry,
        record::{Kind, Record},
    },
};

impl Recovery {
    /// A file begins that cannot be read from its first record on; or goes on so, where it is the one that was read last.
    pub(crate) fn salvage_file(&mut self, header: &FileHeader) {
        if self.current.map(|current| current.number) != Some(header.number) {
            self.indices.of_file.clear();
            self.sources.of_file.clear();
        }
        self.rest.engine = self.rest.engine.or(Some(header.engine));
        self.current = Some(Current { number: header.number, has_begun: true });
    }

    /// A record behind the place, but for the source it came from. False where it is passed over.
    pub(crate) fn salvage(&mut self, mut entry: Entry<'_>) -> bool {
        if let Record::Operation(operation) = &mut entry.record {
            // Its name may be missing. How far the source came is as the state before the place says.
            operation.source = None;
        }
        matches!(entry.record.kind(), Kind::Begin | Kind::Source) || self.record(&entry).is_ok()
    }

    /// What it comes to. A flight of which something is missing is none.
    pub(crate) fn finish_salvage(mut self) -> Result<Recovered> {
        // What cuts a piece in two is passed over, like all that cannot be.
        let _ = self.sweep();
        let mut recovered = self.finish_where(|_| Ok(0))?;
        recovered.keys.retain(|key| !key.pieces.is_empty());
        Ok(recovered)
    }
}
