//! Items as lines of bulk NDJSON: what the file sink writes, and how all sizes are counted.

use crate::{Item, ItemAction, document::quote};

/// Appends an item as bulk NDJSON: an action line and, but for a delete, a body line.
pub(crate) fn write_item(item: &Item, out: &mut Vec<u8>) {
    let verb = match &item.action {
        ItemAction::Put(_) => "index",
        ItemAction::Delete => "delete",
        ItemAction::Net(net) => net.verb(),
    };
    write_action(verb, &item.index, &item.id, item.routing.as_deref(), out);
    out.push(b'\n');
    let body = out.len();
    match &item.action {
        ItemAction::Put(document) => write_one_line(document, out),
        ItemAction::Delete => {}
        ItemAction::Net(net) => net.write_body(out),
    }
    if out.len() > body {
        out.push(b'\n');
    }
}

/// Bytes of an item as bulk NDJSON.
pub(crate) fn item_bytes(item: &Item) -> usize {
    let mut scratch = Vec::new();
    match &item.action {
        ItemAction::Put(document) => {
            write_action("index", &item.index, &item.id, item.routing.as_deref(), &mut scratch);
            let breaks = document.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
            scratch.len() + 1 + (document.len() - breaks) + 1
        }
        ItemAction::Delete | ItemAction::Net(_) => {
            write_item(item, &mut scratch);
            scratch.len()
        }
    }
}

/// Appends an action object, like `{"index":{"_index":"flights","_id":"N14228"}}`.
pub(crate) fn write_action(verb: &str, index: &str, id: &str, routing: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(verb.as_bytes());
    out.extend_from_slice(b"\":{\"_index\":");
    write_string(index, out);
    out.extend_from_slice(b",\"_id\":");
    write_string(id, out);
    if let Some(routing) = routing {
        out.extend_from_slice(b",\"routing\":");
        write_string(routing, out);
    }
    out.extend_from_slice(b"}}");
}

/// Appends a string as JSON.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    quote(text, |piece| out.extend_from_slice(piece.as_bytes()));
}

/// Appends a JSON text with the line breaks between its tokens left out; inside strings there are none.
fn write_one_line(document: &[u8], out: &mut Vec<u8>) {
    if document.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend(document.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    } else {
        out.extend_from_slice(document);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_escaped_as_json() {
        let mut out = Vec::new();
        write_string("a\"b\\c\n\u{1}é", &mut out);
        assert_eq!(out, "\"a\\\"b\\\\c\\u000a\\u0001é\"".as_bytes());
        let back: String = serde_json::from_slice(&out).unwrap();
        assert_eq!(back, "a\"b\\c\n\u{1}é");
    }

    #[test]
    fn a_document_of_several_lines_is_written_on_one() {
        let mut out = Vec::new();
        write_one_line(b"{\n  \"a\": \"x\\ny\"\r\n}", &mut out);
        assert_eq!(out, b"{  \"a\": \"x\\ny\"}");
    }
}
