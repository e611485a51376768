//! Made-up streams.

use super::Place;

#[test]
fn the_same_seed_prints_the_same_stream_and_another_another() {
    let place = Place::new();
    let stream = |seed: &str| place.well(&format!("generate --documents 100 --operations 1000 {seed}"));
    assert_eq!(stream(""), stream("--seed 1"));
    assert_ne!(stream("--seed 1"), stream("--seed 2"));
}

#[test]
fn replay_accepts_every_line_of_every_mix() {
    let place = Place::new();
    for mix in [
        "",
        "--update-share 0 --zipf 0",
        "--update-share 0.7 --delete-share 0.3 --field-ops-share 1 --zipf 1",
    ] {
        let stream = place.well(&format!("generate --documents 50 --operations 2000 {mix}"));
        let ran = place.run_with("replay - --sink null --report report.json", stream.as_bytes());
        assert_eq!(ran.status, 0, "{mix}: {}", ran.stderr);
        let report = place.json("report.json");
        assert_eq!(report["operations_in"], 2_000, "{mix}");
        assert!(report["documents"].as_u64().unwrap() <= 50);
    }
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    use std::{io::Read, process::Stdio};
    let place = Place::new();
    let mut command = place.command("generate --documents 1000 --operations 1000000");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0; 10]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
