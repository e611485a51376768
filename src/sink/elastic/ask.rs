//! What else can be asked of the server that a sink sends to, and what the sink has sent it.
//!
//! # Design
//! A program that runs a sink often has to ask its server something more: whether an index is there, what its statistics say. It
//! would need the addresses, credentials and certificates a second time, and a second client. So the sink lends its own: the
//! request goes to the nodes in turn, over the same kept connections, and its answer comes back unread.
//!
//! # Why not the client itself
//! Whoever holds it could send behind the sink's back what the sink has to order. Here it is one request and its answer.
//!
//! # Invariants
//! 1. Nothing that is asked changes what the sink knows or does.

use super::{ElasticSink, JSON, client::Method};
use crate::{Error, ErrorKind, Result};
use std::time::Duration;

/// What a server answered to [`ElasticSink::ask`].
#[derive(Clone, Debug)]
pub struct Answered {
    /// The status of the answer, whatever it is.
    pub status: u16,
    /// The wait that it asked for.
    pub retry_after: Option<Duration>,
    /// The body of the answer.
    pub body: Vec<u8>,
}

/// What a sink has sent: see [`ElasticSink::sent`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Requests that a server got, or may have got.
    pub requests: u64,
    /// Bytes of their bodies as they went, which is after compression.
    pub bytes: u64,
}

impl ElasticSink {
    /// Asks the server something: `path` is what follows its address, as `/_cluster/health`, and `body` is JSON, or lines of
    /// JSON; a GET or DELETE has none. It is asked once, under the sink's own timeouts and credentials. An answer of any
    /// status is one; an error is that there was none.
    pub fn ask(&self, method: Method, path: &str, body: &[u8]) -> Result<Answered> {
        let answer = self
            .client
            .send(method, path, JSON, body)
            .map_err(|failure| Error::new(ErrorKind::Io, failure.reason))?;
        Ok(Answered { status: answer.status, retry_after: answer.retry_after, body: answer.body })
    }

    /// All that was sent so far, with what was asked.
    pub fn sent(&self) -> Sent {
        let (requests, bytes) = self.client.sent();
        Sent { requests, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elastic::ElasticOptions;
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread::scope,
    };

    #[test]
    fn what_is_asked_reaches_the_server_with_the_credentials_and_is_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let auth = crate::elastic::Auth::Bearer("word".to_owned());
        let sink = ElasticSink::new(&[url], &ElasticOptions::new().auth(auth)).unwrap();
        assert_eq!(sink.sent(), Sent::default());
        scope(|scope| {
            let server = scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    head.extend(byte);
                }
                stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}").unwrap();
                String::from_utf8(head).unwrap().to_lowercase()
            });
            let answered = sink.ask(Method::Delete, "/an-index", b"").unwrap();
            assert_eq!((answered.status, answered.body.as_slice()), (404, &b"{}"[..]));
            let head = server.join().unwrap();
            assert!(head.starts_with("delete /an-index http/1.1\r\n"), "{head}");
            assert!(head.contains("authorization: bearer word\r\n"), "{head}");
        });
        drop(listener);
        assert_eq!(sink.sent(), Sent { requests: 1, bytes: 0 });
        // Nobody was there to get it.
        assert!(sink.ask(Method::Get, "/", b"").is_err());
    }
}
