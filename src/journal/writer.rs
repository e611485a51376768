//! Writing: records from the ring into groups, groups into files, one file after another.
//!
//! # Design
//! One thread at a time has the writer. It takes what is filled out of the ring, gives each record its checksum, states
//! ahead of it the index and the source that it names where this file has not yet, and writes all of it at once as a
//! group. Syncing is a step of its own: who needs it calls for it after writing.
//!
//! The next file is made before it is needed, with its space allocated and its header synced: the *spare*. When the
//! current file is full, a new spare is made first; where there is no space for one, the last becomes the *reserve*, which
//! takes marks only, so that what waits can still go out and make room.
//!
//! # Why whole groups, and not records
//! A write and a sync for each record would cost a system call and a trip to the medium for each. What comes while one
//! group is synced is the next group.
//!
//! # Invariants
//! 1. A file gets its first group only after the one before was synced whole.
//! 2. After a failed write or sync nothing is written any more.
//! 3. Every file but the last has a record: two in a row that say nothing could not be told from a gap.

use super::{
    admission::{Admission, Class, LAST_BYTES, cost_of},
    file::{Before, Current, Old, Shape, Spare, failed},
    group::{FILE_HEADER_BYTES, Group},
    record::{FileEnd, Kind, Record, uses},
    ring::{Reader, Ring},
};
use crate::{
    Error, Result,
    disk::{Disk, DiskFile},
    sync::yield_now,
};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A group is written when it has so many bytes.
const GROUP_BYTES: usize = 1024 * 1024;
/// What is left free in a file, for the names that its records state: one part in so many,
const MARGIN_SHARE: u64 = 32;
/// and not more than this.
const MARGIN_MAX: u64 = 256 * 1024;

/// The names behind the numbers in records.
pub(crate) trait Names: Send + Sync {
    /// That of an index.
    fn index(&self, number: u32) -> Arc<str>;

    /// That of a source.
    fn source(&self, number: u32) -> Arc<str>;
}

/// The highest position of each source, by number.
pub(crate) type Marks = BTreeMap<u32, Option<u64>>;

/// Bytes of bodies that were written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bodies {
    /// Of operations that were accepted.
    pub(super) came: u64,
    /// Of those that were written again.
    pub(super) moved: u64,
}

/// See the module.
pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    names: Arc<dyn Names>,
    shape: Shape,
    current: Current,
    spare: Option<Spare>,
    old: VecDeque<Old>,
    /// The file before, and its end, for as long as the current one does not say on the medium where that is.
    done: Option<(Box<dyn DiskFile>, u64)>,
    /// There was no space for another spare: only marks are written.
    is_reserve: bool,
    /// What was written counts so much.
    written: u64,
    /// Bytes of what was accepted, and of what was written again.
    bodies: Bodies,
    /// Bytes of bodies beside the ring that were let in and are not written.
    aside: u64,
    highest_seq: u64,
    /// The highest position of each source among what was written.
    marks: Marks,
    /// Sequence numbers below it may be in use.
    ceiling: u64,
    reader: Reader,
    body: Vec<u8>,
    scratch: Vec<u8>,
    group: Group,
}

impl Writer {
    /// Goes on behind what was found in a directory: in a file of its own.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        directory: &Path,
        names: Arc<dyn Names>,
        shape: Shape,
        before: Before,
        (old, useless): (Vec<Old>, Vec<PathBuf>),
        (marks, ceiling): (Marks, u64),
    ) -> Result<Self> {
        let number = before.end.map_or(1, |end| end.number + 1);
        let oldest = old.first().map_or(number, |old| old.end.number);
        let spare = Spare::make(&*disk, directory, shape, number, oldest)?;
        let current = spare.activate(&*disk, directory, before)?;
        // The new file says that these are of no use, should they come back.
        for path in &useless {
            disk.remove(path).map_err(|error| failed("removing", path, error))?;
        }
        if !useless.is_empty() {
            disk.sync_directory(directory).map_err(|error| failed("syncing", directory, error))?;
        }
        let spare = match Spare::make(&*disk, directory, shape, number + 1, oldest) {
            Ok(spare) => Some(spare),
            // What was read can still go out.
            Err(error) => no_space(error).map(|_| None)?,
        };
        Ok(Self {
            disk,
            directory: directory.to_owned(),
            names,
            shape,
            current,
            is_reserve: spare.is_none(),
            spare,
            old: old.into(),
            done: None,
            written: 0,
            bodies: Bodies::default(),
            aside: 0,
            highest_seq: before.highest_seq,
            marks,
            ceiling,
            reader: Reader::default(),
            body: Vec::new(),
            scratch: Vec::new(),
            group: Group::default(),
        })
    }

    /// How far records have been taken out of the ring, and written.
    pub(super) fn written_to(&self) -> u64 {
        self.reader.at()
    }

    /// Writes what is filled, and lets more in.
    pub(super) fn write_out(&mut self, ring: &Ring, admission: &Admission) -> Result<()> {
        while self.gather(ring) {
            self.write_group()?;
            ring.give_back(&self.reader);
        }
        self.set_limits(ring, admission);
        Ok(())
    }

    fn write_group(&mut self) -> Result<()> {
        let Self { current, group, .. } = self;
        let chain = group.seal(current.salt, current.at, current.chain, current.synced);
        current
            .file
            .write_all_at(group.bytes(), current.at)
            .map_err(|error| failed("writing to", &current.path, error))?;
        current.at += group.len() as u64;
        current.chain = chain;
        Ok(())
    }

    /// Makes a group of what is filled; false where nothing is.
    fn gather(&mut self, ring: &Ring) -> bool {
        let Self { current, group, body, scratch, reader, .. } = self;
        group.clear(self.highest_seq);
        while group.len() < GROUP_BYTES
            && let Some(head) = ring.take(reader, body)
        {
            if let Some(end) = current.follows.take() {
                group.push_record(&Record::Begin(end), scratch);
            }
            let resident = ring.resident(body.len());
            self.written += cost_of(resident);
            self.aside -= (body.len() - resident) as u64;
            // Nobody writes another kind.
            let Some(kind) = Kind::of(head.kind) else { continue };
            match kind {
                Kind::Moved => self.bodies.moved += body.len() as u64,
                Kind::Operation => self.bodies.came += body.len() as u64,
                _ => {}
            }
            let uses = uses(kind, body);
            if let Some((number, _)) = uses.source
                && !self.marks.contains_key(&number)
            {
                self.marks.insert(number, None);
                let name = self.names.source(number);
                if current.has_sources {
                    group.push_record(&Record::Source { number, mark: None, name: &name }, scratch);
                }
            }
            if !std::mem::replace(&mut current.has_sources, true) {
                group.push_record(&Record::Ceiling { seq: self.ceiling }, scratch);
                for (number, mark) in &self.marks {
                    let name = self.names.source(*number);
                    group.push_record(&Record::Source { number: *number, mark: *mark, name: &name }, scratch);
                }
            }
            if let Some((number, position)) = uses.source {
                self.marks.insert(number, Some(position));
            }
            if let Some(number) = uses.index
                && current.indices.insert(number)
            {
                group.push_record(&Record::Index { number, name: &self.names.index(number) }, scratch);
            }
            if kind == Kind::Ceiling {
                self.ceiling = self.ceiling.max(head.seq);
            } else {
                self.highest_seq = self.highest_seq.max(head.seq);
            }
            group.push(kind, head.seq, body);
        }
        !group.is_empty()
    }

    /// Makes all that was written durable.
    pub(super) fn sync(&mut self) -> Result<()> {
        let current = &mut self.current;
        if current.synced < current.at {
            let Current { file, synced, at, zeroed, .. } = &mut *current;
            zeroed
                .go_ahead(&**file, (*synced, *at), self.shape.file_bytes)
                .and_then(|()| file.sync_data())
                .map_err(|error| failed("syncing", &current.path, error))?;
            current.synced = current.at;
            // What was allocated behind the end of the file before is given back, now that this one says where that is. If
            // it fails the file is longer than it need be.
            if let Some((file, end)) = self.done.take() {
                file.set_length(end).ok();
            }
        }
        Ok(())
    }

    /// Lets in what fits into the ring and the file.
    pub(super) fn set_limits(&self, ring: &Ring, admission: &Admission) {
        let left = self.shape.file_bytes.saturating_sub(self.current.at + self.margin() + self.aside);
        let ring = ring.bytes() as u64;
        let marks = left.saturating_sub(LAST_BYTES).min(ring);
        let operations = if self.is_reserve { 0 } else { marks };
        admission.set_limits(self.written, [operations, marks, left.min(ring)]);
    }
}

/// Files: one after another.
impl Writer {
    /// Lets a record in that was not let in at first: writes what waits, and goes on in the next file where this one is
    /// full. Not where the full files would then have more than `old_max` bytes, and one file. `aside`: bytes of its body that will not lie in the ring.
    pub(super) fn let_in(
        &mut self,
        ring: &Ring,
        admission: &Admission,
        class: Class,
        (cost, aside): (u64, u64),
        old_max: u64,
    ) -> Result<Room> {
        // What was let in before may still come to as much as the ring holds.
        let needs = ring.bytes() as u64 + cost + aside + self.margin() + LAST_BYTES;
        loop {
            self.write_out(ring, admission)?;
            if class == Class::Last && admission.admit(class, cost) {
                return Ok(Room::Some);
            }
            let most = self.shape.file_bytes.saturating_sub(FILE_HEADER_BYTES as u64);
            if needs > most {
                return Ok(Room::TooLarge { most: most.saturating_sub(needs - cost - aside) });
            }
            let old = self.old_bytes() + self.current.at;
            if !self.has_room(class, needs) && old > old_max.saturating_add(self.shape.file_bytes) {
                return Ok(Room::Later);
            }
            if !self.has_room(class, needs)
                && let Room::None(reason) = self.rotate(class)?
            {
                return Ok(Room::None(reason));
            }
            if !self.has_room(class, needs + self.aside) {
                return Ok(Room::Soon);
            }
            self.set_limits(ring, admission);
            if admission.admit(class, cost) {
                self.aside += aside;
                self.set_limits(ring, admission);
                return Ok(Room::Some);
            }
            // The ring is full of places that are about to be filled.
            yield_now();
        }
    }

    fn margin(&self) -> u64 {
        (self.shape.file_bytes / MARGIN_SHARE).min(MARGIN_MAX)
    }

    /// True where the file has so much left, beside what it was written.
    fn has_room(&self, class: Class, needs: u64) -> bool {
        let left = self.shape.file_bytes.saturating_sub(self.current.at);
        left >= needs && (class.is_mark() || !self.is_reserve)
    }

    /// Goes on in the next file.
    fn rotate(&mut self, class: Class) -> Result<Room> {
        let (disk, directory, shape) = (&*self.disk, &*self.directory, self.shape);
        let number = self.current.number + 1;
        let oldest = self.old.front().map_or(self.current.number, |old| old.end.number);
        let next = match self.spare.take() {
            Some(spare) => spare,
            None => match Spare::make(disk, directory, shape, number, oldest) {
                Ok(spare) => spare,
                Err(error) => return no_space(error),
            },
        };
        match Spare::make(disk, directory, shape, number + 1, oldest) {
            Ok(spare) => self.spare = Some(spare),
            // The reserve is for marks.
            Err(error) if !class.is_mark() || self.is_reserve => {
                self.spare = Some(next);
                return no_space(error);
            }
            Err(error) => {
                no_space(error)?;
            }
        }
        self.is_reserve = self.spare.is_none();
        self.sync()?;
        let current = &self.current;
        let end = FileEnd { number: current.number, at: current.at, chain: current.chain };
        let before = Before { end: Some(end), name: current.name, highest_seq: self.highest_seq };
        let current = next.activate(&*self.disk, &self.directory, before)?;
        let done = std::mem::replace(&mut self.current, current);
        self.done = Some((done.file, done.at));
        self.old.push_back(Old { path: done.path, end, highest_seq: self.highest_seq });
        Ok(Room::Some)
    }

    /// Removes the files below a number.
    pub(super) fn drop_before(&mut self, number: u64) -> Result<()> {
        while self.old.front().is_some_and(|old| old.end.number < number) {
            self.drop_front()?;
        }
        Ok(())
    }

    /// Removes the oldest file. Durably, before the next goes: a gap in the numbers is damage. (Where that fails, nothing is
    /// written any more, and the file of the next engine says that this one was gone.)
    fn drop_front(&mut self) -> Result<()> {
        let Some(old) = self.old.pop_front() else { return Ok(()) };
        self.disk.remove(&old.path).map_err(|error| failed("removing", &old.path, error))?;
        self.disk.sync_directory(&self.directory).map_err(|error| failed("syncing", &self.directory, error))
    }

    /// The number of the oldest file in which a record has a seq above `settled`, or that is being written; nothing, where that
    /// is the oldest of all.
    pub(super) fn first_unsettled(&self, settled: u64) -> Option<u64> {
        let gone = self.old.iter().take_while(|old| old.highest_seq <= settled);
        gone.last().map(|old| old.end.number + 1)
    }

    /// The number of the file that is being written.
    pub(super) fn number(&self) -> u64 {
        self.current.number
    }

    /// What was written.
    pub(super) fn bodies(&self) -> Bodies {
        self.bodies
    }

    /// How long a file is made.
    pub(super) fn file_bytes(&self) -> u64 {
        self.shape.file_bytes
    }

    /// Bytes of the files that are full.
    pub(super) fn old_bytes(&self) -> u64 {
        self.old.iter().map(|old| old.end.at).sum()
    }

    /// The oldest of them, and the disk it is on.
    pub(super) fn oldest(&self) -> Option<(Arc<dyn Disk>, Old)> {
        self.old.front().map(|old| (Arc::clone(&self.disk), old.clone()))
    }

    /// A body beside the ring that was let in will not be written.
    pub(super) fn withdraw(&mut self, aside: u64) {
        self.aside -= aside;
    }

    /// Bytes that were written to the files that are there.
    pub(super) fn used(&self) -> u64 {
        self.old_bytes() + self.current.at
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        let files = 1 + u64::from(self.spare.is_some());
        self.old_bytes() + files * self.shape.file_bytes
    }
}

/// Whether there is room.
#[derive(Debug)]
pub(super) enum Room {
    Some,
    /// Another file would have to be begun, and the full ones have too much.
    Later,
    /// There is room that bodies beside the ring were promised, which are about to be written, or withdrawn.
    Soon,
    /// The disk has no space: nothing has changed.
    None(Error),
    /// A record may have so many bytes.
    TooLarge {
        most: u64,
    },
}

/// An error for want of space, told apart from all others.
fn no_space(error: Error) -> Result<Room> {
    let full =
        std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>()).is_some_and(
            |error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded),
        );
    if full { Ok(Room::None(error)) } else { Err(error) }
}
