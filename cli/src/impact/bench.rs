//! The runs: in which order, what is measured of each, and what is compared.
//!
//! # Design
//! A run reads the input from its start and sends it to indices that were made for it. Around it the server's own counts, its
//! process and our processor time are read. The time ends with the last answer; the server's work ends later, so before its counts are
//! read everything is made searchable and flushed, on both sides alike, and merges that go on are waited for.
//!
//! A run that took the server too little time to be measured is made again, into other new indices, until all of them together can
//! be; its figures are their means. Both sides are treated so.
//!
//! # Invariants
//! 1. What a run is measured by lies between making its indices and comparing or deleting them.
//! 2. Every folded run is compared with a plain one of the same round.

use super::{
    check::{Compared, compare},
    figures::{Figures, Row},
    folded::{FirstLetter, Folded},
    indices::{Indices, Pass},
    plain::Plain,
    process::Process,
    scan::{Scan, Total},
    server::Server,
};
use crate::{
    args::Impact,
    clock::{Stopwatch, own_cpu},
    estimate::Window,
    failure::{Failure, Result},
    message, pond,
    progress::Progress,
    rejects::Rejects,
    replay::{
        ids::Ids,
        inputs::Inputs,
        reader::{Intake, Reader},
        submitter::Submitter,
    },
    sync::Stop,
    units,
};
use std::{num::NonZeroU64, sync::Arc, time::Duration};

/// How often a run is repeated at most within one measurement.
const REPEATS_MAX: usize = 25;
/// The longest time that operations wait where only a window is to send them.
const DELAY_OF_WINDOW: Duration = Duration::from_hours(24);
/// Memory to count distinct keys.
const DISTINCT_BYTES: usize = 8 * 1024 * 1024;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Plain,
    Folded,
    Window(Window),
}

/// What was measured of one run, or of several that were measured as one.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) figures: Figures,
    /// How many runs they are the means of.
    pub(super) repeats: usize,
    /// Why the first operation failed that did.
    pub(super) reason: Option<String>,
}

/// The runs over one size of windows.
#[derive(Clone, Debug)]
pub(super) struct Windowed {
    pub(super) window: Window,
    pub(super) runs: Vec<Run>,
}

/// All that was measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Results {
    pub(super) plain: Vec<Run>,
    pub(super) folded: Vec<Run>,
    pub(super) windows: Vec<Windowed>,
    /// Of all comparisons.
    pub(super) compared: Compared,
    /// How many there were.
    pub(super) comparisons: u64,
}

/// Runs both sides.
pub(super) struct Bench<'a> {
    args: &'a Impact,
    inputs: &'a Inputs,
    stop: &'a Stop,
    server: &'a Server,
    process: Option<Process>,
    progress: Progress,
    rejects: Arc<Rejects>,
    /// Both sides give the same ids to documents that have none.
    ids: Ids,
    indices: Indices,
    pub(super) total: Total,
}

impl<'a> Bench<'a> {
    pub(super) fn new(
        args: &'a Impact,
        inputs: &'a Inputs,
        stop: &'a Stop,
        server: &'a Server,
    ) -> Result<Self> {
        let progress = Progress::new(None, true);
        let mut bench = Self {
            args,
            inputs,
            stop,
            server,
            process: args.pid.map(Process::new).transpose()?,
            rejects: Arc::new(Rejects::unkept(progress.clone())),
            progress,
            ids: Ids::new(),
            indices: Indices::new(),
            total: Total::default(),
        };
        bench.total = bench.read(Scan::new())?.end()?;
        bench.check_taken()?;
        // After an interrupt the input was not read to its end.
        if bench.total.operations == 0 && !stop.is_set() {
            return Err(Failure::Failed(
                "the input has no operations: there is nothing to measure".to_owned(),
            ));
        }
        Ok(bench)
    }

    /// Runs everything; nothing after an interrupt.
    pub(super) fn run(&mut self) -> Result<Option<Results>> {
        let mut results = Results::default();
        results.windows.extend(self.windows().map(|window| Windowed { window, runs: Vec::new() }));
        // The folded one first: what it refuses is found before the long one begins.
        for side in [Side::Folded, Side::Plain] {
            let Some((_, pass)) = self.measured(side, "the first run, which does not count", true)? else {
                return Ok(None);
            };
            self.check_taken()?;
            self.indices.delete(self.server, &pass)?;
        }
        let rounds = self.args.runs.get();
        for round in 1..=rounds {
            if !self.round(&format!("run {round} of {rounds}"), round == rounds, &mut results)? {
                return Ok(None);
            }
        }
        Ok(Some(results))
    }

    /// One run of each; false after an interrupt.
    fn round(&mut self, name: &str, is_last: bool, results: &mut Results) -> Result<bool> {
        let Some((run, plain)) = self.measured(Side::Plain, name, false)? else { return Ok(false) };
        results.plain.push(run.clone());
        let Some((folded, pass)) = self.measured(Side::Folded, name, false)? else { return Ok(false) };
        results.folded.push(folded);
        self.compared(&plain, &pass, results)?;
        if !(is_last && self.args.keep) {
            self.indices.delete(self.server, &pass)?;
        }
        for at in 0..results.windows.len() {
            let Some(window) = results.windows.get(at).map(|windowed| windowed.window) else { break };
            // Nothing folds over one operation: that is the plain client.
            let of_window = if is_one(window) {
                run.clone()
            } else {
                let Some((run, pass)) = self.measured(Side::Window(window), name, false)? else {
                    return Ok(false);
                };
                self.compared(&plain, &pass, results)?;
                self.indices.delete(self.server, &pass)?;
                run
            };
            if let Some(windowed) = results.windows.get_mut(at) {
                windowed.runs.push(of_window);
            }
        }
        if !(is_last && self.args.keep) {
            self.indices.delete(self.server, &plain)?;
        }
        Ok(true)
    }

    /// Deletes what was made, unless it is to be kept and all went well.
    pub(super) fn clean(&mut self, is_kept: bool) -> Result {
        if is_kept {
            message::note(&format!("kept: {}", self.indices.left().join(" ")));
            return Ok(());
        }
        self.indices.delete_all(self.server)
    }

    /// The windows that were asked for, each once.
    fn windows(&self) -> impl Iterator<Item = Window> + use<> {
        let mut windows: Vec<Window> = Vec::new();
        for window in &self.args.windows {
            if !windows.contains(window) {
                windows.push(*window);
            }
        }
        windows.into_iter()
    }

    /// Runs a side until it is measurable. Its last indices are left. Nothing after an interrupt.
    fn measured(&mut self, side: Side, name: &str, is_warming: bool) -> Result<Option<(Run, Pass)>> {
        let (mut all, mut first_reason) = (Vec::new(), None);
        loop {
            let word = if side == Side::Plain { "plain" } else { "folded" };
            let pass = self.indices.make(self.server, word, &self.total.indices)?;
            let (figures, reason) = self.once(side, &pass)?;
            if self.stop.is_set() {
                return Ok(None);
            }
            all.push(figures);
            first_reason = first_reason.or(reason);
            let seconds = all.iter().filter_map(|figures| figures.get(Row::ServerCpu)).sum();
            let mut sum = Figures::default();
            sum.set(Row::ServerCpu, seconds);
            let is_enough = self.process.is_none_or(|process| process.is_measurable(&sum));
            if is_warming || is_enough || all.len() >= REPEATS_MAX {
                let run = Run { figures: Figures::mean(&all), repeats: all.len(), reason: first_reason };
                self.tell(side, name, &run);
                return Ok(Some((run, pass)));
            }
            self.indices.delete(self.server, &pass)?;
        }
    }

    /// One run into these indices.
    fn once(&self, side: Side, pass: &Pass) -> Result<(Figures, Option<String>)> {
        let before = self.counted(pass)?;
        let (wall, own) = (Stopwatch::start(), own_cpu());
        let (mut figures, reason) = match side {
            Side::Plain => self.plain(pass)?,
            Side::Folded => self.folded(pass, None, self.args.max_delay)?,
            Side::Window(Window::Operations(window)) => self.folded(pass, Some(window), DELAY_OF_WINDOW)?,
            Side::Window(_) => self.folded(pass, None, DELAY_OF_WINDOW)?,
        };
        figures.set(Row::Wall, wall.elapsed().as_secs_f64());
        figures.set(Row::OwnCpu, own_cpu().saturating_sub(own).as_secs_f64());
        self.server.settle(&pass.start, self.stop)?;
        figures.join(self.counted(pass)?.since(&before));
        Ok((figures, reason))
    }

    /// What the server and its process have counted.
    fn counted(&self, pass: &Pass) -> Result<Figures> {
        let mut figures = self.server.statistics(&pass.start)?;
        if let Some(process) = &self.process {
            figures.join(process.figures()?);
        }
        Ok(figures)
    }

    fn plain(&self, pass: &Pass) -> Result<(Figures, Option<String>)> {
        let sink = self.args.server.open(&self.args.urls()?)?;
        let operations_max = self.args.batch_ops.get();
        self.read(Plain::new(sink, pass.clone(), operations_max, self.stop.clone()))?.end()
    }

    fn folded(
        &self,
        pass: &Pass,
        window: Option<NonZeroU64>,
        max_delay: Duration,
    ) -> Result<(Figures, Option<String>)> {
        let sink = Arc::new(self.args.server.open(&self.args.urls()?)?);
        let letters = Arc::new(FirstLetter::default());
        let engine = pond::over_server(self.args, &sink, max_delay, Arc::clone(&letters) as _)?;
        let submitter = Submitter::new(
            engine.clone(),
            Vec::new(),
            Arc::clone(&self.rejects),
            self.inputs.names(),
            self.stop.clone(),
            DISTINCT_BYTES / size_of::<u64>(),
        );
        self.read(Folded { engine, sink, letters, submitter, pass: pass.clone(), window, filled: 0 })?.end()
    }

    /// Reads all input into something.
    fn read<I: Intake>(&self, intake: I) -> Result<I> {
        let mut reader = Reader {
            intake,
            ids: self.ids.clone(),
            index: self.args.index.clone(),
            rejects: Arc::clone(&self.rejects),
            stop: self.stop.clone(),
            position: self.progress.position(),
            marks: Vec::new(),
        };
        reader.run(self.inputs)?;
        Ok(reader.intake)
    }

    /// Fails where a line was refused: both sides must have the same operations.
    fn check_taken(&self) -> Result {
        let refused = self.rejects.finish().map_err(|error| Failure::io("counting bad lines", &error))?;
        if refused == 0 {
            return Ok(());
        }
        Err(Failure::Failed(format!(
            "{refused} operations of the input are refused, and both sides must send the same ones: \
             millpond replay --rejects FILE --sink ndjson:FILE parts them from the others"
        )))
    }

    fn compared(&self, plain: &Pass, folded: &Pass, results: &mut Results) -> Result {
        for index in &self.total.indices {
            let fence = &self.args.server.fence_field;
            let compared = compare(self.server, plain.name(index)?, folded.name(index)?, fence)?;
            results.compared.add(compared);
        }
        results.comparisons += 1;
        Ok(())
    }

    /// Says that a run has ended.
    fn tell(&self, side: Side, name: &str, run: &Run) {
        if self.args.quiet {
            return;
        }
        let side = match side {
            Side::Plain => "plain".to_owned(),
            Side::Folded => "folded".to_owned(),
            Side::Window(window) => format!("folded over {window}"),
        };
        let shown = |row: Row| run.figures.get(row).map(|number| row.unit().show(number)).unwrap_or_default();
        let server = run
            .figures
            .get(Row::ServerCpu)
            .map_or(String::new(), |_| format!(", {} of the server's processor time", shown(Row::ServerCpu)));
        let repeats = if run.repeats > 1 {
            format!(", mean of {}", units::count(run.repeats as u64))
        } else {
            String::new()
        };
        message::note(&format!(
            "{name}, {side}: {} operations in {}{server}{repeats}",
            shown(Row::Operations),
            shown(Row::Wall)
        ));
    }
}

/// True for a window of one operation.
pub(super) fn is_one(window: Window) -> bool {
    window == Window::Operations(NonZeroU64::MIN)
}
