//! The command line: what `--help` shows.

mod impact;
mod letters;
mod sink;

pub use impact::Impact;
pub use letters::{LettersCommand, LettersList, LettersReplay};
pub use sink::{Server, SinkName};

use crate::{estimate::Window, failure::Result as Tried, units};
use clap::{Args as ClapArgs, Parser, Subcommand};
use millpond::Journal;
use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

const EXAMPLES: &str = "\
Examples:
  millpond replay                                     fold the bundled year of flights into ./millpond-data
  millpond replay bulk.ndjson.gz --sink segments:db   fold a file of bulk lines into segments
  millpond estimate bulk.ndjson.gz                    what folding them would save
  millpond impact --sink http://127.0.0.1:9200        what folding them saves a server, measured on it
  millpond get db aircraft N14228                     one document
  millpond scan db --index aircraft --limit 3         documents in order of id

Exit status: 0 all well; 1 failed; 2 wrong usage; 3 finished with rejects or dead letters; 130 interrupted.";

const REPLAY_EXAMPLES: &str = "\
Examples:
  millpond replay
      fold the bundled year of flights into a fresh directory and report what was saved
  millpond replay day1.ndjson.zst day2.ndjson.gz --sink segments:db --rejects bad.ndjson
      fold two files, one after the other; lines that are refused go to bad.ndjson, to be mended and replayed
  tail -n +1 bulk.ndjson | millpond replay - --index logs --sink ndjson:- > folded.ndjson
      one operation per document as bulk lines; lines that name no index go to logs
  MILLPOND_BASIC=user:password millpond replay bulk.ndjson --sink https://search:9200 --ca ca.pem
      send what is left of it to a server
  millpond generate --documents 1000000 --operations 5000000 | millpond replay - --sink null --memory 64MiB
      measure on a made-up stream

The input is Elasticsearch bulk NDJSON, plain, gzip or zstd, told by its first bytes. An action line may
hold _index, _id and routing. The first Ctrl-C stops reading, drains and reports; the second one exits at once.
Exit status: 0 all well; 1 failed; 2 wrong usage; 3 finished with rejects or dead letters; 130 interrupted.";

const ESTIMATE_HELP: &str = "\
Examples:
  millpond estimate
      what folding the bundled flights over 1, 1,000, 10,000, 50,000 and all operations saves
  millpond estimate bulk.ndjson.gz --time-field @timestamp
      the same for a file of bulk lines, and over 1 s, 10 s, 1 min, 10 min and 1 h of @timestamp
  zcat day*.gz | millpond estimate - --time-field event.created --windows 30s,5m --json
      one JSON object for programs

Nothing is sent or written. The input is what millpond replay reads. Each window is folded by the
engine and counted as it would go out: its bytes are those of bulk lines, uncompressed, and
operations that stay alone met no other. A window that does not fit into --memory is an error and
is never estimated by less.

A time is RFC 3339 text, like 2013-01-01T10:15:00Z, or a number; without an offset it is UTC. A
number below 10^11 is seconds since 1970, below 10^14 milliseconds. Windows of time begin at whole
multiples of their length. Operations without a time, or with one that lies in an earlier window,
count in the window that is open, and are told.

Exit status: 0 all well; 1 failed, or a window did not fit; 2 wrong usage; 3 finished with bad
lines; 130 interrupted.";

const SCAN_EXAMPLES: &str = "\
Examples:
  millpond scan db                                            everything, in order of index and id
  millpond scan db --index aircraft --after N100 --limit 20   the next 20 documents behind N100

Each line is {\"_index\":…,\"_id\":…,\"_routing\":…,\"_source\":…}, with _routing only where there is one.";

const REPAIR_HELP: &str = "\
A journal that an engine refuses to open is cut at the place where it cannot be read. What was accepted before it is kept;
what lies behind is dropped: its files are copied to DIR/damaged-1, and what of it can be read and had not settled is
written to dropped.ndjson there, to be replayed. Sources that number what they deliver go on behind what is kept.
Use one or the other: a source that delivers again delivers the dropped operations too.

Exit status: 0 sound, or repaired; 1 damaged and not repaired.";

const GENERATE_EXAMPLES: &str = "\
Examples:
  millpond generate --documents 1000 --operations 100000 > stream.ndjson
  millpond generate --documents 1000000 --operations 5000000 --zipf 0.99 --seed 7 | millpond replay - --sink null
  millpond generate --documents 1000 --operations 100000 --update-share 0.8 --delete-share 0.1 --field-ops-share 0.5

What is left of 1 after --update-share and --delete-share are whole documents.";

/// Folds a stream of document writes into one operation per document
///
/// millpond takes Elasticsearch bulk operations as they come, folds the updates of each document while they
/// wait, and sends one operation per document to a sink.
#[derive(Debug, Parser)]
#[command(name = "millpond", version, after_help = EXAMPLES, max_term_width = 110)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fold bulk operations from files or standard input into a sink, and report what was saved
    Replay(Box<Replay>),
    /// Compute what folding bulk operations would save, without sending anything
    Estimate(Estimate),
    /// Measure what folding saves a server: the same input sent plainly and folded, compared in work and in documents
    Impact(Box<Impact>),
    /// Print one document of a segment directory
    Get(Get),
    /// Print the documents of a segment directory, in order
    Scan(Scan),
    /// Read all of a segment directory and name what is damaged
    Verify(Directory),
    /// Print what a segment directory holds
    Stats(Directory),
    /// Look into the directory of a journal, and repair a damaged one
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Look at operations that a sink refused, and send them again
    #[command(subcommand)]
    DeadLetters(LettersCommand),
    /// Print a made-up stream of bulk operations, the same for the same seed
    Generate(Generate),
}

/// `millpond journal`.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Print what a journal holds: its files and records, what is pending, its sources
    Inspect(JournalDirectory),
    /// Read all of a journal and say whether it is whole
    Verify(JournalDirectory),
    /// Show what would be kept and dropped of a damaged journal, and with --yes do it
    Repair(JournalRepair),
}

/// `millpond journal inspect` and `verify`.
#[derive(Debug, ClapArgs)]
pub struct JournalDirectory {
    /// The directory of a journal
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// `millpond journal repair`.
#[derive(Debug, ClapArgs)]
#[command(after_help = REPAIR_HELP)]
pub struct JournalRepair {
    /// The directory of a journal
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Carry the repair out
    #[arg(long)]
    pub yes: bool,
}

/// `millpond replay`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = REPLAY_EXAMPLES)]
pub struct Replay {
    /// Bulk NDJSON to read, in this order; - is standard input [default: the bundled flights]
    #[arg(value_name = "FILE")]
    pub inputs: Vec<PathBuf>,

    /// The index of lines that name none
    #[arg(long, value_name = "NAME")]
    pub index: Option<String>,

    /// Where folded operations go: segments:DIR, ndjson:FILE (- is standard output), null, or the address of an Elasticsearch
    /// or OpenSearch server, http://HOST:PORT or https://HOST:PORT, once for each of its nodes [default: segments in a fresh
    /// directory ./millpond-data]
    #[arg(long, value_name = "SINK", value_parser = sink::Parser(sink::parse))]
    pub sink: Vec<SinkName>,

    /// How a server is reached.
    #[command(flatten)]
    pub server: Server,

    /// Keep what is accepted in a journal in this directory, so that the same command started again goes on where it was
    /// stopped; takes files that do not change, and a sink of segments or a server
    #[arg(long, value_name = "DIR", requires = "sink")]
    pub journal: Option<PathBuf>,

    /// When the journal is on the disk: always (before an operation counts as accepted), or interval=TIME, which may lose
    /// the last TIME in a crash of the machine or the program [default: always]
    #[arg(long, value_name = "POLICY", value_parser = sync, requires = "journal")]
    pub sync: Option<Journal>,

    /// The most memory that pending operations may take
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = units::size)]
    pub memory: usize,

    /// The longest time an operation waits before it is sent
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::duration)]
    pub max_delay: Duration,

    /// How many threads fold; the operations of one document stay in order [default: half the processors]
    #[arg(long, value_name = "N")]
    pub writers: Option<NonZeroUsize>,

    /// The most bytes of one batch to the sink
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    pub batch_bytes: Option<usize>,

    /// The most operations of one batch to the sink
    #[arg(long, value_name = "N")]
    pub batch_ops: Option<NonZeroUsize>,

    /// Write refused lines to this file, as they came
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,

    /// Write operations that the sink refused to this file, with the reason
    #[arg(long, value_name = "FILE")]
    pub dead_letters: Option<PathBuf>,

    /// Write the report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

impl Replay {
    /// The sink, if one was named: several addresses are one server's.
    pub fn sink(&self) -> Tried<Option<SinkName>> {
        SinkName::one_of(&self.sink)
    }
}

fn sync(text: &str) -> Result<Journal, String> {
    match text.split_once('=') {
        None if text == "always" => Ok(Journal::Always),
        Some(("interval", time)) => units::duration(time).map(Journal::Interval),
        _ => Err("a policy is always or interval=TIME, like interval=100ms".to_owned()),
    }
}

/// `millpond estimate`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = ESTIMATE_HELP)]
pub struct Estimate {
    /// Bulk NDJSON to read, in this order; - is standard input [default: the bundled flights]
    #[arg(value_name = "FILE")]
    pub inputs: Vec<PathBuf>,

    /// The index of lines that name none
    #[arg(long, value_name = "NAME")]
    pub index: Option<String>,

    /// Where the time of an operation stands: a field of its document, dotted where it is nested, or _index, _id or routing;
    /// in an update it is one of doc, or else of upsert
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub time_field: Option<String>,

    /// Over what to fold: numbers of operations, all, and times, like 1000,all,10s,5m [default: 1,1000,10000,50000,all, and with
    /// --time-field 1s,10s,60s,600s,3600s]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = Window::read)]
    pub windows: Vec<Window>,

    /// The most memory that the pending operations of one window may take
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = units::size)]
    pub memory: usize,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,

    /// Draw no progress bar
    #[arg(long, short)]
    pub quiet: bool,
}

/// `millpond get`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  millpond get millpond-data aircraft N14228")]
pub struct Get {
    /// A segment directory
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The index
    #[arg(value_name = "INDEX")]
    pub index: String,
    /// The document's id
    #[arg(value_name = "ID")]
    pub id: String,
}

/// `millpond scan`.
#[derive(Debug, ClapArgs)]
#[command(after_help = SCAN_EXAMPLES)]
pub struct Scan {
    /// A segment directory
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Only this index
    #[arg(long, value_name = "NAME")]
    pub index: Option<String>,
    /// Only documents with ids behind this one, compared as bytes
    #[arg(long, value_name = "ID", requires = "index")]
    pub after: Option<String>,
    /// The most documents to print
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

/// `millpond verify` and `millpond stats`.
#[derive(Debug, ClapArgs)]
pub struct Directory {
    /// A segment directory
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// `millpond generate`.
#[derive(Debug, ClapArgs)]
#[command(after_help = GENERATE_EXAMPLES)]
pub struct Generate {
    /// How many documents there are to choose from
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    pub documents: u64,
    /// How many operations to print
    #[arg(long, value_name = "N")]
    pub operations: u64,
    /// The exponent of Zipf's law by which documents are chosen; 0 chooses evenly
    #[arg(long, value_name = "S", default_value_t = 0.99, value_parser = exponent)]
    pub zipf: f64,
    /// The seed: the same one gives the same stream
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,
    /// The share of updates among the operations
    #[arg(long, value_name = "SHARE", default_value_t = 0.9, value_parser = share)]
    pub update_share: f64,
    /// The share of deletes among the operations
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub delete_share: f64,
    /// The share of updates that carry field operations
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub field_ops_share: f64,
}

fn share(text: &str) -> Result<f64, String> {
    bounded(text, 1.0).ok_or_else(|| "a share is a number from 0 to 1".to_owned())
}

fn exponent(text: &str) -> Result<f64, String> {
    bounded(text, 10.0).ok_or_else(|| "an exponent is a number from 0 to 10".to_owned())
}

fn bounded(text: &str, most: f64) -> Option<f64> {
    text.parse().ok().filter(|number| (0.0..=most).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }
}
