//! Reads over a base that does not know which operation was the last in a document, while the document changes under them.

use bytes::Bytes;
use millpond::{
    Action, Base, BaseDocument, BaseKey, Batch, Drainer, Engine, Limits, MemorySink, NetOperation, Operation,
    Outcome, Result, SimulatedClock, Sink, Snapshot, Takes,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

const WALL_US: u64 = 1_700_000_000_000_000;
const SEEDS: u64 = 300;
const STEPS: u64 = 40;
const LATE_BOUND: Duration = Duration::from_secs(1);

type Hook = Box<dyn FnOnce() + Send>;

/// A server: it has a fence for what repeating would change, and no number for anything else.
struct Server {
    sink: MemorySink,
    fences: Mutex<HashMap<String, u64>>,
    /// The answers that come next are lost.
    loses: Mutex<bool>,
    /// What happens before and after a read of the documents.
    before: Mutex<Option<Hook>>,
    after: Mutex<Option<Hook>>,
}

impl Sink for Server {
    fn takes(&self) -> Takes {
        Takes::NetOperations
    }

    fn limits(&self) -> Limits {
        self.sink.limits()
    }

    fn send(&self, batch: &Batch) -> Vec<Outcome> {
        let outcomes = self.sink.send(batch);
        for item in &batch.items {
            if !item.repeatable {
                self.fences.lock().unwrap().insert(item.id.to_string(), item.last_seq);
            }
        }
        if *self.loses.lock().unwrap() {
            vec![Outcome::Unknown("lost".into()); batch.items.len()]
        } else {
            outcomes
        }
    }
}

impl Base for Server {
    fn read(&self, keys: &[BaseKey<'_>]) -> Vec<Result<Option<BaseDocument>>> {
        let run = |hook: &Mutex<Option<Hook>>| {
            let hook = hook.lock().unwrap().take();
            if let Some(hook) = hook {
                hook();
            }
        };
        run(&self.before);
        let numberless = |(key, found): (&BaseKey<'_>, Result<Option<BaseDocument>>)| {
            let fence = self.fences.lock().unwrap().get(key.id).copied();
            let live = found?.filter(|found| found.source.is_some());
            Ok(live.map(|found| BaseDocument { seq: fence.unwrap_or(0), ..found }))
        };
        let read = keys.iter().zip(self.sink.read(keys)).map(numberless).collect();
        run(&self.after);
        read
    }

    fn knows_seqs(&self) -> bool {
        false
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>> {
        self.sink.snapshot()
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// An engine over it, and what each operation so far has made of the document.
struct World {
    server: Arc<Server>,
    engine: Engine,
    drainer: Drainer,
    clock: SimulatedClock,
    random: Random,
    states: Vec<Option<Bytes>>,
}

impl World {
    fn new(seed: u64) -> Self {
        let clock = SimulatedClock::new(WALL_US);
        let server = Arc::new(Server {
            sink: MemorySink::new(Takes::NetOperations),
            fences: Mutex::default(),
            loses: Mutex::new(false),
            before: Mutex::new(None),
            after: Mutex::new(None),
        });
        let base = Arc::clone(&server) as Arc<dyn Base>;
        let (engine, drainer) = Engine::builder()
            .clock(&clock)
            .seed(seed)
            .keep_known(false)
            .late_request_bound(LATE_BOUND)
            .manual(Arc::clone(&server) as _, Some(base))
            .unwrap();
        Self { server, engine, drainer, clock, random: Random(seed), states: vec![None] }
    }

    fn submit(&mut self) {
        let number = self.random.below(5);
        let update = |body: &str| body.to_owned();
        let body = match self.random.below(7) {
            0 => update(r#"{"inc":{"n":1},"doc_as_upsert":true}"#),
            1 => update(r#"{"append":{"l":[1]}}"#),
            2 | 3 => update(&format!(r#"{{"doc":{{"v":{number}}}}}"#)),
            4 => update(&format!(r#"{{"union":{{"u":[{number}]}},"doc_as_upsert":true}}"#)),
            5 => update(r#"{"remove":{"v":true}}"#),
            _ => String::new(),
        };
        let put = format!(r#"{{"p":{number}}}"#);
        let action = match (&*body, number) {
            ("", 0) => Action::Delete,
            ("", _) => Action::Index(put.as_bytes()),
            _ => Action::Update(body.as_bytes()),
        };
        let below = self.states.last().unwrap().clone();
        self.states.push(NetOperation::new(action).unwrap().apply(below.as_deref()).document);
        self.engine.submit(Operation { index: "i", id: "1", routing: None, action }).unwrap();
    }

    /// Something happens that is no read.
    fn step(&mut self) {
        match self.random.below(6) {
            0 | 1 => self.submit(),
            2 => *self.server.loses.lock().unwrap() = self.random.below(2) == 0,
            3 => self.clock.advance(LATE_BOUND),
            _ => {
                let _ = self.engine.flush(Duration::ZERO);
                self.drainer.run().unwrap();
            }
        }
    }
}

/// A document by value: a field that was taken out and put back may stand in either place.
fn value(document: Option<&Bytes>) -> Option<serde_json::Value> {
    document.map(|document| serde_json::from_slice(document).unwrap())
}

/// Some steps, at a point within a read.
fn hook(world: &Arc<Mutex<World>>) -> Hook {
    let world = Arc::clone(world);
    Box::new(move || {
        let mut world = world.lock().unwrap();
        for _ in 0..world.random.below(5) {
            world.step();
        }
    })
}

#[test]
fn a_read_over_a_base_without_numbers_sees_each_operation_once_whatever_settles_under_it() {
    let mut moved = 0;
    for seed in 0..SEEDS {
        let world = Arc::new(Mutex::new(World::new(seed)));
        for step in 0..STEPS {
            let (engine, server, first) = {
                let mut world = world.lock().unwrap();
                world.step();
                (world.engine.clone(), Arc::clone(&world.server), world.states.len() - 1)
            };
            *server.before.lock().unwrap() = Some(hook(&world));
            *server.after.lock().unwrap() = Some(hook(&world));
            let read = engine.get("i", "1").unwrap().map(|document| document.source);
            let states = world.lock().unwrap().states[first..].to_vec();
            moved += usize::from(states.len() > 1);
            let is_one = states.iter().any(|state| value(state.as_ref()) == value(read.as_ref()));
            assert!(is_one, "seed {seed}, step {step}: {read:?}, and not one of {states:?}");
        }
        // The hooks hold the world.
        let server = Arc::clone(&world.lock().unwrap().server);
        (*server.before.lock().unwrap(), *server.after.lock().unwrap()) = (None, None);
    }
    assert!(moved > 1_000, "{moved} reads saw operations come under them");
}
