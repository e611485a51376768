//! An engine without threads over a scripted sink, with time in the test's hand.

use millpond::{
    Builder, Drainer, Engine, Item, MemoryDeadLetters, MemorySink, Next, Operation, Scripted, SimulatedClock,
    Takes, Ticket,
};
use serde_json::Value;
use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

/// Wall time at which rigs begin: November 2023.
pub(crate) const BEGIN_US: u64 = 1_700_000_000_000_000;
/// The index that rigs write to.
pub(crate) const INDEX: &str = "flights";
/// The delay bound of rigs.
pub(crate) const MAX_DELAY: Duration = Duration::from_secs(16);

pub(crate) struct Rig {
    pub(crate) clock: SimulatedClock,
    pub(crate) sink: Arc<MemorySink>,
    pub(crate) letters: Arc<MemoryDeadLetters>,
    pub(crate) engine: Engine,
    pub(crate) drainer: Drainer,
}

impl Rig {
    pub(crate) fn new(takes: Takes) -> Self {
        Self::with(takes, |builder| builder)
    }

    pub(crate) fn with(takes: Takes, set: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = SimulatedClock::new(BEGIN_US);
        let sink = Arc::new(MemorySink::new(takes).with_clock(&clock));
        Self::over(sink, clock, set)
    }

    /// A rig over a sink that is there already.
    pub(crate) fn over(
        sink: Arc<MemorySink>,
        clock: SimulatedClock,
        set: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let letters = Arc::new(MemoryDeadLetters::new());
        let builder = Engine::builder().clock(&clock).seed(7).shards(4).max_delay(MAX_DELAY);
        let builder = set(builder.dead_letters(Arc::clone(&letters) as _));
        let (engine, drainer) =
            builder.manual(Arc::clone(&sink) as _, Some(Arc::clone(&sink) as _)).expect("the settings fit");
        Self { clock, sink, letters, engine, drainer }
    }

    pub(crate) fn submit(&self, operation: Operation<'_>) -> u64 {
        let seq = self.engine.submit(operation).expect("accepted");
        self.check();
        seq
    }

    pub(crate) fn index(&self, id: &str, document: &str) -> u64 {
        self.submit(Operation::index(INDEX, id, document.as_bytes()))
    }

    pub(crate) fn update(&self, id: &str, body: &str) -> u64 {
        self.submit(Operation::update(INDEX, id, body.as_bytes()))
    }

    pub(crate) fn delete(&self, id: &str) -> u64 {
        self.submit(Operation::delete(INDEX, id))
    }

    pub(crate) fn track(&self, operation: Operation<'_>) -> Ticket {
        self.engine.submit_tracked(operation).expect("accepted")
    }

    /// The document that a read of the engine sees.
    pub(crate) fn get(&self, id: &str) -> Option<Value> {
        self.engine.get(INDEX, id).expect("readable").map(|document| json(&document.source))
    }

    /// The document that the sink holds.
    pub(crate) fn stored(&self, id: &str) -> Option<Value> {
        let all = self.sink.documents();
        all.iter().find(|((_, found), _)| **found == *id).map(|(_, source)| json(source))
    }

    /// Begins a flush of everything and runs the drain as far as it goes now.
    pub(crate) fn drain(&self) {
        let _ = self.engine.flush(Duration::ZERO);
        self.run();
    }

    /// Runs the drain as far as it goes now.
    pub(crate) fn run(&self) -> usize {
        let sent = self.drainer.run().expect("not latched");
        self.check();
        sent
    }

    /// Lets time pass and runs the drain.
    pub(crate) fn pass(&self, time: Duration) -> usize {
        self.clock.advance(time);
        self.run()
    }

    /// Lets the drain work until everything has settled; holds and backoffs pass in steps of a second.
    pub(crate) fn settle(&self) {
        for _ in 0..1_000 {
            self.drain();
            if self.engine.flush(Duration::ZERO).is_ok() {
                return;
            }
            self.clock.advance(Duration::from_secs(1));
        }
        panic!("not settled after a thousand seconds: {:?}", self.engine.stats());
    }

    /// What is to be sent next, taken out by hand.
    pub(crate) fn take(&self) -> millpond::Flights {
        let _ = self.engine.flush(Duration::ZERO);
        match self.drainer.next().expect("not latched") {
            Next::Send(flights) => flights,
            Next::Wait(time) => panic!("nothing to send for {time:?}"),
        }
    }

    /// Scripts the sink, and tells what it was sent.
    pub(crate) fn script(
        &self,
        mut script: impl FnMut(&Item) -> Scripted + Send + 'static,
    ) -> mpsc::Receiver<Item> {
        let (sender, receiver) = mpsc::channel();
        self.sink.script(move |item| {
            let _ = sender.send(item.clone());
            script(item)
        });
        receiver
    }

    /// Answers the first items by this list, in order, and carries the rest out.
    pub(crate) fn answers(&self, answers: impl IntoIterator<Item = Scripted>) -> mpsc::Receiver<Item> {
        let mut answers = answers.into_iter().collect::<Vec<_>>().into_iter();
        self.script(move |_| answers.next().unwrap_or(Scripted::Done))
    }

    fn check(&self) {
        self.engine.validate().expect("the engine's invariants");
    }
}

pub(crate) fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(text)))
}

/// A document of about this many bytes.
pub(crate) fn padded(bytes: usize) -> String {
    format!("{{\"pad\":\"{}\"}}", "x".repeat(bytes.saturating_sub(10)))
}
