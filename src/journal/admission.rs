//! Who may write to the journal: only as much as has a place in the ring and in the file.
//!
//! # Design
//! One count that rises, of what was let in, in bytes of file, and two limits that whoever writes moves up: one for
//! operations, and one for the marks by which flights leave and settle. Each record is counted at what it can cost at most
//! (a group of its own, and its rounding up in the ring), so what was let in fits, whatever comes of it. When the disk is
//! full, the limit of operations stands still while the reserve takes marks: then the drain goes on, and what it settles
//! makes room. When the reserve is used up as well, a last few bytes are left for the one record that lets files go.
//!
//! # Invariants
//! 1. What was let in and is not written yet fits into the ring, and into what is left of the file that is being written.
//! 2. The limit of operations is at most that of marks, and that at most the last.

use super::{group::GROUP_HEADER_BYTES, record::BESIDE_BODY_BYTES_MAX, ring::HEAD_WORDS};
use crate::sync::atomic::{AtomicU64, Ordering};
use crossbeam_utils::CachePadded;

/// Bytes of a file that a record can take beside what it takes in the ring: a group's header, and its rounding.
const GROUP_SHARE: u64 = 40;
const WORD: u64 = size_of::<u64>() as u64;

// A record that is a group by itself takes no more of the file than it counts.
const _: () =
    assert!(HEAD_WORDS as u64 * WORD + GROUP_SHARE >= (GROUP_HEADER_BYTES + BESIDE_BODY_BYTES_MAX) as u64);

/// Words of the ring for a record with a body of so many bytes.
pub(super) fn words_of(body: usize) -> u64 {
    (HEAD_WORDS + body.div_ceil(size_of::<u64>())) as u64
}

/// What a record with a body of so many bytes counts.
pub(super) fn cost_of(body: usize) -> u64 {
    words_of(body) * WORD + GROUP_SHARE
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// An operation that is accepted.
    Operation,
    /// One that is written again.
    Again,
    /// A mark, without which nothing can leave.
    Mark,
    /// The mark by which files can go.
    Last,
}

impl Class {
    /// True for those that may use the reserve.
    pub(super) fn is_mark(self) -> bool {
        matches!(self, Self::Mark | Self::Last)
    }
}

/// Kept for [`Class::Last`]: as much as a few watermarks cost.
pub(super) const LAST_BYTES: u64 = 512;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Admission {
    admitted: CachePadded<AtomicU64>,
    operations: CachePadded<AtomicU64>,
    marks: AtomicU64,
    last: AtomicU64,
}

impl Admission {
    /// Lets a record in that counts so much; false where it has to wait, and then nothing has changed.
    #[inline]
    pub(super) fn admit(&self, class: Class, cost: u64) -> bool {
        let limit = match class {
            Class::Operation | Class::Again => &self.operations,
            Class::Mark => &self.marks,
            Class::Last => &self.last,
        };
        // ORDERING: acquire, with the release of `set_limits`: the words of the ring that the limit stands for are zero.
        let limit = limit.load(Ordering::Acquire);
        let before = self.admitted.fetch_add(cost, Ordering::AcqRel);
        if before + cost <= limit {
            return true;
        }
        self.admitted.fetch_sub(cost, Ordering::AcqRel);
        false
    }

    /// One that was let in will not be written after all.
    pub(super) fn withdraw(&self, cost: u64) {
        self.admitted.fetch_sub(cost, Ordering::AcqRel);
    }

    /// Moves the limits: `written` is what has been written counts, and so much more may be let in.
    pub(super) fn set_limits(&self, written: u64, [operations, marks, last]: [u64; 3]) {
        self.last.store(written + last, Ordering::Release);
        let marks = marks.min(last);
        self.marks.store(written + marks, Ordering::Release);
        self.operations.store(written + operations.min(marks), Ordering::Release);
    }
}
