//! The model against a real server: the same bulks, the same answers, the same documents.
//!
//! `MILLPOND_OPENSEARCH` and `MILLPOND_ELASTICSEARCH` are URLs as `dev/services up` prints them; without them nothing is
//! compared, and that is said.

use crate::{
    client::Client,
    http::{BulkModel, Request},
};
use serde_json::{Value, json};
use std::fmt::Write as _;

const BULKS: usize = 150;
const IDS: [&str; 3] = ["1", "b", "\u{e9}"];

/// A stream of numbers that a seed decides.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        // Knuth's MMIX generator: the high bits are good enough here.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

fn document(random: &mut Random) -> Value {
    let mut document = json!({});
    for _ in 0..random.below(3) {
        let name = random.pick(&["a", "b", "c.d"]);
        let value = [
            json!(1),
            json!(1.5),
            json!("x"),
            json!([1, {"x": 1}]),
            json!({"x": 1}),
            json!({"y": {}}),
            json!(null),
        ];
        // One kind of value a field: a mapping would refuse another. Arrays and objects are never indexed.
        document[name] = random.pick(&value);
    }
    document
}

/// One item, as its lines.
fn item(random: &mut Random, index: &str, external: bool) -> String {
    let kind = random.pick(&["index", "create", "update", "update", "update", "delete"]);
    let mut meta = json!({"_index": index, "_id": random.pick(&IDS)});
    if external {
        let kind = random.pick(&["index", "index", "delete"]);
        meta["version"] = json!(random.below(40));
        meta["version_type"] = json!(random.pick(&["external", "external_gte"]));
        let body = if kind == "delete" { String::new() } else { format!("{}\n", document(random)) };
        return format!("{}\n{body}", json!({ kind: meta }));
    }
    let guesses = kind != "create" && random.below(4) == 0;
    if guesses {
        meta["if_seq_no"] = json!(random.below(200));
        meta["if_primary_term"] = json!(1);
    }
    let mut lines = format!("{}\n", json!({ kind: meta }));
    let body = match kind {
        "delete" => return lines,
        "update" => {
            let mut body = json!({"doc": document(random)});
            match random.below(6) {
                0 if !guesses => body["doc_as_upsert"] = json!(true),
                1 if !guesses => body["upsert"] = document(random),
                2 => body["detect_noop"] = json!(false),
                _ => {}
            }
            body
        }
        _ => document(random),
    };
    let _ = writeln!(lines, "{body}");
    lines
}

/// Without what no model knows, and what the older server says besides.
fn comparable(mut answer: Value) -> Value {
    let object = answer.as_object_mut().unwrap();
    object.remove("took");
    for item in object.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten() {
        let item = item.as_object_mut().unwrap().values_mut().next().unwrap();
        strip(item);
    }
    for found in object.get_mut("docs").and_then(Value::as_array_mut).into_iter().flatten() {
        strip(found);
    }
    if let Some(error) = object.get_mut("error") {
        *error = error["type"].clone();
    }
    answer
}

fn strip(item: &mut Value) {
    let item = item.as_object_mut().unwrap();
    item.remove("_type");
    item.remove("_shards");
    if let Some(error) = item.get_mut("error") {
        let conflict = error["type"] == "version_conflict_engine_exception";
        *error = if conflict { json!([error["type"], error["reason"]]) } else { error["type"].clone() };
    }
}

fn ask(client: &mut Client, model: &mut BulkModel, path: &str, body: &str) {
    client.request("POST", path, "content-type: application/json\r\n", body.as_bytes());
    let seen = client.answer();
    let seen = (seen.status, comparable(serde_json::from_slice(&seen.body).unwrap()));
    let request = Request {
        method: "POST".to_owned(),
        path: path.to_owned(),
        body: body.as_bytes().to_vec(),
        ..Request::default()
    };
    let told = model.answer(&request);
    assert_eq!(
        (told.status, comparable(told.value())),
        seen,
        "of the model, of the server, for {path}\n{body}"
    );
}

fn compare(name: &str) {
    let Ok(url) = std::env::var(name) else {
        eprintln!("skipped: {name} names no server (dev/services up)");
        return;
    };
    let mut client = Client::connect(url.strip_prefix("http://").unwrap());
    let mut model = BulkModel::new();
    let mut random = Random(1);
    for (index, external) in [("net", false), ("external", true)] {
        let index = format!("fake-{index}-{}", std::process::id());
        // Nothing is indexed, so that no field has a type.
        let settings = json!({"mappings": {"enabled": false}, "settings": {"number_of_replicas": 0}});
        client.request(
            "PUT",
            &format!("/{index}"),
            "content-type: application/json\r\n",
            settings.to_string().as_bytes(),
        );
        assert_eq!(client.answer().status, 200);
        model.create_index(&index);
        for _ in 0..BULKS {
            let items = 1 + random.below(12);
            let body: String = (0..items).map(|_| item(&mut random, &index, external)).collect();
            ask(&mut client, &mut model, "/_bulk", &body);
        }
        ask(&mut client, &mut model, &format!("/{index}/_mget"), &json!({"ids": IDS}).to_string());
    }
    for (path, body) in refused() {
        ask(&mut client, &mut model, &path, &body);
    }
}

/// What is refused whole, or for its index.
fn refused() -> Vec<(String, String)> {
    let index = format!("fake-refused-{}", std::process::id());
    let path = format!("/{index}/_bulk");
    let bodies = [
        "{\"delete\":{\"_id\":\"1\"}}\n".to_owned(),
        "{\"update\":{\"_id\":\"1\"}}\n{\"doc\":{}}\n".to_owned(),
        "{\"delete\":{\"_id\":\"1\"}}\n{\"index\":{\"_id\":\"1\"}}\n{}\n".to_owned(),
        "{\"index\":{\"_id\":\"\"}}\n{}\n".to_owned(),
        "{\"index\":{\"_id\":\"1\",\"require_alias\":true}}\n{}\n".to_owned(),
        "{\"index\":{\"_id\":\"1\"}}\n{}".to_owned(),
        "{\"index\":{\"_id\":\"1\",\"x\":1}}\n{}\n".to_owned(),
        "{\"put\":{\"_id\":\"1\"}}\n{}\n".to_owned(),
        "{\"update\":{\"_id\":\"1\"}}\n{\"inc\":{}}\n".to_owned(),
        "{\"update\":{\"_id\":\"1\"}}\n{\"doc\":{},\"script\":\"x\"}\n".to_owned(),
        "{\"update\":{\"_id\":\"1\",\"if_seq_no\":1,\"if_primary_term\":1}}\n{\"doc\":{},\"upsert\":{}}\n"
            .to_owned(),
        format!("{{\"index\":{{\"_id\":\"{}\"}}}}\n{{}}\n", "x".repeat(513)),
    ];
    bodies.into_iter().map(|body| (path.clone(), body)).collect()
}

#[test]
fn the_model_answers_as_opensearch_does() {
    compare("MILLPOND_OPENSEARCH");
}

#[test]
fn the_model_answers_as_elasticsearch_does() {
    compare("MILLPOND_ELASTICSEARCH");
}
