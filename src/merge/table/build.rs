//! Making a table of a text or of a flat patch.

use super::super::encoding::Kind;
use super::super::json::scan::{byte, member, part, value_end};
use super::super::net::{Absent, NetRef, Parts, Patch, TABLE};
use super::{BYTES_MAX, FIELDS_MAX, Flat, Key, META, NAME_MAX, is_readable};

/// Writes an operation as a table to `out`, which is cleared; nothing where it cannot be one.
pub(in crate::merge) fn tabulate(net: NetRef<'_>, out: &mut Vec<u8>) -> Option<()> {
    let bytes = net.as_bytes();
    if bytes.len() > BYTES_MAX {
        return None;
    }
    out.clear();
    out.push(byte(bytes, 0) | TABLE);
    let mut builder = Builder { out, metas: [[0; META]; FIELDS_MAX], hashes: [0; FIELDS_MAX], count: 0 };
    match net.parts() {
        Parts::Put(document) => builder.document(document)?,
        Parts::Patch(patch) if net.longest_run() <= 1 => builder.patch(bytes, patch)?,
        _ => return None,
    }
    builder.finish()
}

/// A table that is being made.
struct Builder<'o> {
    out: &'o mut Vec<u8>,
    metas: [[u8; META]; FIELDS_MAX],
    hashes: [u8; FIELDS_MAX],
    count: usize,
}

impl Builder<'_> {
    /// The members of a document's text.
    fn document(&mut self, document: &[u8]) -> Option<()> {
        let mut at = 1;
        while byte(document, at) != b'}' {
            let found = member(document, at)?;
            let end = value_end(document, found.value);
            let name_end = found.start + 1 + found.name.raw.len();
            let after = byte(document, end);
            let is_tight = found.start == at && found.value == name_end + 2 && matches!(after, b',' | b'}');
            if !is_tight || found.name.escaped {
                return None;
            }
            self.add(document, found.start + 1, name_end, Kind::Set as u8, part(document, found.value, end))?;
            at = end + usize::from(after == b',');
        }
        (at + 1 == document.len()).then_some(())
    }

    /// The fields of a patch.
    fn patch(&mut self, bytes: &[u8], patch: Patch<'_>) -> Option<()> {
        if matches!(patch.absent, Absent::Document(_)) {
            return None;
        }
        let mut at = bytes.len() - patch.fields.len();
        while at < bytes.len() {
            let field = Flat::at(bytes, at)?;
            let payload = part(bytes, field.payload, field.end);
            self.add(bytes, field.name, field.name + field.name_length, field.kind, payload)?;
            at = field.end;
        }
        Some(())
    }

    /// A field whose name stands in some bytes.
    #[inline]
    fn add(&mut self, bytes: &[u8], name: usize, name_end: usize, kind: u8, payload: &[u8]) -> Option<()> {
        let length = name_end - name;
        let name_length = u8::try_from(length).ok().filter(|_| length <= NAME_MAX)?;
        *self.hashes.get_mut(self.count)? = Key::of(bytes, name, length).hash;
        self.out.extend_from_slice(part(bytes, name, name_end));
        self.out.extend_from_slice(payload);
        let [low, high] = u16::try_from(self.out.len()).ok()?.to_le_bytes();
        *self.metas.get_mut(self.count)? = [low, high, name_length, kind];
        self.count += 1;
        Some(())
    }

    fn finish(self) -> Option<()> {
        let Self { out, metas, hashes, count } = self;
        out.extend_from_slice(hashes.get(..count)?);
        out.extend_from_slice(metas.get(..count)?.as_flattened());
        out.push(u8::try_from(count).ok()?);
        (out.len() <= BYTES_MAX && is_readable(out.len(), count)).then_some(())
    }
}
