//! The indices that are made, one for each of the input's and each pass: their names, and that none of them stays.
//!
//! # Design
//! A name is `millpond-impact-`, some random digits that all of one command share, the pass, and the index's own name. What is made is
//! written down before it is, and taken off when it has been deleted; what is left is deleted at the end, however that came.
//!
//! # Invariants
//! 1. Only what is written down here is ever deleted.

use super::server::Server;
use crate::failure::{Failure, Result};
use millpond::INDEX_BYTES_MAX;
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

/// How all names begin.
const START: &str = "millpond-impact";
/// The most indices of one input: each is made anew for each pass.
pub(super) const INDICES_MAX: usize = 100;

/// What was made and is there.
#[derive(Debug)]
pub(super) struct Indices {
    start: String,
    passes: u32,
    made: Vec<String>,
}

/// The indices of one pass.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    /// How the names of all of them begin, and no others.
    pub(super) start: String,
    /// The name that each of the input's has.
    names: HashMap<String, String>,
}

impl Pass {
    /// The name that stands for an index of the input. One that the input did not have when it was looked through gives nothing.
    pub(super) fn name(&self, index: &str) -> Result<&str> {
        self.names.get(index).map(String::as_str).ok_or_else(|| {
            Failure::Failed(format!(
                "index {index} was not in the input at first: it must not change meanwhile"
            ))
        })
    }
}

impl Indices {
    /// None yet, under a start that is drawn.
    pub(super) fn new() -> Self {
        let drawn = RandomState::new().hash_one(START) & 0xffff_ffff;
        Self { start: format!("{START}-{drawn:08x}"), passes: 0, made: Vec::new() }
    }

    /// Makes the indices of a pass of this side.
    pub(super) fn make(&mut self, server: &Server, side: &str, indices: &[String]) -> Result<Pass> {
        self.passes += 1;
        let start = format!("{}-{side}-{}-", self.start, self.passes);
        let mut names = HashMap::new();
        for index in indices {
            // No index may begin with a dot where no one looks for it: behind the start a dot is none.
            let name = format!("{start}{index}");
            if name.len() > INDEX_BYTES_MAX {
                return Err(Failure::Failed(format!(
                    "index {index}: a name of {INDEX_BYTES_MAX} bytes has no room for {start} before it"
                )));
            }
            self.made.push(name.clone());
            if let Err(failure) = server.create(&name) {
                // It is not ours: it was there, or is not.
                self.made.pop();
                return Err(failure);
            }
            names.insert(index.clone(), name);
        }
        Ok(Pass { start, names })
    }

    /// Deletes the indices of a pass.
    pub(super) fn delete(&mut self, server: &Server, pass: &Pass) -> Result {
        for name in pass.names.values() {
            server.delete(name)?;
            self.made.retain(|made| made != name);
        }
        Ok(())
    }

    /// Deletes everything that is left. Goes on where one cannot be deleted, and tells of it.
    pub(super) fn delete_all(&mut self, server: &Server) -> Result {
        let mut failed = None;
        self.made.retain(|name| match server.delete(name) {
            Ok(()) => false,
            Err(failure) => {
                failed.get_or_insert(failure);
                true
            }
        });
        match failed {
            None => Ok(()),
            Some(failure) => {
                Err(Failure::Failed(format!("{failure}; these are left: {}", self.made.join(" "))))
            }
        }
    }

    /// What is there.
    pub(super) fn left(&self) -> &[String] {
        &self.made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_commands_have_names_of_their_own() {
        let (one, two) = (Indices::new(), Indices::new());
        assert_ne!(one.start, two.start);
        assert_eq!(one.start.len(), START.len() + 9);
    }

    #[test]
    fn an_index_that_was_not_looked_for_is_named() {
        let pass = Pass { start: "s-".to_owned(), names: [("a".to_owned(), "s-a".to_owned())].into() };
        assert_eq!(pass.name("a").unwrap(), "s-a");
        assert!(pass.name("b").unwrap_err().to_string().contains("index b"));
    }
}
