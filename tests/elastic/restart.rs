//! A server that dies in mid-run and comes back: `MILLPOND_RESTART`, like `opensearch:9251`, names one that is nobody else's.

use crate::server::Server;
use millpond::{Engine, Operation, elastic::ElasticOptions, elastic::ElasticSink};
use std::{env, process::Command, sync::Arc, thread, time::Duration};

const LONG: Duration = Duration::from_mins(3);
const COUNTERS: u64 = 300;
const ROUNDS: u64 = 50;
/// After so many rounds the server is killed.
const KILLED_AT: u64 = 15;

/// Stops or starts the server with the repository's own script.
fn services(arguments: &[&str]) {
    let output = Command::new("dev/services")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn counters_end_exact_through_a_kill_of_the_server_in_mid_run() {
    let test = "a server that is killed";
    let Ok(named) = env::var("MILLPOND_RESTART") else {
        let is_required = env::var("MILLPOND_SERVERS").as_deref() == Ok("required");
        assert!(!is_required, "{test} needs MILLPOND_RESTART, as opensearch:9251");
        println!("skipped: {test} needs MILLPOND_RESTART, the name and port of a server that it may kill");
        return;
    };
    let (name, port) = named.split_once(':').unwrap();
    services(&["up", name, "--port", port]);
    let server = Server::at(format!("http://127.0.0.1:{port}"));
    server.create_index("{}");
    let options = ElasticOptions::new().request_timeout(Duration::from_secs(10));
    let sink = ElasticSink::new(&[&server.url], &options).unwrap();
    let engine = Engine::builder()
        .max_delay(Duration::from_millis(10))
        // Who was killed carries nothing out late.
        .late_request_bound(Duration::from_millis(100))
        .batch_operations(50)
        .drain_threads(2)
        .build(Arc::new(sink), None)
        .unwrap();
    thread::scope(|scope| {
        for round in 0..ROUNDS {
            if round == KILLED_AT {
                scope.spawn(|| {
                    services(&["stop", name, "--port", port, "--kill"]);
                    services(&["up", name, "--port", port]);
                });
            }
            for id in 0..COUNTERS {
                let body = br#"{"inc":{"n":1},"append":{"l":["x"]},"doc_as_upsert":true}"#;
                engine.submit(Operation::update(&server.index, &id.to_string(), body)).unwrap();
            }
            // As far as it comes: it is killed while requests are out.
            let _ = engine.flush(Duration::from_millis(50));
        }
    });
    engine.flush(LONG).unwrap();
    let stats = engine.stats();
    assert_eq!(stats.dead_letters, 0, "{:?}", stats.last_failure);
    assert!(stats.retries > 0, "the kill did no harm");
    engine.close(LONG).unwrap();
    for id in 0..COUNTERS {
        let stored: serde_json::Value =
            serde_json::from_str(&server.stored(&id.to_string()).unwrap()).unwrap();
        assert_eq!(stored["n"], ROUNDS, "{id}");
        assert_eq!(stored["l"].as_array().unwrap().len() as u64, ROUNDS, "{id}");
    }
}
