//! Reading a journal from one end to the other, to see whether it is whole.
//!
//! # Design
//! What opening does before it works out what had not settled: each file is read into one buffer, record by record, as long
//! as the checksums hold. Nothing is changed and no lock is taken, so it can be done beside the engine that writes it, and then
//! the end of the last file may be that of a moment ago.

use super::{
    file::failed,
    open::list,
    reader::{End, Reader},
    record::Record,
};
use crate::{Error, Result, disk::SystemDisk};
use std::path::Path;

/// What a journal has that is whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Files.
    pub files: u64,
    /// Bytes in them that are records and their headers.
    pub bytes: u64,
    /// Records.
    pub records: u64,
    /// Of them operations that were accepted.
    pub operations: u64,
    /// The bytes at which the last file is torn, if it is, and why: what would be cut when it is opened.
    pub torn: Option<(u64, &'static str)>,
}

/// Reads a journal's files, and checks every record's checksum and form. Fails with
/// [`ErrorKind::Damaged`](crate::ErrorKind::Damaged) where opening it would.
///
/// The net operations in records are not looked into. Takes as much memory as one file has bytes.
pub fn verify(directory: impl AsRef<Path>) -> Result<Verified> {
    let (mut found, _) = list(&SystemDisk, directory.as_ref())?;
    let oldest = found.iter().map(|file| file.header.oldest()).max().unwrap_or_default();
    found.retain(|file| file.header.number >= oldest);
    let (mut verified, mut bytes) = (Verified::default(), Vec::new());
    for file in &found {
        let named = |error: Error| Error::new(error.kind(), format!("{}: {error}", file.path.display()));
        let reading = |error| failed("reading", &file.path, error);
        let length = file.file.length().map_err(reading)?;
        // Where this is more than there can be, reading it says so.
        bytes.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
        file.file.read_exact_at(&mut bytes, 0).map_err(reading)?;
        let known = found.iter().filter_map(|next| next.begin).find(|end| end.number == file.header.number);
        let mut reader = Reader::new(&bytes, known).map_err(named)?;
        for entry in reader.by_ref() {
            verified.records += 1;
            verified.operations += u64::from(matches!(entry.record, Record::Operation(_)));
        }
        verified.files += 1;
        verified.bytes += match reader.end() {
            End::Clean { at, .. } => at,
            End::Torn { at, reason, .. } => {
                verified.torn = Some((at, reason));
                at
            }
            End::Damaged(damage) => return Err(damage.error(file.path.display())),
        };
    }
    Ok(verified)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, ErrorKind, Journal, NullSink, Operation};
    use std::{fs, sync::Arc};

    #[test]
    fn a_journal_is_whole_until_a_byte_of_it_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let settings = Engine::builder().journal(directory.path(), Journal::Always);
        let (engine, _drainer) = settings.manual(Arc::new(NullSink), None).unwrap();
        for n in 0..10 {
            engine.submit(Operation::index("i", &format!("{n}"), b"{}")).unwrap();
        }
        let verified = verify(directory.path()).unwrap();
        assert_eq!((verified.files, verified.operations, verified.torn), (1, 10, None));
        let (found, _) = list(&SystemDisk, directory.path()).unwrap();
        let mut bytes = fs::read(&found[0].path).unwrap();
        bytes[150] ^= 1;
        fs::write(&found[0].path, bytes).unwrap();
        assert_eq!(verify(directory.path()).unwrap_err().kind(), ErrorKind::Damaged);
        // Dropped it would wait for what nobody sends.
        std::mem::forget(engine);
    }
}
