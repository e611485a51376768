//! The headers of the journal: of a file, and of a group of records.
//!
//! # Design
//! ```text
//! file    header (64)  group*  zeroes up to the length that was made
//! group   header (36)  record*
//! ```
//! What is written at once is a group. Its header can be believed by itself ([`GroupHeader::read`]): its checksum covers the
//! file's salt and its own place, and not what comes before. So it still says, behind a hole, up to where the file was on
//! the medium when it was written, and by that a tear is told from damage. It also states the checksum before it, by which
//! a group is known to follow that other group.
//!
//! # Why a salt
//! Whoever writes documents could otherwise write one in which a group's header stands, at the place where it will lie.
//! No document does by accident: the last byte of the magic stands in no JSON text.
//!
//! # Invariants
//! 1. Every byte of a header is under its checksum, or is it.
//! 2. The place of the magic, the version and the checksum in a file's header are the same in every version, so that any
//!    version can say which one it met.

use super::{
    checksum::extend,
    record::{self, CHECKSUM_BYTES, Kind, Record},
    varint::Parts,
};
use crate::{Error, ErrorKind, Result};

/// The first eight bytes of a file.
pub(crate) const FILE_MAGIC: [u8; 8] = *b"millpjnl";
/// The first eight bytes of a group.
pub(crate) const GROUP_MAGIC: [u8; 8] = *b"mpgroup\x01";
/// The version this code writes, and the only one there is.
pub(crate) const VERSION: u32 = 1;
pub(crate) const FILE_HEADER_BYTES: usize = 64;
pub(crate) const GROUP_HEADER_BYTES: usize = 36;
/// A group's records have fewer bytes.
pub(crate) const GROUP_BYTES_MAX: usize = u32::MAX as usize;

/// What the first bytes of a file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    /// The engine that writes the journal.
    pub(crate) engine: u128,
    /// Drawn at random for each file.
    pub(crate) salt: u64,
    /// One more than that of the file before; the first has 1.
    pub(crate) number: u64,
    /// How long the file was made.
    pub(crate) bytes: u64,
    /// So many files before it were kept when it was made. One that is older is of no use, should it still be there.
    pub(crate) kept: u32,
}

impl FileHeader {
    /// The header's bytes.
    pub(crate) fn write(&self) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(FILE_HEADER_BYTES);
        bytes.extend_from_slice(&FILE_MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.engine.to_le_bytes());
        for field in [self.salt, self.number, self.bytes] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&self.kept.to_le_bytes());
        bytes.extend_from_slice(&extend(0, &bytes).to_le_bytes());
        fixed(&bytes)
    }

    /// The number of the oldest file that was kept.
    pub(crate) fn oldest(&self) -> u64 {
        self.number.saturating_sub(self.kept.into())
    }

    /// The checksum in the header, which the first group states as the one before it.
    pub(crate) fn chain(&self) -> u32 {
        let bytes = self.write();
        bytes.last_chunk().map_or(0, |checksum| u32::from_le_bytes(*checksum))
    }

    /// Reads the header at the start of a file. Another version is refused by its name, with [`ErrorKind::Config`].
    pub(crate) fn read(file: &[u8]) -> Result<Self> {
        let bytes = file.first_chunk::<FILE_HEADER_BYTES>().ok_or_else(|| {
            damage(format!(
                "it has {} bytes, and a journal's file has {FILE_HEADER_BYTES} at least",
                file.len()
            ))
        })?;
        if !bytes.starts_with(&FILE_MAGIC) {
            return Err(damage("it is not a journal's file: the first bytes are not its magic"));
        }
        if !is_sealed(bytes, 0, &[]) {
            return Err(damage("its header does not match its checksum"));
        }
        let mut parts = Parts::new(bytes.get(FILE_MAGIC.len()..).unwrap_or_default());
        let version = u32::from_le_bytes(array(&mut parts));
        if version != VERSION {
            return Err(other_version(version));
        }
        let zero: [u8; 4] = array(&mut parts);
        let engine = u128::from_le_bytes(array(&mut parts));
        let [salt, number, length] = [(); 3].map(|()| u64::from_le_bytes(array(&mut parts)));
        let kept = u32::from_le_bytes(array(&mut parts));
        if zero != [0; 4] || u64::from(kept) >= number {
            return Err(damage(
                "its header has something where there must be nothing, or a number that cannot be",
            ));
        }
        Ok(Self { engine, salt, number, bytes: length, kept })
    }
}

fn other_version(version: u32) -> Error {
    if version > VERSION {
        let message = format!(
            "it has format version {version}, and this millpond reads up to {VERSION}: use a newer millpond; \
             nothing was changed"
        );
        return Error::new(ErrorKind::Config, message);
    }
    damage(format!("it claims format version {version}; the oldest there is is {VERSION}"))
}

fn damage(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Damaged, what)
}

/// What stands before the records of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    /// Bytes of the records.
    pub(crate) bytes: u32,
    /// The checksum before it: the last of the group before, or the one in the file's header.
    pub(crate) previous: u32,
    /// Up to where the file was known to be on the medium when this was written.
    pub(crate) synced: u64,
    /// What the seq of the first record about a key is measured from.
    pub(crate) base_seq: u64,
}

impl GroupHeader {
    /// The header's bytes, for this place in a file with this salt.
    pub(crate) fn write(&self, salt: u64, at: u64) -> [u8; GROUP_HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(GROUP_HEADER_BYTES);
        bytes.extend_from_slice(&GROUP_MAGIC);
        bytes.extend_from_slice(&self.bytes.to_le_bytes());
        bytes.extend_from_slice(&self.previous.to_le_bytes());
        bytes.extend_from_slice(&self.synced.to_le_bytes());
        bytes.extend_from_slice(&self.base_seq.to_le_bytes());
        bytes.extend_from_slice(&place_sum(salt, at, &bytes).to_le_bytes());
        fixed(&bytes)
    }

    /// Reads the header that begins at `at` of a file with this salt, if one does that can be believed. Gives it with its
    /// own checksum, from which its records' go on.
    pub(crate) fn read(file: &[u8], salt: u64, at: usize) -> Option<(Self, u32)> {
        let bytes = file.get(at..)?.first_chunk::<GROUP_HEADER_BYTES>()?;
        if !bytes.starts_with(&GROUP_MAGIC) || !is_sealed(bytes, salt, &[at as u64]) {
            return None;
        }
        let mut parts = Parts::new(bytes.get(GROUP_MAGIC.len()..)?);
        let [records, previous] = [(); 2].map(|()| u32::from_le_bytes(array(&mut parts)));
        let [synced, base_seq] = [(); 2].map(|()| u64::from_le_bytes(array(&mut parts)));
        let chain = u32::from_le_bytes(array(&mut parts));
        Some((Self { bytes: records, previous, synced, base_seq }, chain))
    }
}

/// The checksum of bytes that belong to one place in one file.
fn place_sum(salt: u64, at: u64, bytes: &[u8]) -> u32 {
    let mut sealed = Vec::with_capacity(16 + bytes.len());
    sealed.extend_from_slice(&salt.to_le_bytes());
    sealed.extend_from_slice(&at.to_le_bytes());
    sealed.extend_from_slice(bytes);
    extend(0, &sealed)
}

/// True where the last four bytes are the checksum of those before; at a place, if there is one.
fn is_sealed(bytes: &[u8], salt: u64, place: &[u64]) -> bool {
    let Some((sealed, checksum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else { return false };
    let sum = match place {
        [] => extend(0, sealed),
        [at, ..] => place_sum(salt, *at, sealed),
    };
    sum == u32::from_le_bytes(*checksum)
}

/// The next bytes of a header, which is as long as it must be.
fn array<const N: usize>(parts: &mut Parts<'_>) -> [u8; N] {
    parts.array("").unwrap_or([0; N])
}

/// Bytes that are as many as they must be.
fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    debug_assert_eq!(bytes.len(), N, "a header has one length");
    bytes.first_chunk().copied().unwrap_or([0; N])
}

/// A group that is being written.
///
/// [`clear`](Self::clear), then push records, then [`seal`](Self::seal) and write [`bytes`](Self::bytes). The buffer is kept
/// from group to group.
#[derive(Debug)]
pub(crate) struct Group {
    /// Room for the header, then the records.
    bytes: Vec<u8>,
    base_seq: u64,
    /// The seq of the last record about a key.
    seq: u64,
}

impl Default for Group {
    fn default() -> Self {
        let mut group = Self { bytes: Vec::new(), base_seq: 0, seq: 0 };
        group.clear(0);
        group
    }
}

impl Group {
    /// Begins anew. `base_seq`: one that is near the seqs to come; any will do.
    pub(crate) fn clear(&mut self, base_seq: u64) {
        self.bytes.clear();
        self.bytes.resize(GROUP_HEADER_BYTES, 0);
        (self.base_seq, self.seq) = (base_seq, base_seq);
    }

    /// Appends a record whose body was written before, see [`Record::write_body`]. `seq` is only looked at where the kind
    /// has one.
    #[inline]
    pub(crate) fn push(&mut self, kind: Kind, seq: u64, body: &[u8]) {
        record::push(&mut self.bytes, &mut self.seq, kind, seq, body);
    }

    /// Appends a record.
    pub(crate) fn push_record(&mut self, record: &Record<'_>, scratch: &mut Vec<u8>) {
        scratch.clear();
        record.write_body(scratch);
        self.push(record.kind(), record.seq(), scratch);
    }

    /// True where nothing was pushed.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.len() <= GROUP_HEADER_BYTES
    }

    /// Bytes it takes in the file, header and all. Must stay below [`GROUP_BYTES_MAX`].
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Fills in the header and all checksums, for this place in a file with this salt, behind the checksum `previous`. Gives
    /// the last checksum, which the next group states as its `previous`. May be done again, for another place.
    pub(crate) fn seal(&mut self, salt: u64, at: u64, previous: u32, synced: u64) -> u32 {
        debug_assert!(self.len() < GROUP_BYTES_MAX, "who fills a group ends it before");
        let Some((header, records)) = self.bytes.split_first_chunk_mut::<GROUP_HEADER_BYTES>() else {
            return previous;
        };
        let bytes = u32::try_from(records.len()).unwrap_or(u32::MAX);
        *header = GroupHeader { bytes, previous, synced, base_seq: self.base_seq }.write(salt, at);
        let chain = header.last_chunk().map_or(0, |checksum| u32::from_le_bytes(*checksum));
        record::seal(records, chain)
    }

    /// What is to be written.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests;
