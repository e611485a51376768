//! What a store answers, and how.

use crate::support::{delete, item, manual, outcomes, put, routed, send};
use millpond::segments::{SegmentReader, SegmentSink};
use millpond::{Action, Base, BaseKey, ItemAction, NetOperation, Outcome, Sink, Takes};

#[test]
fn what_is_sent_is_read_back_with_its_routing_and_seq() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    send(
        &sink,
        vec![
            put("a", "1", r#"{"n":1}"#, 5),
            routed(put("a", "2", r#"{"n":2}"#, 6), "r"),
            put("b", "1", "{}", 7),
        ],
    );
    send(&sink, vec![put("a", "1", r#"{"n":10}"#, 8), delete("b", "1", 9)]);
    let read: Vec<_> = sink
        .read(
            &[("a", "2"), ("b", "1"), ("a", "1"), ("a", "3"), ("c", "1")]
                .map(|(index, id)| BaseKey::new(index, id)),
        )
        .into_iter()
        .map(Result::unwrap)
        .map(|found| {
            found.map(|found| (found.source.map(|source| source.to_vec()), found.routing, found.seq))
        })
        .collect();
    assert_eq!(
        read,
        [
            Some((Some(br#"{"n":2}"#.to_vec()), Some("r".into()), 6)),
            Some((None, None, 9)),
            Some((Some(br#"{"n":10}"#.to_vec()), None, 8)),
            None,
            None
        ]
    );
    assert_eq!(sink.takes(), Takes::Documents);
    assert_eq!(sink.seq_floor(), 10);
}

#[test]
fn pages_go_through_an_index_in_bytewise_order_without_tombstones() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    let ids = ["", "a", "a\0", "aa", "b", "B", "é", "z", "\u{10000}", "\u{ffff}"];
    send(&sink, ids.iter().map(|id| put("i", id, format!("{{\"id\":{id:?}}}"), 1)).collect());
    send(&sink, vec![delete("i", "aa", 2), put("h", "x", "{}", 2), put("j", "x", "{}", 2)]);
    let mut expected: Vec<&str> = ids.into_iter().filter(|id| *id != "aa").collect();
    expected.sort_unstable();
    for limit in 1..12 {
        let snapshot = sink.snapshot().unwrap();
        let mut seen: Vec<Box<str>> = Vec::new();
        loop {
            let page = snapshot.page("i", seen.last().map(|id| &**id), limit).unwrap();
            let last = page.len() < limit;
            seen.extend(page.into_iter().map(|(id, _)| id));
            if last {
                break;
            }
        }
        assert!(seen.iter().map(|id| &**id).eq(expected.iter().copied()), "{seen:?}");
        assert!(snapshot.page("absent", None, limit).unwrap().is_empty());
    }
}

#[test]
fn an_index_with_nothing_left_is_not_named() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    send(&sink, vec![put("a", "1", "{}", 1), put("b", "1", "{}", 1), put("c", "1", "{}", 1)]);
    send(&sink, vec![delete("b", "1", 2)]);
    let names = sink.snapshot().unwrap().indices().unwrap();
    assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn a_reader_scans_across_indices_and_from_any_key() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    let keys = [("a", "1"), ("a", "2"), ("ab", "0"), ("b", "1")];
    for (seq, (index, id)) in (1..).zip(keys) {
        send(&sink, vec![put(index, id, "{}", seq)]);
    }
    let reader = SegmentReader::open(dir.path()).unwrap();
    let scan = |index, after, limit| -> Vec<(String, String)> {
        let page = reader.scan(index, after, limit).unwrap();
        page.into_iter().map(|(key, _)| (key.index.to_string(), key.id.into())).collect()
    };
    let keys = keys.map(|(index, id)| (index.to_owned(), id.to_owned()));
    assert_eq!(scan(None, None, 10), keys);
    assert_eq!(scan(None, None, 2), keys[..2]);
    assert_eq!(scan(None, Some(("a", "2")), 10), keys[2..]);
    assert_eq!(scan(Some("a"), None, 10), keys[..2]);
    assert_eq!(scan(Some("a"), Some(("a", "1")), 10), keys[1..2]);
    assert_eq!(scan(Some("b"), Some(("a", "1")), 10), keys[3..]);
    assert_eq!(scan(Some("a"), Some(("b", "1")), 10), []);
    assert_eq!(scan(None, Some(("zz", "")), 10), []);
}

#[test]
fn a_document_is_shared_with_the_map_and_not_copied() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    let large = format!("{{\"large\":\"{}\"}}", "x".repeat(100_000));
    send(&sink, vec![put("i", "large", large.clone(), 1), put("i", "small", r#"{"n":1}"#, 1)]);
    for (id, source) in [("large", large.as_str()), ("small", r#"{"n":1}"#)] {
        let get = || sink.read(&[BaseKey::new("i", id)]).remove(0).unwrap().unwrap().source.unwrap();
        let (first, second) = (get(), get());
        assert_eq!(first, source);
        assert_eq!(first.as_ptr(), second.as_ptr());
        let page = sink.snapshot().unwrap().page("i", None, 10).unwrap();
        let (_, scanned) = page.into_iter().find(|(found, _)| &**found == id).unwrap();
        assert_eq!(scanned.source.unwrap().as_ptr(), first.as_ptr());
    }
}

#[test]
fn a_document_outlives_its_file_its_sink_and_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    send(&sink, vec![put("i", "1", r#"{"n":1}"#, 1)]);
    let source = sink.read(&[BaseKey::new("i", "1")]).remove(0).unwrap().unwrap().source.unwrap();
    drop(sink);
    dir.close().unwrap();
    assert_eq!(source, r#"{"n":1}"#);
}

#[test]
fn what_no_segment_can_hold_is_rejected_and_the_rest_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    let long = "x".repeat(70_000);
    let given = outcomes(&sink, vec![put("i", "b", "{}", 2), put("i", &long, "{}", 3)]);
    assert_eq!(given[0], Outcome::Applied);
    assert!(matches!(&given[1], Outcome::Rejected(reason) if reason.contains("70000")), "{given:?}");
    assert_eq!(sink.stats().documents, 1);
}

#[test]
fn a_net_operation_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    let net = ItemAction::Net(NetOperation::new(Action::Delete).unwrap());
    let given = outcomes(&sink, vec![item("i", "a", net, 1)]);
    assert!(matches!(&given[0], Outcome::Rejected(reason) if reason.contains("net operation")), "{given:?}");
}

#[test]
fn a_batch_out_of_order_is_rejected_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    for ids in [["b", "a"], ["a", "a"]] {
        let given = outcomes(&sink, ids.iter().map(|id| put("i", id, "{}", 1)).collect());
        assert!(given.iter().all(|outcome| matches!(outcome, Outcome::Rejected(_))), "{given:?}");
    }
    assert_eq!(sink.stats().segments, 0);
    assert_eq!(crate::support::segment_files(dir.path()).len(), 0);
}

#[test]
fn deleting_what_was_never_stored_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    send(&sink, (0..100).map(|id| delete("i", &id.to_string(), 1)).collect());
    assert_eq!(sink.stats().segments, 0);
    send(&sink, vec![put("i", "1", "{}", 2)]);
    send(&sink, vec![delete("i", "1", 3), delete("i", "2", 3)]);
    assert_eq!(sink.stats().tombstones, 1);
    assert!(sink.compact_all().unwrap());
    assert_eq!((sink.stats().segments, sink.seq_floor()), (0, 4));
    assert!(!sink.compact_all().unwrap());
}

#[test]
fn statistics_count_by_index_what_the_segments_hold() {
    let dir = tempfile::tempdir().unwrap();
    let sink = SegmentSink::open(dir.path()).unwrap();
    send(&sink, vec![put("a", "1", "{}", 1), put("a", "2", "{}", 1), put("b", "1", "{}", 1)]);
    send(&sink, vec![delete("a", "1", 2)]);
    let stats = SegmentReader::open(dir.path()).unwrap().stats();
    assert_eq!(stats, sink.stats());
    assert_eq!((stats.segments, stats.documents, stats.tombstones, stats.seq_ceiling), (2, 3, 1, 3));
    let indices: Vec<_> =
        stats.indices.iter().map(|index| (&*index.name, index.documents, index.tombstones)).collect();
    assert_eq!(indices, [("a", 2, 1), ("b", 1, 0)]);
    let on_disk: u64 =
        crate::support::segment_files(dir.path()).iter().map(|file| file.metadata().unwrap().len()).sum();
    assert_eq!(stats.bytes, on_disk);
}
