//! How much is out at once: bytes a batch and batches together, by what came of those before. A plain machine.
//!
//! # Design
//! The limiter climbs. It has a [`Setting`] that it believes in and measures its *rate*: work brought home a second, while there was
//! always something to send. Now and then it tries a neighbour for one window: twice or half the bytes, one request more or fewer (a
//! quarter where there are many), or twice the one and half the other. More must gain [`GAIN_SHARE`] to stay, fewer may lose [`LOSS_SHARE`]: of two settings that are
//! equally fast the smaller one stays, as what waits at the server can no longer fold. What stayed is tried further at once; after
//! each direction failed, longer and longer rests, until the rate itself has changed.
//!
//! The rate of a window is, by Little's law, the work of its flights over the time that their places were taken, times how many were
//! taken on average. So it needs no sharp edges between windows, a slow flight counts with all its time, and what the client takes
//! to make a batch counts as well.
//!
//! A refusal, or no answer, is heard at once and not at the end of a window: a trial is given up, and a setting that was believed in
//! is halved, first in requests, then in bytes, once for all flights that were out together. What was refused is a ceiling for
//! a while, twice as long each time it is met again: a server that refuses above a bound is not asked every second whether it still does.
//!
//! # Why not one of the known limiters
//! Vegas, Gradient2 and AIMD (Netflix's `concurrency-limits`, Vector's ARC, the `congestion-limiter` crate) decide on requests alone,
//! by the latency of requests that are alike. Here a batch's bytes are decided as well, and latency follows them: a request of twice
//! the bytes that takes twice as long is no sign of a queue. What can be compared across sizes is throughput. The crates are made
//! for asynchronous callers, too, and have clocks inside.
//!
//! # Why a smallest and a first size
//! A request has a fixed cost of about a millisecond on either side: below [`BYTES_LEAST`] it is most of it, so nothing smaller
//! is tried. A server that refuses even those is given smaller requests by its sink, which knows why.
//!
//! # Invariants
//! 1. The setting in force is within its bounds: 1 to the most requests, [`BYTES_LEAST`] (or the most) to the most bytes, and all
//!    requests together within what buffers may take, where more than one is out.
//! 2. What is in force differs from what is believed in only while a trial is on, and then by one step.
//! 3. One round of refusals cuts once.

/// The least bytes that are tried.
pub(crate) const BYTES_LEAST: usize = 64 * 1024;
/// The bytes of the first batches.
const BYTES_FIRST: usize = 1024 * 1024;
/// Refusals do not cut the bytes below this: they may have another reason than size.
const BYTES_CUT_LEAST: usize = 256 * 1024;
/// The requests that are out at first.
const REQUESTS_FIRST: usize = 2;
/// One step in requests is one in this many.
const REQUESTS_STEP_SHARE: usize = 4;
/// More must be faster by one part in so many.
const GAIN_SHARE: u64 = 16;
/// Fewer may be slower by one part in so many.
const LOSS_SHARE: u64 = 32;
/// Where the rate of what is believed in has changed by one part in so many, everything is tried again.
const CHANGE_SHARE: u64 = 3;
/// What a window has at least: this many flights, as many as may be out, and so much time.
const WINDOW_FLIGHTS: usize = 4;
const WINDOW_US: u64 = 100_000;
/// The most windows between two rounds of trials.
const REST_MAX: u32 = 64;
/// What was refused is not tried for so long, and at most for so long when it is met again and again.
const CEILING_FIRST_US: u64 = 2_000_000;
const CEILING_MAX_US: u64 = 120_000_000;
/// An operation is as much work as so many bytes, beside its own.
const OPERATION_WORK: u64 = 256;

/// How much may be out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Batches at once.
    pub(crate) requests: usize,
    /// Bytes of each.
    pub(crate) bytes: usize,
}

/// What a setting never passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) most: Setting,
    /// Bytes of all that is out.
    pub(crate) together: usize,
}

/// A flight of a batch, from when a place was taken for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    began_us: u64,
    /// How often the setting had changed, and how often it had been cut.
    change: u64,
    cut: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flown {
    pub(crate) bytes: u64,
    pub(crate) operations: u64,
    /// It was refused, or not answered: most of it, or a good part.
    pub(crate) is_refused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    MoreBytes,
    MoreRequests,
    FewerRequests,
    FewerBytes,
    /// Twice the requests of half the bytes: where a server bounds what is out in all, no other step leads there.
    Split,
    Join,
}

const DIRECTIONS: [Direction; 6] = [
    Direction::MoreBytes,
    Direction::MoreRequests,
    Direction::FewerRequests,
    Direction::FewerBytes,
    Direction::Split,
    Direction::Join,
];

/// What has been measured since the setting changed.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    began_us: u64,
    flights: usize,
    work: u64,
    /// The time that the places of its flights were taken.
    taken_us: u64,
    /// Places that were taken, by the time for which they were.
    area: u64,
}

/// Above this nothing is tried for a while.
#[derive(Clone, Copy, Debug, Default)]
struct Ceiling {
    most: usize,
    until_us: u64,
    hold_us: u64,
}

#[derive(Debug)]
pub(crate) struct Limiter {
    bounds: Bounds,
    is_fixed: bool,
    /// What is believed in.
    at: Setting,
    /// Its rate, once measured.
    rate: Option<u64>,
    trial: Option<Direction>,
    /// Where in the directions the next trial is.
    next: usize,
    /// Directions that failed since one did not.
    failed: usize,
    /// Windows to rest before the next trial, and how many after the next round that fails.
    rest: u32,
    patience: u32,
    out: usize,
    looked_us: u64,
    window: Window,
    changes: u64,
    cuts: u64,
    requests_ceiling: Ceiling,
    bytes_ceiling: Ceiling,
    /// Flights that were refused.
    refused: u64,
}

impl Place {
    pub(crate) fn began_us(self) -> u64 {
        self.began_us
    }
}

impl Bounds {
    fn least_bytes(&self) -> usize {
        BYTES_LEAST.min(self.most.bytes)
    }

    fn allow(&self, setting: Setting) -> bool {
        let Setting { requests, bytes } = setting;
        (1..=self.most.requests).contains(&requests)
            && (self.least_bytes()..=self.most.bytes).contains(&bytes)
            && (requests == 1 || bytes.saturating_mul(requests) <= self.together)
    }
}

impl Limiter {
    /// One that adapts within these bounds.
    pub(crate) fn new(bounds: Bounds) -> Self {
        let mut at = Setting {
            requests: REQUESTS_FIRST.min(bounds.most.requests),
            bytes: BYTES_FIRST.min(bounds.most.bytes),
        };
        while !bounds.allow(at) {
            if at.bytes > bounds.least_bytes() {
                at.bytes = (at.bytes / 2).max(bounds.least_bytes());
            } else {
                at.requests = 1;
            }
        }
        Self::at(at, bounds)
    }

    /// One that stays where it is.
    pub(crate) fn fixed(bounds: Bounds) -> Self {
        Self { is_fixed: true, ..Self::at(bounds.most, bounds) }
    }

    fn at(at: Setting, bounds: Bounds) -> Self {
        Self {
            bounds,
            is_fixed: false,
            at,
            rate: None,
            trial: None,
            next: 0,
            failed: 0,
            rest: 0,
            patience: 1,
            out: 0,
            looked_us: 0,
            window: Window::default(),
            changes: 0,
            cuts: 0,
            requests_ceiling: Ceiling::default(),
            bytes_ceiling: Ceiling::default(),
            refused: 0,
        }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// What is in force.
    pub(crate) fn setting(&self) -> Setting {
        self.trial.and_then(|direction| self.step(direction)).unwrap_or(self.at)
    }

    /// Batches that are out, or being made.
    pub(crate) fn out(&self) -> usize {
        self.out
    }

    /// Flights that were refused, or not answered.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    pub(crate) fn has_room(&self) -> bool {
        self.out < self.setting().requests
    }

    /// A place is taken.
    pub(crate) fn take(&mut self, now_us: u64) -> Place {
        self.look(now_us);
        self.out += 1;
        self.ahead(now_us)
    }

    /// What a batch has to remember that is made while every place is taken.
    pub(crate) fn ahead(&self, now_us: u64) -> Place {
        Place { began_us: now_us, change: self.changes, cut: self.cuts }
    }

    /// A place is taken for a batch that was made ahead.
    pub(crate) fn take_for(&mut self, made: Place, now_us: u64) -> Place {
        Place { change: made.change, ..self.take(now_us) }
    }

    /// A place is given back, and nothing was sent.
    pub(crate) fn give_back(&mut self, now_us: u64) {
        self.look(now_us);
        self.out = self.out.saturating_sub(1);
    }

    /// There was a place, and nothing to send: what was measured says nothing of what could have been.
    pub(crate) fn starved(&mut self, now_us: u64) {
        self.look(now_us);
        self.measure_anew(now_us);
    }

    /// A batch has come back.
    pub(crate) fn landed(&mut self, place: Place, flown: Flown, now_us: u64) {
        self.look(now_us);
        self.out = self.out.saturating_sub(1);
        self.refused += u64::from(flown.is_refused);
        if self.is_fixed {
            return;
        }
        if flown.is_refused {
            // What left before the last cut was out together with what caused it.
            if place.cut == self.cuts {
                self.cut(now_us);
            }
        } else if place.change == self.changes {
            let window = &mut self.window;
            window.flights += 1;
            window.work += flown.bytes + flown.operations * OPERATION_WORK;
            window.taken_us += now_us.saturating_sub(place.began_us).max(1);
            self.conclude(now_us);
        }
    }

    /// Counts the places that were taken until now.
    fn look(&mut self, now_us: u64) {
        self.window.area += self.out as u64 * now_us.saturating_sub(self.looked_us);
        self.looked_us = now_us;
    }

    fn measure_anew(&mut self, now_us: u64) {
        self.window = Window { began_us: now_us, ..Window::default() };
    }

    /// The setting has changed: flights that left before say nothing of it.
    fn change(&mut self, now_us: u64) {
        self.changes += 1;
        self.measure_anew(now_us);
    }

    /// Decides at the end of a window.
    fn conclude(&mut self, now_us: u64) {
        let Window { began_us, flights, work, taken_us, area } = self.window;
        let elapsed_us = now_us.saturating_sub(began_us);
        if flights < WINDOW_FLIGHTS.max(self.setting().requests) || elapsed_us < WINDOW_US {
            return;
        }
        let rate = u128::from(work) * 1_000_000 * u128::from(area)
            / (u128::from(taken_us) * u128::from(elapsed_us)).max(1);
        let rate = u64::try_from(rate).unwrap_or(u64::MAX).min(u64::MAX / GAIN_SHARE / 2);
        match self.trial {
            Some(direction) => self.judge(direction, rate, now_us),
            None => self.believe(rate, now_us),
        }
    }

    /// A window of what is believed in is over.
    fn believe(&mut self, rate: u64, now_us: u64) {
        match self.rate {
            Some(before) if rate.abs_diff(before) > before / CHANGE_SHARE => {
                self.rate = Some(rate);
                (self.patience, self.failed, self.rest) = (1, 0, self.rest.min(1));
            }
            Some(before) => self.rate = Some(before / 2 + rate / 2),
            None => self.rate = Some(rate),
        }
        self.measure_anew(now_us);
        if self.rest > 0 {
            self.rest -= 1;
            return;
        }
        for _ in DIRECTIONS {
            let Some(direction) = DIRECTIONS.get(self.next).copied() else { break };
            if self.is_open(direction, now_us) {
                self.trial = Some(direction);
                return self.change(now_us);
            }
            self.fail();
        }
    }

    /// A window of a trial is over.
    fn judge(&mut self, direction: Direction, rate: u64, now_us: u64) {
        let before = self.rate.unwrap_or(0);
        let is_more = !matches!(direction, Direction::FewerBytes | Direction::FewerRequests);
        let is_good = if is_more {
            rate > before.saturating_add(before / GAIN_SHARE)
        } else {
            rate >= before - before / LOSS_SHARE
        };
        if !is_good {
            self.trial = None;
            self.fail();
            self.rest = self.rest.max(1);
            return self.change(now_us);
        }
        self.at = self.setting();
        // Of several steps down in a row all together may lose that much, and not each.
        self.rate = Some(if is_more { rate } else { rate.max(before) });
        (self.patience, self.failed) = (1, 0);
        match direction {
            Direction::MoreBytes => self.bytes_ceiling = Ceiling::default(),
            Direction::MoreRequests => self.requests_ceiling = Ceiling::default(),
            _ => {}
        }
        if !self.is_open(direction, now_us) {
            self.trial = None;
            self.next = (self.next + 1) % DIRECTIONS.len();
        }
        self.change(now_us);
    }

    /// A direction leads nowhere, or must not be gone: the next one's turn, or a rest.
    fn fail(&mut self) {
        self.next = (self.next + 1) % DIRECTIONS.len();
        self.failed += 1;
        if self.failed >= DIRECTIONS.len() {
            self.failed = 0;
            self.rest = self.patience;
            self.patience = (self.patience * 2).min(REST_MAX);
        }
    }

    /// Too much is out.
    fn cut(&mut self, now_us: u64) {
        self.cuts += 1;
        let refused = self.setting();
        if self.trial.take().is_some() {
            self.fail();
            self.rest = self.rest.max(1);
            if refused.requests > self.at.requests {
                self.requests_ceiling.refused(refused.requests, now_us);
            }
            if refused.bytes > self.at.bytes {
                self.bytes_ceiling.refused(refused.bytes, now_us);
            }
        }
        if refused.requests <= self.at.requests && refused.bytes <= self.at.bytes {
            self.rate = None;
            (self.patience, self.failed, self.rest) = (1, 0, 1);
            if self.at.requests > 1 {
                self.requests_ceiling.refused(self.at.requests, now_us);
                self.at.requests /= 2;
            } else if self.at.bytes > BYTES_CUT_LEAST {
                self.bytes_ceiling.refused(self.at.bytes, now_us);
                self.at.bytes = (self.at.bytes / 2).max(BYTES_CUT_LEAST);
            }
        }
        self.change(now_us);
    }

    /// True where a step in this direction may be tried.
    fn is_open(&self, direction: Direction, now_us: u64) -> bool {
        let step = self.step(direction);
        if matches!(direction, Direction::Split | Direction::Join) {
            // Not where nothing stands in the way of the other steps; a ceiling was met at other requests and bytes than these.
            let is_below = now_us < self.requests_ceiling.until_us.max(self.bytes_ceiling.until_us);
            return is_below && step.is_some();
        }
        step.is_some_and(|setting| {
            self.requests_ceiling.lets(setting.requests, self.at.requests, now_us)
                && self.bytes_ceiling.lets(setting.bytes, self.at.bytes, now_us)
        })
    }

    /// One step from what is believed in; none where that is out of bounds.
    fn step(&self, direction: Direction) -> Option<Setting> {
        let Setting { requests, bytes } = self.at;
        let (most, least_bytes) = (self.bounds.most, self.bounds.least_bytes());
        let some = (requests / REQUESTS_STEP_SHARE).max(1);
        let setting = match direction {
            Direction::MoreBytes => Setting { bytes: bytes.saturating_mul(2).min(most.bytes), ..self.at },
            Direction::MoreRequests => Setting { requests: (requests + some).min(most.requests), ..self.at },
            Direction::FewerRequests => Setting { requests: requests.saturating_sub(some), ..self.at },
            Direction::FewerBytes => Setting { bytes: (bytes / 2).max(least_bytes), ..self.at },
            Direction::Split => Setting { requests: requests * 2, bytes: bytes / 2 },
            Direction::Join => Setting { requests: requests / 2, bytes: bytes.saturating_mul(2) },
        };
        Some(setting).filter(|setting| *setting != self.at && self.bounds.allow(*setting))
    }

    /// Checks the invariants.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let setting = self.setting();
        let is_within = self.bounds.allow(self.at) && self.bounds.allow(setting);
        if !self.is_fixed && !is_within {
            return Err(format!("limiter invariant 1: {setting:?} and {:?} of {:?}", self.at, self.bounds));
        }
        if (self.trial.is_none() && setting != self.at) || (self.is_fixed && setting != self.bounds.most) {
            return Err(format!("limiter invariant 2: {setting:?} is in force, and no trial is on"));
        }
        Ok(())
    }
}

impl Ceiling {
    /// As much as `most` was refused.
    fn refused(&mut self, refused: usize, now_us: u64) {
        self.hold_us = (self.hold_us * 2).clamp(CEILING_FIRST_US, CEILING_MAX_US);
        self.most = refused.saturating_sub(1);
        self.until_us = now_us.saturating_add(self.hold_us);
    }

    /// True where a step to `wanted` is none above the ceiling.
    fn lets(&self, wanted: usize, from: usize, now_us: u64) -> bool {
        wanted <= from || wanted <= self.most || now_us >= self.until_us
    }
}

#[cfg(test)]
mod tests;
