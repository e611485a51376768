//! Conservation: whatever a server does, what was accepted is there once, or in the dead letters, and nothing else is.
//!
//! # Design
//! Operations on a few thousand documents of several indices go into an engine that is drained by hand into the fake, while a seeded
//! script chooses what becomes of each request (`script.rs`). Each document's operations are kept with their sequence numbers. From time to
//! time everything is let settle; then each document must equal what its operations come to one after the other, without those in
//! the ranges of the dead letters, and each tracked create must have been told what became of it.
//!
//! What tells a lost operation from a repeated one: every appended number and every version is used once, and a counter's increments
//! differ.
//!
//! `MILLPOND_OPERATIONS=10000000` for more of them, `MILLPOND_SEED` for others.

use crate::{
    http::{BulkModel, Response, Setup, SharedModel},
    random::Random,
    rig::run_script,
    script::{INDICES, LATE_BOUND, Script},
};
use millpond::{
    Drainer, Engine, ErrorKind, MemoryDeadLetters, Next, Operation, SimulatedClock, Status, Ticket,
    elastic::{ElasticOptions, ElasticSink},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Operations where nothing else is said.
const OPERATIONS: u64 = 100_000;
/// Operations between two comparisons.
const ROUND: u64 = 5_000;
/// Operations between two words about how far it has come.
const PROGRESS: u64 = 100 * ROUND;
/// Documents of each index.
const DOCUMENTS: u64 = 700;
const WALL_US: u64 = 1_700_000_000_000_000;
const STEPS_MAX: u32 = 200_000;

/// One operation of a document; numbers are used once.
#[derive(Clone, Copy, Debug)]
enum Act {
    Increment(u64),
    Append(u64),
    Put(u64),
    Create(u64),
    Patch(u64),
    Count(u64),
    Delete,
    /// A document that no mapping takes.
    Poison(u64),
}

/// What a document's operations come to.
#[derive(Clone, Debug, Default, PartialEq)]
struct Document {
    n: Option<u64>,
    l: Option<Vec<u64>>,
    v: Option<u64>,
    poison: bool,
}

#[derive(Default)]
struct Key {
    /// After all that was compared.
    document: Option<Document>,
    since: Vec<(u64, Act, Option<Ticket>)>,
}

struct World {
    engine: Engine,
    drainer: Drainer,
    clock: SimulatedClock,
    letters: Arc<MemoryDeadLetters>,
    model: SharedModel,
    script: Arc<Mutex<Script>>,
    random: Random,
    keys: BTreeMap<(usize, u64), Key>,
    numbers: u64,
    dead: u64,
    batches_at_once: usize,
    sink: Arc<ElasticSink>,
}

impl Act {
    fn random(random: &mut Random, number: u64) -> Self {
        match random.below(100) {
            0..30 => Self::Increment(number % 1_000 + 1),
            30..60 => Self::Append(number),
            60..72 => Self::Put(number),
            72..80 => Self::Create(number),
            80..88 => Self::Patch(number),
            88..92 => Self::Count(number),
            92..99 => Self::Delete,
            _ => Self::Poison(number),
        }
    }

    fn body(self) -> Vec<u8> {
        match self {
            Self::Increment(by) => json!({"inc": {"n": by}, "doc_as_upsert": true}),
            Self::Append(number) => json!({"append": {"l": [number]}, "doc_as_upsert": true}),
            Self::Put(number) => json!({"n": 0, "l": [], "v": number}),
            Self::Create(number) => json!({ "v": number }),
            Self::Patch(number) => json!({"doc": {"v": number}}),
            Self::Count(number) => json!({"doc": {"n": number}}),
            Self::Delete => return Vec::new(),
            Self::Poison(number) => json!({"v": number, "poison": 1}),
        }
        .to_string()
        .into_bytes()
    }

    fn operation<'a>(self, index: &'a str, id: &'a str, body: &'a [u8]) -> Operation<'a> {
        match self {
            Self::Put(_) | Self::Poison(_) => Operation::index(index, id, body),
            Self::Create(_) => Operation::create(index, id, body),
            Self::Delete => Operation::delete(index, id),
            _ => Operation::update(index, id, body),
        }
    }

    /// The document after it; true where a create met one.
    fn apply(self, document: &mut Option<Document>) -> bool {
        match (self, document.as_mut()) {
            (Self::Increment(by), _) => {
                let n = &mut document.get_or_insert_default().n;
                *n = Some(n.unwrap_or(0) + by);
            }
            (Self::Append(number), _) => {
                document.get_or_insert_default().l.get_or_insert_default().push(number);
            }
            (Self::Put(v), _) => {
                *document = Some(Document { n: Some(0), l: Some(Vec::new()), v: Some(v), poison: false });
            }
            (Self::Poison(v), _) => {
                *document = Some(Document { v: Some(v), poison: true, ..Document::default() });
            }
            (Self::Create(_), Some(_)) => return true,
            (Self::Create(v), None) => *document = Some(Document { v: Some(v), ..Document::default() }),
            (Self::Patch(v), Some(document)) => document.v = Some(v),
            (Self::Count(n), Some(document)) => document.n = Some(n),
            (Self::Patch(_) | Self::Count(_), None) => {}
            (Self::Delete, _) => *document = None,
        }
        false
    }
}

impl Document {
    fn value(&self) -> Value {
        let mut value = json!({});
        for (name, field) in [("n", self.n.map(Value::from)), ("v", self.v.map(Value::from))] {
            if let Some(field) = field {
                value[name] = field;
            }
        }
        if let Some(list) = &self.l {
            value["l"] = json!(list);
        }
        value
    }
}

impl World {
    fn new(seed: u64) -> (Self, crate::http::FakeServer) {
        let model = BulkModel::new().with_scripts(run_script).shared();
        let clock = SimulatedClock::new(WALL_US);
        let script = Arc::new(Mutex::new(Script::new(seed, model.clone(), clock.clone())));
        let reading = Arc::clone(&script);
        let setup = Setup::default()
            .forgetting_bodies()
            .reading(move |request| reading.lock().unwrap().reading(request));
        let answering = Arc::clone(&script);
        let server = setup.start(move |request| {
            if request.path.starts_with("/_scripts") {
                return Response::json(200, &json!({"acknowledged": true})).into();
            }
            answering.lock().unwrap().answer(request)
        });
        let sink = Arc::new(ElasticSink::new(&[server.url()], &ElasticOptions::new()).unwrap());
        let letters = Arc::new(MemoryDeadLetters::new());
        let (engine, drainer) = Engine::builder()
            .clock(&clock)
            .seed(seed)
            .memory_bytes(1 << 20)
            .max_delay(Duration::from_secs(2))
            .late_request_bound(LATE_BOUND)
            .batch_operations(150)
            .drain_threads(4)
            .dead_letters(Arc::clone(&letters) as _)
            .manual(Arc::clone(&sink) as _, None)
            .unwrap();
        let world = Self {
            engine,
            drainer,
            clock,
            letters,
            model,
            script,
            random: Random::new(seed),
            keys: BTreeMap::new(),
            numbers: 0,
            dead: 0,
            batches_at_once: 0,
            sink,
        };
        (world, server)
    }

    fn submit(&mut self) {
        self.numbers += 1;
        let act = Act::random(&mut self.random, self.numbers);
        let index = self.random.weighted(&[1; INDICES.len()]);
        let id = self.random.below(DOCUMENTS);
        let (name, body) = (id.to_string(), act.body());
        loop {
            let operation = act.operation(INDICES[index], &name, &body);
            let accepted = if matches!(act, Act::Create(_)) {
                self.engine.submit_tracked(operation).map(|ticket| (ticket.seq(), Some(ticket)))
            } else {
                self.engine.submit(operation).map(|seq| (seq, None))
            };
            match accepted {
                Ok((seq, ticket)) => {
                    self.keys.entry((index, id)).or_default().since.push((seq, act, ticket));
                    return;
                }
                Err(refused) => {
                    assert_eq!(refused.error.kind(), ErrorKind::Full, "{}", refused.error);
                    self.drain();
                    self.pass(1_000);
                }
            }
        }
    }

    /// Time goes by, up to so many milliseconds, and what is late comes.
    fn pass(&mut self, most_ms: u64) {
        self.clock.advance(Duration::from_millis(self.random.below(most_ms + 1)));
        self.script.lock().unwrap().carry_out_late();
    }

    /// Takes some batches, as many as are to be had or fewer, and sends them in any order.
    fn drain(&mut self) {
        let mut out = Vec::new();
        while let Next::Send(flights) = self.drainer.next().unwrap() {
            out.push(flights);
            self.batches_at_once = self.batches_at_once.max(out.len());
            if out.len() > 3 || self.random.chance(20) {
                break;
            }
        }
        while !out.is_empty() {
            let flights = out.swap_remove(self.random.weighted(&vec![1; out.len()]));
            let outcomes = millpond::Sink::send(&*self.sink, flights.batch());
            flights.finish(outcomes);
        }
    }

    /// Until everything has settled, and nothing is late any more.
    fn settle(&mut self) {
        for step in 0.. {
            assert!(step < STEPS_MAX, "{:?}", self.engine.stats());
            if self.engine.flush(Duration::ZERO).is_ok() {
                break;
            }
            self.drain();
            self.pass(300);
        }
        self.clock.advance(LATE_BOUND);
        self.script.lock().unwrap().carry_out_late();
        self.engine.validate().unwrap();
    }

    /// The ranges of sequence numbers of the dead letters, by document.
    fn dead(&mut self) -> BTreeMap<(usize, u64), Vec<(u64, u64)>> {
        let mut dead: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for letter in self.letters.take() {
            let letter: Value = serde_json::from_str(&String::from(letter)).unwrap();
            assert!(letter["reason"].as_str().unwrap().contains("failed to parse"), "{letter}");
            let action = letter["action"].as_object().unwrap().values().next().unwrap();
            let index = INDICES.iter().position(|index| action["_index"] == **index).unwrap();
            let id = action["_id"].as_str().unwrap().parse().unwrap();
            let (first, last) = (letter["first_seq"].as_u64().unwrap(), letter["last_seq"].as_u64().unwrap());
            dead.entry((index, id)).or_default().push((first, last));
            self.dead += letter["operations"].as_u64().unwrap();
        }
        dead
    }

    /// Every document is what its operations come to.
    fn compare(&mut self) {
        self.settle();
        let dead = self.dead();
        let fuzzy = std::mem::take(&mut self.script.lock().unwrap().told_wrong);
        let (model, mut expected, mut buried) = (self.model.lock(), BTreeSet::new(), 0);
        for ((index, id), key) in &mut self.keys {
            let ranges = dead.get(&(*index, *id)).map_or(&[][..], Vec::as_slice);
            let (name, what) = (INDICES[*index], id.to_string());
            for (seq, act, ticket) in key.since.drain(..) {
                let status = ticket.map(|ticket| ticket.status().unwrap());
                if ranges.iter().any(|(first, last)| (*first..=*last).contains(&seq)) {
                    buried += 1;
                    assert!(
                        status.is_none_or(|status| status == Status::Rejected),
                        "{name} {what}: {status:?}"
                    );
                    continue;
                }
                let conflicts = act.apply(&mut key.document);
                if let Some(status) = status.filter(|_| !fuzzy.contains(&(name.to_owned(), what.clone()))) {
                    let right = if conflicts { Status::Conflict } else { Status::Created };
                    assert!(
                        status == right || status == Status::Applied,
                        "{name} {what}: {status:?}, not {right:?}"
                    );
                }
            }
            let mut held = model.get(name, &what).cloned();
            if let Some(fields) = held.as_mut().and_then(Value::as_object_mut) {
                fields.remove("_millpond");
            }
            assert!(key.document.as_ref().is_none_or(|document| !document.poison), "{name} {what} is poison");
            let right = key.document.as_ref().map(Document::value);
            assert_eq!(held, right, "{name} {what}, of which {ranges:?} is dead");
            if right.is_some() {
                expected.insert((name.to_owned(), what));
            }
        }
        for (index, id, _) in model.documents() {
            assert!(expected.contains(&(index.to_owned(), id.to_owned())), "{index} {id} was invented");
        }
        drop(model);
        let stats = self.engine.stats();
        assert_eq!(stats.operations_in, self.numbers);
        assert_eq!(stats.operations_settled + stats.operations_dead, stats.operations_in);
        assert_eq!(stats.operations_dead, self.dead);
        assert_eq!(dead.values().flatten().count() > 0, buried > 0);
    }
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn whatever_a_server_does_nothing_is_missing_invented_or_applied_twice() {
    let (operations, seed) = (number("MILLPOND_OPERATIONS", OPERATIONS), number("MILLPOND_SEED", 1));
    println!("MILLPOND_OPERATIONS={operations} MILLPOND_SEED={seed}");
    let (mut world, server) = World::new(seed);
    let mut done = 0;
    while done < operations {
        for _ in 0..world.random.within(1, 200) {
            world.submit();
            done += 1;
            if done % ROUND == 0 {
                world.compare();
            }
            if done % PROGRESS == 0 {
                println!("{done} operations");
            }
        }
        world.pass(400);
        world.drain();
    }
    world.compare();
    let script = world.script.lock().unwrap();
    println!(
        "{done} operations, {} dead, {} connections; {:?}",
        world.dead,
        server.connections(),
        script.met
    );
    assert!(script.met.len() >= 20, "every fault was met: {:?}", script.met);
    assert!(world.dead > 0 && world.batches_at_once > 1);
}
