//! Bytes as a way to send, a status and the body of an answer to a bulk request of four items.
//!
//! # The rule
//! Nothing panics. Where anything is believed there is one outcome for each item, and the answer, read anew without the sink's
//! code, has one item for each, in order, with the same action and id; and each outcome that is done is one that the answer says.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use millpond::{
    Action, Expects, Item, ItemAction, NetOperation, Outcome, Version,
    elastic::{ElasticOptions, Versioning},
};
use serde_json::Value;

const STATUSES: [u16; 12] = [200, 201, 302, 400, 401, 403, 404, 413, 429, 500, 502, 503];
const IDS: [&str; 4] = ["1", "2\u{e9}\"", "3", "4"];

/// What a first byte says of how it was sent: as net operations, as whole documents, or with versions of our own.
fn way(first: u8) -> ElasticOptions {
    let resolved = || ElasticOptions::new().resolve(true);
    match first / 64 {
        0 | 1 => ElasticOptions::new(),
        2 => resolved(),
        _ => resolved().versioning(Versioning::External),
    }
}

fn whole_items() -> Vec<Item> {
    let version = Version { seq_no: 1, primary_term: 1, is_fenced: true };
    let expects = [Expects::Anything, Expects::Anything, Expects::Absent, Expects::Version(version)];
    let mut items = items();
    for (item, expects) in items.iter_mut().zip(expects) {
        item.expects = expects;
        if matches!(item.action, ItemAction::Net(_)) {
            item.action = ItemAction::Put(Bytes::from_static(b"{}"));
        }
    }
    items
}

fn items() -> Vec<Item> {
    let actions = [
        ItemAction::Put(Bytes::from_static(b"{}")),
        ItemAction::Delete,
        ItemAction::Net(NetOperation::new(Action::Update(br#"{"doc":{}}"#)).unwrap()),
        ItemAction::Net(NetOperation::new(Action::Create(b"{}")).unwrap()),
    ];
    let item = |(id, action): (&str, ItemAction)| Item {
        index: "i".into(),
        id: id.into(),
        routing: None,
        action,
        first_seq: 1,
        last_seq: 1,
        operations: 1,
        repeatable: true,
        expects: Expects::Anything,
        attempt: 0,
    };
    IDS.into_iter().zip(actions).map(item).collect()
}

/// True where the answer to an item says this much.
fn says(answer: &Value, verb: &str, item: &Item, outcome: &Outcome) -> bool {
    let (status, result, error) = (answer["status"].as_u64(), answer["result"].as_str(), &answer["error"]);
    let is_well = matches!(status, Some(200 | 201));
    match outcome {
        Outcome::Created => is_well && result == Some("created"),
        Outcome::Updated => is_well && result == Some("updated"),
        Outcome::Noop => is_well && result == Some("noop"),
        Outcome::Deleted => is_well && result == Some("deleted"),
        Outcome::Applied => is_well && error["type"].as_str().is_none_or(str::is_empty),
        Outcome::NotFound => status == Some(404),
        Outcome::Conflict => status == Some(409) && verb == "create",
        Outcome::Stale => status == Some(409),
        Outcome::Changed(_) => status == Some(409) && item.expects != Expects::Anything,
        Outcome::Stored { created, version } => {
            let word = if *created { "created" } else { "updated" };
            let numbers = ["_seq_no", "_primary_term"].map(|name| answer[name].as_u64());
            is_well && result == Some(word) && numbers == [version.seq_no, version.primary_term].map(Some)
        }
        Outcome::Rejected(_) => status.is_some_and(|status| (400..500).contains(&status)),
        Outcome::Again { .. } | Outcome::Unknown(_) => true,
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((first, body)) = input.split_first() else { return };
    let status = STATUSES[usize::from(*first) % STATUSES.len()];
    let items = if *first < 128 { items() } else { whole_items() };
    let Some(outcomes) = millpond::fuzzing::bulk_outcomes(&items, &way(*first), status, body) else { return };
    assert!(matches!(status, 200 | 201), "{status} says nothing of items");
    assert_eq!(outcomes.len(), items.len());
    // It may lie deeper than this reader goes.
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return };
    let answered = answer["items"].as_array().unwrap();
    assert_eq!(answered.len(), items.len());
    for ((item, answered), outcome) in items.iter().zip(answered).zip(&outcomes) {
        let members = answered.as_object().unwrap();
        let (verb, answer) = members.iter().next().unwrap();
        let expected = if item.expects == Expects::Absent { "create" } else { item.verb() };
        assert_eq!((members.len(), verb.as_str()), (1, expected));
        assert_eq!(answer["_id"].as_str(), Some(&*item.id));
        assert!(says(answer, verb, item, outcome), "{outcome:?} of {answer}");
    }
});
