//! What is done with a connection once a request is there, or before.
//!
//! # Why not only responses
//! A client can tell less than it wants to from a connection that breaks. Which way it breaks decides what the client sees,
//! so each way has a name here, and none of them depends on time.

use super::{Gate, Response, Shared};
use socket2::SockRef;
use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

/// What becomes of a request that has been read.
#[derive(Clone, Debug)]
pub enum Answer {
    /// All of it; the connection stays for the next request.
    Whole(Response),
    /// The rest, once the gate is open. Nothing has been sent until then.
    After(Gate, Box<Answer>),
    /// No answer: the connection is closed.
    Close,
    /// No answer: the connection is reset.
    Reset,
    /// No answer and no close, until the gate is open; then closed.
    Hang(Gate),
    /// So many bytes of the body, whose length was said; then closed.
    Cut(Response, usize),
    /// So many bytes of the body; then reset.
    CutAndReset(Response, usize),
    /// The whole body under another length; closed then, as nobody could tell where the next answer begins.
    WrongLength(Response, usize),
    /// These bytes, whatever they are; then closed.
    Raw(Vec<u8>),
}

/// What is done with a request of which only the head has been read.
#[derive(Clone, Debug)]
pub enum Reading {
    /// It is read to its end.
    Whole,
    /// The connection is closed after so many bytes of the body.
    Close { after: usize },
    /// The connection is reset after so many bytes of the body.
    Reset { after: usize },
    /// Answered without a look at the body, as a server does that has seen its length; then closed, but the client may send on
    /// and is able to read the answer.
    Early(Answer),
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self::Whole(response)
    }
}

impl Answer {
    /// This answer, once the gate is open.
    #[must_use]
    pub fn after(self, gate: &Gate) -> Self {
        Self::After(gate.clone(), Box::new(self))
    }

    /// Half of the body.
    pub fn half(response: Response) -> Self {
        let bytes = response.frames().len() / 2;
        Self::Cut(response, bytes)
    }

    /// True if the connection may carry another request. A client that is gone gets no answer; that is no fault.
    pub(crate) fn carry_out(self, stream: &TcpStream, shared: &Shared) -> bool {
        match self {
            Self::Whole(response) => {
                let mut bytes = response.head(response.body.len());
                bytes.extend(response.frames());
                send(stream, &bytes).is_ok() && !response.closes()
            }
            Self::After(gate, answer) => shared.gates.wait(&gate) && answer.carry_out(stream, shared),
            Self::Hang(gate) => {
                shared.gates.wait(&gate);
                close(stream)
            }
            Self::Close => close(stream),
            Self::Reset => reset(stream),
            Self::Cut(response, bytes) => {
                let _ = send(stream, &cut(&response, bytes));
                close(stream)
            }
            Self::CutAndReset(response, bytes) => {
                let _ = send(stream, &cut(&response, bytes));
                reset(stream)
            }
            Self::WrongLength(response, length) => {
                let mut bytes = response.head(length);
                bytes.extend(response.frames());
                let _ = send(stream, &bytes);
                close(stream)
            }
            Self::Raw(bytes) => {
                let _ = send(stream, &bytes);
                close(stream)
            }
        }
    }
}

fn cut(response: &Response, bytes: usize) -> Vec<u8> {
    let mut sent = response.head(response.body.len());
    sent.extend(response.frames().iter().take(bytes));
    sent
}

fn send(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)
}

fn close(stream: &TcpStream) -> bool {
    let _ = stream.shutdown(Shutdown::Both);
    false
}

/// What was sent may be lost too: that is what a reset does.
fn reset(stream: &TcpStream) -> bool {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    false
}

/// Ends a connection whose client may still be sending: closed at once, the answer would be lost to a reset.
pub(crate) fn drain(stream: &TcpStream, reader: &mut impl Read) {
    let _ = stream.shutdown(Shutdown::Write);
    let _ = io::copy(reader, &mut io::sink());
}
