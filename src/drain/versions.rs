//! Which versions the known documents are: a plain machine, no lock, no clock, no I/O.
//!
//! # Design
//! A shard knows documents; a sink that stores under conditions also needs the version of each. They are kept here, by a hash
//! of index and id, in two generations: what is put or found goes to the young one, and when that is full the old one is dropped
//! and the young one takes its place. So what is used stays, what is not goes, and room is allocated once.
//!
//! What is missing costs a read of the base, no more: a document whose version is not here is one that is not known.
//!
//! # Why not beside the document in its shard
//! A slot is two lines of memory, and every engine has millions; few have such a sink.
//!
//! # When it changes
//! Only when a flight settles, with what the shard knows from then on, and before it does: the flight is still out then, so nobody
//! takes the key between the two. What was read for a flight goes along with it, and is put here when it settles: were it put
//! here at once, a flight that is put back or rejected would leave an older document known under a newer version, and what is made
//! of that would replace what somebody else wrote, and pass. For the same reason reads by callers leave it alone.
//!
//! # Invariants
//! 1. A version here is that of the document that its shard knows, or of an older one; never of a newer one. (The hash has 128 bits and a
//!    key of its own in each engine: that two keys share one is not to be expected in the life of all of them.)
//! 2. No generation holds more than its share, and no key is in both.

use crate::Version;
use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
};

/// Bytes of an entry: the key, the version, and a table's byte for it.
const ENTRY_BYTES: usize = size_of::<(u128, Version)>() + 1;
/// The part of a table's places that may be taken: so many of eight.
const LOAD_OF_EIGHT: usize = 7;
/// The fewest places of a table.
const PLACES_MIN: usize = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct Versions {
    young: HashMap<u128, Version>,
    old: HashMap<u128, Version>,
    /// Entries of a generation.
    most: usize,
    hashers: [RandomState; 2],
}

/// A key's place among the versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VersionKey(u128);

impl Versions {
    /// Within so many bytes, or a little more where that is next to nothing.
    pub(super) fn new(bytes: usize) -> Self {
        // Tables have powers of two of places.
        let places = (bytes / 2 / ENTRY_BYTES).max(PLACES_MIN);
        let most = (1 << places.ilog2()) / 8 * LOAD_OF_EIGHT;
        Self {
            young: HashMap::with_capacity(most),
            old: HashMap::with_capacity(most),
            most,
            hashers: [RandomState::new(), RandomState::new()],
        }
    }

    /// Where a document's version is.
    pub(super) fn key(&self, index: &str, id: &str) -> VersionKey {
        let half = |hasher: &RandomState| {
            let mut hasher = hasher.build_hasher();
            hasher.write_usize(index.len());
            hasher.write(index.as_bytes());
            hasher.write(id.as_bytes());
            u128::from(hasher.finish())
        };
        let [high, low] = &self.hashers;
        VersionKey(half(high) << u64::BITS | half(low))
    }

    /// The version of a document, which is kept for longer.
    pub(super) fn get(&mut self, key: VersionKey) -> Option<Version> {
        if let Some(version) = self.young.get(&key.0) {
            return Some(*version);
        }
        let version = self.old.remove(&key.0)?;
        self.put_young(key, version);
        Some(version)
    }

    /// A flight settles: the document that is known from now on is of this version, or there is none that is known.
    pub(super) fn set(&mut self, key: VersionKey, version: Option<Version>) {
        self.old.remove(&key.0);
        match version {
            Some(version) => self.put_young(key, version),
            None => drop(self.young.remove(&key.0)),
        }
    }

    fn put_young(&mut self, key: VersionKey, version: Version) {
        if self.young.len() >= self.most && !self.young.contains_key(&key.0) {
            self.old.clear();
            std::mem::swap(&mut self.young, &mut self.old);
        }
        self.young.insert(key.0, version);
    }

    /// Checks the invariants that can be seen from inside.
    pub(super) fn validate(&self) -> Result<(), String> {
        if let Some(generation) = [&self.young, &self.old].iter().find(|one| one.len() > self.most) {
            return Err(format!(
                "versions invariant 2: {} versions where {} may be",
                generation.len(),
                self.most
            ));
        }
        if self.young.keys().any(|key| self.old.contains_key(key)) {
            return Err("versions invariant 2: a key is in both generations".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SMALL: usize = 2 * PLACES_MIN * ENTRY_BYTES;

    fn version(seq_no: u64) -> Version {
        Version { seq_no, primary_term: 1, is_fenced: seq_no.is_multiple_of(2) }
    }

    #[test]
    fn tables_take_no_more_bytes_than_they_may() {
        for bytes in [0, 1_000, 100_000, 16 * 1024 * 1024] {
            let versions = Versions::new(bytes);
            let places = |table: &HashMap<u128, Version>| (table.capacity() * 8).div_ceil(LOAD_OF_EIGHT);
            let taken = (places(&versions.young) + places(&versions.old)) * ENTRY_BYTES;
            assert!(taken <= bytes.max(SMALL), "{taken} of {bytes}");
            assert!(taken * 4 >= bytes, "{taken} of {bytes}");
        }
    }

    #[test]
    fn index_and_id_are_told_apart() {
        let versions = Versions::new(SMALL);
        assert_ne!(versions.key("ab", "c"), versions.key("a", "bc"));
        assert_eq!(versions.key("ab", "c"), versions.key("ab", "c"));
    }

    #[test]
    fn what_is_asked_for_stays_while_others_come_and_go() {
        let mut versions = Versions::new(SMALL);
        let hot = versions.key("i", "hot");
        versions.set(hot, Some(version(7)));
        for n in 0..1_000 {
            let key = versions.key("i", &n.to_string());
            versions.set(key, Some(version(n)));
            assert_eq!(versions.get(hot), Some(version(7)), "after {n}");
        }
        let first = versions.key("i", "0");
        assert_eq!(versions.get(first), None, "it is bounded");
        versions.validate().unwrap();
    }

    proptest! {
        #[test]
        fn a_version_is_the_last_that_was_set_or_missing(
            steps in prop::collection::vec((0..30_u64, prop::option::weighted(0.8, 0..1_000_u64), any::<bool>()), 0..300),
        ) {
            let (mut versions, mut model) = (Versions::new(SMALL), HashMap::new());
            for (id, seq_no, sets) in steps {
                let key = versions.key("i", &id.to_string());
                if sets {
                    versions.set(key, seq_no.map(version));
                    model.insert(id, seq_no);
                    prop_assert_eq!(versions.get(key), seq_no.map(version), "what was set last is there");
                } else {
                    let found = versions.get(key);
                    let expected = model.get(&id).copied().flatten().map(version);
                    prop_assert!(found.is_none() || found == expected);
                }
                prop_assert_eq!(versions.validate(), Ok(()));
            }
        }
    }
}
