//! What a caller gets back whose operations were not accepted.

use crate::{Error, Operation};
use std::{collections::BTreeSet, fmt};

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

impl BatchError {
    /// Nothing of the batch is known to be on the medium: none of its operations counts as accepted.
    pub(super) fn refuse_all(&mut self, operations: usize, failure: &Error) {
        let refused: BTreeSet<usize> = self.refused.iter().map(|(at, _)| *at).collect();
        let end = self.stopped_at.unwrap_or(operations);
        let unsure = (0..end).filter(|at| !refused.contains(at));
        self.refused.extend(unsure.map(|at| (at, Error::new(failure.kind(), failure.message()))));
        self.refused.sort_unstable_by_key(|(at, _)| *at);
        self.stopped_at.get_or_insert(0);
        self.last_seq = None;
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
