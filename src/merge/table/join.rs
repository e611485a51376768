//! Writing what a table holds as text, or as flat fields.

use super::super::encoding::{Kind, write_length, write_single_header};
use super::super::json::scan::{byte, part};
use super::super::net::{PUT, TABLE};
use super::{Table, document, is_document};
use bytes::BufMut;

/// Writes the operation that a table is in its common form.
pub(in crate::merge) fn join(bytes: &[u8], out: &mut impl BufMut) {
    if is_document(bytes) {
        out.put_u8(PUT);
        out.put_slice(document(bytes));
    } else if let Some(table) = Table::of(bytes, bytes.len()) {
        out.put_u8(byte(bytes, 0) & !TABLE);
        out.put_slice(&u32::from(table.layout.count > 0).to_le_bytes());
        fields(&table, out);
    }
}

fn fields(table: &Table<'_, false>, out: &mut impl BufMut) {
    for field in (0..table.layout.count).filter_map(|place| table.field(place, 0)) {
        let name = part(table.bytes, field.name, field.payload);
        let payload = part(table.bytes, field.payload, field.end);
        write_length(out, name.len() << 1);
        out.put_slice(name);
        write_single_header(out, Kind::of(field.kind), payload.len());
        out.put_slice(payload);
    }
}
