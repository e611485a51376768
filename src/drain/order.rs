//! The order of a batch: by index, by id within an index.
//!
//! # Design
//! Items are long and their names lie elsewhere: comparing them would follow pointers into cold memory, and
//! swapping them would move all of each. What is sorted instead is one integer per item: the rank of its index, the
//! first bytes of its id that not all ids of the batch have in common, and its position. Where those bytes are
//! equal the whole ids are compared. The items are then moved once, each to its place.
//!
//! # Invariants
//! 1. The order is that of (index name, id), both as bytes.

use crate::{
    Item,
    document::{IndexId, common_prefix, head},
};

/// Where a key has its position: below the id.
const POSITION_BITS: u32 = u32::BITS;

/// The positions of items in the order in which they are to be sent. `indices`: the number of each one's index.
pub(super) fn order(indices: impl Iterator<Item = IndexId> + Clone, items: &[Item]) -> Vec<u32> {
    let ranks = ranks(indices.clone(), items);
    let skip = common_prefix(items.iter().map(|item| item.id.as_bytes())).len();
    let key = |((position, index), item): ((u32, IndexId), &Item)| {
        let rank = ranks.get(index.0 as usize).copied().unwrap_or(0);
        let head = head(item.id.as_bytes().get(skip..).unwrap_or_default());
        u128::from(rank) << (u64::BITS + POSITION_BITS)
            | u128::from(head) << POSITION_BITS
            | u128::from(position)
    };
    let mut keys: Vec<u128> = (0..).zip(indices).zip(items).map(key).collect();
    keys.sort_unstable();
    let id = |key: &u128| items.get(position(*key) as usize).map(|item| &*item.id);
    for same in keys.chunk_by_mut(|one, other| one >> POSITION_BITS == other >> POSITION_BITS) {
        if same.len() > 1 {
            same.sort_unstable_by(|one, other| id(one).cmp(&id(other)));
        }
    }
    keys.into_iter().map(position).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits of a key are its position")]
fn position(key: u128) -> u32 {
    key as u32
}

/// The place of each index among those of the batch, by its number.
fn ranks(indices: impl Iterator<Item = IndexId>, items: &[Item]) -> Vec<u32> {
    let mut names: Vec<(&str, usize)> = Vec::new();
    let mut ranks: Vec<u32> = Vec::new();
    for (index, item) in indices.zip(items) {
        let index = index.0 as usize;
        if names.last().is_some_and(|(_, last)| *last == index) {
            continue;
        }
        if ranks.len() <= index {
            ranks.resize(index + 1, 0);
        }
        if let Some(seen) = ranks.get_mut(index)
            && *seen == 0
        {
            *seen = 1;
            names.push((&item.index, index));
        }
    }
    names.sort_unstable();
    for (rank, (_, index)) in (0..).zip(names) {
        if let Some(place) = ranks.get_mut(index) {
            *place = rank;
        }
    }
    ranks
}

#[cfg(test)]
mod tests;
