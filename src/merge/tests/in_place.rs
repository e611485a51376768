//! Folding in place: what it makes is what composing makes, and what stands as a table goes on as one.

use super::super::json::equal::equal;
use super::super::json::scan;
use super::super::{Folding, NetRef, compose, encode, validate};
use super::{index, text, update};
use crate::{Action, NetOperation};
use proptest::prelude::*;

/// An operation that waits, with room behind it.
pub(super) struct Waiting {
    room: Vec<u8>,
    len: usize,
}

impl Waiting {
    pub(super) fn new(net: &NetOperation, slack: usize) -> Self {
        let mut room = net.as_net().as_bytes().to_vec();
        let len = room.len();
        room.resize(len + slack, 0xA5);
        Self { room, len }
    }

    fn net(&self) -> NetRef<'_> {
        NetRef::from_bytes(&self.room[..self.len])
    }

    pub(super) fn is_table(&self) -> bool {
        self.net().is_table()
    }

    /// As it goes out.
    pub(super) fn joined(&self) -> NetOperation {
        let mut joined = Vec::new();
        self.net().write_joined(&mut joined);
        assert!(joined.len() <= self.room.len(), "joining needs no memory");
        NetOperation::from_encoded(joined)
    }

    /// Folds an operation in, where it stands or in just as much room as it takes; checks that it is what composing
    /// gives. Returns what does not fit.
    pub(super) fn fold(&mut self, later: &NetOperation) -> u64 {
        let earlier = self.joined();
        let mut expected = Vec::new();
        let composed = compose(earlier.as_net(), later.as_net(), &mut expected);
        let (before, mut scratch) = (self.room.clone(), vec![7; 3]);
        let mut folding = Folding::default();
        folding.find(&self.room, self.len, later.as_net(), &mut scratch);
        assert_eq!(self.room, before, "nothing has changed");
        assert_eq!(folding.composed(), composed, "{earlier:?} then {later:?}");
        let needs = folding.needs();
        self.room.resize(self.room.len().max(needs), 0xA5);
        self.len = folding.carry_out(&mut self.room, self.len, later.as_net(), &scratch);
        validate(self.net()).unwrap_or_else(|problem| panic!("{earlier:?} then {later:?}: {problem}"));
        assert!(self.net().room() <= needs, "{earlier:?} then {later:?}: {} in {needs}", self.net().room());
        let (found, expected) = (self.joined(), NetOperation::from_encoded(expected));
        assert_eq!(found.verb(), expected.verb());
        if let (Some(one), Some(other)) = (found.document(), expected.document()) {
            assert!(same(&one, &other), "{earlier:?} then {later:?}: {found:?} and not {expected:?}");
        } else {
            assert_eq!(found.as_net().as_bytes(), expected.as_net().as_bytes(), "{earlier:?} then {later:?}");
        }
        assert_eq!(self.net().longest_run(), expected.longest_run());
        assert_eq!(self.net().detects_noop(), expected.detects_noop());
        assert_eq!(self.net().decides(), expected.as_net().decides());
        assert_eq!(self.net().existence_after(false), expected.existence_after(false));
        assert_eq!((self.net().verb(), text_of(self.net())), (found.verb(), text(&found)));
        composed.misfits
    }
}

/// True where two documents are the same but for the spelling of equal values.
fn same(one: &[u8], other: &[u8]) -> bool {
    let names = |text: &[u8]| {
        let (mut names, mut at) = (Vec::new(), 1);
        while let Some(member) = scan::member(text, at) {
            at = scan::value_end(text, member.value);
            names.push(member.name.raw.to_vec());
        }
        names
    };
    equal(one, other) && names(one) == names(other)
}

fn text_of(net: NetRef<'_>) -> String {
    let mut body = Vec::new();
    net.write_body(&mut body);
    String::from_utf8(body).unwrap()
}

/// Folds operations one after another, each time as composing does.
pub(super) fn agree(operations: &[NetOperation], slack: usize) {
    let Some((first, rest)) = operations.split_first() else { return };
    let mut waiting = Waiting::new(first, slack);
    for later in rest {
        waiting.fold(later);
    }
}

/// Folds an operation into a table, or what becomes one; whether it then is one.
fn fold(earlier: &NetOperation, later: &NetOperation, slack: usize) -> (NetOperation, bool) {
    let mut waiting = Waiting::new(earlier, slack);
    waiting.fold(later);
    let once = (waiting.joined(), waiting.is_table());
    // From a table it is the same as from the common form.
    let mut table = Waiting::new(earlier, slack);
    table.fold(&update(r#"{"doc":{}}"#));
    table.fold(later);
    assert_eq!(table.is_table(), once.1, "{earlier:?} then {later:?}");
    once
}

fn folds_to(earlier: &NetOperation, later: &str, expected: &str) {
    for slack in [0, 1, 64] {
        let (found, is_table) = fold(earlier, &update(later), slack);
        assert_eq!((text(&found).as_str(), is_table), (expected, true), "{earlier:?} then {later}");
    }
}

fn is_composed(earlier: &NetOperation, later: &str) {
    assert!(!fold(earlier, &update(later), 64).1, "{earlier:?} then {later}");
}

#[test]
fn members_are_changed_added_and_taken_out() {
    let put = index(
        r#"{"name":"mill","price":10,"place":{"aisle":4,"shelf":5},"tags":["a"],"a_name_of_more_than_16_bytes":1}"#,
    )
    .unwrap();
    for (later, expected) in [
        (
            r#"{"doc":{"price":99}}"#,
            r#"{"name":"mill","price":99,"place":{"aisle":4,"shelf":5},"tags":["a"],"a_name_of_more_than_16_bytes":1}"#,
        ),
        (
            r#"{"doc":{"price":1.0,"place":{"shelf":123},"name":"m","a_name_of_more_than_16_bytes":"x"}}"#,
            r#"{"name":"m","price":1.0,"place":{"aisle":4,"shelf":123},"tags":["a"],"a_name_of_more_than_16_bytes":"x"}"#,
        ),
        (
            r#"{"doc":{"new":1,"place":{"x":2},"a_name_of_more_than_18_bytes":"y","":[]}}"#,
            r#"{"name":"mill","price":10,"place":{"aisle":4,"shelf":5,"x":2},"tags":["a"],"a_name_of_more_than_16_bytes":1,"new":1,"a_name_of_more_than_18_bytes":"y","":[]}"#,
        ),
        (
            r#"{"inc":{"price":90,"n":0.5},"union":{"tags":["b"]},"min":{"name":"a"},"max":{"place":{"aisle":3,"y":1}}}"#,
            r#"{"name":"a","price":100,"place":{"aisle":4,"shelf":5,"y":1},"tags":["a","b"],"a_name_of_more_than_16_bytes":1,"n":0.5}"#,
        ),
        (
            r#"{"remove":{"price":true,"tags":true,"no":true},"doc":{"place":{"aisle":4},"name":"miller","x":1}}"#,
            r#"{"name":"miller","place":{"aisle":4,"shelf":5},"a_name_of_more_than_16_bytes":1,"x":1}"#,
        ),
        (
            r#"{"remove":{"tags":true,"price":true,"name":true,"place":true,"a_name_of_more_than_16_bytes":true}}"#,
            "{}",
        ),
        (
            r#"{"set":[[["place"],{}]],"subtract":{"no":1},"append":{"tags":2,"m":3}}"#,
            r#"{"name":"mill","price":10,"place":{},"tags":["a",2],"a_name_of_more_than_16_bytes":1,"m":[3]}"#,
        ),
        (
            r#"{"doc":{"price":10,"tags":[ "a" ],"place":{"shelf":5}}}"#,
            r#"{"name":"mill","price":10,"place":{"aisle":4,"shelf":5},"tags":[ "a" ],"a_name_of_more_than_16_bytes":1}"#,
        ),
        (
            r#"{"doc":{"place":{"aisle":-1,"shelf":{}}},"min":{"name":"lathe"}}"#,
            r#"{"name":"lathe","price":10,"place":{"aisle":-1,"shelf":{}},"tags":["a"],"a_name_of_more_than_16_bytes":1}"#,
        ),
        (
            r#"{"doc":{"place":{"shelf":6,"aisle":{"a":1}}}}"#,
            r#"{"name":"mill","price":10,"place":{"aisle":{"a":1},"shelf":6},"tags":["a"],"a_name_of_more_than_16_bytes":1}"#,
        ),
    ] {
        folds_to(&put, later, expected);
    }
    folds_to(&index("{}").unwrap(), r#"{"doc":{"a":1}}"#, r#"{"a":1}"#);
    // White space in a member is the member's.
    folds_to(&index(r#"{"a":[1, 2],"b":1}"#).unwrap(), r#"{"doc":{"b":2}}"#, r#"{"a":[1, 2],"b":2}"#);
}

#[test]
fn fields_of_a_patch_are_changed_and_added() {
    let patch = update(
        r#"{"doc":{"a":1,"b":"x","c":{"d":2,"e":3}},"inc":{"n":9},"max":{"m":5},"doc_as_upsert":true}"#,
    );
    for (later, expected) in [
        (
            r#"{"doc":{"b":"y","a":7},"doc_as_upsert":true}"#,
            r#"{"doc":{"a":7,"b":"y","c":{"d":2,"e":3}},"inc":{"n":9},"max":{"m":5},"doc_as_upsert":true}"#,
        ),
        (
            r#"{"inc":{"n":1,"a":1,"c":{"d":40}},"max":{"m":4}}"#,
            r#"{"doc":{"a":2,"b":"x","c":{"d":42,"e":3}},"inc":{"n":10},"max":{"m":5},"doc_as_upsert":true}"#,
        ),
        (
            r#"{"doc":{"c":{"f":4,"d":"long enough to move all that follows"},"g":{"h":1}},"union":{"u":[1]},"detect_noop":false}"#,
            r#"{"doc":{"a":1,"b":"x","c":{"d":"long enough to move all that follows","e":3,"f":4},"g":{"h":1}},"inc":{"n":9},"max":{"m":5},"union":{"u":[1]},"doc_as_upsert":true,"detect_noop":false}"#,
        ),
        (
            r#"{"remove":{"a":true,"c":{"d":true}},"append":{"b":[2]}}"#,
            r#"{"remove":{"a":true,"c":{"d":true}},"doc":{"b":["x",2],"c":{"e":3}},"inc":{"n":9},"max":{"m":5},"doc_as_upsert":true}"#,
        ),
    ] {
        for slack in [0, 200] {
            let (found, is_table) = fold(&patch, &update(later), slack);
            assert_eq!(found, update(expected), "{later}");
            assert!(is_table, "{later}");
        }
    }
    folds_to(&update(r#"{"doc":{}}"#), r#"{"doc":{"a":1}}"#, r#"{"doc":{"a":1}}"#);
    folds_to(&update(r#"{"inc":{"n":9,"m":1}}"#), r#"{"inc":{"n":0.5}}"#, r#"{"inc":{"n":9.5,"m":1}}"#);
    folds_to(&update(r#"{"remove":{"ab":true}}"#), r#"{"remove":{"ab":true}}"#, r#"{"remove":{"ab":true}}"#);
    // Too short to be read by words.
    is_composed(&update(r#"{"remove":{"a":true}}"#), r#"{"remove":{"a":true}}"#);
}

#[test]
fn a_put_is_checked_into_a_table_that_holds_its_text() {
    let encoded = |text: &str| {
        let mut out = b"left over".to_vec();
        encode(Action::Index(text.as_bytes()), &mut out).unwrap_or_else(|error| panic!("{text}: {error}"));
        let net = NetRef::from_bytes(&out);
        validate(net).unwrap();
        assert_eq!(net.document(), Some(text.trim().as_bytes()));
        assert_eq!((net.verb(), text_of(net).len()), ("index", text_of(index(text).unwrap().as_net()).len()));
        net.is_table()
    };
    let many = |count: usize| format!("{{{}}}", members(0..count, "1"));
    for (text, is_table) in [
        (r#"{"a":1,"b":[1, {"c" : 2}],"a_name_of_more_than_16_bytes":"x\n"}"#, true),
        (" {\"seven77\":{},\"eight888\":1,\"\":\"é\"}\n", true),
        (&many(128), true),
        (&many(129), false),
        (&format!(r#"{{"a":"{}"}}"#, "x".repeat(65_522)), true),
        (&format!(r#"{{"a":"{}"}}"#, "x".repeat(65_523)), false),
        ("{}", false),
        (r#"{"\u0061":1}"#, false),
        (r#"{"a": 1}"#, false),
        (r#"{"a" :1}"#, false),
        (r#"{ "a":1}"#, false),
        (r#"{"a":1 }"#, false),
        (r#"{"a":1, "b":2}"#, false),
        (r#"{"a":1 ,"b":2}"#, false),
    ] {
        assert_eq!(encoded(text), is_table, "{text}");
        // What comes to wait by it is what comes of the text.
        let mut out = Vec::new();
        encode(Action::Index(text.as_bytes()), &mut out).unwrap();
        let mut waiting = Waiting { len: out.len(), room: out };
        waiting.fold(&update(r#"{"doc":{"a":[2],"b":3,"new":4},"remove":{"seven77":true}}"#));
    }
}

#[test]
fn a_counter_is_counted_up_without_a_table() {
    let upsert = |n: &str| update(&format!(r#"{{"inc":{{"views":{n}}},"doc_as_upsert":true}}"#));
    let mut waiting = Waiting::new(&upsert("1"), 0);
    for (by, sum) in
        [("8", "9"), ("1", "10"), ("-11", "-1"), ("0.25", "-0.75"), ("1e20", "99999999999999999999.25")]
    {
        waiting.fold(&upsert(by));
        assert_eq!((waiting.joined(), waiting.is_table()), (upsert(sum), false));
    }
    // Another name, another flag, a document of its own, another operation.
    for (later, is_table) in [
        (r#"{"inc":{"vi\u0065ws":1},"doc_as_upsert":true}"#, false),
        (r#"{"inc":{"likes":1},"doc_as_upsert":true}"#, true),
        (r#"{"inc":{"views":1}}"#, true),
        (r#"{"inc":{"views":1},"doc_as_upsert":true,"detect_noop":false}"#, true),
        (r#"{"max":{"views":1},"doc_as_upsert":true}"#, false),
        (r#"{"doc":{"views":1},"doc_as_upsert":true}"#, true),
        (r#"{"inc":{"views":1,"likes":1},"doc_as_upsert":true}"#, true),
    ] {
        let mut waiting = Waiting::new(&upsert("1"), 0);
        waiting.fold(&update(later));
        assert_eq!(waiting.is_table(), is_table, "{later}");
    }
    let own = |n: u8| update(&format!(r#"{{"inc":{{"views":{n}}},"upsert":{{"views":{n}}}}}"#));
    assert_eq!(fold(&own(1), &own(2), 0).0, own(1).compose(&own(2)));
}

#[test]
fn what_a_table_cannot_hold_is_composed() {
    let patch = update(r#"{"doc":{"a":1,"b":"x"}}"#);
    // A field moves, or what is made of nothing changes.
    is_composed(&update(r#"{"remove":{"a":true},"doc":{"b":1}}"#), r#"{"doc":{"a":1}}"#);
    is_composed(&patch, r#"{"doc":{"a":1},"upsert":{}}"#);
    is_composed(&patch, r#"{"doc":{"a":1},"doc_as_upsert":true}"#);
    is_composed(&update(r#"{"doc":{"a":1},"upsert":{}}"#), r#"{"doc":{"a":1}}"#);
    // Runs.
    is_composed(&update(r#"{"inc":{"n":1}}"#), r#"{"append":{"n":1}}"#);
    is_composed(&update(r#"{"inc":{"l":{"n":1}}}"#), r#"{"append":{"l":{"n":1}}}"#);
    is_composed(&patch, r#"{"inc":{"n":1},"then":[{"append":{"n":1}}]}"#);
    is_composed(
        &patch.compose(&update(r#"{"inc":{"n":1},"then":[{"append":{"n":1}}]}"#)),
        r#"{"doc":{"a":1}}"#,
    );
    is_composed(&index(r#"{"n":1}"#).unwrap(), r#"{"inc":{"n":1},"then":[{"append":{"n":1}}]}"#);
    // Names that can be spelled otherwise, or are long.
    is_composed(&patch, r#"{"doc":{"\u0061":1}}"#);
    is_composed(&index(r#"{"\u0061":1}"#).unwrap(), r#"{"doc":{"b":1}}"#);
    is_composed(&patch, &format!(r#"{{"doc":{{"{}":1}}}}"#, "x".repeat(256)));
    // White space between members.
    for spaced in
        [r#"{ "a":1}"#, r#"{"a" :1}"#, r#"{"a": 1}"#, r#"{"a":1 ,"b":2}"#, r#"{"a":1, "b":2}"#, r#"{"a":1 }"#]
    {
        is_composed(&index(spaced).unwrap(), r#"{"doc":{"b":3}}"#);
    }
    // Nothing.
    let delete = NetOperation::new(Action::Delete).unwrap();
    is_composed(&delete, r#"{"doc":{"a":1},"doc_as_upsert":true}"#);
    is_composed(&delete, r#"{"doc":{"a":1}}"#);
}

/// The members of an object with so many.
fn members(numbers: std::ops::Range<usize>, value: &str) -> String {
    numbers.map(|n| format!("\"n{n}\":{value}")).collect::<Vec<_>>().join(",")
}

#[test]
fn a_table_has_as_many_fields_as_it_can_count() {
    for count in [1, 7, 8, 9, 16, 17, 253, 254, 255] {
        let object = format!("{{{}}}", members(0..count, "1"));
        for earlier in [index(&object).unwrap(), update(&format!("{{\"doc\":{object}}}"))] {
            let mut waiting = Waiting::new(&earlier, 0);
            waiting.fold(&update(&format!("{{\"doc\":{{\"n{}\":23}}}}", count - 1)));
            assert_eq!(waiting.is_table(), count < 255, "{count}");
            waiting.fold(&update(r#"{"doc":{"n0":"x"}}"#));
            waiting.fold(&update(r#"{"doc":{"another":[]}}"#));
            assert_eq!(waiting.is_table(), count < 254, "{count}");
        }
    }
    // With as many edits as that.
    for count in [1, 100, 253, 254, 255] {
        for object in ["{}", r#"{"n3":4,"m":5}"#] {
            let mut waiting = Waiting::new(&index(object).unwrap(), 0);
            waiting.fold(&update(&format!("{{\"doc\":{{{}}}}}", members(0..count, "23"))));
            let fields = count + if object == "{}" { 0 } else { 1 + usize::from(count < 4) };
            assert_eq!(waiting.is_table(), fields < 255, "{count}");
        }
    }
}

#[test]
fn a_table_is_at_most_64_kibibytes_and_has_room_to_be_joined() {
    let long = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    for length in [2, 63, 64, 125, 126, 127, 128, 129, 16_380, 16_381, 16_384, 65_500, 65_524, 65_525, 65_600]
    {
        for name in ["n".to_owned(), "y".repeat(63), "y".repeat(64), "y".repeat(255)] {
            let field = format!("{{\"{name}\":{}}}", long(length));
            for earlier in [index(&field).unwrap(), update(&format!("{{\"doc\":{field}}}"))] {
                let mut waiting = Waiting::new(&earlier, 0);
                waiting.fold(&update(r#"{"doc":{"m":1}}"#));
                assert_eq!(waiting.is_table(), name.len() + length + 14 <= 65_535, "{} {length}", name.len());
                let mut grown = Waiting::new(&index("{}").unwrap(), 0);
                grown.fold(&update(&format!("{{\"doc\":{field}}}")));
                grown.fold(&update(&format!("{{\"doc\":{{\"{name}\":1}}}}")));
                grown.fold(&update(&format!("{{\"doc\":{field}}}")));
                assert!(grown.is_table() || length > 65_000);
            }
        }
    }
}

#[test]
fn puts_and_deletes_come_in_the_stead_of_whatever_is_there() {
    let delete = NetOperation::new(Action::Delete).unwrap();
    let put = index(r#"{"a":1}"#).unwrap();
    let doc = update(r#"{"doc":{"a":2}}"#);
    let upsert = update(r#"{"doc":{"a":2},"upsert":{"b":1}}"#);
    let as_upsert = update(r#"{"doc":{"a":2},"doc_as_upsert":true}"#);
    for earlier in [&delete, &put, &doc, &upsert, &as_upsert] {
        assert_eq!(fold(earlier, &put, 8).0, put);
        assert_eq!(fold(earlier, &delete, 0).0, delete);
    }
}

#[test]
fn misfits_are_counted_where_they_are_folded() {
    let put = index(r#"{"a":"x"}"#).unwrap();
    let mut waiting = Waiting::new(&put, 0);
    assert_eq!(waiting.fold(&update(r#"{"inc":{"a":1}}"#)), 1);
    assert_eq!(waiting.joined(), put);
    assert!(waiting.is_table());
    let mut waiting = Waiting::new(&update(r#"{"doc":{"level":{}}}"#), 0);
    assert_eq!(waiting.fold(&update(r#"{"inc":{"level":1}}"#)), 1);
    assert!(waiting.is_table());
}

#[test]
fn bytes_that_are_no_operation_break_nothing() {
    let later = update(r#"{"inc":{"a":1},"remove":{"b":true},"doc":{"c":"long enough to move"}}"#);
    let tables =
        [&[32, 1][..], &[32, b'a', 9, 9, 9, 9, 9, 1], &[34, 200], &[32, b'a', 0, 0x61, 9, 0, 1, 0, 1]];
    let flats = [&b""[..], &[2], &[2, 0, 0, 0, 0, 200], &[2, 0, 0, 0, 0, 2, b'a', 9, 0, 0x80]];
    for bytes in tables.into_iter().chain(flats) {
        for (earlier, later) in
            [(bytes, later.as_net()), (later.as_net().as_bytes(), NetRef::from_bytes(bytes))]
        {
            let (mut folding, mut scratch) = (Folding::default(), Vec::new());
            let mut room = earlier.to_vec();
            room.resize(earlier.len() + 100, 0);
            folding.find(&room, earlier.len(), later, &mut scratch);
            if folding.needs() > room.len() {
                room.resize(folding.needs(), 0);
            }
        }
    }
}

/// A name: many share a length, or their first or last bytes, or a byte of their hashes.
fn name(number: usize) -> String {
    match number % 5 {
        0 => format!("n{number}"),
        1 => format!("name_{number}"),
        2 => format!("{number}_of_a_kind"),
        3 => format!("the_same_start_{number}_and_the_same_end"),
        _ => "é".repeat(number),
    }
}

/// Bodies of updates of one or several of many fields.
fn wide_update() -> impl Strategy<Value = NetOperation> {
    let value = prop_oneof![
        4 => (0..1_000_u32).prop_map(|n| n.to_string()),
        2 => "\"[a-z]{0,20}\"",
        1 => (100..200_usize).prop_map(|n| format!("\"{}\"", "x".repeat(n))),
        1 => Just(r#"{"in":1}"#.to_owned()),
    ];
    let members = |value: BoxedStrategy<String>| {
        prop::collection::btree_map(0..120_usize, value, 1..12).prop_map(|members| {
            let members: Vec<String> =
                members.iter().map(|(number, value)| format!("\"{}\":{value}", name(*number))).collect();
            members.join(",")
        })
    };
    let section = |key: &'static str, value: BoxedStrategy<String>| {
        members(value).prop_map(move |members| format!("{{\"{key}\":{{{members}}},\"doc_as_upsert\":true}}"))
    };
    prop_oneof![
        6 => section("doc", value.boxed()),
        2 => section("inc", (0..2_000_u32).prop_map(|n| n.to_string()).boxed()),
        2 => section("remove", Just("true".to_owned()).boxed()),
        1 => section("append", Just("[1]".to_owned()).boxed()),
        1 => section("max", (0..50_u32).prop_map(|n| n.to_string()).boxed()),
    ]
    .prop_map(|body| update(&body))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn folding_into_many_fields_in_place_is_composing(
        count in 0..100_usize, updates in prop::collection::vec(wide_update(), 1..30), slack in 0..40_usize
    ) {
        let members: Vec<String> = (0..count).map(|number| format!("\"{}\":{number}", name(number))).collect();
        let document = index(&format!("{{{}}}", members.join(","))).unwrap();
        for first in [&document, &updates[0]] {
            let mut waiting = Waiting::new(first, slack);
            for later in &updates {
                waiting.fold(later);
            }
        }
    }
}
