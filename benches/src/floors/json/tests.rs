//! Tests of the splitter against a parser that is not ours.

use super::*;
use crate::{
    random::Random,
    workload::{Keys, Mix, Plan, Workload},
};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::{collections::BTreeSet, fmt};

/// A value in which no object has a name twice: what `serde_json` reads, and this.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without a name twice")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
        while seq.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value::<Unique>()?;
            if !names.insert(name) {
                return Err(A::Error::custom("twice"));
            }
        }
        Ok(Unique)
    }
}

/// What `serde_json` takes, and numbers that are JSON though it has no room for them.
fn is_good(text: &[u8]) -> bool {
    let read = serde_json::from_slice::<Unique>(text);
    // Where it has no room for a number, it has not read what follows.
    let is_grammar = || serde_json::from_slice::<IgnoredAny>(text).is_ok();
    let is_large = |error: serde_json::Error| error.to_string().starts_with("number out of range");
    read.is_ok() || (read.is_err_and(is_large) && is_grammar())
}

#[track_caller]
fn agrees(text: &[u8]) {
    let split = Splitter::new().split(text);
    assert_eq!(split, is_good(text), "{}", String::from_utf8_lossy(text));
}

const GOOD: &str = r#"{} [] null true false "" 0 -0 -1.5e-3 1E+2 12345678901 [1,2,[3]] {"a":1,"b":{"a":1}}
    {"a":"\ud83d\ude00"} {"é":"水車"} {"long-name-one":1,"long-name-two":2} [{"x":{"b":1,"c":2}}] "\"\\\/\b\f\n\r\t""#;
const BAD: &str = r#"{ } [ ] [1,] [,1] {,} {"a"} {"a":} {"a":1,} {a:1} {"a"1} {}{} {}x 01 - +1 .5 1. 1.e3 1e 1e+ 0x1 tru
    truee nul NaN " "a "\" "\x" "\u12g4" "\u123" "\ud800" "\udc00" "\ud800\u0041" "\ud800x" {"a":1,"a":2} {"a":1,"\u0061":2}
    {"long-name-here":1,"long-name-here":2} {"":1,"":1} [{"x":{"b":1,"c":2,"b":3}}] {"a":1:2} [1:2] {"a",1}"#;

#[test]
fn good_and_bad_texts_are_told_apart_as_serde_json_does() {
    for (texts, good) in [(GOOD, true), (BAD, false)] {
        for text in texts.split_ascii_whitespace() {
            assert_eq!(is_good(text.as_bytes()), good, "{text}");
            agrees(text.as_bytes());
            agrees(format!(" [\t{text} , {text}\n]\r ").as_bytes());
            agrees(format!("{{\"k\" : {text} }}").as_bytes());
        }
    }
    for text in
        ["", " ", " { } ", "[1 2]", "\t{\"a\"\n:\r1 }", "\"a\nb\"", "\"\u{7f}\"", "\"\u{1}\"", "\u{a0}{}"]
    {
        agrees(text.as_bytes());
    }
    for text in [
        &b"\"\xff\""[..],
        b"\"\xc3\"",
        b"\"\xed\xa0\x80\"",
        b"\xff{}",
        b"{\"\xc3\xa9\":1}",
        b"\"\xf4\x90\x80\x80\"",
    ] {
        agrees(text);
    }
}

#[test]
fn a_stop_at_any_place_of_a_long_string_is_seen() {
    for length in 0..80_usize {
        for stop in ["", "\\n", "\\", "\n", "é", "\u{1f}", "\"", "\u{7f}"] {
            for behind in ["", "x", "a longer end of the string"] {
                agrees(format!("[\"{}{stop}{behind}\"]", "-".repeat(length)).as_bytes());
            }
        }
    }
}

#[test]
fn a_name_twice_among_many_is_seen() {
    for count in [1, 8, PRINTS - 1, PRINTS, PRINTS + 1, 300] {
        let names: Vec<String> = (0..count).map(|number| format!("\"a name, number {number}\":1")).collect();
        agrees(format!("{{{}}}", names.join(",")).as_bytes());
        for again in [0, count / 2, count - 1] {
            agrees(format!("{{{},\"a name, number {again}\":2}}", names.join(",")).as_bytes());
            agrees(format!("{{\"x\":1,{},\"\\u0061 name, number {again}\":2}}", names.join(",")).as_bytes());
        }
    }
}

/// Appends a value whose objects have names of a few, however spelled.
fn write_value(depth: usize, random: &mut Random, out: &mut String) {
    const SCALARS: [&str; 12] = [
        "1",
        "-0",
        "12.50",
        "1234567",
        "12345678",
        "1234567.25",
        "1e5",
        "true",
        "null",
        "\"active\"",
        "\"seven c\"",
        "\"eight ch \\u00e9\"",
    ];
    const NAMES: [&str; 12] = [
        "a",
        "\\u0061",
        "sevenab",
        "eightabc",
        "eightabd",
        "eightab",
        "a-name-of-two",
        "a-name-of-tw\\u006f",
        "é",
        "",
        "a-name-of-three-words",
        "a-name-of-three-wordz",
    ];
    const SPACES: [&str; 8] = ["", "", "", "", "", "", " ", "\n\t"];
    if depth == 0 || random.below(3) == 0 {
        out.push_str(random.pick(&SCALARS));
        return;
    }
    let (is_object, count) = (random.below(4) > 0, random.below(5));
    out.push(if is_object { '{' } else { '[' });
    for number in 0..count {
        out.push_str(if number > 0 { "," } else { "" });
        out.push_str(random.pick(&SPACES));
        if is_object {
            for part in ["\"", random.pick(&NAMES), "\"", random.pick(&SPACES), ":", random.pick(&SPACES)] {
                out.push_str(part);
            }
        }
        write_value(depth - 1, random, out);
        out.push_str(random.pick(&SPACES));
    }
    out.push(if is_object { '}' } else { ']' });
}

#[test]
fn a_name_twice_in_one_object_is_seen_at_every_level_and_in_two_objects_is_not() {
    let (mut random, mut good) = (Random::new(7), 0);
    for _ in 0..20_000 {
        let mut text = String::new();
        write_value(4, &mut random, &mut text);
        good += usize::from(is_good(text.as_bytes()));
        agrees(text.as_bytes());
    }
    assert!((4_000..16_000).contains(&good), "{good} were good");
}

#[test]
fn a_number_of_any_length_is_told_from_what_is_none() {
    let alphabet = b"0123456789.eE+-";
    let mut random = Random::new(8);
    for _ in 0..50_000 {
        let length = 1 + random.position(20);
        let mut digit = || {
            let choices = if random.below(3) == 0 { 15 } else { 10 };
            alphabet[random.position(choices)]
        };
        let number: Vec<u8> = (0..length).map(|_| digit()).collect();
        agrees(&number);
        agrees(&[b"[-", &*number, b",1]"].concat());
        agrees(&[b"{\"price\":", &*number, b",\"a longer name\":1}"].concat());
    }
}

#[test]
fn what_is_deeper_than_the_limit_is_refused() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(Splitter::new().split(nested(DEPTH_MAX).as_bytes()));
    assert!(!Splitter::new().split(nested(DEPTH_MAX + 2).as_bytes()));
    assert!(!Splitter::new().split("[".repeat(100_000).as_bytes()));
}

#[test]
fn bodies_with_a_byte_changed_are_told_apart_as_serde_json_does() {
    let plan = Plan { documents: 50, operations: 300, keys: Keys::Uniform, mix: Mix::Updates, seed: 3 };
    let (workload, mut random) = (Workload::new(&plan), Random::new(4));
    let alphabet = b"{}[]\":,\\ \x00\x1f\x7f\x80\xc3\xa9\xed019-+.eEtfnua";
    let mut bad = 0;
    for operation in workload.operations() {
        agrees(operation.body.as_bytes());
        for _ in 0..40 {
            let mut text = operation.body.as_bytes().to_vec();
            let at = random.position(text.len());
            match random.below(3) {
                0 => text[at] = alphabet[random.position(alphabet.len())],
                1 => text.insert(at, alphabet[random.position(alphabet.len())]),
                _ => drop(text.remove(at)),
            }
            bad += usize::from(!is_good(&text));
            agrees(&text);
        }
    }
    assert!(bad > 4_000, "only {bad} were bad");
}

#[test]
fn the_members_of_the_envelope_and_the_document_are_handed_out() {
    let text = br#"{"doc":{"a":1,"b":{"c":[2]}},"doc_as_upsert":true}"#;
    let mut splitter = Splitter::default();
    assert!(splitter.split(text));
    let show = |(name, value): (&[u8], &[u8])| {
        format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
    };
    let members: Vec<String> = splitter.members(text).map(show).collect();
    assert_eq!(members, ["a=1", r#"b={"c":[2]}"#, r#"doc={"a":1,"b":{"c":[2]}}"#, "doc_as_upsert=true"]);
}
