//! What a process can be told to measure.

use super::{figures::Figures, reads, replay, tail};
use crate::{
    answer::{Answer, for_each_document},
    baseline::Baseline,
    clock::{Stopwatch, process_cpu},
    floors::{LockHash, Probe, Scan},
    machine::anonymous_bytes,
    peer::{BATCH, Drained, Drains, Peer},
    pond::Pond,
    sync::{Barrier, scope},
    workload::{Operation, Plan, Workload},
};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerKind {
    /// The engine.
    Pond,
    /// A map of parsed documents.
    Baseline,
    /// A hash and a lock.
    LockHash,
    /// The exact-key probe.
    Probe,
    /// The probe, with the body split and validated.
    Validating,
}

impl PeerKind {
    /// All of them.
    pub(super) const ALL: [Self; 5] =
        [Self::Pond, Self::Baseline, Self::LockHash, Self::Probe, Self::Validating];
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Operations one by one, what they hold in memory, and the drain of all.
    Single,
    /// The same in batches.
    Batches,
    /// Nothing: which documents a peer comes to.
    Documents,
    /// Each single submit, while a drain is running.
    Tail,
    /// Reads of documents that wait.
    Pending,
    /// Reads of a warm store.
    Warm,
    /// The program, on the flights.
    Replay,
}

impl Task {
    /// All of them.
    pub(super) const ALL: [Self; 7] =
        [Self::Single, Self::Batches, Self::Documents, Self::Tail, Self::Pending, Self::Warm, Self::Replay];
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// What is measured.
    pub task: Task,
    /// On whom.
    pub peer: PeerKind,
    /// With which operations.
    pub plan: Plan,
    /// By how many threads.
    pub writers: usize,
}

/// Measures.
pub(super) fn run(job: &Job) -> Result<Figures, String> {
    match job.task {
        Task::Single | Task::Batches => submits(job),
        Task::Documents => documents(job),
        Task::Tail if job.peer == PeerKind::Baseline => Ok(tail::baseline(&job.plan, job.writers)),
        Task::Tail => tail::pond(&job.plan, job.writers).map_err(|error| error.to_string()),
        Task::Pending => reads::pending(&job.plan).map_err(|error| error.to_string()),
        Task::Warm => reads::warm(&job.plan).map_err(|error| error.to_string()),
        Task::Replay => replay::flights().map_err(|error| error.to_string()),
    }
}

/// Submits everything, each writer its own. Returns nanoseconds from when all were ready until the last had finished.
pub(super) fn submit_all<P: Peer>(peer: &P, workloads: &[Workload], batches: bool) -> u64 {
    if let [workload] = workloads {
        let watch = Stopwatch::start();
        submit(peer, workload, batches);
        return watch.nanos();
    }
    let ready = Barrier::new(workloads.len() + 1);
    let mut watch = Stopwatch::start();
    scope(|scope| {
        for workload in workloads {
            let ready = &ready;
            scope.spawn(move || {
                ready.wait();
                submit(peer, workload, batches);
            });
        }
        ready.wait();
        watch = Stopwatch::start();
    });
    watch.nanos()
}

fn submit<P: Peer>(peer: &P, workload: &Workload, batches: bool) {
    if !batches {
        workload.operations().for_each(|operation| peer.submit(&operation));
        return;
    }
    let mut batch: Vec<Operation<'_>> = Vec::with_capacity(BATCH);
    let mut operations = workload.operations();
    loop {
        batch.clear();
        batch.extend(operations.by_ref().take(BATCH));
        if batch.is_empty() {
            return;
        }
        peer.submit_batch(&batch);
    }
}

fn submits(job: &Job) -> Result<Figures, String> {
    let workloads = Workload::shares(&job.plan, job.writers);
    let operations = workloads.iter().map(|workload| workload.len() as u64).sum();
    let run = Run { workloads, batches: job.task == Task::Batches, operations };
    let documents = job.plan.documents;
    Ok(match job.peer {
        PeerKind::Pond => run.drained(|| Pond::still().map_err(|error| error.to_string()))?,
        PeerKind::Baseline => run.drained(|| Ok(Baseline::default()))?,
        PeerKind::LockHash => run.floor(LockHash::new, |floor| (0, floor.operations()))?,
        PeerKind::Probe => run.floor(|| Probe::new(Scan::Not, documents), Probe::counts)?,
        PeerKind::Validating => run.floor(|| Probe::new(Scan::Validating, documents), Probe::counts)?,
    })
}

struct Run {
    workloads: Vec<Workload>,
    batches: bool,
    operations: u64,
}

impl Run {
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    fn drained<P: Drains>(&self, make: impl FnOnce() -> Result<P, String>) -> Result<Figures, String> {
        let (held, used) = (anonymous_bytes(), process_cpu());
        let peer = make()?;
        let submitted = self.submit(&peer);
        let cpu_submitted = process_cpu().saturating_sub(used);
        let growth = anonymous_bytes().saturating_sub(held);
        let (watch, draining) = (Stopwatch::start(), process_cpu());
        let Drained { documents, bytes } = peer.drain(None);
        let drain_nanos = watch.nanos();
        let cpu = cpu_submitted + process_cpu().saturating_sub(draining);
        Ok(submitted
            .count("documents", documents)
            .count("out_bytes", bytes)
            .with("bytes_per_document", growth as f64 / documents as f64)
            .with("drain_ns", drain_nanos as f64 / documents as f64)
            .with("drain_mdocs", documents as f64 * 1e3 / drain_nanos as f64)
            .with("cpu_ns", cpu.as_nanos() as f64 / self.operations as f64))
    }

    fn floor<P: Peer>(
        &self,
        make: impl FnOnce() -> P,
        counts: impl FnOnce(&P) -> (u64, u64),
    ) -> Result<Figures, String> {
        let peer = make();
        let submitted = self.submit(&peer);
        let (documents, operations) = counts(&peer);
        if operations != self.operations {
            return Err(format!("the floor counted {operations} operations of {}", self.operations));
        }
        Ok(submitted.count("documents", documents))
    }

    /// Nanoseconds by the wall, over all writers; and of processor time, which other processes disturb less.
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    fn submit<P: Peer>(&self, peer: &P) -> Figures {
        let used = process_cpu();
        let ns = submit_all(peer, &self.workloads, self.batches) as f64 / self.operations as f64;
        let cpu = process_cpu().saturating_sub(used).as_nanos() as f64 / self.operations as f64;
        Figures::default().with("ns", ns).with("mops", 1e3 / ns).with("submit_cpu_ns", cpu)
    }
}

/// Which documents a peer comes to, and that it drains each once.
fn documents(job: &Job) -> Result<Figures, String> {
    let workloads = Workload::shares(&job.plan, job.writers);
    let (mut answer, mut wrong) = (Answer::default(), Ok(()));
    // Whose write was the last is not the same each time: documents of several writers are counted, not compared.
    let shared = shared(&workloads);
    let mut count = 0;
    let mut lines = |lines: &[u8]| {
        let add = |id: &str, document: &Value| {
            count += 1;
            if !shared.contains(id) {
                answer.add(id, document);
            }
        };
        if wrong.is_ok() {
            wrong = for_each_document(lines, add);
        }
    };
    let drained = match job.peer {
        PeerKind::Pond => {
            let pond = Pond::still().map_err(|error| error.to_string())?;
            submit_all(&pond, &workloads, true);
            pond.drain(Some(&mut lines))
        }
        PeerKind::Baseline => {
            let baseline = Baseline::default();
            submit_all(&baseline, &workloads, false);
            baseline.drain(Some(&mut lines))
        }
        other => return Err(format!("{other:?} keeps no documents")),
    };
    wrong?;
    if drained.documents != count {
        return Err(format!("{count} documents were drained as {}", drained.documents));
    }
    let figures = Figures::default().count("documents", count).count("compared", answer.documents);
    let figures = if shared.is_empty() { figures.count("out_bytes", drained.bytes) } else { figures };
    Ok(figures.count("sum", answer.comparable()))
}

/// The ids that several writers write to.
fn shared(workloads: &[Workload]) -> HashSet<&str> {
    let mut writer_of: HashMap<&str, usize> = HashMap::new();
    let mut shared = HashSet::new();
    for (writer, workload) in workloads.iter().enumerate() {
        for operation in workload.operations() {
            if *writer_of.entry(operation.id).or_insert(writer) != writer {
                shared.insert(operation.id);
            }
        }
    }
    shared
}
