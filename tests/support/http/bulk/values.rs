//! How a server merges a partial document, and when it finds two values equal.

use serde_json::{Map, Number, Value};

/// Puts a partial document over a document. True if something changed: a field that is new, even with null, or another value.
pub(super) fn merge(source: &mut Map<String, Value>, patch: &Map<String, Value>) -> bool {
    let mut changed = false;
    for (name, value) in patch {
        match (source.get_mut(name), value) {
            (Some(Value::Object(old)), Value::Object(new)) => changed |= merge(old, new),
            (Some(old), new) => {
                changed |= !same(old, new);
                *old = new.clone();
            }
            (None, new) => {
                source.insert(name.clone(), new.clone());
                changed = true;
            }
        }
    }
    changed
}

/// Equal as the server's parsed values are: two integers or two other numbers by value, an integer and another never; whatever
/// the order of an object's fields.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => same_number(a, b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

fn same_number(a: &Number, b: &Number) -> bool {
    let (a, b) = (a.to_string(), b.to_string());
    let is_integer = |text: &str| !text.contains(['.', 'e', 'E']);
    let digits = |text: &str| if text == "-0" { "0".to_owned() } else { text.to_owned() };
    match (is_integer(&a), is_integer(&b)) {
        (true, true) => digits(&a) == digits(&b),
        (false, false) => a.parse::<f64>().ok().map(f64::to_bits) == b.parse::<f64>().ok().map(f64::to_bits),
        _ => false,
    }
}
