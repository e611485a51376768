//! Which files are there, and what a log without the others still holds.

use crate::{
    disk::{At, Call, Fault, PowerCut, When},
    named::{DIRECTORY, FILE_BYTES, Outside, count, operation},
};
use millpond::{Action, Base, Engine, ErrorKind, Journal, Next, NullSink, Operation, Scripted, Takes};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

#[test]
fn files_go_when_all_in_them_has_settled() {
    let outside = Outside::new();
    let (engine, drainer) = outside.open(Journal::Interval(Duration::from_millis(10))).unwrap();
    for round in 0..20 {
        for n in 0..500 {
            engine.submit(operation(&format!("k{n}"))).unwrap();
        }
        assert!(round == 0 || outside.files().len() > 1 || engine.stats().pending_documents > 0);
        outside.drain(&drainer);
        outside.clock.advance(Duration::from_secs(1));
        drainer.next().unwrap();
        assert!(outside.files().len() <= 2, "{:?}", outside.files());
    }
    assert!(engine.stats().journal.unwrap().bytes <= 3 * FILE_BYTES);
    engine.close(Duration::ZERO).unwrap();
    assert_eq!(outside.files().len(), 1);
}

#[test]
fn the_files_stay_small_however_long_the_sink_is_away_and_hold_what_waits() {
    const KEYS: usize = 50;
    const EACH: usize = 600;
    let outside = Outside::new();
    let open = || {
        Engine::builder()
            .seed(7)
            .clock(&outside.clock)
            .memory_bytes(millpond::MEMORY_BYTES_MIN)
            .max_delay(Duration::from_hours(1))
            .journal_on(
                Arc::new(outside.disk.clone()),
                DIRECTORY,
                Journal::Interval(Duration::from_millis(50)),
            )
            .journal_file_bytes(FILE_BYTES)
            .manual(Arc::clone(&outside.sink) as _, Some(Arc::clone(&outside.sink) as Arc<dyn Base>))
            .unwrap()
    };
    let (engine, drainer) = open();
    let put = Operation { index: "i", id: "cold", routing: Some("r"), action: Action::Index(br#"{"n":1}"#) };
    engine.submit(put).unwrap();
    let mut most = 0;
    for _ in 0..EACH {
        for key in 0..KEYS {
            engine.submit(operation(&format!("k{key}"))).unwrap();
        }
        outside.clock.advance(Duration::from_millis(101));
        assert!(matches!(drainer.next().unwrap(), Next::Wait(_)));
        most = most.max(engine.stats().journal.unwrap().bytes);
    }
    assert!(engine.stats().bytes_in > 20 * FILE_BYTES, "far more than the files hold came in");
    assert!(most <= 3 * FILE_BYTES, "{most} bytes of files");
    outside.disk.power_cut(PowerCut::LOST);
    drop((engine, drainer));
    outside.disk.restart();
    let (engine, _drainer) = open();
    assert_eq!(engine.stats().operations_restored, (KEYS * EACH + 1) as u64);
    for key in 0..KEYS {
        assert_eq!(count(&engine, &format!("k{key}")), format!(r#"{{"n":{EACH}}}"#));
    }
    assert_eq!(engine.get("i", "cold").unwrap().unwrap().routing.as_deref(), Some("r"));
}

/// Submits to other keys, and drains, until another file is begun.
fn fill_a_file(outside: &Outside, engine: &Engine, fill: impl Fn(u64) -> String) {
    let before = outside.files().len();
    for n in 0.. {
        engine.submit(operation(&fill(n))).unwrap();
        if outside.files().len() > before {
            return;
        }
    }
}

#[test]
fn a_file_that_comes_back_since_its_removal_was_not_durable_is_passed_over() {
    let outside = Outside::new();
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    fill_a_file(&outside, &engine, |n| format!("k{n}"));
    fill_a_file(&outside, &engine, |n| format!("k{n}"));
    outside.drain(&drainer);
    let first = outside.files()[0].clone();
    outside.disk.fail(At::Every(Call::SyncDirectory), When::Before, Fault::Io);
    outside.clock.advance(Duration::from_secs(1));
    assert_eq!(drainer.next().unwrap_err().kind(), ErrorKind::Latched, "the directory cannot be synced");
    assert!(!outside.files().contains(&first), "nobody sees it any more");
    outside.disk.heal();
    let (engine, drainer) = outside.kill_and_open((engine, drainer), Journal::Always);
    let second = outside.files()[0].clone();
    outside.drain(&drainer);
    engine.submit(operation("last")).unwrap();
    assert!(!outside.files().contains(&second), "it settled, and went");
    outside.disk.power_cut(PowerCut::LOST);
    drop((engine, drainer));
    outside.disk.restart();
    assert_eq!(outside.files()[0], first, "it is there again");
    assert!(!outside.files().contains(&second), "and the one after it is not");
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    assert_eq!(count(&engine, "last"), r#"{"n":1}"#);
    assert!(!outside.files().contains(&first));
    drop((engine, drainer));
}

#[test]
fn a_file_goes_only_after_the_mark_of_each_flight_that_began_in_it() {
    // This sink keeps no seq: what is sent twice counts twice.
    let outside = Outside::with(Takes::NetOperations);
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    engine.submit(operation("a")).unwrap();
    fill_a_file(&outside, &engine, |n| format!("k{n}"));
    engine.submit(operation("a")).unwrap();
    let first = outside.files()[0].clone();
    outside.drain(&drainer);
    outside.clock.advance(Duration::from_secs(1));
    assert!(matches!(drainer.next().unwrap(), Next::Wait(_)));
    assert!(!outside.files().contains(&first));
    outside.disk.power_cut(PowerCut::LOST);
    drop((engine, drainer));
    outside.disk.restart();
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    outside.drain(&drainer);
    engine.close(Duration::ZERO).unwrap();
    let documents = outside.sink.documents();
    let (_, source) = documents.iter().find(|((_, id), _)| &**id == "a").unwrap();
    assert_eq!(&**source, br#"{"n":2}"#);
}

#[test]
fn files_go_also_where_flights_settled_for_whose_marks_there_was_no_room() {
    let outside = Outside::with(Takes::NetOperations);
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    // Puts are repeatable: they leave without bounds, and settle without marks where there is no room for them. These have long
    // ids, and so long marks.
    let puts = 700;
    for n in 0..puts {
        let (id, action) = (format!("{n:0>100}"), Action::Index(br#"{"n":1}"#));
        engine.submit(Operation { index: "i", id: &id, routing: None, action }).unwrap();
    }
    let before = outside.files();
    outside.disk.set_capacity(0);
    outside.drain(&drainer);
    assert_eq!(outside.sink.documents().len(), puts);
    assert!(engine.stats().last_failure.is_some_and(|why| why.contains("no room")), "for the marks");
    assert!(outside.files().starts_with(&before), "all of them settled just now");
    outside.clock.advance(Duration::from_secs(1));
    assert!(matches!(drainer.next().unwrap(), Next::Wait(_)));
    assert!(!outside.files().contains(&before[0]), "{:?} {before:?}", outside.files());
    outside.disk.power_cut(PowerCut::LOST);
    drop((engine, drainer));
    outside.disk.restart();
    outside.disk.set_capacity(u64::MAX);
    let (engine, _drainer) = outside.open(Journal::Always).unwrap();
    assert_eq!(engine.stats().operations_restored, 0, "all is told by the watermark");
    engine.validate().unwrap();
}

#[test]
fn files_are_folded_while_writers_write_and_nothing_is_lost() {
    const WRITERS: u64 = 2;
    const KEYS: u64 = 40;
    let outside = Outside::new();
    outside.sink.script(|_| Scripted::Again(None));
    let open = || {
        Engine::builder()
            .seed(7)
            .memory_bytes(millpond::MEMORY_BYTES_MIN)
            .max_delay(Duration::from_millis(10))
            .late_request_bound(Duration::from_millis(1))
            .journal_on(Arc::new(outside.disk.clone()), DIRECTORY, Journal::Always)
            .journal_file_bytes(FILE_BYTES)
            .build(Arc::clone(&outside.sink) as _, Some(Arc::clone(&outside.sink) as Arc<dyn Base>))
            .unwrap()
    };
    let engine = open();
    let is_enough = AtomicBool::new(false);
    let counts: Vec<u64> = thread::scope(|scope| {
        let writer = |writer: u64| {
            let (engine, is_enough) = (&engine, &is_enough);
            move || {
                let ids: Vec<String> = (0..KEYS).map(|key| format!("w{writer}-{key}")).collect();
                for n in 0.. {
                    // One round of all keys at once.
                    let adds: Vec<_> = ids.iter().map(|id| operation(id)).collect();
                    if engine.submit_batch(&adds).is_err() || is_enough.load(Ordering::Relaxed) {
                        return n;
                    }
                }
                0
            }
        };
        let writers: Vec<_> = (0..WRITERS).map(|n| scope.spawn(writer(n))).collect();
        let (mut first, mut gone) = (String::new(), 0);
        while gone < 4 && !is_enough.load(Ordering::Relaxed) {
            let files = outside.files();
            // A tenth of a second may go by before they are looked at.
            if files.len() > 1_000 {
                is_enough.store(true, Ordering::Relaxed);
            }
            if files.first().is_some_and(|oldest| *oldest != first) {
                first.clone_from(&files[0]);
                gone += 1;
            }
            thread::yield_now();
        }
        assert!(!is_enough.load(Ordering::Relaxed), "files do not go as fast as they are begun");
        outside.disk.kill();
        is_enough.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    assert!(outside.sink.documents().is_empty());
    drop(engine);
    outside.disk.restart();
    let engine = open();
    for (writer, acknowledged) in counts.into_iter().enumerate() {
        for key in 0..KEYS {
            let found = count(&engine, &format!("w{writer}-{key}"));
            let (exact, more) =
                (format!(r#"{{"n":{acknowledged}}}"#), format!(r#"{{"n":{}}}"#, acknowledged + 1));
            assert!(found == exact || found == more, "{found} after {acknowledged}");
        }
    }
    outside.sink.script(|_| Scripted::Done);
    engine.close(Duration::from_mins(2)).unwrap();
    assert_eq!(outside.sink.documents().len() as u64, WRITERS * KEYS);
}

#[test]
fn writers_of_long_documents_of_which_a_file_holds_two_are_none_of_them_refused() {
    let outside = Outside::new();
    let long = format!(r#"{{"t":"{}"}}"#, "x".repeat(60_000));
    let engine = Engine::builder()
        .memory_bytes(1024 * 1024)
        .journal_on(Arc::new(outside.disk.clone()), DIRECTORY, Journal::Interval(Duration::from_secs(1)))
        .journal_file_bytes(FILE_BYTES)
        .build(Arc::new(NullSink), None)
        .unwrap();
    thread::scope(|scope| {
        for writer in 0..4 {
            let (engine, long) = (&engine, &long);
            scope.spawn(move || {
                for n in 0..100 {
                    let id = format!("{writer}-{n}");
                    let action = Action::Index(long.as_bytes());
                    engine.submit(Operation { index: "i", id: &id, routing: None, action }).unwrap();
                }
            });
        }
    });
    engine.close(Duration::from_hours(1)).unwrap();
}
