//! Which inputs a journal is done with: they were read to their end, and all of them was sent.
//!
//! # Design
//! A file in the journal's directory, which the engine does not know. It holds the identities, one JSON text a line, and is
//! written anew when a replay ends well. A file that was done with may be replaced: another one of its path begins anew, as
//! nothing of it was seen. One that was not must be there to go on, and is not replaced unnoticed.
//!
//! Where the file is not there, nothing is done with, and the worst is a refusal.

use crate::failure::{Failure, Result};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

/// What it is called in the journal's directory.
pub(crate) const DONE: &str = "inputs-done.ndjson";
/// The name it is written under.
const NEW: &str = "inputs-done.new";

/// The identities of inputs that were read to their end.
#[derive(Debug, Default)]
pub(super) struct Done(BTreeSet<String>);

impl Done {
    pub(super) fn read(journal: &Path) -> Result<Self> {
        let path = journal.join(DONE);
        match fs::read_to_string(&path) {
            // A line that is none speaks of no file.
            Ok(text) => Ok(Self(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Failure::io(format!("reading {}", path.display()), &error)),
        }
    }

    pub(super) fn has(&self, identity: &str) -> bool {
        self.0.contains(identity)
    }

    /// Adds inputs, and makes it durable.
    pub(super) fn add(mut self, journal: &Path, identities: &[String]) -> Result {
        if identities.iter().all(|identity| self.has(identity)) {
            return Ok(());
        }
        self.0.extend(identities.iter().cloned());
        let (path, new) = (journal.join(DONE), journal.join(NEW));
        self.write(&new)
            .and_then(|()| fs::rename(&new, &path))
            .and_then(|()| File::open(journal)?.sync_all())
            .map_err(|error| Failure::io(format!("writing {}", path.display()), &error))
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = Vec::new();
        for identity in &self.0 {
            serde_json::to_writer(&mut text, identity)?;
            text.push(b'\n');
        }
        let mut file = File::create(path)?;
        file.write_all(&text)?;
        file.sync_all()
    }
}
