//! What an outcome means for its flight, and how long to wait before trying again: pure functions.
//!
//! # Design
//! [`judge`] maps a sink's answer, and what is known of the flight's past, to its [`Fate`]. The past matters
//! once an earlier outcome was unknown: then the flight may have been carried out already, or may yet be. It
//! must go out again exactly as it was, even if this attempt is known to have failed; and most of what a
//! repeat says about the document before it is not to be trusted, as the first attempt may have made it so.
//!
//! A wait is drawn between [`BACKOFF_LEAST_US`] and three times the one before it, up to [`BACKOFF_MAX_US`] (*decorrelated
//! jitter*): what failed together does not come back together, and does not do so in waves that double. Drawn numbers are
//! those of a hash, so a wait is the same whenever it is computed.

use crate::{Outcome, Shape};
use std::time::Duration;

/// The shortest wait after a failure.
pub(crate) const BACKOFF_LEAST_US: u64 = 25_000;
/// The longest first one.
pub(crate) const BACKOFF_FIRST_US: u64 = 50_000;
/// The longest wait after repeated failures.
pub(crate) const BACKOFF_MAX_US: u64 = 30_000_000;

/// Each wait is at most so many times the one before it.
const BACKOFF_GROWTH: u64 = 3;
/// So many waits before a flight's next one are drawn again; of those before, the longest is taken to have been reached.
const BACKOFF_DRAWS: u32 = 128;

const _: () = assert!(BACKOFF_LEAST_US < BACKOFF_FIRST_US && BACKOFF_FIRST_US < BACKOFF_MAX_US);

/// What `judge` needs to know of a flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Past {
    /// The shape of its net operation.
    pub(crate) shape: Shape,
    /// A patch that stores a document where there is none.
    pub(crate) creates: bool,
    /// Whether the document existed, where the drain read the base before the first send.
    pub(crate) existed: Option<bool>,
    /// An earlier send of this flight ended with an unknown outcome.
    pub(crate) uncertain: bool,
}

/// What happens to a flight next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is done.
    Settled { existed: Option<bool>, noop: bool },
    /// It will never be done.
    Dead(String),
    /// It was not carried out: back under what has arrived since, not before `after`.
    PutBack { reason: String, after: Option<Duration> },
    /// It may have been carried out: the same again.
    Repeat { reason: String, uncertain: bool },
    /// Its document is not what it was made from: the base is read, and says more.
    Changed { reason: String },
}

/// What becomes of a flight after this answer.
pub(crate) fn judge(outcome: Outcome, past: Past) -> Fate {
    match outcome {
        Outcome::Rejected(reason) => Fate::Dead(reason),
        Outcome::Changed(reason) => Fate::Changed { reason },
        Outcome::Unknown(reason) => Fate::Repeat { reason, uncertain: true },
        Outcome::Again { reason, .. } if past.uncertain => Fate::Repeat { reason, uncertain: false },
        Outcome::Again { reason, after } => Fate::PutBack { reason, after },
        Outcome::Stale if past.uncertain => Fate::Settled { existed: past.existed, noop: false },
        Outcome::Stale => {
            Fate::Dead("stale on its first send: the sink holds something newer for this key".into())
        }
        done if past.uncertain => Fate::Settled { existed: told_by_a_repeat(&done, past), noop: false },
        done => Fate::Settled { existed: told(&done).or(past.existed), noop: done == Outcome::Noop },
    }
}

/// Whether the document existed, as an answer to a first send tells it.
fn told(outcome: &Outcome) -> Option<bool> {
    match outcome {
        Outcome::Created | Outcome::NotFound | Outcome::Stored { created: true, .. } => Some(false),
        Outcome::Updated
        | Outcome::Stored { created: false, .. }
        | Outcome::Noop
        | Outcome::Deleted
        | Outcome::Conflict => Some(true),
        _ => None,
    }
}

/// The same for a repeat, which may have met its own earlier effect: only what that effect cannot have caused.
fn told_by_a_repeat(outcome: &Outcome, past: Past) -> Option<bool> {
    match (outcome, past.shape) {
        // Had the first attempt stored a document, this one could not have created it; and a patch deletes none.
        (Outcome::Created | Outcome::Stored { created: true, .. }, _) | (Outcome::NotFound, Shape::Patch) => {
            Some(false)
        }
        // Had the first attempt deleted it, there would be nothing left to delete.
        (Outcome::Deleted, _) => Some(true),
        // Nor does a patch without a document of its own create one.
        (Outcome::Updated | Outcome::Stored { created: false, .. } | Outcome::Noop, Shape::Patch)
            if !past.creates =>
        {
            Some(true)
        }
        _ => past.existed,
    }
}

/// How long to wait after the `attempt`-th failure in a row (from 0), in microseconds. `salt` spreads those
/// that failed together.
pub(crate) fn backoff_us(attempt: u32, salt: u64) -> u64 {
    let first = attempt.saturating_sub(BACKOFF_DRAWS);
    let before = if first == 0 { 0 } else { BACKOFF_MAX_US };
    (first..=attempt).fold(before, |wait_us, attempt| {
        next_wait_us(wait_us, salt.wrapping_add(u64::from(attempt).wrapping_mul(0xD1B5_4A32_D192_ED03)))
    })
}

/// The wait after one of `wait_us`, which is 0 for the first, in microseconds.
pub(crate) fn next_wait_us(wait_us: u64, salt: u64) -> u64 {
    let most = wait_us.saturating_mul(BACKOFF_GROWTH).clamp(BACKOFF_FIRST_US, BACKOFF_MAX_US);
    BACKOFF_LEAST_US + mixed(salt) % (most - BACKOFF_LEAST_US + 1)
}

/// Numbers that are near one another made into such that are not.
fn mixed(salt: u64) -> u64 {
    let mixed = (salt ^ (salt >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;

    const PAST: Past = Past { shape: Shape::Put, creates: false, existed: None, uncertain: false };

    #[test]
    fn each_wait_is_at_most_three_times_the_one_before_and_all_come_to_the_longest() {
        let mut long = 0;
        for salt in 0..1_000 {
            let mut before = 0;
            for attempt in 0..100 {
                let wait = backoff_us(attempt, salt);
                let most = (before * BACKOFF_GROWTH).clamp(BACKOFF_FIRST_US, BACKOFF_MAX_US);
                assert!(
                    (BACKOFF_LEAST_US..=most).contains(&wait),
                    "attempt {attempt}: {wait} after {before}"
                );
                before = wait;
            }
            long += (200..300).map(|attempt| backoff_us(attempt, salt)).sum::<u64>() / 100;
        }
        let mean = long / 1_000;
        assert!(mean > BACKOFF_MAX_US / 5, "after many failures the mean wait is {mean} us");
    }

    #[test]
    fn what_failed_together_does_not_come_back_together() {
        for attempt in [0, 1, 5, 20] {
            let waits: std::collections::BTreeSet<u64> =
                (0..1_000).map(|salt| backoff_us(attempt, salt)).collect();
            assert!(waits.len() > 900, "attempt {attempt}: {} different waits", waits.len());
            assert_eq!(backoff_us(attempt, 7), backoff_us(attempt, 7));
        }
    }

    #[test]
    fn only_an_operation_known_not_to_have_been_applied_is_put_back() {
        let again = || Outcome::Again { reason: "429".into(), after: None };
        assert!(matches!(judge(again(), PAST), Fate::PutBack { .. }));
        let uncertain = Past { uncertain: true, ..PAST };
        assert!(matches!(judge(again(), uncertain), Fate::Repeat { uncertain: false, .. }));
        assert!(matches!(
            judge(Outcome::Unknown("reset".into()), PAST),
            Fate::Repeat { uncertain: true, .. }
        ));
    }

    #[test]
    fn a_first_send_that_is_stale_is_never_taken_for_done() {
        assert!(matches!(judge(Outcome::Stale, PAST), Fate::Dead(_)));
        let uncertain = Past { uncertain: true, ..PAST };
        assert!(matches!(judge(Outcome::Stale, uncertain), Fate::Settled { .. }));
    }

    #[test]
    fn a_document_that_has_changed_is_read_whatever_was_before_and_one_that_is_stored_says_whether_there_was_one()
     {
        let uncertain = Past { uncertain: true, ..PAST };
        for past in [PAST, uncertain] {
            assert!(matches!(judge(Outcome::Changed("409".into()), past), Fate::Changed { .. }));
        }
        let version = Version { seq_no: 1, primary_term: 1, is_fenced: false };
        let stored = |created, past| match judge(Outcome::Stored { created, version }, past) {
            Fate::Settled { existed, noop: false } => existed,
            other => panic!("{other:?}"),
        };
        assert_eq!((stored(true, PAST), stored(false, PAST)), (Some(false), Some(true)));
        let patch = Past { shape: Shape::Patch, creates: true, ..uncertain };
        assert_eq!((stored(true, patch), stored(false, patch)), (Some(false), None));
        assert_eq!(stored(false, Past { existed: Some(true), ..patch }), Some(true));
        assert_eq!(stored(false, Past { creates: false, ..patch }), Some(true));
    }

    #[test]
    fn a_repeat_is_believed_only_where_its_first_attempt_cannot_have_caused_the_answer() {
        let uncertain = Past { uncertain: true, ..PAST };
        let existed = |outcome, past| match judge(outcome, past) {
            Fate::Settled { existed, noop } => {
                assert!(!noop);
                existed
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(existed(Outcome::Updated, uncertain), None);
        assert_eq!(existed(Outcome::Created, uncertain), Some(false));
        let delete = Past { shape: Shape::Delete, ..uncertain };
        assert_eq!(existed(Outcome::NotFound, delete), None);
        assert_eq!(existed(Outcome::Deleted, delete), Some(true));
        let patch = Past { shape: Shape::Patch, ..uncertain };
        assert_eq!(existed(Outcome::NotFound, patch), Some(false));
        assert_eq!(existed(Outcome::Noop, patch), Some(true));
        assert_eq!(existed(Outcome::Noop, Past { creates: true, ..patch }), None);
    }
}
