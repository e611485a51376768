//! The body of a bulk request: action lines and what follows them, or why a server refuses all of it.

use super::Refusal;
use serde_json::{Map, Value};

/// Bytes that an id may have.
const ID_BYTES_MAX: usize = 512;

const OF_ACTION: &[&str] = &[
    "_index",
    "_id",
    "routing",
    "_routing",
    "if_seq_no",
    "if_primary_term",
    "version",
    "version_type",
    "op_type",
    "require_alias",
    "retry_on_conflict",
    "pipeline",
    "_source",
];
const OF_UPDATE: &[&str] = &[
    "doc",
    "upsert",
    "doc_as_upsert",
    "detect_noop",
    "script",
    "scripted_upsert",
    "if_seq_no",
    "if_primary_term",
    "_source",
    "lang",
];

/// What an item asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Index,
    Create,
    Update,
    Delete,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// One operation of a bulk.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// From 0, in the bulk.
    pub position: usize,
    pub kind: Kind,
    pub index: String,
    /// None: the server makes one.
    pub id: Option<String>,
    pub routing: Option<String>,
    /// Sequence number and primary term.
    pub only_if: Option<(u64, u64)>,
    /// A version of the client's own, and whether an equal one is taken.
    pub external: Option<(u64, bool)>,
    pub require_alias: bool,
    /// The document, or the body of an update; null of a delete.
    pub body: Value,
}

/// All items; or the whole request is refused.
pub(super) fn items(body: &[u8], index: Option<&str>) -> Result<Vec<Item>, Refusal> {
    if !body.is_empty() && !body.ends_with(b"\n") {
        return Err(illegal("The bulk request must be terminated by a newline [\\n]"));
    }
    let mut lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut items = Vec::new();
    while let Some(line) = lines.next() {
        let mut item = action(line, index, items.len())?;
        if item.kind != Kind::Delete {
            let text = lines.next().ok_or_else(|| invalid("source is missing"))?;
            item.body = serde_json::from_slice(text).map_err(|error| {
                // A document is parsed where it is stored; the body of an update at once.
                Refusal::new(400, "x_content_parse_exception", &error.to_string())
            })?;
        }
        check(&mut item)?;
        items.push(item);
    }
    if items.is_empty() { Err(invalid("no requests added")) } else { Ok(items) }
}

fn illegal(reason: &str) -> Refusal {
    Refusal::new(400, "illegal_argument_exception", reason)
}

fn invalid(reason: &str) -> Refusal {
    Refusal::new(400, "action_request_validation_exception", &format!("Validation Failed: 1: {reason};"))
}

fn action(line: &[u8], index: Option<&str>, position: usize) -> Result<Item, Refusal> {
    let malformed = || illegal(&format!("Malformed action/metadata line [{}]", position + 1));
    let value: Value = serde_json::from_slice(line).map_err(|_| malformed())?;
    let entry = value.as_object().filter(|object| object.len() == 1).and_then(|object| object.iter().next());
    let (name, meta) = entry.ok_or_else(malformed)?;
    let mut kind = match name.as_str() {
        "index" => Kind::Index,
        "create" => Kind::Create,
        "update" => Kind::Update,
        "delete" => Kind::Delete,
        _ => return Err(malformed()),
    };
    let meta = meta.as_object().ok_or_else(malformed)?;
    if let Some(unknown) = meta.keys().find(|key| !OF_ACTION.contains(&key.as_str())) {
        let line = position + 1;
        return Err(illegal(&format!(
            "Action/metadata line [{line}] contains an unknown parameter [{unknown}]"
        )));
    }
    if kind == Kind::Index && meta.get("op_type").and_then(Value::as_str) == Some("create") {
        kind = Kind::Create;
    }
    let external = match (number(meta, "version"), text(meta, "version_type").as_deref()) {
        (Some(version), Some("external" | "external_gt")) => Some((version, false)),
        (Some(version), Some("external_gte")) => Some((version, true)),
        (None, None | Some("internal")) => None,
        _ => return Err(invalid("internal versioning can not be used for optimistic concurrency control")),
    };
    if external.is_some() && matches!(kind, Kind::Update | Kind::Create) {
        return Err(invalid("versioning is for index and delete alone"));
    }
    let index = text(meta, "_index").or_else(|| index.map(str::to_owned));
    Ok(Item {
        position,
        kind,
        index: index.ok_or_else(|| invalid("index is missing"))?,
        id: text(meta, "_id"),
        routing: text(meta, "routing").or_else(|| text(meta, "_routing")),
        only_if: only_if(meta)?,
        external,
        require_alias: meta.get("require_alias") == Some(&Value::Bool(true)),
        body: Value::Null,
    })
}

/// What a server looks at before it carries out the first item.
fn check(item: &mut Item) -> Result<(), Refusal> {
    match &item.id {
        Some(id) if id.len() > ID_BYTES_MAX => {
            let bytes = id.len();
            return Err(invalid(&format!(
                "id [{id}] is too long, must be no longer than 512 bytes but was: {bytes}"
            )));
        }
        None if matches!(item.kind, Kind::Update | Kind::Delete) => return Err(invalid("id is missing")),
        _ => {}
    }
    if item.only_if.is_some() && item.kind == Kind::Create {
        return Err(invalid("create operations do not support compare and set. use index instead"));
    }
    if item.only_if.is_some() && item.external.is_some() {
        return Err(invalid("compare and write operations can not use versioning"));
    }
    if item.kind != Kind::Update {
        return Ok(());
    }
    let Some(body) = item.body.as_object() else {
        return Err(Refusal::new(400, "x_content_parse_exception", "[UpdateRequest] Expected START_OBJECT"));
    };
    if let Some(unknown) = body.keys().find(|key| !OF_UPDATE.contains(&key.as_str())) {
        let reason = format!("[UpdateRequest] unknown field [{unknown}]");
        return Err(Refusal::new(400, "x_content_parse_exception", &reason));
    }
    let is_set = |name: &str| body.get(name) == Some(&Value::Bool(true));
    let (has_doc, has_script) = (body.contains_key("doc"), body.contains_key("script"));
    if !has_doc && !has_script {
        return Err(invalid("script or doc is missing"));
    }
    if has_doc && has_script {
        return Err(invalid("can't provide both script and doc"));
    }
    if is_set("doc_as_upsert") && !has_doc {
        return Err(invalid("doc must be specified if doc_as_upsert is enabled"));
    }
    item.only_if = item.only_if.or(only_if(body)?);
    if item.only_if.is_some() && (body.contains_key("upsert") || is_set("doc_as_upsert")) {
        return Err(invalid("upsert requests don't support `if_seq_no` and `if_primary_term`"));
    }
    Ok(())
}

fn only_if(of: &Map<String, Value>) -> Result<Option<(u64, u64)>, Refusal> {
    match (number(of, "if_seq_no"), number(of, "if_primary_term")) {
        (Some(seq_no), Some(term)) => Ok(Some((seq_no, term))),
        (None, None) => Ok(None),
        _ => Err(invalid("ifSeqNo is set, but primary term is [0]")),
    }
}

fn text(of: &Map<String, Value>, name: &str) -> Option<String> {
    of.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn number(of: &Map<String, Value>, name: &str) -> Option<u64> {
    of.get(name).and_then(Value::as_u64)
}
