//! Folding the journal: what stands in its oldest file is written again, and the file goes.
//!
//! # Design
//! The oldest file is read from its beginning. A record at whose seq something begins that has not settled, an entry or a
//! flight, has it written to the end of the stream, as it is now: folded with all that came since. What is no such
//! beginning is settled, or was folded into what is. When all of that is on the medium the file is deleted. So while the
//! sink is away, and the same documents change over and over, the files hold about what the shards hold.
//!
//! # Why by beginnings
//! To know of each entry in which files it stands would cost memory for each, all the time. A beginning is in one place: the
//! oldest record of what stands. It is in the oldest file or behind it, as every file that was deleted had its own written
//! again; and once it is written again it is found there.
//!
//! # Order
//! The place is taken under the key's shard lock, where it is seen that it stands: what settles it comes behind. Of a flight
//! that is not repeatable the bounds are written again as well, behind it, as they may stand in no other file.

use crate::{
    Result,
    document::IndexId,
    journal::{Admitted, Log, Moved, Place, Record},
    shard::Bank,
};

/// The files may have so many times what stands, in tenths, beside the one that is written and the next.
const TENTHS: u64 = 22;
/// What a document that waits costs in memory beside its operation, less what it costs in a record.
const BESIDE: u64 = 110;

/// Has the oldest file go, where there is more than what stands needs. One for each call: others wait for their turn.
pub(super) fn fold(bank: &Bank, journal: &Log) -> Result<()> {
    if journal.old_bytes()? <= standing_bytes(bank) / 10 * TENTHS {
        return Ok(());
    }
    let Some(oldest) = journal.oldest()? else { return Ok(()) };
    oldest.each(|name, id, first_seq| match bank.indices.find(name) {
        Some(index) => move_one(bank, journal, index, id, first_seq),
        None => Ok(()),
    })?;
    journal.sync()?;
    journal.drop_oldest(&oldest)
}

/// About what all that has not settled would take in the journal.
fn standing_bytes(bank: &Bank) -> u64 {
    let documents: usize =
        (0..bank.shard_count()).map(|n| bank.with(n, |shard| shard.pending_documents())).sum();
    let held = bank.memory.pending() as u64;
    held.saturating_sub(documents as u64 * BESIDE).max(documents as u64 * 32)
}

/// Places that were taken for what is written again, and what goes there.
struct Taken {
    moved: Place,
    last_seq: u64,
    /// The bounds, where it may be out and is not repeatable.
    bounds: Option<Place>,
}

/// Writes what stands of a key from a seq on again, if anything does.
fn move_one(bank: &Bank, journal: &Log, index: IndexId, id: &str, first_seq: u64) -> Result<()> {
    let key = bank.place(index, id);
    let mut moved = Part::default();
    let mut bounds = Part::default();
    loop {
        // How much room it needs is only known under the lock, and none is made there.
        let mut is_there = false;
        let taken = bank.with(key.shard, |shard| {
            let standing = shard.standing(key.tag, index, id, first_seq)?;
            is_there = true;
            let last_seq = standing.last_seq;
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
                bounds.write(&Log::bounds_record(index, id, first_seq, last_seq));
            }
            if !moved.is_let_in(journal) || may_be_out && !bounds.is_let_in(journal) {
                return None;
            }
            let place = moved.take(journal)?;
            let bounds = if may_be_out { bounds.take(journal) } else { None };
            Some(Taken { moved: place, last_seq, bounds })
        });
        if let Some(Taken { moved: place, last_seq, bounds: second }) = taken {
            journal.fill_moved(place, last_seq, &moved.body);
            if let Some(place) = second {
                journal.fill_bounds(place, last_seq, &bounds.body);
            }
            bounds.give_back(journal);
            return Ok(());
        }
        let made =
            if is_there { moved.make_room(journal).and_then(|()| bounds.make_room(journal)) } else { Ok(()) };
        if !is_there || made.is_err() {
            moved.give_back(journal);
            bounds.give_back(journal);
            return made;
        }
    }
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

    /// Takes its place.
    fn take(&mut self, journal: &Log) -> Option<Place> {
        self.held.take().map(|(admitted, _)| journal.place(&admitted))
    }

    /// Has it let in where it was not, which may write and sync.
    fn make_room(&mut self, journal: &Log) -> Result<()> {
        if self.held.is_some_and(|(_, bytes)| bytes == self.body.len()) {
            return Ok(());
        }
        self.give_back(journal);
        if !self.body.is_empty() {
            self.held = Some((journal.admit(self.body.len())?, self.body.len()));
        }
        Ok(())
    }

    fn give_back(&mut self, journal: &Log) {
        if let Some((admitted, _)) = self.held.take() {
            journal.withdraw(admitted);
        }
    }
}
