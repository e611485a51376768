//! What the servers' own limits, and the network before them, do to a run: nothing is lost, and nothing is done twice.

use crate::server::{Server, on};
use millpond::{
    Engine, Operation, Status,
    elastic::{ElasticOptions, ElasticSink},
};
use std::{sync::Arc, time::Duration};

const LONG: Duration = Duration::from_mins(3);
const DOCUMENTS: u64 = 3_000;
const COUNTERS: u64 = 200;

/// How many documents the index has.
fn count(server: &Server) -> u64 {
    server.ask("POST", &format!("/{}/_refresh", server.index), "");
    let (status, body) = server.ask("GET", &format!("/{}/_count", server.index), "");
    assert_eq!(status, 200, "{body}");
    let found: serde_json::Value = serde_json::from_str(&body).unwrap();
    found["count"].as_u64().unwrap()
}

#[test]
fn a_server_that_takes_little_at_once_gets_shorter_requests_until_all_is_there() {
    // It answers 413 to more than a megabyte, and 429 to what comes to more than 200 kilobytes, idle or not.
    on("SMALL", "requests that are too long", |server| {
        let engine = Engine::builder().build(Arc::new(server.sink()), None).unwrap();
        let text = "x".repeat(1_000);
        for id in 0..DOCUMENTS {
            let document = format!(r#"{{"n":{id},"t":"{text}"}}"#);
            engine.submit(Operation::index(&server.index, &id.to_string(), document.as_bytes())).unwrap();
        }
        // No server of these settings takes this one.
        let longest = format!(r#"{{"t":"{}"}}"#, "y".repeat(2_000_000));
        let refused =
            engine.submit_tracked(Operation::index(&server.index, "long", longest.as_bytes())).unwrap();
        engine.flush(LONG).unwrap();
        assert_eq!(refused.status(), Some(Status::Rejected));
        let stats = engine.stats();
        assert_eq!(stats.dead_letters, 1, "{:?}", stats.last_failure);
        assert_eq!(count(server), DOCUMENTS);
        engine.close(LONG).unwrap();
    });
}

/// A proxy between the sink and a server.
struct Proxy {
    api: Server,
    name: String,
    url: String,
}

impl Proxy {
    fn new(api: &Server, upstream: &str) -> Self {
        let name = api.index.clone();
        let upstream = upstream.strip_prefix("http://").unwrap();
        let body =
            format!(r#"{{"name":"{name}","listen":"127.0.0.1:0","upstream":"{upstream}","enabled":true}}"#);
        let (status, answer) = api.ask("POST", "/proxies", &body);
        assert_eq!(status, 201, "{answer}");
        let made: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let url = format!("http://{}", made["listen"].as_str().unwrap());
        Self { api: Server { url: api.url.clone(), index: name.clone() }, name, url }
    }

    /// Runs something with this between.
    fn with(&self, toxic: &str, run: impl FnOnce()) {
        let toxics = format!("/proxies/{}/toxics", self.name);
        let (status, answer) = self.api.ask("POST", &toxics, toxic);
        assert_eq!(status, 200, "{answer}");
        run();
        let made: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let (status, answer) =
            self.api.ask("DELETE", &format!("{toxics}/{}", made["name"].as_str().unwrap()), "");
        assert_eq!(status, 204, "{answer}");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.api.ask("DELETE", &format!("/proxies/{}", self.name), "");
    }
}

#[test]
fn counters_end_exact_behind_a_network_that_delays_resets_and_cuts() {
    on("TOXIPROXY", "a bad network", |api| {
        on("OPENSEARCH", "a bad network", |server| {
            let proxy = Proxy::new(api, &server.url);
            let options = ElasticOptions::new().request_timeout(Duration::from_secs(1));
            let sink = ElasticSink::new(&[&proxy.url], &options).unwrap();
            let engine = Engine::builder()
                .max_delay(Duration::from_millis(20))
                .late_request_bound(Duration::from_millis(300))
                .batch_operations(30)
                .build(Arc::new(sink), None)
                .unwrap();
            let mut rounds = 0;
            let mut round = || {
                rounds += 1;
                for id in 0..COUNTERS {
                    let body = br#"{"inc":{"n":1},"append":{"l":["x"]},"doc_as_upsert":true}"#;
                    engine.submit(Operation::update(&server.index, &id.to_string(), body)).unwrap();
                }
                // As far as it comes.
                let _ = engine.flush(Duration::from_millis(1_500));
            };
            round();
            for toxic in [
                r#"{"type":"latency","stream":"downstream","attributes":{"latency":700,"jitter":600}}"#,
                r#"{"type":"reset_peer","stream":"downstream","attributes":{"timeout":3}}"#,
                r#"{"type":"reset_peer","stream":"upstream","attributes":{"timeout":3}}"#,
                r#"{"type":"limit_data","stream":"downstream","attributes":{"bytes":700}}"#,
                r#"{"type":"limit_data","stream":"upstream","attributes":{"bytes":2000}}"#,
                r#"{"type":"timeout","stream":"downstream","attributes":{"timeout":200}}"#,
                r#"{"type":"slicer","stream":"downstream","attributes":{"average_size":50,"delay":100}}"#,
            ] {
                proxy.with(toxic, || {
                    round();
                    round();
                });
                round();
            }
            engine.flush(LONG).unwrap();
            let stats = engine.stats();
            assert_eq!(stats.dead_letters, 0, "{:?}", stats.last_failure);
            assert!(stats.retries > 0, "the network did no harm");
            engine.close(LONG).unwrap();
            for id in 0..COUNTERS {
                let stored: serde_json::Value =
                    serde_json::from_str(&server.stored(&id.to_string()).unwrap()).unwrap();
                assert_eq!(stored["n"], rounds, "{id}");
                assert_eq!(stored["l"].as_array().unwrap().len(), rounds, "{id}");
            }
        });
    });
}
