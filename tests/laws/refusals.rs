//! What is refused, at once and by name: bad JSON, equal names, depth, scripts, one path touched twice.

use crate::support::action::OwnedAction;
use crate::support::model::Tree;
use crate::support::trial::Trial;
use millpond::{Action, Error, ErrorKind, NetOperation};

#[track_caller]
fn refused(body: &str) -> Error {
    NetOperation::new(Action::Update(body.as_bytes())).expect_err(body)
}

/// Refused alike as a document of an index and a create.
#[track_caller]
fn refused_document(text: &[u8]) -> Error {
    let shown = String::from_utf8_lossy(text);
    let create = NetOperation::new(Action::Create(text)).expect_err(&shown);
    let index = NetOperation::new(Action::Index(text)).expect_err(&shown);
    assert_eq!((create.kind(), create.offset()), (index.kind(), index.offset()), "{shown}");
    index
}

#[test]
fn equal_names_in_one_object_are_refused_however_they_are_spelled() {
    for document in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"x":{"a":1,"b":2,"\u0061":{}}}"#,
        r#"{"x":[1,{"\ud83d\ude00":1,"😀":2}]}"#,
        r#"{"\ud800":1,"\uD800":2}"#,
        r#"{"":1,"":2}"#,
        r#"{"/":1,"\/":2}"#,
    ] {
        let error = refused_document(document.as_bytes());
        assert_eq!(error.kind(), ErrorKind::Invalid, "{document}: {error}");
        assert!(error.offset().is_some(), "{document}: {error}");
        refused(&format!(r#"{{"doc":{document}}}"#));
        refused(&format!(r#"{{"doc":{{}},"upsert":{document}}}"#));
        refused(&format!(r#"{{"set":[[["a"],{document}]]}}"#));
        refused(&format!(r#"{{"append":{{"a":[{document}]}}}}"#));
    }
    let error = refused_document(br#"{"name":1,"n\u0061me":2}"#);
    assert!(error.to_string().contains("name"), "{error}");
    refused(r#"{"doc":{},"doc":{}}"#);
    refused(r#"{"inc":{"a":1},"inc":{"b":1}}"#);
    // The same name in two objects is no duplicate.
    assert!(NetOperation::new(Action::Index(br#"{"a":{"a":[{"a":1},{"a":1}]},"b":{"a":1}}"#)).is_ok());
}

#[test]
fn many_names_with_one_equal_pair_are_refused() {
    let mut members: Vec<_> = (0..300).map(|at| format!(r#""field-{at}":{at}"#)).collect();
    let good = format!("{{{}}}", members.join(","));
    assert!(NetOperation::new(Action::Index(good.as_bytes())).is_ok());
    members.push(r#""fi\u0065ld-7":0"#.into());
    let error = refused_document(format!("{{{}}}", members.join(",")).as_bytes());
    assert!(error.to_string().contains("field-7") || error.to_string().contains(r"fi\u0065ld-7"), "{error}");
}

#[test]
fn text_that_is_not_one_json_object_is_refused_with_its_place() {
    // The place may be where the fault is or where the text around it began, but not beyond it.
    for (text, places) in [
        (&br#"{"a":1"#[..], 6..=6),
        (br#"{"a":}"#, 5..=5),
        (br#"{"a" 1}"#, 5..=5),
        (br#"{"a":1,}"#, 7..=7),
        (br#"{"a":01}"#, 5..=6),
        (br#"{"a":1.}"#, 5..=7),
        (br#"{"a":+1}"#, 5..=5),
        (br#"{"a":.5}"#, 5..=5),
        (br#"{"a":1e}"#, 5..=7),
        (br#"{"a":-}"#, 5..=6),
        (br#"{"a":tru}"#, 5..=8),
        (br#"{"a":NaN}"#, 5..=5),
        (br"{'a':1}", 1..=1),
        (br#"{"a":1}x"#, 7..=7),
        (br#"{"a":1}{}"#, 7..=7),
        (br#"{"a":"\x"}"#, 5..=8),
        (br#"{"a":"\u12g4"}"#, 5..=11),
        (b"{\"a\":\"\n\"}", 5..=6),
        (b"{\"a\":\"\0\"}", 5..=6),
        (b"{\"a\":\"\xff\"}", 5..=6),
        (b"{\"a\":\"\xed\xa0\x80\"}", 5..=7),
        (b"{\"a\":\"\xc0\xaf\"}", 5..=7),
        (br#"{"a":[1,2}"#, 9..=9),
        (br#"{"a":[1 2]}"#, 8..=8),
        (br#"{"a":{"b":1]}"#, 11..=11),
        (b"", 0..=0),
        (b"   ", 0..=3),
        (b"[1]", 0..=0),
        (b"1", 0..=0),
        (b"null", 0..=0),
        (b"\xef\xbb\xbf{}", 0..=0),
        (b"{", 1..=1),
    ] {
        let error = refused_document(text);
        let shown = String::from_utf8_lossy(text);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{shown}: {error}");
        let offset = error.offset().unwrap_or_else(|| panic!("{shown}: {error} has no place"));
        assert!(places.contains(&offset), "{shown}: {error}, expected within {places:?}");
    }
}

#[test]
fn a_place_in_a_body_is_counted_from_the_start_of_the_body() {
    let error = refused(r#"{"doc":{"a":1},"upsert":{"b":nul}}"#);
    assert!((29..=32).contains(&error.offset().unwrap()), "{error}");
    let error = refused(r#"{"inc":{"a":1},"union":{"b":[1,,]}}"#);
    assert_eq!(error.offset(), Some(31), "{error}");
}

#[test]
fn blanks_around_a_document_are_no_fault() {
    let net = NetOperation::new(Action::Index(b" \t\r\n{ \"a\" : 1 } \n")).unwrap();
    let document = net.apply(None).document.unwrap();
    assert!(Tree::parse(&document).equals(&Tree::parse(br#"{"a":1}"#)));
}

/// A document of so many objects, one in another.
fn nested(depth: usize) -> String {
    format!("{}{}{}", r#"{"a":"#.repeat(depth - 1), "{}", "}".repeat(depth - 1))
}

#[test]
fn depth_1000_is_taken_and_1001_is_refused() {
    let deep = nested(1_000);
    let lists = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1));
    for text in [&deep, &lists(1_000)] {
        Trial::new(None, &[OwnedAction::Index(text.clone())]).obeys_every_law();
        Trial::new(None, &[OwnedAction::Create(text.clone()), OwnedAction::Delete]).obeys_every_law();
    }
    for text in [nested(1_001), lists(1_001), nested(200_000), lists(200_000)] {
        let error = refused_document(text.as_bytes());
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("1000") || error.to_string().contains("1,000"), "{error}");
        assert!(error.offset().is_some());
    }
    refused_document("[".repeat(200_000).as_bytes());
    refused_document(r#"{"a":"#.repeat(200_000).as_bytes());
}

#[test]
fn a_partial_document_of_depth_1000_is_taken_and_1001_is_refused() {
    let body = |depth: usize| format!(r#"{{"doc":{}}}"#, nested(depth));
    let chain =
        [OwnedAction::Update(body(1_000)), OwnedAction::Update(r#"{"doc":{"a":{"a":{"b":1}}}}"#.into())];
    for base in [None, Some("{}"), Some(r#"{"a":{"a":[1]}}"#), Some(nested(1_000).as_str())] {
        Trial::new(base, &chain).obeys_every_law();
    }
    assert_eq!(refused(&body(1_001)).kind(), ErrorKind::TooLarge);
    assert_eq!(refused(&body(100_000)).kind(), ErrorKind::TooLarge);
    let remove = format!(r#"{{"remove":{}true{}}}"#, r#"{"a":"#.repeat(999), "}".repeat(999));
    let chain = [OwnedAction::Update(remove), OwnedAction::Update(r#"{"inc":{"b":1}}"#.into())];
    Trial::new(Some(&nested(999)), &chain).obeys_every_law();
}

#[test]
fn no_part_of_a_body_reaches_deeper_than_a_document_may() {
    let (open, close) = (r#"{"a":"#.repeat(600), "}".repeat(600));
    let lists = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let path = vec![r#""a""#; 600].join(",");
    for (part, taken) in [
        (format!(r#""append":{open}{}{close}"#, lists(400)), true),
        (format!(r#""append":{open}{}{close}"#, lists(401)), false),
        (format!(r#""set":[[[{path}],{}]]"#, lists(400)), true),
        (format!(r#""set":[[[{path}],{}]]"#, lists(401)), false),
        (format!(r#""set":[[[{}],1]]"#, vec![r#""a""#; 1_001].join(",")), false),
        (format!(r#""doc":{{}},"upsert":{}"#, nested(1_000)), true),
        (format!(r#""doc":{{}},"upsert":{}"#, nested(1_001)), false),
    ] {
        for body in [format!("{{{part}}}"), format!(r#"{{"doc":{{"b":1}},"then":[{{{part}}}]}}"#)] {
            if part.contains("upsert") && body.contains("then") {
                continue;
            }
            match NetOperation::new(Action::Update(body.as_bytes())) {
                Ok(_) => assert!(taken, "{body}"),
                Err(error) => {
                    assert_eq!((taken, error.kind()), (false, ErrorKind::TooLarge), "{error}: {body}");
                }
            }
        }
    }
}

#[test]
fn a_list_made_around_the_deepest_object_can_still_be_changed() {
    let path = |operand: &str, part: &str| {
        OwnedAction::Update(format!(r#"{{"{part}":{}{operand}{}}}"#, r#"{"a":"#.repeat(999), "}".repeat(999)))
    };
    let chain = [path("1", "append"), path("2", "append"), path("true", "remove")];
    Trial::new(Some(&nested(1_000)), &chain[..2]).obeys_every_law();
    Trial::new(Some(&nested(1_000)), &chain).obeys_every_law();
    let create = OwnedAction::Create(nested(1_000));
    Trial::new(None, &[create, chain[0].clone(), chain[1].clone()]).obeys_every_law();
}

#[test]
fn a_fold_of_the_deepest_is_still_written_and_read_back() {
    // The document alone is as deep as a document may be; as the upsert of a body it lies one level deeper.
    let create = OwnedAction::Create(nested(1_000));
    let chain = [
        create,
        OwnedAction::Update(r#"{"inc":{"n":1}}"#.into()),
        OwnedAction::Update(r#"{"append":{"n":1}}"#.into()),
    ];
    Trial::new(None, &chain).obeys_every_law();
    Trial::new(Some("{}"), &chain).obeys_every_law();
    // A doc level over nothing, kept as a value to set once the field below it was removed.
    let deep = format!(r#"{{"doc":{}}}"#, nested(999));
    let chain = [
        OwnedAction::Update(r#"{"remove":{"a":true}}"#.into()),
        OwnedAction::Update(deep),
        OwnedAction::Update(r#"{"append":{"a":1}}"#.into()),
    ];
    Trial::new(Some("{}"), &chain).obeys_every_law();
}

#[test]
fn a_script_is_refused_and_the_field_operations_are_named() {
    for body in
        [r#"{"script":"ctx._source.n++"}"#, r#"{"script":{"source":"ctx._source.n++"},"upsert":{"n":1}}"#]
    {
        let error = refused(body);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        for name in ["script", "inc", "append", "union", "subtract", "min", "max", "remove", "set"] {
            assert!(error.to_string().contains(name), "{name} is not named: {error}");
        }
    }
}

#[test]
fn one_path_touched_twice_is_refused_and_the_path_is_named() {
    for (body, path) in [
        (r#"{"doc":{"total":1},"inc":{"total":1}}"#, &["total"][..]),
        (r#"{"inc":{"stats":{"total":1}},"max":{"stats":{"total":1}}}"#, &["stats", "total"]),
        (r#"{"doc":{"stats":1},"inc":{"stats":{"total":1}}}"#, &["stats"]),
        (r#"{"doc":{"stats":{"total":1}},"remove":{"stats":true}}"#, &["stats"]),
        (r#"{"set":[[["stats","total"],1],[["stats","total"],2]]}"#, &["stats", "total"]),
        (r#"{"set":[[["stats"],1],[["stats","total"],2]]}"#, &["stats"]),
        (r#"{"set":[[["total"],1]],"append":{"total":1}}"#, &["total"]),
        (r#"{"union":{"total":[1]},"append":{"t\u006ftal":1}}"#, &["total"]),
        (r#"{"inc":{"other":1},"then":[{"min":{"total":1},"max":{"total":2}}]}"#, &["total"]),
    ] {
        let error = refused(body);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{body}: {error}");
        assert!(path.iter().all(|name| error.to_string().contains(name)), "{body}: {error}");
    }
    // Two parts that share a level and no end touch nothing twice, and `then` is another body.
    for body in [
        r#"{"doc":{"stats":{"name":"x"}},"inc":{"stats":{"total":1}},"remove":{"stats":{"old":true}}}"#,
        r#"{"inc":{"total":1},"then":[{"inc":{"total":1}},{"remove":{"total":true}}]}"#,
        r#"{"doc":{"stats":{}},"remove":{"stats":{"old":true}}}"#,
        r#"{"doc":{"a.b":1},"inc":{"a":{"b":1}}}"#,
    ] {
        let chain = [OwnedAction::Update(body.into()), OwnedAction::Update(body.into())];
        Trial::new(Some(r#"{"stats":{"total":1,"old":2},"total":1}"#), &chain).obeys_every_law();
    }
}

#[test]
fn a_body_that_says_nothing_known_is_refused() {
    for body in [
        r#"{"dco":{}}"#,
        r#"{"doc":1}"#,
        r#"{"doc":{},"upsert":[]}"#,
        r#"{"doc":{},"doc_as_upsert":1}"#,
        r#"{"doc":{},"detect_noop":"x"}"#,
        r#"{"inc":[1]}"#,
        r#"{"set":{"a":1}}"#,
        r#"{"set":[["a",1]]}"#,
        r#"{"set":[[["a"]]]}"#,
        r#"{"set":[[[1],1]]}"#,
        r#"{"then":{}}"#,
        r#"{"then":[1]}"#,
        r#"{"doc":{},"then":[{"script":"x"}]}"#,
    ] {
        assert_eq!(refused(body).kind(), ErrorKind::Invalid, "{body}");
    }
}
