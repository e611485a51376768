//! Bodies of updates as plans: what is done to each path, and how the bulk format writes it.
//!
//! # Design
//! A plan is a tree in which each path has one touch. It is written as a tree for each kind of part (`doc`, `inc`,
//! `remove`, …), so no path is touched twice by construction.

use super::model::decode;
use std::collections::HashSet;

/// The parts of an update's body, by the key each is written under.
pub const PARTS: [&str; 9] = ["doc", "set", "inc", "append", "union", "subtract", "min", "max", "remove"];

/// What one body does to one level of the document.
#[derive(Clone, Debug)]
pub enum Plan {
    /// One touch: the part it belongs to and its operand.
    Leaf(&'static str, String),
    /// An object of the tree; `in_doc` where the partial document names it even if it has nothing to say below.
    Level { in_doc: bool, members: Vec<(String, Plan)> },
}

/// Members without those whose name stood before, under whatever spelling.
pub fn unique<T>(members: Vec<(String, T)>) -> Vec<(String, T)> {
    let mut names = HashSet::new();
    members.into_iter().filter(|(name, _)| names.insert(decode(name))).collect()
}

pub fn object<'a>(members: impl Iterator<Item = (&'a String, &'a str)>, spaced: bool) -> String {
    let (colon, comma) = if spaced { (" :\t", " ,\n") } else { (":", ",") };
    let members: Vec<_> = members.map(|(name, value)| format!("{name}{colon}{value}")).collect();
    format!("{{{}}}", members.join(comma))
}

pub fn list(items: &[String], spaced: bool) -> String {
    format!("[{}]", items.join(if spaced { " , " } else { "," }))
}

/// The tree of one part, if the plan has any of it below here.
fn project(members: &[(String, Plan)], part: &str) -> Option<String> {
    let found: Vec<_> = members
        .iter()
        .filter_map(|(name, plan)| match plan {
            Plan::Leaf(own, operand) => (*own == part).then(|| (name, operand.clone())),
            Plan::Level { in_doc, members } => {
                let below = project(members, part);
                below.or_else(|| (*in_doc && part == "doc").then(|| "{}".to_owned())).map(|text| (name, text))
            }
        })
        .collect();
    (!found.is_empty()).then(|| object(found.iter().map(|(name, text)| (*name, text.as_str())), false))
}

/// The `[path, value]` pairs of a plan's sets.
fn sets(members: &[(String, Plan)], path: &mut Vec<String>, pairs: &mut Vec<String>) {
    for (name, plan) in members {
        path.push(name.clone());
        match plan {
            Plan::Leaf("set", value) => pairs.push(format!("[[{}],{value}]", path.join(","))),
            Plan::Leaf(..) => {}
            Plan::Level { members, .. } => sets(members, path, pairs),
        }
        path.pop();
    }
}

/// The keys of a body that say what a plan says; never none.
fn plan_keys(members: &[(String, Plan)], with_doc: bool) -> Vec<String> {
    let mut keys = Vec::new();
    for part in PARTS {
        let text = if part == "set" {
            let mut pairs = Vec::new();
            sets(members, &mut Vec::new(), &mut pairs);
            (!pairs.is_empty()).then(|| format!("[{}]", pairs.join(",")))
        } else {
            project(members, part)
        };
        keys.extend(text.map(|text| format!(r#""{part}":{text}"#)));
    }
    if keys.is_empty() || with_doc && !keys.iter().any(|key| key.starts_with(r#""doc""#)) {
        keys.push(r#""doc":{}"#.to_owned());
    }
    keys
}

/// What an update says of a document that is not there.
#[derive(Clone, Debug)]
pub enum Absent {
    Nothing,
    Upsert(String),
    DocAsUpsert,
}

/// A body: the plan, the plans that follow it, and what is there where no document was.
pub fn body(
    plan: &[(String, Plan)],
    then: &[Vec<(String, Plan)>],
    absent: &Absent,
    detect_noop: Option<bool>,
) -> String {
    let mut keys = plan_keys(plan, matches!(absent, Absent::DocAsUpsert));
    if !then.is_empty() {
        let bodies: Vec<_> =
            then.iter().map(|plan| format!("{{{}}}", plan_keys(plan, false).join(","))).collect();
        keys.push(format!(r#""then":[{}]"#, bodies.join(",")));
    }
    match absent {
        Absent::Nothing => {}
        Absent::Upsert(document) => keys.push(format!(r#""upsert":{document}"#)),
        Absent::DocAsUpsert => keys.push(r#""doc_as_upsert":true"#.to_owned()),
    }
    keys.extend(detect_noop.map(|flag| format!(r#""detect_noop":{flag}"#)));
    format!("{{{}}}", keys.join(","))
}
