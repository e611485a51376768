//! Folding in place: what it takes, what it leaves to composing, and what it makes.

use super::super::{Composed, NetRef, compose, fold_in_place, validate};
use super::{index, text, update};
use crate::{Action, NetOperation};

/// Folds in place, with `slack` bytes of room; checks that it is what composing gives, or that nothing has changed.
fn fold(earlier: &NetOperation, later: &NetOperation, slack: usize) -> Option<(NetOperation, Composed)> {
    let mut expected = Vec::new();
    let composed = compose(earlier.as_net(), later.as_net(), &mut expected);
    let expected = NetOperation::from_encoded(expected);
    let len = earlier.as_net().as_bytes().len();
    let mut room = earlier.as_net().as_bytes().to_vec();
    room.resize(len + slack, 0xA5);
    let before = room.clone();
    let Some(folded) = fold_in_place(&mut room, len, later.as_net(), &mut vec![7; 3]) else {
        assert_eq!(room, before, "{earlier:?} then {later:?}");
        return None;
    };
    room.truncate(folded.len);
    let found = NetOperation::from_encoded(room);
    validate(found.as_net()).unwrap_or_else(|problem| panic!("{earlier:?} then {later:?}: {problem}"));
    assert_eq!(folded.composed, composed, "{earlier:?} then {later:?}");
    assert!(composed.longest_run <= 2, "{earlier:?} then {later:?}");
    assert_eq!(
        (found.verb(), text(&found)),
        (expected.verb(), text(&expected)),
        "{earlier:?} then {later:?}"
    );
    assert_eq!(found.detects_noop(), expected.detects_noop());
    assert_eq!(found.existence_after(false), expected.existence_after(false));
    if found.as_net().document().is_some() {
        assert_eq!(found.as_net().as_bytes(), expected.as_net().as_bytes(), "{earlier:?} then {later:?}");
    }
    Some((found, folded.composed))
}

/// Checks that folding in place gives what composing gives and, where there is room, nothing only where composing
/// is asked for.
pub(super) fn agrees(earlier: &NetOperation, later: &NetOperation, slack: usize) -> bool {
    fold(earlier, later, slack).is_some()
}

fn folds_to(earlier: &NetOperation, later: &str, expected: &str) {
    let later = update(later);
    let (found, _) = fold(earlier, &later, 64).unwrap_or_else(|| panic!("{earlier:?} then {later:?}"));
    assert_eq!(text(&found), expected);
}

#[test]
fn what_an_update_changes_in_a_document_is_written_over_it() {
    let put = index(r#"{"name":"mill","price":10, "place":{"aisle":4,"shelf":5},"tags":["a"]}"#).unwrap();
    for (later, expected) in [
        (
            r#"{"doc":{"price":99}}"#,
            r#"{"name":"mill","price":99, "place":{"aisle":4,"shelf":5},"tags":["a"]}"#,
        ),
        (
            r#"{"doc":{"price":1.0,"place":{"shelf":123},"name":"m"}}"#,
            r#"{"name":"m","price":1.0, "place":{"aisle":4,"shelf":123},"tags":["a"]}"#,
        ),
        (
            r#"{"doc":{"new":1,"place":{"x":2},"older":"y"}}"#,
            r#"{"name":"mill","price":10, "place":{"aisle":4,"shelf":5,"x":2},"tags":["a"],"new":1,"older":"y"}"#,
        ),
        (
            r#"{"inc":{"price":90},"union":{"tags":["b"]},"min":{"name":"a"},"max":{"place":{"aisle":3}}}"#,
            r#"{"name":"a","price":100, "place":{"aisle":4,"shelf":5},"tags":["a","b"]}"#,
        ),
        (
            r#"{"remove":{"price":true},"doc":{"place":{"aisle":4},"n\u0061me":"mill"}}"#,
            r#"{"name":"mill", "place":{"aisle":4,"shelf":5},"tags":["a"]}"#,
        ),
    ] {
        folds_to(&put, later, expected);
    }
}

#[test]
fn what_an_update_changes_in_a_patch_is_written_over_it() {
    let patch = update(
        r#"{"doc":{"a":1,"b":"x","c":{"d":2,"e":3}},"inc":{"n":9},"max":{"m":5},"doc_as_upsert":true}"#,
    );
    for (later, expected) in [
        (
            r#"{"doc":{"b":"y","a":7},"doc_as_upsert":true}"#,
            r#"{"doc":{"a":7,"b":"y","c":{"d":2,"e":3}},"inc":{"n":9},"max":{"m":5},"doc_as_upsert":true}"#,
        ),
        (
            r#"{"inc":{"n":1,"a":1,"c":{"d":40}},"max":{"m":4}}"#,
            r#"{"doc":{"a":2,"b":"x","c":{"d":42,"e":3}},"inc":{"n":10},"max":{"m":5},"doc_as_upsert":true}"#,
        ),
        (
            r#"{"doc":{"c":{"f":4,"d":"long enough to move all that follows"},"g":{"h":1}},"union":{"u":[1]},"detect_noop":false}"#,
            r#"{"doc":{"a":1,"b":"x","c":{"d":"long enough to move all that follows","e":3,"f":4},"g":{"h":1}},"inc":{"n":9},"max":{"m":5},"union":{"u":[1]},"doc_as_upsert":true,"detect_noop":false}"#,
        ),
        (
            r#"{"remove":{"a":true,"c":{"d":true}},"append":{"b":[2]}}"#,
            r#"{"remove":{"a":true,"c":{"d":true}},"doc":{"b":["x",2],"c":{"e":3}},"inc":{"n":9},"max":{"m":5},"doc_as_upsert":true}"#,
        ),
        (
            r#"{"append":{"n":[1]}}"#,
            r#"{"doc":{"a":1,"b":"x","c":{"d":2,"e":3}},"inc":{"n":9},"max":{"m":5},"doc_as_upsert":true,"then":[{"append":{"n":[1]}}]}"#,
        ),
    ] {
        let (found, _) = fold(&patch, &update(later), 200).unwrap_or_else(|| panic!("{later}"));
        let mut expected = update(expected);
        if later.contains("append\":{\"n") {
            expected = patch.compose(&update(later));
        }
        assert_eq!(found, expected, "{later}");
    }
}

#[test]
fn puts_and_deletes_are_written_over_whatever_is_there() {
    let delete = NetOperation::new(Action::Delete).unwrap();
    let put = index(r#"{"a":1}"#).unwrap();
    let doc = update(r#"{"doc":{"a":2}}"#);
    let upsert = update(r#"{"doc":{"a":2},"upsert":{"b":1}}"#);
    let as_upsert = update(r#"{"doc":{"a":2},"doc_as_upsert":true}"#);
    for earlier in [&delete, &put, &doc, &upsert, &as_upsert] {
        assert_eq!(fold(earlier, &put, 8).unwrap().0, put);
        assert_eq!(fold(earlier, &delete, 0).unwrap().0, delete);
    }
    for later in [&doc, &upsert, &as_upsert] {
        assert_eq!(fold(&delete, later, 8).unwrap().0, delete.compose(later));
    }
}

#[test]
fn what_is_not_cheap_or_does_not_fit_is_left_to_composing() {
    let none = |earlier: &NetOperation, later: &str, slack: usize| {
        assert_eq!(fold(earlier, &update(later), slack), None, "{earlier:?} then {later}");
    };
    let patch = update(r#"{"doc":{"a":1,"b":"x"}}"#);
    // A field moves, or what is made of nothing changes.
    none(&update(r#"{"remove":{"a":true},"doc":{"b":1}}"#), r#"{"doc":{"a":1}}"#, 64);
    none(&patch, r#"{"doc":{"a":1},"upsert":{}}"#, 64);
    none(&patch, r#"{"doc":{"a":1},"doc_as_upsert":true}"#, 64);
    none(&update(r#"{"doc":{"a":1},"upsert":{}}"#), r#"{"doc":{"a":1}}"#, 64);
    // Runs.
    none(&patch.compose(&update(r#"{"inc":{"n":1},"then":[{"append":{"n":1}}]}"#)), r#"{"doc":{"a":1}}"#, 64);
    // Many fields.
    let wide: Vec<String> = (0..9).map(|n| format!("\"n{n}\":1")).collect();
    none(&patch, &format!("{{\"doc\":{{{}}}}}", wide.join(",")), 200);
    // No room.
    none(&patch, r#"{"doc":{"b":"xy"}}"#, 0);
    none(&index(r#"{"b":"x"}"#).unwrap(), r#"{"doc":{"b":"xy"}}"#, 0);
    assert!(agrees(&patch, &update(r#"{"doc":{"b":"xy"}}"#), 1));
    assert_eq!(fold(&patch, &index(r#"{"text":"longer than the patch"}"#).unwrap(), 0), None);
}

#[test]
fn misfits_are_counted_where_they_are_folded() {
    let put = index(r#"{"a":"x"}"#).unwrap();
    let (same, composed) = fold(&put, &update(r#"{"inc":{"a":1}}"#), 0).unwrap();
    assert_eq!((same, composed.misfits), (put, 1));
    let level = update(r#"{"doc":{"a":{}}}"#);
    assert_eq!(fold(&level, &update(r#"{"inc":{"a":1}}"#), 64).unwrap().1.misfits, 1);
}

#[test]
fn bytes_that_are_no_operation_break_nothing() {
    for earlier in [&b""[..], &[2], &[2, 0, 0, 0, 0, 200], &[2, 0, 0, 0, 0, 2, b'a', 9, 0, 0x80]] {
        let mut room = [earlier, &[0; 16]].concat();
        fold_in_place(&mut room, earlier.len(), update(r#"{"inc":{"a":1}}"#).as_net(), &mut Vec::new());
        let later = NetRef::from_bytes(earlier);
        let mut room = update(r#"{"inc":{"a":1}}"#).as_net().as_bytes().to_vec();
        let len = room.len();
        fold_in_place(&mut room, len, later, &mut Vec::new());
    }
}
