//! Which module may use which: the table, and that `ARCHITECTURE.md` shows the same one.

use crate::{
    hold,
    source::{Source, root, sources},
};
use std::collections::{BTreeMap, BTreeSet};

/// A module, or a file of one with more rights, and what it may use beside itself and `error`. `all` is everything.
const TABLE: &[(&str, &[&str])] = &[
    ("document", &[]),
    ("operation", &["document"]),
    ("merge", &["document", "operation"]),
    ("shard", &["document", "operation", "merge", "sync"]),
    ("segment", &["document", "operation", "merge", "disk", "sync"]),
    ("disk", &[]),
    (
        "journal",
        &[
            "document",
            "operation",
            "merge",
            "sync",
            "disk",
            "sink::Item",
            "sink::ItemAction",
            "sink::Expects",
        ],
    ),
    ("sink", &["document", "operation", "merge", "clock", "sync"]),
    ("sink/segments", &["document", "operation", "merge", "segment", "disk", "clock", "sync"]),
    ("view", &["document", "merge", "shard", "sink::Base", "sink::BaseDocument", "sink::BaseKey"]),
    ("drain", &["document", "merge", "shard", "sink", "journal", "clock", "sync"]),
    ("engine", &["all"]),
    ("config", &["all"]),
    ("clock", &[]),
    ("error", &[]),
    ("stats", &[]),
    ("sync", &[]),
];

/// Plain machines: values in, values out; no lock, no clock, no thread and no file inside.
const MACHINES: &[&str] = &[
    "src/document.rs",
    "src/operation.rs",
    "src/merge/",
    "src/shard/mod.rs",
    "src/shard/flight.rs",
    "src/shard/read.rs",
    "src/shard/slab.rs",
    "src/shard/slot.rs",
    "src/shard/tally.rs",
    "src/shard/validate.rs",
    "src/journal/checksum.rs",
    "src/journal/varint.rs",
    "src/journal/record.rs",
    "src/journal/record/read.rs",
    "src/journal/group.rs",
    "src/journal/reader.rs",
    "src/journal/doubt.rs",
    "src/journal/recovery.rs",
    "src/journal/recovery/waiting.rs",
    "src/drain/scheduler.rs",
    "src/drain/lanes.rs",
    "src/drain/limiter.rs",
    "src/drain/retry.rs",
    "src/segment/tiering.rs",
];

/// What a plain machine has no business with.
const OUTSIDE: &[&str] = &[
    "crate::clock",
    "crate::sync",
    "std::fs",
    "std::net",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::sync::atomic",
];

/// The names that `lib.rs` re-exports at the root, each with its module.
fn exports(lib: &Source) -> BTreeMap<String, String> {
    let mut exports = BTreeMap::new();
    for at in lib.find_word("use") {
        let end = lib.code[at..].find(';').map_or(lib.code.len(), |end| at + end + 1);
        let item = Source::new("", &format!("root::{}", &lib.code[at + "use".len()..end].trim_start()));
        for path in item.paths(&["root"]) {
            if let [_, module, .., name] = path.names.as_slice()
                && module != "crate"
            {
                exports.insert(name.clone(), module.clone());
            }
        }
    }
    exports
}

/// The paths of a file as seen from the root of the crate: `super` resolved, `crate` left off.
fn from_root(source: &Source) -> Vec<(usize, Vec<String>)> {
    let inside = source.path.trim_start_matches("src/").trim_end_matches(".rs");
    let module: Vec<&str> = inside.split('/').filter(|name| *name != "mod").collect();
    let resolve = |path: crate::source::PathUse| {
        let supers = path.names.iter().take_while(|name| *name == "super").count();
        if (1..=source.inline_modules(path.at)).contains(&supers) {
            return None; // It stays within the file.
        }
        let above = module
            .iter()
            .take((module.len() + source.inline_modules(path.at)).checked_sub(supers)?)
            .map(ToString::to_string);
        let skip = supers.max(1);
        let start: Vec<String> = if supers > 0 { above.collect() } else { Vec::new() };
        Some((path.at, start.into_iter().chain(path.names.into_iter().skip(skip)).collect()))
    };
    source.paths(&["crate", "super"]).into_iter().filter_map(resolve).collect()
}

/// The row of the table that binds a file.
fn row(path: &str) -> Option<(&'static str, &'static [&'static str])> {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    let is_below = |name: &str| inside == name || inside.starts_with(&format!("{name}/"));
    TABLE.iter().filter(|(name, _)| is_below(name)).max_by_key(|(name, _)| name.len()).copied()
}

fn uses_out_of_table(source: &Source, exports: &BTreeMap<String, String>) -> Vec<String> {
    let Some((user, may_use)) = row(&source.path) else {
        return vec![format!(
            "{}: give it a row in the module table (here and in ARCHITECTURE.md)",
            source.path
        )];
    };
    let own = user.split('/').next().unwrap_or(user);
    let mut complaints = Vec::new();
    for (at, names) in from_root(source) {
        let Some(first) = names.first().filter(|_| !source.is_test(at)) else { continue };
        let is_module = TABLE.iter().any(|(name, _)| name == first);
        let (module, item) = match exports.get(first) {
            _ if is_module => (first, names.get(1)),
            Some(module) => (module, Some(first)),
            None => {
                let place = source.place(at);
                complaints
                    .push(format!("{place}: crate::{first} is no module and no re-export; name its module"));
                continue;
            }
        };
        let with_item = format!("{module}::{}", item.map_or("", String::as_str));
        let is_listed = may_use.iter().any(|name| *name == "all" || name == module || *name == with_item);
        if module != own && module != "error" && !is_listed {
            let place = source.place(at);
            complaints.push(format!(
                "{place}: {user} may not use {module}: turn the dependency round, or move the code"
            ));
        }
    }
    complaints
}

fn outside_of_a_machine(source: &Source) -> Vec<String> {
    if !MACHINES
        .iter()
        .any(|machine| source.path == *machine || machine.ends_with('/') && source.path.starts_with(machine))
    {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    let paths = source.paths(&["crate", "std", "parking_lot"]);
    for path in paths.iter().filter(|path| !source.is_test(path.at)) {
        let path_text = path.names.join("::");
        let is_below =
            |outside: &&&str| path_text == ***outside || path_text.starts_with(&format!("{outside}::"));
        if let Some(outside) = OUTSIDE.iter().find(is_below) {
            let place = source.place(path.at);
            complaints
                .push(format!("{place}: {outside} in a plain machine: pass what it needs in as a value"));
        }
    }
    complaints
}

/// The rows of the table under this heading: first cell, and the names in backquotes in the second.
fn rows_of_paper(paper: &str, heading: &str) -> BTreeMap<String, BTreeSet<String>> {
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let section = paper.split_once(heading).map_or("", |(_, rest)| rest);
    let rows =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let mut table = BTreeMap::new();
    for line in rows.skip(2) {
        let cells: Vec<&str> = line.split('|').collect();
        let uses: BTreeSet<String> = quoted(cells.get(2).unwrap_or(&"")).into_iter().collect();
        for module in quoted(cells.get(1).unwrap_or(&"")) {
            table.insert(module, uses.clone());
        }
    }
    table
}

fn library() -> Vec<Source> {
    sources(&["src"])
}

fn test_only(source: &Source) -> bool {
    let name = source.path.rsplit('/').next().unwrap_or("");
    name == "tests.rs" || name.ends_with("_tests.rs") || source.path.contains("/tests/")
}

#[test]
fn every_module_uses_only_what_the_table_lets_it() {
    let library = library();
    let lib = library.iter().find(|source| source.path == "src/lib.rs").unwrap();
    let exports = exports(lib);
    assert!(exports.get("Engine").is_some_and(|module| module == "engine"), "lib.rs re-exports are not read");
    let bound = library.iter().filter(|source| source.path != "src/lib.rs" && !test_only(source));
    let complaints: Vec<String> = bound.flat_map(|source| uses_out_of_table(source, &exports)).collect();
    hold("The module table (ARCHITECTURE.md) keeps the path of a write readable downwards.", &complaints);
}

#[test]
fn plain_machines_have_no_lock_no_clock_no_thread_and_no_file() {
    let complaints: Vec<String> =
        library().iter().filter(|source| !test_only(source)).flat_map(outside_of_a_machine).collect();
    hold("Plain machines are what makes simulation, fuzzing and model checking possible.", &complaints);
}

#[test]
fn every_row_of_the_table_and_every_machine_is_there() {
    let library = library();
    let exists = |start: &str| {
        let (file, folder) = (format!("{start}.rs"), format!("{start}/"));
        library.iter().any(|source| source.path == file || source.path.starts_with(&folder))
    };
    let rows = TABLE.iter().map(|(name, _)| format!("src/{name}"));
    let machines =
        MACHINES.iter().map(|machine| machine.trim_end_matches(".rs").trim_end_matches('/').to_owned());
    let gone: Vec<String> = rows.chain(machines).filter(|start| !exists(start)).collect();
    hold("The tables of this test name what is not there: take it out.", &gone);
}

#[test]
fn the_architecture_shows_the_same_module_table() {
    let Ok(paper) = std::fs::read_to_string(root().join("ARCHITECTURE.md")) else { return };
    let table =
        |(name, uses): &(&str, &[&str])| ((*name).to_owned(), uses.iter().map(ToString::to_string).collect());
    let expected: BTreeMap<String, BTreeSet<String>> = TABLE.iter().map(table).collect();
    assert_eq!(
        rows_of_paper(&paper, "## Who may use whom"),
        expected,
        "make ARCHITECTURE.md and this test agree"
    );
}

#[test]
fn the_module_rules_bite() {
    let lib = Source::new(
        "src/lib.rs",
        "pub use shard::{Status, Ticket};\npub use sink::{Base, Sink};\npub use config::Full;",
    );
    let exports = exports(&lib);
    let complaints = |path: &str, text: &str| uses_out_of_table(&Source::new(path, text), &exports).len();
    assert_eq!(complaints("src/merge/net.rs", "use crate::{error::Error, operation::Action};"), 0);
    assert_eq!(complaints("src/merge/net.rs", "use crate::{error::Error, shard::Bank};"), 1);
    assert_eq!(complaints("src/merge/net.rs", "use super::super::shard::Bank;"), 1);
    assert_eq!(complaints("src/shard/bank.rs", "use super::slot::Slot; use crate::sync::Mutex;"), 0);
    assert_eq!(complaints("src/shard/bank.rs", "fn f() { let x = crate::Full::HandBack; }"), 1);
    assert_eq!(complaints("src/shard/mod.rs", "use super::drain::Drain;"), 1);
    assert_eq!(complaints("src/shard/bank.rs", "use crate::Unheard;"), 1);
    assert_eq!(complaints("src/shard/mod.rs", "mod inner { use super::drain::Drain; }"), 0);
    assert_eq!(complaints("src/shard/mod.rs", "mod inner { use super::super::drain::Drain; }"), 1);
    assert_eq!(complaints("src/view.rs", "use crate::{Base, shard::Bank};"), 0);
    assert_eq!(complaints("src/view.rs", "use crate::Sink;"), 1);
    assert_eq!(complaints("src/sink/memory.rs", "use crate::segment::SegmentStore;"), 1);
    assert_eq!(complaints("src/sink/segments.rs", "use crate::segment::SegmentStore;"), 0);
    assert_eq!(complaints("src/shard/bank.rs", "#[cfg(test)]\nmod tests { use crate::Full; }"), 0);
    assert_eq!(complaints("src/unheard/writer.rs", ""), 1);
    let machine = |text: &str| outside_of_a_machine(&Source::new("src/shard/slab.rs", text)).len();
    assert_eq!(machine("use std::{collections::BTreeMap, sync::Arc, time::Duration};"), 0);
    assert_eq!(machine("use std::{fs, sync::atomic::AtomicU64, time::Instant};"), 3);
    let paper = "## T\n\n| m | may use |\n| - | - |\n| `a`, `b` | `c`, `d::E` |\n";
    let rows = rows_of_paper(paper, "## T");
    assert_eq!(rows.len(), 2);
    assert!(rows["b"].contains("d::E"));
}
