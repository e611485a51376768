//! Which inputs the command line names, checked before anything is made.

use crate::{
    args::{Replay, SinkName},
    failure::{Failure, Result},
    input::Source,
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The data that is read when no file is named.
const BUNDLED: &str = "data/flights-counters.ndjson.zst";

/// The inputs, in order.
#[derive(Clone, Debug)]
pub(super) struct Inputs {
    pub(super) sources: Arc<[Source]>,
    names: Arc<[String]>,
}

impl Inputs {
    /// Fails where a file is not there, or would be overwritten by an output of the same run.
    pub(super) fn new(args: &Replay) -> Result<Self> {
        let sources: Arc<[Source]> = if args.inputs.is_empty() {
            [Source::File(bundled()?)].into()
        } else {
            args.inputs.iter().map(|path| Source::new(path)).collect()
        };
        if sources.iter().filter(|source| **source == Source::Stdin).count() > 1 {
            return Err(Failure::Usage("standard input (-) can be read once".to_owned()));
        }
        let mut outputs: Vec<(&str, &Path)> = [
            ("--rejects", &args.rejects),
            ("--dead-letters", &args.dead_letters),
            ("--report", &args.report),
        ]
        .into_iter()
        .filter_map(|(flag, path)| Some((flag, path.as_deref()?)))
        .collect();
        if let Some(SinkName::Ndjson(path)) = args.sink.first() {
            outputs.push(("--sink", path));
        }
        for source in sources.iter() {
            let Source::File(path) = source else { continue };
            let data =
                fs::metadata(path).map_err(|error| Failure::io(format!("opening {source}"), &error))?;
            if data.is_dir() {
                return Err(Failure::Failed(format!("opening {source}: it is a directory; pass its files")));
            }
            let same = |output: &Path| matches!((path.canonicalize(), output.canonicalize()), (Ok(a), Ok(b)) if a == b);
            if let Some((flag, _)) = outputs.iter().find(|(_, output)| same(output)) {
                let text = format!("{flag} {source} would overwrite an input: name another file");
                return Err(Failure::Usage(text));
            }
        }
        let names = sources.iter().map(ToString::to_string).collect();
        Ok(Self { sources, names })
    }

    /// What the inputs are called in messages.
    pub(super) fn names(&self) -> Arc<[String]> {
        Arc::clone(&self.names)
    }

    /// True if no read waits for more than the disk: all are plain files.
    pub(super) fn are_at_hand(&self) -> bool {
        self.sources.iter().all(Source::is_plain_file)
    }

    /// The size of all inputs, if it is known.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.sources.iter().map(Source::bytes).sum()
    }
}

/// The bundled data: below the current directory (so that it is named shortly), or where the program was built.
fn bundled() -> Result<PathBuf> {
    let built = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(BUNDLED);
    [PathBuf::from(BUNDLED), built].into_iter().find(|path| path.is_file()).map(tidy).ok_or_else(|| {
        Failure::Usage(format!(
            "no FILE is named and the bundled {BUNDLED} is not here: pass a file of bulk lines, or - for \
             standard input"
        ))
    })
}

/// An absolute path without `..`, where it can be told; a relative one as it is.
fn tidy(path: PathBuf) -> PathBuf {
    if path.is_relative() { path } else { path.canonicalize().unwrap_or(path) }
}
