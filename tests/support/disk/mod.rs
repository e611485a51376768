//! A disk in memory that loses what was not synced, and fails on cue: the same [`Disk`] that the library writes to.
//!
//! # Design
//! [`SimulatedDisk`] is a whole file system behind one lock. A clone is the same disk, so that a test keeps one while the library
//! writes through another. Every call is numbered; [`fail`](SimulatedDisk::fail) says what happens at one:
//! it returns an error before or after it took effect, does only a part, or is the last thing the process does.
//! Then the test decides what is left:
//!
//! - [`restart`](SimulatedDisk::restart): the process is gone and the machine is not. Everything written is there. Whoever
//!   might still write for the old one is given its disk by [`of_process`](SimulatedDisk::of_process).
//! - [`power_cut`](SimulatedDisk::power_cut), then a restart: what was not synced is there or not, as [`PowerCut`] says.
//! - [`fork`](SimulatedDisk::fork): another disk in this state, so that one run gives many ends.
//!
//! # Why not a crate
//! Those there are simulate a network with a disk beside it, or return errors and keep the bytes. What is proven here is what
//! is *left*, by a model of sectors, pages and names that is written down: [`image`] for bytes, [`names`] for names.
//!
//! # Invariants
//! 1. All depends on the seed and the order of the calls: nothing here asks for the time or a random number.
//! 2. Without faults and power cuts it cannot be told from a system's disk (`tests/disk/same.rs`).
#![allow(dead_code, unused_imports, reason = "each binary uses its own part of the shared support")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking, and clippy sees helpers as no tests"
)]
#![allow(missing_docs, unreachable_pub, reason = "test support is read in its source, and has no outside")]

mod faults;
mod image;
mod medium;
mod names;
#[path = "../simulation/random.rs"]
mod random;

pub use faults::{At, Call, Fault, When};
pub use image::{Bytes, PAGE_BYTES, SECTOR_BYTES};
pub use names::Changes;
pub use random::Random;

use medium::{Extent, Medium};
use millpond::disk::{DirectoryLock, Disk, DiskFile, LOCK_FILE};
use std::{
    fmt, io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What a power cut leaves of what was not synced. `None`: for each file or directory, one at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerCut {
    pub bytes: Option<Bytes>,
    pub names: Option<Changes>,
}

impl PowerCut {
    pub const BYTES: [Bytes; 5] = [Bytes::Lost, Bytes::Kept, Bytes::Scattered, Bytes::Reordered, Bytes::Torn];
    pub const NAMES: [Changes; 4] = [Changes::Lost, Changes::Kept, Changes::Prefix, Changes::Scattered];

    /// Nothing that was not synced.
    pub const LOST: Self = Self::new(Bytes::Lost, Changes::Lost);
    /// Everything.
    pub const KEPT: Self = Self::new(Bytes::Kept, Changes::Kept);
    /// For each file and directory one at random.
    pub const MIXED: Self = Self { bytes: None, names: None };

    pub const fn new(bytes: Bytes, names: Changes) -> Self {
        Self { bytes: Some(bytes), names: Some(names) }
    }

    /// Every kind of it.
    pub fn all() -> Vec<Self> {
        let with_names = |bytes| Self::NAMES.map(|names| Self::new(bytes, names));
        Self::BYTES.into_iter().flat_map(with_names).chain([Self::MIXED]).collect()
    }
}

type Watcher = Arc<dyn Fn(Call) + Send + Sync>;

/// See the module.
#[derive(Clone)]
pub struct SimulatedDisk {
    shared: Arc<Shared>,
    /// The process this handle belongs to; `None` for a test's own, whose calls are always those of the one that runs.
    generation: Option<u64>,
}

struct Shared {
    medium: Mutex<Medium>,
    watcher: Mutex<Option<Watcher>>,
}

impl SimulatedDisk {
    /// An empty disk without bound.
    pub fn new(seed: u64) -> Self {
        Self::of(Medium::new(seed))
    }

    fn of(medium: Medium) -> Self {
        let shared = Shared { medium: Mutex::new(medium), watcher: Mutex::new(None) };
        Self { shared: Arc::new(shared), generation: None }
    }

    fn medium(&self) -> MutexGuard<'_, Medium> {
        self.shared.medium.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk as the process that runs now has it: after a restart this handle fails, whoever still holds it. What a test
    /// cannot be sure to have dropped before it restarts (threads, a store) wants this one.
    pub fn of_process(&self) -> Self {
        let generation = Some(self.medium().generation);
        Self { shared: Arc::clone(&self.shared), generation }
    }

    /// Says what happens at a call. Of several faults for one call the one that was asked for first happens.
    pub fn fail(&self, at: At, when: When, fault: Fault) {
        self.medium().schedule.add(at, when, fault);
    }

    /// Takes back all faults that have not happened yet. What is dead stays dead.
    pub fn heal(&self) {
        self.medium().schedule.heal();
    }

    /// The calls so far, since the disk was made or restarted: the number of one is its place.
    pub fn calls(&self) -> Vec<Call> {
        self.medium().schedule.calls.clone()
    }

    /// Has every call told to a test before it is carried out, on the thread that makes it and under no lock. A dead process
    /// makes none.
    pub fn watch(&self, watcher: impl Fn(Call) + Send + Sync + 'static) {
        *self.shared.watcher.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(watcher));
    }

    /// How many bytes may be allocated, in whole pages. What is allocated already stays.
    pub fn set_capacity(&self, bytes: u64) {
        self.medium().capacity = bytes;
    }

    /// How many bytes are allocated.
    pub fn used(&self) -> u64 {
        self.medium().used()
    }

    /// The process dies between two calls.
    pub fn kill(&self) {
        self.medium().is_dead = true;
    }

    /// True once a [`Fault::Kill`] has happened.
    pub fn is_dead(&self) -> bool {
        self.medium().is_dead
    }

    /// The power goes: the process is dead, and what it had not synced is there or not.
    pub fn power_cut(&self, choice: PowerCut) {
        let mut medium = self.medium();
        medium.is_dead = true;
        medium.cut_power(choice);
    }

    /// A new process: handles of the old one fail, its locks are free, its faults forgotten, calls are counted from 0.
    pub fn restart(&self) {
        let mut medium = self.medium();
        medium.begin_generation();
        medium.is_dead = false;
    }

    /// Another disk in the state of this one, whose process is dead: it wants a restart, perhaps after a power cut.
    pub fn fork(&self) -> Self {
        let mut medium = self.medium().clone();
        medium.begin_generation();
        medium.is_dead = true;
        Self::of(medium)
    }

    /// A file as it is seen now, from outside: no call.
    pub fn read_file(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let mut medium = self.medium();
        let node = medium.open(path.as_ref())?;
        Ok(medium.file(node).seen.bytes.clone())
    }

    /// Puts a file there from outside, durable, in place of one of that name.
    pub fn write_file(&self, path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
        self.medium().put(path.as_ref(), bytes)
    }

    /// The names in a directory, sorted, from outside.
    pub fn names(&self, path: impl AsRef<Path>) -> io::Result<Vec<String>> {
        Ok(self.medium().directory(path.as_ref())?.seen.keys().cloned().collect())
    }

    /// Checks the disk's own invariants.
    pub fn validate(&self) {
        self.medium().validate();
    }

    /// Carries out a call, with what goes wrong at it.
    fn call<T>(
        &self,
        call: Call,
        generation: Option<u64>,
        act: impl FnOnce(&mut Medium, Extent) -> io::Result<T>,
    ) -> io::Result<T> {
        let watcher = self.shared.watcher.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(watcher) = watcher.filter(|_| !self.is_dead()) {
            watcher(call);
        }
        let mut medium = self.medium();
        if medium.is_dead {
            return Err(faults::dead());
        }
        if generation.or(self.generation).is_some_and(|generation| generation != medium.generation) {
            return Err(io::Error::other("this handle is of a process that is gone"));
        }
        let is_sync = matches!(call, Call::SyncData | Call::SyncAll | Call::SyncDirectory);
        let is_transfer = matches!(call, Call::Read | Call::Write);
        match medium.schedule.next(call) {
            Some((_, Fault::Short)) if is_transfer => act(&mut medium, Extent::Part),
            Some((_, Fault::Interrupted)) if is_transfer => Err(Fault::Interrupted.error(call)),
            None | Some((_, Fault::Short | Fault::Interrupted)) => act(&mut medium, Extent::All),
            Some((when, fault)) => {
                let extent = match when {
                    When::After => Extent::All,
                    When::Midway if is_transfer || call == Call::CreateDirectory => Extent::Part,
                    // In a process that dies no sync is under way: what it had written is as dirty as before.
                    When::Midway if is_sync && fault != Fault::Kill => Extent::Part,
                    When::Before | When::Midway => Extent::Nothing,
                };
                if extent != Extent::Nothing || is_sync && fault != Fault::Kill {
                    act(&mut medium, extent).ok();
                }
                medium.is_dead = fault == Fault::Kill;
                Err(fault.error(call))
            }
        }
    }

    fn handle(&self, node: u64, may_write: bool) -> SimulatedFile {
        let mut medium = self.medium();
        medium.change_opened(node, 1);
        SimulatedFile { disk: self.clone(), node, generation: medium.generation, may_write }
    }
}

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let medium = self.medium();
        let calls = medium.schedule.calls.len();
        f.debug_struct("SimulatedDisk").field("calls", &calls).field("is_dead", &medium.is_dead).finish()
    }
}

impl Disk for SimulatedDisk {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.call(Call::CreateDirectory, None, |medium, extent| medium.create_directory(path, extent))
    }

    fn lock(&self, directory: &Path) -> io::Result<DirectoryLock> {
        let lock = self.call(Call::Lock, None, |medium, _| {
            Ok((medium.lock(directory, LOCK_FILE)?, medium.generation))
        })?;
        Ok(DirectoryLock::new(Held { disk: self.clone(), lock: lock.0, generation: lock.1 }))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.call(Call::List, None, |medium, _| {
            Ok(medium.directory(directory)?.seen.keys().cloned().collect())
        })
    }

    fn create(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn DiskFile>> {
        let node = self.call(Call::Create, None, |medium, _| medium.create(path))?;
        let file = self.handle(node, true);
        if bytes > 0
            && let Err(error) = self.call(Call::Allocate, None, |medium, _| medium.allocate(node, bytes))
        {
            drop(file);
            self.remove(path).ok();
            return Err(error);
        }
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let node = self.call(Call::Open, None, |medium, _| medium.open(path))?;
        Ok(Box::new(self.handle(node, false)))
    }

    fn open_for_writing(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let node = self.call(Call::Open, None, |medium, _| medium.open(path))?;
        Ok(Box::new(self.handle(node, true)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Call::Rename, None, |medium, _| medium.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Remove, None, |medium, _| medium.remove(path))
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.call(Call::SyncDirectory, None, |medium, extent| medium.sync_directory(directory, extent))
    }
}

/// Lets a directory go, unless the process that held it is gone.
struct Held {
    disk: SimulatedDisk,
    lock: u64,
    generation: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut medium = self.disk.medium();
        if medium.generation == self.generation {
            medium.unlock(self.lock);
        }
    }
}

/// An open file.
struct SimulatedFile {
    disk: SimulatedDisk,
    node: u64,
    generation: u64,
    may_write: bool,
}

impl SimulatedFile {
    fn call<T>(
        &self,
        call: Call,
        act: impl FnOnce(&mut Medium, u64, Extent) -> io::Result<T>,
    ) -> io::Result<T> {
        self.disk.call(call, Some(self.generation), |medium, extent| {
            if !self.may_write && matches!(call, Call::Write | Call::SetLength) {
                return Err(io::Error::other("this file was opened for reading"));
            }
            act(medium, self.node, extent)
        })
    }
}

impl DiskFile for SimulatedFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call(Call::Read, |medium, node, extent| Ok(medium.read(node, into, offset, extent)))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.call(Call::Write, |medium, node, extent| medium.write(node, bytes, offset, extent))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.call(Call::SyncData, |medium, node, extent| {
            medium.sync(node, extent);
            Ok(())
        })
    }

    fn sync_all(&self) -> io::Result<()> {
        self.call(Call::SyncAll, |medium, node, extent| {
            medium.sync(node, extent);
            Ok(())
        })
    }

    fn length(&self) -> io::Result<u64> {
        self.call(Call::Length, |medium, node, _| Ok(medium.file(node).seen.bytes.len() as u64))
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.call(Call::SetLength, |medium, node, _| medium.set_length(node, bytes))
    }
}

impl fmt::Debug for SimulatedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedFile").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        let mut medium = self.disk.medium();
        if medium.generation == self.generation {
            medium.change_opened(self.node, -1);
        }
    }
}
