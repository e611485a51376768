//! Messages to people, on standard error; coloured only on a terminal, and never where `NO_COLOR` is set. And what a command was
//! asked to report, on standard output, plain.

use crate::failure::{Failure, Result};
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// Prints what went wrong.
pub fn error(text: &str) {
    anstream::eprintln!("{ERROR}error:{ERROR:#} {text}");
}

/// Prints what is wrong and does not stop the work.
pub fn warning(text: &str) {
    anstream::eprintln!("{WARNING}warning:{WARNING:#} {text}");
}

/// Prints a note.
pub fn note(text: &str) {
    anstream::eprintln!("{text}");
}

/// Prints what a command was asked to report.
pub fn report(text: &str) -> Result {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| Failure::stdout(&error))
}
