//! Checks the invariants of rooms, by number.

use super::{FINE_BYTES_MAX, FINE_STEP, KEPT_BYTES, NIL, Rooms, STEPS, next_free};

impl Rooms {
    /// Cells in use.
    pub(in crate::shard) fn in_use(&self) -> usize {
        self.cells.iter().map(|cells| cells.in_use as usize).sum()
    }

    /// Checks the invariants; the error names the one that fails.
    pub(in crate::shard) fn validate(&self) -> Result<(), String> {
        for (number, (block, cells)) in (0..).zip(self.blocks.iter().zip(&self.cells)) {
            let mut free_bytes = 0;
            for (class, free) in cells.free.iter().enumerate() {
                let next = |at: &u32| Some(next_free(block, *at)).filter(|at| *at != NIL);
                let cells = std::iter::successors(Some(*free).filter(|at| *at != NIL), next);
                let cells = cells.take(block.len() / FINE_STEP + 1).map(|at| at as usize);
                for at in cells {
                    free_bytes += cell_bytes(class);
                    if at % FINE_STEP != 0 || at + cell_bytes(class) > block.len() {
                        return Err(format!("rooms invariant 1: a free cell at {at} of block {number}"));
                    }
                }
            }
            // Each in use has the least size, at least.
            if free_bytes + cells.in_use as usize * FINE_STEP > block.len() {
                return Err(format!(
                    "rooms invariant 1: block {number}: {free_bytes} free of {}",
                    block.len()
                ));
            }
            let is_spare = number == self.newest && block.is_empty() && block.capacity() <= KEPT_BYTES;
            if (cells.in_use == 0) != (is_spare || block.capacity() == 0)
                || (cells.in_use == 0 && free_bytes > 0)
            {
                return Err(format!("rooms invariant 2: block {number} of {}", block.capacity()));
            }
        }
        let bytes: usize = self.blocks.iter().map(Vec::capacity).sum();
        if bytes == self.bytes { Ok(()) } else { Err(format!("rooms: {bytes} bytes, kept {}", self.bytes)) }
    }
}

/// The bytes of a class's cells.
pub(super) fn cell_bytes(class: usize) -> usize {
    let fine = FINE_BYTES_MAX / FINE_STEP;
    if class < fine {
        return (class + 1) * FINE_STEP;
    }
    let (doubling, step) = ((class - fine) / STEPS, (class - fine) % STEPS);
    (FINE_BYTES_MAX << doubling) / STEPS * (STEPS + step + 1)
}
