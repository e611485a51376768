//! An engine with a journal on a disk that fails, a sink that survives it, and what should be true of both.
//!
//! # Design
//! One thread submits, so what was accepted has one order, and what a crash leaves must be a beginning of it: at least up to
//! what is known to be on the medium. After each crash the engine is opened again, its documents are read, and the
//! beginning is found that they are the documents of. What lies behind it is gone, and the world goes on from there. In the
//! end everything is drained, and the sink holds exactly what the operations come to, one at a time: an increment that was
//! lost, or carried out twice, shows.

use crate::{
    disk::{PowerCut, SimulatedDisk},
    simulation::{Model, OwnedAction, Random, Tree, Write},
    source::{NAME, Outside},
};
use millpond::{
    Base, BaseKey, Drainer, Engine, ErrorKind, Flights, Journal, MemoryDeadLetters, MemorySink, Next,
    Operation, Scripted, SimulatedClock, Source, Takes,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

const DIRECTORY: &str = "journal";
const INDEX: &str = "i";
const WALL_US: u64 = 1_700_000_000_000_000;
const DAY_US: u64 = 86_400_000_000;
const LATE_US: u64 = 5_000_000;
/// Cycles of the drain within which everything must be out.
const ROUNDS_MAX: u32 = 3_000;

/// What a world is like.
#[derive(Clone, Debug)]
pub struct Config {
    pub seed: u64,
    pub takes: Takes,
    pub policy: Journal,
    pub shards: usize,
    pub keys: usize,
    pub file_bytes: u64,
    /// Percent of operations with a large body.
    pub large: u64,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    pub accepted: u64,
    pub crashes: u64,
    pub lost: u64,
    pub seen: u64,
    pub redelivered: u64,
    pub full: u64,
    pub latched: u64,
    pub batches: u64,
    pub unopened: u64,
    pub jumps: u64,
}

impl Report {
    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.crashes += other.crashes;
        self.lost += other.lost;
        self.seen += other.seen;
        self.redelivered += other.redelivered;
        self.full += other.full;
        self.latched += other.latched;
        self.batches += other.batches;
        self.unopened += other.unopened;
        self.jumps += other.jumps;
    }

    pub fn has_seen_everything(&self) {
        let Self { accepted, crashes, lost, seen, redelivered, full, latched, batches, unopened, jumps } =
            *self;
        let all = [accepted, crashes, lost, seen, redelivered, full, latched, batches, unopened, jumps];
        assert!(all.iter().all(|count| *count > 0), "{self:?}");
    }
}

/// One operation that was accepted, or may have been.
struct Done {
    key: usize,
    action: OwnedAction,
    /// Its position, if it came from the source.
    position: Option<u64>,
}

pub struct World {
    pub config: Config,
    pub disk: SimulatedDisk,
    pub clock: SimulatedClock,
    pub random: Random,
    /// What the wall clock does, drawn apart from all else.
    jumps: Random,
    pub outside: Outside,
    pub report: Report,
    sink: Arc<MemorySink>,
    pub script: Arc<Mutex<VecDeque<Scripted>>>,
    running: Option<Running>,
    /// In the order in which they were accepted.
    done: Vec<Done>,
    /// So many of them are on the medium for certain.
    durable: usize,
    /// When the interval last had everything synced.
    synced_us: u64,
}

/// An engine, and what goes with it.
struct Running {
    source: Source,
    engine: Engine,
    drainer: Drainer,
    outs: Vec<Flights>,
}

/// The same document, by value.
fn holds(model: Option<&Tree>, text: Option<&[u8]>) -> bool {
    match (model, text) {
        (None, None) => true,
        (Some(model), Some(text)) => model.equals(&Tree::parse(text)),
        _ => false,
    }
}

fn id(key: usize) -> String {
    format!("k{key}")
}

impl World {
    pub fn new(config: Config, random: Random) -> Self {
        let clock = SimulatedClock::new(WALL_US);
        let sink = Arc::new(MemorySink::new(config.takes).with_clock(&clock));
        let script: Arc<Mutex<VecDeque<Scripted>>> = Arc::default();
        let scripted = Arc::clone(&script);
        sink.script(move |_| scripted.lock().unwrap().pop_front().unwrap_or(Scripted::Done));
        let disk = SimulatedDisk::new(config.seed);
        let mut world = Self {
            jumps: Random::new(config.seed ^ 0xDA7),
            config,
            disk,
            clock,
            random,
            outside: Outside::default(),
            report: Report::default(),
            sink,
            script,
            running: None,
            done: Vec::new(),
            durable: 0,
            synced_us: 0,
        };
        world.open();
        world
    }

    /// Opens the engine, which must succeed: nothing a crash leaves needs help. Only a full disk must get room first.
    fn open(&mut self) {
        if let Err(error) = self.try_to_open() {
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
            assert!(error.to_string().contains("is full"), "{error}");
            self.report.unopened += 1;
            self.disk.set_capacity(u64::MAX);
            self.disk.kill();
            self.disk.restart();
            self.try_to_open().unwrap();
        }
    }

    fn try_to_open(&mut self) -> millpond::Result<()> {
        let Config { seed, policy, shards, file_bytes, .. } = self.config;
        let (engine, drainer) = Engine::builder()
            .seed(seed)
            .clock(&self.clock)
            .shards(shards)
            .memory_bytes(millpond::MEMORY_BYTES_MIN)
            .max_delay(Duration::from_millis(100))
            .late_request_bound(Duration::from_micros(LATE_US))
            .batch_operations(4)
            .dead_letters(Arc::new(MemoryDeadLetters::new()))
            .journal_on(Arc::new(self.disk.clone()), DIRECTORY, policy)
            .journal_file_bytes(file_bytes)
            .manual(Arc::clone(&self.sink) as _, Some(Arc::clone(&self.sink) as Arc<dyn Base>))?;
        engine.validate().unwrap();
        let source = engine.source(NAME).unwrap();
        self.running = Some(Running { source, engine, drainer, outs: Vec::new() });
        self.synced_us = 0;
        Ok(())
    }

    fn running(&mut self) -> &mut Running {
        self.running.as_mut().unwrap()
    }

    /// The documents after the first so many operations.
    fn model(&self, count: usize) -> Model {
        let mut model = Model::default();
        for done in &self.done[..count] {
            model.apply(INDEX, &id(done.key), done.action.action());
        }
        model
    }

    /// True where the engine's documents are the model's.
    fn holds(&mut self, model: &Model) -> bool {
        let ids: Vec<String> = (0..self.config.keys).map(id).collect();
        let keys: Vec<(&str, &str)> = ids.iter().map(|id| (INDEX, &**id)).collect();
        let found = self.running().engine.get_many(&keys);
        ids.iter().zip(found).all(|(id, found)| {
            let found = found.unwrap();
            holds(model.get(INDEX, id), found.as_ref().map(|found| &*found.source))
        })
    }

    pub fn check_reads(&mut self) {
        let model = self.model(self.done.len());
        assert!(self.holds(&model), "reads see what was accepted");
    }

    pub fn submit(&mut self, key: usize, write: Write) {
        if write.is_bad() {
            return;
        }
        let (action, id) = (write.action(), id(key));
        let operation = Operation { index: INDEX, id: &id, routing: None, action: action.action() };
        let submitted = self.running().engine.submit(operation).map_err(|refused| refused.error);
        let done = Done { key, action: action.clone(), position: None };
        match submitted {
            Ok(_) => self.accepted(vec![done]),
            Err(error) => self.refused(&error, vec![done]),
        }
    }

    pub fn submit_batch(&mut self, writes: &[(usize, Write)]) {
        let writes: Vec<_> = writes.iter().filter(|(_, write)| !write.is_bad()).collect();
        let actions: Vec<_> = writes.iter().map(|(key, write)| (*key, id(*key), write.action())).collect();
        let operation = |(_, id, action): &'_ (usize, String, OwnedAction)| (id.clone(), action.clone());
        let owned: Vec<(String, OwnedAction)> = actions.iter().map(operation).collect();
        let operations: Vec<Operation<'_>> = owned
            .iter()
            .map(|(id, action)| Operation { index: INDEX, id, routing: None, action: action.action() })
            .collect();
        let submitted = self.running().engine.submit_batch(&operations);
        let mut done: Vec<Done> = actions
            .iter()
            .map(|(key, _, action)| Done { key: *key, action: action.clone(), position: None })
            .collect();
        self.report.batches += 1;
        match submitted {
            Ok(_) => self.accepted(done),
            Err(refused) => {
                let (_, error) = refused.refused.first().unwrap();
                if error.kind() == ErrorKind::Latched {
                    return self.refused(error, done);
                }
                done.truncate(refused.stopped_at.unwrap());
                self.accepted(done);
                self.report.full += 1;
            }
        }
    }

    /// The source delivers its next operation.
    pub fn deliver(&mut self) {
        let position = self.outside.deliver();
        let (key, write) = Outside::operation(position, self.config.keys);
        let (action, id) = (write.action(), id(key));
        let is_there = self.done.iter().any(|done| done.position == Some(position));
        let operation = Operation { index: INDEX, id: &id, routing: None, action: action.action() };
        let submitted = self.running().source.submit(position, operation).map_err(|refused| refused.error);
        let done = Done { key, action: action.clone(), position: Some(position) };
        match submitted {
            Ok(seq) => {
                assert_eq!(seq.is_none(), is_there, "position {position}");
                self.outside.next += 1;
                self.report.redelivered += u64::from(is_there);
                if seq.is_some() {
                    self.accepted(vec![done]);
                }
            }
            Err(error) => self.refused(&error, vec![done]),
        }
    }

    pub fn commit(&mut self) {
        let committable = self.running().source.committable();
        self.outside.may_forget(committable, &mut self.random);
        self.report.seen += u64::from(committable.is_some());
    }

    fn accepted(&mut self, done: Vec<Done>) {
        self.report.accepted += done.len() as u64;
        self.done.extend(done);
        if self.config.policy == Journal::Always {
            self.durable = self.done.len();
        }
    }

    /// What was refused for lack of room is not there; what met a failed disk may be, and the engine is done with.
    fn refused(&mut self, error: &millpond::Error, done: Vec<Done>) {
        match error.kind() {
            ErrorKind::Full | ErrorKind::Busy => self.report.full += 1,
            ErrorKind::Latched => {
                self.done.extend(done);
                self.report.latched += 1;
                self.crash(None);
            }
            _ => panic!("{error}"),
        }
    }

    /// Asks the drain for a batch.
    pub fn take(&mut self) -> Option<Duration> {
        let now_us = self.clock.now_us();
        // The engine syncs twice in an interval, by the time of its last sync; so does this.
        let is_due = match self.config.policy {
            Journal::Interval(interval) => now_us - self.synced_us >= interval.as_micros() as u64 / 2,
            _ => false,
        };
        let next = self.running().drainer.next();
        if is_due && next.is_ok() {
            (self.durable, self.synced_us) = (self.done.len(), now_us);
        }
        match next {
            Ok(Next::Send(flights)) => {
                self.durable = self.done.len();
                self.running().outs.push(flights);
                None
            }
            Ok(Next::Wait(wait)) => Some(wait),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Latched, "{error}");
                self.report.latched += 1;
                self.crash(None);
                None
            }
        }
    }

    /// The sink carries out a batch that is out, and answers; the answer is heard or the process is gone before.
    pub fn send(&mut self, answers: &[Scripted]) {
        let Some(at) = self.running().outs.len().checked_sub(1) else { return };
        let flights = self.running().outs.remove(at);
        let items = flights.batch().items.len();
        self.script.lock().unwrap().extend(answers.iter().cycle().take(items).cloned());
        let outcomes = millpond::Sink::send(&*self.sink, flights.batch());
        if self.random.chance(10) {
            // The sink has it, and nobody heard.
            self.running().outs.push(flights);
            return self.crash(None);
        }
        flights.finish(outcomes);
    }

    pub fn advance(&mut self, us: u64) {
        self.clock.advance(Duration::from_micros(us));
        if self.jumps.chance(10) {
            self.report.jumps += 1;
            self.clock.set_wall_us(WALL_US - DAY_US + self.jumps.below(3 * DAY_US));
        }
    }

    /// The process ends here: killed, or by a power cut. Another one opens what is left.
    pub fn crash(&mut self, power_cut: Option<PowerCut>) {
        self.report.crashes += 1;
        match power_cut {
            Some(choice) => self.disk.power_cut(choice),
            None => self.disk.kill(),
        }
        self.running = None;
        self.script.lock().unwrap().clear();
        self.disk.restart();
        self.open();
        let all = self.done.len();
        // Operations without effect do not show in the documents; those of the source show in its mark.
        let mark = self.running().source.mark();
        let left = (self.durable..=all).rev().find(|count| {
            let model = self.model(*count);
            mark == self.done[..*count].iter().filter_map(|done| done.position).max() && self.holds(&model)
        });
        let Some(left) = left else {
            let config = self.config.clone();
            println!("{config:?}");
            for (at, done) in self.done.iter().enumerate() {
                println!(
                    "{at}{} {} {:?} {:?}",
                    if at < self.durable { "" } else { "?" },
                    done.key,
                    done.action,
                    done.position
                );
            }
            for key in 0..config.keys {
                println!("{key}: {:?}", self.running().engine.get(INDEX, &id(key)));
                println!("   sink {:?}", self.sink.read(&[BaseKey::new(INDEX, &id(key))]));
                for count in self.durable..=all {
                    println!("   {count} {:?}", self.model(count).get(INDEX, &id(key)).map(Tree::to_text));
                }
            }
            panic!("what is left is no beginning: {} operations, {} of them durable", all, self.durable);
        };
        self.report.lost += (all - left) as u64;
        self.done.truncate(left);
        self.durable = left;
        self.outside.begin_again();
    }

    /// All faults end: everything drains, and the sink holds what it should.
    pub fn end(mut self) -> Report {
        self.disk.heal();
        self.disk.set_capacity(u64::MAX);
        if self.disk.is_dead() || self.running().engine.health().is_err() {
            self.crash(None);
        }
        for round in 0.. {
            assert!(round < ROUNDS_MAX, "not drained: {:?}", self.running().engine.stats());
            while !self.running().outs.is_empty() {
                let flights = self.running().outs.remove(0);
                let outcomes = millpond::Sink::send(&*self.sink, flights.batch());
                flights.finish(outcomes);
            }
            if let Some(wait) = self.take() {
                if self.running().engine.flush(Duration::ZERO).is_ok() {
                    break;
                }
                self.advance(wait.as_micros() as u64 + 1_000);
            }
        }
        self.check_reads();
        let running = self.running.take().unwrap();
        drop(running.source);
        running.engine.validate().unwrap();
        running.engine.close(Duration::ZERO).unwrap();
        self.advance(LATE_US);
        let model = self.model(self.done.len());
        let stored = self.sink.documents();
        assert_eq!(stored.len(), model.documents.len(), "documents in the sink");
        for ((_, id), source) in stored {
            assert!(holds(model.get(INDEX, &id), Some(&source)), "{id}: {source:?}");
        }
        self.report
    }
}
