//! Ids for documents that were given none.
//!
//! # Invariants
//! 1. No two ids of one run are equal, and those of two runs hardly ever.

use std::hash::{BuildHasher, RandomState};

const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Characters of a made-up id: 120 bits, as Elasticsearch's.
const ID_CHARACTERS: u32 = 20;

/// Makes up ids: a random start and a count. A clone makes the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    start: u64,
    count: u64,
}

impl Ids {
    pub(crate) fn new() -> Self {
        Self { start: RandomState::new().hash_one("ids"), count: 0 }
    }

    pub(crate) fn next(&mut self) -> String {
        self.count += 1;
        let mut bits = (u128::from(self.start) << 56) | u128::from(self.count);
        let mut id = String::with_capacity(ID_CHARACTERS as usize);
        for _ in 0..ID_CHARACTERS {
            let digit = usize::try_from(bits & 63).unwrap_or(0);
            id.extend(URL_SAFE.get(digit).copied().map(char::from));
            bits >>= 6;
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn made_up_ids_are_twenty_url_safe_characters_and_differ() {
        let mut ids = Ids { start: u64::MAX, count: 0 };
        let made: HashSet<String> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(made.len(), 10_000);
        let is_safe = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
        assert!(made.iter().all(|id| id.len() == 20 && id.chars().all(is_safe)));
        assert_ne!(Ids { start: 1, count: 0 }.next(), Ids { start: 2, count: 0 }.next());
    }
}
