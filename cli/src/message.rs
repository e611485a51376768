//! Messages to people, on standard error; coloured only on a terminal, and never where `NO_COLOR` is set.

use anstyle::{AnsiColor, Style};

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
