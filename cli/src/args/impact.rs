//! `millpond impact`: its flags.

use super::sink::{self, Server, SinkName};
use crate::{
    estimate::Window,
    failure::{Failure, Result as Tried},
    units,
};
use clap::Args as ClapArgs;
use std::{
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

const HELP: &str = "\
Examples:
  millpond impact --sink http://127.0.0.1:9200
      the bundled year of flights, as a plain bulk client and folded, and what the server did for each
  millpond impact bulk.ndjson.gz --sink http://127.0.0.1:9200 --pid 4711 --html impact.html
      the server's processor time and disk writes too, and a report for a browser
  millpond impact --sink http://127.0.0.1:9200 --windows 1,1000,10000,50000,all
      and what is saved where only so many operations may wait

Both sides send to fresh indices of their own, named millpond-impact-… and deleted at the end: no other index is
touched. The plain client sends the operations as they came, in bulks of --batch-ops, one at a time; the folded
side is millpond itself, with bulks of as many and one at a time too, unless --requests allows more. After one
run of each that does not count, they take turns --runs times; the table has the medians. The documents of both
are compared at the end. A Ctrl-C sends what is pending, deletes the indices and ends; a second one ends at once,
and leaves the indices.

Exit status: 0 all well; 1 failed, or a document is wrong; 2 wrong usage; 130 interrupted.";

/// `millpond impact`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = HELP)]
pub struct Impact {
    /// Bulk NDJSON to send, plain, gzip or zstd; it is read several times [default: the bundled flights]
    #[arg(value_name = "FILE")]
    pub input: Option<PathBuf>,

    /// The address of an Elasticsearch or OpenSearch server, http://HOST:PORT or https://HOST:PORT, once for each of its nodes
    #[arg(long, value_name = "URL", required = true, value_parser = sink::Parser(address))]
    pub sink: Vec<SinkName>,

    /// How the server is reached.
    #[command(flatten)]
    pub server: Server,

    /// The server's process on this machine: its processor time and what it writes to the disk are measured too
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,

    /// Write a report for a browser to this file: one file, that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// Repeat the folded run with everything sent after each so many operations, like 1,1000,10000,50000,all
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = window)]
    pub windows: Vec<Window>,

    /// How often each side runs, beside a first run that does not count
    #[arg(long, value_name = "N", default_value = "3")]
    pub runs: NonZeroUsize,

    /// The index of lines that name none
    #[arg(long, value_name = "NAME")]
    pub index: Option<String>,

    /// The most operations of one bulk request, on both sides
    #[arg(long, value_name = "N", default_value = "1000")]
    pub batch_ops: NonZeroUsize,

    /// The most memory that pending operations may take on the folded side
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = units::size)]
    pub memory: usize,

    /// The longest time an operation waits on the folded side before it is sent
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::duration)]
    pub max_delay: Duration,

    /// How many shards the indices have; they have no replicas
    #[arg(long, value_name = "N", default_value = "1")]
    pub shards: NonZeroU32,

    /// Leave the indices of the last run of each side
    #[arg(long)]
    pub keep: bool,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,

    /// Print nothing but the result and errors
    #[arg(long, short)]
    pub quiet: bool,
}

impl Impact {
    /// The addresses of the server's nodes.
    pub fn urls(&self) -> Tried<Vec<String>> {
        match SinkName::one_of(&self.sink)? {
            Some(SinkName::Server(urls)) => Ok(urls),
            _ => Err(Failure::Usage("--sink http://HOST:PORT names the server to be measured".to_owned())),
        }
    }

    /// Requests of the folded side on their way at once, at most: as many as the plain client has unless more are asked for, so that
    /// what is measured is folding.
    pub fn requests(&self) -> usize {
        self.server.requests.map_or(1, NonZeroUsize::get)
    }

    /// Whether their bytes and their number follow what the server shows: not where they are as those of the plain client.
    pub fn adapts(&self) -> bool {
        self.server.requests.is_some() && !self.server.fixed
    }
}

fn address(text: &str) -> Result<SinkName, String> {
    match sink::parse(text)? {
        name @ SinkName::Server(_) => Ok(name),
        other => Err(format!("{other} is no server: http://HOST:PORT is")),
    }
}

fn window(text: &str) -> Result<Window, String> {
    match Window::read(text) {
        Ok(window @ (Window::All | Window::Operations(_))) => Ok(window),
        _ => Err("a window is a number of operations, or all".to_owned()),
    }
}
