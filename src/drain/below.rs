//! What lies below a flight: known in its shard, or read from the base.
//!
//! # Design
//! A sink that takes whole documents is given what an operation makes of the document below it. A sink on a server may find that
//! another one by then, as others write there too: so an item says what it was made from ([`Expects`]), the sink carries it out if that
//! is still there ([`Sink::tells_versions`](crate::Sink::tells_versions)) and says what is there now. As long as nobody else writes a
//! document it is read once, and never again while it stays known.
//!
//! Where the sink says that the document has [changed](crate::Outcome::Changed), it was somebody else, or an earlier request of the
//! same flight of which nobody heard. The flight stays out as it is, with the bounds it has, and is folded with nothing: part of it may
//! be there. It waits ([`scheduler`](super::scheduler)), the base is read again, and [`Drain::make_anew`] decides:
//!
//! | the base has | then |
//! | --- | --- |
//! | a fence of this engine that is not below the flight's last seq | it is in: it settles |
//! | the very document that the flight made, and that one carries no fence | the same: repeating it would change nothing |
//! | anything else | it is resolved against that, and goes out as a new item with the same bounds |
//!
//! # Why an equal document is not enough where there is a fence
//! Somebody else may have made the same of it: two who add one to the same number write the same document, and both count.
//!
//! # Why a fence stays
//! A document that carries our fence gets a newer one with whatever is made from it, repeatable or not. Else: an increment is carried
//! out and leaves its fence; a repeatable patch is stored over it without one; the process dies before it is noted that the increment
//! has settled; it goes out again, finds no fence, and counts twice.
//!
//! # Why nothing is settled by memory alone
//! An operation that changes nothing of the document as it is known, or finds that there is none, is not sent. But where others write,
//! what is known may be old, and nobody would notice: so it is read before such an operation settles. What is sent need not be.
//!
//! # Invariants
//! 1. A flight whose outcome was that its document has changed goes out again only as made from what was read after that.
//! 2. Nobody's write is replaced unseen: what is made from a document goes out under that document's version.

use super::{
    Drain, Flying, ready::Names, ready::Ready, resolve::Resolved, resolve::resolve, retry::backoff_us,
};
use crate::{
    BaseDocument, BaseKey, Error, ErrorKind, Expects, Item, ItemAction, Result, Takes, Version,
    document::IndexId,
    merge::equal,
    shard::{Flight, Known, Settlement, Verdict},
    sink::item_bytes,
};
use std::{collections::BTreeSet, sync::Arc};

/// Documents that are read at a time.
pub(super) const ASK_MAX: usize = 1_000;
/// A flight whose document has changed waits no longer than one after so many failures: about a second. Whoever writes there is
/// not mended by waiting.
const CHANGES_MAX: u32 = 5;

/// What the base has of a key.
#[derive(Debug)]
pub(super) struct Below {
    pub(super) known: Known,
    /// The operations up to this are in it; zero where nothing is there.
    pub(super) seq: u64,
    /// What is made from it goes out under this condition.
    pub(super) expects: Expects,
}

impl Drain {
    /// The condition under which a flight may be made from what is known of the document below it. Nothing where the base must be
    /// asked.
    pub(super) fn expects(&self, flight: &Flight) -> Option<Expects> {
        let decides = || flight.net.as_net().decides();
        if self.takes != Takes::Documents || self.parts.base.is_none() {
            return Some(Expects::Anything);
        }
        if !self.is_versioned {
            let asks = matches!(flight.known(), Known::Unknown) && (flight.needs_the_bit || !decides());
            return (!asks).then_some(Expects::Anything);
        }
        // The sink will say whether there was one.
        if decides() {
            return Some(Expects::Anything);
        }
        match flight.known() {
            Known::Unknown => None,
            Known::Absent => Some(Expects::Absent),
            // Under another routing it may be another document.
            Known::Document { routing, .. } if routing.as_deref() != flight.routing() => None,
            Known::Document { .. } => {
                // LOCK: names are looked up before.
                let index = self.bank.indices.name(flight.index);
                let mut versions = self.versions.as_ref()?.lock();
                let key = versions.key(&index, &flight.id);
                versions.get(key).map(Expects::Version)
            }
        }
    }

    /// A flight is about to settle, with what is known from then on: the document that an item made from it would expect.
    pub(super) fn note_version(&self, index: &str, id: &str, expects: Expects) {
        if let Some(versions) = &self.versions {
            let version = match expects {
                Expects::Version(version) => Some(version),
                Expects::Anything | Expects::Absent => None,
            };
            let mut versions = versions.lock();
            let key = versions.key(index, id);
            versions.set(key, version);
        }
    }

    /// Reads what lies below some flights, in one call; an answer for each.
    pub(super) fn read_below(&self, asking: &[Flight], names: &mut Names<'_>) -> Vec<Result<Below>> {
        let indices: Vec<Arc<str>> = asking.iter().map(|flight| names.name(flight.index)).collect();
        let key = |(index, flight)| key(index, flight);
        self.read_keys(&indices.iter().map(|name| &**name).zip(asking).map(key).collect::<Vec<_>>())
    }

    fn read_keys(&self, keys: &[BaseKey<'_>]) -> Vec<Result<Below>> {
        let Some(base) = self.parts.base.as_ref().filter(|_| !keys.is_empty()) else { return Vec::new() };
        let too_few = || Err(Error::new(ErrorKind::Io, "the base gave too few answers"));
        let below = |found: Result<Option<BaseDocument>>| self.below(found?);
        let mut answers: Vec<_> = base.read(keys).into_iter().map(below).take(keys.len()).collect();
        answers.resize_with(keys.len(), too_few);
        answers
    }

    fn below(&self, found: Option<BaseDocument>) -> Result<Below> {
        let seq = found.as_ref().map_or(0, |found| found.seq);
        let (known, version) = match found {
            Some(BaseDocument { source: Some(source), routing, version, .. }) => {
                (Known::Document { source, routing }, version)
            }
            _ => return Ok(Below { known: Known::Absent, seq, expects: self.expecting(Expects::Absent) }),
        };
        let missing =
            || Error::new(ErrorKind::Io, "the base does not say which version of the document it has");
        let expects = match version {
            Some(version) => Expects::Version(version),
            None if self.is_versioned => return Err(missing()),
            None => Expects::Anything,
        };
        Ok(Below { known, seq, expects: self.expecting(expects) })
    }

    /// A condition, where the sink heeds one.
    fn expecting(&self, expects: Expects) -> Expects {
        if self.is_versioned { expects } else { Expects::Anything }
    }

    /// True where nothing could be read: what is of these indices is left alone for a while, as where a sink takes nothing.
    pub(super) fn has_failed_whole(
        &self,
        answers: &[Result<Below>],
        indices: impl Iterator<Item = IndexId>,
        now_us: u64,
    ) -> bool {
        let has_failed = |answer: &Result<Below>| answer.as_ref().is_err_and(|error| !is_lasting(error));
        let has_failed = !answers.is_empty() && answers.iter().all(has_failed);
        if has_failed {
            let indices: BTreeSet<IndexId> = indices.collect();
            self.scheduler.lock().unread(&indices, now_us);
        }
        has_failed
    }

    /// The sink found another document than a flight was made from: it waits, and the base is read.
    pub(super) fn park_changed(&self, mut flying: Flying, item: Item, now_us: u64) {
        let trouble = flying.trouble_mut();
        trouble.has_changed = true;
        let wait_us = backoff_us(trouble.changes.min(CHANGES_MAX), item.first_seq);
        trouble.changes = trouble.changes.saturating_add(1);
        self.scheduler.lock().park(now_us.saturating_add(wait_us), flying, item);
    }

    /// Reads the documents of flights of which the sink said that they have changed, and settles them or makes them anew.
    pub(super) fn make_anew(&self, changed: Vec<(Flying, Item)>, ready: &mut Ready, now_us: u64) {
        let mut changed = changed.into_iter();
        let mut has_failed = false;
        while changed.len() > 0 {
            let some: Vec<(Flying, Item)> = changed.by_ref().take(ASK_MAX).collect();
            if has_failed {
                for (flying, item) in some {
                    self.park_changed(flying, item, now_us);
                }
                continue;
            }
            let keys: Vec<_> = some.iter().map(|(flying, item)| key(&item.index, &flying.flight)).collect();
            let below = self.read_keys(&keys);
            drop(keys);
            let indices = some.iter().map(|(flying, _)| flying.flight.index);
            has_failed = self.has_failed_whole(&below, indices, now_us);
            for ((flying, item), below) in some.into_iter().zip(below) {
                self.make_one_anew(flying, item, below, ready, now_us);
            }
        }
    }

    fn make_one_anew(
        &self,
        mut flying: Flying,
        mut item: Item,
        below: Result<Below>,
        ready: &mut Ready,
        now_us: u64,
    ) {
        let below = match below {
            Ok(below) => below,
            Err(error) if is_lasting(&error) => {
                flying.trouble_mut().letter = Some(unreadable(&error));
                return self.bury(flying, item, now_us);
            }
            Err(error) => {
                self.counters.failed(&error.to_string());
                return self.park_changed(flying, item, now_us);
            }
        };
        let before = flying.existed;
        if below.seq >= item.last_seq {
            return self.settle_found(flying, &item, below, (before, false), now_us);
        }
        if !item.is_fenced() && is_same(&item, &below.known) {
            // Where there was none before, nobody can say who made it.
            return self.settle_found(
                flying,
                &item,
                below,
                (before.filter(|existed| *existed), false),
                now_us,
            );
        }
        let is_uncertain = flying.uncertain_until_us().is_some();
        // An earlier request may have been carried out, and somebody else have changed what came of it.
        let told = |existed: bool| Some(existed).filter(|existed| !is_uncertain || before == Some(*existed));
        match resolve(&flying.flight.net, flying.flight.routing(), &below.known) {
            Resolved::Settled { existed, noop, misfits } => {
                flying.misfits = misfits;
                let verdict = (told(existed), noop && !is_uncertain);
                self.settle_found(flying, &item, below, verdict, now_us);
            }
            Resolved::Send { action, routing, existed, misfits } => {
                let old = std::mem::replace(&mut item.action, action);
                let bytes = item_bytes(&item);
                if !self.exchange_buffer(&mut flying, bytes) {
                    item.action = old;
                    return self.park_changed(flying, item, now_us);
                }
                (item.routing, item.expects, item.attempt) = (routing, below.expects, 0);
                item.repeatable = flying.flight.net.is_repeatable();
                (flying.existed, flying.misfits) = (existed.and_then(told), misfits);
                flying.trouble_mut().has_changed = false;
                ready.push(flying, item);
            }
        }
    }

    /// The item of a flight has another size from now on. False where the buffers have no room for that now.
    fn exchange_buffer(&self, flying: &mut Flying, bytes: usize) -> bool {
        let memory = &self.bank.memory;
        let held = flying.buffered();
        if bytes > held && !memory.reserve_buffer(bytes - held) {
            return false;
        }
        memory.release_buffer(held.saturating_sub(bytes));
        (flying.bytes, flying.is_buffered) = (bytes, true);
        true
    }

    /// A flight that was out is in what was read, or need not be.
    fn settle_found(
        &self,
        flying: Flying,
        item: &Item,
        below: Below,
        (existed, noop): (Option<bool>, bool),
        now_us: u64,
    ) {
        self.bank.memory.release_buffer(flying.buffered());
        self.note_version(&item.index, &item.id, below.expects);
        let settlement = Settlement {
            verdict: Verdict::Done { existed, noop },
            known: Some(if self.settings.keeps_known { below.known } else { Known::Unknown }),
            hold_until_us: flying.uncertain_until_us().unwrap_or(0),
            sent_bytes: Some(flying.bytes as u64),
            misfits: flying.misfits,
        };
        self.settle_one(flying.flight, settlement, now_us);
    }
}

/// True for an error of the base that will not get better by itself.
pub(super) fn is_lasting(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Damaged | ErrorKind::Invalid)
}

/// The reason of a dead letter where the document is such that nothing can be made from it.
pub(super) fn unreadable(error: &Error) -> String {
    format!("the document below it cannot be read: {error}")
}

fn key<'a>(index: &'a str, flight: &'a Flight) -> BaseKey<'a> {
    BaseKey { index, id: &flight.id, routing: flight.routing() }
}

/// True where the base has what an item makes.
fn is_same(item: &Item, known: &Known) -> bool {
    match (&item.action, known) {
        (ItemAction::Put(made), Known::Document { source, .. }) => equal(made, source),
        (ItemAction::Delete, Known::Absent) => true,
        _ => false,
    }
}

/// What an answer says of the document that is there now.
pub(super) fn expects_of(version: Option<Version>) -> Expects {
    version.map_or(Expects::Anything, Expects::Version)
}
