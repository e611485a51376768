//! The bank, its accounts and its latch under many schedules: see `sync/schedules.rs`.
//!
//! The drain is a few lines here: it takes, and settles or puts back as the schedule has it. What it settles it writes
//! down, as a sink would.

use super::{INDEX, PLENTY};
use crate::{
    Action, NetOperation,
    merge::{NetRef, encode},
    shard::{
        Accepted, Bank, Demand, Flight, Garbage, Kind, Memory, Refusal, Refused, Settlement, Shard,
        Submission, Taken, Verdict,
    },
    sync::{
        Condvar, Latch, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        schedules::{explore, toss},
        scope,
    },
};
use std::time::Duration;

const COUNT: &str = r#"{"inc":{"n":1},"doc_as_upsert":true}"#;
const SHARDS: usize = 2;
/// Waits have no end here.
const LONG: Duration = Duration::from_secs(1);

fn bank(memory_bytes: usize) -> Bank {
    let bank = Bank::new(SHARDS, memory_bytes, 0, 7, 100);
    bank.raise_ceiling(u64::MAX);
    bank
}

fn offer(bank: &Bank, id: &str, body: &str) -> Result<Accepted, Refused> {
    let action = Action::Update(body.as_bytes());
    let mut encoded = Vec::new();
    encode(action, &mut encoded).expect("a good operation");
    let submission = Submission {
        routing: None,
        kind: Kind::of(action),
        net: NetRef::from_bytes(&encoded),
        ticket: None,
        now_us: 0,
        stamp_us: 0,
        bytes: encoded.len(),
    };
    bank.submit(INDEX, id, bank.place(INDEX, id), &submission, |_| ())
}

/// Takes all that a shard has, as the drain does.
fn take(bank: &Bank, shard: usize) -> Vec<Flight> {
    let (mut room, mut taken) = (PLENTY, Taken::default());
    taken.prepare(1);
    let demand = Demand::UpTo { seq: u64::MAX };
    bank.with(shard, |shard| shard.take(demand, 0, &mut room, &mut taken));
    taken.flights
}

/// Settles a flight; false if it was not out.
fn settle(bank: &Bank, flight: &Flight) -> bool {
    let verdict = Verdict::Done { existed: Some(true), noop: false };
    let settlement = Settlement { verdict, known: None, hold_until_us: 0, sent_bytes: Some(1), misfits: 0 };
    let mut garbage = Garbage::default();
    bank.with(flight.shard as usize, |shard| shard.settle(flight, settlement, 0, &mut garbage)).is_some()
}

fn put_back(bank: &Bank, flight: &Flight) -> bool {
    bank.with(flight.shard as usize, |shard| shard.put_back(flight, true, 0)).is_some()
}

/// One operation that was accepted.
type Entry = (&'static str, u64);

/// Some operations of a key that left the bank together.
struct Left {
    id: String,
    first_seq: u64,
    last_seq: u64,
    operations: u64,
    /// What they add up to.
    sum: u64,
}

impl Left {
    fn new(id: &str, net: &NetOperation, seqs: (u64, u64), operations: u64) -> Self {
        let document = net.apply(None).document.expect("an upsert");
        let document: serde_json::Value = serde_json::from_slice(&document).expect("JSON");
        let sum = document["n"].as_u64().expect("a counter");
        Self { id: id.to_owned(), first_seq: seqs.0, last_seq: seqs.1, operations, sum }
    }

    fn by(flight: &Flight) -> Self {
        Self::new(&flight.id, &flight.net, (flight.first_seq, flight.last_seq), flight.operations)
    }
}

/// Hands back all that is left.
fn abandon(bank: &Bank) -> Vec<Left> {
    let all = (0..SHARDS).flat_map(|shard| bank.with(shard, Shard::abandon));
    all.map(|left| Left::new(&left.id, &left.net, (left.first_seq, left.last_seq), left.operations)).collect()
}

/// Every accepted operation left once, with others of its key that were accepted next to it, and counted once.
fn check_ledger(bank: &Bank, accepted: &[Entry], left: &[Left]) {
    for (id, seq) in accepted {
        let with_it =
            left.iter().filter(|left| left.id == *id && (left.first_seq..=left.last_seq).contains(seq));
        assert_eq!(with_it.count(), 1, "{id} {seq}");
        let shard = |id: &str| bank.place(INDEX, id).shard;
        let twins = accepted.iter().filter(|other| other.1 == *seq && shard(other.0) == shard(id));
        assert_eq!(twins.count(), 1, "{seq} was given twice in a shard");
    }
    for left in left {
        let folded = accepted
            .iter()
            .filter(|(id, seq)| *id == left.id && (left.first_seq..=left.last_seq).contains(seq));
        let folded = folded.count() as u64;
        assert_eq!((left.operations, left.sum), (folded, folded), "{} {}", left.id, left.first_seq);
    }
}

/// The bank's invariants; and what is drawn is what shards weigh and have as their credit. For when nobody is at it.
fn check_accounts(bank: &Bank) {
    assert_eq!(bank.validate(), Ok(()));
    let held = |shard: &mut Shard| (shard.weight().total, *shard.credit_mut());
    let held: Vec<_> = (0..SHARDS).map(|shard| bank.with(shard, held)).collect();
    let weight: usize = held.iter().map(|(weight, _)| weight).sum();
    let credits: usize = held.iter().map(|(_, credit)| credit).sum();
    assert_eq!((bank.memory.used(), bank.memory.granted()), (weight, weight + credits));
}

/// Submits to keys in turn; what was accepted. Sequence numbers of a shard rise.
fn write(bank: &Bank, ids: &[&'static str]) -> Vec<Entry> {
    let mut last = [0; SHARDS];
    let submit = |id: &&'static str| {
        let seq = offer(bank, id, COUNT).expect("there is room").seq;
        let shard = bank.place(INDEX, id).shard;
        assert!(std::mem::replace(&mut last[shard], seq) < seq, "{seq} after {last:?}");
        (*id, seq)
    };
    ids.iter().map(submit).collect()
}

/// Takes from each shard some times, and settles or puts back. A flight that settled cannot settle again, whatever is
/// out by then.
fn drain(bank: &Bank, rounds: usize) -> Vec<Left> {
    let (mut left, mut old): (Vec<Left>, Vec<Flight>) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        for flight in take(bank, round % SHARDS) {
            for old in &old {
                assert!(!settle(bank, old), "settled twice");
            }
            if toss() {
                assert!(settle(bank, &flight), "a flight that was out");
                left.push(Left::by(&flight));
                old.push(flight);
            } else {
                assert!(put_back(bank, &flight), "a flight that was out");
            }
        }
    }
    left
}

#[test]
fn every_accepted_operation_settles_once_or_is_still_there() {
    explore(|| {
        let bank = bank(64 * 1024);
        let (accepted, mut left) = scope(|scope| {
            let writers = [["a", "b", "a"], ["a", "c", "c"]].map(|ids| {
                let bank = &bank;
                scope.spawn(move || write(bank, &ids))
            });
            let drains = [3, 3].map(|rounds| {
                let bank = &bank;
                scope.spawn(move || drain(bank, rounds))
            });
            let accepted: Vec<Entry> =
                writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
            let left: Vec<Left> = drains.into_iter().flat_map(|drain| drain.join().unwrap()).collect();
            (accepted, left)
        });
        check_accounts(&bank);
        left.extend(abandon(&bank));
        check_ledger(&bank, &accepted, &left);
        check_accounts(&bank);
    });
}

#[test]
fn nothing_is_accepted_once_sealed_and_what_was_settles_or_is_handed_back() {
    explore(|| {
        let bank = bank(64 * 1024);
        let is_sealed = AtomicBool::new(false);
        let write = |id: &'static str| {
            let mut accepted: Vec<Entry> = Vec::new();
            for _ in 0..4 {
                let was_sealed = is_sealed.load(Ordering::SeqCst);
                match offer(&bank, id, COUNT) {
                    Ok(_) if was_sealed => panic!("accepted after the seal"),
                    Ok(taken) => accepted.push((id, taken.seq)),
                    Err(refused) => {
                        assert_eq!(refused, Refused::Shard(Refusal::Sealed));
                        break;
                    }
                }
            }
            accepted
        };
        let (accepted, left) = scope(|scope| {
            let writers = ["a", "b"].map(|id| scope.spawn(move || write(id)));
            // What it still has out when the bank is emptied finds nothing to settle, and was handed back.
            let drain = scope.spawn(|| {
                let mut left = Vec::new();
                for flight in (0..2 * SHARDS).flat_map(|round| take(&bank, round % SHARDS)) {
                    if settle(&bank, &flight) {
                        left.push(Left::by(&flight));
                    }
                }
                left
            });
            let closer = scope.spawn(|| {
                (0..SHARDS).for_each(|shard| bank.with(shard, Shard::seal));
                is_sealed.store(true, Ordering::SeqCst);
                abandon(&bank)
            });
            let accepted: Vec<Entry> =
                writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
            let mut left = drain.join().unwrap();
            left.extend(closer.join().unwrap());
            (accepted, left)
        });
        check_ledger(&bank, &accepted, &left);
        check_accounts(&bank);
    });
}

#[test]
fn no_operation_gets_a_number_at_or_below_a_watermark_and_none_below_it_is_unsettled() {
    explore(|| {
        let bank = bank(64 * 1024);
        let watermark = AtomicU64::new(0);
        scope(|scope| {
            for ids in [["a", "b"], ["c", "a"]] {
                let (bank, watermark) = (&bank, &watermark);
                scope.spawn(move || {
                    for id in ids {
                        let published = watermark.load(Ordering::SeqCst);
                        let seq = offer(bank, id, COUNT).expect("there is room").seq;
                        assert!(seq > published, "{seq} at or below {published}");
                    }
                });
            }
            scope.spawn(|| drain(&bank, 3));
            scope.spawn(|| {
                for wall_us in [0, 200, 150] {
                    let new = bank.watermark(wall_us);
                    assert!(watermark.swap(new, Ordering::SeqCst) <= new, "it moved back to {new}");
                    let unsettled =
                        (0..SHARDS).filter_map(|shard| bank.with(shard, |shard| shard.first_unsettled()));
                    unsettled.for_each(|seq| assert!(seq > new, "{seq} has not settled, below {new}"));
                }
            });
        });
    });
}

/// Somebody to be woken: the drain's bell.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    sound: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock() = true;
        self.sound.notify_all();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock();
        while !std::mem::take(&mut *rung) {
            self.sound.wait(&mut rung);
        }
    }
}

#[test]
fn whoever_waits_for_room_is_let_in_when_some_comes_free_and_the_bound_holds() {
    explore(|| {
        const EACH: usize = 3;
        // Room for three or four entries.
        let (bank, bell) = (bank(1024), Bell::default());
        let within = || assert!(bank.memory.granted() <= bank.memory.bound() / 8 * 7, "over the bound");
        scope(|scope| {
            for ids in [["a", "b", "c"], ["d", "e", "f"]] {
                let (bank, bell) = (&bank, &bell);
                scope.spawn(move || {
                    for id in ids {
                        let mut waiter = None;
                        while let Err(refused) = offer(bank, id, COUNT) {
                            assert!(matches!(refused, Refused::Full { .. }), "{refused:?}");
                            bell.ring();
                            match &mut waiter {
                                None => waiter = Some(bank.memory.line_up()),
                                Some(waiter) => waiter.wait(LONG),
                            }
                        }
                        within();
                        bell.ring();
                    }
                });
            }
            // Nobody is woken but by what flights give back when they settle.
            scope.spawn(|| {
                let mut settled = 0;
                while settled < 2 * EACH {
                    for flight in (0..SHARDS).flat_map(|shard| take(&bank, shard)) {
                        assert!(settle(&bank, &flight));
                        settled += 1;
                        within();
                    }
                    if settled < 2 * EACH {
                        bell.wait();
                    }
                }
            });
        });
        check_accounts(&bank);
    });
}

#[test]
fn what_is_out_at_once_stays_within_the_buffers_share_or_is_one_alone() {
    explore(|| {
        let memory = Memory::new(800, 1);
        let out: Mutex<Vec<usize>> = Mutex::default();
        scope(|scope| {
            for bytes in [60, 40, 150] {
                let (memory, out) = (&memory, &out);
                scope.spawn(move || {
                    for _ in 0..2 {
                        if memory.reserve_buffer(bytes) {
                            let mut all = out.lock();
                            all.push(bytes);
                            let sum: usize = all.iter().sum();
                            assert!(sum <= memory.buffer_bytes() || all.len() == 1, "{:?}", *all);
                            drop(all);
                            let mut all = out.lock();
                            let at = all.iter().position(|out| *out == bytes).expect("it is out");
                            all.remove(at);
                            drop(all);
                            memory.release_buffer(bytes);
                        }
                    }
                });
            }
        });
        assert_eq!(memory.used(), 0);
    });
}

#[test]
fn whoever_finds_the_latch_set_finds_the_first_reason_and_everybody_the_same() {
    explore(|| {
        let latch = Latch::default();
        let said = scope(|scope| {
            let latch = &latch;
            let setters = ["one", "other"].map(|reason| {
                scope.spawn(move || {
                    latch.set(reason);
                    Some(latch.check().expect_err("it is set").to_string())
                })
            });
            let reader = scope.spawn(move || latch.check().err().map(|error| error.to_string()));
            setters.into_iter().chain([reader]).map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let said: Vec<String> = said.into_iter().flatten().collect();
        assert!(said.iter().all(|reason| *reason == said[0]), "{said:?}");
        assert!(!said[0].contains("unknown"), "{said:?}");
    });
}
