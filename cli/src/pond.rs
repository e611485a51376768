//! Opens an engine as the command line asks, over the sink that it names.
//!
//! # Design
//! Everything that the program builds of the engine is built here: one place to read what a flag does, and one
//! to change when the engine's interface does.
//!
//! Dead letters always have a file: without `--dead-letters` it is [`DEAD_LETTERS`], in the segment directory if there
//! is one. It is made when there is a first letter. An operation that was accepted must not be lost because
//! a flag was not given.

pub use millpond::{
    Engine, Source, Stats,
    segments::{SegmentReader, verify},
};

use crate::{
    args::{Impact, Replay, SinkName},
    failure::{Failure, Result},
    sync::Mutex,
};
use millpond::{
    Base, DeadLetter, DeadLetterFile, DeadLetters, ErrorKind, Full, Journal, NdjsonSink, NullSink, Sink,
    elastic::ElasticSink,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Where dead letters go if no flag says where.
pub const DEAD_LETTERS: &str = "dead-letters.ndjson";
/// The directory of segments if no flag names a sink.
const DIRECTORY: &str = "millpond-data";
/// The engine's settings, and the flags that set them.
const FLAGS: [(&str, &str); 6] = [
    ("drain_threads", "--requests"),
    ("late_request_bound", "--late-request-bound"),
    ("memory_bytes", "--memory"),
    ("max_delay", "--max-delay"),
    ("batch_bytes", "--batch-bytes"),
    ("batch_operations", "--batch-ops"),
];
/// How often a writer that waits for room looks whether it should stop.
const SUBMIT_WAIT: Duration = Duration::from_millis(100);

/// An engine over the sink of the command line.
#[derive(Debug)]
pub struct Pond {
    /// The engine.
    pub engine: Engine,
    /// The sink, with the directory that was chosen if none was named.
    pub sink: SinkName,
    /// The file of dead letters.
    pub dead_letters: PathBuf,
    /// Standard output, if that is the sink: its reader may go away.
    stdout: Option<Arc<NdjsonSink>>,
}

impl Pond {
    /// Opens what `args` ask for.
    pub fn open(args: &Replay) -> Result<Self> {
        let named = args.sink()?;
        args.server.check(named.as_ref())?;
        let sink = match named {
            Some(sink) => sink,
            None => SinkName::Segments(fresh_directory(Path::new(DIRECTORY))?),
        };
        let dead_letters = match (&args.dead_letters, &sink) {
            (Some(path), _) => path.clone(),
            (None, SinkName::Segments(directory)) => directory.join(DEAD_LETTERS),
            (None, _) => DEAD_LETTERS.into(),
        };
        let letters = LateFile::new(dead_letters.clone());
        let mut builder = Engine::builder()
            .memory_bytes(args.memory)
            .max_delay(args.max_delay)
            .late_request_bound(args.server.late_request_bound)
            .dead_letters(Arc::new(letters))
            .full(Full::Wait(SUBMIT_WAIT));
        if let Some(bytes) = args.batch_bytes {
            builder = builder.batch_bytes(bytes);
        }
        if let Some(operations) = args.batch_ops {
            builder = builder.batch_operations(operations.get());
        }
        if let Some(directory) = &args.journal {
            builder = builder.journal(directory, args.sync.unwrap_or(Journal::Always));
        }
        let mut stdout = None;
        let engine = match &sink {
            SinkName::Segments(path) => builder.open(path),
            SinkName::Ndjson(path) => {
                NdjsonSink::create(path).and_then(|sink| builder.build(Arc::new(sink), None))
            }
            SinkName::Stdout => builder
                .build(Arc::clone(stdout.insert(Arc::new(NdjsonSink::stdout()))) as Arc<dyn Sink>, None),
            SinkName::Null => builder.build(Arc::new(NullSink), None),
            SinkName::Server(urls) => {
                let sink = Arc::new(args.server.open(urls)?);
                let base: Arc<dyn Base> = Arc::clone(&sink) as _;
                builder
                    .drain_threads(args.server.requests())
                    .adaptive(!args.server.fixed)
                    .build(sink, Some(base))
            }
        };
        let engine = engine.map_err(|error| match error.kind() {
            ErrorKind::Config => Failure::Usage(with_flags(error.message())),
            _ => Failure::Failed(match &args.journal {
                None => format!("--sink {sink}: {error}"),
                Some(journal) => format!("--sink {sink} --journal {}: {error}", journal.display()),
            }),
        })?;
        Ok(Self { engine, sink, dead_letters, stdout })
    }

    /// True once nobody reads what is sent: the sink is standard output, and it is closed.
    pub fn is_reader_gone(&self) -> bool {
        self.stdout.as_ref().is_some_and(|sink| sink.is_broken_pipe())
    }
}

/// An engine over a server that is measured.
pub fn over_server(
    args: &Impact,
    sink: &Arc<ElasticSink>,
    max_delay: Duration,
    letters: Arc<dyn DeadLetters>,
) -> Result<Engine> {
    Engine::builder()
        .memory_bytes(args.memory)
        .max_delay(max_delay)
        .late_request_bound(args.server.late_request_bound)
        .batch_operations(args.batch_ops.get())
        .drain_threads(args.requests())
        .adaptive(args.adapts())
        .dead_letters(letters)
        .full(Full::Wait(SUBMIT_WAIT))
        .build(Arc::clone(sink) as Arc<dyn Sink>, Some(Arc::clone(sink) as Arc<dyn Base>))
        .map_err(|error| match error.kind() {
            ErrorKind::Config => Failure::Usage(with_flags(error.message())),
            _ => Failure::from(error),
        })
}

/// A message about settings, in the words of the command line.
pub fn with_flags(message: &str) -> String {
    FLAGS.into_iter().fold(message.to_owned(), |text, (setting, flag)| text.replace(setting, flag))
}

/// The first of `name`, `name-2`, `name-3` and so on that is not there, or is an empty directory.
fn fresh_directory(name: &Path) -> Result<PathBuf> {
    let numbered = (2_u64..).map(|number| PathBuf::from(format!("{}-{number}", name.display())));
    for path in std::iter::once(name.to_owned()).chain(numbered) {
        match fs::read_dir(&path).map(|mut entries| entries.next().is_none()) {
            Ok(true) => return Ok(path),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) => {
                let what =
                    format!("looking for a fresh directory at {} (--sink names another)", path.display());
                return Err(Failure::io(what, &error));
            }
        }
    }
    Err(Failure::Failed(format!("no name like {} is free: pass --sink segments:DIR", name.display())))
}

/// A file of dead letters that is made when there is a first one.
#[derive(Debug)]
pub struct LateFile {
    path: PathBuf,
    file: Mutex<Option<DeadLetterFile>>,
}

impl LateFile {
    /// A file that is not there yet, or is added to.
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: Mutex::new(None) }
    }
}

impl DeadLetters for LateFile {
    fn record(&self, letter: &DeadLetter<'_>) -> millpond::Result<()> {
        let mut file = self.file.lock();
        let file = match &mut *file {
            Some(file) => file,
            none => none.insert(DeadLetterFile::open(&self.path)?),
        };
        file.record(letter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_holds_something_is_never_chosen() {
        let directory = tempfile::tempdir().unwrap();
        let name = directory.path().join("data");
        let numbered = |number: u32| directory.path().join(format!("data-{number}"));
        assert_eq!(fresh_directory(&name).unwrap(), name);
        fs::create_dir(&name).unwrap();
        assert_eq!(fresh_directory(&name).unwrap(), name);
        fs::write(name.join("file"), "").unwrap();
        assert_eq!(fresh_directory(&name).unwrap(), numbered(2));
        fs::write(numbered(2), "a file, not a directory").unwrap();
        assert_eq!(fresh_directory(&name).unwrap(), numbered(3));
    }
}
