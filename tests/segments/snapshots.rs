//! A snapshot does not change while it is held, whatever is written, merged and unlinked meanwhile.

use crate::support::{delete, manual, owned, put, segment_files, send};
use millpond::segments::{Compaction, SegmentOptions, SegmentReader, SegmentSink};
use millpond::{Base, BaseKey};

#[test]
fn readers_keep_their_snapshot_across_batches_and_merges() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    for seq in 1..=4 {
        send(&sink, vec![put("i", &seq.to_string(), format!("{{\"seq\":{seq}}}"), seq)]);
    }
    let snapshot = sink.snapshot().unwrap();
    let reader = SegmentReader::open(dir.path()).unwrap();
    let mut walk = reader.documents(None, None).unwrap();
    let first = owned(walk.next().unwrap().unwrap());
    let page = snapshot.page("i", None, 10).unwrap();
    let old_files = segment_files(dir.path());

    send(&sink, (1..=4).map(|id| delete("i", &id.to_string(), 10)).collect());
    send(&sink, vec![put("i", "5", "{}", 11)]);
    assert!(sink.compact_all().unwrap());
    assert!(old_files.iter().all(|file| !file.exists()), "what was merged is unlinked at once");

    assert_eq!(snapshot.page("i", None, 10).unwrap(), page);
    assert_eq!(snapshot.indices().unwrap().len(), 1);
    assert_eq!(reader.scan(None, None, 10).unwrap().len(), 4);
    assert_eq!(reader.get("i", "4").unwrap().unwrap().source, r#"{"seq":4}"#);
    assert!(reader.verify().is_sound());
    assert_eq!(first.0.1, "1");
    assert_eq!(walk.map(|found| owned(found.unwrap()).0.1).collect::<Vec<_>>(), ["2", "3", "4"]);
    assert_eq!(sink.snapshot().unwrap().page("i", None, 10).unwrap().len(), 1);
}

#[test]
fn a_merge_keeps_tombstones_that_something_lies_under_and_drops_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    // One large old segment, then four small ones: the merge of the small ones does not reach the bottom.
    send(&sink, (0..400).map(|id| put("i", &format!("{id:03}"), "x".repeat(100), 1)).collect());
    for seq in 2..=5 {
        send(&sink, vec![delete("i", &format!("{seq:03}"), seq), put("j", &seq.to_string(), "{}", seq)]);
    }
    assert!(sink.compact_once().unwrap());
    let stats = sink.stats();
    assert_eq!((stats.segments, stats.tombstones), (2, 4));
    assert_eq!(sink.read(&[BaseKey::new("i", "003")]).remove(0).unwrap().unwrap().seq, 3);
    assert!(!sink.compact_once().unwrap());
    assert!(sink.compact_all().unwrap());
    let stats = sink.stats();
    assert_eq!((stats.segments, stats.tombstones, stats.documents), (1, 0, 400));
    assert_eq!(sink.read(&[BaseKey::new("i", "003")]).remove(0).unwrap(), None);
}

#[test]
fn inline_compaction_keeps_few_segments_without_a_thread() {
    let dir = tempfile::tempdir().unwrap();
    let options = SegmentOptions::new().compaction(Compaction::Inline);
    let sink = SegmentSink::open_with(dir.path(), &options).unwrap();
    for seq in 1..=100 {
        send(&sink, vec![put("i", &seq.to_string(), "{}", seq)]);
        assert!(sink.stats().segments <= 6, "{}", sink.stats().segments);
    }
    assert_eq!(sink.snapshot().unwrap().page("i", None, 1000).unwrap().len(), 100);
}

#[test]
fn a_merge_of_many_blocks_and_large_documents_keeps_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    let source =
        |id: u64, round: u64| format!("{{\"{round}\":\"{}\"}}", "y".repeat((id * 37 % 9_000) as usize));
    for round in 1..=4 {
        let ids = (0..500_u64).filter(|id| id.is_multiple_of(round));
        send(&sink, ids.map(|id| put("i", &format!("{id:04}"), source(id, round), round)).collect());
    }
    assert!(sink.compact_all().unwrap());
    let page = sink.snapshot().unwrap().page("i", None, 1000).unwrap();
    assert_eq!(page.len(), 500);
    for (id, document) in page {
        let id: u64 = id.parse().unwrap();
        let round = (1..=4).rev().find(|round| id.is_multiple_of(*round)).unwrap();
        assert_eq!((document.seq, document.source.unwrap()), (round, source(id, round).into()));
    }
    assert!(SegmentReader::open(dir.path()).unwrap().verify().is_sound());
}
