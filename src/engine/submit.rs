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

use super::{BatchError, Engine, Shared, SubmitError, closed, journaling::Written};
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
use std::{cell::Cell, sync::Arc, time::Duration};

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
    /// The journal's record of an operation.
    record: Vec<u8>,
    names: Names,
}

/// Numbers of the index names that a thread met lately, in one engine.
#[derive(Default)]
struct Names {
    bank: u64,
    places: [Option<(String, IndexId)>; NAMES],
}

/// What became of an operation that was accepted.
pub(super) struct Put {
    pub(super) seq: u64,
    pub(super) written: Written,
}

/// Where an operation comes from.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub(super) source: u32,
    pub(super) position: u64,
}

/// An operation that nothing is wrong with.
#[derive(Clone, Copy)]
pub(super) struct Ready {
    pub(super) index: IndexId,
    pub(super) place: Place,
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

    /// The encoded body of a single submit, and where its record goes.
    fn single(&mut self) -> (&[u8], &mut Vec<u8>) {
        let Self { bodies, record, .. } = self;
        (bodies.first().map_or(&[][..], Vec::as_slice), record)
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

impl Engine {
    /// Accepts one operation; returns its sequence number. What can be told to be bad is refused here: see
    /// [`ErrorKind::Invalid`] and [`ErrorKind::TooLarge`]. At the memory bound waits or hands back, as the
    /// handle was told ([`Engine::with_full`]).
    pub fn submit<'a>(&self, operation: Operation<'a>) -> Result<u64, SubmitError<'a>> {
        self.accept(&operation, None, None)
            .map(|put| put.seq)
            .map_err(|error| SubmitError { operation, error })
    }

    /// The same, with a [`Ticket`] by which the caller learns what became of this very operation, as if nothing
    /// had been folded. Costs one small allocation.
    pub fn submit_tracked<'a>(&self, operation: Operation<'a>) -> Result<Ticket, SubmitError<'a>> {
        let cell = Arc::new(TicketCell::default());
        match self.accept(&operation, Some(&cell), None) {
            Ok(put) => Ok(Ticket::new(put.seq, cell, Arc::clone(&self.shared.bank.latch))),
            Err(error) => Err(SubmitError { operation, error }),
        }
    }

    /// Accepts operations in order; returns the highest sequence number given. A bad operation is left out and
    /// the rest goes on; a failure that would meet the next ones too (full, closed, latched) ends the batch.
    ///
    /// Takes a quarter to a half less time than one submit after another where there are many documents (`table` among the
    /// benches, on a million): what the operations touch is asked for ahead.
    pub fn submit_batch(&self, operations: &[Operation<'_>]) -> Result<Option<u64>, BatchError> {
        self.accept_batch(operations, None).0
    }

    /// The same, from a source, with as many positions; also how far into the journal they were written.
    pub(super) fn accept_batch(
        &self,
        operations: &[Operation<'_>],
        origin: Option<(u32, &[u64])>,
    ) -> (Result<Option<u64>, BatchError>, Written) {
        let mut error = BatchError { refused: Vec::new(), stopped_at: None, last_seq: None };
        let mut written = Written::default();
        Scratch::with(|scratch| {
            for (round, operations) in operations.chunks(ROUND).enumerate() {
                self.submit_round((operations, origin), round * ROUND, scratch, (&mut error, &mut written));
                if error.stopped_at.is_some() {
                    break;
                }
            }
            scratch.trim();
        });
        if let Err(failure) = self.shared.acknowledge(written) {
            error.refuse_all(operations.len(), &failure);
        }
        (if error.refused.is_empty() { Ok(error.last_seq) } else { Err(error) }, written)
    }

    /// Some operations of a batch, which stand in it from `first` on.
    fn submit_round(
        &self,
        (operations, origin): (&[Operation<'_>], Option<(u32, &[u64])>),
        first: usize,
        scratch: &mut Scratch,
        (error, written): (&mut BatchError, &mut Written),
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
            let origin = origin.and_then(|(source, positions)| {
                positions.get(first + at).map(|position| Origin { source, position: *position })
            });
            let with = (moment, origin, &mut scratch.record);
            let accepted =
                ready.and_then(|ready| self.put(operation, ready, NetRef::from_bytes(body), None, with));
            match accepted {
                Ok(accepted) => {
                    error.last_seq = error.last_seq.max(Some(accepted.seq));
                    *written = (*written).max(accepted.written);
                }
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

    pub(super) fn accept(
        &self,
        operation: &Operation<'_>,
        ticket: Option<&Arc<TicketCell>>,
        origin: Option<Origin>,
    ) -> Result<Put> {
        Scratch::with(|scratch| {
            let (body, names) = scratch.body(0);
            let ready = self.check(operation, Bank::expect, body, names)?;
            let moment = self.shared.clock.moment();
            let (net, record) = scratch.single();
            let with = (moment, origin, record);
            let accepted = self.put(operation, ready, NetRef::from_bytes(net), ticket, with)?;
            self.shared.acknowledge(accepted.written)?;
            Ok(accepted)
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

    pub(super) fn check_size(&self, operation: &Operation<'_>) -> Result<()> {
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
    pub(super) fn put(
        &self,
        operation: &Operation<'_>,
        ready: Ready,
        net: NetRef<'_>,
        ticket: Option<&Arc<TicketCell>>,
        (mut moment, origin, record): (Moment, Option<Origin>, &mut Vec<u8>),
    ) -> Result<Put> {
        let shared = &*self.shared;
        shared.write_record(operation, origin, (ready.index, net), record);
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
            let mut entry = match shared.begin_entry(record) {
                Ok(entry) => entry,
                Err(error) if error.kind() == ErrorKind::Full && !left.is_zero() => {
                    left = self.wait_a_while(&mut waiter, left);
                    moment = shared.clock.moment();
                    continue;
                }
                Err(error) => return Err(error),
            };
            let log = |_| entry.place();
            let refused = match shared.bank.submit(ready.index, operation.id, ready.place, &submission, log) {
                Ok(accepted) => {
                    let written = entry.fill(accepted.seq, record);
                    self.tell_drain(accepted);
                    return Ok(Put { seq: accepted.seq, written });
                }
                Err(Refused::Shard(Refusal::Sealed)) => return Err(closed()),
                Err(refused) => refused,
            };
            // Nobody waits who was promised room in the journal: others need it for room to come.
            drop(entry);
            if !self.make_room(&refused, submission.stamp_us)? {
                left = self.wait_for_room(refused, &mut waiter, left)?;
            }
            moment = shared.clock.moment();
        }
    }

    /// Does what there is to do about a refusal: true where it need not be waited for.
    fn make_room(&self, refused: &Refused, stamp_us: u64) -> Result<bool> {
        let Shared { bank, drain, .. } = &*self.shared;
        if matches!(refused, Refused::Shard(Refusal::SeqExhausted)) {
            // Above the clock too: it may have jumped far ahead.
            let ceiling = bank.ceiling();
            let raised = ceiling.max(stamp_us).saturating_add(crate::drain::CEILING_AHEAD_US);
            return Ok(raised != ceiling && drain.raise_ceiling(raised)?);
        }
        // A key at its own bound is no reason to send others early.
        if matches!(refused, Refused::Full { .. }) {
            bank.memory.note_refusal();
        }
        drain.signal();
        Ok(false)
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
        Ok(self.wait_a_while(waiter, left))
    }

    /// Lines up or, where the caller has, waits a while; returns how much of the wait is left.
    fn wait_a_while<'a>(&'a self, waiter: &mut Option<Waiter<'a>>, left: Duration) -> Duration {
        let Some(waiter) = waiter else {
            *waiter = Some(self.shared.bank.memory.line_up());
            return left;
        };
        let before = self.shared.clock.now_us();
        waiter.wait(left.min(WAIT_STEP));
        let passed = self.shared.clock.now_us().saturating_sub(before);
        Duration::from_micros(micros(left).saturating_sub(passed))
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
