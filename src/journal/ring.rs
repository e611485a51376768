//! Where records wait for the disk: places are taken under shard locks, and filled outside them.
//!
//! # Design
//! A ring of words, and three counts that only rise. To write a record a thread is first *admitted* (there is room for it,
//! here and in the file); then, under its key's shard lock, its *place* is taken, which is one addition; then, outside the
//! lock, it is *filled*. The first word of a record is written last, and is zero until then: so one thread after another can
//! take out, in order, what is filled, without a lock between it and those that fill.
//!
//! Admission comes first because nothing may fail once the place is taken: the operation is accepted by then.
//!
//! # Why words and not bytes
//! Threads fill places side by side while another takes out those before. Words that are atomic need no `unsafe` for that,
//! and a copy of eight bytes at a time is as fast as records of a hundred bytes need it.
//!
//! # Why not a queue of buffers
//! An allocation for each record, and the reader waits for two lines of memory for each where it now reads on.
//!
//! # Invariants
//! 1. head ≤ tail, and their distance is at most the ring's length: `Admission` keeps what was let in below it.
//! 2. A word from the tail on, around to the head, is zero.
//! 3. The first word of a place is not zero iff the place is filled.
//! 4. Places that were taken later are taken out later.

use super::admission::words_of;
use crate::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};
use crossbeam_utils::CachePadded;
use std::collections::BTreeMap;

/// Words of a record before its body: what it is, and its seq.
pub(super) const HEAD_WORDS: usize = 2;
const WORD: usize = size_of::<u64>();
/// Set in the first word of every record that is filled.
const FILLED: u64 = 1 << 63;
/// Set where the body lies beside the ring.
const ASIDE: u64 = 1 << 62;
const KIND_SHIFT: u32 = 32;

/// What is known of a record beside its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: u8,
    pub(super) seq: u64,
}

/// A place that was taken: from `start` up to `end`, in words since the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a place that is not filled holds up all that come after it, for ever"]
pub(crate) struct Place {
    start: u64,
    end: u64,
}

impl Place {
    /// All that was placed before this, and the record in it, is out when so much is.
    pub(crate) fn end(self) -> u64 {
        self.end
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ring {
    words: Box<[AtomicU64]>,
    tail: CachePadded<AtomicU64>,
    head: CachePadded<AtomicU64>,
    /// Bodies too long for the ring, by place.
    aside: Mutex<BTreeMap<u64, Vec<u8>>>,
}

impl Ring {
    /// A ring of so many bytes, rounded up to a power of two.
    pub(super) fn new(bytes: usize) -> Self {
        let words = (bytes / WORD).max(HEAD_WORDS * 8).next_power_of_two();
        Self {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            tail: CachePadded::new(AtomicU64::new(0)),
            head: CachePadded::new(AtomicU64::new(0)),
            aside: Mutex::new(BTreeMap::new()),
        }
    }

    /// Bytes that records in it may have together.
    pub(super) fn bytes(&self) -> usize {
        self.words.len() * WORD
    }

    /// The longest body that is put into the ring itself.
    pub(super) fn body_max(&self) -> usize {
        self.bytes() / 4
    }

    /// Bytes of a body that lie in the ring itself.
    pub(super) fn resident(&self, body: usize) -> usize {
        if body > self.body_max() { 0 } else { body }
    }

    /// Takes the next place, for a record that was admitted. Cheap: it is done under a shard lock.
    #[inline]
    pub(super) fn place(&self, words: u64) -> Place {
        // ORDERING: relaxed, as nothing is read by it: who takes records out waits for the first word of each. What a key's
        // lock orders stays in order, as all additions are to one number.
        let start = self.tail.fetch_add(words, Ordering::Relaxed);
        Place { start, end: start + words }
    }

    /// How far places have been taken.
    pub(super) fn tail(&self) -> u64 {
        self.tail.load(Ordering::Acquire)
    }

    /// How far records have been taken out. For tests.
    #[cfg(test)]
    pub(super) fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    #[inline]
    fn word(&self, at: u64) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]
        let at = at as usize & (self.words.len() - 1);
        #[expect(clippy::indexing_slicing, reason = "masked with the length, which is a power of two")]
        &self.words[at]
    }

    /// Fills a place with the record it was taken for.
    pub(super) fn fill(&self, place: Place, head: Head, body: &[u8]) {
        let is_aside = body.len() > self.body_max();
        let Place { start, .. } = place;
        self.word(start + 1).store(head.seq, Ordering::Relaxed);
        let mut first = FILLED | u64::from(head.kind) << KIND_SHIFT | body.len() as u64;
        if is_aside {
            first |= ASIDE;
            self.aside.lock().insert(start, body.to_vec());
        } else {
            let (whole, rest) = body.as_chunks::<WORD>();
            let mut at = start + HEAD_WORDS as u64;
            for word in whole {
                self.word(at).store(u64::from_le_bytes(*word), Ordering::Relaxed);
                at += 1;
            }
            if !rest.is_empty() {
                let mut last = [0; WORD];
                last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                self.word(at).store(u64::from_le_bytes(last), Ordering::Relaxed);
            }
        }
        // ORDERING: release, so that who sees the first word sees the others.
        self.word(start).store(first, Ordering::Release);
    }

    /// Takes the next record out, if it is filled: its head; its body is put to `body`, which is emptied before. For one
    /// thread at a time. The room is free again after [`Ring::give_back`].
    pub(super) fn take(&self, reader: &mut Reader, body: &mut Vec<u8>) -> Option<Head> {
        let start = reader.at;
        // ORDERING: acquire, with the release of `fill`.
        let first = self.word(start).load(Ordering::Acquire);
        if first == 0 {
            return None;
        }
        let length = usize::try_from(first & u64::from(u32::MAX)).unwrap_or(usize::MAX);
        let is_aside = first & ASIDE != 0;
        let words = words_of(if is_aside { 0 } else { length });
        let seq = self.word(start + 1).load(Ordering::Relaxed);
        body.clear();
        if is_aside {
            body.extend(self.aside.lock().remove(&start).unwrap_or_default());
        } else {
            for at in start + HEAD_WORDS as u64..start + words {
                body.extend_from_slice(&self.word(at).load(Ordering::Relaxed).to_le_bytes());
            }
            body.truncate(length);
        }
        for at in start..start + words {
            self.word(at).store(0, Ordering::Relaxed);
        }
        reader.at = start + words;
        #[expect(clippy::cast_possible_truncation, reason = "the byte that was put there")]
        let kind = (first >> KIND_SHIFT) as u8;
        Some(Head { kind, seq })
    }

    /// Lets the room of all that was taken out be used again.
    pub(super) fn give_back(&self, reader: &Reader) {
        // ORDERING: release, so that who is admitted to these words finds them zero.
        self.head.store(reader.at, Ordering::Release);
    }

    /// Checks invariant 2 of an idle ring. For tests.
    #[cfg(test)]
    pub(super) fn validate(&self) -> Result<(), String> {
        let (head, tail) = (self.head(), self.tail());
        if head > tail || tail - head > self.words.len() as u64 {
            return Err(format!("ring invariant 1: head {head}, tail {tail}"));
        }
        let free = tail..head + self.words.len() as u64;
        match free.into_iter().find(|at| self.word(*at).load(Ordering::Relaxed) != 0) {
            Some(at) => Err(format!("ring invariant 2: the free word {at} is not zero")),
            None => Ok(()),
        }
    }
}

/// How far the one who takes records out has come.
#[derive(Debug, Default)]
pub(super) struct Reader {
    at: u64,
}

impl Reader {
    /// All before this was taken out.
    pub(super) fn at(&self) -> u64 {
        self.at
    }
}

#[cfg(test)]
mod tests;
