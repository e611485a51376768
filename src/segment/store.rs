//! The store: a directory, its manifest, and the set of live segments that readers take.
//!
//! # Design
//! A segment is built and synced outside any lock. Making it live is [`install`](SegmentStore::install): under one lock
//! the new manifest is written and the set is swapped, so the manifest on the disk and the set in memory change
//! together. Readers take an `Arc` of the set and never wait for a writer. Files that a new set no longer
//! names are unlinked after its manifest is durable; mappings of them live on until their last holder goes.
//!
//! # Failure
//! Whatever fails before the manifest's rename leaves the store as it was, without a trace, and may be tried again: a
//! full disk. A failed sync latches the store (see `directory`), and so does damage met by a merge. A latched
//! store still answers reads.
//!
//! # Invariants
//! 1. The manifest names exactly the segments of the current set, in its order, unless the store is latched.
//! 2. `seq_ceiling` in the manifest is above every seq in the set, and above every one reserved.
//! 3. A segment number is never given twice by one opening.
//!
//! # Locking
//! LOCK: `merging`, then `state`, then `current`. `merging` is held for a whole merge; `state` while the manifest is
//! replaced and synced, and nothing else happens under it; `current` for the time of a pointer copy.

use super::{
    directory::{Directory, Home, segment_file},
    format::Record,
    manifest::{Entry, Manifest, is_not_found},
    reader::Segment,
    set::{Broken, SegmentSet, Slot},
    writer::{Built, SegmentWriter},
};
use crate::{
    Error, ErrorKind, Result,
    sync::{Mutex, RwLock},
};
use std::{io, sync::Arc};

/// See the module.
#[derive(Debug)]
pub(crate) struct SegmentStore {
    directory: Directory,
    /// Held by whoever merges.
    pub(super) merging: Mutex<()>,
    state: Mutex<State>,
    current: RwLock<Arc<SegmentSet>>,
}

/// What the manifest says besides the set.
#[derive(Debug)]
struct State {
    generation: u64,
    next_segment: u64,
    seq_ceiling: u64,
}

impl SegmentStore {
    /// Opens a directory for writing, creating a new store in it if there is none. Refused where another writer holds it,
    /// and where anything in it is damaged: writing on would build on a base that cannot be read.
    pub(crate) fn open(home: Home) -> Result<Self> {
        let directory = Directory::lock(home)?;
        let home = directory.home();
        let manifest = if let Some(manifest) = Manifest::read(home)? {
            manifest
        } else {
            let manifest = Manifest::new();
            manifest.install(&directory)?;
            manifest
        };
        let slots = manifest.segments.iter().map(|entry| open_segment(home, entry).map(Arc::new).map(Ok));
        let set = SegmentSet::new(slots.collect::<Result<_>>()?);
        if set.seq_max().is_some_and(|seq| seq >= manifest.seq_ceiling) {
            let message = "the manifest's ceiling of sequence numbers is not above those stored";
            return Err(Error::new(ErrorKind::Damaged, message));
        }
        // Only now: nothing is touched in a store that is refused.
        let live: Vec<u64> = manifest.segments.iter().map(|entry| entry.number).collect();
        directory.sweep(&live)?;
        let Manifest { generation, next_segment, seq_ceiling, .. } = manifest;
        Ok(Self {
            directory,
            merging: Mutex::new(()),
            state: Mutex::new(State { generation, next_segment, seq_ceiling }),
            current: RwLock::new(Arc::new(set)),
        })
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The live segments now.
    pub(crate) fn set(&self) -> Arc<SegmentSet> {
        Arc::clone(&self.current.read())
    }

    /// The number above every sequence number stored or reserved.
    pub(crate) fn seq_ceiling(&self) -> u64 {
        self.state.lock().seq_ceiling
    }

    /// Makes durable that sequence numbers below `ceiling` may be in use.
    pub(crate) fn reserve_seq(&self, ceiling: u64) -> Result<()> {
        if ceiling <= self.seq_ceiling() {
            return Ok(());
        }
        self.install(ceiling, |set| Some(set.clone()))
    }

    /// Writes records, sorted by key, as the newest segment; durable and visible when it returns. An error of kind
    /// [`Latched`](ErrorKind::Latched) leaves open whether they are stored, any other means that they are not.
    pub(crate) fn append<'a>(&self, records: impl ExactSizeIterator<Item = Record<'a>>) -> Result<()> {
        self.directory.check()?;
        let number = self.take_number();
        let mut writer = SegmentWriter::create(&self.directory, number, records.len() as u64)?;
        for record in records {
            writer.add(&record)?;
        }
        if writer.is_empty() {
            return Ok(());
        }
        let built = writer.finish()?;
        let installed = self
            .open_built(&built)
            .and_then(|segment| self.install(built.seq_max + 1, |set| Some(set.with(segment))));
        self.remove_unless_installed(installed, &[built.entry.number])
    }

    pub(super) fn take_number(&self) -> u64 {
        let mut state = self.state.lock();
        state.next_segment += 1;
        state.next_segment - 1
    }

    pub(super) fn open_built(&self, built: &Built) -> Result<Arc<Segment>> {
        open_segment(self.directory.home(), &built.entry).map(Arc::new)
    }

    /// Replaces segments that stand together by what they merged to.
    pub(super) fn replace(&self, old: &[u64], by: Option<Arc<Segment>>) -> Result<()> {
        let new = by.as_ref().map(|segment| segment.number());
        let installed = self.install(0, |set| set.replacing(old, by));
        let new: Vec<u64> = new.into_iter().collect();
        self.remove_unless_installed(installed, &new)?;
        for number in old {
            self.directory.remove(&segment_file(*number));
        }
        Ok(())
    }

    fn remove_unless_installed(&self, installed: Result<()>, numbers: &[u64]) -> Result<()> {
        let Err(error) = installed else { return Ok(()) };
        // Latched: a manifest that names the file may be on the disk.
        if error.kind() != ErrorKind::Latched {
            for number in numbers {
                self.directory.remove(&segment_file(*number));
            }
        }
        Err(error)
    }

    /// Makes a new set durable and current, and the ceiling at least `ceiling`.
    fn install(&self, ceiling: u64, change: impl FnOnce(&SegmentSet) -> Option<SegmentSet>) -> Result<()> {
        let mut state = self.state.lock();
        let set = change(&self.set()).ok_or_else(|| {
            let message = "the segments that were merged are no longer live";
            self.directory.latch(message);
            Error::new(ErrorKind::Latched, message)
        })?;
        let manifest = Manifest {
            generation: state.generation + 1,
            next_segment: state.next_segment,
            seq_ceiling: state.seq_ceiling.max(ceiling),
            segments: set.entries(),
        };
        manifest.install(&self.directory)?;
        state.generation = manifest.generation;
        state.seq_ceiling = manifest.seq_ceiling;
        let old = std::mem::replace(&mut *self.current.write(), Arc::new(set));
        drop(state);
        // May be the last holder, and then unmaps.
        drop(old);
        Ok(())
    }

    /// Checks the invariants that memory alone can show, by number.
    #[cfg(test)]
    pub(crate) fn validate(&self) -> Result<(), String> {
        let state = self.state.lock();
        let set = self.set();
        let manifest = Manifest::read(self.directory.home()).map_err(|error| error.to_string())?;
        let named = manifest.map(|manifest| (manifest.generation, manifest.segments));
        if named != Some((state.generation, set.entries())) {
            return Err("1: the manifest does not name the current set".to_owned());
        }
        if set.seq_max().is_some_and(|seq| seq >= state.seq_ceiling) {
            return Err("2: a seq is not below the ceiling".to_owned());
        }
        if set.entries().iter().any(|entry| entry.number >= state.next_segment) {
            return Err("3: a live number is still to be given".to_owned());
        }
        Ok(())
    }
}

/// Opens the segment that a manifest names, and no other file under its name.
pub(crate) fn open_segment(home: &Home, entry: &Entry) -> Result<Segment> {
    let segment = Segment::open(home, entry.number)?;
    if (segment.bytes().len() as u64, segment.identity()) != (entry.bytes, entry.identity) {
        let message = format!(
            "{} is whole but not the file that the manifest names: it comes from another time or store",
            segment_file(entry.number)
        );
        return Err(Error::new(ErrorKind::Damaged, message));
    }
    Ok(segment)
}

/// How often a reader follows a writer that replaces segments while it opens them.
const OPEN_ATTEMPTS: usize = 100;

/// Reads the manifest and opens what it names, without the lock. Segments that cannot be opened stay in the set as broken;
/// one that is gone because the writer replaced it is not an error, but a reason to read the manifest again.
pub(crate) fn open_for_reading(home: &Home) -> Result<(Manifest, SegmentSet)> {
    let mut manifest = read_manifest(home)?;
    for _ in 0..OPEN_ATTEMPTS {
        let mut vanished = false;
        let slots: Vec<Slot> = manifest
            .segments
            .iter()
            .map(|entry| {
                open_segment(home, entry).map(Arc::new).map_err(|error| {
                    vanished |= is_not_found(&error);
                    Arc::new(Broken::new(entry.number, &error))
                })
            })
            .collect();
        let again = if vanished { read_manifest(home)? } else { manifest.clone() };
        if again.generation == manifest.generation {
            return Ok((manifest, SegmentSet::new(slots)));
        }
        manifest = again;
    }
    let message = format!("{} changed {OPEN_ATTEMPTS} times while it was being opened", home.path.display());
    Err(Error::new(ErrorKind::Busy, message))
}

fn read_manifest(home: &Home) -> Result<Manifest> {
    Manifest::read(home)?.ok_or_else(|| {
        let cause = io::Error::new(io::ErrorKind::NotFound, "it has no manifest");
        Error::io(format_args!("opening {} as a segment store", home.path.display()), cause)
    })
}
