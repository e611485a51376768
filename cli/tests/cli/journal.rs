//! A replay with a journal: killed and started again it goes on, and what it cannot go on with it refuses.

use super::Place;
use std::{
    io::Read,
    process::Stdio,
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

/// How long after its start each run is killed: before it has opened anything, and while it runs.
const KILL_AFTER_MS: [u64; 5] = [3, 70, 140, 25, 210];

fn increments(place: &Place) -> String {
    let stream = "generate --documents 500 --operations 60000 --field-ops-share 0.6 --delete-share 0.05";
    let text = place.well(stream);
    place.write("input", &text);
    place.well("replay input --sink segments:undisturbed");
    place.well("scan undisturbed")
}

/// Runs the program until it ends by itself, or for so long.
fn killed_after(place: &Place, arguments: &str, time: Duration) {
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
        child.wait().unwrap();
    });
}

#[test]
fn a_replay_killed_five_times_ends_as_an_undisturbed_one_with_its_counters() {
    let place = Place::new();
    let expected = increments(&place);
    for policy in ["always", "interval=10ms"] {
        let arguments = format!(
            "replay input --journal {policy}.journal --sync {policy} --sink segments:{policy}.db --memory 4MiB --report report"
        );
        for time in KILL_AFTER_MS {
            killed_after(&place, &arguments, Duration::from_millis(time));
        }
        place.well(&arguments);
        assert!(place.well(&format!("scan {policy}.db")) == expected, "{policy}: the documents differ");
        place.well(&arguments);
        let report = place.json("report");
        let counts = [&report["operations_in"], &report["operations_seen"]];
        assert_eq!(counts, [0, 60_000], "{policy}: the same file again is read before");
        assert!(
            place.well(&format!("scan {policy}.db")) == expected,
            "{policy}: the same file again changes nothing"
        );
    }
}

#[test]
fn a_file_that_changed_since_the_journal_read_it_is_refused() {
    let place = Place::new();
    let arguments = "replay input --journal journal --sink segments:db";
    place.write("input", super::documents(3));
    place.well(arguments);
    let before = place.well("scan db");
    place.write("input", super::documents(4));
    let ran = place.run(arguments);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("is not the file that the journal has read up to line 5"), "{}", ran.stderr);
    assert_eq!(place.well("scan db"), before);
}

#[test]
fn what_cannot_be_resumed_is_refused_before_anything_is_made() {
    let place = Place::new();
    place.write("input", super::documents(3));
    for (arguments, reason) in [
        ("replay - --journal journal --sink segments:db", "cannot resume <stdin>"),
        ("replay input --journal journal --sink ndjson:out", "begins anew with each run"),
        ("replay input --journal journal --sink null --writers 2", "takes one writer"),
        ("replay input input --journal journal --sink null", "named twice"),
        ("replay input --journal journal", "--sink"),
        ("replay input --sink null --sync always", "--journal"),
        ("replay input --sink null --journal journal --sync often", "always or interval=TIME"),
    ] {
        let ran = place.run(arguments);
        assert_eq!(ran.status, 2, "{arguments}: {}", ran.stderr);
        assert!(ran.stderr.contains(reason), "{arguments}: {}", ran.stderr);
        assert!(!["journal", "db", "out"].iter().any(|name| place.path(name).exists()), "{arguments}");
    }
}

#[test]
fn a_line_that_is_refused_is_kept_once_although_the_run_is_repeated() {
    let place = Place::new();
    place.write("input", format!("nonsense\n{{}}\n{}", super::documents(2)));
    let arguments = "replay input --journal journal --sink segments:db --rejects bad";
    assert_eq!(place.run(arguments).status, 3);
    let kept = place.read("bad");
    assert_eq!(kept, "nonsense\n{}\n");
    place.well(arguments);
    assert_eq!(place.read("bad"), kept);
}
