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

    pub(super) fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorKind::Config, message));
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
        ] {
            assert!(options.check().unwrap_err().to_string().contains(name), "{name}");
        }
        ElasticOptions::new().check().unwrap();
    }
}
