//! Statuses that survive folding: what each submitted operation will be told, before it is known.
//!
//! # Design
//! Whether an operation created, updated, deleted, conflicted or missed depends on one bit only: did its
//! document exist just before it? What the operations below it do to that bit is known at submit. So each
//! operation gets a [`Pair`] of statuses, one for each value of the bit *below its entry*, and the drained
//! operation that reveals the bit settles them all. Operations that nobody tracks are summed in a
//! [`Tally`]; tracked ones also keep their pair and their [`Ticket`](super::TicketCell).
//!
//! # Invariants
//! 1. A tally's and a tracker's pairs are relative to the document below the entry that holds them.
//! 2. Where an entry is put above another, its pairs are looked up through what the lower one does to the
//!    bit ([`Existence`]); nothing is recomputed from bodies.

use super::ticket::TicketCell;
use crate::merge::NetRef;
use std::sync::Arc;

/// What became of one submitted operation, as if nothing had been folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// There was no document; now there is.
    Created,
    /// There was a document; it was written.
    Updated,
    /// The flight this operation was part of changed nothing.
    Noop,
    /// There was a document; it is gone.
    Deleted,
    /// There was no document to update or delete.
    NotFound,
    /// A `create` met a document.
    Conflict,
    /// The sink will never take it: it is in the dead letters with what was folded with it.
    Rejected,
    /// Carried out; the sink did not tell whether there was a document before.
    Applied,
}

/// The kind of a submitted operation, as far as statuses need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Index,
    Create,
    Update,
    Delete,
}

impl Kind {
    /// The kind of an action.
    pub(crate) fn of(action: crate::Action<'_>) -> Self {
        match action {
            crate::Action::Index(_) => Self::Index,
            crate::Action::Create(_) => Self::Create,
            crate::Action::Update(_) => Self::Update,
            crate::Action::Delete => Self::Delete,
        }
    }

    /// The status of one operation of this kind, given whether its document existed just before it.
    fn status(self, net: NetRef<'_>, existed: bool) -> Status {
        match (self, existed) {
            (Self::Index | Self::Create, false) => Status::Created,
            (Self::Index | Self::Update, true) => Status::Updated,
            (Self::Create, true) => Status::Conflict,
            (Self::Update, false) if net.existence_after(false) => Status::Created,
            (Self::Update | Self::Delete, false) => Status::NotFound,
            (Self::Delete, true) => Status::Deleted,
        }
    }
}

/// Whether a document exists after an entry, for each value of whether it existed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Existence {
    if_absent: bool,
    if_present: bool,
}

impl Existence {
    /// Nothing in between: the bit is passed on.
    pub(crate) const SAME: Self = Self { if_absent: false, if_present: true };

    /// What a net operation does to the bit.
    pub(crate) fn after(net: NetRef<'_>) -> Self {
        Self { if_absent: net.existence_after(false), if_present: net.existence_after(true) }
    }
}

/// The two statuses an operation may come to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    if_absent: Status,
    if_present: Status,
}

impl Pair {
    /// The pair of one operation that comes on top of `below`.
    pub(crate) fn new(kind: Kind, net: NetRef<'_>, below: Existence) -> Self {
        Self { if_absent: kind.status(net, below.if_absent), if_present: kind.status(net, below.if_present) }
    }

    /// The same pair seen from below another entry.
    pub(crate) fn through(self, below: Existence) -> Self {
        let pick = |exists: bool| if exists { self.if_present } else { self.if_absent };
        Self { if_absent: pick(below.if_absent), if_present: pick(below.if_present) }
    }

    /// The status, now that the bit is known or will never be.
    fn resolve(self, verdict: Verdict) -> Status {
        match verdict {
            Verdict::Rejected => Status::Rejected,
            Verdict::Done { existed: None, .. } if self.if_absent != self.if_present => Status::Applied,
            Verdict::Done { existed: Some(false), .. } => self.if_absent,
            Verdict::Done { noop, .. } => match self.if_present {
                Status::Updated if noop => Status::Noop,
                status => status,
            },
        }
    }

    fn depends_on_the_bit(self) -> bool {
        self.if_absent != self.if_present
    }
}

/// How a flight ended, as far as statuses are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was carried out. `existed`: whether there was a document before, if the sink told.
    Done { existed: Option<bool>, noop: bool },
    /// It is in the dead letters.
    Rejected,
}

/// One tracked operation: its pair, and where its caller waits.
#[derive(Debug)]
pub(crate) struct Tracker {
    pub(crate) pair: Pair,
    pub(crate) ticket: Arc<TicketCell>,
}

impl Tracker {
    /// Tells the caller. Wakes a thread: never under a shard lock.
    pub(crate) fn tell(self, verdict: Verdict) {
        self.ticket.settle(self.pair.resolve(verdict));
    }
}

/// Sums over the operations folded into one entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Operations folded together: not more than a `u32` counts, see [`Tally::holds`].
    pub(crate) operations: u32,
    pub(super) not_found: [u32; 2],
    pub(super) conflicts: [u32; 2],
}

/// What a settled entry adds to the statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) operations: u64,
    pub(crate) not_found: u64,
    pub(crate) conflicts: u64,
    pub(crate) noops: u64,
}

impl Tally {
    /// True where so many more operations can be counted: else they must queue.
    pub(crate) fn holds(&self, more: u32) -> bool {
        self.operations.checked_add(more).is_some()
    }

    /// Adds one operation, which it must [hold](Tally::holds).
    #[inline]
    pub(crate) fn add(&mut self, pair: Pair) {
        self.operations += 1;
        for (column, status) in [pair.if_absent, pair.if_present].into_iter().enumerate() {
            let counter = match status {
                Status::NotFound => self.not_found.get_mut(column),
                Status::Conflict => self.conflicts.get_mut(column),
                _ => None,
            };
            if let Some(counter) = counter {
                *counter = counter.saturating_add(1);
            }
        }
    }

    /// Puts `later`, whose pairs are relative to what lies above an entry doing `below`, on top of this one.
    pub(crate) fn append(&mut self, later: &Self, below: Existence) {
        let [absent, present] = [usize::from(below.if_absent), usize::from(below.if_present)];
        let through = |columns: [u32; 2]| [absent, present].map(|c| columns.get(c).copied().unwrap_or(0));
        let sum = |a: [u32; 2], b: [u32; 2]| [a[0].saturating_add(b[0]), a[1].saturating_add(b[1])];
        self.operations += later.operations;
        self.not_found = sum(self.not_found, through(later.not_found));
        self.conflicts = sum(self.conflicts, through(later.conflicts));
    }

    /// True where settling needs to know whether the document existed: the counts differ with it, or what somebody
    /// waits to be told.
    pub(crate) fn needs_the_bit(&self, trackers: &[Tracker]) -> bool {
        self.not_found[0] != self.not_found[1]
            || self.conflicts[0] != self.conflicts[1]
            || trackers.iter().any(|tracker| tracker.pair.depends_on_the_bit())
    }

    /// The counts of a settled entry. What the sink did not tell is not counted.
    pub(crate) fn count(&self, verdict: Verdict) -> Counted {
        let mut counted = Counted { operations: self.operations.into(), ..Counted::default() };
        let Verdict::Done { existed, noop } = verdict else { return counted };
        let column = |columns: [u32; 2]| match existed {
            Some(existed) => columns.get(usize::from(existed)).copied().map_or(0, u64::from),
            None if columns[0] == columns[1] => u64::from(columns[0]),
            None => 0,
        };
        counted.not_found = column(self.not_found);
        counted.conflicts = column(self.conflicts);
        if noop {
            // A flight that changed nothing holds neither puts nor deletes: what did not conflict or miss
            // would have been an update.
            counted.noops = counted.operations - counted.not_found - counted.conflicts;
        }
        counted
    }
}

#[cfg(test)]
mod tests;
