//! What an earlier engine had out.

use super::{Bench, COUNT, INDEX, tag};
use crate::{
    Action,
    merge::NetOperation,
    shard::{Restored, Tally},
};

#[test]
fn what_may_be_in_the_sink_already_stays_as_it_was_however_often_it_is_put_back() {
    let mut bench = Bench::new();
    let net = NetOperation::new(Action::Update(COUNT.as_bytes())).expect("an update");
    bench.shard.restore(&Restored {
        tag: tag("a"),
        index: INDEX,
        id: "a",
        routing: None,
        net: net.as_net(),
        first_seq: 3,
        last_seq: 5,
        tally: Tally::moved(3, [0; 2], [0; 2]),
        is_bound: true,
        now_us: 0,
    });
    bench.check();
    for _ in 0..3 {
        let flights = bench.take_all();
        assert_eq!(flights.len(), 1);
        bench.update("a", COUNT);
        assert!(flights[0].is_bound());
        assert_eq!((flights[0].first_seq, flights[0].last_seq), (3, 5));
        assert!(bench.put_back(&flights[0]));
    }
    let flight = bench.take_all().remove(0);
    assert!(bench.settle(&flight, None));
    let newer = bench.take_all().remove(0);
    assert_eq!((newer.operations, newer.is_bound()), (3, false));
}

#[test]
fn keys_of_two_shards_of_an_earlier_engine_may_have_one_seq_and_all_are_taken() {
    let mut bench = Bench::new();
    let net = NetOperation::new(Action::Update(COUNT.as_bytes())).expect("an update");
    for id in ["a", "b", "c"] {
        bench.shard.restore(&Restored {
            tag: tag(id),
            index: INDEX,
            id,
            routing: None,
            net: net.as_net(),
            first_seq: 3,
            last_seq: 3,
            tally: Tally::moved(1, [0; 2], [0; 2]),
            is_bound: false,
            now_us: 0,
        });
        bench.check();
    }
    let flights = bench.take_all();
    assert_eq!(flights.len(), 3);
    assert!(bench.put_back(&flights[1]));
    bench.check();
    for flight in [&flights[0], &flights[2], &bench.take_all().remove(0)] {
        assert!(bench.settle(flight, None));
        bench.check();
    }
}
