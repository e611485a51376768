//! The model behind the server, and how scripts wrap it.

use crate::{
    client::Client,
    http::{Answer, BulkModel, Context, FakeServer, Gate, Refusal, Request, Response},
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, mpsc};

/// A bulk as a model sees it.
fn bulk(lines: &[Value]) -> Request {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    let body = if lines.is_empty() { String::new() } else { lines.join("\n") + "\n" };
    Request {
        method: "POST".to_owned(),
        path: "/_bulk".to_owned(),
        body: body.into_bytes(),
        ..Request::default()
    }
}

/// An action on a document of the index `a`.
fn on(kind: &str, id: &str) -> Value {
    json!({ kind: {"_index": "a", "_id": id} })
}

/// Result, or type of the error, of each item.
fn results(response: &Response) -> Vec<String> {
    let of_item = |item: &Value| {
        let item = item.as_object().unwrap().values().next().unwrap();
        let text = item["result"].as_str().or(item["error"]["type"].as_str());
        format!("{} {}", item["status"], text.unwrap())
    };
    response.value()["items"].as_array().unwrap().iter().map(of_item).collect()
}

/// Adds one, unless the fence says that it was added before.
fn add_fenced(context: &mut Context) {
    let seq = context.params["seq"].as_u64();
    if context.source["fence"].as_u64() >= seq {
        context.op = "none";
        return;
    }
    context.source["n"] = json!(context.source["n"].as_u64().unwrap_or(0) + 1);
    context.source["fence"] = json!(seq);
}

#[test]
fn a_partial_document_is_merged_as_the_server_merges_it() {
    let mut model = BulkModel::new();
    let base = json!({"a": {"x": 1, "y": [1, 2]}, "b": 1, "c": {"z": 1}});
    let patch = json!({"a": {"y": [3], "w": null}, "b": {"q": 1}, "c": 5, "d.e": {}});
    model.answer(&bulk(&[on("index", "1"), base, on("update", "1"), json!({ "doc": patch })]));
    let expected = r#"{"a":{"x":1,"y":[3],"w":null},"b":{"q":1},"c":5,"d.e":{}}"#;
    assert_eq!(model.get("a", "1").unwrap().to_string(), expected);
}

#[test]
fn an_update_that_changes_nothing_by_value_is_a_noop() {
    let mut model = BulkModel::new();
    let base: Value = serde_json::from_str(r#"{"n":1.1,"o":{"a":1,"b":2},"l":[1,2]}"#).unwrap();
    model.answer(&bulk(&[on("index", "1"), base]));
    let mut result_of = |doc: &str, more: &str| {
        let body = serde_json::from_str(&format!("{{\"doc\":{doc}{more}}}")).unwrap();
        results(&model.answer(&bulk(&[on("update", "1"), body]))).remove(0)
    };
    assert_eq!(result_of(r#"{"n":1.10,"o":{"b":2,"a":1}}"#, ""), "200 noop");
    assert_eq!(result_of(r#"{"n":1.1}"#, r#","detect_noop":false"#), "200 updated");
    assert_eq!(result_of(r#"{"l":[2,1]}"#, ""), "200 updated");
    assert_eq!(result_of(r#"{"new":null}"#, ""), "200 updated");
    assert_eq!(result_of(r#"{"n":1}"#, ""), "200 updated");
    assert_eq!(result_of(r#"{"n":1.0}"#, ""), "200 updated");
    assert_eq!(result_of(r#"{"n":1.0}"#, ""), "200 noop");
}

#[test]
fn a_bulk_with_one_bad_line_is_refused_whole() {
    let bad = [
        vec![json!({"index": {"_index": "a", "_idd": "1"}}), json!({})],
        vec![json!({"put": {"_index": "a", "_id": "1"}}), json!({})],
        vec![on("update", "1"), json!({"inc": {"n": 1}})],
        vec![on("update", "1"), json!({"doc": {}, "script": "x"})],
        vec![on("index", &"x".repeat(513)), json!({})],
        vec![
            json!({"update": {"_index": "a", "_id": "1", "version": 1, "version_type": "external"}}),
            json!({"doc": {}}),
        ],
        vec![],
    ];
    for lines in bad {
        let mut model = BulkModel::new();
        let good = [on("index", "2"), json!({})];
        let response =
            model.answer(&bulk(&if lines.is_empty() { lines } else { [&good[..], &lines].concat() }));
        assert_eq!((response.status, model.documents().count()), (400, 0), "{response:?}");
    }
    let mut unterminated = bulk(&[on("index", "1"), json!({})]);
    unterminated.body.pop();
    assert_eq!(BulkModel::new().answer(&unterminated).status, 400);
}

#[test]
fn a_repeat_under_its_own_condition_looks_like_a_conflict() {
    let mut model = BulkModel::new();
    model.answer(&bulk(&[on("index", "1"), json!({"n": 0})]));
    let action = json!({"index": {"_index": "a", "_id": "1", "if_seq_no": 0, "if_primary_term": 1}});
    let request = bulk(&[action, json!({"n": 1})]);
    assert_eq!(results(&model.answer(&request)), ["200 updated"]);
    assert_eq!(results(&model.answer(&request)), ["409 version_conflict_engine_exception"]);
    assert_eq!(model.get("a", "1"), Some(&json!({"n": 1})));
}

#[test]
fn a_multi_get_tells_documents_missing_ones_and_missing_indices_apart() {
    let mut model = BulkModel::new();
    model.answer(&bulk(&[on("index", "1"), json!({"n": 0})]));
    let docs = json!({"docs": [{"_id": "1"}, {"_id": "2"}, {"_index": "b", "_id": "1"}]});
    let request = Request {
        method: "POST".to_owned(),
        path: "/a/_mget".to_owned(),
        body: docs.to_string().into_bytes(),
        ..Request::default()
    };
    let answer = model.answer(&request).value();
    let found = json!({
        "_index": "a", "_id": "1", "_version": 1, "_seq_no": 0, "_primary_term": 1, "found": true, "_source": {"n": 0},
    });
    assert_eq!(answer["docs"][0], found);
    assert_eq!(answer["docs"][1], json!({"_index": "a", "_id": "2", "found": false}));
    assert_eq!(answer["docs"][2]["error"]["type"], "index_not_found_exception");
}

#[test]
fn an_increment_without_a_fence_counts_twice_and_one_with_a_fence_once() {
    for (fenced, n) in [(false, 2), (true, 1)] {
        let model = BulkModel::new().with_scripts(move |context| {
            if !fenced {
                context.source["fence"] = Value::Null;
            }
            add_fenced(context);
            Ok(())
        });
        let model = model.shared();
        let script = json!({"source": "add", "params": {"seq": 7}});
        let body = json!({"script": script, "upsert": {"n": 0}, "scripted_upsert": true});
        let answer = model.answer_twice(&bulk(&[on("update", "1"), body]));
        assert_eq!(model.get("a", "1").unwrap()["n"], n, "{answer:?}");
    }
}

#[test]
fn an_item_that_is_refused_is_not_carried_out_and_the_others_are() {
    let mut model = BulkModel::new();
    let request = bulk(&[on("index", "1"), json!({}), on("index", "2"), json!({}), on("delete", "3")]);
    let refuse = |item: &crate::http::Item| (item.position == 1).then(Refusal::too_many_requests);
    let response = model.answer_refusing(&request, refuse);
    let expected = ["201 created", "429 rejected_execution_exception", "404 not_found"];
    assert_eq!((response.status, results(&response)), (200, expected.map(str::to_owned).to_vec()));
    assert_eq!(response.value()["errors"], true);
    assert_eq!((model.get("a", "2"), model.writes()), (None, 2));
    // What was not there to be deleted is no error.
    assert_eq!(model.answer(&bulk(&[on("delete", "3")])).value()["errors"], false);
}

#[test]
fn an_answer_has_fewer_items_or_another_order_where_the_script_says() {
    let mut model = BulkModel::new();
    let request = bulk(&[on("index", "1"), json!({}), on("delete", "2")]);
    let response = model.answer(&request);
    assert_eq!(results(&response.clone().map_items(|items| items.truncate(1))), ["201 created"]);
    let turned = response.clone().map_items(|items| items.reverse());
    assert_eq!(results(&turned), ["404 not_found", "201 created"]);
    let cut = response.truncated(20);
    assert!(serde_json::from_slice::<Value>(&cut.body).is_err());
}

#[test]
fn a_request_is_applied_and_never_answered() {
    let model = BulkModel::new().shared();
    let (applied, is_applied) = mpsc::channel();
    let server = FakeServer::start({
        let model = model.clone();
        move |request| {
            model.answer(request);
            applied.send(()).unwrap();
            Answer::Hang(Gate::new())
        }
    });
    let mut client = Client::connect(server.address());
    client.post("/a/_bulk", "{\"index\":{\"_id\":\"1\"}}\n{\"n\":1}\n");
    is_applied.recv().unwrap();
    drop(server);
    assert_eq!((client.rest().unwrap().as_str(), model.get("a", "1")), ("", Some(json!({"n": 1}))));
}

#[test]
fn a_request_is_carried_out_after_its_successor() {
    let model = BulkModel::new().shared();
    let late = Arc::new(Mutex::new(None));
    let server = FakeServer::start({
        let (model, late) = (model.clone(), Arc::clone(&late));
        move |request| {
            if request.number == 0 {
                *late.lock().unwrap() = Some(request.clone());
                return Answer::Close;
            }
            let response = model.answer(request);
            if let Some(late) = late.lock().unwrap().take() {
                model.answer(&late);
            }
            response.into()
        }
    });
    for n in [1, 2] {
        let mut client = Client::connect(server.address());
        client.post("/a/_bulk", &format!("{{\"index\":{{\"_id\":\"1\"}}}}\n{{\"n\":{n}}}\n"));
        if n == 1 {
            assert_eq!(client.rest().unwrap(), "");
        } else {
            assert_eq!(client.answer().status, 200);
        }
    }
    assert_eq!(model.get("a", "1"), Some(json!({"n": 1})), "the older one has come last");
}
