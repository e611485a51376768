//! An open segment: its bytes, mapped, and what is found in them.
//!
//! # Design
//! The file is mapped once (on a disk that is not the system's: read) and the map becomes one [`Bytes`], so that a document is a slice of it: no copy, and
//! whoever holds a document holds the mapping. Index and filter are decoded to the heap at opening, after their
//! checksums; a data block is checked each time it is entered, so a flipped bit is an error on the read that
//! meets it.
//!
//! A get costs one filter probe where the segment does not hold the key, and else one binary search over
//! first keys, one checksum over a block of about 4 KiB, and one binary search within it.
//! Heap per segment: 10 to 20 bits a key for the filter and about 1 % of the bytes for the index.
//!
//! # Truncation under the map
//! Touching a mapped page that lies behind the end of its file kills the process, and Rust cannot catch that. Nobody
//! but the store writes in its directory and the store never shortens a file, so this takes a foreign hand. The length
//! of the file is compared with the map's at opening and again before each block is touched, which turns a
//! file that *was* truncated into an error; one that is truncated at that very moment, or while a document that
//! was handed out before is read, stays deadly. `docs/format.md` says so to the user.
//!
//! # Invariants
//! 1. The footer's offsets tile the file: header, blocks, filter, index, footer.
//! 2. The counts of the names add up to the footer's.

use super::{
    block::{Block, Place},
    cursor::Cursor,
    directory::{Home, segment_file},
    filter::Filter,
    format::{self, CHECKSUM_BYTES, FOOTER_BYTES, Footer, HEADER_BYTES, Part, checksum, damage},
    index::BlockIndex,
};
use crate::{Error, Result, disk::DiskFile};
use bytes::Bytes;
use std::{fs::File, ops::Range, sync::Arc};

/// See the module.
#[derive(Debug)]
pub(crate) struct Segment {
    bytes: Bytes,
    /// Kept to ask for its length; `None` for a segment in memory.
    file: Option<Box<dyn DiskFile>>,
    number: u64,
    identity: u32,
    footer: Footer,
    index: BlockIndex,
    filter: Filter,
}

/// What a segment holds for one key, shared with the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The document, or `None` for a tombstone.
    pub(crate) source: Option<Bytes>,
    pub(crate) routing: Option<Box<str>>,
    pub(crate) seq: u64,
}

impl Segment {
    /// Opens segment `number` in a directory.
    pub(crate) fn open(home: &Home, number: u64) -> Result<Self> {
        let path = home.path.join(segment_file(number));
        let failed = |error| Error::io(format!("opening {}", path.display()), error);
        let file = home.disk.open(&path).map_err(failed)?;
        let length = file.length().map_err(failed)?;
        if length < (HEADER_BYTES + FOOTER_BYTES) as u64 {
            let reason = format!("it is {length} bytes long, shorter than any segment");
            return Err(in_segment(number, &damage(reason)));
        }
        let bytes = match file.as_file() {
            Some(file) => map(file).map(Bytes::from_owner),
            None => file.read_all().map(Bytes::from),
        };
        let mut segment = Self::from_bytes(&bytes.map_err(failed)?, Some(number))?;
        segment.file = Some(file);
        segment.check_length()?;
        Ok(segment)
    }

    /// A segment whose file lies in memory; `number` is the one it must have, if that is known.
    pub(crate) fn from_bytes(bytes: &Bytes, number: Option<u64>) -> Result<Self> {
        Self::decode(bytes, number).map_err(|error| match number {
            Some(number) => in_segment(number, &error),
            None => error,
        })
    }

    fn decode(bytes: &Bytes, expected: Option<u64>) -> Result<Self> {
        let number = format::decode_header(bytes)?;
        if expected.is_some_and(|expected| expected != number) {
            return Err(damage(format!("its header says it is segment {number}")));
        }
        let cut = || damage("its parts do not fit its length");
        let footer_start = bytes.len().checked_sub(FOOTER_BYTES).ok_or_else(cut)?;
        let tail = bytes.get(footer_start..).ok_or_else(cut)?;
        let (footer, identity) = Footer::decode(tail, number, footer_start as u64)?;
        let [filter_start, index_start] = [footer.filter_offset, footer.index_offset]
            .map(|offset| usize::try_from(offset).unwrap_or(usize::MAX));
        let part = |part, range: Range<usize>, what| {
            let start = range.start as u64;
            let (body, sum) =
                bytes.get(range).and_then(<[u8]>::split_last_chunk::<CHECKSUM_BYTES>).ok_or_else(cut)?;
            if u32::from_le_bytes(*sum) != checksum(number, part, start, &[body]) {
                return Err(damage(format!("the {what} does not match its checksum")));
            }
            Ok(body)
        };
        let filter = Filter::decode(part(Part::Filter, filter_start..index_start, "filter")?)?;
        let index =
            BlockIndex::decode(part(Part::Index, index_start..footer_start, "index")?, footer.filter_offset)?;
        let segment = Self { file: None, number, identity, footer, index, filter, bytes: bytes.clone() };
        segment.validate().map_err(damage)?;
        Ok(segment)
    }

    /// Checks invariant 2; 1 is checked while the parts are cut out, and the index checks its own.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let sum = |count: fn(&super::index::IndexName) -> u64| {
            self.index.names().iter().try_fold(0_u64, |sum, name| sum.checked_add(count(name)))
        };
        let counted = (sum(|name| name.documents), sum(|name| name.tombstones));
        if counted != (Some(self.footer.documents), Some(self.footer.tombstones)) {
            return Err("the counts of its names do not add up to the footer's".to_owned());
        }
        Ok(())
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The checksum in the footer, which the manifest repeats.
    pub(crate) fn identity(&self) -> u32 {
        self.identity
    }

    pub(crate) fn footer(&self) -> &Footer {
        &self.footer
    }

    pub(crate) fn index(&self) -> &BlockIndex {
        &self.index
    }

    pub(crate) fn records(&self) -> u64 {
        self.footer.documents.saturating_add(self.footer.tombstones)
    }

    /// The whole file.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// False where no key of this hash is in the segment.
    pub(crate) fn may_hold(&self, hash: u64) -> bool {
        self.filter.may_hold(hash)
    }

    /// What the segment holds for a key, whose hash is [`format::key_hash`].
    pub(crate) fn get(&self, hash: u64, index: &str, id: &str) -> Result<Option<Stored>> {
        if !self.filter.may_hold(hash) {
            return Ok(None);
        }
        let Some(name) = self.index.name_number(index) else { return Ok(None) };
        let id = id.as_bytes();
        let Some(number) = self.index.block_of(name, id) else { return Ok(None) };
        let found = self.block(number)?.find(name, id);
        match found.map_err(|error| self.in_block(number, &error))? {
            None => Ok(None),
            Some(place) => self.stored(&place).map(Some),
        }
    }

    /// Begins walking at the first record that is not below a key.
    pub(crate) fn cursor(self: &Arc<Self>, index: &str, id: &str) -> Result<Cursor> {
        Cursor::seek(Arc::clone(self), index, id)
    }

    /// Enters a block: its length and checksum are checked.
    pub(crate) fn block(&self, number: usize) -> Result<Block<'_>> {
        self.check_length()?;
        let range = self.index.block_range(number).unwrap_or_default();
        let bytes = self.bytes.get(range.clone()).unwrap_or_default();
        Block::check(bytes, self.number, range.start).map_err(|error| self.in_block(number, &error))
    }

    /// Shares what lies at a place.
    pub(crate) fn stored(&self, place: &Place) -> Result<Stored> {
        let routing = place.routing.clone().map(|range| self.text(range).map(Box::from));
        Ok(Stored {
            source: place.source.clone().map(|range| self.bytes.slice(range)),
            routing: routing.transpose()?,
            seq: place.seq,
        })
    }

    /// Text at a place.
    pub(crate) fn text(&self, range: Range<usize>) -> Result<&str> {
        let start = range.start;
        let bytes = self.bytes.get(range).unwrap_or_default();
        std::str::from_utf8(bytes)
            .map_err(|_| in_segment(self.number, &damage(format!("the text at offset {start} is not UTF-8"))))
    }

    /// Refuses where the file under the map has another length than it had.
    pub(crate) fn check_length(&self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let length = file.length().map_err(|error| {
            Error::io(format_args!("reading the length of {}", segment_file(self.number)), error)
        })?;
        if length == self.bytes.len() as u64 {
            return Ok(());
        }
        let reason =
            format!("the file is {length} bytes long now and was {} when it was opened", self.bytes.len());
        Err(in_segment(self.number, &damage(reason)))
    }

    pub(crate) fn in_block(&self, block: usize, error: &Error) -> Error {
        let start = self.index.block_range(block).unwrap_or_default().start;
        in_segment(
            self.number,
            &Error::new(error.kind(), format!("block {block} at offset {start}: {error}")),
        )
    }
}

/// The same error, naming the segment it was met in.
fn in_segment(number: u64, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: {error}", segment_file(number)))
}

#[expect(unsafe_code, reason = "mapping a file is unsafe because somebody else could change it")]
fn map(file: &File) -> std::io::Result<memmap2::Mmap> {
    // SAFETY: the bytes must not change while they are borrowed.
    // - This process: a file under a segment's name was written and synced whole before it got the name
    //   (directory.rs, invariant 1), and is never opened for writing again; it is only ever unlinked.
    // - Other processes of ours: one writer per directory holds its lock, and readers only read.
    // - Anybody else: cannot be kept from it. A change of bytes is met by the checksums, which are checked on each
    //   read; all parsing after that is by checked slices, so changed bytes give errors or wrong values, not
    //   memory unsafety. A truncation is met by `check_length`, with the gap that the module's header names.
    unsafe { memmap2::Mmap::map(file) }
}
