//! The journal: what was accepted, on disk, until it has settled.

mod checksum;
mod varint;
