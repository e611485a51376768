//! What is measured of a run: a number for each row of the table, and what several runs come to.
//!
//! # Design
//! A row knows its name, its unit and what it means; everything else (the table, the JSON object, the page) goes over
//! [`Row::ALL`]. What could not be measured has no number, and is shown as that.
//!
//! # Invariants
//! 1. What is derived of several runs has a row only where each of them has it.

use crate::units;
use std::{collections::BTreeMap, time::Duration};

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Count,
    Bytes,
    Seconds,
}

impl Unit {
    /// A number for people.
    pub(super) fn show(self, number: f64) -> String {
        match self {
            // Of several runs in one the mean is seldom whole.
            Self::Count if number < 10.0 && number.fract() > 0.05 => format!("{number:.1}"),
            Self::Count => units::count(units::whole(number)),
            Self::Bytes => units::bytes(units::whole(number)),
            Self::Seconds => units::seconds(Duration::try_from_secs_f64(number).unwrap_or_default()),
        }
    }
}

/// A row: its name for programs, for people, its unit, and what it means.
type Words = (&'static str, &'static str, Unit, &'static str);

macro_rules! rows {
    ($($row:ident = $words:expr,)*) => {
        /// What is measured.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Row { $(
            #[doc = "See its words."]
            $row,
        )* }

        impl Row {
            /// All of them, in the order of the table.
            pub(super) const ALL: &'static [Self] = &[$(Self::$row,)*];

            fn words(self) -> Words {
                match self { $(Self::$row => $words,)* }
            }
        }
    };
}

rows! {
    Operations = ("operations", "operations", Unit::Count, "sent to the server and answered as done"),
    Requests = ("requests", "requests", Unit::Count, "bulk requests, and one that stores the script where there is one"),
    RequestBytes = ("request_bytes", "bytes sent", Unit::Bytes, "the bodies of the requests, as they went"),
    Indexed = ("indexed", "documents indexed", Unit::Count, "indexing.index_total and delete_total: what the server wrote"),
    IndexTime = ("index_seconds", "time indexing", Unit::Seconds, "indexing.index_time_in_millis, over all threads"),
    Gets = ("gets", "gets", Unit::Count, "get.total: an update reads its document first"),
    GetTime = ("get_seconds", "time in gets", Unit::Seconds, "get.time_in_millis"),
    Refreshes = ("refreshes", "refreshes", Unit::Count, "refresh.total"),
    RefreshTime = ("refresh_seconds", "time refreshing", Unit::Seconds, "refresh.total_time_in_millis"),
    Merges = ("merges", "merges", Unit::Count, "merges.total"),
    MergedDocuments = ("merged_documents", "documents merged", Unit::Count, "merges.total_docs: written once more"),
    MergeTime = ("merge_seconds", "time merging", Unit::Seconds, "merges.total_time_in_millis"),
    Flushes = ("flushes", "flushes", Unit::Count, "flush.total"),
    FlushTime = ("flush_seconds", "time flushing", Unit::Seconds, "flush.total_time_in_millis"),
    Segments = ("segments", "segments at the end", Unit::Count, "segments.count"),
    StoreBytes = ("store_bytes", "store at the end", Unit::Bytes, "store.size_in_bytes"),
    Wall = ("wall_seconds", "wall time", Unit::Seconds, "from the first byte of the input that is read to the last answer"),
    OwnCpu = ("own_cpu_seconds", "our processor time", Unit::Seconds, "user and system, all threads of the sender, unpacking the input included"),
    ServerCpu = ("server_cpu_seconds", "server processor time", Unit::Seconds, "user and system of --pid, until its merges have ended"),
    ServerWritten = ("server_written_bytes", "server wrote to disk", Unit::Bytes, "write_bytes of --pid, until its merges have ended"),
    LongestWait = ("longest_wait_seconds", "longest wait", Unit::Seconds, "the longest that an operation which was read waited to be sent"),
    Retries = ("retries", "sent again", Unit::Count, "operations that the server refused for the moment, or did not answer"),
    Failed = ("failed", "failed", Unit::Count, "operations that the server will never take"),
}

impl Row {
    /// The name in JSON.
    pub(super) fn key(self) -> &'static str {
        self.words().0
    }

    /// The name in a table.
    pub(super) fn label(self) -> &'static str {
        self.words().1
    }

    pub(super) fn unit(self) -> Unit {
        self.words().2
    }

    /// What it means, as a clause.
    pub(super) fn meaning(self) -> &'static str {
        self.words().3
    }
}

/// The numbers of one run, or what those of several come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures(BTreeMap<Row, f64>);

impl Figures {
    pub(super) fn set(&mut self, row: Row, number: f64) {
        self.0.insert(row, number);
    }

    pub(super) fn get(&self, row: Row) -> Option<f64> {
        self.0.get(&row).copied()
    }

    /// What was counted since an earlier count of the same.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let less = |(row, number): (&Row, &f64)| {
            // What the end is measured by has no start.
            let before = match row {
                Row::Segments | Row::StoreBytes => 0.0,
                _ => earlier.get(*row).unwrap_or(0.0),
            };
            (*row, number - before)
        };
        Self(self.0.iter().map(less).collect())
    }

    /// Adds the rows of another.
    pub(super) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The mean of runs that were measured as one; of waits the longest.
    pub(super) fn mean(runs: &[Self]) -> Self {
        Self::over(runs, |row, numbers| match row {
            Row::LongestWait => numbers.iter().copied().fold(0.0, f64::max),
            _ => numbers.iter().sum::<f64>() / units::float(numbers.len() as u64),
        })
    }

    /// The median of runs, row by row.
    pub(super) fn median(runs: &[Self]) -> Self {
        Self::over(runs, |_, numbers| median(numbers))
    }

    fn over(runs: &[Self], of: impl Fn(Row, &[f64]) -> f64) -> Self {
        let mut all = Self::default();
        for row in Row::ALL {
            let numbers: Option<Vec<f64>> = runs.iter().map(|run| run.get(*row)).collect();
            if let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) {
                all.set(*row, of(*row, &numbers));
            }
        }
        all
    }
}

/// How many times as much the plain client did; nothing where that cannot be told.
pub(super) fn fewer(plain: &Figures, folded: &Figures, row: Row) -> Option<f64> {
    // Waiting is what is paid, and how many times less it is says nothing.
    if row == Row::LongestWait {
        return None;
    }
    let (plain, folded) = (plain.get(row)?, folded.get(row)?);
    (folded > 0.0).then(|| plain / folded)
}

/// The middle one, or the mean of the two in the middle.
fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let upper = sorted.get(half).copied().unwrap_or(0.0);
    let lower = half.checked_sub(1).and_then(|at| sorted.get(at)).copied().unwrap_or(upper);
    if sorted.len().is_multiple_of(2) { f64::midpoint(lower, upper) } else { upper }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(row: Row, number: f64) -> Figures {
        let mut figures = Figures::default();
        figures.set(row, number);
        figures
    }

    #[test]
    fn the_median_is_the_middle_one_or_lies_between_the_two_in_the_middle() {
        assert_eq!(median(&[3.0]).to_bits(), 3.0_f64.to_bits());
        assert_eq!(median(&[9.0, 1.0, 2.0]).to_bits(), 2.0_f64.to_bits());
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]).to_bits(), 3.0_f64.to_bits());
        assert_eq!(median(&[]).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn a_row_that_one_run_lacks_has_no_median() {
        let (mut first, second) = (of(Row::Gets, 4.0), of(Row::Gets, 8.0));
        first.set(Row::ServerCpu, 1.0);
        let both = Figures::median(&[first.clone(), second.clone()]);
        assert_eq!(both, of(Row::Gets, 6.0));
        assert_eq!(Figures::median(&[]), Figures::default());
        assert_eq!(fewer(&first, &second, Row::ServerCpu), None);
        assert_eq!(fewer(&first, &second, Row::Gets), Some(0.5));
        assert_eq!(fewer(&first, &of(Row::Gets, 0.0), Row::Gets), None);
    }

    #[test]
    fn a_mean_has_the_longest_wait_of_all_and_the_mean_of_everything_else() {
        let (mut first, mut second) = (of(Row::Wall, 2.0), of(Row::Wall, 4.0));
        first.set(Row::LongestWait, 0.5);
        second.set(Row::LongestWait, 0.1);
        let mean = Figures::mean(&[first, second]);
        assert_eq!((mean.get(Row::Wall), mean.get(Row::LongestWait)), (Some(3.0), Some(0.5)));
    }

    #[test]
    fn counts_are_those_since_the_start_and_what_is_there_at_the_end_is_as_it_is() {
        let (mut before, mut after) = (of(Row::Refreshes, 2.0), of(Row::Refreshes, 7.0));
        before.set(Row::Segments, 1.0);
        after.set(Row::Segments, 3.0);
        let since = after.since(&before);
        assert_eq!((since.get(Row::Refreshes), since.get(Row::Segments)), (Some(5.0), Some(3.0)));
    }

    #[test]
    fn no_two_rows_have_one_name() {
        let mut keys: Vec<&str> = Row::ALL.iter().map(|row| row.key()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), Row::ALL.len());
    }
}
