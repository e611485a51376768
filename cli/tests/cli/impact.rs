//! What folding saves, measured on real servers: `dev/check servers` starts them; without them each test says that it is skipped.

use super::{
    Place, documents,
    server::{ask, server},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

/// Documents, partial documents, counters, lists and deletes, of few documents.
const INPUT: &str =
    "generate --documents 300 --operations 6000 --update-share 0.8 --delete-share 0.05 --field-ops-share 0.4";
const OPERATIONS: u32 = 6_000;

/// The documents of an input, by its action lines.
fn distinct(input: &str) -> u32 {
    let ids = input.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let of = ["index", "create", "update", "delete"].iter().find_map(|verb| line.get(*verb))?;
        Some(of["_id"].to_string())
    });
    u32::try_from(ids.collect::<BTreeSet<String>>().len()).unwrap()
}

/// The indices of this command that are there.
fn left(url: &str) -> Vec<String> {
    let found = ask("GET", &format!("{url}/_cat/indices/millpond-impact-*?format=json"), String::new());
    found.as_array().unwrap().iter().map(|index| index["index"].as_str().unwrap().to_owned()).collect()
}

/// Both sides end with the same documents, the counts are the input's, and nothing is left behind.
fn measured(url: &str) {
    let place = Place::new();
    let input = place.well(INPUT);
    let documents = distinct(&input);
    place.write("input", input);
    let report: Value = serde_json::from_str(&place.well(&format!(
        "impact input --sink {url} --runs 2 --requests 4 --windows 1,500,all --json --quiet --html page.html"
    )))
    .unwrap();

    assert_eq!((&report["operations_in"], &report["documents"]), (&json!(OPERATIONS), &json!(documents)));
    assert_eq!(report["wrong"]["documents"], 0, "{}", report["wrong"]);
    // Each folded run and each window of more than one operation, in both rounds.
    assert_eq!(report["wrong"]["comparisons"], 6);
    let operations = |runs: &Value| -> Vec<f64> {
        runs.as_array().unwrap().iter().map(|run| run["operations"].as_f64().unwrap()).collect()
    };
    let (plain, folded) = (f64::from(OPERATIONS), f64::from(documents));
    assert_eq!(operations(&report["plain"]["runs"]), [plain; 2]);
    assert_eq!(operations(&report["folded"]["runs"]), [folded; 2]);
    let [one, some, all] = [0, 1, 2].map(|at| operations(&report["windows"][at]["runs"]));
    assert_eq!((one, all), (vec![plain; 2], vec![folded; 2]));
    // Twelve windows, none of which has more operations than documents.
    assert!(
        some.iter().all(|count| *count > folded && *count <= 12.0 * folded && *count < plain),
        "{some:?}"
    );
    assert_eq!(report["windows"][1]["fewer"]["operations"], plain / some[0]);
    // The server counts what it was sent: deletes of nothing too.
    let median = &report["plain"]["median"];
    assert!(median["indexed"].as_f64().unwrap() > 0.9 * plain, "{median}");
    assert!(median["requests"].as_f64().unwrap() >= 6.0 && median["failed"] == 0.0, "{median}");
    assert_eq!(median["server_cpu_seconds"], Value::Null);

    let page = place.read("page.html");
    assert!(page.contains("0 wrong") && page.contains("class=\"plot\""), "{page}");
    assert_eq!(left(url), [""; 0]);
    kept(&place, url);
    interrupted(&place, url);
}

/// What is kept is named, and is what both sides wrote last.
fn kept(place: &Place, url: &str) {
    place.write("few", documents(50));
    let ran = place.run(&format!("impact few --sink {url} --runs 1 --keep"));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let mut kept = left(url);
    kept.sort_unstable();
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept[0].contains("-folded-") && kept[1].contains("-plain-"), "{kept:?}");
    for index in kept {
        assert!(ran.stderr.contains(&index), "{}", ran.stderr);
        assert_eq!(ask("GET", &format!("{url}/{index}/_count"), String::new())["count"], 50);
        ask("DELETE", &format!("{url}/{index}"), String::new());
    }
}

fn interrupted(place: &Place, url: &str) {
    let mut child = place
        .command(&format!("impact input --sink {url} --runs 200"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut note = String::new();
    stderr.read_line(&mut note).unwrap();
    assert!(note.contains("which does not count"), "{note}");
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert_eq!(left(url), [""; 0]);
}

#[test]
fn both_sides_end_with_the_same_documents_on_opensearch_and_nothing_is_left() {
    let Some(url) = server("impact on OpenSearch", "OPENSEARCH") else { return };
    measured(&url);
}

#[test]
fn both_sides_end_with_the_same_documents_on_elasticsearch_and_nothing_is_left() {
    let Some(url) = server("impact on Elasticsearch", "ELASTICSEARCH") else { return };
    measured(&url);
}

#[test]
fn wrong_arguments_are_wrong_usage_and_name_the_flag() {
    let place = Place::new();
    place.write("input", documents(1));
    let sink = "--sink http://127.0.0.1:1";
    let many = (1..20).map(|count| count.to_string()).collect::<Vec<_>>().join(",");
    for (arguments, part) in [
        ("impact input".to_owned(), "--sink"),
        ("impact input --sink null".to_owned(), "null is no server"),
        ("impact input --sink http://user:password@a".to_owned(), "holds credentials"),
        (format!("impact - {sink}"), "standard input can be read once"),
        (format!("impact input {sink} --windows 10s"), "a number of operations, or all"),
        (format!("impact input {sink} --windows {many}"), "16 is the most"),
        (format!("impact input {sink} --runs 0"), "--runs"),
        (format!("impact input {sink} --html input"), "would overwrite an input"),
    ] {
        let ran = place.run(&arguments);
        assert_eq!(ran.status, 2, "{arguments}: {}", ran.stderr);
        assert!(ran.stderr.contains(part), "{arguments}: {}", ran.stderr);
        assert!(!ran.stderr.contains("password"), "{arguments}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{arguments}");
    }
}

#[test]
fn a_server_that_is_not_there_and_a_file_that_is_not_there_are_named() {
    let place = Place::new();
    place.write("input", documents(1));
    let ran = place.run("impact input --sink http://127.0.0.1:1");
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("http://127.0.0.1:1"), "{}", ran.stderr);
    let ran = place.run("impact missing --sink http://127.0.0.1:1");
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("missing"), "{}", ran.stderr);
}

#[test]
fn input_of_which_something_is_refused_is_not_measured() {
    let Some(url) = server("impact of bad input", "ELASTICSEARCH") else { return };
    let place = Place::new();
    place.write("input", format!("{}{{\"indexx\":{{}}}}\n{{}}\n", documents(3)));
    let ran = place.run(&format!("impact input --sink {url}"));
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("input:7:") && ran.stderr.contains("--rejects FILE"), "{}", ran.stderr);
    place.write("input", "");
    let ran = place.run(&format!("impact input --sink {url}"));
    assert!(ran.stderr.contains("the input has no operations"), "{}", ran.stderr);
}
