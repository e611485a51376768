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
//! 2. A file that has its name has a header that was synced before it got it.
//! 3. After a failed write or sync nothing is written any more.
//! 4. Names rise, as numbers do; each is above every seq in the files before.

use super::{
    admission::{Admission, Class, cost_of},
    group::{FILE_HEADER_BYTES, FileHeader, Group},
    record::{FileEnd, Kind, Record, uses},
    ring::{Reader, Ring},
};
use crate::{
    Error, Result,
    disk::{Disk, DiskFile},
    sync::yield_now,
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::BuildHasher,
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

/// What a journal is made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) engine: u128,
    /// Bytes of each file.
    pub(super) file_bytes: u64,
    /// What the files' salts are drawn from.
    pub(super) seed: u64,
}

/// What the files before leave to the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    pub(super) end: Option<FileEnd>,
    /// No file before has a higher name,
    pub(super) name: u64,
    /// and no record in them a higher seq.
    pub(super) highest_seq: u64,
}

/// The highest position of each source, by number.
pub(crate) type Marks = BTreeMap<u32, Option<u64>>;

/// A file that is full.
#[derive(Clone, Debug)]
pub(super) struct Old {
    pub(super) path: PathBuf,
    pub(super) end: FileEnd,
    /// No record in it has a higher seq.
    pub(super) highest_seq: u64,
}

/// A file that is made, and not in use.
#[derive(Debug)]
struct Spare {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    number: u64,
    salt: u64,
    chain: u32,
}

/// The file that is being written.
#[derive(Debug)]
struct Current {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    name: u64,
    number: u64,
    salt: u64,
    /// Where the next group goes.
    at: u64,
    /// All before this is on the medium.
    synced: u64,
    chain: u32,
    /// How the file before ended: its first record.
    follows: Option<FileEnd>,
    /// Indices that it has stated the names of.
    indices: BTreeSet<u32>,
    /// It has stated the sources, with their marks.
    has_sources: bool,
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
        old: Vec<Old>,
        (marks, ceiling): (Marks, u64),
    ) -> Result<Self> {
        let number = before.end.map_or(1, |end| end.number + 1);
        let spare = make_spare(&*disk, directory, shape, number)?;
        let current = activate(&*disk, directory, spare, before)?;
        let spare = match make_spare(&*disk, directory, shape, number + 1) {
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
            let Self { current, group, reader, .. } = self;
            let chain = group.seal(current.salt, current.at, current.chain, current.synced);
            current
                .file
                .write_all_at(group.bytes(), current.at)
                .map_err(|error| failed("writing to", &current.path, error))?;
            current.at += group.len() as u64;
            current.chain = chain;
            ring.give_back(reader);
        }
        self.set_limits(ring, admission);
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
            current.file.sync_data().map_err(|error| failed("syncing", &current.path, error))?;
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
        let marks = left.min(ring.bytes() as u64);
        admission.set_limits(self.written, if self.is_reserve { 0 } else { marks }, marks);
    }
}

/// Files: one after another.
impl Writer {
    /// Lets a record in that was not let in at first: writes what waits, and goes on in the next file where this one is
    /// full. `aside`: bytes of its body that will not lie in the ring.
    pub(super) fn let_in(
        &mut self,
        ring: &Ring,
        admission: &Admission,
        class: Class,
        (cost, aside): (u64, u64),
    ) -> Result<Room> {
        // What was let in before may still come to as much as the ring holds.
        let needs = ring.bytes() as u64 + cost + aside + self.margin();
        loop {
            self.write_out(ring, admission)?;
            if !self.has_room(class, needs)
                && let Room::None(reason) = self.rotate(class)?
            {
                return Ok(Room::None(reason));
            }
            if !self.has_room(class, needs) {
                let most = self.shape.file_bytes.saturating_sub(ring.bytes() as u64 + self.margin());
                return Ok(Room::TooLarge { most });
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

    fn has_room(&self, class: Class, needs: u64) -> bool {
        let left = self.shape.file_bytes.saturating_sub(self.current.at + self.aside);
        left >= needs && (class == Class::Mark || !self.is_reserve)
    }

    /// Goes on in the next file.
    fn rotate(&mut self, class: Class) -> Result<Room> {
        let (disk, directory, shape) = (&*self.disk, &*self.directory, self.shape);
        let number = self.current.number + 1;
        let next = match self.spare.take() {
            Some(spare) => spare,
            None => match make_spare(disk, directory, shape, number) {
                Ok(spare) => spare,
                Err(error) => return no_space(error),
            },
        };
        match make_spare(disk, directory, shape, number + 1) {
            Ok(spare) => self.spare = Some(spare),
            // The reserve is for marks.
            Err(error) if class == Class::Operation || self.is_reserve => {
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
        let current = activate(&*self.disk, &self.directory, next, before)?;
        let done = std::mem::replace(&mut self.current, current);
        self.done = Some((done.file, done.at));
        self.old.push_back(Old { path: done.path, end, highest_seq: self.highest_seq });
        Ok(Room::Some)
    }

    /// Removes the oldest files, as long as no record in them has a seq above `settled`.
    pub(super) fn drop_settled(&mut self, settled: u64) -> Result<()> {
        while self.old.front().is_some_and(|old| old.highest_seq <= settled) {
            self.drop_front()?;
        }
        Ok(())
    }

    /// Removes the oldest file. Durably, before the next goes: a gap in the numbers is damage.
    fn drop_front(&mut self) -> Result<()> {
        let Some(old) = self.old.pop_front() else { return Ok(()) };
        self.disk.remove(&old.path).map_err(|error| failed("removing", &old.path, error))?;
        self.disk.sync_directory(&self.directory).map_err(|error| failed("syncing", &self.directory, error))
    }

    /// Bytes of the files that are full.
    pub(super) fn old_bytes(&self) -> u64 {
        self.old.iter().map(|old| old.end.at).sum()
    }

    /// A body beside the ring that was let in will not be written.
    pub(super) fn withdraw(&mut self, aside: u64) {
        self.aside -= aside;
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

/// An error of the disk's, with what was being done.
pub(super) fn failed(doing: &str, path: &Path, error: io::Error) -> Error {
    Error::io(format!("{doing} {}", path.display()), error)
}

/// Makes a file that can be used at once: with its space, and its header on the medium.
fn make_spare(disk: &dyn Disk, directory: &Path, shape: Shape, number: u64) -> Result<Spare> {
    let path = directory.join(spare_name(number));
    let file = disk.create(&path, shape.file_bytes).map_err(|error| failed("making", &path, error))?;
    let salt = salt(shape.seed, number);
    let header = FileHeader { engine: shape.engine, salt, number, bytes: shape.file_bytes };
    let bytes = header.write();
    file.write_all_at(&bytes, 0)
        .and_then(|()| file.sync_all())
        .map_err(|error| failed("writing to", &path, error))?;
    Ok(Spare { file, path, number, salt, chain: header.chain() })
}

/// A spare gets its name, and says what it follows.
fn activate(disk: &dyn Disk, directory: &Path, spare: Spare, before: Before) -> Result<Current> {
    let Spare { file, path, number, salt, chain } = spare;
    let name = (before.name + 1).max(before.highest_seq + 1);
    let named = directory.join(file_name(name));
    disk.rename(&path, &named).map_err(|error| failed("renaming", &path, error))?;
    disk.sync_directory(directory).map_err(|error| failed("syncing", directory, error))?;
    let at = FILE_HEADER_BYTES as u64;
    let indices = BTreeSet::new();
    Ok(Current {
        file,
        path: named,
        name,
        number,
        salt,
        at,
        synced: at,
        chain,
        follows: before.end,
        indices,
        has_sources: false,
    })
}

/// Differs from file to file, and from journal to journal: what lies on the disk from before is not taken for what is new.
fn salt(seed: u64, number: u64) -> u64 {
    foldhash::fast::FixedState::with_seed(seed).hash_one(number)
}

/// What files are called: the least seq that no file before has.
pub(super) fn file_name(name: u64) -> String {
    format!("{name:020}.journal")
}

/// What a spare is called.
fn spare_name(number: u64) -> String {
    format!("{number:020}.spare.tmp")
}
