//! Chunks: operations on their way from the reader to a writer.
//!
//! # Design
//! A chunk holds the lines of its operations one behind the other, as they came, and their decoded names
//! beside them. Nothing is allocated per operation, and a chunk that was written is used again.
//!
//! # Invariants
//! 1. The lengths in `entries` add up to the lengths of `names` and `lines`, in order.

use super::queued::{Names, Queued};
use crate::bulk::Verb;

/// Chunks that grew beyond this are not kept for use again.
const KEPT_BYTES_MAX: usize = 512 * 1024;

/// Operations of one source, for one writer.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) source: usize,
    entries: Vec<Entry>,
    names: String,
    lines: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    verb: Verb,
    /// The number of the action line.
    line: u64,
    /// Of the key.
    hash: u64,
    index_bytes: usize,
    id_bytes: usize,
    routing_bytes: Option<usize>,
    action_bytes: usize,
    body_bytes: usize,
}

impl Chunk {
    pub(super) fn push(&mut self, queued: &Queued<'_>) {
        let Queued { verb, names, line, hash, action_line, body_line } = *queued;
        for name in [names.index, names.id, names.routing.unwrap_or_default()] {
            self.names.push_str(name);
        }
        for line in [action_line, body_line] {
            self.lines.extend_from_slice(line);
        }
        self.entries.push(Entry {
            verb,
            line,
            hash,
            index_bytes: names.index.len(),
            id_bytes: names.id.len(),
            routing_bytes: names.routing.map(str::len),
            action_bytes: action_line.len(),
            body_bytes: body_line.len(),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The memory that the operations take.
    pub(super) fn bytes(&self) -> usize {
        self.lines.len() + self.names.len() + self.entries.len() * size_of::<Entry>()
    }

    /// Empties the chunk, keeping its memory unless it is large.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.names.clear();
        self.lines.clear();
        self.lines.shrink_to(KEPT_BYTES_MAX);
        self.names.shrink_to(KEPT_BYTES_MAX);
    }

    /// The operations, in order.
    pub(super) fn operations(&self) -> impl Iterator<Item = Queued<'_>> {
        let (mut names, mut lines) = (self.names.as_str(), self.lines.as_slice());
        self.entries.iter().map(move |entry| {
            let index = take_name(&mut names, entry.index_bytes);
            let id = take_name(&mut names, entry.id_bytes);
            let routing = entry.routing_bytes.map(|bytes| take_name(&mut names, bytes));
            let action_line = take_line(&mut lines, entry.action_bytes);
            let body_line = take_line(&mut lines, entry.body_bytes);
            let Entry { verb, line, hash, .. } = *entry;
            let names = Names { index, id, routing };
            Queued { verb, names, line, hash, action_line, body_line }
        })
    }
}

fn take_name<'a>(names: &mut &'a str, bytes: usize) -> &'a str {
    let (name, rest) = names.split_at_checked(bytes).unwrap_or_default();
    *names = rest;
    name
}

fn take_line<'a>(lines: &mut &'a [u8], bytes: usize) -> &'a [u8] {
    let (line, rest) = lines.split_at_checked(bytes).unwrap_or_default();
    *lines = rest;
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use millpond::{Action, Operation};

    #[test]
    fn operations_come_out_as_they_went_in() {
        let mut chunk = Chunk::default();
        let names = Names { index: "a", id: "é1", routing: Some("") };
        chunk.push(&Queued::new(Verb::Index, names, 1, [b"action\n", b"{\"x\":1}\r\n"]));
        let names = Names { routing: None, ..names };
        let last = Queued { hash: 8, ..Queued::new(Verb::Delete, names, 3, [b"delete", b""]) };
        chunk.push(&last);
        let queued: Vec<Queued<'_>> = chunk.operations().collect();
        assert_eq!(
            queued.iter().map(Queued::operation).collect::<Vec<_>>(),
            [
                Operation { index: "a", id: "é1", routing: Some(""), action: Action::Index(b"{\"x\":1}") },
                Operation { index: "a", id: "é1", routing: None, action: Action::Delete },
            ]
        );
        assert_eq!(queued.iter().map(|queued| queued.line).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(queued.last().map(|queued| queued.hash), Some(8));
        assert_eq!(queued.iter().map(Queued::bytes).collect::<Vec<_>>(), [16, 7]);
        chunk.clear();
        assert!(chunk.is_empty() && chunk.bytes() == 0 && chunk.operations().next().is_none());
    }
}
