//! Why the program ends before its work is done: a sentence for people, and the exit status that goes with it.

use std::{fmt, io, process::ExitCode};

/// Exit status: everything is well.
pub const WELL: u8 = 0;
/// Exit status: the work failed.
pub const FAILED: u8 = 1;
/// Exit status: the command line does not make sense. clap uses the same.
pub const USAGE: u8 = 2;
/// Exit status: finished, with lines refused or dead letters.
pub const REFUSED: u8 = 3;
/// Exit status: interrupted; what had been accepted was drained and reported.
pub const INTERRUPTED: u8 = 130;

/// What a command returns: the exit status, or why it could not finish.
pub type Result<T = ()> = std::result::Result<T, Failure>;

/// Why a command could not finish.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong: the sentence names the flag.
    Usage(String),
    /// The work failed: the sentence names the thing, and the flag that helps where there is one.
    Failed(String),
    /// Whoever read our output has closed it: there is nothing left to do and nothing to say.
    ReaderGone,
}

impl Failure {
    /// A failure while doing `what`, which reads like "opening data.ndjson".
    pub fn io(what: impl fmt::Display, error: &io::Error) -> Self {
        Self::Failed(format!("{what}: {error}"))
    }

    /// A failure to write to standard output.
    pub fn stdout(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::ReaderGone
        } else {
            Self::io("writing to standard output", error)
        }
    }

    /// The exit status of the program.
    pub fn status(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => USAGE,
            Self::Failed(_) => FAILED,
            Self::ReaderGone => WELL,
        })
    }
}

impl From<millpond::Error> for Failure {
    fn from(error: millpond::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(sentence) | Self::Failed(sentence) => f.write_str(sentence),
            Self::ReaderGone => f.write_str("the reader of the output is gone"),
        }
    }
}
