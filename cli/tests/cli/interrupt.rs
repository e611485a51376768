//! Ctrl-C: the first one drains and reports, the second one exits at once.

use super::{Place, documents};
use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, Stdio},
};

fn interrupt(child: &Child) {
    // Fails once the child has ended, which is what the caller waits for.
    let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).stderr(Stdio::null()).status();
}

/// A replay of a pipe that stays open, once it has taken what was written to it and sent something on.
fn running(place: &Place, input: &str, flags: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut command = place.command(&format!("replay - --sink ndjson:- --max-delay 10ms {flags}"));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(input.as_bytes()).unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    (child, stdout)
}

#[test]
fn the_first_interrupt_drains_and_reports_although_input_is_still_open() {
    let place = Place::new();
    let (mut child, mut stdout) = running(&place, &documents(3), "--report report.json");
    let stdin = child.stdin.take();
    interrupt(&child);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("interrupted: <stdin>"), "{stderr}");
    assert_eq!(rest.lines().count(), 5, "every operation was sent: {rest}");
    let report = place.json("report.json");
    assert_eq!((&report["operations_in"], &report["interrupted"]), (&3.into(), &true.into()));
}

#[test]
fn an_interrupt_while_a_file_is_submitted_sends_what_was_accepted() {
    let place = Place::new();
    place.write("input", documents(100_000));
    // The pipe is full before the file is read, and then the memory is: the reader waits for room.
    let mut command =
        place.command("replay input --sink ndjson:- --max-delay 10ms --memory 1MiB --report report.json");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    interrupt(&child);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let operations = place.json("report.json")["operations_in"].as_u64().unwrap();
    assert!(operations > 0);
    assert_eq!(rest.lines().count() as u64 + 1, 2 * operations);
    assert_eq!(place.json("report.json")["documents"], operations);
}

#[test]
fn a_second_interrupt_ends_a_drain_that_cannot_end() {
    let place = Place::new();
    // Nobody reads on: the pipe fills up, and the drain waits for ever.
    let (mut child, _stdout) = running(&place, &documents(100_000), "");
    let mut tries = 0;
    let status = loop {
        interrupt(&child);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        tries += 1;
        assert!(tries < 10_000, "interrupts do not end the program");
    };
    assert_eq!(status.code(), Some(130));
}
