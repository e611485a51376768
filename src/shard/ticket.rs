//! Tickets: where the caller of a tracked submit learns what became of its operation.
//!
//! # Design
//! One small shared cell per tracked operation: a status behind a mutex and a condition variable. Nothing of
//! it is touched under a shard lock; the drain tells tickets after it has let go of the shard. A ticket that
//! is dropped is simply not heard; the operation goes on.

use super::tally::Status;
use crate::{
    Error, ErrorKind, Result,
    sync::{Condvar, Latch, Mutex, wait_for},
};
use std::{sync::Arc, time::Duration};

/// A claim on the outcome of one submitted operation.
#[derive(Debug)]
pub struct Ticket {
    seq: u64,
    cell: Arc<TicketCell>,
    latch: Arc<Latch>,
}

#[derive(Debug, Default)]
pub(crate) struct TicketCell {
    status: Mutex<Option<Status>>,
    settled: Condvar,
}

/// How often a waiting ticket looks whether the engine was latched: no one is left to wake it then.
const LATCH_CHECK: Duration = Duration::from_millis(50);

impl Ticket {
    pub(crate) fn new(seq: u64, cell: Arc<TicketCell>, latch: Arc<Latch>) -> Self {
        Self { seq, cell, latch }
    }

    /// The operation's sequence number.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The status, if the operation has settled.
    pub fn status(&self) -> Option<Status> {
        *self.cell.status.lock()
    }

    /// Waits for the status. Fails with [`ErrorKind::Timeout`] after `timeout`, and with
    /// [`ErrorKind::Latched`] if the engine stops first. The operation may still settle afterwards.
    pub fn wait(&self, timeout: Duration) -> Result<Status> {
        let mut left = timeout;
        let mut status = self.cell.status.lock();
        loop {
            if let Some(status) = *status {
                return Ok(status);
            }
            self.latch.check()?;
            if left.is_zero() {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    format!("the operation did not settle within {timeout:?}"),
                ));
            }
            let step = left.min(LATCH_CHECK);
            if wait_for(&self.cell.settled, &mut status, step) {
                left -= step;
            }
        }
    }
}

impl TicketCell {
    pub(crate) fn settle(&self, status: Status) {
        *self.status.lock() = Some(status);
        self.settled.notify_all();
    }
}
