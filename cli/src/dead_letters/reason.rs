//! What a letter says of why, for people: in short, and as a kind that many letters have in common.
//!
//! # Design
//! A server's words are a status and a JSON object with the type and a sentence that names the document and its values. The kind is
//! the status and the type; of any other reason it is what stands before its first colon.

use serde_json::Value;

/// Characters of a kind.
const KIND_CHARACTERS_MAX: usize = 60;

/// A reason in one line of at most so many characters.
pub(super) fn brief(reason: &str, characters: usize) -> String {
    let text = match said(reason) {
        Some((status, kind, sentence)) => format!("{status} {kind}: {sentence}"),
        None => reason.to_owned(),
    };
    cut(&text, characters)
}

/// What many reasons have in common.
pub(super) fn kind(reason: &str) -> String {
    match said(reason) {
        Some((status, kind, _)) => cut(&format!("{status} {kind}"), KIND_CHARACTERS_MAX),
        None => cut(reason.split(": ").next().unwrap_or_default(), KIND_CHARACTERS_MAX),
    }
}

/// The status, the type and the sentence of a server's words.
fn said(reason: &str) -> Option<(&str, String, String)> {
    let (status, words) = reason.split_once(' ')?;
    if !words.starts_with('{') {
        return None;
    }
    let Ok(error) = serde_json::from_str::<Value>(words) else {
        // A long one was cut.
        let (_, rest) = words.split_once("\"type\":\"")?;
        return Some((status, rest.split('"').next()?.to_owned(), "…".to_owned()));
    };
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let sentence = text(&error, "reason").unwrap_or_default();
    Some((status, text(&error, "type")?, sentence))
}

/// A text on one line, of at most so many characters.
pub(super) fn cut(text: &str, characters: usize) -> String {
    let shown = |character: char| if character.is_control() { ' ' } else { character };
    let mut out: String = text.trim().chars().map(shown).take(characters).collect();
    if text.trim().chars().nth(characters).is_some() {
        out.pop();
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = r#"400 {"type":"mapper_parsing_exception","reason":"failed to parse field [n] of type [integer] in document with id '1'","caused_by":{"type":"x"}}"#;

    #[test]
    fn a_servers_words_are_its_status_its_type_and_its_sentence() {
        assert_eq!(brief(SAID, 70), "400 mapper_parsing_exception: failed to parse field [n] of type [inte…");
        assert_eq!(kind(SAID), "400 mapper_parsing_exception");
        // Of a reason that was cut, as long ones are.
        assert_eq!(kind(&SAID[..SAID.len() - 9]), "400 mapper_parsing_exception");
        assert_eq!(brief(&SAID[..SAID.len() - 9], 70), "400 mapper_parsing_exception: …");
    }

    #[test]
    fn any_other_reason_is_told_as_it_is_and_kept_on_its_line() {
        assert_eq!(brief("413: nothing\nmore\u{1b} is said", 70), "413: nothing more  is said");
        assert_eq!(kind("400 illegal_argument_exception: id is too long"), "400 illegal_argument_exception");
        assert_eq!(kind("rejected by the script"), "rejected by the script");
        assert_eq!((kind(""), brief("", 5)), (String::new(), String::new()));
        assert_eq!(brief("äöüß", 3), "äö…");
    }
}
