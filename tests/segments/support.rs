//! A tiny language for batches, and copies of directories.

use bytes::Bytes;
use millpond::segments::{Compaction, SegmentOptions, SegmentReader, SegmentSink};
use millpond::{Batch, Document, Expects, Item, ItemAction, Outcome, Sink};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// What is live: (index, id) to (document, routing).
pub(crate) type Live = BTreeMap<(String, String), (Vec<u8>, Option<String>)>;

pub(crate) fn put(index: &str, id: &str, source: impl Into<Bytes>, seq: u64) -> Item {
    item(index, id, ItemAction::Put(source.into()), seq)
}

pub(crate) fn delete(index: &str, id: &str, seq: u64) -> Item {
    item(index, id, ItemAction::Delete, seq)
}

pub(crate) fn item(index: &str, id: &str, action: ItemAction, seq: u64) -> Item {
    Item {
        index: index.into(),
        id: id.into(),
        routing: None,
        action,
        first_seq: seq,
        last_seq: seq,
        operations: 1,
        repeatable: true,
        expects: Expects::Anything,
        attempt: 0,
    }
}

pub(crate) fn routed(mut item: Item, routing: &str) -> Item {
    item.routing = Some(routing.into());
    item
}

/// Sorts the items, sends them, and wants each applied.
pub(crate) fn send(sink: &SegmentSink, mut items: Vec<Item>) {
    items.sort_by(|a, b| (&a.index, &a.id).cmp(&(&b.index, &b.id)));
    for outcome in outcomes(sink, items) {
        assert_eq!(outcome, Outcome::Applied);
    }
}

pub(crate) fn outcomes(sink: &SegmentSink, items: Vec<Item>) -> Vec<Outcome> {
    sink.send(&Batch { items, bytes: 0 })
}

/// A store that merges when told to.
pub(crate) fn manual(path: &Path) -> SegmentSink {
    SegmentSink::open_with(path, &SegmentOptions::new().compaction(Compaction::Manual)).unwrap()
}

pub(crate) fn scan(path: &Path) -> millpond::Result<Live> {
    SegmentReader::open(path)?.documents(None, None)?.map(|found| found.map(owned)).collect()
}

pub(crate) fn owned(
    (key, document): (millpond::Key, Document),
) -> ((String, String), (Vec<u8>, Option<String>)) {
    ((key.index.to_string(), key.id.into()), (document.source.to_vec(), document.routing.map(String::from)))
}

pub(crate) fn files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

pub(crate) fn segment_files(path: &Path) -> Vec<PathBuf> {
    files(path).into_iter().filter(|file| file.extension().is_some_and(|end| end == "segment")).collect()
}

pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        fs::copy(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}
