//! The registry of index names: each gets a small number, once, for the life of the engine.

use crate::{Error, ErrorKind, Result, document::IndexId, sync::Mutex};
use dashmap::DashMap;
use std::sync::Arc;

/// Distinct index names one engine will take. Each costs a row of counters in every shard.
pub(crate) const INDICES_MAX: usize = 10_000;

/// Names and their numbers. Looking up a known name takes no exclusive lock.
#[derive(Debug, Default)]
pub(crate) struct Indices {
    numbers: DashMap<Arc<str>, IndexId, foldhash::fast::RandomState>,
    names: Mutex<Vec<Arc<str>>>,
}

impl Indices {
    /// The number of a name that was seen before.
    pub(crate) fn find(&self, name: &str) -> Option<IndexId> {
        self.numbers.get(name).map(|found| *found)
    }

    /// The number of a name; a new one for a new name.
    pub(crate) fn intern(&self, name: &str) -> Result<IndexId> {
        if let Some(id) = self.find(name) {
            return Ok(id);
        }
        // LOCK: `names` is taken first and the map's own lock under it, here and nowhere else.
        let mut names = self.names.lock();
        if let Some(id) = self.find(name) {
            return Ok(id);
        }
        let id = u16::try_from(names.len()).map(IndexId).ok().filter(|_| names.len() < INDICES_MAX);
        let Some(id) = id else {
            let message =
                format!("index {name:?} would be the {}th; an engine takes {INDICES_MAX}", names.len() + 1);
            return Err(Error::new(ErrorKind::TooLarge, message));
        };
        let shared: Arc<str> = name.into();
        names.push(Arc::clone(&shared));
        self.numbers.insert(shared, id);
        Ok(id)
    }

    /// The name behind a number.
    pub(crate) fn name(&self, id: IndexId) -> Arc<str> {
        let names = self.names.lock();
        names.get(id.0 as usize).map_or_else(|| Arc::from(""), Arc::clone)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.names.lock().len()
    }

    /// All names, by number.
    pub(crate) fn all(&self) -> Vec<Arc<str>> {
        self.names.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number_and_the_limit_is_named() {
        let indices = Indices::default();
        let a = indices.intern("a").unwrap();
        assert_eq!(indices.intern("a").unwrap(), a);
        for i in 1..INDICES_MAX {
            indices.intern(&format!("i{i}")).unwrap();
        }
        let refused = indices.intern("one-too-many").unwrap_err();
        assert!(refused.to_string().contains("10001") && refused.to_string().contains("10000"), "{refused}");
        assert_eq!(&*indices.name(a), "a");
    }
}
