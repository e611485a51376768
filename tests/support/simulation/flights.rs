//! What is out: taken from the engine, carried out by the sink, and brought back.

use super::faults::Answer;
use super::history::{Done, State};
use super::step::Heard;
use super::world::{CEILING_AHEAD_US, Key, Sabotage, World};
use millpond::{Batch, Flights, Item, ItemAction, Next, Outcome, Sink};
use std::ops::Range;
use std::time::Duration;

/// A key's flight.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about one item")]
pub struct Aloft {
    item: Item,
    /// In a batch that is out now; else it waits in the engine to go out again.
    out: bool,
    /// The sink will never take it, and its dead letter is not written yet.
    pub dead: bool,
    /// An outcome was unknown.
    pub uncertain: bool,
    /// The sink has carried it out.
    pub applied: bool,
    /// The sink will carry it out then.
    pub late_us: Option<u64>,
}

/// A batch that is out.
pub struct Out {
    pub flights: Flights,
    /// What the sink answered, if it was sent.
    answered: Option<Vec<Outcome>>,
}

impl Aloft {
    pub fn first_seq(&self) -> u64 {
        self.item.first_seq
    }

    /// Bytes of its item as bulk NDJSON, or a little more.
    pub fn bytes(&self) -> u64 {
        let body = match &self.item.action {
            ItemAction::Put(document) => document.len(),
            ItemAction::Delete => 0,
            ItemAction::Net(net) => {
                let mut body = Vec::new();
                net.write_body(&mut body);
                body.len()
            }
        };
        body as u64 + 200
    }
}

impl World {
    /// Asks the drain for a batch. Where there is nothing to do: how long it wants to wait.
    pub fn take(&mut self) -> Option<Duration> {
        if self.outs.len() >= self.config.workers {
            self.finish(0, Heard::All);
        }
        let next = self.drainer.next().expect("the engine did not latch");
        self.ceiling_us = self.ceiling_us.max(self.wall_us + CEILING_AHEAD_US);
        self.note_letters();
        self.poll_tickets();
        match next {
            Next::Wait(wait) => Some(wait),
            Next::Send(flights) => {
                let items = flights.batch().items.clone();
                let sorted = items.is_sorted_by(|a, b| (&a.index, &a.id) < (&b.index, &b.id));
                assert!(sorted && !items.is_empty() && items.len() <= self.config.batch_operations);
                for item in items {
                    self.took(item);
                }
                self.outs.push(Out { flights, answered: None });
                None
            }
        }
    }

    fn took(&mut self, item: Item) {
        let now_us = self.clock.now_us();
        let at = self.find(&item.index, &item.id);
        let key = &mut self.keys[at];
        if let Some(aloft) = &mut key.aloft {
            assert!(!aloft.out, "two flights of one key: {:?} and {item:?}", aloft.item);
            assert!(aloft.uncertain, "sent again although nothing was unknown: {item:?}");
            assert!(same(&aloft.item, &item), "a repeat differs: {:?} and {item:?}", aloft.item);
            aloft.out = true;
            aloft.item.attempt += 1;
            self.report.repeats += 1;
            return;
        }
        assert_eq!(item.attempt, 0, "{item:?}");
        assert!(now_us >= key.not_before_us, "left at {now_us}, held until {}: {item:?}", key.not_before_us);
        assert!(item.first_seq > key.settled_to, "settled to {}: {item:?}", key.settled_to);
        let positions = key.history.positions(item.first_seq, item.last_seq);
        let positions =
            positions.unwrap_or_else(|| panic!("no such operations: {item:?} of {:?}", key.history));
        for done in key.history.operations.range(..positions.start) {
            let settled = done.seq <= key.settled_to || done.told.is_some() || done.rejected;
            let unseen = self.config.documents && done.ticket.is_none();
            assert!(settled || unseen, "{done:?} was passed by {item:?}");
        }
        let range = positions.clone();
        for done in key.history.operations.range_mut(range) {
            assert!(!done.rejected && done.told.is_none(), "settled, and out again: {done:?}");
            done.company = item.operations;
            if self.config.fresh {
                let latest = (done.arrived_us + self.config.max_delay_us)
                    .max(key.ended_us + self.config.max_delay_us / 16);
                assert!(now_us <= latest, "waited until {now_us}, {latest} at the latest: {done:?}");
            }
        }
        assert_eq!(item.operations, positions.len() as u64, "{item:?}");
        let (before, after) = (key.history.before(positions.start), key.history.before(positions.end));
        check_item(&item, before, after);
        let worth_sending = !self.config.documents || must_be_sent(key, positions);
        assert!(worth_sending, "sent although it changes nothing: {item:?}");
        let aloft = Aloft { item, out: true, dead: false, uncertain: false, applied: false, late_us: None };
        self.keys[at].aloft = Some(aloft);
        self.report.flights += 1;
    }

    /// Has the sink carry out a batch.
    pub fn send(&mut self, batch: u8, answers: &[Answer]) {
        if self.outs.is_empty() || answers.is_empty() {
            return;
        }
        let number = usize::from(batch) % self.outs.len();
        if self.outs[number].answered.is_some() {
            return;
        }
        let items = self.outs[number].flights.batch().items.clone();
        let answers: Vec<_> =
            items.iter().zip(answers.iter().cycle()).map(|(i, a)| self.possible(i, *a)).collect();
        self.sabotage(&items);
        let mut late_bound_us = self.config.late_bound_us;
        if self.config.sabotage == Some(Sabotage::LateBeyondBound) {
            late_bound_us *= 20;
        }
        let scripted = answers.iter().map(|answer| answer.script(late_bound_us));
        self.script.lock().unwrap().extend(scripted);
        let mut outcomes = self.sink.send(self.outs[number].flights.batch());
        for (outcome, answer) in outcomes.iter_mut().zip(&answers) {
            if *answer == Answer::Untold {
                *outcome = Outcome::Applied;
            }
            if self.config.sabotage == Some(Sabotage::WrongWord) && *outcome == Outcome::Updated {
                *outcome = Outcome::Created;
            }
            if self.config.sabotage == Some(Sabotage::Forgetful) && matches!(outcome, Outcome::Unknown(_)) {
                *outcome = Outcome::Updated;
            }
        }
        self.outs[number].answered = Some(outcomes);
    }

    /// The answer, or `Done` where no server could answer so; and what it means for the item.
    fn possible(&mut self, item: &Item, answer: Answer) -> Answer {
        let now_us = self.clock.now_us();
        let at = self.find(&item.index, &item.id);
        let aloft = self.keys[at].aloft.as_mut().expect("what is sent is out");
        let applied = aloft.applied || aloft.late_us.is_some_and(|at| at <= now_us);
        // Whoever holds something newer must have got it: from the first attempt.
        let lie = answer == Answer::Stale && aloft.uncertain && !applied;
        let answer = if lie { Answer::Done } else { answer };
        match answer {
            Answer::Done | Answer::Untold | Answer::DoneUnheard => aloft.applied = true,
            Answer::Late(part) => {
                let late_us = now_us + self.config.late_bound_us * u64::from(part) / 255;
                aloft.late_us = Some(aloft.late_us.map_or(late_us, |at| at.min(late_us)));
                self.report.late += 1;
            }
            _ => {}
        }
        answer
    }

    fn sabotage(&mut self, items: &[Item]) {
        if self.config.sabotage == Some(Sabotage::NoFence) {
            let twice = items.iter().filter(|item| !item.repeatable).cloned();
            let items = twice.map(|item| Item { repeatable: true, ..item }).collect();
            self.sink.send(&Batch { items, bytes: 0 });
        }
    }

    /// Brings a batch back.
    pub fn finish(&mut self, batch: u8, heard: Heard) {
        if self.outs.is_empty() {
            return;
        }
        let number = usize::from(batch) % self.outs.len();
        if heard == Heard::All && self.outs[number].answered.is_none() {
            self.send(number as u8, &[Answer::Done]);
        }
        let Out { flights, answered } = self.outs.remove(number);
        let items = flights.batch().items.clone();
        let unknown = vec![Outcome::Unknown(String::new()); items.len()];
        let outcomes = match heard {
            Heard::All => {
                let outcomes = answered.unwrap_or_default();
                flights.finish(outcomes.clone());
                outcomes
            }
            Heard::TooFew => {
                let mut outcomes = answered.unwrap_or_else(|| unknown.clone());
                outcomes.pop();
                flights.finish(outcomes);
                unknown
            }
            Heard::Nothing => {
                drop(flights);
                unknown
            }
        };
        for (item, outcome) in items.iter().zip(&outcomes) {
            self.landed(item, outcome);
        }
        self.note_letters();
        self.poll_tickets();
    }

    fn landed(&mut self, item: &Item, outcome: &Outcome) {
        let now_us = self.clock.now_us();
        let at = self.find(&item.index, &item.id);
        let key = &mut self.keys[at];
        let aloft = key.aloft.as_mut().expect("what comes back was out");
        let positions =
            key.history.positions(item.first_seq, item.last_seq).expect("a flight is of operations");
        aloft.out = false;
        let mut vague = aloft.uncertain;
        match outcome {
            Outcome::Unknown(_) => {
                vague = true;
                aloft.uncertain = true;
                key.not_before_us = now_us + self.config.late_bound_us;
                self.report.unknown += 1;
            }
            Outcome::Again { after, .. } => {
                if !aloft.uncertain {
                    key.aloft = None;
                    let after_us = after.map_or(0, |after| after.as_micros() as u64);
                    key.not_before_us = key.not_before_us.max(now_us + after_us);
                }
                self.report.put_back += 1;
            }
            // A dead letter settles it, now or when it can be written.
            Outcome::Rejected(_) => aloft.dead = true,
            Outcome::Stale if !aloft.uncertain => aloft.dead = true,
            done => {
                vague |= *done == Outcome::Applied;
                key.settled_to = item.last_seq;
                key.ended_us = now_us;
                key.aloft = None;
                self.sent_settled += 1;
                self.report.settled += 1;
            }
        }
        if vague {
            self.vague = true;
            key.history.operations.range_mut(positions).for_each(|done| done.vague = true);
        }
    }

    /// Dead letters that were written since: their operations are taken out of the histories.
    pub fn note_letters(&mut self) {
        let now_us = self.clock.now_us();
        for letter in self.letters.take() {
            let at = self.find(&letter.index, &letter.id);
            let key = &mut self.keys[at];
            let positions = key.history.positions(letter.first_seq, letter.last_seq);
            let positions = positions.unwrap_or_else(|| panic!("a dead letter of nothing: {letter:?}"));
            assert_eq!(letter.operations, positions.len() as u64, "{letter:?}");
            assert!(letter.first_seq > key.settled_to, "settled, and dead: {letter:?}");
            let routing = &key.history.operations[positions.start].routing;
            assert_eq!(*routing, letter.routing, "{letter:?}");
            let before = key.history.before(positions.start).text();
            let effect = letter.operation.apply(before.as_ref().map(String::as_bytes)).document;
            assert!(key.history.before(positions.end).holds(effect.as_deref()), "{letter:?} over {before:?}");
            let mine = |aloft: &mut Aloft| aloft.item.first_seq == letter.first_seq;
            let (mut applied, mut late_us) = (false, None);
            if let Some(aloft) = key.aloft.take_if(mine) {
                assert!(!aloft.out || self.engine.is_none(), "dead while it is out: {letter:?}");
                applied = aloft.applied || aloft.late_us.is_some_and(|at| at <= now_us);
                late_us = aloft.late_us;
                self.vague |= aloft.uncertain;
            }
            key.history.bury(positions, applied, late_us);
            key.settled_to = letter.last_seq;
            key.ended_us = now_us;
            self.dead += letter.operations;
            self.report.dead_letters += 1;
        }
    }

    pub fn find(&self, index: &str, id: &str) -> usize {
        self.names[&(index.to_owned(), id.to_owned())]
    }
}

/// True where two sendings are the same but for the attempt, which rises by one.
fn same(first: &Item, again: &Item) -> bool {
    let action = match (&first.action, &again.action) {
        (ItemAction::Put(first), ItemAction::Put(again)) => first == again,
        (ItemAction::Delete, ItemAction::Delete) => true,
        (ItemAction::Net(first), ItemAction::Net(again)) => first == again,
        _ => false,
    };
    let bounds = |item: &Item| (item.first_seq, item.last_seq, item.operations, item.repeatable);
    action
        && bounds(first) == bounds(again)
        && first.routing == again.routing
        && first.attempt + 1 == again.attempt
}

/// An item does to the state before it what its operations do one at a time, and its claim to be repeatable holds.
fn check_item(item: &Item, before: &State, after: &State) {
    let right = match &item.action {
        ItemAction::Put(document) => {
            after.holds(Some(document)) && after.routing.as_deref() == item.routing.as_deref()
        }
        ItemAction::Delete => after.document.is_none(),
        ItemAction::Net(net) => {
            let text = before.text();
            let once = net.apply(text.as_ref().map(String::as_bytes)).document;
            if item.repeatable {
                let twice = net.apply(once.as_deref()).document;
                assert!(after.holds(twice.as_deref()), "not repeatable over {text:?}: {item:?}");
            }
            after.holds(once.as_deref())
        }
    };
    assert!(right, "{item:?} should make {after:?} of {before:?}");
}

/// True where a flight must be sent to a sink of documents: it changes something, or one of its operations is
/// always written.
fn must_be_sent(key: &Key, positions: Range<usize>) -> bool {
    let history = &key.history;
    history.operations.range(positions.clone()).any(Done::is_always_written)
        || !history.before(positions.start).same_document(history.before(positions.end))
}
