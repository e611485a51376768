//! The program killed with SIGKILL while it replays with a journal, again and again: no write lost, none counted twice.
//!
//! ```text
//! cargo test --release --package millpond-cli --test kill -- --cycles 300
//! cargo test --release --package millpond-cli --test kill -- --seed 7 --cycles 1
//! ```
//!
//! # Design
//! A round makes files of operations and, by a model of its own, the documents that they come to. It replays them once
//! undisturbed, which measures how long that takes, and then with kills at times drawn from this length, a part of them close
//! to its start and its end, each time with the same arguments. The last run ends by itself, and the documents are compared
//! by value. A cycle is a kill that met a run before its end, and left files of the journal; rounds are made until there are
//! enough of them.
//!
//! # Why not the simulated disk
//! `tests/durable` holds the library, under any crash, on a disk that it simulates. Here is all that is beside that: the
//! program with its arguments and positions, the system's files and locks, and the kernel that takes a process away.
//!
//! # Invariants
//! 1. What is expected comes from the model alone, never from the program.
//! 2. A run ends by SIGKILL or with status 0. All else is a failure, told with what the program said.
//! 3. The same seed draws the same files and flags, and the same kills as shares of a run; where in a run a kill lands is up
//!    to the machine. So a failure keeps its directory.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "kill/model.rs"]
mod model;

use millpond_cli::clock::Stopwatch;
use model::{Documents, Model, Random, Stream};
use serde_json::Value;
use std::{
    collections::{BTreeSet, hash_map::RandomState},
    hash::BuildHasher,
    io::Read,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, ExitCode, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

const NAME: &str = "kill";
const USAGE: &str = "\
usage: cargo test [--release] -p millpond-cli --test kill -- [--cycles N] [--seed N]

  --cycles N  go on until N kills have met a run before its end (10)
  --seed N    what is drawn; that of a failed round, with --cycles 1, runs that round again (random)";
const CYCLES: u64 = 10;
const SIGKILL: i32 = 9;
/// From so many cycles on there must be rounds that went on in the midst of their files, and that saw files of the journal go.
const CYCLES_TELLING: u64 = 100;
/// Rounds after which it is given up, for each cycle asked for: a round that no kill meets must not go on for ever.
const ROUNDS_PER_CYCLE_MAX: u64 = 4;

const POLICIES: [&str; 4] = ["always", "always", "interval=5ms", "interval=100ms"];
/// Little, so that a run sends what waits while it reads; and enough for documents to wait while the journal becomes long.
const MEMORY: [&str; 3] = ["256KiB", "512KiB", "4MiB"];
const MAX_DELAY: [&str; 3] = ["10ms", "50ms", "30s"];
/// Puts and deletes among a thousand operations: none, few and many.
const ANEW: [u64; 3] = [0, 2, 200];
/// Characters of a text, by memory: those of the last make a journal of several files, so that the first are folded, or go.
const TEXT: [[u64; 2]; MEMORY.len()] = [[8, 80], [80, 800], [8, 6_000]];

/// Flags of the test harness, for the other tests of the same command; those that a value follows, and those without.
const HARNESS_WITH_VALUE: [&str; 7] =
    ["--test-threads", "--skip", "--format", "--color", "--logfile", "--shuffle-seed", "-Z"];
const HARNESS: [&str; 13] = [
    "--bench",
    "--exact",
    "--exclude-should-panic",
    "--include-ignored",
    "--no-capture",
    "--nocapture",
    "--quiet",
    "--report-time",
    "--show-output",
    "--shuffle",
    "--test",
    "--ensure-time",
    "-q",
];

fn main() -> ExitCode {
    let Wanted { cycles, seed } = match wanted(std::env::args().skip(1)) {
        Ok(Some(wanted)) => wanted,
        Ok(None) => return ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    println!("{NAME}: --cycles {cycles} --seed {seed}");
    let mut sum = Tally::default();
    while sum.landed < cycles {
        let seed = seed.wrapping_add(sum.rounds);
        if let Err(why) = round(seed, &mut sum) {
            println!("{NAME}: after {}: {why}", sum.shown());
            println!("again: cargo test -p millpond-cli --test kill -- --seed {seed} --cycles 1");
            return ExitCode::FAILURE;
        }
        if sum.rounds > cycles.saturating_mul(ROUNDS_PER_CYCLE_MAX) {
            println!("{NAME}: too few kills landed: {}", sum.shown());
            return ExitCode::FAILURE;
        }
    }
    println!("{NAME}: {}", sum.shown());
    if cycles >= CYCLES_TELLING && (sum.went_on == 0 || sum.saw_files_go == 0) {
        println!("{NAME}: no round went on in the midst of its files, or none saw a file of the journal go");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// What the command line asks for.
struct Wanted {
    cycles: u64,
    seed: u64,
}

/// Reads the command line, of which a part may be meant for the tests beside this one. None where this is not asked for.
fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Option<Wanted>, String> {
    let drawn = RandomState::new().hash_one(NAME) % 1_000_000_000;
    let mut wanted = Wanted { cycles: CYCLES, seed: drawn };
    let (mut filters, mut is_wanted) = (Vec::new(), true);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} lacks its value"));
        let number = |value: String| value.parse().map_err(|_| format!("{argument} {value}: not a number"));
        match argument.as_str() {
            "--cycles" => wanted.cycles = value().and_then(number)?,
            "--seed" => wanted.seed = value().and_then(number)?,
            "--list" | "--ignored" => is_wanted = false,
            "--help" | "-h" => {
                return Err(format!("{NAME}: kills the program at random, and looks at what is left"));
            }
            "--skip" => is_wanted &= !NAME.contains(&value()?),
            flag if HARNESS_WITH_VALUE.contains(&flag) => drop(value()?),
            flag if HARNESS.contains(&flag) => {}
            flag if HARNESS_WITH_VALUE.iter().any(|known| flag.starts_with(&format!("{known}="))) => {}
            flag if flag.starts_with('-') => return Err(format!("{flag} is not known")),
            _ => filters.push(argument),
        }
    }
    let is_named = filters.is_empty() || filters.iter().any(|filter| NAME.contains(filter.as_str()));
    Ok((is_wanted && is_named).then_some(wanted))
}

/// What all rounds came to.
#[derive(Default)]
struct Tally {
    rounds: u64,
    /// Kills that met a run before its end, and left files of the journal.
    landed: u64,
    /// Kills before there was such a file,
    early: u64,
    /// and those that met no run any more.
    missed: u64,
    /// Rounds whose last run began neither at the start of the files nor at their end.
    went_on: u64,
    /// Rounds in which a file of the journal was there after one kill, and not after a later one.
    saw_files_go: u64,
}

impl Tally {
    fn shown(&self) -> String {
        let Self { rounds, landed, early, missed, went_on, saw_files_go } = self;
        format!(
            "{landed} kills in {rounds} rounds, and {early} before there was a journal; {missed} runs ended first; \
             {went_on} rounds went on in the midst of their files, {saw_files_go} saw files of the journal go"
        )
    }
}

/// One round, in a directory that is kept only if it fails.
fn round(seed: u64, sum: &mut Tally) -> Result<(), String> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut random = Random::new(seed);
    sum.rounds += 1;
    let played = Round::new(&mut random, directory.path()).play(&mut random, sum);
    played.map_err(|why| format!("seed {seed}: {why}\nin {}", directory.keep().display()))
}

/// What a round runs, and what it must come to.
struct Round<'a> {
    directory: &'a Path,
    inputs: &'static str,
    flags: String,
    operations: u64,
    model: Model,
}

impl<'a> Round<'a> {
    fn new(random: &mut Random, directory: &'a Path) -> Self {
        let inputs = random.of(&["first", "first second", "first second third"]);
        let (memory, texts) = random.of(&[0, 1, 2].map(|choice| (MEMORY[choice], TEXT[choice])));
        let stream =
            Stream { documents: 5 + random.below(200), anew: random.of(&ANEW), text: random.of(&texts) };
        let (mut model, mut operations) = (Model::default(), 0);
        for name in inputs.split(' ') {
            let mut text = String::new();
            let count = 2_000 + random.below(12_000);
            for _ in 0..count {
                model.operation(random, stream, &mut text);
            }
            operations += count;
            std::fs::write(directory.join(name), text).unwrap();
        }
        let (policy, delay) = (random.of(&POLICIES), random.of(&MAX_DELAY));
        let flags = format!("--sync {policy} --memory {memory} --max-delay {delay} --quiet");
        Self { directory, inputs, flags, operations, model }
    }

    /// Undisturbed, with kills, and to the end.
    fn play(&self, random: &mut Random, sum: &mut Tally) -> Result<(), String> {
        let watch = Stopwatch::start();
        let (status, said) = self.run("whole", None);
        if !status.success() {
            return Err(format!("{status} of an undisturbed run with {}\n{said}", self.flags));
        }
        let length = watch.elapsed();
        self.compare("whole", 0)?;

        let kills: Vec<u32> = (0..3 + random.below(6)).map(|_| share(random)).collect();
        let (mut landed, mut is_whole, mut before, mut files_went) = (0, false, BTreeSet::new(), false);
        // The last is not killed.
        for time in kills.iter().map(|share| Some(length * *share / 1_000)).chain([None]) {
            let (status, said) = self.run("killed", time);
            match (status.code(), status.signal()) {
                (Some(0), _) => is_whole = true,
                (_, Some(SIGKILL)) if time.is_some() => {}
                _ => return Err(format!("{status} after {landed} kills with {}\n{said}", self.flags)),
            }
            if is_whole {
                sum.missed += u64::from(time.is_some());
                break;
            }
            let files = self.journal_files();
            *(if files.is_empty() { &mut sum.early } else { &mut landed }) += 1;
            files_went |= !before.is_subset(&files);
            before = files;
        }
        sum.landed += landed;
        sum.saw_files_go += u64::from(files_went);
        sum.went_on += u64::from(self.check_counts()?);
        self.compare("killed", landed)
    }

    /// The last run has read before what it did not read itself. True where it was some of each.
    fn check_counts(&self) -> Result<bool, String> {
        let report = std::fs::read(self.directory.join("killed.report")).unwrap();
        let report: Value = serde_json::from_slice(&report).unwrap();
        let count = |name: &str| report[name].as_u64().unwrap();
        let seen = count("operations_seen");
        // What settled, without what an earlier run had accepted.
        let new = count("operations_in") - count("operations_restored");
        if seen + new != self.operations {
            return Err(format!("{seen} operations seen and {new} new, of {}", self.operations));
        }
        Ok(seen > 0 && new > 0)
    }

    /// Replays, until it ends by itself or for so long. With what the program said.
    fn run(&self, name: &str, time: Option<Duration>) -> (ExitStatus, String) {
        let Self { inputs, flags, .. } = self;
        let arguments = format!(
            "replay {inputs} --journal {name}.journal --sink segments:{name}.db --report {name}.report {flags}"
        );
        let mut child = self.program(&arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let (ended, end) = mpsc::channel();
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut said = String::new();
                stderr.read_to_string(&mut said).unwrap();
                // Nobody waits for a run that has all the time, or was killed.
                ended.send(()).unwrap_or_default();
                said
            });
            if time.is_some_and(|time| end.recv_timeout(time) == Err(RecvTimeoutError::Timeout)) {
                child.kill().unwrap();
            }
            (child.wait().unwrap(), reader.join().unwrap())
        })
    }

    /// The documents in the sink are those of the model.
    fn compare(&self, name: &str, kills: u64) -> Result<(), String> {
        let scan = format!("scan {name}.db");
        let output = self.program(&scan).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        if !output.status.success() {
            return Err(format!("{} of millpond {scan}\n{}", output.status, output.stderr.escape_ascii()));
        }
        let mut found = Documents::new();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let document = line["_source"].as_object().unwrap().clone();
            if found.insert(line["_id"].as_str().unwrap().to_owned(), document).is_some() {
                return Err(format!("{scan} has a document twice: {line}"));
            }
        }
        let flags = &self.flags;
        let differs = |difference| Err(format!("{kills} kills with {flags}, and {difference}"));
        self.model.difference(&found).map_or(Ok(()), differs)
    }

    fn program(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millpond"));
        command.args(arguments.split(' ')).current_dir(self.directory);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// The names of the journal's files. None where there is only its directory, or not even that.
    fn journal_files(&self) -> BTreeSet<String> {
        let Ok(files) = std::fs::read_dir(self.directory.join("killed.journal")) else {
            return BTreeSet::new();
        };
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".journal")).collect()
    }
}

/// When a run is killed, in thousandths of an undisturbed one.
fn share(random: &mut Random) -> u32 {
    let share = match random.below(10) {
        0..3 => random.below(100),
        3..5 => 850 + random.below(200),
        _ => random.below(1_000),
    };
    u32::try_from(share).unwrap()
}
