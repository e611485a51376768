//! How large files and functions may get. What was larger when the rule came may not grow.

use crate::{
    hold,
    source::{Source, item_end, sources},
};

const FOLDERS: &[&str] = &["src", "cli", "tests", "fuzz", "examples", "benches"];

/// Lines of a file at which it is split by role.
const FILE_LINES: usize = 500;
/// Lines that no file has, tests included.
const FILE_LINES_MAX: usize = 700;
/// Lines of a function: a screen.
const FUNCTION_LINES: usize = 70;

/// Files over [`FILE_LINES`], with the lines they may have. Only ever taken from.
const LONG_FILES: &[(&str, usize)] = &[];
/// Functions over [`FUNCTION_LINES`], as file and name, with the lines they may have. Only ever taken from.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[];

fn too_long(source: &Source, ratchet: &[(&str, usize)]) -> Option<String> {
    let lines = source.text.lines().count();
    let path = &source.path;
    let may_have = ratchet.iter().find(|(name, _)| name == path).map(|(_, lines)| *lines);
    match may_have {
        _ if lines > FILE_LINES_MAX => {
            Some(format!("{path} has {lines} lines, {FILE_LINES_MAX} is the most: split it by role"))
        }
        Some(most) if lines > most => {
            Some(format!("{path} grew from {most} to {lines} lines: split it by role"))
        }
        Some(_) if lines <= FILE_LINES => {
            Some(format!("{path} has shrunk to {lines} lines: take it off LONG_FILES"))
        }
        None if lines > FILE_LINES => {
            Some(format!("{path} has {lines} lines, over {FILE_LINES}: split it by role"))
        }
        _ => None,
    }
}

/// Every function with a body: its place, its name, and its lines.
fn functions(source: &Source) -> Vec<(usize, &str, usize)> {
    let mut functions = Vec::new();
    for at in source.find_word("fn") {
        let rest = &source.code[at + 2..];
        let name =
            rest.trim_start().split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or("");
        let (end, has_body) = item_end(&source.code, at);
        if !name.is_empty() && has_body {
            functions.push((at, name, source.code[at..end].matches('\n').count() + 1));
        }
    }
    functions
}

fn too_long_functions(source: &Source, ratchet: &[(&str, &str, usize)]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (at, name, lines) in functions(source) {
        let entry = ratchet.iter().find(|(path, function, _)| *path == source.path && *function == name);
        let most = entry.map_or(FUNCTION_LINES, |entry| entry.2);
        let place = source.place(at);
        if lines > most {
            complaints.push(format!(
                "{place}: {name} has {lines} lines, {most} is the most: branches up, loops down"
            ));
        } else if entry.is_some() && lines <= FUNCTION_LINES {
            complaints
                .push(format!("{place}: {name} has shrunk to {lines} lines: take it off LONG_FUNCTIONS"));
        }
    }
    complaints
}

#[test]
fn a_file_can_be_read_in_one_sitting() {
    let complaints: Vec<String> =
        sources(FOLDERS).iter().filter_map(|source| too_long(source, LONG_FILES)).collect();
    hold("Files stay at a size that can be read in one sitting.", &complaints);
}

#[test]
fn a_function_fits_a_screen() {
    let complaints: Vec<String> =
        sources(FOLDERS).iter().flat_map(|source| too_long_functions(source, LONG_FUNCTIONS)).collect();
    hold("Functions fit a screen.", &complaints);
}

#[test]
fn the_ratchets_name_what_is_there() {
    let sources = sources(FOLDERS);
    let has_file = |path: &str| sources.iter().any(|source| source.path == path);
    let has_function = |path: &str, name: &str| {
        sources
            .iter()
            .any(|source| source.path == path && functions(source).iter().any(|function| function.1 == name))
    };
    let files = LONG_FILES.iter().filter(|(path, _)| !has_file(path)).map(|(path, _)| (*path).to_owned());
    let gone = LONG_FUNCTIONS.iter().filter(|(path, name, _)| !has_function(path, name));
    let functions = gone.map(|(path, name, _)| format!("{name} in {path}"));
    hold("Take off the ratchet what is not there any more.", &files.chain(functions).collect::<Vec<_>>());
}

#[test]
fn the_size_rules_bite() {
    let file = |lines: usize| Source::new("src/x.rs", &"//\n".repeat(lines));
    assert!(too_long(&file(500), &[]).is_none());
    assert!(too_long(&file(501), &[]).is_some());
    assert!(too_long(&file(600), &[("src/x.rs", 600)]).is_none());
    assert!(too_long(&file(601), &[("src/x.rs", 600)]).is_some());
    assert!(too_long(&file(500), &[("src/x.rs", 600)]).is_some());
    assert!(too_long(&file(701), &[("src/x.rs", 900)]).is_some());
    let function = |lines: usize| {
        let body = "    x;\n".repeat(lines - 2);
        Source::new(
            "src/x.rs",
            &format!("trait T {{ fn none(&self) -> [u8; 4]; }}\nfn long(f: fn(u8)) {{\n{body}}}\n"),
        )
    };
    let complaints =
        |lines, ratchet: &[(&str, &str, usize)]| too_long_functions(&function(lines), ratchet).len();
    assert_eq!(functions(&function(9)).len(), 1);
    assert_eq!(complaints(70, &[]), 0);
    assert_eq!(complaints(71, &[]), 1);
    assert_eq!(complaints(80, &[("src/x.rs", "long", 80)]), 0);
    assert_eq!(complaints(70, &[("src/x.rs", "long", 80)]), 1);
}
