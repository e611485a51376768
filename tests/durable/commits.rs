//! What a source is told that it may commit, while another thread delivers.

use crate::{
    disk::{At, Call, Fault, When},
    named::{Outside, operation},
};
use millpond::{Engine, ErrorKind, Journal, MemorySink, Takes};
use std::{sync::Arc, time::Duration};

/// More than any of these tests takes: reaching it fails.
const LONG: Duration = Duration::from_mins(2);
const POSITIONS: u64 = 3_000;

/// One thread delivers, and one commits: to the last position, without going back.
fn told_while_delivered(engine: &Engine) {
    let mut source = engine.source("s").unwrap();
    let mut commits = source.commits();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for position in 0..POSITIONS {
                source.submit(position, operation(&format!("k{}", position % 50))).unwrap();
            }
        });
        let mut told = None;
        while told < Some(POSITIONS - 1) {
            let next = commits.next(LONG).unwrap();
            assert!(next.is_some(), "nothing was told for {LONG:?} after {told:?}");
            assert!(next > told && next < Some(POSITIONS), "{next:?} after {told:?}");
            told = next;
        }
    });
    assert_eq!(commits.next(Duration::ZERO).unwrap(), None, "it is told once");
}

#[test]
fn a_thread_that_commits_is_told_of_what_is_on_the_medium_though_nothing_settles() {
    for policy in [Journal::Always, Journal::Interval(Duration::from_millis(4))] {
        let directory = tempfile::tempdir().unwrap();
        let builder = Engine::builder().max_delay(Duration::from_hours(1)).journal(directory.path(), policy);
        let sink = Arc::new(MemorySink::new(Takes::Documents));
        let engine = builder.build(Arc::clone(&sink) as _, Some(sink)).unwrap();
        told_while_delivered(&engine);
        assert_eq!(engine.stats().operations_out, 0);
        engine.close(LONG).unwrap();
    }
}

#[test]
fn without_a_journal_it_is_told_of_what_has_settled() {
    let sink = Arc::new(MemorySink::new(Takes::Documents));
    let builder = Engine::builder().max_delay(Duration::from_millis(10));
    let engine = builder.build(Arc::clone(&sink) as _, Some(sink)).unwrap();
    told_while_delivered(&engine);
}

#[test]
fn what_is_safe_is_told_before_it_is_said_that_the_engine_has_stopped() {
    let outside = Outside::new();
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    let mut source = engine.source("s").unwrap();
    let mut commits = source.commits();
    assert_eq!(commits.next(Duration::ZERO).unwrap(), None);
    source.submit(7, operation("a")).unwrap();
    let count = outside.disk.calls().iter().filter(|call| **call == Call::SyncData).count() as u64;
    outside.disk.fail(At::Nth(Call::SyncData, count), When::Before, Fault::Io);
    assert_eq!(source.submit(8, operation("a")).unwrap_err().error.kind(), ErrorKind::Latched);
    drop(source);
    assert_eq!(commits.next(Duration::ZERO).unwrap(), Some(7));
    assert_eq!(commits.next(LONG).unwrap_err().kind(), ErrorKind::Latched);
    drop((engine, drainer));
}

#[test]
fn a_mark_that_was_read_can_be_committed_at_once() {
    let outside = Outside::new();
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    engine.source("s").unwrap().submit(5, operation("a")).unwrap();
    let (engine, _drainer) = outside.kill_and_open((engine, drainer), Journal::Always);
    let mut commits = engine.source("s").unwrap().commits();
    assert_eq!(commits.next(Duration::ZERO).unwrap(), Some(5));
}
