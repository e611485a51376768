//! What may stand in one place only, or nowhere.

use crate::{
    hold,
    source::{Source, sources},
};

/// Code that ships, the library and the program; and what measures them.
const SHIPPED: &[&str] = &["src", "cli/src", "benches/src"];
/// All code.
const ALL: &[&str] = &["src", "cli", "tests", "fuzz", "examples", "benches"];

/// Paths that belong to a few files, or folders.
struct Fence {
    paths: &'static [&'static str],
    only_in: &'static [&'static str],
    advice: &'static str,
}

const FENCES: &[Fence] = &[
    Fence {
        paths: &["std::thread", "std::sync::Barrier", "std::sync::Condvar", "std::sync::Mutex"],
        only_in: &["src/sync.rs", "cli/src/sync.rs", "benches/src/sync.rs"],
        advice: "threads and locks come from sync.rs",
    },
    Fence {
        paths: &["std::sync::MutexGuard", "std::sync::RwLock", "std::sync::mpsc", "parking_lot"],
        only_in: &["src/sync.rs", "cli/src/sync.rs", "benches/src/sync.rs"],
        advice: "threads and locks come from sync.rs",
    },
    Fence {
        paths: &["std::sync::atomic"],
        // What nothing is decided by: numbers for people, prefetching, a test's time. The others see them as they are.
        only_in: &[
            "src/sync.rs",
            "src/clock.rs",
            "src/drain/counters.rs",
            "src/shard/hints.rs",
            "cli/src/sync.rs",
            "cli/src/progress.rs",
            "cli/src/input/mod.rs",
            "cli/src/replay/reader.rs",
            "benches/src/floors/probe.rs",
        ],
        advice: "atomics by which threads agree come from sync.rs, where a scheduler sees them",
    },
    Fence {
        paths: &["shuttle::sync", "shuttle::thread"],
        only_in: &["src/sync/model.rs"],
        advice: "what a scheduler interleaves comes from sync.rs",
    },
    Fence {
        paths: &["std::fs"],
        // What is not kept by a journal or a store of segments writes where the user says, and as the user says.
        only_in: &[
            "src/disk.rs",
            "src/disk/system.rs",
            "src/segment/reader.rs",
            "src/sink/dead_letters.rs",
            "src/sink/ndjson.rs",
            "cli/",
            "benches/",
        ],
        advice: "files come through disk.rs, where a simulated disk loses what was not synced",
    },
];

/// Words that belong to a few files, or to none.
struct Ban {
    words: &'static [&'static str],
    only_in: &'static [&'static str],
    advice: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        words: &["Instant::now", "SystemTime::now"],
        only_in: &["src/clock.rs", "cli/src/clock.rs", "benches/src/clock.rs"],
        advice: "time comes from clock.rs",
    },
    Ban {
        words: &["unsafe"],
        only_in: &["src/segment/reader.rs", "src/shard/prefetch.rs"],
        advice: "unsafe code stands in segment/reader.rs and shard/prefetch.rs only",
    },
    Ban {
        words: &[".unwrap()", ".unwrap_err()", ".unwrap_unchecked("],
        only_in: &[],
        advice: "return an error, or state the invariant: #[expect(clippy::expect_used, reason = \"…\")]",
    },
    Ban { words: &["todo!", "unimplemented!", "dbg!"], only_in: &[], advice: "finish it, or leave it out" },
    Ban {
        words: &["doc(hidden)"],
        only_in: &[],
        advice: "make it private; the fuzz targets come in by the door in lib.rs",
    },
];

/// Words that no code of ours has a use for, tests included.
const NOWHERE: &[(&str, &str)] = &[
    ("thread::sleep", "wait for what should happen, with a deadline; tests step a simulated clock"),
    (
        "#[ignore]",
        "a test that does not run proves nothing: say when it runs, #[ignore = \"…\"], or delete it",
    ),
];

fn over_the_fence(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for path in source.paths(&["std", "core", "parking_lot", "shuttle"]) {
        let name = path.names.join("::");
        let is_below = |fenced: &&str| name == *fenced || name.starts_with(&format!("{fenced}::"));
        let is_in =
            |place: &&str| source.path == **place || place.ends_with('/') && source.path.starts_with(place);
        let fences = FENCES.iter().filter(|fence| !fence.only_in.iter().any(is_in));
        for fence in fences.filter(|fence| fence.paths.iter().any(is_below)) {
            if !source.is_test(path.at) {
                complaints.push(format!("{}: {name}: {}", source.place(path.at), fence.advice));
            }
        }
    }
    complaints
}

fn banned(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for ban in BANS.iter().filter(|ban| !ban.only_in.contains(&source.path.as_str())) {
        for word in ban.words {
            let whole = word.chars().all(|c| c.is_ascii_alphanumeric());
            let found: Vec<usize> =
                if whole { source.find_word(word).collect() } else { source.find(word).collect() };
            for at in found.into_iter().filter(|at| !source.is_test(*at)) {
                complaints.push(format!("{}: {word}: {}", source.place(at), ban.advice));
            }
        }
    }
    complaints
}

/// `expect` beside no stated invariant: clippy's lint must have been lifted a few lines above.
fn expected_without_reason(source: &Source) -> Vec<String> {
    const LINES_ABOVE: usize = 12;
    let mut complaints = Vec::new();
    // With a message: a parser may have a method of that name.
    let has_message = |at: &usize| source.text[at + ".expect(".len()..].trim_start().starts_with('"');
    for at in source.find(".expect(").filter(|at| !source.is_test(*at) && has_message(at)) {
        let above: Vec<&str> = source.code[..at].lines().rev().take(LINES_ABOVE).collect();
        if !above.iter().any(|line| line.contains("clippy::expect_used")) {
            let place = source.place(at);
            complaints.push(format!(
                "{place}: .expect(: return an error, or lift the lint here and state why it holds"
            ));
        }
    }
    complaints
}

fn allowed_without_reason(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for start in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
        for at in source.find(start) {
            let open = at + start.find('[').unwrap_or(0);
            let attribute = &source.code[at..crate::source::close(&source.code, open)];
            if !attribute.contains("reason") {
                complaints.push(format!("{}: {start}…)] without a reason: say why", source.place(at)));
            }
        }
    }
    complaints
}

fn nowhere(source: &Source) -> Vec<String> {
    let found = |(word, advice): &(&str, &str)| {
        let complain = |at| format!("{}: {word}: {advice}", source.place(at));
        source.find(word).map(complain).collect::<Vec<_>>()
    };
    NOWHERE.iter().flat_map(found).collect()
}

/// Notes to oneself, in any comment.
fn notes_to_oneself(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for word in ["TODO", "FIXME", "XXX", "HACK:"] {
        for (at, _) in source.text.match_indices(word) {
            // In code it is a name or the text of a test; in a comment it was left behind.
            let line_start = source.text[..at].rfind('\n').map_or(0, |at| at + 1);
            let is_word = !source.text[..at].ends_with(char::is_alphanumeric)
                && !source.text[at + word.len()..].starts_with(char::is_alphanumeric);
            if is_word && source.text[line_start..at].contains("//") {
                complaints.push(format!("{}: {word}: do it, or file it", source.place(at)));
            }
        }
    }
    complaints
}

fn in_tree(folders: &[&str], rule: fn(&Source) -> Vec<String>) -> Vec<String> {
    let is_shipped = folders == SHIPPED;
    let bound = |source: &Source| {
        let name = source.path.rsplit('/').next().unwrap_or("");
        let test_file = name == "tests.rs" || name.ends_with("_tests.rs") || source.path.contains("/tests/");
        !is_shipped || !test_file
    };
    sources(folders).iter().filter(|source| bound(source)).flat_map(rule).collect()
}

#[test]
fn threads_and_locks_come_from_sync_rs() {
    hold(
        "A scheduler that explores interleavings takes the place of sync.rs.",
        &in_tree(SHIPPED, over_the_fence),
    );
}

#[test]
fn what_is_banned_stands_only_where_it_may() {
    hold("Some words belong to one file, or to none.", &in_tree(SHIPPED, banned));
}

#[test]
fn an_expect_stands_beside_its_invariant() {
    hold("The library does not panic on input.", &in_tree(SHIPPED, expected_without_reason));
}

#[test]
fn a_lint_is_lifted_only_with_a_reason() {
    hold("Lifted lints say why.", &in_tree(ALL, allowed_without_reason));
}

#[test]
fn nothing_sleeps_and_no_test_is_switched_off_in_silence() {
    hold("Some words have no use anywhere.", &in_tree(ALL, nowhere));
}

#[test]
fn no_note_to_oneself_is_left_behind() {
    hold("Git remembers, and issues wait better than comments.", &in_tree(ALL, notes_to_oneself));
}

#[test]
fn the_bans_bite() {
    let count =
        |rule: fn(&Source) -> Vec<String>, path: &str, text: &str| rule(&Source::new(path, text)).len();
    assert_eq!(count(over_the_fence, "src/view.rs", "use std::{sync::{Arc, Mutex}, thread};"), 2);
    assert_eq!(
        count(over_the_fence, "src/view.rs", "fn f() { std::thread::spawn(g); parking_lot::Mutex::new(1); }"),
        2
    );
    assert_eq!(count(over_the_fence, "src/sync.rs", "use std::{sync::{Arc, Mutex}, thread};"), 0);
    assert_eq!(count(over_the_fence, "src/view.rs", "use std::sync::{Arc, atomic::AtomicU64};"), 1);
    assert_eq!(count(over_the_fence, "src/clock.rs", "use std::sync::{Arc, atomic::AtomicU64};"), 0);
    assert_eq!(count(over_the_fence, "src/view.rs", "fn f() { shuttle::thread::yield_now(); }"), 1);
    assert_eq!(count(over_the_fence, "src/journal/writer.rs", "use std::{fs::File, io};"), 1);
    assert_eq!(count(over_the_fence, "src/disk/system.rs", "use std::{fs::File, io};"), 0);
    assert_eq!(count(over_the_fence, "cli/src/input/mod.rs", "use std::{fs::File, io};"), 0);
    assert_eq!(count(banned, "src/view.rs", "fn f() { Instant::now(); x.unwrap(); todo!(); }"), 3);
    assert_eq!(count(banned, "src/view.rs", "#![deny(unsafe_code)] // unsafe\nfn f() { x.unwrap_or(1) }"), 0);
    assert_eq!(count(banned, "src/view.rs", "fn f() { unsafe { g() } }"), 1);
    assert_eq!(count(banned, "src/segment/reader.rs", "fn f() { unsafe { g() } }"), 0);
    assert_eq!(count(banned, "src/view.rs", "#[cfg(test)]\nmod tests { fn f() { x.unwrap() } }"), 0);
    assert_eq!(count(expected_without_reason, "src/view.rs", "fn f() { x.expect(\"y\") }"), 1);
    assert_eq!(count(expected_without_reason, "src/view.rs", "fn f() { parser.expect(b':') }"), 0);
    let lifted = "#[expect(clippy::expect_used, reason = \"z\")]\nfn f() { x.expect(\"y\") }";
    assert_eq!(count(expected_without_reason, "src/view.rs", lifted), 0);
    assert_eq!(count(allowed_without_reason, "src/view.rs", "#[allow(dead_code)]\n#![allow(unused)]"), 2);
    assert_eq!(count(allowed_without_reason, "src/view.rs", "#[allow(dead_code, reason = \"x\")]"), 0);
    assert_eq!(count(nowhere, "tests/x.rs", "fn f() { std::thread::sleep(d) }\n#[ignore]\nfn g() {}"), 2);
    assert_eq!(count(notes_to_oneself, "src/x.rs", &format!("// {}{}: later\n", "TO", "DO")), 1);
}
