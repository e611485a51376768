//! Whether a document was written since a letter's operation was: what can be told, and what cannot.
//!
//! # Design
//! Pure functions from what a sink holds of a document to a verdict.
//!
//! | the sink holds | that is |
//! | --- | --- |
//! | in a store: nothing, or something with a lower seq | nothing newer: every document and tombstone carries the seq of what wrote it |
//! | in a store: a higher seq | written since; the letter's own: replayed before |
//! | on a server: no document | nothing that could be overwritten. A delete since leaves no trace |
//! | on a server: a version that is a seq, as external versions are | the same as in a store |
//! | on a server: the fence of the letter's engine, with a higher seq; or another engine's, by the clock | written since; the letter's own: replayed before |
//! | on a server: any other document | untold: a lower fence is that of the last operation that left one, and what was written without one may be newer |
//!
//! # Why no time is compared
//! A server does not say when a document was written, and a letter's time is that of its refusal.
//!
//! # Invariants
//! 1. [`Evidence::Nothing`] only where the sink itself shows it.

use super::letter::Letter;
use millpond::{BaseDocument, elastic::Standing};

/// A version this high is a sequence number, microseconds since 1970: nobody has written a document so often.
const VERSION_OF_SEQ_MIN: u64 = 1 << 50;

/// What is known of a document, beside a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Nothing newer is there.
    Nothing,
    /// It was written since.
    Written(String),
    /// The letter itself was carried out before.
    Replayed,
    /// It exists, and does not tell; or it could not be read.
    Untold(String),
}

/// What a store shows: the seq of the document or the tombstone, if there is one.
pub(super) fn in_store(letter: &Letter, held: Option<&BaseDocument>) -> Evidence {
    held.map_or(Evidence::Nothing, |held| by_seq(letter, held.seq))
}

/// What a server shows.
pub(super) fn on_server(letter: &Letter, held: Option<&Standing>) -> Evidence {
    let Some(Standing { version, fence }) = held else { return Evidence::Nothing };
    if *version >= VERSION_OF_SEQ_MIN {
        return by_seq(letter, *version);
    }
    match *fence {
        Some((engine, seq)) if letter.engine == Some(engine) && seq == letter.last_seq => Evidence::Replayed,
        Some((_, seq)) if seq > letter.last_seq => {
            Evidence::Written(format!("its fence is of seq {seq}, and the letter of {}", letter.last_seq))
        }
        _ => Evidence::Untold("it exists, and does not tell when it was written".to_owned()),
    }
}

fn by_seq(letter: &Letter, seq: u64) -> Evidence {
    match seq.cmp(&letter.last_seq) {
        std::cmp::Ordering::Less => Evidence::Nothing,
        std::cmp::Ordering::Equal => Evidence::Replayed,
        std::cmp::Ordering::Greater => {
            Evidence::Written(format!("it is of seq {seq}, and the letter of {}", letter.last_seq))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(engine: Option<u128>) -> Letter {
        let engine = engine.map_or(String::new(), |engine| format!(r#""engine":"{engine:032x}","#));
        let line = format!(
            r#"{{{engine}"first_seq":8,"last_seq":10,"operations":2,"action":{{"delete":{{"_index":"i","_id":"1"}}}}}}"#
        );
        Letter::read(line.as_bytes()).unwrap()
    }

    fn kind(evidence: &Evidence) -> &'static str {
        match evidence {
            Evidence::Nothing => "nothing",
            Evidence::Written(_) => "written",
            Evidence::Replayed => "replayed",
            Evidence::Untold(_) => "untold",
        }
    }

    #[test]
    fn a_store_tells_by_the_seq_of_its_document_or_tombstone() {
        let letter = letter(None);
        for (seq, source, expected) in [
            (9, Some("{}"), "nothing"),
            (10, Some("{}"), "replayed"),
            (11, Some("{}"), "written"),
            (11, None, "written"),
        ] {
            let held = BaseDocument { source: source.map(Into::into), seq, ..BaseDocument::default() };
            assert_eq!(kind(&in_store(&letter, Some(&held))), expected, "{seq}");
        }
        assert_eq!(in_store(&letter, None), Evidence::Nothing);
    }

    #[test]
    fn a_server_tells_by_a_fence_that_is_not_older_and_by_a_version_that_is_a_seq() {
        let (mine, other) = (Some((7, 10)), Some((8, 10)));
        for (version, fence, engine, expected) in [
            (3, None, Some(7), "untold"),
            (3, Some((7, 9)), Some(7), "untold"),
            (3, Some((7, 11)), Some(7), "written"),
            (3, Some((8, 11)), Some(7), "written"),
            (3, mine, Some(7), "replayed"),
            (3, other, Some(7), "untold"),
            (3, mine, None, "untold"),
        ] {
            let held = Standing { version, fence };
            assert_eq!(kind(&on_server(&letter(engine), Some(&held))), expected, "{held:?} {engine:?}");
        }
        assert_eq!(on_server(&letter(Some(7)), None), Evidence::Nothing);
    }

    #[test]
    fn a_version_that_no_count_of_writes_comes_to_is_a_seq() {
        let seq = VERSION_OF_SEQ_MIN + 5;
        let letter = Letter { last_seq: seq, ..letter(Some(7)) };
        for (version, expected) in
            [(seq - 1, "nothing"), (seq, "replayed"), (seq + 1, "written"), (4, "untold")]
        {
            let held = Standing { version, fence: None };
            assert_eq!(kind(&on_server(&letter, Some(&held))), expected, "{version}");
        }
    }
}
