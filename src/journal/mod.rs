//! The journal: what was accepted, on disk, until it has settled.
//!
//! The pure parts, from the bytes upwards: `checksum`, `varint`, `record` (one record), `group` (the headers of a file and of
//! a group). `docs/journal.md` has the byte tables.

mod checksum;
mod group;
mod record;
mod varint;
