//! Folding the journal: what stands in its oldest file is written again, and the file goes.
//!
//! # Design
//! The oldest file is read from its beginning. Where an operation in it is part of something that has not settled, an entry or
//! a flight, that is written to the end of the stream, as it is now: folded with all that came since. When all of that is on
//! the medium the file is removed. So while the sink is away, and the same documents change over and over, the files hold
//! about what the shards hold.
//!
//! What was written again stands behind this file, so the others of its operations that this file has, and all that
//! files behind it have from before, are passed over: each entry has the number of the file to which it was last written as a
//! whole (`shard/arrival.rs`). Without that a key that changes all the time, and so has operations in every file, would be written
//! again for each of them, and the files would hold nothing else.
//!
//! # Why every operation is asked about
//! It would be less work to ask only about those with which something begins: what stands has one oldest operation, in one
//! file. But that need not be the oldest file in which it has one. Where a flight is written again while newer operations of
//! its key wait, and is put back under them, an older file than the one it begins in has the newer part. Asking costs a look
//! under the shard's lock for each operation in the file, some 200 ns, once in its life.
//!
//! # Order
//! The place is taken under the key's shard lock, where it is seen that it stands: what settles it comes behind. Of a flight
//! that is not repeatable the bounds are written again as well, behind it, as they may stand in no other file.

use crate::{
    Result,
    document::IndexId,
    journal::{Admitted, Kind, Log, Moved, Place, Record, key},
    shard::{Bank, FILES_MAX},
};

/// Files that go in one call at most: others wait for their turn.
const ROUNDS_MAX: u32 = 64;
/// So many operations are looked at between two looks at the interval.
const LOOK: u32 = 256;

/// Has the oldest files go, where there is more than what stands needs. `keep` is called now and then.
pub(super) fn fold(bank: &Bank, journal: &Log, mut keep: impl FnMut() -> Result<()>) -> Result<()> {
    for _ in 0..ROUNDS_MAX {
        if !fold_one(bank, journal, &mut keep)? {
            break;
        }
        journal.folding.end_round();
    }
    Ok(())
}

/// The oldest file; false where it is to stay.
fn fold_one(bank: &Bank, journal: &Log, keep: &mut impl FnMut() -> Result<()>) -> Result<bool> {
    let Some(oldest) = journal.oldest(standing_bytes(bank))? else { return Ok(false) };
    let files = Files { oldest: oldest.number(), current: journal.number()? };
    let mut count = 0;
    oldest.each(|name, id, seq| {
        count += 1;
        if count % LOOK == 0 {
            keep()?;
        }
        match bank.indices.find(name) {
            Some(index) => move_one(bank, journal, (index, id, seq), files),
            None => Ok(()),
        }
    })?;
    journal.remove_folded(&oldest)
}

/// About what all that has not settled takes in the journal.
fn standing_bytes(bank: &Bank) -> u64 {
    (0..bank.shard_count()).map(|shard| bank.with(shard, |shard| shard.standing_bytes())).sum()
}

/// The numbers of two files.
#[derive(Clone, Copy)]
struct Files {
    oldest: u64,
    /// That is being written.
    current: u64,
}

/// Places that were taken for what is written again, and what goes there.
struct Taken {
    moved: Place,
    last_seq: u64,
    /// The bounds, where it may be out and is not repeatable.
    bounds: Option<Place>,
}

/// Writes what an operation is part of again, if that stands, and is not written behind this file already.
fn move_one(bank: &Bank, journal: &Log, (index, id, seq): (IndexId, &str, u64), files: Files) -> Result<()> {
    let place = bank.place(index, id);
    let mut moved = Part::default();
    let mut bounds = Part::default();
    loop {
        // How much room it needs is only known under the lock, and none is made there.
        let mut is_there = false;
        let taken = bank.with(place.shard, |shard| {
            let standing = shard.standing(place.tag, index, id, seq)?;
            let are_few = files.current - files.oldest < FILES_MAX;
            if are_few && standing.arrival.is_written_behind(files.oldest) {
                return None;
            }
            is_there = true;
            let (first_seq, last_seq) = (standing.first_seq, standing.last_seq);
            moved.write(&Record::Moved(Moved {
                first: first_seq,
                last: last_seq,
                index: index.0.into(),
                id,
                routing: standing.routing,
                operations: standing.tally.operations,
                not_found: standing.tally.not_found(),
                conflicts: standing.tally.conflicts(),
                net: standing.net.as_bytes(),
            }));
            let may_be_out = standing.may_be_out && !standing.net.is_repeatable();
            bounds.clear();
            if may_be_out {
                bounds.write(&Record::Bounds { key: key(index, id), first: first_seq, last: last_seq });
            }
            if !moved.is_let_in(journal) || may_be_out && !bounds.is_let_in(journal) {
                return None;
            }
            let place = moved.take(journal)?;
            standing.arrival.set_written(files.current);
            let bounds = if may_be_out { bounds.take(journal) } else { None };
            Some(Taken { moved: place, last_seq, bounds })
        });
        if let Some(Taken { moved: place, last_seq, bounds: second }) = taken {
            journal.fill_as(Kind::Moved, place, last_seq, &moved.body);
            if let Some(place) = second {
                journal.fill_as(Kind::Bounds, place, last_seq, &bounds.body);
            }
            bounds.give_back(journal);
            return Ok(());
        }
        let made = if is_there { make_room(journal, &mut moved, &mut bounds) } else { Ok(()) };
        if !is_there || made.is_err() {
            moved.give_back(journal);
            bounds.give_back(journal);
            return made;
        }
    }
}

/// Has both let in. The short one first: who holds room for a long body does not wait.
fn make_room(journal: &Log, moved: &mut Part, bounds: &mut Part) -> Result<()> {
    if !bounds.is_held() {
        moved.give_back(journal);
    }
    bounds.make_room(journal)?;
    moved.make_room(journal)
}

/// One of the records, and the room that it was promised.
#[derive(Default)]
struct Part {
    body: Vec<u8>,
    /// What was let in, for a body of so many bytes.
    held: Option<(Admitted, usize)>,
}

impl Part {
    fn clear(&mut self) {
        self.body.clear();
    }

    fn write(&mut self, record: &Record<'_>) {
        self.body.clear();
        record.write_body(&mut self.body);
    }

    /// True where it has room, from before or at once.
    fn is_let_in(&mut self, journal: &Log) -> bool {
        if let Some((_, bytes)) = self.held {
            return bytes == self.body.len();
        }
        self.held = journal.admit_now(self.body.len()).map(|admitted| (admitted, self.body.len()));
        self.held.is_some()
    }

    /// True where it has the room that it needs.
    fn is_held(&self) -> bool {
        self.body.is_empty() || self.held.is_some_and(|(_, bytes)| bytes == self.body.len())
    }

    /// Takes its place.
    fn take(&mut self, journal: &Log) -> Option<Place> {
        self.held.take().map(|(admitted, _)| journal.place(&admitted))
    }

    /// Has it let in where it was not, which may write and sync.
    fn make_room(&mut self, journal: &Log) -> Result<()> {
        if !self.is_held() {
            self.give_back(journal);
            self.held = Some((journal.admit_again(self.body.len())?, self.body.len()));
        }
        Ok(())
    }

    fn give_back(&mut self, journal: &Log) {
        if let Some((admitted, _)) = self.held.take() {
            journal.withdraw(admitted);
        }
    }
}
