//! A repair in words, before it is carried out.

use super::Repair;
use std::{collections::BTreeSet, fmt};

/// Keys that are told by name.
const KEYS_MAX: usize = 10;

impl Repair {
    /// Documents of which operations are kept.
    pub fn documents_kept(&self) -> u64 {
        self.kept.len() as u64
    }

    /// Operations that would be dropped, had not settled as far as can be told, and can be written out.
    pub fn operations_dropped(&self) -> u64 {
        self.dropped.iter().map(|dropped| dropped.operations).sum()
    }

    /// Operations that would be dropped and not written out, as the names of their indices cannot be read.
    pub fn operations_nameless(&self) -> u64 {
        self.behind.nameless
    }

    /// Bytes of which nothing can be told.
    pub fn bytes_unreadable(&self) -> u64 {
        self.behind.unreadable
    }

    /// The sources, each with the position behind which it has to deliver once more.
    pub fn sources(&self) -> impl Iterator<Item = (&str, Option<u64>)> {
        self.reading.recovered.sources.iter().map(|(name, mark)| (&**name, *mark))
    }

    fn write_dropped_keys(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seqs = self.dropped.iter().map(|dropped| (dropped.piece.first, dropped.piece.last));
        let seqs = seqs.reduce(|(low, high), (first, last)| (low.min(first), high.max(last)));
        let Some((low, high)) = seqs else { return Ok(()) };
        write!(f, ", with seqs from {low} to {high}: ")?;
        let keys: BTreeSet<_> = self.dropped.iter().map(|dropped| (dropped.index, &*dropped.id)).collect();
        for (at, (index, id)) in keys.iter().take(KEYS_MAX).enumerate() {
            let start = if at == 0 { "" } else { ", " };
            write!(f, "{start}{}/{}", self.index(*index).escape_debug(), id.escape_debug())?;
        }
        if keys.len() > KEYS_MAX { write!(f, " and {} more", keys.len() - KEYS_MAX) } else { Ok(()) }
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pieces: usize = self.kept.iter().map(|key| key.pieces.len()).sum();
        writeln!(f, "cut: {}", self.cut.why)?;
        writeln!(
            f,
            "keeps: what had not settled before it: {} documents, {pieces} records",
            self.kept.len()
        )?;
        write!(f, "drops: {} operations that had not settled", self.operations_dropped())?;
        self.write_dropped_keys(f)?;
        write!(f, "\ndrops: {} bytes that cannot be read", self.behind.unreadable)?;
        if self.behind.nameless > 0 {
            write!(f, "\ndrops: {} operations on indices whose names cannot be read", self.behind.nameless)?;
        }
        for (name, mark) in self.sources() {
            match mark {
                Some(mark) => write!(f, "\nsource {name:?} has to go on behind position {mark}")?,
                None => write!(f, "\nsource {name:?} has to begin anew")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repair").field("directory", &self.directory).finish_non_exhaustive()
    }
}
