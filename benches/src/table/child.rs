//! A process that measures one thing: it is told what by its arguments, and tells the figures on standard output.
//!
//! # Why a process for each
//! Memory that one peer has touched and given back is memory that the next does not have to fault in; and what a process
//! holds can be told only as a whole.

use super::{
    figures::Figures,
    measure::{self, Job, PeerKind, Task},
};
use crate::workload::{Keys, Mix, Plan};
use std::{env, process::Command};

/// The first argument of such a process.
pub(super) const WORD: &str = "measure";

impl Job {
    /// Runs in a process of its own.
    pub(super) fn run(&self) -> Result<Figures, String> {
        let program = env::current_exe().map_err(|error| error.to_string())?;
        let output = Command::new(program).arg(WORD).args(self.to_words()).output();
        let output = output.map_err(|error| format!("{self:?} was not started: {error}"))?;
        if output.status.success() {
            return Ok(Figures::from_text(&String::from_utf8_lossy(&output.stdout)));
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(format!("{self:?} ended with {}: {said}", output.status))
    }

    fn to_words(self) -> Vec<String> {
        let Plan { documents, operations, keys, mix, seed } = self.plan;
        let numbers =
            [documents.to_string(), operations.to_string(), seed.to_string(), self.writers.to_string()];
        let names =
            [format!("{:?}", self.task), format!("{:?}", self.peer), format!("{keys:?}"), format!("{mix:?}")];
        names.into_iter().chain(numbers).collect()
    }

    fn from_words(words: &[String]) -> Option<Self> {
        let [task, peer, keys, mix, documents, operations, seed, writers] = words else { return None };
        let plan = Plan {
            documents: documents.parse().ok()?,
            operations: operations.parse().ok()?,
            keys: named(&[Keys::Zipf, Keys::Uniform, Keys::Each], keys)?,
            mix: named(&[Mix::Updates, Mix::Partial, Mix::Whole, Mix::Counters], mix)?,
            seed: seed.parse().ok()?,
        };
        let (task, peer) = (named(&Task::ALL, task)?, named(&PeerKind::ALL, peer)?);
        Some(Self { task, peer, plan, writers: writers.parse().ok()? })
    }
}

/// The value whose name this is.
fn named<T: Copy + std::fmt::Debug>(values: &[T], name: &str) -> Option<T> {
    values.iter().copied().find(|value| format!("{value:?}") == name)
}

/// Measures, if these are the arguments of such a process: the figures as text.
pub(super) fn answer(arguments: &[String]) -> Option<Result<String, String>> {
    let (word, words) = arguments.split_first()?;
    if word != WORD {
        return None;
    }
    let job = Job::from_words(words).ok_or_else(|| format!("what is to be measured by {words:?}?"));
    Some(job.and_then(|job| measure::run(&job)).map(|figures| figures.to_text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_survives_the_way_between_processes() {
        let plan = Plan { documents: 9, operations: 8, keys: Keys::Uniform, mix: Mix::Counters, seed: 7 };
        let job = Job { task: Task::Batches, peer: PeerKind::Validating, plan, writers: 2 };
        assert_eq!(Job::from_words(&job.to_words()), Some(job));
        assert_eq!(Job::from_words(&["Single".to_owned()]), None);
        assert!(answer(&["--bench".to_owned()]).is_none());
    }
}
