//! One writing process per directory, any number of readers beside it.

use crate::support::{manual, put, scan, send};
use millpond::segments::{SegmentReader, SegmentSink};
use millpond::{ErrorKind, Sink};
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_second_writer_is_refused_until_the_last_handle_of_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let sink = SegmentSink::open(dir.path()).unwrap();
    let handle = sink.clone();
    let refused = |error: millpond::Error| {
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("in use"), "{error}");
    };
    refused(SegmentSink::open(dir.path()).unwrap_err());
    sink.close().unwrap();
    drop(sink);
    refused(SegmentSink::open(dir.path()).unwrap_err());
    drop(handle);
    SegmentSink::open(dir.path()).unwrap();
}

#[test]
fn a_refused_writer_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    send(&sink, vec![put("i", "1", "{}", 1)]);
    std::fs::write(dir.path().join("0000000009.segment.tmp"), b"of the first writer").unwrap();
    SegmentSink::open(dir.path()).unwrap_err();
    assert!(dir.path().join("0000000009.segment.tmp").exists());
}

#[test]
fn readers_that_open_while_segments_are_replaced_always_see_a_whole_state() {
    let dir = tempfile::tempdir().unwrap();
    let sink = manual(dir.path());
    send(&sink, (0..50).map(|id| put("i", &format!("{id:02}"), r#"{"round":0}"#, 1)).collect());
    let done = AtomicBool::new(false);
    let opened = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut opened = 0;
                    while !done.load(Ordering::Relaxed) || opened < 20 {
                        let live = scan(dir.path()).unwrap();
                        assert_eq!(live.len(), 50);
                        // Each batch rewrites all, so a state between two batches would show.
                        let first = live.values().next().unwrap();
                        assert!(live.values().all(|document| document == first));
                        opened += 1;
                    }
                    opened
                })
            })
            .collect();
        for round in 1..60 {
            let batch =
                (0..50).map(|id| put("i", &format!("{id:02}"), format!("{{\"round\":{round}}}"), round));
            send(&sink, batch.collect());
            while sink.compact_once().unwrap() {}
        }
        done.store(true, Ordering::Relaxed);
        readers.into_iter().map(|reader| reader.join().unwrap()).sum::<u64>()
    });
    assert!(opened >= 40);
}

#[test]
fn batches_of_several_threads_and_the_background_compactor_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let sink = SegmentSink::open(dir.path()).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let sink = &sink;
            scope.spawn(move || {
                for round in 1..=30 {
                    let id = |id: u64| format!("{writer} {id}");
                    let batch = (0..10)
                        .map(|at| put("i", &id((round + at) % 25), format!("{{\"r\":{round}}}"), round));
                    send(sink, batch.collect());
                }
            });
        }
    });
    sink.close().unwrap();
    let live = scan(dir.path()).unwrap();
    assert_eq!(live.len(), 75);
    for ((_, key), (source, _)) in live {
        let id: u64 = key.split(' ').nth(1).unwrap().parse().unwrap();
        let last = (1..=30).rev().find(|round| (0..10).any(|at| (round + at) % 25 == id)).unwrap();
        assert_eq!(String::from_utf8(source).unwrap(), format!("{{\"r\":{last}}}"));
    }
    assert!(SegmentReader::open(dir.path()).unwrap().verify().is_sound());
    drop(sink);
    SegmentSink::open(dir.path()).unwrap();
}
