//! Lines that are refused: named, kept, counted, and no reason to stop.

use super::{Place, documents};

const BAD: &str = "\
{\"update\":{\"_index\":\"i\",\"_id\":\"1\"}}
{\"doc\":{\"a\" 1}}
{\"delete\":{\"_index\":\"i\"}}
{\"update\":{\"_index\":\"i\",\"_id\":\"1\",\"version\":7}}
{\"doc\":{}}
garbage
{\"a\":1}
more garbage
{\"index\":{\"_index\":\"i\",\"_id\":\"2\"}}
{\"good\":true}
{\"index\":{\"_id\":\"3\"}}
{\"no\":\"index\"}
";

#[test]
fn a_bad_line_is_reported_with_file_line_and_column_and_the_rest_goes_on() {
    let place = Place::new();
    place.write("bad.ndjson", BAD);
    let ran = place.run("replay bad.ndjson --sink null --report report.json");
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    for part in [
        "bad.ndjson:2:13: ",
        "bad.ndjson:3:1: the line has no _id, and delete needs one",
        "bad.ndjson:4:35: metadata field \"version\" is not supported",
        "bad.ndjson:6:1: an action line is an object",
        "bad.ndjson:8:1: an action line is an object",
        "bad.ndjson:11:1: the line has no _index: add one, or pass --index NAME",
        "  | {\"doc\":{\"a\" 1}}\n  |             ^",
    ] {
        assert!(ran.stderr.contains(part), "{part} is not in {}", ran.stderr);
    }
    let report = place.json("report.json");
    assert_eq!((&report["operations_in"], &report["rejected"]), (&1.into(), &6.into()));
}

#[test]
fn lines_are_refused_alike_whether_the_reader_submits_or_writers_do() {
    let place = Place::new();
    place.write("bad.ndjson", documents(300) + BAD + &documents(200));
    let refused = |writers: u32| {
        let ran = place.run(&format!(
            "replay bad.ndjson --sink null --rejects rejects.ndjson --report report.json --quiet --writers {writers}"
        ));
        assert_eq!(ran.status, 3, "{}", ran.stderr);
        let report = place.json("report.json");
        let counts = ["operations_in", "bytes_in", "documents", "rejected"].map(|key| report[key].clone());
        // In which order the threads come to speak is not told.
        let mut lines = [ran.stderr, place.read("rejects.ndjson")].map(|text| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        });
        lines[0].dedup();
        (counts, lines)
    };
    let (counts, [messages, kept]) = refused(1);
    assert_eq!((&counts[0], &counts[3]), (&501.into(), &6.into()));
    assert!(messages.iter().any(|line| line.contains("bad.ndjson:602:13: ")), "{messages:?}");
    assert!(messages.iter().any(|line| line.contains("bad.ndjson:611:1: ")), "{messages:?}");
    assert_eq!(kept.len(), 10);
    assert_eq!((counts, [messages, kept]), refused(2));
}

#[test]
fn refused_lines_are_kept_as_they_came_and_can_be_mended_and_replayed() {
    let place = Place::new();
    place.write("bad.ndjson", BAD);
    assert_eq!(place.run("replay bad.ndjson --sink null --rejects rejects.ndjson").status, 3);
    let rejects = place.read("rejects.ndjson");
    let mut kept: Vec<&str> = rejects.lines().collect();
    let mut expected: Vec<&str> =
        BAD.lines().filter(|line| !line.contains("\"2\"") && !line.contains("good")).collect();
    kept.sort_unstable();
    expected.sort_unstable();
    assert_eq!(kept, expected);
    assert!(
        rejects.contains("\"_id\":\"1\"}}\n{\"doc\":{\"a\" 1}}\n"),
        "an action and its body stay together"
    );

    let mended = rejects
        .replace("\"a\" 1", "\"a\":1")
        .replace(",\"version\":7", "")
        .replace("{\"delete\":{\"_index\":\"i\"}}\n", "")
        .replace("garbage\n{\"a\":1}\n", "")
        .replace("more garbage\n", "");
    place.write("mended.ndjson", mended);
    place.well("replay mended.ndjson --index i --sink null --report report.json");
    assert_eq!(place.json("report.json")["operations_in"], 3);
}

#[test]
fn ten_bad_lines_are_shown_and_the_rest_is_counted() {
    let place = Place::new();
    let ran = place.run_with("replay - --sink null --report report.json", "x\ny\n".repeat(50).as_bytes());
    assert_eq!(ran.status, 3);
    assert_eq!(ran.stderr.matches("<stdin>:").count(), 10);
    assert!(ran.stderr.contains("--rejects FILE keeps them"), "{}", ran.stderr);
    assert_eq!(place.json("report.json")["rejected"], 50);
}

#[test]
fn a_line_over_the_bound_is_refused_and_kept_whole() {
    let place = Place::new();
    let long = format!("{{\"a\":\"{}\"}}\n", "x".repeat(17 << 20));
    let action = "{\"index\":{\"_index\":\"i\",\"_id\":\"1\"}}\n";
    place.write("input", format!("{action}{long}{}", documents(2)));
    let ran = place.run("replay input --sink null --rejects rejects --report report.json");
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("input:2:1: the line is longer than 16,777,216 bytes"), "{}", ran.stderr);
    assert!(place.read("rejects") == format!("{action}{long}"), "the line is not as it came");
    assert_eq!(place.json("report.json")["operations_in"], 2);
}

#[test]
fn a_document_over_its_share_of_the_memory_is_refused_and_the_message_names_the_flag() {
    let place = Place::new();
    let action = "{\"index\":{\"_index\":\"i\",\"_id\":\"1\"}}\n";
    place.write("input", format!("{action}{{\"a\":\"{}\"}}\n", "x".repeat(2 << 20)));
    let ran = place.run("replay input --sink null --memory 8MiB");
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("input:1:1: ") && ran.stderr.contains("--memory"), "{}", ran.stderr);
}

#[test]
fn an_action_without_its_body_is_refused() {
    let ran =
        Place::new().run_with("replay - --sink null", b"{\"index\":{\"_index\":\"i\",\"_id\":\"1\"}}\n");
    assert_eq!(ran.status, 3);
    assert!(ran.stderr.contains("<stdin>:1:1: the input ends before the body"), "{}", ran.stderr);
}
