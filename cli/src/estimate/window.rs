//! Windows: over how much of a stream operations are folded.
//!
//! # Design
//! Windows tumble: each operation is in exactly one window of each size. Those of operations begin at the first operation; those
//! of time begin at whole multiples of their length since 1970, so that two streams are cut alike.

use crate::{
    args::Estimate,
    failure::{Failure, Result},
    units,
};
use std::{fmt, num::NonZeroU64, time::Duration};

/// Each takes an engine.
pub(super) const WINDOWS_MAX: usize = 32;
const OPERATIONS_DEFAULT: [u64; 4] = [1, 1_000, 10_000, 50_000];
const SECONDS_DEFAULT: [u64; 5] = [1, 10, 60, 600, 3_600];

/// The units of a length, as it is shown: the largest that goes into it.
const UNITS: [(&str, u64); 5] =
    [("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("µs", 1)];

/// One size of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// So many operations.
    Operations(NonZeroU64),
    /// The whole input.
    All,
    /// So many microseconds of event time.
    Time(NonZeroU64),
}

impl Window {
    /// Reads `1000`, `all`, or a time like `10s`.
    pub fn read(text: &str) -> std::result::Result<Self, String> {
        let wrong = || "a window is a number of operations, all, or a time like 10s or 5m".to_owned();
        if text == "all" {
            return Ok(Self::All);
        }
        if let Ok(operations) = text.parse() {
            return NonZeroU64::new(operations).map(Self::Operations).ok_or_else(wrong);
        }
        let length = units::duration(text).map_err(|_| wrong())?;
        Self::of_time(length).ok_or_else(wrong)
    }

    fn of_time(length: Duration) -> Option<Self> {
        u64::try_from(length.as_micros()).ok().and_then(NonZeroU64::new).map(Self::Time)
    }

    /// True for a window of event time.
    pub(super) fn is_of_time(self) -> bool {
        matches!(self, Self::Time(_))
    }

    /// The windows that a command line asks for, in its order, each once.
    pub(super) fn of(args: &Estimate) -> Result<Vec<Self>> {
        let mut asked = args.windows.clone();
        if asked.is_empty() {
            asked.extend(OPERATIONS_DEFAULT.into_iter().filter_map(NonZeroU64::new).map(Self::Operations));
            asked.push(Self::All);
        }
        match (&args.time_field, asked.iter().find(|window| window.is_of_time())) {
            (None, Some(window)) => {
                let text =
                    format!("--windows {window} is one of time: --time-field NAME says where it stands");
                return Err(Failure::Usage(text));
            }
            (Some(_), None) => {
                asked.extend(SECONDS_DEFAULT.into_iter().map(Duration::from_secs).filter_map(Self::of_time));
            }
            _ => {}
        }
        let mut windows = Vec::with_capacity(asked.len());
        for window in asked {
            if !windows.contains(&window) {
                windows.push(window);
            }
        }
        if windows.len() > WINDOWS_MAX {
            let text = format!("--windows names {} of them, and {WINDOWS_MAX} is the most", windows.len());
            return Err(Failure::Usage(text));
        }
        Ok(windows)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Operations(count) if count.get() == 1 => f.write_str("1 operation"),
            Self::Operations(count) => write!(f, "{} operations", units::count(count.get())),
            Self::Time(length) => {
                let fits = |(_, unit): &&(&str, u64)| length.get().is_multiple_of(*unit);
                let (unit, micros) = UNITS.iter().find(fits).copied().unwrap_or(("µs", 1));
                write!(f, "{} {unit}", units::count(length.get() / micros))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser;

    fn of(line: &str) -> Result<Vec<String>> {
        let arguments = format!("millpond estimate {line}");
        let Command::Estimate(args) = Args::parse_from(arguments.split_whitespace()).command else {
            panic!("{line} is no estimate");
        };
        Ok(Window::of(&args)?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_window_is_a_count_all_or_a_time() {
        for (text, shown) in [
            ("1", "1 operation"),
            ("50000", "50,000 operations"),
            ("all", "all"),
            ("10s", "10 s"),
            ("90s", "90 s"),
            ("600s", "10 min"),
            ("2h", "2 h"),
            ("250ms", "250 ms"),
            ("7us", "7 µs"),
        ] {
            assert_eq!(Window::read(text).unwrap().to_string(), shown, "{text}");
        }
        for text in ["", "0", "0s", "-1", "1.5", "10 parsecs", "everything", "99999999999999999999"] {
            assert!(Window::read(text).is_err_and(|error| error.contains("10s")), "{text}");
        }
    }

    #[test]
    fn each_kind_of_window_has_defaults_where_it_is_asked_for_and_not_named() {
        let operations = ["1 operation", "1,000 operations", "10,000 operations", "50,000 operations", "all"];
        let times = ["1 s", "10 s", "1 min", "10 min", "1 h"];
        assert_eq!(of("").unwrap(), operations);
        assert_eq!(of("--time-field t").unwrap(), [operations, times].concat());
        assert_eq!(
            of("--windows 7,all --time-field t").unwrap(),
            [&["7 operations", "all"], &times[..]].concat()
        );
        assert_eq!(of("--windows 1s,5m,1s --time-field t").unwrap(), ["1 s", "5 min"]);
        assert_eq!(of("--windows 10,all,10").unwrap(), ["10 operations", "all"]);
    }

    #[test]
    fn a_window_of_time_needs_a_field_and_there_are_not_too_many() {
        assert!(of("--windows 10,1s").is_err_and(|error| error.to_string().contains("--time-field")));
        let many: Vec<String> = (1..=33).map(|count| count.to_string()).collect();
        assert!(
            of(&format!("--windows {}", many.join(","))).is_err_and(|error| error.to_string().contains("32"))
        );
        assert_eq!(of(&format!("--windows {}", many[1..].join(","))).unwrap().len(), 32);
    }
}
