//! The operations of a shard that are out.
//!
//! # Design
//! Flights are few beside the keys, and live for one batch. They lie side by side in cells that are used again, in a
//! list by first seq, which is how the oldest is known; a slot has the number of its flight. As entries leave mostly in
//! the order of their age, a flight finds its place in the list near the end.
//!
//! # Why not in the slot, or boxed beside it
//! In the slot each key would pay for what few have at one time. Boxed, each flight cost an allocation, and a node of a
//! tree that kept the order, for the few milliseconds that it lives.
//!
//! # Invariant
//! 1. A cell is either free or has a flight; the list holds those with flights, by first seq.

use super::slot::Aloft;

/// A flight's number in its shard, while it is out.
pub(super) type FlightId = u32;

/// No flight.
pub(super) const NONE: FlightId = FlightId::MAX;

/// So many cells are kept when no flight is out.
const KEPT_CELLS: usize = 64;

#[derive(Debug)]
struct Cell {
    flight: Option<Aloft>,
    /// Neighbours in the list; of a free cell, `next` is the next that is free.
    previous: FlightId,
    next: FlightId,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Hangar {
    cells: Vec<Cell>,
    free: FlightId,
    first: FlightId,
    last: FlightId,
}

impl Default for Hangar {
    fn default() -> Self {
        Self { cells: Vec::new(), free: NONE, first: NONE, last: NONE }
    }
}

impl Hangar {
    pub(super) fn get(&self, id: FlightId) -> Option<&Aloft> {
        self.cell(id)?.flight.as_ref()
    }

    /// The flight with the least first seq.
    pub(super) fn first(&self) -> Option<&Aloft> {
        self.get(self.first)
    }

    /// All flights by first seq, with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (FlightId, &Aloft)> {
        std::iter::successors(Some(self.first), |id| self.cell(*id).map(|cell| cell.next))
            .map_while(|id| Some((id, self.get(id)?)))
    }

    /// Adds a flight.
    pub(super) fn insert(&mut self, aloft: Aloft) -> FlightId {
        let (mut previous, mut next) = (self.last, NONE);
        while let Some(cell) = self.cell(previous)
            && cell.flight.as_ref().is_some_and(|other| other.first_seq > aloft.first_seq)
        {
            (previous, next) = (cell.previous, previous);
        }
        let new = Cell { flight: Some(aloft), previous, next };
        let id = self.free;
        let id = if let Some(cell) = self.cell_mut(id) {
            let free = std::mem::replace(cell, new).next;
            self.free = free;
            id
        } else {
            let id = FlightId::try_from(self.cells.len()).unwrap_or(NONE);
            assert!(id < NONE, "a shard has fewer than 2^32 - 1 flights out: fewer than slots");
            self.cells.push(new);
            id
        };
        self.set_next(previous, id);
        self.set_previous(next, id);
        id
    }

    /// Takes a flight out.
    pub(super) fn remove(&mut self, id: FlightId) -> Option<Aloft> {
        let free = self.free;
        let cell = self.cell_mut(id)?;
        let aloft = cell.flight.take()?;
        let (previous, next) = (cell.previous, std::mem::replace(&mut cell.next, free));
        self.free = id;
        self.set_next(previous, next);
        self.set_previous(next, previous);
        if self.first == NONE && self.cells.len() > KEPT_CELLS {
            *self = Self::default();
        }
        Some(aloft)
    }

    #[inline]
    fn cell(&self, id: FlightId) -> Option<&Cell> {
        self.cells.get(id as usize)
    }

    #[inline]
    fn cell_mut(&mut self, id: FlightId) -> Option<&mut Cell> {
        self.cells.get_mut(id as usize)
    }

    fn set_next(&mut self, id: FlightId, next: FlightId) {
        match self.cell_mut(id) {
            Some(cell) => cell.next = next,
            None => self.first = next,
        }
    }

    fn set_previous(&mut self, id: FlightId, previous: FlightId) {
        match self.cell_mut(id) {
            Some(cell) => cell.previous = previous,
            None => self.last = previous,
        }
    }

    /// Checks the invariant; the error names it.
    pub(super) fn validate(&self) -> Result<(), String> {
        let listed: Vec<u64> =
            self.iter().take(self.cells.len() + 1).map(|(_, aloft)| aloft.first_seq).collect();
        let held = self.cells.iter().filter(|cell| cell.flight.is_some()).count();
        let free = std::iter::successors(self.cell(self.free), |cell| self.cell(cell.next));
        let free = free.take(self.cells.len() + 1).filter(|cell| cell.flight.is_none()).count();
        if listed.len() != held || held + free != self.cells.len() || !listed.is_sorted() {
            return Err(format!("hangar invariant 1: {listed:?} listed, {held} held, {free} free"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        NetOperation,
        shard::{rooms::Rooms, slot::Entry},
    };
    use bytes::BytesMut;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn aloft(seq: u64) -> Aloft {
        let net = NetOperation::new(crate::Action::Delete).unwrap();
        let mut rooms = Rooms::new();
        Entry::new(&mut rooms, net.as_net(), seq, 0).launch(&mut rooms, &mut BytesMut::new())
    }

    proptest! {
        #[test]
        fn a_hangar_holds_what_a_map_by_first_seq_holds(
            steps in prop::collection::vec((any::<bool>(), 1..500_u64), 1..400)
        ) {
            let (mut hangar, mut model) = (Hangar::default(), BTreeMap::new());
            for (adds, seq) in steps {
                if adds && !model.contains_key(&seq) {
                    model.insert(seq, hangar.insert(aloft(seq)));
                } else if let Some((seq, id)) = model.range(seq..).next().map(|(seq, id)| (*seq, *id)) {
                    model.remove(&seq);
                    prop_assert_eq!(hangar.get(id).map(|aloft| aloft.first_seq), Some(seq));
                    prop_assert_eq!(hangar.remove(id).map(|aloft| aloft.first_seq), Some(seq));
                    prop_assert!(hangar.remove(id).is_none());
                }
                prop_assert_eq!(hangar.validate(), Ok(()));
                let listed = hangar.iter().map(|(id, aloft)| (aloft.first_seq, id));
                prop_assert!(listed.eq(model.iter().map(|(seq, id)| (*seq, *id))));
                prop_assert_eq!(hangar.first().map(|aloft| aloft.first_seq), model.keys().next().copied());
            }
        }
    }

    #[test]
    fn many_cells_are_not_kept_when_no_flight_is_out() {
        let mut hangar = Hangar::default();
        let flights: Vec<_> = (0..1_000).map(|seq| hangar.insert(aloft(seq))).collect();
        for flight in flights {
            assert!(hangar.remove(flight).is_some());
        }
        assert_eq!((hangar.cells.capacity(), hangar.iter().count()), (0, 0));
        assert_eq!(hangar.validate(), Ok(()));
    }
}
