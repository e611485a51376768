//! What a shard tells a reader about a key.

use super::{Shard, slot::Known};
use crate::{document::IndexId, merge::NetOperation};

/// Everything a shard holds of one key, bottom up: to be applied to the document below.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    /// The document below all layers, as far as the shard knows it.
    pub(crate) known: Known,
    /// Net operations, oldest first. Starts at the topmost one that decides the document by itself.
    pub(crate) layers: Vec<Layer>,
}

/// One flight or entry.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) net: NetOperation,
    pub(crate) routing: Option<Box<str>>,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
}

impl Shard {
    /// What is held of a key. Copies the entries that wait (a flight is shared), so that they can be applied
    /// outside the lock.
    pub(crate) fn layers(&self, tag: u32, index: IndexId, id: &str) -> Layers {
        let Some(slot) = self.find(tag, index, id).and_then(|id| self.slab.get(id)) else {
            return Layers::default();
        };
        let mut layers: Vec<Layer> = Vec::new();
        if let Some(flight) = slot.flight().and_then(|id| self.hangar.get(id)) {
            layers.push(Layer {
                net: flight.net.clone(),
                routing: flight.routing().map(Into::into),
                first_seq: flight.first_seq,
                last_seq: flight.last_seq,
            });
        }
        for entry in slot.pending.iter().chain(slot.later()) {
            if entry.net(&self.rooms).decides() {
                layers.clear();
            }
            let routing = entry.routing().map(Into::into);
            let net = NetOperation::from_encoded(entry.joined(&self.rooms));
            let (first_seq, last_seq) = (entry.first_seq, entry.last_seq);
            layers.push(Layer { net, routing, first_seq, last_seq });
        }
        Layers { known: slot.known().clone(), layers }
    }
}
