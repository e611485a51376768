//! The splitter against serde_json: what one takes as a document, the other takes.
//!
//! # Design
//! serde_json checks the grammar (as raw text, so that lone surrogates and any number pass); names, depth and the
//! length of numbers are checked here, level by level, without recursion.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millpond::{Action, NetOperation};
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
            b'{' => match serde_json::from_str::<Pairs>(raw) {
                Ok(pairs) if pairs.has_equal_names() => return Verdict::EqualNames,
                Ok(pairs) => pairs.0.into_iter().map(|(_, value)| value).collect(),
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

/// The members of one object, in order.
struct Pairs<'a>(Vec<(Name, &'a RawValue)>);

impl Pairs<'_> {
    fn has_equal_names(&self) -> bool {
        let mut names = HashSet::new();
        self.0.iter().any(|(name, _)| !names.insert(&name.0))
    }
}

/// What a name stands for; lone surrogates as WTF-8.
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

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Pairs<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        reader.deserialize_map(Map)
    }
}

/// The members as serde_json sees them are those that the splitter found, in order.
fn agree(text: &[u8], members: &[(&[u8], &[u8])]) {
    let text = std::str::from_utf8(text).expect("a document is UTF-8");
    let expected: Vec<(Name, &RawValue)> =
        serde_json::from_str::<Pairs>(text).unwrap_or_else(|error| panic!("{error}: {text}")).0;
    assert_eq!(members.len(), expected.len(), "{text}");
    for ((name, value), (expected_name, expected_value)) in members.iter().zip(expected) {
        let quoted = [b"\"", *name, b"\""].concat();
        let name: Name = serde_json::from_slice(&quoted).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!((name.0, *value), (expected_name.0, expected_value.get().as_bytes()), "{text}");
    }
}

fuzz_target!(|text: &[u8]| {
    millpond::fuzzing::quick_paths_agree(text).unwrap_or_else(|problem| panic!("{problem}"));
    let verdict = judge(text);
    let shown = String::from_utf8_lossy(text);
    match (millpond::fuzzing::split_json(text), &verdict) {
        (Some(members), Verdict::Good) => agree(text, &members),
        (Some(_), _) => panic!("{verdict:?}, but taken: {shown}"),
        (None, Verdict::Good) => panic!("refused: {shown}"),
        (None, _) => {
            let error = NetOperation::new(Action::Index(text)).expect_err("refused as an operation as well");
            assert!(error.is_bad_input(), "{error}: {shown}");
            assert!(error.offset().is_some_and(|offset| offset <= text.len()), "{error}: {shown}");
        }
    }
});
