//! Tests of the order, against a sort of the whole names.

use super::order;
use crate::{Expects, Item, ItemAction, document::IndexId};
use proptest::prelude::*;

fn item(index: &str, id: &str) -> Item {
    Item {
        index: index.into(),
        id: id.into(),
        routing: None,
        action: ItemAction::Delete,
        first_seq: 1,
        last_seq: 1,
        operations: 1,
        repeatable: true,
        expects: Expects::Anything,
        attempt: 0,
    }
}

/// The ids of items of the indices with these numbers, ordered.
fn ordered(names: &[&str], keys: &[(usize, String)]) -> Vec<(String, String)> {
    let items: Vec<Item> = keys.iter().map(|(index, id)| item(names[*index], id)).collect();
    let indices = keys.iter().map(|(index, _)| IndexId(u16::try_from(*index).expect("few")));
    let order = order(indices, &items);
    assert_eq!(order.len(), items.len());
    order
        .iter()
        .map(|at| &items[*at as usize])
        .map(|item| (item.index.to_string(), item.id.to_string()))
        .collect()
}

proptest! {
    #[test]
    fn items_are_ordered_by_index_and_id(
        keys in prop::collection::btree_set((0..3_usize, "(aaaaaaaaaa)?[ab\u{0}é]{0,12}"), 0..40)
            .prop_map(|keys| keys.into_iter().collect::<Vec<_>>()).prop_shuffle(),
    ) {
        // Numbers are given in the order in which names are first seen.
        let names = ["m", "z", "a"];
        let mut expected: Vec<(String, String)> =
            keys.iter().map(|(index, id)| (names[*index].to_owned(), id.clone())).collect();
        expected.sort();
        prop_assert_eq!(ordered(&names, &keys), expected);
    }
}

#[test]
fn ids_that_differ_late_or_by_a_zero_byte_are_told_apart() {
    let ids = ["https://example.org/products/2", "https://example.org/products/10", "https://example.org/p"];
    let keys: Vec<(usize, String)> = ids.iter().map(|id| (0, (*id).to_owned())).collect();
    let found: Vec<String> = ordered(&["i"], &keys).into_iter().map(|(_, id)| id).collect();
    assert_eq!(found, [ids[2], ids[1], ids[0]]);
    let keys = [(0, "a\0\0".to_owned()), (0, "a".to_owned()), (0, "a\0".to_owned())];
    let found: Vec<String> = ordered(&["i"], &keys).into_iter().map(|(_, id)| id).collect();
    assert_eq!(found, ["a", "a\0", "a\0\0"]);
}
