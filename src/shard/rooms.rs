//! The memory that waiting operations lie in: cells of a few sizes.
//!
//! # Design
//! A shard's operations are all of a kind: a few hundred bytes, written into many times, gone within the age at which
//! they leave. So the shard keeps their memory itself. It is asked of the allocator in *blocks*, and given out one *cell*
//! behind the other, so that what is new lies where the last was. A size is rounded up to one of [`CLASSES`], eight to a
//! doubling. A cell that was left is given out again to one of its class: each block knows its free cells, and each class
//! the blocks that some were left in lately. A block has a quarter of the bytes of all before it, so that a shard of ten
//! operations does not pay for a thousand. What is larger than the largest class has a block of its own.
//!
//! A block goes back to the allocator, outside the shard's lock, when its last cell is left. As every operation leaves
//! when its time has come, each block does.
//!
//! # Why not an allocation for each
//! It was one, and a quarter of the drain's time was the allocator's: operations are freed by the drain's thread, not by
//! the one that made them, and each time neighbours are looked at that nobody else needs, under a lock that shards
//! share.
//!
//! # Why not a page for each class
//! It was so: then there are as many places where new cells are, as there are classes in all shards together, and none is
//! near when it is needed. That cost a submit 100 ns.
//!
//! # Why cells do not move
//! Closing the gaps would cost a look at the slot of each operation that moves: a line of memory more, for each that
//! leaves. What gaps cost at most is what shards held at their fullest, until those that waited then have left.
//!
//! # Invariants
//! 1. A cell that a block has given is in use, or on the block's list of free cells of its class.
//! 2. A block knows how many of its cells are in use. Only the newest has none, and then it is empty, and has at most
//!    [`KEPT_BYTES`].

mod validate;

use std::num::NonZeroU32;

/// Where an operation lies. To be given back to the [`Rooms`] that it came from.
#[derive(Debug)]
#[must_use = "a room that is not removed stays in use"]
pub(super) struct Room {
    capacity: NonZeroU32,
    block: u32,
    /// Its place in the block.
    at: u32,
}

/// Sizes up to here come in steps of this.
const FINE_STEP: usize = 16;
/// Sizes up to here come in steps of [`FINE_STEP`].
const FINE_BYTES_MAX: usize = 1 << FINE_BITS;
const FINE_BITS: u32 = 7;
/// Above, there are so many to a doubling.
const STEPS: usize = 8;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// What is larger has a block of its own.
const CELL_BYTES_MAX: usize = 8 * 1024;
/// How many sizes there are.
const CLASSES: usize =
    FINE_BYTES_MAX / FINE_STEP + (CELL_BYTES_MAX / FINE_BYTES_MAX).ilog2() as usize * STEPS;
/// A block has at least so many bytes, where a cell has no more,
const BLOCK_BYTES_MIN: usize = 1024;
/// and at most so many.
const BLOCK_BYTES_MAX: usize = 128 * 1024;
/// The newest block is kept though nothing is in it, if it has no more than this.
const KEPT_BYTES: usize = 16 * 1024;
/// Blocks that a class looks for a free cell in.
const LATELY: usize = 4;

/// No block, or no cell.
const NIL: u32 = u32::MAX;

/// What there is to a block beside its bytes.
#[derive(Clone, Copy, Debug)]
struct Cells {
    in_use: u32,
    /// The first free cell of each class, each of which begins with where the next one is.
    free: [u32; CLASSES],
}

/// See the module.
#[derive(Debug)]
pub(super) struct Rooms {
    /// Each as far as cells were given.
    blocks: Vec<Vec<u8>>,
    cells: Vec<Cells>,
    /// Of each class, the blocks in which cells were left lately, the last one first.
    lately: [[u32; LATELY]; CLASSES],
    /// The block that new cells are cut from.
    newest: u32,
    /// Bytes of all blocks.
    bytes: usize,
    /// Blocks that were left, to be dropped elsewhere.
    retired: Vec<Vec<u8>>,
}

/// The class of a size that is at most [`CELL_BYTES_MAX`], and the bytes of its cells.
#[inline]
fn class(bytes: usize) -> (usize, usize) {
    if bytes <= FINE_BYTES_MAX {
        let steps = bytes.div_ceil(FINE_STEP).max(1);
        return (steps - 1, steps * FINE_STEP);
    }
    let doubling = (bytes - 1).ilog2();
    let step_bits = doubling - STEP_BITS;
    let steps = (bytes - (1 << doubling)).div_ceil(1 << step_bits);
    let class = FINE_BYTES_MAX / FINE_STEP + (doubling - FINE_BITS) as usize * STEPS + steps - 1;
    (class, (1 << doubling) + (steps << step_bits))
}

/// What a room for so many bytes holds.
#[inline]
pub(super) fn room_bytes(bytes: usize) -> usize {
    if bytes <= CELL_BYTES_MAX { class(bytes).1 } else { bytes.next_multiple_of(FINE_STEP) }
}

impl Room {
    /// Bytes that fit.
    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.capacity.get() as usize
    }

    #[inline]
    fn range(&self) -> std::ops::Range<usize> {
        self.at as usize..self.at as usize + self.capacity()
    }
}

impl Cells {
    const NONE: Self = Self { in_use: 0, free: [NIL; CLASSES] };
}

/// Where the free cell after a free cell is.
fn next_free(block: &[u8], at: u32) -> u32 {
    let cell = block.get(at as usize..).and_then(|cell| cell.first_chunk());
    cell.map_or(NIL, |next| u32::from_le_bytes(*next))
}

/// A size or a place in a block: the engine refuses bodies of more than a hundred mebibytes, and entries that would grow
/// beyond a gibibyte queue.
fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl Rooms {
    pub(super) fn new() -> Self {
        let lately = [[NIL; LATELY]; CLASSES];
        Self { blocks: Vec::new(), cells: Vec::new(), lately, newest: NIL, bytes: 0, retired: Vec::new() }
    }

    /// What is in a room.
    #[inline]
    pub(super) fn get(&self, room: &Room) -> &[u8] {
        self.blocks.get(room.block as usize).and_then(|block| block.get(room.range())).unwrap_or_default()
    }

    /// The same, to be changed.
    #[inline]
    pub(super) fn get_mut(&mut self, room: &Room) -> &mut [u8] {
        let block = self.blocks.get_mut(room.block as usize);
        block.and_then(|block| block.get_mut(room.range())).unwrap_or_default()
    }

    /// A room for these bytes, which it begins with.
    pub(super) fn insert(&mut self, bytes: &[u8]) -> Room {
        let room = self.give(room_bytes(bytes.len()));
        if let Some(place) = self.get_mut(&room).get_mut(..bytes.len()) {
            place.copy_from_slice(bytes);
        }
        room
    }

    /// Changes a room for one that holds `capacity` bytes, at least, and begins with the same `len` bytes.
    pub(super) fn grow(&mut self, room: &mut Room, len: usize, capacity: usize) {
        let capacity = room_bytes(capacity.max(len));
        if capacity <= room.capacity() {
            return;
        }
        let grown = self.give(capacity);
        let (from, to) = (room.at as usize..room.at as usize + len, grown.at as usize);
        if room.block == grown.block {
            if let Some(block) = self.blocks.get_mut(room.block as usize) {
                block.copy_within(from, to);
            }
        } else if let Ok([old, new]) =
            self.blocks.get_disjoint_mut([room.block as usize, grown.block as usize])
            && let (Some(from), Some(to)) = (old.get(from), new.get_mut(to..to + len))
        {
            to.copy_from_slice(from);
        }
        self.remove(std::mem::replace(room, grown));
    }

    /// Changes a room for one that holds these bytes.
    pub(super) fn replace(&mut self, room: &mut Room, bytes: &[u8]) {
        let other = self.insert(bytes);
        self.remove(std::mem::replace(room, other));
    }

    /// A room of one of the sizes, with whatever was there.
    fn give(&mut self, capacity: usize) -> Room {
        let (block, at) = self.free_cell(capacity).unwrap_or_else(|| self.new_cell(capacity));
        if let Some(cells) = self.cells.get_mut(block as usize) {
            cells.in_use += 1;
        }
        Room { capacity: NonZeroU32::new(narrow(capacity)).unwrap_or(NonZeroU32::MIN), block, at }
    }

    /// A cell that was left: its block and its place there.
    fn free_cell(&mut self, capacity: usize) -> Option<(u32, u32)> {
        if capacity > CELL_BYTES_MAX {
            return None;
        }
        let (class, _) = class(capacity);
        for block in self.lately.get(class)? {
            if let Some(free) =
                self.cells.get_mut(*block as usize).and_then(|cells| cells.free.get_mut(class))
                && *free != NIL
            {
                let at = *free;
                *free = next_free(self.blocks.get(*block as usize)?, at);
                return Some((*block, at));
            }
        }
        None
    }

    /// A cell behind the last one that was cut, in a new block if need be.
    fn new_cell(&mut self, capacity: usize) -> (u32, u32) {
        let mut number = self.newest;
        let fits = |block: &Vec<u8>| block.capacity() - block.len() >= capacity;
        if capacity > CELL_BYTES_MAX {
            number = self.add_block(capacity);
        } else if !self.blocks.get(number as usize).is_some_and(fits) {
            self.spare_goes();
            let bytes = (self.bytes / 4).clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX);
            number = self.add_block(bytes.max(capacity));
            self.newest = number;
        }
        let Some(block) = self.blocks.get_mut(number as usize) else { return (NIL, NIL) };
        let at = block.len();
        block.resize(at + capacity, 0);
        (number, narrow(at))
    }

    /// What was in a room is not needed any more.
    pub(super) fn remove(&mut self, room: Room) {
        let (capacity, Room { block: number, at, .. }) = (room.capacity(), room);
        let Some(cells) = self.cells.get_mut(number as usize) else { return };
        cells.in_use -= 1;
        if cells.in_use == 0 {
            return self.empty(number);
        }
        // What is larger than any cell is alone in its block.
        let (class, _) = class(capacity);
        let (Some(free), Some(block)) = (cells.free.get_mut(class), self.blocks.get_mut(number as usize))
        else {
            return;
        };
        if let Some(next) = block.get_mut(at as usize..).and_then(|cell| cell.first_chunk_mut()) {
            *next = free.to_le_bytes();
        }
        *free = at;
        if let Some(lately) = self.lately.get_mut(class)
            && lately.first() != Some(&number)
        {
            // To the front, in the place of itself or of the last.
            let place = lately.iter().position(|other| *other == number).unwrap_or(LATELY - 1);
            lately.copy_within(..place, 1);
            lately.iter_mut().take(1).for_each(|first| *first = number);
        }
    }

    /// Adds a block of so many bytes, which are not there yet; its number.
    fn add_block(&mut self, bytes: usize) -> u32 {
        let block = Vec::with_capacity(bytes);
        self.bytes += block.capacity();
        let gone = self.blocks.iter_mut().enumerate().find(|(_, block)| block.capacity() == 0);
        if let Some((number, gone)) = gone {
            *gone = block;
            return narrow(number);
        }
        self.blocks.push(block);
        self.cells.push(Cells::NONE);
        narrow(self.blocks.len() - 1)
    }

    /// The newest block goes, where it was kept with nothing in it, now that there is to be another.
    fn spare_goes(&mut self) {
        if self.cells.get(self.newest as usize).is_some_and(|cells| cells.in_use == 0) {
            self.retire(self.newest);
        }
    }

    /// A block's last cell was left: it goes, or begins anew.
    fn empty(&mut self, number: u32) {
        if let Some(cells) = self.cells.get_mut(number as usize) {
            *cells = Cells::NONE;
        }
        match self.blocks.get_mut(number as usize) {
            Some(block) if number == self.newest && block.capacity() <= KEPT_BYTES => block.clear(),
            _ => self.retire(number),
        }
    }

    fn retire(&mut self, number: u32) {
        let Some(block) = self.blocks.get_mut(number as usize) else { return };
        let left = std::mem::take(block);
        self.bytes -= left.capacity();
        self.retired.push(left);
        if number == self.newest {
            self.newest = NIL;
        }
    }

    /// Blocks that were left since this was last asked, to be dropped outside the lock.
    pub(super) fn take_retired(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.retired)
    }
}

#[cfg(test)]
mod tests;
