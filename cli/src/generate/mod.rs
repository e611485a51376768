//! `millpond generate`: a made-up stream of bulk lines, the same for the same seed, for ever.
//!
//! # Design
//! Keys follow Zipf's law: the document of rank k comes up about k^-s times as often as the first. Ids are the
//! ranks put through a bijection, so that neighbours in rank are not neighbours in order. Updates are about 50
//! bytes of `doc`, whole documents 200 to 1,000 bytes: the workload of the benchmarks.
//!
//! Field operations stay within bounds (a union draws from 16 tags, counters are integers), so that a document
//! does not grow with the number of its operations.
//!
//! # Invariants
//! 1. The bytes depend on the arguments alone: the generator is PCG-XSL-RR 128/64 by name, the powers and
//!    logarithms are computed by `libm` and not by the platform. A test pins them.
//! 2. Every line is one that `replay` accepts.

mod zipf;

use crate::{
    args::Generate,
    failure::{Failure, Result},
};
use rand_pcg::{Lcg128Xsl64, rand_core::Rng};
use std::io::{self, BufWriter, Write};
use zipf::Zipf;

/// The index that every line names.
pub const INDEX: &str = "generated";
const BUFFER_BYTES: usize = 1 << 20;
/// The stream of the generator: which of its sequences is used.
const PCG_STREAM: u128 = 0x6d69_6c6c_706f_6e64;
const STATES: [&str; 4] = ["active", "paused", "sold", "hidden"];
const TAGS: u64 = 16;
const WORDS: [&str; 16] = [
    "mill", "pond", "water", "wheel", "sluice", "grain", "stone", "flour", "river", "weir", "bank", "reed",
    "heron", "trout", "willow", "rain",
];

/// Runs the command.
pub fn run(args: &Generate) -> Result {
    let total = args.update_share + args.delete_share;
    if total > 1.0 {
        return Err(Failure::Usage(format!(
            "--update-share and --delete-share add up to {total}; what is left of 1 is the share of whole documents"
        )));
    }
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    write(args, &mut out).and_then(|()| out.flush()).map_err(|error| Failure::stdout(&error))
}

/// Writes the stream.
pub fn write(args: &Generate, out: &mut impl Write) -> io::Result<()> {
    let mut random = Random(Lcg128Xsl64::new(u128::from(args.seed), PCG_STREAM));
    let zipf = Zipf::new(args.documents, args.zipf);
    for _ in 0..args.operations {
        let id = Id(zipf.rank(|| random.unit()));
        let kind = random.unit();
        if kind < args.delete_share {
            action(out, "delete", id)?;
        } else if kind < args.delete_share + args.update_share {
            action(out, "update", id)?;
            if random.unit() < args.field_ops_share {
                field_operations(out, &mut random)?;
            } else {
                partial_document(out, &mut random)?;
            }
        } else {
            action(out, "index", id)?;
            whole_document(out, &mut random)?;
        }
    }
    Ok(())
}

/// A document's rank, shown as its id of 20 bytes.
#[derive(Clone, Copy)]
struct Id(u64);

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The finalizer of SplitMix64: a bijection, so two ranks never share an id.
        let mut mixed = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        write!(f, "doc-{:016x}", mixed ^ (mixed >> 31))
    }
}

fn action(out: &mut impl Write, verb: &str, id: Id) -> io::Result<()> {
    writeln!(out, "{{\"{verb}\":{{\"_index\":\"{INDEX}\",\"_id\":\"{id}\"}}}}")
}

fn partial_document(out: &mut impl Write, random: &mut Random) -> io::Result<()> {
    let (price, stock, state) = (random.below(100_000), random.below(1_000), random.pick(&STATES));
    write!(out, "{{\"doc\":")?;
    match random.below(3) {
        0 => write!(out, "{{\"price\":{price},\"stock\":{stock},\"state\":\"{state}\"}}")?,
        1 => write!(out, "{{\"price\":{price},\"place\":{{\"shelf\":{stock}}}}}")?,
        _ => write!(out, "{{\"stock\":{stock},\"place\":{{\"aisle\":{}}}}}", random.below(40))?,
    }
    writeln!(out, ",\"doc_as_upsert\":true}}")
}

fn field_operations(out: &mut impl Write, random: &mut Random) -> io::Result<()> {
    let (views, price) = (random.below(5) + 1, random.below(100_000));
    write!(out, "{{\"doc\":{{\"stock\":{}}},\"inc\":{{\"views\":{views}}}", random.below(1_000))?;
    match random.below(3) {
        0 => write!(out, ",\"union\":{{\"tags\":[\"tag-{}\"]}}", random.below(TAGS))?,
        1 => write!(out, ",\"max\":{{\"price_max\":{price}}}")?,
        _ => write!(out, ",\"min\":{{\"price_min\":{price}}}")?,
    }
    writeln!(out, ",\"doc_as_upsert\":true}}")
}

fn whole_document(out: &mut impl Write, random: &mut Random) -> io::Result<()> {
    let mut text = format!(
        "{{\"name\":\"{} {}\",\"price\":{},\"stock\":{},\"state\":\"{}\",\"place\":{{\"aisle\":{},\"shelf\":{}}}",
        random.pick(&WORDS),
        random.pick(&WORDS),
        random.below(100_000),
        random.below(1_000),
        random.pick(&STATES),
        random.below(40),
        random.below(1_000),
    );
    text.push_str(",\"tags\":[\"tag-");
    text.push_str(&random.below(TAGS).to_string());
    text.push_str("\"],\"text\":\"");
    let bytes = usize::try_from(200 + random.below(790)).unwrap_or(usize::MAX);
    while text.len() < bytes {
        text.push_str(random.pick(&WORDS));
        text.push(' ');
    }
    text.push_str("\"}");
    writeln!(out, "{text}")
}

struct Random(Lcg128Xsl64);

impl Random {
    /// A number from 0 to below 1, of 53 bits.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A whole number from 0 to below `bound`. The bias is below bound / 2^64.
    fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.0.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        let at = usize::try_from(self.below(from.len() as u64)).unwrap_or(0);
        from.get(at).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
