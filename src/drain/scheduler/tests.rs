//! Tests of the scheduler as a plain machine.

use super::{Look, Pace, Scheduler, Step, Turn};
use crate::{
    Action, Batch, Expects, Item, ItemAction,
    document::IndexId,
    drain::{
        Dispatch, Flying,
        lanes::Answered,
        limiter::{Bounds, Flown, Limiter, Place, Setting},
    },
    merge::{NetRef, encode},
    shard::{Bank, Demand, Flight, Kind, Pick, Room, Submission, Taken},
};

const PACE: Pace = Pace { max_delay_us: 16_000, batch_bytes: 1_000, batch_operations: 3 };

const BOUNDS: Bounds = Bounds { most: Setting { requests: 4, bytes: 1_000 }, together: 4_000 };

fn scheduler() -> Scheduler {
    Scheduler::new(PACE, 4, Limiter::fixed(BOUNDS), false)
}

/// One of a sink that adapts; so many may be out.
fn adapting(requests: usize) -> Scheduler {
    let most = Setting { requests, ..BOUNDS.most };
    Scheduler::new(PACE, 4, Limiter::fixed(Bounds { most, ..BOUNDS }), true)
}

/// What it does, of one index.
fn next(scheduler: &mut Scheduler, now_us: u64, pressure: usize) -> Step {
    scheduler.next(&Look { now_us, pressure, indices: 1, ..Look::default() })
}

/// Of the only index that there is nothing was taken.
fn fail(scheduler: &mut Scheduler, now_us: u64, asked_us: u64) {
    let answer = Answered { index: IndexId(0), is_taken: false, asked_us };
    let mut limiter = Limiter::fixed(BOUNDS);
    scheduler.answered(&[answer], limiter.take(now_us), now_us);
}

/// Flights as a shard makes them, of this size as items.
fn flying(count: usize, bytes: usize) -> Vec<(Flying, Item)> {
    let bank = Bank::new(1, 1 << 20, 0, 1, 0);
    bank.raise_ceiling(u64::MAX);
    let mut encoded = Vec::new();
    encode(Action::Delete, &mut encoded).expect("good");
    for n in 0..count {
        let submission = Submission {
            routing: None,
            kind: Kind::Delete,
            net: NetRef::from_bytes(&encoded),
            ticket: None,
            now_us: 0,
            stamp_us: 0,
            bytes: 1,
        };
        let id = n.to_string();
        bank.submit(IndexId(0), &id, bank.place(IndexId(0), &id), &submission, |_| ()).expect("room");
    }
    let (mut room, mut taken) =
        (Room { bytes: usize::MAX, operations: usize::MAX, pick: Pick::Except(&[]) }, Taken::default());
    bank.with(0, |shard| shard.take(Demand::UpTo { seq: u64::MAX }, 0, &mut room, &mut taken));
    taken.flights.into_iter().map(|flight| pair(flight, bytes)).collect()
}

fn pair(flight: Flight, bytes: usize) -> (Flying, Item) {
    let item = Item {
        index: "i".into(),
        id: flight.id.as_str().into(),
        routing: None,
        action: ItemAction::Delete,
        first_seq: flight.first_seq,
        last_seq: flight.last_seq,
        operations: 1,
        repeatable: true,
        expects: Expects::Anything,
        attempt: 0,
    };
    let flying = Flying { flight, existed: None, bytes, is_buffered: false, misfits: 0, trouble: None };
    (flying, item)
}

fn taken(step: Step) -> (Vec<Demand>, usize, Box<[u64]>) {
    let Step::Take { demands, first, flush_to, .. } = step else { panic!("{step:?}") };
    (demands, first, flush_to)
}

fn again(step: Step) -> Vec<String> {
    let Step::Again(again, _) = step else { panic!("{step:?}") };
    again.into_iter().map(|(_, item)| item.id.to_string()).collect()
}

#[test]
fn entries_are_due_at_seven_eighths_of_the_delay_and_looked_at_every_sixteenth() {
    let mut scheduler = scheduler();
    assert_eq!(taken(next(&mut scheduler, 13_999, 0)).0, [Demand::Urgent], "nothing can be due yet");
    assert_eq!(taken(next(&mut scheduler, 20_000, 0)).0, [Demand::Urgent, Demand::Due { arrived_us: 6_000 }]);
    assert_eq!(scheduler.look_again_us(20_000), 21_000);
}

#[test]
fn pressure_is_shared_among_the_shards_and_worth_a_part_of_a_batch() {
    let mut scheduler = scheduler();
    let demand = |scheduler: &mut Scheduler, pressure| *taken(next(scheduler, 0, pressure)).0.last().unwrap();
    assert_eq!(demand(&mut scheduler, 1), Demand::Pressure { bytes: 250 / 4 + 1 });
    assert_eq!(demand(&mut scheduler, 4_000), Demand::Pressure { bytes: 1_001 });
}

#[test]
fn flush_targets_never_fall_and_the_walk_goes_on_where_it_stopped() {
    let mut scheduler = scheduler();
    scheduler.flush(1, 50);
    scheduler.flush(1, 40);
    scheduler.flush(3, 7);
    scheduler.flush(9, 7);
    scheduler.stopped_at(2);
    let (_, first, flush_to) = taken(next(&mut scheduler, 0, 0));
    assert_eq!((first, &*flush_to), (2, &[0, 50, 0, 7][..]));
}

#[test]
fn nothing_is_sent_before_a_pause_is_over_and_pauses_grow_until_something_is_taken() {
    let mut scheduler = scheduler();
    let mut last = 0;
    for failure in 0..5 {
        fail(&mut scheduler, last, 0);
        let Step::Pause { until_us } = next(&mut scheduler, last, 0) else { panic!("failure {failure}") };
        assert!(until_us > last);
        assert!(scheduler.look_again_us(last) >= until_us);
        last = until_us;
    }
    taken(next(&mut scheduler, last, 0));
    let taken_again = Answered { index: IndexId(0), is_taken: true, asked_us: 0 };
    scheduler.answered(&[taken_again], Place::default(), last);
    fail(&mut scheduler, last, 0);
    let Step::Pause { until_us } = next(&mut scheduler, last, 0) else { panic!("no pause") };
    assert!(until_us - last <= crate::drain::retry::BACKOFF_FIRST_US, "it begins again from the first wait");
    fail(&mut scheduler, last, 9_000_000);
    let Step::Pause { until_us } = next(&mut scheduler, last, 0) else { panic!("no pause") };
    assert_eq!(until_us, last + 9_000_000, "as long as the sink asked for");
}

#[test]
fn a_parked_flight_comes_back_once_when_it_is_due_and_before_anything_is_taken() {
    let mut scheduler = scheduler();
    for (due_us, (flying, item)) in [300, 100, 200].into_iter().zip(flying(3, 10)) {
        scheduler.park(due_us, flying, item);
    }
    taken(next(&mut scheduler, 99, 0));
    assert_eq!(scheduler.look_again_us(99), 100);
    assert_eq!(again(next(&mut scheduler, 250, 0)), ["1", "2"]);
    taken(next(&mut scheduler, 250, 0));
    assert_eq!(again(next(&mut scheduler, 300, 0)), ["0"]);
    taken(next(&mut scheduler, 10_000, 0));
}

#[test]
fn what_was_parked_goes_out_within_the_bounds_of_a_batch() {
    let mut scheduler = scheduler();
    for (flying, item) in flying(7, 10) {
        scheduler.park(5, flying, item);
    }
    assert_eq!([(); 3].map(|()| again(next(&mut scheduler, 5, 0)).len()), [3, 3, 1]);
    for (flying, item) in flying(3, 600) {
        scheduler.park(5, flying, item);
    }
    assert_eq!([(); 3].map(|()| again(next(&mut scheduler, 5, 0)).len()), [1, 1, 1]);
    for (flying, item) in flying(2, 5_000) {
        scheduler.park(5, flying, item);
    }
    assert_eq!(again(next(&mut scheduler, 5, 0)).len(), 1, "one goes, however large");
    assert_eq!(scheduler.abandon().len(), 1);
    taken(next(&mut scheduler, 5, 0));
}

#[test]
fn the_end_of_a_hold_is_a_time_to_look() {
    let mut scheduler = scheduler();
    scheduler.note_hold(500);
    scheduler.note_hold(700);
    assert_eq!(scheduler.look_again_us(400), 1_000, "to the millisecond");
    assert_eq!(scheduler.look_again_us(1_000), 2_000, "it is over");
}

#[test]
fn a_parked_flight_that_does_not_match_its_item_is_found() {
    let mut scheduler = scheduler();
    for (flying, item) in flying(2, 10) {
        scheduler.park(5, flying, item);
    }
    assert_eq!(scheduler.validate().unwrap().len(), 2);
    for (flying, mut item) in flying(1, 10) {
        item.last_seq += 1;
        scheduler.park(5, flying, item);
    }
    assert!(scheduler.validate().unwrap_err().contains("invariant 1"));
}

fn turn(step: Step) -> Turn {
    let Step::Take { turn, .. } = step else { panic!("{step:?}") };
    turn
}

#[test]
fn where_the_sink_adapts_no_more_is_out_than_may_be_and_who_is_turned_away_is_told() {
    let mut scheduler = adapting(2);
    let first = turn(next(&mut scheduler, 0, 0));
    assert!(matches!(next(&mut scheduler, 0, 0), Step::Full { .. }), "one batch is made at a time");
    scheduler.left(&[IndexId(0)], false);
    assert!(std::mem::take(&mut scheduler.signalled));
    turn(next(&mut scheduler, 0, 0));
    scheduler.left(&[IndexId(0)], true);
    assert!(std::mem::take(&mut scheduler.signalled), "there is more to take");
    assert!(matches!(next(&mut scheduler, 0, 0), Step::Full { .. }));
    assert!(!scheduler.signalled);
    scheduler.landed(first.place, &[IndexId(0)], Flown { bytes: 1, operations: 1, is_refused: false }, 5);
    assert!(scheduler.signalled);
    turn(next(&mut scheduler, 5, 0));
    assert!(!scheduler.came_to_nothing(false, 5));
    turn(next(&mut scheduler, 5, 0));
    assert!(matches!(next(&mut scheduler, 5, 0), Step::Full { .. }));
    assert!(scheduler.came_to_nothing(false, 5), "who came by may have been told of something");
}

/// One that was made of a flight, for what the scheduler had said.
fn dispatch(place: Place) -> Dispatch {
    let (flying, items): (Vec<_>, Vec<_>) = flying(1, 10).into_iter().unzip();
    let batch = Batch { items, bytes: 10 };
    Dispatch { batch, flying, places: vec![0], indices: vec![IndexId(0)], oldest_us: None, place }
}

#[test]
fn while_every_place_is_taken_one_batch_is_made_ahead_and_leaves_with_the_first_place_that_is_free() {
    let flown = Flown { bytes: 1, operations: 1, is_refused: false };
    let mut scheduler = adapting(1);
    scheduler.make_ahead();
    let first = turn(next(&mut scheduler, 0, 0));
    scheduler.left(&[IndexId(0)], false);
    let ahead = turn(next(&mut scheduler, 0, 0));
    assert!(!first.is_ahead && ahead.is_ahead);
    assert!(matches!(next(&mut scheduler, 0, 0), Step::Full { .. }), "one batch is made at a time");
    scheduler.made_ahead(dispatch(ahead.place));
    assert!(matches!(next(&mut scheduler, 0, 0), Step::Full { .. }), "and no more than one is kept");
    assert_eq!((scheduler.limiter().out(), scheduler.validate().unwrap().len()), (1, 1));

    scheduler.landed(first.place, &[IndexId(0)], flown, 5);
    scheduler.signalled = false;
    fail(&mut scheduler, 5, 0);
    let Step::Pause { until_us } = next(&mut scheduler, 5, 0) else { panic!("it left in a pause") };
    let Step::Leave(dispatch) = next(&mut scheduler, until_us, 0) else { panic!("it stayed") };
    assert_eq!((scheduler.limiter().out(), dispatch.place.began_us()), (1, until_us));
    assert!(scheduler.signalled, "somebody is to make the next one");
    let ahead = turn(next(&mut scheduler, until_us, 0));
    assert!(ahead.is_ahead);
    scheduler.came_to_nothing(true, until_us);
    assert_eq!(scheduler.limiter().out(), 1, "it had no place to give back");
    scheduler.landed(dispatch.place, &dispatch.indices, flown, until_us);
    assert_eq!((scheduler.limiter().out(), scheduler.lanes.out(IndexId(0))), (0, 0));
}

#[test]
fn what_is_parked_leaves_before_what_was_made_ahead() {
    let mut scheduler = adapting(1);
    scheduler.make_ahead();
    let first = turn(next(&mut scheduler, 0, 0));
    scheduler.left(&[IndexId(0)], false);
    let ahead = turn(next(&mut scheduler, 0, 0));
    scheduler.made_ahead(dispatch(ahead.place));
    for (flying, item) in flying(1, 10) {
        scheduler.park(5, flying, item);
    }
    let flown = Flown { bytes: 1, operations: 1, is_refused: false };
    scheduler.landed(first.place, &[IndexId(0)], flown, 5);
    let Step::Again(again, place) = next(&mut scheduler, 5, 0) else { panic!("it would wait for ever") };
    assert_eq!(again.len(), 1);
    scheduler.left(&[IndexId(0)], false);
    assert!(matches!(next(&mut scheduler, 5, 0), Step::Full { .. }));
    scheduler.landed(place, &[IndexId(0)], flown, 6);
    assert!(matches!(next(&mut scheduler, 6, 0), Step::Leave(_)));
}

#[test]
fn what_was_made_ahead_is_abandoned_with_the_rest() {
    let mut scheduler = adapting(1);
    let place = scheduler.limiter().ahead(0);
    scheduler.made_ahead(dispatch(place));
    for (flying, item) in flying(2, 10) {
        scheduler.park(5, flying, item);
    }
    assert_eq!(scheduler.abandon().len(), 3);
    assert_eq!(scheduler.validate().unwrap(), []);
}

#[test]
fn of_several_indices_and_without_threads_for_it_nothing_is_made_ahead() {
    for (makes_ahead, indices) in [(true, 2), (false, 1)] {
        let mut scheduler = adapting(1);
        if makes_ahead {
            scheduler.make_ahead();
        }
        turn(next(&mut scheduler, 0, 0));
        scheduler.left(&[IndexId(0)], true);
        let look = Look { now_us: 0, indices, ..Look::default() };
        assert!(matches!(scheduler.next(&look), Step::Full { .. }));
    }
}

#[test]
fn each_index_has_its_turn_and_where_one_pauses_the_others_go_on() {
    let mut scheduler = adapting(8);
    let (a, b) = (IndexId(0), IndexId(1));
    let waiting = [(a, 100), (b, 100)];
    let next = |scheduler: &mut Scheduler, passed: &[IndexId]| {
        let look = Look { now_us: 0, indices: 2, waiting: Some(&waiting), passed, ..Look::default() };
        let step = scheduler.next(&look);
        if let Step::Take { turn, .. } = &step {
            scheduler.left(&[turn.only.unwrap()], false);
        }
        step
    };
    let turns = [(); 4].map(|()| turn(next(&mut scheduler, &[])).only.unwrap());
    assert_eq!(turns, [a, b, a, b]);
    fail(&mut scheduler, 0, 0);
    let turns = [(); 3].map(|()| turn(next(&mut scheduler, &[])));
    assert!(turns.iter().all(|turn| turn.only == Some(b) && turn.paused == [a]), "{turns:?}");
    assert!(matches!(next(&mut scheduler, &[b]), Step::Idle));
}

#[test]
fn what_is_parked_goes_out_again_by_index_and_not_while_that_pauses() {
    let mut scheduler = adapting(8);
    for (number, (mut flying, item)) in (0..).zip(flying(4, 10)) {
        flying.flight.index = IndexId(number % 2);
        scheduler.park(5, flying, item);
    }
    fail(&mut scheduler, 5, 1_000);
    let look = |now_us| Look { now_us, indices: 2, ..Look::default() };
    assert_eq!(again(scheduler.next(&look(5))), ["1", "3"]);
    let until_us = scheduler.look_again_us(5);
    assert!(until_us > 5, "what is due and must wait is not looked for all the time");
    assert_eq!(again(scheduler.next(&look(60_000))), ["0", "2"]);
}
