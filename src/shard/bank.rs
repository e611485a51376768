//! The lock shell: many shards, each behind its lock, under one memory bound.
//!
//! # Design
//! The bank hashes a key once, picks its shard, locks it, lets the plain machine do the work, books the change of
//! weight, and unlocks. Nothing else happens here, and nothing happens under a lock that is not the machine's own
//! work. Before a submit comes, its key may be *announced*: then what it will touch is asked for (`prefetch.rs`).
//!
//! # Locking
//! LOCK: only this file locks shards. It takes no other lock while it holds one, and
//! its closure returns what must be dropped or told, which happens after it. A panic under the lock latches
//! the engine: a shard left half changed must not be trusted.

use super::{
    Accepted, Incoming, Kind, Memory, Refusal, Restored, Shard, TicketCell, hints::Hints, index::home,
    indices::Indices, memory::Change, prefetch::prefetch_address,
};
use crate::{
    document::IndexId,
    merge::NetRef,
    sync::{
        Latch, LatchOnPanic, Mutex,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
        lock_soon, next_number,
    },
};
use crossbeam_utils::CachePadded;
use std::{
    hash::{BuildHasher, Hasher},
    sync::Arc,
};

/// The shards of an engine.
#[derive(Debug)]
pub(crate) struct Bank {
    /// Differs from that of every other bank of the process.
    pub(crate) number: u64,
    shards: Box<[CachePadded<Locked>]>,
    hasher: foldhash::fast::FixedState,
    pub(crate) memory: Memory,
    pub(crate) indices: Indices,
    hints: Hints,
    pub(crate) latch: Arc<Latch>,
    /// Sequence numbers below this may be in use: persisted before it is raised.
    ceiling: AtomicU64,
}

/// A shard behind its lock, and beside it where its index lies.
#[derive(Debug)]
struct Locked {
    shard: Mutex<Shard>,
    /// Address and size of the hash index, for prefetching and nothing else: they may be old.
    index_at: AtomicUsize,
    index_bits: AtomicU32,
}

/// A key's place in the bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) shard: usize,
    pub(crate) tag: u32,
}

/// Why the bank did not take an operation. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The memory bound: this many bytes were asked for.
    Full { bytes: usize },
    /// The shard's refusal.
    Shard(Refusal),
}

/// What a submit brings along beside its key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Submission<'a> {
    pub(crate) routing: Option<&'a str>,
    pub(crate) kind: Kind,
    pub(crate) net: NetRef<'a>,
    pub(crate) ticket: Option<&'a Arc<TicketCell>>,
    pub(crate) now_us: u64,
    pub(crate) stamp_us: u64,
    pub(crate) bytes: usize,
}

impl Bank {
    /// `shards` shards under a bound of `memory_bytes`; sequence numbers start above `seq_floor`. The seed
    /// makes the spread of keys unpredictable to those who choose ids.
    pub(crate) fn new(
        shards: usize,
        memory_bytes: usize,
        known_bytes: usize,
        seed: u64,
        seq_floor: u64,
    ) -> Self {
        let shard = |number: u32| {
            let shard = Shard::new(number, seq_floor, known_bytes / shards);
            let (index_at, index_bits) = shard.index_place();
            CachePadded::new(Locked {
                shard: Mutex::new(shard),
                index_at: AtomicUsize::new(index_at),
                index_bits: AtomicU32::new(index_bits),
            })
        };
        Self {
            number: next_number(),
            shards: (0..).take(shards).map(shard).collect(),
            hasher: foldhash::fast::FixedState::with_seed(seed),
            memory: Memory::new(memory_bytes, shards),
            indices: Indices::default(),
            hints: Hints::new(memory_bytes),
            latch: Arc::new(Latch::default()),
            ceiling: AtomicU64::new(seq_floor + 1),
        }
    }

    pub(crate) fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// Runs `f` on one shard, under its lock, and books what it changed.
    pub(crate) fn with<R: Default>(&self, shard: usize, f: impl FnOnce(&mut Shard) -> R) -> R {
        self.with_reserved(shard, 0, f)
    }

    /// The same, with memory drawn before: for what `f` grows the shard by.
    pub(crate) fn with_reserved<R: Default>(
        &self,
        number: usize,
        drawn: usize,
        f: impl FnOnce(&mut Shard) -> R,
    ) -> R {
        let Some(locked) = self.shards.get(number) else { return R::default() };
        let alarm = LatchOnPanic::new(&self.latch, "changing a shard");
        let mut guard = lock_soon(&locked.shard);
        let before = guard.weight();
        let result = f(&mut guard);
        let after = guard.weight();
        let mut excess = 0;
        if before != after || drawn > 0 {
            excess = self.memory.book(&Change { shard: number, before, after, drawn }, guard.credit_mut());
            let (index_at, index_bits) = guard.index_place();
            if locked.index_at.load(Ordering::Relaxed) != index_at {
                locked.index_at.store(index_at, Ordering::Relaxed);
                locked.index_bits.store(index_bits, Ordering::Relaxed);
            }
        }
        #[cfg(fuzzing)]
        assert_eq!(guard.validate(), Ok(()));
        let retired = guard.take_retired();
        drop(guard);
        drop(alarm);
        drop(retired);
        self.memory.release(excess);
        result
    }

    /// Where a key lives.
    #[inline]
    pub(crate) fn place(&self, index: IndexId, id: &str) -> Place {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u16(index.0);
        hasher.write(id.as_bytes());
        let hash = hasher.finish();
        // Two halves of the hash: keys of one shard must not share their tags' top bits.
        #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
        let (tag, half) = ((hash >> 32) as u32, hash as u32);
        Place { shard: half as usize % self.shards.len(), tag }
    }

    /// Says that a submit of this key will come, with others: its hint is asked for. Takes no lock.
    #[inline]
    pub(crate) fn announce(&self, place: Place) {
        self.hints.announce(place.tag);
    }

    /// Says that a submit of this key is about to come: what it will touch is asked for, where it is thought to be. Takes
    /// no lock.
    #[inline]
    pub(crate) fn expect(&self, place: Place) {
        self.hints.follow(place.tag);
        if let Some(locked) = self.shards.get(place.shard) {
            let bits = locked.index_bits.load(Ordering::Relaxed);
            let word = home(place.tag, bits) * size_of::<u64>();
            prefetch_address(locked.index_at.load(Ordering::Relaxed).wrapping_add(word));
        }
    }

    /// Asks for what waits for this key, in case that its hint was not right.
    #[inline]
    pub(crate) fn prepare(&self, place: Place) {
        if let Some(locked) = self.shards.get(place.shard)
            && let Some(shard) = locked.shard.try_lock()
        {
            shard.prefetch(place.tag);
        }
    }

    /// Takes one operation, or says why not. Its sequence number is told to `log` under the shard's lock, so that a key's
    /// operations are told of in order: it must be quick.
    pub(crate) fn submit(
        &self,
        index: IndexId,
        id: &str,
        place: Place,
        submission: &Submission<'_>,
        mut log: impl FnMut(u64),
    ) -> Result<Accepted, Refused> {
        let Submission { routing, kind, net, ticket, now_us, stamp_us, bytes } = *submission;
        let mut room = 0;
        loop {
            let ceiling = self.ceiling.load(Ordering::Acquire);
            let tag = place.tag;
            let incoming = Incoming {
                tag,
                index,
                id,
                routing,
                kind,
                net,
                ticket,
                now_us,
                stamp_us,
                ceiling,
                bytes,
                room,
            };
            let accepted = self.with_reserved(place.shard, room, |shard| {
                let accepted = shard.submit(&incoming);
                if let Ok(accepted) = &accepted {
                    self.hints.note(tag, accepted.address);
                    log(accepted.seq);
                }
                Some(accepted)
            });
            match accepted.unwrap_or(Err(Refusal::Busy)) {
                // Only the shard knows what folding takes; it asks for more than before each time.
                Err(Refusal::Cramped { bytes }) => room = self.draw(bytes.max(room + 1), now_us)?,
                answer => {
                    return answer
                        .map(|accepted| Accepted { drew: room > 0, ..accepted })
                        .map_err(Refused::Shard);
                }
            }
        }
    }

    /// Puts an operation of an earlier engine back, whatever room there is: it was accepted.
    pub(crate) fn restore(&self, place: Place, restored: &Restored<'_>) {
        self.with(place.shard, |shard| shard.restore(restored));
    }

    /// Draws at least `least` bytes, and a grant where there is one.
    #[cold]
    fn draw(&self, least: usize, now_us: u64) -> Result<usize, Refused> {
        let grant = least.max(self.memory.grant_bytes());
        if self.memory.reserve(grant) {
            return Ok(grant);
        }
        if self.memory.reserve(least) || self.make_room(least, now_us) {
            return Ok(least);
        }
        Err(Refused::Full { bytes: least })
    }

    /// What a shard has drawn and not used is everybody's again.
    fn call_back_credit(&self, shard: usize) {
        let credit = self.shards.get(shard).map_or(0, |locked| locked.shard.lock().take_credit());
        self.memory.release(credit);
    }

    /// Calls back credits, then lets go of clean documents, until `need` bytes can be drawn; true if they were.
    fn make_room(&self, need: usize, now_us: u64) -> bool {
        for shard in 0..self.shards.len() {
            self.call_back_credit(shard);
        }
        if self.memory.reserve(need) {
            return true;
        }
        for shard in 0..self.shards.len() {
            let garbage = self.with(shard, |shard| shard.evict_clean(need, now_us));
            drop(garbage);
            self.call_back_credit(shard);
            if self.memory.reserve(need) {
                return true;
            }
        }
        false
    }

    /// Bytes of each of the first `indices` indices that wait, flights aside. Locks every shard in turn.
    pub(crate) fn waiting(&self, indices: usize) -> Vec<(IndexId, u64)> {
        let mut waiting: Vec<(IndexId, u64)> =
            (0..).map(IndexId).take(indices).map(|index| (index, 0)).collect();
        for shard in 0..self.shards.len() {
            self.with(shard, |shard| {
                for (index, bytes) in &mut waiting {
                    *bytes += shard.counts(*index).pending_bytes;
                }
            });
        }
        waiting
    }

    /// Sequence numbers below this may be in use.
    pub(crate) fn ceiling(&self) -> u64 {
        self.ceiling.load(Ordering::Acquire)
    }

    /// Lets sequence numbers up to `ceiling` be used; it must have been made durable.
    pub(crate) fn raise_ceiling(&self, ceiling: u64) {
        self.ceiling.fetch_max(ceiling, Ordering::AcqRel);
    }

    /// The watermark: every operation with a seq at or below it is settled, and none will ever get one.
    /// Locks every shard in turn, twice, and raises its next seq above `wall_us` and above what any other
    /// shard has given out: where the wall clock stands behind, a shard that is not written would hold the
    /// watermark below what has settled elsewhere.
    pub(crate) fn watermark(&self, wall_us: u64) -> u64 {
        let shards = 0..self.shards.len();
        let given = shards.clone().map(|shard| self.with(shard, |shard| shard.last_seq())).max();
        let target = wall_us.min(self.ceiling().saturating_sub(2)).max(given.unwrap_or(0));
        let mut least = u64::MAX;
        for shard in shards {
            let unsettled = self.with(shard, |shard| {
                shard.raise(target);
                // Never below what was told before, however the wall clock jumps: both only rise.
                shard.first_unsettled().unwrap_or_else(|| shard.last_seq().saturating_add(1))
            });
            least = least.min(unsettled);
        }
        least.saturating_sub(1)
    }

    /// Checks every shard, and that the memory accounts agree with them. For tests: locks every shard.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let (mut total, mut credits) = (0, 0);
        for shard in 0..self.shards.len() {
            self.with(shard, |shard| {
                total += shard.weight().total;
                credits += *shard.credit_mut();
                Some(shard.validate())
            })
            .unwrap_or(Ok(()))?;
        }
        let (used, granted) = (self.memory.used(), self.memory.granted());
        if used < total || granted < total + credits {
            return Err(format!(
                "memory invariant 1: {used} used and {granted} drawn, {total} held and {credits} of credit"
            ));
        }
        Ok(())
    }
}
