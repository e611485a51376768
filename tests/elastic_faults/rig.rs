//! An engine that is drained by hand into a fake server, whose next answers a test decides.

use crate::http::{Answer, BulkModel, Context, FakeServer, Refusal, Request, Response, Setup, SharedModel};
use millpond::{
    Base, Drainer, Engine, MemoryDeadLetters, Operation, SimulatedClock, Ticket,
    elastic::{ElasticOptions, ElasticSink},
};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

pub(crate) const INDEX: &str = "i";
const WALL_US: u64 = 1_700_000_000_000_000;
const ROUNDS_MAX: u32 = 4_000;
/// A request that is not answered is given up after so long.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(300);

type Fault = Box<dyn FnOnce(&SharedModel, &Request) -> Answer + Send>;

pub(crate) struct Rig {
    pub(crate) model: SharedModel,
    pub(crate) server: FakeServer,
    pub(crate) engine: Engine,
    pub(crate) clock: SimulatedClock,
    drainer: Drainer,
    letters: Arc<MemoryDeadLetters>,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    read_faults: Arc<Mutex<VecDeque<Fault>>>,
}

/// What `patch.painless` does, as far as these tests go: `doc`, `inc` and `append` of fields, and the fence.
#[expect(clippy::unnecessary_wraps, reason = "a script may refuse, and this one does not")]
pub(crate) fn run_script(context: &mut Context) -> Result<(), Refusal> {
    let params = context.params.clone();
    if let (Some(field), Some(engine)) = (params["field"].as_str(), params["engine"].as_str()) {
        let held =
            context.source[field].as_str().and_then(|held| held.strip_prefix(engine)?.parse::<u64>().ok());
        if held >= params["seq"].as_u64() {
            context.op = "none";
            return Ok(());
        }
        context.source[field] = json!(format!("{engine}{}", params["seq"]));
    }
    for round in params["rounds"].as_array().unwrap() {
        for (kind, tree) in round.as_object().unwrap() {
            for (name, operand) in tree.as_object().unwrap() {
                let value = &mut context.source[name];
                match kind.as_str() {
                    "inc" => {
                        let amount: i64 = operand.as_str().unwrap().parse().unwrap();
                        *value = json!(value.as_i64().unwrap_or(0) + amount);
                    }
                    "append" => {
                        let mut list = value.as_array().cloned().unwrap_or_default();
                        list.extend(operand.as_array().unwrap().iter().cloned());
                        *value = json!(list);
                    }
                    _ => *value = operand.clone(),
                }
            }
        }
    }
    Ok(())
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Setup::default(), |url| vec![url.to_owned()])
    }

    /// Sends whole documents, made from what is read.
    pub(crate) fn resolved() -> Self {
        let options = ElasticOptions::new().resolve(true);
        Self::with_options(Setup::default(), &options, |url| vec![url.to_owned()])
    }

    /// With a setup of the server, and the addresses that the sink is given.
    pub(crate) fn with(setup: Setup, urls: impl FnOnce(&str) -> Vec<String>) -> Self {
        Self::with_options(setup, &ElasticOptions::new(), urls)
    }

    pub(crate) fn with_options(
        setup: Setup,
        options: &ElasticOptions,
        urls: impl FnOnce(&str) -> Vec<String>,
    ) -> Self {
        let model = BulkModel::new().with_scripts(run_script).shared();
        let [faults, read_faults]: [Arc<Mutex<VecDeque<Fault>>>; 2] = Default::default();
        let (behind, script, reads) = (model.clone(), Arc::clone(&faults), Arc::clone(&read_faults));
        let server = setup.start(move |request| {
            if request.path.starts_with("/_scripts") {
                return Response::json(200, &json!({"acknowledged": true})).into();
            }
            let script = if request.path.starts_with("/_mget") { &reads } else { &script };
            let fault = script.lock().unwrap().pop_front();
            fault.map_or_else(|| behind.answer(request).into(), |fault| fault(&behind, request))
        });
        let options = options.clone().request_timeout(REQUEST_TIMEOUT);
        let sink = Arc::new(ElasticSink::new(&urls(&server.url()), &options).unwrap());
        let base: Arc<dyn Base> = Arc::clone(&sink) as _;
        let (clock, letters) = (SimulatedClock::new(WALL_US), Arc::new(MemoryDeadLetters::new()));
        let (engine, drainer) = Engine::builder()
            .clock(&clock)
            .seed(1)
            .dead_letters(Arc::clone(&letters) as _)
            .manual(sink, Some(base))
            .unwrap();
        Self { model, server, engine, clock, drainer, letters, faults, read_faults }
    }

    /// The next bulk request meets this.
    pub(crate) fn next(&self, fault: impl FnOnce(&SharedModel, &Request) -> Answer + Send + 'static) {
        self.faults.lock().unwrap().push_back(Box::new(fault));
    }

    /// The next read meets this.
    pub(crate) fn next_read(&self, fault: impl FnOnce(&SharedModel, &Request) -> Answer + Send + 'static) {
        self.read_faults.lock().unwrap().push_back(Box::new(fault));
    }

    pub(crate) fn increment(&self, id: &str) {
        self.engine.submit(Operation::update(INDEX, id, br#"{"inc":{"n":1},"doc_as_upsert":true}"#)).unwrap();
    }

    pub(crate) fn put(&self, id: &str, text: &str) {
        self.engine.submit(Operation::index(INDEX, id, text.as_bytes())).unwrap();
    }

    pub(crate) fn tracked(&self, operation: Operation<'_>) -> Ticket {
        self.engine.submit_tracked(operation).unwrap()
    }

    /// Sends what there is to be sent, once.
    pub(crate) fn drain(&self) {
        // It fails until all is there: it begins the flush.
        let _ = self.engine.flush(Duration::ZERO);
        self.drainer.run().unwrap();
    }

    /// Sends until everything has settled, as time goes by; gives how much did.
    pub(crate) fn settle(&self) -> Duration {
        let before = self.clock.now_us();
        for round in 0.. {
            assert!(round < ROUNDS_MAX, "{:?}", self.engine.stats());
            self.drain();
            if self.engine.flush(Duration::ZERO).is_ok() {
                break;
            }
            self.clock.advance(Duration::from_millis(50));
        }
        Duration::from_micros(self.clock.now_us() - before)
    }

    pub(crate) fn get(&self, id: &str) -> Option<Value> {
        self.model.get(INDEX, id)
    }

    /// The document's counter.
    pub(crate) fn count(&self, id: &str) -> u64 {
        self.get(id).map_or(0, |document| document["n"].as_u64().unwrap())
    }

    pub(crate) fn letters(&self) -> Vec<String> {
        self.letters.take().into_iter().map(String::from).collect()
    }

    /// The bodies of the bulk requests so far.
    pub(crate) fn bulks(&self) -> Vec<String> {
        self.bodies("/_bulk")
    }

    /// The bodies of the reads so far.
    pub(crate) fn reads(&self) -> Vec<String> {
        self.bodies("/_mget")
    }

    fn bodies(&self, path: &str) -> Vec<String> {
        let requests = self.server.requests();
        let bulks = requests.iter().filter(|request| request.path.starts_with(path));
        bulks.map(|request| String::from_utf8_lossy(&request.body).into_owned()).collect()
    }
}
