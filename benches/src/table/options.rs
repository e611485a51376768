//! What the command line asks for.

use super::rows::{ROWS, Row};

/// What is to be measured, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Few operations once, to see that all of it works: nothing is promised of the figures.
    pub quick: bool,
    /// How many repetitions have to count.
    pub repetitions: usize,
    /// The groups of rows; none is all.
    pub groups: Vec<String>,
}

impl Options {
    /// From the arguments of the process.
    pub(super) fn from_arguments(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self { quick: false, repetitions: 3, groups: Vec::new() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} lacks its value"));
            match argument.as_str() {
                // Cargo adds it.
                "--bench" => {}
                "--quick" => (options.quick, options.repetitions) = (true, 1),
                "--reps" => {
                    let wrong = |_| format!("{argument} takes a number");
                    options.repetitions = value()?.parse().map_err(wrong)?;
                }
                "--rows" => options.groups = value()?.split(',').map(str::to_owned).collect(),
                other => return Err(format!("{other} is not known: --quick, --reps N, --rows A,B,...")),
            }
        }
        match options.groups.iter().find(|group| !ROWS.iter().any(|row| row.group == *group)) {
            Some(unknown) => Err(format!("no row is called {unknown}: {}", groups().join(", "))),
            None => Ok(options),
        }
    }

    /// The rows asked for.
    pub(super) fn rows(&self) -> Vec<&'static Row> {
        let is_asked =
            |row: &&Row| self.groups.is_empty() || self.groups.iter().any(|group| group == row.group);
        ROWS.iter().filter(is_asked).collect()
    }

    /// True where the figures go into the papers: all rows, as often as it takes for a median.
    pub(super) fn is_record(&self) -> bool {
        !self.quick && self.groups.is_empty() && self.repetitions >= 3
    }
}

/// The groups there are.
fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&str> = ROWS.iter().map(|row| row.group).collect();
    groups.dedup();
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Result<Options, String> {
        Options::from_arguments(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_asked_for_is_measured() {
        assert!(
            options("--bench").is_ok_and(|options| options.is_record() && options.rows().len() == ROWS.len())
        );
        assert!(options("--quick").is_ok_and(|options| options.repetitions == 1 && !options.is_record()));
        let some = options("--reps 5 --rows drain,read").unwrap();
        assert_eq!(some.repetitions, 5);
        assert!(!some.is_record() && some.rows().iter().all(|row| matches!(row.group, "drain" | "read")));
    }

    #[test]
    fn what_is_not_known_is_refused_by_its_name() {
        assert!(options("--fast").is_err_and(|error| error.contains("--fast")));
        assert!(
            options("--rows speed").is_err_and(|error| error.contains("speed") && error.contains("drain"))
        );
        assert!(options("--reps").is_err_and(|error| error.contains("--reps")));
        assert!(options("--reps many").is_err());
    }
}
