//! Deciding what the drain does next: a plain machine, no lock, no clock, no I/O.
//!
//! # Design
//! [`Scheduler::next`] is told the time, how hard memory presses and what waits, and returns a [`Step`]: send parked
//! flights again, take from the shards by some demands, or wait. The shell carries it out. What the scheduler
//! remembers is small: parked flights (those whose outcome is unknown, and those whose dead letter could not
//! be written), pauses after failures ([`lanes`](super::lanes)), how far each shard is to be flushed, and where
//! the last walk over the shards stopped, so that none starves.
//!
//! Where the sink adapts, the [`limiter`](super::limiter) says how many batches may be out, and of how many bytes; a place is taken
//! before a batch is made. One batch is made at a time then: two threads that walk at once would each find half of
//! what is due, and send two small requests where one does it. Who is turned away is told when that may have changed.
//!
//! While every place is taken one batch more is made *ahead*, and leaves with the first place that comes free: so a server is not
//! idle while the next batch is made, not even where it has one at a time. What is in it folds no more, for as long as one answer takes. Only
//! of a single index: with more of them it is not known whose place will be free.
//!
//! # Why entries are taken before they are due
//! An entry is due after 7/8 of `max_delay`, and the shards are looked at every 1/16 of it: so it leaves by
//! 15/16, and the last sixteenth is for the walk and the batch ahead of it.
//!
//! # Invariants
//! 1. A parked flight is still out in its shard; it comes back from `next` exactly once, as it went in.
//! 2. Nothing is sent before a pause is over.
//! 3. Flush targets never fall.
//! 4. Every place that was taken is given back once: its batch has landed, or was not made.
//! 5. Where the sink adapts, no batch leaves without a place; what was made ahead, one batch at most, stays out in its shards until it leaves.

use super::{
    Dispatch, Flying,
    lanes::{Answered, Lanes, Places},
    limiter::{Flown, Limiter, Place},
};
use crate::{Item, document::IndexId, shard::Demand};
use std::collections::{BTreeMap, BTreeSet};

/// How soon operations leave, and in what batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) max_delay_us: u64,
    pub(crate) batch_bytes: usize,
    pub(crate) batch_operations: usize,
}

/// What the scheduler is told of the shards.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look<'a> {
    pub(crate) now_us: u64,
    /// Bytes that memory wants out.
    pub(crate) pressure: usize,
    /// Indices that there are.
    pub(crate) indices: usize,
    /// Bytes that wait of each index, where they are few enough to go one by one.
    pub(crate) waiting: Option<&'a [(IndexId, u64)]>,
    /// Those of which nothing was to be taken just now.
    pub(crate) passed: &'a [IndexId],
}

/// Whose turn it is, with the place that was taken.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) place: Place,
    /// There is no place yet: the batch is to be [kept](Scheduler::made_ahead) until there is.
    pub(crate) is_ahead: bool,
    /// The bytes that the batch may have.
    pub(crate) bytes: usize,
    /// The batch is of this index alone.
    pub(crate) only: Option<IndexId>,
    /// Else it is of all but these.
    pub(crate) paused: Vec<IndexId>,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Send these again, exactly as they are; or write their dead letters, for those that have a reason.
    Again(Vec<(Flying, Item)>, Place),
    /// Send this, which was made ahead.
    Leave(Dispatch),
    /// Take from the shards, starting at `first`, by each of the demands in turn, then whatever is to be
    /// flushed, shard by shard.
    Take { demands: Vec<Demand>, first: usize, flush_to: Box<[u64]>, turn: Turn },
    /// Nothing may be sent before this time.
    Pause { until_us: u64 },
    /// Every place is taken, by what is out or being made: to look again by this time, or when told to.
    Full { until_us: u64 },
    /// None of those that are not passed over may send: there is nothing to do.
    Idle,
}

/// What the drain remembers between steps.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing of its own that is remembered")]
pub(crate) struct Scheduler {
    pace: Pace,
    limiter: Limiter,
    /// The limiter is heeded, and batches are made one at a time and of one index each.
    adapts: bool,
    places_most: usize,
    /// Indices that there were when it was last asked.
    indices: usize,
    pub(crate) lanes: Lanes,
    /// A batch is being made.
    gathering: bool,
    /// There are threads to make batches ahead, and the one that was made.
    makes_ahead: bool,
    ahead: Option<Dispatch>,
    parked: BTreeMap<(u64, u64), (Flying, Item)>,
    parked_ever: u64,
    /// When holds of keys end, in whole milliseconds.
    holds: BTreeSet<u64>,
    flush_to: Box<[u64]>,
    first: usize,
    /// Threads told to look again although they wait.
    pub(crate) signalled: bool,
    /// Somebody found no place, and is to be told when there may be one.
    lacks_place: bool,
    /// Somebody came while a batch was being made, and may have been told of something that its maker had passed already.
    came_by: bool,
    pub(crate) stopping: bool,
}

impl Scheduler {
    pub(crate) fn new(pace: Pace, shards: usize, limiter: Limiter, adapts: bool) -> Self {
        Self {
            pace,
            places_most: limiter.bounds().most.requests,
            limiter,
            adapts,
            indices: 0,
            lanes: Lanes::default(),
            gathering: false,
            makes_ahead: false,
            ahead: None,
            parked: BTreeMap::new(),
            parked_ever: 0,
            holds: BTreeSet::new(),
            flush_to: vec![0; shards].into_boxed_slice(),
            first: 0,
            signalled: false,
            lacks_place: false,
            came_by: false,
            stopping: false,
        }
    }

    pub(crate) fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// What to do now. A step that sends or takes has a place, to be given back by [`landed`](Self::landed) or
    /// [`came_to_nothing`](Self::came_to_nothing).
    pub(crate) fn next(&mut self, look: &Look<'_>) -> Step {
        let now_us = look.now_us;
        self.indices = look.indices;
        if let Some(until_us) = self.lanes.all_paused_until_us(look.indices, now_us) {
            return Step::Pause { until_us };
        }
        if self.gathering {
            self.came_by = true;
            return Step::Full { until_us: self.look_again_us(now_us) };
        }
        let again = self.unpark(now_us);
        if !again.is_empty() {
            return Step::Again(again, self.limiter.take(now_us));
        }
        if let Some(dispatch) = self.take_ahead(now_us) {
            return Step::Leave(dispatch);
        }
        let (mut only, paused) = (None, self.lanes.paused(now_us));
        let (mut bytes, mut is_ahead) = (self.pace.batch_bytes, false);
        if self.adapts {
            bytes = self.limiter.setting().bytes;
            let is_full = !self.limiter.has_room();
            if let Some(waiting) = look.waiting {
                only = self.lanes.pick(waiting, look.passed, self.places(), now_us);
                if only.is_none() && !is_full {
                    let is_passed =
                        |index| look.passed.contains(index) || self.lanes.is_paused(*index, now_us);
                    let is_kept_out = waiting.iter().any(|(index, bytes)| *bytes > 0 && !is_passed(index));
                    return if is_kept_out { self.turn_away(now_us) } else { Step::Idle };
                }
            }
            if only.is_none() && is_full {
                is_ahead = self.makes_ahead && self.ahead.is_none() && look.indices == 1;
                if !is_ahead {
                    return self.turn_away(now_us);
                }
            }
            self.gathering = true;
        }
        let place = if is_ahead { self.limiter.ahead(now_us) } else { self.limiter.take(now_us) };
        let turn = Turn { place, is_ahead, bytes, only, paused };
        Step::Take {
            demands: self.demands(now_us, look.pressure, bytes),
            first: self.first,
            flush_to: self.flush_to.clone(),
            turn,
        }
    }

    /// What is to be taken, in the order of precedence.
    fn demands(&self, now_us: u64, pressure: usize, bytes: usize) -> Vec<Demand> {
        let mut demands = vec![Demand::Urgent];
        if let Some(arrived_us) = now_us.checked_sub(self.pace.max_delay_us / 8 * 7) {
            demands.push(Demand::Due { arrived_us });
        }
        if pressure > 0 {
            // A share for each shard; in all what makes a batch worth sending: a part of it, or where batches have the size
            // that is best for the sink, all of it.
            let least = if self.adapts { bytes } else { bytes / 4 };
            demands.push(Demand::Pressure { bytes: pressure.max(least) / self.flush_to.len() + 1 });
        }
        demands
    }

    fn places(&self) -> Places {
        Places { out: self.limiter.out(), limit: self.limiter.setting().requests, most: self.places_most }
    }

    fn turn_away(&mut self, now_us: u64) -> Step {
        self.lacks_place = true;
        Step::Full { until_us: self.look_again_us(now_us) }
    }

    /// A batch was made, with operations of these indices; `has_more`: what was taken is not all that there was.
    pub(crate) fn left(&mut self, indices: &[IndexId], has_more: bool) {
        self.lanes.left(indices);
        self.gathering = false;
        self.signalled |= self.adapts && (std::mem::take(&mut self.came_by) || has_more);
    }

    /// From now on batches may be made ahead, by threads that would have nothing else to do.
    pub(crate) fn make_ahead(&mut self) {
        self.makes_ahead = true;
    }

    /// A batch was made ahead, with operations of its indices. It leaves when there is a place.
    pub(crate) fn made_ahead(&mut self, dispatch: Dispatch) {
        self.ahead = Some(dispatch);
        self.gathering = false;
        self.came_by = false;
    }

    /// Takes out what was made ahead, if there is a place for it.
    fn take_ahead(&mut self, now_us: u64) -> Option<Dispatch> {
        let index = *self.ahead.as_ref()?.indices.first()?;
        if !self.lanes.may_go(index, self.places(), now_us) {
            return None;
        }
        let mut dispatch = self.ahead.take()?;
        dispatch.place = self.limiter.take_for(dispatch.place, now_us);
        self.lanes.left(&dispatch.indices);
        // Somebody has to make the next one.
        self.signalled = true;
        Some(dispatch)
    }

    /// Nothing was made. True where whoever was to make it has to look once more, for who came by meanwhile.
    pub(crate) fn came_to_nothing(&mut self, is_ahead: bool, now_us: u64) -> bool {
        if !is_ahead {
            self.limiter.give_back(now_us);
        }
        self.gathering = false;
        self.tell();
        std::mem::take(&mut self.came_by)
    }

    /// There is a place, and nothing to send.
    pub(crate) fn starved(&mut self, now_us: u64) {
        self.limiter.starved(now_us);
    }

    /// Has one of those who found no place look again.
    fn tell(&mut self) {
        self.signalled |= std::mem::take(&mut self.lacks_place);
    }

    /// A batch with operations of these indices has come back.
    pub(crate) fn landed(&mut self, place: Place, indices: &[IndexId], flown: Flown, now_us: u64) {
        self.limiter.landed(place, flown, now_us);
        self.lanes.landed(indices);
        self.tell();
    }

    /// A batch that was made was not sent.
    pub(crate) fn not_sent(&mut self, indices: &[IndexId], now_us: u64) {
        self.limiter.give_back(now_us);
        self.lanes.landed(indices);
        self.tell();
    }

    /// Everything of `shard` up to `seq` is to be taken without waiting for its time.
    pub(crate) fn flush(&mut self, shard: usize, seq: u64) {
        if let Some(target) = self.flush_to.get_mut(shard) {
            *target = (*target).max(seq);
        }
    }

    /// The walk over the shards ended at `shard`: the next one starts there.
    pub(crate) fn stopped_at(&mut self, shard: usize) {
        self.first = shard % self.flush_to.len();
    }

    /// Keeps a flight until it is to go out again.
    pub(crate) fn park(&mut self, due_us: u64, flying: Flying, item: Item) {
        self.parked_ever += 1;
        self.parked.insert((due_us, self.parked_ever), (flying, item));
    }

    /// A key is held until this time: there may be something to take then.
    pub(crate) fn note_hold(&mut self, until_us: u64) {
        self.holds.insert(until_us.div_ceil(1_000).saturating_mul(1_000));
    }

    /// True where a key is held, or its hold has not been looked at since it ended.
    pub(crate) fn is_holding(&self, now_us: u64) -> bool {
        self.holds.last().is_some_and(|until_us| *until_us > now_us)
    }

    /// What became of a batch, by index. Where nothing was taken there is a pause: of that index, or of the sink.
    pub(crate) fn answered(&mut self, answers: &[Answered], place: Place, now_us: u64) {
        self.lanes.answered(answers, place.began_us(), now_us);
    }

    /// Of these indices nothing could be read, so nothing could be sent.
    pub(crate) fn unread(&mut self, indices: &BTreeSet<IndexId>, now_us: u64) {
        let failed = |index: &IndexId| Answered { index: *index, is_taken: false, asked_us: 0 };
        let answers: Vec<Answered> = indices.iter().map(failed).collect();
        self.lanes.answered(&answers, now_us, now_us);
    }

    /// When to look again if nothing happens before.
    pub(crate) fn look_again_us(&mut self, now_us: u64) -> u64 {
        while self.holds.first().is_some_and(|until_us| *until_us <= now_us) {
            self.holds.pop_first();
        }
        let hold = self.holds.first().copied().unwrap_or(u64::MAX);
        let regular = now_us + (self.pace.max_delay_us / 16).max(1);
        // What is due and still parked waits for the end of a pause, or for a place.
        let parked = self.parked.range((now_us + 1, 0)..).next().map_or(u64::MAX, |((due_us, _), _)| *due_us);
        let pause = self.lanes.next_end_us(now_us).unwrap_or(u64::MAX);
        let paused = self.lanes.all_paused_until_us(self.indices, now_us).unwrap_or(0);
        regular.min(parked).min(hold).min(pause).max(paused).max(now_us + 1)
    }

    /// Takes out everything that is kept here.
    pub(crate) fn abandon(&mut self) -> Vec<Flying> {
        let parked = std::mem::take(&mut self.parked).into_values().map(|(flying, _)| flying);
        parked.chain(self.ahead.take().into_iter().flat_map(|dispatch| dispatch.flying)).collect()
    }

    /// Checks the invariants that can be seen from inside, and returns the flights that are kept, so that their
    /// shards can be asked for them (invariant 1): shard, first and last seq.
    pub(crate) fn validate(&self) -> Result<Vec<(u32, u64, u64)>, String> {
        if self.first >= self.flush_to.len() {
            return Err(format!("the next walk starts at shard {} of {}", self.first, self.flush_to.len()));
        }
        self.limiter.validate()?;
        let mut kept = Vec::with_capacity(self.parked.len());
        for ((_, number), (flying, item)) in &self.parked {
            let flight = &flying.flight;
            if *number > self.parked_ever
                || (item.first_seq, item.last_seq) != (flight.first_seq, flight.last_seq)
            {
                return Err(format!("scheduler invariant 1: parked flight {number} does not match its item"));
            }
            kept.push((flight.shard, flight.first_seq, flight.last_seq));
        }
        let ahead = self.ahead.iter().flat_map(|dispatch| &dispatch.flying);
        kept.extend(ahead.map(|Flying { flight, .. }| (flight.shard, flight.first_seq, flight.last_seq)));
        Ok(kept)
    }

    /// Takes out what is due and may go, up to one batch; where the sink adapts, of one index.
    fn unpark(&mut self, now_us: u64) -> Vec<(Flying, Item)> {
        let most = if self.adapts { self.limiter.setting().bytes } else { self.pace.batch_bytes };
        let (mut keys, mut bytes, mut only) = (Vec::new(), 0, None);
        for (key, (flying, _)) in self.parked.range(..=(now_us, u64::MAX)) {
            let index = flying.flight.index;
            let may_go = match only {
                Some(only) if self.adapts => only == index,
                _ if self.adapts => self.lanes.may_go(index, self.places(), now_us),
                _ => !self.lanes.is_paused(index, now_us),
            };
            if !may_go {
                continue;
            }
            let full = keys.len() >= self.pace.batch_operations || bytes + flying.bytes > most;
            if full && !keys.is_empty() {
                break;
            }
            only = Some(index);
            bytes += flying.bytes;
            keys.push(*key);
        }
        keys.iter().filter_map(|key| self.parked.remove(key)).collect()
    }
}

#[cfg(test)]
mod tests;
