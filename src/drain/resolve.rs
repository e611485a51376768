//! From a net operation and what lies below it to a whole document: what sinks of documents are sent.
//!
//! # Design
//! A pure function. Where it shows that there is nothing to send (an update that changes nothing, or that
//! misses; a delete of nothing) the flight settles at once. An `index` always goes out, as servers always
//! write it, and so does an update that was told not to detect noops.

use crate::{ItemAction, NetOperation, Shape, merge::apply, shard::Known};
use bytes::Bytes;

/// What a flight comes to, given what lies below it.
#[derive(Debug)]
pub(crate) enum Resolved {
    /// This goes to the sink.
    Send { action: ItemAction, routing: Option<Box<str>>, existed: Option<bool>, misfits: u64 },
    /// Nothing needs to be sent.
    Settled { existed: bool, noop: bool, misfits: u64 },
}

/// What an operation that decides the document by itself does to it; nothing for a patch.
pub(crate) fn whole(net: &NetOperation) -> Option<ItemAction> {
    match net.shape() {
        Shape::Put => net.document().map(ItemAction::Put),
        Shape::Delete => Some(ItemAction::Delete),
        Shape::Patch => None,
    }
}

/// Applies a net operation. `below` may be unknown only where the operation decides the document by itself.
pub(crate) fn resolve(net: &NetOperation, routing: Option<&str>, below: &Known) -> Resolved {
    let (existed, source) = match below {
        Known::Unknown => (None, None),
        Known::Absent => (Some(false), None),
        Known::Document { source, .. } => (Some(true), Some(source)),
    };
    let own = || routing.map(Into::into);
    if let Some(action) = whole(net) {
        if net.shape() == Shape::Delete && existed == Some(false) {
            return Resolved::Settled { existed: false, noop: false, misfits: 0 };
        }
        return Resolved::Send { action, routing: own(), existed, misfits: 0 };
    }
    let mut document = Vec::new();
    let applied = apply(net.as_net(), source.map(Bytes::as_ref), &mut document);
    let (existed, misfits) = (source.is_some(), applied.misfits);
    if !applied.exists {
        return Resolved::Settled { existed, noop: false, misfits };
    }
    if existed && !applied.changed && net.detects_noop() {
        return Resolved::Settled { existed, noop: true, misfits };
    }
    // A patch leaves a document the routing it was stored with.
    let routing = match below {
        Known::Document { routing, .. } => routing.clone(),
        _ => own(),
    };
    let action = ItemAction::Put(document.into_boxed_slice().into());
    Resolved::Send { action, routing, existed: Some(existed), misfits }
}

#[cfg(test)]
mod tests;
