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

/// A server, an index on it, and a place with letters of it.
struct Scene {
    url: String,
    index: String,
    place: Place,
}

impl Scene {
    /// An index that refuses four of five operations, each of which is a letter.
    fn refused(url: String) -> Self {
        let index = format!("millpond-letters-{}", std::process::id());
        let scene = Self { url, index, place: Place::new() };
        let mapping = json!({"mappings":{"properties":{"n":{"type":"integer"}}}});
        scene.ask("PUT", "", &mapping);
        let count = r#"{"doc":{"n":"x"},"inc":{"c":1},"doc_as_upsert":true}"#;
        let input = [
            ("index", "put", r#"{"n":"x"}"#),
            ("index", "put-since", r#"{"n":"x"}"#),
            ("update", "count", count),
            ("update", "count-since", count),
            ("index", "good", r#"{"n":1}"#),
        ];
        assert_eq!(scene.replay(&input), 3);
        let listed = scene.place.well("dead-letters list letters");
        let is_total =
            |line: &str| line.contains("         4           4") && line.contains("parsing_exception");
        assert!(listed.lines().any(is_total), "{listed}");
        scene
    }

    fn ask(&self, method: &str, path: &str, body: &Value) {
        ask(method, &format!("{}/{}{path}", self.url, self.index), body.to_string());
    }

    /// Replays operations; the exit status.
    fn replay(&self, operations: &[(&str, &str, &str)]) -> i32 {
        let text: Vec<String> =
            operations.iter().map(|(verb, id, body)| line(verb, &self.index, id, body)).collect();
        self.place.write("input", text.concat());
        let command = format!("replay input --sink {} --quiet --dead-letters letters", self.url);
        self.place.run(&command).status
    }

    /// Replays the letters; the exit status is this, and each became this.
    fn again(&self, flags: &str, status: i32, expected: &[(&str, &str)]) {
        let ran = self.place.run(&format!("dead-letters replay letters --sink {} --json {flags}", self.url));
        assert_eq!(ran.status, status, "{flags}: {}", ran.stderr);
        expect(&ran.stdout, expected);
    }

    fn is(&self, id: &str, expected: &Value) {
        assert_eq!(stored(&self.url, &self.index, id), *expected, "{}: {id}", self.url);
    }
}

#[test]
fn letters_of_a_mapping_conflict_are_brought_in_once_it_is_mended_but_for_what_was_written_since() {
    for name in ["OPENSEARCH", "ELASTICSEARCH"] {
        let Some(url) = server("dead letters that are sent again", name) else { continue };
        let scene = Scene::refused(url);
        // Mended; and two documents are written since: one by somebody else, one by us.
        scene.ask(
            "PUT",
            "/_mapping",
            &json!({"properties":{"n":{"type":"integer","ignore_malformed":true}}}),
        );
        scene.ask("PUT", "/_doc/put-since", &json!({"n":7}));
        assert_eq!(scene.replay(&[("update", "count-since", r#"{"inc":{"c":10},"doc_as_upsert":true}"#)]), 0);
        let untold = [("put-since", "not_known"), ("count-since", "written_since")];
        scene.again("", 3, &[("put", "created"), ("count", "created"), untold[0], untold[1]]);
        scene.is("put", &json!({"n":"x"}));
        scene.is("put-since", &json!({"n":7}));
        scene.is("count", &json!({"n":"x","c":1}));
        scene.is("count-since", &json!({"c":10}));

        // Once more: nothing counts twice, also where documents that do not tell are taken for unchanged.
        let known = [("count", "replayed_before"), ("count-since", "written_since")];
        scene.again("", 3, &[("put", "not_known"), untold[0], known[0], known[1]]);
        scene.again("--existing", 3, &[("put", "updated"), ("put-since", "updated"), known[0], known[1]]);
        scene.is("put-since", &json!({"n":"x"}));
        scene.is("count", &json!({"n":"x","c":1}));

        let all = ["put", "put-since", "count", "count-since"].map(|id| (id, "updated"));
        scene.again("--force", 0, &all);
        scene.is("count", &json!({"n":"x","c":2}));
        scene.is("count-since", &json!({"n":"x","c":11}));
        scene.ask("DELETE", "", &Value::Null);
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
