//! The reader: lines become operations, spread over the writers by key.
//!
//! # Design
//! Read-ahead is bounded in bytes. The reader alone keeps the account: a chunk counts from when it is sent until
//! it comes back empty, and over the bound the reader waits for one to come back. Before the input is asked for
//! more, what was read goes out, so that a slow pipe holds nothing back.
//!
//! # Where the stream goes on after a bad line
//! An action line whose verb is known says whether a body follows, and both are refused together. One that makes
//! no sense at all is followed by its body, unless the next line reads as the start of an operation.
//!
//! # Invariants
//! 1. All operations of a key go to one writer, in the order of the input.
//! 2. Every line that is not blank is in a chunk, or was refused, or the reader was stopped before it.

use super::{
    chunk::{Chunk, Names},
    inputs::Inputs,
};
use crate::{
    bulk::{self, ActionLine, BadLine, PlainLine, Verb},
    failure::{Failure, Result},
    input::{LINE_BYTES_MAX, Lines, Piece},
    rejects::{Refusal, Rejects},
    sync::Stop,
    units,
};
use crossbeam_channel::{Receiver, Sender};
use std::{
    hash::{BuildHasher, RandomState},
    io,
    sync::{Arc, atomic::AtomicU64},
};
use twox_hash::XxHash3_64;

/// The size at which a chunk goes out.
const CHUNK_BYTES: usize = 128 * 1024;
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Characters of a made-up id: 120 bits, as Elasticsearch's.
const ID_CHARACTERS: u32 = 20;

/// Reads all inputs, one after the other.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) spread: Spread,
    /// Stands in where a line names no index.
    pub(super) index: Option<String>,
    pub(super) rejects: Arc<Rejects>,
    pub(super) stop: Stop,
    pub(super) position: Arc<AtomicU64>,
}

impl Reader {
    /// Reads until the inputs end or the stop is set. A read that fails ends it: what follows cannot be trusted.
    pub(super) fn run(mut self, inputs: &Inputs) -> Result {
        for (number, source) in inputs.sources.iter().enumerate() {
            self.spread.source = number;
            let name = source.to_string();
            let lines = source
                .open(Arc::clone(&self.position))
                .map_err(|error| Failure::io(format!("opening {name}"), &error))?;
            let step = Step { reader: &mut self, name: &name, lines, action: Vec::new(), body: Vec::new() };
            step.run()?;
            self.spread.send_all();
        }
        Ok(())
    }
}

/// The state while one input is read.
struct Step<'a> {
    reader: &'a mut Reader,
    name: &'a str,
    lines: Lines,
    action: Vec<u8>,
    body: Vec<u8>,
}

/// What stands at the place of a body.
enum Body {
    Line,
    Missing,
}

impl Step<'_> {
    fn run(mut self) -> Result {
        let mut is_read = false;
        while !self.reader.stop.is_set() {
            if !is_read {
                self.take_plain();
                if !self.next_action()? {
                    break;
                }
            }
            is_read = false;
            if bulk::is_blank(&self.action) {
                continue;
            }
            let number = self.lines.number();
            let action = std::mem::take(&mut self.action);
            let result = match ActionLine::read(&action) {
                Ok(line) => self.operation(&line, &action, number),
                Err(bad) => self.bad_action(&bad, &action, number).map(|found| is_read = found),
            };
            // Behind a bad line the start of the next operation may be read already.
            if is_read {
                std::mem::swap(&mut self.action, &mut self.body);
            } else {
                self.action = action;
            }
            result?;
        }
        Ok(())
    }

    /// Takes in operations as they lie in the buffer, until one is not whole there or is not of the plain form.
    fn take_plain(&mut self) {
        let Reader { spread, index, stop, .. } = &mut *self.reader;
        while !stop.is_set() {
            let text = self.lines.buffered();
            let Some((action, rest)) = first_line(text) else { return };
            let Some(line) = PlainLine::read(action) else { return };
            let Some(name) = line.index.or(index.as_deref()) else { return };
            let (body, lines) = match first_line(rest) {
                _ if !line.verb.has_body() => (&[][..], 1),
                Some((body, _)) => (body, 2),
                None => return,
            };
            let names = Names { index: name, id: line.id, routing: None };
            spread.push(line.verb, names, self.lines.number() + 1, [action, body]);
            let bytes = action.len() + body.len();
            self.lines.take(bytes, lines);
        }
    }

    /// Reads an action line; false at the end of the input.
    fn next_action(&mut self) -> Result<bool> {
        loop {
            match self.read(Place::Action)? {
                Piece::End => return Ok(false),
                Piece::Line => return Ok(true),
                Piece::TooLong => {
                    let action = std::mem::take(&mut self.action);
                    self.refuse_long(&[], &action)?;
                    self.action = action;
                }
            }
        }
    }

    fn read(&mut self, place: Place) -> Result<Piece> {
        let line = match place {
            Place::Action => &mut self.action,
            Place::Body => &mut self.body,
        };
        let spread = &mut self.reader.spread;
        let result = self.lines.read(line, || spread.send_all());
        result.map_err(|error| self.unreadable(&error))
    }

    /// Takes in an operation whose action line is good.
    fn operation(&mut self, line: &ActionLine<'_>, action: &[u8], number: u64) -> Result {
        let body = if line.verb.has_body() { self.body(action, number)? } else { Some(Body::Missing) };
        let body: &[u8] = match body {
            None => return Ok(()),
            Some(Body::Line) => &self.body,
            Some(Body::Missing) => &[],
        };
        let made;
        let reason = match (line.index.as_deref().or(self.reader.index.as_deref()), line.id.as_deref()) {
            (Some(index), Some(id)) => {
                let names = Names { index, id, routing: line.routing.as_deref() };
                self.reader.spread.push(line.verb, names, number, [action, body]);
                return Ok(());
            }
            (Some(index), None) if line.verb.makes_id() => {
                made = self.reader.spread.ids.next();
                let names = Names { index, id: &made, routing: line.routing.as_deref() };
                // The line as it goes on names the id, so that a refused one is the same document when replayed.
                self.reader.spread.push(line.verb, names, number, [action, body]);
                return Ok(());
            }
            (None, _) => "the line has no _index: add one, or pass --index NAME".to_owned(),
            (_, None) => format!("the line has no _id, and {} needs one", line.verb.name()),
        };
        self.refuse(number, 0, action, &reason, &[action, body])
    }

    /// Reads the body behind an action line. `None` if it was refused.
    fn body(&mut self, action: &[u8], number: u64) -> Result<Option<Body>> {
        match self.read(Place::Body)? {
            Piece::Line => Ok(Some(Body::Line)),
            Piece::End => {
                let reason = "the input ends before the body of this action";
                self.refuse(number, 0, action, reason, &[action])?;
                Ok(None)
            }
            Piece::TooLong => {
                let body = std::mem::take(&mut self.body);
                self.refuse_long(action, &body)?;
                self.body = body;
                Ok(None)
            }
        }
    }

    /// Refuses an action line and what belongs to it. True if the start of the next operation was read instead
    /// of a body; it is where the body would be.
    fn bad_action(&mut self, bad: &BadLine, action: &[u8], number: u64) -> Result<bool> {
        let has_body = bad.verb.is_none_or(Verb::has_body);
        let mut next = false;
        let mut too_long = false;
        if has_body {
            match self.read(Place::Body)? {
                Piece::Line => next = bad.verb.is_none() && bulk::starts_operation(&self.body),
                Piece::End => self.body.clear(),
                Piece::TooLong => too_long = true,
            }
        } else {
            self.body.clear();
        }
        let rejects = Arc::clone(&self.reader.rejects);
        let refusal = Refusal {
            source: self.name,
            line: number,
            offset: bad.offset,
            text: action,
            reason: &bad.message,
        };
        let (body, lines) = (&self.body, &mut self.lines);
        let written = if too_long {
            rejects.refuse_with(&refusal, |out| {
                out.write_all(action)?;
                out.write_all(body)?;
                lines.rest(|piece| out.write_all(piece))
            })
        } else {
            let own: &[u8] = if next { &[] } else { body };
            rejects.refuse(&refusal, &[action, own])
        };
        written.map_err(|error| unwritable(&error))?;
        Ok(next)
    }

    fn refuse(&self, line: u64, offset: usize, text: &[u8], reason: &str, lines: &[&[u8]]) -> Result {
        let refusal = Refusal { source: self.name, line, offset, text, reason };
        self.reader.rejects.refuse(&refusal, lines).map_err(|error| unwritable(&error))
    }

    /// Refuses a line of which only the start is in memory.
    fn refuse_long(&mut self, before: &[u8], start: &[u8]) -> Result {
        let reason = format!(
            "the line is longer than {} bytes, which is the most",
            units::count(LINE_BYTES_MAX as u64)
        );
        let line = self.lines.number();
        let refusal = Refusal { source: self.name, line, offset: 0, text: start, reason: &reason };
        let (rejects, lines) = (Arc::clone(&self.reader.rejects), &mut self.lines);
        let written = rejects.refuse_with(&refusal, |out| {
            out.write_all(before)?;
            out.write_all(start)?;
            lines.rest(|piece| out.write_all(piece))
        });
        written.map_err(|error| unwritable(&error))
    }

    fn unreadable(&self, error: &io::Error) -> Failure {
        Failure::io(format!("reading {} behind line {}", self.name, self.lines.number()), error)
    }
}

/// The first line of a text, with its end, and what comes behind it.
#[inline]
fn first_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    text.split_at_checked(memchr::memchr(b'\n', text)? + 1)
}

/// Which of the two line buffers a line goes to.
#[derive(Clone, Copy)]
enum Place {
    Action,
    Body,
}

/// A refused line could not be kept. Reading on would lose it.
pub(super) fn unwritable(error: &io::Error) -> Failure {
    Failure::io("writing refused lines to --rejects", error)
}

/// Chunks on their way to the writers, and the account of them.
#[derive(Debug)]
pub(super) struct Spread {
    source: usize,
    writers: Vec<(Chunk, Sender<Chunk>)>,
    recycled: Receiver<Chunk>,
    empty: Vec<Chunk>,
    /// Chunks that were sent and have not come back, in operations' bytes.
    out_bytes: usize,
    out_bytes_max: usize,
    ids: Ids,
}

impl Spread {
    pub(super) fn new(writers: Vec<Sender<Chunk>>, recycled: Receiver<Chunk>, bytes_max: usize) -> Self {
        let writers = writers.into_iter().map(|sender| (Chunk::default(), sender)).collect();
        let ids = Ids { start: RandomState::new().hash_one("ids"), count: 0 };
        Self { source: 0, writers, recycled, empty: Vec::new(), out_bytes: 0, out_bytes_max: bytes_max, ids }
    }

    /// Adds an operation to the chunk of its writer.
    fn push(&mut self, verb: Verb, names: Names<'_>, line: u64, lines: [&[u8]; 2]) {
        let hash = key_hash(names);
        let number = writer_of(hash, self.writers.len());
        let Some((chunk, _)) = self.writers.get_mut(number) else { return };
        chunk.push(verb, names, line, hash, lines);
        if chunk.bytes() >= CHUNK_BYTES {
            self.send(number);
        }
    }

    /// Sends every chunk that holds something.
    fn send_all(&mut self) {
        for number in 0..self.writers.len() {
            self.send(number);
        }
    }

    fn send(&mut self, number: usize) {
        let Some((chunk, sender)) = self.writers.get_mut(number) else { return };
        if chunk.is_empty() {
            return;
        }
        let mut full = std::mem::replace(chunk, self.empty.pop().unwrap_or_default());
        full.source = self.source;
        self.out_bytes += full.bytes();
        // A writer that has gone was stopped; its chunk counts for nothing any more.
        if let Err(returned) = sender.send(full) {
            self.out_bytes -= returned.0.bytes();
        }
        while let Ok(chunk) = self.recycled.try_recv() {
            self.take_back(chunk);
        }
        while self.out_bytes > self.out_bytes_max {
            match self.recycled.recv() {
                Ok(chunk) => self.take_back(chunk),
                Err(_) => return,
            }
        }
    }

    fn take_back(&mut self, mut chunk: Chunk) {
        self.out_bytes = self.out_bytes.saturating_sub(chunk.bytes());
        chunk.clear();
        // A chunk for each writer to fill, and a few in their hands.
        if self.empty.len() < self.writers.len() * 2 {
            self.empty.push(chunk);
        }
    }
}

/// 64 bits of a key: those of the id, under a seed that the index gives.
fn key_hash(names: Names<'_>) -> u64 {
    let seed = XxHash3_64::oneshot(names.index.as_bytes());
    XxHash3_64::oneshot_with_seed(seed, names.id.as_bytes())
}

/// The high bits choose the writer.
fn writer_of(hash: u64, writers: usize) -> usize {
    let wide = u128::from(hash) * writers as u128;
    usize::try_from(wide >> 64).unwrap_or(0)
}

/// Makes up ids: a random start and a count, so that no two of one run are equal, and two runs' hardly ever.
#[derive(Debug)]
struct Ids {
    start: u64,
    count: u64,
}

impl Ids {
    fn next(&mut self) -> String {
        self.count += 1;
        let mut bits = (u128::from(self.start) << 56) | u128::from(self.count);
        let mut id = String::with_capacity(ID_CHARACTERS as usize);
        for _ in 0..ID_CHARACTERS {
            let digit = usize::try_from(bits & 63).unwrap_or(0);
            id.extend(URL_SAFE.get(digit).copied().map(char::from));
            bits >>= 6;
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn made_up_ids_are_twenty_url_safe_characters_and_differ() {
        let mut ids = Ids { start: u64::MAX, count: 0 };
        let made: HashSet<String> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(made.len(), 10_000);
        let is_safe = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
        assert!(made.iter().all(|id| id.len() == 20 && id.chars().all(is_safe)));
        assert_ne!(Ids { start: 1, count: 0 }.next(), Ids { start: 2, count: 0 }.next());
    }

    #[test]
    fn a_key_is_its_index_and_id_and_not_their_text_alone() {
        let names = |index, id| Names { index, id, routing: None };
        assert_ne!(key_hash(names("ab", "c")), key_hash(names("a", "bc")));
        assert_eq!(key_hash(names("a", "b")), key_hash(Names { routing: Some("r"), ..names("a", "b") }));
    }

    #[test]
    fn keys_spread_over_all_writers() {
        for writers in [1, 2, 3, 7] {
            let found: HashSet<usize> = (0..1_000)
                .map(|id| key_hash(Names { index: "i", id: &format!("{id}"), routing: None }))
                .map(|hash| writer_of(hash, writers))
                .collect();
            assert_eq!(found, (0..writers).collect());
        }
    }
}
