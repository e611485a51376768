//! The bodies: documents of a catalogue, changes to them, and counters.
//!
//! # Design
//! No two documents need to be laid out alike: a document has its own order of fields and its own place for the long
//! text, both given by its rank and the whole of the order shuffled, and a partial update names its fields in any order.
//! One text in eight has letters outside ASCII, one in sixteen has escapes. So a parser that stops early, expects an
//! order, or knows only ASCII gains nothing here.

use crate::random::{Random, mix};
use std::fmt::Write;

const STATES: [&str; 4] = ["active", "paused", "sold", "hidden"];
const SHOPS: [&str; 6] = ["aarhus", "berlin", "cork", "dover", "essen", "faro"];
const WORDS: [&str; 16] = [
    "mill", "pond", "water", "wheel", "sluice", "grain", "stone", "flour", "river", "weir", "bank", "reed",
    "heron", "trout", "willow", "rain",
];
const FOREIGN: [&str; 4] = ["mühle", "écluse", "水車", "żuraw"];
const ESCAPED: [&str; 3] = ["the \\\"old\\\" mill", "two\\nlines", "a\\u00e9rien"];

/// Fields of a document, the long text aside.
const FIELDS: usize = 10;

/// Appends a document of 200 to 1,000 bytes.
pub fn whole(rank: u64, random: &mut Random, out: &mut String) {
    let start = out.len();
    let bytes = 200 + random.position(790);
    let mut order: [usize; FIELDS + 1] = std::array::from_fn(|field| field);
    shuffle(&mut order, &mut Random::new(mix(rank)));
    // What the other fields take is known only once they are written; the text, wherever it stands, makes up the rest.
    let mut others = String::new();
    let mut split = 0;
    for field in order {
        if field == FIELDS {
            split = others.len();
        } else {
            if !others.is_empty() {
                others.push(',');
            }
            write_field(field, random, &mut others);
        }
    }
    let (before, after) = others.split_at_checked(split).unwrap_or((&others, ""));
    out.push('{');
    out.push_str(before);
    if !before.is_empty() {
        out.push(',');
    }
    out.push_str("\"text\":\"");
    let text_bytes = (start + bytes).saturating_sub(out.len() + after.len() + 2);
    write_text(text_bytes, random, out);
    out.push('"');
    if !after.is_empty() && !after.starts_with(',') {
        out.push(',');
    }
    out.push_str(after);
    out.push('}');
}

/// Appends the body of an update whose partial document has about 50 bytes.
pub fn partial(random: &mut Random, out: &mut String) {
    out.push_str("{\"doc\":{");
    let start = out.len();
    let bytes = 26 + random.position(24);
    let mut order: [usize; FIELDS] = std::array::from_fn(|field| field);
    shuffle(&mut order, random);
    for field in order {
        if out.len() > start {
            out.push(',');
        }
        write_field(field, random, out);
        if out.len() - start >= bytes {
            break;
        }
    }
    out.push_str("},\"doc_as_upsert\":true}");
}

/// Appends the body of an update that increments a counter.
pub fn counter(random: &mut Random, out: &mut String) {
    let by = random.below(5) + 1;
    let _ = write!(out, "{{\"inc\":{{\"views\":{by}}},\"doc_as_upsert\":true}}");
}

/// Appends a name and a value. Writing to a string does not fail.
fn write_field(field: usize, random: &mut Random, out: &mut String) {
    let _ = match field {
        0 => write!(out, "\"price\":{}.{:02}", random.below(1_000), random.below(100)),
        1 => write!(out, "\"stock\":{}", random.below(1_000)),
        2 => write!(out, "\"state\":\"{}\"", random.pick(&STATES)),
        3 => {
            write!(out, "\"place\":{{\"aisle\":{},\"shelf\":{}}}", random.below(40), random.below(1_000))
        }
        4 => write!(out, "\"shop\":\"{}\"", random.pick(&SHOPS)),
        5 => write!(out, "\"tags\":[\"{}\",\"{}\"]", random.pick(&WORDS), random.pick(&STATES)),
        6 => {
            write!(out, "\"updated\":\"2026-11-{:02}T08:{:02}:00Z\"", 1 + random.below(30), random.below(60))
        }
        7 => write!(out, "\"visible\":{}", random.below(2) == 0),
        8 => write!(out, "\"seller\":{}", random.below(1 << 32)),
        _ => write!(out, "\"rating\":{}", random.below(6)),
    };
}

/// Appends words up to a number of bytes, and no escape cut in two.
fn write_text(bytes: usize, random: &mut Random, out: &mut String) {
    let end = out.len() + bytes;
    match random.below(16) {
        0 | 1 => out.push_str(random.pick(&FOREIGN)),
        2 => out.push_str(random.pick(&ESCAPED)),
        _ => {}
    }
    while out.len() < end {
        out.push_str(random.pick(&WORDS));
        out.push(' ');
    }
}

fn shuffle(order: &mut [usize], random: &mut Random) {
    for last in (1..order.len()).rev() {
        order.swap(last, random.position(last + 1));
    }
}
