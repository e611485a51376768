//! By name: the cases that a merge which is nearly right gets wrong.

use crate::support::action::OwnedAction;
use crate::support::trial::{Trial, fold, net};

fn update(body: &str) -> OwnedAction {
    OwnedAction::Update(body.to_owned())
}

/// What a chain of update bodies leaves of a base; the chain obeys every law over this base and over others.
#[track_caller]
fn after(base: &str, bodies: &[&str]) -> String {
    let chain: Vec<_> = bodies.iter().map(|body| update(body)).collect();
    let others =
        ["{}", r#"{"a":null}"#, r#"{"a":1}"#, r#"{"a":[1]}"#, r#"{"a":{"b":1}}"#, r#"{"a":{"b":{"c":1}}}"#];
    for base in others.into_iter().chain([base]) {
        Trial::new(Some(base), &chain).obeys_every_law();
    }
    Trial::new(None, &chain).obeys_every_law();
    let nets: Vec<_> = chain.iter().map(net).collect();
    let document = fold(&nets).apply(Some(base.as_bytes())).document.unwrap();
    String::from_utf8(document.to_vec()).unwrap()
}

#[test]
fn an_object_replaces_a_scalar_an_array_and_a_null_and_back() {
    let object = r#"{"doc":{"a":{"y":2}}}"#;
    for other in ["1", "\"x\"", "true", "[1]", "[]", "null"] {
        let other_doc = format!(r#"{{"doc":{{"a":{other}}}}}"#);
        let other_base = format!(r#"{{"a":{other}}}"#);
        assert_eq!(after(&other_base, &[object]), r#"{"a":{"y":2}}"#);
        // A later object over an earlier scalar replaces what the scalar replaced: x is gone.
        assert_eq!(after(r#"{"a":{"x":1}}"#, &[&other_doc, object]), r#"{"a":{"y":2}}"#);
        assert_eq!(after(r#"{"a":{"x":1}}"#, &[object, &other_doc]), other_base);
        assert_eq!(after(r#"{"a":{"x":1}}"#, &[object, &other_doc, object]), r#"{"a":{"y":2}}"#);
    }
}

#[test]
fn the_creating_flag_outlives_the_field_that_caused_it() {
    let (sets, removes) = (r#"{"doc":{"a":{"b":1}}}"#, r#"{"remove":{"a":{"b":true}}}"#);
    assert_eq!(after(r#"{"a":5}"#, &[sets, removes]), r#"{"a":{}}"#);
    assert_eq!(after("{}", &[sets, removes]), r#"{"a":{}}"#);
    assert_eq!(after(r#"{"a":5}"#, &[removes, sets]), r#"{"a":{"b":1}}"#);
    for creating in [
        r#"{"inc":{"a":{"b":1}}}"#,
        r#"{"append":{"a":{"b":[1]}}}"#,
        r#"{"union":{"a":{"b":1}}}"#,
        r#"{"min":{"a":{"b":1}}}"#,
        r#"{"max":{"a":{"b":"x"}}}"#,
        r#"{"set":[[["a","b"],1]]}"#,
        r#"{"doc":{"a":{}}}"#,
    ] {
        assert_eq!(after(r#"{"a":5}"#, &[creating, removes]), r#"{"a":{}}"#, "{creating}");
    }
}

#[test]
fn removals_and_subtractions_alone_create_nothing() {
    for body in [
        r#"{"remove":{"a":{"b":true}}}"#,
        r#"{"subtract":{"a":{"b":[1]}}}"#,
        r#"{"remove":{"a":{"b":{"c":true}}}}"#,
    ] {
        for base in ["{}", r#"{"a":5}"#, r#"{"a":null}"#, r#"{"a":[1]}"#, r#"{"a":{}}"#] {
            assert_eq!(after(base, &[body]), base, "{body}");
            let applied = net(&update(body)).apply(Some(base.as_bytes()));
            assert!(!applied.changed, "{body} over {base}");
        }
    }
}

#[test]
fn an_empty_object_creates_a_level_and_changes_no_object() {
    assert_eq!(after("{}", &[r#"{"doc":{"a":{}}}"#]), r#"{"a":{}}"#);
    assert_eq!(after(r#"{"a":5}"#, &[r#"{"doc":{"a":{}}}"#]), r#"{"a":{}}"#);
    assert_eq!(after(r#"{"a":{"b":1}}"#, &[r#"{"doc":{"a":{}}}"#]), r#"{"a":{"b":1}}"#);
    assert_eq!(after(r#"{"a":{"b":1}}"#, &[r#"{"doc":{}}"#]), r#"{"a":{"b":1}}"#);
    assert_eq!(after(r#"{"a":{"b":1}}"#, &[r#"{"set":[[["a"],{}]]}"#]), r#"{"a":{}}"#);
    assert_eq!(after("{}", &[r#"{"doc":{"a":{"b":{}}}}"#]), r#"{"a":{"b":{}}}"#);
}

#[test]
fn a_dotted_name_is_one_name_and_not_a_path() {
    assert_eq!(after(r#"{"a":{"b":1}}"#, &[r#"{"doc":{"a.b":2}}"#]), r#"{"a":{"b":1},"a.b":2}"#);
    assert_eq!(after(r#"{"a.b":1}"#, &[r#"{"doc":{"a":{"b":2}}}"#]), r#"{"a.b":1,"a":{"b":2}}"#);
    assert_eq!(after(r#"{"a":{"b":1},"a.b":2}"#, &[r#"{"remove":{"a.b":true}}"#]), r#"{"a":{"b":1}}"#);
    assert_eq!(after(r#"{"a.b":1}"#, &[r#"{"inc":{"a.b":2}}"#, r#"{"inc":{"a.b":3}}"#]), r#"{"a.b":6}"#);
}

#[test]
fn a_name_is_the_same_name_however_it_is_spelled() {
    assert_eq!(
        after(r#"{"a":1}"#, &[r#"{"inc":{"\u0061":2}}"#, r#"{"inc":{"a":3}}"#]).replace("\\u0061", "a"),
        r#"{"a":6}"#
    );
    assert_eq!(after(r#"{"\u0061":1}"#, &[r#"{"remove":{"a":true}}"#]), "{}");
    assert_eq!(after(r#"{"\ud800":1}"#, &[r#"{"inc":{"\uD800":2}}"#]).to_lowercase(), r#"{"\ud800":3}"#);
    assert_eq!(after(r#"{"\ud83d\ude00":1}"#, &[r#"{"remove":{"😀":true}}"#]), "{}");
}

#[test]
fn null_is_stored_and_never_removes() {
    assert_eq!(after(r#"{"a":1}"#, &[r#"{"doc":{"a":null}}"#]), r#"{"a":null}"#);
    assert_eq!(after("{}", &[r#"{"doc":{"a":null}}"#]), r#"{"a":null}"#);
    assert_eq!(after("{}", &[r#"{"doc":{"a":{"b":null}}}"#]), r#"{"a":{"b":null}}"#);
}

#[test]
fn set_replaces_where_doc_would_merge() {
    assert_eq!(after(r#"{"a":{"b":1}}"#, &[r#"{"set":[[["a"],{"c":2}]]}"#]), r#"{"a":{"c":2}}"#);
    assert_eq!(after(r#"{"a":{"b":1}}"#, &[r#"{"doc":{"a":{"c":2}}}"#]), r#"{"a":{"b":1,"c":2}}"#);
    assert_eq!(
        after(r#"{"a":{"b":1}}"#, &[r#"{"set":[[["a"],{"c":2}]]}"#, r#"{"doc":{"a":{"d":3}}}"#]),
        r#"{"a":{"c":2,"d":3}}"#
    );
}

#[test]
fn lists_take_scalars_as_lists_of_one() {
    assert_eq!(after(r#"{"a":1}"#, &[r#"{"append":{"a":2}}"#]), r#"{"a":[1,2]}"#);
    assert_eq!(after(r#"{"a":1}"#, &[r#"{"append":{"a":[]}}"#]), r#"{"a":1}"#);
    assert_eq!(after(r#"{"a":1}"#, &[r#"{"union":{"a":[1,1]}}"#]), r#"{"a":1}"#);
    assert_eq!(after("{}", &[r#"{"union":{"a":[2,1,2,1.0]}}"#]), r#"{"a":[2,1,1.0]}"#);
    assert_eq!(after(r#"{"a":1}"#, &[r#"{"subtract":{"a":1}}"#]), r#"{"a":[]}"#);
    assert_eq!(after(r#"{"a":[1,2,1,1.0]}"#, &[r#"{"subtract":{"a":[1]}}"#]), r#"{"a":[2,1.0]}"#);
    assert_eq!(after(r#"{"a":{"b":1}}"#, &[r#"{"append":{"a":[{"c":1}]}}"#]), r#"{"a":[{"b":1},{"c":1}]}"#);
    assert_eq!(
        after(r#"{"a":[{"x":1,"y":2}]}"#, &[r#"{"union":{"a":[{"y":2,"x":1}]}}"#]),
        r#"{"a":[{"x":1,"y":2}]}"#
    );
    assert_eq!(after("{}", &[r#"{"append":{"a":[]}}"#]), r#"{"a":[]}"#);
    assert_eq!(after("{}", &[r#"{"subtract":{"a":[1]}}"#]), "{}");
    assert_eq!(after(r#"{"a":null}"#, &[r#"{"append":{"a":[]}}"#]), r#"{"a":null}"#);
    assert_eq!(after(r#"{"a":null}"#, &[r#"{"append":{"a":1}}"#]), r#"{"a":[1]}"#);
}

#[test]
fn an_upsert_document_is_stored_as_it_is_and_then_patched_by_what_follows() {
    let first = update(r#"{"doc":{"a":1},"upsert":{"a":0}}"#);
    let chain = [first.clone(), first.clone(), update(r#"{"inc":{"a":5},"upsert":{"z":1}}"#)];
    Trial::new(None, &chain).obeys_every_law();
    Trial::new(Some(r#"{"a":7}"#), &chain).obeys_every_law();
    let twice = net(&first).compose(&net(&first));
    assert_eq!(net(&first).apply(None).document.as_deref(), Some(&br#"{"a":0}"#[..]));
    assert_eq!(twice.apply(None).document.as_deref(), Some(&br#"{"a":1}"#[..]));
    assert!(!net(&first).is_repeatable(), "sent twice it gives 0, then 1");
}

#[test]
fn doc_as_upsert_applies_the_patch_to_an_empty_document() {
    let body = r#"{"doc":{"last":{"dest":"IAH"}},"inc":{"flights":1},"union":{"airports":["EWR"]},"max":{"worst":11},"remove":{"old":{"x":true}},"doc_as_upsert":true}"#;
    let chain = vec![update(body); 5];
    Trial::new(None, &chain).obeys_every_law();
    Trial::new(Some(r#"{"old":{"x":1,"y":2},"flights":1.5,"airports":"EWR"}"#), &chain).obeys_every_law();
    let nets: Vec<_> = chain.iter().map(net).collect();
    let folded = fold(&nets);
    assert_eq!(folded.longest_run(), 1);
    assert!(folded.existence_after(false) && folded.existence_after(true));
    let document = folded.apply(None).document.unwrap();
    let text = std::str::from_utf8(&document).unwrap();
    assert!(text.contains(r#""flights":5"#) && !text.contains("old"), "{text}");
}

#[test]
fn repeatable_is_told_of_what_is_and_not_of_what_is_not() {
    for (repeatable, body) in [
        (true, r#"{"doc":{"a":1,"b":{"c":[1]}}}"#),
        (true, r#"{"doc":{"a":1},"doc_as_upsert":true}"#),
        (true, r#"{"remove":{"a":true}}"#),
        (true, r#"{"set":[[["a"],{"b":1}]]}"#),
        (true, r#"{"max":{"a":1}}"#),
        (true, r#"{"union":{"a":[1]}}"#),
        (false, r#"{"inc":{"a":1}}"#),
        (false, r#"{"append":{"a":[1]}}"#),
        (false, r#"{"doc":{"a":1},"upsert":{"a":0}}"#),
        (false, r#"{"doc":{"x":1},"inc":{"a":{"b":1}}}"#),
    ] {
        assert_eq!(net(&update(body)).is_repeatable(), repeatable, "{body}");
    }
    assert!(net(&OwnedAction::Index("{}".into())).is_repeatable());
    assert!(net(&OwnedAction::Delete).is_repeatable());
}

#[test]
fn like_operations_fold_and_the_rest_stand_side_by_side() {
    let run = |bodies: &[&str]| {
        fold(&bodies.iter().map(|body| net(&update(body))).collect::<Vec<_>>()).longest_run()
    };
    assert_eq!(run(&[r#"{"append":{"a":1}}"#, r#"{"append":{"a":2}}"#, r#"{"append":{"a":[3]}}"#]), 1);
    assert_eq!(run(&[r#"{"union":{"a":1}}"#, r#"{"union":{"a":2}}"#]), 1);
    assert_eq!(run(&[r#"{"subtract":{"a":1}}"#, r#"{"subtract":{"a":2}}"#]), 1);
    assert_eq!(run(&[r#"{"max":{"a":1}}"#, r#"{"max":{"a":2}}"#]), 1);
    assert_eq!(run(&[r#"{"min":{"a":"x"}}"#, r#"{"min":{"a":"y"}}"#]), 1);
    assert_eq!(run(&[r#"{"inc":{"a":1}}"#, r#"{"doc":{"a":5}}"#]), 1);
    assert_eq!(run(&[r#"{"doc":{"a":5}}"#, r#"{"inc":{"a":1}}"#, r#"{"append":{"a":1}}"#]), 1);
    assert_eq!(run(&[r#"{"inc":{"a":1}}"#, r#"{"doc":{"a":{"b":1}}}"#]), 1);
    assert_eq!(run(&[r#"{"inc":{"a":1}}"#, r#"{"append":{"a":1}}"#]), 2);
    assert_eq!(run(&[r#"{"append":{"a":1}}"#, r#"{"union":{"a":2}}"#, r#"{"append":{"a":1}}"#]), 3);
    assert_eq!(run(&[r#"{"append":{"a":1}}"#, r#"{"union":{"a":2}}"#, r#"{"remove":{"a":true}}"#]), 1);
}

#[test]
fn numbers_and_strings_do_not_mix_in_min_and_max() {
    for bodies in [
        [r#"{"max":{"a":1}}"#, r#"{"max":{"a":"x"}}"#],
        [r#"{"min":{"a":"x"}}"#, r#"{"max":{"a":1}}"#],
        [r#"{"max":{"a":1}}"#, r#"{"inc":{"a":1}}"#],
        [r#"{"max":{"a":1.0}}"#, r#"{"max":{"a":1}}"#],
    ] {
        after(r#"{"a":"m"}"#, &bodies);
        after(r#"{"a":0.5}"#, &bodies);
    }
}
