//! What answers of all kinds come to.

use super::*;
use crate::{Action, Expects, ItemAction, NetOperation};
use bytes::Bytes;

fn item(id: &str, action: ItemAction) -> Item {
    Item {
        index: "i".into(),
        id: id.into(),
        routing: None,
        action,
        first_seq: 1,
        last_seq: 1,
        operations: 1,
        repeatable: true,
        expects: Expects::Anything,
        attempt: 0,
    }
}

fn items() -> Vec<Item> {
    let update = NetOperation::new(Action::Update(br#"{"doc":{}}"#)).unwrap();
    let create = NetOperation::new(Action::Create(b"{}")).unwrap();
    vec![
        item("1", ItemAction::Put(Bytes::from_static(b"{}"))),
        item("2\u{e9}\"", ItemAction::Delete),
        item("3", ItemAction::Net(update)),
        item("4", ItemAction::Net(create)),
    ]
}

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, retry_after: None, body: body.as_bytes().to_vec() }
}

/// Each outcome by its variant's name.
fn names(whole: &Whole) -> Vec<String> {
    let Whole::Items(said) = whole else { panic!("{whole:?}") };
    let name = |said: &Said| format!("{:?}", said.outcome).split(['(', ' ']).next().unwrap().to_owned();
    said.iter().map(name).collect()
}

const FINE: [&str; 4] = [
    r#"{"index":{"_index":"x","_id":"1","_version":3,"result":"created","status":201}}"#,
    r#"{"delete":{"_id":"2\u00e9\"","result":"not_found","status":404}}"#,
    r#"{"update":{"_id":"3","_type":"_doc","result":"noop","status":200,"_shards":{}}}"#,
    r#"{"create":{"_id":"4","status":409,"error":{"type":"version_conflict_engine_exception","reason":"there"}}}"#,
];

fn bulk(items: &[&str]) -> String {
    format!(r#"{{"took":1,"errors":true,"items":[{}]}}"#, items.join(","))
}

#[test]
fn each_item_has_what_the_server_says_of_it() {
    let whole = read(&items(), &answer(200, &bulk(&FINE)), Mode::Net);
    assert_eq!(names(&whole), ["Created", "NotFound", "Noop", "Conflict"]);
}

#[test]
fn an_answer_that_is_not_one_to_each_item_in_order_says_nothing_of_any() {
    let [a, b, c, d] = FINE;
    for body in [
        bulk(&[a, b, c]),
        bulk(&[a, b, c, d, d]),
        bulk(&[a, b, d, c]),
        bulk(&[b, a, c, d]),
        bulk(&[&a.replace("index", "create"), b, c, d]),
        "<html>It works!</html>".to_owned(),
        bulk(&FINE)[..200].to_owned(),
        String::new(),
        r#"{"took":1,"errors":false}"#.to_owned(),
        r#"{"errors":false,"items":[{},{},{},{}]}"#.to_owned(),
    ] {
        let whole = read(&items(), &answer(200, &body), Mode::Net);
        assert!(matches!(whole, Whole::Unknown(_)), "{body}: {whole:?}");
    }
}

#[test]
fn the_status_of_an_item_says_whether_it_is_done_comes_again_or_never() {
    let one = |verb: &str, status: u16, kind: &str| {
        let error = format!(r#","error":{{"type":"{kind}","reason":"why"}}"#);
        let body = format!(r#"{{"items":[{{"{verb}":{{"_id":"1","status":{status}{error}}}}}]}}"#);
        let action = match verb {
            "delete" => ItemAction::Delete,
            "update" => ItemAction::Net(NetOperation::new(Action::Update(br#"{"doc":{}}"#)).unwrap()),
            "create" => ItemAction::Net(NetOperation::new(Action::Create(b"{}")).unwrap()),
            _ => ItemAction::Put(Bytes::from_static(b"{}")),
        };
        names(&read(&[item("1", action)], &answer(200, &body), Mode::Net)).remove(0)
    };
    for (verb, status, kind, expected) in [
        ("update", 404, "document_missing_exception", "NotFound"),
        ("update", 404, "index_not_found_exception", "Rejected"),
        ("delete", 404, "index_not_found_exception", "NotFound"),
        ("create", 409, "version_conflict_engine_exception", "Conflict"),
        ("update", 409, "version_conflict_engine_exception", "Again"),
        ("index", 400, "mapper_parsing_exception", "Rejected"),
        ("index", 429, "es_rejected_execution_exception", "Again"),
        ("index", 429, "circuit_breaking_exception", "Again"),
        ("index", 403, "cluster_block_exception", "Again"),
        ("index", 503, "unavailable_shards_exception", "Unknown"),
        ("index", 500, "node_not_connected_exception", "Unknown"),
        ("update", 404, "resource_not_found_exception", "Rejected"),
    ] {
        assert_eq!(one(verb, status, kind), expected, "{verb} {status} {kind}");
    }
}

#[test]
fn a_script_that_the_server_has_lost_is_stored_again() {
    let body = r#"{"items":[{"index":{"_id":"1","status":404,"error":{"type":"resource_not_found_exception","reason":"unable to find script [x] in cluster state"}}}]}"#;
    let one = [item("1", ItemAction::Put(Bytes::from_static(b"{}")))];
    let Whole::Items(said) = read(&one, &answer(200, body), Mode::Net) else { panic!() };
    assert!(said[0].lacks_script && matches!(said[0].outcome, Outcome::Again { .. }));
}

#[test]
fn the_status_of_a_request_says_what_becomes_of_all_of_it() {
    let error = |kind: &str| format!(r#"{{"error":{{"type":"{kind}","reason":"why"}},"status":1}}"#);
    let kind = |status, body: &str| {
        let whole = format!("{:?}", read(&items(), &answer(status, body), Mode::Net));
        whole.split(['(', ' ']).next().unwrap().to_owned()
    };
    for (status, body, expected) in [
        (413, String::new(), "TooLarge"),
        (429, error("rejected_execution_exception"), "Busy"),
        (401, error("security_exception"), "Paused"),
        (403, String::new(), "Paused"),
        (404, String::new(), "Paused"),
        (302, String::new(), "Paused"),
        (400, error("illegal_argument_exception"), "Refused"),
        (400, "<html>".to_owned(), "Paused"),
        (503, error("cluster_block_exception"), "Busy"),
        (503, String::new(), "Unknown"),
        (502, "<html>".to_owned(), "Unknown"),
        (500, error("x"), "Unknown"),
    ] {
        assert_eq!(kind(status, &body), expected, "{status} {body}");
    }
}

#[test]
fn a_document_that_is_stored_under_a_version_has_the_next_one_and_one_that_is_not_has_changed() {
    let version = Version { seq_no: 3, primary_term: 1, is_fenced: false };
    let put = |expects, repeatable| {
        let put = item("1", ItemAction::Put(Bytes::from_static(b"{}")));
        [Item { repeatable, expects, ..put }]
    };
    let said = |items: &[Item], verb: &str, rest: &str, mode: Mode| {
        let body = format!(r#"{{"items":[{{"{verb}":{{"_id":"1",{rest}}}}}]}}"#);
        let Whole::Items(mut said) = read(items, &answer(200, &body), mode) else { panic!("{body}") };
        said.remove(0).outcome
    };
    let stored = |created, is_fenced| Outcome::Stored {
        created,
        version: Version { seq_no: 7, primary_term: 2, is_fenced },
    };
    let numbers = r#""_seq_no":7,"_primary_term":2"#;
    let created = format!(r#""status":201,"result":"created",{numbers}"#);
    let updated = format!(r#""status":200,"result":"updated",{numbers}"#);
    let conflict = r#""status":409,"error":{"type":"version_conflict_engine_exception","reason":"why"}"#;
    let (absent, there) = (Expects::Absent, Expects::Version(version));
    let fenced = Expects::Version(Version { is_fenced: true, ..version });
    assert_eq!(said(&put(absent, true), "create", &created, Mode::Resolved), stored(true, false));
    assert_eq!(said(&put(absent, false), "create", &created, Mode::Resolved), stored(true, true));
    assert_eq!(said(&put(there, true), "index", &updated, Mode::Resolved), stored(false, false));
    assert_eq!(said(&put(fenced, true), "index", &updated, Mode::Resolved), stored(false, true));
    assert_eq!(said(&put(Expects::Anything, true), "index", &created, Mode::Resolved), stored(true, false));
    // A server that does not say the numbers, and one that does not keep any.
    for rest in [
        r#""status":200,"result":"updated""#,
        r#""status":200,"result":"updated","_seq_no":-2,"_primary_term":0"#,
    ] {
        assert_eq!(said(&put(there, true), "index", rest, Mode::Resolved), Outcome::Updated);
    }
    for (expects, verb) in [(absent, "create"), (there, "index")] {
        assert!(matches!(said(&put(expects, true), verb, conflict, Mode::Resolved), Outcome::Changed(_)));
    }
    let unconditional = put(Expects::Anything, true);
    assert!(matches!(said(&unconditional, "index", conflict, Mode::Resolved), Outcome::Again { .. }));
    assert_eq!(said(&unconditional, "index", conflict, Mode::External), Outcome::Stale);
    assert_eq!(said(&unconditional, "index", &updated, Mode::External), Outcome::Updated);
    // What goes out as a create is answered as one.
    let body = format!(r#"{{"items":[{{"index":{{"_id":"1",{created}}}}}]}}"#);
    assert!(matches!(read(&put(absent, true), &answer(200, &body), Mode::Resolved), Whole::Unknown(_)));
}
