//! The bundled data, and the promise that memory and writers change nothing but the time.

use super::{Place, flights};

#[test]
fn replay_alone_folds_the_bundled_flights() {
    let place = Place::new();
    place.well("replay --report report.json");
    let report = place.json("report.json");
    assert_eq!(report["operations_in"], 334_264);
    assert_eq!(report["documents"], 4_043);
    assert_eq!(report["bytes_in"], 101_467_600);
    assert_eq!(
        (&report["rejected"], &report["dead_letters"], &report["misfits"]),
        (&0.into(), &0.into(), &0.into())
    );
    assert_eq!(place.well("scan millpond-data").lines().count(), 4_043);
}

#[test]
fn both_flights_files_scan_alike_whatever_the_memory_and_the_writers() {
    for name in ["flights", "flights-counters"] {
        let place = Place::new();
        let scan = |flags: &str, sink: &str| {
            place.well(&format!("replay {} --sink segments:{sink} {flags}", flights(name)));
            place.well(&format!("scan {sink}"))
        };
        let whole = scan("", "defaults");
        assert_eq!(whole.lines().count(), 4_043);
        let small = scan("--memory 1MiB --report small.json", "small");
        assert!(whole == small, "{name}: --memory 1MiB changed the documents");
        let sent = place.json("small.json")["operations_out"].as_u64().unwrap();
        assert!(sent < 334_264 / 2, "{name}: {sent} operations sent from 1 MiB");
        assert!(whole == scan("--writers 2", "two"), "{name}: --writers 2 changed the documents");
    }
}
