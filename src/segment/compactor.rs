//! Carrying out what tiering chooses: a streaming merge, an install, and a thread that does so.
//!
//! # Design
//! [`SegmentStore::compact_once`] is one choice carried out, on whatever thread calls it; the [`Compactor`] is a
//! thread that calls it until there is nothing to do, each time it is told that a segment came. A merge
//! reads its segments once, in order, and writes one; of a key the newest record is kept. A tombstone is kept as long as
//! something may lie below: it goes when the merge includes the oldest segment.
//!
//! # Failure
//! A merge that cannot be written (a full disk) is dropped without a trace and tried again with the next
//! segment. Damage in an input latches the store, as a failed sync does: it will not go away by itself, and
//! the segments would pile up. A panic latches it too.
//!
//! # Invariants
//! 1. A merge changes what is stored, never what is read: a get and a scan answer the same before and after, except that
//!    a tombstone with nothing below may be forgotten.

use super::{
    cursor::Merge,
    reader::Segment,
    store::SegmentStore,
    tiering::{self, Choice},
    writer::SegmentWriter,
};
use crate::{
    Error, ErrorKind, Result,
    sync::{
        self, Condvar, Mutex, Thread,
        atomic::{AtomicBool, Ordering},
    },
};
use std::{ops::Range, sync::Arc};

/// How many records pass between two looks at whether to stop.
const STOP_CHECK_RECORDS: u64 = 256;

impl SegmentStore {
    /// Carries out one choice. False where there was nothing to do, or where `stop` was set half-way.
    pub(crate) fn compact_once(&self, stop: &AtomicBool) -> Result<bool> {
        let _merging = self.merging.lock();
        let sizes: Vec<u64> = self.set().entries().iter().map(|entry| entry.bytes).collect();
        match tiering::choose(&sizes) {
            Choice::Nothing => Ok(false),
            Choice::Merge(range) => self.merge(range, stop),
        }
    }

    /// Merges everything into one segment. False where that was the case already.
    pub(crate) fn compact_all(&self) -> Result<bool> {
        let _merging = self.merging.lock();
        let set = self.set();
        let tombstones = set.slots().iter().flatten().any(|segment| segment.footer().tombstones > 0);
        if set.len() < 2 && !tombstones {
            return Ok(false);
        }
        self.merge(0..set.len(), &AtomicBool::new(false))
    }

    fn merge(&self, range: Range<usize>, stop: &AtomicBool) -> Result<bool> {
        self.directory().check()?;
        let set = self.set();
        let nothing_below = range.start == 0;
        let inputs: Vec<&Arc<Segment>> =
            set.segments()?.into_iter().skip(range.start).take(range.len()).collect();
        let merged = self.write_merged(&inputs, nothing_below, stop);
        let merged = merged.inspect_err(|error| {
            if error.kind() == ErrorKind::Damaged {
                self.directory().latch(format!("merging met damage: {error}"));
            }
        });
        let Merged::Done(output) = merged? else { return Ok(false) };
        let numbers: Vec<u64> = inputs.iter().map(|segment| segment.number()).collect();
        self.replace(&numbers, output)?;
        Ok(true)
    }

    fn write_merged(
        &self,
        inputs: &[&Arc<Segment>],
        nothing_below: bool,
        stop: &AtomicBool,
    ) -> Result<Merged> {
        let records_max = inputs.iter().map(|segment| segment.records()).sum();
        let mut writer = SegmentWriter::create(self.directory(), self.take_number(), records_max)?;
        let mut merge = Merge::seek(inputs.iter().copied(), "", "")?;
        let mut passed: u64 = 0;
        while let Some(cursor) = merge.next()? {
            let Some(record) = cursor.record()? else { break };
            if record.source.is_some() || !nothing_below {
                // Keys that do not rise come from an input that is not what it claims.
                writer.add(&record).map_err(as_damage)?;
            }
            passed += 1;
            if passed.is_multiple_of(STOP_CHECK_RECORDS) && stop.load(Ordering::Relaxed) {
                return Ok(Merged::Stopped);
            }
        }
        if writer.is_empty() {
            return Ok(Merged::Done(None));
        }
        let built = writer.finish()?;
        self.open_built(&built).map(Some).map(Merged::Done)
    }
}

fn as_damage(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::TooLarge => Error::new(ErrorKind::Damaged, error.to_string()),
        _ => error,
    }
}

enum Merged {
    /// The output; `None` where nothing was left.
    Done(Option<Arc<Segment>>),
    Stopped,
}

/// The thread that compacts in the background. Dropped, it stops at the next record or so and is joined.
#[derive(Debug)]
pub(crate) struct Compactor {
    shared: Arc<Shared>,
    thread: Mutex<Option<Thread>>,
}

#[derive(Debug)]
struct Shared {
    wanted: Mutex<bool>,
    called: Condvar,
    stop: AtomicBool,
}

impl Compactor {
    pub(crate) fn start(store: Arc<SegmentStore>) -> Result<Self> {
        let shared = Arc::new(Shared {
            wanted: Mutex::new(true),
            called: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let thread = {
            let shared = Arc::clone(&shared);
            sync::spawn("millpond-compactor", move || shared.run(&store))
        };
        let thread = thread.map_err(|error| Error::io("starting the compactor's thread", error))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Says that a segment came.
    pub(crate) fn call(&self) {
        *self.shared.wanted.lock() = true;
        self.shared.called.notify_one();
    }

    /// Stops the thread and waits for it. A merge that is under way is dropped without a trace.
    pub(crate) fn stop(&self) {
        {
            let _wanted = self.shared.wanted.lock();
            self.shared.stop.store(true, Ordering::Relaxed);
        }
        self.shared.called.notify_one();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // A panic has latched the store already.
            thread.join().ok();
        }
    }
}

impl Drop for Compactor {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn run(&self, store: &SegmentStore) {
        let _latch = LatchOnPanic(store);
        let mut more = false;
        while more || self.wait() {
            // An error leaves the store as it was, or has latched it: the next call tries again, or is refused.
            more = matches!(store.compact_once(&self.stop), Ok(true)) && !self.stop.load(Ordering::Relaxed);
        }
    }

    /// Waits for a call; false means stop.
    fn wait(&self) -> bool {
        let mut wanted = self.wanted.lock();
        while !*wanted && !self.stop.load(Ordering::Relaxed) {
            self.called.wait(&mut wanted);
        }
        *wanted = false;
        !self.stop.load(Ordering::Relaxed)
    }
}

struct LatchOnPanic<'a>(&'a SegmentStore);

impl Drop for LatchOnPanic<'_> {
    fn drop(&mut self) {
        if sync::is_unwinding() {
            self.0.directory().latch("the compactor panicked");
        }
    }
}
