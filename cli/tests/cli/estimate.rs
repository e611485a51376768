//! What folding would save, told without sending anything.

use super::{Place, Ran, documents, flights};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    process::{Command, Stdio},
};

fn parsed(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr))
}

fn estimate(place: &Place, arguments: &str) -> Value {
    parsed(&Ran {
        status: 0,
        stdout: place.well(&format!("estimate --json {arguments}")),
        stderr: String::new(),
    })
}

/// A figure of every window, in order.
fn figures(report: &Value, name: &str) -> Vec<Value> {
    report["windows"].as_array().unwrap().iter().map(|window| window[name].clone()).collect()
}

/// Updates of three documents, one a second, as bulk lines.
fn seconds(count: u32) -> String {
    let line = |second: u32| {
        let (id, time) = (second % 3, 1_700_000_000 + second);
        format!(
            "{{\"update\":{{\"_index\":\"i\",\"_id\":\"{id}\"}}}}\n{{\"doc\":{{\"at\":{{\"s\":{time}}}}}}}\n"
        )
    };
    (0..count).map(line).collect()
}

#[test]
fn estimate_alone_tells_what_folding_the_bundled_flights_over_each_window_saves() {
    let place = Place::new();
    let report = estimate(&place, "");
    assert_eq!(report["inputs"], json!([std::fs::canonicalize(flights("flights")).unwrap()]));
    assert_eq!((&report["operations_in"], &report["documents"]), (&334_264.into(), &4_043.into()));
    assert_eq!(report["bytes_in"], 68_473_478);
    // As a set of ids for each window counts them.
    assert_eq!(
        figures(&report, "operations_out"),
        [334_264, 245_962, 83_279, 23_821, 4_043].map(Value::from)
    );
    assert_eq!(
        figures(&report, "operations"),
        [json!(1), json!(1_000), json!(10_000), json!(50_000), Value::Null]
    );
    assert_eq!(figures(&report, "windows"), [334_264, 335, 34, 7, 1].map(Value::from));
    // A plain operation goes out as it came.
    assert_eq!(report["windows"][0]["bytes_out"], 68_473_478);

    let folded = place.path("folded");
    place.well(&format!("replay {} --sink ndjson:{} --max-delay 1h", flights("flights"), folded.display()));
    assert_eq!(report["windows"][4]["bytes_out"], std::fs::metadata(&folded).unwrap().len());
}

#[test]
fn the_table_says_in_words_what_would_go_out() {
    let place = Place::new();
    place.write("input", seconds(90));
    let table = place.well("estimate input --windows 1,30,all,10s --time-field at.s");
    for part in [
        "input: 90 operations on 3 documents, ",
        "\n  folded over        operations out     fewer",
        "\n  1 operation                    90     1.0 x",
        "\n  30 operations                   9    10.0 x",
        "\n  all                             3    30.0 x",
        "\n  10 s                           27     3.3 x",
        "Folded over all, of 90 operations 3 would go out: 30.0 times fewer, and 30.0 times fewer bytes.",
        "Folded over 10 s, of 90 operations 27 would go out: 3.3 times fewer",
        "at.s: a time in 90 operations, from 2023-11-14T22:13:20Z to 2023-11-14T22:14:49Z\n",
    ] {
        assert!(table.contains(part), "{part} is not in {table}");
    }
    place.write("once", documents(7));
    let table = place.well("estimate once --windows all");
    assert!(
        table.contains("Folded over all, no two of 7 operations meet: nothing would be saved."),
        "{table}"
    );
}

#[test]
fn operations_out_of_order_or_without_a_time_are_told() {
    let place = Place::new();
    let line = |body: &str| format!("{{\"index\":{{\"_index\":\"i\",\"_id\":\"1\"}}}}\n{body}\n");
    let lines = [
        r#"{"n":1}"#,
        r#"{"t":"2024-01-01T00:00:05Z"}"#,
        r#"{"t":"soon"}"#,
        r#"{"t":"2024-01-01T00:00:10.5"}"#,
        r#"{"t":"2024-01-01T01:00:09+01:00"}"#,
        r#"{"t":1704067210500}"#,
    ];
    place.write("input", lines.map(line).concat());
    let report = estimate(&place, "input --time-field t --windows 1s,10s,1h");
    assert_eq!(figures(&report, "operations_out"), [2, 2, 1].map(Value::from));
    assert_eq!(figures(&report, "operations_late"), [1, 1, 0].map(Value::from));
    assert_eq!(figures(&report, "seconds"), [1.0, 10.0, 3_600.0].map(Value::from));
    assert_eq!((&report["time"]["missing"], &report["time"]["unreadable"]), (&1.into(), &1.into()));
    let table = place.well("estimate input --time-field t");
    for part in [
        "t: a time in 4 operations, from 2024-01-01T00:00:05Z to 2024-01-01T00:00:10.5Z; 1 without one; \
         1 with one that cannot be read, which count with the one before",
        "10 s: 1 operation came late and counted in the window that was open",
    ] {
        assert!(table.contains(part), "{part} is not in {table}");
    }
}

#[test]
fn every_input_that_replay_takes_is_estimated_alike() {
    let place = Place::new();
    let text = documents(300) + &documents(300) + "\n" + &documents(1).replace("\"_index\":\"i\",", "");
    place.write("plain", &text);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    place.write("gzip", encoder.finish().unwrap());
    place.write(
        "zstd",
        ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest),
    );
    let plain = estimate(&place, "plain --index i --windows 450,all");
    assert_eq!(figures(&plain, "operations_out"), [301 + 150, 300].map(Value::from));
    assert_eq!(plain["bytes_in"], text.len() - 1);
    for input in ["gzip", "zstd"] {
        assert_eq!(
            estimate(&place, &format!("{input} --index i --windows 450,all"))["windows"],
            plain["windows"]
        );
    }
    let piped = place.run_with("estimate - --json --index i --windows 450,all", text.as_bytes());
    assert_eq!(parsed(&piped)["windows"], plain["windows"]);
    assert_eq!(estimate(&place, "plain zstd --index i --windows all")["operations_in"], 1_202);
}

#[test]
fn bad_lines_are_shown_counted_and_left_out() {
    let place = Place::new();
    let bad = "{\"update\":{\"_index\":\"i\",\"_id\":\"000001\"}}\n{\"doc\":{\"a\" 1}}\n";
    place.write("input", documents(2) + bad + &"garbage\n".repeat(40) + &documents(2));
    let ran = place.run("estimate input --json --windows 3,all");
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("input:6:13: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("further bad lines") && !ran.stderr.contains("--rejects"), "{}", ran.stderr);
    let report = parsed(&ran);
    assert_eq!((&report["operations_in"], &report["rejected"]), (&4.into(), &21.into()));
    assert_eq!(figures(&report, "operations_out"), [3, 2].map(Value::from));
    assert!(place.run("estimate input").stdout.contains("left out: 21 bad lines\n"));
}

#[test]
fn a_window_that_does_not_fit_into_memory_is_named_and_never_estimated() {
    let place = Place::new();
    place.write("input", documents(20_000));
    let ran = place.run("estimate input --windows 1000,all --memory 1MiB");
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("a window of all does not fit into --memory 1.0 MiB"), "{}", ran.stderr);
    assert!(
        ran.stdout.contains("\n  all               does not fit into --memory 1.0 MiB\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("\n  1,000 operations           20,000     1.0 x"), "{}", ran.stdout);

    let ran = place.run("estimate input --windows 1000,all --memory 1MiB --json");
    assert_eq!(figures(&parsed(&ran), "fits"), [true, false].map(Value::from));
    assert_eq!(figures(&parsed(&ran), "operations_out"), [json!(20_000), Value::Null]);
}

#[test]
fn input_that_breaks_off_fails_and_tells_what_was_read() {
    let place = Place::new();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(documents(20_000).as_bytes()).unwrap();
    let whole = encoder.finish().unwrap();
    place.write("input", &whole[..whole.len() / 2]);
    let ran = place.run("estimate input --json");
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("reading input behind line"), "{}", ran.stderr);
    let report = parsed(&ran);
    assert!(report["failed"].as_str().unwrap().contains("reading input"));
    assert!((1..20_000).contains(&report["operations_in"].as_u64().unwrap()));
}

#[test]
fn an_interrupt_tells_what_was_read_although_input_is_still_open() {
    let place = Place::new();
    let mut child = place
        .command("estimate -")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // More than a pipe holds: when it is written, some of it was read.
    child.stdin.as_mut().unwrap().write_all(documents(20_000).as_bytes()).unwrap();
    let stdin = child.stdin.take();
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let mut table = String::new();
    child.stdout.take().unwrap().read_to_string(&mut table).unwrap();
    let status = child.wait().unwrap();
    drop(stdin);
    assert_eq!(status.code(), Some(130), "{table}");
    assert!(table.starts_with("<stdin>, as far as it was read: "), "{table}");
    assert!(!table.contains(": 0 operations"), "{table}");
}

#[test]
fn wrong_windows_are_wrong_usage() {
    let place = Place::new();
    place.write("input", documents(1));
    for (arguments, part) in [
        ("estimate input --windows 10,soon", "--windows"),
        ("estimate input --windows 0", "a number of operations, all, or a time"),
        ("estimate input --windows 10s", "--time-field"),
        ("estimate input --time-field=", "--time-field"),
        ("estimate input --memory 1KiB", "--memory"),
        ("estimate - -", "standard input"),
    ] {
        let ran = place.run(arguments);
        assert_eq!(ran.status, 2, "{arguments}: {}", ran.stderr);
        assert!(ran.stderr.contains(part), "{arguments}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{arguments}");
    }
    assert_eq!(place.run("estimate missing").status, 1);
}
