//! Threads and locks, in one place, as in the library.

pub use parking_lot::{Mutex, MutexGuard};
pub use std::{sync::Barrier, thread::scope};
