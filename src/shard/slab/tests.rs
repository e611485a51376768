//! The slab against one deque per order.

use super::{Order, Slab, SlotId};
use crate::{document::IndexId, shard::slot::Slot};
use proptest::prelude::*;
use smol_str::SmolStr;
use std::collections::{BTreeMap, VecDeque};

const ORDERS: [Order; 2] = [Order::Age, Order::Clean];

#[derive(Default)]
struct Model {
    slots: BTreeMap<SlotId, SmolStr>,
    lists: [VecDeque<SlotId>; 2],
}

impl Model {
    fn is_in(&self, order: usize, id: SlotId) -> bool {
        self.lists[order].contains(&id)
    }

    fn pick(&self, at: usize) -> Option<SlotId> {
        self.slots.keys().nth(at % self.slots.len().max(1)).copied()
    }
}

fn slot(name: &str) -> Slot {
    Slot::new(0, IndexId(0), name)
}

fn check(slab: &Slab, model: &Model) {
    assert_eq!(slab.validate(), Ok(()));
    let held: Vec<_> = slab.slots().map(|(id, slot)| (id, slot.id.clone())).collect();
    assert_eq!(held, model.slots.clone().into_iter().collect::<Vec<_>>());
    for (order, list) in ORDERS.into_iter().zip(&model.lists) {
        assert!(slab.iter(order).eq(list.iter().copied()), "{order:?}");
        assert_eq!((slab.first(order), slab.last(order)), (list.front().copied(), list.back().copied()));
        assert_eq!(slab.length(order), list.len());
        for pair in list.iter().copied().collect::<Vec<_>>().windows(2) {
            assert_eq!((slab.next(pair[0]), slab.previous(pair[1])), (Some(pair[1]), Some(pair[0])));
        }
    }
}

proptest! {
    #[test]
    fn a_slab_agrees_with_a_deque_per_order(steps in prop::collection::vec((0..5_u8, any::<usize>(), 0..2_usize), 1..200)) {
        let (mut slab, mut model) = (Slab::new(), Model::default());
        for (n, (step, at, order)) in steps.into_iter().enumerate() {
            let target = model.pick(at);
            match (step, target) {
                (0, _) | (_, None) => {
                    let name: SmolStr = n.to_string().into();
                    let id = slab.insert(slot(&name));
                    prop_assert!(model.slots.insert(id, name).is_none());
                }
                (1, Some(id)) => {
                    for (order, list) in ORDERS.into_iter().zip(&mut model.lists) {
                        if list.contains(&id) {
                            slab.unlink(order, id);
                        }
                        list.retain(|other| *other != id);
                    }
                    let removed = slab.remove(id).map(|slot| slot.id);
                    prop_assert_eq!(removed, model.slots.remove(&id));
                }
                // The lists share their links: a slot stands in one of them.
                (2 | 3, Some(id)) if model.is_in(order, id) || model.is_in(1 - order, id) => {
                    if model.is_in(order, id) {
                        slab.unlink(ORDERS[order], id);
                        model.lists[order].retain(|other| *other != id);
                    }
                }
                (2, Some(id)) => {
                    slab.push_back(ORDERS[order], id);
                    model.lists[order].push_back(id);
                }
                (3, Some(id)) => {
                    let place = at % (model.lists[order].len() + 1);
                    let before = place.checked_sub(1).map(|place| model.lists[order][place]);
                    slab.insert_after(ORDERS[order], id, before);
                    model.lists[order].insert(place, id);
                }
                (_, Some(id)) => {
                    prop_assert_eq!(slab.is_linked(id), model.is_in(0, id) || model.is_in(1, id));
                    let name = slab.get_mut(id).map(|slot| slot.id.clone());
                    prop_assert_eq!(name.as_ref(), model.slots.get(&id));
                }
            }
            check(&slab, &model);
        }
        let left: Vec<_> = slab.into_slots().map(|slot| slot.id).collect();
        prop_assert_eq!(left, model.slots.into_values().collect::<Vec<_>>());
    }
}

#[test]
fn a_freed_cell_is_used_again_and_what_is_not_linked_is_left_alone() {
    let mut slab = Slab::new();
    let [a, b] = ["a", "b"].map(|name| slab.insert(slot(name)));
    slab.unlink(Order::Age, a);
    assert!(slab.remove(a).is_some() && slab.remove(a).is_none());
    assert_eq!(slab.insert(slot("c")), a);
    assert_eq!(slab.insert(slot("d")), b + 1);
    assert!(slab.get(99).is_none() && slab.remove(99).is_none() && slab.next(99).is_none());
    assert_eq!(slab.validate(), Ok(()));
}

#[test]
fn a_broken_link_is_found() {
    let mut slab = Slab::new();
    let [a, b] = ["a", "b"].map(|name| slab.insert(slot(name)));
    slab.push_back(Order::Age, a);
    slab.push_back(Order::Age, b);
    slab.cell_mut(b).unwrap().link.previous = b;
    assert!(slab.validate().unwrap_err().contains("slab invariant 2"));
}
