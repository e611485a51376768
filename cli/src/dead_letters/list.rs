//! `millpond dead-letters list`: a line for each letter, and totals.
//!
//! # Design
//! Letters are printed as they are read: a file may be long. Totals are kept by index and kind of reason, up to a number of
//! them; what comes after that is summed up as others.

use super::{
    letter::Letter,
    reader::Letters,
    reason::{brief, cut, kind},
};
use crate::{
    args::LettersList,
    failure::{Failure, REFUSED, Result, WELL},
    units,
};
use jiff::Timestamp;
use serde_json::{Map, Value, value::RawValue};
use std::{
    collections::BTreeMap,
    io::{self, BufWriter, Write},
};

/// Pairs of an index and a reason that are counted apart.
const GROUPS_MAX: usize = 1_000;
/// What is not counted apart.
const OTHERS: &str = "others";
/// Characters of a reason in the table.
const REASON_CHARACTERS: usize = 100;
/// Characters of an index and of an id in the table.
const NAME_CHARACTERS: usize = 40;

/// Letters and the operations in them, by index and kind of reason.
type Totals = BTreeMap<(String, String), (u64, u64)>;

/// Runs the command; the exit status, or why it failed.
pub fn run(args: &LettersList) -> Result<u8> {
    let mut letters = Letters::open(&args.file)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let gone = |error: io::Error| Failure::stdout(&error);
    let mut totals = Totals::new();
    if !args.json {
        writeln!(out, "{:<20}  {:<12}  {:<20}  {:>10}  reason", "when", "index", "id", "operations")
            .map_err(gone)?;
    }
    while let Some((line, letter)) = letters.next()? {
        count(&letter, &mut totals);
        let text = if args.json { json(line, &letter) } else { row(&letter) };
        writeln!(out, "{text}").map_err(gone)?;
    }
    if !args.json {
        write_totals(&totals, &mut out).map_err(gone)?;
    }
    out.flush().map_err(gone)?;
    Ok(if letters.damaged() > 0 { REFUSED } else { WELL })
}

fn row(letter: &Letter) -> String {
    format!(
        "{:<20}  {:<12}  {:<20}  {:>10}  {}",
        when(letter.time_ms, true),
        cut(&letter.index, NAME_CHARACTERS),
        cut(&letter.id, NAME_CHARACTERS),
        units::count(letter.operations),
        brief(&letter.reason, REASON_CHARACTERS)
    )
}

/// A letter for programs: as in the file, with its line, its time as text and its names side by side.
fn json(line: u64, letter: &Letter) -> String {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| drop(object.insert(name.to_owned(), value));
    put("line", line.into());
    put("time", when(letter.time_ms, false).into());
    put("index", letter.index.as_str().into());
    put("id", letter.id.as_str().into());
    if let Some(routing) = &letter.routing {
        put("routing", routing.as_str().into());
    }
    put("operations", letter.operations.into());
    put("first_seq", letter.first_seq.into());
    put("last_seq", letter.last_seq.into());
    if let Some(engine) = letter.engine {
        put("engine", format!("{engine:032x}").into());
    }
    put("reason", letter.reason.as_str().into());
    put("kind", kind(&letter.reason).into());
    put("verb", letter.net.verb().into());
    let mut text = Value::Object(object).to_string();
    let mut body = Vec::new();
    letter.net.write_body(&mut body);
    // Untouched: a number of a document has more digits than a value here would keep.
    if let Some(body) = String::from_utf8(body).ok().and_then(|body| RawValue::from_string(body).ok()) {
        text.truncate(text.len() - 1);
        text.push_str(",\"body\":");
        text.push_str(body.get());
        text.push('}');
    }
    text
}

/// A time, to the second or whole.
fn when(time_ms: Option<i64>, to_the_second: bool) -> String {
    let time = time_ms.and_then(|time_ms| Timestamp::from_millisecond(time_ms).ok());
    time.map_or_else(String::new, |time| {
        let text = time.to_string();
        match text.split_once('.') {
            Some((seconds, _)) if to_the_second => format!("{seconds}Z"),
            _ => text,
        }
    })
}

fn count(letter: &Letter, totals: &mut Totals) {
    let mut group = (letter.index.clone(), kind(&letter.reason));
    if totals.len() >= GROUPS_MAX && !totals.contains_key(&group) {
        group = (OTHERS.to_owned(), OTHERS.to_owned());
    }
    let (letters, operations) = totals.entry(group).or_default();
    *letters += 1;
    *operations = operations.saturating_add(letter.operations);
}

fn write_totals(totals: &Totals, out: &mut impl Write) -> io::Result<()> {
    if totals.is_empty() {
        return writeln!(out, "\nno letters");
    }
    writeln!(out, "\n{:>10}  {:>10}  {:<12}  reason", "letters", "operations", "index")?;
    for ((index, reason), (letters, operations)) in totals {
        let (letters, operations) = (units::count(*letters), units::count(*operations));
        writeln!(out, "{letters:>10}  {operations:>10}  {:<12}  {reason}", cut(index, NAME_CHARACTERS))?;
    }
    let letters: u64 = totals.values().map(|(letters, _)| letters).sum();
    let operations: u64 = totals.values().map(|(_, operations)| operations).sum();
    writeln!(out, "{:>10}  {:>10}  in all", units::count(letters), units::count(operations))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_to_the_second_and_told_whole() {
        assert_eq!(when(Some(1_500), true), "1970-01-01T00:00:01Z");
        assert_eq!(when(Some(1_500), false), "1970-01-01T00:00:01.5Z");
        assert_eq!(when(Some(2_000), true), "1970-01-01T00:00:02Z");
        assert_eq!((when(None, true), when(Some(i64::MAX), true)), (String::new(), String::new()));
    }

    #[test]
    fn groups_beyond_the_most_are_summed_up_as_others() {
        let mut totals = Totals::new();
        for number in 0..GROUPS_MAX + 3 {
            let line = format!(
                r#"{{"first_seq":1,"last_seq":2,"operations":2,"action":{{"delete":{{"_index":"i{number}","_id":"1"}}}}}}"#
            );
            count(&Letter::read(line.as_bytes()).unwrap(), &mut totals);
        }
        assert_eq!(totals.len(), GROUPS_MAX + 1);
        assert_eq!(totals[&(OTHERS.to_owned(), OTHERS.to_owned())], (3, 6));
        let mut text = Vec::new();
        write_totals(&totals, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.lines().last().unwrap().contains("1,003       2,006  in all"), "{text}");
    }

    #[test]
    fn a_body_keeps_its_digits() {
        let line = br#"{"first_seq":1,"last_seq":2,"operations":2,"action":{"index":{"_index":"i","_id":"1"}},"body":{"a":1.10,"b":1e400}}"#;
        let text = json(3, &Letter::read(line).unwrap());
        assert!(text.ends_with(r#""verb":"index","body":{"a":1.10,"b":1e400}}"#), "{text}");
    }
}
