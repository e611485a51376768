//! The model against a real server: the same bulks, the same answers, the same documents.
//!
//! `MILLPOND_OPENSEARCH` and `MILLPOND_ELASTICSEARCH` are URLs as `dev/services up` prints them; without them nothing is
//! compared, and that is said.

use crate::{
    client::Client,
    http::{BulkModel, Context, Request},
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
fn item(random: &mut Random, model: &BulkModel, index: &str, external: bool) -> String {
    let kind = random.pick(&["index", "create", "update", "update", "update", "delete"]);
    let id = random.pick(&IDS);
    let mut meta = json!({"_index": index, "_id": id});
    if external {
        let kind = random.pick(&["index", "index", "delete"]);
        meta["version"] = json!(random.below(40));
        meta["version_type"] = json!(random.pick(&["external", "external_gte"]));
        let body = if kind == "delete" { String::new() } else { format!("{}\n", document(random)) };
        return format!("{}\n{body}", json!({ kind: meta }));
    }
    let guesses = kind != "create" && random.below(4) == 0;
    if guesses {
        // Right only where no item before it in the bulk writes that document.
        let known = model.stored(index, id).map_or(0, |stored| stored.seq_no);
        meta["if_seq_no"] = json!(if random.below(3) == 0 { known + 1 } else { known });
        meta["if_primary_term"] = json!(1);
    }
    if random.below(8) == 0 {
        meta["routing"] = json!("r");
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

/// What the closure in [`scripted`] does.
const SCRIPT: &str = "if (params.op != 'index') { ctx.op = params.op } else { ctx._source.n = params.n }";

fn scripted(context: &mut Context) {
    assert_eq!(context.script, SCRIPT);
    match context.params["op"].as_str().unwrap() {
        "none" => context.op = "none",
        "delete" => context.op = "delete",
        _ => context.source["n"] = context.params["n"].clone(),
    }
}

/// An update by script, or what makes and takes its documents.
fn scripted_item(random: &mut Random, model: &BulkModel, index: &str) -> String {
    if random.below(3) == 0 {
        return item(random, model, index, false);
    }
    let meta = json!({"update": {"_index": index, "_id": random.pick(&IDS)}});
    let params = json!({"op": random.pick(&["index", "index", "none", "delete"]), "n": random.below(3)});
    let mut body = json!({"script": {"source": SCRIPT, "params": params}});
    match random.below(4) {
        0 => body["upsert"] = document(random),
        1 => {
            body["upsert"] = document(random);
            body["scripted_upsert"] = json!(true);
        }
        _ => {}
    }
    format!("{meta}\n{body}\n")
}

/// Without what no model knows, and what the older server says besides; that one refuses whole requests in words of its own.
fn comparable(mut answer: Value, is_older: bool) -> Value {
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
        *error = if is_older { Value::Null } else { error["type"].clone() };
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

/// A server and the model of it.
struct Pair {
    client: Client,
    model: BulkModel,
    is_older: bool,
}

impl Pair {
    fn ask(&mut self, path: &str, body: &str) {
        let Self { client, model, is_older } = self;
        client.request("POST", path, "content-type: application/json\r\n", body.as_bytes());
        let seen = client.answer();
        let seen = (seen.status, comparable(serde_json::from_slice(&seen.body).unwrap(), *is_older));
        let request = Request {
            method: "POST".to_owned(),
            path: path.to_owned(),
            body: body.as_bytes().to_vec(),
            ..Request::default()
        };
        let told = model.answer(&request);
        assert_eq!(
            (told.status, comparable(told.value(), *is_older)),
            seen,
            "of the model, of the server, for {path}\n{body}"
        );
    }
}

fn compare(name: &str, is_older: bool) {
    let Ok(url) = std::env::var(name) else {
        eprintln!("skipped: {name} names no server (dev/services up)");
        return;
    };
    let client = Client::connect(url.strip_prefix("http://").unwrap());
    let model = BulkModel::new().with_scripts(|context| {
        scripted(context);
        Ok(())
    });
    let mut pair = Pair { client, model, is_older };
    let mut random = Random(1);
    for kind in ["net", "external", "scripted"] {
        let index = format!("fake-{kind}-{}", std::process::id());
        // Nothing is indexed, so that no field has a type.
        let settings =
            json!({"mappings": {"enabled": false}, "settings": {"number_of_replicas": 0}}).to_string();
        let json = "content-type: application/json\r\n";
        pair.client.request("PUT", &format!("/{index}"), json, settings.as_bytes());
        assert_eq!(pair.client.answer().status, 200);
        pair.model.create_index(&index);
        for _ in 0..BULKS {
            let items = 1 + random.below(12);
            let mut one = |_| match kind {
                "scripted" => scripted_item(&mut random, &pair.model, &index),
                _ => item(&mut random, &pair.model, &index, kind == "external"),
            };
            let body: String = (0..items).map(&mut one).collect();
            pair.ask("/_bulk", &body);
        }
        pair.ask(&format!("/{index}/_mget"), &json!({"ids": IDS}).to_string());
        let of = |index: &str, id: &str| json!({"_index": index, "_id": id});
        let docs = [of(&index, IDS[0]), of("fake-missing", IDS[0]), of(&index, "none"), of(&index, IDS[1])];
        pair.ask("/_mget?realtime=true", &json!({ "docs": docs }).to_string());
    }
    for (path, body) in refused() {
        pair.ask(&path, &body);
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
    compare("MILLPOND_OPENSEARCH", false);
}

#[test]
fn the_model_answers_as_elasticsearch_does() {
    compare("MILLPOND_ELASTICSEARCH", true);
}
