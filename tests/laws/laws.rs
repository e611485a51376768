//! Each law of the algebra, as one property over random chains; every property tries a base and no base.

use crate::support::action::OwnedAction;
use crate::support::generate::{action, action_of, base, chain, document};
use crate::support::trial::{Trial, net, written};
use proptest::prelude::*;

/// Cases of each property where `PROPTEST_CASES` does not say.
const CASES: u32 = 3_000;

/// A failure is shrunk and told as text, so nothing is kept in files.
pub(crate) fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default,
        None => ProptestConfig { cases: CASES, ..default },
    }
}

/// Tries a law over the base drawn, and over none.
fn over(base: Option<&str>, chain: &[OwnedAction], law: impl Fn(&Trial)) {
    law(&Trial::new(base, chain));
    if base.is_some() {
        law(&Trial::new(None, chain));
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn one_operation_does_what_the_model_does(base in base(), action in action()) {
        over(base.as_deref(), &[action], Trial::one_by_one_agrees);
    }

    #[test]
    fn a_change_is_told_exactly_where_the_model_sees_one(base in base(), chain in chain(1..4)) {
        over(base.as_deref(), &chain, Trial::tells_changes);
    }

    #[test]
    fn composing_two_is_applying_one_after_the_other(base in base(), chain in chain(2..3)) {
        over(base.as_deref(), &chain, |trial| { trial.one_by_one_agrees(); trial.folds_agree(); });
    }

    #[test]
    fn composing_is_associative(base in base(), chain in chain(3..4)) {
        over(base.as_deref(), &chain, Trial::is_associative);
    }

    #[test]
    fn chains_fold_alike_from_the_left_and_from_the_right(base in base(), chain in chain(2..9)) {
        over(base.as_deref(), &chain, Trial::folds_agree);
    }

    #[test]
    fn chains_may_be_cut_anywhere(base in base(), chain in chain(2..9)) {
        over(base.as_deref(), &chain, Trial::is_associative);
    }

    #[test]
    fn what_is_written_reads_back_equal(base in base(), chain in chain(1..7)) {
        over(base.as_deref(), &chain, Trial::reads_back_as_written);
    }

    #[test]
    fn statuses_survive_folding(base in base(), chain in chain(1..9)) {
        over(base.as_deref(), &chain, Trial::keeps_statuses);
    }

    #[test]
    fn a_repeatable_operation_changes_nothing_the_second_time(base in base(), chain in chain(1..5)) {
        over(base.as_deref(), &chain, Trial::repeats_where_it_says_so);
    }

    #[test]
    fn members_keep_their_order_where_nothing_is_taken_out(
        base in base(),
        chain in prop::collection::vec(action_of(&["doc"]), 1..7),
    ) {
        over(base.as_deref(), &chain, |trial| { trial.keeps_order(); trial.folds_keep_order(); });
    }

    #[test]
    fn members_keep_their_order_through_folds_of_all_that_takes_nothing_out(
        base in base(),
        chain in prop::collection::vec(action_of(&["doc", "inc", "append", "union", "min", "max"]), 1..7),
    ) {
        over(base.as_deref(), &chain, Trial::folds_keep_order);
    }

    #[test]
    fn the_identity_composes_to_the_other_operation(action in action()) {
        let identity = net(&OwnedAction::Update(r#"{"doc":{}}"#.into()));
        let alone = net(&action);
        for composed in [identity.compose(&alone), alone.compose(&identity)] {
            prop_assert!(composed == alone, "{} is not {}", written(&composed), written(&alone));
        }
    }

    #[test]
    fn the_identity_leaves_every_document_as_it_is(document in document()) {
        let identity = net(&OwnedAction::Update(r#"{"doc":{}}"#.into()));
        let applied = identity.apply(Some(document.as_bytes()));
        prop_assert_eq!(applied.document.as_deref(), Some(document.as_bytes()));
        prop_assert!(!applied.changed);
        prop_assert_eq!(identity.apply(None).document, None);
    }

    #[test]
    fn a_fold_detects_noops_only_where_both_halves_do(
        first in action_of(&["doc", "inc", "remove"]),
        second in action_of(&["doc", "inc", "remove"]),
    ) {
        let (first, second) = (net(&first), net(&second));
        let folded = first.compose(&second);
        if [&first, &second].iter().all(|net| net.shape() == millpond::Shape::Patch) {
            prop_assert_eq!(folded.detects_noop(), first.detects_noop() && second.detects_noop());
        }
    }
}
