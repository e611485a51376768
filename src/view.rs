//! Reads: entry over flight over base.
//!
//! # Design
//! The shadowing order, top first: what queues behind the pending entry; the pending entry; the flight; what
//! the shard knows of the document; the base (segments, or the sink's own documents). A read copies the
//! layers of its key under the shard's lock, lets go, reads the base if none of the layers decides the
//! document, and applies the layers outside any lock. The base is asked with the routing of the lowest layer, where the
//! caller names none.
//!
//! # Why a base carries its seq
//! Between the copy and the read of the base, the flight may settle: then the base already contains it. Each
//! stored document names the last seq folded into it, and every layer at or below that is skipped. Where the
//! base has nothing (it may forget tombstones), the layers are looked at again: if they are still the same,
//! nothing of them had been stored and deleted in between; else the read starts over.
//!
//! # A base that does not
//! A server's document only names the last operation that repeating would change (its fence); after others it may say
//! nothing, or name an older one. So the layers are looked at again whatever such a base has, and the read starts over unless the
//! lowest begins with the same operation as before ([`Layers::bottom`]). If it does, what was read and what is now held fit:
//!
//! - All that is older than the lowest layer had settled before the base was read: it is in what was read.
//! - A key has one flight at a time, and only the lowest layer can be out. As it has not settled yet, nothing newer can have left,
//!   so of all layers the base has at most this one, and all of it or nothing: a flight keeps its bounds, and an entry that was put
//!   back and left again with later operations was known not to have been carried out before.
//! - If the base has it, it is either repeatable, and applying it to what it has made changes nothing; or it left its fence, and is
//!   skipped by its seq; or it changed nothing, and does so again.
//!
//! The layers of the second look are the ones that are applied: those of the first may have grown since, and with them what left.
//! Where there were no layers at first, what was read has all that was accepted before.
//!
//! # Invariants
//! 1. A read sees every operation on its key that was accepted before it began, in order, and nothing twice.
//! 2. No lock is held while the base is read or a layer applied.

use crate::{
    Base, BaseDocument, BaseKey, Document, Error, ErrorKind, Result,
    merge::apply,
    shard::{Bank, Known, Layers},
};
use bytes::Bytes;

/// A key to be read, and where it lives.
struct Wanted<'a> {
    key: BaseKey<'a>,
    layers: Layers,
}

/// Reads a key as if every accepted operation had been applied.
pub(crate) fn read_one(bank: &Bank, base: Option<&dyn Base>, key: BaseKey<'_>) -> Result<Option<Document>> {
    let wanted = Wanted { key, layers: layers(bank, key) };
    if !wanted.needs_base() {
        return Ok(wanted.layers.over_known());
    }
    let base = base.ok_or_else(|| no_base(key))?;
    let found = base.read(&[wanted.below()]).into_iter().next().unwrap_or_else(too_few)?;
    wanted.over(found, bank, base)
}

/// Reads several. One read of the base for all that need it.
pub(crate) fn read<'a>(
    bank: &Bank,
    base: Option<&dyn Base>,
    keys: impl Iterator<Item = BaseKey<'a>>,
) -> Vec<Result<Option<Document>>> {
    let wanted: Vec<Wanted<'a>> = keys.map(|key| Wanted { key, layers: layers(bank, key) }).collect();
    let below: Vec<BaseKey<'_>> =
        wanted.iter().filter(|wanted| wanted.needs_base()).map(Wanted::below).collect();
    let found = match base {
        Some(base) if !below.is_empty() => base.read(&below),
        _ => Vec::new(),
    };
    drop(below);
    let mut found = found.into_iter();
    let resolve = |wanted: Wanted<'_>| {
        if !wanted.needs_base() {
            return Ok(wanted.layers.over_known());
        }
        let Some(base) = base else { return Err(no_base(wanted.key)) };
        wanted.over(found.next().unwrap_or_else(too_few)?, bank, base)
    };
    wanted.into_iter().map(resolve).collect()
}

fn layers(bank: &Bank, key: BaseKey<'_>) -> Layers {
    let Some(index) = bank.indices.find(key.index) else { return Layers::default() };
    let place = bank.place(index, key.id);
    bank.with(place.shard, |shard| shard.layers(place.tag, index, key.id))
}

fn no_base(key: BaseKey<'_>) -> Error {
    let message = format!(
        "what lies below {:?} in index {:?} is not known, and the engine has no base to read it from",
        key.id, key.index
    );
    Error::new(ErrorKind::NoBase, message)
}

fn too_few<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Io, "the base gave too few answers"))
}

impl Wanted<'_> {
    fn needs_base(&self) -> bool {
        matches!(self.layers.known, Known::Unknown) && !self.layers.decide()
    }

    /// What the base is asked for.
    fn below(&self) -> BaseKey<'_> {
        let of_layer = || self.layers.layers.first().and_then(|layer| layer.routing.as_deref());
        BaseKey { routing: self.key.routing.or_else(of_layer), ..self.key }
    }

    /// Applies the layers over what the base has, starting over while the layers change under the read.
    fn over(
        mut self,
        mut found: Option<BaseDocument>,
        bank: &Bank,
        base: &dyn Base,
    ) -> Result<Option<Document>> {
        loop {
            if found.is_some() && base.knows_seqs() {
                return Ok(self.layers.over_stored(found));
            }
            if self.layers.layers.is_empty() {
                return Ok(Layers::default().over_stored(found));
            }
            let again = layers(bank, self.key);
            if again.bottom() == self.layers.bottom() {
                return Ok(again.over_stored(found));
            }
            self.layers = again;
            if !self.needs_base() {
                return Ok(self.layers.over_known());
            }
            found = base.read(&[self.below()]).into_iter().next().unwrap_or_else(too_few)?;
        }
    }
}

impl Layers {
    /// The layers say by themselves what the document is.
    fn decide(&self) -> bool {
        self.layers.first().is_some_and(|layer| layer.net.as_net().decides())
    }

    /// The oldest operation that is held, as long as it is not known whether the base has it.
    fn bottom(&self) -> Option<u64> {
        self.layers.first().map(|layer| layer.first_seq)
    }

    fn over_stored(self, stored: Option<BaseDocument>) -> Option<Document> {
        let seq = stored.as_ref().map_or(0, |stored| stored.seq);
        let document = stored
            .and_then(|stored| stored.source.map(|source| Document { source, routing: stored.routing }));
        self.over(document, seq)
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
