//! Nothing is accepted that is known to be bad: a clear error at submit, with the operation returned.

use crate::rig::{INDEX, Rig};
use millpond::{DEPTH_MAX, ErrorKind, ID_BYTES_MAX, INDEX_BYTES_MAX, Operation, Takes};

/// Submits what must be refused, and says how.
fn refused(operation: Operation<'_>) -> (ErrorKind, String, Option<usize>) {
    let rig = Rig::new(Takes::NetOperations);
    let Err(refused) = rig.engine.submit(operation) else { panic!("accepted: {operation:?}") };
    assert_eq!(refused.operation, operation);
    assert!(refused.error.is_bad_input() && !refused.error.is_temporary());
    assert_eq!((rig.engine.stats().operations_in, rig.engine.stats().used_bytes), (0, 0));
    let tracked = rig.engine.submit_tracked(operation).unwrap_err();
    assert_eq!(tracked.error.to_string(), refused.error.to_string());
    (refused.error.kind(), refused.error.to_string(), refused.error.offset())
}

fn document(text: &str) -> (ErrorKind, String, Option<usize>) {
    let index = refused(Operation::index(INDEX, "a", text.as_bytes()));
    assert_eq!(refused(Operation::create(INDEX, "a", text.as_bytes())), index);
    index
}

fn update(text: &str) -> (ErrorKind, String, Option<usize>) {
    refused(Operation::update(INDEX, "a", text.as_bytes()))
}

#[test]
fn malformed_json_is_refused_at_its_place() {
    for (text, offset) in
        [("", 0), ("{\"a\":", 5), ("{\"a\" 1}", 5), ("{\"a\":01}", 6), ("{} x", 3), ("{\"a\":\"\u{1}\"}", 6)]
    {
        let (kind, message, at) = document(text);
        assert_eq!((kind, at), (ErrorKind::Invalid, Some(offset)), "{text:?}: {message}");
    }
    assert_eq!(refused(Operation::index(INDEX, "a", b"{\"a\":\"\xff\"}")).0, ErrorKind::Invalid);
}

#[test]
fn what_is_not_an_object_is_refused() {
    for text in ["[]", "1", "null", "\"a\"", "true"] {
        assert_eq!(document(text).0, ErrorKind::Invalid);
        assert_eq!(update(text).0, ErrorKind::Invalid);
        assert_eq!(update(&format!("{{\"doc\":{text}}}")).0, ErrorKind::Invalid);
    }
}

#[test]
fn a_field_name_that_stands_twice_is_refused_however_it_is_spelled() {
    for text in [r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, r#"{"x":[{"b":1,"b":2}]}"#] {
        let (kind, message, _) = document(text);
        assert_eq!(kind, ErrorKind::Invalid);
        assert!(message.contains("twice"), "{message}");
        assert_eq!(update(&format!("{{\"doc\":{text}}}")).0, ErrorKind::Invalid);
    }
}

#[test]
fn what_nests_too_deep_is_refused_with_the_limit() {
    let nested = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    let (kind, message, _) = document(&nested(DEPTH_MAX + 1));
    assert_eq!(kind, ErrorKind::TooLarge);
    assert!(message.contains("1000") || message.contains("1,000"), "{message}");
    let rig = Rig::new(Takes::NetOperations);
    rig.index("a", &nested(DEPTH_MAX));
}

#[test]
fn bad_names_are_refused() {
    let long = "x".repeat(INDEX_BYTES_MAX + 1);
    for index in ["", ".", "..", "Upper", "a b", "a/b", "a*", "-a", "_a", "+a", "a,b", "a#", &long] {
        refused(Operation::index(index, "a", b"{}"));
    }
    let long = "x".repeat(ID_BYTES_MAX + 1);
    for id in ["", &long] {
        refused(Operation::index(INDEX, id, b"{}"));
        refused(Operation::delete(INDEX, id));
    }
    let (_, message, _) = refused(Operation::delete(INDEX, &long));
    assert!(message.contains("513") && message.contains("512"), "{message}");
    refused(Operation::delete(INDEX, "a").routing(""));
}

#[test]
fn an_update_that_cannot_be_folded_is_refused_by_name() {
    let (_, message, _) = update(r#"{"script":{"source":"ctx._source.n++"}}"#);
    assert!(message.contains("script") && message.contains("inc"), "{message}");
    let (_, message, _) = update(r#"{"doc":{"n":{"m":1}},"inc":{"n":{"m":1}}}"#);
    assert!(message.contains('n') && message.contains('m'), "names the path: {message}");
    for body in [
        "{}x",
        r#"{"doc":{},"unknown":1}"#,
        r#"{"inc":{"n":"1"}}"#,
        r#"{"inc":{"n":12345678901234567890123456789}}"#,
        r#"{"max":{"n":[1]}}"#,
    ] {
        update(body);
    }
}
