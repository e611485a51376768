//! The journal: what was accepted, on disk, until it has settled.
//!
//! The pure parts, from the bytes upwards: `checksum`, `varint`, `record` (one record), `group` (the headers of a file and of
//! a group), `reader` (a file), `doubt` (what can be told behind damage), `recovery` (what all files come to). `docs/journal.md` has
//! the byte tables.

mod checksum;
mod varint;

mod group;
mod record;

mod doubt;
mod reader;

mod recovery;
