//! A fixed workload over the sink, with each kind of fault at each call of the storage, one at a time, and then every kind of end.
//!
//! The workload is [`BATCHES`] batches that write over each other and delete, with a reservation between, and merges within `send`.
//! What the sink answers is what an engine would go by. After the fault the process is gone, by a kill or a power cut; what is
//! there then is the batches that were answered with `Applied`, wholly, and perhaps the one whose outcome is unknown, wholly;
//! nothing else lies about; and the sink takes that batch once more, and all others.

use crate::{
    disk::{At, Bytes, Call, Changes, Fault, PowerCut, SimulatedDisk, When},
    support::{delete, owned, put, routed},
};
use millpond::segments::{Compaction, SegmentOptions, SegmentReader, SegmentSink};
use millpond::{Action, Batch, Engine, ErrorKind, Item, Journal, Operation, Outcome, Sink};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

type Live = BTreeMap<(String, String), (Vec<u8>, Option<String>)>;

const PATH: &str = "store";
const BATCHES: u64 = 10;
const RESERVED: u64 = 5_000;
/// The batch before which numbers are reserved.
const RESERVES: u64 = 6;

fn open(disk: &SimulatedDisk) -> millpond::Result<SegmentSink> {
    let options = SegmentOptions::new().compaction(Compaction::Inline);
    SegmentSink::open_on(Arc::new(disk.of_process()), PATH, &options)
}

/// The items of a batch, by key: documents over those of the batches before, one of them longer than a buffer, and a delete.
fn items(number: u64) -> Vec<Item> {
    let seq = 100 + number;
    let id = |place: u64| format!("{}", (number * 2 + place) % 9);
    let filler = "x".repeat(if number % 4 == 3 { 140_000 } else { 10 });
    let text = |place| format!(r#"{{"batch":{number},"place":{place},"t":"{filler}"}}"#);
    let mut items = vec![
        put("a", &id(0), text(0), seq),
        put("a", &id(1), format!(r#"{{"batch":{number}}}"#), seq),
        routed(put("b", &id(2), format!(r#"{{"batch":{number}}}"#), seq), "r"),
        delete("a", &id(5), seq),
    ];
    items.sort_by(|one, other| (&one.index, &one.id).cmp(&(&other.index, &other.id)));
    items
}

/// What the first so many batches come to.
fn model(batches: u64) -> Live {
    let mut live = Live::new();
    for item in (0..batches).flat_map(items) {
        let key = (item.index.to_string(), item.id.to_string());
        match item.action {
            millpond::ItemAction::Put(source) => {
                live.insert(key, (source.to_vec(), item.routing.map(|routing| routing.to_string())));
            }
            _ => drop(live.remove(&key)),
        }
    }
    live
}

/// How far a run came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reached {
    /// So many batches were answered with `Applied`,
    applied: u64,
    /// and of the next one nobody knows.
    is_next_unknown: bool,
    /// Numbers were reserved.
    has_reserved: bool,
}

/// What the sink answers for all of a batch.
fn one_answer(sink: &SegmentSink, batch: &Batch) -> Outcome {
    let mut outcomes = sink.send(batch);
    let answer = outcomes.pop().unwrap();
    assert!(outcomes.iter().all(|one| *one == answer), "one answer for all: {outcomes:?}, {answer:?}");
    answer
}

/// Sends the batches from `first` on, until the process must end. One that is to be sent again is.
fn send_from(sink: &SegmentSink, first: u64) -> Reached {
    let mut reached = Reached { applied: first, ..Reached::default() };
    while reached.applied < BATCHES {
        if reached.applied == RESERVES {
            // An engine that could not reserve numbers gives none of them.
            reached.has_reserved = (0..2).any(|_| sink.reserve_seq(RESERVED).is_ok());
        }
        let batch = Batch { items: items(reached.applied), bytes: 0 };
        let mut answer = one_answer(sink, &batch);
        if matches!(answer, Outcome::Again { .. }) {
            answer = one_answer(sink, &batch);
        }
        match answer {
            Outcome::Applied => reached.applied += 1,
            // Both times known not to be there.
            Outcome::Again { .. } => break,
            Outcome::Unknown(_) => {
                assert!(
                    matches!(one_answer(sink, &batch), Outcome::Again { .. }),
                    "nothing is sent after it"
                );
                reached.is_next_unknown = true;
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    reached
}

fn read(disk: &SimulatedDisk) -> Live {
    let reader = SegmentReader::open_on(Arc::new(disk.clone()), PATH).unwrap();
    assert!(reader.verify().is_sound());
    reader.documents(None, None).unwrap().map(|found| owned(found.unwrap())).collect()
}

/// Nothing lies in the directory but the lock, the manifest, and the segments that it names.
fn is_swept(disk: &SimulatedDisk, sink: &SegmentSink) -> bool {
    let mut names = disk.names(PATH).unwrap();
    names.retain(|name| !matches!(&**name, "lock" | "manifest"));
    names.iter().all(|name| name.ends_with(".segment")) && names.len() == sink.stats().segments
}

/// Ends of a process: killed, or with the power.
fn ends() -> Vec<Option<PowerCut>> {
    let cuts = [
        PowerCut::LOST,
        PowerCut::MIXED,
        PowerCut::new(Bytes::Torn, Changes::Kept),
        PowerCut::new(Bytes::Scattered, Changes::Scattered),
        PowerCut::new(Bytes::Lost, Changes::Kept),
    ];
    cuts.into_iter().map(Some).chain([None]).collect()
}

/// What is left after an end is one of two states, and the sink goes on.
fn goes_on(disk: &SimulatedDisk, reached: Reached, models: &[Live], case: &str) {
    let Reached { applied, is_next_unknown, has_reserved } = reached;
    disk.restart();
    let sink = open(disk).unwrap_or_else(|error| panic!("{case}: {error}"));
    let seen = read(disk);
    let is = |batches: u64| models.get(usize::try_from(batches).unwrap()) == Some(&seen);
    assert!(is(applied) || is_next_unknown && is(applied + 1), "{case}: {reached:?}");
    assert!(is_swept(disk, &sink), "{case}: {:?}", disk.names(PATH));
    let floor = if has_reserved { RESERVED } else { applied.min(1) * (100 + applied) };
    assert!(sink.seq_floor() >= floor, "{case}: {} is below {floor}", sink.seq_floor());
    let rest = send_from(&sink, applied);
    assert_eq!((rest.applied, rest.is_next_unknown), (BATCHES, false), "{case}");
    assert_eq!(Some(&read(disk)), models.last(), "{case}");
    assert!(is_swept(disk, &sink), "{case}, behind all: {:?}", disk.names(PATH));
    sink.close().unwrap();
}

/// The storage calls of the workload where nothing fails.
fn calls() -> Vec<Call> {
    let disk = SimulatedDisk::new(5);
    let sink = open(&disk).unwrap();
    let reached = send_from(&sink, 0);
    assert_eq!(reached, Reached { applied: BATCHES, is_next_unknown: false, has_reserved: true });
    let calls = disk.calls();
    assert!(calls.contains(&Call::Remove), "segments are merged");
    assert_eq!(read(&disk), model(BATCHES));
    assert!(is_swept(&disk, &sink));
    calls
}

/// Gives how many runs ended in doubt.
fn each(fault: Fault, whens: &[When]) -> usize {
    let models: Vec<Live> = (0..=BATCHES).map(model).collect();
    let (calls, mut doubts) = (calls(), 0);
    for (number, call) in calls.iter().enumerate() {
        for when in whens {
            let case = format!("{fault:?} {when:?} call {number}, {call:?}");
            let disk = SimulatedDisk::new(5);
            disk.fail(At::Call(number as u64), *when, fault);
            let sink = open(&disk);
            let reached = sink.as_ref().map_or(Reached::default(), |sink| send_from(sink, 0));
            doubts += usize::from(reached.is_next_unknown);
            // The process is killed at this moment: it has not removed anything.
            for end in ends() {
                let fork = disk.fork();
                if let Some(choice) = end {
                    fork.power_cut(choice);
                }
                goes_on(&fork, reached, &models, &format!("{case}, then {end:?}"));
            }
        }
    }
    doubts
}

const ALL: [When; 3] = [When::Before, When::Midway, When::After];

#[test]
fn a_kill_at_every_call_leaves_each_batch_wholly_or_not_at_all() {
    assert!(each(Fault::Kill, &ALL) > 0);
}

#[test]
fn an_io_error_at_every_call_leaves_each_batch_as_it_was_answered() {
    assert!(each(Fault::Io, &ALL) > 0);
}

#[test]
fn no_space_at_every_call_leaves_each_batch_as_it_was_answered() {
    assert!(each(Fault::Full, &[When::Before, When::Midway]) > 0);
}

#[test]
fn a_transfer_that_is_short_or_interrupted_is_not_noticed() {
    for fault in [Fault::Short, Fault::Interrupted] {
        for number in 0..calls().len() as u64 {
            let disk = SimulatedDisk::new(5);
            disk.fail(At::Call(number), When::Before, fault);
            let sink = open(&disk).unwrap();
            assert_eq!(send_from(&sink, 0).applied, BATCHES, "{fault:?} at call {number}");
            disk.power_cut(PowerCut::LOST);
            disk.restart();
            assert_eq!(read(&disk), model(BATCHES), "{fault:?} at call {number}");
        }
    }
}

#[test]
fn a_disk_that_stays_full_keeps_what_is_there_and_takes_all_once_it_has_room() {
    let disk = SimulatedDisk::new(5);
    let sink = open(&disk).unwrap();
    assert_eq!(one_answer(&sink, &Batch { items: items(0), bytes: 0 }), Outcome::Applied);
    disk.set_capacity(disk.used());
    assert_eq!(send_from(&sink, 1), Reached { applied: 1, ..Reached::default() });
    assert_eq!(read(&disk), model(1));
    assert!(is_swept(&disk, &sink), "{:?}", disk.names(PATH));
    disk.set_capacity(u64::MAX);
    assert_eq!(send_from(&sink, 1).applied, BATCHES);
    assert_eq!(read(&disk), model(BATCHES));
}

#[test]
fn an_engine_stops_with_a_store_that_takes_no_more_and_the_next_one_sends_what_was_left() {
    let (disk, journal) = (SimulatedDisk::new(5), tempfile::tempdir().unwrap());
    let engine = |disk: &SimulatedDisk| {
        let sink = Arc::new(open(disk).unwrap());
        let builder = Engine::builder().journal(journal.path(), Journal::Always);
        builder.build(Arc::clone(&sink) as _, Some(sink)).unwrap()
    };
    let stopped = engine(&disk);
    for id in ["a", "b"] {
        let action = Action::Update(br#"{"inc":{"n":1},"doc_as_upsert":true}"#);
        stopped.submit(Operation { index: "i", id, routing: None, action }).unwrap();
    }
    disk.fail(At::Every(Call::SyncAll), When::Before, Fault::Io);
    let error = stopped.close(Duration::from_hours(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Latched);
    assert!(error.to_string().contains("the sink has stopped"), "{error}");
    drop(stopped);
    disk.kill();
    disk.restart();
    let next = engine(&disk);
    next.close(Duration::from_hours(1)).unwrap();
    for id in ["a", "b"] {
        assert_eq!(&*next.get("i", id).unwrap().unwrap().source, br#"{"n":1}"#);
    }
}
