//! Items as lines of bulk NDJSON: what the file sink writes, and how all sizes are counted.

use crate::{
    Item, ItemAction,
    document::quote,
    merge::{Length, Output, has_line_break},
};

impl Item {
    /// Appends the item as bulk NDJSON: an action line and, but for a delete, a body line.
    pub fn write_lines(&self, out: &mut Vec<u8>) {
        write_item(self, out);
    }

    /// The action word of the bulk format that the item is written with: `index`, `create`, `update` or `delete`.
    pub fn verb(&self) -> &'static str {
        match &self.action {
            ItemAction::Put(_) => "index",
            ItemAction::Delete => "delete",
            ItemAction::Net(net) => net.verb(),
        }
    }
}

fn write_item(item: &Item, out: &mut impl Output) {
    write_action(item.verb(), &item.index, &item.id, item.routing.as_deref(), out);
    out.put(b"\n");
    let body = out.length();
    match &item.action {
        ItemAction::Put(document) => write_one_line(document, out),
        ItemAction::Delete => {}
        ItemAction::Net(net) => net.as_net().write_body(out),
    }
    if out.length() > body {
        out.put(b"\n");
    }
}

/// Bytes of an item as bulk NDJSON: exactly what [`Item::write_lines`] appends.
pub(crate) fn item_bytes(item: &Item) -> usize {
    let mut length = Length::default();
    write_item(item, &mut length);
    length.0
}

/// Appends an action object, like `{"index":{"_index":"flights","_id":"N14228"}}`.
pub(crate) fn write_action(verb: &str, index: &str, id: &str, routing: Option<&str>, out: &mut impl Output) {
    out.put(b"{\"");
    out.put(verb.as_bytes());
    out.put(b"\":{\"_index\":");
    write_string(index, out);
    out.put(b",\"_id\":");
    write_string(id, out);
    if let Some(routing) = routing {
        out.put(b",\"routing\":");
        write_string(routing, out);
    }
    out.put(b"}}");
}

/// Appends a string as JSON.
pub(crate) fn write_string(text: &str, out: &mut impl Output) {
    quote(text, |piece| out.put(piece.as_bytes()));
}

/// Appends a JSON text with the line breaks between its tokens left out; inside strings there are none.
pub(super) fn write_one_line(document: &[u8], out: &mut impl Output) {
    if has_line_break(document) {
        document.split(|byte| matches!(byte, b'\n' | b'\r')).for_each(|piece| out.put(piece));
    } else {
        out.put(document);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, Expects, NetOperation};
    use bytes::Bytes;

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

    #[test]
    fn the_count_of_an_item_is_what_it_writes() {
        let item = |action| Item {
            index: "i\"".into(),
            id: "\u{7}1".into(),
            routing: Some("r".into()),
            action,
            first_seq: 1,
            last_seq: 1,
            operations: 1,
            repeatable: true,
            expects: Expects::Anything,
            attempt: 0,
        };
        let update = Action::Update(b"{\"doc\":{\"a\":[1,\n2]},\"inc\":{\"n\":1}}");
        for (action, expected) in [
            (ItemAction::Put(Bytes::from_static(b"{\r\n}")), "{\"index\":{#}}\n{}\n"),
            (ItemAction::Delete, "{\"delete\":{#}}\n"),
            (
                ItemAction::Net(NetOperation::new(update).unwrap()),
                "{\"update\":{#}}\n{\"doc\":{\"a\":[1,2]},\"inc\":{\"n\":1}}\n",
            ),
        ] {
            let (item, mut out) = (item(action), Vec::new());
            item.write_lines(&mut out);
            let key = r#""_index":"i\"","_id":"\u00071","routing":"r""#;
            assert_eq!(String::from_utf8(out.clone()).unwrap(), expected.replace('#', key));
            assert_eq!(item_bytes(&item), out.len());
        }
    }
}
