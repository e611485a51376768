//! The program: `millpond replay` of the flights, from text to segments.
//!
//! # Design
//! The data is unpacked first. The program runs several times, each time into a new store; what it has used of the
//! processors is what the operating system has added up for the children of this process, in steps of 10 ms.

use super::figures::Figures;
use ruzstd::decoding::StreamingDecoder;
use std::{
    env,
    error::Error,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// How often the program runs.
const RUNS: u32 = 8;
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/flights-counters.ndjson.zst");
/// Steps of the times that the operating system tells, in a second.
const TICKS: f64 = 100.0;

/// Builds the program, as it is released.
pub(super) fn build() -> Result<(), String> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["build", "--locked", "--release", "--quiet", "--package", "millpond-cli"];
    let status = Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("building the program ended with {status}")),
        Err(error) => Err(format!("the program was not built: {error}")),
    }
}

/// Bytes of input in a second of processor time.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
pub(super) fn flights() -> Result<Figures, Box<dyn Error>> {
    let program = program()?;
    let scratch = tempfile::tempdir()?;
    let input = scratch.path().join("flights.ndjson");
    let mut packed = File::open(DATA)?;
    let bytes = io::copy(&mut StreamingDecoder::new(&mut packed)?, &mut File::create(&input)?)?;
    let used = children_ticks()?;
    for run in 0..RUNS {
        let store = scratch.path().join(run.to_string());
        let sink = format!("segments:{}", store.display());
        let mut replay = Command::new(&program);
        replay.arg("replay").arg(&input).args(["--sink", &sink, "--quiet"]);
        let status = replay.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        if !status.success() {
            return Err(format!("the replay ended with {status}").into());
        }
        fs::remove_dir_all(&store)?;
    }
    let seconds = (children_ticks()? - used) / TICKS / f64::from(RUNS);
    let figures = Figures::default().count("input_bytes", bytes).with("cpu_seconds", seconds);
    Ok(figures.with("gb_per_core", bytes as f64 / seconds / 1e9))
}

/// Beside the directory in which this very program is.
fn program() -> Result<PathBuf, Box<dyn Error>> {
    let own = env::current_exe()?;
    let folder = own.parent().and_then(Path::parent).ok_or("the program is not in a target directory")?;
    let program = folder.join("millpond");
    if program.exists() { Ok(program) } else { Err(format!("{} is not there", program.display()).into()) }
}

/// What the children of this process have used of the processors, those that have ended.
fn children_ticks() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which may hold anything but is in brackets: the state is the first, cutime the 14th, cstime the 15th.
    let (_, fields) = stat.rsplit_once(')').ok_or("/proc/self/stat has another form")?;
    let ticks: Result<Vec<f64>, _> = fields.split_whitespace().skip(13).take(2).map(str::parse).collect();
    Ok(ticks?.iter().sum())
}
