//! Random operations, folded, drained at random, sent twice, heard of late or not at all: the document at the server equals what
//! they come to one at a time, and so does what the engine reads while it goes on.

use crate::{
    server::{Server, as_read, on_each_in_each_way},
    support::{action::OwnedAction, generate::chain, model::Model, model::Tree},
};
use millpond::{
    Base, BaseDocument, BaseKey, Batch, DeadLetters, Engine, Limits, MemoryDeadLetters, Operation, Outcome,
    Sink, Snapshot, Takes,
    elastic::{ElasticOptions, ElasticSink},
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const DOCUMENTS: usize = 600;
const CHAIN_MAX: usize = 9;
const MEMORY_BYTES: usize = 512 * 1024;
const LONG: Duration = Duration::from_mins(2);
/// What the field is mapped to does not matter: every value goes.
const ANYTHING: &str = r#"{"enabled":false}"#;

/// Numbers that a double holds as they are, instead of those that it does not: a server reads no others.
fn mild(text: &str) -> String {
    const MILD: [&str; 8] = ["0", "1", "-1", "2.5", "0.1", "100", "1.0", "9007199254740993"];
    // Servers read half a pair in a text, and newer ones not in a name.
    let text = text.replace(r#""\ud800""#, r#""q""#);
    let (mut out, mut number) = (String::new(), String::new());
    let (mut in_text, mut is_escaped) = (false, false);
    for character in text.chars().chain([' ']) {
        if !in_text && character.is_ascii_digit()
            || !number.is_empty() && "+-.eE".contains(character)
            || !in_text && character == '-'
        {
            number.push(character);
            continue;
        }
        if !number.is_empty() {
            let is_mild = number.len() <= 5 && !number.contains(['e', 'E']);
            let place = number.bytes().map(usize::from).sum::<usize>() % MILD.len();
            out.push_str(if is_mild { &number } else { MILD[place] });
            number.clear();
        }
        in_text ^= character == '"' && !is_escaped;
        is_escaped = in_text && character == '\\' && !is_escaped;
        out.push(character);
    }
    out
}

fn mild_action(action: OwnedAction) -> OwnedAction {
    match action {
        OwnedAction::Index(text) => OwnedAction::Index(mild(&text)),
        OwnedAction::Create(text) => OwnedAction::Create(mild(&text)),
        OwnedAction::Update(text) => OwnedAction::Update(mild(&text)),
        OwnedAction::Delete => OwnedAction::Delete,
    }
}

/// Sends some batches twice, does not hear of some, and does not send others.
struct Troubled {
    sink: ElasticSink,
    sends: AtomicU64,
}

impl Sink for Troubled {
    fn takes(&self) -> Takes {
        self.sink.takes()
    }

    fn tells_versions(&self) -> bool {
        self.sink.tells_versions()
    }

    fn limits(&self) -> Limits {
        self.sink.limits()
    }

    fn identify(&self, engine: u128) {
        self.sink.identify(engine);
    }

    fn send(&self, batch: &Batch) -> Vec<Outcome> {
        let number = self.sends.fetch_add(1, Ordering::Relaxed);
        let again = Outcome::Again { reason: "not now".to_owned(), after: None };
        if number % 7 == 3 {
            return vec![again; batch.items.len()];
        }
        let mut outcomes = self.sink.send(batch);
        if number % 5 == 2 {
            self.sink.send(batch);
        }
        if number % 3 == 1 {
            // Every other one was carried out, and nobody hears of it.
            outcomes.iter_mut().step_by(2).for_each(|outcome| *outcome = Outcome::Unknown("lost".to_owned()));
        }
        outcomes
    }

    fn health(&self) -> millpond::Result<()> {
        self.sink.health()
    }
}

impl Base for Troubled {
    fn read(&self, keys: &[BaseKey<'_>]) -> Vec<millpond::Result<Option<BaseDocument>>> {
        self.sink.read(keys)
    }

    fn knows_seqs(&self) -> bool {
        self.sink.knows_seqs()
    }

    fn snapshot(&self) -> millpond::Result<Arc<dyn Snapshot>> {
        self.sink.snapshot()
    }
}

/// What the engine reads of all documents, one that reads another value than the model first.
fn misread(engine: &Engine, model: &Model, server: &Server) -> Option<String> {
    let ids: Vec<String> = (0..DOCUMENTS).map(|document| document.to_string()).collect();
    let keys: Vec<(&str, &str)> = ids.iter().map(|id| (&*server.index, &**id)).collect();
    let single = engine.get(&server.index, "0");
    let all =
        std::iter::once(("0", single)).chain(ids.iter().map(String::as_str).zip(engine.get_many(&keys)));
    let mut wrong = all.filter_map(|(id, found)| {
        let found = found.unwrap().map(|document| as_read(&Tree::parse(&document.source)));
        let expected = model.get(&server.index, id).map(as_read);
        (found != expected).then(|| format!("{id} reads {found:?}, and not {expected:?}"))
    });
    wrong.next()
}

fn random_chains() -> Vec<Vec<OwnedAction>> {
    let mut runner = TestRunner::deterministic();
    let chains = chain(1..CHAIN_MAX);
    let one = |_| chains.new_tree(&mut runner).unwrap().current().into_iter().map(mild_action).collect();
    (0..DOCUMENTS).map(one).collect()
}

fn folds(server: &Server, options: &ElasticOptions) {
    server.create_index(ANYTHING);
    let sink = Arc::new(Troubled { sink: server.sink_with(options), sends: AtomicU64::new(0) });
    let letters = Arc::new(MemoryDeadLetters::default());
    let engine = Engine::builder()
        .drain_threads(2)
        .max_delay(Duration::from_millis(20))
        .late_request_bound(Duration::ZERO)
        .batch_operations(50)
        // Few documents stay known, so that many are read.
        .memory_bytes(MEMORY_BYTES)
        .dead_letters(Arc::clone(&letters) as Arc<dyn DeadLetters>)
        .build(Arc::clone(&sink) as Arc<dyn Sink>, Some(Arc::clone(&sink) as Arc<dyn Base>))
        .unwrap();
    let (chains, mut model) = (random_chains(), Model::default());
    for step in 0..CHAIN_MAX {
        for (document, chain) in chains.iter().enumerate() {
            let Some(action) = chain.get(step) else { continue };
            let id = document.to_string();
            let operation =
                Operation { index: &server.index, id: &id, routing: None, action: action.action() };
            // What the engine refuses changes nothing.
            if engine.submit(operation).is_ok() {
                model.apply(&server.index, &id, action.action());
            }
        }
        assert_eq!(misread(&engine, &model, server), None, "after step {step}");
        if step % 3 == 1 {
            engine.flush(LONG).unwrap();
        }
    }
    engine.flush(LONG).unwrap();
    assert_eq!(misread(&engine, &model, server), None, "at the end");
    engine.close(LONG).unwrap();
    let letters = letters.take();
    assert!(
        letters.is_empty(),
        "{} dead letters\n{}",
        letters.len(),
        letters[..letters.len().min(5)].join("\n")
    );
    let mut wrong = Vec::new();
    for (document, chain) in chains.iter().enumerate() {
        let id = document.to_string();
        let expected = model.get(&server.index, &id).map(as_read);
        let found = server.stored(&id).map(|text| as_read(&Tree::parse(text.as_bytes())));
        if expected != found {
            wrong.push(format!(
                "{id}: {chain:?}\n  expected {expected:?}\n  found    {found:?}\n  stored {:?}",
                server.stored(&id)
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {DOCUMENTS} documents are wrong\n{}",
        wrong.len(),
        wrong[..wrong.len().min(5)].join("\n")
    );
}

#[test]
fn the_servers_documents_equal_what_random_operations_come_to_whatever_is_sent_again() {
    on_each_in_each_way("random operations", folds);
}
