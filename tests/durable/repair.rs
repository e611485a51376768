//! Journals that opening refuses, and what their repair leaves.

use crate::{
    disk::{At, Fault, PowerCut, SimulatedDisk, When},
    named::{DIRECTORY, Outside, count, operation},
};
use millpond::{
    Action, Engine, ErrorKind, Journal, Next, Operation, Takes,
    journals::{DROPPED_FILE, Repair, Repaired},
};
use std::{sync::Arc, time::Duration};

const KEYS: u64 = 5;
const SOURCE: &str = "lines";

fn key(position: u64) -> String {
    format!("k{}", position % KEYS)
}

/// Delivers positions, of which those that were accepted before do not count.
fn deliver(engine: &Engine, positions: std::ops::Range<u64>, body: &str) {
    let mut source = engine.source(SOURCE).unwrap();
    for position in positions {
        let action = Action::Update(body.as_bytes());
        source.submit(position, Operation { action, ..operation(&key(position)) }).unwrap();
    }
}

const ADD: &str = r#"{"inc":{"n":1},"doc_as_upsert":true}"#;

/// Fills a file with a few hundred operations.
fn large() -> String {
    format!(r#"{{"inc":{{"n":1}},"doc":{{"t":"{}"}},"doc_as_upsert":true}}"#, "x".repeat(400))
}

/// How many operations the documents come to, which must be the first so many.
fn prefix(engine: &Engine, what: &str) -> u64 {
    let counts: Vec<u64> = (0..KEYS)
        .map(|position| {
            let found = engine.get("i", &key(position)).unwrap();
            let text =
                found.map_or_else(String::new, |found| String::from_utf8(found.source.to_vec()).unwrap());
            let digits = text.split(r#""n":"#).nth(1).unwrap_or("0");
            digits.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
        })
        .collect();
    let sum = counts.iter().sum();
    let expected: Vec<u64> =
        (0..KEYS).map(|key| (0..sum).filter(|position| position % KEYS == key).count() as u64).collect();
    assert_eq!(counts, expected, "{what}: not the first {sum}");
    sum
}

fn plan(disk: &SimulatedDisk) -> millpond::Result<Option<Repair>> {
    Repair::plan_on(Arc::new(disk.clone()), DIRECTORY)
}

fn repair(disk: &SimulatedDisk) -> Repaired {
    plan(disk).unwrap().unwrap().carry_out().unwrap()
}

fn dropped_lines(disk: &SimulatedDisk, repaired: &Repaired) -> Vec<String> {
    let bytes = disk.read_file(repaired.directory.join(DROPPED_FILE)).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The state of a disk after so many operations, with the process gone.
fn written(operations: u64, body: &str) -> Outside {
    let outside = Outside::new();
    let engine = outside.open(Journal::Always).unwrap();
    deliver(&engine.0, 0..operations, body);
    outside.disk.kill();
    drop(engine);
    outside.disk.restart();
    outside
}

/// A copy of a disk.
fn copy(disk: &SimulatedDisk) -> SimulatedDisk {
    let copy = disk.fork();
    copy.restart();
    copy
}

/// The same, on another disk.
fn on(outside: &Outside, disk: SimulatedDisk) -> Outside {
    Outside { disk, clock: outside.clock.clone(), sink: Arc::clone(&outside.sink) }
}

fn flip(disk: &SimulatedDisk, file: &str, at: usize) {
    let path = format!("{DIRECTORY}/{file}");
    let mut bytes = disk.read_file(&path).unwrap();
    bytes[at] ^= 0x40;
    disk.write_file(&path, &bytes).unwrap();
}

/// Bytes of a file that are not zero to its end.
fn used(disk: &SimulatedDisk, file: &str) -> usize {
    let bytes = disk.read_file(format!("{DIRECTORY}/{file}")).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1
}

/// Where a source's mark is the number of operations that count, and it delivers the rest.
fn goes_on(outside: &Outside, operations: u64, body: &str, what: &str) -> u64 {
    let (engine, drainer) = outside.open(Journal::Always).unwrap_or_else(|error| panic!("{what}: {error}"));
    let kept = prefix(&engine, what);
    let mark = engine.source(SOURCE).unwrap().mark();
    assert_eq!(mark.map_or(0, |mark| mark + 1), kept, "{what}: the source is to go on where it is");
    deliver(&engine, 0..operations, body);
    assert_eq!(prefix(&engine, what), operations, "{what}");
    drop((engine, drainer));
    kept
}

#[test]
fn of_a_wrong_byte_anywhere_the_prefix_before_it_is_kept_and_the_source_delivers_the_rest() {
    const OPERATIONS: u64 = 40;
    let outside = written(OPERATIONS, ADD);
    let file = outside.files().remove(0);
    let mut repaired = 0;
    for at in (0..used(&outside.disk, &file)).step_by(3) {
        let what = format!("byte {at}");
        let flipped = on(&outside, copy(&outside.disk));
        flip(&flipped.disk, &file, at);
        let dropped = plan(&flipped.disk).unwrap().map(|plan| {
            repaired += 1;
            let (lines, nameless) = (plan.operations_dropped(), plan.operations_nameless());
            assert_eq!(plan.carry_out().unwrap().lines, lines, "{what}");
            lines + nameless
        });
        let kept = goes_on(&flipped, OPERATIONS, ADD, &what);
        match dropped {
            // The one with the byte cannot be read. Without the file's header nothing can be.
            Some(dropped) if at >= 64 => {
                assert!(kept + dropped + 1 >= OPERATIONS, "{what}: {kept}, {dropped}");
            }
            Some(dropped) => assert_eq!((kept, dropped), (0, 0), "{what}"),
            None => assert!(kept + 1 >= OPERATIONS, "{what}: only the last may have been torn, not {kept}"),
        }
    }
    assert!(repaired > 300, "{repaired} were refused");
}

#[test]
fn what_is_dropped_can_be_submitted_again_from_the_lines_that_are_left_of_it() {
    let outside = written(30, ADD);
    let file = outside.files().remove(0);
    flip(&outside.disk, &file, used(&outside.disk, &file) / 2);
    let spoilt = outside.disk.read_file(format!("{DIRECTORY}/{file}")).unwrap();
    let error = outside.open(Journal::Always).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    let plan = plan(&outside.disk).unwrap().unwrap();
    let told = plan.to_string();
    let why = told.lines().next().and_then(|line| line.strip_prefix("cut: ")).unwrap();
    assert!(
        error.message().starts_with(why) && error.message().contains("journal repair journal"),
        "{told}\n{error}"
    );
    assert!(told.contains(&format!("drops: {} operations", plan.operations_dropped())), "{told}");
    assert!(told.contains("i/k0") && told.contains("\"lines\" has to go on behind position"), "{told}");
    let repaired = plan.carry_out().unwrap();
    let lines = dropped_lines(&outside.disk, &repaired);
    let (engine, _drainer) = outside.open(Journal::Always).unwrap();
    let kept = prefix(&engine, "repaired");
    assert_eq!(lines.len() as u64, 2 * (30 - kept - 1));
    // The one that cannot be read is the one behind what is kept.
    engine.submit(operation(&key(kept))).unwrap();
    for pair in lines.chunks(2) {
        let id = pair[0].split(r#""_id":""#).nth(1).unwrap().split('"').next().unwrap();
        let action = Action::Update(pair[1].as_bytes());
        engine.submit(Operation { action, ..operation(id) }).unwrap();
    }
    assert_eq!(prefix(&engine, "with the lines"), 30);
    assert_eq!(
        outside.disk.read_file(repaired.directory.join(&file)).unwrap(),
        spoilt,
        "the file is there as it was"
    );
}

#[test]
fn an_old_put_is_not_sent_again_where_what_cannot_be_read_is_what_came_after_it() {
    let outside = Outside::new();
    let engine = outside.open(Journal::Always).unwrap();
    let put = |id: &'static str, body: &'static str| Operation {
        action: Action::Index(body.as_bytes()),
        ..operation(id)
    };
    engine.0.submit(put("a", r#"{"v":1}"#)).unwrap();
    let first_end = used(&outside.disk, &outside.files()[0]);
    engine.0.submit(put("b", r#"{"v":1}"#)).unwrap();
    engine.0.submit(put("a", r#"{"v":2}"#)).unwrap();
    outside.drain(&engine.1);
    engine.0.submit(put("c", r#"{"v":1}"#)).unwrap();
    outside.disk.kill();
    drop(engine);
    outside.disk.restart();
    flip(&outside.disk, &outside.files()[0], first_end + 40);
    let sends = outside.sink.sends();
    let repaired = repair(&outside.disk);
    // Of what is behind, the newer put of `a` had settled, and `c` had not.
    assert_eq!(dropped_lines(&outside.disk, &repaired)[0], r#"{"index":{"_index":"i","_id":"c"}}"#);
    assert_eq!(repaired.lines, 1);
    let (engine, drainer) = outside.open(Journal::Always).unwrap();
    outside.drain(&drainer);
    assert_eq!(outside.sink.sends(), sends, "nothing is left to be sent");
    assert_eq!(count(&engine, "a"), r#"{"v":2}"#);
}

#[test]
fn a_flight_that_the_sink_may_have_goes_out_as_it_was() {
    let outside = Outside::with(Takes::NetOperations);
    let engine = outside.open(Journal::Always).unwrap();
    for _ in 0..3 {
        engine.0.submit(operation("a")).unwrap();
    }
    outside.clock.advance(Duration::from_secs(61));
    let Next::Send(flights) = engine.1.next().unwrap() else { panic!("it is due") };
    let sent: Vec<_> = flights.batch().items.iter().map(|item| (item.first_seq, item.last_seq)).collect();
    engine.0.submit(operation("a")).unwrap();
    let end = used(&outside.disk, &outside.files()[0]);
    engine.0.submit(operation("a")).unwrap();
    engine.0.submit(operation("a")).unwrap();
    outside.disk.kill();
    drop(flights);
    drop(engine);
    outside.disk.restart();
    flip(&outside.disk, &outside.files()[0], end + 40);
    assert_eq!(repair(&outside.disk).lines, 1);
    let (_engine, drainer) = outside.open(Journal::Always).unwrap();
    outside.clock.advance(Duration::from_hours(1));
    let Next::Send(flights) = drainer.next().unwrap() else { panic!("it is due") };
    let again: Vec<_> = flights.batch().items.iter().map(|item| (item.first_seq, item.last_seq)).collect();
    assert_eq!((again, sent.len()), (sent, 1));
    assert_eq!(flights.batch().items[0].operations, 3);
}

#[test]
fn without_a_file_or_its_header_what_is_before_it_is_kept() {
    const OPERATIONS: u64 = 500;
    let outside = written(OPERATIONS, &large());
    let files = outside.files();
    assert!(files.len() >= 3, "{files:?}");
    for (at, file) in files.iter().enumerate() {
        let what = format!("file {at} of {}", files.len());
        let spoilt = on(&outside, copy(&outside.disk));
        flip(&spoilt.disk, file, 20);
        assert_eq!(spoilt.open(Journal::Always).unwrap_err().kind(), ErrorKind::Damaged, "{what}");
        repair(&spoilt.disk);
        let kept = goes_on(&spoilt, OPERATIONS, &large(), &what);
        assert_eq!(kept == 0, at == 0, "{what}: {kept}");
    }
    let gone = on(&outside, copy(&outside.disk));
    millpond::disk::Disk::remove(&gone.disk, format!("{DIRECTORY}/{}", files[1]).as_ref()).unwrap();
    assert_eq!(gone.open(Journal::Always).unwrap_err().kind(), ErrorKind::Damaged);
    repair(&gone.disk);
    let kept = goes_on(&gone, OPERATIONS, &large(), "without the second");
    assert!((50..OPERATIONS / 2).contains(&kept), "{kept}");
}

#[test]
fn without_the_oldest_file_a_journal_is_refused_and_what_is_there_is_kept() {
    let outside = written(500, &large());
    let files = outside.files();
    millpond::disk::Disk::remove(&outside.disk, format!("{DIRECTORY}/{}", files[0]).as_ref()).unwrap();
    let error = outside.open(Journal::Always).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert!(error.to_string().contains("nothing says that file 1 was removed"), "{error}");
    let plan = plan(&outside.disk).unwrap().unwrap();
    assert_eq!((plan.operations_dropped(), plan.bytes_unreadable()), (0, 0), "{plan}");
    assert_eq!(plan.carry_out().unwrap().lines, 0);
    let (engine, _drainer) = outside.open(Journal::Always).unwrap();
    assert_eq!(engine.source(SOURCE).unwrap().mark(), Some(499));
    let restored = engine.stats().operations_restored;
    assert!((250..450).contains(&restored), "{restored}");
}

#[test]
fn seqs_begin_above_all_that_can_be_read_on_both_sides() {
    let outside = Outside::new();
    let engine = outside.open(Journal::Always).unwrap();
    engine.0.submit(operation("a")).unwrap();
    let end = used(&outside.disk, &outside.files()[0]);
    engine.0.submit(operation("a")).unwrap();
    let last = engine.0.submit(operation("a")).unwrap();
    outside.disk.kill();
    drop(engine);
    outside.disk.restart();
    flip(&outside.disk, &outside.files()[0], end + 40);
    repair(&outside.disk);
    outside.clock.set_wall_us(1_000_000);
    let (engine, _drainer) = outside.open(Journal::Always).unwrap();
    assert!(engine.submit(operation("b")).unwrap() > last);
}

#[test]
fn a_sound_journal_has_nothing_to_repair_and_one_that_is_in_use_is_refused() {
    let outside = Outside::new();
    let engine = outside.open(Journal::Always).unwrap();
    engine.0.submit(operation("a")).unwrap();
    let error = plan(&outside.disk.of_process()).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    drop(engine);
    assert!(plan(&outside.disk).unwrap().is_none());
    let error = Repair::plan_on(Arc::new(outside.disk.clone()), "elsewhere").unwrap_err();
    assert!(error.to_string().contains("elsewhere"), "{error}");
}

/// A repair that a fault meets at any of its calls, and then another.
fn repair_that_fails(fault: Fault, whens: &[When]) {
    const OPERATIONS: u64 = 400;
    let outside = written(OPERATIONS, &large());
    let files = outside.files();
    assert!(files.len() >= 2, "{files:?}");
    flip(&outside.disk, &files[0], used(&outside.disk, &files[0]) / 2);
    let whole = on(&outside, copy(&outside.disk));
    let lines = repair(&whole.disk).lines;
    let kept = goes_on(&whole, OPERATIONS, &large(), "no fault");
    let calls = {
        let disk = copy(&outside.disk);
        let before = disk.calls().len();
        repair(&disk);
        disk.calls().into_iter().enumerate().skip(before)
    };
    // Of reads, which are many, some.
    let calls = calls.filter(|(number, call)| call.is_change() || number % 16 == 0);
    for (call, _) in calls {
        for when in whens {
            let what = format!("{fault:?} {when:?} call {call}");
            let disk = copy(&outside.disk);
            disk.fail(At::Call(call as u64), *when, fault);
            let ended = plan(&disk).and_then(|plan| plan.unwrap().carry_out());
            disk.heal();
            if ended.is_err() {
                if call % 2 == 0 {
                    disk.power_cut(PowerCut::MIXED);
                } else {
                    disk.kill();
                }
                disk.restart();
            }
            if let Some(plan) = plan(&disk).unwrap_or_else(|error| panic!("{what}: {error}")) {
                assert!(ended.is_err(), "{what}: it was done");
                assert_eq!(plan.operations_dropped(), lines, "{what}");
                plan.carry_out().unwrap_or_else(|error| panic!("{what}: {error}"));
            }
            let outside = on(&outside, disk);
            assert_eq!(goes_on(&outside, OPERATIONS, &large(), &what), kept, "{what}");
        }
    }
}

const ALL: [When; 3] = [When::Before, When::Midway, When::After];

#[test]
fn a_repair_that_is_killed_at_any_call_of_the_storage_can_be_done_again() {
    repair_that_fails(Fault::Kill, &ALL);
}

#[test]
fn a_repair_that_meets_an_error_or_a_full_disk_at_any_call_can_be_done_again() {
    repair_that_fails(Fault::Io, &ALL);
    repair_that_fails(Fault::Full, &[When::Before]);
}
