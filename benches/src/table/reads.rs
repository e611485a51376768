//! Reads: of documents that wait, and of a store that is warm.

use super::figures::Figures;
use crate::{
    answer::Answer,
    clock::Stopwatch,
    peer::Peer,
    pond::{Pond, settings},
    workload::{INDEX, Keys, Mix, Plan, Workload},
};
use millpond::{
    Base, Engine,
    segments::{Compaction, SegmentOptions, SegmentSink},
};
use std::{collections::HashSet, error::Error, sync::Arc, time::Duration};

/// How many documents are read.
const READS: usize = 1_000_000;
/// How long a flush is waited for.
const PATIENCE: Duration = Duration::from_mins(10);

/// A read of a document that waits, and a submit in the same process. The same documents are read, in the same order.
pub(super) fn pending(plan: &Plan) -> Result<Figures, Box<dyn Error>> {
    let workload = Workload::new(plan);
    let pond = Pond::still()?;
    let watch = Stopwatch::start();
    workload.operations().for_each(|operation| pond.submit(&operation));
    let submit = per(watch.nanos(), workload.len());
    let ids: Vec<&str> = workload.operations().take(READS).map(|operation| operation.id).collect();
    let get = read(&pond.engine, &ids)?;
    let answer = documents(&pond.engine, &workload)?;
    let figures = Figures::default().count("documents", answer.documents).count("sum", answer.comparable());
    Ok(figures.with("submit_ns", submit).with("get_ns", get).with("get_submits", get / submit))
}

/// Every document of the workload, as it is read.
fn documents(engine: &Engine, workload: &Workload) -> Result<Answer, Box<dyn Error>> {
    let ids: HashSet<&str> = workload.operations().map(|operation| operation.id).collect();
    let mut answer = Answer::default();
    for id in ids {
        let document = engine.get(INDEX, id)?.ok_or("every document is there")?;
        answer.add(id, &serde_json::from_slice(&document.source)?);
    }
    Ok(answer)
}

/// A read of a document in the embedded store, after everything has been read once.
pub(super) fn warm(plan: &Plan) -> Result<Figures, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let options = SegmentOptions::new().compaction(Compaction::Manual);
    let store = Arc::new(SegmentSink::open_with(directory.path(), &options)?);
    let base: Arc<dyn Base> = Arc::clone(&store) as _;
    let engine = settings().keep_known(false).build(Arc::clone(&store) as _, Some(base))?;
    let documents = usize::try_from(plan.documents)?;
    let whole = Plan { keys: Keys::Each, mix: Mix::Whole, operations: documents, ..*plan };
    for operation in Workload::new(&whole).operations() {
        engine.submit(crate::pond::operation(&operation)).map_err(|refused| refused.to_string())?;
    }
    engine.flush(PATIENCE)?;
    store.compact_all()?;
    let workload = Workload::new(&Plan { mix: Mix::Counters, operations: READS, ..*plan });
    let ids: Vec<&str> = workload.operations().map(|operation| operation.id).collect();
    read(&engine, &ids)?;
    let get = read(&engine, &ids)?;
    engine.close(PATIENCE)?;
    Ok(Figures::default().with("get_us", get / 1e3).count("documents", plan.documents))
}

/// Nanoseconds of a read. Everything has to be there.
fn read(engine: &Engine, ids: &[&str]) -> Result<f64, Box<dyn Error>> {
    let (mut found, watch) = (0, Stopwatch::start());
    for id in ids {
        found += usize::from(engine.get(INDEX, id)?.is_some());
    }
    let nanos = watch.nanos();
    if found == ids.len() {
        return Ok(per(nanos, ids.len()));
    }
    Err(format!("{found} of {} documents were found", ids.len()).into())
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
fn per(nanos: u64, operations: usize) -> f64 {
    nanos as f64 / operations as f64
}
