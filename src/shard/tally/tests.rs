//! Pairs compose as the statuses of one operation after another do: all of them, exhaustively.

use super::{Existence, Kind, Pair, Status, Tally, Tracker, Verdict};
use crate::{Action, NetOperation};
use std::sync::Arc;

/// Every kind of operation, as far as statuses can tell them apart.
fn operations() -> Vec<(Kind, NetOperation)> {
    let actions = [
        Action::Index(b"{\"n\":1}"),
        Action::Create(b"{}"),
        Action::Update(b"{\"doc\":{\"n\":1}}"),
        Action::Update(b"{\"inc\":{\"n\":1},\"upsert\":{}}"),
        Action::Update(b"{\"doc\":{\"n\":1},\"doc_as_upsert\":true}"),
        Action::Delete,
    ];
    actions.map(|action| (Kind::of(action), NetOperation::new(action).expect("good"))).into()
}

/// What a server would have answered, and whether there is a document afterwards.
fn carry_out(net: &NetOperation, kind: Kind, exists: bool) -> (Status, bool) {
    let after = net.apply(exists.then_some(b"{\"n\":0}")).document.is_some();
    let status = match (kind, exists, after) {
        (Kind::Create, true, _) => Status::Conflict,
        (Kind::Delete, true, _) => Status::Deleted,
        (_, false, true) => Status::Created,
        (_, false, false) => Status::NotFound,
        (_, true, _) => Status::Updated,
    };
    (status, after)
}

/// A run of operations folded into one entry: the pairs, the tally and the net operation.
fn fold(run: &[&(Kind, NetOperation)]) -> (Vec<Pair>, Tally, NetOperation) {
    let (mut pairs, mut tally) = (Vec::new(), Tally::default());
    let mut whole: Option<NetOperation> = None;
    for (kind, net) in run {
        let below = whole.as_ref().map_or(Existence::SAME, |below| Existence::after(below.as_net()));
        let pair = Pair::new(*kind, net.as_net(), below);
        pairs.push(pair);
        tally.add(pair);
        whole = Some(whole.map_or_else(|| net.clone(), |below| below.compose(net)));
    }
    (pairs, tally, whole.expect("at least one"))
}

fn sequential(run: &[&(Kind, NetOperation)], mut exists: bool) -> Vec<Status> {
    let one = |(kind, net): &&(Kind, NetOperation)| {
        let (status, after) = carry_out(net, *kind, exists);
        exists = after;
        status
    };
    run.iter().map(one).collect()
}

fn done(existed: Option<bool>) -> Verdict {
    Verdict::Done { existed, noop: false }
}

#[test]
fn folded_statuses_are_the_sequential_ones_for_every_run_of_four() {
    let all = operations();
    for a in &all {
        for b in &all {
            for c in &all {
                for d in &all {
                    let run = [a, b, c, d];
                    let (pairs, tally, _) = fold(&run);
                    for existed in [false, true] {
                        let expected = sequential(&run, existed);
                        let told: Vec<_> =
                            pairs.iter().map(|pair| pair.resolve(done(Some(existed)))).collect();
                        assert_eq!(told, expected, "{run:?} over {existed}");
                        let count =
                            |wanted| expected.iter().filter(|status| **status == wanted).count() as u64;
                        let counted = tally.count(done(Some(existed)));
                        assert_eq!(
                            (counted.not_found, counted.conflicts),
                            (count(Status::NotFound), count(Status::Conflict))
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn an_entry_put_under_another_keeps_the_statuses_of_both() {
    let all = operations();
    for a in &all {
        for b in &all {
            for c in &all {
                for d in &all {
                    let run = [a, b, c, d];
                    let (mut pairs, mut tally, lower) = fold(&run[..2]);
                    let (upper, upper_tally, _) = fold(&run[2..]);
                    let below = Existence::after(lower.as_net());
                    pairs.extend(upper.into_iter().map(|pair| pair.through(below)));
                    tally.append(&upper_tally, below);
                    let (whole, whole_tally, _) = fold(&run);
                    assert_eq!(pairs, whole, "{run:?}");
                    for existed in [false, true] {
                        assert_eq!(tally.count(done(Some(existed))), whole_tally.count(done(Some(existed))));
                    }
                }
            }
        }
    }
}

#[test]
fn where_the_bit_is_not_told_only_what_depends_on_it_is_applied() {
    for a in &operations() {
        for b in &operations() {
            let run = [a, b];
            let (pairs, tally, _) = fold(&run);
            let sure: Vec<_> = sequential(&run, false).into_iter().zip(sequential(&run, true)).collect();
            for (pair, (absent, present)) in pairs.iter().zip(&sure) {
                let expected = if absent == present { *absent } else { Status::Applied };
                assert_eq!(pair.resolve(done(None)), expected);
                assert_eq!(pair.resolve(Verdict::Rejected), Status::Rejected);
            }
            let differs = sure.iter().any(|(absent, present)| absent != present);
            let track = |pair: &Pair| Tracker { pair: *pair, ticket: Arc::default() };
            let trackers: Vec<_> = pairs.iter().map(track).collect();
            assert_eq!(tally.needs_the_bit(&trackers), differs, "{run:?}");
        }
    }
}

#[test]
fn a_noop_is_told_to_updates_and_counted_without_conflicts() {
    let update = (Kind::Update, NetOperation::new(Action::Update(b"{\"doc\":{}}")).unwrap());
    let create = (Kind::Create, NetOperation::new(Action::Create(b"{}")).unwrap());
    let (pairs, tally, _) = fold(&[&update, &create, &update]);
    let noop = Verdict::Done { existed: Some(true), noop: true };
    let told: Vec<_> = pairs.iter().map(|pair| pair.resolve(noop)).collect();
    assert_eq!(told, [Status::Noop, Status::Conflict, Status::Noop]);
    assert_eq!((tally.count(noop).noops, tally.count(noop).conflicts), (2, 1));
    assert_eq!(tally.count(Verdict::Rejected).operations, 3);
}
