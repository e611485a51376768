//! Any bytes as an action line: a line or a refusal with its place, never a panic; what is accepted, written and
//! read again is equal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millpond_cli::bulk::{self, ActionLine};

fuzz_target!(|line: &[u8]| {
    let starts_operation = bulk::starts_operation(line);
    match ActionLine::read(line) {
        Ok(action) => {
            assert!(starts_operation);
            let mut written = Vec::new();
            action.write(&mut written);
            assert_eq!(ActionLine::read(&written).as_ref(), Ok(&action));
            // serde_json takes what we take, and reads the same names.
            let value: serde_json::Value = serde_json::from_slice(line).expect("it is JSON");
            let metadata = &value[action.verb.name()];
            for (name, read) in [("_index", &action.index), ("_id", &action.id), ("routing", &action.routing)]
            {
                let theirs = match &metadata[name] {
                    serde_json::Value::Null => None,
                    serde_json::Value::String(text) => Some(text.clone()),
                    number => Some(number.to_string()),
                };
                assert_eq!(read.as_deref(), theirs.as_deref(), "{name}");
            }
        }
        Err(bad) => {
            assert!(bad.offset <= line.len());
            assert_eq!(starts_operation, bad.verb.is_some());
        }
    }
});
