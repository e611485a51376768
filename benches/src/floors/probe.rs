//! The exact-key probe: an open table of tags in shards, and slots with the id inside.
//!
//! # Design
//! An index word has 12 bits of the hash and the number of a slot: a miss touches one line, a hit two. The words are
//! atomic and lie beside the lock, so that they can be asked for before it is taken; they are read and written under it.
//! The table has no more places than it needs and two slots share a line, because what these floors wait for is memory.
//!
//! # Invariants
//! 1. The table never grows: it is made for the documents of the workload, and a fifth of it is never taken.

use super::{INDEX_NUMBER, SHARDS, hash, json::Splitter, shard_of};
use crate::{
    peer::{BATCH, Peer},
    sync::Mutex,
    workload::{ID_BYTES, Operation},
};
use crossbeam_utils::CachePadded;
use foldhash::fast::FixedState;
use prefetch_index::prefetch_index;
use std::{
    cell::RefCell,
    sync::atomic::{AtomicU32, Ordering},
};

/// Bits of an index word that name a slot; those above it are a tag.
const SLOT_BITS: u32 = 20;
/// Bytes of an id that a slot holds.
const INLINE_BYTES: usize = 24;
const _: () = assert!(ID_BYTES <= INLINE_BYTES, "every id of a workload is in its slot");

/// What is done with the body of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// Nothing.
    Not,
    /// It is split and validated.
    Validating,
}

thread_local! {
    static SPLITTER: RefCell<Splitter> = const { RefCell::new(Splitter::new()) };
}

/// Finds keys exactly, and counts.
#[derive(Debug)]
pub struct Probe {
    scan: Scan,
    state: FixedState,
    /// Index words of a shard.
    places: usize,
    shards: Box<[CachePadded<Shard>]>,
}

#[derive(Debug)]
struct Shard {
    words: Box<[AtomicU32]>,
    slots: Mutex<Vec<Slot>>,
}

/// A key and its count: half a line of the cache, and never in two.
#[derive(Debug)]
#[repr(align(32))]
struct Slot {
    id: [u8; INLINE_BYTES],
    index: u16,
    id_bytes: u16,
    operations: u32,
}

const _: () = assert!(size_of::<Slot>() == 32, "two slots fill a line");

impl Probe {
    /// A table for so many documents.
    pub fn new(scan: Scan, documents: u64) -> Self {
        // Shards are not evenly filled: a quarter and a few more than their share.
        let share = usize::try_from(documents).unwrap_or(0) / SHARDS;
        let room = share + share / 4 + 64;
        let places = room + room / 4;
        let made = |_| {
            let words = (0..places).map(|_| AtomicU32::new(0)).collect();
            CachePadded::new(Shard { words, slots: Mutex::new(Vec::with_capacity(room)) })
        };
        let shards = (0..SHARDS).map(made).collect();
        Self { scan, state: FixedState::with_seed(1), places, shards }
    }

    /// Documents and operations counted.
    pub fn counts(&self) -> (u64, u64) {
        self.shards.iter().fold((0, 0), |(documents, operations), shard| {
            let slots = shard.slots.lock();
            let here: u64 = slots.iter().map(|slot| u64::from(slot.operations)).sum();
            (documents + slots.len() as u64, operations + here)
        })
    }

    /// Hashes the key and asks for its line of the index.
    #[inline]
    fn ask(&self, operation: &Operation<'_>) -> u64 {
        let hash = hash(&self.state, operation.id);
        if let Some(shard) = self.shards.get(shard_of(hash)) {
            prefetch_index(&shard.words, self.start(hash));
        }
        hash
    }

    /// The place at which a search begins: as far into the table as the lower half of the hash is into its range.
    #[inline]
    fn start(&self, hash: u64) -> usize {
        let part = (hash & 0xffff_ffff) * self.places as u64;
        (part >> 32) as usize
    }

    #[inline]
    fn count(&self, hash: u64, operation: &Operation<'_>) {
        let Some(shard) = self.shards.get(shard_of(hash)) else { return };
        shard.count(self.start(hash), tag(hash), operation);
    }
}

impl Shard {
    fn count(&self, start: usize, tag: u32, operation: &Operation<'_>) {
        let mut slots = self.slots.lock();
        let (before, from_start) = self.words.split_at(start);
        for cell in from_start.iter().chain(before) {
            let word = cell.load(Ordering::Relaxed);
            if word == 0 {
                slots.push(Slot::new(operation));
                cell.store(tag | u32::try_from(slots.len()).unwrap_or(0), Ordering::Relaxed);
                return;
            }
            let number = (word & ((1 << SLOT_BITS) - 1)) as usize - 1;
            if word & !((1 << SLOT_BITS) - 1) == tag
                && let Some(slot) = slots.get_mut(number)
                && slot.is(operation.id)
            {
                slot.operations += 1;
                return;
            }
        }
    }
}

/// The tag of a hash, where it stands in a word: from bits that choose neither the shard nor, in most, the place.
#[inline]
fn tag(hash: u64) -> u32 {
    ((hash >> 40) as u32) << SLOT_BITS
}

impl Slot {
    fn new(operation: &Operation<'_>) -> Self {
        let mut id = [0; INLINE_BYTES];
        for (place, byte) in id.iter_mut().zip(operation.id.bytes()) {
            *place = byte;
        }
        let id_bytes = u16::try_from(operation.id.len()).unwrap_or(u16::MAX);
        Self { id, index: INDEX_NUMBER, id_bytes, operations: 1 }
    }

    #[inline]
    fn is(&self, id: &str) -> bool {
        self.index == INDEX_NUMBER
            && usize::from(self.id_bytes) == id.len()
            && self.id.get(..id.len()) == Some(id.as_bytes())
    }
}

/// Splits and validates a body. A workload holds valid bodies only.
#[inline]
fn split(splitter: &mut Splitter, operation: &Operation<'_>) {
    assert!(splitter.split(operation.body.as_bytes()), "the workload has a bad body: {}", operation.body);
}

impl Peer for Probe {
    #[inline]
    fn submit(&self, operation: &Operation<'_>) {
        let hash = self.ask(operation);
        if self.scan == Scan::Validating {
            SPLITTER.with_borrow_mut(|splitter| split(splitter, operation));
        }
        self.count(hash, operation);
    }

    fn submit_batch(&self, operations: &[Operation<'_>]) {
        let mut hashes = [0; BATCH];
        for chunk in operations.chunks(BATCH) {
            for (hash, operation) in hashes.iter_mut().zip(chunk) {
                *hash = self.ask(operation);
            }
            if self.scan == Scan::Validating {
                SPLITTER.with_borrow_mut(|splitter| {
                    for operation in chunk {
                        split(splitter, operation);
                    }
                });
            }
            for (hash, operation) in hashes.iter().zip(chunk) {
                self.count(*hash, operation);
            }
        }
    }
}
