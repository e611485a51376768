//! Where letters are sent again: the sink, an engine over it, and what the sink holds.
//!
//! # Design
//! Every sink that a replay takes. A store and a server can be asked what they hold of a document; a file of bulk lines and
//! nothing at all hold none, and take every letter.
//!
//! Under `--force` nothing is asked, and letters go out as new operations, with the engine's own id and numbers.

use super::{
    again::{Again, AgainLetters, Flights},
    evidence::{Evidence, in_store, on_server},
    letter::Letter,
};
use crate::{
    args::{LettersReplay, SinkName},
    failure::{Failure, Result},
    pond::{LateFile, with_flags},
};
use millpond::{
    Base, BaseKey, Engine, ErrorKind, Full, NdjsonSink, NullSink, Sink, elastic::ElasticSink,
    segments::SegmentSink,
};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Where letters go that are refused again, if no flag says where.
pub(super) const REFUSED_AGAIN: &str = "dead-letters-again.ndjson";
/// A letter has waited long enough.
const DELAY: Duration = Duration::from_millis(10);
/// The longest wait for room. Rounds are small beside the memory bound.
const SUBMIT_WAIT: Duration = Duration::from_hours(24);

/// What can be asked what it holds.
enum Holds {
    Nothing,
    Store(SegmentSink),
    Server(Arc<ElasticSink>),
}

/// See the module.
pub(super) struct Target {
    pub(super) engine: Engine,
    pub(super) flights: Arc<Flights>,
    /// Where letters go that are refused again.
    pub(super) letters: PathBuf,
    /// Standard output, if that is the sink: its reader may go away.
    stdout: Option<Arc<NdjsonSink>>,
    holds: Holds,
    is_forced: bool,
}

impl Target {
    /// Opens what `args` ask for.
    pub(super) fn open(args: &LettersReplay, name: &SinkName) -> Result<Self> {
        let (mut holds, mut stdout) = (Holds::Nothing, None);
        let failed = |error: millpond::Error| match error.kind() {
            ErrorKind::Config => Failure::Usage(with_flags(error.message())),
            _ => Failure::Failed(format!("--sink {name}: {error}")),
        };
        let (sink, base): (Arc<dyn Sink>, Option<Arc<dyn Base>>) = match name {
            SinkName::Segments(path) => {
                let store = SegmentSink::open(path).map_err(failed)?;
                holds = Holds::Store(store.clone());
                (Arc::new(store.clone()), Some(Arc::new(store)))
            }
            SinkName::Server(urls) => {
                let server = Arc::new(args.server.open(urls)?);
                holds = Holds::Server(Arc::clone(&server));
                (server, None)
            }
            SinkName::Ndjson(path) => (Arc::new(NdjsonSink::create(path).map_err(failed)?), None),
            SinkName::Stdout => {
                (Arc::clone(stdout.insert(Arc::new(NdjsonSink::stdout()))) as Arc<dyn Sink>, None)
            }
            SinkName::Null => (Arc::new(NullSink), None),
        };
        let flights = Arc::new(Flights::default());
        let path = args.dead_letters.clone().unwrap_or_else(|| REFUSED_AGAIN.into());
        let letters = AgainLetters { file: LateFile::new(path.clone()), flights: Arc::clone(&flights) };
        let sink = if args.force {
            sink
        } else {
            Arc::new(Again { inner: sink, flights: Arc::clone(&flights) }) as Arc<dyn Sink>
        };
        let engine = Engine::builder()
            .memory_bytes(args.memory)
            .max_delay(DELAY)
            .late_request_bound(args.server.late_request_bound)
            .drain_threads(args.server.requests())
            .dead_letters(Arc::new(letters))
            .full(Full::Wait(SUBMIT_WAIT))
            .build(sink, base)
            .map_err(failed)?;
        Ok(Self { engine, flights, letters: path, stdout, holds, is_forced: args.force })
    }

    /// Has what goes out next carry this engine's id, where it is known. Nothing may be out.
    pub(super) fn identify(&self, engine: Option<u128>) {
        if let (Holds::Server(server), Some(engine), false) = (&self.holds, engine, self.is_forced) {
            server.identify(engine);
        }
    }

    /// What is known of the document of each letter. An error may be gone when it is tried again.
    pub(super) fn evidence(&self, letters: &[&Letter]) -> millpond::Result<Vec<Evidence>> {
        let unread = |error: millpond::Error| Evidence::Untold(format!("it cannot be read: {error}"));
        match &self.holds {
            _ if self.is_forced => Ok(vec![Evidence::Nothing; letters.len()]),
            Holds::Nothing => Ok(vec![Evidence::Nothing; letters.len()]),
            Holds::Store(store) => {
                let keys: Vec<BaseKey<'_>> =
                    letters.iter().map(|letter| BaseKey::new(&letter.index, &letter.id)).collect();
                let pairs = letters.iter().zip(store.read(&keys));
                let judge = |(letter, held): (&&Letter, millpond::Result<Option<_>>)| match held {
                    Ok(held) => in_store(letter, held.as_ref()),
                    Err(error) => unread(error),
                };
                Ok(pairs.map(judge).collect())
            }
            Holds::Server(server) => {
                let keys: Vec<(&str, &str, Option<&str>)> = letters
                    .iter()
                    .map(|letter| (&*letter.index, &*letter.id, letter.routing.as_deref()))
                    .collect();
                let pairs = letters.iter().zip(server.standings(&keys)?);
                let judge = |(letter, held): (&&Letter, millpond::Result<Option<_>>)| match held {
                    Ok(held) => on_server(letter, held.as_ref()),
                    Err(error) => unread(error),
                };
                Ok(pairs.map(judge).collect())
            }
        }
    }

    /// True where a document that was just written says so by itself the next time it is asked.
    pub(super) fn tells_of_its_own_writes(&self) -> bool {
        matches!(self.holds, Holds::Store(_))
    }

    /// True once nobody reads what is sent.
    pub(super) fn is_reader_gone(&self) -> bool {
        self.stdout.as_ref().is_some_and(|sink| sink.is_broken_pipe())
    }
}
