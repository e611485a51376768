//! Making a table: of a text while it is checked, of one that waits, or of a flat patch.

use super::super::json::between::{Next, name_after, next_member, opened, space, until, value_after};
use super::super::json::check::Bounds;
use super::super::json::glance::{Glance, LEVELS_MAX, Level, NAMES_MAX, with_prints};
use super::super::json::scan::{byte, member, part, value_end};
use super::super::net::{Absent, NetRef, PUT, Parts, Patch, TABLE};
use super::{BYTES_MAX, END, FIELDS_MAX, Flat, Key, META, NAME_MAX, hash, is_readable};

/// Checks a text as a document, and writes the put of it as a table to `out`, which is cleared; nothing where that takes
/// more than a glance, or cannot be done.
pub(in crate::merge) fn write_document(text: &[u8], bounds: Bounds, out: &mut Vec<u8>) -> Option<()> {
    if text.len() > BYTES_MAX {
        return None;
    }
    let mut ends = Ends::<NAMES_MAX>::new();
    let document = with_prints(|prints| {
        let mut glance = Glance::new(text, bounds, prints)?;
        let mut level = Level::default();
        let levels_left = LEVELS_MAX.min(bounds.depth).checked_sub(1)?;
        let start = space(text);
        // What is left with the brace that opens, or with the comma behind a value.
        let mut left = start.len();
        let mut rest = name_after(opened(start)?)?;
        let closed = loop {
            let name_at = text.len() - rest.len();
            let name = glance.name(rest, &mut level)?;
            let length = rest.len() - name.after.len() - 1;
            let value = value_after(name.after)?;
            if rest.len() + 2 != left || name.after.len() != value.len() + 1 {
                return None;
            }
            let after = glance.value(value, level, levels_left)?;
            // The same, where a name has less than eight bytes.
            let hash = if length < 8 { hash(name.print) } else { Key::of(text, name_at, length).hash };
            left = after.len();
            // Behind the tag.
            ends.note(hash, 1 + start.len() - left)?;
            match next_member(after)? {
                Next::Item(next) => rest = next,
                Next::Closed(after) => break after,
            }
        };
        glance.finish(closed)?;
        (closed.len() + 1 == left).then_some(until(start, closed))
    })?;
    out.clear();
    out.push(PUT | TABLE);
    out.extend_from_slice(document);
    ends.write(out)
}

/// Writes an operation as a table to `out`, which is cleared; nothing where it cannot be one.
pub(in crate::merge) fn tabulate(net: NetRef<'_>, out: &mut Vec<u8>) -> Option<()> {
    let bytes = net.as_bytes();
    if bytes.len() > BYTES_MAX {
        return None;
    }
    out.clear();
    match net.parts() {
        Parts::Put(document) => tabulate_document(document, out),
        Parts::Patch(patch) if net.longest_run() <= 1 => tabulate_patch(bytes, patch, out),
        _ => None,
    }
}

/// The ends of a document's members, and the hashes of their names.
struct Ends<const MOST: usize> {
    hashes: [u8; MOST],
    places: [[u8; END]; MOST],
    count: usize,
}

impl<const MOST: usize> Ends<MOST> {
    fn new() -> Self {
        Self { hashes: [0; MOST], places: [[0; END]; MOST], count: 0 }
    }

    #[inline(always)]
    fn note(&mut self, hash: u8, end: usize) -> Option<()> {
        // Where that is not all, the table will be too long.
        let [low, high, ..] = end.to_le_bytes();
        *self.hashes.get_mut(self.count)? = hash;
        *self.places.get_mut(self.count)? = [low, high];
        self.count += 1;
        Some(())
    }

    /// Writes the directory.
    fn write(&self, out: &mut Vec<u8>) -> Option<()> {
        out.extend_from_slice(self.hashes.get(..self.count)?);
        out.extend_from_slice(self.places.get(..self.count)?.as_flattened());
        out.push(u8::try_from(self.count).ok()?);
        (out.len() <= BYTES_MAX).then_some(())
    }
}

fn tabulate_document(document: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut ends = Ends::<FIELDS_MAX>::new();
    let mut at = 1;
    while byte(document, at) != b'}' {
        let found = member(document, at)?;
        let end = value_end(document, found.value);
        let length = found.name.raw.len();
        let after = byte(document, end);
        let is_tight = found.start == at
            && found.value == found.start + 1 + length + 2
            && (after == b'}' || after == b',' && byte(document, end + 1) == b'"');
        if !is_tight || found.name.escaped {
            return None;
        }
        ends.note(Key::of(document, found.start + 1, length).hash, 1 + end)?;
        at = end + usize::from(after == b',');
    }
    if at + 1 != document.len() {
        return None;
    }
    out.push(PUT | TABLE);
    out.extend_from_slice(document);
    ends.write(out)
}

fn tabulate_patch(bytes: &[u8], patch: Patch<'_>, out: &mut Vec<u8>) -> Option<()> {
    if matches!(patch.absent, Absent::Document(_)) {
        return None;
    }
    let (mut metas, mut hashes, mut count) = ([[0; META]; FIELDS_MAX], [0; FIELDS_MAX], 0);
    out.push(byte(bytes, 0) | TABLE);
    let mut at = bytes.len() - patch.fields.len();
    while at < bytes.len() {
        let field = Flat::at(bytes, at)?;
        let name_length = u8::try_from(field.name_length).ok().filter(|_| field.name_length <= NAME_MAX)?;
        *hashes.get_mut(count)? = Key::of(bytes, field.name, field.name_length).hash;
        out.extend_from_slice(part(bytes, field.name, field.name + field.name_length));
        out.extend_from_slice(part(bytes, field.payload, field.end));
        let [low, high] = u16::try_from(out.len()).ok()?.to_le_bytes();
        *metas.get_mut(count)? = [low, high, name_length, field.kind];
        count += 1;
        at = field.end;
    }
    out.extend_from_slice(hashes.get(..count)?);
    out.extend_from_slice(metas.get(..count)?.as_flattened());
    out.push(u8::try_from(count).ok()?);
    (out.len() <= BYTES_MAX && is_readable(out.len(), count)).then_some(())
}
