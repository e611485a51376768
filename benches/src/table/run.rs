//! The command: checks the answers, repeats the measurements, and reports.

use super::{
    child,
    figures::Figures,
    measure::{Job, Task},
    options::Options,
    replay, report,
    rows::{ALIKE, BASELINE_MOPS_MIN, GUARDS, Round, VALIDATING_NS_MAX, jobs},
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
    let jobs: Vec<(&str, Job)> = jobs(quick).into_iter().filter(|(name, _)| names.contains(name)).collect();
    finish(check_answers(&jobs).and_then(|checked| {
        let round = repeat(&jobs, 0)?;
        holds_the_same(&jobs, &round, &checked).map(|()| true)
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
    let jobs: Vec<(&str, Job)> =
        jobs(options.quick).into_iter().filter(|(name, _)| needed.contains(name)).collect();
    if needed.contains("replay") {
        replay::build()?;
    }
    let checked = check_answers(&jobs)?;
    let mut rounds: Vec<Round> = Vec::new();
    let (mut refused, most) = (Vec::new(), options.repetitions * TRIES);
    while rounds.len() < options.repetitions && rounds.len() + refused.len() < most {
        let round = repeat(&jobs, rounds.len() + refused.len())?;
        holds_the_same(&jobs, &round, &checked)?;
        match machine_was_busy(&round) {
            Some(why) if !options.quick => {
                eprintln!("this repetition does not count: {why}");
                refused.push(why);
            }
            _ => rounds.push(round),
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

/// Runs every measurement once, those of an odd repetition in the other order.
fn repeat(jobs: &[(&'static str, Job)], number: usize) -> Result<Round, String> {
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
    }
    Ok(round)
}

/// Why a repetition does not count, if it does not.
fn machine_was_busy(round: &Round) -> Option<String> {
    let figure = |name: &str, figure: &str| round.get(name).map_or(f64::NAN, |figures| figures.get(figure));
    let (mops, ns) = (figure(GUARDS[0], "mops"), figure(GUARDS[1], "ns"));
    if mops < BASELINE_MOPS_MIN {
        return Some(format!("the baseline made {mops:.2} Mops/s, less than {BASELINE_MOPS_MIN}"));
    }
    (ns > VALIDATING_NS_MAX)
        .then(|| format!("the validating floor took {ns:.0} ns, more than {VALIDATING_NS_MAX}"))
}

/// What a measurement comes to, of those that were checked: its name, its documents, and its bytes of NDJSON.
type Checked = Vec<(&'static str, Figures)>;

/// The engine and the baseline come to the same documents, compared as parsed values.
fn check_answers(jobs: &[(&'static str, Job)]) -> Result<Checked, String> {
    let mut checked = Checked::new();
    for (one, other) in ALIKE {
        let mut answers = Vec::new();
        for (name, job) in jobs.iter().filter(|(name, _)| *name == one || *name == other) {
            answers.push((*name, Job { task: Task::Documents, ..*job }.run()?));
        }
        if let [(one, answer), (other, compared)] = answers.as_slice() {
            let alike = ["sum", "documents", "compared"]
                .iter()
                .all(|figure| (answer.get(figure) - compared.get(figure)).abs() < 0.5);
            if !alike {
                let found = format!("{answer:?}, {compared:?}");
                return Err(format!("{one} and {other} come to different documents: {found}"));
            }
        }
        checked.append(&mut answers);
    }
    let names: Vec<&str> = checked.iter().map(|(name, _)| *name).collect();
    eprintln!("the same documents at both ends: {}", names.join(", "));
    Ok(checked)
}

/// What was measured has drained what was checked, to the byte; a floor has seen the same documents.
fn holds_the_same(jobs: &[(&'static str, Job)], round: &Round, checked: &Checked) -> Result<(), String> {
    let differs = |name: &str, figure: &str, expected: f64| {
        let found = round.get(name).map_or(f64::NAN, |figures| figures.get(figure));
        let message = format!("{name} has {found} as its {figure}; checked were {expected}");
        if (found - expected).abs() < 0.5 { Ok(()) } else { Err(message) }
    };
    for (name, answer) in checked {
        differs(name, "documents", answer.get("documents"))?;
        if !answer.get("out_bytes").is_nan() {
            differs(name, "out_bytes", answer.get("out_bytes"))?;
        }
    }
    let expected = checked.iter().find(|(name, _)| *name == GUARDS[0]);
    let floors = ["zipf.validating", "zipf.probe"].into_iter();
    for floor in floors.filter(|floor| jobs.iter().any(|(name, _)| name == floor)) {
        if let Some((_, answer)) = expected {
            differs(floor, "documents", answer.get("documents"))?;
        }
    }
    Ok(())
}
