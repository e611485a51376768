//! Putting the statistics together.

use super::Engine;
use crate::{
    document::IndexId,
    shard::Counts,
    stats::{BatchStats, IndexStats, JournalStats, Stats},
};
use std::{collections::HashMap, time::Duration};

/// How many entries of each shard are looked at for the oldest of each index.
const OLDEST_STEPS: usize = 1_024;

impl Engine {
    /// Counts, and what waits. Locks every shard in turn, for a short walk.
    pub fn stats(&self) -> Stats {
        let bank = &self.shared.bank;
        let names = bank.indices.all();
        let now_us = self.shared.clock.now_us();
        let mut per_index = vec![Counts::default(); names.len()];
        let mut oldest: HashMap<IndexId, u64> = HashMap::new();
        let (mut oldest_us, mut pending_documents) = (None, 0);
        for shard in 0..bank.shard_count() {
            bank.with(shard, |shard| {
                for (index, sum) in (0..).map(IndexId).zip(&mut per_index) {
                    sum.add(&shard.counts(index));
                }
                pending_documents += shard.pending_documents() as u64;
                oldest_us = [oldest_us, shard.oldest_us()].into_iter().flatten().min();
                shard.oldest_by_index(OLDEST_STEPS, |index, arrived_us| {
                    let at = oldest.entry(index).or_insert(arrived_us);
                    *at = arrived_us.min(*at);
                });
            });
        }
        let age = |arrived_us: u64| Duration::from_micros(now_us.saturating_sub(arrived_us));
        let indices = (0..).map(IndexId).zip(names).zip(&per_index).map(|((id, name), counts)| IndexStats {
            name,
            operations_in: counts.operations_in,
            operations_out: counts.out,
            operations_folded: counts.folded,
            noops: counts.noops,
            operations_dead: counts.dead,
            bytes_in: counts.bytes_in,
            bytes_out: counts.bytes_out,
            pending_bytes: counts.pending_bytes,
            // One that waits but was not met is younger than all that were.
            oldest_age: (counts.pending_bytes > 0)
                .then(|| age(oldest.get(&id).copied().or(oldest_us).unwrap_or(now_us))),
        });
        let indices = indices.collect();
        let mut all = Counts::default();
        for counts in &per_index {
            all.add(counts);
        }
        let totals = self.shared.drain.counters.totals();
        Stats {
            operations_in: all.operations_in,
            operations_out: all.out,
            operations_restored: all.restored,
            operations_settled: all.settled,
            operations_dead: all.dead,
            operations_folded: all.folded,
            noops: all.noops,
            not_found: all.not_found,
            conflicts: all.conflicts,
            retries: all.put_back + totals.repeats,
            dead_letters: totals.dead_letters,
            batches: self.batches(),
            misfits: all.misfits,
            bytes_in: all.bytes_in,
            bytes_out: all.bytes_out,
            pending_bytes: bank.memory.pending() as u64,
            peak_pending_bytes: bank.memory.peak_pending(),
            pending_documents,
            used_bytes: bank.memory.used() as u64,
            oldest_age: oldest_us.map(age),
            longest_wait: Duration::from_micros(totals.longest_wait_us),
            last_failure: self.shared.drain.counters.last_failure(),
            journal: self.journal_stats(),
            indices,
        }
    }

    fn batches(&self) -> BatchStats {
        let (out, limit, refused) = self.shared.drain.outstanding();
        BatchStats { out: out as u64, limit: limit.requests as u64, bytes: limit.bytes as u64, refused }
    }

    fn journal_stats(&self) -> Option<JournalStats> {
        let journal = self.shared.journal.as_ref()?;
        let (bytes, used) = journal.bytes();
        Some(JournalStats { bytes, used, torn: journal.torn().map(str::to_owned) })
    }
}
