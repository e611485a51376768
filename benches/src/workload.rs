//! Operations, made from a seed before anything is measured.
//!
//! # Design
//! All ids and bodies lie in one text in the order of arrival, with a list of their kinds and lengths beside it: to
//! read the next operation costs what it costs to touch memory in order, and nothing is allocated while a peer is
//! measured. Documents are not alike: see [`documents`].
//!
//! # Invariants
//! 1. The operations depend on the plan alone.
//! 2. Two ranks never share an id; an id has [`ID_BYTES`] bytes.

pub mod documents;

use crate::random::{Random, Zipf, mix};
use std::fmt::Write;

/// The index that every operation names.
pub const INDEX: &str = "generated";
/// Bytes of an id.
pub const ID_BYTES: usize = 20;
/// The exponent of the Zipf law.
pub const EXPONENT: f64 = 0.99;
/// The share of whole documents among the updates, in percent.
const WHOLE_PERCENT: u64 = 10;

/// How ids are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Few are hot: Zipf's law.
    Zipf,
    /// All alike.
    Uniform,
    /// Each once, in an order of no meaning; then again.
    Each,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// 90 % partial updates of about 50 bytes, 10 % documents of 200 to 1,000 bytes.
    Updates,
    /// Partial updates only.
    Partial,
    /// Whole documents only.
    Whole,
    /// Increments of a counter.
    Counters,
}

/// What a workload is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How many documents there are to be written to.
    pub documents: u64,
    /// How many operations there are.
    pub operations: usize,
    /// How ids are drawn.
    pub keys: Keys,
    /// What is written.
    pub mix: Mix,
    /// Another seed, another workload.
    pub seed: u64,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Stores a whole document.
    Index,
    /// Changes a document, by the body of an update.
    Update,
}

/// One operation of a workload.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// What it does.
    pub kind: Kind,
    /// The document's id.
    pub id: &'a str,
    /// A document, or the body of an update.
    pub body: &'a str,
}

/// Operations in the order in which they arrive.
#[derive(Debug)]
pub struct Workload {
    heads: Vec<Head>,
    text: String,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    kind: Kind,
    body_bytes: u16,
}

impl Workload {
    /// Makes the operations of a plan.
    pub fn new(plan: &Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let zipf = (plan.keys == Keys::Zipf).then(|| Zipf::new(plan.documents, EXPONENT));
        let mut workload = Self {
            heads: Vec::with_capacity(plan.operations),
            text: String::with_capacity(plan.operations.saturating_mul(160)),
        };
        for number in 0..plan.operations as u64 {
            let rank = match (plan.keys, &zipf) {
                (_, Some(zipf)) => zipf.rank(&mut random),
                (Keys::Each, None) => number % plan.documents,
                (_, None) => random.below(plan.documents),
            };
            workload.push(rank, plan.mix, &mut random);
        }
        workload
    }

    /// The operations of a plan for several writers: equally many, each from a seed of its own.
    pub fn shares(plan: &Plan, writers: usize) -> Vec<Self> {
        let share = |writer: usize| Plan {
            operations: plan.operations / writers.max(1),
            seed: plan.seed.wrapping_add(writer as u64),
            ..*plan
        };
        (0..writers).map(|writer| Self::new(&share(writer))).collect()
    }

    fn push(&mut self, rank: u64, mix: Mix, random: &mut Random) {
        write_id(rank, &mut self.text);
        let start = self.text.len();
        let whole = match mix {
            Mix::Updates => random.below(100) < WHOLE_PERCENT,
            other => other == Mix::Whole,
        };
        let kind = if whole { Kind::Index } else { Kind::Update };
        match mix {
            Mix::Counters => documents::counter(random, &mut self.text),
            _ if whole => documents::whole(rank, random, &mut self.text),
            _ => documents::partial(random, &mut self.text),
        }
        let body_bytes = u16::try_from(self.text.len() - start).unwrap_or(u16::MAX);
        self.heads.push(Head { kind, body_bytes });
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The operations in order.
    pub fn operations(&self) -> Operations<'_> {
        Operations { heads: self.heads.iter(), text: &self.text }
    }

    /// Bytes of all bodies.
    pub fn body_bytes(&self) -> usize {
        self.heads.iter().map(|head| usize::from(head.body_bytes)).sum()
    }
}

/// The operations of a workload, one after the other.
#[derive(Clone, Debug)]
pub struct Operations<'a> {
    heads: std::slice::Iter<'a, Head>,
    text: &'a str,
}

impl<'a> Iterator for Operations<'a> {
    type Item = Operation<'a>;

    #[inline]
    fn next(&mut self) -> Option<Operation<'a>> {
        let head = self.heads.next()?;
        let (id, rest) = self.text.split_at_checked(ID_BYTES)?;
        let (body, rest) = rest.split_at_checked(usize::from(head.body_bytes))?;
        self.text = rest;
        Some(Operation { kind: head.kind, id, body })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.heads.size_hint()
    }
}

impl ExactSizeIterator for Operations<'_> {}

/// Writes the id of a rank.
fn write_id(rank: u64, out: &mut String) {
    // Writing to a string does not fail.
    let _ = write!(out, "doc-{:016x}", mix(rank.wrapping_add(1)));
}

#[cfg(test)]
mod tests;
