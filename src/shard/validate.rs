//! Checks a shard's invariants, by number: for tests and fuzzing.

use super::{LATER_MAX, Shard, Weight, measure, slab::Order, slot::Slot};
use std::collections::HashMap;

impl Shard {
    /// Checks every invariant of `shard/mod.rs`; the error names the one that fails. Costs a walk over all.
    pub(crate) fn validate(&self) -> Result<(), String> {
        self.slab.validate()?;
        self.validate_table()?;
        self.validate_orders()?;
        self.validate_flights()?;
        self.validate_weights()?;
        self.validate_rooms()?;
        self.slab
            .slots()
            .try_for_each(|(id, slot)| self.validate_slot(slot).map_err(|e| format!("slot {id}: {e}")))
    }

    fn validate_table(&self) -> Result<(), String> {
        let slots = self.slab.slots().count();
        for (id, slot) in self.slab.slots() {
            if self.find(slot.tag, slot.index, &slot.id) != Some(id) {
                return Err(format!("invariant 1: slot {id} is not found under its key"));
            }
        }
        self.index.validate()?;
        if self.index.len() == slots {
            Ok(())
        } else {
            Err(format!("invariant 1: {} of {slots}", self.index.len()))
        }
    }

    fn validate_orders(&self) -> Result<(), String> {
        for (id, slot) in self.slab.slots() {
            if self.slab.is_linked(id) != (slot.pending.is_some() || slot.is_clean()) {
                return Err(format!("invariant 2: slot {id} stands in an order, or does not"));
            }
        }
        let key = |id| {
            self.slab
                .get(id)
                .and_then(|slot: &Slot| slot.pending.as_ref().map(|e| (e.first_seq, e.arrival.us())))
        };
        let ages: Vec<_> = self.slab.iter(Order::Age).map(key).collect();
        let rises = ages.windows(2).all(|pair| match pair {
            [Some(a), Some(b)] => a.0 <= b.0 && a.1 <= b.1,
            _ => false,
        });
        let waiting = self.slab.slots().filter(|(_, slot)| slot.pending.is_some()).count();
        let clean = self.slab.iter(Order::Clean).all(|id| self.slab.get(id).is_some_and(Slot::is_clean));
        if !rises || !clean || waiting != ages.len() {
            return Err(format!("invariant 2: order of {ages:?}"));
        }
        Ok(())
    }

    fn validate_flights(&self) -> Result<(), String> {
        self.hangar.validate()?;
        // In order, so that two slots that name one flight are seen.
        let mut named: Vec<_> = self.slab.slots().filter_map(|(_, slot)| slot.flight()).collect();
        let mut held: Vec<_> = self.hangar.iter().map(|(id, _)| id).collect();
        named.sort_unstable();
        held.sort_unstable();
        if named == held { Ok(()) } else { Err(format!("invariant 3: {named:?} and {held:?}")) }
    }

    fn validate_weights(&self) -> Result<(), String> {
        let (mut sum, mut pending) = (Weight::default(), HashMap::new());
        for (_, slot) in self.slab.slots() {
            let measure = measure(slot);
            sum.total += measure.weight.total;
            sum.clean += measure.weight.clean;
            sum.known += measure.weight.known;
            *pending.entry(slot.index).or_insert(0) += measure.pending as u64;
        }
        sum.aloft = self.hangar.iter().map(|(_, flight)| flight.weight()).sum();
        sum.total += sum.aloft;
        if sum != self.weight {
            return Err(format!("invariant 5: {sum:?}, kept {:?}", self.weight));
        }
        match pending.iter().find(|(index, bytes)| self.counts(**index).pending_bytes != **bytes) {
            Some((index, bytes)) => {
                Err(format!("invariant 5: {index:?} holds {bytes}, kept {:?}", self.counts(*index)))
            }
            None => Ok(()),
        }
    }

    fn validate_rooms(&self) -> Result<(), String> {
        self.rooms.validate()?;
        let entries: usize =
            self.slab.slots().map(|(_, slot)| slot.pending.iter().len() + slot.later().len()).sum();
        let in_use = self.rooms.in_use();
        if in_use == entries {
            Ok(())
        } else {
            Err(format!("invariant 6: {in_use} rooms, {entries} entries"))
        }
    }

    fn validate_slot(&self, slot: &Slot) -> Result<(), String> {
        slot.validate()?;
        let flight = slot.flight().and_then(|id| self.hangar.get(id));
        let flight = flight.into_iter().map(|flight| (flight.first_seq, flight.last_seq));
        let entries = slot.pending.iter().chain(slot.later()).map(|entry| (entry.first_seq, entry.last_seq));
        let mut last = 0;
        for (first_seq, last_seq) in flight.chain(entries) {
            if first_seq <= last || last_seq < first_seq || last_seq > self.last_seq {
                return Err(format!(
                    "invariant 4: {first_seq}..{last_seq} above {last}, of {}",
                    self.last_seq
                ));
            }
            last = last_seq;
        }
        for entry in slot.pending.iter().chain(slot.later()) {
            crate::merge::validate(entry.net(&self.rooms))?;
        }
        if slot.pending.is_none() && slot.later().len() > 0 {
            return Err("slot invariant 2: something queues behind nothing".into());
        }
        if slot.later().len() > LATER_MAX + 1 {
            return Err(format!("invariant 7: {} entries queue", slot.later().len()));
        }
        if slot.is_urgent()
            != self.urgent.iter().any(|id| self.slab.get(*id).is_some_and(|s| std::ptr::eq(s, slot)))
        {
            return Err("an urgent slot stands in the urgent queue, and only such".into());
        }
        Ok(())
    }
}
