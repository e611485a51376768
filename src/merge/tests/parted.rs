//! Documents taken apart: what is folded into one is what composing gives.

use super::super::json::equal::equal;
use super::super::{NetRef, compose, fold_in_place, part_in_place, validate};
use super::{index, text, update};
use crate::NetOperation;
use proptest::prelude::*;

/// The bytes of an entry: an operation with room behind it.
struct Entry {
    room: Vec<u8>,
    len: usize,
}

impl Entry {
    fn new(net: NetRef<'_>, slack: usize) -> Self {
        let len = net.as_bytes().len();
        let mut room = net.as_bytes().to_vec();
        room.resize(len + slack, 0xA5);
        Self { room, len }
    }

    fn net(&self) -> NetRef<'_> {
        NetRef::from_bytes(&self.room[..self.len])
    }

    fn joined(&self) -> Vec<u8> {
        let mut joined = Vec::new();
        self.net().write_joined(&mut joined);
        assert!(joined.len() <= self.room.len(), "joining needs no memory");
        joined
    }

    /// Takes it apart: true where that could be done. The document is the same to the byte.
    fn part(&mut self) -> bool {
        let before = (self.room.clone(), self.joined());
        let Some(len) = part_in_place(&mut self.room, self.len, &mut vec![7; 3]) else {
            assert_eq!(self.room, before.0);
            return false;
        };
        self.len = len;
        assert_eq!(validate(self.net()), Ok(()));
        assert!(self.net().is_parted() && self.net().decides() && self.net().existence_after(false));
        assert_eq!(self.joined(), before.1);
        true
    }
}

/// Folds operations into a document taken apart, as long as it is one; each time it must be what composing gives.
pub(super) fn agrees(first: &str, operations: &[NetOperation], slack: usize) -> Result<(), TestCaseError> {
    let first = index(first).expect("a document");
    let mut entry = Entry::new(first.as_net(), slack);
    if !entry.part() {
        return Ok(());
    }
    for operation in operations {
        let mut expected = Vec::new();
        let composed = compose(entry.net(), operation.as_net(), &mut expected);
        let before = entry.room.clone();
        let Some(folded) = fold_in_place(&mut entry.room, entry.len, operation.as_net(), &mut Vec::new())
        else {
            prop_assert_eq!(&entry.room, &before);
            return Ok(());
        };
        entry.len = folded.len;
        prop_assert_eq!(validate(entry.net()), Ok(()));
        prop_assert_eq!(folded.composed.misfits, composed.misfits);
        let expected = NetRef::from_bytes(&expected);
        prop_assert_eq!(entry.net().shape(), expected.shape());
        if let Some(document) = expected.document() {
            let joined = entry.joined();
            prop_assert!(equal(&joined[1..], document), "{:?}", String::from_utf8_lossy(&joined));
        }
    }
    Ok(())
}

fn folds_to(document: &str, body: &str, expected: &str) {
    let mut entry = Entry::new(index(document).unwrap().as_net(), 64);
    assert!(entry.part(), "{document}");
    let folded = fold_in_place(&mut entry.room, entry.len, update(body).as_net(), &mut Vec::new()).unwrap();
    entry.len = folded.len;
    assert_eq!(String::from_utf8_lossy(&entry.joined()[1..]), expected);
    let operation = NetOperation::from_encoded(entry.net().as_bytes().to_vec());
    assert_eq!((operation.verb(), text(&operation).as_str()), ("index", expected));
}

#[test]
fn members_are_changed_added_and_taken_out() {
    let document = r#"{"a":1,"b":{"c":2},"d":"x","l":[1]}"#;
    folds_to(document, r#"{"doc":{"a":22}}"#, r#"{"a":22,"b":{"c":2},"d":"x","l":[1]}"#);
    folds_to(document, r#"{"doc":{"b":{"c":3,"e":4}}}"#, r#"{"a":1,"b":{"c":3,"e":4},"d":"x","l":[1]}"#);
    folds_to(document, r#"{"doc":{"new":{"x":1}}}"#, r#"{"a":1,"b":{"c":2},"d":"x","l":[1],"new":{"x":1}}"#);
    folds_to(document, r#"{"remove":{"a":true,"l":true,"no":true}}"#, r#"{"b":{"c":2},"d":"x"}"#);
    folds_to(document, r#"{"inc":{"a":2,"n":0.5}}"#, r#"{"a":3,"b":{"c":2},"d":"x","l":[1],"n":0.5}"#);
    folds_to(document, r#"{"append":{"l":[2],"m":3}}"#, r#"{"a":1,"b":{"c":2},"d":"x","l":[1,2],"m":[3]}"#);
    folds_to(document, r#"{"set":[[["b"],{}]],"subtract":{"no":1}}"#, r#"{"a":1,"b":{},"d":"x","l":[1]}"#);
    folds_to("{}", r#"{"doc":{"a":1}}"#, r#"{"a":1}"#);
}

#[test]
fn a_long_member_costs_no_more_than_two_bytes() {
    for length in [0, 1, 121, 122, 123, 124, 125, 126, 127, 128, 129, 16_380, 16_384, 20_000] {
        let document = format!(r#"{{"text":"{}","n":1}}"#, "x".repeat(length));
        let mut entry = Entry::new(index(&document).unwrap().as_net(), 8);
        let before = entry.len;
        assert!(entry.part());
        assert!(entry.len <= before + 4, "{length}: {before} and {}", entry.len);
    }
}

#[test]
fn white_space_between_members_keeps_a_document_in_one_piece() {
    for document in
        [r#"{ "a":1}"#, r#"{"a" :1}"#, r#"{"a": 1}"#, r#"{"a":1 ,"b":2}"#, r#"{"a":1, "b":2}"#, r#"{"a":1 }"#]
    {
        assert!(!Entry::new(index(document).unwrap().as_net(), 64).part(), "{document}");
    }
    // Inside of a member it is the member's.
    folds_to(r#"{"a":[1, 2],"b":1}"#, r#"{"doc":{"b":2}}"#, r#"{"a":[1, 2],"b":2}"#);
    assert!(!Entry::new(update(r#"{"doc":{"a":1}}"#).as_net(), 64).part(), "a patch is none");
    let long = format!(r#"{{"a":"{0}","b":"{0}"}}"#, "x".repeat(200));
    assert!(!Entry::new(index(&long).unwrap().as_net(), 0).part(), "no room");
}

#[test]
fn what_is_made_of_several_steps_is_left_to_composing() {
    let mut entry = Entry::new(index(r#"{"n":1}"#).unwrap().as_net(), 64);
    assert!(entry.part());
    let several = update(r#"{"inc":{"n":1},"then":[{"append":{"n":1}}]}"#);
    assert_eq!(fold_in_place(&mut entry.room, entry.len, several.as_net(), &mut Vec::new()), None);
    let mut composed = Vec::new();
    compose(entry.net(), several.as_net(), &mut composed);
    assert_eq!(NetRef::from_bytes(&composed).document(), Some(&br#"{"n":[2,1]}"#[..]));
    let put = index("{}").unwrap();
    compose(put.as_net(), entry.net(), &mut composed);
    assert_eq!(NetOperation::from_encoded(composed).apply(None).document.unwrap(), r#"{"n":1}"#);
}
