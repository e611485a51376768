//! Tests of event times.

use super::*;
use crate::replay::queued::Names;

/// 2013-01-01T10:15:00Z.
const AT: i64 = 1_357_035_300_000_000;

fn time(field: &str, verb: Verb, body: &str) -> Time {
    let names = Names { index: "2013-01-01", id: "1357035300", routing: None };
    TimeField::new(field).time_of(&Queued::new(verb, names, 1, [b"", body.as_bytes()]))
}

#[test]
fn a_text_is_rfc_3339_with_an_offset_or_in_utc_or_a_number() {
    for text in [
        "2013-01-01T10:15:00Z",
        "2013-01-01t10:15:00.000z",
        "2013-01-01 10:15:00+00:00",
        "2013-01-01T05:15:00-05:00",
        "2013-01-01T10:15:00",
        "2013-01-01 10:15",
        "1357035300",
        "1357035300.0",
        "1357035300000",
        " 1357035300 ",
    ] {
        assert_eq!(from_text(text), Some(AT), "{text}");
    }
    assert_eq!(from_text("2013-01-01"), Some(AT - (10 * 60 + 15) * 60 * 1_000_000));
    assert_eq!(from_text("2013-01-01T10:15:00.250001Z"), Some(AT + 250_001));
    assert_eq!(from_text("1969-12-31T23:59:59Z"), Some(-1_000_000));
    for text in
        ["", "-", "inf", "NaN", "yesterday", "10:15:00", "2013-13-01T00:00:00Z", "01/02/2013", "1e400"]
    {
        assert_eq!(from_text(text), None, "{text}");
    }
}

#[test]
fn a_number_is_seconds_or_milliseconds_by_its_size_and_else_no_time() {
    assert_eq!(from_number(1_357_035_300.25), Some(AT + 250_000));
    assert_eq!(from_number(1_700_000_000.1), Some(1_700_000_000_100_000));
    assert_eq!(from_number(1_357_035_300_250.0), Some(AT + 250_000));
    assert_eq!(from_number(-1.5), Some(-1_500_000));
    assert_eq!(from_number(99_999_999_999.0), Some(99_999_999_999_000_000));
    assert_eq!(from_number(100_000_000_000.0), Some(100_000_000_000_000));
    // Microseconds and nanoseconds of our days.
    for number in [1_357_035_300_000_000.0, 1_357_035_300_000_000_000.0, 1e14, f64::INFINITY, f64::NAN] {
        assert_eq!(from_number(number), None, "{number}");
    }
}

#[test]
fn a_path_leads_through_objects_and_keys_with_dots() {
    let at = format!("{{\"x\":[{{\"t\":1}}],\"a\":{{\"b\":{{\"t\":{}}}}},\"y\":1}}", AT / 1_000_000);
    assert_eq!(time("a.b.t", Verb::Index, &at), Time::At(AT));
    let dotted = r#"{"a":{"b.t":"2013-01-01T10:15:00Z"},"a.b":{"u":1357035300}}"#;
    assert_eq!(time("a.b.t", Verb::Create, dotted), Time::At(AT));
    assert_eq!(time("a.b.u", Verb::Create, dotted), Time::At(AT));
    for field in ["a.b", "x", "x.t", "y.t", "t", "a.b.", ".a", "a", "b"] {
        assert!(!matches!(time(field, Verb::Index, &at), Time::At(_)), "{field}");
    }
}

#[test]
fn an_update_has_it_in_doc_or_else_in_upsert() {
    let both = r#"{"upsert":{"t":1},"doc":{"t":1357035300}}"#;
    assert_eq!(time("t", Verb::Update, both), Time::At(AT));
    assert_eq!(time("t", Verb::Update, r#"{"doc":{"t":null},"upsert":{"t":1357035300}}"#), Time::At(AT));
    assert_eq!(time("t", Verb::Update, r#"{"t":1357035300,"inc":{"t":2}}"#), Time::Missing);
    assert_eq!(time("t", Verb::Delete, ""), Time::Missing);
}

#[test]
fn the_names_of_the_action_line_may_be_times() {
    assert_eq!(time("_id", Verb::Delete, ""), Time::At(AT));
    assert_eq!(time("_index", Verb::Delete, ""), Time::At(AT - (10 * 60 + 15) * 60 * 1_000_000));
    assert_eq!(time("routing", Verb::Delete, ""), Time::Missing);
}

#[test]
fn what_is_there_and_no_time_is_told_from_what_is_not_there() {
    for value in ["\"soon\"", "true", "[1357035300]", "{}", "1e20"] {
        assert_eq!(time("t", Verb::Index, &format!("{{\"t\":{value}}}")), Time::Unreadable, "{value}");
    }
    for body in ["{}", r#"{"t":null}"#, r#"{"T":1}"#, "[1]", "7", "", "{\"t\":1357035300"] {
        assert_eq!(time("t", Verb::Index, body), Time::Missing, "{body}");
    }
}
