//! What the drain tells the journal: what is about to leave, what has settled, what was put back.
//!
//! # Design
//! Before a batch leaves, the bounds of those of its flights that are not repeatable by themselves are written down, and
//! everything accepted so far is on the medium: what has gone to the sink cannot be lost any more, so it must not be lost
//! here. What settles is noted with the next group; if that is lost in a crash, the flight goes out again, as repeating
//! it changes nothing, or its fence or its seq in the base says that it was there.
//!
//! # Order
//! That a flight was put back is noted before it is, so before it can leave with other bounds. That it settled takes its place
//! when it does, under the lock of its shard: who finds there that it does not stand any more, and so does not write it
//! again before its file goes, has the mark behind the file and on the medium first (`journal/cleaning.rs`).

use super::{Begun, Dispatch, Drain, folding};
use crate::{
    ErrorKind, Result,
    journal::{self, Admitted, Kind, Log, Place, Record},
    shard::Flight,
    sync::atomic::Ordering,
};
use std::ops::Range;

/// The marks of flights that settle together.
#[derive(Default)]
pub(super) struct Marks {
    bodies: Vec<u8>,
    /// Each with where its body lies, and its seq.
    admitted: Vec<(Admitted, Range<usize>, u64)>,
    places: Vec<Place>,
}

impl Marks {
    fn clear(&mut self) {
        self.bodies.clear();
        self.admitted.clear();
        self.places.clear();
    }
}

/// How long a batch waits for which the journal has no room.
const NO_ROOM_US: u64 = 100_000;

impl Drain {
    /// An earlier engine did not come to its end: what it had sent may be carried out until then, so nothing is sent before.
    /// Not even for a key of which nothing waits: its last flight may have been sent twice, and settled by the second.
    pub(crate) fn begin_late(&self, late_until_us: u64) {
        self.late_until_us.store(late_until_us, Ordering::Relaxed);
    }

    /// The time before which nothing is sent, if that is not over.
    pub(super) fn late_until_us(&self, now_us: u64) -> Option<u64> {
        Some(self.late_until_us.load(Ordering::Relaxed)).filter(|until| *until > now_us)
    }

    /// True where something that was sent may still be carried out.
    pub(crate) fn is_anything_late(&self) -> bool {
        let now_us = self.parts.clock.now_us();
        self.late_until_us(now_us).is_some() || self.scheduler.lock().is_holding(now_us)
    }

    /// A batch is about to leave. Where the journal has no room to say so, it waits as it is.
    pub(super) fn cleared(&self, dispatch: Dispatch) -> Result<Begun> {
        match self.make_sure(&dispatch) {
            Ok(()) => Ok(Begun::Dispatch(dispatch)),
            Err(error) if error.kind() == ErrorKind::Full => {
                self.counters.failed(&error.to_string());
                let until_us = self.parts.clock.now_us().saturating_add(NO_ROOM_US);
                let now_us = self.parts.clock.now_us();
                self.scheduler.lock().not_sent(&dispatch.indices, now_us);
                self.park_all(dispatch, until_us);
                Ok(Begun::Wait { until_us })
            }
            Err(error) => Err(error),
        }
    }

    /// A batch that was made ahead has no place yet, and waits for one: what is sure now is sure when it leaves.
    pub(super) fn keep_ahead(&self, dispatch: Dispatch) -> Result<()> {
        match self.make_sure(&dispatch) {
            Ok(()) => self.scheduler.lock().made_ahead(dispatch),
            Err(error) if error.kind() == ErrorKind::Full => {
                self.counters.failed(&error.to_string());
                let now_us = self.parts.clock.now_us();
                self.scheduler.lock().came_to_nothing(true, now_us);
                self.park_all(dispatch, now_us.saturating_add(NO_ROOM_US));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Has everything accepted so far on the medium, and the bounds of what is not repeatable by itself.
    fn make_sure(&self, dispatch: &Dispatch) -> Result<()> {
        let Some(journal) = &self.parts.journal else { return Ok(()) };
        for flying in &dispatch.flying {
            let flight = &flying.flight;
            if !flight.net.is_repeatable() {
                journal.bounds(flight.index, &flight.id, flight.first_seq, flight.last_seq)?;
            }
        }
        journal.sync()
    }

    /// Keeps the flights of a batch that was not sent. Their bounds may be on the medium: they go out as they are.
    fn park_all(&self, dispatch: Dispatch, due_us: u64) {
        let Dispatch { batch, flying, places, .. } = dispatch;
        let mut scheduler = self.scheduler.lock();
        for (flying, place) in flying.into_iter().zip(places) {
            if let Some(item) = batch.items.get(place as usize) {
                scheduler.park(due_us, flying, item.clone());
            }
        }
    }

    /// A thread will [keep the journal](Self::keep_journal).
    pub(crate) fn is_kept(&self) {
        self.has_keeper.store(true, Ordering::Relaxed);
    }

    /// What the journal needs done from time to time; `is_called`: somebody waits for its files to be looked at.
    pub(crate) fn keep_journal(&self, now_us: u64, is_called: bool) -> Result<()> {
        let Some(journal) = &self.parts.journal else { return Ok(()) };
        self.keep_interval(journal, now_us)?;
        if !is_called && !journal.is_to_be_cleaned(now_us)? {
            return Ok(());
        }
        let cleaned = self.clean_journal(journal);
        journal.folding.end_round();
        cleaned
    }

    fn keep_interval(&self, journal: &Log, now_us: u64) -> Result<()> {
        if journal.keep_interval(now_us)? {
            self.changed();
        }
        Ok(())
    }

    fn clean_journal(&self, journal: &Log) -> Result<()> {
        let settled = self.bank.watermark(self.parts.clock.wall_us());
        let is_late = self.is_anything_late();
        journal.remove_settled(settled, is_late)?;
        if journal.is_any_denied() && !journal.has_told(settled, is_late)? {
            return Ok(());
        }
        // Where the oldest file cannot be read, or there is no room to write again what stands, it stays.
        let keep = || self.keep_interval(journal, self.parts.clock.now_us());
        match folding::fold(&self.bank, journal, keep) {
            Err(error) if error.kind() != ErrorKind::Latched => {
                self.counters.failed(&error.to_string());
                Ok(())
            }
            folded => folded,
        }
    }

    /// A flight is about to be put back that may have been out.
    pub(super) fn unbind(&self, flight: &Flight) {
        if let Some(journal) = self.parts.journal.as_ref().filter(|_| !flight.net.is_repeatable()) {
            self.told(journal.unbound(flight.index, &flight.id, flight.last_seq));
        }
    }

    /// Flights are about to settle: their marks are let in. Where there is no room for one the journal does without it, and keeps
    /// its files until it can say so in another way.
    pub(super) fn announce_settled(&self, flights: &[Flight], marks: &mut Marks) {
        marks.clear();
        let Some(journal) = &self.parts.journal else { return };
        for flight in flights {
            let begin = marks.bodies.len();
            let key = journal::key(flight.index, &flight.id);
            Record::Settled { key, last: flight.last_seq }.write_body(&mut marks.bodies);
            match journal.admit_mark(marks.bodies.len() - begin) {
                Ok(admitted) => {
                    let (end, last_seq) = (marks.bodies.len(), flight.last_seq);
                    marks.admitted.push((admitted, begin..end, last_seq));
                }
                Err(error) => {
                    journal.deny(flight.last_seq);
                    self.told(Err(error));
                }
            }
        }
        marks.places.reserve(marks.admitted.len());
    }

    /// They settle: under the lock of their shard.
    pub(super) fn place_settled(&self, marks: &mut Marks) {
        if let Some(journal) = &self.parts.journal {
            marks.places.extend(marks.admitted.iter().map(|(admitted, ..)| journal.place(admitted)));
        }
    }

    /// They have settled.
    pub(super) fn note_settled(&self, marks: &mut Marks) {
        let Some(journal) = &self.parts.journal else { return };
        for (place, (_, body, last_seq)) in marks.places.drain(..).zip(&marks.admitted) {
            journal.fill_as(
                Kind::Settled,
                place,
                *last_seq,
                marks.bodies.get(body.clone()).unwrap_or_default(),
            );
        }
    }

    /// What the journal cannot be told it does without, where it only lacks room: a flight of which it does not know
    /// that it settled goes out again after a restart. Anything else has latched the engine.
    fn told(&self, told: Result<()>) {
        if let Err(error) = told
            && error.kind() == ErrorKind::Full
        {
            self.counters.failed(&error.to_string());
        }
    }
}
