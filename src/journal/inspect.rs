//! What a journal holds, in figures.
//!
//! # Design
//! Takes no lock and changes nothing, so it can be done beside the engine that writes the journal; then it may meet a file
//! that goes in between, and the end of the last one is that of a moment ago. What opening would refuse is told, and what is
//! before it is counted all the same.

use super::{
    file::failed,
    group::FILE_HEADER_BYTES,
    reader::Reader,
    reading::{Reading, Seen},
    record::{FileEnd, Kind},
};
use crate::{Result, disk::SystemDisk};
use std::path::{Path, PathBuf};

/// What a journal holds.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Inspected {
    /// The id of the engine that writes it; none where there is no file.
    pub engine: Option<u128>,
    /// From the oldest that counts.
    pub files: Vec<InspectedFile>,
    /// The sources, with the highest position that was accepted from each.
    pub sources: Vec<(Box<str>, Option<u64>)>,
    /// Documents with operations that have not settled.
    pub documents: u64,
    /// Records of them: operations, or several that were folded and written again.
    pub pieces: u64,
    /// Documents of which some may have been carried out, which go out again as they were.
    pub in_flight: u64,
    /// The highest seq of any record.
    pub highest_seq: u64,
    /// No seq at or above it is in use.
    pub ceiling: u64,
    /// What opening would cut off the end.
    pub torn: Option<String>,
    /// Why opening would refuse it. Then what is told of what has not settled is of what is before that place.
    pub damage: Option<String>,
}

/// What a file of a journal holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InspectedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its number; none where its header cannot be read.
    pub number: Option<u64>,
    /// Bytes it has.
    pub bytes: u64,
    /// Bytes up to where its records can be read.
    pub used: u64,
    /// Records of each kind, in the order of `docs/journal.md`, by their names there.
    pub records: Vec<(&'static str, u64)>,
    /// The lowest and the highest seq of the operations in it.
    pub seqs: Option<(u64, u64)>,
}

/// What the kinds of records are called, by their bytes less one.
const NAMES: [&str; 11] = [
    "Operation",
    "Moved",
    "Bounds",
    "Unbound",
    "Settled",
    "Watermark",
    "Ceiling",
    "Index",
    "Source",
    "Begin",
    "Gone",
];

/// Reads a journal, and says what it holds. Fails where there is none, where a newer version wrote it, or where the disk
/// fails; damage is [told](Inspected::damage).
///
/// Takes as much memory as the largest file has bytes, and what has not settled takes as keys and places.
pub fn inspect(directory: impl AsRef<Path>) -> Result<Inspected> {
    let reading = Reading::of(&SystemDisk, directory.as_ref())?;
    let begins: Vec<FileEnd> = reading.begins();
    let files = reading.files.iter().map(|seen| InspectedFile::of(seen, &begins)).collect::<Result<_>>()?;
    let Reading { recovered, torn, missing, cut, .. } = reading;
    let why = cut.map(|(cut, _)| cut.why).or(missing);
    Ok(Inspected {
        engine: recovered.engine,
        files,
        documents: recovered.keys.len() as u64,
        pieces: recovered.keys.iter().map(|key| key.pieces.len() as u64).sum(),
        in_flight: recovered.keys.iter().filter(|key| key.in_flight > 0).count() as u64,
        sources: recovered.sources,
        highest_seq: recovered.highest_seq,
        ceiling: recovered.ceiling,
        torn,
        damage: why.map(|why| why.message().to_owned()),
    })
}

impl InspectedFile {
    fn of(seen: &Seen, begins: &[FileEnd]) -> Result<Self> {
        let (path, bytes) = (seen.path.clone(), seen.length);
        let mut file = Self { path, number: None, bytes, used: 0, records: Vec::new(), seqs: None };
        let Ok(found) = &seen.found else { return Ok(file) };
        let text = found.file.read_all().map_err(|error| failed("reading", &seen.path, error))?;
        let mut counts = [0_u64; NAMES.len()];
        file.number = Some(found.header.number);
        file.used = FILE_HEADER_BYTES as u64;
        for entry in Reader::new(&text, found.end(begins))? {
            let (kind, seq) = (entry.record.kind(), entry.record.seq());
            if let Some(count) = counts.get_mut(usize::from(kind as u8) - 1) {
                *count += 1;
            }
            if kind == Kind::Operation {
                file.seqs = Some(file.seqs.map_or((seq, seq), |(low, high)| (low.min(seq), high.max(seq))));
            }
            file.used = entry.place.at + u64::from(entry.place.bytes);
        }
        file.records = NAMES.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect();
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, Engine, Journal, NullSink, Operation};
    use std::sync::Arc;

    #[test]
    fn what_was_accepted_and_has_not_settled_is_counted_by_documents_and_by_records() {
        let directory = tempfile::tempdir().unwrap();
        let settings = Engine::builder().journal(directory.path(), Journal::Always);
        let (engine, _drainer) = settings.manual(Arc::new(NullSink), None).unwrap();
        let mut source = engine.source("lines").unwrap();
        for n in 0..10 {
            let id = format!("{}", n % 4);
            let action = Action::Update(br#"{"inc":{"n":1}}"#);
            source.submit(n, Operation { index: "i", id: &id, routing: None, action }).unwrap();
        }
        let found = inspect(directory.path()).unwrap();
        assert_eq!((found.documents, found.pieces, found.in_flight, found.files.len()), (4, 10, 0, 1));
        assert_eq!(found.sources, [("lines".into(), Some(9))]);
        assert!(found.files[0].records.contains(&("Operation", 10)), "{found:?}");
        assert!(found.files[0].used < found.files[0].bytes && found.ceiling > found.highest_seq);
        assert_eq!((found.torn, found.damage), (None, None));
        // Dropped it would wait for what nobody sends.
        std::mem::forget(engine);
    }
}
