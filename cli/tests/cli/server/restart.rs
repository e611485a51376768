//! A server that is killed while a replay sends to it: `MILLPOND_RESTART`, like `opensearch:9251`, names one that is nobody else's.

use super::{Place, are_the_flights, ask};
use std::{
    env,
    process::{Child, Command, Stdio},
};

/// Stops or starts the server with the repository's own script.
fn services(arguments: &[&str]) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let output = Command::new("dev/services").args(arguments).current_dir(root).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A replay, which does not outlive a test that fails: it would wait for the server.
struct Replay(Child);

impl Drop for Replay {
    fn drop(&mut self) {
        // It has ended where all is well.
        drop(self.0.kill());
    }
}

#[test]
fn the_flights_at_a_server_that_is_killed_in_mid_run_are_those_of_a_replay_into_segments() {
    const TEST: &str = "flights at a server that is killed";
    let Ok(named) = env::var("MILLPOND_RESTART") else {
        let is_required = env::var("MILLPOND_SERVERS").as_deref() == Ok("required");
        assert!(!is_required, "{TEST} needs MILLPOND_RESTART, as opensearch:9251");
        println!("skipped: {TEST} needs MILLPOND_RESTART, the name and port of a server that it may kill");
        return;
    };
    let (name, port) = named.split_once(':').unwrap();
    services(&["up", name, "--port", port]);
    let (url, index, place) = (format!("http://127.0.0.1:{port}"), "aircraft", Place::new());
    ask("DELETE", &format!("{url}/{index}?ignore_unavailable=true"), String::new());
    let flights = super::super::flights("flights-counters");
    let arguments = format!(
        "replay {flights} --sink {url} --quiet --requests 2 --batch-ops 500 --max-delay 100ms --memory 8MiB \
         --late-request-bound 100ms --report report"
    );
    let mut replay =
        Replay(place.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let child = &mut replay.0;
    // In the midst of it: some are there, and most are not.
    let count = || {
        // A server whose index is just being made says that it cannot tell.
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let mut counted = agent.get(format!("{url}/{index}/_count?ignore_unavailable=true")).call().unwrap();
        let text = counted.body_mut().read_to_string().unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["count"].as_u64()
    };
    while count() < Some(300) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before the kill");
        ask("POST", &format!("{url}/_refresh"), String::new());
    }
    services(&["stop", name, "--port", port, "--kill"]);
    assert!(child.try_wait().unwrap().is_none(), "it ended before the kill");
    services(&["up", name, "--port", port]);
    assert!(child.wait().unwrap().success());
    let report = place.json("report");
    assert_eq!(
        (&report["dead_letters"], report["retries"].as_u64() > Some(0)),
        (&0.into(), true),
        "{report}"
    );
    are_the_flights(&url, index, &place);
}
