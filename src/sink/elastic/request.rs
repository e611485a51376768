//! The lines of a bulk request, in the words that a server has.
//!
//! # Design
//! Puts, deletes, creates and patches that are partial documents go out as they are. What the server's patch language
//! cannot say (replace then extend, removals, field operations), and what repeating would change, goes out as a
//! script whose source is the same for all (`patch.painless`), with the operation as its parameters:
//!
//! | parameter | is |
//! | --- | --- |
//! | `rounds` | a list of what is done one after the other, each a map from the kind of operation to a tree of operands; numbers to be added are texts, which keep their digits |
//! | `always` | true where the document is written even if nothing changes |
//! | `field`, `engine`, `seq` | where repeating would change the document: the fence that it has afterwards |
//!
//! The fence is a text, the engine's id and the seq: a server holds it as one field. A document that holds the same
//! engine's fence with a seq that is not lower has had the operation.
//!
//! The script is stored at the server once, under a name that goes by its text, so that an operation takes no more bytes than its
//! parameters. Where that is not allowed, its text goes along.
//!
//! Whole documents that were made from what the server had go out under its version: `if_seq_no` and `if_primary_term`, or as a
//! `create` where there was none. With versions of our own (`external_gte`) nothing else is said.
//!
//! # Invariants
//! 1. Every line is one line, whatever is in the documents.

use super::{
    super::lines::{write_action, write_one_line, write_string},
    fence,
    options::Mode,
};
use crate::{Expects, Item, ItemAction, NetOperation};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};

/// What the script is: see the module.
pub(super) const SCRIPT: &str = include_str!("patch.painless");
/// How often the server itself looks again where somebody else wrote the document between its read and its write.
const RETRIES: u32 = 3;

/// How operations are written that no partial document says.
#[derive(Clone, Debug)]
pub(super) struct Style {
    /// The field of the fence.
    pub(super) field: String,
    /// The engine's id, as it stands in fences.
    pub(super) engine: String,
    /// True where the server has the script.
    pub(super) is_stored: bool,
    pub(super) mode: Mode,
}

/// An update's body, by its keys.
type Keys<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// The name under which the script is stored.
pub(super) fn script_name() -> String {
    format!("millpond-{:016x}", twox_hash::XxHash3_64::oneshot(SCRIPT.as_bytes()))
}

/// The body of the request that stores it.
pub(super) fn script_body() -> Vec<u8> {
    let mut out = b"{\"script\":{\"lang\":\"painless\",\"source\":".to_vec();
    write_string(SCRIPT, &mut out);
    out.extend_from_slice(b"}}");
    out
}

/// True where an item cannot do without the script.
pub(super) fn needs_script(item: &Item) -> bool {
    let ItemAction::Net(net) = &item.action else { return false };
    if net.verb() != "update" {
        return false;
    }
    let mut body = Vec::new();
    net.write_body(&mut body);
    !item.repeatable || serde_json::from_slice(&body).is_ok_and(|keys| !is_partial_document(&keys))
}

/// Appends an item.
pub(super) fn write_item(item: &Item, style: &Style, out: &mut Vec<u8>) {
    let ItemAction::Net(net) = &item.action else { return write_whole(item, style, out) };
    if net.verb() != "update" {
        return item.write_lines(out);
    }
    let mut body = Vec::new();
    net.write_body(&mut body);
    write_update_action(item, out);
    match serde_json::from_slice::<Keys<'_>>(&body) {
        Ok(keys) if !item.repeatable || !is_partial_document(&keys) => {
            write_script(item, net, &keys, style, out);
        }
        _ => out.extend_from_slice(&body),
    }
    out.push(b'\n');
}

/// The action word that an item is sent with.
pub(super) fn verb(item: &Item) -> &'static str {
    match (&item.action, item.expects) {
        (ItemAction::Put(_), Expects::Absent) => "create",
        _ => item.verb(),
    }
}

/// Appends a whole document, or a delete, with what must be there before.
fn write_whole(item: &Item, style: &Style, out: &mut Vec<u8>) {
    write_action(verb(item), &item.index, &item.id, item.routing.as_deref(), out);
    // Two braces end an action: the condition stands before them.
    out.truncate(out.len() - 2);
    match item.expects {
        _ if style.mode == Mode::External => {
            push(out, format_args!(",\"version\":{},\"version_type\":\"external_gte\"", item.last_seq));
        }
        Expects::Version(at) => {
            let (seq_no, term) = (at.seq_no, at.primary_term);
            push(out, format_args!(",\"if_seq_no\":{seq_no},\"if_primary_term\":{term}"));
        }
        Expects::Anything | Expects::Absent => {}
    }
    out.extend_from_slice(b"}}\n");
    let ItemAction::Put(document) = &item.action else { return };
    if item.is_fenced() {
        fence::write_fenced(document, item.last_seq, &style.field, &style.engine, out);
    } else {
        write_one_line(document, out);
    }
    out.push(b'\n');
}

fn write_update_action(item: &Item, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"update\":{\"_index\":");
    write_string(&item.index, out);
    out.extend_from_slice(b",\"_id\":");
    write_string(&item.id, out);
    if let Some(routing) = &item.routing {
        out.extend_from_slice(b",\"routing\":");
        write_string(routing, out);
    }
    push(out, format_args!(",\"retry_on_conflict\":{RETRIES}}}}}\n"));
}

/// True for a body that a server understands as it is.
fn is_partial_document(keys: &Keys<'_>) -> bool {
    keys.keys().all(|key| matches!(&**key, "doc" | "upsert" | "doc_as_upsert" | "detect_noop"))
}

fn write_script(item: &Item, net: &NetOperation, keys: &Keys<'_>, style: &Style, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"script\":{");
    if style.is_stored {
        out.extend_from_slice(b"\"id\":");
        write_string(&script_name(), out);
    } else {
        out.extend_from_slice(b"\"lang\":\"painless\",\"source\":");
        write_string(SCRIPT, out);
    }
    push(out, format_args!(",\"params\":{{\"always\":{},\"rounds\":[", !net.detects_noop()));
    let mut is_first = true;
    write_rounds(keys, &mut is_first, out);
    out.push(b']');
    if !item.repeatable {
        out.extend_from_slice(b",\"field\":");
        write_string(&style.field, out);
        out.extend_from_slice(b",\"engine\":");
        write_string(&style.engine, out);
        push(out, format_args!(",\"seq\":{}", item.last_seq));
    }
    out.extend_from_slice(b"}}");
    if let Some(document) = net.apply(None).document {
        out.extend_from_slice(b",\"upsert\":");
        if item.repeatable {
            write_one_line(&document, out);
        } else {
            fence::write_fenced(&document, item.last_seq, &style.field, &style.engine, out);
        }
    }
    out.push(b'}');
}

/// A body's own round, and those that follow it.
fn write_rounds(keys: &Keys<'_>, is_first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(is_first) {
        out.push(b',');
    }
    out.push(b'{');
    let sections = keys
        .iter()
        .filter(|(key, _)| !matches!(&***key, "upsert" | "doc_as_upsert" | "detect_noop" | "then"));
    for (at, (key, tree)) in sections.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(key, out);
        out.push(b':');
        if key == "inc" {
            write_numbers_as_texts(tree.get(), out);
        } else {
            out.extend_from_slice(tree.get().as_bytes());
        }
    }
    out.push(b'}');
    let then = keys.get("then").and_then(|then| serde_json::from_str::<Vec<Keys<'_>>>(then.get()).ok());
    for keys in then.iter().flatten() {
        write_rounds(keys, is_first, out);
    }
}

/// A tree of numbers, each as a text: all that does not belong to a text of its own is put into quotation marks.
fn write_numbers_as_texts(tree: &str, out: &mut Vec<u8>) {
    let (mut in_text, mut is_escaped, mut in_number) = (false, false, false);
    for byte in tree.bytes() {
        let is_digit = !in_text && matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        if is_digit != in_number {
            out.push(b'"');
            in_number = is_digit;
        }
        out.push(byte);
        in_text ^= byte == b'"' && !is_escaped;
        is_escaped = in_text && byte == b'\\' && !is_escaped;
    }
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    use std::io::Write;
    // A vector takes everything.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests;
