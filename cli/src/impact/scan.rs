//! The input is looked through once before anything is sent: how much it is, and which indices it names.

use crate::{
    distinct::Distinct,
    failure::{Failure, Result},
    replay::{queued::Queued, reader::Intake, submitter::uncounted},
};

use super::indices::INDICES_MAX;

/// Memory to count distinct keys.
const DISTINCT_BYTES: usize = 8 * 1024 * 1024;

/// Counts operations.
#[derive(Debug)]
pub(super) struct Scan {
    distinct: Distinct,
    total: Total,
}

/// What is in the input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Total {
    pub(super) operations: u64,
    /// Distinct keys.
    pub(super) documents: u64,
    /// Of the lines as they stand there.
    pub(super) bytes: u64,
    /// Their names, in the order in which they come.
    pub(super) indices: Vec<String>,
}

impl Scan {
    pub(super) fn new() -> Self {
        Self { distinct: Distinct::new(DISTINCT_BYTES / size_of::<u64>()), total: Total::default() }
    }

    pub(super) fn end(mut self) -> Result<Total> {
        self.total.documents = self.distinct.count().map_err(|error| uncounted(&error))?;
        Ok(self.total)
    }
}

impl Intake for Scan {
    fn begin(&mut self, _: usize) {}

    fn take_in(&mut self, queued: &[Queued<'_>]) -> Result {
        for queued in queued {
            self.total.operations += 1;
            self.total.bytes += queued.bytes();
            self.distinct.add(queued.hash).map_err(|error| uncounted(&error))?;
            let index = queued.names.index;
            if self.total.indices.last().is_some_and(|last| last == index)
                || self.total.indices.iter().any(|known| known == index)
            {
                continue;
            }
            if self.total.indices.len() >= INDICES_MAX {
                return Err(Failure::Failed(format!(
                    "the input names more than {INDICES_MAX} indices, and each would be made anew for each run: take the lines of fewer"
                )));
            }
            self.total.indices.push(index.to_owned());
        }
        Ok(())
    }
}
