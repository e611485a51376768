//! The manifest: the one file that says which segments are the store.
//!
//! # Design
//! A short file, replaced whole by an atomic rename: live segments from oldest to newest, the next free
//! number, and the ceiling of sequence numbers. A segment file that it does not name is not part of the store,
//! however whole it looks. Each entry carries the length and the footer's checksum of its file, so a
//! file put back from another time is found out.
//!
//! # Invariants
//! 1. Numbers are distinct and below `next_segment`.
//! 2. `seq_ceiling` is above every seq in the live segments, and never falls.
//! 3. `generation` rises with every replacement.

use super::{
    directory::{Directory, Home},
    format::{self, Fields},
};
use crate::{Error, ErrorKind, Result};
use std::{io, io::Write};

pub(crate) const FILE: &str = "manifest";
const MAGIC: [u8; 8] = *b"millpman";
const VERSION: u32 = 1;
const VERSION_OLDEST: u32 = 1;
const ENTRY_BYTES: usize = 20;

/// A live segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
    /// The checksum in the segment's footer.
    pub(crate) identity: u32,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) generation: u64,
    pub(crate) next_segment: u64,
    pub(crate) seq_ceiling: u64,
    /// From oldest to newest.
    pub(crate) segments: Vec<Entry>,
}

impl Manifest {
    pub(crate) fn new() -> Self {
        Self { generation: 0, next_segment: 1, seq_ceiling: 0, segments: Vec::new() }
    }

    /// The manifest of a directory; `None` where there never was one.
    pub(crate) fn read(home: &Home) -> Result<Option<Self>> {
        let file = home.path.join(FILE);
        let bytes = match home.disk.open(&file).and_then(|file| file.read_all()) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::missing(home),
            Err(error) => return Err(Error::io(format!("reading {}", file.display()), error)),
        };
        Self::decode(&bytes)
            .map(Some)
            .map_err(|error| Error::new(error.kind(), format!("{}: {error}", file.display())))
    }

    /// No manifest is a new store only where no segment is: else it was lost, and an empty store would be a lie.
    fn missing(home: &Home) -> Result<Option<Self>> {
        let listing = match home.list() {
            Err(error) if is_not_found(&error) => return Ok(None),
            listing => listing?,
        };
        let lost = listing.temporary.iter().any(|name| !name.starts_with(FILE));
        if listing.segments.is_empty() && !lost {
            return Ok(None);
        }
        // A reader may have looked just before the first manifest came.
        let file = home.path.join(FILE);
        if home.disk.open(&file).is_ok() {
            return Self::read(home);
        }
        let message = format!(
            "{} is missing, but {} segment files are there: which of them are the store is not known; \
             put the manifest back, or move the segments away",
            file.display(),
            listing.segments.len()
        );
        Err(Error::new(ErrorKind::Damaged, message))
    }

    /// Makes this the manifest of the directory. On an error of kind [`Latched`](ErrorKind::Latched) it may or
    /// may not be; on any other it is not.
    pub(crate) fn install(&self, directory: &Directory) -> Result<()> {
        let mut file = directory.create(FILE.to_owned())?;
        file.write_all(&self.encode()).map_err(|error| Error::io("writing the manifest", error))?;
        file.install()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        for field in [self.generation, self.next_segment, self.seq_ceiling] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        let count = u32::try_from(self.segments.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&count.to_le_bytes());
        for entry in &self.segments {
            bytes.extend_from_slice(&entry.number.to_le_bytes());
            bytes.extend_from_slice(&entry.bytes.to_le_bytes());
            bytes.extend_from_slice(&entry.identity.to_le_bytes());
        }
        let sum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.get(..MAGIC.len()) != Some(&MAGIC) {
            return Err(format::damage("not a manifest: the first bytes are not its magic"));
        }
        let damaged = || format::damage("the manifest does not match its checksum");
        let (body, sum) = bytes.split_last_chunk().ok_or_else(damaged)?;
        if u32::from_le_bytes(*sum) != crc32fast::hash(body) {
            return Err(damaged());
        }
        let malformed = || format::damage("the manifest's parts do not fit its length");
        let mut fields = Fields::new(body.get(MAGIC.len()..).ok_or_else(malformed)?);
        let version = fields.u32().ok_or_else(malformed)?;
        format::check_version("manifest", version, VERSION_OLDEST, VERSION)?;
        let manifest =
            Self::decode_fields(&mut fields).filter(|_| fields.is_empty()).ok_or_else(malformed)?;
        manifest.validate().map_err(format::damage)?;
        Ok(manifest)
    }

    fn decode_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (generation, next_segment, seq_ceiling) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let count = usize::try_from(fields.u32()?).ok()?;
        let mut entries = Fields::new(fields.take(count.checked_mul(ENTRY_BYTES)?)?);
        let entry =
            |_| Some(Entry { number: entries.u64()?, bytes: entries.u64()?, identity: entries.u32()? });
        let segments = (0..count).map(entry).collect::<Option<_>>()?;
        Some(Self { generation, next_segment, seq_ceiling, segments })
    }

    /// Checks invariant 1 of the module; 2 and 3 speak of other files and other times.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let mut numbers: Vec<u64> = self.segments.iter().map(|entry| entry.number).collect();
        numbers.sort_unstable();
        if numbers.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err("the manifest names a segment twice".to_owned());
        }
        match numbers.last() {
            Some(last) if *last >= self.next_segment => {
                Err(format!("the manifest names segment {last} and calls {} the next", self.next_segment))
            }
            _ => Ok(()),
        }
    }
}

/// True where what was to be read is not there.
pub(crate) fn is_not_found(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| source.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::super::directory::segment_file;
    use super::*;
    use std::fs;

    fn sample() -> Manifest {
        let entry = |number| Entry { number, bytes: 100 * number, identity: 7 };
        Manifest {
            generation: 9,
            next_segment: 6,
            seq_ceiling: 1000,
            segments: vec![entry(2), entry(5), entry(3)],
        }
    }

    #[test]
    fn a_manifest_reads_back_in_its_order() {
        for manifest in [sample(), Manifest::new()] {
            assert_eq!(Manifest::decode(&manifest.encode()).unwrap(), manifest);
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_damage() {
        let bytes = sample().encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Manifest::decode(&flipped).unwrap_err().kind(), ErrorKind::Damaged, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(
                Manifest::decode(&bytes[..length]).unwrap_err().kind(),
                ErrorKind::Damaged,
                "{length}"
            );
        }
    }

    #[test]
    fn a_newer_manifest_is_refused_by_its_version() {
        let mut bytes = sample().encode();
        bytes.truncate(bytes.len() - 4);
        bytes[8..12].copy_from_slice(&(VERSION + 1).to_le_bytes());
        let sum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        let error = Manifest::decode(&bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("newer millpond"), "{error}");
    }

    #[test]
    fn a_number_named_twice_or_not_yet_given_is_damage() {
        let mut twice = sample();
        twice.segments[2].number = 2;
        assert!(Manifest::decode(&twice.encode()).unwrap_err().to_string().contains("twice"));
        let mut ahead = sample();
        ahead.next_segment = 5;
        assert!(Manifest::decode(&ahead.encode()).is_err());
    }

    #[test]
    fn a_lost_manifest_is_told_from_a_new_store() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::system(dir.path());
        assert_eq!(Manifest::read(&home).unwrap(), None);
        assert_eq!(Manifest::read(&Home::system(dir.path().join("absent"))).unwrap(), None);
        fs::write(dir.path().join("manifest.tmp"), b"").unwrap();
        assert_eq!(Manifest::read(&home).unwrap(), None);
        fs::write(dir.path().join(segment_file(1)), b"").unwrap();
        let error = Manifest::read(&home).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged);
        assert!(error.to_string().contains("missing"), "{error}");
    }
}
