//! Fields of one level by name.
//!
//! # Design
//! A level with a few fields, as nearly all have, is searched through the prints of its names: eight bytes each, side
//! by side, so that a search reads no name. A wide one has a hash table.
//!
//! # Invariants
//! 1. Names are found by what they mean: where one has an escape, prints are not asked.

use super::encoding::{Field, Fields, Run, Spot};
use super::json::scan::part;
use super::json::string::Name;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

/// Levels up to here are searched field by field; wider ones through a table.
const NARROW_MAX: usize = 16;

/// Finds fields of one level by name.
#[derive(Debug)]
pub(super) struct FieldIndex<'a> {
    fields: &'a [u8],
    /// How many fields there are.
    pub(super) count: usize,
    /// The prints of a narrow level's names,
    prints: [u64; NARROW_MAX],
    /// and where its fields stand.
    places: [Place; NARROW_MAX],
    /// True where a name of a narrow level has an escape: then prints say nothing.
    escaped: bool,
    wide: Option<Box<WideIndex<'a>>>,
}

/// Where a field stands: its start, its run, its end.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    at: u32,
    run: u32,
    end: u32,
}

#[derive(Debug)]
struct WideIndex<'a> {
    state: RandomState,
    table: HashTable<usize>,
    fields: Vec<Field<'a>>,
}

impl<'a> FieldIndex<'a> {
    /// An index over encoded fields.
    #[inline]
    pub(super) fn new(fields: &'a [u8]) -> Self {
        let mut index = Self {
            fields,
            count: 0,
            prints: [0; NARROW_MAX],
            places: [Place::default(); NARROW_MAX],
            escaped: false,
            wide: None,
        };
        index.fill();
        index
    }

    fn fill(&mut self) {
        let mut at = 0;
        while at < self.fields.len() {
            let spot = Spot::at(self.fields, at, self.fields.len());
            let (Some(print), Some(place), Some(stands)) =
                (self.prints.get_mut(self.count), self.places.get_mut(self.count), Place::of(at, spot))
            else {
                return self.widen();
            };
            (*print, *place) = (spot.print(self.fields), stands);
            self.escaped |= spot.is_escaped();
            self.count += 1;
            at = spot.end;
        }
    }

    #[inline(never)]
    fn widen(&mut self) {
        self.count = Fields(self.fields).count();
        self.wide = Some(Box::new(WideIndex::new(self.fields, self.count)));
    }

    /// The run of the field of this name, and how many fields stand before it.
    pub(super) fn find(&self, name: Name<'_>) -> Option<(usize, Run<'a>)> {
        self.find_printed(name, Name::print(name.raw, 0, name.raw.len()))
    }

    /// As [`find`](Self::find); `print` is that of the name.
    #[inline]
    pub(super) fn find_printed(&self, name: Name<'_>, print: u64) -> Option<(usize, Run<'a>)> {
        if self.escaped || name.escaped || self.wide.is_some() {
            return self.find_slowly(name);
        }
        let prints = self.prints.get(..self.count).unwrap_or_default();
        let position = prints.iter().position(|other| *other == print)?;
        let place = self.places.get(position)?;
        if name.raw.len() > Name::PRINTED
            && Spot::at(self.fields, place.at as usize, self.fields.len()).name(self.fields) != name
        {
            return self.find_slowly(name);
        }
        Some((position, Run(part(self.fields, place.run as usize, place.end as usize))))
    }

    #[inline(never)]
    fn find_slowly(&self, name: Name<'_>) -> Option<(usize, Run<'a>)> {
        let (position, field) = match &self.wide {
            None => Fields(self.fields).enumerate().find(|(_, field)| field.name == name)?,
            Some(wide) => wide.find(name)?,
        };
        Some((position, Run(field.run)))
    }
}

impl Place {
    #[inline]
    fn of(at: usize, spot: Spot) -> Option<Self> {
        let place = |at: usize| u32::try_from(at).ok();
        Some(Self { at: place(at)?, run: place(spot.run)?, end: place(spot.end)? })
    }
}

impl<'a> WideIndex<'a> {
    #[inline(never)]
    fn new(encoded: &'a [u8], count: usize) -> Self {
        let state = RandomState::default();
        let mut fields: Vec<Field<'a>> = Vec::with_capacity(count);
        let mut table = HashTable::with_capacity(count);
        for (index, field) in Fields(encoded).enumerate() {
            let hash = hash_name(field.name, &state);
            fields.push(field);
            table.insert_unique(hash, index, |other| {
                fields.get(*other).map_or(0, |field| hash_name(field.name, &state))
            });
        }
        Self { state, table, fields }
    }

    #[inline(never)]
    fn find(&self, name: Name<'_>) -> Option<(usize, Field<'a>)> {
        let same = |index: &usize| self.fields.get(*index).is_some_and(|field| field.name == name);
        let index = *self.table.find(hash_name(name, &self.state), same)?;
        Some((index, *self.fields.get(index)?))
    }
}

fn hash_name(name: Name<'_>, state: &RandomState) -> u64 {
    let mut hasher = state.build_hasher();
    name.hash_into(&mut hasher);
    hasher.finish()
}

/// A set of field positions of one level.
#[derive(Debug, Default)]
pub(super) struct Positions {
    near: u64,
    far: Vec<u64>,
    /// How many are in it.
    pub(super) count: usize,
}

impl Positions {
    /// Adds a position, which was not in it.
    #[inline]
    pub(super) fn insert(&mut self, position: usize) {
        self.count += 1;
        if position < 64 {
            self.near |= 1 << position;
            return;
        }
        let word = position / 64 - 1;
        if self.far.len() <= word {
            self.far.resize(word + 1, 0);
        }
        if let Some(bits) = self.far.get_mut(word) {
            *bits |= 1 << (position % 64);
        }
    }

    /// True where the position was added.
    #[inline]
    pub(super) fn contains(&self, position: usize) -> bool {
        let bits = match (position / 64).checked_sub(1) {
            None => self.near,
            Some(word) => self.far.get(word).copied().unwrap_or(0),
        };
        bits >> (position % 64) & 1 == 1
    }
}
