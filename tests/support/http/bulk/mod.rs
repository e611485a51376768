//! What a search server does with `_bulk` and `_mget`: the document that a fake keeps behind its faults.
//!
//! # Design
//! [`BulkModel::answer`] takes a request and gives the answer of a server of one shard: it creates indices by itself, keeps documents
//! with versions, sequence numbers and tombstones, and refuses what the real one refuses, item by item or whole. Faults are
//! not its business: a script changes the answer, asks twice, keeps the answer back, or lets items be refused
//! ([`BulkModel::answer_refusing`]).
//!
//! Scripts of the server's language are run by a closure that a test gives ([`BulkModel::with_scripts`]).
//!
//! # What it does not do
//! It never re-encodes a stored document: `1.10` stays where the real one makes `1.1` of it at an update. It knows no mappings, no aliases
//! and no pipelines.
//!
//! # Invariants
//! 1. It is held against real servers: `tests/http_fake/real.rs`.

mod documents;
mod lines;
mod values;

pub use documents::{Context, Stored};
pub use lines::{Item, Kind};

use super::{Request, Response};
use documents::Script;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How one item is refused without being carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub kind: String,
    pub reason: String,
}

impl Refusal {
    pub fn new(status: u16, kind: &str, reason: &str) -> Self {
        Self { status, kind: kind.to_owned(), reason: reason.to_owned() }
    }

    /// 429 for an item whose shard has too much to do.
    pub fn too_many_requests() -> Self {
        Self::new(429, "rejected_execution_exception", "rejected execution of primary operation")
    }

    /// 400 as of a mapping that a field does not fit.
    pub fn mapping() -> Self {
        Self::new(400, "mapper_parsing_exception", "failed to parse field [x] of type [long]")
    }

    /// 503 while no copy of the shard is there.
    pub fn unavailable() -> Self {
        Self::new(503, "unavailable_shards_exception", "primary shard is not active")
    }

    fn error(&self) -> Value {
        json!({"type": self.kind, "reason": self.reason})
    }
}

/// Documents by index and id.
#[derive(Default)]
pub struct BulkModel {
    documents: BTreeMap<(String, String), Stored>,
    /// The next sequence number of each index that there is.
    indices: BTreeMap<String, u64>,
    keeps_out: bool,
    primary_terms_before: u64,
    generated: u64,
    writes: u64,
    scripts: Option<Script>,
}

impl BulkModel {
    pub fn new() -> Self {
        Self::default()
    }

    /// Indices are made by [`create_index`](Self::create_index) only.
    #[must_use]
    pub fn without_auto_create(mut self) -> Self {
        self.keeps_out = true;
        self
    }

    /// Runs the scripts of updates: the closure changes the [`Context`] as the script would.
    #[must_use]
    pub fn with_scripts(
        mut self,
        run: impl FnMut(&mut Context) -> Result<(), Refusal> + Send + 'static,
    ) -> Self {
        self.scripts = Some(Box::new(run));
        self
    }

    pub fn shared(self) -> SharedModel {
        SharedModel { model: Arc::new(Mutex::new(self)) }
    }

    pub fn create_index(&mut self, index: &str) {
        self.indices.entry(index.to_owned()).or_default();
    }

    /// The document, if there is one.
    pub fn get(&self, index: &str, id: &str) -> Option<&Value> {
        self.stored(index, id).and_then(|stored| stored.source.as_ref())
    }

    /// The document with its version, or the tombstone that is left of it.
    pub fn stored(&self, index: &str, id: &str) -> Option<&Stored> {
        self.documents.get(&(index.to_owned(), id.to_owned()))
    }

    /// Every document, by index and id.
    pub fn documents(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.documents.iter().filter_map(|((index, id), stored)| {
            stored.source.as_ref().map(|source| (index.as_str(), id.as_str(), source))
        })
    }

    /// Writes that were carried out: no noops, nothing that was refused.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// As after a restart of the server: the documents stay, the primary term rises.
    pub fn restart(&mut self) {
        self.primary_terms_before += 1;
    }

    /// Carries out a request.
    pub fn answer(&mut self, request: &Request) -> Response {
        self.answer_refusing(request, |_| None)
    }

    /// Carries out a request, but for the items of a bulk that are refused.
    pub fn answer_refusing(
        &mut self,
        request: &Request,
        refuse: impl FnMut(&Item) -> Option<Refusal>,
    ) -> Response {
        let parts: Vec<&str> = request.route().split('/').skip(1).collect();
        match (request.method.as_str(), &*parts) {
            ("POST" | "PUT", ["_bulk"]) => self.bulk(None, request, refuse),
            ("POST" | "PUT", [index, "_bulk"]) => self.bulk(Some(index), request, refuse),
            ("POST" | "GET", ["_mget"]) => self.multi_get(None, request),
            ("POST" | "GET", [index, "_mget"]) => self.multi_get(Some(index), request),
            ("GET", [index, "_doc", id]) => self.get_document(index, id),
            ("GET" | "HEAD", [""]) => {
                let version = json!({"distribution": "opensearch", "number": "3.8.0"});
                Response::json(200, &json!({"name": "fake", "cluster_name": "fake", "version": version}))
            }
            ("POST" | "GET", ["_refresh"] | [_, "_refresh"]) => {
                Response::json(200, &json!({"_shards": {"total": 1, "successful": 1, "failed": 0}}))
            }
            ("PUT", [index]) if self.indices.contains_key(*index) => Response::error(
                400,
                "resource_already_exists_exception",
                &format!("index [{index}] already exists"),
            ),
            ("PUT", [index]) => {
                self.create_index(index);
                let body = json!({"acknowledged": true, "shards_acknowledged": true, "index": index});
                Response::json(200, &body)
            }
            (method, _) => {
                let reason = format!("no handler found for uri [{}] and method [{method}]", request.path);
                Response::json(400, &json!({"error": reason, "status": 400}))
            }
        }
    }

    fn bulk(
        &mut self,
        index: Option<&str>,
        request: &Request,
        mut refuse: impl FnMut(&Item) -> Option<Refusal>,
    ) -> Response {
        let items = match lines::items(&request.body, index) {
            Ok(items) => items,
            Err(refusal) => return Response::error(refusal.status, &refusal.kind, &refusal.reason),
        };
        let carry_out = |item: &Item| match refuse(item) {
            Some(refusal) => documents::failed(item, &refusal),
            None => self.carry_out(item),
        };
        let answers: Vec<Value> = items.iter().map(carry_out).collect();
        let is_failed =
            |answer: &Value| answer.as_object().unwrap().values().any(|item| item.get("error").is_some());
        let errors = answers.iter().any(is_failed);
        Response::json(200, &json!({"took": 1, "errors": errors, "items": answers}))
    }

    fn multi_get(&self, index: Option<&str>, request: &Request) -> Response {
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return Response::error(400, "parse_exception", "request body is required");
        };
        let of_ids = |ids: &Vec<Value>| ids.iter().map(|id| json!({"_id": id})).collect::<Vec<Value>>();
        let wanted = match (body["docs"].as_array(), body["ids"].as_array()) {
            (Some(documents), _) => documents.clone(),
            (None, Some(ids)) => of_ids(ids),
            (None, None) => Vec::new(),
        };
        if wanted.is_empty() {
            let reason = "Validation Failed: 1: no documents to get;";
            return Response::error(400, "action_request_validation_exception", reason);
        }
        let found = |wanted: &Value| {
            let index = wanted["_index"].as_str().or(index).unwrap_or_default();
            self.found(index, wanted["_id"].as_str().unwrap_or_default())
        };
        Response::json(200, &json!({"docs": wanted.iter().map(found).collect::<Vec<Value>>()}))
    }

    fn get_document(&self, index: &str, id: &str) -> Response {
        let found = self.found(index, id);
        match found.get("error") {
            Some(error) => Response::json(404, &json!({"error": error, "status": 404})),
            None if found["found"] == true => Response::json(200, &found),
            None => Response::json(404, &found),
        }
    }

    fn found(&self, index: &str, id: &str) -> Value {
        if !self.indices.contains_key(index) {
            let mut error = documents::no_index(index).error();
            error["root_cause"] = json!([error.clone()]);
            return json!({"_index": index, "_id": id, "error": error});
        }
        let Some(Stored { source: Some(source), version, seq_no, primary_term, routing }) =
            self.stored(index, id)
        else {
            return json!({"_index": index, "_id": id, "found": false});
        };
        let mut found = json!({
            "_index": index, "_id": id, "_version": version, "_seq_no": seq_no, "_primary_term": primary_term,
        });
        if let Some(routing) = routing {
            found["_routing"] = json!(routing);
        }
        found["found"] = json!(true);
        found["_source"] = source.clone();
        found
    }
}

impl fmt::Debug for BulkModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkModel").field("documents", &self.documents).finish_non_exhaustive()
    }
}

/// A model that a script and a test both hold.
#[derive(Clone, Debug)]
pub struct SharedModel {
    model: Arc<Mutex<BulkModel>>,
}

impl SharedModel {
    pub fn lock(&self) -> MutexGuard<'_, BulkModel> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out a request, one at a time.
    pub fn answer(&self, request: &Request) -> Response {
        self.lock().answer(request)
    }

    /// Carries out a request twice, as behind a proxy that sent it again, and gives the second answer.
    pub fn answer_twice(&self, request: &Request) -> Response {
        let mut model = self.lock();
        model.answer(request);
        model.answer(request)
    }

    /// The document, if there is one.
    pub fn get(&self, index: &str, id: &str) -> Option<Value> {
        self.lock().get(index, id).cloned()
    }
}
