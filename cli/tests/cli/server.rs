//! Replays to real servers: `dev/check servers` starts them and runs this; without them each test says that it is skipped.

mod letters;
mod restart;

use super::Place;
use std::{
    collections::BTreeMap,
    env,
    fmt::Write,
    io::Read,
    os::unix::process::ExitStatusExt,
    process::Stdio,
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

const DOCUMENTS: u64 = 500;
const OPERATIONS: u64 = 6_000;
/// Kills of one input before it may be read to its end.
const KILLS_OF_ROUND: u32 = 20;
/// Kills in all, where `MILLPOND_KILLS` does not say.
const KILLS: u32 = 20;

/// Of how many kills of the usual way the other ways have one: after a crash they know by the same means what is there.
const OTHERS_SHARE: u32 = 4;

/// Numbers that do not repeat soon.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A server, by the variable that holds its address.
pub(super) fn server(test: &str, name: &str) -> Option<String> {
    let variable = format!("MILLPOND_{name}");
    let url = env::var(&variable).ok();
    if url.is_none() {
        let is_required = env::var("MILLPOND_SERVERS").as_deref() == Ok("required");
        assert!(!is_required, "{test} needs {variable}, the address of a server");
        println!("skipped: {test} needs {variable}, the address of a server: dev/services up");
    }
    url
}

pub(super) fn ask(method: &str, url: &str, body: String) -> serde_json::Value {
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
    let request =
        ureq::http::Request::builder().method(method).uri(url).header("content-type", "application/json");
    let text = agent.run(request.body(body).unwrap()).unwrap().body_mut().read_to_string().unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Counters and lists, as bulk lines; and what each document comes to.
fn input(index: &str, random: &mut Random) -> (String, BTreeMap<u64, (u64, Vec<u64>)>) {
    let (mut text, mut expected) = (String::new(), BTreeMap::<u64, (u64, Vec<u64>)>::new());
    for number in 0..OPERATIONS {
        let (id, amount) = (random.below(DOCUMENTS), random.below(100));
        writeln!(text, r#"{{"update":{{"_index":"{index}","_id":"{id}"}}}}"#).unwrap();
        writeln!(text, r#"{{"inc":{{"n":{amount}}},"append":{{"l":[{number}]}},"doc_as_upsert":true}}"#)
            .unwrap();
        let (sum, list) = expected.entry(id).or_default();
        *sum += amount;
        list.push(number);
    }
    (text, expected)
}

/// Runs the program until it ends by itself, or for so long. True where it was killed.
fn killed_after(place: &Place, arguments: &str, time: Duration) -> bool {
    let mut child = place.command(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (ended, end) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            stdout.read_to_end(&mut Vec::new()).unwrap();
            ended.send(()).unwrap_or_default();
        });
        if end.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
            child.kill().unwrap();
        }
        child.wait().unwrap().signal().is_some()
    })
}

/// Each document that is wrong, at the server.
fn wrong(url: &str, index: &str, expected: &BTreeMap<u64, (u64, Vec<u64>)>) -> Vec<String> {
    let ids: Vec<String> = expected.keys().map(ToString::to_string).collect();
    let found = ask("POST", &format!("{url}/{index}/_mget"), serde_json::json!({ "ids": ids }).to_string());
    let docs = found["docs"].as_array().unwrap();
    let pairs = docs.iter().zip(expected);
    pairs
        .filter(|(found, (_, (sum, list)))| {
            found["_source"]["n"] != *sum || found["_source"]["l"] != serde_json::json!(list)
        })
        .map(|(found, (_, (sum, list)))| format!("{found}, and not {sum} {list:?}"))
        .collect()
}

#[test]
fn a_replay_to_a_server_killed_at_random_ends_with_exact_counters_and_lists() {
    killed_at_random("kills of a replay to a server", "net", "", 1);
}

#[test]
fn a_resolving_replay_killed_at_random_ends_with_exact_counters_and_lists() {
    killed_at_random("kills of a resolving replay", "resolve", "--resolve", OTHERS_SHARE);
}

#[test]
fn a_replay_with_versions_of_its_own_killed_at_random_ends_with_exact_counters_and_lists() {
    killed_at_random(
        "kills of a replay with versions of its own",
        "external",
        "--resolve --versioning external",
        OTHERS_SHARE,
    );
}

/// `flags`: how it is sent. `share`: one kill of so many.
fn killed_at_random(title: &str, name: &str, flags: &str, share: u32) {
    let Some(url) = server(title, "OPENSEARCH") else { return };
    let kills: u32 = env::var("MILLPOND_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let kills = kills.div_ceil(share);
    let seed: u64 = env::var("MILLPOND_SEED").map_or(1, |text| text.parse().unwrap());
    println!("{title}: MILLPOND_SEED={seed}");
    let (mut random, place) = (Random(seed), Place::on_disk());
    let (mut landed, mut round) = (0, 0);
    while landed < kills {
        round += 1;
        let index = format!("millpond-kill-{name}-{}-{seed}-{round}", std::process::id());
        let (text, expected) = input(&index, &mut random);
        place.write(&format!("input.{round}"), text);
        let policy = ["always", "interval=20ms"][round % 2];
        let arguments = format!(
            "replay input.{round} --journal journal.{round} --sync {policy} --sink {url} --max-delay 10ms --batch-ops 20 \
             --memory 256KiB --late-request-bound 100ms --report report --quiet {flags}"
        );
        let mut of_round = 0;
        while of_round < KILLS_OF_ROUND {
            let time = Duration::from_millis(20 + random.below(400));
            if !killed_after(&place, &arguments, time) {
                break;
            }
            of_round += 1;
        }
        place.well(&arguments);
        landed += of_round;
        let wrong = wrong(&url, &index, &expected);
        assert!(
            wrong.is_empty(),
            "{} of {} documents after {of_round} kills: {}",
            wrong.len(),
            expected.len(),
            wrong[0]
        );
        ask("DELETE", &format!("{url}/{index}"), String::new());
    }
    println!("{title}: {landed} kills in {round} rounds");
}

#[test]
fn the_flights_at_a_server_are_those_of_a_replay_into_segments() {
    let Some(url) = server("flights at a server", "OPENSEARCH") else { return };
    let (place, index) = (Place::new(), "aircraft");
    let remove = || ask("DELETE", &format!("{url}/{index}?ignore_unavailable=true"), String::new());
    remove();
    let flights = super::flights("flights-counters");
    // Many requests at once, of few operations each, and documents that are sent often.
    place.well(&format!(
        "replay {flights} --sink {url} --quiet --requests 4 --batch-ops 200 --max-delay 10ms --memory 1MiB --report report"
    ));
    assert!(place.json("report")["operations_out"].as_u64().unwrap() > 5_000);
    are_the_flights(&url, index, &place);
    remove();
}

/// The documents at the server are those of a replay into segments, counters included.
fn are_the_flights(url: &str, index: &str, place: &Place) {
    place.well(&format!("replay {} --sink segments:db --quiet", super::flights("flights-counters")));
    let scan = place.well("scan db");
    let lines: Vec<serde_json::Value> =
        scan.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<&serde_json::Value> = lines.iter().map(|line| &line["_id"]).collect();
    let found = ask("POST", &format!("{url}/{index}/_mget"), serde_json::json!({ "ids": ids }).to_string());
    for (line, found) in lines.iter().zip(found["docs"].as_array().unwrap()) {
        let mut stored = found["_source"].clone();
        stored.as_object_mut().unwrap().remove("_millpond");
        assert_eq!(stored, line["_source"], "{}", line["_id"]);
    }
}
