//! The oldest file, read again so that it can go.

use super::{
    file::Old,
    reader::{End, Reader},
    record::{FileEnd, Moved, Operation, Record},
};
use crate::{Error, ErrorKind, Result, disk::Disk};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Oldest {
    path: PathBuf,
    bytes: Vec<u8>,
    end: FileEnd,
}

impl Oldest {
    pub(super) fn read((disk, old): (Arc<dyn Disk>, Old)) -> Result<Self> {
        let failed = |error| Error::io(format!("reading {}", old.path.display()), error);
        let file = disk.open(&old.path).map_err(failed)?;
        let mut bytes = vec![0; usize::try_from(old.end.at).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, 0).map_err(failed)?;
        Ok(Self { path: old.path, bytes, end: old.end })
    }

    /// Its number.
    pub(crate) fn number(&self) -> u64 {
        self.end.number
    }

    /// Gives the index, the id and the first seq of each operation in it, in order.
    pub(crate) fn each<'a>(&'a self, mut f: impl FnMut(&'a str, &'a str, u64) -> Result<()>) -> Result<()> {
        let mut reader = Reader::new(&self.bytes, Some(self.end))?;
        let mut names: BTreeMap<u32, &str> = BTreeMap::new();
        for entry in reader.by_ref() {
            let (index, id, first) = match entry.record {
                Record::Index { number, name } => {
                    names.insert(number, name);
                    continue;
                }
                Record::Operation(Operation { seq, index, id, .. }) => (index, id, seq),
                Record::Moved(Moved { first, index, id, .. }) => (index, id, first),
                _ => continue,
            };
            f(names.get(&index).copied().unwrap_or_default(), id, first)?;
        }
        match reader.end() {
            End::Clean { .. } => Ok(()),
            End::Damaged(damage) => Err(damage.error(self.path.display())),
            End::Torn { at, reason, .. } => {
                let message = format!("{}: at byte {at}: {reason}", self.path.display());
                Err(Error::new(ErrorKind::Damaged, message))
            }
        }
    }
}
