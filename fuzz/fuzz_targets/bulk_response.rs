//! Bytes as a status and the body of an answer to a bulk request of four items.
//!
//! # The rule
//! Nothing panics. Where anything is believed there is one outcome for each item, and the answer, read anew without the sink's
//! code, has one item for each, in order, with the same action and id; and each outcome that is done is one that the answer says.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use millpond::{Action, Expects, Item, ItemAction, NetOperation, Outcome};
use serde_json::Value;

const STATUSES: [u16; 12] = [200, 201, 302, 400, 401, 403, 404, 413, 429, 500, 502, 503];
const IDS: [&str; 4] = ["1", "2\u{e9}\"", "3", "4"];

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
fn says(answer: &Value, verb: &str, outcome: &Outcome) -> bool {
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
        Outcome::Stale => false,
        Outcome::Rejected(_) => status.is_some_and(|status| (400..500).contains(&status)),
        Outcome::Again { .. } | Outcome::Unknown(_) => true,
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((first, body)) = input.split_first() else { return };
    let (items, status) = (items(), STATUSES[usize::from(*first) % STATUSES.len()]);
    let Some(outcomes) = millpond::fuzzing::bulk_outcomes(&items, status, body) else { return };
    assert!(matches!(status, 200 | 201), "{status} says nothing of items");
    assert_eq!(outcomes.len(), items.len());
    // It may lie deeper than this reader goes.
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return };
    let answered = answer["items"].as_array().unwrap();
    assert_eq!(answered.len(), items.len());
    for ((item, answered), outcome) in items.iter().zip(answered).zip(&outcomes) {
        let members = answered.as_object().unwrap();
        let (verb, answer) = members.iter().next().unwrap();
        assert_eq!((members.len(), verb.as_str()), (1, item.verb()));
        assert_eq!(answer["_id"].as_str(), Some(&*item.id));
        assert!(says(answer, verb, outcome), "{outcome:?} of {answer}");
    }
});
