//! The splitter against serde_json: what one takes as a document, the other takes.
//!
//! # Design
//! serde_json checks the grammar (as raw text, so that lone surrogates and any number pass); names, depth and the
//! length of numbers are checked here, level by level, without recursion.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millpond::ErrorKind;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::fmt;

const DEPTH_MAX: usize = 1_000;
const NUMBER_BYTES_MAX: usize = 4_096;

/// What is wrong with a document, if anything.
#[derive(Debug, PartialEq)]
enum Verdict {
    Good,
    Malformed,
    EqualNames,
    TooLarge,
}

fn judge(text: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(text) else { return Verdict::Malformed };
    let Ok(document) = serde_json::from_str::<&RawValue>(text) else { return Verdict::Malformed };
    if !document.get().starts_with('{') {
        return Verdict::Malformed;
    }
    let mut waiting = vec![(document, 1)];
    while let Some((raw, depth)) = waiting.pop() {
        let raw = raw.get();
        let inner: Vec<&RawValue> = match raw.as_bytes()[0] {
            b'{' | b'[' if depth > DEPTH_MAX => return Verdict::TooLarge,
            b'{' => match serde_json::from_str::<Members>(raw) {
                Ok(Members { equal_names: false, values }) => values,
                Ok(_) => return Verdict::EqualNames,
                Err(_) => return Verdict::Malformed,
            },
            b'[' => match serde_json::from_str(raw) {
                Ok(items) => items,
                Err(_) => return Verdict::Malformed,
            },
            b'-' | b'0'..=b'9' if raw.len() > NUMBER_BYTES_MAX => return Verdict::TooLarge,
            _ => continue,
        };
        waiting.extend(inner.into_iter().map(|value| (value, depth + 1)));
    }
    Verdict::Good
}

struct Members<'a> {
    equal_names: bool,
    values: Vec<&'a RawValue>,
}

#[derive(PartialEq, Eq, Hash)]
struct Name(Vec<u8>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Name, E> {
                Ok(Name(bytes.to_vec()))
            }
        }
        reader.deserialize_bytes(Bytes)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let (mut names, mut members) = (HashSet::new(), Members { equal_names: false, values: Vec::new() });
                while let Some(name) = map.next_key::<Name>()? {
                    members.equal_names |= !names.insert(name);
                    members.values.push(map.next_value()?);
                }
                Ok(members)
            }
        }
        reader.deserialize_map(Map)
    }
}

fuzz_target!(|text: &[u8]| {
    let verdict = judge(text);
    let shown = String::from_utf8_lossy(text);
    match (millpond::fuzzing::split_json(text), &verdict) {
        (Ok(_), _) => assert_eq!(verdict, Verdict::Good, "taken: {shown}"),
        (Err(error), Verdict::Good) => panic!("refused: {error}: {shown}"),
        // A text with several faults may be refused for any of them.
        (Err(error), Verdict::TooLarge | Verdict::EqualNames | Verdict::Malformed) => {
            assert!(error.offset().is_none_or(|offset| offset <= text.len()), "{error}: {shown}");
            assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::TooLarge), "{error}: {shown}");
        }
    }
});
