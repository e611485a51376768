//! Single promises of the journal, each by its name.

use crate::disk::{At, Call, Fault, SimulatedDisk, When};
use millpond::{
    Action, Base, Drainer, Engine, Error, ErrorKind, Journal, MemorySink, Next, NullSink, Operation,
    Scripted, SimulatedClock, Takes,
};
use std::{sync::Arc, time::Duration};

const ADD: &[u8] = br#"{"inc":{"n":1},"doc_as_upsert":true}"#;
pub const DIRECTORY: &str = "journal";
/// The least that a file may be here.
pub const FILE_BYTES: u64 = 64 * 1024;

pub fn operation(id: &str) -> Operation<'_> {
    Operation { index: "i", id, routing: None, action: Action::Update(ADD) }
}

/// What outlives an engine.
pub struct Outside {
    pub disk: SimulatedDisk,
    pub clock: SimulatedClock,
    pub sink: Arc<MemorySink>,
}

impl Outside {
    pub fn new() -> Self {
        Self::with(Takes::Documents)
    }

    pub fn with(takes: Takes) -> Self {
        let clock = SimulatedClock::new(1_700_000_000_000_000);
        let sink = Arc::new(MemorySink::new(takes).with_clock(&clock));
        Self { disk: SimulatedDisk::new(7), clock, sink }
    }

    pub fn open(&self, policy: Journal) -> Result<(Engine, Drainer), Error> {
        Engine::builder()
            .seed(7)
            .clock(&self.clock)
            .memory_bytes(millpond::MEMORY_BYTES_MIN)
            .max_delay(Duration::from_millis(10))
            .journal_on(Arc::new(self.disk.clone()), DIRECTORY, policy)
            .journal_file_bytes(FILE_BYTES)
            .manual(Arc::clone(&self.sink) as _, Some(Arc::clone(&self.sink) as Arc<dyn Base>))
    }

    /// The process is killed; another one opens the journal.
    pub fn kill_and_open(&self, engine: (Engine, Drainer), policy: Journal) -> (Engine, Drainer) {
        self.disk.kill();
        drop(engine);
        self.disk.restart();
        self.open(policy).unwrap()
    }

    pub fn files(&self) -> Vec<String> {
        let mut names = self.disk.names(DIRECTORY).unwrap();
        names.retain(|name| name.ends_with(".journal"));
        names
    }

    pub fn drain(&self, drainer: &Drainer) {
        self.clock.advance(Duration::from_secs(61));
        while let Next::Send(flights) = drainer.next().unwrap() {
            let outcomes = millpond::Sink::send(&*self.sink, flights.batch());
            flights.finish(outcomes);
        }
    }
}

pub fn count(engine: &Engine, id: &str) -> String {
    let found = engine.get("i", id).unwrap().unwrap();
    String::from_utf8(found.source.to_vec()).unwrap()
}

#[test]
fn what_an_engine_leaves_when_it_is_dropped_is_sent_by_the_next() {
    let outside = Outside::new();
    let (engine, drainer) = outside.open(Journal::Interval(Duration::from_secs(1))).unwrap();
    for _ in 0..3 {
        engine.submit(operation("a")).unwrap();
    }
    drop((engine, drainer));
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    assert_eq!(engine.stats().operations_restored, 3);
    assert_eq!(count(&engine, "a"), r#"{"n":3}"#);
    outside.drain(&drainer);
    engine.close(Duration::ZERO).unwrap();
    assert_eq!(&*outside.sink.documents()[0].1, br#"{"n":3}"#);
}

#[test]
fn a_journal_whose_engine_was_closed_has_nothing_left_and_no_wait_after_it() {
    let outside = Outside::new();
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    engine.submit(operation("a")).unwrap();
    outside.drain(&drainer);
    engine.close(Duration::ZERO).unwrap();
    drop((engine, drainer));
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    assert_eq!(engine.stats().operations_restored, 0);
    engine.submit(operation("a")).unwrap();
    outside.clock.advance(Duration::from_millis(20));
    assert!(matches!(drainer.next().unwrap(), Next::Send(_)), "sent at once: nothing can be late");
}

#[test]
fn an_interval_that_nobody_could_keep_is_refused_with_its_range() {
    let outside = Outside::new();
    for interval in [Duration::ZERO, Duration::from_millis(1), Duration::from_hours(2)] {
        let error = outside.open(Journal::Interval(interval)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("2 ms to an hour"), "{error}");
    }
}

#[test]
fn a_second_engine_on_a_directory_is_refused() {
    let outside = Outside::new();
    let first = outside.open(Journal::Always).unwrap();
    let error = outside.open(Journal::Always).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    drop(first);
    outside.open(Journal::Always).unwrap();
}

#[test]
fn a_failed_sync_stops_the_engine_and_a_later_one_is_not_believed() {
    let outside = Outside::new();
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    let syncs = outside.disk.calls().iter().filter(|call| **call == Call::SyncData).count() as u64;
    outside.disk.fail(At::Nth(Call::SyncData, syncs), When::Before, Fault::Io);
    let refused = engine.submit(operation("a")).unwrap_err();
    assert_eq!(refused.error().kind(), ErrorKind::Latched);
    assert!(refused.error().to_string().contains("restart"), "{refused}");
    assert_eq!(engine.submit(operation("b")).unwrap_err().error().kind(), ErrorKind::Latched);
    assert_eq!(drainer.next().unwrap_err().kind(), ErrorKind::Latched);
    assert_eq!(engine.health().unwrap_err().kind(), ErrorKind::Latched);
    drop((engine, drainer));
    outside.disk.restart();
    outside.open(Journal::Always).unwrap();
}

#[test]
fn a_full_disk_hands_submits_back_lets_the_drain_go_on_and_is_over_by_itself() {
    let outside = Outside::new();
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    outside.disk.set_capacity(0);
    let mut accepted = 0_usize;
    let error = loop {
        match engine.submit(operation(&format!("k{}", accepted % 5))) {
            Ok(_) => accepted += 1,
            Err(refused) => break refused.error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(error.to_string().contains("journal"), "{error}");
    assert!(accepted > 100, "what had its place was accepted: {accepted}");
    assert_eq!(engine.submit(operation("k0")).unwrap_err().error().kind(), ErrorKind::Full);
    outside.drain(&drainer);
    let sum: usize = outside
        .sink
        .documents()
        .iter()
        .map(|(_, source)| {
            let text = String::from_utf8(source.to_vec()).unwrap();
            text.trim_start_matches(r#"{"n":"#).trim_end_matches('}').parse::<usize>().unwrap()
        })
        .sum();
    assert_eq!(sum, accepted, "all of it went out");
    outside.disk.set_capacity(u64::MAX);
    engine.submit(operation("k0")).unwrap();
    engine.health().unwrap();
}

#[test]
fn a_drain_that_has_used_up_the_reserve_waits_and_goes_on_by_itself() {
    let outside = Outside::new();
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    outside.disk.set_capacity(0);
    let mut accepted = 0;
    while engine.submit(operation(&format!("k{accepted}"))).is_ok() {
        accepted += 1;
    }
    outside.sink.script(|_| Scripted::Again(None));
    let noted = |engine: &Engine| engine.stats().last_failure.is_some_and(|why| why.contains("no room"));
    for round in 0.. {
        assert!(round < 100, "the reserve has no end");
        outside.drain(&drainer);
        if noted(&engine) {
            break;
        }
    }
    engine.health().unwrap();
    outside.sink.script(|_| Scripted::Done);
    outside.drain(&drainer);
    assert!(outside.sink.documents().is_empty(), "nothing leaves without its bounds");
    outside.disk.set_capacity(u64::MAX);
    for _ in 0..3 {
        outside.drain(&drainer);
    }
    engine.close(Duration::ZERO).unwrap();
    let documents = outside.sink.documents();
    assert_eq!(documents.len(), accepted);
    assert!(documents.iter().all(|(_, source)| &**source == br#"{"n":1}"#));
}

#[test]
fn a_document_larger_than_what_waits_to_be_written_survives() {
    let outside = Outside::new();
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    let large = format!(r#"{{"t":"{}"}}"#, "x".repeat(15_000));
    let put = Operation { index: "i", id: "a", routing: Some("r"), action: Action::Index(large.as_bytes()) };
    engine.submit_batch(&[put, operation("a"), put, operation("b")]).unwrap();
    let (engine, _drainer) = outside.kill_and_open((engine, drainer), Journal::Always);
    let found = engine.get("i", "a").unwrap().unwrap();
    assert_eq!((&*found.source, found.routing.as_deref()), (large.as_bytes(), Some("r")));
    assert_eq!(count(&engine, "b"), r#"{"n":1}"#);
}

#[test]
fn a_file_whose_header_is_not_what_was_written_is_refused_untouched() {
    let outside = Outside::new();
    drop(outside.open(Journal::Always).unwrap());
    let path = format!("{DIRECTORY}/{}", outside.files()[0]);
    let mut bytes = outside.disk.read_file(&path).unwrap();
    bytes[8] = 2;
    outside.disk.write_file(&path, &bytes).unwrap();
    let before = outside.disk.names(DIRECTORY).unwrap();
    let error = outside.open(Journal::Always).unwrap_err();
    assert!(error.to_string().contains(&path), "{error}");
    assert_eq!(outside.disk.read_file(&path).unwrap(), bytes);
    assert_eq!(outside.disk.names(DIRECTORY).unwrap(), before);
}

#[test]
fn sequence_numbers_begin_above_all_that_were_used_whatever_the_clock_says() {
    let outside = Outside::new();
    let first = outside.open(Journal::Always).unwrap();
    let seq = first.0.submit(operation("a")).unwrap();
    outside.clock.set_wall_us(1_000);
    let (engine, _drainer) = outside.kill_and_open(first, Journal::Always);
    assert!(engine.submit(operation("a")).unwrap() > seq);
    assert_eq!(count(&engine, "a"), r#"{"n":2}"#);
}

/// The last time that was promised to be over is above every record: only the ceiling says so, and the file in which it
/// was written first is gone.
#[test]
fn a_promised_watermark_is_kept_by_the_next_engine_though_the_clock_went_back() {
    let outside = Outside::new();
    let open = || {
        Engine::builder()
            .seed(7)
            .clock(&outside.clock)
            .max_delay(Duration::from_millis(10))
            .memory_bytes(millpond::MEMORY_BYTES_MIN)
            .journal_on(Arc::new(outside.disk.clone()), DIRECTORY, Journal::Always)
            .journal_file_bytes(FILE_BYTES)
            .manual(Arc::new(NullSink), None)
            .unwrap()
    };
    let (engine, drainer) = open();
    let first = outside.files();
    while outside.files().contains(&first[0]) {
        for n in 0..200 {
            engine.submit(operation(&format!("k{n}"))).unwrap();
        }
        outside.clock.advance(Duration::from_millis(200));
        drainer.run().unwrap();
    }
    outside.clock.advance(Duration::from_secs(20));
    let watermark = engine.watermark();
    outside.disk.kill();
    drop((engine, drainer));
    outside.disk.restart();
    outside.clock.set_wall_us(1_000);
    let (engine, _drainer) = open();
    let seq = engine.submit(operation("a")).unwrap();
    assert!(seq > watermark, "{seq} is not above {watermark}");
}

#[test]
fn a_flight_that_the_sink_may_have_is_not_folded_though_the_sink_refuses_it_now() {
    let outside = Outside::with(Takes::NetOperations);
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    engine.submit(operation("a")).unwrap();
    outside.clock.advance(Duration::from_secs(1));
    let Next::Send(flights) = drainer.next().unwrap() else { panic!("nothing is due") };
    millpond::Sink::send(&*outside.sink, flights.batch());
    let (engine, drainer) = outside.kill_and_open((engine, drainer), Journal::Always);
    drop(flights);
    let mut refused = false;
    outside.sink.script(move |_| {
        if std::mem::replace(&mut refused, true) { Scripted::Done } else { Scripted::Again(None) }
    });
    outside.clock.advance(Duration::from_secs(61));
    let Next::Send(flights) = drainer.next().unwrap() else { panic!("it goes out again") };
    let outcomes = millpond::Sink::send(&*outside.sink, flights.batch());
    flights.finish(outcomes);
    engine.submit(operation("a")).unwrap();
    for _ in 0..4 {
        outside.drain(&drainer);
    }
    assert_eq!(&*outside.sink.documents()[0].1, br#"{"n":2}"#);
}

#[test]
fn what_memory_has_no_room_for_takes_none_in_the_journal() {
    let outside = Outside::new();
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    let mut accepted = 0;
    while engine.submit(operation(&format!("k{accepted}"))).is_ok() {
        accepted += 1;
    }
    let files = outside.files();
    for n in 0..10_000 {
        let id = format!("other{n}");
        let refused = engine.submit(operation(&id)).unwrap_err();
        assert!(refused.error().to_string().contains("memory"), "{refused}");
    }
    assert_eq!(outside.files(), files);
    outside.drain(&drainer);
    engine.submit(operation("a")).unwrap();
}

#[test]
fn a_source_is_not_heard_twice_and_has_one_handle() {
    let outside = Outside::new();
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    let mut source = engine.source("orders-3").unwrap();
    assert_eq!(engine.source("orders-3").unwrap_err().kind(), ErrorKind::Busy);
    assert!(source.submit(10, operation("a")).unwrap().is_some());
    assert_eq!(source.submit(10, operation("a")).unwrap(), None);
    assert_eq!(source.submit(9, operation("a")).unwrap(), None);
    source.submit_batch(&[operation("a"), operation("a"), operation("a")], &[10, 12, 13]).unwrap();
    assert_eq!((source.mark(), source.committable()), (Some(13), Some(13)));
    drop(source);
    let (engine, _drainer) = outside.kill_and_open((engine, drainer), Journal::Always);
    let mut source = engine.source("orders-3").unwrap();
    assert_eq!(source.mark(), Some(13));
    assert_eq!(source.submit(13, operation("a")).unwrap(), None);
    assert!(source.submit(14, operation("a")).unwrap().is_some());
    assert_eq!(count(&engine, "a"), r#"{"n":4}"#);
}

#[test]
fn positions_that_do_not_rise_are_refused_and_nothing_of_them_is_accepted() {
    let outside = Outside::new();
    let (engine, _drainer) = outside.open(Journal::Always).unwrap();
    let mut source = engine.source("s").unwrap();
    let two = [operation("a"), operation("a")];
    for positions in [&[2, 2][..], &[3, 2], &[1], &[1, u64::MAX]] {
        let error = source.submit_batch(&two, positions).unwrap_err();
        assert_eq!((error.stopped_at, error.refused.len()), (Some(0), 1), "{positions:?}");
        assert_eq!(error.refused[0].1.kind(), ErrorKind::Invalid);
    }
    assert_eq!(source.submit(u64::MAX, operation("a")).unwrap_err().error().kind(), ErrorKind::Invalid);
    assert_eq!((source.mark(), engine.stats().operations_in), (None, 0));
    assert_eq!(engine.source("").unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn without_a_journal_a_source_may_forget_what_has_settled() {
    let outside = Outside::new();
    let (engine, drainer) = outside.open(Journal::None).unwrap();
    let mut source = engine.source("s").unwrap();
    for position in 0..200 {
        source.submit(position, operation("a")).unwrap();
    }
    assert_eq!(source.committable(), None);
    outside.drain(&drainer);
    assert_eq!(source.committable(), Some(199));
    assert!(outside.disk.names(DIRECTORY).is_err(), "no journal was made");
}

/// On the system's own disk, with threads that wait for each other's syncs.
#[test]
fn writers_that_share_their_syncs_lose_nothing_and_count_nothing_twice() {
    const WRITERS: usize = 8;
    const EACH: usize = 200;
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let builder =
            Engine::builder().max_delay(Duration::from_hours(1)).journal(directory.path(), Journal::Always);
        builder.build(Arc::new(NullSink), None).unwrap()
    };
    let engine = open();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let engine = &engine;
            scope.spawn(move || {
                for n in 0..EACH {
                    let body = br#"{"inc":{"n":1},"upsert":{"n":1}}"#;
                    let action = if n == 0 { Action::Index(br#"{"n":1}"#) } else { Action::Update(body) };
                    let id = format!("w{writer}");
                    engine.submit(Operation { index: "i", id: &id, routing: None, action }).unwrap();
                }
            });
        }
    });
    // The files as a kill would leave them now.
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let builder = Engine::builder().max_delay(Duration::from_hours(1)).journal(copy.path(), Journal::Always);
    let other = builder.build(Arc::new(NullSink), None).unwrap();
    assert_eq!(other.stats().operations_restored, (WRITERS * EACH) as u64);
    for writer in 0..WRITERS {
        let found = other.get("i", &format!("w{writer}")).unwrap().unwrap();
        assert_eq!(&*found.source, format!(r#"{{"n":{EACH}}}"#).as_bytes());
    }
    for engine in [engine, other] {
        engine.close(Duration::from_mins(1)).unwrap();
    }
}
