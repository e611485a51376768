//! The engine as a peer: its settings here, and a sink that writes bulk NDJSON into memory.
//!
//! # Design
//! The memory bound is above what any workload holds and the delay is a day, so that nothing drains unless a bench asks
//! for it. The sink takes net operations, as the file sink does, and writes each as bulk NDJSON into a buffer that it uses
//! again. Nothing lies below the engine.

use crate::{
    peer::{BATCH, Drained, Drains, Peer, TakesLines},
    sync::Mutex,
    workload::{INDEX, Kind, Operation},
};
use millpond::{
    Base, BaseDocument, BaseKey, Batch, Builder, Drainer, Engine, Item, ItemAction, Limits, Outcome, Result,
    Sink, Snapshot, Takes,
};
use std::{sync::Arc, time::Duration};

/// The memory bound: nothing that is measured comes near it.
const MEMORY_BYTES: usize = 8 << 30;
/// As the file sink has them.
const LIMITS: Limits = Limits { batch_bytes: 8 * 1024 * 1024, batch_operations: 50_000 };
/// Bytes of lines that are handed on at once.
const PIECE_BYTES: usize = 64 * 1024;
/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_mins(10);

/// An engine with its sink.
#[derive(Debug)]
pub struct Pond {
    /// The engine.
    pub engine: Engine,
    /// Where it drains to.
    pub lines: Arc<Lines>,
}

impl Pond {
    /// An engine that drains only when it is told to.
    pub fn still() -> Result<Self> {
        Self::with(settings().max_delay(Duration::from_hours(24)))
    }

    /// An engine that drains what has waited for so long.
    pub fn draining(max_delay: Duration) -> Result<Self> {
        Self::with(settings().max_delay(max_delay))
    }

    /// An engine of these settings without threads, and its drain.
    pub fn manual(settings: Builder) -> Result<(Self, Drainer)> {
        let lines = Arc::new(Lines::default());
        let (engine, drainer) = settings.manual(Arc::clone(&lines) as _, Some(Arc::new(Nothing)))?;
        Ok((Self { engine, lines }, drainer))
    }

    /// An engine of these settings.
    pub fn with(settings: Builder) -> Result<Self> {
        let lines = Arc::new(Lines::default());
        let engine = settings.build(Arc::clone(&lines) as _, Some(Arc::new(Nothing)))?;
        Ok(Self { engine, lines })
    }
}

/// The settings of every engine that is measured.
pub fn settings() -> Builder {
    Engine::builder().memory_bytes(MEMORY_BYTES)
}

/// An operation of a workload, as the engine takes it.
pub fn operation<'a>(operation: &Operation<'a>) -> millpond::Operation<'a> {
    match operation.kind {
        Kind::Index => millpond::Operation::index(INDEX, operation.id, operation.body.as_bytes()),
        Kind::Update => millpond::Operation::update(INDEX, operation.id, operation.body.as_bytes()),
    }
}

impl Peer for Pond {
    #[expect(clippy::expect_used, reason = "a workload holds valid bodies only, and the memory bound is far")]
    fn submit(&self, given: &Operation<'_>) {
        self.engine.submit(operation(given)).expect("the operation is accepted");
    }

    #[expect(clippy::expect_used, reason = "a workload holds valid bodies only, and the memory bound is far")]
    fn submit_batch(&self, operations: &[Operation<'_>]) {
        let mut batch = [millpond::Operation::delete(INDEX, ""); BATCH];
        for chunk in operations.chunks(BATCH) {
            for (place, given) in batch.iter_mut().zip(chunk) {
                *place = operation(given);
            }
            let batch = batch.get(..chunk.len()).unwrap_or(&batch);
            self.engine.submit_batch(batch).expect("the batch is accepted");
        }
    }
}

impl Drains for Pond {
    #[expect(clippy::expect_used, reason = "the sink takes everything")]
    fn drain(&self, lines: Option<TakesLines<'_>>) -> Drained {
        let before = self.lines.drained();
        self.lines.keep(lines.is_some());
        self.engine.flush(PATIENCE).expect("the sink takes everything");
        if let Some(lines) = lines {
            lines(&self.lines.take());
        }
        let after = self.lines.drained();
        Drained { documents: after.documents - before.documents, bytes: after.bytes - before.bytes }
    }
}

/// A sink that writes bulk NDJSON into memory, and keeps it only if told so.
#[derive(Debug, Default)]
pub struct Lines(Mutex<Written>);

#[derive(Debug, Default)]
struct Written {
    piece: Vec<u8>,
    drained: Drained,
    kept: Option<Vec<u8>>,
}

impl Lines {
    /// What was written so far.
    pub fn drained(&self) -> Drained {
        self.0.lock().drained
    }

    /// From now on keeps what is written, or does not.
    pub fn keep(&self, keep: bool) {
        self.0.lock().kept = keep.then(Vec::new);
    }

    /// Writes a batch.
    pub fn write(&self, batch: &Batch) -> Vec<Outcome> {
        let mut written = self.0.lock();
        for item in &batch.items {
            write_lines(item, &mut written.piece);
            if written.piece.len() >= PIECE_BYTES {
                written.hand_on();
            }
        }
        written.hand_on();
        written.drained.documents += batch.items.len() as u64;
        vec![Outcome::Applied; batch.items.len()]
    }

    /// What was kept.
    pub fn take(&self) -> Vec<u8> {
        self.0.lock().kept.take().unwrap_or_default()
    }
}

impl Written {
    /// Hands a piece on: where nothing is kept, it was only to be written.
    fn hand_on(&mut self) {
        self.drained.bytes += self.piece.len() as u64;
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(&self.piece);
        }
        std::hint::black_box(&self.piece);
        self.piece.clear();
    }
}

impl Sink for Lines {
    fn takes(&self) -> Takes {
        Takes::NetOperations
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn send(&self, batch: &Batch) -> Vec<Outcome> {
        self.write(batch)
    }
}

/// Appends an item as bulk NDJSON. The names and documents of a workload need no escapes and have no line breaks.
fn write_lines(item: &Item, out: &mut Vec<u8>) {
    let verb = match &item.action {
        ItemAction::Put(_) => "index",
        ItemAction::Delete => "delete",
        ItemAction::Net(net) => net.verb(),
    };
    for piece in ["{\"", verb, "\":{\"_index\":\"", &*item.index, "\",\"_id\":\"", &*item.id, "\"}}\n"] {
        out.extend_from_slice(piece.as_bytes());
    }
    match &item.action {
        ItemAction::Put(document) => out.extend_from_slice(document),
        ItemAction::Delete => return,
        ItemAction::Net(net) => net.write_body(out),
    }
    out.push(b'\n');
}

/// What lies below the engine: nothing.
#[derive(Clone, Copy, Debug)]
struct Nothing;

impl Base for Nothing {
    fn read(&self, keys: &[BaseKey<'_>]) -> Vec<Result<Option<BaseDocument>>> {
        keys.iter().map(|_| Ok(None)).collect()
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>> {
        Ok(Arc::new(Self))
    }
}

impl Snapshot for Nothing {
    fn page(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<(Box<str>, BaseDocument)>> {
        Ok(Vec::new())
    }

    fn indices(&self) -> Result<Vec<Box<str>>> {
        Ok(Vec::new())
    }
}
