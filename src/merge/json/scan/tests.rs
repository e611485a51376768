//! Steps by words and by vector instructions, beside the same steps byte by byte.

use super::*;
use proptest::prelude::*;

/// Pieces of JSON text, and what is none, of all lengths below and above a word's.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "\"",
        "\"",
        "\\",
        "\\\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "\n",
        "1",
        "-20.5e3",
        "true",
        "null",
        "abcdefg",
        "é",
        "\u{3bb}\u{fffd}",
        "[{",
        "}]",
        "x",
        "|",
        "\u{7f}",
        "!",
        "-",
    ]);
    let long =
        (b'a'..b'e', 0..80_usize).prop_map(|(byte, count)| String::from_utf8(vec![byte; count]).unwrap());
    prop::collection::vec(prop_oneof![8 => pieces.prop_map(str::to_owned), 1 => long], 0..40)
        .prop_map(|pieces| pieces.concat().into_bytes())
}

fn plain_string_end(text: &[u8], at: usize) -> (usize, bool) {
    let (mut at, mut escaped) = (at + 1, false);
    while let Some(&next) = text.get(at) {
        match next {
            b'"' => return (at + 1, escaped),
            b'\\' => {
                escaped = true;
                at += 2;
            }
            _ => at += 1,
        }
    }
    (text.len(), escaped)
}

fn plain_container_end(text: &[u8], mut at: usize) -> usize {
    let mut depth = 1_usize;
    while let Some(&next) = text.get(at) {
        at += 1;
        match next {
            b'"' => at = plain_string_end(text, at - 1).0,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    text.len()
}

fn plain_value_end(text: &[u8], at: usize) -> usize {
    match byte(text, at) {
        b'"' => plain_string_end(text, at).0,
        b'{' | b'[' => plain_container_end(text, at + 1),
        _ => {
            let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']') || is_space(*byte);
            text.iter().skip(at).position(is_end).map_or(text.len(), |length| at + length)
        }
    }
}

proptest! {
    #[test]
    fn steps_by_words_end_where_steps_by_bytes_do(text in text()) {
        for at in 0..=text.len() {
            prop_assert_eq!(string_end(&text, at), plain_string_end(&text, at), "string at {}", at);
            prop_assert_eq!(container_end(&text, at), plain_container_end(&text, at), "container at {}", at);
            prop_assert_eq!(value_end(&text, at), plain_value_end(&text, at).max(at), "value at {}", at);
        }
    }
}
