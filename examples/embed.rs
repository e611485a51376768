//! The engine in ten lines: open a directory, submit updates, read, flush, close.
//!
//! Run it with `cargo run --example embed`, or give it a directory to keep.

use millpond::{Engine, Operation};
use std::{env, error::Error, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let scratch = env::temp_dir().join(format!("millpond-embed-{}", std::process::id()));
    let directory = env::args_os().nth(1).map_or_else(|| scratch.clone(), Into::into);
    std::fs::create_dir_all(&directory)?;

    let engine = Engine::open(&directory)?;
    let before = count(&engine)?;
    for _ in 0..80 {
        let body = br#"{"doc":{"last":{"dest":"IAH"}},"inc":{"flights":1},"doc_as_upsert":true}"#;
        engine.submit(Operation::update("planes", "N14228", body)).map_err(millpond::Error::from)?;
    }
    // Reads see what was submitted at once; the store gets one operation for the eighty.
    assert_eq!(count(&engine)?, before + 80);
    engine.flush(Duration::from_secs(10))?;
    let stats = engine.stats();
    println!("{} operations in, {} out", stats.operations_in, stats.operations_out);
    assert!(stats.operations_out < stats.operations_in);
    assert_eq!(count(&engine)?, before + 80);
    engine.close(Duration::from_secs(10))?;

    drop(engine);
    if directory == scratch {
        std::fs::remove_dir_all(scratch)?;
    }
    Ok(())
}

/// The flights of one plane, as the document says.
fn count(engine: &Engine) -> Result<u64, Box<dyn Error>> {
    let Some(document) = engine.get("planes", "N14228")? else { return Ok(0) };
    let document: serde_json::Value = serde_json::from_slice(&document.source)?;
    Ok(document.get("flights").and_then(serde_json::Value::as_u64).unwrap_or_default())
}
