//! Building a segment: sorted records in, one file out, in one pass.
//!
//! # Design
//! [`Builder`] turns records into bytes for any [`Write`]; [`SegmentWriter`] is one over a temporary file
//! that becomes a segment once it is whole and synced. A document that does not fit a block gets a block of
//! its own and is written from where it lies, not copied.
//!
//! Memory while building: one block, and what the file's index and filter will take on the heap of its
//! readers (see `reader`); never the documents.
//!
//! # Invariants
//! 1. Keys rise strictly. A caller that breaks this gets an error, not a file.
//! 2. `first` is the first key of the open block, `last` the key added last.

use super::{
    block,
    directory::{Directory, TempFile, segment_file},
    filter::Filter,
    format::{self, BLOCK_BYTES_TARGET, Footer, Part, RECORD_HEAD_BYTES, Record, checksum},
    manifest::Entry,
};
use crate::{Error, ErrorKind, Result};
use std::io::{self, Write};

/// A segment that was built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Built {
    pub(crate) entry: Entry,
    pub(crate) seq_max: u64,
}

/// An index name and how many records it has.
#[derive(Debug)]
struct Name {
    text: Box<str>,
    hash: u64,
    documents: u64,
    tombstones: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Builder<W> {
    out: W,
    number: u64,
    /// How many bytes were written.
    offset: u64,
    /// The records of the open block.
    block: Vec<u8>,
    /// Where they begin in it.
    places: Vec<u32>,
    first: (u32, Vec<u8>),
    last: Option<Vec<u8>>,
    names: Vec<Name>,
    /// The index's entries for the blocks already written.
    entries: Vec<u8>,
    blocks: u32,
    filter: Filter,
    documents: u64,
    tombstones: u64,
    seq_max: u64,
}

impl<W: Write> Builder<W> {
    /// Begins segment `number` of at most `records_max` records (more would only make its filter worse).
    pub(crate) fn new(out: W, number: u64, records_max: u64) -> io::Result<Self> {
        let mut builder = Self {
            out,
            number,
            offset: 0,
            block: Vec::with_capacity(BLOCK_BYTES_TARGET),
            places: Vec::new(),
            first: (0, Vec::new()),
            last: None,
            names: Vec::new(),
            entries: Vec::new(),
            blocks: 0,
            filter: Filter::with_room_for(records_max),
            documents: 0,
            tombstones: 0,
            seq_max: 0,
        };
        builder.write(&format::encode_header(number))?;
        Ok(builder)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    pub(crate) fn add(&mut self, record: &Record<'_>) -> Result<()> {
        record.check_limits()?;
        let (name, hash) = self.enter(record)?;
        self.filter.insert(format::id_hash(hash, record.id));
        self.seq_max = self.seq_max.max(record.seq);
        let source = record.source.unwrap_or_default();
        let size = RECORD_HEAD_BYTES + record.id.len() + record.routing.map_or(0, str::len) + source.len();
        let room = BLOCK_BYTES_TARGET.saturating_sub(self.block.len() + 4 * self.places.len() + 8);
        let wrote = if size + 4 > room { self.end_block(&[]) } else { Ok(()) };
        wrote.map_err(|error| self.failed(error))?;
        if self.places.is_empty() {
            self.first.0 = name;
            self.first.1.clear();
            self.first.1.extend_from_slice(record.id.as_bytes());
        }
        self.places.push(u32::try_from(self.block.len()).unwrap_or(u32::MAX));
        block::encode_head(record, name, &mut self.block);
        if size > BLOCK_BYTES_TARGET {
            return self.end_block(source).map_err(|error| self.failed(error));
        }
        self.block.extend_from_slice(source);
        Ok(())
    }

    /// Checks the record's key against the last one, counts it, and returns its index's number and hash.
    fn enter(&mut self, record: &Record<'_>) -> Result<(u32, u64)> {
        let same = self.names.last().is_some_and(|name| &*name.text == record.index);
        let rises = match (&self.last, self.names.last()) {
            (Some(id), Some(name)) => (&*name.text, &**id) < (record.index, record.id.as_bytes()),
            _ => true,
        };
        if !rises {
            let message = format!("key {}/{} does not come after the one before it", record.index, record.id);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if !same {
            let hash = format::index_hash(record.index);
            self.names.push(Name { text: record.index.into(), hash, documents: 0, tombstones: 0 });
        }
        let last = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(record.id.as_bytes());
        let (documents, tombstones) = if record.source.is_some() { (1, 0) } else { (0, 1) };
        self.documents += documents;
        self.tombstones += tombstones;
        let number = u32::try_from(self.names.len() - 1).unwrap_or(u32::MAX);
        let mut hash = 0;
        if let Some(name) = self.names.last_mut() {
            name.documents += documents;
            name.tombstones += tombstones;
            hash = name.hash;
        }
        Ok((number, hash))
    }

    /// Writes the open block, followed by `rest`, the document of its last record where that was left out.
    fn end_block(&mut self, rest: &[u8]) -> io::Result<()> {
        if self.places.is_empty() {
            return Ok(());
        }
        let mut tail = Vec::with_capacity(4 * self.places.len() + 8);
        block::encode_tail(&self.places, &mut tail);
        let sum = checksum(self.number, Part::Block, self.offset, &[&self.block, rest, &tail]);
        tail.extend_from_slice(&sum.to_le_bytes());
        let length = self.block.len() + rest.len() + tail.len();
        self.entries.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        self.entries.extend_from_slice(&self.first.0.to_le_bytes());
        self.entries.extend_from_slice(&u16::try_from(self.first.1.len()).unwrap_or(u16::MAX).to_le_bytes());
        self.entries.extend_from_slice(&self.first.1);
        self.blocks += 1;
        let mut block = std::mem::take(&mut self.block);
        self.write(&block)?;
        self.write(rest)?;
        self.write(&tail)?;
        block.clear();
        block.shrink_to(2 * BLOCK_BYTES_TARGET);
        self.block = block;
        self.places.clear();
        Ok(())
    }

    /// Writes the filter, the index and the footer. A segment holds at least one record.
    pub(crate) fn finish(mut self) -> Result<(W, Built)> {
        if self.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "a segment holds at least one record"));
        }
        let built = self.write_end().map_err(|error| self.failed(error))?;
        Ok((self.out, built))
    }

    fn write_end(&mut self) -> io::Result<Built> {
        self.end_block(&[])?;
        self.filter.fold_to(self.documents + self.tombstones);
        let filter_offset = self.offset;
        let filter = self.filter.encode();
        self.write_summed(Part::Filter, &filter)?;
        let index_offset = self.offset;
        let index = self.encode_index();
        self.write_summed(Part::Index, &index)?;
        let footer = Footer {
            filter_offset,
            index_offset,
            documents: self.documents,
            tombstones: self.tombstones,
            seq_max: self.seq_max,
        };
        let (bytes, identity) = footer.encode(self.number, self.offset);
        self.write(&bytes)?;
        let entry = Entry { number: self.number, bytes: self.offset, identity };
        Ok(Built { entry, seq_max: self.seq_max })
    }

    fn encode_index(&mut self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() + 64 * self.names.len() + 8);
        bytes.extend_from_slice(&u32::try_from(self.names.len()).unwrap_or(u32::MAX).to_le_bytes());
        for name in &self.names {
            bytes.extend_from_slice(&u16::try_from(name.text.len()).unwrap_or(u16::MAX).to_le_bytes());
            bytes.extend_from_slice(name.text.as_bytes());
            bytes.extend_from_slice(&name.documents.to_le_bytes());
            bytes.extend_from_slice(&name.tombstones.to_le_bytes());
        }
        bytes.extend_from_slice(&self.blocks.to_le_bytes());
        bytes.append(&mut self.entries);
        bytes
    }

    fn write_summed(&mut self, part: Part, bytes: &[u8]) -> io::Result<()> {
        let sum = checksum(self.number, part, self.offset, &[bytes]);
        self.write(bytes)?;
        self.write(&sum.to_le_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::io(format_args!("writing {}", segment_file(self.number)), error)
    }
}

/// A segment being written to a directory. Dropped before [`finish`](Self::finish), it leaves nothing.
#[derive(Debug)]
pub(crate) struct SegmentWriter<'d> {
    builder: Builder<TempFile<'d>>,
}

impl<'d> SegmentWriter<'d> {
    pub(crate) fn create(directory: &'d Directory, number: u64, records_max: u64) -> Result<Self> {
        let file = directory.create(segment_file(number))?;
        let builder = Builder::new(file, number, records_max)
            .map_err(|error| Error::io(format_args!("writing {}", segment_file(number)), error))?;
        Ok(Self { builder })
    }

    pub(crate) fn add(&mut self, record: &Record<'_>) -> Result<()> {
        self.builder.add(record)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.builder.is_empty()
    }

    /// Makes the segment durable under its own name. It becomes part of the store by the next manifest.
    pub(crate) fn finish(self) -> Result<Built> {
        let (file, built) = self.builder.finish()?;
        file.install()?;
        Ok(built)
    }
}
