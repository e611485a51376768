//! The engine's side of its journal.
//!
//! # Design
//! A submit writes its record's body before it takes a lock, asks the journal to let it in, takes its place under the
//! shard's lock, fills it, and waits for the medium where the policy says so. An [`Entry`] is such a record on its way: dropped
//! without having been placed, it is withdrawn. Without a journal each step is nothing.

use super::{Shared, source::Sources, submit::Origin};
use crate::{
    Action, Operation, Result,
    config::{Config, DOCUMENT_SHARE, JournalPlace},
    document::IndexId,
    journal::{self, Admitted, Log, Marks, Names, Opened, Place, Record, Verb},
    merge::NetRef,
    shard::{Bank, Kind, Restored, Tally},
    sync::{Condvar, LatchOnPanic, Mutex, Thread, spawn, wait_for},
};
use std::sync::{Arc, Weak};

/// A file of the journal, where the caller does not say.
const FILE_BYTES: u64 = 16 * 1024 * 1024;
/// The least that one may be.
const FILE_BYTES_MIN: u64 = 64 * 1024;
/// How many of the largest documents a file can take.
const DOCUMENTS_OF_A_FILE: u64 = 2;
/// Of the memory bound, the part that what waits to be written may be: one in this many,
const RING_SHARE: usize = 64;
/// and not more than this.
const RING_BYTES_MAX: usize = 2 * 1024 * 1024;

/// How far into the journal an operation was written; zero without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Written(u64);

impl Written {
    /// True where all up to there is on the medium.
    pub(super) fn is_synced(self, journal: &Log) -> bool {
        journal.synced() >= self.0
    }
}

/// A record that was let in.
pub(super) struct Entry<'a> {
    journal: Option<(&'a Log, Admitted)>,
    place: Option<Place>,
}

impl Shared {
    /// Writes what stands of an operation in the journal, but for its place and its seq.
    #[inline]
    pub(super) fn write_record(
        &self,
        operation: &Operation<'_>,
        origin: Option<Origin>,
        (index, net): (IndexId, NetRef<'_>),
        record: &mut Vec<u8>,
    ) {
        if self.journal.is_none() {
            return;
        }
        record.clear();
        let verb = match operation.action {
            Action::Index(_) => Verb::Index,
            Action::Create(_) => Verb::Create,
            Action::Update(_) => Verb::Update,
            Action::Delete => Verb::Delete,
        };
        let written = journal::Operation {
            seq: 0,
            verb,
            index: index.0.into(),
            id: operation.id,
            routing: operation.routing,
            source: origin.map(|origin| (origin.source, origin.position)),
            net: net.as_bytes(),
        };
        Record::Operation(written).write_body(record);
    }

    /// Has a record let in.
    #[inline]
    pub(super) fn begin_entry(&self, record: &[u8]) -> Result<Entry<'_>> {
        let journal = match &self.journal {
            Some(journal) => Some((&**journal, journal.admit(record.len())?)),
            None => None,
        };
        Ok(Entry { journal, place: None })
    }

    /// Returns when what was written up to there may be acknowledged.
    #[inline]
    pub(super) fn acknowledge(&self, written: Written) -> Result<()> {
        match &self.journal {
            Some(journal) if written != Written::default() => journal.acknowledge(written.0),
            _ => Ok(()),
        }
    }

    /// What has not settled is sent by the next engine on this journal.
    pub(super) fn leave_to_journal(&self) {
        self.keeper.stop(self.journal.as_deref());
        if let Some(journal) = &self.journal {
            // A failure has latched the engine, and the next one finds what is on the medium.
            let _ = journal.sync();
        }
        self.bank.latch.set("its last handle was dropped; what had not settled is in the journal");
        self.drain.signal_all();
        self.drain.abandon();
    }

    /// Everything has settled.
    pub(super) fn close_journal(&self) -> Result<()> {
        self.keeper.stop(self.journal.as_deref());
        match &self.journal {
            Some(journal) => {
                let watermark = self.bank.watermark(self.clock.wall_us());
                journal.close(watermark, self.drain.is_anything_late())
            }
            None => Ok(()),
        }
    }
}

impl Entry<'_> {
    /// Takes its place: under the shard's lock.
    #[inline]
    pub(super) fn place(&mut self) {
        if let Some((journal, admitted)) = &self.journal {
            self.place = Some(journal.place(admitted));
        }
    }

    /// Fills its place.
    #[inline]
    pub(super) fn fill(mut self, seq: u64, record: &[u8]) -> Written {
        match (self.journal, self.place.take()) {
            (Some((journal, _)), Some(place)) => {
                journal.fill(place, seq, record);
                self.journal = None;
                Written(place.end())
            }
            _ => Written::default(),
        }
    }
}

impl Drop for Entry<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some((journal, admitted)) = self.journal.take()
            && self.place.is_none()
        {
            journal.withdraw(admitted);
        }
    }
}

/// The names that the bank gave numbers to.
struct BankNames(Weak<Bank>, Arc<Sources>);

impl Names for BankNames {
    fn index(&self, number: u32) -> Arc<str> {
        let index = IndexId(u16::try_from(number).unwrap_or(u16::MAX));
        self.0.upgrade().map_or_else(|| Arc::from(""), |bank| bank.indices.name(index))
    }

    fn source(&self, number: u32) -> Arc<str> {
        self.1.name(number)
    }
}

/// Reads the journal that an engine is to keep.
pub(crate) fn read_journal(place: &JournalPlace) -> Result<Opened> {
    Opened::read(Arc::clone(&place.disk), &place.directory)
}

/// Has what had not settled when the last engine ended wait again.
pub(super) fn restore(opened: &Opened, bank: &Bank, now_us: u64) -> Result<()> {
    let recovered = &opened.recovered;
    let indices: Vec<IndexId> =
        recovered.indices.iter().map(|name| bank.indices.intern(name)).collect::<Result<_>>()?;
    for key in &recovered.keys {
        let Some(index) = indices.get(key.index).copied() else { continue };
        let place = bank.place(index, &key.id);
        for (at, piece) in key.pieces.iter().enumerate() {
            opened.piece(piece, |record| {
                let (net, tally) = match record {
                    Record::Operation(operation) => {
                        let net = NetRef::from_bytes(operation.net);
                        (net, Tally::of(kind(operation.verb), net))
                    }
                    Record::Moved(moved) => {
                        let tally = Tally::moved(moved.operations, moved.not_found, moved.conflicts);
                        (NetRef::from_bytes(moved.net), tally)
                    }
                    _ => return Ok(()),
                };
                bank.restore(
                    place,
                    &Restored {
                        tag: place.tag,
                        index,
                        id: &key.id,
                        routing: piece.routing.as_deref(),
                        net,
                        first_seq: piece.first,
                        last_seq: piece.last,
                        tally,
                        is_bound: at < key.in_flight,
                        now_us,
                    },
                );
                Ok(())
            })?;
        }
    }
    Ok(())
}

fn kind(verb: Verb) -> Kind {
    match verb {
        Verb::Index => Kind::Index,
        Verb::Create => Kind::Create,
        Verb::Update => Kind::Update,
        Verb::Delete => Kind::Delete,
    }
}

/// Goes on writing the journal that was read.
pub(super) fn start_journal(
    opened: Opened,
    place: &JournalPlace,
    config: &Config,
    (engine, seed): (u128, u64),
    (bank, sources): (&Arc<Bank>, &Arc<Sources>),
) -> Result<Arc<Log>> {
    let document = (config.memory_bytes / DOCUMENT_SHARE) as u64;
    let least = FILE_BYTES_MIN.max(document * DOCUMENTS_OF_A_FILE);
    let options = journal::Options {
        policy: place.policy,
        engine,
        file_bytes: place.file_bytes.unwrap_or(FILE_BYTES).max(least),
        ring_bytes: (config.memory_bytes / RING_SHARE).min(RING_BYTES_MAX),
        seed,
    };
    let mut marks = Marks::default();
    for (name, mark) in &opened.recovered.sources {
        marks.insert(sources.restore(name, *mark)?, *mark);
    }
    let names = Arc::new(BankNames(Arc::downgrade(bank), Arc::clone(sources)));
    Log::start(opened, &options, names, marks, Arc::clone(&bank.latch)).map(Arc::new)
}

/// The thread that does for the journal what is to be done from time to time.
#[derive(Default)]
pub(super) struct Keeper {
    thread: Mutex<Option<Thread>>,
    asked: Arc<(Mutex<Asked>, Condvar)>,
}

/// What the thread is asked for.
#[derive(Default)]
struct Asked {
    to_stop: bool,
    to_look: bool,
}

impl Keeper {
    /// Starts it, where there is a journal.
    pub(super) fn start(&self, shared: &Shared) -> Result<()> {
        let Some(journal) = &shared.journal else { return Ok(()) };
        let (period, drain, clock) = (journal.period(), Arc::clone(&shared.drain), shared.clock.clone());
        let (asked, latch) = (Arc::clone(&self.asked), Arc::clone(&shared.bank.latch));
        let body = move || {
            let _alarm = LatchOnPanic::new(&latch, "keeping the journal");
            let (state, told) = &*asked;
            loop {
                let mut state = state.lock();
                if !state.to_stop && !state.to_look {
                    wait_for(told, &mut state, period);
                }
                let is_called = std::mem::take(&mut state.to_look);
                if state.to_stop {
                    return;
                }
                drop(state);
                // A journal that fails latches the engine.
                if drain.keep_journal(clock.now_us(), is_called).is_err() {
                    return drain.signal_all();
                }
            }
        };
        let thread = spawn("millpond-journal", body)
            .map_err(|error| crate::Error::io("starting the journal's thread", error))?;
        *self.thread.lock() = Some(thread);
        shared.drain.is_kept();
        let asked = Arc::clone(&self.asked);
        journal.folding.set_keeper(Some(Box::new(move || {
            asked.0.lock().to_look = true;
            asked.1.notify_all();
        })));
        Ok(())
    }

    /// Stops it.
    pub(super) fn stop(&self, journal: Option<&Log>) {
        if let Some(journal) = journal {
            journal.folding.set_keeper(None);
        }
        self.asked.0.lock().to_stop = true;
        self.asked.1.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            // One that panicked has latched the engine.
            let _ = thread.join();
        }
    }
}
