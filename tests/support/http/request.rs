//! What a client sent, read from its connection.
//!
//! # Design
//! A head of at most [`HEAD_BYTES_MAX`], then a body by `content-length` or in chunks, then decoded where it says that it is gzip.
//! What breaks HTTP is told apart from a client that went away, which it may.

use flate2::read::MultiGzDecoder;
use std::io::{self, BufRead, Read};

/// Bytes of a head, and of a line that says how long a chunk is.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// One request, with its body as it was before compression.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// From 0, in the order in which heads were read.
    pub number: usize,
    /// From 0, in the order in which connections were accepted.
    pub connection: usize,
    pub method: String,
    /// With what follows a question mark.
    pub path: String,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Bytes of the body as it was sent: compressed, without the frames of chunks.
    pub sent_bytes: usize,
    /// The body is there to its end.
    pub whole: bool,
}

/// Why a request was not read.
#[derive(Debug)]
pub(crate) enum Fault {
    Gone,
    Malformed(String),
}

impl From<io::Error> for Fault {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl Request {
    /// The first header of that name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The path without what follows a question mark.
    pub fn route(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of UTF-8")
    }

    pub(crate) fn without_body(&self) -> Self {
        Self {
            method: self.method.clone(),
            path: self.path.clone(),
            headers: self.headers.clone(),
            body: Vec::new(),
            ..*self
        }
    }

    pub(crate) fn wants_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// Reads up to the empty line. A connection that is closed before the first byte, or in between, is gone.
    pub(crate) fn read_head(reader: &mut impl BufRead, connection: usize) -> Result<Self, Fault> {
        let malformed = |line: &str| Fault::Malformed(format!("{line:?} is no line of a head"));
        let mut left = HEAD_BYTES_MAX;
        let first = line(reader, &mut left)?;
        let mut words = first.split(' ');
        let mut request = match (words.next(), words.next(), words.next(), words.next()) {
            (Some(method), Some(path), Some("HTTP/1.1"), None) if path.starts_with('/') => {
                Self { connection, method: method.to_owned(), path: path.to_owned(), ..Self::default() }
            }
            _ => return Err(malformed(&first)),
        };
        loop {
            let header = line(reader, &mut left)?;
            if header.is_empty() {
                return Ok(request);
            }
            let (name, value) = header.split_once(':').ok_or_else(|| malformed(&header))?;
            request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// Reads the body to its end and decodes it.
    pub(crate) fn read_body(&mut self, reader: &mut impl BufRead) -> Result<(), Fault> {
        let mut sent = Vec::new();
        let read = self.read_sent(reader, usize::MAX, &mut sent);
        self.sent_bytes = sent.len();
        if read.is_ok() && self.header("content-encoding") == Some("gzip") {
            self.body.clear();
            let decoded = MultiGzDecoder::new(&*sent).read_to_end(&mut self.body);
            decoded.map_err(|error| Fault::Malformed(format!("a body that is no gzip: {error}")))?;
        } else {
            self.body = sent;
        }
        self.whole = read.is_ok();
        read
    }

    /// Reads so many bytes of the body, as they were sent, or all if there are fewer.
    pub(crate) fn read_part(&mut self, reader: &mut impl BufRead, bytes: usize) {
        let mut sent = Vec::new();
        // A client that goes away in between has been cut off as well.
        let _ = self.read_sent(reader, bytes, &mut sent);
        self.sent_bytes = sent.len();
        self.body = sent;
    }

    fn read_sent(&self, reader: &mut impl BufRead, most: usize, sent: &mut Vec<u8>) -> Result<(), Fault> {
        let malformed = |what: &str, value: &str| Fault::Malformed(format!("{what} {value:?}"));
        let by_chunks =
            self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        match self.header("content-length") {
            Some(length) if by_chunks => Err(malformed("chunks and a content-length", length)),
            Some(length) => {
                let bytes = length.parse::<usize>().map_err(|_| malformed("a content-length", length))?;
                exactly(reader, bytes.min(most), sent)
            }
            None if !by_chunks => Ok(()),
            None => loop {
                let mut left = HEAD_BYTES_MAX;
                let size = line(reader, &mut left)?;
                let digits = size.split(';').next().unwrap_or_default().trim();
                let bytes =
                    usize::from_str_radix(digits, 16).map_err(|_| malformed("a chunk's size", &size))?;
                let wanted = bytes.min(most - sent.len());
                exactly(reader, wanted, sent)?;
                if wanted < bytes {
                    return Ok(());
                }
                // After the last one stand trailers, of which there are none, and an empty line.
                let end = line(reader, &mut left)?;
                if !end.is_empty() {
                    return Err(malformed("after a chunk", &end));
                }
                if bytes == 0 {
                    return Ok(());
                }
            },
        }
    }
}

fn exactly(reader: &mut impl BufRead, bytes: usize, into: &mut Vec<u8>) -> Result<(), Fault> {
    let read = reader.by_ref().take(u64::try_from(bytes).unwrap()).read_to_end(into)?;
    if read == bytes { Ok(()) } else { Err(Fault::Gone) }
}

/// A line without its end.
fn line(reader: &mut impl BufRead, left: &mut usize) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    let read = reader.by_ref().take(u64::try_from(*left).unwrap()).read_until(b'\n', &mut bytes)?;
    *left -= read;
    if *left == 0 {
        return Err(Fault::Malformed(format!("a head of more than {HEAD_BYTES_MAX} bytes")));
    }
    let Some(text) = bytes.strip_suffix(b"\r\n") else {
        return Err(if bytes.ends_with(b"\n") {
            Fault::Malformed("a bare line feed".to_owned())
        } else {
            Fault::Gone
        });
    };
    String::from_utf8(text.to_vec()).map_err(|_| Fault::Malformed("a head that is no UTF-8".to_owned()))
}
