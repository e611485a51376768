//! Slots in one array, with two orders threaded through them.
//!
//! # Design
//! A slab of slots with a free list, and intrusive doubly linked lists over it: by age (the order in which
//! pending entries arrived), by writing (least recently written first) and of the clean ones (least recently
//! settled first). A slot keeps its number while it is in use, so flights can name it, and its place in memory: the
//! slab grows by a page of cells at a time and moves none, so that no submit waits while thousands are copied.
//!
//! # Why not a map per order
//! Each submit moves its key in one of the orders; in a list that is a handful of stores, and their lines are asked
//! for before (`prefetch.rs`).
//!
//! # Invariants
//! 1. A slot is either free or in use; a slot in use is in the age and write lists, or in the clean list, or in none.
//! 2. Links are symmetric, and each list's length is its number of linked slots.

use super::{prefetch::prefetch, slot::Slot};

/// A slot's number in its shard.
pub(crate) type SlotId = u32;

/// No slot.
const NIL: SlotId = SlotId::MAX;

/// The orders a slot may stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Pending entries by first seq.
    Age,
    /// Pending entries, least recently written first.
    Written,
    /// Clean slots, least recently settled first. Shares its links with `Written`.
    Clean,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: SlotId,
    next: SlotId,
}

/// What stands for a neighbour where a slot is in no list.
const OUTSIDE: SlotId = NIL - 1;
const UNLINKED: Link = Link { previous: OUTSIDE, next: OUTSIDE };

impl Link {
    fn is_linked(self) -> bool {
        self.previous != OUTSIDE
    }
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    head: SlotId,
    tail: SlotId,
    length: usize,
}

/// Two lines of memory, and not parts of three.
#[derive(Debug)]
#[repr(align(128))]
struct Cell {
    slot: Option<Slot>,
    /// Of a free cell, the first one's `next` is the next that is free.
    links: [Link; 2],
}

/// Cells of a page.
const PAGE_CELLS: usize = 1 << PAGE_BITS;
const PAGE_BITS: u32 = 6;

/// The slots of one shard.
#[derive(Debug)]
pub(crate) struct Slab {
    pages: Vec<Vec<Cell>>,
    /// Cells in all pages.
    cells: usize,
    free: SlotId,
    lists: [Ends; 3],
}

impl Slab {
    pub(crate) fn new() -> Self {
        let empty = Ends { head: NIL, tail: NIL, length: 0 };
        Self { pages: Vec::new(), cells: 0, free: NIL, lists: [empty; 3] }
    }

    /// Puts a slot in a free cell.
    pub(crate) fn insert(&mut self, slot: Slot) -> SlotId {
        let id = self.free;
        if let Some(cell) = self.cell_mut(id) {
            let next = cell.links[0].next;
            *cell = Cell { slot: Some(slot), links: [UNLINKED; 2] };
            self.free = next;
            return id;
        }
        let id = SlotId::try_from(self.cells).unwrap_or(OUTSIDE);
        assert!(
            id < OUTSIDE,
            "a shard holds fewer than 2^32 - 2 slots; the memory bound is reached long before"
        );
        if self.cells.is_multiple_of(PAGE_CELLS) {
            self.pages.push(Vec::with_capacity(PAGE_CELLS));
        }
        if let Some(page) = self.pages.last_mut() {
            page.push(Cell { slot: Some(slot), links: [UNLINKED; 2] });
        }
        self.cells += 1;
        id
    }

    /// Takes an unlinked slot out. The caller drops it outside the lock.
    pub(crate) fn remove(&mut self, id: SlotId) -> Option<Slot> {
        let free = self.free;
        let cell = self.cell_mut(id)?;
        debug_assert!(cell.links.iter().all(|link| !link.is_linked()), "a removed slot stands in no list");
        let slot = cell.slot.take()?;
        cell.links[0].next = free;
        self.free = id;
        Some(slot)
    }

    #[inline]
    fn cell(&self, id: SlotId) -> Option<&Cell> {
        self.pages.get((id >> PAGE_BITS) as usize)?.get(id as usize % PAGE_CELLS)
    }

    #[inline]
    fn cell_mut(&mut self, id: SlotId) -> Option<&mut Cell> {
        self.pages.get_mut((id >> PAGE_BITS) as usize)?.get_mut(id as usize % PAGE_CELLS)
    }

    #[inline]
    pub(crate) fn get(&self, id: SlotId) -> Option<&Slot> {
        self.cell(id)?.slot.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: SlotId) -> Option<&mut Slot> {
        self.cell_mut(id)?.slot.as_mut()
    }

    /// Asks for a slot's lines.
    #[inline]
    pub(crate) fn prefetch(&self, id: SlotId) {
        if let Some(cell) = self.cell(id) {
            prefetch(cell);
        }
    }

    /// Asks for what [`Slab::move_back`] writes.
    #[inline]
    pub(crate) fn prefetch_neighbours(&self, order: Order, id: SlotId) {
        if let Some(link) = self.link(order, id) {
            for neighbour in [link.previous, link.next] {
                if let Some(link) = self.link(order, neighbour) {
                    prefetch(link);
                }
            }
        }
    }

    pub(crate) fn is_linked(&self, order: Order, id: SlotId) -> bool {
        self.link(order, id).is_some_and(|link| link.is_linked())
    }

    pub(crate) fn first(&self, order: Order) -> Option<SlotId> {
        some(self.ends(order).head)
    }

    pub(crate) fn last(&self, order: Order) -> Option<SlotId> {
        some(self.ends(order).tail)
    }

    pub(crate) fn next(&self, order: Order, id: SlotId) -> Option<SlotId> {
        some(self.link(order, id).filter(|link| link.is_linked())?.next)
    }

    pub(crate) fn previous(&self, order: Order, id: SlotId) -> Option<SlotId> {
        some(self.link(order, id).filter(|link| link.is_linked())?.previous)
    }

    pub(crate) fn length(&self, order: Order) -> usize {
        self.ends(order).length
    }

    pub(crate) fn push_back(&mut self, order: Order, id: SlotId) {
        let tail = some(self.ends(order).tail);
        self.insert_after(order, id, tail);
    }

    /// Links `id` behind `previous`, or first of all.
    pub(crate) fn insert_after(&mut self, order: Order, id: SlotId, previous: Option<SlotId>) {
        debug_assert!(!self.is_linked(order, id), "a slot stands once in a list");
        let previous = previous.unwrap_or(NIL);
        let next = match some(previous) {
            Some(previous) => self.link(order, previous).map_or(NIL, |link| link.next),
            None => self.ends(order).head,
        };
        self.set_next(order, previous, id);
        self.set_previous(order, next, id);
        if let Some(link) = self.link_mut(order, id) {
            *link = Link { previous, next };
        }
        self.ends_mut(order).length += 1;
    }

    /// Unlinks `id`; nothing happens if it is not linked.
    pub(crate) fn unlink(&mut self, order: Order, id: SlotId) {
        let Some(link) = self.link_mut(order, id) else { return };
        if !link.is_linked() {
            return;
        }
        let Link { previous, next } = std::mem::replace(link, UNLINKED);
        self.set_next(order, previous, next);
        self.set_previous(order, next, previous);
        self.ends_mut(order).length -= 1;
    }

    /// Moves a linked slot behind all others.
    #[inline]
    pub(crate) fn move_back(&mut self, order: Order, id: SlotId) {
        if self.ends(order).tail != id {
            self.unlink(order, id);
            self.push_back(order, id);
        }
    }

    pub(crate) fn iter(&self, order: Order) -> impl Iterator<Item = SlotId> + '_ {
        std::iter::successors(self.first(order), move |id| self.next(order, *id))
    }

    /// The slots in use, taken out of everything.
    pub(crate) fn into_slots(self) -> impl Iterator<Item = Slot> {
        self.pages.into_iter().flatten().filter_map(|cell| cell.slot)
    }

    /// Every slot in use.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (SlotId, &Slot)> {
        (0..).zip(self.pages.iter().flatten()).filter_map(|(id, cell)| Some((id, cell.slot.as_ref()?)))
    }

    fn link(&self, order: Order, id: SlotId) -> Option<&Link> {
        self.cell(id)?.links.get(lane(order))
    }

    fn link_mut(&mut self, order: Order, id: SlotId) -> Option<&mut Link> {
        self.cell_mut(id)?.links.get_mut(lane(order))
    }

    fn ends(&self, order: Order) -> Ends {
        let [age, written, clean] = self.lists;
        match order {
            Order::Age => age,
            Order::Written => written,
            Order::Clean => clean,
        }
    }

    fn ends_mut(&mut self, order: Order) -> &mut Ends {
        let [age, written, clean] = &mut self.lists;
        match order {
            Order::Age => age,
            Order::Written => written,
            Order::Clean => clean,
        }
    }

    fn set_next(&mut self, order: Order, id: SlotId, next: SlotId) {
        match self.link_mut(order, id) {
            Some(link) => link.next = next,
            None => self.ends_mut(order).head = next,
        }
    }

    fn set_previous(&mut self, order: Order, id: SlotId, previous: SlotId) {
        match self.link_mut(order, id) {
            Some(link) => link.previous = previous,
            None => self.ends_mut(order).tail = previous,
        }
    }

    /// Checks the invariants of this structure; the error names the one that fails.
    pub(crate) fn validate(&self) -> Result<(), String> {
        for order in [Order::Age, Order::Written, Order::Clean] {
            let (mut count, mut previous) = (0, None);
            for id in self.iter(order) {
                if self.get(id).is_none()
                    || !self.is_linked(order, id)
                    || self.previous(order, id) != previous
                {
                    return Err(format!("slab invariant 2: slot {id} in {order:?}"));
                }
                (count, previous) = (count + 1, Some(id));
                if count > self.cells {
                    return Err(format!("slab invariant 2: a cycle in {order:?}"));
                }
            }
            if count != self.length(order) || previous != self.last(order) {
                return Err(format!("slab invariant 2: {order:?} has {count} of {}", self.length(order)));
            }
        }
        let free = std::iter::successors(some(self.free), |id| some(self.cell(*id)?.links[0].next));
        let free = free.take(self.cells + 1).filter(|id| self.get(*id).is_none()).count();
        if free + self.slots().count() != self.cells {
            return Err(format!("slab invariant 1: {free} free of {} cells", self.cells));
        }
        Ok(())
    }
}

/// Age has links of its own; the write and the clean list share theirs, as no slot stands in both.
fn lane(order: Order) -> usize {
    match order {
        Order::Age => 0,
        Order::Written | Order::Clean => 1,
    }
}

fn some(id: SlotId) -> Option<SlotId> {
    (id != NIL).then_some(id)
}

#[cfg(test)]
mod tests;
