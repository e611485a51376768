//! The quick paths take what is common, and never what the careful ones would not.

use super::super::twins::{Taken, document, update};
use proptest::prelude::*;

fn taken(text: &str) -> (Taken, Taken) {
    let unwrap = |taken: Result<Taken, String>| taken.unwrap_or_else(|problem| panic!("{text}: {problem}"));
    (unwrap(document(text.as_bytes())), unwrap(update(text.as_bytes())))
}

#[test]
fn common_texts_are_taken_in_one_pass() {
    let long = "water wheel ".repeat(200);
    let wide: Vec<String> =
        (0..120).map(|index| format!("\"{}{index}\":1", "x".repeat(index % 20))).collect();
    for body in [
        r#"{"doc":{"price":123,"stock":4,"state":"sold"},"doc_as_upsert":true}"#,
        r#" { "doc" : { "a" : { "b" : [ 1 , { "c" : null } ] , "d" : {} } } , "detect_noop" : false } "#,
        r#"{"inc":{"views":1}}"#,
        r#"{"inc":{"stats":{"views":-12.50,"long_name_of_a_counter":12345678901234}},"upsert":{"views":0}}"#,
        r#"{"upsert":{},"doc":{},"detect_noop":true,"doc_as_upsert":true}"#,
        r#"{"doc":{"last":{"dest":"IAH"}},"inc":{"n":1},"union":{"airports":["EWR","IAH",3,true]},"max":{"worst":11}}"#,
        r#"{"remove":{"old":{"x":true}},"append":{"log":[ "a", {"b":[]} ],"one":2},"min":{"first":"2013-01-01"}}"#,
        r#"{"union":{"equal":[1,1],"spaced":[1, 2 ,"x"],"many":[1,2,3,4,5,6,7,8,9]},"subtract":{"tags":["x"],"more":null},"append":{"none":[],"one":"y"}}"#,
        r#"{"doc":{"a":{"b":1},"d":{}},"inc":{"e":1,"a":{"c":1}},"max":{"a":{"b2":{"c":1}},"e2":2},"remove":{"d":{"x":true}}}"#,
        r#"{"doc":{"é":"日本語","escaped":"a\n\"b\"\\ \ud83d\ude00"}}"#,
        &format!(
            r#"{{"doc":{{"text":"{long}","in":{{"text":"{long}","in":{{"text":"{long}"}}}}}},"upsert":{{"a":"{long}"}}}}"#
        ),
        &format!(r#"{{"doc":{}1{}}}"#, r#"{"level":"#.repeat(30), "}".repeat(30)),
        &format!(r#"{{"doc":{{{}}}}}"#, wide.join(",")),
    ] {
        assert_eq!(taken(body), (Taken::Quickly, Taken::Quickly), "{body}");
    }
}

#[test]
fn what_is_rare_is_left_to_the_careful_path() {
    let names: Vec<String> = (0..300).map(|index| format!("\"n{index}\":1")).collect();
    for document in [
        r#"{"\u0061":1}"#,
        &format!("{{{}}}", names.join(",")),
        &format!("{}1{}", r#"{"a":"#.repeat(40), "}".repeat(40)),
    ] {
        assert_eq!(taken(document).0, Taken::Carefully, "{document}");
        assert_eq!(taken(&format!("{{\"doc\":{document}}}")).1, Taken::Carefully, "{document}");
    }
    for body in
        [r#"{"set":[[["a"],1]]}"#, r#"{"doc":{"a":1},"then":[{"inc":{"a":1}}]}"#, r#"{"inc":{"a":1e3}}"#]
    {
        assert_eq!(taken(body).1, Taken::Carefully, "{body}");
    }
}

#[test]
fn what_the_careful_path_refuses_is_refused() {
    for body in [
        r#"{"doc":{"a":1},"upsert":{"b":1,"c":2},"inc":{"a":1}}"#,
        r#"{"doc":{"a":1},"doc":{"b":1}}"#,
        r#"{"doc":{"a":{"b":1}},"inc":{"a":{"b":1}}}"#,
        r#"{"doc":{"a":{"b":1}},"max":{"c":1},"inc":{"a":1}}"#,
        r#"{"doc":{"a":{"long_enough_name":1,"long_enough_name":2}}}"#,
        r#"{"doc":{"a":1},"script":"x"}"#,
        r#"{"doc":[]}"#,
        r#"{"doc":{}} {}"#,
        r#"{"inc":{"a":{}}}"#,
        r#"{"inc":{"a":"1"}}"#,
        r#"{"inc":{"a":12345678901234567890123456789}}"#,
        r#"{"remove":{"a":false}}"#,
        r#"{"max":{"a":[1]}}"#,
        r#"{"doc_as_upsert":true}"#,
        r#"{"doc":{},"doc_as_upsert":null}"#,
        r#"{"doc":{},"upsert":[]}"#,
        "{}",
        "",
    ] {
        assert_eq!(taken(body).1, Taken::Refused, "{body}");
    }
    for text in [
        "{\"a\":\"\u{1f}\"}",
        r#"{"a":"\x"}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":tru}"#,
        r#"{"a":1,}"#,
        "{\"a\":1}\0",
    ] {
        assert_eq!(taken(text).0, Taken::Refused, "{text}");
    }
    for text in [&b"{\"a\":\"\xff\"}"[..], b"{\"a\xc3\":1}", b"{\"a\":\"\xe3\x81\"}", b"{\xff\"a\":1}"] {
        assert_eq!(document(text), Ok(Taken::Refused));
    }
}

/// Pieces of bodies, sound and not.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", " ", "{\"doc\":{", "\"inc\":{", "\"union\":{", "\"remove\":{", "\"upsert\":{",
            "\"doc_as_upsert\":true", "\"detect_noop\":false", "\"a\":", "\"b\":", "\"name_of_a_field\":", "\"\\u0061\":", "1",
            "-0", "0.5", "12345678", "123456789.25", "1e5", "true", "false", "null", "\"x\"", "\"a longer string\"", "\"é\"",
            "\"\\n\"", "}}", "},", "\"a\":1,", "\"c\":{}", "\"d\":[1,2]", "\n", "\u{1}", "\"", "\\",
        ]).prop_map(str::to_owned),
        1 => "[ -~]{0,12}",
        1 => "\"[ -~é日]{0,70}\"",
    ]
}

/// Bodies, nearly sound.
fn near_body() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        6 => prop::sample::select(vec![
            "1", "-1.50", "0", "true", "null", "\"x\"", "\"2013-01-01T10:15:00Z\"", "[]", "[1,\"x\"]", "[1,1.0,1]", "{}", "{\"a\":2}",
            "{\"a\":{\"b\":3},\"c\":[{}]}", "1e2", "123456789012345678901234567890", " 7 ", "[ 1 ]", "\"\\\\\"",
        ]).prop_map(str::to_owned),
        1 => "\"[a-zé]{0,150}\"",
    ];
    let name = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "price_of_it",
        "price_of_us",
        "",
        "é",
        "\\n",
        "seven77",
        "eight888",
    ]);
    let members = prop::collection::vec((name, value), 0..5).prop_map(|members| {
        members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect::<Vec<_>>().join(",")
    });
    let key = prop::sample::select(vec![
        "doc", "inc", "union", "append", "subtract", "min", "max", "remove", "upsert", "set", "other",
    ]);
    (prop::collection::vec((key, members), 1..4), 0..4, any::<(prop::sample::Index, u8)>(), 0..8).prop_map(
        |(sections, rest, (place, byte), damage)| {
            let mut keys: Vec<String> =
                sections.iter().map(|(key, members)| format!("\"{key}\":{{{members}}}")).collect();
            keys.extend((rest == 0).then(|| "\"doc_as_upsert\":true".to_owned()));
            let mut body = format!("{{{}}}", keys.join(","));
            let place = place.index(body.len());
            if damage == 0 && body.is_char_boundary(place) {
                body.insert(place, char::from(byte & 0x7F));
            }
            body
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn the_quick_and_the_careful_path_agree_on_anything(pieces in prop::collection::vec(piece(), 0..20)) {
        taken(&pieces.concat());
        taken(&format!("{{\"doc\":{{{}}}}}", pieces.concat()));
    }

    #[test]
    fn the_quick_and_the_careful_path_agree_on_bodies(body in near_body()) {
        taken(&body);
    }
}
