//! The model's documents: a plain tree whose scalars keep the text they were spelled with.
//!
//! # Design
//! `serde_json` reads each level as raw text and this file takes it apart, so a number keeps its digits and
//! depth costs no parser recursion limit. `serde_json::Value` would not do: it writes `1e400` as `1e+400`, refuses
//! a lone surrogate and takes the last of two equal names.
//!
//! Names and strings are compared as the bytes they stand for, with lone surrogates encoded as if they were
//! characters (WTF-8).

use super::decimal::Decimal;
use serde::de::{Deserialize, Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::fmt;

/// What a name or a string stands for.
pub type Decoded = Vec<u8>;
/// The members of an object, in order.
pub type Members = Vec<(Name, Tree)>;

/// A member's name: equal names stand for the same bytes, however they are spelled.
#[derive(Clone, Debug)]
pub struct Name {
    pub decoded: Decoded,
    pub raw: String,
}

/// A JSON value.
#[derive(Clone, Debug)]
pub enum Tree {
    Null,
    Bool(bool),
    /// `computed` where an increment made it, so that its spelling is the adder's to choose.
    Number {
        text: String,
        computed: bool,
    },
    Text {
        raw: String,
        decoded: Decoded,
    },
    Array(Vec<Tree>),
    Object(Members),
}

impl Tree {
    /// Reads a JSON text, which must be valid.
    pub fn parse(text: &[u8]) -> Self {
        let text = std::str::from_utf8(text).unwrap_or_else(|error| panic!("not UTF-8: {error}"));
        let raw: &RawValue = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"));
        Self::from_raw(raw.get())
    }

    fn from_raw(raw: &str) -> Self {
        match raw.as_bytes()[0] {
            b'n' => Self::Null,
            b't' => Self::Bool(true),
            b'f' => Self::Bool(false),
            b'"' => Self::Text { raw: raw.to_owned(), decoded: decode(raw) },
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(raw).unwrap();
                Self::Array(items.into_iter().map(|item| Self::from_raw(item.get())).collect())
            }
            b'{' => Self::Object(
                raw_members(raw).into_iter().map(|(name, value)| (name, Self::from_raw(value))).collect(),
            ),
            _ => Self::Number { text: raw.to_owned(), computed: false },
        }
    }

    pub fn empty_object() -> Self {
        Self::Object(Members::new())
    }

    pub fn members(&self) -> &Members {
        match self {
            Self::Object(members) => members,
            other => panic!("an object was expected, not {other:?}"),
        }
    }

    /// The member of that name, if this is an object that has it.
    pub fn member(&self, name: &str) -> Option<&Tree> {
        match self {
            Self::Object(members) => find(members, name.as_bytes()).map(|at| &members[at].1),
            _ => None,
        }
    }

    /// Compact JSON text.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number { text, .. } => out.push_str(text),
            Self::Text { raw, .. } => out.push_str(raw),
            Self::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { "," });
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { "," });
                    out.push_str(&name.raw);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// Equality as the operations see it: by value, key order aside, array order kept.
    pub fn equals(&self, other: &Self) -> bool {
        self.alike(
            other,
            &|text, _, other, _| Decimal::parse(text).equals(&Decimal::parse(other)),
            &|_, _| true,
        )
    }

    /// Equality as a reader of the bytes sees it, key order aside: every scalar as it was spelled. Where a value has
    /// two spellings and both were `seen` in the inputs, either may stand; a number that an increment made (on
    /// the side of `self`) is held to its value and the length of its fraction.
    pub fn reads_as(&self, actual: &Self, seen: &Spellings) -> bool {
        self.alike(
            actual,
            &|text, computed, actual, _| {
                if text == actual {
                    return true;
                }
                let (expected, found) = (Decimal::parse(text), Decimal::parse(actual));
                let plain = !expected.has_exponent() && !found.has_exponent();
                let same_length = !plain || expected.fraction_digits() == found.fraction_digits();
                expected.equals(&found) && (computed && same_length || seen.both(text, actual))
            },
            &|raw, actual| raw == actual || seen.both(raw, actual),
        )
    }

    /// True where the members of every object outside arrays come in the same order.
    pub fn ordered_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Object(mine), Self::Object(theirs)) => {
                mine.len() == theirs.len()
                    && mine.iter().zip(theirs).all(|((name, value), (other_name, other_value))| {
                        name.decoded == other_name.decoded && value.ordered_as(other_value)
                    })
            }
            _ => true,
        }
    }

    fn alike(
        &self,
        other: &Self,
        numbers: &impl Fn(&str, bool, &str, bool) -> bool,
        spellings: &impl Fn(&str, &str) -> bool,
    ) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(mine), Self::Bool(theirs)) => mine == theirs,
            (Self::Number { text, computed }, Self::Number { text: other, computed: also }) => {
                numbers(text, *computed, other, *also)
            }
            (Self::Text { raw, decoded }, Self::Text { raw: other, decoded: theirs }) => {
                decoded == theirs && spellings(raw, other)
            }
            (Self::Array(mine), Self::Array(theirs)) => {
                mine.len() == theirs.len()
                    && mine.iter().zip(theirs).all(|(a, b)| a.alike(b, numbers, spellings))
            }
            (Self::Object(mine), Self::Object(theirs)) => {
                mine.len() == theirs.len()
                    && mine.iter().all(|(name, value)| {
                        find(theirs, &name.decoded)
                            .is_some_and(|at| value.alike(&theirs[at].1, numbers, spellings))
                    })
            }
            _ => false,
        }
    }
}

/// Where a name stands among the members.
pub fn find(members: &Members, name: &[u8]) -> Option<usize> {
    members.iter().position(|(candidate, _)| candidate.decoded == name)
}

/// Every spelling of a scalar met in the inputs of a test.
#[derive(Debug, Default)]
pub struct Spellings(HashSet<String>);

impl Spellings {
    pub fn add(&mut self, tree: &Tree) {
        match tree {
            Tree::Number { text, .. } => drop(self.0.insert(text.clone())),
            Tree::Text { raw, .. } => drop(self.0.insert(raw.clone())),
            Tree::Array(items) => items.iter().for_each(|item| self.add(item)),
            Tree::Object(members) => members.iter().for_each(|(_, value)| self.add(value)),
            Tree::Null | Tree::Bool(_) => {}
        }
    }

    fn both(&self, first: &str, second: &str) -> bool {
        self.0.contains(first) && self.0.contains(second)
    }
}

/// The bytes a JSON string stands for.
pub fn decode(raw: &str) -> Decoded {
    serde_json::from_str::<DecodedText>(raw).unwrap_or_else(|error| panic!("{error} in {raw}")).0
}

/// The members of one object as raw text, in order; two equal names are a mistake of the writer and panic here.
pub fn raw_members(raw: &str) -> Vec<(Name, &str)> {
    let mut reader = serde_json::Deserializer::from_str(raw);
    let pairs = reader.deserialize_map(RawMembers).unwrap_or_else(|error| panic!("{error} in {raw}"));
    let mut names = HashSet::new();
    for (name, _) in &pairs {
        assert!(names.insert(name.clone()), "two members of one name in {raw}");
    }
    pairs.into_iter().map(|(decoded, value)| (Name { raw: spell(&decoded, raw), decoded }, value)).collect()
}

/// A spelling of a name: the text itself where it needs no escape, else escapes throughout.
fn spell(decoded: &[u8], raw: &str) -> String {
    match std::str::from_utf8(decoded) {
        Ok(name) => serde_json::to_string(name).unwrap(),
        // A lone surrogate has no text of its own: only escapes can spell it, so it stands somewhere in `raw`.
        Err(_) => raw
            .match_indices('"')
            .filter_map(|(at, _)| {
                serde_json::Deserializer::from_str(&raw[at..]).into_iter::<&RawValue>().next()
            })
            .filter_map(Result::ok)
            .map(RawValue::get)
            .find(|text| text.starts_with('"') && decode(text) == decoded)
            .unwrap()
            .to_owned(),
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct DecodedText(Decoded);

impl<'de> Deserialize<'de> for DecodedText {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = DecodedText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<DecodedText, E> {
                Ok(DecodedText(bytes.to_vec()))
            }
        }
        reader.deserialize_bytes(Bytes)
    }
}

struct RawMembers;

impl<'de> Visitor<'de> for RawMembers {
    type Value = Vec<(Decoded, &'de str)>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(DecodedText(name)) = map.next_key()? {
            pairs.push((name, map.next_value::<&RawValue>()?.get()));
        }
        Ok(pairs)
    }
}
