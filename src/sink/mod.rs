//! Where drained operations go ([`Sink`]), and where reads find what lies below the engine ([`Base`]).
//!
//! # Design
//! A sink takes a batch and returns one [`Outcome`] per item, in order. It says what it can take: whole
//! documents only, or net operations as they are. A base reads back what the sink has stored. The two are
//! separate traits because a sink may store nothing that can be read (a file of bulk lines), but a sink
//! that takes whole documents needs a base, against which the drain applies patches.

mod dead_letters;
#[cfg(feature = "elastic")]
pub(crate) mod elastic;
mod lines;
mod memory;
mod ndjson;
pub(crate) mod segments;

pub use dead_letters::{DeadLetter, DeadLetterFile, DeadLetters, MemoryDeadLetters};
pub(crate) use lines::item_bytes;
pub use memory::{MemorySink, Scripted};
pub use ndjson::{NdjsonSink, NullSink};

use crate::{DocumentId, NetOperation, Result};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// What a sink can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Only [`ItemAction::Put`] and [`ItemAction::Delete`]: the drain applies patches to the base first.
    Documents,
    /// Any [`ItemAction`]: patches go out as net operations.
    NetOperations,
}

/// Bounds of one batch. A batch holds at least one operation, however large.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one batch, counted as uncompressed bulk NDJSON.
    pub batch_bytes: usize,
    /// Operations of one batch.
    pub batch_operations: usize,
}

/// What goes to the sink at once: items of distinct keys, grouped by index, by id within an index.
#[derive(Debug)]
pub struct Batch {
    /// One item per key, sorted by index, then id.
    pub items: Vec<Item>,
    /// The size of the items as uncompressed bulk NDJSON.
    pub bytes: usize,
}

/// One operation of a batch: a key's flight.
#[derive(Clone, Debug)]
pub struct Item {
    /// The index name.
    pub index: Arc<str>,
    /// The document's id.
    pub id: DocumentId,
    /// The routing, if the operations carried one.
    pub routing: Option<Box<str>>,
    /// What to do.
    pub action: ItemAction,
    /// The sequence number of the first operation folded into this one.
    pub first_seq: u64,
    /// The sequence number of the last operation folded into this one: the item's version, and with the
    /// engine's id its fence.
    pub last_seq: u64,
    /// How many submitted operations this one stands for.
    pub operations: u64,
    /// False where repeating the item could change the document a second time: the sink must then refuse a
    /// repeat by `(engine, last_seq)`. Always true for puts and deletes that expect [`Expects::Anything`]; of a put that was
    /// made from something, it is that of the operation it was made by.
    pub repeatable: bool,
    /// What must be there for the item to be carried out.
    pub expects: Expects,
    /// How often this very item was sent before; 0 for the first time.
    pub attempt: u32,
}

impl Item {
    /// True where the document that is stored must carry a fence, `(engine, last_seq)`: it was made by what is not repeatable, or
    /// from a document that carried one, and whoever looks for the older fence is to find it or a newer one.
    pub fn is_fenced(&self) -> bool {
        match self.expects {
            Expects::Anything => false,
            Expects::Absent => !self.repeatable,
            Expects::Version(version) => !self.repeatable || version.is_fenced,
        }
    }
}

/// What a document must be for an [`Item`] to be carried out: what the item was made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expects {
    /// Whatever there is: the item decides the document by itself, or the sink does not [tell versions](Sink::tells_versions).
    #[default]
    Anything,
    /// Nothing.
    Absent,
    /// The document of this version.
    Version(Version),
}

/// Which state of its document a sink on a server holds: two are the same where all of this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The number of the write, in its shard.
    pub seq_no: u64,
    /// The term of the shard's primary.
    pub primary_term: u64,
    /// The document carries a fence of this engine: whatever is made from it carries one as well.
    pub is_fenced: bool,
}

/// What an [`Item`] does to its document.
#[derive(Clone, Debug)]
pub enum ItemAction {
    /// Whatever was there, now this document.
    Put(Bytes),
    /// Whatever was there, now nothing.
    Delete,
    /// A net operation, to be carried out against whatever is there.
    Net(NetOperation),
}

/// What became of one item in the sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done; there was no document before.
    Created,
    /// Done; there was a document before.
    Updated,
    /// Done; there was a document and it stayed as it was.
    Noop,
    /// Done; there was a document and it is gone.
    Deleted,
    /// Done; there was no document to delete or update.
    NotFound,
    /// Done; a `create` met a document.
    Conflict,
    /// Done; whether there was a document before is not known.
    Applied,
    /// Done, of a sink that [tells versions](Sink::tells_versions): the document is stored as this version.
    Stored {
        /// There was no document before.
        created: bool,
        /// What the document is now.
        version: Version,
    },
    /// The sink holds something newer for this key and left it.
    Stale,
    /// The document is not what the item [expects](Item::expects), so this request left it as it is. The reason may be an earlier
    /// request with the same item: the base is read again, and its fence or its document says so.
    Changed(String),
    /// The sink will never take this item: it becomes a dead letter with this reason.
    Rejected(String),
    /// Known not to have been carried out: throttled or unavailable. It is put back and tried again, not
    /// before `after` if one is given.
    Again {
        /// Why, for people.
        reason: String,
        /// The least wait the sink asked for.
        after: Option<Duration>,
    },
    /// It may or may not have been carried out, or may be carried out yet: the same item goes out again.
    Unknown(String),
}

/// Takes batches. Called from drain threads, one batch at a time each; may block; must not call the engine.
pub trait Sink: Send + Sync {
    /// What this sink can be given. Asked once.
    fn takes(&self) -> Takes;

    /// True where the sink carries out what was made from a document only if that is still there ([`Item::expects`]), and says
    /// which version there is then ([`Outcome::Stored`]). Its base has to tell versions as well. Asked once.
    fn tells_versions(&self) -> bool {
        false
    }

    /// The largest batch it wants. Asked once; the engine's own limits apply as well.
    fn limits(&self) -> Limits;

    /// True where it is best sent batches of such a size, and so many at once, as its answers show: as with a server. Else batches are
    /// as large as they may be. Asked once.
    fn adapts(&self) -> bool {
        false
    }

    /// Carries out a batch and says what became of each item, in order, one outcome per item. When this
    /// returns a "done" outcome the item is as durable as the sink can make it.
    fn send(&self, batch: &Batch) -> Vec<Outcome>;

    /// The engine's id, told once before the first batch. It stays the same as long as the engine's journal does; with it, an item's
    /// `last_seq` tells a repeat from everything else.
    fn identify(&self, engine: u128) {
        let _ = engine;
    }

    /// True where a request may still be carried out after the process that sent it has ended, as with a server. After a
    /// crash, an engine with a journal then waits [`Builder::late_request_bound`](crate::Builder::late_request_bound) before it sends
    /// anything newer of what may have been out. Asked once.
    fn outlives_sender(&self) -> bool {
        true
    }

    /// The least sequence number that may be used from now on: above everything ever stored with one.
    fn seq_floor(&self) -> u64 {
        0
    }

    /// Makes durable that sequence numbers below `ceiling` may be in use, before they are.
    fn reserve_seq(&self, ceiling: u64) -> Result<()> {
        let _ = ceiling;
        Ok(())
    }

    /// An error once the sink has stopped for good, and sending to it again is of no use. The engine then stops with it, and
    /// what has not settled waits in the journal, where there is one. Asked after a batch of which something was not carried out,
    /// or may not have been.
    fn health(&self) -> Result<()> {
        Ok(())
    }

    /// Finishes: called once, after the last batch.
    fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// A document below the engine, and how new it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseDocument {
    /// The document's bytes, or `None` for a tombstone: it was deleted by the operation with this seq.
    pub source: Option<Bytes>,
    /// The routing it was written with.
    pub routing: Option<Box<str>>,
    /// The `last_seq` of the item that wrote it; 0 where that is not known, see [`Base::knows_seqs`].
    pub seq: u64,
    /// Which version it is, for a sink that [tells them](Sink::tells_versions).
    pub version: Option<Version>,
}

/// Whose document is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseKey<'a> {
    /// The index name.
    pub index: &'a str,
    /// The document's id.
    pub id: &'a str,
    /// The routing that its operations carry, if any. A base that finds a document by its id alone need not heed it.
    pub routing: Option<&'a str>,
}

impl<'a> BaseKey<'a> {
    /// A key without routing.
    pub fn new(index: &'a str, id: &'a str) -> Self {
        Self { index, id, routing: None }
    }
}

/// Reads what lies below the engine.
pub trait Base: Send + Sync {
    /// The newest stored state of each key, in the order asked; `None` where nothing is known of a key (a
    /// base may forget tombstones at any time).
    ///
    /// An error of the kind [`ErrorKind::Damaged`](crate::ErrorKind::Damaged) or [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) says
    /// that it will not get better: operations that need the document become dead letters. Any other is tried again.
    fn read(&self, keys: &[BaseKey<'_>]) -> Vec<Result<Option<BaseDocument>>>;

    /// True where [`BaseDocument::seq`] says of every document which operation was the last in it. Else it is only known of those
    /// that would change when they are repeated, and readers look twice. Asked at each read.
    fn knows_seqs(&self) -> bool {
        true
    }

    /// A view of everything stored now, that does not change while it is held.
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>>;
}

/// An unchanging view of a base.
pub trait Snapshot: Send + Sync {
    /// Up to `limit` live documents of `index` with ids above `after` (bytewise), in id order. Fewer than
    /// `limit` means there are no more.
    fn page(&self, index: &str, after: Option<&str>, limit: usize) -> Result<Vec<(Box<str>, BaseDocument)>>;

    /// The names of the indices that hold at least one live document, sorted.
    fn indices(&self) -> Result<Vec<Box<str>>>;
}
