//! The reader: lines become operations.
//!
//! # Design
//! Operations of the plain form are taken as they lie in the buffer of the input, many at once; all others line by line.
//! Before the input is asked for more, what was read goes out, so that a slow pipe holds nothing back.
//!
//! # Where the stream goes on after a bad line
//! An action line whose verb is known says whether a body follows, and both are refused together. One that makes
//! no sense at all is followed by its body, unless the next line reads as the start of an operation.
//!
//! # Invariants
//! 1. Operations go on in the order of the input.
//! 2. Every line that is not blank went on, or was refused, or the reader was stopped before it.
//! 3. What was read before a failure goes on as well.

use super::{
    ids::Ids,
    inputs::Inputs,
    queued::{BATCH, Names, Queued},
};
use crate::{
    bulk::{self, ActionLine, BadLine, PlainLine, Verb},
    failure::{Failure, Result},
    input::{LINE_BYTES_MAX, Lines, Piece},
    rejects::{Refusal, Rejects},
    sync::Stop,
    units,
};
use std::{
    io,
    sync::{Arc, atomic::AtomicU64},
};

/// Takes operations in, in the order of the input.
pub(crate) trait Intake {
    /// What follows is of the source of this number.
    fn begin(&mut self, source: usize);

    /// Takes in operations that follow one another.
    fn take_in(&mut self, queued: &[Queued<'_>]) -> Result;

    /// Keeps nothing back: the input may keep one waiting.
    fn send_all(&mut self) {}
}

/// Reads all inputs, one after the other.
#[derive(Debug)]
pub(crate) struct Reader<I> {
    pub(crate) intake: I,
    pub(crate) ids: Ids,
    /// Stands in where a line names no index.
    pub(crate) index: Option<String>,
    pub(crate) rejects: Arc<Rejects>,
    pub(crate) stop: Stop,
    pub(crate) position: Arc<AtomicU64>,
    /// With a journal, the last line of each input that an earlier run had accepted.
    pub(crate) marks: Vec<u64>,
}

impl<I: Intake> Reader<I> {
    /// Reads until the inputs end or the stop is set. A read that fails ends it: what follows cannot be trusted.
    pub(crate) fn run(&mut self, inputs: &Inputs) -> Result {
        for (number, source) in inputs.sources.iter().enumerate() {
            self.intake.begin(number);
            let name = source.to_string();
            let lines = source
                .open(Arc::clone(&self.position))
                .map_err(|error| Failure::io(format!("opening {name}"), &error))?;
            let mark = self.marks.get(number).copied().unwrap_or(0);
            let step =
                Step { mark, reader: &mut *self, name: &name, lines, action: Vec::new(), body: Vec::new() };
            let read = step.run();
            self.intake.send_all();
            read?;
        }
        Ok(())
    }
}

/// The state while one input is read.
struct Step<'a, I> {
    reader: &'a mut Reader<I>,
    name: &'a str,
    /// Up to this line an earlier run has refused what it refuses.
    mark: u64,
    lines: Lines,
    action: Vec<u8>,
    body: Vec<u8>,
}

/// What stands at the place of a body.
enum Body {
    Line,
    Missing,
}

impl<I: Intake> Step<'_, I> {
    fn run(mut self) -> Result {
        let mut is_read = false;
        while !self.reader.stop.is_set() {
            if !is_read {
                self.take_plain()?;
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
    fn take_plain(&mut self) -> Result {
        let Reader { intake, index, stop, .. } = &mut *self.reader;
        let (text, before) = (self.lines.buffered(), self.lines.number());
        let mut plain = Plain { text, number: before, index: index.as_deref() };
        let mut batch = Vec::with_capacity(BATCH);
        while !stop.is_set() {
            batch.clear();
            batch.extend(plain.by_ref().take(BATCH));
            if batch.is_empty() {
                break;
            }
            intake.take_in(&batch)?;
        }
        let (bytes, lines) = (text.len() - plain.text.len(), plain.number - before);
        self.lines.take(bytes, lines);
        Ok(())
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
        let intake = &mut self.reader.intake;
        let result = self.lines.read(line, || intake.send_all());
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
                return self.reader.intake.take_in(&[Queued::new(line.verb, names, number, [action, body])]);
            }
            (Some(index), None) if line.verb.makes_id() => {
                made = self.reader.ids.next();
                let names = Names { index, id: &made, routing: line.routing.as_deref() };
                // The line as it goes on names the id, so that a refused one is the same document when replayed.
                return self.reader.intake.take_in(&[Queued::new(line.verb, names, number, [action, body])]);
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
        let written = if number <= self.mark {
            if too_long { lines.rest(|_| Ok::<_, io::Error>(())) } else { Ok(()) }
        } else if too_long {
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
        if line <= self.mark {
            return Ok(());
        }
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
        if line <= self.mark {
            return self.lines.rest(|_| Ok(())).map_err(|error: io::Error| self.unreadable(&error));
        }
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

/// Operations of the plain form at the start of a text.
struct Plain<'a> {
    text: &'a [u8],
    /// The number of the line before the text.
    number: u64,
    /// Stands in where a line names no index.
    index: Option<&'a str>,
}

impl<'a> Iterator for Plain<'a> {
    type Item = Queued<'a>;

    fn next(&mut self) -> Option<Queued<'a>> {
        let (action, rest) = first_line(self.text)?;
        let line = PlainLine::read(action)?;
        let names = Names { index: line.index.or(self.index)?, id: line.id, routing: None };
        let number = self.number + 1;
        let (body, rest) = if line.verb.has_body() { first_line(rest)? } else { (&[][..], rest) };
        self.text = rest;
        self.number = number + u64::from(line.verb.has_body());
        Some(Queued::new(line.verb, names, number, [action, body]))
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
