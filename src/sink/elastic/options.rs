//! What a sink on a server is told beside its address.

use crate::{Error, ErrorKind, Result};
use std::{fmt, time::Duration};

/// Bytes of one request, uncompressed, where nothing is said.
const REQUEST_BYTES: usize = 8 * 1024 * 1024;
/// The least.
const REQUEST_BYTES_MIN: usize = 1024;
/// The most: what servers take at most by themselves.
const REQUEST_BYTES_MAX: usize = 100 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECTIONS_MAX: usize = 16;
/// The field of a document that holds its fence.
const FENCE_FIELD: &str = "_millpond";

/// Who the server is told we are. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum Auth {
    /// `USER:PASSWORD`.
    Basic(String),
    /// An API key, as the server encoded it.
    ApiKey(String),
    /// A token.
    Bearer(String),
}

impl Auth {
    /// What stands in the header.
    pub(super) fn header(&self) -> String {
        match self {
            Self::Basic(pair) => format!("Basic {}", base64(pair.as_bytes())),
            Self::ApiKey(key) => format!("ApiKey {key}"),
            Self::Bearer(token) => format!("Bearer {token}"),
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic(_) => "Basic(…)",
            Self::ApiKey(_) => "ApiKey(…)",
            Self::Bearer(_) => "Bearer(…)",
        })
    }
}

/// By which versions a server tells whether a document is the one that an operation was made from: see
/// [`ElasticOptions::versioning`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versioning {
    /// The server's own.
    #[default]
    Internal,
    /// The sequence numbers of the engine.
    External,
}

/// What goes out, and how it is told from what was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Net operations.
    Net,
    /// Whole documents, under the version of those that they were made from.
    Resolved,
    /// Whole documents, with versions of our own.
    External,
}

/// Settings of an [`ElasticSink`](super::ElasticSink).
#[derive(Clone, Debug)]
#[must_use]
pub struct ElasticOptions {
    pub(super) auth: Option<Auth>,
    pub(super) ca: Option<Vec<u8>>,
    pub(super) compresses: bool,
    pub(super) request_bytes: usize,
    pub(super) connect_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) connections_max: usize,
    pub(super) fence_field: String,
    resolves: bool,
    versioning: Versioning,
}

impl Default for ElasticOptions {
    fn default() -> Self {
        Self {
            auth: None,
            ca: None,
            compresses: false,
            request_bytes: REQUEST_BYTES,
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
            connections_max: CONNECTIONS_MAX,
            fence_field: FENCE_FIELD.to_owned(),
            resolves: false,
            versioning: Versioning::Internal,
        }
    }
}

impl ElasticOptions {
    /// The settings that hold where nothing else is said.
    pub fn new() -> Self {
        Self::default()
    }

    /// With what the server is asked to let us in; nothing unless said.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Certificates to trust, as PEM, instead of the authorities that are trusted by all.
    pub fn ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca = Some(pem.into());
        self
    }

    /// Whether requests are compressed by gzip, and answers asked for compressed; false unless said. It costs processor time on
    /// both sides, and saves some nine tenths of the bytes between them.
    pub fn compress(mut self, compresses: bool) -> Self {
        self.compresses = compresses;
        self
    }

    /// The most bytes of one request, before compression; 8 MiB unless said, 1 KiB to 100 MiB. A server that refuses requests as
    /// too large, or is overloaded by them, gets smaller ones.
    pub fn request_bytes(mut self, bytes: usize) -> Self {
        self.request_bytes = bytes;
        self
    }

    /// How long a connection may take to come about; 5 s unless said.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a request may take until all of its answer is there; 30 s unless said. After that its outcome is unknown: keep
    /// it below [`Builder::late_request_bound`](crate::Builder::late_request_bound).
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// The field in which documents carry their fence; `_millpond` unless said. It is a name, not a path.
    pub fn fence_field(mut self, name: impl Into<String>) -> Self {
        self.fence_field = name.into();
        self
    }

    /// Whether documents are read, once, and sent whole; false unless said, and then operations are sent as they are and the server
    /// applies them. What is made from a document goes out under the condition that it is still there, so that what others write is
    /// kept; what decides a document by itself, an `index` or a `delete`, is sent without one. The server has less to do, and every digit is
    /// kept; the program needs memory for the documents that it keeps ([`Builder::keep_known`](crate::Builder::keep_known)).
    pub fn resolve(mut self, resolves: bool) -> Self {
        self.resolves = resolves;
        self
    }

    /// By which versions a server tells documents apart, where they are [resolved](Self::resolve): [`Versioning::Internal`] unless said.
    /// With [`Versioning::External`] a document's version is the sequence number of the last operation in it, and the
    /// server refuses what is older: for indices that one engine writes and nobody else.
    pub fn versioning(mut self, versioning: Versioning) -> Self {
        self.versioning = versioning;
        self
    }

    pub(super) fn mode(&self) -> Mode {
        match (self.resolves, self.versioning) {
            (false, _) => Mode::Net,
            (true, Versioning::Internal) => Mode::Resolved,
            (true, Versioning::External) => Mode::External,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorKind::Config, message));
        if self.versioning == Versioning::External && !self.resolves {
            let message = "versioning is external, and resolve is not set: a server takes versions of one's own for whole documents \
                           only, and without it operations are sent as they are";
            return wrong(message.to_owned());
        }
        if !(REQUEST_BYTES_MIN..=REQUEST_BYTES_MAX).contains(&self.request_bytes) {
            return wrong(format!(
                "request_bytes is {}; it may be {REQUEST_BYTES_MIN} to {REQUEST_BYTES_MAX}",
                self.request_bytes
            ));
        }
        for (name, timeout) in
            [("connect_timeout", self.connect_timeout), ("request_timeout", self.request_timeout)]
        {
            if timeout.is_zero() {
                return wrong(format!("{name} is zero; nothing can be done in no time"));
            }
        }
        if self.fence_field.is_empty() || self.fence_field.contains('.') {
            return wrong(format!(
                "fence_field is \"{}\"; it is one field's name",
                self.fence_field.escape_debug()
            ));
        }
        Ok(())
    }
}

/// Base64 with padding, as RFC 4648 has it.
fn base64(bytes: &[u8]) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_written_as_their_schemes_have_it_and_never_shown() {
        // The example of RFC 7617.
        let basic = Auth::Basic("Aladdin:open sesame".to_owned());
        assert_eq!(basic.header(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(Auth::ApiKey("a2V5".to_owned()).header(), "ApiKey a2V5");
        assert_eq!(Auth::Bearer("t".to_owned()).header(), "Bearer t");
        let shown = format!("{:?}", ElasticOptions::new().auth(basic));
        assert!(!shown.contains("Aladdin") && !shown.contains("QWxh"), "{shown}");
    }

    #[test]
    fn a_setting_out_of_its_range_is_named() {
        for (options, name) in [
            (ElasticOptions::new().request_bytes(10), "request_bytes"),
            (ElasticOptions::new().request_timeout(Duration::ZERO), "request_timeout"),
            (ElasticOptions::new().fence_field("a.b"), "fence_field"),
            (ElasticOptions::new().versioning(Versioning::External), "versioning"),
        ] {
            assert!(options.check().unwrap_err().to_string().contains(name), "{name}");
        }
        ElasticOptions::new().check().unwrap();
    }
}
