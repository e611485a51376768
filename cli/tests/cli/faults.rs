//! The program on a system that fails: a sync, a write, room for a file; and that takes the process away at a call.
//!
//! # Design
//! `strace` makes a call fail, or kills the program as it enters it. After each fault the same command is run without, and the
//! documents are those of an undisturbed run, counters included. The trace shows that the fault was met.
//!
//! # Why so few
//! `tests/durable` has every fault at every call on a simulated disk. Here is shown that the system's own calls are those that
//! the simulated disk stands for, and what the program says.
//!
//! A count is a thread's own: the first calls are those of the opening, and a number that the opening does not come to is met
//! while the input is read.

use super::Place;
use std::{os::unix::process::ExitStatusExt, process::Command};

const JOURNAL: &str = "journal/00000000000000000001.journal";
const SPARE: &str = "journal/00000000000000000001.spare.tmp";
const RENAMES: &str = "?rename,?renameat,?renameat2";
const REPLAY: &str =
    "replay input --journal journal --sink segments:db --memory 1MiB --max-delay 20ms --quiet";
const SIGKILL: i32 = 9;

/// What goes wrong: with these calls, on this file or on all, at which of them, and how.
#[derive(Clone, Copy, Debug)]
struct Fault {
    calls: &'static str,
    path: &'static str,
    when: &'static str,
    how: &'static str,
}

/// What a run with a fault came to.
struct Struck {
    code: Option<i32>,
    signal: Option<i32>,
    stderr: String,
    trace: String,
}

/// A directory with input, and what that comes to; nothing where there is no `strace`, or it may not trace.
fn place_to_strike(test: &str) -> Option<(Place, String)> {
    let tried = Command::new("strace").args("-f -qq -o /dev/null -e trace=none true".split(' ')).output();
    let reason = match tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(reason) = reason {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "strace does not run here: {reason}");
        eprintln!("{test}: skipped, as strace does not run here: {reason}");
        return None;
    }
    let place = Place::on_disk();
    let input =
        place.well("generate --documents 200 --operations 20000 --field-ops-share 0.6 --delete-share 0.02");
    place.write("input", input);
    place.well("replay input --sink segments:undisturbed --quiet");
    let expected = place.well("scan undisturbed");
    Some((place, expected))
}

/// Replays into an empty place, with a fault.
fn strike(place: &Place, fault: Fault) -> Struck {
    for name in ["journal", "db", "trace"] {
        let path = place.path(name);
        drop(if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) });
    }
    let Fault { calls, path, when, how } = fault;
    let mut command = Command::new("strace");
    command.current_dir(place.path("")).args(["-f", "-qq", "-y", "-o", "trace"]);
    if !path.is_empty() {
        // Open files are known by their whole path, names in calls are as they were given.
        command
            .arg("-P")
            .arg(path)
            .arg("-P")
            .arg(place.path(path).canonicalize().unwrap_or(place.path(path)));
    }
    command.args(["-e", &format!("trace=pwrite64,fdatasync,fsync,{calls}")]);
    command.args(["-e", &format!("inject={calls}:{how}:when={when}")]);
    command.arg(env!("CARGO_BIN_EXE_millpond")).args(REPLAY.split(' '));
    let output = command.output().unwrap();
    Struck {
        code: output.status.code(),
        signal: output.status.signal(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        trace: place.read("trace"),
    }
}

/// The same command, with nothing that goes wrong.
fn goes_on_well(place: &Place, expected: &str, fault: Fault) {
    place.well(REPLAY);
    assert!(place.well("scan db") == expected, "{fault:?}: the documents differ");
}

#[test]
fn a_failed_sync_stops_the_replay_and_a_later_one_is_not_believed() {
    let Some((place, expected)) =
        place_to_strike("a_failed_sync_stops_the_replay_and_a_later_one_is_not_believed")
    else {
        return;
    };
    let (how, path) = ("error=EIO", "");
    let faults = [("fdatasync", "1"), ("fdatasync", "2"), ("fdatasync", "5"), ("fdatasync", "20")];
    for (calls, when) in faults.into_iter().chain([("fsync", "7"), ("fsync", "8"), ("fsync", "9")]) {
        let fault = Fault { calls, path, when, how };
        let struck = strike(&place, fault);
        assert_eq!(struck.code, Some(1), "{fault:?}: {}", struck.stderr);
        assert!(struck.stderr.contains("Input/output error"), "{fault:?}: {}", struck.stderr);
        assert!(struck.stderr.contains("journal"), "{fault:?}: {}", struck.stderr);
        let (_, after) = struck.trace.split_once("(INJECTED)").unwrap();
        if calls == "fdatasync" {
            let stopped = struck.stderr.contains("the engine stopped") && struck.stderr.contains("restart");
            assert!(stopped, "{fault:?}: {}", struck.stderr);
            assert!(!after.contains(".journal>"), "{fault:?}: the journal is used on:\n{after}");
        }
        goes_on_well(&place, &expected, fault);
    }
}

#[test]
fn a_disk_without_room_for_a_write_stops_the_replay() {
    let Some((place, expected)) = place_to_strike("a_disk_without_room_for_a_write_stops_the_replay") else {
        return;
    };
    let faults = [(JOURNAL, "1"), (JOURNAL, "4"), (JOURNAL, "25"), (JOURNAL, "30"), (SPARE, "1")];
    for (path, when) in faults {
        let fault = Fault { calls: "pwrite64", path, when, how: "error=ENOSPC" };
        let struck = strike(&place, fault);
        assert_eq!(struck.code, Some(1), "{fault:?}: {}", struck.stderr);
        assert!(struck.stderr.contains(path), "{fault:?}: {}", struck.stderr);
        assert!(struck.stderr.contains("No space left on device"), "{fault:?}: {}", struck.stderr);
        assert!(struck.trace.contains("(INJECTED)"), "{fault:?}");
        goes_on_well(&place, &expected, fault);
    }
}

#[test]
fn a_disk_without_room_for_the_first_file_is_refused_and_one_that_lacks_it_for_a_while_is_waited_for() {
    let Some((place, expected)) = place_to_strike(
        "a_disk_without_room_for_the_first_file_is_refused_and_one_that_lacks_it_for_a_while_is_waited_for",
    ) else {
        return;
    };
    for (when, code) in [("1", 1), ("2", 0), ("2..40", 0)] {
        let fault = Fault { calls: "fallocate", path: "", when, how: "error=ENOSPC" };
        let struck = strike(&place, fault);
        assert_eq!(struck.code, Some(code), "{fault:?}: {}", struck.stderr);
        assert!(struck.trace.contains("(INJECTED)"), "{fault:?}");
        if code > 0 {
            let said = struck.stderr.contains(SPARE) && struck.stderr.contains("No space left on device");
            assert!(said, "{fault:?}: {}", struck.stderr);
        }
        goes_on_well(&place, &expected, fault);
    }
}

#[test]
fn a_replay_killed_as_it_renames_or_syncs_leaves_the_old_or_the_new() {
    let Some((place, expected)) =
        place_to_strike("a_replay_killed_as_it_renames_or_syncs_leaves_the_old_or_the_new")
    else {
        return;
    };
    let renames =
        [("", "1"), ("", "2"), ("", "3"), ("db/0000000001.segment.tmp", "1"), ("db/manifest.tmp", "3")];
    let syncs = [("", "4"), ("", "8"), ("", "11"), ("db/0000000002.segment.tmp", "1")];
    let renames = renames.map(|(path, when)| (RENAMES, path, when));
    for (calls, path, when) in renames.into_iter().chain(syncs.map(|(path, when)| ("fsync", path, when))) {
        let fault = Fault { calls, path, when, how: "signal=KILL" };
        let struck = strike(&place, fault);
        assert_eq!(struck.signal, Some(SIGKILL), "{fault:?}: {:?} {}", struck.code, struck.stderr);
        goes_on_well(&place, &expected, fault);
    }
}

#[test]
fn a_failed_sync_of_the_store_stops_the_replay_too() {
    let Some((place, expected)) = place_to_strike("a_failed_sync_of_the_store_stops_the_replay_too") else {
        return;
    };
    for path in ["db/0000000001.segment.tmp", "db/0000000003.segment.tmp"] {
        let fault = Fault { calls: "fsync", path, when: "1", how: "error=EIO" };
        let struck = strike(&place, fault);
        assert_eq!(struck.code, Some(1), "{fault:?}: {}", struck.stderr);
        let said = ["the sink has stopped", "Input/output error", "restart"];
        assert!(said.iter().all(|said| struck.stderr.contains(said)), "{fault:?}: {}", struck.stderr);
        goes_on_well(&place, &expected, fault);
    }
}

#[test]
fn dead_letters_for_which_the_disk_has_no_room_for_a_while_are_written_then_and_nothing_is_lost() {
    let test = "dead_letters_for_which_the_disk_has_no_room_for_a_while_are_written_then_and_nothing_is_lost";
    let Some((place, _)) = place_to_strike(test) else { return };
    let line = |verb: &str, id: &str, body: &str| {
        format!("{{\"{verb}\":{{\"_index\":\"i\",\"_id\":\"{id}\"}}}}\n{body}\n")
    };
    let (upsert, inc) = (r#"{"inc":{"n":1},"doc_as_upsert":true}"#, r#"{"inc":{"n":1}}"#);
    place.write("below", line("index", "a", r#"{"t":"here it is"}"#));
    place.write(
        "input",
        [line("update", "a", inc), line("update", "a", inc), line("update", "b", upsert)].concat(),
    );
    place.well("replay below --sink segments:store --quiet");
    // What lies below is damaged: an update of it can never be carried out.
    let segment = place.path("store/0000000001.segment");
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(4).position(|found| found == b"here").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    place.write("letters", "");
    let mut command = Command::new("strace");
    command.current_dir(place.path("")).args(["-f", "-qq", "-y", "-o", "trace"]);
    command.arg("-P").arg(place.path("letters").canonicalize().unwrap());
    command.args(["-e", "trace=write", "-e", "inject=write:error=ENOSPC:when=1..3"]);
    command.arg(env!("CARGO_BIN_EXE_millpond"));
    command.args("replay input --sink segments:store --dead-letters letters --report report".split(' '));
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert_eq!(place.read("trace").matches("(INJECTED)").count(), 3);
    let report = place.json("report");
    assert_eq!((&report["dead_letters"], &report["operations_in"]), (&1.into(), &3.into()), "{report}");
    let letters = place.read("letters");
    assert_eq!(letters.lines().count(), 1, "{letters}");
    assert!(letters.contains(r#""operations":2"#) && letters.contains(r#"{"inc":{"n":2}}"#), "{letters}");
    assert!(place.well("get store i b").contains(r#"{"n":1}"#));
}
