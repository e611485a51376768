//! A replay with a journal: killed and started again it goes on, and what it cannot go on with it refuses.

use super::Place;
use std::{
    io::Read,
    os::unix::process::ExitStatusExt,
    process::Stdio,
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

/// Kills that must have met a run before its end.
const KILLS: usize = 5;
/// How long after its start each run is killed, in shares of a time that is halved until all of them meet one.
const KILL_AFTER: [u32; KILLS] = [3, 10, 20, 5, 14];
const ATTEMPTS_MAX: u32 = 12;

fn increments(place: &Place) -> String {
    let stream = "generate --documents 500 --operations 60000 --field-ops-share 0.6 --delete-share 0.05";
    let text = place.well(stream);
    place.write("input", &text);
    place.well("replay input --sink segments:undisturbed");
    place.well("scan undisturbed")
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

#[test]
fn a_replay_killed_five_times_ends_as_an_undisturbed_one_with_its_counters() {
    let place = Place::on_disk();
    let expected = increments(&place);
    for policy in ["always", "interval=10ms"] {
        let went_on = (0..ATTEMPTS_MAX).any(|attempt| {
            let arguments = format!(
                "replay input --journal {policy}.{attempt}.journal --sync {policy} --sink segments:{policy}.{attempt}.db \
                 --memory 4MiB --report report"
            );
            let unit = Duration::from_millis(20) / 2_u32.pow(attempt / 2);
            let kills = KILL_AFTER.iter().filter(|share| killed_after(&place, &arguments, unit * **share)).count();
            place.well(&arguments);
            let scan = place.well(&format!("scan {policy}.{attempt}.db"));
            assert!(scan == expected, "{policy}: the documents differ after {kills} kills, {attempt}");
            let went_on = place.json("report")["operations_seen"].as_u64().unwrap();
            place.well(&arguments);
            let report = place.json("report");
            let counts = [&report["operations_in"], &report["operations_seen"]];
            assert_eq!(counts, [0, 60_000], "{policy}: the same file again is read before");
            let scan = place.well(&format!("scan {policy}.{attempt}.db"));
            assert!(scan == expected, "{policy}: the same file again changes nothing");
            kills == KILLS && (1..60_000).contains(&went_on)
        });
        assert!(
            went_on,
            "{policy}: no attempt was killed {KILLS} times, and went on in the midst of its input"
        );
    }
}

#[test]
fn a_file_that_changed_before_it_was_read_to_its_end_is_refused() {
    let place = Place::new();
    let arguments = "replay input --journal journal --sink segments:db";
    place.write("input", super::documents(3));
    place.well(arguments);
    // As after a stop in the midst of it.
    std::fs::remove_file(place.path("journal").join("inputs-done.ndjson")).unwrap();
    let before = place.well("scan db");
    place.write("input", super::documents(4));
    let ran = place.run(arguments);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("is not the file that the journal has read up to line 5"), "{}", ran.stderr);
    assert_eq!(place.well("scan db"), before);
}

#[test]
fn a_file_that_was_read_to_its_end_may_be_replaced_by_another() {
    let place = Place::new();
    let arguments = "replay input --journal journal --sink segments:db --report report";
    let counts = |place: &Place| {
        let report = place.json("report");
        ["operations_in", "operations_seen"].map(|name| report[name].as_u64().unwrap())
    };
    for (documents, expected) in [(3, [3, 0]), (4, [4, 0]), (5, [5, 0])] {
        place.write("input", super::documents(documents));
        place.well(arguments);
        assert_eq!(counts(&place), expected);
        place.well(arguments);
        assert_eq!(counts(&place), [0, u64::from(documents)], "the same one again is read before");
    }
    assert_eq!(place.well("scan db").lines().count(), 5);
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
