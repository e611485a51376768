//! A sink in memory with scripted answers: for tests, simulations and examples.
//!
//! # Design
//! Behaves like a server would: keeps documents, answers what became of each item, and is a [`Base`] too. A
//! script may decide, item by item, that it answers otherwise ([`Scripted`]): rejected, throttled, unknown
//! although applied, unknown and applied later. Repeats are carried out *again* unless the item says that it
//! is not repeatable, in which case its seq is its fence: so an engine that claims repeatability wrongly, or
//! lets newer operations pass a request that may still be carried out, ends with wrong documents here.

use crate::{
    Base, BaseDocument, BaseKey, Batch, Error, ErrorKind, Item, ItemAction, Limits, Outcome, Result,
    SimulatedClock, Sink, Snapshot, Takes, sync::Mutex,
};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How the sink treats one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scripted {
    /// Carried out, and told so.
    Done,
    /// Left alone: the sink says it holds something newer.
    Stale,
    /// Refused for ever.
    Rejected,
    /// Left alone for now, with the least wait asked for.
    Again(Option<Duration>),
    /// Not carried out, but the answer is lost.
    Lost,
    /// Carried out, but the answer is lost.
    DoneUnheard,
    /// The answer is lost, and the request is carried out this much later.
    Late(Duration),
}

/// Decides how an item is treated.
type Script = Box<dyn FnMut(&Item) -> Scripted + Send>;

/// Keeps documents in memory and answers by script.
pub struct MemorySink {
    takes: Takes,
    clock: Option<SimulatedClock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    documents: Documents,
    script: Option<Script>,
    late: Vec<(u64, Item)>,
    sends: u64,
    seq_ceiling: u64,
    base_fails: bool,
}

/// An index and an id.
type Name = (Box<str>, Box<str>);

type Documents = BTreeMap<Name, BaseDocument>;

impl MemorySink {
    /// An empty sink that carries everything out.
    pub fn new(takes: Takes) -> Self {
        Self { takes, clock: None, state: Mutex::new(State::default()) }
    }

    /// The same, with a clock by which late requests are carried out.
    #[must_use]
    pub fn with_clock(mut self, clock: &SimulatedClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Sets the script; it is asked once for every item of every batch.
    pub fn script(&self, script: impl FnMut(&Item) -> Scripted + Send + 'static) {
        self.state.lock().script = Some(Box::new(script));
    }

    /// Makes reads of the base fail, or work again.
    pub fn fail_reads(&self, fail: bool) {
        self.state.lock().base_fails = fail;
    }

    /// How many items were sent so far.
    pub fn sends(&self) -> u64 {
        self.state.lock().sends
    }

    /// Every live document, with index and id, in order.
    pub fn documents(&self) -> Vec<(Name, Bytes)> {
        let mut state = self.state.lock();
        self.carry_out_late(&mut state);
        let live = |(key, stored): (&Name, &BaseDocument)| Some((key.clone(), stored.source.clone()?));
        state.documents.iter().filter_map(live).collect()
    }

    fn carry_out_late(&self, state: &mut State) {
        let Some(clock) = &self.clock else { return };
        let now_us = clock.now_us();
        let (due, later) = std::mem::take(&mut state.late).into_iter().partition(|(at, _)| *at <= now_us);
        state.late = later;
        let mut due: Vec<(u64, Item)> = due;
        due.sort_by_key(|(at, _)| *at);
        for (_, item) in due {
            state.carry_out(&item);
        }
    }

    fn answer(&self, state: &mut State, item: &Item) -> Outcome {
        state.sends += 1;
        let scripted = state.script.as_mut().map_or(Scripted::Done, |script| script(item));
        match scripted {
            Scripted::Done => state.carry_out(item),
            Scripted::Stale => Outcome::Stale,
            Scripted::Rejected => Outcome::Rejected("rejected by the script".into()),
            Scripted::Again(after) => Outcome::Again { reason: "throttled by the script".into(), after },
            Scripted::Lost => Outcome::Unknown("lost by the script".into()),
            Scripted::DoneUnheard => {
                state.carry_out(item);
                Outcome::Unknown("done, unheard".into())
            }
            Scripted::Late(after) => {
                let now_us = self.clock.as_ref().map_or(0, SimulatedClock::now_us);
                state.late.push((now_us + crate::clock::micros(after), item.clone()));
                Outcome::Unknown("late by the script".into())
            }
        }
    }
}

impl State {
    fn carry_out(&mut self, item: &Item) -> Outcome {
        let key = (Box::from(&*item.index), Box::from(&*item.id));
        let before = self.documents.get(&key);
        let source = before.and_then(|stored| stored.source.clone());
        if !item.repeatable && before.is_some_and(|stored| stored.seq >= item.last_seq) {
            return Outcome::Applied;
        }
        let existed = source.is_some();
        let (outcome, after) = match &item.action {
            ItemAction::Put(document) => {
                (if existed { Outcome::Updated } else { Outcome::Created }, Some(document.clone()))
            }
            ItemAction::Delete => (if existed { Outcome::Deleted } else { Outcome::NotFound }, None),
            ItemAction::Net(net) => {
                let applied = net.apply(source.as_deref());
                let outcome = match (existed, applied.document.is_some()) {
                    (true, _) if net.verb() == "create" => Outcome::Conflict,
                    (true, _) if !applied.changed && net.detects_noop() => Outcome::Noop,
                    (true, _) => Outcome::Updated,
                    (false, true) => Outcome::Created,
                    (false, false) => Outcome::NotFound,
                };
                (outcome, applied.document)
            }
        };
        // A patch leaves a document the routing it was stored with.
        let routing = match (&item.action, before) {
            (ItemAction::Net(_), Some(stored)) if existed => stored.routing.clone(),
            _ => item.routing.clone(),
        };
        self.documents
            .insert(key, BaseDocument { source: after, routing, seq: item.last_seq, version: None });
        outcome
    }
}

impl Sink for MemorySink {
    fn takes(&self) -> Takes {
        self.takes
    }

    fn limits(&self) -> Limits {
        Limits { batch_bytes: usize::MAX, batch_operations: usize::MAX }
    }

    fn send(&self, batch: &Batch) -> Vec<Outcome> {
        let mut state = self.state.lock();
        self.carry_out_late(&mut state);
        batch.items.iter().map(|item| self.answer(&mut state, item)).collect()
    }

    fn seq_floor(&self) -> u64 {
        self.state.lock().seq_ceiling
    }

    fn reserve_seq(&self, ceiling: u64) -> Result<()> {
        let mut state = self.state.lock();
        state.seq_ceiling = state.seq_ceiling.max(ceiling);
        Ok(())
    }
}

impl Base for MemorySink {
    fn read(&self, keys: &[BaseKey<'_>]) -> Vec<Result<Option<BaseDocument>>> {
        let mut state = self.state.lock();
        self.carry_out_late(&mut state);
        let read = |key: &BaseKey<'_>| {
            if state.base_fails {
                return Err(Error::new(ErrorKind::Io, "reads fail by the script"));
            }
            Ok(state.documents.get(&(Box::from(key.index), Box::from(key.id))).cloned())
        };
        keys.iter().map(read).collect()
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>> {
        let mut state = self.state.lock();
        self.carry_out_late(&mut state);
        Ok(Arc::new(Frozen(state.documents.clone())))
    }
}

/// A copy of everything.
struct Frozen(Documents);

impl Snapshot for Frozen {
    fn page(&self, index: &str, after: Option<&str>, limit: usize) -> Result<Vec<(Box<str>, BaseDocument)>> {
        let above =
            |(name, id): &&(Box<str>, Box<str>)| &**name == index && after.is_none_or(|after| &**id > after);
        let live = self.0.iter().filter(|(key, stored)| above(key) && stored.source.is_some());
        Ok(live.take(limit).map(|((_, id), stored)| (id.clone(), stored.clone())).collect())
    }

    fn indices(&self) -> Result<Vec<Box<str>>> {
        let live = self.0.iter().filter(|(_, stored)| stored.source.is_some());
        let mut names: Vec<Box<str>> = live.map(|((name, _), _)| name.clone()).collect();
        names.dedup();
        Ok(names)
    }
}

impl std::fmt::Debug for MemorySink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let documents = self.state.lock().documents.len();
        f.debug_struct("MemorySink")
            .field("takes", &self.takes)
            .field("documents", &documents)
            .finish_non_exhaustive()
    }
}
