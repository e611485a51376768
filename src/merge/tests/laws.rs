//! The laws, on random operations over a small world: few names and values, so that paths meet often.

use super::super::json::equal::equal;
use super::super::text::write_body_in_rounds;
use super::super::{Length, NetRef, validate};
use crate::{Action, NetOperation};
use proptest::prelude::*;
use proptest::strategy::Union as OneOf;

/// How many cases each law gets; `PROPTEST_CASES` overrides it.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(4_000)
}

const SCALARS: [&str; 16] = [
    "null",
    "true",
    "1",
    "-0",
    "2.50",
    "1e2",
    "0.0",
    r#""x""#,
    r#""\u0078""#,
    r#""y""#,
    "[]",
    "[1]",
    "[1,1,\"x\"]",
    "[null,{}]",
    r#"[{"a":1}]"#,
    "[[]]",
];

fn name() -> impl Strategy<Value = &'static str> + Clone {
    prop::sample::select(vec!["a", "b", "\\u0061", "c"])
}

fn object(value: BoxedStrategy<String>) -> BoxedStrategy<String> {
    prop::collection::vec((prop::sample::select(vec!["a", "b", "c"]), value), 0..4)
        .prop_map(|members| {
            let mut seen = Vec::new();
            let mut text = Vec::new();
            for (name, value) in members {
                if !seen.contains(&name) {
                    seen.push(name);
                    text.push(format!("\"{name}\":{value}"));
                }
            }
            format!("{{{}}}", text.join(","))
        })
        .boxed()
}

fn document(depth: usize) -> BoxedStrategy<String> {
    let scalar = prop::sample::select(SCALARS.to_vec()).prop_map(str::to_owned).boxed();
    if depth == 0 {
        return object(scalar);
    }
    object(prop_oneof![scalar, document(depth - 1)].boxed())
}

fn path() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(name(), 1..4)
}

/// A section with one leaf.
fn section() -> BoxedStrategy<String> {
    let number = prop::sample::select(vec!["1", "-2", "0", "0.50", "1e1"]);
    let scalar = prop::sample::select(vec!["1", "3", "2.50", r#""x""#, r#""m""#]);
    let list = prop::sample::select(vec!["[]", "[1]", "\"x\"", "[1,1,\"y\"]", "[{\"a\":1},null]", "null"]);
    let tree = |key: &'static str, operand: BoxedStrategy<String>| {
        (path(), operand)
            .prop_map(move |(path, operand)| {
                let names = path.join("\":{\"");
                format!("\"{key}\":{{\"{names}\":{operand}{}", "}".repeat(path.len()))
            })
            .boxed()
    };
    let text = |strategy: prop::sample::Select<&'static str>| strategy.prop_map(str::to_owned).boxed();
    OneOf::new(vec![
        document(2).prop_map(|doc| format!("\"doc\":{doc}")).boxed(),
        (path(), prop_oneof![document(1), text(scalar.clone())])
            .prop_map(|(path, value)| format!("\"set\":[[[\"{}\"],{value}]]", path.join("\",\"")))
            .boxed(),
        tree("inc", text(number)),
        tree("append", text(list.clone())),
        tree("union", text(list.clone())),
        tree("subtract", text(list)),
        tree("min", text(scalar.clone())),
        tree("max", text(scalar)),
        tree("remove", Just("true".to_owned()).boxed()),
    ])
    .boxed()
}

fn update() -> BoxedStrategy<NetOperation> {
    (prop::collection::vec(section(), 1..3), prop::collection::vec(section(), 0..4), document(1), 0..6)
        .prop_map(|(sections, then, upsert, flags)| {
            let then =
                if then.is_empty() { String::new() } else { format!(",\"then\":[{{{}}}]", then.join("},{")) };
            let rest = match flags {
                0 => format!("{then},\"doc_as_upsert\":true"),
                1 => format!("{then},\"upsert\":{upsert}"),
                2 => format!("{then},\"detect_noop\":false"),
                _ => then,
            };
            let parse = |sections: &str| {
                NetOperation::new(Action::Update(format!("{{{sections}{rest}}}").as_bytes()))
            };
            // Two sections may touch one path: then the first is taken alone.
            parse(&sections.join(",")).unwrap_or_else(|_| parse(&sections[0]).unwrap())
        })
        .boxed()
}

fn operation() -> BoxedStrategy<NetOperation> {
    prop_oneof![
        12 => update(),
        1 => document(2).prop_map(|doc| NetOperation::new(Action::Index(doc.as_bytes())).unwrap()),
        1 => document(2).prop_map(|doc| NetOperation::new(Action::Create(doc.as_bytes())).unwrap()),
        1 => Just(NetOperation::new(Action::Delete).unwrap()),
    ]
    .boxed()
}

fn base() -> impl Strategy<Value = Option<String>> {
    prop_oneof![1 => Just(None), 6 => document(2).prop_map(Some)]
}

fn apply(net: &NetOperation, base: Option<&str>) -> Option<String> {
    let applied = net.apply(base.map(str::as_bytes));
    let document = applied.document.map(|document| String::from_utf8(document.to_vec()).unwrap());
    assert_eq!(document.is_some(), net.existence_after(base.is_some()));
    if let (Some(base), Some(document)) = (base, &document)
        && net.shape() == crate::Shape::Patch
    {
        assert_eq!(
            !applied.changed,
            equal(base.as_bytes(), document.as_bytes()),
            "{net:?} on {base}: {document}"
        );
        assert!(applied.changed || base == document, "what stays equal keeps its bytes");
    }
    document
}

fn same(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => equal(one.as_bytes(), other.as_bytes()),
        (None, None) => true,
        _ => false,
    }
}

/// The bytes keep their invariants, and the two writers and the count of the text agree.
fn sound(net: &NetOperation) {
    let (mut body, mut length) = (Vec::new(), Length::default());
    net.write_body(&mut body);
    net.as_net().write_body(&mut length);
    assert_eq!(length.0, body.len(), "{net:?}");
    if net.longest_run() <= 1 {
        let mut in_rounds = Vec::new();
        write_body_in_rounds(net.as_net(), &mut in_rounds);
        assert_eq!(String::from_utf8_lossy(&body), String::from_utf8_lossy(&in_rounds));
    }
    validate(net.as_net()).unwrap_or_else(|problem| panic!("{net:?}: {problem}"));
    validate(NetRef::from_bytes(net.as_net().as_bytes())).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn a_composition_applied_is_its_parts_applied_in_order(
        operations in prop::collection::vec(operation(), 1..6), base in base()
    ) {
        let mut folded = operations[0].clone();
        let mut expected = apply(&operations[0], base.as_deref());
        for operation in &operations[1..] {
            folded = folded.compose(operation);
            sound(&folded);
            expected = apply(operation, expected.as_deref());
        }
        let found = apply(&folded, base.as_deref());
        prop_assert!(same(found.as_deref(), expected.as_deref()), "{folded:?}: {found:?} and not {expected:?}");
    }

    #[test]
    fn folding_in_place_is_composing(
        operations in prop::collection::vec(operation(), 2..6), slack in prop_oneof![0..24_usize, Just(200)]
    ) {
        super::in_place::agree(&operations, slack);
    }

    #[test]
    fn folding_into_a_document_in_place_is_composing(
        first in document(2), operations in prop::collection::vec(update(), 1..6), slack in 0..24_usize
    ) {
        let first = NetOperation::new(Action::Index(first.as_bytes())).unwrap();
        super::in_place::agree(&[&[first], &operations[..]].concat(), slack);
    }

    #[test]
    fn composing_is_associative(a in operation(), b in operation(), c in operation(), base in base()) {
        let left = a.compose(&b).compose(&c);
        let right = a.compose(&b.compose(&c));
        sound(&right);
        let (one, other) = (apply(&left, base.as_deref()), apply(&right, base.as_deref()));
        prop_assert!(same(one.as_deref(), other.as_deref()), "{left:?} {right:?}: {one:?} {other:?}");
        prop_assert_eq!(left.detects_noop(), right.detects_noop());
    }

    #[test]
    fn text_reads_back_equal(operations in prop::collection::vec(operation(), 1..5)) {
        let net = operations.iter().skip(1).fold(operations[0].clone(), |net, next| net.compose(next));
        let mut body = Vec::new();
        net.write_body(&mut body);
        prop_assert!(!body.contains(&b'\n'));
        let back = NetOperation::from_parts(net.verb(), &body).unwrap_or_else(|error| panic!("{net:?}: {error}"));
        sound(&back);
        prop_assert_eq!(&back, &net);
        prop_assert_eq!(back.longest_run(), net.longest_run());
    }

    #[test]
    fn what_is_called_repeatable_is_so(a in operation(), b in operation(), base in base()) {
        for net in [&a, &b, &a.compose(&b)] {
            let once = apply(net, base.as_deref());
            let twice = apply(net, once.as_deref());
            prop_assert!(!net.is_repeatable() || same(once.as_deref(), twice.as_deref()), "{net:?}");
        }
    }

    #[test]
    fn new_fields_append_in_the_order_of_single_application(
        updates in prop::collection::vec(order_update(), 2..7), base in document(1)
    ) {
        let mut folded = updates[0].clone();
        let mut expected = apply(&updates[0], Some(&base)).unwrap();
        for update in &updates[1..] {
            folded = folded.compose(update);
            expected = apply(update, Some(&expected)).unwrap();
        }
        let found = apply(&folded, Some(&base)).unwrap();
        let names = |text: &str| {
            // A key of the base that is removed and set again may stand in either place.
            let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
            let old: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&base).unwrap();
            object.keys().filter(|key| !old.contains_key(*key)).cloned().collect::<Vec<_>>()
        };
        prop_assert_eq!(names(&found), names(&expected), "{:?}: {} {}", folded, found, expected);
    }
}

/// An update with one section of flat operations on few names: the order of new keys is its point.
fn order_update() -> BoxedStrategy<NetOperation> {
    let names = || prop::sample::subsequence(vec!["p", "q", "r", "s", "t"], 1..4).prop_shuffle();
    let keep = prop::sample::select(vec![("remove", "true"), ("subtract", "1"), ("remove", "{\"x\":true}")]);
    let make = prop::sample::select(vec![
        ("doc", "{\"x\":1}"),
        ("doc", "7"),
        ("inc", "1"),
        ("append", "[]"),
        ("max", "3"),
    ]);
    (names(), prop_oneof![keep, make])
        .prop_map(|(names, (section, operand))| {
            let members: Vec<String> = names.iter().map(|name| format!("\"{name}\":{operand}")).collect();
            let body = format!("{{\"{section}\":{{{}}}}}", members.join(","));
            NetOperation::new(Action::Update(body.as_bytes())).unwrap()
        })
        .boxed()
}
