//! Submitting: validate, fold, and wait where there is no room.
//!
//! # Design
//! Everything that can be refused is refused before a lock is taken: names, size, the whole of the body. The
//! body is encoded into a buffer of the calling thread, which is kept, so that a submit allocates nothing for
//! it. Then one shard takes the encoded operation. Where memory is at its bound, or the key at its own, the
//! caller's choice decides between waiting and handing back.

use super::{Engine, closed};
use crate::{
    Action, Error, ErrorKind, Operation, Result, Ticket,
    clock::micros,
    config::Full,
    merge::{NetRef, encode},
    operation::check_names,
    shard::{Accepted, Kind, Refusal, Refused, Submission, TicketCell},
};
use std::{cell::RefCell, fmt, sync::Arc, sync::atomic::Ordering, time::Duration};

/// An encoding buffer larger than this is not kept.
const KEPT_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of an action line beside its names: `{"update":{"_index":"","_id":""}}` and two line breaks.
const ACTION_LINE_BYTES: usize = 35;
/// The longest single wait: a waiter looks again this often whether it was woken or not.
const WAIT_STEP: Duration = Duration::from_millis(100);

thread_local! {
    static ENCODED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
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
    pub fn submit_batch(&self, operations: &[Operation<'_>]) -> Result<Option<u64>, BatchError> {
        let mut error = BatchError { refused: Vec::new(), stopped_at: None, last_seq: None };
        for (position, operation) in operations.iter().enumerate() {
            match self.accept(operation, None) {
                Ok(seq) => error.last_seq = error.last_seq.max(Some(seq)),
                Err(refused) => {
                    let stop = !refused.is_bad_input();
                    error.refused.push((position, refused));
                    if stop {
                        error.stopped_at = Some(position);
                        break;
                    }
                }
            }
        }
        if error.refused.is_empty() { Ok(error.last_seq) } else { Err(error) }
    }

    fn accept(&self, operation: &Operation<'_>, ticket: Option<&Arc<TicketCell>>) -> Result<u64> {
        self.shared.bank.latch.check()?;
        check_names(operation)?;
        self.check_size(operation)?;
        // Taken, not borrowed: a sink asked for sequence numbers under here may submit to another engine.
        let mut encoded = ENCODED.take();
        let accepted = encode(operation.action, &mut encoded)
            .and_then(|()| self.place(operation, NetRef::from_bytes(&encoded), ticket));
        if encoded.capacity() <= KEPT_BYTES_MAX {
            ENCODED.set(encoded);
        }
        accepted
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
    fn place(
        &self,
        operation: &Operation<'_>,
        net: NetRef<'_>,
        ticket: Option<&Arc<TicketCell>>,
    ) -> Result<u64> {
        let shared = &*self.shared;
        let index = shared.bank.indices.intern(operation.index)?;
        let bytes =
            body_bytes(operation.action) + operation.index.len() + operation.id.len() + ACTION_LINE_BYTES;
        let mut left = match self.full {
            Full::Wait(wait) => wait,
            Full::HandBack => Duration::ZERO,
        };
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
                now_us: shared.clock.now_us(),
                stamp_us: shared.clock.wall_us(),
                bytes,
            };
            match shared.bank.submit(index, operation.id, &submission) {
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
                        left = self.wait_for_room(refused, left)?;
                    }
                }
                Err(refused) => {
                    shared.bank.memory.note_refusal();
                    shared.drain.signal();
                    left = self.wait_for_room(refused, left)?;
                }
            }
        }
    }

    /// Waits a while for what was refused; returns how much of the wait is left, or the refusal when it is over.
    fn wait_for_room(&self, refused: Refused, left: Duration) -> Result<Duration> {
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
        let step = left.min(WAIT_STEP);
        let before = self.shared.clock.now_us();
        match refused {
            Refused::Full { bytes } => memory.wait(bytes, step),
            Refused::Shard(_) => memory.wait_for_change(step),
        };
        let waited = self.shared.clock.now_us().saturating_sub(before);
        Ok(Duration::from_micros(micros(left).saturating_sub(waited)))
    }

    /// Wakes the drain where this submit made something urgent, or brought memory to where it presses.
    fn tell_drain(&self, accepted: Accepted) {
        let told = &self.shared.pressure_told;
        let pressed = self.shared.bank.memory.is_pressed();
        let first = pressed && !told.load(Ordering::Relaxed) && !told.swap(true, Ordering::Relaxed);
        if accepted.urgent || first {
            self.shared.drain.signal();
        }
        if !pressed && told.load(Ordering::Relaxed) {
            told.store(false, Ordering::Relaxed);
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
