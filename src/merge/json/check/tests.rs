//! Tests of the iterative check: what is taken, what is refused, and where.

use super::*;

const BOUNDS: Bounds = Bounds { bytes: 1 << 20, depth: 5, number_bytes: 20 };

fn refused(text: &[u8]) -> Error {
    check(text, BOUNDS).expect_err(&String::from_utf8_lossy(text))
}

#[test]
fn what_serde_json_takes_is_taken_and_what_it_refuses_is_refused() {
    for text in [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "10.5e+3",
        "1E-9",
        "\"\"",
        r#""\u00e9\n\/""#,
        "[]",
        "[ 1 , [] ]",
        "{}",
        r#"{"a":{"b":[{}]}}"#,
        " {\t\"a\"\r\n: 1 } ",
    ] {
        check(text.as_bytes(), BOUNDS).unwrap_or_else(|error| panic!("{text}: {error}"));
        serde_json::from_str::<serde_json::Value>(text).unwrap();
    }
    for text in [
        "",
        " ",
        "nul",
        "tru",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "\"",
        "\"\\\"",
        r#""\x""#,
        r#""\u12g4""#,
        "\"\n\"",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "]",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\" 1}",
        "{,}",
        "{1:1}",
        "1 2",
        "{}{}",
        "[1}",
        "{\"a\":1]",
        "NaN",
        "'a'",
        "[1 2]",
    ] {
        assert!(refused(text.as_bytes()).is_bad_input(), "{text}");
        assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "{text}");
    }
}

#[test]
fn an_error_says_what_and_where() {
    assert_eq!(refused(b"{\"a\" 1}").to_string(), "expected a colon, found '1' (at byte 5)");
    assert_eq!(refused(b"[1,").to_string(), "expected a value, found the end (at byte 3)");
    assert_eq!(refused(b"\"\xff\"").offset(), Some(1));
    assert_eq!(refused(b"\xEF\xBB\xBF{}").to_string(), "the text starts with a byte order mark (at byte 0)");
    assert_eq!(check_object(b" []", BOUNDS).unwrap_err().offset(), Some(1));
}

#[test]
fn a_name_that_stands_twice_is_refused_however_it_is_spelled() {
    let error = refused(br#"{"a":1,"\u0061":2}"#);
    assert_eq!(error.to_string(), "the field name \"\\u0061\" stands twice in one object (at byte 7)");
    assert!(refused(br#"{"x":[{"b":1,"b":2}]}"#).is_bad_input());
    assert!(check(br#"{"x":{"x":{"x":1}},"y":[{"x":1},{"x":1}]}"#, BOUNDS).is_ok());
    for width in [2, 16, 17, 18, 40, 1_000] {
        let names: Vec<String> = (0..width).map(|index| format!("\"n{index}\":1")).collect();
        let wide = format!("{{{}}}", names.join(","));
        assert!(check(wide.as_bytes(), BOUNDS).is_ok());
        for repeated in [0, width / 2, width - 1] {
            let twice = format!("{{{},\"\\u006E{repeated}\":1}}", names.join(","));
            assert!(refused(twice.as_bytes()).to_string().contains("twice"), "{width} {repeated}");
        }
    }
}

#[test]
fn limits_are_named_with_both_numbers_where_there_are_two() {
    let error = refused(b"[[[[[[]]]]]]");
    assert_eq!((error.kind(), error.offset()), (ErrorKind::TooLarge, Some(5)));
    assert!(check(b"[[[[[]]]]]", BOUNDS).is_ok());
    let error = refused(b"[123456789012345678901]");
    assert_eq!(error.to_string(), "a number has 21 bytes, and at most 20 are taken (at byte 1)");
    let error = refused(&vec![b' '; (1 << 20) + 1]);
    assert_eq!(error.to_string(), "the body has 1048577 bytes, and at most 1048576 are taken");
}
