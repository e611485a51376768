//! Whether two documents are equal as a server reads them: by value, key order aside.
//!
//! # Design
//! Texts are compared as they lie, level by level, without a tree of either. Integers are compared by all their digits; other
//! numbers as doubles, since a server that writes a document anew with an update writes them as that. One beyond all doubles is read
//! as infinite, and written as a text.
//!
//! # Why not the JSON library's own values
//! They hold an integer beyond 64 bits as a double, and two that differ in their last digit would be equal.

use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};

type Fields<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// True where both are documents, and equal when the field of the fence is left out of them.
pub(super) fn are_equal_documents(left: &RawValue, right: &RawValue, fence: &str) -> bool {
    let (Some(mut left), Some(mut right)) = (fields(left.get()), fields(right.get())) else { return false };
    left.remove(fence);
    right.remove(fence);
    are_equal_fields(&left, &right)
}

fn are_equal(left: &RawValue, right: &RawValue) -> bool {
    let (left, right) = (left.get(), right.get());
    if left == right {
        return true;
    }
    match (left.as_bytes().first(), right.as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => match (fields(left), fields(right)) {
            (Some(left), Some(right)) => are_equal_fields(&left, &right),
            _ => false,
        },
        (Some(b'['), Some(b'[')) => match (elements(left), elements(right)) {
            (Some(left), Some(right)) => {
                left.len() == right.len()
                    && left.iter().zip(&right).all(|(left, right)| are_equal(left, right))
            }
            _ => false,
        },
        _ => match (Scalar::of(left), Scalar::of(right)) {
            (Some(left), Some(right)) => left == right,
            _ => false,
        },
    }
}

fn are_equal_fields(left: &Fields<'_>, right: &Fields<'_>) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .all(|((name, left), (other, right))| name == other && are_equal(left, right))
}

fn fields(text: &str) -> Option<Fields<'_>> {
    serde_json::from_str(text).ok()
}

fn elements(text: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(text).ok()
}

#[derive(Debug, PartialEq)]
enum Scalar<'a> {
    Text(Cow<'a, str>),
    Integer(&'a str),
    Double(f64),
    /// `true`, `false`, `null`.
    Word(&'a str),
}

impl<'a> Scalar<'a> {
    fn of(text: &'a str) -> Option<Self> {
        match text.as_bytes().first()? {
            b'"' => {
                // A text that no string of ours can hold, as one with half a character, is compared as it is written.
                let read = serde_json::from_str::<String>(text);
                Some(Self::Text(read.map_or(Cow::Borrowed(text), Cow::Owned)))
            }
            b'-' | b'0'..=b'9' if text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => {
                let double: f64 = text.parse().ok()?;
                Some(match double.is_infinite() {
                    false => Self::Double(double),
                    true if double > 0.0 => Self::Text(Cow::Borrowed("Infinity")),
                    true => Self::Text(Cow::Borrowed("-Infinity")),
                })
            }
            b'-' | b'0'..=b'9' => Some(Self::Integer(if text == "-0" { "0" } else { text })),
            b't' | b'f' | b'n' => Some(Self::Word(text)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(left: &str, right: &str) -> bool {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let (left, right) = (raw(left), raw(right));
        let one = are_equal_documents(&left, &right, "_millpond");
        assert_eq!(one, are_equal_documents(&right, &left, "_millpond"), "{left} {right}");
        one
    }

    #[test]
    fn documents_are_equal_by_value_whatever_the_order_of_their_keys_and_with_or_without_a_fence() {
        for (left, right) in [
            (
                r#"{"a":1,"b":{"c":[1,2],"d":null}}"#,
                r#"{ "b" : {"d":null,"c":[1, 2]}, "a": 1, "_millpond": "e:7"}"#,
            ),
            (r#"{"a":1.10,"b":1e2}"#, r#"{"a":1.1,"b":100.0}"#),
            (r#"{"a":12345678901234567.12}"#, r#"{"a":1.2345678901234568E16}"#),
            (r#"{"a":1e400,"b":-1e400}"#, r#"{"a":"Infinity","b":"-Infinity"}"#),
            (r#"{"a":"\u00e9"}"#, r#"{"a":"é"}"#),
            (r#"{"a":"\ud800"}"#, r#"{"a":"\ud800"}"#),
            (r#"{"a":-0}"#, r#"{"a":0}"#),
            ("{}", r#"{"_millpond":"e:1"}"#),
        ] {
            assert!(equal(left, right), "{left} {right}");
        }
    }

    #[test]
    fn documents_that_differ_anywhere_are_not_equal() {
        for (left, right) in [
            (r#"{"a":1}"#, r#"{"a":2}"#),
            (r#"{"a":1}"#, r#"{"a":1.0}"#),
            (r#"{"a":1}"#, r#"{"a":"1"}"#),
            (r#"{"a":18446744073709551616}"#, r#"{"a":18446744073709551617}"#),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
            (r#"{"a":[1]}"#, r#"{"a":[1,1]}"#),
            (r#"{"a":null}"#, "{}"),
            (r#"{"a":true}"#, r#"{"a":false}"#),
            (r#"{"a":{"b":{"c":1}}}"#, r#"{"a":{"b":{"c":1,"_millpond":"below the top it is a field"}}}"#),
            (r#"{"a":1.5}"#, r#"{"a":1.6}"#),
            ("[]", "[]"),
        ] {
            assert!(!equal(left, right), "{left} {right}");
        }
    }

    #[test]
    fn a_document_of_a_thousand_levels_is_compared() {
        let deep = |inner: &str| format!("{}{inner}{}", r#"{"a":"#.repeat(1_000), "}".repeat(1_000));
        assert!(equal(&deep("1.0"), &deep("1.00")));
        assert!(!equal(&deep("1.0"), &deep("1.5")));
    }
}
