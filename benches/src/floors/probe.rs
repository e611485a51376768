//! The exact-key probe: an open table of tags in shards, and slots with the id inside.
//!
//! # Design
//! An index word has 12 bits of the hash and the number of a slot: a miss touches one line, a hit two. The words are
//! atomic and lie beside the lock, so that they can be asked for before it is taken; they change only under it.
//!
//! # Invariants
//! 1. The table never grows: it is made for the documents of the workload, and a fifth of it is never taken.
//! 2. A word that names a slot never changes.

use super::{INDEX_NUMBER, SHARDS, hash, json::Splitter, shard_of};
use crate::{
    peer::{BATCH, Peer},
    sync::Mutex,
    workload::Operation,
};
use crossbeam_utils::CachePadded;
use foldhash::fast::FixedState;
use std::{
    cell::RefCell,
    sync::atomic::{AtomicU32, Ordering},
};

/// Bits of an index word that name a slot; those above it are a tag.
const SLOT_BITS: u32 = 20;
/// Bytes of an id that a slot holds.
const INLINE_BYTES: usize = 32;

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
    mask: usize,
    shards: Box<[CachePadded<Shard>]>,
}

#[derive(Debug)]
struct Shard {
    words: Box<[AtomicU32]>,
    slots: Mutex<Vec<Slot>>,
}

/// A key and its count: one line of the cache.
#[derive(Debug)]
#[repr(align(64))]
struct Slot {
    id: [u8; INLINE_BYTES],
    index: u32,
    id_bytes: u32,
    operations: u64,
    body_bytes: u64,
}

/// Where an operation goes, and what was seen there early.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    hash: u64,
    early: u32,
}

impl Probe {
    /// A table for so many documents.
    pub fn new(scan: Scan, documents: u64) -> Self {
        // Shards are not evenly filled: a quarter and a few more than their share.
        let share = usize::try_from(documents).unwrap_or(0) / SHARDS;
        let room = share + share / 4 + 64;
        let places = (room + room / 4).next_power_of_two();
        let made = |_| {
            let words = (0..places).map(|_| AtomicU32::new(0)).collect();
            CachePadded::new(Shard { words, slots: Mutex::new(Vec::with_capacity(room)) })
        };
        let shards = (0..SHARDS).map(made).collect();
        Self { scan, state: FixedState::with_seed(1), mask: places - 1, shards }
    }

    /// Documents and operations counted.
    pub fn counts(&self) -> (u64, u64) {
        self.shards.iter().fold((0, 0), |(documents, operations), shard| {
            let slots = shard.slots.lock();
            let here: u64 = slots.iter().map(|slot| slot.operations).sum();
            (documents + slots.len() as u64, operations + here)
        })
    }

    /// Hashes the key and asks for its line of the index.
    #[inline]
    fn place(&self, operation: &Operation<'_>) -> Place {
        let hash = hash(&self.state, operation.id);
        let word = self.shards.get(shard_of(hash)).and_then(|shard| shard.words.get(self.start(hash)));
        Place { hash, early: word.map_or(0, |word| word.load(Ordering::Relaxed)) }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "masked to a place in the table")]
    fn start(&self, hash: u64) -> usize {
        hash as usize & self.mask
    }

    #[inline]
    fn count(&self, place: Place, operation: &Operation<'_>) {
        let Some(shard) = self.shards.get(shard_of(place.hash)) else { return };
        shard.count(self.start(place.hash), place, operation);
    }
}

impl Shard {
    fn count(&self, start: usize, place: Place, operation: &Operation<'_>) {
        let mask = self.words.len() - 1;
        let tag = tag(place.hash);
        let mut slots = self.slots.lock();
        let (mut at, mut word) = (start, place.early);
        loop {
            let Some(cell) = self.words.get(at) else { return };
            // A slot once named stays: what was seen early is asked for again only if it was nothing.
            if word == 0 {
                word = cell.load(Ordering::Relaxed);
            }
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
                slot.body_bytes += operation.body.len() as u64;
                return;
            }
            at = (at + 1) & mask;
            word = 0;
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
        let id_bytes = u32::try_from(operation.id.len()).unwrap_or(u32::MAX);
        Self { id, index: INDEX_NUMBER, id_bytes, operations: 1, body_bytes: operation.body.len() as u64 }
    }

    #[inline]
    fn is(&self, id: &str) -> bool {
        self.index == INDEX_NUMBER
            && self.id_bytes as usize == id.len()
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
        let place = self.place(operation);
        if self.scan == Scan::Validating {
            SPLITTER.with_borrow_mut(|splitter| split(splitter, operation));
        }
        self.count(place, operation);
    }

    fn submit_batch(&self, operations: &[Operation<'_>]) {
        let mut places = [Place::default(); BATCH];
        for chunk in operations.chunks(BATCH) {
            for (place, operation) in places.iter_mut().zip(chunk) {
                *place = self.place(operation);
            }
            if self.scan == Scan::Validating {
                SPLITTER.with_borrow_mut(|splitter| {
                    for operation in chunk {
                        split(splitter, operation);
                    }
                });
            }
            for (place, operation) in places.iter().zip(chunk) {
                self.count(*place, operation);
            }
        }
    }
}
