//! What a server says, before it is decided how much of it arrives.

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use std::io::Write;

/// A status, headers and a body. Its length is said by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Sent in chunks of so many bytes, instead of with a length.
    pub chunk_bytes: Option<usize>,
}

impl Response {
    /// Nothing but a status, as of a real server's 413.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), chunk_bytes: None }
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json; charset=UTF-8", &body.to_string())
    }

    pub fn text(status: u16, content_type: &str, body: &str) -> Self {
        Self { body: body.as_bytes().to_vec(), ..Self::empty(status) }.header("content-type", content_type)
    }

    /// What a proxy says in front of a server that is not there, or of a login.
    pub fn html(status: u16) -> Self {
        Self::text(status, "text/html", "<!DOCTYPE html><html><body><h1>It works!</h1></body></html>")
    }

    /// An error of the whole request, in a server's words.
    pub fn error(status: u16, kind: &str, reason: &str) -> Self {
        let cause = json!({"type": kind, "reason": reason});
        let body =
            json!({"error": {"root_cause": [cause], "type": kind, "reason": reason}, "status": status});
        Self::json(status, &body)
    }

    /// 429 as of an indexing pressure that is too high.
    pub fn too_many_requests() -> Self {
        let reason = "rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0]";
        Self::error(429, "rejected_execution_exception", reason)
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Compressed, and says so.
    #[must_use]
    pub fn gzip(mut self) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&self.body).unwrap();
        self.body = encoder.finish().unwrap();
        self.header("content-encoding", "gzip")
    }

    #[must_use]
    pub fn chunked(mut self, chunk_bytes: usize) -> Self {
        assert!(chunk_bytes > 0, "a chunk of nothing is the last");
        self.chunk_bytes = Some(chunk_bytes);
        self
    }

    /// Ends within its body, though HTTP finds nothing wrong with it.
    #[must_use]
    pub fn truncated(mut self, bytes: usize) -> Self {
        self.body.truncate(bytes);
        self
    }

    /// The body as JSON.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }

    /// Changes the body as JSON.
    #[must_use]
    pub fn map(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let mut value = self.value();
        change(&mut value);
        self.body = value.to_string().into_bytes();
        self
    }

    /// Changes the items of a bulk's answer: fewer, in another order, of another id.
    #[must_use]
    pub fn map_items(self, change: impl FnOnce(&mut Vec<Value>)) -> Self {
        self.map(|value| change(value["items"].as_array_mut().expect("items")))
    }

    /// The status line and the headers, with this length instead of the body's.
    pub(crate) fn head(&self, length: usize) -> Vec<u8> {
        let mut head = Vec::new();
        write!(head, "HTTP/1.1 {} {}\r\n", self.status, reason(self.status)).unwrap();
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        match self.chunk_bytes {
            Some(_) => write!(head, "transfer-encoding: chunked\r\n\r\n").unwrap(),
            None => write!(head, "content-length: {length}\r\n\r\n").unwrap(),
        }
        head
    }

    /// The body as it is sent.
    pub(crate) fn frames(&self) -> Vec<u8> {
        let Some(chunk_bytes) = self.chunk_bytes else { return self.body.clone() };
        let mut frames = Vec::new();
        for chunk in self.body.chunks(chunk_bytes) {
            write!(frames, "{:x}\r\n", chunk.len()).unwrap();
            frames.extend(chunk);
            frames.extend(b"\r\n");
        }
        frames.extend(b"0\r\n\r\n");
        frames
    }

    pub(crate) fn closes(&self) -> bool {
        self.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("connection") && value == "close")
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        413 => "Request Entity Too Large",
        429 => "Too Many Requests",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Other",
    }
}
