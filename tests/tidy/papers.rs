//! The papers: what they name is there, and no tracked file names a machine.

use crate::{
    hold,
    source::{root, sources},
};
use std::{collections::BTreeSet, fs, process::Command};

const PAPERS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/elastic.md",
    "docs/embedded.md",
    "docs/format.md",
    "docs/journal.md",
    "docs/program.md",
    "docs/running-with-a-journal.md",
    "benches/README.md",
];

/// A path of the machine that something was written on, cut so that this file does not name one itself.
const MACHINE_PATHS: &[&str] = &["/wo rk/", "/ro ot/", "/ho me/", "/Us ers/", "C:\\ Users"];
/// Hosts of registries: dependencies come by name, from wherever the machine gets them.
const HOSTS: &[&str] = &[
    "crates.i o/",
    "index.crat es.io",
    "pypi.o rg",
    "pythonhost ed.org",
    "registry.npm js.org",
    "proxy.gol ang.org",
];

/// Where every package of a lock file comes from.
const LOCKED_FROM: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The text files under version control; all there are where git cannot tell.
fn tracked() -> Vec<(String, String)> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let paths: Vec<String> = match listed {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout)
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(str::to_owned)
            .collect(),
        _ => {
            let code = sources(&["src", "cli", "tests", "fuzz", "examples", "benches"])
                .into_iter()
                .map(|source| source.path);
            code.chain(PAPERS.iter().map(ToString::to_string)).collect()
        }
    };
    let is_data = |path: &str| path.starts_with("fuzz/corpus/") || path.starts_with("tests/data/");
    let read = |path: String| fs::read_to_string(root().join(&path)).ok().map(|text| (path, text));
    paths.into_iter().filter(|path| !is_data(path)).filter_map(read).collect()
}

fn machine_names(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{path}:{}", number + 1);
        for cut in MACHINE_PATHS {
            let name = cut.replace(' ', "");
            let is_start =
                |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-/}~".contains(c));
            if line.match_indices(&name).any(|(at, _)| is_start(at)) {
                complaints.push(format!("{place}: {name}: paths are relative to the repository"));
            }
        }
        for host in HOSTS.iter().map(|cut| cut.replace(' ', "")) {
            if line.contains(&host) {
                complaints.push(format!("{place}: {host}: name the package, not the host it comes from"));
            }
        }
        if path.ends_with("Cargo.lock") && line.starts_with("source = ") && !line.contains(LOCKED_FROM) {
            complaints.push(format!("{place}: locked from somewhere else than the public index"));
        }
    }
    complaints
}

/// What stands in backquotes, outside of code blocks.
fn quoted(paper: &str) -> Vec<&str> {
    let mut in_block = false;
    let mut quoted = Vec::new();
    for line in paper.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            quoted.extend(line.split('`').skip(1).step_by(2));
        }
    }
    quoted
}

/// Paths, links and test names of a paper that are not there.
fn claims_left_behind(
    paper: &str,
    exists: impl Fn(&str) -> bool,
    functions: &BTreeSet<String>,
) -> Vec<String> {
    let mut complaints = Vec::new();
    for name in quoted(paper) {
        let of_tree =
            ["src/", "tests/", "docs/", "dev/", "cli/", "examples/", "fuzz/", "benches/", "data/", ".ci/"];
        let is_path =
            of_tree.iter().any(|folder| name.starts_with(folder)) && !name.contains([' ', '*', '<', '{']);
        let is_test = name.matches('_').count() >= 3
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if is_path && !exists(name) {
            complaints.push(format!("{name} is not there"));
        } else if is_test && !functions.contains(name) {
            complaints.push(format!("no function is named {name}"));
        }
    }
    for link in paper.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
        if !link.is_empty() && !link.contains("://") && !exists(link) {
            complaints.push(format!("the link to {link} leads nowhere"));
        }
    }
    complaints
}

/// Where the program's command line is said.
const ARGUMENTS: &[&str] = &["cli/src/args.rs", "cli/src/args/letters.rs", "cli/src/args/sink.rs"];

/// Every line of a code block, and what stands in backquotes outside of them.
fn code(paper: &str) -> Vec<&str> {
    let mut in_block = false;
    let mut found = quoted(paper);
    for line in paper.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.push(line);
        }
    }
    found
}

/// The names of the program's commands and flags, as they are typed, by the names that the source gives them.
fn command_line(source: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let is_upper = |c: char| c.is_ascii_uppercase();
    let kebab = |name: &str| name.replace('_', "-");
    let (mut commands, mut flags) =
        (BTreeSet::from(["help".to_owned()]), BTreeSet::from(["--help".to_owned()]));
    let mut in_commands = false;
    for line in source.lines() {
        if line.contains("enum ") {
            in_commands = line.contains("Command {");
        }
        if let Some((name, _)) = line.strip_prefix("    pub ").and_then(|rest| rest.split_once(':')) {
            flags.insert(format!("--{}", kebab(name)));
        } else if in_commands && line.starts_with("    ") && line.trim_start().starts_with(is_upper) {
            let name: String = line.trim_start().chars().take_while(char::is_ascii_alphanumeric).collect();
            // A hyphen before each capital letter but the first.
            let words = name.char_indices().map(|(at, c)| {
                let hyphen = if at > 0 && c.is_ascii_uppercase() { "-" } else { "" };
                format!("{hyphen}{}", c.to_ascii_lowercase())
            });
            commands.insert(words.collect());
        }
    }
    (commands, flags)
}

/// Commands and flags of the program that a paper names and that are not there.
fn commands_left_behind(
    paper: &str,
    (commands, flags): &(BTreeSet<String>, BTreeSet<String>),
) -> Vec<String> {
    let mut complaints = Vec::new();
    for code in code(paper) {
        for (at, _) in code.match_indices("millpond ") {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || "-_.".contains(c)) {
                continue;
            }
            let typed = code[at..].split(['|', '#', ';', '&', '<']).next().unwrap_or_default();
            let mut words =
                typed.split_whitespace().skip(1).map(|word| word.trim_end_matches(['\\', '\'', '"', ',']));
            let Some(command) =
                words.next().filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
            else {
                continue;
            };
            // Of a table: `inspect\` is what is left of inspect\|verify.
            if !commands.contains(command) {
                complaints.push(format!("millpond has no command {command}: {code}"));
            }
            let flagged =
                words.filter(|word| word.starts_with("--")).map(|word| word.trim_matches(['[', ']']));
            let unknown = flagged
                .map(|word| word.split('=').next().unwrap_or(word))
                .find(|flag| !flags.contains(*flag));
            complaints.extend(unknown.map(|flag| format!("millpond has no flag {flag}: {code}")));
        }
    }
    complaints
}

fn function_names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in sources(&["src", "cli", "tests", "fuzz", "examples", "benches"]) {
        for at in source.find_word("fn") {
            let rest = source.code[at + 2..].trim_start();
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            names.insert(name);
        }
    }
    names
}

#[test]
fn no_tracked_file_names_a_machine_or_a_registry() {
    let complaints: Vec<String> =
        tracked().iter().flat_map(|(path, text)| machine_names(path, text)).collect();
    hold("The repository is the same everywhere.", &complaints);
}

#[test]
fn what_the_papers_name_is_there() {
    let functions = function_names();
    let exists = |path: &str| root().join(path).exists();
    let arguments = ARGUMENTS.iter().map(|path| fs::read_to_string(root().join(path)).unwrap_or_default());
    let typed = command_line(&arguments.collect::<String>());
    let mut complaints = Vec::new();
    for paper in PAPERS.iter().filter(|paper| exists(paper)) {
        let text = fs::read_to_string(root().join(paper)).unwrap();
        let folder = paper.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let found =
            claims_left_behind(&text, |path| exists(path) || exists(&format!("{folder}{path}")), &functions);
        let found = found.into_iter().chain(commands_left_behind(&text, &typed));
        complaints.extend(found.map(|complaint| format!("{paper}: {complaint}")));
    }
    hold("A claim that the code has left behind is worse than none.", &complaints);
}

#[test]
fn the_changelog_knows_this_version() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let heading = format!("## [{version}]");
    assert!(
        changelog.contains(&heading),
        "CHANGELOG.md has no section {heading:?}: say what it changes for users"
    );
}

#[test]
fn the_rules_on_papers_bite() {
    let [path, host] = [MACHINE_PATHS[0].replace(' ', ""), HOSTS[2].replace(' ', "")];
    assert_eq!(machine_names("a.md", &format!("see {path}x and https://{host}/y\n")).len(), 2);
    assert_eq!(machine_names("a.md", "at network/a, frame/root/b\n").len(), 0);
    assert_eq!(machine_names("Cargo.lock", "source = \"registry+https://elsewhere\"\n").len(), 1);
    assert_eq!(machine_names("Cargo.lock", &format!("source = \"{LOCKED_FROM}\"\n")).len(), 0);
    let functions = BTreeSet::from(["a_test_that_is_there".to_owned()]);
    let paper = "`src/x.rs` `src/y.rs` `a_test_that_is_there` `a_test_that_is_gone` [a](docs/z.md) [b](https://b)\n\
                 ```\n`src/z.rs`\n```\n";
    let complaints = claims_left_behind(paper, |path| path == "src/x.rs", &functions);
    assert_eq!(complaints.len(), 3, "{complaints:?}");
    let typed = command_line(
        "pub enum Command {\n    Replay(Box<Replay>),\n    DeadLetters(Letters),\n}\npub enum Sink {\n    Null,\n}\n    pub max_delay: Duration,\n",
    );
    let paper = "`millpond replay FILE --max-delay 1s` `-p millpond --test x` `millpond null` `millpond dead-letters`\n\
                 ```text\nx | millpond gone - --memory 1MiB\nmillpond replay --max-delay=1s | y --other # --more\n```\n";
    let complaints = commands_left_behind(paper, &typed);
    assert_eq!(complaints.len(), 3, "{complaints:?}");
}
