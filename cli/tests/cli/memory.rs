//! Memory stays within its bound, over a stream many times as large.

use super::Place;
use std::{
    io::{Read, Write},
    process::Stdio,
};

const MIB: u64 = 1 << 20;
/// What the program may hold beside `--memory`.
const BESIDE: u64 = 64 * MIB;

/// The resident anonymous memory of a process, from outside; `None` once it has ended.
fn anonymous_bytes(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    Some(line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap() * 1024)
}

/// Pumps a made-up stream into a replay, and looks at its memory after every piece.
fn stays_within(memory_mib: u64, flags: &str, generate: &str) {
    let place = Place::new();
    let mut generator = place.command(generate).stdout(Stdio::piped()).spawn().unwrap();
    let mut replay = place
        .command(&format!("replay - --quiet --memory {memory_mib}MiB --report report.json {flags}"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut from, mut to) = (generator.stdout.take().unwrap(), replay.stdin.take().unwrap());
    let (mut piece, mut total, mut peak) = (vec![0; 256 * 1024], 0, 0);
    loop {
        let count = from.read(&mut piece).unwrap();
        if count == 0 {
            break;
        }
        to.write_all(&piece[..count]).unwrap();
        total += count as u64;
        peak = peak.max(anonymous_bytes(replay.id()).unwrap());
    }
    drop(to);
    assert!(generator.wait().unwrap().success() && replay.wait().unwrap().success());
    let report = place.json("report.json");
    peak = peak.max(report["peak_anonymous_bytes"].as_u64().unwrap());
    let bound = memory_mib * MIB;
    assert_eq!(report["bytes_in"], total);
    assert!(total > 10 * bound, "a stream of {total} bytes shows nothing");
    assert!(report["peak_pending_bytes"].as_u64().unwrap() <= bound, "{report}");
    assert!(peak <= bound + BESIDE, "{peak} bytes at --memory {memory_mib}MiB {flags}");
}

#[test]
fn anonymous_memory_stays_within_the_bound_and_64_mib_while_segments_are_written() {
    stays_within(
        8,
        "--sink segments:db",
        "generate --documents 300000 --operations 600000 --field-ops-share 0.2",
    );
}

#[test]
fn anonymous_memory_stays_within_the_bound_and_64_mib_with_four_writers() {
    stays_within(
        16,
        "--sink null --writers 4",
        "generate --documents 1000000 --operations 1500000 --zipf 0.5",
    );
}
