//! A gate at which an answer waits until the test opens it.
//!
//! # Invariants
//! 1. A gate that was opened stays open.
//! 2. Whoever waits at a gate of a server that shuts down is let go, and told so.

use std::{
    fmt,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Holds back what waits at it until it is opened. A clone is the same gate.
#[derive(Clone, Default)]
pub struct Gate {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    is_open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets through what waits and what will come.
    pub fn open(&self) {
        *self.inner.is_open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.inner.changed.notify_all();
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

/// The gates at which a server's connections wait.
#[derive(Default)]
pub(crate) struct Gates {
    given_up: AtomicBool,
    waited_at: Mutex<Vec<Gate>>,
}

impl Gates {
    /// Waits until the gate is open; false if the server ends before.
    pub(crate) fn wait(&self, gate: &Gate) -> bool {
        self.waited_at.lock().unwrap_or_else(PoisonError::into_inner).push(gate.clone());
        let is_open = gate.inner.is_open.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |is_open: &mut bool| !*is_open && !self.given_up.load(Ordering::SeqCst);
        let is_open = gate.inner.changed.wait_while(is_open, is_over).unwrap_or_else(PoisonError::into_inner);
        *is_open
    }

    /// Lets go all that wait, and all that will.
    pub(crate) fn give_up(&self) {
        // ORDERING: set before the locks below are taken. Who waits has looked at it under that lock, or will.
        self.given_up.store(true, Ordering::SeqCst);
        let gates = std::mem::take(&mut *self.waited_at.lock().unwrap_or_else(PoisonError::into_inner));
        for gate in gates {
            drop(gate.inner.is_open.lock().unwrap_or_else(PoisonError::into_inner));
            gate.inner.changed.notify_all();
        }
    }
}
