//! A directory that cannot be a journal's: refused with the reason and its name, and left as it was, to the byte.

use super::{Place, Ran, documents, ran};
use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

const FAILED: i32 = 1;
const USAGE: i32 = 2;
/// Where a file's header has its version, and its checksum.
const VERSION_AT: usize = 8;
const CHECKSUM_AT: usize = 60;
const NOBODY: u32 = 65_534;

const REPLAY: &str = "replay input --journal journal --sink null --quiet";

/// With a journal that was closed, and input of which it has read a part.
fn place_with_journal() -> Place {
    let place = Place::new();
    place.write("input", documents(3));
    place.well(REPLAY);
    place
}

/// Everything in a directory.
fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap_or_default()))
        .collect()
}

#[track_caller]
fn is_refused(ran: &Ran, status: i32, reasons: &[&str]) {
    assert_eq!(ran.status, status, "{}", ran.stderr);
    for reason in reasons {
        assert!(ran.stderr.contains(reason), "lacks {reason:?}: {}", ran.stderr);
    }
}

/// Runs the program with no more rights than the bits of files give its user; nothing where that cannot be had.
fn run_by_permissions(place: &Place, test: &str) -> Option<Ran> {
    let limited = |program: &mut Command| program.current_dir(place.path("")).output();
    let by_setpriv = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all"]).arg(arguments[0]).args(&arguments[1..]);
        command
    };
    let program = env!("CARGO_BIN_EXE_millpond");
    let arguments: Vec<&str> = std::iter::once(program).chain(REPLAY.split(' ')).collect();
    // The superuser writes where no bit allows it.
    fs::create_dir_all(place.path("probe")).unwrap();
    fs::set_permissions(place.path("probe"), Permissions::from_mode(0o555)).unwrap();
    if fs::write(place.path("probe/file"), "").is_err() {
        return Some(place.run(REPLAY));
    }
    let is_limited = limited(&mut by_setpriv(&["touch", "probe/other"])).is_ok_and(|touched| {
        !touched.status.success() && String::from_utf8_lossy(&touched.stderr).contains("denied")
    });
    if !is_limited {
        eprintln!("{test}: skipped, as the superuser's rights cannot be put away here with setpriv");
        return None;
    }
    Some(ran(limited(&mut by_setpriv(&arguments)).unwrap()))
}

#[test]
fn a_directory_that_may_not_be_written_is_refused() {
    for has_journal in [false, true] {
        let place = if has_journal { place_with_journal() } else { Place::new() };
        place.write("input", documents(3));
        let journal = place.path("journal");
        fs::create_dir_all(&journal).unwrap();
        let before = contents(&journal);
        fs::set_permissions(&journal, Permissions::from_mode(0o555)).unwrap();
        let ran = run_by_permissions(&place, "a_directory_that_may_not_be_written_is_refused");
        fs::set_permissions(&journal, Permissions::from_mode(0o755)).unwrap();
        let Some(ran) = ran else { return };
        is_refused(&ran, FAILED, &["--journal journal", "Permission denied"]);
        assert!(contents(&journal) == before);
    }
}

#[test]
fn a_directory_of_another_user_is_refused() {
    let test = "a_directory_of_another_user_is_refused";
    let place = place_with_journal();
    let journal = place.path("journal");
    let before = contents(&journal);
    let given = [journal.clone()].into_iter().chain(before.keys().map(|name| journal.join(name)));
    for path in given {
        if let Err(error) = std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)) {
            eprintln!("{test}: skipped, as a directory cannot be given away here: {error}");
            return;
        }
    }
    let Some(ran) = run_by_permissions(&place, test) else { return };
    is_refused(&ran, FAILED, &["taking the journal's directory journal failed", "Permission denied"]);
    assert!(contents(&journal) == before);
}

#[test]
fn a_directory_in_which_another_replay_writes_is_refused() {
    let place = Place::new();
    place.write("input", documents(200_000));
    let mut other = place.command(REPLAY).stderr(Stdio::null()).spawn().unwrap();
    let journal = place.path("journal");
    let is_open = || contents(&journal).values().any(|bytes| bytes.starts_with(b"millpjnl"));
    while !(journal.is_dir() && is_open()) {
        assert!(other.try_wait().unwrap().is_none(), "it ended before it was met");
    }
    // Halted: what is compared stands still.
    let signal = |name: &str| Command::new("kill").args([name, &other.id().to_string()]).status().unwrap();
    assert!(signal("-STOP").success());
    while !halted(other.id()) {
        assert!(Path::new(&format!("/proc/{}", other.id())).exists(), "it ended before it was met");
    }
    let before = contents(&journal);
    let ran = place.run(REPLAY);
    let after = contents(&journal);
    other.kill().unwrap();
    other.wait().unwrap();
    is_refused(&ran, FAILED, &["--journal journal: journal is in use", "a journal has one writer"]);
    assert!(after == before);
}

/// True once a process has been stopped by a signal.
fn halted(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
}

#[test]
fn a_journal_of_a_newer_format_is_refused() {
    let place = place_with_journal();
    let journal = place.path("journal");
    for (name, mut bytes) in contents(&journal).into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
        bytes[VERSION_AT..VERSION_AT + 4].copy_from_slice(&2_u32.to_le_bytes());
        let [a, b, c, d, ..] = twox_hash::XxHash3_64::oneshot(&bytes[..CHECKSUM_AT]).to_le_bytes();
        bytes[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&[a, b, c, d]);
        fs::write(journal.join(name), bytes).unwrap();
    }
    let before = contents(&journal);
    let ran = place.run(REPLAY);
    is_refused(&ran, USAGE, &["journal/0000", "format version 2", "use a newer millpond"]);
    assert!(contents(&journal) == before);
}

#[test]
fn a_file_is_no_directory_and_none_can_be_made_below_it() {
    let place = Place::new();
    place.write("input", documents(3));
    place.write("file", "as it was");
    for (path, reason) in [("file", "file is not a directory"), ("file/journal", "Not a directory")] {
        let ran = place.run(&REPLAY.replace("--journal journal", &format!("--journal {path}")));
        is_refused(&ran, FAILED, &[&format!("--journal {path}"), reason]);
        assert_eq!(place.read("file"), "as it was");
    }
}

#[test]
fn directories_above_the_journal_that_are_missing_are_made() {
    let place = Place::new();
    place.write("input", documents(3));
    place.well(&REPLAY.replace("--journal journal", "--journal above/it/journal"));
    assert!(place.path("above/it/journal/lock").exists());
}
