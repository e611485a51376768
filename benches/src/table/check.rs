//! That what was measured counts: the answers are right, and the machine was idle.
//!
//! # Design
//! Before anything is measured, the engine and the baseline come to the same documents, compared as parsed values. The
//! operations are the same each time, so a measurement has to drain as many documents, and bytes, as were checked.

use super::{
    figures::Figures,
    measure::{Job, Task},
    rows::{ALIKE, BASELINE_MOPS_MIN, GUARDS, READS_OF, Round, VALIDATING_NS_MAX},
};

/// What measurements come to, of those that were checked, by their names.
pub(super) struct Checked(Vec<(&'static str, Figures)>);

/// Checks every pair of measurements of which one is needed.
pub(super) fn answers(jobs: &[(&'static str, Job)], needed: &[&str]) -> Result<Checked, String> {
    let mut checked = Vec::new();
    for pair in ALIKE.iter().filter(|pair| needed.iter().any(|name| pair.contains(name))) {
        let of_pair = jobs.iter().filter(|(name, _)| pair.contains(name));
        let answer = |(name, job): &(&'static str, Job)| {
            Ok::<_, String>((*name, Job { task: Task::Documents, ..*job }.run()?))
        };
        let answers: Vec<(&str, Figures)> = of_pair.map(answer).collect::<Result<_, _>>()?;
        let [(one, answer), (other, compared)] = answers.as_slice() else {
            return Err(format!("{pair:?} are not both measured"));
        };
        if !["sum", "documents", "compared"].iter().all(|figure| is_same(answer, compared, figure)) {
            return Err(format!("{one} and {other} come to different documents: {answer:?}, {compared:?}"));
        }
        let documents = answer.get("documents");
        eprintln!("{one} and {other} come to the same {documents} documents");
        checked.extend(answers);
    }
    Ok(Checked(checked))
}

impl Checked {
    /// A repetition has drained what was checked; floors and reads have seen the same documents.
    pub(super) fn compare(&self, round: &Round) -> Result<(), String> {
        for (name, answer) in &self.0 {
            hold(round, name, answer, &["documents", "out_bytes"])?;
        }
        if let Some((_, answer)) = self.0.iter().find(|(name, _)| *name == GUARDS[0]) {
            for floor in ["zipf.validating", "zipf.probe"] {
                hold(round, floor, answer, &["documents"])?;
            }
            hold(round, READS_OF, answer, &["documents", "sum"])?;
        }
        Ok(())
    }
}

/// A measurement, if it was made, has these figures of the answer, those that it has.
fn hold(round: &Round, name: &str, answer: &Figures, figures: &[&str]) -> Result<(), String> {
    let Some(found) = round.get(name) else { return Ok(()) };
    match figures.iter().find(|figure| !answer.get(figure).is_nan() && !is_same(found, answer, figure)) {
        Some(figure) => {
            let (found, checked) = (found.get(figure), answer.get(figure));
            Err(format!("{name} has {found} as its {figure}; checked were {checked}"))
        }
        None => Ok(()),
    }
}

/// Whole numbers, alike.
fn is_same(one: &Figures, other: &Figures, figure: &str) -> bool {
    (one.get(figure) - other.get(figure)).abs() < 0.5
}

/// Why a repetition does not count, as far as is known.
pub(super) fn machine_was_busy(round: &Round) -> Option<String> {
    let figure = |name: &str, figure: &str| round.get(name).map_or(f64::NAN, |figures| figures.get(figure));
    let (mops, ns) = (figure(GUARDS[0], "mops"), figure(GUARDS[1], "ns"));
    if mops < BASELINE_MOPS_MIN {
        return Some(format!("the baseline made {mops:.2} Mops/s, less than {BASELINE_MOPS_MIN}"));
    }
    (ns > VALIDATING_NS_MAX)
        .then(|| format!("the validating floor took {ns:.0} ns, more than {VALIDATING_NS_MAX}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(name: &'static str, figures: Figures) -> Round {
        Round::from([(name, figures)])
    }

    #[test]
    fn another_number_of_documents_or_bytes_does_not_count() {
        let figures =
            |documents, bytes| Figures::default().count("documents", documents).count("out_bytes", bytes);
        let checked = Checked(vec![(GUARDS[0], figures(5, 100))]);
        assert!(checked.compare(&round(GUARDS[0], figures(5, 100))).is_ok());
        assert!(checked.compare(&round(GUARDS[0], figures(4, 100))).is_err());
        assert!(checked.compare(&round(GUARDS[0], figures(5, 101))).is_err());
        assert!(checked.compare(&round(GUARDS[1], figures(4, 0))).is_err());
        assert!(checked.compare(&round(GUARDS[1], Figures::default())).is_err());
    }

    #[test]
    fn a_busy_machine_is_told_by_the_baseline_and_by_the_floor() {
        let with = |mops, ns| {
            let mut round = round(GUARDS[0], Figures::default().with("mops", mops));
            round.insert(GUARDS[1], Figures::default().with("ns", ns));
            machine_was_busy(&round)
        };
        assert_eq!(with(0.5, 190.0), None);
        assert!(with(0.44, 190.0).is_some_and(|why| why.contains("baseline")));
        assert!(with(0.5, 201.0).is_some_and(|why| why.contains("floor")));
    }
}
