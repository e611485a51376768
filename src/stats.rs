//! Statistics: a snapshot of counts and of what waits.

use std::{sync::Arc, time::Duration};

/// What an engine has done and holds. All counts are since the engine was opened.
///
/// Taken shard by shard, so counts of operations in the middle of being submitted or settled may be seen in
/// one place and not yet in another; once the engine is idle the sums are exact:
/// `operations_in + operations_restored = operations_settled + operations_dead + what is pending`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Operations accepted.
    pub operations_in: u64,
    /// Flights sent and settled: what the sink was given.
    pub operations_out: u64,
    /// Operations that an earlier engine had accepted and not settled, taken over from its journal. They are not among
    /// those accepted, and end as settled or dead like these.
    pub operations_restored: u64,
    /// Accepted operations whose outcome is known and done.
    pub operations_settled: u64,
    /// Accepted operations that ended in dead letters.
    pub operations_dead: u64,
    /// Accepted operations that were folded into one that waited already.
    pub operations_folded: u64,
    /// Operations of flights that changed nothing.
    pub noops: u64,
    /// Updates and deletes that found no document, as far as the sink or the base told.
    pub not_found: u64,
    /// Creates that met a document, as far as the sink or the base told.
    pub conflicts: u64,
    /// Flights that were put back or sent again.
    pub retries: u64,
    /// Dead letters written: flights, each of one or more operations.
    pub dead_letters: u64,
    /// How much is sent at once.
    pub batches: BatchStats,
    /// Field operations that met a type that does not fit, and left the value as it was.
    pub misfits: u64,
    /// Bytes accepted, as bulk NDJSON.
    pub bytes_in: u64,
    /// Bytes sent and settled, as bulk NDJSON.
    pub bytes_out: u64,
    /// Bytes held for operations that have not settled.
    pub pending_bytes: u64,
    /// The most that `pending_bytes` ever was.
    pub peak_pending_bytes: u64,
    /// Keys with an operation that waits.
    pub pending_documents: u64,
    /// Bytes held for everything: also clean documents and encode buffers.
    pub used_bytes: u64,
    /// The age of the oldest operation that has not settled.
    pub oldest_age: Option<Duration>,
    /// The longest that an operation waited for its first attempt.
    pub longest_wait: Duration,
    /// The most recent failure of the sink, the base or the dead letters.
    pub last_failure: Option<Box<str>>,
    /// Of the journal, where there is one.
    pub journal: Option<JournalStats>,
    /// The same by index, in the order in which indices were first seen.
    pub indices: Vec<IndexStats>,
}

/// How much an engine sends at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchStats {
    /// Batches that are out now.
    pub out: u64,
    /// How many may be out at once: where the sink [adapts](crate::Sink::adapts), as many as have turned out to be best.
    pub limit: u64,
    /// The bytes that one may have; where the sink adapts, as many as have turned out to be best.
    pub bytes: u64,
    /// Batches that were refused or not answered, wholly or to a good part.
    pub refused: u64,
}

/// The state of a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalStats {
    /// Bytes of all its files, with what is allocated ahead.
    pub bytes: u64,
    /// Bytes of it that were written.
    pub used: u64,
    /// What was cut off its end when it was opened, because it was being written when the process or the machine stopped:
    /// the file, the place and the reason.
    pub torn: Option<String>,
}

/// What an engine has done and holds for one index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexStats {
    /// The index name.
    pub name: Arc<str>,
    /// Operations accepted.
    pub operations_in: u64,
    /// Flights sent and settled.
    pub operations_out: u64,
    /// Accepted operations that were folded into one that waited already.
    pub operations_folded: u64,
    /// Operations of flights that changed nothing.
    pub noops: u64,
    /// Operations that ended in dead letters.
    pub operations_dead: u64,
    /// Bytes accepted, as bulk NDJSON.
    pub bytes_in: u64,
    /// Bytes sent and settled, as bulk NDJSON.
    pub bytes_out: u64,
    /// Bytes held for operations that wait, flights aside.
    pub pending_bytes: u64,
    /// The age of the oldest operation that waits, flights aside; where thousands of other indices' operations
    /// are older, only an upper bound of it.
    pub oldest_age: Option<Duration>,
}
