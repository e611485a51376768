//! A server of HTTP/1.1 that answers by a script: for what real servers do too rarely.
//!
//! # Design
//! [`FakeServer`] listens on a loopback port of its own. Each connection has a thread that reads a [`Request`], records it, asks
//! the script, a closure from the request to an [`Answer`], and carries that out. A script that has to decide before the
//! body is there is a second one, to a [`Reading`]. Nothing waits for time: an answer is held back at a [`Gate`] until the test opens it,
//! and [`wait_for`](FakeServer::wait_for) returns when so many requests are there.
//!
//! [`BulkModel`] is what a search server would do with `_bulk`, `_mget` and a few more; scripts wrap it.
//!
//! # Why not a crate
//! Those there are answer well: what is needed here are answers that are cut, reset, of another length than they say, or never
//! there, and requests that are not read to their end. A server's frame hides exactly these.
//!
//! # Invariants
//! 1. A request is in the record before the script is asked, so a test that is let go by the script finds it there.
//! 2. Once dropped or [`shut_down`](FakeServer::shut_down), no thread of it is left, whatever its answers wait for.
//! 3. A script that panicked, and a client that broke HTTP, fail the test then.
#![allow(dead_code, unused_imports, reason = "each binary uses its own part of the shared support")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking, and clippy sees helpers as no tests"
)]
#![allow(missing_docs, unreachable_pub, reason = "test support is read in its source, and has no outside")]

mod answer;
mod bulk;
mod gate;
mod request;
mod response;

pub use answer::{Answer, Reading};
pub use bulk::{BulkModel, Context, Item, Kind, Refusal, SharedModel, Stored};
pub use gate::Gate;
pub use request::Request;
pub use response::Response;

use gate::Gates;
use request::Fault;
use std::{
    collections::BTreeMap,
    fmt,
    io::{BufReader, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How long a test waits for what must come: it has failed then.
const WAIT_MOST: Duration = Duration::from_mins(1);

type Script = Box<dyn Fn(&Request) -> Answer + Send + Sync>;
type ReadingScript = Box<dyn Fn(&Request) -> Reading + Send + Sync>;

/// What a server is started with, besides its script.
#[derive(Default)]
pub struct Setup {
    reading: Option<ReadingScript>,
    forgets: bool,
    address: Option<SocketAddr>,
}

impl Setup {
    /// Decides before the body is read; the request that is shown has none yet.
    #[must_use]
    pub fn reading(mut self, script: impl Fn(&Request) -> Reading + Send + Sync + 'static) -> Self {
        self.reading = Some(Box::new(script));
        self
    }

    /// The record keeps no bodies: for runs that would fill the memory.
    #[must_use]
    pub fn forgetting_bodies(mut self) -> Self {
        self.forgets = true;
        self
    }

    /// Listens where another server was before.
    #[must_use]
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    pub fn start(self, script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> FakeServer {
        let listener =
            TcpListener::bind(self.address.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into())).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            reading: self.reading.unwrap_or_else(|| Box::new(|_| Reading::Whole)),
            forgets: self.forgets,
            read: AtomicUsize::new(0),
            gates: Gates::default(),
            state: Mutex::default(),
            recorded: Condvar::new(),
        });
        let acceptor = start_thread("fake-accept", {
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        FakeServer { address, shared, acceptor: Some(acceptor) }
    }
}

/// A scripted server; its threads end with it.
pub struct FakeServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

pub(crate) struct Shared {
    script: Script,
    reading: ReadingScript,
    forgets: bool,
    read: AtomicUsize,
    pub(crate) gates: Gates,
    state: Mutex<State>,
    recorded: Condvar,
}

#[derive(Default)]
struct State {
    stopping: bool,
    accepted: usize,
    open: BTreeMap<usize, TcpStream>,
    requests: Vec<Request>,
    broken: Vec<String>,
}

impl FakeServer {
    /// Answers every request by the script.
    pub fn start(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Setup::default().start(script)
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has been recorded, in order. A request whose body was not read to its end is not [`whole`](Request::whole).
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// Returns once at least so many requests are recorded.
    pub fn wait_for(&self, count: usize) -> Vec<Request> {
        let state = self.shared.state();
        let (state, timeout) = self
            .shared
            .recorded
            .wait_timeout_while(state, WAIT_MOST, |state| state.requests.len() < count)
            .unwrap_or_else(PoisonError::into_inner);
        let here = state.requests.len();
        assert!(!timeout.timed_out(), "{here} of {count} requests have come within {WAIT_MOST:?}");
        state.requests.clone()
    }

    /// Connections that were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.state().accepted
    }

    /// Closes every connection, those that wait for the next request too. More may be made.
    pub fn close_connections(&self) {
        for stream in self.shared.state().open.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Stops listening, lets go what waits, closes every connection and joins every thread.
    ///
    /// # Panics
    /// If a script panicked or a client broke HTTP.
    pub fn shut_down(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        self.shared.state().stopping = true;
        self.shared.gates.give_up();
        self.close_connections();
        // Wakes the acceptor, which then sees that it is over.
        drop(TcpStream::connect(self.address));
        let joined = acceptor.join();
        let broken = std::mem::take(&mut self.shared.state().broken);
        // A test that fails already is not to be aborted.
        if !thread::panicking() {
            assert!(joined.is_ok(), "a script panicked");
            assert!(broken.is_empty(), "a client broke HTTP: {broken:?}");
        }
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl fmt::Debug for FakeServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, request: &Request) {
        let kept = if self.forgets { request.without_body() } else { request.clone() };
        self.state().requests.push(kept);
        self.recorded.notify_all();
    }
}

/// A thread that is joined when the server ends; one of a scope would keep the server in that scope.
fn start_thread<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new().name(name.to_owned()).spawn(run).unwrap()
}

/// Gives every connection a thread; ends with all of them.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    let mut panicked = false;
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let mut state = shared.state();
        if state.stopping {
            break;
        }
        let number = state.accepted;
        state.accepted += 1;
        state.open.insert(number, stream.try_clone().unwrap());
        drop(state);
        let (ended, running) = threads.into_iter().partition(JoinHandle::is_finished);
        threads = running;
        panicked |= join(ended);
        let connection = Connection { stream, number, shared: Arc::clone(shared) };
        threads.push(start_thread("fake-connection", move || connection.serve()));
    }
    panicked |= join(threads);
    assert!(!panicked, "a script panicked");
}

/// True if one of them panicked.
fn join(threads: Vec<JoinHandle<()>>) -> bool {
    threads.into_iter().map(JoinHandle::join).filter(Result::is_err).count() > 0
}

/// A client's connection. However its thread ends, the client learns of it.
struct Connection {
    stream: TcpStream,
    number: usize,
    shared: Arc<Shared>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The other handle of this stream: a socket is closed, or reset, with its last one.
        drop(self.shared.state().open.remove(&self.number));
    }
}

impl Connection {
    /// Request after request, until an answer ends the connection or the client does.
    fn serve(&self) {
        let (stream, shared) = (&self.stream, &*self.shared);
        // What is sent goes out as it is written: a cut answer is cut where the script says.
        stream.set_nodelay(true).unwrap();
        let mut reader = BufReader::new(stream);
        loop {
            let mut request = match Request::read_head(&mut reader, self.number) {
                Ok(request) => request,
                Err(fault) => return shared.note(fault),
            };
            // ORDERING: a number, nothing else is read by it.
            request.number = shared.read.fetch_add(1, Ordering::Relaxed);
            let answer = match (shared.reading)(&request) {
                Reading::Whole => {
                    if request
                        .header("expect")
                        .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
                    {
                        let _ = (&mut &*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
                    }
                    let read = request.read_body(&mut reader);
                    shared.record(&request);
                    if let Err(fault) = read {
                        return shared.note(fault);
                    }
                    (shared.script)(&request)
                }
                Reading::Early(answer) => {
                    shared.record(&request);
                    answer.carry_out(stream, shared);
                    return answer::drain(stream, &mut reader);
                }
                Reading::Close { after } => {
                    request.read_part(&mut reader, after);
                    shared.record(&request);
                    Answer::Close
                }
                Reading::Reset { after } => {
                    request.read_part(&mut reader, after);
                    shared.record(&request);
                    Answer::Reset
                }
            };
            if !answer.carry_out(stream, shared) || request.wants_close() {
                return;
            }
        }
    }
}

impl Shared {
    /// A client that went away may do so; one that says what is no HTTP may not.
    fn note(&self, fault: Fault) {
        if let Fault::Malformed(what) = fault {
            self.state().broken.push(what);
        }
    }
}
