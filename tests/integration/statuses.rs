//! Every operation is told its own outcome, as if nothing had been folded.

use crate::rig::{INDEX, Rig};
use millpond::{ErrorKind, Operation, Outcome, Scripted, Status, Takes, Ticket};
use std::time::Duration;

const BOTH: [Takes; 2] = [Takes::NetOperations, Takes::Documents];

/// One of five operations; each changes the document it meets.
fn operation(kind: u64, body: &str) -> Operation<'_> {
    match kind {
        0 => Operation::index(INDEX, "a", body.as_bytes()),
        1 => Operation::create(INDEX, "a", body.as_bytes()),
        2 | 3 => Operation::update(INDEX, "a", body.as_bytes()),
        _ => Operation::delete(INDEX, "a"),
    }
}

fn body(kind: u64, n: usize) -> String {
    match kind {
        2 => format!("{{\"doc\":{{\"n\":{n}}}}}"),
        3 => format!("{{\"doc\":{{\"n\":{n}}},\"upsert\":{{}}}}"),
        _ => format!("{{\"n\":{n}}}"),
    }
}

/// The status that one operation after another would have had.
fn sequential(kind: u64, exists: &mut bool) -> Status {
    let (status, after) = match (kind, *exists) {
        (0 | 1 | 3, false) => (Status::Created, true),
        (0 | 2 | 3, true) => (Status::Updated, true),
        (1, true) => (Status::Conflict, true),
        (_, true) => (Status::Deleted, false),
        (_, false) => (Status::NotFound, false),
    };
    *exists = after;
    status
}

#[test]
fn statuses_are_those_of_one_operation_after_another() {
    for takes in BOTH {
        for seed in 0..300_u64 {
            let rig = Rig::with(takes, |builder| builder.keep_known(seed % 2 == 0));
            let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            let mut next = |below: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % below
            };
            let mut exists = next(2) == 0;
            if exists {
                rig.index("a", "{}");
                rig.settle();
            }
            let mut throws = next(3);
            rig.script(move |_| {
                throws = throws.saturating_sub(1);
                if throws > 0 { Scripted::Again(None) } else { Scripted::Done }
            });
            let mut expected: Vec<(Ticket, Status)> = Vec::new();
            for n in 0..12 {
                let kind = next(5);
                let text = body(kind, n);
                let routing = ["x", "y"][usize::from(next(4) == 0)];
                let submitted = operation(kind, &text).routing(routing);
                let ticket = rig.engine.submit_tracked(submitted).unwrap_or_else(|refused| {
                    assert_eq!(refused.error.kind(), ErrorKind::Busy);
                    rig.settle();
                    rig.track(submitted)
                });
                expected.push((ticket, sequential(kind, &mut exists)));
                if next(4) == 0 {
                    rig.drain();
                }
            }
            rig.settle();
            for (n, (ticket, status)) in expected.iter().enumerate() {
                assert_eq!(ticket.status(), Some(*status), "{takes:?}, seed {seed}, operation {n}");
            }
            let count = |wanted| expected.iter().filter(|(_, status)| *status == wanted).count() as u64;
            let stats = rig.engine.stats();
            assert_eq!(
                (stats.not_found, stats.conflicts),
                (count(Status::NotFound), count(Status::Conflict))
            );
        }
    }
}

#[test]
fn a_status_is_not_known_before_the_flight_has_landed() {
    let rig = Rig::new(Takes::NetOperations);
    let ticket = rig.track(Operation::index(INDEX, "a", b"{}"));
    let flights = rig.take();
    assert_eq!(ticket.status(), None);
    assert!(ticket.wait(Duration::ZERO).is_err());
    flights.finish(vec![Outcome::Created]);
    assert_eq!(ticket.wait(Duration::ZERO).unwrap(), Status::Created);
}

#[test]
fn a_flight_that_changed_nothing_is_a_noop_as_a_whole() {
    for takes in BOTH {
        let rig = Rig::new(takes);
        rig.index("a", r#"{"n":1}"#);
        rig.settle();
        let tickets = [(); 2].map(|()| rig.track(Operation::update(INDEX, "a", br#"{"doc":{"n":1}}"#)));
        rig.settle();
        assert_eq!(tickets.map(|ticket| ticket.status()), [Some(Status::Noop); 2]);
        assert_eq!(rig.engine.stats().noops, 2);
        // One that changed something makes the others updates.
        let noop = rig.track(Operation::update(INDEX, "a", br#"{"doc":{"n":1}}"#));
        let change = rig.track(Operation::update(INDEX, "a", br#"{"doc":{"n":2}}"#));
        rig.settle();
        assert_eq!([noop.status(), change.status()], [Some(Status::Updated); 2]);
    }
}

#[test]
fn a_noop_is_not_sent_where_the_base_is_known_and_an_index_always_is() {
    let rig = Rig::new(Takes::Documents);
    rig.index("a", r#"{"n":1}"#);
    rig.settle();
    let sent = rig.sink.sends();
    rig.update("a", r#"{"doc":{"n":1}}"#);
    rig.settle();
    assert_eq!(rig.sink.sends(), sent);
    rig.index("a", r#"{"n":1}"#);
    rig.settle();
    rig.update("a", r#"{"doc":{"n":1},"detect_noop":false}"#);
    rig.settle();
    assert_eq!(rig.sink.sends(), sent + 2);
}

#[test]
fn a_rejection_is_of_the_flight_as_a_whole() {
    let rig = Rig::new(Takes::NetOperations);
    rig.answers([Scripted::Rejected]);
    let folded = [(); 3].map(|()| rig.track(Operation::update(INDEX, "a", br#"{"doc":{"n":1}}"#)));
    let flights = rig.take();
    let later = rig.track(Operation::index(INDEX, "a", b"{}"));
    flights.finish(vec![Outcome::Rejected("no".into())]);
    assert_eq!(folded.map(|ticket| ticket.status()), [Some(Status::Rejected); 3]);
    assert_eq!(later.status(), None);
    rig.answers([]);
    rig.settle();
    assert_eq!(later.status(), Some(Status::Created));
}

#[test]
fn after_an_unknown_outcome_what_the_repeat_cannot_tell_is_applied() {
    let rig = Rig::new(Takes::NetOperations);
    rig.answers([Scripted::DoneUnheard]);
    let ticket = rig.track(Operation::index(INDEX, "a", b"{}"));
    rig.settle();
    // The repeat says "updated", but it was the first attempt that made the document.
    assert_eq!(ticket.status(), Some(Status::Applied));
    rig.answers([Scripted::Lost]);
    let ticket = rig.track(Operation::update(INDEX, "b", br#"{"doc":{"n":1}}"#));
    rig.settle();
    assert_eq!(ticket.status(), Some(Status::NotFound), "a patch without upsert cannot have been the cause");
    // Where the drain has read the base before the first send, the answer does not matter.
    let rig = Rig::new(Takes::Documents);
    rig.answers([Scripted::DoneUnheard]);
    let ticket = rig.track(Operation::index(INDEX, "a", b"{}"));
    rig.settle();
    assert_eq!(ticket.status(), Some(Status::Created));
}

#[test]
fn an_update_misses_a_document_that_a_folded_delete_took_away() {
    for takes in BOTH {
        let rig = Rig::new(takes);
        rig.index("a", "{}");
        rig.settle();
        let delete = rig.track(Operation::delete(INDEX, "a"));
        let update = rig.track(Operation::update(INDEX, "a", br#"{"doc":{"n":1}}"#));
        let create = rig.track(Operation::create(INDEX, "a", b"{}"));
        rig.settle();
        let statuses = [delete, update, create].map(|ticket| ticket.status().unwrap());
        assert_eq!(statuses, [Status::Deleted, Status::NotFound, Status::Created]);
    }
}

#[test]
fn what_the_last_handle_leaves_is_told_to_be_rejected() {
    let Rig { engine, .. } = Rig::new(Takes::NetOperations);
    let ticket = engine.submit_tracked(Operation::index(INDEX, "a", b"{}")).unwrap();
    drop(engine);
    assert_eq!(ticket.wait(Duration::ZERO).unwrap(), Status::Rejected);
}
