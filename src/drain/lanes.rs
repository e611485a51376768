//! Which index's operations go next, and which have to wait: a plain machine.
//!
//! # Design
//! Each index has a lane: how many batches are out with operations of it, when it last had its turn, and a pause where it is in
//! trouble. Where a sink adapts, a batch is of one index: the one with the fewest batches out, and of several the one that has
//! waited longest for its turn. So a slow index holds the places of its own batches and no others. Some indices with little
//! each cost some small requests more than one for all would; one of them that is slow would hold up all others, each time.
//!
//! An index of whose operations not one was taken pauses, alone. The sink as a whole pauses where batches of more than one index
//! have failed since anything was taken: then it is not the index. A pause is longer than the one before it, and shorter by chance
//! ([`next_wait_us`]); what left before it began is part of the same failure, and does not make it longer.
//!
//! # Why places and not shares of time
//! One index may hold all places but one where there are others, and one that has none may have one more than the limit. That is
//! enough for any one index in trouble, and needs no estimate of how slow it is. Several slow ones can hold all places together;
//! the limiter then allows more, as more come home with them.
//!
//! # What it does not do
//! Memory is one bound for all. An index that is not taken for long fills it, and then submits of all indices wait.
//!
//! # Invariants
//! 1. A lane's count is that of the batches that are out with operations of it.
//! 2. Nothing of an index is picked before its pause is over, and nothing at all before that of the sink is.

use super::retry::next_wait_us;
use crate::document::IndexId;
use std::collections::{BTreeMap, BTreeSet};

/// With more indices than these, operations of all go out together: batches of one each would be small, and each look at
/// what waits would take long.
pub(crate) const LANES_MAX: usize = 16;
/// An index counts as one that may have something to send for so long after it was last seen to have.
const RECENT_US: u64 = 60_000_000;

/// What became of an index's part of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) index: IndexId,
    /// Something of it was taken.
    pub(crate) is_taken: bool,
    /// The wait that was asked for, in microseconds.
    pub(crate) asked_us: u64,
}

impl Answered {
    /// Another operation of the same index.
    pub(crate) fn add(&mut self, is_taken: bool, asked_us: u64) {
        self.is_taken |= is_taken;
        self.asked_us = self.asked_us.max(asked_us);
    }
}

/// How many places there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    pub(crate) out: usize,
    /// As many as should be out, and as there are at most.
    pub(crate) limit: usize,
    pub(crate) most: usize,
}

/// A time of waiting after a failure.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_field_names, reason = "all of them are times")]
struct Pause {
    until_us: u64,
    /// How long it is, and when it began.
    wait_us: u64,
    began_us: u64,
}

#[derive(Debug, Default)]
struct Lane {
    out: usize,
    turn: u64,
    seen_us: u64,
    pause: Pause,
}

#[derive(Debug, Default)]
pub(crate) struct Lanes {
    by_index: BTreeMap<IndexId, Lane>,
    turns: u64,
    whole: Pause,
    /// Indices of batches that failed since anything was taken.
    failing: BTreeSet<IndexId>,
}

impl Lanes {
    /// Whose turn it is, of those that have something waiting and are not passed over; none where no place is left for any.
    pub(crate) fn pick(
        &mut self,
        waiting: &[(IndexId, u64)],
        passed: &[IndexId],
        places: Places,
        now_us: u64,
    ) -> Option<IndexId> {
        for (index, _) in waiting.iter().filter(|(_, bytes)| *bytes > 0) {
            self.by_index.entry(*index).or_default().seen_us = now_us;
        }
        let candidates = waiting.iter().filter(|(index, bytes)| *bytes > 0 && !passed.contains(index));
        let open = candidates.filter(|(index, _)| self.may_go(*index, places, now_us));
        let turn = |(index, _): &&(IndexId, u64)| self.by_index.get(index).map(|lane| (lane.out, lane.turn));
        let index = open.min_by_key(turn).map(|(index, _)| *index)?;
        self.turns += 1;
        self.by_index.entry(index).or_default().turn = self.turns;
        Some(index)
    }

    /// True where a place is left for this index.
    pub(crate) fn may_go(&self, index: IndexId, places: Places, now_us: u64) -> bool {
        if self.is_paused(index, now_us) {
            return false;
        }
        let Places { out, limit, most } = places;
        let mine = self.by_index.get(&index).map_or(0, |lane| lane.out);
        let is_recent = |lane: &Lane| lane.out > 0 || lane.seen_us.saturating_add(RECENT_US) > now_us;
        let has_others = self.by_index.iter().any(|(other, lane)| *other != index && is_recent(lane));
        if has_others && most > 1 && mine + 1 >= most {
            return false;
        }
        out < limit || (has_others && mine == 0 && out == limit && out < most)
    }

    /// Those that pause.
    pub(crate) fn paused(&self, now_us: u64) -> Vec<IndexId> {
        let is_paused = |lane: &Lane| lane.pause.until_us > now_us;
        self.by_index.iter().filter(|(_, lane)| is_paused(lane)).map(|(index, _)| *index).collect()
    }

    pub(crate) fn is_paused(&self, index: IndexId, now_us: u64) -> bool {
        self.by_index.get(&index).is_some_and(|lane| lane.pause.until_us > now_us)
    }

    /// Until when nothing at all may be sent, of so many indices that there are.
    pub(crate) fn all_paused_until_us(&self, indices: usize, now_us: u64) -> Option<u64> {
        if self.whole.until_us > now_us {
            return Some(self.whole.until_us);
        }
        let pauses =
            self.by_index.values().map(|lane| lane.pause.until_us).filter(|until_us| *until_us > now_us);
        let (count, first_us) =
            pauses.fold((0, u64::MAX), |(count, first), until| (count + 1, first.min(until)));
        (count > 0 && count >= indices).then_some(first_us)
    }

    /// When the first pause ends that has not ended.
    pub(crate) fn next_end_us(&self, now_us: u64) -> Option<u64> {
        let ends = self.by_index.values().map(|lane| lane.pause.until_us).chain([self.whole.until_us]);
        ends.filter(|until_us| *until_us > now_us).min()
    }

    /// A batch with operations of these is out.
    pub(crate) fn left(&mut self, indices: &[IndexId]) {
        for index in indices {
            self.by_index.entry(*index).or_default().out += 1;
        }
    }

    /// It is back.
    pub(crate) fn landed(&mut self, indices: &[IndexId]) {
        for index in indices {
            let lane = self.by_index.entry(*index).or_default();
            lane.out = lane.out.saturating_sub(1);
        }
    }

    /// True where what was taken has to be told: something has failed before.
    pub(crate) fn is_troubled(&self) -> bool {
        self.whole.wait_us > 0
            || !self.failing.is_empty()
            || self.by_index.values().any(|lane| lane.pause.wait_us > 0)
    }

    /// What became of a batch that left at that time.
    pub(crate) fn answered(&mut self, answers: &[Answered], began_us: u64, now_us: u64) {
        let is_any_taken = answers.iter().any(|answer| answer.is_taken);
        if is_any_taken {
            self.whole = Pause::default();
            self.failing.clear();
        }
        for Answered { index, is_taken, asked_us } in answers {
            let lane = self.by_index.entry(*index).or_default();
            if *is_taken {
                lane.pause = Pause::default();
            } else {
                lane.pause.raise(began_us, now_us, *asked_us, now_us ^ u64::from(index.0));
            }
        }
        if is_any_taken || answers.is_empty() {
            return;
        }
        self.failing.extend(answers.iter().map(|answer| answer.index));
        if self.failing.len() > 1 {
            let asked_us = answers.iter().map(|answer| answer.asked_us).max().unwrap_or(0);
            self.whole.raise(began_us, now_us, asked_us, now_us);
        }
    }

    /// Batches that are out, of each index. For checks.
    #[cfg(test)]
    pub(crate) fn out(&self, index: IndexId) -> usize {
        self.by_index.get(&index).map_or(0, |lane| lane.out)
    }
}

impl Pause {
    /// Something that left at `left_us` has failed.
    fn raise(&mut self, left_us: u64, now_us: u64, asked_us: u64, salt: u64) {
        let is_known = self.wait_us > 0 && left_us < self.began_us;
        if !is_known {
            self.wait_us = next_wait_us(self.wait_us, salt);
            self.began_us = now_us;
        }
        let wait_us = if is_known { asked_us } else { self.wait_us.max(asked_us) };
        self.until_us = self.until_us.max(now_us.saturating_add(wait_us));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IndexId = IndexId(0);
    const B: IndexId = IndexId(1);
    const C: IndexId = IndexId(2);

    fn places(out: usize, limit: usize, most: usize) -> Places {
        Places { out, limit, most }
    }

    fn failed(index: IndexId) -> Answered {
        Answered { index, is_taken: false, asked_us: 0 }
    }

    fn taken(index: IndexId) -> Answered {
        Answered { index, is_taken: true, asked_us: 0 }
    }

    #[test]
    fn the_index_with_the_fewest_out_goes_and_of_several_the_one_that_has_waited_longest() {
        let mut lanes = Lanes::default();
        let waiting = [(A, 10), (B, 10), (C, 0)];
        let mut turns = Vec::new();
        for out in 0..4 {
            let index = lanes.pick(&waiting, &[], places(out, 8, 8), 0).unwrap();
            lanes.left(&[index]);
            turns.push(index);
        }
        assert_eq!(turns, [A, B, A, B]);
        lanes.landed(&[B]);
        assert_eq!(lanes.pick(&waiting, &[], places(3, 8, 8), 0), Some(B));
        assert_eq!(
            lanes.pick(&waiting, &[B], places(3, 8, 8), 0),
            Some(A),
            "who has nothing due is passed over"
        );
        assert_eq!((lanes.out(A), lanes.out(B)), (2, 1));
    }

    #[test]
    fn one_index_never_holds_all_places_and_one_that_has_none_gets_one_beyond_the_limit() {
        let mut lanes = Lanes::default();
        assert_eq!(lanes.pick(&[(A, 1), (B, 0)], &[], places(0, 2, 4), 0), Some(A));
        for _ in 0..3 {
            lanes.left(&[A]);
        }
        assert!(lanes.may_go(A, places(3, 4, 4), 0), "there is no other");
        lanes.pick(&[(B, 1)], &[], places(9, 4, 4), 0);
        assert!(!lanes.may_go(A, places(3, 4, 4), 0));
        assert!(lanes.may_go(B, places(3, 3, 4), 0), "one more than the limit");
        assert!(!lanes.may_go(B, places(4, 3, 4), 0), "but not two");
        assert!(!lanes.may_go(B, places(4, 4, 4), 0), "and not more than there are");
        assert!(lanes.may_go(A, places(3, 4, 4), RECENT_US), "the other has not been heard of for long");
    }

    #[test]
    fn an_index_that_fails_pauses_alone_and_two_in_a_row_pause_the_sink() {
        let mut lanes = Lanes::default();
        lanes.answered(&[failed(A)], 0, 0);
        assert!(lanes.is_paused(A, 0) && !lanes.is_paused(B, 0));
        assert_eq!(lanes.all_paused_until_us(2, 0), None);
        assert!(lanes.all_paused_until_us(1, 0).is_some(), "there is no other index");
        assert_eq!(lanes.pick(&[(A, 1), (B, 1)], &[], places(0, 4, 4), 0), Some(B));
        lanes.answered(&[taken(B)], 0, 0);
        lanes.answered(&[failed(A)], 0, 0);
        assert_eq!(lanes.all_paused_until_us(2, 0), None, "it is that index still");
        lanes.answered(&[failed(C)], 0, 0);
        assert!(lanes.all_paused_until_us(3, 0).is_some());
        lanes.answered(&[taken(B), failed(A)], 0, 0);
        assert_eq!(lanes.all_paused_until_us(3, 0), None, "something was taken");
        assert!(lanes.is_paused(A, 0));
        lanes.answered(&[taken(A), taken(C)], 0, 0);
        assert!(!lanes.is_troubled());
    }

    #[test]
    fn what_was_out_together_and_failed_counts_once() {
        let mut lanes = Lanes::default();
        lanes.answered(&[failed(A)], 0, 1_000);
        let until_us = lanes.next_end_us(1_000).unwrap();
        for _ in 0..100 {
            lanes.answered(&[failed(A)], 500, 1_001);
        }
        assert_eq!(lanes.next_end_us(1_001), Some(until_us));
        lanes.answered(&[Answered { asked_us: 9_000_000, ..failed(A) }], 500, 1_001);
        assert_eq!(lanes.next_end_us(1_001), Some(9_001_001), "but a wait that is asked for is kept");
    }
}
