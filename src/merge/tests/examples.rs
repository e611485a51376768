//! Behaviour by example: what the servers do, and what the design says of the field operations.

use super::{apply, index, refusal, text, update};
use crate::{Action, NetOperation, Shape};

/// Applies a body to a base; what it gives, and whether that was a change.
fn step(body: &str, base: &str) -> (String, bool, u64) {
    let applied = update(body).apply(Some(base.as_bytes()));
    (String::from_utf8(applied.document.unwrap().to_vec()).unwrap(), applied.changed, applied.misfits)
}

/// Checks that a body turns a base into a document, and that folding it onto the base's own put does the same.
fn gives(body: &str, base: &str, expected: &str) {
    assert_eq!(step(body, base).0, expected, "{body} on {base}");
    let put = index(base).unwrap().compose(&update(body));
    assert_eq!(apply(&put, None).as_deref(), Some(expected), "{body} after a put of {base}");
    assert_eq!(step(body, base).1, base != expected, "{body} on {base}");
}

fn misfit(body: &str, base: &str) {
    assert_eq!(step(body, base), (base.to_owned(), false, 1), "{body} on {base}");
}

#[test]
fn a_partial_document_merges_objects_and_replaces_all_else() {
    gives(r#"{"doc":{"a":{"y":2}}}"#, r#"{"a":{"x":1},"b":3}"#, r#"{"a":{"x":1,"y":2},"b":3}"#);
    for old in ["1", "[1]", "null", "\"s\""] {
        gives(r#"{"doc":{"a":{"x":1}}}"#, &format!("{{\"a\":{old}}}"), r#"{"a":{"x":1}}"#);
        gives(&format!("{{\"doc\":{{\"a\":{old}}}}}"), r#"{"a":{"x":1}}"#, &format!("{{\"a\":{old}}}"));
    }
    gives(r#"{"doc":{"a":{}}}"#, r#"{"a":{"x":1}}"#, r#"{"a":{"x":1}}"#);
    gives(r#"{"doc":{"a":{}}}"#, "{}", r#"{"a":{}}"#);
    gives(r#"{"doc":{"a.b":1}}"#, r#"{"a":{"b":2}}"#, r#"{"a":{"b":2},"a.b":1}"#);
    gives(r#"{"doc":{"":1}}"#, r#"{"a":2}"#, r#"{"a":2,"":1}"#);
    gives(r#"{"doc":{"\u0061":1}}"#, r#"{"a":2}"#, r#"{"a":1}"#);
}

#[test]
fn an_object_that_comes_after_a_scalar_replaces_what_was_below() {
    let net = update(r#"{"doc":{"a":1}}"#).compose(&update(r#"{"doc":{"a":{"x":1}}}"#));
    assert_eq!(apply(&net, Some(r#"{"a":{"y":2}}"#)).unwrap(), r#"{"a":{"x":1}}"#);
    let net = update(r#"{"doc":{"a":{"x":1}}}"#).compose(&update(r#"{"doc":{"a":null}}"#));
    let net = net.compose(&update(r#"{"doc":{"a":{}}}"#));
    assert_eq!(apply(&net, Some(r#"{"a":{"y":2}}"#)).unwrap(), r#"{"a":{}}"#);
}

#[test]
fn a_level_that_created_goes_on_creating_when_its_field_is_gone() {
    let net = update(r#"{"doc":{"a":{"x":1}}}"#).compose(&update(r#"{"remove":{"a":{"x":true}}}"#));
    for (base, expected) in
        [("{}", r#"{"a":{}}"#), (r#"{"a":7}"#, r#"{"a":{}}"#), (r#"{"a":{"y":1}}"#, r#"{"a":{"y":1}}"#)]
    {
        assert_eq!(apply(&net, Some(base)).unwrap(), expected);
    }
    assert_eq!(text(&net), r#"{"remove":{"a":{"x":true}},"doc":{"a":{}}}"#);
    gives(r#"{"remove":{"a":{"x":true}}}"#, r#"{"a":7}"#, r#"{"a":7}"#);
    gives(r#"{"subtract":{"a":{"x":1}}}"#, "{}", "{}");
}

#[test]
fn what_is_not_touched_keeps_every_byte() {
    let base = "{ \"n\" : 1.10 ,\n\t\"big\":1e400, \"z\":-0,\"d\":123456789012345678901234567890 , \"s\":\"\\u0000\\ud800\\/\" }";
    gives(
        r#"{"doc":{"new":1},"inc":{"c":1}}"#,
        base,
        "{ \"n\" : 1.10 ,\n\t\"big\":1e400, \"z\":-0,\"d\":123456789012345678901234567890 , \"s\":\"\\u0000\\ud800\\/\",\"new\":1,\"c\":1 }",
    );
    assert_eq!(step(r#"{"doc":{"n":1.1,"s":"\u0000\uD800/","z":0}}"#, base), (base.to_owned(), false, 0));
    gives(r#"{"remove":{"n":true}}"#, r#"{ "n" : 1 , "m" : 2 }"#, r#"{ "m" : 2 }"#);
    gives(r#"{"remove":{"m":true}}"#, r#"{ "n" : 1 , "m" : 2 }"#, r#"{ "n" : 1 }"#);
    gives(r#"{"remove":{"n":true}}"#, r#"{ "n" : 1 }"#, "{  }");
    gives(r#"{"remove":{"n":true,"m":true},"doc":{"o":1}}"#, r#"{"n":1,"m":2,"k":3}"#, r#"{"k":3,"o":1}"#);
    gives(r#"{"remove":{"n":true,"m":true},"doc":{"o":1}}"#, r#"{"n":1,"k":3,"m":2}"#, r#"{"k":3,"o":1}"#);
    gives(r#"{"remove":{"n":true,"m":true},"doc":{"o":1}}"#, r#"{"n":1,"m":2}"#, r#"{"o":1}"#);
}

#[test]
fn an_increment_counts_exactly_from_what_is_there() {
    gives(r#"{"inc":{"a":1}}"#, "{}", r#"{"a":1}"#);
    gives(r#"{"inc":{"a":1}}"#, r#"{"a":null}"#, r#"{"a":1}"#);
    gives(r#"{"inc":{"a":0.2}}"#, r#"{"a":0.1}"#, r#"{"a":0.3}"#);
    gives(r#"{"inc":{"a":-1e0}}"#, r#"{"a":1.50}"#, r#"{"a":0.50}"#);
    gives(r#"{"inc":{"a":1.5e3}}"#, "{}", r#"{"a":1500}"#);
    gives(r#"{"inc":{"a":0}}"#, r#"{"a":-0}"#, r#"{"a":-0}"#);
    gives(r#"{"inc":{"a":0}}"#, r#"{"a":1e2}"#, r#"{"a":100}"#);
    gives(r#"{"inc":{"a":{"b":1}}}"#, r#"{"a":7}"#, r#"{"a":{"b":1}}"#);
    for base in [r#"{"a":"1"}"#, r#"{"a":true}"#, r#"{"a":[]}"#, r#"{"a":{}}"#, r#"{"a":1e1001}"#] {
        misfit(r#"{"inc":{"a":1}}"#, base);
    }
}

#[test]
fn min_and_max_keep_what_is_there_on_a_tie() {
    gives(r#"{"min":{"a":2}}"#, r#"{"a":3}"#, r#"{"a":2}"#);
    gives(r#"{"min":{"a":2.0}}"#, r#"{"a":2}"#, r#"{"a":2}"#);
    gives(r#"{"max":{"a":1e400}}"#, r#"{"a":1e-999999999}"#, r#"{"a":1e400}"#);
    gives(r#"{"max":{"a":"2013-02"}}"#, r#"{"a":"2013-01"}"#, r#"{"a":"2013-02"}"#);
    gives(r#"{"min":{"a":5}}"#, r#"{"a":null}"#, r#"{"a":5}"#);
    for base in [r#"{"a":"1"}"#, r#"{"a":true}"#, r#"{"a":[3]}"#, r#"{"a":{}}"#] {
        misfit(r#"{"min":{"a":2}}"#, base);
    }
    let net = update(r#"{"min":{"a":2}}"#).compose(&update(r#"{"min":{"a":"x"}}"#));
    assert_eq!(net.longest_run(), 2);
}

#[test]
fn lists_take_null_and_nothing_as_empty_and_all_else_as_a_list_of_one() {
    for (section, operand, base, expected) in [
        ("append", "1", "", "[1]"),
        ("append", "[]", "", "[]"),
        ("append", "[]", "null", "null"),
        ("append", "[1]", "null", "[1]"),
        ("append", "[]", "7", "7"),
        ("append", "[1]", "7", "[7,1]"),
        ("append", "[1]", "{\"x\":1}", "[{\"x\":1},1]"),
        ("append", "[2, 3 ]", "[ 1 ]", "[ 1,2, 3 ]"),
        ("append", "null", "[ ]", "[null ]"),
        ("union", "[1,1]", "", "[1]"),
        ("union", "[]", "", "[]"),
        ("union", "[2,1]", "[1,1]", "[1,1,2]"),
        ("union", "[1]", "1", "1"),
        ("union", "[1.0]", "1", "[1,1.0]"),
        ("union", "[{\"b\":1,\"a\":2}]", "[{\"a\":2,\"b\":1}]", "[{\"a\":2,\"b\":1}]"),
        ("union", "\"\\u0078\"", "[\"x\"]", "[\"x\"]"),
        ("subtract", "1", "", ""),
        ("subtract", "null", "null", "null"),
        ("subtract", "[1]", "[1,2,1]", "[2]"),
        ("subtract", "[1]", "[ 1 , 1 ]", "[  ]"),
        ("subtract", "[1]", "1", "[]"),
        ("subtract", "[1]", "2", "2"),
        ("subtract", "[{\"x\":1}]", "{\"x\":1}", "[]"),
    ] {
        let wrap =
            |value: &str| if value.is_empty() { "{}".to_owned() } else { format!("{{\"a\":{value}}}") };
        gives(&format!("{{\"{section}\":{{\"a\":{operand}}}}}"), &wrap(base), &wrap(expected));
    }
}

#[test]
fn misfits_that_folding_decides_are_counted_where_they_are_folded() {
    let put = index(r#"{"a":"x"}"#).unwrap();
    let mut out = Vec::new();
    let inc = update(r#"{"inc":{"a":1}}"#);
    assert_eq!(super::super::compose(put.as_net(), inc.as_net(), &mut out).misfits, 1);
    let doc = update(r#"{"doc":{"a":{}}}"#);
    assert_eq!(super::super::compose(doc.as_net(), inc.as_net(), &mut out).misfits, 1);
    assert_eq!(super::super::compose(inc.as_net(), doc.as_net(), &mut out).misfits, 0);
    let append = update(r#"{"append":{"a":[1]}}"#);
    assert_eq!(super::super::compose(append.as_net(), inc.as_net(), &mut out).misfits, 1);
}

#[test]
fn the_three_shapes_compose_as_the_table_says() {
    let doc = |value: u8| update(&format!("{{\"doc\":{{\"a\":{value}}}}}"));
    let upsert = update(r#"{"doc":{"a":1},"upsert":{"u":1}}"#);
    let as_upsert = update(r#"{"doc":{"b":1},"doc_as_upsert":true}"#);
    let create = NetOperation::new(Action::Create(br#"{"c":1}"#)).unwrap();
    let delete = NetOperation::new(Action::Delete).unwrap();
    let put = index("{}").unwrap();
    assert_eq!(put.compose(&doc(1)), index(r#"{"a":1}"#).unwrap());
    assert_eq!(delete.compose(&doc(1)), delete);
    assert_eq!(delete.compose(&upsert), index(r#"{"u":1}"#).unwrap());
    assert_eq!(delete.compose(&as_upsert), index(r#"{"b":1}"#).unwrap());
    assert_eq!(doc(1).compose(&put), put);
    assert_eq!(create.compose(&doc(2)), update(r#"{"doc":{"a":2},"upsert":{"c":1,"a":2}}"#));
    assert_eq!(doc(1).compose(&create), update(r#"{"doc":{"a":1},"upsert":{"c":1}}"#));
    assert_eq!(create.compose(&create), create);
    assert_eq!(doc(1).compose(&as_upsert), update(r#"{"doc":{"a":1,"b":1},"upsert":{"b":1}}"#));
    let both = as_upsert.compose(&doc(1)).compose(&upsert);
    assert_eq!(text(&both), r#"{"doc":{"b":1,"a":1},"doc_as_upsert":true}"#);
    assert_eq!((both.shape(), both.existence_after(false)), (Shape::Patch, true));
    assert_eq!((delete.existence_after(true), doc(1).existence_after(false)), (false, false));
}

#[test]
fn only_what_applied_twice_is_as_once_is_repeatable() {
    for body in [
        r#"{"doc":{"a":1}}"#,
        r#"{"doc":{"a":1},"doc_as_upsert":true}"#,
        r#"{"doc":{"a":1},"upsert":{"a":1,"b":2}}"#,
        r#"{"union":{"a":[1]},"subtract":{"b":[1]},"min":{"c":1},"max":{"d":1},"remove":{"e":true}}"#,
        r#"{"inc":{"a":0}}"#,
    ] {
        assert!(update(body).is_repeatable(), "{body}");
    }
    for body in [
        r#"{"doc":{"a":1},"upsert":{"a":0}}"#,
        r#"{"inc":{"a":1}}"#,
        r#"{"doc":{"x":1},"append":{"a":{"b":[1]}}}"#,
    ] {
        assert!(!update(body).is_repeatable(), "{body}");
    }
    assert!(index("{}").unwrap().is_repeatable());
    assert!(NetOperation::new(Action::Create(b"{\"a\":1}")).unwrap().is_repeatable());
}

#[test]
fn a_net_operation_is_written_as_the_body_that_means_it() {
    let then = update(r#"{"union":{"a":1}}"#).compose(&update(r#"{"append":{"a":[2]},"doc":{"b":{"c":1}}}"#));
    assert_eq!(text(&then), r#"{"union":{"a":[1]},"doc":{"b":{"c":1}},"then":[{"append":{"a":[2]}}]}"#);
    assert_eq!(text(&update("{\"doc\":{}}")), "{\"doc\":{}}");
    assert_eq!(
        text(&update("{\"doc\":{\"a\":[1,\n2]},\"detect_noop\":false}")),
        r#"{"doc":{"a":[1,2]},"detect_noop":false}"#
    );
    assert_eq!(text(&index(" {\"a\" :\r\n \"x y\\n\"} ").unwrap()), r#"{"a":"x y\n"}"#);
    let set = update(r#"{"set":[[["a","b"],{"c":1}],[["d"],2]]}"#);
    assert_eq!(text(&set), r#"{"set":[[["a","b"],{"c":1}]],"doc":{"d":2}}"#);
    assert_eq!(format!("{set:?}"), format!("update {}", text(&set)));
    assert_eq!(NetOperation::from_parts("create", b"{}").unwrap().verb(), "create");
    assert!(NetOperation::from_parts("upsert", b"{}").is_err());
    assert!(NetOperation::from_parts("delete", b"{}").is_err());
}

#[test]
fn bodies_that_the_bulk_format_or_the_design_refuse_are_refused_with_a_reason() {
    for (body, reason) in [
        ("{}", "needs doc or a field operation"),
        (r#"{"upsert":{}}"#, "needs doc or a field operation"),
        (r#"{"doc":[]}"#, "doc must be a JSON object (at byte 7)"),
        (r#"{"doc":{},"upsert":1}"#, "upsert must be a JSON object"),
        (r#"{"doc":{},"upsert":1,"doc_as_upsert":true}"#, "upsert must be a JSON object"),
        (r#"{"doc":{},"doc_as_upsert":"true"}"#, "doc_as_upsert must be true or false"),
        (r#"{"doc":{},"detect_noop":1}"#, "detect_noop must be true or false"),
        (r#"{"script":{}}"#, "use the field operations inc, append"),
        (r#"{"doc":{},"scripted_upsert":true}"#, "cannot have the key \"scripted_upsert\""),
        (r#"{"doc":{},"_source":true}"#, "cannot have the key \"_source\""),
        (r#"{"doc":{},"if_seq_no":1}"#, "cannot have the key \"if_seq_no\""),
        (r#"{"inc":{"a":{"b":"1"}}}"#, "inc.a.b must be a number (at byte 17)"),
        (r#"{"inc":{"a":{}}}"#, "inc.a is an empty level"),
        (r#"{"max":{"a":[1]}}"#, "max.a must be a number or a string"),
        (r#"{"remove":{"a":false}}"#, "remove.a must be true"),
        (r#"{"remove":{"a":[]}}"#, "remove.a must be true"),
        (r#"{"doc":{"a":{"b":1}},"inc":{"a":{"b":1}}}"#, "the path a.b is touched twice in one body"),
        (r#"{"doc":{"a":1},"remove":{"a":{"b":true}}}"#, "the path a is touched twice"),
        (r#"{"doc":{"a":{}},"remove":{"a":true}}"#, "the path a is touched twice"),
        (r#"{"set":[[["a"],1],[["a","b"],2]]}"#, "the path a is touched twice"),
        (r#"{"set":[[["\u0061","b"],1],[["a","b"],2]]}"#, "touched twice"),
        (r#"{"set":[[[],1]]}"#, "must be [path, value]"),
        (r#"{"set":[[["a"]]]}"#, "must be [path, value]"),
        (r#"{"set":[[["a"],1,2]]}"#, "must be [path, value]"),
        (r#"{"set":[[[1],1]]}"#, "must be [path, value]"),
        (r#"{"set":{"a":1}}"#, "set must be a list"),
        (r#"{"then":[{}]}"#, "a body in then needs doc or a field operation"),
        (r#"{"then":[{"doc":{},"upsert":{}}]}"#, "a body in then cannot have the key \"upsert\""),
        (r#"{"then":{}}"#, "then must be a list"),
        (r#"{"doc":{"a":1,"\u0061":2}}"#, "stands twice in one object"),
        (r#"{"doc":{},"d\u006fc":{}}"#, "stands twice in one object"),
    ] {
        let message = refusal(body).to_string();
        assert!(message.contains(reason), "{body}: {message}");
    }
    update(r#"{"doc":{"a":{}},"remove":{"a":{"b":true}},"inc":{"a":{"c":1}}}"#);
    update(r#"{"inc":{},"d\u006fc":{}}"#);
}

#[test]
fn both_halves_of_a_body_take_effect_and_then_follows() {
    gives(
        r#"{"doc":{"a":5},"inc":{"n":1},"then":[{"remove":{"a":true},"then":[{"inc":{"a":1}}]},{"inc":{"a":2}}]}"#,
        r#"{"a":1}"#,
        r#"{"a":3,"n":1}"#,
    );
}

/// Reading back what was written is held by this equality in many tests: it has to tell what differs.
#[test]
fn operations_that_do_something_else_are_not_equal() {
    let bodies = [
        r#"{"doc":{"a":1}}"#,
        r#"{"doc":{"a":2}}"#,
        r#"{"doc":{"a":1,"b":1}}"#,
        r#"{"doc":{"b":1}}"#,
        r#"{"doc":{"a":{"b":1}}}"#,
        r#"{"doc":{"a":{"b":2}}}"#,
        r#"{"inc":{"a":1}}"#,
        r#"{"inc":{"a":2}}"#,
        r#"{"min":{"a":1}}"#,
        r#"{"max":{"a":1}}"#,
        r#"{"append":{"a":[1]}}"#,
        r#"{"append":{"a":[1,2]}}"#,
        r#"{"union":{"a":[1]}}"#,
        r#"{"remove":{"a":true}}"#,
        r#"{"max":{"a":1},"then":[{"append":{"a":[1]}}]}"#,
        r#"{"max":{"a":1},"then":[{"append":{"a":[2]}}]}"#,
        r#"{"doc":{"a":1},"upsert":{"a":1}}"#,
        r#"{"doc":{"a":1},"upsert":{"a":2}}"#,
        r#"{"doc":{"a":1},"detect_noop":false}"#,
    ];
    let mut all: Vec<NetOperation> = bodies.iter().map(|body| update(body)).collect();
    all.extend([index(r#"{"a":1}"#).unwrap(), index(r#"{"a":2}"#).unwrap()]);
    all.push(NetOperation::new(Action::Delete).unwrap());
    for (at, one) in all.iter().enumerate() {
        for (other_at, other) in all.iter().enumerate() {
            assert_eq!(one == other, at == other_at, "{one:?} and {other:?}");
        }
    }
    assert_eq!(update(r#"{"doc":{"a":1,"b":2}}"#), update(r#"{"doc":{"b":2,"a":1}}"#), "order aside");
}
