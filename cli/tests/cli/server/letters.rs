//! Dead letters of a real server, sent again once it takes them.

use super::{Place, ask, server};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What became of each letter, by its document.
fn told(stdout: &str) -> BTreeMap<String, String> {
    let one = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (line["id"].as_str().unwrap().to_owned(), line["outcome"].as_str().unwrap().to_owned())
    };
    stdout.lines().map(one).collect()
}

fn expect(stdout: &str, expected: &[(&str, &str)]) {
    let expected = expected.iter().map(|(id, word)| ((*id).to_owned(), (*word).to_owned()));
    assert_eq!(told(stdout), expected.collect(), "{stdout}");
}

fn line(verb: &str, index: &str, id: &str, body: &str) -> String {
    format!("{{\"{verb}\":{{\"_index\":\"{index}\",\"_id\":\"{id}\"}}}}\n{body}\n")
}

/// The document, without its fence.
fn stored(url: &str, index: &str, id: &str) -> Value {
    let found = ask("POST", &format!("{url}/{index}/_mget"), json!({ "ids": [id] }).to_string());
    let mut source = found["docs"][0]["_source"].clone();
    source.as_object_mut().map(|source| source.remove("_millpond"));
    source
}

#[test]
fn letters_of_a_mapping_conflict_are_brought_in_once_it_is_mended_but_for_what_was_written_since() {
    const TEST: &str = "dead letters that are sent again";
    for name in ["OPENSEARCH", "ELASTICSEARCH"] {
        let Some(url) = server(TEST, name) else { continue };
        let index = &format!("millpond-letters-{}", std::process::id());
        let (place, at) = (Place::new(), |path: &str| format!("{url}/{index}{path}"));
        let mapping = json!({"mappings":{"properties":{"n":{"type":"integer"}}}});
        ask("PUT", &at(""), mapping.to_string());
        let count = r#"{"doc":{"n":"x"},"inc":{"c":1},"doc_as_upsert":true}"#;
        let input = [
            line("index", index, "put", r#"{"n":"x"}"#),
            line("index", index, "put-since", r#"{"n":"x"}"#),
            line("update", index, "count", count),
            line("update", index, "count-since", count),
            line("index", index, "good", r#"{"n":1}"#),
        ];
        place.write("input", input.concat());
        let replay =
            |input: &str, flags: &str| place.run(&format!("replay {input} --sink {url} --quiet {flags}"));
        let ran = replay("input", "--dead-letters letters");
        assert_eq!(ran.status, 3, "{}", ran.stderr);
        let listed = place.well("dead-letters list letters");
        let is_total =
            |line: &str| line.contains("         4           4") && line.contains("parsing_exception");
        assert!(listed.lines().any(is_total), "{listed}");

        // Mended; and two documents are written since: one by somebody else, one by us.
        let mended = json!({"properties":{"n":{"type":"integer","ignore_malformed":true}}});
        ask("PUT", &at("/_mapping"), mended.to_string());
        ask("PUT", &at("/_doc/put-since"), r#"{"n":7}"#.to_owned());
        place
            .write("since", line("update", index, "count-since", r#"{"inc":{"c":10},"doc_as_upsert":true}"#));
        assert_eq!(replay("since", "").status, 0);

        let again =
            |flags: &str| place.run(&format!("dead-letters replay letters --sink {url} --json {flags}"));
        let ran = again("");
        assert_eq!(ran.status, 3, "{}", ran.stderr);
        expect(
            &ran.stdout,
            &[
                ("put", "created"),
                ("put-since", "not_known"),
                ("count", "created"),
                ("count-since", "written_since"),
            ],
        );
        let is = |id: &str, expected: Value| assert_eq!(stored(&url, index, id), expected, "{name}: {id}");
        is("put", json!({"n":"x"}));
        is("put-since", json!({"n":7}));
        is("count", json!({"n":"x","c":1}));
        is("count-since", json!({"c":10}));

        // Once more: nothing counts twice, also where documents that do not tell are taken for unchanged.
        let existing = [
            ("put", "updated"),
            ("put-since", "updated"),
            ("count", "replayed_before"),
            ("count-since", "written_since"),
        ];
        let ran = again("--existing");
        assert_eq!(ran.status, 3, "{}", ran.stderr);
        expect(&ran.stdout, &existing);
        is("count", json!({"n":"x","c":1}));
        is("put-since", json!({"n":"x"}));

        let ran = again("--force");
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        is("count", json!({"n":"x","c":2}));
        is("count-since", json!({"n":"x","c":11}));
        ask("DELETE", &at(""), String::new());
    }
}

#[test]
fn letters_of_one_document_follow_each_other_on_a_server_and_a_refused_one_is_a_letter_again() {
    let Some(url) = server("dead letters of one document", "OPENSEARCH") else { return };
    let index = &format!("millpond-letters-of-one-{}", std::process::id());
    let place = Place::new();
    ask(
        "PUT",
        &format!("{url}/{index}"),
        json!({"mappings":{"properties":{"n":{"type":"integer"}}}}).to_string(),
    );
    // Each run is an engine of its own, and leaves a letter of each document.
    let body = |n: u32| format!(r#"{{"doc":{{"n":"x"}},"append":{{"l":[{n}]}},"doc_as_upsert":true}}"#);
    for run in 0..3 {
        place.write("input", ["a", "b"].map(|id| line("update", index, id, &body(run))).concat());
        assert_eq!(place.run(&format!("replay input --sink {url} --quiet --dead-letters letters")).status, 3);
    }
    let again = format!("dead-letters replay letters --sink {url} --json --dead-letters again");
    let ran = place.run(&again);
    assert_eq!((ran.status, ran.stdout.matches("refused").count()), (3, 6), "{}", ran.stdout);
    assert_eq!(place.read("again").lines().count(), 6);
    let mended = json!({"properties":{"n":{"type":"integer","ignore_malformed":true}}});
    ask("PUT", &format!("{url}/{index}/_mapping"), mended.to_string());
    // What was refused again is as good as the first.
    let ran = place.run(&format!("dead-letters replay again --sink {url} --json"));
    assert_eq!(ran.status, 0, "{}{}", ran.stdout, ran.stderr);
    for id in ["a", "b"] {
        assert_eq!(stored(&url, index, id), json!({"n":"x","l":[0,1,2]}), "{id}");
    }
    ask("DELETE", &format!("{url}/{index}"), String::new());
}
