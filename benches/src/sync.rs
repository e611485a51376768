//! Threads, locks and channels, in one place, as in the library.

pub use parking_lot::{Mutex, MutexGuard};
pub use std::{
    sync::{
        Barrier,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{available_parallelism, scope},
};
