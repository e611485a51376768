//! Tests of the action line parser.

use super::*;

fn refused(line: &str) -> (usize, String, Option<Verb>) {
    match ActionLine::read(line.as_bytes()) {
        Ok(line) => panic!("accepted as {line:?}"),
        Err(bad) => (bad.offset, bad.message, bad.verb),
    }
}

#[test]
fn every_verb_and_every_field_is_read() {
    let line =
        ActionLine::read(br#"{"update":{"_index":"aircraft","_id":"N14228","routing":"UA"}}"#).unwrap();
    assert_eq!(line.verb, Verb::Update);
    assert_eq!(line.index.as_deref(), Some("aircraft"));
    assert_eq!(line.id.as_deref(), Some("N14228"));
    assert_eq!(line.routing.as_deref(), Some("UA"));
    for (text, verb) in [
        (r#"{"index":{}}"#, Verb::Index),
        (" { \"create\" : { \"_id\" : \"1\" } } \r\n", Verb::Create),
        (r#"{"delete":{"_id":"1"}}"#, Verb::Delete),
    ] {
        assert_eq!(ActionLine::read(text.as_bytes()).unwrap().verb, verb);
    }
}

#[test]
fn names_borrow_unless_they_have_an_escape() {
    let line =
        ActionLine::read(r#"{"index":{"_index":"é","_id":"\u00e9\n\ud83d\ude00"}}"#.as_bytes()).unwrap();
    assert!(matches!(line.index, Some(Cow::Borrowed("é"))));
    assert_eq!(line.id.as_deref(), Some("é\n😀"));
}

#[test]
fn an_integer_stands_for_its_digits_and_null_for_nothing() {
    let line = ActionLine::read(br#"{"index":{"_index":null,"_id":-12,"routing":0}}"#).unwrap();
    assert_eq!((line.index, line.id.as_deref(), line.routing.as_deref()), (None, Some("-12"), Some("0")));
    for value in ["01", "1.5", "1e3", "true", "-", "+1", "[]", "{}", ""] {
        let (offset, message, verb) = refused(&format!(r#"{{"index":{{"_id":{value}}}}}"#));
        assert_eq!(
            (offset, message.as_str(), verb),
            (16, "_id must be a string", Some(Verb::Index)),
            "{value}"
        );
    }
}

#[test]
fn a_refusal_has_the_place_the_reason_and_the_verb_where_it_was_clear() {
    let (offset, message, verb) = refused(r#"{"update":{"_id":"1","version":3}}"#);
    assert_eq!((offset, verb), (21, Some(Verb::Update)));
    assert_eq!(message, r#"metadata field "version" is not supported: _index, _id and routing are known"#);

    let (offset, message, verb) = refused(r#"{"upsert":{"_id":"1"}}"#);
    assert_eq!((offset, verb), (1, None));
    assert_eq!(message, r#"unknown action "upsert": index, create, update and delete are known"#);

    for (line, at, part, verb) in [
        ("", 0, "an action line is an object", None),
        ("[]", 0, "an action line is an object", None),
        ("{}", 1, "expected the action", None),
        (r#"{"index"}"#, 8, "colon", None),
        (r#"{"index":[]}"#, 9, "an object", None),
        (r#"{"index":{"_id":"1","_id":"2"}}"#, 20, "_id is given twice", Some(Verb::Index)),
        (r#"{"index":{"_id":"1",}}"#, 20, "expected a metadata field", Some(Verb::Index)),
        (r#"{"index":{"_id":"1""#, 19, "comma or }", Some(Verb::Index)),
        (r#"{"index":{"_id":"1"},"a":1}"#, 20, "one action", Some(Verb::Index)),
        (r#"{"index":{"_id":"1"}}x"#, 21, "nothing may follow", Some(Verb::Index)),
        (r#"{"index":{"_id":"1}}"#, 16, "does not end", Some(Verb::Index)),
        (r#"{"index":{"_id":"\ud800"}}"#, 16, "not a JSON string", Some(Verb::Index)),
        ("{\"index\":{\"_id\":\"a\tb\"}}", 18, "control character", Some(Verb::Index)),
    ] {
        let (offset, message, found) = refused(line);
        assert_eq!((offset, found), (at, verb), "{line}: {message}");
        assert!(message.contains(part), "{line}: {message}");
    }
}

/// Lines of the plain form, and lines that are nearly of it.
fn near_plain(choices: [usize; 6]) -> Vec<u8> {
    let pick = |of: &[&'static str], at: usize| of.get(choices[at] % of.len()).copied().unwrap_or_default();
    let names = ["a", "", "N14228", "é", "a\\u0061", "\\\"", "\u{1}", "\u{7f}", "a,b}}", " "];
    let (index, id) = (pick(&names, 2), pick(&names, 3));
    let start = pick(
        &["{\"update\":{", "{\"index\":{", "{\"create\":{", "{\"delete\":{", "{\"updat\":{", "{ \"index\":{"],
        0,
    );
    let end = pick(&["}}", "}}\n", "}}\r\n", "}} \n", "}", "}}}", ",\"routing\":\"r\"}}", "}}\r"], 4);
    let names = match choices[1] % 6 {
        0 => format!("\"_id\":\"{id}\""),
        1 => format!("\"_index\":\"{index}\",\"_id\":\"{id}\""),
        2 => format!("\"_id\":\"{id}\",\"_index\":\"{index}\""),
        3 => format!("\"_index\":\"{index}\""),
        4 => format!("\"_index\":\"{index}\", \"_id\":\"{id}\""),
        _ => format!("\"_index\":\"{index}\",\"_id\":7"),
    };
    let mut line = format!("{start}{names}{end}").into_bytes();
    if choices[5].is_multiple_of(4) {
        let at = choices[5] / 4 % line.len();
        line[at] = 0xc3;
    }
    line
}

#[test]
fn what_is_read_as_a_plain_line_the_general_reader_reads_alike() {
    let mut random = rand_pcg::Lcg128Xsl64::new(4, 2);
    let mut plain_lines = 0;
    for _ in 0..20_000 {
        let line = near_plain([(); 6].map(|()| rand_pcg::rand_core::Rng::next_u32(&mut random) as usize));
        let Some(plain) = PlainLine::read(&line) else { continue };
        let read = ActionLine::read_any(&line).unwrap();
        assert_eq!(
            (read.verb, read.index.as_deref(), read.id.as_deref()),
            (plain.verb, plain.index, Some(plain.id))
        );
        assert_eq!(read.routing, None);
        plain_lines += 1;
    }
    assert!(plain_lines > 500, "{plain_lines}");
    let usual = br#"{"update":{"_index":"aircraft","_id":"N14228"}}"#;
    assert_eq!(PlainLine::read(usual).map(|line| line.id), Some("N14228"));
}

#[test]
fn bytes_that_are_not_utf8_are_refused_at_their_place() {
    let bad = ActionLine::read(b"{\"index\":{\"_id\":\"ab\xff\"}}").unwrap_err();
    assert_eq!((bad.offset, bad.message.as_str()), (19, "not UTF-8"));
}

#[test]
fn a_line_that_is_written_reads_back_equal() {
    for text in [
        r#"{"index":{}}"#,
        r#"{"delete":{"_index":"a","_id":"\"\\\u0000","routing":"é"}}"#,
        r#"{"create":{"routing":7}}"#,
    ] {
        let line = ActionLine::read(text.as_bytes()).unwrap();
        let mut written = Vec::new();
        line.write(&mut written);
        assert_eq!(ActionLine::read(&written).unwrap(), line);
    }
}

#[test]
fn cut_anywhere_a_line_is_refused_and_never_panics() {
    let text = r#"{"update":{"_index":"a\n","_id":12,"routing":null}}"#.as_bytes();
    for end in 0..text.len() {
        let bad = ActionLine::read(&text[..end]).unwrap_err();
        assert!(bad.offset <= end);
    }
}

#[test]
fn a_body_does_not_look_like_the_start_of_an_operation() {
    assert!(starts_operation(br#"{"delete":{"_id":"1"}}"#));
    assert!(starts_operation(br#"{"index":{"pipeline":"x"}}"#));
    for body in [r#"{"doc":{"a":1}}"#, r#"{"index":1}"#, r#"{"a":1}"#, "", "garbage"] {
        assert!(!starts_operation(body.as_bytes()), "{body}");
    }
}
