//! Time, in one place.

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant, SystemTime};

/// A point in time from which a duration is measured.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock of the program")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The processor time that all threads of this process have taken.
pub fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

/// The moment, to the second, as people write it; nothing where the clock stands outside of the calendar.
#[expect(clippy::disallowed_methods, reason = "this is the clock of the program")]
pub fn now() -> String {
    let now = Timestamp::try_from(SystemTime::now()).ok();
    now.map_or(String::new(), |now| now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}
