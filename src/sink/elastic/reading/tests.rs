//! What answers to reads come to.

use super::*;
use crate::elastic::ElasticOptions;
use bytes::Bytes;

fn client() -> Client {
    Client::new(&["http://127.0.0.1:1"], &ElasticOptions::new()).unwrap()
}

fn reader(client: &Client, mode: Mode) -> Reader<'_> {
    Reader { client, mode, field: "_millpond", engine: "00ab:".to_owned() }
}

/// What an answer of these documents comes to.
fn read(mode: Mode, keys: &[BaseKey<'_>], docs: &[&str]) -> Result<Vec<Read>, String> {
    let body = format!(r#"{{"docs":[{}]}}"#, docs.join(",")).into_bytes();
    reader(&client(), mode).documents(keys, &Answer { status: 200, retry_after: None, body })
}

/// The only one.
fn one(mode: Mode, doc: &str) -> Read {
    read(mode, &[BaseKey::new("i", "1")], &[doc]).unwrap().remove(0)
}

const STORED: &str = r#"{"_index":"i","_type":"_doc","_id":"1","_version":77,"_seq_no":5,"_primary_term":2,"_routing":"r","found":true,"_source":{"n":1.10,"_millpond":"00ab:9"}}"#;

#[test]
fn a_document_comes_without_its_fence_with_what_tells_its_state() {
    let source = Some(Bytes::from_static(br#"{"n":1.10}"#));
    let routing: Option<Box<str>> = Some("r".into());
    let of = |seq, version| BaseDocument { source: source.clone(), routing: routing.clone(), seq, version };
    let version = Version { seq_no: 5, primary_term: 2, is_fenced: true };
    assert_eq!(one(Mode::Net, STORED).unwrap(), Some(of(9, None)));
    assert_eq!(one(Mode::External, STORED).unwrap(), Some(of(77, None)));
    assert_eq!(one(Mode::Resolved, STORED).unwrap(), Some(of(9, Some(version))));
    let of_another = one(Mode::Resolved, &STORED.replace("00ab", "00cd")).unwrap().unwrap();
    assert_eq!((of_another.seq, of_another.version.unwrap().is_fenced), (0, false));
    assert_eq!(of_another.source, source, "another engine's fence is not shown either");
}

#[test]
fn what_is_not_there_is_nothing_and_what_cannot_be_told_is_an_error() {
    let error =
        |kind: &str| format!(r#"{{"_index":"i","_id":"1","error":{{"type":"{kind}","reason":"why"}}}}"#);
    assert_eq!(one(Mode::Net, r#"{"_index":"i","_id":"1","found":false}"#).unwrap(), None);
    assert_eq!(one(Mode::Net, &error("index_not_found_exception")).unwrap(), None);
    let kind = |doc: &str| one(Mode::Resolved, doc).unwrap_err().kind();
    for (doc, expected) in [
        (r#"{"_index":"i","_id":"1"}"#.to_owned(), ErrorKind::Io),
        (error("no_shard_available_action_exception"), ErrorKind::Io),
        (error("security_exception"), ErrorKind::Io),
        (error("routing_missing_exception"), ErrorKind::Invalid),
        (r#"{"_index":"i","_id":"1","found":true}"#.to_owned(), ErrorKind::Invalid),
        (r#"{"_index":"i","_id":"1","found":true,"_source":[1]}"#.to_owned(), ErrorKind::Invalid),
        (r#"{"_index":"i","_id":"1","found":true,"_source":{"a":1,"a":2}}"#.to_owned(), ErrorKind::Invalid),
    ] {
        assert_eq!(kind(&doc), expected, "{doc}");
    }
}

#[test]
fn an_answer_that_is_not_one_to_each_key_in_order_says_nothing_of_any() {
    let keys = [BaseKey::new("a", "1"), BaseKey::new("a", "2"), BaseKey::new("b", "1")];
    let doc = |index: &str, id: &str| format!(r#"{{"_index":"{index}","_id":"{id}","found":false}}"#);
    let (one, two, three) = (doc("a", "1"), doc("a", "2"), doc("b", "1"));
    let read = |docs: &[&str]| read(Mode::Net, &keys, docs);
    assert_eq!(read(&[&one, &two, &three]).unwrap().len(), 3);
    // What an alias stands for.
    assert!(read(&[&doc("a-1", "1"), &doc("a-1", "2"), &three]).is_ok());
    for docs in [
        &[&*one, &two][..],
        &[&one, &two, &three, &three],
        &[&two, &one, &three],
        &[&three, &two, &one],
        &[&one, &two, "{}"],
    ] {
        assert!(read(docs).is_err(), "{docs:?}");
    }
    for (status, body) in
        [(200, "<html>"), (200, ""), (200, r#"{"docs":[{"_id":"1","fou"#), (429, ""), (503, "{}")]
    {
        let answer = Answer { status, retry_after: None, body: body.as_bytes().to_vec() };
        assert!(reader(&client(), Mode::Net).documents(&keys, &answer).is_err(), "{status} {body}");
    }
}

#[test]
fn a_request_holds_so_many_keys_and_so_many_bytes_and_one_at_least() {
    let long = "x".repeat(ASK_BYTES_MAX);
    let short = vec![BaseKey::new("i", "1"); KEYS_MAX + 1];
    assert_eq!(count(&short), KEYS_MAX);
    assert_eq!(count(&[BaseKey::new("i", &long), BaseKey::new("i", "1")]), 1);
    assert_eq!(count(&[BaseKey::new("i", "1"), BaseKey::new("i", &long)]), 1);
    let routed = BaseKey { index: "i\"", id: "1", routing: Some("r") };
    let body: serde_json::Value = serde_json::from_slice(&body(&[BaseKey::new("i", "1"), routed])).unwrap();
    let expected = serde_json::json!({"docs": [
        {"_index": "i", "_id": "1"}, {"_index": "i\"", "_id": "1", "routing": "r"},
    ]});
    assert_eq!(body, expected);
}

#[test]
fn a_server_that_is_away_is_an_error_for_each_key() {
    let client = client();
    let keys = vec![BaseKey::new("i", "1"); KEYS_MAX + 1];
    let answers = reader(&client, Mode::Net).read(&keys);
    assert_eq!(answers.len(), keys.len());
    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Io)));
}
