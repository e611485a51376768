//! Tests of applying a net operation to what lies below it.

use super::{Resolved, resolve, whole};
use crate::{Action, ItemAction, NetOperation, shard::Known};
use bytes::Bytes;

fn run(action: Action<'_>, routing: Option<&str>, below: &Known) -> Resolved {
    resolve(&NetOperation::new(action).expect("good"), routing, below)
}

fn known(text: &'static str) -> Known {
    Known::Document { source: Bytes::from_static(text.as_bytes()), routing: Some("stored".into()) }
}

/// What is sent: the document, or "delete", with the routing and whether there was a document.
fn sent(resolved: Resolved) -> (String, Option<Box<str>>, Option<bool>) {
    let Resolved::Send { action, routing, existed, .. } = resolved else { panic!("{resolved:?}") };
    let text = match action {
        ItemAction::Put(document) => String::from_utf8_lossy(&document).into_owned(),
        ItemAction::Delete => "delete".into(),
        ItemAction::Net(net) => panic!("not a document: {net:?}"),
    };
    (text, routing, existed)
}

#[test]
fn an_index_always_goes_out_with_its_own_routing() {
    for (below, existed) in
        [(Known::Unknown, None), (Known::Absent, Some(false)), (known("{\"a\":1}"), Some(true))]
    {
        let resolved = run(Action::Index(b"{\"a\":1}"), Some("own"), &below);
        assert_eq!(sent(resolved), ("{\"a\":1}".into(), Some("own".into()), existed));
    }
}

#[test]
fn the_document_of_an_index_is_not_copied() {
    let net = NetOperation::new(Action::Index(b"{\"a\":1}")).expect("good");
    let Some(ItemAction::Put(document)) = whole(&net) else { panic!("{net:?}") };
    assert!(net.as_net().as_bytes().as_ptr_range().contains(&document.as_ptr()));
}

#[test]
fn a_delete_goes_out_unless_there_is_nothing_to_delete() {
    assert_eq!(sent(run(Action::Delete, None, &Known::Unknown)), ("delete".into(), None, None));
    assert_eq!(sent(run(Action::Delete, None, &known("{}"))).2, Some(true));
    let nothing = run(Action::Delete, None, &Known::Absent);
    assert!(matches!(nothing, Resolved::Settled { existed: false, noop: false, .. }), "{nothing:?}");
}

#[test]
fn a_patch_goes_out_as_the_document_that_it_makes() {
    let body = Action::Update(br#"{"inc":{"n":1},"upsert":{"n":0}}"#);
    let (text, _, existed) = sent(run(body, None, &known("{\"n\":1.5}")));
    assert_eq!((text.as_str(), existed), ("{\"n\":2.5}", Some(true)));
    let (text, routing, existed) = sent(run(body, Some("own"), &Known::Absent));
    assert_eq!((text.as_str(), routing.as_deref(), existed), ("{\"n\":0}", Some("own"), Some(false)));
}

#[test]
fn a_patch_without_a_routing_keeps_the_stored_one() {
    let (_, routing, _) = sent(run(Action::Update(br#"{"inc":{"n":1}}"#), None, &known("{}")));
    assert_eq!(routing.as_deref(), Some("stored"));
}

#[test]
fn what_misses_or_changes_nothing_settles_without_being_sent() {
    let miss = run(Action::Update(br#"{"doc":{"a":1}}"#), None, &Known::Absent);
    assert!(matches!(miss, Resolved::Settled { existed: false, noop: false, .. }), "{miss:?}");
    let noop = run(Action::Update(br#"{"doc":{"a":1}}"#), None, &known("{\"a\":1}"));
    assert!(matches!(noop, Resolved::Settled { existed: true, noop: true, .. }), "{noop:?}");
    let conflict = run(Action::Create(b"{}"), None, &known("{}"));
    assert!(matches!(conflict, Resolved::Settled { existed: true, .. }), "{conflict:?}");
    sent(run(Action::Update(br#"{"doc":{"a":1},"detect_noop":false}"#), None, &known("{\"a\":1}")));
}

#[test]
fn misfits_are_counted_whether_something_is_sent_or_not() {
    let misfit = Action::Update(br#"{"inc":{"s":1}}"#);
    let Resolved::Settled { misfits, .. } = run(misfit, None, &known("{\"s\":\"x\"}")) else {
        panic!("changed")
    };
    assert_eq!(misfits, 1);
    let some = Action::Update(br#"{"inc":{"s":1,"n":1}}"#);
    let Resolved::Send { misfits, .. } = run(some, None, &known("{\"s\":\"x\"}")) else {
        panic!("unchanged")
    };
    assert_eq!(misfits, 1);
}
