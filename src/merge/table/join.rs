//! Writing what a table holds as text, or as flat fields.

use super::super::encoding::{Kind, write_length, write_single_header};
use super::super::json::scan::{byte, part};
use super::super::net::{PUT, TABLE};
use super::Table;
use bytes::BufMut;

/// Writes the operation that a table is in its common form.
pub(in crate::merge) fn join(bytes: &[u8], out: &mut impl BufMut) {
    let Some(table) = Table::of(bytes, bytes.len()) else { return };
    let tag = byte(bytes, 0) & !TABLE;
    out.put_u8(tag);
    if tag == PUT {
        document(&table, out);
    } else {
        let longest_run = u32::from(table.layout.count > 0);
        out.put_slice(&longest_run.to_le_bytes());
        fields(&table, out);
    }
}

fn document(table: &Table<'_>, out: &mut impl BufMut) {
    let mut before: &[u8] = b"{\"";
    for field in (0..table.layout.count).filter_map(|place| table.field(place)) {
        out.put_slice(before);
        out.put_slice(part(table.bytes, field.name, field.payload));
        out.put_slice(b"\":");
        out.put_slice(part(table.bytes, field.payload, field.end));
        before = b",\"";
    }
    out.put_slice(if before == b"{\"" { b"{}" } else { b"}" });
}

fn fields(table: &Table<'_>, out: &mut impl BufMut) {
    for field in (0..table.layout.count).filter_map(|place| table.field(place)) {
        let name = part(table.bytes, field.name, field.payload);
        let payload = part(table.bytes, field.payload, field.end);
        write_length(out, name.len() << 1);
        out.put_slice(name);
        write_single_header(out, Kind::of(field.kind), payload.len());
        out.put_slice(payload);
    }
}
