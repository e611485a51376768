//! The report, for people and for programs.

use super::{Place, documents};

#[test]
fn the_json_report_has_every_key_that_programs_rely_on() {
    let place = Place::new();
    place.write("input", documents(10).repeat(3));
    place.well("replay input --sink null --memory 8MiB --writers 2 --report report.json");
    let report = place.json("report.json");
    for key in [
        "operations_in",
        "operations_out",
        "bytes_in",
        "bytes_out",
        "documents",
        "noops",
        "not_found",
        "conflicts",
        "retries",
        "rejected",
        "dead_letters",
        "peak_pending_bytes",
    ] {
        assert!(report[key].is_u64(), "{key} in {report}");
    }
    for key in ["seconds", "longest_wait_seconds"] {
        assert!(report[key].is_f64(), "{key} in {report}");
    }
    assert_eq!((&report["operations_in"], &report["documents"]), (&30.into(), &10.into()));
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["sink"], "null");
    assert_eq!(report["flags"]["memory_bytes"], 8 << 20);
    assert_eq!(report["flags"]["writers"], 2);
    assert_eq!(report["interrupted"], false);
}

#[test]
fn thirty_operations_on_ten_documents_go_out_as_ten() {
    let place = Place::new();
    let text = documents(10).repeat(3);
    place.write("input", &text);
    place.well("replay input --sink null --report report.json");
    let report = place.json("report.json");
    assert_eq!(report["operations_out"], 10);
    assert_eq!(report["bytes_out"], text.len() / 3);
    assert_eq!(report["without_folding"], serde_json::json!({ "operations": 30, "bytes": text.len() }));
}

#[test]
fn people_get_a_table_on_standard_error_and_nothing_on_standard_output() {
    let place = Place::new();
    place.write("input", documents(1_234));
    let ran = place.run("replay input --sink null");
    assert_eq!((ran.status, ran.stdout.as_str()), (0, ""));
    for part in [
        "operations",
        "1,234",
        "ratio",
        "without folding",
        "throughput",
        "longest wait",
        "peak pending",
        "256.0 MiB",
        "noops",
        "rejected lines",
        "dead letters",
    ] {
        assert!(ran.stderr.contains(part), "{part} is not in {}", ran.stderr);
    }
}

#[test]
fn quiet_prints_nothing_but_errors() {
    let place = Place::new();
    place.write("input", documents(10));
    let ran = place.run("replay input --quiet");
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
    let ran = place.run_with("replay - --quiet --sink null", b"bad\n");
    assert_eq!(ran.status, 3);
    assert!(
        ran.stderr.starts_with("error: <stdin>:1:1: ") && !ran.stderr.contains("ratio"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_report_that_cannot_be_made_is_told_before_the_work() {
    let place = Place::new();
    place.write("input", documents(1));
    let ran = place.run("replay input --sink segments:db --report no/such/dir.json");
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("--report no/such/dir.json"), "{}", ran.stderr);
    assert!(!place.path("db").exists());
}
