//! Slots in one array, with two orders threaded through them.
//!
//! # Design
//! A slab of slots with a free list, and intrusive doubly linked lists over it: by age (the order in which
//! pending entries arrived), and of the clean ones (least recently settled first). No slot stands in both, so one pair
//! of links serves. A slot keeps its number while it is in use, so flights can name it, and its place in memory: the
//! slab grows by a page of cells at a time and moves none, so that no submit waits while thousands are copied.
//!
//! # Why not an order of writing
//! Each submit would move its key in it, and write to the memory of three others: see `sweep.rs`.
//!
//! # Invariants
//! 1. A slot is either free or in use; a slot in use is in the age list, or in the clean list, or in none.
//! 2. Links are symmetric, and each list's length is its number of linked slots.

use super::slot::Slot;

/// A slot's number in its shard.
pub(crate) type SlotId = u32;

/// No slot.
const NIL: SlotId = SlotId::MAX;

/// The orders a slot may stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Pending entries by first seq.
    Age,
    /// Clean slots, least recently settled first.
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
pub(super) struct Cell {
    slot: Option<Slot>,
    /// Its place in the one order that it stands in, if any; `next` of a free cell is the next that is free.
    link: Link,
}

/// Cells of a page: memory of which only those are touched that were used. Where it is asked for, a submit waits.
const PAGE_CELLS: usize = 1 << PAGE_BITS;
const PAGE_BITS: u32 = 9;

/// The slots of one shard.
#[derive(Debug)]
pub(crate) struct Slab {
    pages: Vec<Vec<Cell>>,
    /// Cells in all pages.
    cells: usize,
    free: SlotId,
    lists: [Ends; 2],
}

impl Slab {
    pub(crate) fn new() -> Self {
        let empty = Ends { head: NIL, tail: NIL, length: 0 };
        Self { pages: Vec::new(), cells: 0, free: NIL, lists: [empty; 2] }
    }

    /// Puts a slot in a free cell.
    pub(crate) fn insert(&mut self, slot: Slot) -> SlotId {
        let id = self.free;
        if let Some(cell) = self.cell_mut(id) {
            let next = cell.link.next;
            *cell = Cell { slot: Some(slot), link: UNLINKED };
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
            page.push(Cell { slot: Some(slot), link: UNLINKED });
        }
        self.cells += 1;
        id
    }

    /// Cells, free and in use: slots are numbered below this.
    pub(crate) fn cells(&self) -> usize {
        self.cells
    }

    /// Takes an unlinked slot out. The caller drops it outside the lock.
    pub(crate) fn remove(&mut self, id: SlotId) -> Option<Slot> {
        let free = self.free;
        let cell = self.cell_mut(id)?;
        debug_assert!(!cell.link.is_linked(), "a removed slot stands in no list");
        let slot = cell.slot.take()?;
        cell.link.next = free;
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

    /// Where a slot lies.
    #[inline]
    pub(crate) fn address(&self, id: SlotId) -> usize {
        self.cell(id).map_or(0, |cell| std::ptr::from_ref(cell).addr())
    }

    /// True where a slot stands in an order.
    pub(crate) fn is_linked(&self, id: SlotId) -> bool {
        self.link(id).is_some_and(|link| link.is_linked())
    }

    pub(crate) fn first(&self, order: Order) -> Option<SlotId> {
        some(self.ends(order).head)
    }

    pub(crate) fn last(&self, order: Order) -> Option<SlotId> {
        some(self.ends(order).tail)
    }

    pub(crate) fn next(&self, id: SlotId) -> Option<SlotId> {
        some(self.link(id).filter(|link| link.is_linked())?.next)
    }

    pub(crate) fn previous(&self, id: SlotId) -> Option<SlotId> {
        some(self.link(id).filter(|link| link.is_linked())?.previous)
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
        debug_assert!(!self.is_linked(id), "a slot stands once in a list");
        let previous = previous.unwrap_or(NIL);
        let next = match some(previous) {
            Some(previous) => self.link(previous).map_or(NIL, |link| link.next),
            None => self.ends(order).head,
        };
        self.set_next(order, previous, id);
        self.set_previous(order, next, id);
        if let Some(link) = self.link_mut(id) {
            *link = Link { previous, next };
        }
        self.ends_mut(order).length += 1;
    }

    /// Unlinks `id`; nothing happens if it is not linked.
    pub(crate) fn unlink(&mut self, order: Order, id: SlotId) {
        let Some(link) = self.link_mut(id) else { return };
        if !link.is_linked() {
            return;
        }
        let Link { previous, next } = std::mem::replace(link, UNLINKED);
        self.set_next(order, previous, next);
        self.set_previous(order, next, previous);
        self.ends_mut(order).length -= 1;
    }

    pub(crate) fn iter(&self, order: Order) -> impl Iterator<Item = SlotId> + '_ {
        std::iter::successors(self.first(order), move |id| self.next(*id))
    }

    /// The slots in use, taken out of everything.
    pub(crate) fn into_slots(self) -> impl Iterator<Item = Slot> {
        self.pages.into_iter().flatten().filter_map(|cell| cell.slot)
    }

    /// Every slot in use.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (SlotId, &Slot)> {
        (0..).zip(self.pages.iter().flatten()).filter_map(|(id, cell)| Some((id, cell.slot.as_ref()?)))
    }

    fn link(&self, id: SlotId) -> Option<&Link> {
        Some(&self.cell(id)?.link)
    }

    fn link_mut(&mut self, id: SlotId) -> Option<&mut Link> {
        Some(&mut self.cell_mut(id)?.link)
    }

    fn ends(&self, order: Order) -> Ends {
        let [age, clean] = self.lists;
        match order {
            Order::Age => age,
            Order::Clean => clean,
        }
    }

    fn ends_mut(&mut self, order: Order) -> &mut Ends {
        let [age, clean] = &mut self.lists;
        match order {
            Order::Age => age,
            Order::Clean => clean,
        }
    }

    fn set_next(&mut self, order: Order, id: SlotId, next: SlotId) {
        match self.link_mut(id) {
            Some(link) => link.next = next,
            None => self.ends_mut(order).head = next,
        }
    }

    fn set_previous(&mut self, order: Order, id: SlotId, previous: SlotId) {
        match self.link_mut(id) {
            Some(link) => link.previous = previous,
            None => self.ends_mut(order).tail = previous,
        }
    }

    /// Checks the invariants of this structure; the error names the one that fails.
    pub(crate) fn validate(&self) -> Result<(), String> {
        for order in [Order::Age, Order::Clean] {
            let (mut count, mut previous) = (0, None);
            for id in self.iter(order) {
                if self.get(id).is_none() || !self.is_linked(id) || self.previous(id) != previous {
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
        let free = std::iter::successors(some(self.free), |id| some(self.cell(*id)?.link.next));
        let free = free.take(self.cells + 1).filter(|id| self.get(*id).is_none()).count();
        if free + self.slots().count() != self.cells {
            return Err(format!("slab invariant 1: {free} free of {} cells", self.cells));
        }
        Ok(())
    }
}

fn some(id: SlotId) -> Option<SlotId> {
    (id != NIL).then_some(id)
}

#[cfg(test)]
mod tests;
