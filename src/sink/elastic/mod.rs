//! A sink on an Elasticsearch or OpenSearch server, by its `_bulk` interface.
//!
//! # Design
//! Net operations go out in the server's own words where it has them, and as one script where it has not
//! ([`request`]); what came of each is read item by item ([`response`]); [`client`] is all that knows of HTTP. This file is
//! what lies between: a batch is cut into requests that the server takes, one after the other, and what is not sent since
//! another request failed is said to be as it was.
//!
//! How large batches are and how many are out follows what the server shows, and is decided by the drain (`drain/limiter.rs`): a batch is
//! mostly one request. Cut it is where the server refused: a request may have less bytes where one was refused as too large, and half
//! as many where the server has too much to do, as one that is too much for an idle server would be refused for ever. With each
//! request that is taken it may be an eighth longer again.
//!
//! # Why requests of one batch go out one after the other
//! A batch is one thread's. Others have their own, of other documents: no document is in two of them.
//!
//! # Invariants
//! 1. Each item has one outcome, and where nothing was heard of it that is not one of those that are done.
//! 2. Nothing is sent twice within one call.
//!
//! # Locking
//! LOCK: `trouble` is taken alone, and never across a request.

mod ask;
mod client;
mod fence;
mod options;
mod reading;
mod request;
mod response;
mod standing;

pub use ask::{Answered, Sent};
pub use client::Method;
pub use options::{Auth, ElasticOptions, Versioning};
#[cfg(fuzzing)]
pub use response::outcomes as bulk_outcomes;
pub use standing::Standing;

use crate::{
    Base, BaseDocument, BaseKey, Batch, Error, ErrorKind, Item, Limits, Outcome, Result, Sink, Snapshot,
    Takes,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use client::{Answer, Client, Failure};
use options::Mode;
use reading::Reader;
use request::Style;
use response::Whole;
use std::sync::Arc;

/// Bytes of one batch: some requests.
const BATCH_BYTES: usize = 32 * 1024 * 1024;
/// Operations of one batch.
const BATCH_OPERATIONS: usize = 20_000;
/// What is asked of the server's answer.
const BULK: &str = "/_bulk?filter_path=error,status,items.*._id,items.*.status,items.*.result,items.*.error";
/// The same, where documents go out under versions.
const BULK_VERSIONED: &str = "/_bulk?filter_path=error,status,items.*._id,items.*.status,items.*.result,items.*.error,items.*._seq_no,items.*._primary_term";
const NDJSON: &str = "application/x-ndjson";
const JSON: &str = "application/json";
/// A request that is taken lets the next one be longer by one part in so many.
const GROWTH_SHARE: usize = 8;

/// Sends net operations to an Elasticsearch or OpenSearch cluster.
///
/// Operations that would change a document again when repeated leave a fence in it, a field of one text
/// ([`ElasticOptions::fence_field`]): the engine's id and the operation's seq.
#[derive(Debug)]
pub struct ElasticSink {
    client: Client,
    fence_field: String,
    mode: Mode,
    /// The engine's id, as it stands in fences.
    engine: Mutex<String>,
    /// Bytes that a request may have, now and at most.
    bytes: AtomicUsize,
    bytes_max: usize,
    /// The shortest request that was refused as too large.
    too_large: AtomicUsize,
    /// The server has the script; or it must go along each time.
    has_script: AtomicBool,
    sends_script: AtomicBool,
    /// Why nothing can be sent any more.
    trouble: Mutex<Option<String>>,
}

/// Where the rest of a batch stands.
enum Rest {
    /// It can go on.
    GoesOn,
    /// It was not sent: the outcome of each.
    Is(Outcome),
}

impl ElasticSink {
    /// A sink on the nodes of one cluster, by their addresses, such as `http://127.0.0.1:9200`. Nothing is sent before the first
    /// batch: a server that is away is waited for.
    pub fn new<S: AsRef<str>>(urls: &[S], options: &ElasticOptions) -> Result<Self> {
        options.check()?;
        Ok(Self {
            client: Client::new(urls, options)?,
            fence_field: options.fence_field.clone(),
            mode: options.mode(),
            engine: Mutex::new(String::new()),
            bytes: AtomicUsize::new(options.request_bytes),
            bytes_max: options.request_bytes,
            too_large: AtomicUsize::new(usize::MAX),
            has_script: AtomicBool::new(false),
            sends_script: AtomicBool::new(false),
            trouble: Mutex::new(None),
        })
    }

    /// Sends the first of these items, as many as a request holds; adds their outcomes.
    fn send_some(&self, items: &[Item], most: &mut usize, outcomes: &mut Vec<Outcome>) -> Rest {
        let (body, count) = match self.write(items, *most) {
            Ok(written) => written,
            Err(not_sent) => return Rest::Is(not_sent),
        };
        let items = items.get(..count).unwrap_or_default();
        let all = |outcome: Outcome| std::iter::repeat_n(outcome, count);
        let answer = match self.client.send(Method::Post, self.path(), NDJSON, &body) {
            Ok(answer) => answer,
            Err(Failure { reason, is_unsent: true, .. }) => return Rest::Is(response::again(&reason, None)),
            Err(Failure { reason, .. }) => {
                outcomes.extend(all(Outcome::Unknown(reason.clone())));
                return Rest::Is(response::again(&reason, None));
            }
        };
        match response::read(items, &answer, self.mode) {
            Whole::Items(said) => {
                self.grow();
                *most = most.saturating_mul(2);
                outcomes.extend(said.into_iter().zip(items).map(|(said, item)| self.note(said, item)));
                Rest::GoesOn
            }
            Whole::TooLarge(reason) => {
                self.too_large.fetch_min(body.len(), Ordering::Relaxed);
                self.shrink(body.len());
                split(count, most, &reason, outcomes)
            }
            Whole::Refused(reason) => split(count, most, &reason, outcomes),
            Whole::Busy { reason, after } => {
                self.shrink(body.len());
                Rest::Is(response::again(&reason, after))
            }
            Whole::Paused(reason) => Rest::Is(response::paused(&reason)),
            Whole::Unknown(reason) => {
                outcomes.extend(all(Outcome::Unknown(reason.clone())));
                Rest::Is(response::again(&reason, None))
            }
        }
    }

    fn path(&self) -> &'static str {
        if self.mode == Mode::Resolved { BULK_VERSIONED } else { BULK }
    }

    /// The body of a request, and of how many items.
    fn write(&self, items: &[Item], most: usize) -> Result<(Vec<u8>, usize), Outcome> {
        let bytes_max = self.bytes.load(Ordering::Relaxed);
        let mut style = Style {
            field: self.fence_field.clone(),
            engine: self.engine.lock().clone(),
            is_stored: !self.sends_script.load(Ordering::Relaxed),
            mode: self.mode,
        };
        let (mut body, mut count) = (Vec::new(), 0);
        for item in items.iter().take(most.max(1)) {
            if style.is_stored && !self.has_script.load(Ordering::Relaxed) && request::needs_script(item) {
                style.is_stored = self.store_script()?;
            }
            let before = body.len();
            request::write_item(item, &style, &mut body);
            if count > 0 && body.len() > bytes_max {
                body.truncate(before);
                break;
            }
            count += 1;
        }
        Ok((body, count))
    }

    /// Has the server keep the script; false where it will not.
    fn store_script(&self) -> Result<bool, Outcome> {
        let path = format!("/_scripts/{}", request::script_name());
        match self.client.send(Method::Put, &path, JSON, &request::script_body()) {
            Ok(Answer { status: 200 | 201, .. }) => {
                self.has_script.store(true, Ordering::Relaxed);
                Ok(true)
            }
            Ok(Answer { status: 400..=428 | 430..=499, .. }) => {
                self.sends_script.store(true, Ordering::Relaxed);
                Ok(false)
            }
            Ok(Answer { status, retry_after, .. }) => {
                Err(response::again(&format!("storing the script: status {status}"), retry_after))
            }
            Err(failure) => Err(response::again(&failure.reason, None)),
        }
    }

    /// What is to be noted of an item's answer; gives its outcome.
    fn note(&self, said: response::Said, item: &Item) -> Outcome {
        if said.lacks_script {
            self.has_script.store(false, Ordering::Relaxed);
        }
        if let Some(reason) = said.strict
            && reason.contains(&format!("[{}]", self.fence_field))
        {
            let field = &self.fence_field;
            *self.trouble.lock() = Some(format!(
                "the mapping of index \"{}\" is strict and has no field for fences; add it: PUT /{}/_mapping \
                 {{\"properties\":{{\"{field}\":{{\"type\":\"keyword\",\"index\":false,\"doc_values\":false}}}}}}",
                item.index, item.index
            ));
            return response::paused(&reason);
        }
        said.outcome
    }

    fn shrink(&self, refused: usize) {
        self.bytes.fetch_min((refused / 2).max(1), Ordering::Relaxed);
    }

    fn grow(&self) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        let grown = bytes.saturating_add(bytes / GROWTH_SHARE + 1);
        // What was refused once is not tried again.
        let most = self.bytes_max.min(self.too_large.load(Ordering::Relaxed).saturating_sub(1));
        if grown <= most {
            self.bytes.store(grown, Ordering::Relaxed);
        }
    }
}

/// Of a request that was refused as a whole: with fewer operations the next time; of one operation it is the answer.
fn split(count: usize, most: &mut usize, reason: &str, outcomes: &mut Vec<Outcome>) -> Rest {
    if count <= 1 {
        outcomes.push(Outcome::Rejected(reason.to_owned()));
    }
    *most = (count / 2).max(1);
    Rest::GoesOn
}

impl Sink for ElasticSink {
    fn takes(&self) -> Takes {
        match self.mode {
            Mode::Net => Takes::NetOperations,
            Mode::Resolved | Mode::External => Takes::Documents,
        }
    }

    fn tells_versions(&self) -> bool {
        self.mode == Mode::Resolved
    }

    fn limits(&self) -> Limits {
        Limits { batch_bytes: BATCH_BYTES, batch_operations: BATCH_OPERATIONS }
    }

    fn adapts(&self) -> bool {
        true
    }

    fn identify(&self, engine: u128) {
        *self.engine.lock() = format!("{engine:032x}:");
    }

    fn send(&self, batch: &Batch) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.items.len());
        let mut most = usize::MAX;
        while outcomes.len() < batch.items.len() {
            let items = batch.items.get(outcomes.len()..).unwrap_or_default();
            if let Rest::Is(outcome) = self.send_some(items, &mut most, &mut outcomes) {
                outcomes.resize(batch.items.len(), outcome);
            }
        }
        outcomes
    }

    fn health(&self) -> Result<()> {
        match &*self.trouble.lock() {
            Some(trouble) => Err(Error::new(ErrorKind::Config, trouble.clone())),
            None => Ok(()),
        }
    }
}

/// What is stored at the server, read in realtime and without fences: to be given to the engine beside the sink itself.
impl Base for ElasticSink {
    fn read(&self, keys: &[BaseKey<'_>]) -> Vec<Result<Option<BaseDocument>>> {
        let engine = self.engine.lock().clone();
        Reader { client: &self.client, mode: self.mode, field: &self.fence_field, engine }.read(keys)
    }

    fn knows_seqs(&self) -> bool {
        self.mode == Mode::External
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>> {
        let message = "the documents of a server cannot be scanned from here: scanning is for the embedded store, and a server has \
                       searches of its own";
        Err(Error::new(ErrorKind::NoBase, message))
    }
}
