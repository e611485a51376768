//! Source files as the rules see them.
//!
//! # Invariants
//! 1. `code` has as many bytes and the same line breaks as `text`: a place in one is the same place in the other.
//! 2. `tests` are ranges of bytes that are compiled for tests only.

use std::{fs, ops::Range, path::Path};

/// One file of Rust.
pub(crate) struct Source {
    /// Its path from the root of the repository, with slashes.
    pub(crate) path: String,
    /// As it is.
    pub(crate) text: String,
    /// With comments and the insides of literals blanked out.
    pub(crate) code: String,
    /// What is compiled for tests only.
    pub(crate) tests: Vec<Range<usize>>,
}

/// One use of a path such as `crate::shard::Bank`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PathUse {
    /// Where it starts.
    pub(crate) at: usize,
    /// Its names; a glob ends in `*`.
    pub(crate) names: Vec<String>,
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below these folders, in order. A folder that is not there (in a published crate) has none.
pub(crate) fn sources(folders: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in folders {
        walk(&root().join(folder), &mut paths);
    }
    paths.sort();
    let read = |path: String| {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        Source::new(&path, &text)
    };
    paths.into_iter().map(read).collect()
}

fn walk(folder: &Path, paths: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                walk(&path, paths);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let path = path.strip_prefix(root()).unwrap();
            paths.push(path.to_str().unwrap().replace('\\', "/"));
        }
    }
}

impl Source {
    /// A file with this text.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = blank(text);
        let tests = test_ranges(&code);
        Self { path: path.to_owned(), text: text.to_owned(), code, tests }
    }

    /// The line of a place, from 1, as `path:line`.
    pub(crate) fn place(&self, at: usize) -> String {
        format!("{}:{}", self.path, self.code[..at].matches('\n').count() + 1)
    }

    /// True for a place that is compiled for tests only.
    pub(crate) fn is_test(&self, at: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&at))
    }

    /// How many modules with a body in this file a place is inside of.
    pub(crate) fn inline_modules(&self, at: usize) -> usize {
        let is_around = |module: &usize| {
            let (end, has_body) = item_end(&self.code, *module);
            has_body && (*module..end).contains(&at)
        };
        self.find_word("mod").filter(is_around).count()
    }

    /// Where this stands in the code.
    pub(crate) fn find<'a>(&'a self, what: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.code.match_indices(what).map(|(at, _)| at)
    }

    /// Where this stands in the code as a word of its own.
    pub(crate) fn find_word<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let bytes = self.code.as_bytes();
        let is_name =
            |at: usize| bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        self.find(word).filter(move |&at| (at == 0 || !is_name(at - 1)) && !is_name(at + word.len()))
    }

    /// Every path that begins with one of these names, from use trees and from inside expressions.
    pub(crate) fn paths(&self, roots: &[&str]) -> Vec<PathUse> {
        let tokens = tokens(&self.code);
        let mut found = Vec::new();
        for (position, &(at, token)) in tokens.iter().enumerate() {
            let is_start = position == 0 || tokens[position - 1].1 != "::";
            if is_start && roots.contains(&token) {
                let mut names = Vec::new();
                let mut position = position;
                tree(&tokens, &mut position, &mut names, &mut |names| {
                    found.push(PathUse { at, names: names.iter().map(ToString::to_string).collect() });
                });
            }
        }
        found
    }
}

/// Reads a path or a use tree and reports each path in it.
fn tree<'a>(
    tokens: &[(usize, &'a str)],
    position: &mut usize,
    names: &mut Vec<&'a str>,
    found: &mut impl FnMut(&[&'a str]),
) {
    let depth = names.len();
    loop {
        let token = tokens.get(*position).map_or("", |token| token.1);
        if token == "{" {
            *position += 1;
            while tokens.get(*position).is_some_and(|token| token.1 != "}") {
                let before = *position;
                tree(tokens, position, names, found);
                if *position == before || tokens.get(*position).is_some_and(|token| token.1 == ",") {
                    *position += 1;
                }
            }
            *position += 1;
            break;
        }
        if !is_name(token) && token != "*" {
            found(names);
            break;
        }
        names.push(token);
        *position += 1;
        if tokens.get(*position).is_none_or(|token| token.1 != "::") {
            found(names);
            if tokens.get(*position).is_some_and(|token| token.1 == "as") {
                *position += 2;
            }
            break;
        }
        *position += 1;
    }
    names.truncate(depth);
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Names, `::`, and single other characters, each with its place.
fn tokens(code: &str) -> Vec<(usize, &str)> {
    let bytes = code.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let byte = bytes[at];
        at += 1;
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            while bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
                at += 1;
            }
        } else if byte == b':' && bytes.get(at) == Some(&b':') {
            at += 1;
        } else if byte.is_ascii_whitespace() {
            continue;
        }
        tokens.push((start, &code[start..at]));
    }
    tokens
}

/// The end of what stands in brackets that open at `open`: the place behind the closing one.
pub(crate) fn close(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// Where the item that starts here ends: behind its body, or behind its semicolon.
pub(crate) fn item_end(code: &str, start: usize) -> (usize, bool) {
    let bytes = code.as_bytes();
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'{' => return (close(code, at), true),
            b'(' | b'[' => at = close(code, at),
            b';' => return (at + 1, false),
            _ => at += 1,
        }
    }
    (at, false)
}

fn test_ranges(code: &str) -> Vec<Range<usize>> {
    let attribute = "#[cfg(test)]";
    let range = |(at, _): (usize, &str)| at..item_end(code, at + attribute.len()).0;
    code.match_indices(attribute).map(range).collect()
}

/// Blanks out comments, strings and characters; every other byte stays where it is.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = at + literal(bytes, at);
        for byte in &mut code[at..end.min(bytes.len())] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    // What is left beyond ASCII stands outside of literals: nothing of ours.
    code.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'_');
    String::from_utf8(code).unwrap()
}

/// How many bytes the comment or literal has that begins here; 0 where none does.
fn literal(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return block_comment(rest);
    }
    match rest[0] {
        b'"' => quoted(rest, b'"'),
        b'r' if is_raw(bytes, at) => {
            let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
            let closing = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
            let inside = hashes + 2;
            let length = rest[inside..].windows(hashes + 1).position(|window| window == closing);
            length.map_or(rest.len(), |length| inside + length + hashes + 1)
        }
        b'\'' if rest.get(1) == Some(&b'\\') => quoted(rest, b'\''),
        b'\'' => {
            let first = rest.get(1).copied().unwrap_or(0);
            let width = if first < 0x80 { 1 } else { first.leading_ones() as usize };
            if rest.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 }
        }
        _ => 0,
    }
}

fn is_raw(bytes: &[u8], at: usize) -> bool {
    let mut before = bytes[..at].iter().rev().copied().skip_while(|byte| matches!(byte, b'b' | b'c'));
    let is_start = before.next().is_none_or(|byte| !byte.is_ascii_alphanumeric() && byte != b'_');
    is_start && bytes[at + 1..].iter().find(|byte| **byte != b'#') == Some(&b'"')
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

#[test]
fn comments_and_literals_are_blanked_and_places_stay() {
    let text =
        "a // unsafe\nb \"un\\\"safe\" c r#\"un\"safe\"# '\"' 'é' '\\'' &'static /* /* x */ unsafe */ d";
    let source = Source::new("x.rs", text);
    assert_eq!(source.code.len(), text.len());
    assert_eq!(source.find("safe").count(), 0, "{}", source.code);
    let words: Vec<&str> = source.code.split_whitespace().filter(|word| word.len() == 1).collect();
    assert_eq!(words, ["a", "b", "c", "d"], "{}", source.code);
    assert!(source.code.contains("&'static"));
}

#[test]
fn paths_come_out_of_use_trees_and_expressions() {
    let source = Source::new(
        "x.rs",
        "use crate::{A, sink::{B as C, d::*}, self};\nfn f() { crate::shard::go::<u8>(x::crate_y) }",
    );
    let found: Vec<String> = source.paths(&["crate"]).iter().map(|path| path.names.join("::")).collect();
    assert_eq!(found, ["crate::A", "crate::sink::B", "crate::sink::d::*", "crate::self", "crate::shard::go"]);
}

#[test]
fn test_code_is_told_from_the_rest() {
    let source = Source::new("x.rs", "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\nfn c() {}\n");
    let is_test = |name| source.is_test(source.code.find(name).unwrap());
    assert_eq!([is_test("fn a"), is_test("fn b"), is_test("fn c")], [false, true, false]);
    assert_eq!(source.place(source.code.find("fn c").unwrap()), "x.rs:4");
}
