//! An engine with a journal on a disk, a sink that survives it, and what should be left of both: see the target's header.

mod ending;
mod harm;
mod rule;
mod stream;

pub use harm::Harm;

use crate::{
    disk::SimulatedDisk,
    simulation::{Model, OwnedAction, Tree, Write},
};
use millpond::{
    Base, BaseKey, Drainer, Engine, Error, ErrorKind, Flights, Journal, MemorySink, Next, Operation,
    Scripted, SimulatedClock, Source, Takes,
};
use rule::{Files, Originals};
use std::{
    collections::VecDeque,
    ops::RangeInclusive,
    sync::{Arc, Mutex},
    time::Duration,
};
use stream::Name;

const DIRECTORY: &str = "journal";
const LOCK: &str = "lock";
const INDEX: &str = "i";
const SOURCE: &str = "source";
const WALL_US: u64 = 1_700_000_000_000_000;
const DAY_US: u64 = 86_400_000_000;
/// The least that a file may have.
const FILE_BYTES: u64 = 64 * 1024;
const INTERVAL: Duration = Duration::from_millis(20);

/// What a world is like.
#[derive(Clone, Debug)]
pub struct Config {
    pub seed: u64,
    pub always: bool,
    pub net_operations: bool,
    pub keep_known: bool,
    pub shards: usize,
    pub keys: usize,
    pub batch_operations: usize,
}

/// What becomes of the oldest batch that is out.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    Heard(u8),
    /// Carried out, and the engine never hears.
    Never,
}

impl Answer {
    pub fn of(byte: u8) -> Self {
        if byte >= 240 { Self::Never } else { Self::Heard(byte) }
    }
}

/// One operation that was accepted.
struct Done {
    key: usize,
    action: OwnedAction,
    seq: u64,
    position: Option<u64>,
}

/// An engine, and what goes with it.
struct Running {
    source: Source,
    engine: Engine,
    drainer: Drainer,
    outs: VecDeque<Flights>,
    unheard: Vec<Flights>,
}

pub struct World {
    config: Config,
    disk: SimulatedDisk,
    clock: SimulatedClock,
    sink: Arc<MemorySink>,
    script: Arc<Mutex<VecDeque<Scripted>>>,
    running: Option<Running>,
    openings: u64,
    originals: Originals,
    /// In the order in which they were accepted.
    done: Vec<Done>,
    /// So many of them are on the medium for certain.
    durable: usize,
    next_position: u64,
}

fn id(key: usize) -> String {
    format!("k{key}")
}

/// The same document, by value.
fn holds(model: Option<&Tree>, text: Option<&[u8]>) -> bool {
    match (model, text) {
        (None, None) => true,
        (Some(model), Some(text)) => model.equals(&Tree::parse(text)),
        _ => false,
    }
}

impl World {
    pub fn new(config: Config) -> Self {
        let clock = SimulatedClock::new(WALL_US);
        let takes = if config.net_operations { Takes::NetOperations } else { Takes::Documents };
        let sink = Arc::new(MemorySink::new(takes).with_clock(&clock));
        let script: Arc<Mutex<VecDeque<Scripted>>> = Arc::default();
        let scripted = Arc::clone(&script);
        sink.script(move |_| scripted.lock().unwrap().pop_front().unwrap_or(Scripted::Done));
        let disk = SimulatedDisk::new(config.seed);
        let mut world = Self {
            config,
            disk,
            clock,
            sink,
            script,
            running: None,
            openings: 0,
            originals: Originals::new(),
            done: Vec::new(),
            durable: 0,
            next_position: 0,
        };
        world.open().unwrap();
        world
    }

    fn open(&mut self) -> Result<(), Error> {
        // Drawn at random outside.
        self.openings += 1;
        let policy = if self.config.always { Journal::Always } else { Journal::Interval(INTERVAL) };
        let (engine, drainer) = Engine::builder()
            .seed(self.config.seed << 32 | self.openings)
            .clock(&self.clock)
            .shards(self.config.shards)
            .keep_known(self.config.keep_known)
            .memory_bytes(millpond::MEMORY_BYTES_MIN)
            .max_delay(Duration::from_millis(100))
            .late_request_bound(Duration::ZERO)
            .batch_operations(self.config.batch_operations)
            .journal_on(Arc::new(self.disk.clone()), DIRECTORY, policy)
            .journal_file_bytes(FILE_BYTES)
            .manual(Arc::clone(&self.sink) as _, Some(Arc::clone(&self.sink) as Arc<dyn Base>))?;
        engine.validate().unwrap();
        let source = engine.source(SOURCE).unwrap();
        self.running = Some(Running { source, engine, drainer, outs: VecDeque::new(), unheard: Vec::new() });
        Ok(())
    }

    fn running(&mut self) -> &mut Running {
        self.running.as_mut().unwrap()
    }

    pub fn submit(&mut self, key: u8, write: Write) {
        self.accept(key, write, None);
    }

    /// The source delivers its next operation.
    pub fn deliver(&mut self, key: u8, write: Write) {
        self.next_position += 1;
        self.accept(key, write, Some(self.next_position));
    }

    fn accept(&mut self, place: u8, write: Write, position: Option<u64>) {
        if write.is_bad() {
            return;
        }
        let key = usize::from(place & 0x3F) % self.config.keys;
        let (action, id) = (write.action(), id(key));
        let routing = (place >= 0xC0).then_some("r");
        let operation = Operation { index: INDEX, id: &id, routing, action: action.action() };
        let running = self.running();
        let submitted = match position {
            None => running.engine.submit(operation).map_err(|refused| refused.error),
            Some(position) => {
                let seq = running.source.submit(position, operation).map_err(|refused| refused.error);
                seq.map(|seq| seq.expect("a position above the mark is new"))
            }
        };
        match submitted {
            Ok(seq) => self.done.push(Done { key, action, seq, position }),
            Err(error) => assert!(matches!(error.kind(), ErrorKind::Full | ErrorKind::Busy), "{error}"),
        }
        if self.config.always {
            self.durable = self.done.len();
        }
    }

    pub fn advance(&mut self, us: u64) {
        self.clock.advance(Duration::from_micros(us));
    }

    /// The wall clock jumps by a day.
    pub fn wall(&mut self, back: bool) {
        let now = WALL_US + self.clock.now_us();
        self.clock.set_wall_us(if back { now - DAY_US } else { now });
    }

    /// Asks the drain for a batch.
    pub fn take(&mut self) {
        let _ = self.take_one();
    }

    fn take_one(&mut self) -> Option<Duration> {
        match self.running().drainer.next().unwrap() {
            Next::Send(flights) => {
                self.durable = self.done.len();
                self.running().outs.push_back(flights);
                None
            }
            Next::Wait(wait) => Some(wait),
        }
    }

    pub fn send(&mut self, answer: Answer) {
        let Some(flights) = self.running().outs.pop_front() else { return };
        if let Answer::Heard(byte) = answer {
            let choices = [
                Scripted::Done,
                Scripted::Again(None),
                Scripted::Lost,
                Scripted::DoneUnheard,
                Scripted::Done,
            ];
            let items = flights.batch().items.len();
            let answers = (0..items).map(|item| choices[(usize::from(byte) + item) % choices.len()].clone());
            self.script.lock().unwrap().extend(answers);
        }
        let outcomes = millpond::Sink::send(&*self.sink, flights.batch());
        match answer {
            Answer::Heard(_) => flights.finish(outcomes),
            Answer::Never => self.running().unheard.push(flights),
        }
    }

    /// Sends all that is there.
    pub fn drain(&mut self) {
        for _ in 0..10 {
            self.advance(101_000);
            while self.take_one().is_none() {}
            if self.running().outs.is_empty() {
                break;
            }
            while !self.running().outs.is_empty() {
                self.send(Answer::Heard(0));
            }
        }
    }

    pub fn check_reads(&mut self) {
        let all = self.done.len();
        assert!(self.agrees(all, all), "reads see what was accepted");
    }

    /// How many of the first so many operations are of a key,
    fn standing(&self, key: usize, left: usize) -> usize {
        self.done[..left].iter().filter(|done| done.key == key).count()
    }

    /// and how many of them the sink has.
    fn stored(&self, key: usize, all: usize) -> usize {
        let stored = self.sink.read(&[BaseKey::new(INDEX, &id(key))]).remove(0).unwrap();
        let seq = stored.map_or(0, |stored| stored.seq);
        self.done[..all].iter().filter(|done| done.key == key && done.seq <= seq).count()
    }

    /// The document of a key after so many of its operations.
    fn model(&self, key: usize, count: usize) -> Model {
        let mut model = Model::default();
        for done in self.done.iter().filter(|done| done.key == key).take(count) {
            model.apply(INDEX, &id(key), done.action.action());
        }
        model
    }

    /// True where a document is what the first `left` operations come to; or what the sink has, if it has more of them.
    fn is_right(&self, key: usize, (left, all): (usize, usize), source: Option<&[u8]>) -> bool {
        let is = |count| holds(self.model(key, count).get(INDEX, &id(key)), source);
        let (standing, stored) = (self.standing(key, left), self.stored(key, all));
        is(standing) || stored > standing && is(stored)
    }

    /// True where the engine's documents are right.
    fn agrees(&self, left: usize, all: usize) -> bool {
        (0..self.config.keys).all(|key| {
            let running = self.running.as_ref().unwrap();
            let found = running.engine.get(INDEX, &id(key)).unwrap();
            self.is_right(key, (left, all), found.as_ref().map(|found| &*found.source))
        })
    }

    /// All files as they are seen.
    fn files(&self) -> Files {
        let names = self.disk.names(DIRECTORY).unwrap().into_iter().filter(|name| name != LOCK);
        names
            .map(|name| (name.clone(), self.disk.read_file(format!("{DIRECTORY}/{name}")).unwrap()))
            .collect()
    }

    fn put(&self, from: &Files, to: &Files) {
        use millpond::disk::Disk;
        for name in from.keys().filter(|name| !to.contains_key(*name)) {
            self.disk.remove(format!("{DIRECTORY}/{name}").as_ref()).unwrap();
        }
        self.disk.sync_directory(DIRECTORY.as_ref()).unwrap();
        for (name, bytes) in to.iter().filter(|(name, bytes)| from.get(*name) != Some(*bytes)) {
            self.disk.write_file(format!("{DIRECTORY}/{name}"), bytes).unwrap();
        }
    }

    /// For whoever looks into a failure.
    fn tell(&self, left: usize) {
        for (place, done) in self.done.iter().enumerate() {
            let Done { key, action, seq, position } = done;
            println!(
                "{place}{} {} {seq} {action:?} {position:?}",
                if place < left { "" } else { "?" },
                id(*key)
            );
        }
        for key in 0..self.config.keys {
            let running = self.running.as_ref().unwrap();
            println!("{} {:?}", id(key), running.engine.get(INDEX, &id(key)));
            println!("   sink {:?}", self.sink.read(&[BaseKey::new(INDEX, &id(key))]));
            println!(
                "   model {:?}",
                self.model(key, self.standing(key, left)).get(INDEX, &id(key)).map(Tree::to_text)
            );
        }
    }

    /// How many operations count, by those whose records do.
    fn counts(&self, written: &[Name], operations: &[Name]) -> RangeInclusive<usize> {
        let place =
            |name: &Name| self.done.iter().position(|done| done.seq == name.1 && id(done.key) == name.0);
        let places: Vec<usize> = operations.iter().map(|name| place(name).expect("accepted")).collect();
        assert!(places.is_sorted(), "records are in the order of their operations");
        let first_written = written.first().and_then(place);
        match (places.last(), first_written) {
            (Some(last), _) => last + 1..=last + 1,
            // Those before had settled, and their files are gone.
            (None, Some(first)) => first..=first,
            (None, None) if self.config.always => self.done.len()..=self.done.len(),
            (None, None) => 0..=self.done.len(),
        }
    }
}
