//! Which files may go, and when.
//!
//! # Design
//! Only the oldest file goes, in one of two ways: all in it has settled, or what has not was written again behind it
//! (see `drain/folding.rs`, which knows what stands). In both the rest of the log must do without it. A flight may have
//! operations in this file and in the next: were this one removed, and the mark that the flight has settled lost in a power
//! cut, its later half would stand alone, and be sent again. So before a file goes, the marks of all that has settled are on
//! the medium.
//!
//! # Where there was no room for a mark
//! With a full disk and a used-up reserve a flight settles without its mark ([`Log::denied`]). From then on no file goes until
//! the watermark is above its seq, and is itself written down, for which a few bytes are kept. It says the same of all
//! keys. It is written only while nothing that was sent can still be carried out: whoever opens a log that ends with it takes
//! it for closed.
//!
//! # How much is written again
//! Files are folded when they hold more than some times of what stands. That is an estimate, and if it were too low files would
//! be written over and over for nothing. So not more is written again than [`AGAIN`] allows for what was accepted.

use super::{
    Admitted, Class, Journal, LOOK_US, Log, Oldest,
    admission::{cost_of, words_of},
    is_due,
    record::Record,
};
use crate::{ErrorKind, Result, sync::atomic::Ordering};

/// The full files may have so many times what stands, in tenths, beside the one that is written and the next.
const TENTHS: u64 = 18;
/// For each byte accepted so many may be written again.
const AGAIN: u64 = 3;

impl Log {
    /// Keeps the interval.
    pub(crate) fn keep_interval(&self, now_us: u64) -> Result<bool> {
        // Twice in an interval: what came just after one sync is no older than it when the next is over.
        if let Journal::Interval(interval) = self.policy
            && is_due(&self.synced_us, now_us, u64::try_from(interval.as_micros() / 2).unwrap_or(u64::MAX))
        {
            self.sync()?;
            return Ok(true);
        }
        Ok(false)
    }

    /// True once in a while, where files are left that are full.
    pub(crate) fn is_to_be_cleaned(&self, now_us: u64) -> Result<bool> {
        Ok(is_due(&self.looked_us, now_us, LOOK_US) && self.old_bytes()? > 0)
    }

    /// Removes the oldest files, as long as all in them has settled. `settled`: everything up to there has; `is_late`: whether
    /// anything that was sent may still be carried out, asked after that was found.
    pub(crate) fn remove_settled(&self, settled: u64, is_late: bool) -> Result<()> {
        let stays = self.commit.with_writer(|writer| Ok(writer.first_unsettled(settled)))?;
        if let Some(stays) = stays
            && self.announce(stays)?
            && self.has_told(settled, is_late)?
        {
            self.commit.with_writer(|writer| writer.drop_before(stays))?;
        }
        Ok(())
    }

    /// Says that files below this number will go; false where there is no room to say so, and they stay. It is to be synced
    /// before they do.
    fn announce(&self, number: u64) -> Result<bool> {
        match self.mark_as(Class::Last, &Record::Gone { number }) {
            Err(error) if error.kind() == ErrorKind::Full => Ok(false),
            said => said.map(|()| true),
        }
    }

    /// True where a flight has settled without its mark, and nothing makes up for that yet.
    pub(crate) fn is_any_denied(&self) -> bool {
        self.denied.load(Ordering::Acquire) > 0
    }

    /// Has the marks of all that has settled on the medium; false where some could not be written.
    pub(crate) fn has_told(&self, settled: u64, is_late: bool) -> Result<bool> {
        let denied = self.denied.load(Ordering::Acquire);
        if denied > 0 {
            if denied > settled || is_late {
                return Ok(false);
            }
            match self.mark_as(Class::Last, &Record::Watermark { seq: settled }) {
                Err(error) if error.kind() == ErrorKind::Full => return Ok(false),
                told => told?,
            }
        }
        self.sync()?;
        if denied > 0 {
            // Another may have been denied since.
            let _ = self.denied.compare_exchange(denied, 0, Ordering::AcqRel, Ordering::Acquire);
        }
        Ok(true)
    }

    /// A flight is about to settle for whose mark there is no room.
    pub(crate) fn deny(&self, last_seq: u64) {
        self.denied.fetch_max(last_seq, Ordering::AcqRel);
    }

    /// Bytes of the files that are full.
    pub(crate) fn old_bytes(&self) -> Result<u64> {
        self.commit.with_writer(|writer| Ok(writer.old_bytes()))
    }

    /// The oldest of the files that are full, read again, so that it can be folded. Nothing where they are no more than they may
    /// be, or as much was written again already as may be.
    pub(crate) fn oldest(&self, standing: u64) -> Result<Option<Oldest>> {
        let most = standing / 10 * TENTHS;
        self.folding.set_old_max(most);
        let oldest = self.commit.with_writer(|writer| {
            let (old, bodies) = (writer.old_bytes(), writer.bodies());
            let is_allowed = bodies.moved / AGAIN <= bodies.came + writer.file_bytes();
            let is_to_go = old > most && is_allowed;
            Ok(writer.oldest().filter(|_| is_to_go))
        })?;
        oldest.map(Oldest::read).transpose()
    }

    /// The number of the file that is being written: what is placed from now on stands there or behind it.
    pub(crate) fn number(&self) -> Result<u64> {
        self.commit.with_writer(|writer| Ok(writer.number()))
    }

    /// Removes the oldest file, of which all that stands was written again; false where a flight has settled without its mark,
    /// and it stays.
    pub(crate) fn remove_folded(&self, oldest: &Oldest) -> Result<bool> {
        if !self.announce(oldest.number() + 1)? {
            return Ok(false);
        }
        // What was written again, and the marks of what was not since it had settled.
        self.sync()?;
        if self.is_any_denied() {
            return Ok(false);
        }
        self.commit.with_writer(|writer| writer.drop_before(oldest.number() + 1))?;
        Ok(true)
    }

    /// Lets a record in that is written again. Where there is no room at first, some is made, which may write and sync.
    pub(crate) fn admit_again(&self, body: usize) -> Result<Admitted> {
        self.admit_as(Class::Again, body)
    }

    /// The same, where there is room; nothing else is done.
    pub(crate) fn admit_now(&self, body: usize) -> Option<Admitted> {
        let resident = self.commit.ring.resident(body);
        let admitted = Admitted { words: words_of(resident), cost: cost_of(resident), aside: 0 };
        (resident == body && self.commit.admission.admit(Class::Again, admitted.cost)).then_some(admitted)
    }
}
