//! The plainest client: what it sends and sees is what is on the wire.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

/// A test that waits longer has failed.
const WAIT_MOST: Duration = Duration::from_mins(1);

/// One connection.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

/// A status, header lines and a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: impl ToSocketAddrs) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(WAIT_MOST)).unwrap();
        stream.set_write_timeout(Some(WAIT_MOST)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        self.reader.get_mut()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream().write_all(bytes).unwrap();
    }

    /// Sends a request with a length, and with these header lines.
    pub(crate) fn request(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) {
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {length}\r\n\r\n");
        self.send(&[head.as_bytes(), body].concat());
    }

    pub(crate) fn post(&mut self, path: &str, body: &str) {
        self.request("POST", path, "content-type: application/x-ndjson\r\n", body.as_bytes());
    }

    /// Reads one answer that is whole, by its length or in chunks.
    pub(crate) fn answer(&mut self) -> Seen {
        let first = self.line();
        let status = first.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {first:?}"));
        let mut seen = Seen { status: status.parse().unwrap(), headers: Vec::new(), body: Vec::new() };
        loop {
            match self.line().to_ascii_lowercase() {
                line if line.is_empty() => break,
                line => seen.headers.push(line),
            }
        }
        if seen.headers.iter().any(|line| line == "transfer-encoding: chunked") {
            loop {
                let bytes = u64::from_str_radix(&self.line(), 16).unwrap();
                self.reader.by_ref().take(bytes).read_to_end(&mut seen.body).unwrap();
                assert_eq!(self.line(), "");
                if bytes == 0 {
                    return seen;
                }
            }
        }
        let length = seen.headers.iter().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.reader.read_exact(&mut body).unwrap();
        seen.body = body;
        seen
    }

    /// Everything until the connection ends.
    pub(crate) fn rest(&mut self) -> std::io::Result<String> {
        let mut rest = Vec::new();
        self.reader.read_to_end(&mut rest)?;
        Ok(String::from_utf8(rest).unwrap())
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.strip_suffix("\r\n").unwrap_or_else(|| panic!("{line:?} has no end")).to_owned()
    }
}
