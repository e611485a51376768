//! What stands of a key, by the seq of an operation in it: for the journal, which writes it again before it deletes where it
//! was written.

use super::{Shard, arrival::Arrival, slab::SlotId, slot::Slot, tally::Tally};
use crate::{document::IndexId, merge::NetRef};

/// Cells of a shard that are looked at.
const SAMPLE: usize = 64;
/// What a record has beside its operation and its id: its length, kind, seq, flags and checksum.
const BESIDE: usize = 14;

/// Operations of a key that were folded and have not settled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing<'a> {
    pub(crate) net: NetRef<'a>,
    pub(crate) routing: Option<&'a str>,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) tally: Tally,
    /// It is out, or an earlier engine had it out: it may be in the sink, as it is.
    pub(crate) may_be_out: bool,
    pub(crate) arrival: &'a Arrival,
}

impl Shard {
    /// About what the operations that have not settled take in records of the journal: from a sample of the cells.
    pub(crate) fn standing_bytes(&self) -> u64 {
        let cells = self.slab.cells();
        let sample = cells.min(SAMPLE);
        let Some(step) = cells.checked_div(sample) else { return 0 };
        let cell = |number: usize| self.slab.get(SlotId::try_from(number * step).ok()?);
        let bytes: usize = (0..sample).filter_map(cell).map(|slot| self.slot_bytes(slot)).sum();
        (bytes * cells / sample) as u64
    }

    fn slot_bytes(&self, slot: &Slot) -> usize {
        let beside = slot.id.len() + BESIDE;
        let entries = slot.pending.iter().chain(slot.later());
        let waiting = entries.map(|entry| beside + entry.net(&self.rooms).as_bytes().len()).sum::<usize>();
        let flight = slot.flight().and_then(|number| self.hangar.get(number));
        waiting + flight.map_or(0, |flight| beside + flight.net.as_net().as_bytes().len())
    }

    /// The flight or the entry that the operation with this seq is part of.
    pub(crate) fn standing(&self, tag: u32, index: IndexId, id: &str, seq: u64) -> Option<Standing<'_>> {
        let slot = self.slab.get(self.find(tag, index, id)?)?;
        if let Some(flight) = slot.flight().and_then(|number| self.hangar.get(number))
            && (flight.first_seq..=flight.last_seq).contains(&seq)
        {
            return Some(Standing {
                net: flight.net.as_net(),
                routing: flight.routing(),
                first_seq: flight.first_seq,
                last_seq: flight.last_seq,
                tally: flight.tally,
                may_be_out: true,
                arrival: &flight.arrival,
            });
        }
        let entry = slot
            .pending
            .iter()
            .chain(slot.later())
            .find(|entry| (entry.first_seq..=entry.last_seq).contains(&seq))?;
        Some(Standing {
            net: entry.net(&self.rooms),
            routing: entry.routing(),
            first_seq: entry.first_seq,
            last_seq: entry.last_seq,
            tally: entry.tally,
            may_be_out: entry.is_bound(),
            arrival: &entry.arrival,
        })
    }
}
