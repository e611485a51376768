//! Any bytes as a segment, and sound segments with a few bytes changed: an error or the right answer, never a panic.
//!
//! The first byte chooses, by its remainder by three:
//! - 0: the rest is a file as it is.
//! - 1: the rest describes entries and a change; a file of the entries is built, must read back exactly, and must, once one
//!   byte is changed, answer right or with an error, and verification must find it.
//! - 2: the same with several changes, after which all checksums are made right again: nothing may panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millpond::fuzzing::{build_segment, read_segment, reseal};
use std::collections::BTreeMap;

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    match kind % 3 {
        0 => drop(read_segment(rest, None)),
        1 => described(rest, false),
        _ => described(rest, true),
    }
});

/// `count`, then per entry: index, id length, id, length of the document (255: a tombstone), its filler; then changes of
/// (position, bits).
fn described(mut bytes: &[u8], resealed: bool) {
    let mut next = || {
        let (first, rest) = bytes.split_first()?;
        bytes = rest;
        Some(*first)
    };
    let mut entries = BTreeMap::new();
    for _ in 0..next().unwrap_or(0) {
        let (Some(index), Some(length)) = (next(), next()) else { break };
        let id = (0..length % 16).map_while(|_| next()).map(char::from).collect::<String>();
        let (Some(length), Some(filler)) = (next(), next()) else { break };
        // Some documents are larger than a block.
        let source =
            (length != 255).then(|| vec![filler; usize::from(length) * if filler & 1 == 0 { 1 } else { 40 }]);
        let routing = (index & 0x80 != 0).then(|| "r".repeat(usize::from(filler % 4)));
        entries.insert((format!("i{}", index & 3), id), (source, routing));
    }
    let Some(mut file) = build_segment(&entries) else { return };
    assert!(read_segment(&file, Some(&entries)), "a sound segment is not");
    let sound = file.clone();
    while let (Some(high), Some(low), Some(bits)) = (next(), next(), next()) {
        let at = usize::from(u16::from_be_bytes([high, low])) % file.len();
        file[at] ^= bits;
        if !resealed {
            break;
        }
    }
    if resealed {
        reseal(&mut file, &sound);
        let _ = read_segment(&file, None);
    } else if file != sound {
        // One byte, which a checksum of 32 bits always finds.
        assert!(!read_segment(&file, Some(&entries)), "a changed byte was not found");
    }
}
