//! A file of dead letters, line by line.
//!
//! # Design
//! A line that is no letter does not keep the others from being read: it is told by its number. Half a line at the end was left by a
//! crash: a letter is whole before its operation counts as settled, so that this one was sent again.

use super::letter::Letter;
use crate::{
    failure::{Failure, Result},
    input::{Lines, Piece, Source},
    message,
    progress::Progress,
    units,
};
use std::{io, path::Path};

/// The longest letter that is read: one of the largest document, and what stands around it.
const LETTER_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Damaged lines that are told one by one.
const SHOWN_MAX: u64 = 10;

/// The letters of a file.
#[derive(Debug)]
pub(super) struct Letters {
    source: Source,
    lines: Lines,
    line: Vec<u8>,
    damaged: u64,
}

impl Letters {
    /// Opens a file; `-` is standard input.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let source = Source::new(path);
        let open = source.open(Progress::new(None, true).position());
        let lines = open.map_err(|error| Failure::io(format!("opening {source}"), &error))?;
        Ok(Self { lines: lines.up_to(LETTER_BYTES_MAX), source, line: Vec::new(), damaged: 0 })
    }

    /// The next letter, with the number of its line.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Letter)>> {
        loop {
            let unread = |source: &Source, error: &io::Error| Failure::io(format!("reading {source}"), error);
            let piece =
                self.lines.read(&mut self.line, || {}).map_err(|error| unread(&self.source, &error))?;
            let number = self.lines.number();
            let problem = match piece {
                Piece::End => return Ok(None),
                Piece::TooLong => {
                    let rest: io::Result<()> = self.lines.rest(|_| Ok(()));
                    rest.map_err(|error| unread(&self.source, &error))?;
                    format!("longer than {}", units::bytes(LETTER_BYTES_MAX as u64))
                }
                Piece::Line if self.line.trim_ascii().is_empty() => continue,
                Piece::Line => match Letter::read(&self.line) {
                    Ok(letter) => return Ok(Some((number, letter))),
                    Err(_) if self.line.last() != Some(&b'\n') => {
                        message::note(&format!(
                            "{}:{number}: half a letter, which a crash left: its operation had not settled",
                            self.source
                        ));
                        continue;
                    }
                    Err(problem) => problem,
                },
            };
            self.damaged += 1;
            if self.damaged <= SHOWN_MAX {
                message::error(&format!("{}:{number}: not a dead letter: {problem}", self.source));
            }
        }
    }

    /// How many lines were none; tells of those that were not shown.
    pub(super) fn damaged(&self) -> u64 {
        if let Some(more) = self.damaged.checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            message::warning(&format!("{} more lines are no dead letters", units::count(more)));
        }
        self.damaged
    }
}
