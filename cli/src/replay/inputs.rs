//! Which inputs the command line names, checked before anything is made.

use crate::{
    failure::{Failure, Result},
    input::Source,
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The inputs, in order.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    pub(super) sources: Arc<[Source]>,
    names: Arc<[String]>,
}

impl Inputs {
    /// The files of a command line, or the `bundled` one where it names none. Fails where a file is not there, or would be
    /// overwritten by one of the `outputs` of the same run, each with its flag.
    pub(crate) fn new(files: &[PathBuf], bundled: &str, outputs: &[(&str, &Path)]) -> Result<Self> {
        let sources: Arc<[Source]> = if files.is_empty() {
            [Source::File(found(bundled)?)].into()
        } else {
            files.iter().map(|path| Source::new(path)).collect()
        };
        if sources.iter().filter(|source| **source == Source::Stdin).count() > 1 {
            return Err(Failure::Usage("standard input (-) can be read once".to_owned()));
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
    pub(crate) fn names(&self) -> Arc<[String]> {
        Arc::clone(&self.names)
    }

    /// True if no read waits for more than the disk: all are plain files.
    pub(super) fn are_at_hand(&self) -> bool {
        self.sources.iter().all(Source::is_plain_file)
    }

    /// The size of all inputs, if it is known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.sources.iter().map(Source::bytes).sum()
    }
}

/// A file of the bundled data: below the current directory (so that it is named shortly), or where the program was built.
fn found(bundled: &str) -> Result<PathBuf> {
    let built = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(bundled);
    [PathBuf::from(bundled), built].into_iter().find(|path| path.is_file()).map(tidy).ok_or_else(|| {
        Failure::Usage(format!(
            "no FILE is named and the bundled {bundled} is not here: pass a file of bulk lines, or - for \
             standard input"
        ))
    })
}

/// An absolute path without `..`, where it can be told; a relative one as it is.
fn tidy(path: PathBuf) -> PathBuf {
    if path.is_relative() { path } else { path.canonicalize().unwrap_or(path) }
}
