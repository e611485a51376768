//! A fixed workload, with each kind of fault at each call of the storage, one at a time.
//!
//! The workload is [`OPERATIONS`] increments on a few counters, in batches and singly, with drains, files that become full
//! and go. After each fault the process is killed, the journal opened again, and what is there is compared with what was
//! acknowledged; then the rest is submitted, everything drains, and the sums are exact.

use crate::disk::{At, Call, Fault, PowerCut, SimulatedDisk, When};
use millpond::{
    Action, Base, Drainer, Engine, ErrorKind, Journal, MemorySink, Next, Operation, SimulatedClock, Takes,
};
use std::{sync::Arc, time::Duration};

const OPERATIONS: usize = 1_000;
const KEYS: usize = 7;
const FILE_BYTES: u64 = 64 * 1024;
/// A body that makes a few hundred operations fill a file.
const FILLER: usize = 100;

struct Run {
    disk: SimulatedDisk,
    clock: SimulatedClock,
    sink: Arc<MemorySink>,
    /// How many operations were acknowledged,
    acknowledged: usize,
    /// and how many more may be there.
    doubtful: usize,
}

fn open(run: &Run) -> millpond::Result<(Engine, Drainer)> {
    Engine::builder()
        .seed(1)
        .shards(2)
        .clock(&run.clock)
        .memory_bytes(millpond::MEMORY_BYTES_MIN)
        .max_delay(Duration::from_millis(10))
        .late_request_bound(Duration::ZERO)
        .journal_on(Arc::new(run.disk.clone()), "journal", Journal::Always)
        .journal_file_bytes(FILE_BYTES)
        .manual(Arc::clone(&run.sink) as _, Some(Arc::clone(&run.sink) as Arc<dyn Base>))
}

impl Run {
    fn new() -> Self {
        let clock = SimulatedClock::new(1_700_000_000_000_000);
        let sink = Arc::new(MemorySink::new(Takes::Documents).with_clock(&clock));
        Self { disk: SimulatedDisk::new(3), clock, sink, acknowledged: 0, doubtful: 0 }
    }

    /// Submits operations from `first` on; stops where the disk stops it.
    fn submit(&mut self, engine: &(Engine, Drainer), first: usize) -> Result<(), millpond::Error> {
        let mut at = first;
        while at < OPERATIONS {
            // Batches of one to four.
            let count = (at % 4 + 1).min(OPERATIONS - at);
            let body =
                format!(r#"{{"inc":{{"n":1}},"doc":{{"t":"{}"}},"doc_as_upsert":true}}"#, "x".repeat(FILLER));
            let ids: Vec<String> = (at..at + count).map(|n| format!("k{}", n % KEYS)).collect();
            let operations: Vec<Operation<'_>> = ids
                .iter()
                .map(|id| Operation {
                    index: "i",
                    id,
                    routing: None,
                    action: Action::Update(body.as_bytes()),
                })
                .collect();
            if let Err(refused) = engine.0.submit_batch(&operations) {
                let (_, error) = refused.refused.into_iter().next().unwrap();
                let accepted = refused.stopped_at.unwrap();
                match error.kind() {
                    ErrorKind::Latched => self.doubtful = count,
                    _ => self.acknowledged += accepted,
                }
                return Err(error);
            }
            self.acknowledged += count;
            at += count;
            if at % 40 < 4 {
                self.clock.advance(Duration::from_millis(200));
                while let Next::Send(flights) = engine.1.next()? {
                    let outcomes = millpond::Sink::send(&*self.sink, flights.batch());
                    flights.finish(outcomes);
                }
            }
        }
        engine.0.flush(Duration::ZERO).ok();
        while let Next::Send(flights) = engine.1.next()? {
            let outcomes = millpond::Sink::send(&*self.sink, flights.batch());
            flights.finish(outcomes);
        }
        engine.0.close(Duration::ZERO)
    }

    /// How many operations the documents come to.
    fn sum(&self, engine: &Engine) -> usize {
        let _ = self;
        (0..KEYS)
            .filter_map(|key| engine.get("i", &format!("k{key}")).unwrap())
            .map(|found| {
                let text = String::from_utf8(found.source.to_vec()).unwrap();
                let digits = text.split(r#""n":"#).nth(1).unwrap();
                digits.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<usize>().unwrap()
            })
            .sum()
    }

    /// After the fault: another process, the contract, and the rest of the workload.
    fn go_on(mut self, power_cut: bool, what: &str) {
        if power_cut {
            self.disk.power_cut(PowerCut::MIXED);
        } else {
            self.disk.kill();
        }
        self.disk.restart();
        let engine = open(&self).unwrap_or_else(|error| panic!("{what}: {error}"));
        let sum = self.sum(&engine.0);
        let most = self.acknowledged + self.doubtful;
        assert!((self.acknowledged..=most).contains(&sum), "{what}: {sum} of {}..{most}", self.acknowledged);
        self.submit(&engine, sum).unwrap_or_else(|error| panic!("{what}, going on: {error}"));
        assert_eq!(self.sum(&engine.0), OPERATIONS, "{what}");
    }
}

/// The storage calls of the workload where nothing fails.
fn calls() -> Vec<Call> {
    let mut run = Run::new();
    let engine = open(&run).unwrap();
    run.submit(&engine, 0).unwrap();
    assert_eq!(run.sum(&engine.0), OPERATIONS);
    let calls = run.disk.calls();
    let renames = calls.iter().filter(|call| **call == Call::Rename).count();
    assert!(renames > 2, "files become full: {renames}");
    assert!(calls.contains(&Call::Remove), "files go");
    calls
}

fn each(fault: Fault, whens: &[When]) {
    let calls = calls();
    for (number, call) in calls.iter().enumerate() {
        for when in whens {
            let what = format!("{fault:?} {when:?} call {number}, {call:?}");
            let mut run = Run::new();
            run.disk.fail(At::Call(number as u64), *when, fault);
            let ended = match open(&run) {
                Ok(engine) => {
                    let ended = run.submit(&engine, 0);
                    drop(engine);
                    ended
                }
                Err(error) => Err(error),
            };
            if ended.is_ok() {
                // What is done without, as it can be done again: giving space back, going on after a short write.
                continue;
            }
            run.go_on(number % 2 == 0, &what);
        }
    }
}

const ALL: [When; 3] = [When::Before, When::Midway, When::After];

#[test]
fn a_kill_at_every_call_of_the_storage_loses_nothing_that_was_acknowledged() {
    each(Fault::Kill, &ALL);
}

#[test]
fn an_io_error_at_every_call_of_the_storage_loses_nothing_that_was_acknowledged() {
    each(Fault::Io, &ALL);
}

#[test]
fn no_space_at_every_call_of_the_storage_loses_nothing_that_was_acknowledged() {
    each(Fault::Full, &[When::Before]);
}

#[test]
fn a_transfer_that_is_short_or_interrupted_is_not_noticed() {
    for fault in [Fault::Short, Fault::Interrupted] {
        for number in 0..calls().len() as u64 {
            let mut run = Run::new();
            run.disk.fail(At::Call(number), When::Before, fault);
            let engine = open(&run).unwrap();
            run.submit(&engine, 0).unwrap();
            assert_eq!(run.sum(&engine.0), OPERATIONS, "{fault:?} at call {number}");
        }
    }
}
