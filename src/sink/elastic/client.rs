//! HTTP to one or several nodes of one cluster: a request, and an answer or what is known of its failure.
//!
//! # Design
//! Requests go to the nodes in turn, over connections that are kept. A node that cannot be reached was sent nothing, so the
//! request goes to the next one at once; it is the last that is asked again, until it answers. Whatever fails
//! later than that may have been carried out, and the caller is told so.
//!
//! Credentials are headers that are made once. They are never part of an address, an error or a log.
//!
//! # Invariants
//! 1. [`Failure::is_unsent`] only where not a byte of the request can have reached a server.

use super::options::{Auth, ElasticOptions};
use crate::{
    Error, ErrorKind, Result,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};
use std::{fmt, io, sync::Arc, time::Duration};
use ureq::{
    Agent, RequestBuilder, Timeout,
    http::{HeaderMap, HeaderValue, Uri, header},
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

/// An answer longer than this is not read: a batch's has some 200 bytes an item.
pub(super) const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// A body shorter than this is not compressed.
const COMPRESS_BYTES_MIN: usize = 1024;
/// How long a connection is kept that nothing is sent over.
const IDLE_MAX: Duration = Duration::from_secs(15);
/// What a request is made with.
const USER_AGENT: &str = concat!("millpond/", env!("CARGO_PKG_VERSION"));

/// Which method a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Without a body.
    Get,
    /// With a body.
    Post,
    /// With a body.
    Put,
    /// Without a body.
    Delete,
}

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The wait that it asked for.
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: String,
    /// No server was sent anything.
    pub(super) is_unsent: bool,
    /// There is one, and it is longer than was to be read.
    pub(super) is_too_long: bool,
}

/// See the module.
pub(super) struct Client {
    agent: Agent,
    nodes: Vec<Node>,
    next: AtomicUsize,
    headers: HeaderMap,
    compresses: bool,
    /// What has reached a server, and the bytes of its bodies as they went.
    requests: AtomicU64,
    request_bytes: AtomicU64,
}

#[derive(Debug)]
struct Node {
    url: String,
    /// It could not be reached the last time.
    is_away: AtomicBool,
}

impl Client {
    /// A client for these addresses. Nothing is sent yet.
    pub(super) fn new<S: AsRef<str>>(urls: &[S], options: &ElasticOptions) -> Result<Self> {
        let nodes: Vec<Node> = urls.iter().map(|url| node(url.as_ref())).collect::<Result<_>>()?;
        if nodes.is_empty() {
            return Err(Error::new(ErrorKind::Config, "a sink on a server needs the address of one"));
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(USER_AGENT)
            .max_idle_age(IDLE_MAX)
            .max_idle_connections(options.connections_max)
            .max_idle_connections_per_host(options.connections_max)
            .timeout_connect(Some(options.connect_timeout))
            .timeout_global(Some(options.request_timeout));
        if !options.compresses {
            config = config.accept_encoding("");
        }
        if let Some(pem) = &options.ca {
            config = config.tls_config(TlsConfig::builder().root_certs(roots(pem)?).build());
        }
        let mut headers = HeaderMap::new();
        if let Some(auth) = &options.auth {
            headers.insert(header::AUTHORIZATION, authorization(auth)?);
        }
        let agent = config.build().new_agent();
        Ok(Self {
            agent,
            nodes,
            next: AtomicUsize::new(0),
            headers,
            compresses: options.compresses,
            requests: AtomicU64::new(0),
            request_bytes: AtomicU64::new(0),
        })
    }

    /// How many requests may have reached a server, and the bytes of their bodies as they went.
    pub(super) fn sent(&self) -> (u64, u64) {
        (self.requests.load(Ordering::Relaxed), self.request_bytes.load(Ordering::Relaxed))
    }

    /// Sends a request, and waits for its answer.
    pub(super) fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &'static str,
        body: &[u8],
    ) -> Result<Answer, Failure> {
        self.send_within(method, path, content_type, body, ANSWER_BYTES_MAX)
    }

    /// The same, with the longest answer that is read.
    pub(super) fn send_within(
        &self,
        method: Method,
        path: &str,
        content_type: &'static str,
        body: &[u8],
        answer_bytes_max: u64,
    ) -> Result<Answer, Failure> {
        let packed = (self.compresses && body.len() >= COMPRESS_BYTES_MIN).then(|| pack(body));
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn =
            (0..self.nodes.len()).filter_map(|at| self.nodes.get(first.wrapping_add(at) % self.nodes.len()));
        // Those that were away come last. Settled now: each is asked once, whatever becomes of the others.
        let (away, there): (Vec<&Node>, Vec<&Node>) =
            in_turn.partition(|node| node.is_away.load(Ordering::Relaxed));
        let mut last = None;
        for node in there.into_iter().chain(away) {
            let sent = match &packed {
                Some(packed) => {
                    self.send_to(node, method, path, content_type, (packed, true), answer_bytes_max)
                }
                None => self.send_to(node, method, path, content_type, (body, false), answer_bytes_max),
            };
            let failed = sent.as_ref().err().filter(|failure| failure.is_unsent);
            node.is_away.store(failed.is_some(), Ordering::Relaxed);
            if failed.is_none() {
                let bytes = packed.as_deref().unwrap_or(body).len() as u64;
                self.requests.fetch_add(1, Ordering::Relaxed);
                self.request_bytes.fetch_add(bytes, Ordering::Relaxed);
                return sent;
            }
            last = Some(sent);
        }
        last.unwrap_or_else(|| {
            Err(Failure { reason: "there is no node".to_owned(), is_unsent: true, is_too_long: false })
        })
    }

    fn send_to(
        &self,
        node: &Node,
        method: Method,
        path: &str,
        content_type: &'static str,
        (body, is_packed): (&[u8], bool),
        answer_bytes_max: u64,
    ) -> Result<Answer, Failure> {
        let url = format!("{}{path}", node.url);
        let fail = |error: ureq::Error| {
            let is_unsent = is_unsent(&error);
            let is_too_long = matches!(error, ureq::Error::BodyExceedsLimit(_));
            Failure { reason: format!("{}: {error}", node.url), is_unsent, is_too_long }
        };
        let sent = match method {
            Method::Get => self.with_headers(self.agent.get(&url)).call(),
            Method::Delete => self.with_headers(self.agent.delete(&url)).call(),
            Method::Post | Method::Put => {
                let request =
                    if method == Method::Put { self.agent.put(&url) } else { self.agent.post(&url) };
                let mut request = self.with_headers(request);
                if let Some(headers) = request.headers_mut() {
                    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
                    if is_packed {
                        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                    }
                }
                request.send(body)
            }
        };
        let mut response = sent.map_err(fail)?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let body = response
            .body_mut()
            .with_config()
            .limit(answer_bytes_max)
            .read_to_vec()
            .map_err(|error| Failure { is_unsent: false, ..fail(error) })?;
        Ok(Answer { status, retry_after, body })
    }

    /// A request that says who we are.
    fn with_headers<B>(&self, mut request: RequestBuilder<B>) -> RequestBuilder<B> {
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.headers.clone());
        }
        request
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}

/// The address of a node, without a slash at its end.
fn node(url: &str) -> Result<Node> {
    let wrong = |what: &str| {
        // What stands before an @ may be a password.
        let shown = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
        Error::new(ErrorKind::Config, format!("the address \"{}\" {what}", shown.escape_debug()))
    };
    let uri: Uri = url.parse().map_err(|_| wrong("is not one"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("begins neither with http:// nor with https://"));
    }
    let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong("holds credentials: they are given apart from it"));
    }
    if uri.query().is_some() {
        return Err(wrong("has a query"));
    }
    Ok(Node { url: url.trim_end_matches('/').to_owned(), is_away: AtomicBool::new(false) })
}

fn authorization(auth: &Auth) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&auth.header())
        .map_err(|_| Error::new(ErrorKind::Config, "the credentials hold what no header can"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn roots(pem: &[u8]) -> Result<RootCerts> {
    let wrong =
        |what: &dyn fmt::Display| Error::new(ErrorKind::Config, format!("the certificates to trust: {what}"));
    let mut certificates = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| wrong(&error))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(wrong(&"there is none"));
    }
    Ok(RootCerts::Specific(Arc::new(certificates)))
}

/// The wait that a server asks for in seconds. A date is not understood: clocks differ.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    // An hour at most: it may be a mistake.
    Some(Duration::from_secs(seconds.min(3_600)))
}

/// True where it failed before anything was sent.
fn is_unsent(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::BadUri(_)
        | ureq::Error::Tls(_)
        | ureq::Error::TlsRequired
        | ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => true,
        ureq::Error::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable => true,
            // Nothing is sent before the server has shown who it is.
            _ => {
                let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
                matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
            }
        },
        _ => false,
    }
}

fn pack(body: &[u8]) -> Vec<u8> {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Memory takes everything.
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

#[cfg(test)]
mod tests;
