//! Sequence numbers rise; the watermark never passes what has not settled, and never falls.

use crate::rig::{BEGIN_US, Rig};
use millpond::{Scripted, SimulatedClock, Takes};
use std::time::Duration;

#[test]
fn with_nothing_pending_the_watermark_is_now() {
    let rig = Rig::new(Takes::NetOperations);
    assert_eq!(rig.engine.watermark(), BEGIN_US);
    rig.clock.advance(Duration::from_secs(5));
    assert_eq!(rig.engine.watermark(), BEGIN_US + 5_000_000);
    let seq = rig.index("a", "{}");
    assert!(seq > BEGIN_US + 5_000_000, "no number at or below a watermark is given");
    rig.settle();
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!(rig.engine.watermark(), BEGIN_US + 6_000_000);
}

#[test]
fn the_watermark_never_passes_what_has_not_settled() {
    let rig = Rig::new(Takes::NetOperations);
    rig.script(|item| if &*item.id == "stuck" { Scripted::Again(None) } else { Scripted::Done });
    rig.index("a", "{}");
    rig.clock.advance(Duration::from_secs(1));
    let stuck = rig.index("stuck", "{}");
    assert!(rig.engine.watermark() < stuck);
    for _ in 0..20 {
        rig.clock.advance(Duration::from_secs(10));
        rig.index("b", "{}");
        rig.update("stuck", r#"{"doc":{"n":1}}"#);
        rig.drain();
        assert_eq!(
            rig.engine.watermark(),
            stuck - 1,
            "stands still while the first waits, however it is folded"
        );
    }
    rig.sink.script(|_| Scripted::Done);
    rig.settle();
    assert!(rig.engine.watermark() > stuck);
}

#[test]
fn a_dead_letter_lets_the_watermark_go_on() {
    let rig = Rig::new(Takes::NetOperations);
    rig.script(|_| Scripted::Rejected);
    let seq = rig.index("a", "{}");
    rig.drain();
    assert_eq!(rig.letters.take().len(), 1);
    assert!(rig.engine.watermark() >= seq);
}

#[test]
fn sequence_numbers_rise_and_the_watermark_does_not_fall_however_the_wall_clock_jumps() {
    let rig = Rig::new(Takes::NetOperations);
    let (mut last, mut watermark) = (0, 0);
    for (n, wall) in
        [BEGIN_US, 0, BEGIN_US * 2, 5, BEGIN_US * 2 + 1, BEGIN_US, u64::MAX / 2].into_iter().enumerate()
    {
        rig.clock.set_wall_us(wall);
        for _ in 0..5 {
            let seq = rig.index("a", "{}");
            assert!(seq > last && seq > watermark, "step {n}: {seq} after {last} and {watermark}");
            last = seq;
        }
        assert!(rig.engine.watermark() < last);
        rig.settle();
        let next = rig.engine.watermark();
        assert!(next >= watermark && next >= last, "step {n}: {next} after {watermark}");
        watermark = next;
    }
}

#[test]
fn a_restart_begins_above_every_number_in_use_whatever_the_clock_says() {
    let clock = SimulatedClock::new(BEGIN_US);
    let sink = std::sync::Arc::new(millpond::MemorySink::new(Takes::NetOperations));
    let mut last = 0;
    for wall in [BEGIN_US, BEGIN_US - 1_000_000_000, 0, BEGIN_US + 7] {
        clock.set_wall_us(wall);
        let rig = Rig::over(sink.clone(), clock.clone(), |builder| builder);
        for _ in 0..3 {
            let seq = rig.index("a", "{}");
            assert!(seq > last, "{seq} after {last}");
            last = seq;
            rig.settle();
        }
        assert!(rig.engine.watermark() >= last);
    }
}

#[test]
fn numbers_stay_below_what_the_sink_has_made_durable() {
    use millpond::Sink;
    let rig = Rig::new(Takes::NetOperations);
    for step in 0..200_u64 {
        let seq = rig.index("a", "{}");
        assert!(seq < rig.sink.seq_floor(), "{seq} of {}", rig.sink.seq_floor());
        // Ahead faster than the drain looks, so that submits meet the ceiling themselves.
        rig.clock.set_wall_us(BEGIN_US + step * 45_000_000);
    }
}
