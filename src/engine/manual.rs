//! Running the drain by hand: for asynchronous clients, and for simulations.

use crate::{
    Batch, Outcome, Result,
    clock::Clock,
    drain::{Begun, Dispatch, Drain},
};
use std::{sync::Arc, time::Duration};

/// The drain of an engine without threads. Clones may be used from several threads at once, each with its own
/// batch out.
#[derive(Clone, Debug)]
pub struct Drainer {
    drain: Arc<Drain>,
    clock: Clock,
}

/// What there is to do.
#[derive(Debug)]
pub enum Next {
    /// Send this batch, then say what became of it.
    Send(Flights),
    /// Nothing now. Ask again after this long at the latest, or after a flush or close was begun.
    Wait(Duration),
}

/// A batch that is out. Dropped without an answer, its outcome counts as unknown.
#[derive(Debug)]
pub struct Flights {
    dispatch: Option<Dispatch>,
    drain: Arc<Drain>,
    empty: Batch,
}

impl Drainer {
    pub(super) fn new(drain: Arc<Drain>, clock: Clock) -> Self {
        Self { drain, clock }
    }

    /// Takes what is due, pressing or being flushed. Reads the base where documents must be resolved. Fails only
    /// once the engine has latched.
    pub fn next(&self) -> Result<Next> {
        let _alarm = self.drain.alarm("taking a batch");
        Ok(match self.drain.begin()? {
            Begun::Dispatch(dispatch) => Next::Send(Flights {
                dispatch: Some(dispatch),
                drain: Arc::clone(&self.drain),
                empty: Batch { items: Vec::new(), bytes: 0 },
            }),
            Begun::Wait { until_us } => {
                Next::Wait(Duration::from_micros(until_us.saturating_sub(self.clock.now_us())))
            }
        })
    }

    /// Takes and sends to the engine's own sink until there is nothing to do now. Returns the batches sent.
    pub fn run(&self) -> Result<usize> {
        let mut sent = 0;
        while let Next::Send(flights) = self.next()? {
            let outcomes = self.drain.sink().send(flights.batch());
            flights.finish(outcomes);
            sent += 1;
        }
        Ok(sent)
    }
}

impl Flights {
    /// What is to be sent.
    pub fn batch(&self) -> &Batch {
        self.dispatch.as_ref().map_or(&self.empty, |dispatch| &dispatch.batch)
    }

    /// Tells what became of each item, in order. Another number of outcomes than items counts as unknown for all.
    pub fn finish(mut self, outcomes: Vec<Outcome>) {
        if let Some(dispatch) = self.dispatch.take() {
            let _alarm = self.drain.alarm("settling a batch");
            self.drain.finish(dispatch, outcomes);
        }
    }
}

impl Drop for Flights {
    fn drop(&mut self) {
        if let Some(dispatch) = self.dispatch.take() {
            let unknown =
                vec![Outcome::Unknown("the batch was dropped unanswered".into()); dispatch.batch.items.len()];
            self.drain.finish(dispatch, unknown);
        }
    }
}
