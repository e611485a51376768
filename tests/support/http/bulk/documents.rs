//! One item carried out on the documents, as on a primary shard.
//!
//! # Invariants
//! 1. A sequence number is taken by whatever writes, a delete of nothing included, and by nothing else.
//! 2. A version rises by one with each write, deletes included, or is the client's own.

use super::{BulkModel, Item, Kind, Refusal, values};
use serde_json::{Map, Value, json};

/// A document with its version; of one that was deleted, what is remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// None: it was deleted.
    pub source: Option<Value>,
    pub version: u64,
    pub seq_no: u64,
    pub primary_term: u64,
    pub routing: Option<String>,
}

/// What a script sees and changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Context {
    /// The source of the script, or its id.
    pub script: String,
    pub params: Value,
    /// The document, or the upsert of a scripted one.
    pub source: Value,
    /// `index`, or `create` where there is no document; a script may set `delete`, or `none`.
    pub op: &'static str,
}

pub(super) type Script = Box<dyn FnMut(&mut Context) -> Result<(), Refusal> + Send>;

/// What an item comes to, before it is written.
enum Effect {
    Write(Value),
    Create(Value),
    Delete,
    Noop,
}

impl BulkModel {
    /// Carries out one item and gives its part of the answer.
    pub fn carry_out(&mut self, item: &Item) -> Value {
        match self.try_item(item) {
            Ok(answer) => json!({ (item.kind.name()): answer }),
            Err(refusal) => failed(item, &refusal),
        }
    }

    fn try_item(&mut self, item: &Item) -> Result<Value, Refusal> {
        if item.require_alias {
            let reason = format!(
                "no such index [{}] and [require_alias] request flag is [true] and [{0}] is not an alias",
                item.index
            );
            return Err(Refusal::new(404, "index_not_found_exception", &reason));
        }
        let id = match &item.id {
            Some(id) if id.is_empty() => {
                let reason = "if _id is specified it must not be empty";
                return Err(Refusal::new(400, "illegal_argument_exception", reason));
            }
            Some(id) => id.clone(),
            None => {
                self.generated += 1;
                format!("generated-{}", self.generated)
            }
        };
        if !self.indices.contains_key(&item.index) {
            // A delete has nothing to put into a new index, unless it brings a version to remember.
            if self.keeps_out || item.kind == Kind::Delete && item.external.is_none() {
                return Err(no_index(&item.index));
            }
            self.create_index(&item.index);
        }
        let effect = match item.kind {
            Kind::Index => Effect::Write(object(&item.body)?),
            Kind::Create => Effect::Create(object(&item.body)?),
            Kind::Delete => Effect::Delete,
            Kind::Update => self.updated(item, &id)?,
        };
        self.write(item, &id, effect)
    }

    /// Takes the conditions of an item to its document, then writes.
    fn write(&mut self, item: &Item, id: &str, effect: Effect) -> Result<Value, Refusal> {
        let before = self.stored(&item.index, id).cloned();
        let exists = before.as_ref().is_some_and(|stored| stored.source.is_some());
        if matches!(effect, Effect::Noop) {
            let live = before.filter(|_| exists);
            return Ok(live.map_or_else(|| nothing(item, id), |stored| done(item, id, &stored, "noop", 200)));
        }
        conflict(item, id, before.as_ref())?;
        if let (Effect::Create(_), true, Some(stored)) = (&effect, exists, &before) {
            let reason = format!("document already exists (current version [{}])", stored.version);
            return Err(conflicting(id, &reason));
        }
        let (source, result, status) = match effect {
            Effect::Write(source) | Effect::Create(source) if exists => (Some(source), "updated", 200),
            Effect::Write(source) | Effect::Create(source) => (Some(source), "created", 201),
            Effect::Delete if exists => (None, "deleted", 200),
            Effect::Delete => (None, "not_found", 404),
            Effect::Noop => return Ok(nothing(item, id)),
        };
        // An update keeps the routing of its document.
        let kept = before.as_ref().filter(|_| exists && item.kind == Kind::Update);
        let routing = kept.map_or_else(|| item.routing.clone(), |stored| stored.routing.clone());
        let next = self.indices.entry(item.index.clone()).or_default();
        let stored = Stored {
            source,
            version: item
                .external
                .map_or(before.as_ref().map_or(0, |stored| stored.version) + 1, |(version, _)| version),
            seq_no: *next,
            primary_term: 1 + self.primary_terms_before,
            routing,
        };
        *next += 1;
        self.writes += 1;
        let answer = done(item, id, &stored, result, status);
        self.documents.insert((item.index.clone(), id.to_owned()), stored);
        Ok(answer)
    }

    /// What an update comes to, on the document that there is.
    fn updated(&mut self, item: &Item, id: &str) -> Result<Effect, Refusal> {
        let body = item.body.as_object().cloned().unwrap_or_default();
        let is_set = |name: &str| body.get(name) == Some(&Value::Bool(true));
        let stored = self.stored(&item.index, id).filter(|stored| stored.source.is_some());
        let Some(mut source) = stored.and_then(|stored| stored.source.clone()) else {
            return match body.get("upsert") {
                _ if is_set("doc_as_upsert") => Ok(Effect::Create(body["doc"].clone())),
                Some(upsert) if is_set("scripted_upsert") => self.scripted(&body, upsert.clone(), "create"),
                Some(upsert) => Ok(Effect::Create(upsert.clone())),
                None => {
                    Err(Refusal::new(404, "document_missing_exception", &format!("[{id}]: document missing")))
                }
            };
        };
        // Looked at when the document is read: what changes nothing conflicts too.
        conflict(item, id, stored)?;
        if body.contains_key("script") {
            return self.scripted(&body, source, "index");
        }
        let patch = object(&body["doc"])?;
        let (Some(fields), Some(patch)) = (source.as_object_mut(), patch.as_object()) else {
            return Ok(Effect::Noop);
        };
        let changed = values::merge(fields, patch);
        let detects = body.get("detect_noop") != Some(&Value::Bool(false));
        Ok(if changed || !detects { Effect::Write(source) } else { Effect::Noop })
    }

    fn scripted(
        &mut self,
        body: &Map<String, Value>,
        source: Value,
        op: &'static str,
    ) -> Result<Effect, Refusal> {
        let script = &body["script"];
        let text = [script.as_str(), script["source"].as_str(), script["id"].as_str()];
        let mut context = Context {
            script: text.into_iter().flatten().next().unwrap_or_default().to_owned(),
            params: script["params"].clone(),
            source,
            op,
        };
        let Some(run) = &mut self.scripts else {
            return Err(Refusal::new(400, "illegal_argument_exception", "failed to execute script"));
        };
        run(&mut context)?;
        Ok(match (context.op, op) {
            ("create", "create") => Effect::Create(context.source),
            ("index", "index") => Effect::Write(context.source),
            ("delete", "index") => Effect::Delete,
            _ => Effect::Noop,
        })
    }
}

/// Conditions of the item that its document does not meet.
fn conflict(item: &Item, id: &str, before: Option<&Stored>) -> Result<(), Refusal> {
    let live = before.filter(|stored| stored.source.is_some());
    if let Some((seq_no, term)) = item.only_if {
        let required = format!("required seqNo [{seq_no}], primary term [{term}].");
        match live {
            None => return Err(conflicting(id, &format!("{required} but no document was found"))),
            Some(stored) if (stored.seq_no, stored.primary_term) != (seq_no, term) => {
                let (seq_no, term) = (stored.seq_no, stored.primary_term);
                let found = format!("current document has seqNo [{seq_no}] and primary term [{term}]");
                return Err(conflicting(id, &format!("{required} {found}")));
            }
            Some(_) => {}
        }
    }
    if let (Some((version, or_equal)), Some(stored)) = (item.external, before) {
        let current = stored.version;
        if version < current || version == current && !or_equal {
            let relation = if or_equal { "higher than" } else { "higher or equal to" };
            let reason = format!("current version [{current}] is {relation} the one provided [{version}]");
            return Err(conflicting(id, &reason));
        }
    }
    Ok(())
}

fn conflicting(id: &str, reason: &str) -> Refusal {
    Refusal::new(409, "version_conflict_engine_exception", &format!("[{id}]: version conflict, {reason}"))
}

pub(super) fn no_index(index: &str) -> Refusal {
    Refusal::new(404, "index_not_found_exception", &format!("no such index [{index}]"))
}

fn object(value: &Value) -> Result<Value, Refusal> {
    if value.is_object() {
        return Ok(value.clone());
    }
    Err(Refusal::new(400, "mapper_parsing_exception", "failed to parse"))
}

fn done(item: &Item, id: &str, stored: &Stored, result: &str, status: u16) -> Value {
    let shards = u32::from(result != "noop");
    json!({
        "_index": item.index, "_id": id, "_version": stored.version, "result": result,
        "_shards": {"total": shards, "successful": shards, "failed": 0},
        "_seq_no": stored.seq_no, "_primary_term": stored.primary_term, "status": status,
    })
}

/// A script that made nothing of nothing.
fn nothing(item: &Item, id: &str) -> Value {
    json!({
        "_index": item.index, "_id": id, "_version": -1, "result": "noop",
        "_shards": {"total": 0, "successful": 0, "failed": 0}, "get": {"found": false}, "status": 200,
    })
}

/// The part of an answer of an item that was refused.
pub(super) fn failed(item: &Item, refusal: &Refusal) -> Value {
    json!({(item.kind.name()): {
        "_index": item.index, "_id": item.id, "status": refusal.status, "error": refusal.error(),
    }})
}
