//! The command: checks the answers, repeats the measurements, and reports.

use super::{
    check, child,
    measure::Job,
    options::Options,
    replay, report,
    rows::{GUARDS, Round, jobs},
};
use std::{collections::BTreeSet, env, process::ExitCode};

/// Repetitions that do not count are tried again so often.
const TRIES: usize = 3;

/// Runs the command with the arguments of the process.
pub fn run() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match child::answer(&arguments) {
        Some(Ok(figures)) => {
            print!("{figures}");
            Ok(true)
        }
        Some(Err(error)) => Err(error),
        None => Options::from_arguments(&arguments).and_then(|options| table(&options)),
    };
    finish(done)
}

/// How the process ends.
fn finish(done: Result<bool, String>) -> ExitCode {
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Shows single measurements, after their answers were checked.
pub fn show(names: &[&str]) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(answer) = child::answer(&arguments) {
        return finish(answer.map(|figures| {
            print!("{figures}");
            true
        }));
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let all = jobs(quick);
    let needed: Vec<_> = all.iter().copied().filter(|(name, _)| names.contains(name)).collect();
    finish(check::answers(&all, names).and_then(|checked| {
        let (round, _) = repeat(&needed, 0, true)?;
        checked.compare(&round).map(|()| true)
    }))
}

/// Measures and reports; true if every row holds, or nothing is promised.
fn table(options: &Options) -> Result<bool, String> {
    let rows = options.rows();
    let mut needed: BTreeSet<&str> = rows.iter().flat_map(|row| row.needs).copied().collect();
    needed.extend(GUARDS);
    if options.is_record() {
        needed.extend(["zipf.lock-hash", "zipf.probe"]);
    }
    let all = jobs(options.quick);
    let jobs: Vec<_> = all.iter().copied().filter(|(name, _)| needed.contains(name)).collect();
    if needed.contains("replay") {
        replay::build()?;
    }
    let checked = check::answers(&all, &needed.into_iter().collect::<Vec<_>>())?;
    let mut rounds: Vec<Round> = Vec::new();
    let (mut refused, most) = (Vec::new(), options.repetitions * TRIES);
    while rounds.len() < options.repetitions && rounds.len() + refused.len() < most {
        let (round, busy) = repeat(&jobs, rounds.len() + refused.len(), options.quick)?;
        checked.compare(&round)?;
        match busy {
            Some(why) => {
                eprintln!("this repetition does not count: {why}");
                refused.push(why);
            }
            None => rounds.push(round),
        }
    }
    report::print(&rows, &rounds, &refused);
    if options.quick {
        return Ok(true);
    }
    if rounds.len() < options.repetitions {
        return Err(format!(
            "{} of {} repetitions count: is the machine idle?",
            rounds.len(),
            options.repetitions
        ));
    }
    if options.is_record() {
        report::write(&rows, &rounds, &refused)?;
    }
    Ok(report::all_hold(&rows, &rounds))
}

/// Runs every measurement once, those of an odd repetition in the other order. Stops with the reason as soon as it is seen
/// that the repetition does not count, unless all count.
fn repeat(
    jobs: &[(&'static str, Job)],
    number: usize,
    all_count: bool,
) -> Result<(Round, Option<String>), String> {
    let mut order: Vec<&(&str, Job)> = jobs.iter().collect();
    if number % 2 == 1 {
        order.reverse();
    }
    let mut round = Round::new();
    for (name, job) in order {
        let figures = job.run()?;
        let shown: Vec<String> = figures.iter().map(|(name, figure)| format!("{name} {figure:.4}")).collect();
        eprintln!("{number} {name}: {}", shown.join(", "));
        round.insert(*name, figures);
        if let Some(why) = check::machine_was_busy(&round).filter(|_| !all_count) {
            return Ok((round, Some(why)));
        }
    }
    Ok((round, None))
}
