//! Reading everything, to name what is damaged.
//!
//! # Design
//! Verification goes on after damage: a bad block is reported with the keys it may have held and the next one is read.
//! Beyond the checksums it checks what they cannot: that keys rise, that the filter knows every key, that counts add up.
//! So a defect of a writer shows here and not only a defect of the disk.

use super::{
    block::{Block, Place},
    directory::{Home, segment_file},
    format,
    manifest::{self, Manifest},
    reader::Segment,
    set::SegmentSet,
    store,
};
use crate::{Error, ErrorKind, Key, Result};
use std::{collections::BTreeMap, fmt, path::Path};

/// What reading everything found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Segment files read, damaged ones included.
    pub segments: usize,
    /// Blocks read, damaged ones included.
    pub blocks: u64,
    /// Records whose blocks were sound.
    pub records: u64,
    /// Bytes of the files that could be opened.
    pub bytes: u64,
    /// Everything that is damaged.
    pub damage: Vec<Damage>,
}

/// One damaged place.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Damage {
    /// The name of the file in the store's directory.
    pub file: Box<str>,
    /// The number of the block in the file; `None` where the damage is of the file as a whole.
    pub block: Option<usize>,
    /// Where the damaged part begins in the file, if that is known.
    pub offset: Option<u64>,
    /// The keys in doubt: from the first on, and below the second. `None` at the first place means from the beginning,
    /// at the second to the end.
    pub keys: (Option<Key>, Option<Key>),
    /// What is wrong, as a sentence.
    pub reason: Box<str>,
}

impl VerifyReport {
    /// True where nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }

    fn of_file(&mut self, file: impl Into<Box<str>>, reason: impl fmt::Display) {
        let reason = reason.to_string().into();
        self.damage.push(Damage { file: file.into(), block: None, offset: None, keys: (None, None), reason });
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let (Some(block), Some(offset)) = (self.block, self.offset) {
            write!(f, ", block {block} at offset {offset}")?;
        }
        let show = |key: &Option<Key>, open: &str| match key {
            Some(key) => format!("{:?}/{:?}", key.index, key.id),
            None => open.to_owned(),
        };
        let (from, to) = (show(&self.keys.0, "the first"), show(&self.keys.1, "the last, and it too"));
        write!(f, ": {} (in doubt: keys from {from}, up to {to})", self.reason)
    }
}

/// Reads a whole store and names what is damaged, also where it is the manifest: then every segment file in the
/// directory is read, as which of them are the store is not known.
///
/// An error means that nothing could be read at all: no store, no permission, a newer format.
pub fn verify(path: impl AsRef<Path>) -> Result<VerifyReport> {
    let home = Home::system(path.as_ref());
    match store::open_for_reading(&home) {
        Ok((_, set)) => Ok(verify_set(&home, &set)),
        Err(error) if error.kind() == ErrorKind::Damaged => {
            let mut report = VerifyReport::default();
            report.of_file(manifest::FILE, error);
            for number in home.list()?.segments {
                report.segments += 1;
                match Segment::open(&home, number) {
                    Ok(segment) => check_segment(&segment, &mut report),
                    Err(error) => report.of_file(segment_file(number), error),
                }
            }
            Ok(report)
        }
        Err(error) => Err(error),
    }
}

/// Reads all segments of a set, and the manifest again.
pub(crate) fn verify_set(home: &Home, set: &SegmentSet) -> VerifyReport {
    let mut report = VerifyReport::default();
    if let Err(error) = Manifest::read(home) {
        report.of_file(manifest::FILE, error);
    }
    for slot in set.slots() {
        report.segments += 1;
        match slot {
            Ok(segment) => check_segment(segment, &mut report),
            Err(broken) => report.of_file(segment_file(broken.number), broken.error()),
        }
    }
    report
}

/// Reads a segment: its parts anew, then every block.
pub(crate) fn check_segment(segment: &Segment, report: &mut VerifyReport) {
    let file = segment_file(segment.number());
    report.bytes += segment.bytes().len() as u64;
    let again =
        segment.check_length().and_then(|()| Segment::from_bytes(segment.bytes(), Some(segment.number())));
    if let Err(error) = again {
        report.of_file(file, error);
        return;
    }
    let before = report.damage.len();
    let mut walk = Walk { segment, last: None, counts: BTreeMap::new(), seq_max: 0, records: 0 };
    for number in 0..segment.index().blocks() {
        report.blocks += 1;
        let checked = segment.block(number).and_then(|block| walk.check_block(number, block));
        if let Err(error) = checked {
            let key = |block: usize| key_at(segment, segment.index().first_key(block)?);
            report.damage.push(Damage {
                file: file.as_str().into(),
                block: Some(number),
                offset: segment.index().block_range(number).map(|range| range.start as u64),
                keys: (key(number), key(number + 1)),
                reason: error.to_string().into(),
            });
            walk.last = None;
        }
    }
    report.records += walk.records;
    if report.damage.len() == before
        && let Err(reason) = walk.check_counts()
    {
        report.of_file(file, reason);
    }
}

fn key_at(segment: &Segment, (name, id): (u32, &[u8])) -> Option<Key> {
    Some(Key::new(segment.index().name(name)?, String::from_utf8_lossy(id)))
}

/// What is remembered from block to block.
struct Walk<'a> {
    segment: &'a Segment,
    last: Option<(u32, &'a [u8])>,
    /// Documents and tombstones by name.
    counts: BTreeMap<u32, (u64, u64)>,
    seq_max: u64,
    records: u64,
}

impl<'a> Walk<'a> {
    fn check_block(&mut self, number: usize, block: Block<'a>) -> Result<()> {
        for at in 0..block.len() {
            let place = block.record(at)?;
            let key = (place.name, self.segment.bytes().get(place.id.clone()).unwrap_or_default());
            if self.last.is_some_and(|last| last >= key) {
                return Err(format::damage(format!("the key of record {at} does not rise")));
            }
            if at == 0 && self.segment.index().first_key(number) != Some(key) {
                return Err(format::damage("its first key is not the one in the index"));
            }
            self.last = Some(key);
            self.check_record(&place)?;
        }
        Ok(())
    }

    fn check_record(&mut self, place: &Place) -> Result<()> {
        let id = self.segment.text(place.id.clone())?;
        self.segment.stored(place)?;
        let name = self.segment.index().name(place.name);
        let name = name.ok_or_else(|| format::damage(format!("the index of id {id:?} has no name")))?;
        if !self.segment.may_hold(format::key_hash(name, id)) {
            return Err(format::damage(format!("the filter does not know {name:?}/{id:?}")));
        }
        let counts = self.counts.entry(place.name).or_default();
        if place.source.is_some() {
            counts.0 += 1;
        } else {
            counts.1 += 1;
        }
        self.seq_max = self.seq_max.max(place.seq);
        self.records += 1;
        Ok(())
    }

    fn check_counts(&self) -> Result<(), Error> {
        let named = (0..)
            .zip(self.segment.index().names())
            .map(|(number, name)| (number, (name.documents, name.tombstones)));
        if !self.counts.iter().map(|(number, counts)| (*number, *counts)).eq(named) {
            return Err(format::damage("the counts in the index are not those of its records"));
        }
        if self.seq_max != self.segment.footer().seq_max {
            return Err(format::damage("the greatest seq in the footer is not that of its records"));
        }
        Ok(())
    }
}
