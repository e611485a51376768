//! A builder for the bodies of updates.
//!
//! # Design
//! Operands come one by one with their paths and are gathered into one tree per section when the body is built.
//! Names are escaped here; operands are JSON text of the caller's and go in as they are, so that what is wrong with
//! them is found where all bodies are checked, at submit.
//!
//! # Invariants
//! 1. An operand cannot reach beyond its place: one that is not a single value makes a body that is refused.

use crate::document::quote;
use std::collections::HashMap;
use std::fmt::Display;

/// Builds the body of an update, which [`Action::Update`](crate::Action::Update) takes.
///
/// A path is a list of field names; a dot in a name is a dot. JSON that is malformed, and a path that is touched
/// twice, are found when the operation is submitted.
///
/// ```
/// use millpond::{Action, NetOperation, UpdateBody};
///
/// let body = UpdateBody::new()
///     .doc(r#"{"last":{"dest":"IAH"}}"#)
///     .increment(&["flights"], 1)
///     .union(&["airports"], r#"["EWR"]"#)
///     .max(&["delay", "worst"], "11")
///     .doc_as_upsert()
///     .build();
/// assert_eq!(
///     String::from_utf8_lossy(&body),
///     r#"{"doc":{"last":{"dest":"IAH"}},"inc":{"flights":1},"union":{"airports":["EWR"]},"max":{"delay":{"worst":11}},"doc_as_upsert":true}"#
/// );
/// let update = NetOperation::new(Action::Update(&body))?;
/// let document = update.apply(None).document.unwrap_or_default();
/// assert_eq!(document, r#"{"last":{"dest":"IAH"},"flights":1,"airports":["EWR"],"delay":{"worst":11}}"#);
/// # Ok::<(), millpond::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "nothing happens until the body is built and submitted"]
pub struct UpdateBody {
    doc: Option<String>,
    upsert: Option<String>,
    doc_as_upsert: bool,
    writes_always: bool,
    set: Vec<(Vec<String>, String)>,
    /// Field operations in the order of their first use, each with its operands.
    trees: Vec<(&'static str, Tree)>,
    then: Vec<UpdateBody>,
}

impl UpdateBody {
    /// An empty body: something must be added before it can be submitted.
    pub fn new() -> Self {
        Self::default()
    }

    /// A partial document, merged as Elasticsearch merges: objects field by field, all else replaced.
    pub fn doc(mut self, json: impl AsRef<str>) -> Self {
        self.doc = Some(json.as_ref().to_owned());
        self
    }

    /// The document to store where there is none.
    pub fn upsert(mut self, json: impl AsRef<str>) -> Self {
        self.upsert = Some(json.as_ref().to_owned());
        self
    }

    /// Where there is no document, stores what the update makes of an empty one. Wins over
    /// [`upsert`](Self::upsert), as in Elasticsearch.
    pub fn doc_as_upsert(mut self) -> Self {
        self.doc_as_upsert = true;
        self
    }

    /// With false, the document is written even where the update changes nothing.
    pub fn detect_noop(mut self, detects: bool) -> Self {
        self.writes_always = !detects;
        self
    }

    /// Replaces a value whole, object or not.
    pub fn set(mut self, path: &[&str], json: impl AsRef<str>) -> Self {
        self.set.push((path.iter().map(|name| quoted(name)).collect(), json.as_ref().to_owned()));
        self
    }

    /// Adds a number, exactly: a decimal as text, or an integer.
    pub fn increment(self, path: &[&str], number: impl Display) -> Self {
        self.leaf("inc", path, number)
    }

    /// Puts the elements of a list (or one scalar) at the end of a list.
    pub fn append(self, path: &[&str], json: impl AsRef<str>) -> Self {
        self.leaf("append", path, json.as_ref())
    }

    /// Puts those elements of a list (or one scalar) that are not there yet at the end of a list.
    pub fn union(self, path: &[&str], json: impl AsRef<str>) -> Self {
        self.leaf("union", path, json.as_ref())
    }

    /// Takes every element equal to one of a list's (or to one scalar) out of a list.
    pub fn subtract(self, path: &[&str], json: impl AsRef<str>) -> Self {
        self.leaf("subtract", path, json.as_ref())
    }

    /// The lesser of two numbers, or of two strings by their bytes.
    pub fn min(self, path: &[&str], json: impl AsRef<str>) -> Self {
        self.leaf("min", path, json.as_ref())
    }

    /// The greater of two numbers, or of two strings by their bytes.
    pub fn max(self, path: &[&str], json: impl AsRef<str>) -> Self {
        self.leaf("max", path, json.as_ref())
    }

    /// Removes a field; nothing happens where it is absent.
    pub fn remove(self, path: &[&str]) -> Self {
        self.leaf("remove", path, "true")
    }

    /// What is to be done after all of this. Of that body only the parts that change the document count.
    pub fn then(mut self, body: UpdateBody) -> Self {
        self.then.push(body);
        self
    }

    /// The text of the body.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut text = Parts::new();
        self.write_patch(&mut text);
        if self.doc_as_upsert {
            text.key("doc_as_upsert").push_str("true");
        }
        if let Some(upsert) = &self.upsert {
            push_operand(text.key("upsert"), upsert);
        }
        if self.writes_always {
            text.key("detect_noop").push_str("false");
        }
        text.finish().into_bytes()
    }

    fn leaf(mut self, section: &'static str, path: &[&str], operand: impl Display) -> Self {
        let found = self.trees.iter().position(|(other, _)| *other == section);
        let at = found.unwrap_or_else(|| {
            self.trees.push((section, Tree::default()));
            self.trees.len() - 1
        });
        if let Some((_, tree)) = self.trees.get_mut(at) {
            tree.insert(path, operand.to_string());
        }
        self
    }

    fn write_patch(&self, text: &mut Parts) {
        if let Some(doc) = &self.doc {
            push_operand(text.key("doc"), doc);
        }
        if !self.set.is_empty() {
            let out = text.key("set");
            for (index, (path, value)) in self.set.iter().enumerate() {
                out.push_str(if index == 0 { "[[[" } else { ",[[" });
                out.push_str(&path.join(","));
                out.push_str("],");
                push_operand(out, value);
                out.push(']');
            }
            out.push(']');
        }
        for (section, tree) in &self.trees {
            tree.write(text.key(section));
        }
        if !self.then.is_empty() {
            let bodies: Vec<String> = self
                .then
                .iter()
                .map(|body| {
                    let mut text = Parts::new();
                    body.write_patch(&mut text);
                    text.finish()
                })
                .collect();
            let out = text.key("then");
            out.push('[');
            out.push_str(&bodies.join(","));
            out.push(']');
        }
    }
}

/// An object being written.
struct Parts(String);

impl Parts {
    fn new() -> Self {
        Self(String::from("{"))
    }

    /// Starts a member; its value is to follow.
    fn key(&mut self, key: &str) -> &mut String {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
        &mut self.0
    }

    fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// The operands of one section, by path. The first node is the root.
#[derive(Clone, Debug)]
struct Tree {
    nodes: Vec<Node>,
    children: HashMap<(usize, String), usize>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// With its quotes, escaped.
    name: String,
    operands: Vec<String>,
    children: Vec<usize>,
}

/// A step of writing a tree.
enum Step {
    Node { node: usize, comma: bool },
    Close,
}

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], children: HashMap::new() }
    }
}

impl Tree {
    fn insert(&mut self, path: &[&str], operand: String) {
        let mut at = 0;
        for name in path {
            let name = quoted(name);
            let next = self.nodes.len();
            let child = *self.children.entry((at, name.clone())).or_insert(next);
            if child == next {
                self.nodes.push(Node { name, ..Node::default() });
                if let Some(node) = self.nodes.get_mut(at) {
                    node.children.push(child);
                }
            }
            at = child;
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.operands.push(operand);
        }
    }

    /// Writes the tree. A node with two operands, or with an operand and children, is written as members of one
    /// name, which is refused at submit; so is an operand without a path.
    fn write(&self, out: &mut String) {
        let Some(root) = self.nodes.first() else { return };
        for operand in &root.operands {
            push_operand(out, operand);
        }
        out.push('{');
        let mut steps = vec![Step::Close];
        push_children(root, &mut steps);
        while let Some(step) = steps.pop() {
            let Step::Node { node, comma } = step else {
                out.push('}');
                continue;
            };
            let Some(node) = self.nodes.get(node) else { continue };
            for (index, operand) in node.operands.iter().enumerate() {
                out.push_str(if comma || index > 0 { "," } else { "" });
                out.push_str(&node.name);
                out.push(':');
                push_operand(out, operand);
            }
            if !node.children.is_empty() {
                out.push_str(if comma || !node.operands.is_empty() { "," } else { "" });
                out.push_str(&node.name);
                out.push_str(":{");
                steps.push(Step::Close);
                push_children(node, &mut steps);
            }
        }
    }
}

fn push_children(node: &Node, steps: &mut Vec<Step>) {
    for (index, child) in node.children.iter().enumerate().rev() {
        steps.push(Step::Node { node: *child, comma: index > 0 });
    }
}

/// A name as JSON text.
fn quoted(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    quote(name, |piece| out.push_str(piece));
    out
}

/// Writes an operand; where it is not one value, in a way that no check of JSON takes.
fn push_operand(out: &mut String, operand: &str) {
    if !keeps_its_place(operand) {
        out.push_str("(not one JSON value) ");
    }
    out.push_str(operand);
}

/// True where a text, put in the place of a value, cannot end that place or add to what is around it.
fn keeps_its_place(text: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => return false,
            },
            b',' | b':' if depth == 0 => return false,
            _ => {}
        }
    }
    depth == 0 && !in_string && !text.trim_ascii().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, NetOperation};

    fn built(body: &UpdateBody) -> String {
        String::from_utf8(body.build()).unwrap()
    }

    fn refused(body: &UpdateBody) -> String {
        NetOperation::new(Action::Update(&body.build())).unwrap_err().to_string()
    }

    #[test]
    fn paths_of_one_section_share_their_levels() {
        let body = UpdateBody::new()
            .increment(&["a", "x"], 1)
            .increment(&["b"], "0.5")
            .increment(&["a", "y"], -2)
            .remove(&["c", "d"])
            .remove(&["e"]);
        assert_eq!(
            built(&body),
            r#"{"inc":{"a":{"x":1,"y":-2},"b":0.5},"remove":{"c":{"d":true},"e":true}}"#
        );
        assert!(NetOperation::new(Action::Update(&body.build())).is_ok());
    }

    #[test]
    fn names_are_escaped_and_dots_are_dots() {
        let body =
            UpdateBody::new().set(&["a.b", "\"\\\n"], "[1]").append(&["é\u{0}"], "1").detect_noop(false);
        assert_eq!(
            built(&body),
            r#"{"set":[[["a.b","\"\\\u000a"],[1]]],"append":{"é\u0000":1},"detect_noop":false}"#
        );
        assert!(NetOperation::new(Action::Update(&body.build())).is_ok());
    }

    #[test]
    fn an_operand_cannot_reach_beyond_its_place() {
        for operand in
            ["1,\"b\":2", "1}", "1},\"remove\":{\"b\":true", "]", "", " ", "\"", "{\"a\":1", "1:1", "\"\\\""]
        {
            for body in [
                UpdateBody::new().max(&["a"], operand),
                UpdateBody::new().set(&["a"], operand),
                UpdateBody::new().doc("{}").upsert(operand),
                UpdateBody::new().doc(operand),
            ] {
                assert!(
                    refused(&body).contains("expected a value, found '('"),
                    "{operand}: {}",
                    built(&body)
                );
            }
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_at_submit() {
        assert!(refused(&UpdateBody::new()).contains("needs doc or a field operation"));
        assert!(refused(&UpdateBody::new().increment(&["a"], 1).increment(&["a"], 2)).contains("twice"));
        assert!(refused(&UpdateBody::new().increment(&["a"], 1).increment(&["a", "b"], 2)).contains("twice"));
        assert!(
            refused(&UpdateBody::new().increment(&["a"], 1).max(&["a"], "2"))
                .contains("the path a is touched twice")
        );
        assert!(refused(&UpdateBody::new().increment(&[], 1)).contains("expected"));
        assert!(refused(&UpdateBody::new().increment(&["a"], "one")).contains("expected a value"));
    }

    #[test]
    fn what_follows_goes_into_then() {
        let then = UpdateBody::new().remove(&["a"]).then(UpdateBody::new().increment(&["a"], 1));
        let body = UpdateBody::new().doc("{\"a\":5}").then(then).upsert("{}");
        assert_eq!(
            built(&body),
            r#"{"doc":{"a":5},"then":[{"remove":{"a":true},"then":[{"inc":{"a":1}}]}],"upsert":{}}"#
        );
        let update = NetOperation::new(Action::Update(&body.build())).unwrap();
        assert_eq!(update.apply(Some(b"{}")).document.unwrap(), r#"{"a":1}"#);
    }
}
