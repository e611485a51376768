//! One file of the simulated disk: what readers see, what is on the medium, and what lies between.
//!
//! # Design
//! A file is two [`Image`]s and the changes by which the first is ahead of the second. Syncing carries the changes over. A
//! power cut carries some of them over, in whole sectors, a sector's own changes always in their order: a page goes
//! out as it stands at that moment, so a sector is on the medium as it was after *some* of the writes to it, and two
//! sectors need not be of the same moment. What is about the file as a whole, its length and its space, goes through
//! the file system's journal and is in order: a prefix survives.
//!
//! # A sync that fails
//! The system drops the pages that it could not write: readers still see them, and no later sync writes them. Only writing
//! to such a page again makes it dirty again, whole.
//!
//! # Invariants
//! 1. `medium` with `pending` applied is `seen`, but for the pages in `lost`.
//! 2. A page in `lost` is touched by no write in `pending`.

use super::random::Random;
use std::collections::{BTreeMap, BTreeSet};

pub const SECTOR_BYTES: usize = 512;
pub const PAGE_BYTES: usize = 4096;

/// What becomes, at a power cut, of bytes that were written and not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bytes {
    /// None of them is there.
    Lost,
    /// All of them are there.
    Kept,
    /// Each sector by itself is as it was after some of the writes to it.
    Scattered,
    /// What was written last is there, and what was written before, in other sectors, is not.
    Reordered,
    /// Writes are there up to one, of which the last sector has a prefix of the new bytes and the old ones behind.
    Torn,
}

/// The contents of a file at one moment.
#[derive(Clone, Debug, Default)]
pub struct Image {
    pub bytes: Vec<u8>,
    /// The pages that have space of their own. The others read as zeroes, and a write to them may find none.
    pub pages: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
enum Change {
    Write {
        at: usize,
        bytes: Vec<u8>,
    },
    Length(usize),
    /// Space for the first so many bytes.
    Space(usize),
}

pub fn pages(at: usize, bytes: usize) -> std::ops::Range<usize> {
    if bytes == 0 { 0..0 } else { at / PAGE_BYTES..(at + bytes).div_ceil(PAGE_BYTES) }
}

impl Change {
    /// Where a write begins and how many bytes it has.
    fn as_write(&self) -> Option<(usize, usize)> {
        match self {
            Self::Write { at, bytes } => Some((*at, bytes.len())),
            Self::Length(_) | Self::Space(_) => None,
        }
    }
}

impl Image {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { at, bytes } => self.write(*at, bytes),
            Change::Length(length) => {
                self.bytes.resize(*length, 0);
                self.pages.retain(|page| page * PAGE_BYTES < *length);
            }
            Change::Space(bytes) => self.pages.extend(pages(0, *bytes)),
        }
    }

    /// What lies behind the end is cut off: the length is a change of its own, and may be lost.
    fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = self.bytes.len().min(at + bytes.len());
        if at < end {
            self.bytes[at..end].copy_from_slice(&bytes[..end - at]);
            self.pages.extend(pages(at, end - at));
        }
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    pub seen: Image,
    medium: Image,
    pending: Vec<Change>,
    lost: BTreeSet<usize>,
}

impl Contents {
    /// A file that is on the medium as it is.
    pub fn stable(bytes: &[u8]) -> Self {
        let image = Image { bytes: bytes.to_vec(), pages: pages(0, bytes.len()).collect() };
        Self { seen: image.clone(), medium: image, ..Self::default() }
    }

    fn change(&mut self, change: Change) {
        self.seen.apply(&change);
        self.pending.push(change);
    }

    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        if at + bytes.len() > self.seen.bytes.len() {
            self.change(Change::Length(at + bytes.len()));
        }
        self.change(Change::Write { at, bytes: bytes.to_vec() });
        for page in pages(at, bytes.len()).filter(|page| self.lost.remove(page)).collect::<Vec<_>>() {
            let start = page * PAGE_BYTES;
            let end = (start + PAGE_BYTES).min(self.seen.bytes.len());
            let whole = self.seen.bytes[start..end].to_vec();
            self.change(Change::Write { at: start, bytes: whole });
        }
    }

    pub fn set_length(&mut self, bytes: usize) {
        self.change(Change::Length(bytes));
        self.lost.retain(|page| page * PAGE_BYTES < bytes);
    }

    pub fn allocate(&mut self, bytes: usize) {
        self.change(Change::Length(bytes));
        self.change(Change::Space(bytes));
    }

    pub fn sync(&mut self) {
        for change in self.pending.drain(..) {
            self.medium.apply(&change);
        }
    }

    /// A sync that fails, after this had become of what was to be written.
    pub fn fail_to_sync(&mut self, became: Bytes, random: &mut Random) {
        let all = std::mem::take(&mut self.pending);
        if became == Bytes::Kept {
            for change in &all {
                self.medium.apply(change);
            }
            return;
        }
        let length = self.seen.bytes.len();
        let dropped = all.iter().filter_map(Change::as_write).flat_map(|(at, bytes)| pages(at, bytes));
        self.lost.extend(dropped.filter(|page| page * PAGE_BYTES < length));
        if became != Bytes::Lost {
            Survivors::choose(became, &all, random).carry_over(&all, &mut self.medium);
        }
        // The file system's journal is another matter than its pages: what it has not got yet, it gets with the next sync.
        self.pending = all.into_iter().filter(|change| change.as_write().is_none()).collect();
    }

    pub fn cut_power(&mut self, choice: Bytes, random: &mut Random) {
        let all = std::mem::take(&mut self.pending);
        Survivors::choose(choice, &all, random).carry_over(&all, &mut self.medium);
        self.lost.clear();
        self.seen = self.medium.clone();
    }

    /// Checks invariants 1 and 2.
    pub fn validate(&self) {
        let mut expected = self.medium.clone();
        for change in &self.pending {
            expected.apply(change);
        }
        assert_eq!(expected.bytes.len(), self.seen.bytes.len());
        for (page, (expected, seen)) in
            expected.bytes.chunks(PAGE_BYTES).zip(self.seen.bytes.chunks(PAGE_BYTES)).enumerate()
        {
            assert!(expected == seen || self.lost.contains(&page), "page {page}");
        }
        let dirty = self.pending.iter().filter_map(Change::as_write).flat_map(|(at, bytes)| pages(at, bytes));
        assert_eq!(dirty.filter(|page| self.lost.contains(page)).count(), 0);
    }
}

/// Which of the changes reach the medium.
struct Survivors {
    /// Of each sector, how many of the writes to it.
    sectors: BTreeMap<usize, usize>,
    /// How many of the changes that are no writes.
    others: usize,
    /// Of the write with this number, no more than so many bytes.
    torn: Option<(usize, usize)>,
}

impl Survivors {
    fn choose(choice: Bytes, changes: &[Change], random: &mut Random) -> Self {
        let writes: Vec<(usize, usize)> = changes.iter().filter_map(Change::as_write).collect();
        let all_others = changes.len() - writes.len();
        let mut touched: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (number, (at, bytes)) in writes.iter().enumerate() {
            for sector in sectors(*at, *bytes) {
                touched.entry(sector).or_default().push(number);
            }
        }
        let kept = |kept: &mut dyn FnMut(usize, &[usize]) -> usize| {
            touched.iter().map(|(sector, by)| (*sector, kept(*sector, by))).collect()
        };
        match choice {
            Bytes::Lost => Self { sectors: BTreeMap::new(), others: 0, torn: None },
            Bytes::Kept => Self { sectors: kept(&mut |_, by| by.len()), others: all_others, torn: None },
            Bytes::Scattered => {
                let others = random.within(0, all_others as u64) as usize;
                let sectors = kept(&mut |_, by| random.within(0, by.len() as u64) as usize);
                Self { sectors, others, torn: None }
            }
            Bytes::Reordered => {
                let mut order: Vec<(usize, usize)> =
                    touched.iter().map(|(sector, by)| (by[by.len() - 1], *sector)).collect();
                order.sort_unstable();
                let first_kept = random.within(1, (order.len() as u64).max(2) - 1) as usize;
                let late: BTreeSet<usize> =
                    order.iter().skip(first_kept).map(|(_, sector)| *sector).collect();
                let sectors = kept(&mut |sector, by| if late.contains(&sector) { by.len() } else { 0 });
                Self { sectors, others: all_others, torn: None }
            }
            Bytes::Torn if writes.is_empty() => {
                let others = random.within(0, all_others as u64) as usize;
                Self { sectors: BTreeMap::new(), others, torn: None }
            }
            Bytes::Torn => {
                let last = random.below(writes.len() as u64) as usize;
                let (at, bytes) = writes[last];
                let last_sector = sectors(at, bytes).end - 1;
                let whole = (last_sector * SECTOR_BYTES).saturating_sub(at);
                let torn = Some((last, whole + random.below((bytes - whole) as u64) as usize));
                let sectors = kept(&mut |_, by| by.iter().filter(|number| **number <= last).count());
                Self { sectors, others: others_before(changes, last), torn }
            }
        }
    }

    fn carry_over(&self, changes: &[Change], medium: &mut Image) {
        let mut done: BTreeMap<usize, usize> = BTreeMap::new();
        let (mut number, mut others) = (0, 0);
        for change in changes {
            let Change::Write { at, bytes } = change else {
                if others < self.others {
                    medium.apply(change);
                }
                others += 1;
                continue;
            };
            let most = self.torn.filter(|(torn, _)| *torn == number).map_or(bytes.len(), |(_, most)| most);
            for sector in sectors(*at, bytes.len()) {
                let nth = done.entry(sector).or_default();
                if *nth < self.sectors.get(&sector).copied().unwrap_or(0) {
                    let start = (sector * SECTOR_BYTES).max(*at) - at;
                    let end = ((sector + 1) * SECTOR_BYTES - at).min(most);
                    medium.write(at + start, bytes.get(start..end).unwrap_or_default());
                }
                *nth += 1;
            }
            number += 1;
        }
    }
}

fn sectors(at: usize, bytes: usize) -> std::ops::Range<usize> {
    at / SECTOR_BYTES..(at + bytes).div_ceil(SECTOR_BYTES)
}

/// How many changes that are no writes come before a write.
fn others_before(changes: &[Change], write: usize) -> usize {
    let mut writes = 0;
    let before = changes.iter().take_while(|change| {
        writes += usize::from(change.as_write().is_some());
        writes <= write
    });
    before.filter(|change| change.as_write().is_none()).count()
}
