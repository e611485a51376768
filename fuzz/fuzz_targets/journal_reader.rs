//! Any bytes as a journal, and sound journals with a few bytes changed: what is read is what was written, from the start
//! on, or nothing; never a panic.
//!
//! The first byte chooses, by its remainder by four:
//! - 0: the rest is a file as it is.
//! - 1: the rest describes files and changes; what is read of the changed files must be what the sound ones begin with.
//! - 2: the same, after which all checksums are made right again: nothing may panic.
//! - 3: the rest describes records of any content with right checksums: nothing may panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millpond::fuzzing::{JournalStep, build_journal, read_journal, reseal_journal, seal_journal};

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    match kind % 4 {
        0 => drop(read_journal(&[rest.to_vec()], None)),
        1 => described(rest, false),
        2 => described(rest, true),
        _ => sealed(rest),
    }
});

/// `count`, as many steps of three bytes; then changes of (file and position, bits); what is left is a net operation.
fn described(bytes: &[u8], resealed: bool) {
    let Some((&[count, changes], rest)) = bytes.split_first_chunk() else { return };
    let Some((steps, rest)) = rest.split_at_checked(3 * usize::from(count)) else { return };
    let Some((changes, net)) = rest.split_at_checked(3 * usize::from(changes)) else { return };
    let steps: Vec<JournalStep> = steps.as_chunks().0.iter().map(|&[a, b, c]| (a, b, c)).collect();
    let sound = build_journal(&steps, net);
    assert!(read_journal(&sound, Some(&sound)), "a sound journal is not");
    let mut files = sound.clone();
    for &[high, low, bits] in changes.as_chunks().0 {
        let place = usize::from(u16::from_be_bytes([high, low]));
        let Some(file) = files.len().checked_sub(1).map(|last| &mut files[(place >> 12).min(last)]) else {
            return;
        };
        let at = (place & 0xFFF) % file.len();
        file[at] ^= bits;
    }
    if resealed {
        files.iter_mut().for_each(|file| reseal_journal(file));
        let _ = read_journal(&files, None);
    } else {
        let is_clean = read_journal(&files, Some(&sound));
        assert!(!is_clean || files == sound || is_behind_the_end(&files, &sound), "a change was not found");
    }
}

/// True where files differ only where nobody looks: behind the end of a file that another follows.
fn is_behind_the_end(files: &[Vec<u8>], sound: &[Vec<u8>]) -> bool {
    files.iter().zip(sound).all(|(file, sound)| {
        let written = sound.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        file.iter().zip(sound).take(written).all(|(one, other)| one == other)
    })
}

/// Records of (kind, length, content).
fn sealed(mut bytes: &[u8]) {
    let mut contents = Vec::new();
    while let Some((&[kind, length], rest)) = bytes.split_first_chunk() {
        let (content, rest) = rest.split_at(usize::from(length).min(rest.len()));
        contents.push((kind, content));
        bytes = rest;
    }
    let _ = read_journal(&[seal_journal(&contents)], None);
}
