//! The server as it is measured: its indices, its statistics, and when it has nothing left to do.
//!
//! # Design
//! A plain shell around a few requests, through the sink's own client, so that addresses, credentials and certificates are what they are
//! for a replay. An answer that is not what was asked for is a failure with the server's words.
//!
//! # Invariants
//! 1. Nothing is asked of an index that was not made here: every path begins with a name that [`Server::create`] has made, or with
//!    the start that all of them have.

use super::figures::{Figures, Row};
use crate::{
    args::Impact,
    clock::Stopwatch,
    failure::{Failure, Result},
    sync::{Stop, pause},
};
use millpond::elastic::{Answered, ElasticSink, Method};
use serde_json::{Value, json};
use std::time::Duration;

/// As much of what a server says as is shown.
const WORDS_MAX: usize = 400;
/// How long merges are waited for.
const MERGES_MAX: Duration = Duration::from_mins(1);
/// How long one waits before one asks again whether they have ended.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// The sections of the statistics that are read.
const STATISTICS: &str = "_stats/indexing,get,refresh,merge,flush,segments,store";

/// Where a figure stands in the statistics, and what it is multiplied with.
const PLACES: [(Row, &str, f64); 13] = [
    (Row::Indexed, "/indexing/index_total", 1.0),
    (Row::IndexTime, "/indexing/index_time_in_millis", 0.001),
    (Row::Gets, "/get/total", 1.0),
    (Row::GetTime, "/get/time_in_millis", 0.001),
    (Row::Refreshes, "/refresh/total", 1.0),
    (Row::RefreshTime, "/refresh/total_time_in_millis", 0.001),
    (Row::Merges, "/merges/total", 1.0),
    (Row::MergedDocuments, "/merges/total_docs", 1.0),
    (Row::MergeTime, "/merges/total_time_in_millis", 0.001),
    (Row::Flushes, "/flush/total", 1.0),
    (Row::FlushTime, "/flush/total_time_in_millis", 0.001),
    (Row::Segments, "/segments/count", 1.0),
    (Row::StoreBytes, "/store/size_in_bytes", 1.0),
];

/// A server.
#[derive(Debug)]
pub(super) struct Server {
    sink: ElasticSink,
    shards: u32,
    /// Its name and version, as it tells them.
    pub(super) name: String,
    /// The nodes of its cluster.
    pub(super) nodes: u64,
}

impl Server {
    /// The server of the command line, which has to answer.
    pub(super) fn open(args: &Impact) -> Result<Self> {
        let sink = args.server.open(&args.urls()?)?;
        let mut server = Self { sink, shards: args.shards.get(), name: String::new(), nodes: 0 };
        let answer = server.ask(Method::Get, "/", &Value::Null)?;
        let version = answer.pointer("/version/number").and_then(Value::as_str).unwrap_or("of no version");
        let name = match answer.pointer("/version/distribution").and_then(Value::as_str) {
            None => "Elasticsearch",
            Some("opensearch") => "OpenSearch",
            Some(other) => other,
        };
        server.name = format!("{name} {version}");
        let health = server.ask(Method::Get, "/_cluster/health", &Value::Null)?;
        server.nodes = health.get("number_of_nodes").and_then(Value::as_u64).unwrap_or(0);
        Ok(server)
    }

    /// Makes an index. Fails where it is there.
    pub(super) fn create(&self, index: &str) -> Result {
        let settings = json!({
            "number_of_shards": self.shards,
            "number_of_replicas": 0,
            // What they do by themselves; said, so that an index that nobody searches does it too.
            "refresh_interval": "1s",
            // Else its size is told as it was ten seconds ago.
            "store.stats_refresh_interval": "0s",
        });
        self.ask(Method::Put, &format!("/{index}"), &json!({ "settings": settings })).map(drop)
    }

    /// Deletes an index, if it is there.
    pub(super) fn delete(&self, index: &str) -> Result {
        match self.send(Method::Delete, &format!("/{index}"), b"")? {
            Answered { status: 200 | 404, .. } => Ok(()),
            answered => Err(refused(&format!("DELETE /{index}"), &answered)),
        }
    }

    /// Has all that was written searchable and on the disk, and waits for merges that go on; at most [`MERGES_MAX`], or until
    /// the stop is set.
    pub(super) fn settle(&self, start: &str, stop: &Stop) -> Result {
        self.ask(Method::Post, &format!("/{start}*/_refresh"), &json!({}))?;
        self.ask(Method::Post, &format!("/{start}*/_flush?wait_if_ongoing=true"), &json!({}))?;
        let waited = Stopwatch::start();
        while waited.elapsed() < MERGES_MAX && !stop.is_set() {
            let answer = self.ask(Method::Get, &format!("/{start}*/_stats/merge"), &Value::Null)?;
            let current = answer.pointer("/_all/total/merges/current").and_then(Value::as_u64);
            if current.unwrap_or(0) == 0 {
                return Ok(());
            }
            pause(ASK_AGAIN);
        }
        Ok(())
    }

    /// What the server has counted of the indices whose names start so.
    pub(super) fn statistics(&self, start: &str) -> Result<Figures> {
        let answer = self.ask(Method::Get, &format!("/{start}*/{STATISTICS}"), &Value::Null)?;
        let all = answer.pointer("/_all/primaries").unwrap_or(&Value::Null);
        let mut figures = Figures::default();
        for (row, place, factor) in PLACES {
            if let Some(number) = all.pointer(place).and_then(Value::as_f64) {
                figures.set(row, number * factor);
            }
        }
        let deleted = all.pointer("/indexing/delete_total").and_then(Value::as_f64).unwrap_or(0.0);
        if let Some(indexed) = figures.get(Row::Indexed) {
            figures.set(Row::Indexed, indexed + deleted);
        }
        Ok(figures)
    }

    /// The documents of an index.
    pub(super) fn count(&self, index: &str) -> Result<u64> {
        let answer = self.ask(Method::Get, &format!("/{index}/_count"), &Value::Null)?;
        let count = answer.get("count").and_then(Value::as_u64);
        count.ok_or_else(|| Failure::Failed(format!("GET /{index}/_count has no count: {answer}")))
    }

    /// The answer to a request, whatever is in it.
    pub(super) fn bytes(&self, method: Method, path: &str, body: &Value) -> Result<Vec<u8>> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        match self.send(method, path, body.as_bytes())? {
            Answered { status: 200 | 201, body, .. } => Ok(body),
            answered => Err(refused(&format!("{} {path}", word(method)), &answered)),
        }
    }

    /// Posts lines as they are.
    #[cfg(test)]
    pub(super) fn raw(&self, path: &str, body: &[u8]) {
        let answered = self.send(Method::Post, path, body).unwrap();
        let answer: Value = serde_json::from_slice(&answered.body).unwrap();
        assert_eq!(answer["errors"], false, "{answer}");
    }

    fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let answer = self.bytes(method, path, body)?;
        serde_json::from_slice(&answer).map_err(|error| {
            Failure::Failed(format!("{} {path}: the answer is not JSON: {error}", word(method)))
        })
    }

    fn send(&self, method: Method, path: &str, body: &[u8]) -> Result<Answered> {
        self.sink
            .ask(method, path, body)
            .map_err(|error| Failure::Failed(format!("{} {path}: {error}", word(method))))
    }
}

fn word(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
    }
}

/// An answer that is none to what was asked, in the server's words.
pub(super) fn refused(what: &str, answered: &Answered) -> Failure {
    let text = String::from_utf8_lossy(&answered.body);
    let words: String = text.chars().take(WORDS_MAX).collect();
    Failure::Failed(format!("{what}: the server says {}: {}", answered.status, words.trim()))
}
