//! `millpond dead-letters`: what its help shows.

use super::sink::{self, Server, SinkName};
use crate::units;
use clap::{Args as ClapArgs, Subcommand};
use std::path::PathBuf;

const LIST_HELP: &str = "\
Examples:
  millpond dead-letters list dead-letters.ndjson
  millpond dead-letters list dead-letters.ndjson --json | jq -r 'select(.kind | test(\"mapper\")) | .id'

Half a line at the end was left by a crash, and its operation was not forgotten.
Exit status: 0 all well; 1 failed; 2 wrong usage; 3 some lines are no dead letters.";

const REPLAY_HELP: &str = "\
Examples:
  millpond dead-letters replay dead-letters.ndjson --sink https://search:9200
      after the mapping was mended: what has nothing newer above it is sent, and what became of each is told
  millpond dead-letters replay dead-letters.ndjson --sink https://search:9200 --existing
      also to documents that exist; right where nothing but these letters has changed them
  millpond dead-letters replay dead-letters.ndjson --sink ndjson:letters.ndjson
      as bulk lines

A letter is older than what was sent of its document afterwards: applied now it would undo that. A segment directory
shows how new each document is. A server shows it where the document has a newer fence, or where its versions are
external; a document that exists and shows nothing is not written unless --existing says so. A letter that is replayed
twice counts once in a segment directory, and on a server where the document shows its fence; not under --force.

Exit status: 0 all were carried out, now or before; 1 failed; 2 wrong usage; 3 some were refused again, not sent, or no
letters; 130 interrupted.";

/// `millpond dead-letters`.
#[derive(Debug, Subcommand)]
pub enum LettersCommand {
    /// Print the letters of a file, and totals by index and reason
    List(LettersList),
    /// Send the operations of a file of dead letters again, but for those whose documents were written since
    Replay(Box<LettersReplay>),
}

/// `millpond dead-letters list`.
#[derive(Debug, ClapArgs)]
#[command(after_help = LIST_HELP)]
pub struct LettersList {
    /// A file of dead letters, plain, gzip or zstd; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print each letter as one JSON object, and no totals
    #[arg(long)]
    pub json: bool,
}

/// `millpond dead-letters replay`.
#[derive(Debug, ClapArgs)]
#[command(after_help = REPLAY_HELP)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct LettersReplay {
    /// A file of dead letters, plain, gzip or zstd; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Where they go: segments:DIR, ndjson:FILE (- is standard output), null, or the address of a server, http://HOST:PORT or
    /// https://HOST:PORT, once for each of its nodes
    #[arg(long, value_name = "SINK", value_parser = sink::Parser(sink::parse), required = true)]
    pub sink: Vec<SinkName>,

    /// Send also to documents of a server that exist and do not tell whether they were written since
    #[arg(long)]
    pub existing: bool,

    /// Send all of them, as new operations: also over what was written since, and what was replayed before once more
    #[arg(long)]
    pub force: bool,

    /// Write what is refused again to this file, with the reason; never the one that is read [default:
    /// dead-letters-again.ndjson]
    #[arg(long, value_name = "FILE")]
    pub dead_letters: Option<PathBuf>,

    /// How a server is reached.
    #[command(flatten)]
    pub server: Server,

    /// The most memory that pending operations may take; one letter may have a sixteenth of it
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = units::size)]
    pub memory: usize,

    /// Print what became of each letter as one JSON object
    #[arg(long)]
    pub json: bool,

    /// Print nothing but what is wrong
    #[arg(long, short)]
    pub quiet: bool,
}
