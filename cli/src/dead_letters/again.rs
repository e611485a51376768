//! A flight that goes out again as the one it was: under its own sequence numbers.
//!
//! # Design
//! The engine gives every operation that it accepts a new number, and a number says how new an operation is. A letter is as old as it
//! ever was. So on the way to the sink each item gets the numbers of its letter: a store then holds the document as of then, and a
//! server's fence, with the id of the letter's own engine, is the one that the flight would have left. Whatever comes
//! afterwards is newer, a repeat is known as one, and so is what the engine that wrote the letter sends, now or after a crash.
//!
//! On the way to the dead letters it gets them as well: a letter that is refused again is the same letter with another reason.
//!
//! # Why not in the engine
//! Its numbers rise within a key, and memory, flights and the watermark rely on that. Nothing waits here beside the letters: there is
//! one operation of a document at a time.
//!
//! # Invariants
//! 1. An item of a letter goes out with the letter's numbers, or, where it is forced, with new ones.
//! 2. The file of a letter that is refused again has the numbers of the first.

use crate::{pond::LateFile, sync::Mutex};
use millpond::{
    Batch, DeadLetter, DeadLetters, Error, ErrorKind, Item, Limits, Outcome, Result, Sink, Takes,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// What a letter's flight was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) engine: Option<u128>,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) operations: u64,
}

/// The flights that are out, by index and id.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    out: HashMap<(String, String), Flight>,
    /// Those that the sink left, as it holds something newer.
    stale: HashSet<(String, String)>,
    /// What is abandoned from now on stands in the file that was read.
    has_ended: bool,
}

impl Flights {
    /// These go out next, and none of those before.
    pub(crate) fn begin(&self, flights: impl Iterator<Item = ((String, String), Flight)>) {
        *self.state.lock() = State { out: flights.collect(), ..State::default() };
    }

    /// True where the sink said of a document's flight that it holds something newer.
    pub(crate) fn is_stale(&self, (index, id): (&str, &str)) -> bool {
        self.state.lock().stale.contains(&(index.to_owned(), id.to_owned()))
    }

    /// No letter is written any more.
    pub(crate) fn end(&self) {
        self.state.lock().has_ended = true;
    }

    fn find(&self, index: &str, id: &str) -> Option<Flight> {
        self.state.lock().out.get(&(index.to_owned(), id.to_owned())).copied()
    }
}

/// A sink that items go out to as the flights they were.
pub(crate) struct Again {
    pub(crate) inner: Arc<dyn Sink>,
    pub(crate) flights: Arc<Flights>,
}

impl Again {
    fn as_it_was(&self, item: &Item) -> Item {
        let mut item = item.clone();
        if let Some(flight) = self.flights.find(&item.index, &item.id) {
            (item.first_seq, item.last_seq) = (flight.first_seq, flight.last_seq);
            item.operations = flight.operations;
        }
        item
    }

    /// What the sink has something newer of was not sent too late by anybody's fault: it is told apart.
    fn note(&self, item: &Item, outcome: Outcome) -> Outcome {
        if outcome != Outcome::Stale {
            return outcome;
        }
        self.flights.state.lock().stale.insert((item.index.to_string(), item.id.to_string()));
        Outcome::Applied
    }
}

impl Sink for Again {
    fn takes(&self) -> Takes {
        self.inner.takes()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn send(&self, batch: &Batch) -> Vec<Outcome> {
        let items: Vec<Item> = batch.items.iter().map(|item| self.as_it_was(item)).collect();
        let batch = Batch { items, bytes: batch.bytes };
        let outcomes = self.inner.send(&batch);
        if outcomes.len() != batch.items.len() {
            return outcomes;
        }
        outcomes.into_iter().zip(&batch.items).map(|(outcome, item)| self.note(item, outcome)).collect()
    }

    fn identify(&self, engine: u128) {
        self.inner.identify(engine);
    }

    fn outlives_sender(&self) -> bool {
        self.inner.outlives_sender()
    }

    fn seq_floor(&self) -> u64 {
        self.inner.seq_floor()
    }

    fn reserve_seq(&self, ceiling: u64) -> Result<()> {
        self.inner.reserve_seq(ceiling)
    }

    fn health(&self) -> Result<()> {
        self.inner.health()
    }

    fn close(&self) -> Result<()> {
        self.inner.close()
    }
}

/// Where letters go that are refused again.
pub(crate) struct AgainLetters {
    pub(crate) file: LateFile,
    pub(crate) flights: Arc<Flights>,
}

impl DeadLetters for AgainLetters {
    fn record(&self, letter: &DeadLetter<'_>) -> Result<()> {
        if self.flights.state.lock().has_ended {
            return Err(Error::new(ErrorKind::Closed, "it stands in the file that was read"));
        }
        let Some(flight) = self.flights.find(letter.index, letter.id) else {
            return self.file.record(letter);
        };
        let Flight { engine, first_seq, last_seq, operations } = flight;
        let engine = engine.unwrap_or(letter.engine);
        self.file.record(&DeadLetter { engine, first_seq, last_seq, operations, ..*letter })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millpond::{Engine, MemorySink, Operation};
    use std::time::Duration;

    fn flights() -> Arc<Flights> {
        let flights = Arc::new(Flights::default());
        let flight = Flight { engine: Some(7), first_seq: 3, last_seq: 5, operations: 4 };
        flights.begin([(("i".to_owned(), "1".to_owned()), flight)].into_iter());
        flights
    }

    /// Sends a document, answered so; the line that its letter is, if it became one.
    fn sent(flights: &Arc<Flights>, answer: Outcome) -> Option<String> {
        struct Says(Outcome, Mutex<Vec<(u64, u64, u64)>>);
        impl Sink for Says {
            fn takes(&self) -> Takes {
                Takes::NetOperations
            }

            fn limits(&self) -> Limits {
                MemorySink::new(Takes::NetOperations).limits()
            }

            fn send(&self, batch: &Batch) -> Vec<Outcome> {
                let seen = |item: &Item| (item.first_seq, item.last_seq, item.operations);
                self.1.lock().extend(batch.items.iter().map(seen));
                vec![self.0.clone(); batch.items.len()]
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("letters");
        let says = Arc::new(Says(answer, Mutex::new(Vec::new())));
        let again = Again { inner: Arc::clone(&says) as Arc<dyn Sink>, flights: Arc::clone(flights) };
        let letters = AgainLetters { file: LateFile::new(path.clone()), flights: Arc::clone(flights) };
        let engine = Engine::builder().dead_letters(Arc::new(letters)).build(Arc::new(again), None).unwrap();
        engine.submit(Operation::index("i", "1", b"{}")).unwrap();
        engine.flush(Duration::from_secs(10)).unwrap();
        assert_eq!(*says.1.lock(), [(3, 5, 4)]);
        std::fs::read_to_string(path).ok()
    }

    #[test]
    fn an_item_goes_out_with_the_numbers_of_its_letter_and_is_refused_with_them() {
        assert_eq!(sent(&flights(), Outcome::Created), None);
        let line = sent(&flights(), Outcome::Rejected("no".to_owned())).unwrap();
        for part in [
            "\"engine\":\"00000000000000000000000000000007\"",
            "\"first_seq\":3,\"last_seq\":5,\"operations\":4",
        ] {
            assert!(line.contains(part), "{line}");
        }
    }

    #[test]
    fn what_the_sink_holds_something_newer_of_is_no_letter_again() {
        let flights = flights();
        assert_eq!(sent(&flights, Outcome::Stale), None);
        assert!(flights.is_stale(("i", "1")) && !flights.is_stale(("i", "2")));
    }
}
