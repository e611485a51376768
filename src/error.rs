//! The one error of the library.
//!
//! # Design
//! An opaque value of one word: a kind for programs, a sentence for people, and a cause. The kinds are
//! coarse on purpose: a caller decides by them (give up, wait, fix the input), and the sentence names
//! the thing and the limit.

use std::{error, fmt};

/// What the library's fallible calls return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, for programs: see [`Error::kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is malformed: not JSON, not an object, a duplicate name, a bad index name or id.
    Invalid,
    /// The input is well formed but larger, deeper or longer than a limit; the message has both numbers.
    TooLarge,
    /// The engine is at its memory bound, and the wait asked for is over.
    Full,
    /// The key holds operations that cannot fold any further and cannot be drained yet; the wait is over.
    Busy,
    /// The engine is closed.
    Closed,
    /// The engine stopped taking writes after a failure; the message says which.
    Latched,
    /// A deadline passed before the work was done.
    Timeout,
    /// Stored bytes do not match their checksum, or do not parse.
    Damaged,
    /// The operating system refused: the cause is in [`std::error::Error::source`].
    Io,
    /// The configuration does not fit together.
    Config,
    /// The engine has no base to answer from (its sink stores nothing that can be read).
    NoBase,
}

/// An error of millpond: one word, with a kind, a sentence and perhaps a cause.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Box<str>,
    /// Byte offset in the text that was refused, where there is one.
    offset: Option<usize>,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

impl Error {
    /// An error of the given kind; the message is a whole clause that names the thing and the limit.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message: String = message.into();
        Self(Box::new(Inner { kind, message: message.into_boxed_str(), offset: None, source: None }))
    }

    /// The same error, with the byte offset in the refused text at which it was found.
    #[must_use]
    pub fn at(mut self, offset: usize) -> Self {
        self.0.offset = Some(offset);
        self
    }

    /// The same error, with its cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// An operating-system error met while doing `what`, which reads like "writing segment 7".
    pub fn io(what: impl fmt::Display, source: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, format!("{what} failed")).because(source)
    }

    /// What went wrong, for programs.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What went wrong, without the place and the cause that the whole error shows.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where in the refused text, in bytes from its start, if the error is about a place in a text.
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }

    /// True where the same call may succeed later without a change of the input: full, busy, timeout.
    pub fn is_temporary(&self) -> bool {
        matches!(self.kind(), ErrorKind::Full | ErrorKind::Busy | ErrorKind::Timeout)
    }

    /// True where the input itself is refused: malformed or over a limit.
    pub fn is_bad_input(&self) -> bool {
        matches!(self.kind(), ErrorKind::Invalid | ErrorKind::TooLarge)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(offset) = self.0.offset {
            write!(f, " (at byte {offset})")?;
        }
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_word() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn a_message_names_the_place_and_the_cause() {
        let error = Error::new(ErrorKind::Invalid, "expected a colon").at(7);
        assert_eq!(error.to_string(), "expected a colon (at byte 7)");
        let error = Error::io("writing segment 7", std::io::Error::other("disk full"));
        assert_eq!(error.to_string(), "writing segment 7 failed: disk full");
        assert!(error::Error::source(&error).is_some());
    }
}
