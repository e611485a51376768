//! No dead files, and none without a header.

use crate::{
    hold,
    source::{Source, sources},
};
use std::collections::{BTreeMap, BTreeSet};

const FOLDERS: &[&str] = &["src", "cli", "tests", "fuzz", "examples", "benches"];

/// True for a file that Cargo starts from.
fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    // The program and the benches are packages of their own.
    let of_package = ["cli", "benches"].iter().find_map(|package| parts.strip_prefix(&[*package]));
    let parts = of_package.unwrap_or(&parts);
    match parts {
        // Only files of Rust come here.
        ["src", "lib.rs" | "main.rs"]
        | ["build.rs"]
        | ["fuzz", "fuzz_targets", _]
        | ["tests" | "examples" | "benches", _]
        | ["tests" | "examples" | "benches", _, "main.rs"] => true,
        _ => false,
    }
}

/// The files that a file's `mod` lines may mean.
fn children(source: &Source) -> Vec<String> {
    let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let stem = file.trim_end_matches(".rs");
    let own =
        if is_root(&source.path) || stem == "mod" { folder.to_owned() } else { format!("{folder}/{stem}") };
    let mut children = Vec::new();
    for at in source.find_word("mod") {
        let rest = source.code[at + 3..].trim_start();
        let Some((name, _)) = rest.split_once(';').filter(|(name, _)| !name.contains(['{', ' ', '('])) else {
            continue;
        };
        let item_start = source.code[..at].rfind([';', '}']).map_or(0, |at| at + 1);
        let attributes = &source.text[item_start..at];
        let given = attributes.split_once("#[path = \"").and_then(|(_, rest)| rest.split_once('"'));
        match given {
            Some((given, _)) => children.push(clean(&format!("{folder}/{given}"))),
            None => children.extend([format!("{own}/{name}.rs"), format!("{own}/{name}/mod.rs")]),
        }
    }
    children
}

/// A path without `..`.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn dead(sources: &[Source]) -> Vec<String> {
    let by_path: BTreeMap<&str, &Source> =
        sources.iter().map(|source| (source.path.as_str(), source)).collect();
    let mut reached = BTreeSet::new();
    let mut open: Vec<String> =
        by_path.keys().filter(|path| is_root(path)).map(ToString::to_string).collect();
    while let Some(path) = open.pop() {
        if let Some(source) = by_path.get(path.as_str())
            && reached.insert(path)
        {
            open.extend(children(source));
        }
    }
    by_path
        .keys()
        .filter(|path| !reached.contains(**path))
        .map(|path| format!("{path}: no mod line leads here: delete it"))
        .collect()
}

fn without_header(source: &Source) -> Option<String> {
    let first = source.text.lines().find(|line| !line.starts_with("#![")).unwrap_or("");
    let has_header = first.starts_with("//!");
    (!has_header).then(|| format!("{}: begin with //! and say what this is for", source.path))
}

#[test]
fn every_file_is_reached_by_a_mod_line() {
    let sources = sources(FOLDERS);
    assert!(sources.len() > 20, "the tree was not found");
    hold("Dead files mislead.", &dead(&sources));
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let complaints: Vec<String> = sources(FOLDERS).iter().filter_map(without_header).collect();
    hold("A header says what a file is for before it says how.", &complaints);
}

#[test]
fn the_rules_of_reach_bite() {
    let file = |path: &str, text: &str| Source::new(path, text);
    let tree = [
        file("src/lib.rs", "mod a;\nmod b;\n// mod e;\n"),
        file("src/a.rs", "#[cfg(test)]\nmod tests;"),
        file("src/a/tests.rs", ""),
        file("src/b/mod.rs", "pub(crate) mod c;"),
        file("src/b/c.rs", ""),
        file("src/d.rs", ""),
        file("src/e.rs", ""),
        file("tests/one/main.rs", "#[path = \"../support/mod.rs\"]\nmod support;"),
        file("tests/support/mod.rs", ""),
        file("fuzz/fuzz_targets/t.rs", ""),
        file("benches/src/lib.rs", "mod f;"),
        file("benches/src/f.rs", ""),
        file("benches/benches/table.rs", ""),
    ];
    let dead = dead(&tree);
    assert_eq!(dead.len(), 2, "{dead:?}");
    assert!(dead[0].starts_with("src/d.rs") && dead[1].starts_with("src/e.rs"));
    assert!(without_header(&file("src/a.rs", "use x;\n//! late")).is_some());
    assert!(without_header(&file("src/a.rs", "#![no_main]\n//! In time.")).is_none());
}
