//! The lines of a request, read back.

use super::*;
use crate::{Action, Version};
use bytes::Bytes;
use serde_json::{Value, json};

fn style() -> Style {
    Style { field: "_millpond".to_owned(), engine: "00ab:".to_owned(), is_stored: true, mode: Mode::Net }
}

fn item(body: &str, repeatable: bool) -> Item {
    let net = NetOperation::new(Action::Update(body.as_bytes())).unwrap();
    Item {
        index: "i".into(),
        id: "1\n2".into(),
        routing: Some("r".into()),
        action: ItemAction::Net(net),
        first_seq: 6,
        last_seq: 7,
        operations: 1,
        repeatable,
        expects: Expects::Anything,
        attempt: 0,
    }
}

/// The action and the body, read back.
fn written(item: &Item, style: &Style) -> (Value, Value) {
    let mut out = Vec::new();
    write_item(item, style, &mut out);
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), text.ends_with('\n')), (2, true), "{text}");
    (serde_json::from_str(lines[0]).unwrap(), serde_json::from_str(lines[1]).unwrap())
}

#[test]
fn a_partial_document_goes_out_in_the_servers_words() {
    let body = r#"{"doc":{"a":{"b":[1]},"c":null},"upsert":{"a":1.10},"detect_noop":false}"#;
    let item = item(body, true);
    assert!(!needs_script(&item));
    let (action, update) = written(&item, &style());
    let key = json!({"_index": "i", "_id": "1\n2", "routing": "r", "retry_on_conflict": 3});
    assert_eq!(action, json!({ "update": key }));
    assert_eq!(update, serde_json::from_str::<Value>(body).unwrap());
}

#[test]
fn field_operations_go_out_as_a_script_whose_numbers_to_add_are_texts() {
    let body = r#"{"doc":{"a":1},"inc":{"n":-0.10,"m":{"9\"":12345678901234567890}},"append":{"l":[1]},"doc_as_upsert":true,"then":[{"set":[[["a"],{"x":1}]]}]}"#;
    let item = item(body, false);
    assert!(needs_script(&item));
    let (_, update) = written(&item, &style());
    assert_eq!(update["script"]["id"], script_name());
    let rounds = json!([
        {"doc": {"a": 1}, "inc": {"n": "-0.10", "m": {"9\"": "12345678901234567890"}}, "append": {"l": [1]}},
        {"set": [[["a"], {"x": 1}]]},
    ]);
    let params = &update["script"]["params"];
    // An assignment over an assignment folds; what it comes to is what is sent.
    let net = NetOperation::new(Action::Update(body.as_bytes())).unwrap();
    let mut text = Vec::new();
    net.write_body(&mut text);
    if String::from_utf8_lossy(&text).contains("then") {
        assert_eq!(params["rounds"], rounds);
    } else {
        assert_eq!(params["rounds"][0]["inc"], rounds[0]["inc"]);
    }
    assert_eq!(
        (&params["field"], &params["engine"], &params["seq"]),
        (&json!("_millpond"), &json!("00ab:"), &json!(7))
    );
    assert_eq!(params["always"], json!(false));
    assert_eq!(update["upsert"]["_millpond"], "00ab:7");
    assert_eq!(update["upsert"]["a"], json!({"x": 1}));
}

#[test]
fn what_can_be_repeated_has_no_fence_and_what_cannot_has_one_though_servers_know_its_words() {
    let (_, removal) = written(&item(r#"{"remove":{"a":true},"upsert":{}}"#, true), &style());
    assert_eq!(removal["script"]["params"].get("field"), None);
    assert_eq!(removal["upsert"], json!({}));
    let (_, fenced) = written(&item(r#"{"doc":{"a":1},"upsert":{ }}"#, false), &style());
    assert_eq!(fenced["script"]["params"]["rounds"], json!([{"doc": {"a": 1}}]));
    assert_eq!(fenced["upsert"], json!({"_millpond": "00ab:7"}));
    let (_, absent) = written(&item(r#"{"inc":{"a":1}}"#, false), &style());
    assert_eq!(absent.get("upsert"), None);
}

#[test]
fn where_the_script_cannot_be_stored_it_goes_along() {
    let style = Style { is_stored: false, ..style() };
    let (_, update) = written(&item(r#"{"inc":{"a":1}}"#, false), &style);
    assert_eq!(update["script"]["source"], SCRIPT);
    assert_eq!(update["script"].get("id"), None);
    let stored: Value = serde_json::from_slice(&script_body()).unwrap();
    assert_eq!(stored, json!({"script": {"lang": "painless", "source": SCRIPT}}));
}

#[test]
fn a_whole_document_goes_out_with_what_must_be_there_before_it() {
    let document = "{\"n\":1.10,\n\"_\":{}}";
    let put = |expects, repeatable| Item {
        action: ItemAction::Put(Bytes::from_static(document.as_bytes())),
        expects,
        repeatable,
        ..item("{\"doc\":{}}", true)
    };
    let lines = |item: &Item, mode| {
        let mut out = Vec::new();
        write_item(item, &Style { mode, ..style() }, &mut out);
        String::from_utf8(out).unwrap()
    };
    let key = r#""_index":"i","_id":"1\u000a2","routing":"r""#;
    let (plain, fenced) = (r#"{"n":1.10,"_":{}}"#, r#"{"n":1.10,"_":{},"_millpond":"00ab:7"}"#);
    let version = Version { seq_no: 4, primary_term: 2, is_fenced: false };
    let (there, kept) = (Expects::Version(version), Expects::Version(Version { is_fenced: true, ..version }));
    let condition = r#","if_seq_no":4,"if_primary_term":2"#;
    for (expects, repeatable, verb, condition, document) in [
        (Expects::Anything, true, "index", "", plain),
        (Expects::Absent, true, "create", "", plain),
        (Expects::Absent, false, "create", "", fenced),
        (there, true, "index", condition, plain),
        (there, false, "index", condition, fenced),
        (kept, true, "index", condition, fenced),
    ] {
        let expected = format!("{{\"{verb}\":{{{key}{condition}}}}}\n{document}\n");
        assert_eq!(lines(&put(expects, repeatable), Mode::Resolved), expected);
    }
    let external = r#","version":7,"version_type":"external_gte""#;
    let put = put(Expects::Anything, true);
    assert_eq!(lines(&put, Mode::External), format!("{{\"index\":{{{key}{external}}}}}\n{plain}\n"));
    let delete = Item { action: ItemAction::Delete, ..put };
    assert_eq!(lines(&delete, Mode::External), format!("{{\"delete\":{{{key}{external}}}}}\n"));
    assert_eq!(lines(&delete, Mode::Resolved), format!("{{\"delete\":{{{key}}}}}\n"));
}
