//! Bad input: shown with its place, written to `--rejects` as it came, counted.
//!
//! # Design
//! The reader and the writers refuse lines from their own threads; one lock orders what they write. A
//! refused operation is written whole, action line and body, byte for byte, so that the file can be mended
//! and replayed. Only the first `SHOWN_MAX` are shown: a file of the wrong kind has a million.
//!
//! # Locking
//! The lock is held while the file is written and the message printed, and no other lock is taken under it
//! but the progress bar's.

use crate::{message, progress::Progress, sync::Mutex};
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

/// Refusals that are shown one by one.
const SHOWN_MAX: u64 = 10;
/// Characters of the line that are shown around the place.
const EXCERPT_BEFORE: usize = 40;
const EXCERPT_AFTER: usize = 30;

/// Where a bad line is and what is wrong with it.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    /// The name of the input.
    pub source: &'a str,
    /// The number of the line, from 1.
    pub line: u64,
    /// The place in the line, in bytes from its start.
    pub offset: usize,
    /// The line itself.
    pub text: &'a [u8],
    /// What is wrong, as a clause.
    pub reason: &'a str,
}

/// Collects what was refused.
#[derive(Debug)]
pub struct Rejects {
    progress: Progress,
    /// What is said behind the note that no more are shown.
    advice: &'static str,
    resumes: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: Option<BufWriter<File>>,
    count: u64,
}

impl Rejects {
    /// Starts with none; `path` is created, or emptied if it is there. If the run goes on with an earlier one (`resumes`), it
    /// is added to, and each refusal is in the file before it counts: a kill must not lose what is not read again.
    pub fn new(path: Option<&Path>, progress: Progress, resumes: bool) -> io::Result<Self> {
        let open = |path| {
            if resumes { File::options().create(true).append(true).open(path) } else { File::create(path) }
        };
        let file = path.map(open).transpose()?.map(BufWriter::new);
        let advice = if file.is_some() { "" } else { "; --rejects FILE keeps them" };
        Ok(Self { progress, resumes, advice, state: Mutex::new(State { file, count: 0 }) })
    }

    /// Starts with none, and keeps none.
    pub fn unkept(progress: Progress) -> Self {
        Self { progress, resumes: false, advice: "", state: Mutex::new(State { file: None, count: 0 }) }
    }

    /// Refuses an operation that came as `lines`.
    pub fn refuse(&self, refusal: &Refusal<'_>, lines: &[&[u8]]) -> io::Result<()> {
        self.refuse_with(refusal, |out| {
            for line in lines {
                out.write_all(line)?;
                // The last line of an input may lack its end; the next refusal must not grow onto it.
                if !line.is_empty() && line.last() != Some(&b'\n') {
                    out.write_all(b"\n")?;
                }
            }
            Ok(())
        })
    }

    /// Refuses an operation whose lines `write` writes; it is called even where none are kept.
    pub fn refuse_with(
        &self,
        refusal: &Refusal<'_>,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut state = self.state.lock();
        state.count += 1;
        if state.count <= SHOWN_MAX {
            self.progress.beside(|| message::error(&shown(refusal)));
        } else if state.count == SHOWN_MAX + 1 {
            let text = format!("further bad lines are counted and not shown{}", self.advice);
            self.progress.beside(|| message::warning(&text));
        }
        match &mut state.file {
            Some(file) => {
                write(file)?;
                if self.resumes { file.flush() } else { Ok(()) }
            }
            None => write(&mut io::sink()),
        }
    }

    /// Brings everything to the file, and says how many operations were refused.
    pub fn finish(&self) -> io::Result<u64> {
        let mut state = self.state.lock();
        if let Some(file) = &mut state.file {
            file.flush()?;
        }
        Ok(state.count)
    }
}

/// The place, the reason, and the line with a caret under the place.
fn shown(refusal: &Refusal<'_>) -> String {
    let Refusal { source, line, offset, text, reason } = *refusal;
    let (before, after) = text.split_at(offset.min(text.len()));
    let column = characters(before) + 1;
    let near = window(before.rchunks(EXCERPT_BEFORE * 4).next().unwrap_or_default());
    let skipped = near.len().saturating_sub(EXCERPT_BEFORE);
    let head: String = near.iter().skip(skipped).collect();
    let tail = window(after.chunks(EXCERPT_AFTER * 4).next().unwrap_or_default().trim_ascii_end());
    let tail: String = tail.iter().take(EXCERPT_AFTER).collect();
    let cut = |is: bool| if is { "…" } else { "" };
    let (start, end) = (cut(column > EXCERPT_BEFORE + 1), cut(after.len() > EXCERPT_AFTER * 4));
    let caret = start.chars().count() + head.chars().count();
    format!("{source}:{line}:{column}: {reason}\n  | {start}{head}{tail}{end}\n  | {:caret$}^", "")
}

/// How many characters the bytes show as; a run of bad bytes shows as one.
fn characters(bytes: &[u8]) -> usize {
    bytes
        .utf8_chunks()
        .map(|chunk| chunk.valid().chars().count() + usize::from(!chunk.invalid().is_empty()))
        .sum()
}

/// The characters of a piece cut out of a line, without what is left of a character cut in two.
fn window(bytes: &[u8]) -> Vec<char> {
    let start = bytes.iter().take(3).take_while(|byte| **byte & 0xc0 == 0x80).count();
    String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).chars().map(printable).collect()
}

fn printable(character: char) -> char {
    if character.is_control() { '\u{fffd}' } else { character }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &[u8], offset: usize) -> Refusal<'_> {
        Refusal { source: "data.ndjson", line: 12, offset, text, reason: "expected a colon" }
    }

    #[test]
    fn a_caret_stands_under_the_place_counted_in_characters() {
        assert_eq!(
            shown(&refusal("{\"é\" 1}\n".as_bytes(), 6)),
            "data.ndjson:12:6: expected a colon\n  | {\"é\" 1}\n  |      ^"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = [vec![b'a'; 500], vec![b'b'; 500]].concat();
        let shown = shown(&refusal(&text, 500));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "data.ndjson:12:501: expected a colon");
        assert_eq!(lines[1], format!("  | …{}{}…", "a".repeat(40), "b".repeat(30)));
        assert_eq!(lines[2].find('^').unwrap() - "  | ".len(), 41);
    }

    #[test]
    fn control_characters_and_places_beyond_the_line_do_no_harm() {
        assert!(shown(&refusal(b"\x1b[31m\x07", 3)).lines().nth(1).unwrap().starts_with("  | \u{fffd}[3"));
        assert!(shown(&refusal(b"abc", 99)).starts_with("data.ndjson:12:4: "));
        assert!(shown(&refusal(b"", 0)).starts_with("data.ndjson:12:1: "));
    }

    #[test]
    fn refused_lines_are_written_as_they_came_and_ended_where_they_were_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rejects.ndjson");
        let rejects = Rejects::new(Some(&path), Progress::new(None, true), false).unwrap();
        rejects.refuse(&refusal(b"x", 0), &[b"one\r\n", b"two"]).unwrap();
        rejects.refuse(&refusal(b"x", 0), &[b"three"]).unwrap();
        assert_eq!(rejects.finish().unwrap(), 2);
        assert_eq!(std::fs::read(&path).unwrap(), b"one\r\ntwo\nthree\n");
    }
}
