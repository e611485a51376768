//! The journal: what was accepted, on disk, until it has settled.
//!
//! # Design
//! One stream of records, in files that are made ahead of use. A submit encodes its record, is admitted (there is room for
//! it, in memory and on the disk), takes its place under its key's shard lock together with its seq, and fills it
//! afterwards (`ring.rs`). Whoever needs it on the medium writes everything that is filled, in one group, and syncs it
//! (`commit.rs`, `writer.rs`, `zeroed.rs`). What happens to flights is written to the same stream: their bounds before they leave, that
//! they settled, that they were put back. So for each key the stream has its events in their order, and what a crash leaves
//! is a prefix of it.
//!
//! Opening reads the files (`reader.rs`), and works out what had not settled (`recovery.rs`). `docs/journal.md` has the byte
//! tables.
//!
//! # Why one stream, and not one for each shard
//! A source's positions, and the bounds of a batch, concern many shards: a crash that kept one shard's later records and
//! lost another's earlier ones would leave a source with a hole that nobody fills again. And a sync for each would be many.
//!
//! # Why nothing leaves before it is on the medium, under every policy
//! What has gone to the sink cannot be lost any more. If it were lost here, its source would send it again, and an
//! increment would count twice.
//!
//! # Invariants
//! 1. For each key, the order of its records is that of the events: places are taken under its shard's lock, or before
//!    the event and after the one before it.
//! 2. Whatever is accepted has a place, and each place is filled: nothing can fail in between.
//! 3. A flight that is not repeatable by itself leaves only after its bounds are on the medium, and everything before
//!    them.
//! 4. After a failed write or sync nothing is acknowledged any more.

mod admission;
mod checksum;
mod cleaning;
mod commit;
mod doubt;
mod file;
mod folding;
#[cfg(fuzzing)]
pub(crate) mod fuzz;
mod group;
pub(crate) mod inspect;
mod oldest;
mod open;
mod reader;
mod reading;
mod record;
mod recovery;
pub(crate) mod repair;
mod rewritten;
mod ring;
mod varint;
pub(crate) mod verify;
mod writer;
mod zeroed;

use crate::{
    Error, ErrorKind, Result,
    disk::DirectoryLock,
    document::IndexId,
    sync::{
        Latch,
        atomic::{AtomicU64, Ordering},
        yield_now,
    },
};
use admission::{Class, cost_of, words_of};
use commit::Commit;
use file::Shape;
pub(crate) use folding::Folding;
pub(crate) use oldest::Oldest;
pub(crate) use open::Opened;
pub(crate) use record::{KeyRef, Kind, Moved, Operation, Record, Verb};
pub(crate) use ring::Place;
use ring::{Head, Ring};
use std::{cell::Cell, sync::Arc, time::Duration};
pub(crate) use writer::{Marks, Names};
use writer::{Room, Writer};

/// Whether what is accepted survives the process, and from when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Journal {
    /// It does not: what has not settled is lost when the process ends.
    None,
    /// At most so long after it was accepted, 2 ms to an hour. What a crash loses is what was accepted last: a later operation on a key
    /// never survives an earlier one.
    Interval(Duration),
    /// From when the submit returns.
    Always,
}

/// A record that was let in. Must be placed, or withdrawn.
#[derive(Clone, Copy, Debug)]
#[must_use = "what was let in and is neither placed nor withdrawn holds room for ever"]
pub(crate) struct Admitted {
    words: u64,
    cost: u64,
    aside: u64,
}

/// How a journal is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) policy: Journal,
    /// Bytes of each file.
    pub(crate) file_bytes: u64,
    /// Bytes of the ring.
    pub(crate) ring_bytes: usize,
    pub(crate) seed: u64,
    /// The engine's id.
    pub(crate) engine: u128,
}

thread_local! {
    /// The body of a mark that this thread writes.
    static MARK: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A journal in use. See the module.
pub(crate) struct Log {
    commit: Commit,
    policy: Journal,
    /// Monotonic time of the last sync for the interval's sake, and of the last look at what can be deleted.
    synced_us: AtomicU64,
    looked_us: AtomicU64,
    /// The highest seq of a flight that settled without its mark; zero without one.
    denied: AtomicU64,
    pub(crate) folding: Folding,
    latch: Arc<Latch>,
    torn: Option<String>,
    _lock: DirectoryLock,
}

/// For how many rounds of folding a new file waits at most.
const WAITS_MAX: u32 = 8;
/// How often files are looked at that might be deleted.
const LOOK_US: u64 = 100_000;

impl Log {
    /// Goes on writing a journal that was read. `latch` is set when it fails; `marks` are the sources that were read, by
    /// the numbers that `names` has for them.
    pub(crate) fn start(
        opened: Opened,
        options: &Options,
        names: Arc<dyn Names>,
        marks: Marks,
        latch: Arc<Latch>,
    ) -> Result<Self> {
        opened.make_sure()?;
        let Options { policy, engine, file_bytes, ring_bytes, seed } = *options;
        let shape = Shape { engine, file_bytes, seed };
        let Opened { disk, directory, lock, old, useless, before, recovered, torn, .. } = opened;
        let marks = (marks, recovered.ceiling);
        let writer = Writer::open(disk, &directory, names, shape, before, (old, useless), marks)?;
        Ok(Self {
            latch: Arc::clone(&latch),
            commit: Commit::new(Ring::new(ring_bytes), writer, latch),
            policy,
            synced_us: AtomicU64::new(0),
            looked_us: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            folding: Folding::default(),
            torn,
            _lock: lock,
        })
    }

    /// Lets a record with a body of so many bytes in. Where there is no room at first, some is made, which may write
    /// and sync. Fails with [`ErrorKind::Full`] where the disk has no space, and nothing has changed then.
    pub(crate) fn admit(&self, body: usize) -> Result<Admitted> {
        self.admit_as(Class::Operation, body)
    }

    fn admit_as(&self, class: Class, body: usize) -> Result<Admitted> {
        let resident = self.commit.ring.resident(body);
        let aside = (body - resident) as u64;
        let admitted = Admitted { words: words_of(resident), cost: cost_of(resident), aside };
        if aside == 0 && self.commit.admission.admit(class, admitted.cost) {
            return Ok(admitted);
        }
        self.wait_for_room(class, admitted)
    }

    #[cold]
    fn wait_for_room(&self, class: Class, admitted: Admitted) -> Result<Admitted> {
        let needs = (admitted.cost, admitted.aside);
        let mut waits = 0;
        loop {
            // Where nothing can be folded the files grow.
            let old_max = if waits < WAITS_MAX { self.folding.old_max(class) } else { u64::MAX };
            match self.commit.let_in(class, needs, old_max)? {
                Room::Some => return Ok(admitted),
                Room::Soon => yield_now(),
                Room::Later => {
                    self.folding.wait(&self.latch);
                    waits += 1;
                }
                Room::None(error) => {
                    let message = format!("the journal has no room: {error}");
                    return Err(Error::new(ErrorKind::Full, message));
                }
                Room::TooLarge { most } => {
                    let bytes = admitted.cost + admitted.aside;
                    let message =
                        format!("the operation has {bytes} bytes in the journal; its files hold {most}");
                    return Err(Error::new(ErrorKind::TooLarge, message));
                }
            }
        }
    }

    /// A record that was let in will not be placed.
    pub(crate) fn withdraw(&self, admitted: Admitted) {
        self.commit.withdraw(admitted.cost, admitted.aside);
    }

    /// Takes the next place: under the lock of the shard, if any, whose event it is.
    #[inline]
    pub(crate) fn place(&self, admitted: &Admitted) -> Place {
        self.commit.ring.place(admitted.words)
    }

    /// Fills the place that an operation's record was let in for.
    #[inline]
    pub(crate) fn fill(&self, place: Place, seq: u64, body: &[u8]) {
        self.commit.ring.fill(place, Head { kind: Kind::Operation as u8, seq }, body);
    }

    /// How far everything is on the medium.
    pub(crate) fn synced(&self) -> u64 {
        self.commit.synced()
    }

    /// Returns when what was accepted up to `end` may be acknowledged.
    pub(crate) fn acknowledge(&self, end: u64) -> Result<()> {
        match self.policy {
            Journal::Always => self.commit.commit(end),
            Journal::Interval(_) | Journal::None => Ok(()),
        }
    }

    /// What a key has waiting from `first` to `last` is about to leave.
    pub(crate) fn bounds(&self, index: IndexId, id: &str, first: u64, last: u64) -> Result<()> {
        self.mark_as(Class::Mark, &Record::Bounds { key: key(index, id), first, last })
    }

    /// The flight of a key that ends with `last` is about to be put back.
    pub(crate) fn unbound(&self, index: IndexId, id: &str, last: u64) -> Result<()> {
        self.mark_as(Class::Mark, &Record::Unbound { key: key(index, id), last })
    }

    /// Makes durable that sequence numbers below `ceiling` may be in use.
    pub(crate) fn reserve_seq(&self, ceiling: u64) -> Result<()> {
        self.mark_as(Class::Mark, &Record::Ceiling { seq: ceiling })?;
        self.sync()
    }

    /// Lets a mark in that is to be [placed](Self::place) later.
    pub(crate) fn admit_mark(&self, body: usize) -> Result<Admitted> {
        self.admit_as(Class::Mark, body)
    }

    /// Fills the place of a record that is no operation that was accepted.
    pub(crate) fn fill_as(&self, kind: Kind, place: Place, seq: u64, body: &[u8]) {
        self.commit.ring.fill(place, Head { kind: kind as u8, seq }, body);
    }

    fn mark_as(&self, class: Class, record: &Record<'_>) -> Result<()> {
        let mut body = MARK.take();
        body.clear();
        record.write_body(&mut body);
        let marked = self.admit_as(class, body.len()).map(|admitted| {
            let seq = if let Record::Ceiling { seq } = record { *seq } else { record.seq() };
            self.fill_as(record.kind(), self.place(&admitted), seq, &body);
        });
        MARK.set(body);
        marked
    }

    /// How often the [interval](Self::keep_interval) and the files are to be looked at.
    pub(crate) fn period(&self) -> Duration {
        let look = Duration::from_micros(LOOK_US);
        match self.policy {
            Journal::Interval(interval) => (interval / 2).min(look),
            Journal::Always | Journal::None => look,
        }
    }

    /// Everything has settled, and nothing comes any more: says so on the medium, unless something that was sent may still
    /// be carried out.
    pub(crate) fn close(&self, watermark: u64, is_late: bool) -> Result<()> {
        if !is_late {
            self.mark_as(Class::Last, &Record::Watermark { seq: watermark })?;
        }
        self.sync()?;
        self.remove_settled(watermark, is_late)
    }

    /// What was cut off its end when it was opened, if something was.
    pub(crate) fn torn(&self) -> Option<&str> {
        self.torn.as_deref()
    }

    /// Bytes of all files, and those of them that were written.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        self.commit.with_writer(|writer| Ok((writer.bytes(), writer.used()))).unwrap_or_default()
    }

    /// Returns when everything placed up to now is on the medium.
    pub(crate) fn sync(&self) -> Result<()> {
        self.commit.commit(self.commit.ring.tail())
    }
}

/// As records name a key.
pub(crate) fn key(index: IndexId, id: &str) -> KeyRef<'_> {
    KeyRef { index: index.0.into(), id }
}

/// True once in each period.
fn is_due(last_us: &AtomicU64, now_us: u64, period_us: u64) -> bool {
    let last = last_us.load(Ordering::Acquire);
    now_us.saturating_sub(last) >= period_us
        && last_us.compare_exchange(last, now_us, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("policy", &self.policy).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
