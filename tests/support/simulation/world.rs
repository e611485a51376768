//! The world: an engine, what surrounds it, and what is known of it.

use super::action::OwnedAction;
use super::faults::{FaultyBase, Letters};
use super::flights::{Aloft, Out};
use super::history::{Counts, History};
use super::step::{Step, Write};
use millpond::{
    Base, Drainer, Engine, ErrorKind, MemorySink, Operation, Scripted, SimulatedClock, SubmitError, Takes,
};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// When the simulated wall clock starts: some day in 2023.
pub const WALL_START_US: u64 = 1_700_000_000_000_000;
/// How far ahead of the wall clock the engine keeps its ceiling of sequence numbers, at least.
pub const CEILING_AHEAD_US: u64 = 30_000_000;
/// Every so many steps the whole engine is looked over.
const INSPECT_EVERY: u64 = 16;

/// What a world is like.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Config {
    pub seed: u64,
    pub shards: usize,
    pub memory_bytes: usize,
    pub max_delay_us: u64,
    pub late_bound_us: u64,
    pub batch_bytes: usize,
    pub batch_operations: usize,
    /// Batches that may be out at once.
    pub workers: usize,
    /// The sink takes whole documents only.
    pub documents: bool,
    /// There is a base to read from; always so for a sink of documents.
    pub base: bool,
    /// The base forgets tombstones.
    pub forgets: bool,
    pub keep_known: bool,
    pub keys: u8,
    /// Nothing ever fails and the drain is asked often: freshness is checked.
    pub fresh: bool,
    pub end: End,
    pub sabotage: Option<Sabotage>,
}

/// How a world ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Time passes until everything has drained; then it is closed.
    Age,
    /// It is closed, which has everything drained.
    Close,
    /// The last handle is dropped.
    Drop,
}

/// Something around the engine that is broken on purpose, to show that the checks would see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The base says that its documents are older than they are.
    WrongSeqs,
    /// The sink carries out twice what is not repeatable.
    NoFence,
    /// The sink forgets an item now and then, and says that it is done.
    Forgetful,
    /// The sink carries out late requests far later than the bound that the engine was given.
    LateBeyondBound,
    /// The sink says that it created what it updated.
    WrongWord,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            shards: 1,
            memory_bytes: millpond::MEMORY_BYTES_MIN,
            max_delay_us: 1_000_000,
            late_bound_us: 5_000_000,
            batch_bytes: 64 * 1024,
            batch_operations: 16,
            workers: 2,
            documents: true,
            base: true,
            forgets: false,
            keep_known: true,
            keys: 4,
            fresh: false,
            end: End::Close,
            sabotage: None,
        }
    }
}

/// What happened, to show that it did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    pub steps: u64,
    pub accepted: u64,
    pub full: u64,
    pub busy: u64,
    pub too_large: u64,
    pub bad: u64,
    pub flights: u64,
    pub settled: u64,
    pub repeats: u64,
    pub put_back: u64,
    pub unknown: u64,
    pub late: u64,
    pub dead_letters: u64,
    pub noops: u64,
    pub applied: u64,
    pub statuses: u64,
    pub reads: u64,
    pub failed_reads: u64,
    pub scans: u64,
    pub flushes: u64,
}

/// One key, as the world knows it.
pub struct Key {
    pub index: String,
    pub id: String,
    pub history: History,
    /// The flight that is out, or that waits to go out again.
    pub aloft: Option<Aloft>,
    /// Up to here everything has settled.
    pub settled_to: u64,
    /// Nothing new leaves before.
    pub not_before_us: u64,
    /// When its last flight ended.
    pub ended_us: u64,
}

pub struct World {
    pub config: Config,
    pub clock: SimulatedClock,
    pub wall_us: u64,
    pub sink: Arc<MemorySink>,
    pub base: Option<Arc<FaultyBase>>,
    pub letters: Arc<Letters>,
    pub script: Arc<Mutex<VecDeque<Scripted>>>,
    pub engine: Option<Engine>,
    pub drainer: Drainer,
    pub outs: Vec<Out>,
    pub keys: Vec<Key>,
    pub names: HashMap<(String, String), usize>,
    pub watermark: u64,
    /// Up to this wall time the engine's ceiling of sequence numbers is known to be ahead.
    pub ceiling_us: u64,
    pub closing: bool,
    pub counts: Counts,
    /// Something was vague: not every count can be told.
    pub vague: bool,
    pub dead: u64,
    pub sent_settled: u64,
    pub report: Report,
}

impl World {
    pub fn new(config: Config) -> Self {
        let clock = SimulatedClock::new(WALL_START_US);
        let takes = if config.documents { Takes::Documents } else { Takes::NetOperations };
        let sink = Arc::new(MemorySink::new(takes).with_clock(&clock));
        let script = Arc::new(Mutex::new(VecDeque::new()));
        let scripted = Arc::clone(&script);
        sink.script(move |_| scripted.lock().unwrap().pop_front().unwrap_or(Scripted::Done));
        let wrong_seqs = config.sabotage == Some(Sabotage::WrongSeqs);
        let base = (config.base || config.documents)
            .then(|| Arc::new(FaultyBase::new(Arc::clone(&sink), config.seed, config.forgets, wrong_seqs)));
        let letters = Arc::new(Letters::default());
        let (engine, drainer) = Engine::builder()
            .seed(config.seed)
            .clock(&clock)
            .shards(config.shards)
            .memory_bytes(config.memory_bytes)
            .max_delay(Duration::from_micros(config.max_delay_us))
            .late_request_bound(Duration::from_micros(config.late_bound_us))
            .batch_bytes(config.batch_bytes)
            .batch_operations(config.batch_operations)
            .drain_threads(config.workers)
            .keep_known(config.keep_known)
            .dead_letters(Arc::clone(&letters) as _)
            .manual(Arc::clone(&sink) as _, base.clone().map(|base| base as Arc<dyn Base>))
            .expect("the configuration fits together");
        let keys: Vec<Key> = (0..config.keys.max(1)).map(Key::new).collect();
        let names =
            keys.iter().enumerate().map(|(at, key)| ((key.index.clone(), key.id.clone()), at)).collect();
        Self {
            config,
            clock,
            wall_us: WALL_START_US,
            sink,
            base,
            letters,
            script,
            engine: Some(engine),
            drainer,
            outs: Vec::new(),
            keys,
            names,
            watermark: 0,
            ceiling_us: WALL_START_US + CEILING_AHEAD_US,
            closing: false,
            counts: Counts::default(),
            vague: false,
            dead: 0,
            sent_settled: 0,
            report: Report::default(),
        }
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("the engine lives until the end")
    }

    pub fn key(&self, number: u8) -> usize {
        usize::from(number) % self.keys.len()
    }

    /// Does one thing, and checks what can be checked of it.
    pub fn step(&mut self, step: &Step) {
        self.report.steps += 1;
        match step {
            Step::Submit { key, routing, tracked, write } => {
                self.submit(self.key(*key), *routing, *tracked, *write);
            }
            Step::Batch(writes) => self.submit_batch(writes),
            Step::Get(key) => self.get(self.key(*key)),
            Step::GetMany(keys) => self.get_many(keys),
            Step::Scan { index, page } => self.scan(*index, *page),
            Step::Flush => self.flush(),
            Step::Stats => self.check_stats(),
            Step::Watermark => self.check_watermark(),
            Step::Validate => self.engine().validate().unwrap(),
            Step::Advance(us) => self.advance(*us),
            Step::Wall(us) => {
                self.wall_us = self.wall_us.saturating_add_signed(*us);
                self.clock.set_wall_us(self.wall_us);
            }
            Step::Take => drop(self.take()),
            Step::Send { batch, answers } => self.send(*batch, answers),
            Step::Finish { batch, heard } => self.finish(*batch, *heard),
            Step::Reads(reads) => {
                if let Some(base) = &self.base {
                    base.set(*reads);
                }
            }
            Step::Letters(work) => self.letters.fail(!work),
            Step::Close => self.begin_to_close(),
        }
        if self.report.steps.is_multiple_of(INSPECT_EVERY) {
            self.engine().validate().unwrap();
            self.check_stats();
        }
    }

    pub fn advance(&mut self, us: u64) {
        self.clock.advance(Duration::from_micros(us));
        self.wall_us += us;
        let now_us = self.clock.now_us();
        self.keys.iter_mut().for_each(|key| key.history.pass_time(now_us));
    }

    fn submit(&mut self, at: usize, routing: u8, tracked: bool, write: Write) {
        let owned = write.action();
        let routing = routing_name(routing);
        let engine = self.engine().clone();
        let key = &self.keys[at];
        let operation =
            Operation { index: &key.index, id: &key.id, routing: routing.as_deref(), action: owned.action() };
        let accepted = if tracked {
            engine.submit_tracked(operation).map(|ticket| (ticket.seq(), Some(ticket)))
        } else {
            engine.submit(operation).map(|seq| (seq, None))
        };
        match accepted {
            Ok((seq, ticket)) => {
                assert!(!write.is_bad(), "{operation:?} was accepted");
                self.accepted(at, seq, owned.clone(), routing.clone(), ticket);
            }
            Err(SubmitError { error, operation: back }) => {
                assert_eq!(back, operation);
                self.refused(at, &error, write);
            }
        }
    }

    fn submit_batch(&mut self, writes: &[(u8, u8, Write)]) {
        // Only so do the sequence numbers follow from the last: consecutive in one shard, the clock standing still.
        let one_shard = self.config.shards == 1;
        if self.wall_us >= self.ceiling_us || writes.is_empty() {
            return;
        }
        let at = |number: u8| self.key(if one_shard { number } else { writes[0].0 });
        let owned: Vec<_> = writes
            .iter()
            .map(|(key, routing, write)| (at(*key), routing_name(*routing), write.action(), *write))
            .collect();
        let operations: Vec<_> = owned
            .iter()
            .map(|(at, routing, owned, _)| Operation {
                index: &self.keys[*at].index,
                id: &self.keys[*at].id,
                routing: routing.as_deref(),
                action: owned.action(),
            })
            .collect();
        let (last_seq, refused, stopped_at) = match self.engine().submit_batch(&operations) {
            Ok(last_seq) => (last_seq, Vec::new(), None),
            Err(error) => (error.last_seq, error.refused, error.stopped_at),
        };
        let tried = stopped_at.map_or(owned.len(), |position| position + 1);
        let refused: HashMap<usize, millpond::Error> = refused.into_iter().collect();
        let accepted = tried - refused.len();
        assert_eq!(last_seq.is_some(), accepted > 0);
        let mut seq = last_seq.unwrap_or(0) - accepted.saturating_sub(1) as u64;
        for (position, (at, routing, owned, write)) in owned.iter().enumerate().take(tried) {
            if let Some(error) = refused.get(&position) {
                self.refused(*at, error, *write);
                continue;
            }
            assert!(!write.is_bad());
            self.accepted(*at, seq, owned.clone(), routing.clone(), None);
            seq += 1;
        }
    }

    fn accepted(
        &mut self,
        at: usize,
        seq: u64,
        action: OwnedAction,
        routing: Option<String>,
        ticket: Option<millpond::Ticket>,
    ) {
        assert!(!self.closing, "accepted while closing");
        assert!(seq > self.watermark, "{seq} is at or below the watermark {}", self.watermark);
        let key = &mut self.keys[at];
        let last = key.history.operations.back().map_or(key.settled_to, |done| done.seq);
        assert!(seq > last, "{seq} does not rise above {last}");
        key.history.push(seq, action, routing, self.clock.now_us(), ticket);
        self.report.accepted += 1;
    }

    fn refused(&mut self, at: usize, error: &millpond::Error, write: Write) {
        let key = &self.keys[at];
        match error.kind() {
            ErrorKind::Full => self.report.full += 1,
            ErrorKind::Busy => {
                let waiting =
                    key.history.operations.iter().filter(|done| done.seq > key.settled_to && !done.rejected);
                assert!(waiting.count() >= 8, "busy with little to do");
                self.report.busy += 1;
            }
            ErrorKind::TooLarge => {
                assert!(usize::from(write.size) + 64 > self.config.memory_bytes / millpond::DOCUMENT_SHARE);
                self.report.too_large += 1;
            }
            ErrorKind::Invalid => {
                assert!(write.is_bad(), "{error} for {:?}", write.action());
                self.report.bad += 1;
            }
            ErrorKind::Closed => assert!(self.closing),
            _ => panic!("{error:?}"),
        }
    }
}

impl Key {
    fn new(number: u8) -> Self {
        let ids = ["a", "\"quoted\\\"", "é", "k"];
        Self {
            index: format!("index-{}", number % 2),
            id: format!("{}{number}", ids[usize::from(number / 2) % ids.len()]),
            history: History::default(),
            aloft: None,
            settled_to: 0,
            not_before_us: 0,
            ended_us: 0,
        }
    }
}

fn routing_name(number: u8) -> Option<String> {
    [None, Some("r"), Some("s")][usize::from(number) % 3].map(str::to_owned)
}
