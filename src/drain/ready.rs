//! Flights with their items, on their way into a batch.

use super::Flying;
use crate::{
    Expects, Item, ItemAction,
    document::IndexId,
    shard::{Bank, Flight},
    sink::item_bytes,
};
use std::sync::Arc;

/// Flights with their items, in the order in which they were taken.
#[derive(Default)]
pub(super) struct Ready {
    pub(super) flying: Vec<Flying>,
    pub(super) items: Vec<Item>,
    pub(super) bytes: usize,
}

/// The names of the indices of a batch, each looked up once.
pub(super) struct Names<'a> {
    bank: &'a Bank,
    known: Vec<Option<Arc<str>>>,
    /// What an earlier engine had sent is not carried out later than this.
    late_until_us: u64,
}

impl Ready {
    pub(super) fn push(&mut self, flying: Flying, item: Item) {
        self.bytes += flying.bytes;
        self.flying.push(flying);
        self.items.push(item);
    }

    /// Adds a flight with its item.
    pub(super) fn fly(
        &mut self,
        flight: Flight,
        action: ItemAction,
        routing: Option<Box<str>>,
        expects: Expects,
        names: &mut Names<'_>,
    ) -> Option<&mut Flying> {
        let (flying, item) = fly(flight, action, routing, expects, names);
        self.push(flying, item);
        self.flying.last_mut()
    }
}

impl<'a> Names<'a> {
    pub(super) fn new(bank: &'a Bank, late_until_us: u64) -> Self {
        Self { bank, known: Vec::new(), late_until_us }
    }

    pub(super) fn name(&mut self, index: IndexId) -> Arc<str> {
        let at = index.0 as usize;
        if self.known.len() <= at {
            self.known.resize(at + 1, None);
        }
        let bank = self.bank;
        match self.known.get_mut(at) {
            Some(name) => Arc::clone(name.get_or_insert_with(|| bank.indices.name(index))),
            None => bank.indices.name(index),
        }
    }
}

/// A flight and its item.
pub(super) fn fly(
    flight: Flight,
    action: ItemAction,
    routing: Option<Box<str>>,
    expects: Expects,
    names: &mut Names<'_>,
) -> (Flying, Item) {
    let repeatable = match &action {
        ItemAction::Put(_) if expects != Expects::Anything => flight.net.is_repeatable(),
        ItemAction::Put(_) | ItemAction::Delete => true,
        ItemAction::Net(net) => net.is_repeatable(),
    };
    let item = Item {
        index: names.name(flight.index),
        id: flight.id.clone().into(),
        routing,
        action,
        first_seq: flight.first_seq,
        last_seq: flight.last_seq,
        operations: flight.operations,
        repeatable,
        expects,
        attempt: 0,
    };
    let bytes = item_bytes(&item);
    let mut flying = Flying { flight, existed: None, bytes, is_buffered: false, misfits: 0, trouble: None };
    if flying.flight.is_bound() {
        flying.trouble_mut().uncertain_until_us = Some(names.late_until_us);
    }
    (flying, item)
}
