//! The progress bar, and messages that do not tear it.

use crate::{clock::Stopwatch, units};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

const WITH_END: &str = "{bar:28} {percent:>3}%  {msg}  {eta} left";
const WITHOUT_END: &str = "{spinner} {binary_bytes} read  {msg}";

/// What the bar shows beside the position.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Operations accepted.
    pub operations_in: u64,
    /// Operations sent and settled.
    pub operations_out: u64,
    /// Documents that hold pending operations.
    pub pending_documents: u64,
    /// Bytes pending.
    pub pending_bytes: u64,
}

/// A bar on standard error if that is a terminal; else nothing is drawn.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
    position: Arc<AtomicU64>,
    started: Stopwatch,
}

impl Progress {
    /// A bar over `total` bytes of input, or one without an end if that is not known.
    pub fn new(total: Option<u64>, quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(total, target);
        let template = if total.is_some() { WITH_END } else { WITHOUT_END };
        // The templates are constants and read; were one not to, the bar would be plainer.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╾─"));
        }
        Self { bar, position: Arc::default(), started: Stopwatch::start() }
    }

    /// Where readers publish how much input they have read.
    pub fn position(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.position)
    }

    /// The time since the bar was made.
    pub fn started(&self) -> Stopwatch {
        self.started
    }

    /// True where the bar is drawn: nobody need gather figures for one that is not.
    pub fn is_shown(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Draws the bar again.
    pub fn show(&self, figures: &Figures) {
        self.bar.set_position(self.position.load(Ordering::Relaxed));
        self.bar.set_message(line(figures, units::rate(figures.operations_in, self.started.elapsed())));
    }

    /// Shows that the input has ended and what is pending is being written.
    pub fn draining(&self) {
        if let Ok(style) = ProgressStyle::with_template("{spinner} draining  {msg}") {
            self.bar.set_style(style);
        }
    }

    /// Runs something that prints to standard error, out of the way of the bar.
    pub fn beside(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Coalescing so far is judged as if the pending documents went out now: each is one operation.
fn line(figures: &Figures, rate: f64) -> String {
    let out = figures.operations_out + figures.pending_documents;
    let folded =
        units::ratio(figures.operations_in, out).map_or(String::new(), |ratio| format!("  {ratio:.1} : 1"));
    let rate = units::count(units::whole(rate));
    format!("{rate} operations/s  {} pending{folded}", units::bytes(figures.pending_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_rate_pending_bytes_and_coalescing() {
        let figures = Figures {
            operations_in: 8_000,
            operations_out: 900,
            pending_documents: 100,
            pending_bytes: 2048,
        };
        assert_eq!(line(&figures, 1234.4), "1,234 operations/s  2.0 KiB pending  8.0 : 1");
        assert_eq!(line(&Figures::default(), 0.0), "0 operations/s  0 B pending");
    }
}
