//! Event time: where it stands in an operation, and what its text or number means.
//!
//! # Design
//! A name is looked for in the document: the whole one of an `index` or `create`, the `doc` of an update and then its `upsert`.
//! `_index`, `_id` and `routing` are those of the action line. A dotted name is a path, and where a key has a dot in itself
//! it may be that key too. The body is walked once, and nothing of it is built but the value.
//!
//! # What a value means
//! Text is RFC 3339, or a number in digits; without an offset it is UTC, and a date alone is its midnight. A number below
//! [`SECONDS_MAX`] counts seconds since 1970, below [`MILLISECONDS_MAX`] milliseconds; fractions are taken. Anything else is
//! unreadable: a guess would be a wrong window.

use crate::{bulk::Verb, replay::queued::Queued};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// Below it a number counts seconds: up to the year 5138; as milliseconds it would be one of the first three years.
const SECONDS_MAX: f64 = 1e11;
/// Below it a number counts milliseconds: up to the year 5138.
const MILLISECONDS_MAX: f64 = 1e14;

/// The time of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// Microseconds since 1970.
    At(i64),
    /// There is no such field, or it is null.
    Missing,
    /// There is one, and it holds no time.
    Unreadable,
}

/// Where the time stands.
#[derive(Debug)]
pub(super) enum TimeField {
    Index,
    Id,
    Routing,
    /// In a whole document, in a `doc`, and in an `upsert`.
    Body([String; 3]),
}

impl TimeField {
    pub(super) fn new(name: &str) -> Self {
        match name {
            "_index" => Self::Index,
            "_id" => Self::Id,
            "routing" => Self::Routing,
            _ => Self::Body([name.to_owned(), format!("doc.{name}"), format!("upsert.{name}")]),
        }
    }

    /// The time of an operation.
    pub(super) fn time_of(&self, queued: &Queued<'_>) -> Time {
        let text = |text: &str| from_text(text).map_or(Time::Unreadable, Time::At);
        match self {
            Self::Index => text(queued.names.index),
            Self::Id => text(queued.names.id),
            Self::Routing => queued.names.routing.map_or(Time::Missing, text),
            Self::Body([whole, doc, upsert]) => match queued.verb {
                Verb::Delete => Time::Missing,
                Verb::Index | Verb::Create => in_body(queued.body_line, whole),
                Verb::Update => match in_body(queued.body_line, doc) {
                    Time::Missing => in_body(queued.body_line, upsert),
                    found => found,
                },
            },
        }
    }
}

/// The time at a path of a JSON text.
fn in_body(text: &[u8], path: &str) -> Time {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    // What is no JSON is refused, and its time does not matter.
    match (At { path }).deserialize(&mut deserializer) {
        Ok(Some(value)) => from_value(&value),
        Ok(None) | Err(_) => Time::Missing,
    }
}

fn from_value(value: &Value) -> Time {
    let micros = match value {
        Value::Null => return Time::Missing,
        Value::String(text) => from_text(text),
        Value::Number(number) => number.as_f64().and_then(from_number),
        _ => None,
    };
    micros.map_or(Time::Unreadable, Time::At)
}

/// Microseconds since 1970 that a text says.
fn from_text(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        && let Ok(number) = text.parse()
    {
        return from_number(number);
    }
    let timestamp = text.parse::<Timestamp>().ok().or_else(|| {
        let local: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(local).ok()
    });
    timestamp.map(Timestamp::as_microsecond)
}

/// Microseconds since 1970 that a number says.
fn from_number(number: f64) -> Option<i64> {
    let micros = match number.abs() {
        size if size < SECONDS_MAX => number * 1e6,
        size if size < MILLISECONDS_MAX => number * 1e3,
        _ => return None,
    };
    Some(whole(micros.round()))
}

#[expect(clippy::cast_possible_truncation, reason = "a whole number below 10^17")]
fn whole(number: f64) -> i64 {
    number as i64
}

/// Looks for the value at a path, in an object.
#[derive(Clone, Copy)]
struct At<'p> {
    path: &'p str,
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(step) = map.next_key_seed(Step { path: self.path })? {
            match step {
                Way::Here if found.is_none() => found = Some(map.next_value()?),
                Way::Below(path) if found.is_none() => found = map.next_value_seed(At { path })?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Compares a key with the start of a path.
struct Step<'p> {
    path: &'p str,
}

/// What a key is to a path.
enum Way<'p> {
    /// Its end.
    Here,
    /// Its start; this is the rest.
    Below(&'p str),
    Elsewhere,
}

impl<'de, 'p> DeserializeSeed<'de> for Step<'p> {
    type Value = Way<'p>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'p> Visitor<'_> for Step<'p> {
    type Value = Way<'p>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(match self.path.strip_prefix(key) {
            Some("") => Way::Here,
            Some(rest) => rest.strip_prefix('.').map_or(Way::Elsewhere, Way::Below),
            None => Way::Elsewhere,
        })
    }
}

#[cfg(test)]
mod tests;
