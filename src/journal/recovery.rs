//! What a journal comes to: from its records, in order, what of each key has not settled.
//!
//! # Design
//! A plain machine: records go in with the places they lie at; at the end it tells, for each key, the *pieces* that have not
//! settled, ordered by seq, each by its place. Whoever asks reads those again. A piece is one operation that was
//! accepted, or several that were folded and moved forward.
//!
//! | record | does |
//! | --- | --- |
//! | operation s | adds the piece \[s, s\] |
//! | moved \[f, l\] | takes the pieces within \[f, l\] out, and puts this one where its seqs belong; bounds that begin within and
//! end before l go: what they spoke of was put back |
//! | settled l | takes the pieces with last ≤ l out, and bounds with last ≤ l |
//! | bounds \[f, l\] | from now on the pieces within are a flight, instead of the one before |
//! | unbound l | takes the bounds with this last out |
//! | watermark w | settles up to w, every key |
//! | gone n | says that files below n were removed on purpose |
//!
//! # Why it is right
//! What is read is a prefix of the stream, without the files that were deleted, which are the oldest. Three things about
//! how it is written carry all else:
//!
//! - (a) For each key, records stand in the order of events: their places are taken under the lock of the key's shard.
//! - (b) So what settles a seq stands behind all that carries it: the operation, and each piece it was moved in. A piece is
//!   moved only while it has not settled, and that is looked at under the same lock.
//! - (c) A file is deleted only when it is the oldest, and everything in it that stands is on the medium farther on.
//!
//! **What has settled does not come back.** By (b) its mark stands behind all that carries it; by (c) a mark that was
//! deleted took everything before it along. The trap: an old put lies in file 1, which a cold key keeps from being deleted;
//! its newer put, and the marks that settle both, lie in file 2; were file 2 deleted, since all in it has settled, the old put
//! would be the last word on its key, and would be sent again over the newer document. So file 2 cannot go before file 1:
//! what keeps file 1 is moved to the end, and then file 1 goes, with the old put, and file 2 after it.
//!
//! **What has not settled is not lost.** Its piece is in a file that is there, or was moved by (c) to one that is. A crash
//! in the midst of moving leaves both: the moved one comes later and takes the others' place. Where it was not
//! written any more, the others are all there still, as their file is deleted only afterwards.
//!
//! **The order within a key is that of its seqs,** and not that of places: what is moved stands behind operations that are
//! newer. Seqs of one key rise, through restarts too, as each begins above the ceiling.
//!
//! **A flight is what it was.** Bounds are on the medium before it leaves, and nothing is moved across them, so its pieces
//! together are exactly what may have been carried out. Folded with anything newer it could take effect twice. An unbound
//! flight is known not to have been carried out, and may be folded again; if it leaves once more, new bounds stand.
//!
//! **A watermark** is below the first seq of everything that waits or is out, and no seq at or below it is given any more.
//!
//! **A file that is missing is missed**, the oldest too: before one goes it is said that it will, in a file that stays.
//!
//! **A mark of a source** covers the operations before it in the stream and no others. A prefix of the stream has, of each
//! source, a prefix of what was accepted; so what is at or below the highest position that is seen is here, or was settled.
//!
//! # Why contradictions are refused
//! If these hold, an operation at or below the watermark cannot follow it, and no settlement can cut a piece in two.
//! Where a log says such a thing all the same, one reading drops what was accepted, and the other sends it twice. So it
//! is damage, and said to be.
//!
//! # Invariants
//! 1. A key's pieces rise by seq and do not overlap.
//! 2. A key is held only while it has pieces or bounds. Those below the watermark may be held on, but never more than as
//!    many again as stand ([`SWEEP_PIECES`] beside).

mod salvage;
mod waiting;

use super::{
    reader::{End, Entry, Place, Reader},
    record::{FileEnd, KeyRef, Moved, Operation, Record},
};
use crate::{Error, ErrorKind, Result};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smol_str::SmolStr;
pub(crate) use waiting::Piece;
use waiting::Waiting;

/// Fewer pieces are not gone over for what a watermark has settled.
const SWEEP_PIECES: usize = 1_024;

/// What of a key has not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unsettled {
    /// Where its index stands in [`Recovered::indices`].
    pub(crate) index: usize,
    pub(crate) id: SmolStr,
    /// In order.
    pub(crate) pieces: Vec<Piece>,
    /// So many of the first may have been carried out together: they go out as one, as they are, before all else.
    pub(crate) in_flight: usize,
}

/// What a journal comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// The engine that wrote it, if there was a file.
    pub(crate) engine: Option<u128>,
    /// Those that waited longest first.
    pub(crate) keys: Vec<Unsettled>,
    /// All names that were read.
    pub(crate) indices: Vec<Box<str>>,
    /// All sources by name, each with its highest position.
    pub(crate) sources: Vec<(Box<str>, Option<u64>)>,
    /// Sequence numbers below it may be in use.
    pub(crate) ceiling: u64,
    /// The highest seq of any record.
    pub(crate) highest_seq: u64,
    pub(crate) watermark: Option<u64>,
    /// How the last file ended: what the next one's first record says.
    pub(crate) last: Option<FileEnd>,
}

/// A name and what goes with it.
#[derive(Clone, Debug)]
struct Named<T> {
    name: Box<str>,
    of: T,
}

type Map<K, V> = HashMap<K, V, RandomState>;
type Keys = Map<SmolStr, Waiting>;

/// Names by their numbers in the file that is read, and all of them in one order.
#[derive(Clone, Debug)]
struct Names<T> {
    all: Vec<Named<T>>,
    by_name: Map<Box<str>, usize>,
    of_file: Map<u32, usize>,
}

/// The file that is read.
#[derive(Clone, Copy, Debug)]
struct Current {
    number: u64,
    has_begun: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recovery {
    indices: Names<Keys>,
    sources: Names<Option<u64>>,
    current: Option<Current>,
    /// How the file before it ended.
    before: Option<FileEnd>,
    /// How many pieces there are.
    pieces: usize,
    /// How many there may be before what a watermark settled is taken out.
    sweep_at: usize,
    /// The place of the record that said what cannot be.
    wrong_at: Option<u64>,
    /// The number of the first file; and below which there need be none.
    first: Option<u64>,
    gone: u64,
    rest: Recovered,
}

impl Recovery {
    /// Reads the next file, from the oldest on. `known`: what the one after it says of its end, see
    /// [`begin`](super::reader::begin).
    ///
    /// Fails where what is sound says what cannot be. Where the end is damage, nothing may be fed any more.
    pub(crate) fn read_file(&mut self, file: &[u8], known: Option<FileEnd>) -> Result<End> {
        self.read_until(file, known, u64::MAX)
    }

    /// The same, but for what stands at a place and behind it.
    pub(crate) fn read_until(&mut self, file: &[u8], known: Option<FileEnd>, place: u64) -> Result<End> {
        let mut reader = Reader::new(file, known)?;
        let (number, engine) = (reader.header().number, reader.header().engine);
        self.begin_file(number, engine)?;
        self.first.get_or_insert(number);
        self.gone = self.gone.max(reader.header().oldest());
        for entry in reader.by_ref().take_while(|entry| entry.place.at < place) {
            self.record(&entry).inspect_err(|_| self.wrong_at = Some(entry.place.at))?;
        }
        let end = reader.end();
        if let End::Clean { at, chain } | End::Torn { at, chain, .. } = end {
            self.rest.last = Some(FileEnd { number, at, chain });
        }
        Ok(end)
    }

    /// Where in the file that was read last something said what cannot be.
    pub(crate) fn wrong_at(&self) -> Option<u64> {
        self.wrong_at
    }

    /// Fails where files before the first one that was read are missing, and nothing says that they were removed.
    pub(crate) fn check_first(&self) -> Result<()> {
        match self.first {
            Some(first) if first > self.gone => Err(damage(format!(
                "file {first} is the first, and nothing says that file {} was removed: it is missing, or what says so is",
                first - 1
            ))),
            _ => Ok(()),
        }
    }

    /// The file that was read last has no record, and will not be there: the one before it is the last again.
    pub(crate) fn forget_file(&mut self) {
        self.rest.last = self.before.take();
    }

    /// The next file begins.
    fn begin_file(&mut self, number: u64, engine: u128) -> Result<()> {
        if let Some(last) = self.rest.last
            && number.checked_sub(1) != Some(last.number)
        {
            return Err(damage(format!(
                "file {number} follows file {}: what is between is missing",
                last.number
            )));
        }
        if self.rest.engine.is_some_and(|known| known != engine) {
            return Err(damage(format!("file {number} is another engine's than those before it")));
        }
        self.rest.engine = Some(engine);
        self.before = self.rest.last;
        self.indices.of_file.clear();
        self.sources.of_file.clear();
        self.current = Some(Current { number, has_begun: false });
        Ok(())
    }

    /// The next record of the file.
    fn record(&mut self, entry: &Entry<'_>) -> Result<()> {
        self.check_begin(entry)?;
        if entry.record.kind().has_seq() {
            self.rest.highest_seq = self.rest.highest_seq.max(entry.record.seq());
        }
        match entry.record {
            Record::Operation(operation) => self.operation(entry, &operation)?,
            Record::Moved(moved) => self.moved(entry, &moved)?,
            Record::Settled { key, last } => self.settled(entry, key, last)?,
            Record::Bounds { key, first, last } => {
                let index = self.indices.of(key.index, entry)?;
                index.entry(key.id.into()).or_default().bounds = Some((first, last));
            }
            Record::Unbound { key, last } => {
                let index = self.indices.of(key.index, entry)?;
                if let Some(waiting) = index.get_mut(key.id) {
                    waiting.bounds = waiting.bounds.filter(|bounds| bounds.1 != last);
                    if waiting.is_empty() {
                        index.remove(key.id);
                    }
                }
            }
            Record::Watermark { seq } => {
                self.rest.watermark = self.rest.watermark.max(Some(seq));
                self.rest.highest_seq = self.rest.highest_seq.max(seq);
                if self.pieces >= self.sweep_at {
                    self.sweep()?;
                }
            }
            Record::Ceiling { seq } => self.rest.ceiling = self.rest.ceiling.max(seq),
            Record::Index { number, name } => drop(self.indices.name(number, name, entry)?),
            Record::Source { number, mark, name } => {
                let known = self.sources.name(number, name, entry)?;
                *known = mark.max(*known);
            }
            Record::Gone { number } => self.gone = self.gone.max(number),
            Record::Begin(_) => {}
        }
        Ok(())
    }

    /// The first record of a file that follows another says how that one ended, and no other record does.
    fn check_begin(&mut self, entry: &Entry<'_>) -> Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let is_first = !std::mem::replace(&mut current.has_begun, true);
        let number = current.number;
        match entry.record {
            Record::Begin(_) if !is_first => Err(at(entry, "a file begins once")),
            Record::Begin(end) if end.number.checked_add(1) != Some(number) || end.number == 0 => {
                Err(at(entry, format!("file {number} says that it follows file {}", end.number)))
            }
            Record::Begin(end) if self.rest.last.is_some_and(|last| last != end) => {
                let known = self.rest.last.unwrap_or(end);
                let message = format!(
                    "it says that file {} ends at byte {} with {:08x}; that ends at byte {} with {:08x}",
                    end.number, end.at, end.chain, known.at, known.chain
                );
                Err(at(entry, message))
            }
            Record::Begin(_) => Ok(()),
            _ if is_first && number > 1 => Err(at(entry, "the file does not say which one it follows")),
            _ => Ok(()),
        }
    }

    fn operation(&mut self, entry: &Entry<'_>, operation: &Operation<'_>) -> Result<()> {
        let Operation { seq, index, id, routing, source, .. } = *operation;
        if self.rest.watermark >= Some(seq) {
            return Err(at(entry, format!("an operation has seq {seq}, and all up to it had settled")));
        }
        if let Some((number, position)) = source {
            let mark = self.sources.of(number, entry)?;
            *mark = (*mark).max(Some(position));
        }
        let waiting = self.indices.of(index, entry)?.entry(id.into()).or_default();
        waiting.append(Piece::new(seq, seq, routing, entry)).map_err(|wrong| at(entry, wrong))?;
        self.pieces += 1;
        Ok(())
    }

    fn moved(&mut self, entry: &Entry<'_>, moved: &Moved<'_>) -> Result<()> {
        let Moved { first, last, index, id, routing, .. } = *moved;
        if self.rest.watermark >= Some(first) {
            return Err(at(entry, format!("operations from seq {first} were moved, and that had settled")));
        }
        let waiting = self.indices.of(index, entry)?.entry(id.into()).or_default();
        let before = waiting.pieces.len();
        waiting.replace(Piece::new(first, last, routing, entry)).map_err(|wrong| at(entry, wrong))?;
        self.pieces = self.pieces + waiting.pieces.len() - before;
        Ok(())
    }

    fn settled(&mut self, entry: &Entry<'_>, key: KeyRef<'_>, last: u64) -> Result<()> {
        let index = self.indices.of(key.index, entry)?;
        let Some(waiting) = index.get_mut(key.id) else { return Ok(()) };
        self.pieces -= waiting.settle(last).map_err(|wrong| at(entry, wrong))?;
        if waiting.is_empty() {
            index.remove(key.id);
        }
        Ok(())
    }

    /// Takes out what the watermark has settled. Costs a step for each key, so it is done when there are twice as many
    /// pieces as the last time.
    fn sweep(&mut self) -> Result<()> {
        let Some(watermark) = self.rest.watermark else { return Ok(()) };
        let (mut taken, mut wrong) = (0, None);
        for index in &mut self.indices.all {
            index.of.retain(|_, waiting| {
                match waiting.settle(watermark) {
                    Ok(settled) => taken += settled,
                    Err(cut) => wrong = Some(cut),
                }
                !waiting.is_empty()
            });
        }
        self.pieces -= taken;
        self.sweep_at = (2 * self.pieces).max(SWEEP_PIECES);
        wrong.map_or(Ok(()), |wrong| Err(damage(format!("{wrong}, which cannot be"))))
    }

    /// What all that was read comes to.
    pub(crate) fn finish(mut self) -> Result<Recovered> {
        self.sweep()?;
        self.finish_where(Err)
    }

    /// `wrong` says how many of a key's pieces are out, where what stands of its flight is not what was sent.
    fn finish_where(self, wrong: impl Fn(Error) -> Result<usize>) -> Result<Recovered> {
        let mut recovered = self.rest;
        for (index, Named { name, of: keys }) in self.indices.all.into_iter().enumerate() {
            for (id, waiting) in keys {
                let in_flight = waiting.in_flight().or_else(|what| {
                    wrong(damage(format!("of {}/{}: {what}", name.escape_debug(), id.escape_debug())))
                })?;
                recovered.keys.push(Unsettled { index, id, pieces: waiting.pieces, in_flight });
            }
            recovered.indices.push(name);
        }
        let oldest = |key: &Unsettled| key.pieces.first().map(|piece| piece.first);
        recovered.keys.sort_unstable_by(|one, other| {
            (oldest(one), one.index, &one.id).cmp(&(oldest(other), other.index, &other.id))
        });
        recovered.sources = self.sources.all.into_iter().map(|source| (source.name, source.of)).collect();
        Ok(recovered)
    }
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { all: Vec::new(), by_name: Map::default(), of_file: Map::default() }
    }
}

impl<T: Default> Names<T> {
    /// What goes with a name, which has this number from here on in the file.
    fn name(&mut self, number: u32, name: &str, entry: &Entry<'_>) -> Result<&mut T> {
        let position = self.by_name.get(name).copied().unwrap_or_else(|| {
            self.all.push(Named { name: name.into(), of: T::default() });
            self.by_name.insert(name.into(), self.all.len() - 1);
            self.all.len() - 1
        });
        if *self.of_file.entry(number).or_insert(position) != position {
            return Err(at(entry, format!("number {number} is given to a second name, {name:?}")));
        }
        self.of(number, entry)
    }

    /// What goes with the name that has this number in the file.
    fn of(&mut self, number: u32, entry: &Entry<'_>) -> Result<&mut T> {
        let known = self.of_file.get(&number).and_then(|position| self.all.get_mut(*position));
        known
            .map(|named| &mut named.of)
            .ok_or_else(|| at(entry, format!("number {number} was given to no name")))
    }
}

#[cold]
fn at(entry: &Entry<'_>, what: impl AsRef<str>) -> Error {
    let Place { file, at, .. } = entry.place;
    damage(format!("file {file}, at byte {at}: {}, which cannot be", what.as_ref()))
}

fn damage(what: String) -> Error {
    Error::new(ErrorKind::Damaged, what)
}

#[cfg(test)]
mod tests;
