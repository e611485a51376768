//! Takes operations in and cuts them into windows of every size at once.
//!
//! # Design
//! One pass: each operation goes to one engine for each size of windows. What is bad is refused by each of them alike, and
//! told once.
//!
//! # Time that goes back
//! A stream is seldom quite in order of its event times. An operation whose time lies in an earlier window than the open one
//! counts in the open one, as it does where millpond runs: it arrives then. How many did is told. So does one without a
//! time, whatever is open.
//!
//! # Invariants
//! 1. An operation that was accepted is in one window of each size that was not given up, in the order of the input.
//! 2. The windows of time that are ended never open again.

use super::{
    fold::{Counts, Fold, Taken},
    time::{Time, TimeField},
    window::Window,
};
use crate::{
    distinct::Distinct,
    failure::{Failure, Result},
    progress::Figures,
    rejects::Rejects,
    replay::{
        queued::Queued,
        submitter::{refuse, uncounted},
    },
};
use millpond::{Error, Operation};
use std::{num::NonZeroU64, ops::Range, sync::Arc};

/// Memory to count distinct keys.
const DISTINCT_BYTES: usize = 8 * 1024 * 1024;

/// Takes operations in.
#[derive(Debug)]
pub(super) struct Estimator {
    sizes: Vec<Size>,
    field: Option<TimeField>,
    times: Vec<Time>,
    rejects: Arc<Rejects>,
    sources: Arc<[String]>,
    distinct: Distinct,
    total: Total,
}

/// What came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Total {
    pub(super) operations: u64,
    /// Of the lines as they came.
    pub(super) bytes: u64,
    /// Operations without a time, where one is looked for.
    pub(super) missing: u64,
    /// Operations whose time cannot be read.
    pub(super) unreadable: u64,
    /// The first and the last time, in microseconds since 1970.
    pub(super) span: Option<(i64, i64)>,
}

/// What was estimated.
#[derive(Debug)]
pub(super) struct Estimate {
    pub(super) total: Total,
    /// Distinct keys.
    pub(super) documents: u64,
    pub(super) sizes: Vec<Estimated>,
}

/// What was estimated of one size of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Estimated {
    pub(super) window: Window,
    pub(super) found: Found,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// What went out, the operations that came later than their window, and the most bytes that waited.
    Whole { counts: Counts, late: u64, peak_bytes: u64 },
    /// The window did not fit into memory after so many operations.
    Overflow { operations: u64 },
}

/// The windows of one size.
#[derive(Debug)]
struct Size {
    window: Window,
    /// Nothing, once it did not fit.
    fold: Option<Fold>,
    /// Operations in the open window, of windows of operations.
    filled: u64,
    /// The number of the open window, of windows of time.
    open: Option<i64>,
    late: u64,
    /// Operations in all.
    taken: u64,
}

impl Estimator {
    /// Windows of event time need a `field` that has it. Each size may take `memory` bytes.
    pub(super) fn new(
        windows: &[Window],
        field: Option<&str>,
        memory: usize,
        rejects: Arc<Rejects>,
        sources: Arc<[String]>,
    ) -> Result<Self> {
        let size = |window: &Window| {
            let fold = Some(Fold::new(memory)?);
            Ok(Size { window: *window, fold, filled: 0, open: None, late: 0, taken: 0 })
        };
        let has_times = windows.iter().any(|window| window.is_of_time());
        Ok(Self {
            sizes: windows.iter().map(size).collect::<Result<_>>()?,
            field: field.filter(|_| has_times).map(TimeField::new),
            times: Vec::new(),
            rejects,
            sources,
            distinct: Distinct::new(DISTINCT_BYTES / size_of::<u64>()),
            total: Total::default(),
        })
    }

    /// Takes in operations of one source that follow one another.
    pub(super) fn take_in(&mut self, queued: &[Queued<'_>], source: usize) -> Result {
        let operations: Vec<Operation<'_>> = queued.iter().map(Queued::operation).collect();
        self.times.clear();
        if let Some(field) = &self.field {
            self.times.extend(queued.iter().map(|queued| field.time_of(queued)));
        }
        let mut refused = None;
        for size in &mut self.sizes {
            if let Some(bad) = size.take_in(&operations, &self.times)? {
                refused.get_or_insert(bad);
            }
        }
        let Some(refused) = refused else {
            return Err(Failure::Failed("no window fits: a larger --memory takes more".to_owned()));
        };
        self.count(queued, &refused, source)
    }

    /// Ends all windows.
    pub(super) fn finish(mut self) -> Result<Estimate> {
        let sizes = self.sizes.iter_mut().map(Size::finish).collect::<Result<_>>()?;
        let documents = self.distinct.count().map_err(|error| uncounted(&error))?;
        Ok(Estimate { total: self.total, documents, sizes })
    }

    /// How far it is, by the last size that fits.
    pub(super) fn figures(&self) -> Figures {
        let fold = self.sizes.iter().rev().find_map(|size| size.fold.as_ref());
        let (pending_documents, pending_bytes) = fold.map_or((0, 0), Fold::pending);
        Figures {
            operations_in: self.total.operations,
            operations_out: fold.map_or(0, |fold| fold.counts().operations),
            pending_documents,
            pending_bytes,
        }
    }

    /// Counts what was accepted, and tells what was not.
    fn count(&mut self, queued: &[Queued<'_>], refused: &[(usize, Error)], source: usize) -> Result {
        let name = self.sources.get(source).map(String::as_str).unwrap_or_default();
        let mut refused = refused.iter().peekable();
        let mut times = self.times.iter();
        for (position, queued) in queued.iter().enumerate() {
            let time = times.next();
            if let Some((_, error)) = refused.next_if(|(at, _)| *at == position) {
                refuse(queued, name, error, &self.rejects)?;
                continue;
            }
            self.total.operations += 1;
            self.total.bytes += queued.bytes();
            self.distinct.add(queued.hash).map_err(|error| uncounted(&error))?;
            match time {
                None => {}
                Some(Time::Missing) => self.total.missing += 1,
                Some(Time::Unreadable) => self.total.unreadable += 1,
                Some(Time::At(at)) => {
                    let (first, last) = self.total.span.unwrap_or((*at, *at));
                    self.total.span = Some((first.min(*at), last.max(*at)));
                }
            }
        }
        Ok(())
    }
}

impl Size {
    /// Takes operations in; those that are bad, or nothing where the window does not fit.
    fn take_in(
        &mut self,
        operations: &[Operation<'_>],
        times: &[Time],
    ) -> Result<Option<Vec<(usize, Error)>>> {
        let Some(fold) = &mut self.fold else { return Ok(None) };
        let mut refused = Vec::new();
        let mut done = 0;
        while done < operations.len() {
            let end = match self.window {
                Window::All => operations.len(),
                Window::Operations(most) => {
                    if self.filled >= most.get() {
                        fold.end_window()?;
                        self.filled = 0;
                    }
                    let room = usize::try_from(most.get() - self.filled).unwrap_or(usize::MAX);
                    operations.len().min(done.saturating_add(room))
                }
                Window::Time(length) => {
                    let run = run_of(times, done..operations.len(), length, self.open);
                    // What stands before the first time belongs to its window.
                    if self.open.is_some() && run.open != self.open {
                        fold.end_window()?;
                    }
                    self.open = run.open;
                    self.late += run.late;
                    run.end
                }
            };
            match fold.take_in(operations.get(done..end).unwrap_or_default())? {
                Taken::Overflow => {
                    self.fold = None;
                    return Ok(None);
                }
                Taken::All(bad) => {
                    let accepted = (end - done - bad.len()) as u64;
                    self.filled += accepted;
                    self.taken += accepted;
                    refused.extend(bad.into_iter().map(|(at, error)| (done + at, error)));
                }
            }
            done = end;
        }
        Ok(Some(refused))
    }

    fn finish(&mut self) -> Result<Estimated> {
        let found = match &mut self.fold {
            None => Found::Overflow { operations: self.taken },
            Some(fold) => {
                fold.end_window()?;
                Found::Whole { counts: fold.counts(), late: self.late, peak_bytes: fold.peak_bytes() }
            }
        };
        Ok(Estimated { window: self.window, found })
    }
}

/// Operations that follow one another in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    end: usize,
    /// The number of the window.
    open: Option<i64>,
    /// How many of them lie in an earlier one.
    late: u64,
}

/// The operations at the start of a range that are in one window, where `open` is the one before them.
fn run_of(times: &[Time], range: Range<usize>, length: NonZeroU64, open: Option<i64>) -> Run {
    let length = i64::try_from(length.get()).unwrap_or(i64::MAX);
    let mut run = Run { end: range.end, open, late: 0 };
    for at in range.clone() {
        let Some(Time::At(time)) = times.get(at) else { continue };
        let number = time.div_euclid(length);
        match run.open {
            Some(open) if number < open => run.late += 1,
            // Those before it are in the window that was open.
            Some(open) if number > open && at > range.start => return Run { end: at, ..run },
            _ => run.open = Some(number),
        }
    }
    run
}

#[cfg(test)]
mod tests;
