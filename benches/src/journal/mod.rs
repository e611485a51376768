//! What the journal costs, as ratios to what is measured beside it: one command for all of it.
//!
//! # Design
//! Each repetition runs every measurement once, in a process of its own (`measure.rs`), and a ratio is taken within a repetition;
//! the median of the repetitions counts. What an engine is compared with on the medium (`medium.rs`) is measured before
//! and after it in the same process, on a file that the same call made. Every measurement ends with a check: the journal
//! is opened again and comes to the documents that an engine without one came to, or it is no figure.
//!
//! The files lie where `--dir` says, or below the build's directory: on a disk, not in memory.

mod measure;
mod medium;
mod report;

use crate::table::{Figures, median};
use measure::Size;
use report::Row;
use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// The first argument of a process that measures one thing.
const WORD: &str = "measure";

struct Options {
    quick: bool,
    repetitions: usize,
    directory: PathBuf,
}

/// Runs the command with the arguments of the process; `directory` is where files go if these do not say.
pub fn run(directory: &str) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [word, task, quick, directory] if word == WORD => {
            let size = if quick == "true" { Size::QUICK } else { Size::FULL };
            measure::run(task, &size, Path::new(directory)).map(|figures| {
                print!("{}", figures.to_text());
                true
            })
        }
        _ => Options::from_arguments(&arguments, directory).and_then(|options| table(&options)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Options {
    fn from_arguments(arguments: &[String], directory: &str) -> Result<Self, String> {
        let mut options = Self { quick: false, repetitions: 5, directory: directory.into() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} lacks its value"));
            match argument.as_str() {
                // Cargo adds it.
                "--bench" => {}
                "--quick" => (options.quick, options.repetitions) = (true, 1),
                "--dir" => options.directory = value()?.into(),
                "--reps" => {
                    options.repetitions =
                        value()?.parse().map_err(|_| format!("{argument} takes a number"))?;
                }
                other => return Err(format!("{other} is not known: --quick, --reps N, --dir DIR")),
            }
        }
        Ok(options)
    }
}

/// Measures and reports; true if every row holds, or nothing is promised.
fn table(options: &Options) -> Result<bool, String> {
    let medium = medium::name(&options.directory)?;
    eprintln!("the files lie on {medium}");
    let mut rounds: Vec<Figures> = Vec::new();
    for number in 0..options.repetitions {
        let mut tasks = measure::TASKS;
        if number % 2 == 1 {
            tasks.reverse();
        }
        let mut round = Figures::default();
        for task in tasks {
            let figures = in_process(task, options)?;
            let shown: Vec<String> =
                figures.iter().map(|(name, figure)| format!("{name} {figure:.4}")).collect();
            eprintln!("{number} {task}: {}", shown.join(", "));

            round = figures.iter().fold(round, |round, (name, figure)| round.with(name, figure));
        }
        rounds.push(round);
    }
    let rows: Vec<Row> = report::rows(&rounds);
    print!("{}", report::table(&rows));
    println!("\n{}", report::under(&medium, rounds.len()));
    println!("raw: {:.0} syncs a second", median(&report::all(&rounds, |round| round.get("raw_syncs"))));
    if options.quick {
        return Ok(true);
    }
    if options.repetitions >= 3 {
        report::write(&rows, &medium, rounds.len())?;
    }
    Ok(rows.iter().all(Row::holds))
}

/// One measurement, in a process of its own.
fn in_process(task: &str, options: &Options) -> Result<Figures, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args([WORD, task, &options.quick.to_string()]).arg(&options.directory);
    if task == measure::READING {
        // The system's time to hand out memory for a whole file is as much as that to copy it: glibc keeps what it had.
        command.env("GLIBC_TUNABLES", "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184");
    }
    let output = command.output().map_err(|error| format!("{task} was not started: {error}"))?;
    if output.status.success() {
        return Ok(Figures::from_text(&String::from_utf8_lossy(&output.stdout)));
    }
    Err(format!("{task} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
}
