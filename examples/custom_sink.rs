//! A sink of one's own: hands batches over a channel to a thread that stands for a server.
//!
//! A sink says what it takes, and what became of each item. This one takes net operations as they are, so it needs
//! no base; throttles its first batch, as servers do; and prints what a bulk request would hold.

use millpond::{Batch, Builder, Engine, Item, ItemAction, Limits, Operation, Outcome, Sink, Status, Takes};
use std::{
    collections::BTreeMap,
    error::Error,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

/// A request: the items, and where the answers go.
type Request = (Vec<Item>, Sender<Vec<Outcome>>);

/// Sends each batch over a channel and waits for its answers.
struct ChannelSink(Sender<Request>);

impl Sink for ChannelSink {
    fn takes(&self) -> Takes {
        Takes::NetOperations
    }

    fn limits(&self) -> Limits {
        Limits { batch_bytes: 1024 * 1024, batch_operations: 1_000 }
    }

    fn send(&self, batch: &Batch) -> Vec<Outcome> {
        let (answer, answers) = channel();
        let unknown = || vec![Outcome::Unknown("the server is gone".into()); batch.items.len()];
        if self.0.send((batch.items.clone(), answer)).is_err() {
            return unknown();
        }
        // A request whose answer is lost may have been carried out: the same items will come again.
        answers.recv().unwrap_or_else(|_| unknown())
    }
}

/// Keeps documents, and answers what became of each item.
fn serve(requests: &Receiver<Request>) -> BTreeMap<String, Vec<u8>> {
    let mut documents: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut is_first = true;
    while let Ok((items, answer)) = requests.recv() {
        let outcomes = if std::mem::take(&mut is_first) {
            let again = Outcome::Again { reason: "429: too many requests".into(), after: None };
            vec![again; items.len()]
        } else {
            items.iter().map(|item| carry_out(item, &mut documents)).collect()
        };
        // Nobody waits for an answer any more if the engine has gone.
        let _ = answer.send(outcomes);
    }
    documents
}

fn carry_out(item: &Item, documents: &mut BTreeMap<String, Vec<u8>>) -> Outcome {
    let before = documents.remove(&*item.id);
    let existed = before.is_some();
    let (after, text) = match &item.action {
        ItemAction::Put(document) => {
            (Some(document.to_vec()), String::from_utf8_lossy(document).into_owned())
        }
        ItemAction::Delete => (None, "delete".to_owned()),
        ItemAction::Net(net) => {
            let after = net.apply(before.as_deref()).document.map(|document| document.to_vec());
            (after, format!("{net:?}"))
        }
    };
    println!("{} operations on {} as one: {text}", item.operations, item.id);
    let exists = after.is_some();
    documents.extend(after.map(|document| (item.id.to_string(), document)));
    match (existed, exists) {
        (false, true) => Outcome::Created,
        (true, true) => Outcome::Updated,
        (true, false) => Outcome::Deleted,
        (false, false) => Outcome::NotFound,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (requests, inbox) = channel();
    let documents = thread::scope(|scope| -> Result<_, Box<dyn Error>> {
        let server = scope.spawn(move || serve(&inbox));
        let engine = builder().build(Arc::new(ChannelSink(requests)), None)?;
        let created = engine
            .submit_tracked(Operation::create("planes", "N14228", br#"{"flights":0}"#))
            .map_err(millpond::Error::from)?;
        for _ in 0..100 {
            let body = br#"{"inc":{"flights":1}}"#;
            engine.submit(Operation::update("planes", "N14228", body)).map_err(millpond::Error::from)?;
        }
        engine.close(Duration::from_secs(30))?;
        assert_eq!(created.status(), Some(Status::Created));
        assert_eq!(engine.stats().operations_settled, 101);
        assert!(engine.stats().retries >= 1);
        // The sink goes with the last handle, and the server with the sink.
        drop(engine);
        server.join().map_err(|_| "the server panicked".into())
    })?;
    assert_eq!(documents.get("N14228").map(Vec::as_slice), Some(&br#"{"flights":100}"#[..]));
    Ok(())
}

fn builder() -> Builder {
    Engine::builder().memory_bytes(16 * 1024 * 1024).max_delay(Duration::from_secs(1))
}
