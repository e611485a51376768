//! Submitting: validate, fold, and wait where there is no room.
//!
//! # Design
//! Everything that can be refused is refused before a lock is taken: names, size, the whole of the body. What a
//! submit needs of memory beside the shard's is kept by the calling thread ([`Scratch`]): the encoded body and the
//! index names it met lately, so that a submit allocates nothing and shares nothing with other threads before it
//! takes its shard's lock. Where memory is at its bound, or the key at its own, the caller's choice decides between
//! waiting and handing back.
//!
//! The memory that a key lies in is mostly not in the processor's caches, and is reached in three steps, each known
//! from the one before. A single submit asks for all three where they are guessed to be (`shard/hints.rs`), and encodes
//! meanwhile. A batch goes in rounds over [`ROUND`] operations: encode all, and ask for the hint of each; then ask for
//! what each hint says; then look whether it was right; then submit each, in order.

use super::{Engine, closed};
use crate::{
    Action, Error, ErrorKind, Operation, Result, Ticket,
    clock::{Moment, micros},
    config::Full,
    document::IndexId,
    merge::{NetRef, encode},
    operation::{check_id_and_routing, check_index},
    shard::{Accepted, Bank, Kind, Place, Refusal, Refused, Submission, TicketCell, Waiter},
    sync::atomic::Ordering,
};
use std::{cell::Cell, fmt, sync::Arc, time::Duration};

/// An encoding buffer larger than this is not kept.
const KEPT_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of an action line beside its names: `{"update":{"_index":"","_id":""}}` and two line breaks.
const ACTION_LINE_BYTES: usize = 35;
/// The longest single wait: a waiter looks again this often whether it was woken or not.
const WAIT_STEP: Duration = Duration::from_millis(100);

/// Operations of a batch that are asked for ahead at once: more than memory can fetch at a time, and few enough that
/// what was asked for is still there when it is used.
const ROUND: usize = 64;
/// Index names that a thread remembers.
const NAMES: usize = 16;

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// What a thread that submits keeps.
#[derive(Default)]
struct Scratch {
    /// Encoded bodies: the first is that of a single submit.
    bodies: Vec<Vec<u8>>,
    names: Names,
}

/// Numbers of the index names that a thread met lately, in one engine.
#[derive(Default)]
struct Names {
    bank: u64,
    places: [Option<(String, IndexId)>; NAMES],
}

/// An operation that nothing is wrong with.
#[derive(Clone, Copy)]
struct Ready {
    index: IndexId,
    place: Place,
}

impl Scratch {
    /// Runs `f` with this thread's. Taken, not borrowed: a sink asked for sequence numbers under here may submit to
    /// another engine.
    fn with<R>(f: impl FnOnce(&mut Self) -> R) -> R {
        let mut scratch = SCRATCH.take().unwrap_or_default();
        let result = f(&mut scratch);
        SCRATCH.set(Some(scratch));
        result
    }

    /// After a batch: large bodies are not kept.
    fn trim(&mut self) {
        self.bodies.iter_mut().filter(|body| body.capacity() > KEPT_BYTES_MAX / ROUND).for_each(|body| {
            *body = Vec::new();
        });
    }

    fn body(&mut self, at: usize) -> (&mut Vec<u8>, &mut Names) {
        if self.bodies.len() <= at {
            self.bodies.resize_with(at + 1, Vec::new);
        }
        #[expect(clippy::indexing_slicing, reason = "made long enough two lines up")]
        let body = &mut self.bodies[at];
        if body.capacity() > KEPT_BYTES_MAX {
            *body = Vec::new();
        }
        (body, &mut self.names)
    }
}

impl Names {
    /// Names differ in length, or else mostly at their end.
    #[inline]
    fn place(&mut self, bank: u64, name: &str) -> &mut Option<(String, IndexId)> {
        if self.bank != bank {
            *self = Self { bank, ..Self::default() };
        }
        let last = name.as_bytes().last().copied().unwrap_or(0);
        #[expect(clippy::indexing_slicing, reason = "a remainder is less than its divisor")]
        &mut self.places[(name.len() + usize::from(last)) % NAMES]
    }

    #[inline]
    fn find(&mut self, bank: u64, name: &str) -> Option<IndexId> {
        self.place(bank, name).as_ref().filter(|(known, _)| known == name).map(|(_, index)| *index)
    }
}

/// Why an operation was not accepted; it comes back, and nothing has changed.
pub struct SubmitError<'a> {
    /// The operation as it was submitted.
    pub operation: Operation<'a>,
    /// Why.
    pub error: Error,
}

/// Which operations of a batch were not accepted. All others were.
pub struct BatchError {
    /// The positions of the refused operations, each with the reason, in order.
    pub refused: Vec<(usize, Error)>,
    /// Where the batch was given up, because no later operation could have been accepted either: it and all
    /// after it were not tried (the operation at this position is the last in `refused`).
    pub stopped_at: Option<usize>,
    /// The highest sequence number among those accepted.
    pub last_seq: Option<u64>,
}

impl Engine {
    /// Accepts one operation; returns its sequence number. What can be told to be bad is refused here: see
    /// [`ErrorKind::Invalid`] and [`ErrorKind::TooLarge`]. At the memory bound waits or hands back, as the
    /// handle was told ([`Engine::with_full`]).
    pub fn submit<'a>(&self, operation: Operation<'a>) -> Result<u64, SubmitError<'a>> {
        self.accept(&operation, None).map_err(|error| SubmitError { operation, error })
    }

    /// The same, with a [`Ticket`] by which the caller learns what became of this very operation, as if nothing
    /// had been folded. Costs one small allocation.
    pub fn submit_tracked<'a>(&self, operation: Operation<'a>) -> Result<Ticket, SubmitError<'a>> {
        let cell = Arc::new(TicketCell::default());
        match self.accept(&operation, Some(&cell)) {
            Ok(seq) => Ok(Ticket::new(seq, cell, Arc::clone(&self.shared.bank.latch))),
            Err(error) => Err(SubmitError { operation, error }),
        }
    }

    /// Accepts operations in order; returns the highest sequence number given. A bad operation is left out and
    /// the rest goes on; a failure that would meet the next ones too (full, closed, latched) ends the batch.
    ///
    /// Takes a quarter to a half less time than one submit after another where there are many documents (`table` among the
    /// benches, on a million): what the operations touch is asked for ahead.
    pub fn submit_batch(&self, operations: &[Operation<'_>]) -> Result<Option<u64>, BatchError> {
        let mut error = BatchError { refused: Vec::new(), stopped_at: None, last_seq: None };
        Scratch::with(|scratch| {
            for (round, operations) in operations.chunks(ROUND).enumerate() {
                self.submit_round(operations, round * ROUND, scratch, &mut error);
                if error.stopped_at.is_some() {
                    break;
                }
            }
            scratch.trim();
        });
        if error.refused.is_empty() { Ok(error.last_seq) } else { Err(error) }
    }

    /// Some operations of a batch, which stand in it from `first` on.
    fn submit_round(
        &self,
        operations: &[Operation<'_>],
        first: usize,
        scratch: &mut Scratch,
        error: &mut BatchError,
    ) {
        let bank = &self.shared.bank;
        let mut checked: [Option<Result<Ready>>; ROUND] = [const { None }; ROUND];
        for (at, (operation, checked)) in operations.iter().zip(&mut checked).enumerate() {
            let (body, names) = scratch.body(at);
            *checked = Some(self.check(operation, Bank::announce, body, names));
        }
        for ready in checked.iter().flatten().flatten() {
            bank.expect(ready.place);
        }
        for ready in checked.iter().flatten().flatten() {
            bank.prepare(ready.place);
        }
        let moment = self.shared.clock.moment();
        for (at, (operation, checked)) in operations.iter().zip(checked).enumerate() {
            let body = scratch.bodies.get(at).map_or(&[][..], Vec::as_slice);
            let ready = checked.unwrap_or_else(|| Err(closed()));
            let accepted =
                ready.and_then(|ready| self.put(operation, ready, NetRef::from_bytes(body), None, moment));
            match accepted {
                Ok(seq) => error.last_seq = error.last_seq.max(Some(seq)),
                Err(refused) => {
                    let stop = !refused.is_bad_input();
                    error.refused.push((first + at, refused));
                    if stop {
                        error.stopped_at = Some(first + at);
                        return;
                    }
                }
            }
        }
    }

    fn accept(&self, operation: &Operation<'_>, ticket: Option<&Arc<TicketCell>>) -> Result<u64> {
        Scratch::with(|scratch| {
            let (body, names) = scratch.body(0);
            let ready = self.check(operation, Bank::expect, body, names)?;
            let moment = self.shared.clock.moment();
            self.put(operation, ready, NetRef::from_bytes(body), ticket, moment)
        })
    }

    /// Checks everything about an operation and encodes its body; before that, asks ahead for what its key will need.
    fn check(
        &self,
        operation: &Operation<'_>,
        ask_ahead: impl Fn(&Bank, Place),
        body: &mut Vec<u8>,
        names: &mut Names,
    ) -> Result<Ready> {
        let bank = &self.shared.bank;
        bank.latch.check()?;
        let known = names.find(bank.number, operation.index);
        if known.is_none() {
            check_index(operation.index)?;
        }
        check_id_and_routing(operation)?;
        self.check_size(operation)?;
        if let Some(index) = known {
            let place = bank.place(index, operation.id);
            ask_ahead(bank, place);
            encode(operation.action, body)?;
            return Ok(Ready { index, place });
        }
        encode(operation.action, body)?;
        let index = bank.indices.intern(operation.index)?;
        *names.place(bank.number, operation.index) = Some((operation.index.to_owned(), index));
        Ok(Ready { index, place: bank.place(index, operation.id) })
    }

    fn check_size(&self, operation: &Operation<'_>) -> Result<()> {
        let (bytes, most) = (body_bytes(operation.action), self.shared.document_bytes_max);
        if bytes <= most {
            return Ok(());
        }
        let bound = self.shared.bank.memory.bound();
        let message = format!(
            "the body has {bytes} bytes; with a memory bound of {bound} bytes one operation may have {most}"
        );
        Err(Error::new(ErrorKind::TooLarge, message))
    }

    /// Finds room for an encoded operation.
    fn put(
        &self,
        operation: &Operation<'_>,
        ready: Ready,
        net: NetRef<'_>,
        ticket: Option<&Arc<TicketCell>>,
        mut moment: Moment,
    ) -> Result<u64> {
        let shared = &*self.shared;
        let bytes =
            body_bytes(operation.action) + operation.index.len() + operation.id.len() + ACTION_LINE_BYTES;
        let mut left = match self.full {
            Full::Wait(wait) => wait,
            Full::HandBack => Duration::ZERO,
        };
        let mut waiter = None;
        loop {
            // Again after each wait: a latched engine takes nothing more, and a closing one has no room to come.
            shared.bank.latch.check()?;
            if shared.sealed.load(Ordering::Acquire) {
                return Err(closed());
            }
            let submission = Submission {
                routing: operation.routing,
                kind: Kind::of(operation.action),
                net,
                ticket,
                now_us: moment.now_us,
                stamp_us: moment.wall_us,
                bytes,
            };
            match shared.bank.submit(ready.index, operation.id, ready.place, &submission) {
                Ok(accepted) => {
                    self.tell_drain(accepted);
                    return Ok(accepted.seq);
                }
                Err(Refused::Shard(Refusal::Sealed)) => return Err(closed()),
                Err(refused @ Refused::Shard(Refusal::SeqExhausted)) => {
                    // Above the clock too: it may have jumped far ahead.
                    let ceiling = shared.bank.ceiling();
                    let raised =
                        ceiling.max(submission.stamp_us).saturating_add(crate::drain::CEILING_AHEAD_US);
                    if raised == ceiling || !shared.drain.raise_ceiling(raised)? {
                        left = self.wait_for_room(refused, &mut waiter, left)?;
                    }
                }
                Err(refused) => {
                    shared.bank.memory.note_refusal();
                    shared.drain.signal();
                    left = self.wait_for_room(refused, &mut waiter, left)?;
                }
            }
            moment = shared.clock.moment();
        }
    }

    /// Lines up or, where the caller has and was refused again, waits a while; returns how much of the wait is left, or
    /// the refusal when it is over.
    fn wait_for_room<'a>(
        &'a self,
        refused: Refused,
        waiter: &mut Option<Waiter<'a>>,
        left: Duration,
    ) -> Result<Duration> {
        let memory = &self.shared.bank.memory;
        if left.is_zero() {
            let message = match refused {
                Refused::Full { bytes } => {
                    let (used, bound) = (memory.used(), memory.bound());
                    return Err(Error::new(
                        ErrorKind::Full,
                        format!(
                            "the operation may need {bytes} bytes; {used} of the memory bound of {bound} bytes are in use"
                        ),
                    ));
                }
                Refused::Shard(Refusal::SeqExhausted) => {
                    "the sink has not made more sequence numbers durable yet"
                }
                Refused::Shard(_) => {
                    "the key holds as many operations that cannot fold as it may, and its flight is still out"
                }
            };
            return Err(Error::new(ErrorKind::Busy, message));
        }
        let Some(waiter) = waiter else {
            *waiter = Some(memory.line_up());
            return Ok(left);
        };
        let before = self.shared.clock.now_us();
        waiter.wait(left.min(WAIT_STEP));
        let passed = self.shared.clock.now_us().saturating_sub(before);
        Ok(Duration::from_micros(micros(left).saturating_sub(passed)))
    }

    /// Wakes the drain where this submit made something urgent, or brought memory to where it presses.
    fn tell_drain(&self, accepted: Accepted) {
        if accepted.urgent || (accepted.drew && self.shared.bank.memory.begins_to_press()) {
            self.shared.drain.signal();
        }
    }
}

fn body_bytes(action: Action<'_>) -> usize {
    match action {
        Action::Index(body) | Action::Create(body) | Action::Update(body) => body.len(),
        Action::Delete => 0,
    }
}

impl SubmitError<'_> {
    /// Why.
    pub fn error(&self) -> &Error {
        &self.error
    }
}

impl fmt::Display for SubmitError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Operation { index, id, .. } = self.operation;
        write!(f, "the operation on {id:?} in index {index:?} was not accepted: {}", self.error)
    }
}

impl fmt::Debug for SubmitError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.error.kind())
    }
}

impl std::error::Error for SubmitError<'_> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<SubmitError<'_>> for Error {
    fn from(refused: SubmitError<'_>) -> Self {
        refused.error
    }
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} operations of the batch were refused", self.refused.len())?;
        if let Some((position, error)) = self.refused.first() {
            write!(f, ", the first at {position}: {error}")?;
        }
        match self.stopped_at {
            Some(position) => write!(f, "; nothing from {position} on was accepted"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for BatchError {}
