//! Reading a journal as far as it can be read, and changing nothing.
//!
//! # Design
//! What opening does, but that a place where it would refuse is a [`Cut`]: what is before it is taken, and what lies behind
//! is gone over for records that can be believed by themselves (`recovery/salvage.rs`). A cut is where the checksums end,
//! where a file is missing, where a record says what cannot be, or where what is to be sent is no operation. For the latter
//! two all is read once more, up to there, as the first reading has taken in what is behind.
//!
//! # Invariants
//! 1. Without a cut, and with nothing missing before all, opening takes the journal, and comes to the same; else it refuses it.
//! 2. What is before a cut is a prefix of the stream.

use super::{
    doubt,
    file::failed,
    group::FILE_HEADER_BYTES,
    open::{Found, named, names},
    reader::{End, Entry, Place},
    record::{FileEnd, Kind},
    recovery::{Piece, Recovered, Recovery},
};
use crate::{Error, ErrorKind, Result, disk::Disk};
use std::path::{Path, PathBuf};

/// A file of the directory.
pub(super) struct Seen {
    pub(super) name: u64,
    pub(super) path: PathBuf,
    /// Its bytes, all of them.
    pub(super) length: u64,
    /// Why not, where its header cannot be read.
    pub(super) found: Result<Found>,
}

/// Where a journal cannot be read on.
pub(super) struct Cut {
    /// Which of [`Reading::files`], and the byte of it: zero for all of it.
    pub(super) file: usize,
    pub(super) at: u64,
    /// What opening says.
    pub(super) why: Error,
}

/// What lies behind a cut, as far as it can be believed.
#[derive(Default)]
pub(super) struct Behind {
    /// What all comes to, as if nothing were missing between what is before the cut and what is behind it.
    pub(super) all: Recovered,
    /// Bytes of which nothing can be told.
    pub(super) unreadable: u64,
    /// Operations that can be read, and of which it is missing what their index is called.
    pub(super) nameless: u64,
}

/// See the module.
pub(super) struct Reading {
    /// From the oldest that counts.
    pub(super) files: Vec<Seen>,
    /// Those that do not count any more, and those that were being made.
    pub(super) void: Vec<PathBuf>,
    /// What is before the cut comes to.
    pub(super) recovered: Recovered,
    pub(super) torn: Option<String>,
    /// Why opening refuses it all the same, where files before the first are missing, or there is one with a wrong header.
    pub(super) missing: Option<Error>,
    pub(super) cut: Option<(Cut, Behind)>,
}

/// What a file has come to.
enum Step {
    Whole,
    Torn(String),
    Cut(u64, Error),
    /// The same, and something behind the place was taken in.
    TooFar(u64, Error),
}

impl Reading {
    /// Reads the journal in a directory. Fails where there is none to be read: with a newer version's files, or an error
    /// of the disk's.
    pub(super) fn of(disk: &dyn Disk, directory: &Path) -> Result<Self> {
        let (files, void, unreadable) = seen(disk, directory)?;
        let mut reading =
            Self { files, void, recovered: Recovered::default(), torn: None, missing: None, cut: None };
        let mut stop = None;
        // Each time the place is nearer to the start.
        while let Some(earlier) = reading.read_up_to(stop)? {
            stop = Some(earlier);
        }
        // Opening does not go by names: it refuses this one too.
        reading.missing = reading.missing.or(unreadable);
        Ok(reading)
    }

    /// Where nothing is to be cut, and files before the first are missing: a cut at the end.
    pub(super) fn cut_behind_all(&mut self) -> Option<(Cut, Behind)> {
        let why = self.missing.take()?;
        let behind = Behind { all: self.recovered.clone(), ..Behind::default() };
        Some((Cut { file: self.files.len(), at: 0, why }, behind))
    }

    /// What files say of how the ones before them end.
    pub(super) fn begins(&self) -> Vec<FileEnd> {
        self.files.iter().filter_map(|seen| seen.found.as_ref().ok()?.begin).collect()
    }

    /// The bytes of a piece's record.
    pub(super) fn bytes_of(&self, piece: &Piece) -> Result<Vec<u8>> {
        let Place { file, at, bytes, .. } = piece.place;
        let found = self.files.iter().filter_map(|seen| seen.found.as_ref().ok());
        let Some(found) = found.into_iter().find(|found| found.header.number == file) else {
            return Err(Error::new(ErrorKind::Damaged, format!("file {file} of the journal is not there")));
        };
        let mut into = vec![0; bytes as usize];
        found.file.read_exact_at(&mut into, at).map_err(|error| failed("reading", &found.path, error))?;
        Ok(into)
    }

    /// Reads everything, or up to a cut that is known; gives one that is earlier, if there turns out to be one.
    fn read_up_to(&mut self, mut stop: Option<Cut>) -> Result<Option<Cut>> {
        let begins = self.begins();
        let (mut recovery, mut cut) = (Recovery::default(), None);
        self.torn = None;
        for (file, seen) in self.files.iter().enumerate() {
            let stop = stop.take_if(|stop| stop.file == file);
            let until = stop.as_ref().map_or(u64::MAX, |stop| stop.at);
            match seen.read(&begins, until, &mut recovery)? {
                Step::TooFar(at, why) => return Ok(Some(Cut { file, at, why })),
                Step::Cut(at, why) if at < until => cut = Some(Cut { file, at, why }),
                Step::Torn(torn) if stop.is_none() => self.torn = Some(torn),
                _ => {}
            }
            cut = cut.or(stop);
            if cut.is_some() {
                break;
            }
        }
        self.missing = recovery.check_first().err();
        let read = recovery.clone();
        // What was out may have been in a file that is missing.
        self.recovered = if self.missing.is_some() { read.finish_salvage()? } else { read.finish()? };
        if let Some(earlier) = self.find_no_operation()? {
            return Ok(Some(earlier));
        }
        self.cut = match cut {
            Some(cut) => {
                let behind = self.read_behind(&cut, &begins, recovery)?;
                Some((cut, behind))
            }
            None => None,
        };
        Ok(None)
    }

    /// The first record that is to be sent and holds no operation.
    fn find_no_operation(&self) -> Result<Option<Cut>> {
        let mut first: Option<(u64, u64, Error)> = None;
        for piece in self.recovered.keys.iter().flat_map(|key| &key.pieces) {
            let place = (piece.place.file, piece.place.at);
            let bytes = self.bytes_of(piece)?;
            if let Err(why) = piece.read(&bytes)
                && first.as_ref().is_none_or(|(file, at, _)| place < (*file, *at))
            {
                first = Some((place.0, place.1, why));
            }
        }
        let Some((number, at, why)) = first else { return Ok(None) };
        let is_it = |seen: &Seen| seen.found.as_ref().is_ok_and(|found| found.header.number == number);
        Ok(self.files.iter().position(is_it).map(|file| Cut { file, at, why }))
    }

    fn read_behind(&self, cut: &Cut, begins: &[FileEnd], mut recovery: Recovery) -> Result<Behind> {
        let mut behind = Behind::default();
        for (file, seen) in self.files.iter().enumerate().skip(cut.file) {
            let Ok(found) = &seen.found else {
                behind.unreadable += seen.length;
                continue;
            };
            let mut bytes = found.file.read_all().map_err(|error| failed("reading", &seen.path, error))?;
            if let Some(end) = found.end(begins) {
                bytes.truncate(usize::try_from(end.at).unwrap_or(usize::MAX));
            }
            let from = if file == cut.file { usize::try_from(cut.at).unwrap_or(usize::MAX) } else { 0 };
            let from = from.max(FILE_HEADER_BYTES);
            recovery.salvage_file(&found.header);
            let mut told = 0;
            for believed in doubt::records(&bytes, found.header.salt, from) {
                told += believed.share;
                let place = Place {
                    file: found.header.number,
                    at: believed.at as u64,
                    bytes: u32::try_from(believed.bytes).unwrap_or(u32::MAX),
                    chain: believed.chain,
                };
                let kind = believed.record.kind();
                let is_taken = recovery.salvage(Entry { place, record: believed.record });
                behind.nameless += u64::from(!is_taken && kind == Kind::Operation);
            }
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            behind.unreadable += end.saturating_sub(from).saturating_sub(told) as u64;
        }
        behind.all = recovery.finish_salvage()?;
        Ok(behind)
    }
}

impl Seen {
    /// Reads the file up to a place.
    fn read(&self, begins: &[FileEnd], until: u64, recovery: &mut Recovery) -> Result<Step> {
        let found = match &self.found {
            Ok(found) => found,
            Err(why) => return Ok(Step::Cut(0, Error::new(why.kind(), why.message()))),
        };
        if until == 0 {
            return Ok(Step::Whole);
        }
        let bytes = found.file.read_all().map_err(|error| failed("reading", &self.path, error))?;
        let known = found.end(begins);
        let end = match recovery.read_until(&bytes, known, until) {
            Ok(end) => end,
            Err(why) => {
                let why = named(&self.path, &why);
                return Ok(match recovery.wrong_at() {
                    Some(at) => Step::TooFar(at, why),
                    None => Step::Cut(0, why),
                });
            }
        };
        let (at, step) = match end {
            End::Damaged(damage) => return Ok(Step::Cut(damage.at, damage.error(self.path.display()))),
            End::Clean { at, .. } => (at, Step::Whole),
            End::Torn { at, reason, .. } => {
                (at, Step::Torn(format!("{}: at byte {at}: {reason}", self.path.display())))
            }
        };
        if at == FILE_HEADER_BYTES as u64 && known.is_none() {
            // Nothing was written to it that counts: the one before it is the last.
            recovery.forget_file();
        }
        Ok(step)
    }
}

/// The files that count, from the oldest on; the paths of those that do not; and what is wrong with one of these.
fn seen(disk: &dyn Disk, directory: &Path) -> Result<(Vec<Seen>, Vec<PathBuf>, Option<Error>)> {
    let (named, mut void) = names(disk, directory)?;
    let mut files = Vec::with_capacity(named.len());
    for (name, path) in named {
        let found = Found::open(disk, name, path.clone());
        if let Err(error) = &found
            && error.kind() != ErrorKind::Damaged
        {
            return Err(Error::new(error.kind(), error.message()));
        }
        let length = disk.open(&path).and_then(|file| file.length());
        let length = length.map_err(|error| failed("looking at", &path, error))?;
        files.push(Seen { name, path, length, found });
    }
    let headers = || files.iter().filter_map(|seen| Some((seen.name, seen.found.as_ref().ok()?.header)));
    let oldest = headers().map(|(_, header)| header.oldest()).max().unwrap_or_default();
    // Names rise as numbers do: of a file whose number cannot be read, its name says whether it is older.
    let first = headers().find(|(_, header)| header.number == oldest).map(|(name, _)| name);
    let counts = |seen: &Seen| match &seen.found {
        Ok(found) => found.header.number >= oldest,
        Err(_) => first.is_none_or(|first| seen.name > first),
    };
    let (files, gone): (Vec<_>, Vec<_>) = files.into_iter().partition(counts);
    let mut unreadable = None;
    for Seen { path, found, .. } in gone {
        unreadable = unreadable.or(found.err());
        void.push(path);
    }
    Ok((files, void, unreadable))
}
