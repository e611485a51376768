//! An engine in a few lines: what it writes to its journal, and what is true at each record. And the rules, word for word.

use super::*;
use crate::journal::record::Verb;
use proptest::test_runner::TestCaseError;
use std::collections::{BTreeMap, BTreeSet};

/// Four keys of two indices.
const KEYS: usize = 4;
const IDS: [&str; KEYS] = ["a", "b", "a", "b"];
const INDICES: [&str; 2] = ["one", "two"];
const SOURCE: &str = "file";

type Key = usize;
/// The first and the last seq.
type Span = (u64, u64);

/// What is done next: a choice, a key, and a number.
pub(super) type Step = (u8, u8, u8);

/// A record, with keys by their number here.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Operation(Key, u64, Option<u64>, bool),
    Moved(Key, Span),
    Bounds(Key, Span),
    Unbound(Key, u64),
    Settled(Key, u64),
    Watermark(u64),
    Ceiling(u64),
    Index(usize),
    Source(Option<u64>),
}

/// Numbers of names differ from file to file.
fn number(index: usize, file: u64) -> u32 {
    u32::try_from((index as u64 + file * 3) % 7).unwrap()
}

fn key(key: Key, file: u64) -> KeyRef<'static> {
    KeyRef { index: number(key / 2, file), id: IDS[key] }
}

impl Event {
    pub(super) fn record(&self, file: u64) -> Record<'static> {
        match *self {
            Event::Operation(of, seq, position, routed) => {
                let (KeyRef { index, id }, verb) = (key(of, file), Verb::Update);
                let source = position.map(|position| (9, position));
                let routing = routed.then_some("r");
                Record::Operation(Operation { seq, verb, index, id, routing, source, net: b"\x01" })
            }
            Event::Moved(of, (first, last)) => {
                let KeyRef { index, id } = key(of, file);
                let Record::Moved(moved) = super::moved(id, first, last) else { panic!() };
                Record::Moved(Moved { index, ..moved })
            }
            Event::Bounds(of, (first, last)) => Record::Bounds { key: key(of, file), first, last },
            Event::Unbound(of, last) => Record::Unbound { key: key(of, file), last },
            Event::Settled(of, last) => Record::Settled { key: key(of, file), last },
            Event::Watermark(seq) => Record::Watermark { seq },
            Event::Ceiling(seq) => Record::Ceiling { seq },
            Event::Index(index) => Record::Index { number: number(index, file), name: INDICES[index] },
            Event::Source(mark) => Record::Source { number: 9, mark, name: SOURCE },
        }
    }
}

/// What a key holds: what is out, and what waits, in the order in which it goes out.
#[derive(Clone, Debug, Default)]
struct Slot {
    /// Its operations; and where its bounds were written, if they were.
    flight: Option<(Vec<u64>, Option<u64>)>,
    waiting: Vec<Vec<u64>>,
}

/// What is true: of each key, the operations that have not settled, and those among them that are a flight with bounds.
type Truth = BTreeMap<Key, (BTreeSet<u64>, BTreeSet<u64>)>;

/// See the module.
#[derive(Debug)]
pub(super) struct World {
    /// What was written, and to which file.
    pub(super) events: Vec<(u64, Event)>,
    /// What is true after each.
    truths: Vec<Truth>,
    /// Files that were deleted, and how much was written by then.
    deleted: Vec<(u64, usize)>,
    slots: [Slot; KEYS],
    /// In which file each operation lies, or what it was moved in.
    files: BTreeMap<(Key, u64), u64>,
    file: u64,
    oldest: u64,
    seq: u64,
    mark: Option<u64>,
}

impl Default for World {
    fn default() -> Self {
        let mut world = Self {
            events: Vec::new(),
            truths: vec![Truth::new()],
            deleted: Vec::new(),
            slots: Default::default(),
            files: BTreeMap::new(),
            file: 0,
            oldest: 1,
            seq: 1_000,
            mark: None,
        };
        world.rotate();
        world
    }
}

impl World {
    pub(super) fn step(&mut self, (choice, of, number): Step) {
        let of = usize::from(of) % KEYS;
        match choice % 20 {
            0..8 => self.submit(of, number),
            8..11 => self.take(of, number.is_multiple_of(2)),
            11..14 => self.settle(of),
            14 => self.put_back(of),
            15 => self.mark_up(),
            16 => self.write(Event::Ceiling(self.seq + 1_000)),
            17 | 18 => self.rotate(),
            _ => self.clean(number),
        }
    }

    fn write(&mut self, event: Event) {
        self.events.push((self.file, event));
        let bounded = |slot: &Slot| match &slot.flight {
            Some((flight, Some(_))) => flight.iter().copied().collect(),
            _ => BTreeSet::new(),
        };
        let all = |slot: &Slot| {
            let flight = slot.flight.iter().flat_map(|flight| &flight.0);
            flight.chain(slot.waiting.iter().flatten()).copied().collect::<BTreeSet<u64>>()
        };
        let slots = self.slots.iter().enumerate().filter(|(_, slot)| !all(slot).is_empty());
        self.truths.push(slots.map(|(key, slot)| (key, (all(slot), bounded(slot)))).collect());
    }

    fn submit(&mut self, of: Key, number: u8) {
        self.seq += 1 + u64::from(number % 3);
        let position = number.is_multiple_of(2).then(|| self.mark.map_or(0, |mark| mark + 1));
        self.mark = position.or(self.mark);
        let waiting = &mut self.slots[of].waiting;
        // At times, one that does not fold with what waits.
        if waiting.is_empty() || number >= 220 {
            waiting.push(Vec::new());
        }
        waiting.last_mut().unwrap().push(self.seq);
        self.files.insert((of, self.seq), self.file);
        self.write(Event::Operation(of, self.seq, position, number >= 220));
    }

    fn take(&mut self, of: Key, is_repeatable: bool) {
        let slot = &mut self.slots[of];
        if slot.flight.is_some() || slot.waiting.is_empty() {
            return;
        }
        let flight = slot.waiting.remove(0);
        let bounds = span(&flight);
        slot.flight = Some((flight, (!is_repeatable).then_some(self.file)));
        if !is_repeatable {
            self.write(Event::Bounds(of, bounds));
        }
    }

    fn settle(&mut self, of: Key) {
        if let Some((flight, _)) = self.slots[of].flight.take() {
            self.write(Event::Settled(of, span(&flight).1));
        }
    }

    fn put_back(&mut self, of: Key) {
        let slot = &mut self.slots[of];
        let Some((mut flight, bounds)) = slot.flight.take() else { return };
        let last = span(&flight).1;
        if !slot.waiting.is_empty() {
            flight.extend(slot.waiting.remove(0));
        }
        slot.waiting.insert(0, flight);
        if bounds.is_some() {
            self.write(Event::Unbound(of, last));
        }
    }

    fn mark_up(&mut self) {
        let firsts = self.slots.iter().flat_map(|slot| {
            slot.flight.iter().map(|flight| flight.0[0]).chain(slot.waiting.iter().map(|entry| entry[0]))
        });
        self.write(Event::Watermark(firsts.min().map_or(self.seq, |first| first - 1)));
    }

    fn rotate(&mut self) {
        self.file += 1;
        for index in 0..INDICES.len() {
            self.write(Event::Index(index));
        }
        self.write(Event::Source(self.mark));
    }

    /// Moves what stands in the oldest file; deletes it, but not always.
    fn clean(&mut self, number: u8) {
        if self.oldest == self.file {
            return;
        }
        for of in 0..KEYS {
            let slot = self.slots[of].clone();
            let out = slot.flight.iter().map(|flight| &flight.0);
            for entry in out.chain(&slot.waiting) {
                if entry.iter().any(|seq| self.files[&(of, *seq)] == self.oldest) {
                    self.write(Event::Moved(of, span(entry)));
                    let file = self.file;
                    self.files.extend(entry.iter().map(|seq| ((of, *seq), file)));
                }
            }
            if let Some((flight, Some(bounds))) = &mut self.slots[of].flight
                && *bounds == self.oldest
            {
                *bounds = self.file;
                let span = span(flight);
                self.write(Event::Bounds(of, span));
            }
        }
        if !number.is_multiple_of(5) {
            self.deleted.push((self.oldest, self.events.len()));
            self.oldest += 1;
        }
    }

    /// What a crash leaves that lets so many records through: by file.
    pub(super) fn records(&self, cut: usize) -> Vec<(u64, Vec<Event>)> {
        let gone =
            self.deleted.iter().filter(|(_, when)| *when <= cut).map(|(file, _)| *file).max().unwrap_or(0);
        let mut files: BTreeMap<u64, Vec<Event>> = BTreeMap::new();
        for (file, event) in self.events.iter().take(cut).filter(|(file, _)| *file > gone) {
            files.entry(*file).or_default().push(*event);
        }
        files.into_iter().collect()
    }

    /// Holds what was recovered against what is true.
    pub(super) fn check(&self, cut: usize, recovered: &Recovered) -> Result<(), TestCaseError> {
        let truth = &self.truths[cut];
        let keys: Vec<Key> = told(recovered).keys().copied().collect();
        prop_assert_eq!(&keys, &truth.keys().copied().collect::<Vec<_>>(), "keys, cut at {}", cut);
        for (of, (pieces, bounds)) in told(recovered) {
            let (unsettled, bounded) = &truth[&of];
            let written = |span: &Span| -> BTreeSet<u64> {
                let is_of =
                    |(_, event): &&(u64, Event)| matches!(event, Event::Operation(key, ..) if *key == of);
                let seq = |event: &(u64, Event)| match event.1 {
                    Event::Operation(_, seq, ..) => seq,
                    _ => 0,
                };
                self.events
                    .iter()
                    .take(cut)
                    .filter(is_of)
                    .map(seq)
                    .filter(|seq| (span.0..=span.1).contains(seq))
                    .collect()
            };
            // Each operation in exactly one piece, and nothing in a piece that had settled.
            let told: Vec<u64> = pieces.iter().flat_map(&written).collect();
            prop_assert_eq!(
                &told,
                &unsettled.iter().copied().collect::<Vec<_>>(),
                "key {}, cut at {}",
                of,
                cut
            );
            let out = bounds.map(|bounds| written(&bounds)).unwrap_or_default();
            prop_assert_eq!(&out, bounded, "flight of key {}, cut at {}", of, cut);
        }
        let operations = |(_, event): &(u64, Event)| match *event {
            Event::Operation(_, _, position, _) => position,
            _ => None,
        };
        let mark = self.events.iter().take(cut).filter_map(operations).max();
        prop_assert_eq!(recovered.sources.iter().find_map(|source| source.1), mark, "mark, cut at {}", cut);
        Ok(())
    }
}

fn span(entry: &[u64]) -> Span {
    (entry[0], entry[entry.len() - 1])
}

/// Of each key, its pieces in order and its bounds.
type Told = BTreeMap<Key, (Vec<Span>, Option<Span>)>;

/// What was recovered, in these terms.
pub(super) fn told(recovered: &Recovered) -> Told {
    let key = |unsettled: &Unsettled| {
        let index = INDICES.iter().position(|name| **name == *recovered.indices[unsettled.index]).unwrap();
        2 * index + usize::from(&*unsettled.id == "b")
    };
    let spans = |unsettled: &Unsettled| -> Vec<Span> {
        unsettled.pieces.iter().map(|piece| (piece.first, piece.last)).collect()
    };
    let bounds = |unsettled: &Unsettled| {
        let out = unsettled.pieces.get(..unsettled.in_flight)?;
        Some((out.first()?.first, out.last()?.last))
    };
    recovered.keys.iter().map(|unsettled| (key(unsettled), (spans(unsettled), bounds(unsettled)))).collect()
}

/// The rules as they are written, over lists.
pub(super) fn naive(events: impl Iterator<Item = Event>) -> Told {
    let mut keys: [(Vec<Span>, Option<Span>); KEYS] = Default::default();
    let settle = |(pieces, bounds): &mut (Vec<Span>, Option<Span>), last: u64| {
        pieces.retain(|piece| piece.1 > last);
        *bounds = bounds.filter(|bounds| bounds.1 > last);
    };
    for event in events {
        match event {
            Event::Operation(key, seq, ..) => keys[key].0.push((seq, seq)),
            Event::Moved(key, (first, last)) => {
                keys[key].0.retain(|piece| !(piece.1 <= last && piece.0 >= first));
                keys[key].0.push((first, last));
                keys[key].0.sort_unstable();
            }
            Event::Settled(key, last) => settle(&mut keys[key], last),
            Event::Watermark(seq) => keys.iter_mut().for_each(|key| settle(key, seq)),
            Event::Bounds(key, span) => keys[key].1 = Some(span),
            Event::Unbound(key, last) => keys[key].1 = keys[key].1.filter(|bounds| bounds.1 != last),
            Event::Ceiling(_) | Event::Index(_) | Event::Source(_) => {}
        }
    }
    keys.into_iter()
        .enumerate()
        .filter(|(_, (pieces, bounds))| !pieces.is_empty() || bounds.is_some())
        .collect()
}
