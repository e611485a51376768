//! A panic or a failure that cannot be mended latches the engine with its reason, and nothing hangs.

use crate::rig::INDEX;
use millpond::{
    Base, BaseDocument, BaseKey, Batch, DeadLetter, DeadLetters, Engine, Error, ErrorKind, Full, Limits,
    MemorySink, Operation, Outcome, Result, Sink, Snapshot, Takes,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// A bound against hanging, not a measure.
const LONG: Duration = Duration::from_mins(1);

/// Where a part panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Panics {
    Send,
    Read,
    Record,
    Close,
    Reserve,
}

/// A sink, a base and a box of letters, one call of which panics.
struct Trap(Panics, MemorySink, AtomicBool);

impl Trap {
    fn here(&self, place: Panics) {
        assert!(self.0 != place || !self.2.load(Ordering::Relaxed), "the trap in {place:?} sprang");
    }
}

impl Sink for Trap {
    fn takes(&self) -> Takes {
        Takes::Documents
    }

    fn limits(&self) -> Limits {
        self.1.limits()
    }

    fn send(&self, batch: &Batch) -> Vec<Outcome> {
        self.here(Panics::Send);
        if self.0 == Panics::Record {
            return vec![Outcome::Rejected("no".into()); batch.items.len()];
        }
        self.1.send(batch)
    }

    fn reserve_seq(&self, _: u64) -> Result<()> {
        self.here(Panics::Reserve);
        Ok(())
    }

    fn close(&self) -> Result<()> {
        self.here(Panics::Close);
        Ok(())
    }
}

impl Base for Trap {
    fn read(&self, keys: &[BaseKey<'_>]) -> Vec<Result<Option<BaseDocument>>> {
        self.here(Panics::Read);
        self.1.read(keys)
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>> {
        self.1.snapshot()
    }
}

impl DeadLetters for Trap {
    fn record(&self, _: &DeadLetter<'_>) -> Result<()> {
        self.here(Panics::Record);
        Ok(())
    }
}

fn trap(panics: Panics) -> (Arc<Trap>, Engine) {
    let trap = Arc::new(Trap(panics, MemorySink::new(Takes::Documents), AtomicBool::new(false)));
    let builder =
        Engine::builder().dead_letters(Arc::clone(&trap) as _).memory_bytes(millpond::MEMORY_BYTES_MIN);
    let builder = builder.full(Full::Wait(LONG)).drain_threads(3);
    let engine = builder.build(Arc::clone(&trap) as _, Some(Arc::clone(&trap) as _)).unwrap();
    trap.2.store(true, Ordering::Relaxed);
    (trap, engine)
}

fn assert_latched(error: &Error, place: Panics) {
    assert_eq!(error.kind(), ErrorKind::Latched, "{error}");
    assert!(error.to_string().contains(&format!("the trap in {place:?} sprang")), "{error}");
}

#[test]
fn a_panic_in_the_drain_latches_with_its_reason_and_everybody_who_waits_is_told() {
    for place in [Panics::Send, Panics::Read, Panics::Record] {
        let (_trap, engine) = trap(place);
        std::thread::scope(|scope| {
            let ticket =
                engine.submit_tracked(Operation::update(INDEX, "a", b"{\"doc\":{},\"upsert\":{}}")).unwrap();
            // These fill the memory, and then wait for a drain that will not come.
            let writers = [(); 2].map(|()| {
                scope.spawn(|| {
                    for n in 0.. {
                        let id = format!("{:?}-{n}", std::thread::current().id());
                        let document = crate::rig::padded(8_000);
                        if let Err(refused) = engine.submit(Operation::index(INDEX, &id, document.as_bytes()))
                        {
                            return refused.error;
                        }
                    }
                    unreachable!()
                })
            });
            let flush = scope.spawn(|| engine.flush(LONG).unwrap_err());
            assert_latched(&ticket.wait(LONG).unwrap_err(), place);
            assert_latched(&flush.join().unwrap(), place);
            for writer in writers {
                assert_latched(&writer.join().unwrap(), place);
            }
        });
        assert_latched(&engine.health().unwrap_err(), place);
        assert_latched(&engine.submit(Operation::delete(INDEX, "a")).unwrap_err().error, place);
        assert_latched(&engine.scan(INDEX, None, LONG).unwrap_err(), place);
        assert_latched(&engine.close(LONG).unwrap_err(), place);
        // What is in memory can still be read, and dropping does not hang.
        assert!(place == Panics::Read || engine.get(INDEX, "nothing").unwrap().is_none());
        engine.validate().unwrap();
    }
}

#[test]
fn a_sink_that_panics_when_it_is_closed_is_reported() {
    let (_trap, engine) = trap(Panics::Close);
    engine.submit(Operation::index(INDEX, "a", b"{}")).unwrap();
    assert_latched(&engine.close(LONG).unwrap_err(), Panics::Close);
    drop(engine);
}

#[test]
fn what_a_latched_engine_holds_is_in_the_dead_letters_when_it_is_dropped() {
    let letters = Arc::new(millpond::MemoryDeadLetters::new());
    let (trap, _) = trap(Panics::Send);
    let builder = Engine::builder().dead_letters(Arc::clone(&letters) as _);
    let engine = builder.build(Arc::clone(&trap) as _, Some(Arc::clone(&trap) as _)).unwrap();
    let ticket = engine.submit_tracked(Operation::index(INDEX, "a", b"{}")).unwrap();
    assert!(engine.flush(LONG).is_err());
    assert!(ticket.status().is_none());
    drop(engine);
    assert_eq!((letters.take().len(), ticket.status()), (1, Some(millpond::Status::Rejected)));
}

#[test]
fn a_panic_while_numbers_are_made_durable_does_not_stop_others_from_trying_again() {
    let trap = Arc::new(Trap(Panics::Reserve, MemorySink::new(Takes::Documents), AtomicBool::new(false)));
    let clock = millpond::SimulatedClock::new(1_000_000);
    let builder = Engine::builder().clock(&clock);
    let (engine, _drainer) = builder.manual(Arc::clone(&trap) as _, Some(Arc::clone(&trap) as _)).unwrap();
    clock.set_wall_us(1_000_000_000_000);
    engine.submit(Operation::delete(INDEX, "a")).unwrap();
    trap.2.store(true, Ordering::Relaxed);
    let submit = || engine.submit(Operation::delete(INDEX, "a")).map_err(|refused| refused.error);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(submit)).is_err());
    trap.2.store(false, Ordering::Relaxed);
    submit().unwrap();
}

#[test]
fn a_panic_under_a_drain_run_by_hand_latches_too() {
    let trap = Arc::new(Trap(Panics::Read, MemorySink::new(Takes::Documents), AtomicBool::new(true)));
    let clock = millpond::SimulatedClock::new(1_000_000);
    let (engine, drainer) =
        Engine::builder().clock(&clock).manual(Arc::clone(&trap) as _, Some(Arc::clone(&trap) as _)).unwrap();
    engine.submit(Operation::update(INDEX, "a", b"{\"doc\":{}}")).unwrap();
    let _ = engine.flush(Duration::ZERO);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drainer.run())).is_err());
    assert_eq!(engine.flush(Duration::ZERO).unwrap_err().kind(), ErrorKind::Latched);
    assert_eq!(drainer.run().unwrap_err().kind(), ErrorKind::Latched);
}
