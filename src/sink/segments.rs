//! The embedded sink: batches become segments, and segments are the base.
//!
//! # Design
//! One batch is one new segment, synced and named by the manifest before `send` returns; every item is then
//! [`Applied`](Outcome::Applied). A handle is cheap to clone, and the same store is given to an engine as sink and as base.
//!
//! A delete of a key that no segment holds (the filters say so) writes nothing: a stream that deletes what it never
//! wrote leaves no tombstones.
//!
//! # Failure
//! - A full disk while a batch is written: nothing is stored, the items are to be sent again, and that works once there is
//!   space.
//! - A failed sync: what is stored is not known, the outcome is unknown, and the store is latched: it takes no more
//!   batches until it is opened again. Reads go on.
//! - An item that no segment can hold, or a net operation: rejected, and the rest of the batch goes on.
//!
//! # Invariants
//! 1. An item that was answered `Applied` is read from then on, by this process and after any crash.
//! 2. `seq_floor` is above every seq ever stored.

use crate::{
    Base, BaseDocument, BaseKey, Batch, Error, ErrorKind, Item, ItemAction, Limits, Outcome, Result, Sink,
    Snapshot, Takes,
    disk::{Disk, SystemDisk},
    segment::{Compactor, Documents, Home, Record, SegmentSet, SegmentStats, SegmentStore},
    sync::atomic::AtomicBool,
};
use std::{path::Path, sync::Arc};

/// Large batches make few files; memory is bounded by the engine, which holds them.
const LIMITS: Limits = Limits { batch_bytes: 32 * 1024 * 1024, batch_operations: 100_000 };

/// With this many segments a batch first helps to merge: the compactor is behind, and reads get slow.
const SEGMENTS_MAX: usize = 64;

/// Who merges segments, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compaction {
    /// A thread of the store's own, called by each batch.
    #[default]
    Background,
    /// Each batch, before it returns: deterministic, without a thread.
    Inline,
    /// Nobody, but for [`SegmentSink::compact_once`] and [`SegmentSink::compact_all`].
    Manual,
}

/// Settings of a [`SegmentSink`].
#[derive(Clone, Debug, Default)]
pub struct SegmentOptions {
    compaction: Compaction,
}

impl SegmentOptions {
    /// The defaults: compaction in the background.
    pub fn new() -> Self {
        Self::default()
    }

    /// Who merges segments; the default is [`Compaction::Background`].
    #[must_use]
    pub fn compaction(mut self, compaction: Compaction) -> Self {
        self.compaction = compaction;
        self
    }
}

/// A store of segments in a directory, as sink and as base. Clones are handles of the same store.
#[derive(Clone, Debug)]
pub struct SegmentSink {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    compaction: Compaction,
    // Before the store: dropped first, it joins the thread that uses it.
    compactor: Option<Compactor>,
    store: Arc<SegmentStore>,
}

impl SegmentSink {
    /// Opens the store in a directory for writing, or creates one. Refused where another writer holds the directory, where
    /// it cannot be written, and where the store in it is damaged or of a newer format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &SegmentOptions::default())
    }

    /// The same, with settings.
    pub fn open_with(path: impl AsRef<Path>, options: &SegmentOptions) -> Result<Self> {
        Self::open_on(Arc::new(SystemDisk), path, options)
    }

    /// The same, on another disk than the system's: segments are read into memory, and not mapped.
    pub fn open_on(disk: Arc<dyn Disk>, path: impl AsRef<Path>, options: &SegmentOptions) -> Result<Self> {
        let store = Arc::new(SegmentStore::open(Home::new(disk, path.as_ref()))?);
        let compaction = options.compaction;
        let compactor = match compaction {
            Compaction::Background => Some(Compactor::start(Arc::clone(&store))?),
            Compaction::Inline | Compaction::Manual => None,
        };
        Ok(Self { shared: Arc::new(Shared { compaction, compactor, store }) })
    }

    /// Carries out one merge if one is due, on this thread. False where none was.
    pub fn compact_once(&self) -> Result<bool> {
        self.shared.store.compact_once(&AtomicBool::new(false))
    }

    /// Merges everything into one segment and forgets all tombstones. False where that was the case already.
    pub fn compact_all(&self) -> Result<bool> {
        self.shared.store.compact_all()
    }

    /// What the store holds, by its segments' own counts.
    pub fn stats(&self) -> SegmentStats {
        SegmentStats::of(&self.shared.store.set(), self.shared.store.seq_ceiling())
    }

    /// Stores the items that can be stored and says of each why not, if not.
    fn store(&self, batch: &Batch) -> Result<Vec<Option<String>>> {
        let store = &self.shared.store;
        if store.set().len() >= SEGMENTS_MAX && self.shared.compaction != Compaction::Manual {
            while store.set().len() >= SEGMENTS_MAX && self.compact_once()? {}
        }
        let refused: Vec<Option<String>> = batch.items.iter().map(refusal).collect();
        let set = store.set();
        let stored = batch.items.iter().zip(&refused).filter(|(item, refused)| {
            let needless = matches!(item.action, ItemAction::Delete) && !set.may_hold(&item.index, &item.id);
            refused.is_none() && !needless
        });
        let records: Vec<Record<'_>> = stored.map(|(item, _)| record(item)).collect();
        if !records.is_empty() {
            store.append(records.into_iter())?;
        }
        Ok(refused)
    }

    fn after_send(&self) {
        match self.shared.compaction {
            Compaction::Background => {
                if let Some(compactor) = &self.shared.compactor {
                    compactor.call();
                }
            }
            // The batch is stored. A merge that fails is tried again after the next one, or has latched the store.
            Compaction::Inline => while matches!(self.compact_once(), Ok(true)) {},
            Compaction::Manual => {}
        }
    }
}

fn record(item: &Item) -> Record<'_> {
    let source = match &item.action {
        ItemAction::Put(source) => Some(&**source),
        ItemAction::Delete | ItemAction::Net(_) => None,
    };
    Record { index: &item.index, id: &item.id, routing: item.routing.as_deref(), seq: item.last_seq, source }
}

/// Why an item can never be stored, if so.
fn refusal(item: &Item) -> Option<String> {
    if let ItemAction::Net(_) = item.action {
        return Some("segments take whole documents, and this is a net operation".to_owned());
    }
    if item.last_seq == u64::MAX {
        return Some(format!("seq {} leaves no number above it", item.last_seq));
    }
    record(item).check_limits().err().map(|error| error.to_string())
}

impl Sink for SegmentSink {
    fn takes(&self) -> Takes {
        Takes::Documents
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn send(&self, batch: &Batch) -> Vec<Outcome> {
        let failed = |error: &Error| match error.kind() {
            // Only keys that do not rise: the batch breaks its contract, and would break it again.
            ErrorKind::Invalid => Outcome::Rejected(error.to_string()),
            ErrorKind::Latched => Outcome::Unknown(error.to_string()),
            _ => Outcome::Again { reason: error.to_string(), after: None },
        };
        // Latched before anything was tried: known not to be stored.
        if let Err(error) = self.shared.store.directory().check() {
            let refused = Outcome::Again { reason: error.to_string(), after: None };
            return vec![refused; batch.items.len()];
        }
        match self.store(batch) {
            Ok(refused) => {
                self.after_send();
                let outcome = |refused: Option<String>| refused.map_or(Outcome::Applied, Outcome::Rejected);
                refused.into_iter().map(outcome).collect()
            }
            Err(error) => vec![failed(&error); batch.items.len()],
        }
    }

    fn outlives_sender(&self) -> bool {
        false
    }

    fn seq_floor(&self) -> u64 {
        self.shared.store.seq_ceiling()
    }

    fn reserve_seq(&self, ceiling: u64) -> Result<()> {
        self.shared.store.reserve_seq(ceiling)
    }

    fn health(&self) -> Result<()> {
        self.shared.store.directory().check()
    }

    fn close(&self) -> Result<()> {
        if let Some(compactor) = &self.shared.compactor {
            compactor.stop();
        }
        self.shared.store.directory().check()
    }
}

impl Base for SegmentSink {
    fn read(&self, keys: &[BaseKey<'_>]) -> Vec<Result<Option<BaseDocument>>> {
        let set = self.shared.store.set();
        keys.iter().map(|key| get(&set, key.index, key.id)).collect()
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>> {
        Ok(Arc::new(SetSnapshot(self.shared.store.set())))
    }
}

fn get(set: &SegmentSet, index: &str, id: &str) -> Result<Option<BaseDocument>> {
    let found = set.get(index, id)?;
    Ok(found.map(|stored| BaseDocument {
        source: stored.source,
        routing: stored.routing,
        seq: stored.seq,
        version: None,
    }))
}

/// A set, held.
#[derive(Debug)]
struct SetSnapshot(Arc<SegmentSet>);

impl Snapshot for SetSnapshot {
    fn page(&self, index: &str, after: Option<&str>, limit: usize) -> Result<Vec<(Box<str>, BaseDocument)>> {
        // The least id above another is that id and a zero byte.
        let start = after.map(|id| format!("{id}\0")).unwrap_or_default();
        let mut documents = Documents::new(self.0.merge_from(index, &start)?);
        let name: Arc<str> = index.into();
        let mut page = Vec::new();
        while page.len() < limit {
            let next = documents.next_while(|found| (found == index).then(|| Arc::clone(&name)));
            let Some(live) = next.transpose()? else { break };
            let document = BaseDocument {
                source: Some(live.source),
                routing: live.routing,
                seq: live.seq,
                version: None,
            };
            page.push((live.id, document));
        }
        Ok(page)
    }

    fn indices(&self) -> Result<Vec<Box<str>>> {
        let segments = self.0.segments()?;
        let mut names: Vec<&str> =
            segments.iter().flat_map(|segment| segment.index().names()).map(|name| &*name.name).collect();
        names.sort_unstable();
        names.dedup();
        let mut live = Vec::new();
        for name in names {
            if !self.page(name, None, 1)?.is_empty() {
                live.push(name.into());
            }
        }
        Ok(live)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Expects;
    use crate::disk::simulated::{At, Call, Fault, SimulatedDisk, When};
    use bytes::Bytes;

    fn batch() -> Batch {
        let item = Item {
            index: "i".into(),
            id: "1".into(),
            routing: None,
            action: ItemAction::Put(Bytes::from_static(b"{}")),
            first_seq: 1,
            last_seq: 1,
            operations: 1,
            repeatable: true,
            expects: Expects::Anything,
            attempt: 0,
        };
        Batch { items: vec![item], bytes: 0 }
    }

    fn opened(compaction: Compaction) -> (SimulatedDisk, SegmentSink) {
        let disk = SimulatedDisk::new(1);
        let options = SegmentOptions::new().compaction(compaction);
        let sink = SegmentSink::open_on(Arc::new(disk.clone()), "store", &options).unwrap();
        (disk, sink)
    }

    /// Sends with each call to the disk failing in turn, until one send succeeds.
    fn outcomes_of_failures() -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        loop {
            let (disk, sink) = opened(Compaction::Manual);
            let call = disk.calls().len() + outcomes.len();
            disk.fail(At::Call(call as u64), When::Before, Fault::Io);
            let outcome = sink.send(&batch()).remove(0);
            if outcome == Outcome::Applied {
                return outcomes;
            }
            let next = sink.send(&batch()).remove(0);
            match &outcome {
                Outcome::Unknown(reason) => {
                    assert!(reason.contains("takes no more writes"), "{reason}");
                    assert!(
                        matches!(&next, Outcome::Again { reason, .. } if reason.contains("sync")),
                        "{next:?}"
                    );
                    assert_eq!(sink.close().unwrap_err().kind(), ErrorKind::Latched);
                    assert_eq!(sink.reserve_seq(9).unwrap_err().kind(), ErrorKind::Latched);
                    assert!(sink.read(&[BaseKey::new("i", "1")]).remove(0).unwrap().is_none(), "reads go on");
                }
                Outcome::Again { .. } => assert_eq!(next, Outcome::Applied),
                other => panic!("{other:?}"),
            }
            outcomes.push(outcome);
        }
    }

    #[test]
    fn a_failed_sync_is_unknown_and_final_and_any_other_failure_is_tried_again() {
        let outcomes = outcomes_of_failures();
        let unknown = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Unknown(_))).count();
        // The segment, its name, the manifest, its name: four syncs. Two each of creating, writing, renaming; and five to
        // open the segment: its name, its length, its length and its bytes, and its length again.
        assert_eq!((unknown, outcomes.len()), (4, 15), "{outcomes:?}");
    }

    #[test]
    fn a_merge_that_cannot_be_written_does_not_fail_the_batch_before_it() {
        let (disk, sink) = opened(Compaction::Inline);
        for _ in 0..3 {
            sink.send(&batch());
        }
        // The batch makes two files, a segment and a manifest; the third is the merge's first.
        let made = disk.calls().iter().filter(|call| **call == Call::Create).count() as u64;
        disk.fail(At::Nth(Call::Create, made + 2), When::Before, Fault::Io);
        assert_eq!(sink.send(&batch()), [Outcome::Applied]);
        assert_eq!(sink.stats().segments, 4);
        assert_eq!(sink.send(&batch()), [Outcome::Applied]);
        assert_eq!(sink.stats().segments, 1, "tried again after the next batch");
        sink.close().unwrap();
    }

    #[test]
    fn a_batch_helps_to_merge_when_the_compactor_is_far_behind() {
        let (_disk, mut sink) = opened(Compaction::Manual);
        for _ in 0..SEGMENTS_MAX {
            sink.send(&batch());
        }
        assert_eq!(sink.stats().segments, SEGMENTS_MAX);
        // As if the thread were never scheduled.
        Arc::get_mut(&mut sink.shared).unwrap().compaction = Compaction::Background;
        assert_eq!(sink.send(&batch()), [Outcome::Applied]);
        assert_eq!(sink.stats().segments, 2);
    }
}
