//! One directory of the simulated disk: what is seen, what is on the medium, and what lies between.
//!
//! # Design
//! As with a file ([`image`](super::image)): two maps of names and the changes by which one is ahead of the other. A rename is one
//! change, so it is there or not.
//!
//! # Invariants
//! 1. But for changes that a failed sync dropped, `medium` with `pending` applied is `seen`.

use super::random::Random;
use std::collections::BTreeMap;

/// What becomes, at a power cut, of names that were given or taken and not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changes {
    /// None of the changes is there.
    Lost,
    /// All of them are there.
    Kept,
    /// Those up to one are there: a file system with one journal.
    Prefix,
    /// Of changes that have a name in common, those up to one; independent of the others: what POSIX allows.
    Scattered,
}

#[derive(Clone, Debug)]
enum Change {
    Put(String, u64),
    Rename(String, String),
    Remove(String),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Put(name, node) => {
                names.insert(name.clone(), *node);
            }
            Self::Rename(from, to) => {
                // There may be none, where the change that made it was dropped by a failed sync.
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }

    fn names(&self) -> Vec<&String> {
        match self {
            Self::Put(name, _) | Self::Remove(name) => vec![name],
            Self::Rename(from, to) => vec![from, to],
        }
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub seen: BTreeMap<String, u64>,
    medium: BTreeMap<String, u64>,
    pending: Vec<Change>,
    /// The lock that holds this directory.
    pub locked: Option<u64>,
}

impl Names {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.pending.push(change);
    }

    pub fn put(&mut self, name: &str, node: u64) {
        self.change(Change::Put(name.to_owned(), node));
    }

    pub fn rename(&mut self, from: &str, to: &str) {
        self.change(Change::Rename(from.to_owned(), to.to_owned()));
    }

    pub fn remove(&mut self, name: &str) {
        self.change(Change::Remove(name.to_owned()));
    }

    pub fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.medium);
        }
    }

    /// A sync that fails, after this had become of what was to be made durable. The rest never will be.
    pub fn fail_to_sync(&mut self, became: Changes, random: &mut Random) {
        self.carry_over(became, random);
    }

    pub fn cut_power(&mut self, choice: Changes, random: &mut Random) {
        self.carry_over(choice, random);
        self.seen = self.medium.clone();
        self.locked = None;
    }

    fn carry_over(&mut self, choice: Changes, random: &mut Random) {
        let all = std::mem::take(&mut self.pending);
        let groups = match choice {
            Changes::Lost => return,
            Changes::Kept => return all.iter().for_each(|change| change.apply(&mut self.medium)),
            Changes::Prefix => vec![0; all.len()],
            Changes::Scattered => groups(&all),
        };
        let mut left: BTreeMap<usize, u64> = BTreeMap::new();
        for group in &groups {
            *left.entry(*group).or_default() += 1;
        }
        for most in left.values_mut() {
            *most = random.within(0, *most);
        }
        for (change, group) in all.iter().zip(&groups) {
            if let Some(rest) = left.get_mut(group).filter(|left| **left > 0) {
                *rest -= 1;
                change.apply(&mut self.medium);
            }
        }
    }

    /// Every node that has a name here, or had one, or may have one again.
    pub fn nodes(&self) -> impl Iterator<Item = u64> {
        let pending = self.pending.iter().filter_map(|change| match change {
            Change::Put(_, node) => Some(*node),
            _ => None,
        });
        self.seen.values().chain(self.medium.values()).copied().chain(pending)
    }
}

/// The group of each change: changes with a name in common are of one group.
fn groups(changes: &[Change]) -> Vec<usize> {
    let mut groups: Vec<usize> = (0..changes.len()).collect();
    for later in 0..changes.len() {
        for earlier in 0..later {
            let names = changes[earlier].names();
            if changes[later].names().iter().any(|name| names.contains(name)) {
                let (old, new) = (groups[later], groups[earlier]);
                groups.iter_mut().filter(|group| **group == old).for_each(|group| *group = new);
            }
        }
    }
    groups
}
