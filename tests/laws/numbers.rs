//! Increments as exact decimals, and the bounds on what may be added to what.

use crate::support::action::OwnedAction;
use crate::support::trial::{Trial, fold, net};
use millpond::{Action, ErrorKind, NetOperation};

/// The field `n` after an increment, as its text.
fn sum(base: &str, operand: &str) -> String {
    let document = format!(r#"{{"n":{base}}}"#);
    let increment = increment(operand);
    Trial::new(Some(&document), std::slice::from_ref(&increment)).obeys_every_law();
    let after = net(&increment).apply(Some(document.as_bytes())).document.unwrap();
    let after = String::from_utf8(after.to_vec()).unwrap();
    after.strip_prefix(r#"{"n":"#).and_then(|rest| rest.strip_suffix('}')).unwrap().to_owned()
}

fn increment(operand: &str) -> OwnedAction {
    OwnedAction::Update(format!(r#"{{"inc":{{"n":{operand}}}}}"#))
}

#[test]
fn increments_are_exact_decimals() {
    for (base, operand, expected) in [
        ("0.1", "0.2", "0.3"),
        ("1", "2", "3"),
        ("1", "-1", "0"),
        ("1.10", "0.1", "1.20"),
        ("1.5", "0.5", "2.0"),
        ("1", "0.25", "1.25"),
        ("0.3", "-0.10", "0.20"),
        ("9223372036854775807", "1", "9223372036854775808"),
        ("-9223372036854775808", "-1", "-9223372036854775809"),
        ("18446744073709551615", "1", "18446744073709551616"),
        ("170141183460469231731687303715884105727", "1", "170141183460469231731687303715884105728"),
        ("123456789012345678901234567890", "-1", "123456789012345678901234567889"),
        ("0.0000000000000000000000000001", "1", "1.0000000000000000000000000001"),
        (
            "99999999999999999999999999999999999999999999999999.99",
            "0.01",
            "100000000000000000000000000000000000000000000000000.00",
        ),
    ] {
        assert_eq!(sum(base, operand), expected, "{base} + {operand}");
    }
}

#[test]
fn absent_and_null_count_as_zero() {
    assert_eq!(sum("null", "1.10"), "1.10");
    for document in ["{}", r#"{"n":null}"#] {
        for operand in ["0", "1", "0.1", "-2", "1e2"] {
            Trial::new(Some(document), &[increment(operand), increment(operand)]).obeys_every_law();
        }
    }
}

#[test]
fn an_operand_of_28_digits_and_exponent_28_is_taken_and_one_more_is_refused() {
    let digits = "9".repeat(28);
    for operand in
        [digits.as_str(), &format!("-{digits}"), "1e28", "1e-28", "1E+28", &format!("0.{}", "1".repeat(27))]
    {
        assert!(NetOperation::new(increment(operand).action()).is_ok(), "{operand}");
        sum("1", operand);
    }
    for operand in
        [&"9".repeat(29), "1e29", "1e-29", "1E+99999999999999999999", &format!("1.{}", "1".repeat(28))]
    {
        let error = NetOperation::new(increment(operand).action()).expect_err(operand);
        assert!(error.is_bad_input(), "{operand}: {error}");
        assert!(error.to_string().contains("28"), "{operand}: {error}");
    }
}

#[test]
fn a_sum_outgrows_what_one_operand_may_be_and_is_still_written_and_read_back() {
    let chain: Vec<_> = (0..40).map(|_| increment(&"9".repeat(28))).collect();
    Trial::new(Some(r#"{"n":1}"#), &chain).obeys_every_law();
    Trial::new(None, &chain).obeys_every_law();
    let small_and_large = [increment("1e28"), increment("1e-28"), increment("-1e28"), increment("1")];
    Trial::new(Some(r#"{"n":0.5}"#), &small_and_large).obeys_every_law();
    Trial::new(Some("{}"), &small_and_large).obeys_every_law();
}

#[test]
fn a_base_exponent_of_1000_is_added_to_and_1001_is_a_misfit() {
    for (base, misfits) in
        [("1e1000", 0), ("1e-1000", 0), ("1e1001", 1), ("1e-1001", 1), ("1e99999999999999999999", 1)]
    {
        let document = format!(r#"{{"n":{base}}}"#);
        let chain = [increment("1"), increment("2"), increment("1e-28"), increment("-1")];
        Trial::new(Some(&document), &chain).obeys_every_law();
        let applied = net(&chain[0]).apply(Some(document.as_bytes()));
        assert_eq!(applied.misfits, misfits, "{base}");
        if misfits == 1 {
            assert!(!applied.changed);
            assert_eq!(applied.document.as_deref(), Some(document.as_bytes()));
        }
    }
}

#[test]
fn a_large_base_at_the_edge_stays_a_number_that_can_be_added_to() {
    // Were the sum of these written with a moved exponent, the next increment would not fit any more.
    for base in ["123456e1000", "0.000123e-1000", "999e1000", "-1.5E-1000"] {
        let chain = [increment("1"), increment("1"), increment("-2.5")];
        Trial::new(Some(&format!(r#"{{"n":{base}}}"#)), &chain).obeys_every_law();
    }
}

#[test]
fn increments_of_one_field_fold_into_one() {
    let nets: Vec<_> =
        ["1", "0.1", "-3", "1e2", "9223372036854775807"].iter().map(|n| net(&increment(n))).collect();
    assert_eq!(fold(&nets).longest_run(), 1);
}

#[test]
fn one_and_one_point_zero_are_different_values() {
    let base = br#"{"n":1}"#;
    for (doc, changed) in [("1", false), ("1.0", true), ("1e0", true)] {
        let body = format!(r#"{{"doc":{{"n":{doc}}}}}"#);
        let applied = NetOperation::new(Action::Update(body.as_bytes())).unwrap().apply(Some(base));
        assert_eq!(applied.changed, changed, "{doc}");
    }
    let applied =
        NetOperation::new(Action::Update(br#"{"doc":{"n":1.10}}"#)).unwrap().apply(Some(br#"{"n":1.1}"#));
    assert!(!applied.changed, "two non-integers are compared by value");
}

#[test]
fn min_and_max_compare_numbers_of_any_size_exactly() {
    for (base, part, operand, taken) in [
        ("1", "max", "1.0000000000000000000000000000000001", true),
        ("1", "max", "1.0", false),
        ("1e400", "max", "2e400", true),
        ("1e99999999999999999999", "min", "1e99999999999999999998", true),
        ("1e-99999999999999999999", "min", "0", true),
        ("-1e400", "min", "-1e401", true),
        ("-0", "max", "0", false),
        ("123456789012345678901234567890", "max", "123456789012345678901234567891", true),
        ("\"2013-01-01T00:00\"", "max", "\"2013-01-01T00:01\"", true),
        ("\"a\"", "max", r#""\u0062""#, true),
        ("null", "min", "5", true),
    ] {
        let document = format!(r#"{{"n":{base}}}"#);
        let action = OwnedAction::Update(format!(r#"{{"{part}":{{"n":{operand}}}}}"#));
        Trial::new(Some(&document), &[action.clone(), action.clone()]).obeys_every_law();
        let applied = net(&action).apply(Some(document.as_bytes()));
        assert_eq!((applied.changed, applied.misfits), (taken, 0), "{part} of {base} and {operand}");
    }
    let mixed = net(&OwnedAction::Update(r#"{"max":{"n":"a"}}"#.into())).apply(Some(br#"{"n":1}"#));
    assert_eq!((mixed.changed, mixed.misfits), (false, 1));
}

#[test]
fn an_operand_of_the_wrong_type_is_refused() {
    for body in [
        r#"{"inc":{"n":"1"}}"#,
        r#"{"inc":{"n":null}}"#,
        r#"{"inc":{"n":[1]}}"#,
        r#"{"max":{"n":true}}"#,
        r#"{"min":{"n":[1]}}"#,
    ] {
        let error = NetOperation::new(Action::Update(body.as_bytes())).expect_err(body);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{body}: {error}");
    }
}
