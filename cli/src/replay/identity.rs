//! What a journal calls an input file: by its identity, so that the same file goes on and another one does not.
//!
//! # Design
//! A name holds the size, the time of the last change, the device and inode, and a checksum of the first bytes, and last the
//! path. A journal that knows the path with other figures knows another file: what it says of lines is of that one, and
//! nothing is read, unless it is [done](super::done) with that one. Positions are the numbers of action lines.
//!
//! # Why not by path alone
//! Lines of a file that was replaced would be dropped as read before.

use super::done::Done;
use crate::{
    args::{Replay, SinkName},
    failure::{Failure, Result},
    input,
    pond::{Engine, Source},
};
use std::{
    collections::HashSet,
    fs::{self, File},
    io::Read,
    os::unix::fs::MetadataExt,
    path::Path,
};
use twox_hash::XxHash3_64;

/// How much of a file's start is a part of its identity.
const HEAD_BYTES: u64 = 64 * 1024;
/// A longer path is named by its checksum: a source's name has a bound.
const PATH_BYTES_MAX: usize = 300;
/// Stands between the figures and the path.
const PATH: &str = " path=";

/// The names of all inputs; none without a journal. Refuses what cannot be resumed.
pub(super) fn of_inputs(args: &Replay, sources: &[input::Source]) -> Result<Vec<String>> {
    if args.journal.is_none() {
        return Ok(Vec::new());
    }
    if args.writers.is_some_and(|writers| writers.get() > 1) {
        let text =
            "--journal takes one writer, as the lines of a file are accepted in order: leave --writers out";
        return Err(Failure::Usage(text.to_owned()));
    }
    if let Some(SinkName::Ndjson(path)) = args.sink.first() {
        return Err(Failure::Usage(format!(
            "--sink ndjson:{} begins anew with each run, and --journal goes on with an earlier one: use segments:DIR",
            path.display()
        )));
    }
    let mut names = Vec::with_capacity(sources.len());
    let mut known = HashSet::new();
    for source in sources {
        let name = match source {
            input::Source::File(path) if path.is_file() => identity(path)?,
            _ => {
                return Err(Failure::Usage(format!(
                    "--journal cannot resume {source}, which cannot be read again: write it to a file first"
                )));
            }
        };
        if !known.insert(name.clone()) {
            return Err(Failure::Usage(format!("{source} is named twice, and --journal reads a file once")));
        }
        names.push(name);
    }
    Ok(names)
}

/// The handles of inputs. Fails where the journal knows another file of the same path, and is not done with it.
pub(super) fn open(engine: &Engine, names: &[String], done: &Done) -> Result<Vec<Source>> {
    let known = engine.sources();
    for name in names {
        let Some((figures, path)) = name.split_once(PATH) else { continue };
        let other = known.iter().filter(|(known, _)| !done.has(known)).find_map(|(known, mark)| {
            let (known, _) = known.split_once(PATH).filter(|(known, at)| *at == path && *known != figures)?;
            Some((known, mark.unwrap_or(0)))
        });
        if let Some((other, mark)) = other {
            return Err(Failure::Failed(format!(
                "{path} is not the file that the journal has read up to line {mark}: it was {other}, and is {figures}; \
                 put the file back, or give this one another path or another --journal"
            )));
        }
    }
    names.iter().map(|name| engine.source(name).map_err(Failure::from)).collect()
}

fn identity(path: &Path) -> Result<String> {
    let unread = |error| Failure::io(format!("opening {}", path.display()), &error);
    let whole = path.canonicalize().map_err(unread)?;
    let mut head = Vec::new();
    File::open(&whole).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head)).map_err(unread)?;
    let data = fs::metadata(&whole).map_err(unread)?;
    let shown = match whole.to_str() {
        Some(text) if text.len() <= PATH_BYTES_MAX => text.to_owned(),
        _ => format!("xxh3:{:016x}", XxHash3_64::oneshot(whole.as_os_str().as_encoded_bytes())),
    };
    Ok(format!(
        "file size={} changed={}.{:09} inode={}:{} head={:016x}{PATH}{shown}",
        data.len(),
        data.mtime(),
        data.mtime_nsec(),
        data.dev(),
        data.ino(),
        XxHash3_64::oneshot(&head)
    ))
}
