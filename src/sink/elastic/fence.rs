//! The fence in a document: put there by what must not be carried out twice, looked for before it is, and shown to nobody.
//!
//! # Design
//! One field of one text, `ENGINE:SEQ`. A document is not parsed for it: most are passed on when their text does not hold the field's
//! name. What holds it is walked once, and the field is taken out by the algebra's own removal, which leaves every other byte. Names
//! are compared as bytes: servers take ones that are no text, with half a pair.
//!
//! # Invariants
//! 1. What was put in and taken out again is byte for byte what it was.

use super::super::lines::{write_one_line, write_string};
use crate::{Action, NetOperation};
use bytes::Bytes;
use memchr::{memchr, memmem};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// A document without its fence, and the seq in the fence where it is this engine's. `engine`: as it stands in fences.
pub(super) fn take_out(
    document: &[u8],
    field: &str,
    engine: &str,
) -> Result<(Bytes, Option<u64>), serde_json::Error> {
    let Some(held) = value_of(document, field)? else { return Ok((Bytes::copy_from_slice(document), None)) };
    let text: Option<Cow<'_, str>> = serde_json::from_str(held.get()).ok();
    let is_known = !engine.is_empty();
    let seq = text.filter(|_| is_known).and_then(|text| text.strip_prefix(engine)?.parse().ok());
    Ok((Bytes::from(without(document, field).into_owned()), seq))
}

/// Appends a document on one line, with this fence as its last field.
pub(super) fn write_fenced(document: &[u8], seq: u64, field: &str, engine: &str, out: &mut Vec<u8>) {
    let document = without(document, field);
    let inside = document.trim_ascii();
    let inside = inside.strip_suffix(b"}").unwrap_or(inside).trim_ascii_end();
    write_one_line(inside, out);
    if inside.last() != Some(&b'{') {
        out.push(b',');
    }
    write_string(field, out);
    out.push(b':');
    write_string(&format!("{engine}{seq}"), out);
    out.push(b'}');
}

/// A document without a field.
fn without<'a>(document: &'a [u8], field: &str) -> Cow<'a, [u8]> {
    if !may_hold(document, field) {
        return Cow::Borrowed(document);
    }
    let mut removal = b"{\"remove\":{".to_vec();
    write_string(field, &mut removal);
    removal.extend_from_slice(b":true}}");
    match NetOperation::new(Action::Update(&removal)).map(|removal| removal.apply(Some(document))) {
        Ok(applied) if applied.changed => {
            Cow::Owned(applied.document.map_or_else(Vec::new, |document| document.to_vec()))
        }
        _ => Cow::Borrowed(document),
    }
}

/// False where a document has no such field for sure: its name is nowhere, and nothing is escaped.
fn may_hold(document: &[u8], field: &str) -> bool {
    memchr(b'\\', document).is_some() || memmem::find(document, field.as_bytes()).is_some()
}

/// The value of a field of a document, if it has it.
fn value_of<'a>(document: &'a [u8], field: &str) -> Result<Option<&'a RawValue>, serde_json::Error> {
    if !may_hold(document, field) {
        return Ok(None);
    }
    serde_json::Deserializer::from_slice(document).deserialize_map(Find(field))
}

struct Find<'f>(&'f str);

impl<'de> Visitor<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(Named(self.0))? {
            if is_it {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a name is this one.
struct Named<'f>(&'f str);

impl<'de> DeserializeSeed<'de> for Named<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Named<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_bytes<E: serde::de::Error>(self, name: &[u8]) -> Result<bool, E> {
        Ok(name == self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: &str = "_millpond";
    const ENGINE: &str = "00ab:";

    fn taken(document: &str) -> (String, Option<u64>) {
        let (document, seq) = take_out(document.as_bytes(), FIELD, ENGINE).unwrap();
        (String::from_utf8(document.to_vec()).unwrap(), seq)
    }

    #[test]
    fn what_was_put_in_and_taken_out_again_is_as_it_was() {
        for document in [
            "{}",
            r#"{"a":1.10}"#,
            r#"{"a":1e400,"b":{"_millpond":"00ab:9"},"c":"_millpond","d":123456789012345678901234567890}"#,
            r#"{"\ud800":1,"a":"\ud800","b\n":{"\udfff":[]}}"#,
            "{\"a\\u0022\":\"\\ud83d\\ude00\",  \"b\" : [1, {\"x\":\"}\"}]}",
        ] {
            let mut fenced = Vec::new();
            write_fenced(document.as_bytes(), 17, FIELD, ENGINE, &mut fenced);
            assert_eq!(taken(std::str::from_utf8(&fenced).unwrap()), (document.to_owned(), Some(17)));
            assert_eq!(taken(document), (document.to_owned(), None));
        }
    }

    #[test]
    fn a_fence_is_found_in_any_place_and_is_this_engines_or_none() {
        assert_eq!(taken(r#"{"_millpond":"00ab:5","a":1}"#), (r#"{"a":1}"#.to_owned(), Some(5)));
        assert_eq!(taken(r#"{"a":1,"\u005fmillpond":"00ab:5","b":2}"#).1, Some(5));
        assert_eq!(taken(r#"{"a":1,"_millpond":"00cd:5"}"#), (r#"{"a":1}"#.to_owned(), None));
        for odd in [r#""00ab:x""#, r#""00ab""#, "5", "null", "[\"00ab:5\"]", r#"{"a":"00ab:5"}"#] {
            let (document, seq) = taken(&format!("{{\"a\":1,\"_millpond\":{odd}}}"));
            assert_eq!((document.as_str(), seq), (r#"{"a":1}"#, None), "{odd}");
        }
    }

    #[test]
    fn a_document_that_is_fenced_has_one_fence_whatever_it_held() {
        let mut fenced = Vec::new();
        write_fenced(b"{ \"_millpond\": 1,\n\"a\":2 }", 9, FIELD, ENGINE, &mut fenced);
        let text = String::from_utf8(fenced).unwrap();
        assert_eq!(text.matches(FIELD).count(), 1, "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["_millpond"], "00ab:9");
        assert!(!text.contains('\n'), "{text}");
    }
}
