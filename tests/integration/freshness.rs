//! While the sink accepts, no operation waits longer than `max_delay` plus the flight ahead of it.

use crate::rig::{BEGIN_US, MAX_DELAY, Rig};
use millpond::{Next, Scripted, Takes};
use serde_json::json;
use std::time::Duration;

const COUNT: &str = r#"{"inc":{"n":1},"upsert":{"n":1}}"#;

#[test]
fn no_operation_waits_longer_than_max_delay_however_hot_its_key() {
    let rig = Rig::new(Takes::NetOperations);
    let sent = rig.answers([]);
    for n in 0..3_000 {
        rig.update("hot", COUNT);
        rig.update(&format!("cold{n}"), COUNT);
        // As a worker would: it looks when it was told to, and a little late.
        if let Next::Wait(wait) = rig.drainer.next().unwrap() {
            rig.clock.advance(wait.min(Duration::from_millis(50)));
        } else {
            panic!("taken and then dropped");
        }
        rig.run();
    }
    rig.settle();
    let longest = rig.engine.stats().longest_wait;
    assert!(longest <= MAX_DELAY, "{longest:?}");
    assert!(longest > MAX_DELAY / 2, "nothing is coalesced if nothing waits: {longest:?}");
    let hot: Vec<u64> =
        sent.try_iter().filter(|item| &*item.id == "hot").map(|item| item.operations).collect();
    assert_eq!(hot.iter().sum::<u64>(), 3_000);
    assert!((8..40).contains(&hot.len()), "{hot:?}");
}

#[test]
fn whoever_looks_when_told_to_is_in_time() {
    let rig = Rig::new(Takes::NetOperations);
    for start in 0..40_u64 {
        rig.update(&format!("k{start}"), COUNT);
        for _ in 0..3 {
            match rig.drainer.next().unwrap() {
                Next::Wait(wait) => rig.clock.advance(wait),
                Next::Send(flights) => {
                    let done = vec![millpond::Outcome::Applied; flights.batch().items.len()];
                    flights.finish(done);
                }
            }
        }
    }
    let stats = rig.engine.stats();
    assert!(stats.longest_wait <= MAX_DELAY && stats.operations_out > 10, "{stats:?}");
    assert!(stats.oldest_age.is_none_or(|age| age <= MAX_DELAY), "{stats:?}");
}

#[test]
fn nothing_goes_out_before_it_is_due_unless_something_presses() {
    let rig = Rig::new(Takes::NetOperations);
    rig.update("a", COUNT);
    assert_eq!(rig.pass(MAX_DELAY * 13 / 16), 0);
    assert_eq!(rig.engine.stats().oldest_age, Some(MAX_DELAY * 13 / 16));
    assert_eq!(rig.pass(MAX_DELAY / 16), 1);
}

#[test]
fn what_is_put_back_keeps_its_age_and_goes_before_what_came_later() {
    let rig = Rig::with(Takes::NetOperations, |builder| builder.batch_operations(1).shards(1));
    let sent = rig.answers([Scripted::Again(None)]);
    rig.update("old", COUNT);
    rig.pass(MAX_DELAY);
    rig.update("new", COUNT);
    assert_eq!(rig.engine.stats().oldest_age, Some(MAX_DELAY));
    rig.update("old", COUNT);
    rig.pass(MAX_DELAY);
    let order: Vec<String> = sent.try_iter().map(|item| item.id.to_string()).collect();
    assert_eq!(order, ["old", "old", "new"]);
}

#[test]
fn a_wall_clock_that_jumps_neither_stalls_nor_floods_the_drain() {
    for jump in [0, BEGIN_US / 2, BEGIN_US * 2] {
        let rig = Rig::new(Takes::NetOperations);
        rig.update("a", COUNT);
        rig.clock.set_wall_us(jump);
        rig.update("a", COUNT);
        assert_eq!(rig.pass(MAX_DELAY / 2), 0);
        rig.update("b", COUNT);
        assert_eq!(rig.pass(MAX_DELAY * 3 / 8), 1);
        assert_eq!((rig.stored("a"), rig.stored("b")), (Some(json!({"n":2})), None));
        assert_eq!(rig.pass(MAX_DELAY / 2), 1);
        assert_eq!(rig.stored("b"), Some(json!({"n":1})));
    }
}
