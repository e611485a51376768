//! Files and standard input, plain and compressed.

use super::{Place, documents};
use std::io::Write;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &str) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
}

#[test]
fn plain_gzip_and_zstd_are_read_alike_from_files_and_from_standard_input() {
    let text = documents(500);
    for bytes in [text.clone().into_bytes(), gzip(&text), zstd(&text)] {
        let place = Place::new();
        place.write("input", &bytes);
        place.well("replay input --sink null --report file.json");
        let ran = place.run_with("replay - --sink null --report pipe.json", &bytes);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        for report in ["file.json", "pipe.json"] {
            let report = place.json(report);
            assert_eq!((&report["operations_in"], &report["documents"]), (&500.into(), &500.into()));
            assert_eq!(report["bytes_in"], text.len());
        }
    }
}

#[test]
fn several_files_are_read_one_after_the_other() {
    let place = Place::new();
    place.write("a", documents(3));
    place.write("b", gzip(&documents(5)));
    place.well("replay a b --sink null --report report.json");
    let report = place.json("report.json");
    assert_eq!((&report["operations_in"], &report["documents"]), (&8.into(), &5.into()));
    assert_eq!(report["inputs"], serde_json::json!(["a", "b"]));
}

#[test]
fn the_last_line_needs_no_end_and_windows_ends_and_blank_lines_do_no_harm() {
    let place = Place::new();
    place.write("input", "{\"index\":{\"_index\":\"i\",\"_id\":\"1\"}}\r\n{}\r\n\r\n\n{\"delete\":{\"_index\":\"i\",\"_id\":\"1\"}}");
    place.well("replay input --sink null --report report.json");
    assert_eq!(place.json("report.json")["operations_in"], 2);
}

#[test]
fn an_index_stands_in_and_ids_are_made_up_where_that_is_allowed() {
    let place = Place::new();
    place.write("input", "{\"index\":{}}\n{}\n{\"create\":{}}\n{}\n{\"index\":{\"_index\":\"i\"}}\n{}\n");
    place.well("replay input --index j --sink null --report report.json");
    let report = place.json("report.json");
    assert_eq!((&report["documents"], &report["rejected"]), (&3.into(), &0.into()));
    assert_eq!(report["flags"]["index"], "j");
}

#[test]
fn a_missing_file_is_named_before_anything_is_made() {
    let place = Place::new();
    place.write("there", documents(1));
    let ran = place.run("replay there missing.ndjson --sink segments:db");
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("missing.ndjson") && ran.stderr.contains("No such file"), "{}", ran.stderr);
    assert!(!place.path("db").exists());
}

#[test]
fn input_that_breaks_off_is_a_failure_that_keeps_every_operation_read_before() {
    let place = Place::new();
    let whole = gzip(&documents(20_000));
    place.write("input", &whole[..whole.len() / 2]);
    for writers in [1, 2] {
        let ran =
            place.run(&format!("replay input --sink null --report report.json --writers {writers} --quiet"));
        assert_eq!(ran.status, 1);
        let (_, line) = ran.stderr.split_once("reading input behind line ").expect(&ran.stderr);
        let digits = line.split(|character: char| !character.is_ascii_digit()).next().unwrap();
        let lines: u64 = digits.parse().unwrap();
        let report = place.json("report.json");
        assert!(lines > 0);
        assert_eq!(report["operations_in"], lines / 2, "of {lines} lines");
        assert!(report["failed"].as_str().unwrap().contains("reading input"));
    }
}

#[test]
fn an_output_never_overwrites_an_input() {
    let place = Place::new();
    let text = documents(1);
    place.write("input", &text);
    for flag in ["--rejects ./input", "--report input", "--dead-letters input", "--sink ndjson:input"] {
        let ran = place.run(&format!("replay input {flag}"));
        assert_eq!(ran.status, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(flag.split(' ').next().unwrap()), "{}", ran.stderr);
        assert_eq!(place.read("input"), text);
    }
}
