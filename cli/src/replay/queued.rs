//! An operation on its way to the engine, with the lines that it came from.

use crate::bulk::Verb;
use millpond::{Action, Operation};
use twox_hash::XxHash3_64;

/// Operations that are submitted at once.
pub(super) const BATCH: usize = 64;
/// Operations that are submitted at once under a journal: one sync of the disk serves them all.
pub(super) const JOURNALED_BATCH: usize = 4096;

/// One operation, as it borrows from the input or from a chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queued<'a> {
    pub(crate) verb: Verb,
    pub(crate) names: Names<'a>,
    /// The number of the action line.
    pub(crate) line: u64,
    /// Of the key.
    pub(crate) hash: u64,
    pub(crate) action_line: &'a [u8],
    /// Empty where there is none.
    pub(crate) body_line: &'a [u8],
}

/// The decoded names of an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) index: &'a str,
    pub(crate) id: &'a str,
    pub(crate) routing: Option<&'a str>,
}

impl<'a> Queued<'a> {
    /// An operation of an action line of this number, and of a body line, which is empty where there is none.
    #[inline]
    pub(crate) fn new(verb: Verb, names: Names<'a>, line: u64, lines: [&'a [u8]; 2]) -> Self {
        let [action_line, body_line] = lines;
        Self { verb, names, line, hash: key_hash(names), action_line, body_line }
    }

    /// What the engine is asked for.
    #[inline]
    pub(crate) fn operation(&self) -> Operation<'a> {
        let Names { index, id, routing } = self.names;
        let body = without_end(self.body_line);
        let action = match self.verb {
            Verb::Index => Action::Index(body),
            Verb::Create => Action::Create(body),
            Verb::Update => Action::Update(body),
            Verb::Delete => Action::Delete,
        };
        Operation { index, id, routing, action }
    }

    /// Bytes of the operation as bulk lines, whether or not the last one has its end.
    pub(crate) fn bytes(&self) -> u64 {
        [self.action_line, self.body_line]
            .into_iter()
            .filter(|line| !line.is_empty())
            .map(|line| line.len() as u64 + u64::from(!line.ends_with(b"\n")))
            .sum()
    }
}

/// 64 bits of a key: those of the id, under a seed that the index gives.
#[inline]
fn key_hash(names: Names<'_>) -> u64 {
    let seed = XxHash3_64::oneshot(names.index.as_bytes());
    XxHash3_64::oneshot_with_seed(seed, names.id.as_bytes())
}

/// A line without the break at its end, be it of Unix or of Windows.
#[inline]
fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_index_and_id_and_not_their_text_alone() {
        let names = |index, id| Names { index, id, routing: None };
        assert_ne!(key_hash(names("ab", "c")), key_hash(names("a", "bc")));
        assert_eq!(key_hash(names("a", "b")), key_hash(Names { routing: Some("r"), ..names("a", "b") }));
    }
}
