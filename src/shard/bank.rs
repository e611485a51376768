//! The lock shell: many shards, each behind its lock, under one memory bound.
//!
//! # Design
//! The bank hashes a key once, picks its shard, locks it, lets the plain machine do the work, unlocks, and
//! books the change of weight. Nothing else happens here, and nothing happens under a lock that is not the
//! machine's own work.
//!
//! # Locking
//! LOCK: [`Bank::with`] is the only place that locks a shard. It takes no other lock while it holds one, and
//! its closure returns what must be dropped or told, which happens after it. A panic under the lock latches
//! the engine: a shard left half changed must not be trusted.

use super::{Accepted, Incoming, Kind, Memory, Refusal, Shard, TicketCell, indices::Indices};
use crate::{
    document::IndexId,
    merge::NetRef,
    sync::{Latch, LatchOnPanic, Mutex},
};
use crossbeam_utils::CachePadded;
use std::{
    hash::{BuildHasher, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The shards of an engine.
#[derive(Debug)]
pub(crate) struct Bank {
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    hasher: foldhash::fast::FixedState,
    pub(crate) memory: Memory,
    pub(crate) indices: Indices,
    pub(crate) latch: Arc<Latch>,
    /// Sequence numbers below this may be in use: persisted before it is raised.
    ceiling: AtomicU64,
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
        let shard =
            |number: u32| CachePadded::new(Mutex::new(Shard::new(number, seq_floor, known_bytes / shards)));
        Self {
            shards: (0..).take(shards).map(shard).collect(),
            hasher: foldhash::fast::FixedState::with_seed(seed),
            memory: Memory::new(memory_bytes),
            indices: Indices::default(),
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

    /// The same, with memory set aside before: given back together with what `f` frees.
    pub(crate) fn with_reserved<R: Default>(
        &self,
        shard: usize,
        reserved: usize,
        f: impl FnOnce(&mut Shard) -> R,
    ) -> R {
        let Some(shard) = self.shards.get(shard) else { return R::default() };
        let alarm = LatchOnPanic::new(&self.latch, "changing a shard");
        let mut guard = shard.lock();
        let before = guard.weight();
        let result = f(&mut guard);
        let after = guard.weight();
        #[cfg(fuzzing)]
        assert_eq!(guard.validate(), Ok(()));
        drop(guard);
        drop(alarm);
        self.memory.book(before, after, reserved);
        result
    }

    /// A key's hash, and the shard it lives in.
    pub(crate) fn place(&self, index: IndexId, id: &str) -> (u64, usize) {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(index.0);
        hasher.write(id.as_bytes());
        let hash = hasher.finish();
        // The hash index inside the shard uses the low bits and the top seven: the shard takes others.
        let shard = (hash >> 32) as u32 as usize % self.shards.len();
        (hash, shard)
    }

    /// Takes one operation, or says why not.
    pub(crate) fn submit(
        &self,
        index: IndexId,
        id: &str,
        submission: &Submission<'_>,
    ) -> Result<Accepted, Refused> {
        let Submission { routing, kind, net, ticket, now_us, stamp_us, bytes } = *submission;
        let (hash, shard) = self.place(index, id);
        let mut room = Incoming::need(net, id, routing, ticket.is_some());
        loop {
            if !self.memory.reserve(room) && !self.make_room(room, now_us) {
                return Err(Refused::Full { bytes: room });
            }
            let ceiling = self.ceiling.load(Ordering::Acquire);
            let incoming = Incoming {
                hash,
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
            let accepted = self.with_reserved(shard, room, |shard| Some(shard.submit(&incoming)));
            match accepted.unwrap_or(Err(Refusal::Busy)) {
                // Only the shard knows what folding takes; it asks for more than before each time.
                Err(Refusal::Cramped { bytes }) => room = bytes.max(room + 1),
                answer => return answer.map_err(Refused::Shard),
            }
        }
    }

    /// Lets go of clean documents until `need` bytes can be reserved; true if they were.
    fn make_room(&self, need: usize, now_us: u64) -> bool {
        for shard in 0..self.shards.len() {
            let garbage = self.with(shard, |shard| shard.evict_clean(need, now_us));
            drop(garbage);
            if self.memory.reserve(need) {
                return true;
            }
        }
        false
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
        let mut total = 0;
        for shard in 0..self.shards.len() {
            self.with(shard, |shard| {
                total += shard.weight().total;
                Some(shard.validate())
            })
            .unwrap_or(Ok(()))?;
        }
        let used = self.memory.used();
        if used < total { Err(format!("memory invariant 1: {used} booked, {total} held")) } else { Ok(()) }
    }
}
