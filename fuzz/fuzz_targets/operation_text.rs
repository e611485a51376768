//! Any text as an operation: refused, or written and read back equal, with the effect the model gives it.
//!
//! The first byte of the input is a letter: i, c, u or d, for the verb. The rest is the body.
#![no_main]

mod judge;

use judge::action::OwnedAction;
use judge::trial::{Trial, fold, written};
use libfuzzer_sys::fuzz_target;
use millpond::{Action, NetOperation};

const BASES: [&str; 4] =
    ["{}", r#"{"a":1,"b":"x"}"#, r#"{"a":{"a":[1,2],"b":null}}"#, r#"{"a":[1,"x",{"b":1.50}],"n":1e1000}"#];

fuzz_target!(|input: &[u8]| {
    let Some((&letter, body)) = input.split_first() else { return };
    millpond::fuzzing::quick_paths_agree(body).unwrap_or_else(|problem| panic!("{problem}"));
    let (verb, action) = match letter {
        b'i' => ("index", Action::Index(body)),
        b'c' => ("create", Action::Create(body)),
        b'u' => ("update", Action::Update(body)),
        b'd' => ("delete", Action::Delete),
        _ => return,
    };
    let operation = NetOperation::new(action);
    let parts = NetOperation::from_parts(verb, body);
    let Ok(operation) = operation else { return };
    if verb != "delete" {
        // Whatever may be submitted may be read back: never the other way round, for a fold may be larger.
        assert!(parts.is_ok_and(|parts| parts == operation), "{}", written(&operation));
    }
    let owned = owned(letter, body);
    for base in BASES.map(Some).into_iter().chain([None]) {
        Trial::new(base, &[owned.clone(), owned.clone()]).obeys_every_law();
    }
    let folded = fold(&[operation.clone(), operation.clone()]);
    for net in [operation, folded] {
        millpond::fuzzing::validate_net(&net).unwrap_or_else(|broken| panic!("{broken}: {}", written(&net)));
    }
});

fn owned(letter: u8, body: &[u8]) -> OwnedAction {
    let text = || String::from_utf8(body.to_vec()).expect("what was accepted is UTF-8");
    match letter {
        b'i' => OwnedAction::Index(text()),
        b'c' => OwnedAction::Create(text()),
        b'u' => OwnedAction::Update(text()),
        _ => OwnedAction::Delete,
    }
}
