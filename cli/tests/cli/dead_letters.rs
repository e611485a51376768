//! Dead letters: listed, and sent again.

use super::{Place, documents};
use millpond::{Action, DeadLetter, NetOperation};
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write, process::Stdio};

const SAID: &str =
    r#"400 {"type":"mapper_parsing_exception","reason":"failed to parse field [n] in document with id '1'"}"#;
/// Before anything that a test writes.
const LONG_AGO: u64 = 1_600_000_000_000_000;
/// After all of it.
const LATER: u64 = 4_000_000_000_000_000;

fn net(action: Action<'_>) -> NetOperation {
    NetOperation::new(action).unwrap()
}

fn letter(id: &str, seq: u64, operation: &NetOperation) -> String {
    let letter = DeadLetter {
        index: "i",
        id,
        routing: None,
        operation,
        reason: SAID,
        time_us: 1_500_000_000_000_000,
        engine: 7,
        first_seq: seq - 1,
        last_seq: seq,
        operations: 2,
    };
    let mut line = Vec::new();
    letter.write_line(&mut line);
    String::from_utf8(line).unwrap()
}

/// The outcome of each line, as told for programs.
fn outcomes(told: &str) -> Vec<(u64, String)> {
    let one = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (line["line"].as_u64().unwrap(), line["outcome"].as_str().unwrap().to_owned())
    };
    told.lines().map(one).collect()
}

/// What each document of a store is.
fn stored(place: &Place, store: &str) -> BTreeMap<String, Value> {
    let one = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (line["_id"].as_str().unwrap().to_owned(), line["_source"].clone())
    };
    place.well(&format!("scan {store}")).lines().map(one).collect()
}

fn update(body: &str) -> NetOperation {
    net(Action::Update(body.as_bytes()))
}

#[test]
fn letters_are_listed_with_totals_by_index_and_reason() {
    let place = Place::new();
    let lines = [
        letter("1", LONG_AGO, &net(Action::Index(br#"{"n":"x"}"#))),
        letter("2", LONG_AGO, &update(r#"{"inc":{"n":1}}"#)),
    ];
    place.write("letters", lines.concat());
    let table = place.well("dead-letters list letters");
    let row = table.lines().nth(1).unwrap();
    for part in ["2017-07-14T02:40:00Z", " i ", " 1 ", " 2 ", "400 mapper_parsing_exception: failed to parse"]
    {
        assert!(row.contains(part), "{part}: {table}");
    }
    assert!(
        table.contains("         2           4  i             400 mapper_parsing_exception\n"),
        "{table}"
    );
    assert!(table.ends_with("         2           4  in all\n"), "{table}");
    let ran = place.run_with("dead-letters list - --json", lines.concat().as_bytes());
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let second: Value = serde_json::from_str(ran.stdout.lines().nth(1).unwrap()).unwrap();
    assert_eq!((&second["line"], &second["id"], &second["verb"]), (&2.into(), &"2".into(), &"update".into()));
    assert_eq!(second["kind"], "400 mapper_parsing_exception");
    assert_eq!(second["body"]["inc"]["n"], 1);
    assert_eq!(ran.stdout.lines().count(), 2, "no totals: {}", ran.stdout);
}

#[test]
fn half_a_letter_and_damaged_lines_are_told_by_number_and_the_others_are_read() {
    let place = Place::new();
    let whole = letter("1", LONG_AGO, &net(Action::Delete));
    place.write("half", format!("{whole}{}", &whole[..whole.len() - 9]));
    let ran = place.run("dead-letters list half");
    assert_eq!((ran.status, ran.stdout.matches("mapper_parsing").count()), (0, 2), "{}", ran.stdout);
    assert!(ran.stderr.contains("half:2: half a letter"), "{}", ran.stderr);
    place.write("damaged", format!("nonsense\n{whole}{{}}\n\n{whole}"));
    let ran = place.run("dead-letters list damaged --json");
    assert_eq!((ran.status, ran.stdout.lines().count()), (3, 2), "{}", ran.stderr);
    assert!(ran.stderr.contains("damaged:1: ") && ran.stderr.contains("damaged:3: "), "{}", ran.stderr);
    let ran = place.run("dead-letters replay damaged --sink null --json");
    assert_eq!((ran.status, ran.stdout.lines().count()), (3, 2), "{}", ran.stderr);
    assert!(ran.stderr.contains("damaged:1: ") && ran.stderr.contains("damaged:3: "), "{}", ran.stderr);
    let ran = place.run("dead-letters list no/such/file");
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("no/such/file"), "{}", ran.stderr);
}

#[test]
fn what_was_written_since_is_skipped_and_told_and_forced() {
    let place = Place::new();
    place.write("input", documents(2));
    place.well("replay input --sink segments:db --quiet");
    let inc = update(r#"{"inc":{"n":100},"doc_as_upsert":true}"#);
    let lines =
        [letter("000001", LONG_AGO, &inc), letter("new", LONG_AGO, &inc), letter("000000", LATER, &inc)];
    place.write("letters", lines.concat());
    let ran = place.run("dead-letters replay letters --sink segments:db --json");
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    let told = [(1, "written_since"), (2, "created"), (3, "applied")].map(|(at, word)| (at, word.to_owned()));
    let found = outcomes(&ran.stdout);
    assert_eq!(found[..2], told[..2], "{}", ran.stdout);
    assert!(["applied", "updated"].contains(&&*found[2].1), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("1 were not sent: their documents were written since (--force"),
        "{}",
        ran.stderr
    );
    let expected = [("000000", 100), ("000001", 1), ("new", 100)];
    let is = |expected: &[(&str, i64)]| {
        let found = stored(&place, "db");
        assert_eq!(found.len(), expected.len());
        for (id, n) in expected {
            assert_eq!(found[*id]["n"], *n, "{id}: {found:?}");
        }
    };
    is(&expected);
    // Once more: what was carried out is known, and counts once.
    let ran = place.run("dead-letters replay letters --sink segments:db --json");
    let words: Vec<String> = outcomes(&ran.stdout).into_iter().map(|(_, word)| word).collect();
    assert_eq!(
        (ran.status, words),
        (3, ["written_since", "replayed_before", "replayed_before"].map(str::to_owned).to_vec())
    );
    is(&expected);
    let ran = place.run("dead-letters replay letters --sink segments:db --force --quiet");
    assert_eq!((ran.status, &*ran.stdout), (0, ""), "{}", ran.stderr);
    is(&[("000000", 200), ("000001", 101), ("new", 200)]);
}

#[test]
fn the_letters_of_one_document_go_out_in_order_each_by_itself() {
    let place = Place::new();
    let append = |n: u32| update(&format!(r#"{{"append":{{"l":[{n}]}},"doc_as_upsert":true}}"#));
    let lines: Vec<String> =
        (0..40).map(|n| letter(&(n % 3).to_string(), LONG_AGO + u64::from(n) * 10, &append(n))).collect();
    // As if it had been killed behind the seventh.
    place.write("some", lines[..7].concat());
    place.write("letters", lines.concat());
    place.well("dead-letters replay some --sink segments:db --quiet");
    let ran = place.run("dead-letters replay letters --sink segments:db --json");
    let words: Vec<String> = outcomes(&ran.stdout).into_iter().map(|(_, word)| word).collect();
    // The last of each document is known as carried out; those before it have something newer above them.
    let before = ["written_since"; 4].into_iter().chain(["replayed_before"; 3]);
    assert!(words[..7].iter().map(String::as_str).eq(before), "{}", ran.stdout);
    assert!(
        ran.status == 3 && words[7..].iter().all(|word| word == "applied" || word == "updated"),
        "{}",
        ran.stdout
    );
    for (id, document) in stored(&place, "db") {
        let first: u32 = id.parse().unwrap();
        let expected: Vec<u32> = (first..40).step_by(3).collect();
        assert_eq!(document["l"], serde_json::json!(expected), "{id}");
    }
    let bulk = place.well("dead-letters replay letters --sink ndjson:-");
    assert_eq!(bulk.lines().count(), 80, "nothing is folded: {bulk}");
}

#[test]
fn an_operation_comes_back_as_the_one_that_was_refused_whatever_it_is() {
    let place = Place::new();
    let stream = place.well(
        "generate --documents 400 --operations 3000 --zipf 0.4 --field-ops-share 0.8 --delete-share 0.03 --seed 5",
    );
    let (bases, nets) = folded(&stream);
    // A sum with more digits than a submit takes.
    let many = format!(r#"{{"inc":{{"n":{}}},"doc_as_upsert":true}}"#, "9".repeat(28));
    let wide = update(&many).compose(&update(&many));
    let mut text = letter("wide", LATER, &wide);
    let mut below = String::new();
    for (id, net) in &nets {
        text.push_str(&letter(id, LATER, net));
        if let Some(base) = bases.get(id) {
            writeln!(below, "{{\"index\":{{\"_index\":\"i\",\"_id\":\"{id}\"}}}}\n{base}").unwrap();
        }
    }
    place.write("letters", text);
    place.write("below", below);
    place.well("replay below --sink segments:db --quiet");
    place.well("dead-letters replay letters --sink segments:db --quiet");
    let scan = place.well("scan db");
    let found: BTreeMap<&str, &str> = scan.lines().map(parts).collect();
    // A new field may stand in another place: what is folded is written by kinds of operation.
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let mut deleted = 0;
    for (id, net) in nets.iter().map(|(id, net)| (&**id, net)).chain([("wide", &wide)]) {
        let base = bases.get(id).map(String::as_bytes);
        let expected = net.apply(base).document.map(|text| String::from_utf8(text.to_vec()).unwrap());
        deleted += usize::from(expected.is_none());
        let (found, expected) = (found.get(id).copied().map(value), expected.as_deref().map(value));
        assert_eq!(found, expected, "{id}: {net:?} over {base:?}");
    }
    assert_eq!(found["wide"], format!(r#"{{"n":{}}}"#, "1".to_owned() + &"9".repeat(27) + "8"));
    assert!(nets.len() > 300 && bases.len() > 100 && deleted > 0);
}

/// The id and the source of a line of a scan, byte for byte.
fn parts(line: &str) -> (&str, &str) {
    let (head, source) = line.split_once(",\"_source\":").unwrap();
    (head.split_once("\"_id\":\"").unwrap().1.trim_end_matches('"'), source.strip_suffix('}').unwrap())
}

/// Of a stream, for half of the documents what the first operations come to, and what all others do folded.
fn folded(stream: &str) -> (BTreeMap<String, String>, BTreeMap<String, NetOperation>) {
    let (mut bases, mut nets) = (BTreeMap::new(), BTreeMap::<String, NetOperation>::new());
    let mut lines = stream.lines();
    while let Some(action) = lines.next() {
        let action: Value = serde_json::from_str(action).unwrap();
        let (verb, names) = action.as_object().unwrap().iter().next().unwrap();
        let id = names["_id"].as_str().unwrap().to_owned();
        let body = if verb == "delete" { "" } else { lines.next().unwrap() };
        let net = NetOperation::from_parts(verb, body.as_bytes()).unwrap();
        let is_even = id.bytes().last().is_some_and(|byte| byte % 2 == 0);
        if is_even
            && !bases.contains_key(&id)
            && !nets.contains_key(&id)
            && let Some(base) = net.apply(None).document
        {
            bases.insert(id, String::from_utf8(base.to_vec()).unwrap());
            continue;
        }
        let folded = nets.get(&id).map_or_else(|| net.clone(), |earlier| earlier.compose(&net));
        nets.insert(id, folded);
    }
    (bases, nets)
}

#[test]
fn what_is_refused_again_is_the_same_letter_in_another_file() {
    let place = Place::new();
    // No store takes a number that leaves none above it.
    let line = letter("1", u64::MAX, &net(Action::Index(b"{}")));
    place.write("letters", format!("{line}{}", letter("2", LONG_AGO, &net(Action::Index(b"{}")))));
    let before = place.read("letters");
    let ran = place.run("dead-letters replay letters --sink segments:db --dead-letters again --json");
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    assert_eq!(outcomes(&ran.stdout)[0], (1, "refused".to_owned()), "{}", ran.stdout);
    assert!(ran.stderr.contains("1 were refused again: they are in again"), "{}", ran.stderr);
    assert_eq!(place.read("letters"), before);
    let (first, again): (Value, Value) = (serde_json::from_str(&line).unwrap(), place.json("again"));
    for name in ["engine", "first_seq", "last_seq", "operations", "action", "body"] {
        assert_eq!(first[name], again[name], "{name}");
    }
    assert!(again["reason"].as_str().unwrap().contains("leaves no number above it"), "{again}");
    assert!(!place.path("dead-letters-again.ndjson").exists());
}

#[test]
fn the_file_that_is_read_is_never_written() {
    let place = Place::new();
    let line = letter("1", LONG_AGO, &net(Action::Delete));
    place.write("letters", &line);
    place.write("dead-letters-again.ndjson", &line);
    std::os::unix::fs::symlink("letters", place.path("link")).unwrap();
    for arguments in [
        "letters --sink null --dead-letters letters",
        "letters --sink null --dead-letters ./link",
        "letters --sink ndjson:link",
        "dead-letters-again.ndjson --sink null",
    ] {
        let ran = place.run(&format!("dead-letters replay {arguments}"));
        assert_eq!(ran.status, 2, "{arguments}: {}", ran.stderr);
        assert!(ran.stderr.contains("is the file that is read"), "{arguments}: {}", ran.stderr);
    }
    let mut command = place.command("dead-letters replay - --sink null --dead-letters letters");
    let stdin = std::fs::File::open(place.path("letters")).unwrap();
    let output = command.stdin(stdin).stdout(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(place.read("letters"), line);
}

#[test]
fn wrong_usage_of_dead_letters_names_the_flag() {
    let place = Place::new();
    place.write("letters", "");
    for (arguments, flag) in [
        ("letters", "--sink"),
        ("letters --sink null --memory 1KiB", "--memory"),
        ("letters --sink null --dead-letters no/such/file", "--dead-letters"),
        ("letters --sink null --sink http://a", "--sink"),
    ] {
        let ran = place.run(&format!("dead-letters replay {arguments}"));
        assert_eq!(ran.status, 2, "{arguments}: {}", ran.stderr);
        assert!(ran.stderr.contains(flag), "{arguments}: {}", ran.stderr);
    }
    let ran = place.run("dead-letters replay letters --sink segments:letters");
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("--sink segments:letters"), "{}", ran.stderr);
}

#[test]
fn a_letter_too_large_for_the_memory_is_told_and_the_others_are_sent() {
    let place = Place::new();
    let large = format!(r#"{{"t":"{}"}}"#, "x".repeat(40_000));
    let lines = [
        letter("1", LONG_AGO, &net(Action::Index(large.as_bytes()))),
        letter("2", LONG_AGO, &net(Action::Index(b"{}"))),
    ];
    place.write("letters", lines.concat());
    let ran = place.run("dead-letters replay letters --sink segments:db --memory 256KiB");
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    assert!(ran.stdout.contains("not_taken") && ran.stdout.contains("--memory"), "{}", ran.stdout);
    assert_eq!(stored(&place, "db").len(), 1);
}
