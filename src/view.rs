//! Reads: entry over flight over base.
//!
//! # Design
//! The shadowing order, top first: what queues behind the pending entry; the pending entry; the flight; what
//! the shard knows of the document; the base (segments, or the sink's own documents). A read copies the
//! layers of its key under the shard's lock, lets go, reads the base if none of the layers decides the
//! document, and applies the layers outside any lock.
//!
//! # Why a base carries its seq
//! Between the copy and the read of the base, the flight may settle: then the base already contains it. Each
//! stored document names the last seq folded into it, and every layer at or below that is skipped. Where the
//! base has nothing (it may forget tombstones), the layers are looked at again: if they are still the same,
//! nothing of them had been stored and deleted in between; else the read starts over.
//!
//! # Invariants
//! 1. A read sees every operation on its key that was accepted before it began, in order, and nothing twice.
//! 2. No lock is held while the base is read or a layer applied.

use crate::{
    Base, BaseDocument, Document, Error, ErrorKind, Result,
    merge::apply,
    shard::{Bank, Known, Layers},
};
use bytes::Bytes;

/// A key to be read, and where it lives.
struct Wanted<'a> {
    index: &'a str,
    id: &'a str,
    layers: Layers,
}

/// Reads keys as if every accepted operation had been applied. One read of the base for all that need it.
pub(crate) fn read(
    bank: &Bank,
    base: Option<&dyn Base>,
    keys: &[(&str, &str)],
) -> Vec<Result<Option<Document>>> {
    let wanted: Vec<Wanted<'_>> =
        keys.iter().map(|&(index, id)| Wanted { index, id, layers: layers(bank, index, id) }).collect();
    let below: Vec<(&str, &str)> =
        wanted.iter().filter(|w| w.needs_base()).map(|w| (w.index, w.id)).collect();
    let mut found = match base {
        Some(base) if !below.is_empty() => base.read(&below),
        _ => Vec::new(),
    }
    .into_iter();
    let resolve = |wanted: Wanted<'_>| {
        if !wanted.needs_base() {
            return Ok(wanted.layers.over_known());
        }
        let Some(base) = base else { return Err(no_base(&wanted)) };
        let found =
            found.next().unwrap_or_else(|| Err(Error::new(ErrorKind::Io, "the base gave too few answers")));
        wanted.over(found?, bank, base)
    };
    wanted.into_iter().map(resolve).collect()
}

fn layers(bank: &Bank, index: &str, id: &str) -> Layers {
    let Some(index) = bank.indices.find(index) else { return Layers::default() };
    let place = bank.place(index, id);
    bank.with(place.shard, |shard| shard.layers(place.tag, index, id))
}

fn no_base(wanted: &Wanted<'_>) -> Error {
    let message = format!(
        "what lies below {:?} in index {:?} is not known, and the engine has no base to read it from",
        wanted.id, wanted.index
    );
    Error::new(ErrorKind::NoBase, message)
}

impl Wanted<'_> {
    fn needs_base(&self) -> bool {
        matches!(self.layers.known, Known::Unknown) && !self.layers.decide()
    }

    /// Applies the layers over what the base has, starting over while the layers change under the read.
    fn over(
        mut self,
        mut found: Option<BaseDocument>,
        bank: &Bank,
        base: &dyn Base,
    ) -> Result<Option<Document>> {
        loop {
            if let Some(stored) = found {
                let document = stored.source.map(|source| Document { source, routing: stored.routing });
                return Ok(self.layers.over(document, stored.seq));
            }
            if self.layers.layers.is_empty() {
                return Ok(None);
            }
            let again = layers(bank, self.index, self.id);
            if again.bottom_seq() == self.layers.bottom_seq() {
                return Ok(self.layers.over(None, 0));
            }
            self.layers = again;
            if !self.needs_base() {
                return Ok(self.layers.over_known());
            }
            let answer = base.read(&[(self.index, self.id)]).into_iter().next();
            found = answer.unwrap_or_else(|| Err(Error::new(ErrorKind::Io, "the base gave no answer")))?;
        }
    }
}

impl Layers {
    /// The layers say by themselves what the document is.
    fn decide(&self) -> bool {
        self.layers.first().is_some_and(|layer| layer.net.as_net().decides())
    }

    fn bottom_seq(&self) -> Option<u64> {
        self.layers.first().map(|layer| layer.last_seq)
    }

    fn over_known(self) -> Option<Document> {
        let known = match &self.known {
            Known::Document { source, routing } => {
                Some(Document { source: source.clone(), routing: routing.clone() })
            }
            Known::Unknown | Known::Absent => None,
        };
        self.over(known, 0)
    }

    /// Applies the layers newer than `seq`, bottom up.
    fn over(self, base: Option<Document>, seq: u64) -> Option<Document> {
        let newer = self.layers.into_iter().filter(|layer| layer.last_seq > seq);
        newer.fold(base, |below, layer| {
            let net = layer.net.as_net();
            let mut source = Vec::new();
            let applied = apply(net, below.as_ref().map(|document| document.source.as_ref()), &mut source);
            // A patch leaves a document the routing it was stored with.
            let routing = match below {
                Some(document) if !net.decides() => document.routing,
                _ => layer.routing,
            };
            applied.exists.then(|| Document { source: Bytes::from(source), routing })
        })
    }
}
