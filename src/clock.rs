//! Time: the only place that asks the operating system what time it is.
//!
//! # Design
//! Two times, kept apart. *Monotonic* microseconds since the clock was made measure ages, delays and
//! back-off; they never step. *Wall* microseconds since the Unix epoch feed sequence numbers and dead
//! letters; they may jump, and nothing waits on them. Each submit wants both, and reading a clock costs as much as
//! taking a lock: so a [`Moment`] is one reading of the monotonic clock, and the wall is what it was, relative to
//! that, when somebody last asked for it. The drain does each time it looks. On Linux a moment is read from the clock that
//! the kernel keeps for such uses, which takes a quarter of the time (6 against 26 ns): it stands at the kernel's last
//! tick, some milliseconds ago, so that what is submitted seems to have arrived that much earlier, never later. A
//! [`SimulatedClock`] replaces both, so that a test steps time itself, the wall in both directions.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Where an engine gets its time from. Clones tell the same time.
#[derive(Clone)]
pub struct Clock(Kind);

#[derive(Clone)]
enum Kind {
    System {
        start: Start,
        /// What the wall clock was ahead of the monotonic one when it was last read.
        ahead_us: Arc<AtomicU64>,
    },
    Simulated(SimulatedClock),
}

impl Clock {
    /// The operating system's clocks.
    pub fn system() -> Self {
        let clock = Self(Kind::System { start: Start::now(), ahead_us: Arc::default() });
        clock.wall_us();
        clock
    }

    /// A clock that stands still until it is told to move.
    pub fn simulated(clock: &SimulatedClock) -> Self {
        Self(Kind::Simulated(clock.clone()))
    }

    /// True for a clock that a test moves.
    pub(crate) fn is_simulated(&self) -> bool {
        matches!(self.0, Kind::Simulated(_))
    }

    /// Monotonic microseconds since this clock was made.
    pub fn now_us(&self) -> u64 {
        match &self.0 {
            Kind::System { start, .. } => start.elapsed_us(),
            Kind::Simulated(clock) => clock.0.monotonic_us.load(Ordering::Relaxed),
        }
    }

    /// Microseconds since the Unix epoch, as the wall clock has them; a clock before 1970 counts as 1970.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    pub fn wall_us(&self) -> u64 {
        match &self.0 {
            Kind::System { ahead_us, .. } => {
                let wall_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, micros);
                ahead_us.store(wall_us.wrapping_sub(self.now_us()), Ordering::Relaxed);
                wall_us
            }
            Kind::Simulated(clock) => clock.0.wall_us.load(Ordering::Relaxed),
        }
    }

    /// Both times, for one reading of a clock.
    #[inline]
    pub(crate) fn moment(&self) -> Moment {
        match &self.0 {
            Kind::System { start, ahead_us } => {
                let now_us = start.about_elapsed_us();
                Moment { now_us, wall_us: now_us.wrapping_add(ahead_us.load(Ordering::Relaxed)) }
            }
            Kind::Simulated(clock) => Moment {
                now_us: clock.0.monotonic_us.load(Ordering::Relaxed),
                wall_us: clock.0.wall_us.load(Ordering::Relaxed),
            },
        }
    }
}

/// When a clock was made, on the monotonic clock.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy)]
struct Start {
    us: u64,
}

#[cfg(target_os = "linux")]
impl Start {
    fn now() -> Self {
        Self { us: read_us(rustix::time::ClockId::Monotonic) }
    }

    fn elapsed_us(self) -> u64 {
        read_us(rustix::time::ClockId::Monotonic).saturating_sub(self.us)
    }

    /// Not more than [`elapsed_us`](Self::elapsed_us), and less by a tick of the kernel at most.
    #[inline]
    fn about_elapsed_us(self) -> u64 {
        read_us(rustix::time::ClockId::MonotonicCoarse).saturating_sub(self.us)
    }
}

/// Both of these clocks count from one point in time.
#[cfg(target_os = "linux")]
#[inline]
fn read_us(clock: rustix::time::ClockId) -> u64 {
    let time = rustix::time::clock_gettime(clock);
    // Neither is ever negative.
    let (seconds, us) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec / 1_000));
    seconds.unwrap_or(0) * 1_000_000 + us.unwrap_or(0)
}

/// When a clock was made, on the monotonic clock.
#[cfg(not(target_os = "linux"))]
#[derive(Clone, Copy)]
struct Start(std::time::Instant);

#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the monotonic clock")]
impl Start {
    fn now() -> Self {
        Self(std::time::Instant::now())
    }

    fn elapsed_us(self) -> u64 {
        micros(std::time::Instant::now().saturating_duration_since(self.0))
    }

    fn about_elapsed_us(self) -> u64 {
        self.elapsed_us()
    }
}

/// A point in both times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// As [`Clock::now_us`], or some milliseconds before.
    pub(crate) now_us: u64,
    /// As [`Clock::wall_us`] would say had the wall clock not stepped since it was last read.
    pub(crate) wall_us: u64,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::System { .. } => "Clock(system)",
            Kind::Simulated(_) => "Clock(simulated)",
        })
    }
}

/// Time under a test's control. Clones are handles to one clock.
#[derive(Clone, Debug)]
pub struct SimulatedClock(Arc<Simulated>);

#[derive(Debug)]
struct Simulated {
    monotonic_us: AtomicU64,
    wall_us: AtomicU64,
}

impl SimulatedClock {
    /// A clock whose wall time starts at `wall_us` and whose monotonic time starts at zero.
    pub fn new(wall_us: u64) -> Self {
        Self(Arc::new(Simulated { monotonic_us: AtomicU64::new(0), wall_us: AtomicU64::new(wall_us) }))
    }

    /// Lets time pass, on both clocks.
    pub fn advance(&self, by: Duration) {
        self.0.monotonic_us.fetch_add(micros(by), Ordering::Relaxed);
        self.0.wall_us.fetch_add(micros(by), Ordering::Relaxed);
    }

    /// Sets the wall clock, forwards or backwards; the monotonic clock does not notice.
    pub fn set_wall_us(&self, wall_us: u64) {
        self.0.wall_us.store(wall_us, Ordering::Relaxed);
    }

    /// Monotonic microseconds since this clock was made.
    pub fn now_us(&self) -> u64 {
        self.0.monotonic_us.load(Ordering::Relaxed)
    }
}

/// Whole microseconds of a duration; what does not fit (half a million years) is the largest number.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_may_step_back_but_monotonic_time_does_not_notice() {
        let hand = SimulatedClock::new(1_000);
        let clock = Clock::simulated(&hand);
        hand.advance(Duration::from_micros(5));
        hand.set_wall_us(10);
        assert_eq!((clock.now_us(), clock.wall_us()), (5, 10));
    }

    #[test]
    fn the_system_clock_is_past_2020_and_rises() {
        let clock = Clock::system();
        assert!(clock.wall_us() > 1_577_836_800_000_000);
        let first = clock.now_us();
        assert!(clock.now_us() >= first);
        assert!((0..10_000).all(|_| clock.moment().now_us <= clock.now_us()), "never ahead");
        let (before, moment, after) = (clock.wall_us(), clock.moment(), clock.wall_us());
        assert!(moment.wall_us + 1_000_000 > before && moment.wall_us < after + 1_000_000);
    }
}
