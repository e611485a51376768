//! What stands of a key, by the seq of an operation in it: for the journal, which writes it again before it deletes where it
//! was written.

use super::{Shard, tally::Tally};
use crate::{document::IndexId, merge::NetRef};

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
}

impl Shard {
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
        })
    }
}
