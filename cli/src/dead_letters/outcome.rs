//! What became of a letter, as it is told and counted.

use crate::bulk::string;
use millpond::Status;

/// What became of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was sent, and taken.
    Sent(Status),
    /// It was sent, and refused again.
    Refused,
    /// Not sent: its document was written since.
    Written(String),
    /// Not sent: it was carried out before.
    Replayed,
    /// Not sent: nothing tells whether its document was written since.
    Untold(String),
    /// Not sent: the engine does not take it.
    NotTaken(String),
}

/// How many letters there were of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) refused: u64,
    pub(super) written: u64,
    pub(super) replayed: u64,
    pub(super) untold: u64,
    pub(super) not_taken: u64,
}

impl Outcome {
    /// In one word, for programs and for a column.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Sent(Status::Created) => "created",
            Self::Sent(Status::Updated) => "updated",
            Self::Sent(Status::Noop) => "noop",
            Self::Sent(Status::Deleted) => "deleted",
            Self::Sent(Status::NotFound) => "not_found",
            Self::Sent(Status::Conflict) => "conflict",
            Self::Sent(_) => "applied",
            Self::Refused => "refused",
            Self::Written(_) => "written_since",
            Self::Replayed => "replayed_before",
            Self::Untold(_) => "not_known",
            Self::NotTaken(_) => "not_taken",
        }
    }

    /// Why, where there is more to say.
    fn detail(&self) -> Option<&str> {
        match self {
            Self::Written(text) | Self::Untold(text) | Self::NotTaken(text) => Some(text),
            Self::Sent(_) | Self::Refused | Self::Replayed => None,
        }
    }

    /// One line, for people or for programs.
    pub(super) fn line(&self, number: u64, (index, id): (&str, &str), is_json: bool) -> String {
        if !is_json {
            let detail = self.detail().map_or(String::new(), |detail| format!(": {detail}"));
            return format!(
                "{number:>8}  {:<15}  {}{detail}",
                self.word(),
                format!("{index} {id}").escape_debug()
            );
        }
        let mut text = format!("{{\"line\":{number},\"outcome\":\"{}\"", self.word()).into_bytes();
        for (name, value) in [("index", Some(index)), ("id", Some(id)), ("detail", self.detail())] {
            if let Some(value) = value {
                text.extend_from_slice(format!(",\"{name}\":").as_bytes());
                string(value, &mut text);
            }
        }
        text.push(b'}');
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Counts {
    pub(super) fn add(&mut self, outcome: &Outcome) {
        *match outcome {
            Outcome::Sent(_) => &mut self.sent,
            Outcome::Refused => &mut self.refused,
            Outcome::Written(_) => &mut self.written,
            Outcome::Replayed => &mut self.replayed,
            Outcome::Untold(_) => &mut self.untold,
            Outcome::NotTaken(_) => &mut self.not_taken,
        } += 1;
    }

    /// True where each letter was carried out, now or before.
    pub(super) fn are_well(self) -> bool {
        self.refused + self.written + self.untold + self.not_taken == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_became_of_a_letter_and_why() {
        let outcome = Outcome::Written("its fence".to_owned());
        assert_eq!(outcome.line(7, ("i", "a\n"), false), "       7  written_since    i a\\n: its fence");
        assert_eq!(
            outcome.line(7, ("i", "a\n"), true),
            r#"{"line":7,"outcome":"written_since","index":"i","id":"a\n","detail":"its fence"}"#
        );
        assert_eq!(
            Outcome::Sent(Status::NotFound).line(1, ("i", "1"), false).trim(),
            "1  not_found        i 1"
        );
    }

    #[test]
    fn all_is_well_where_each_was_carried_out_now_or_before() {
        let mut counts = Counts::default();
        for outcome in [Outcome::Sent(Status::Created), Outcome::Replayed] {
            counts.add(&outcome);
        }
        assert!(counts.are_well());
        for outcome in [
            Outcome::Refused,
            Outcome::Written(String::new()),
            Outcome::Untold(String::new()),
            Outcome::NotTaken(String::new()),
        ] {
            let mut counts = counts;
            counts.add(&outcome);
            assert!(!counts.are_well(), "{outcome:?}");
        }
    }
}
