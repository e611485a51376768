//! The program as its users meet it: commands, flags, exit statuses, messages, files.
//!
//! One binary; a module for each thing that users rely on. Every test runs the built program.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod bad_directories;
mod bad_lines;
mod dead_letters;
mod estimate;
mod faults;
mod flights;
mod generate;
mod impact;
mod inputs;
mod interrupt;
mod journal;
mod journal_files;
mod memory;
mod report;
mod server;
mod sinks;
mod store;
mod usage;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

/// What a run of the program left.
struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
}

/// A directory to run the program in.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        // In memory where there is such a place: what is tested here is not how fast a disk syncs.
        let memory = std::path::Path::new("/dev/shm");
        let place = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self(place.unwrap())
    }

    /// On a disk: where it matters what a sync does.
    fn on_disk() -> Self {
        Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// The program, to be run here.
    fn command(&self, arguments: &str) -> Command {
        command_in(self.0.path(), arguments)
    }

    /// Runs the program with arguments as a shell would split them (no quotes).
    fn run(&self, arguments: &str) -> Ran {
        self.run_with(arguments, b"")
    }

    /// Runs the program with this on its standard input.
    fn run_with(&self, arguments: &str, input: &[u8]) -> Ran {
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            // A program that fails early does not read to the end.
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().unwrap()
        });
        ran(output)
    }

    /// Runs the program and takes for granted that all is well.
    fn well(&self, arguments: &str) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.status, 0, "{arguments}: {}", ran.stderr);
        ran.stdout
    }
}

fn ran(output: Output) -> Ran {
    Ran {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn command_in(directory: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millpond"));
    command.args(arguments.split_whitespace()).current_dir(directory);
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

/// A bundled file of flights.
fn flights(name: &str) -> String {
    format!("{}/../data/{name}.ndjson.zst", env!("CARGO_MANIFEST_DIR"))
}

/// Bulk lines that index `count` small documents.
fn documents(count: u32) -> String {
    let mut text = String::new();
    for id in 0..count {
        let line = format!("{{\"index\":{{\"_index\":\"i\",\"_id\":\"{id:06}\"}}}}\n{{\"n\":{id}}}\n");
        text.push_str(&line);
    }
    text
}
