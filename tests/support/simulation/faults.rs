//! The parts of a world that fail on cue: the script's answers, the base, the dead letters.

use super::random::Random;
use millpond::{
    Base, BaseDocument, BaseKey, DeadLetter, DeadLetters, Error, ErrorKind, MemorySink, NetOperation, Result,
    Scripted, Snapshot,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the sink is to treat an item. What no server could answer is made into `Done` by the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// Done, and answered without a word of whether there was a document.
    Untold,
    Stale,
    Rejected,
    /// Throttled, with the least wait in microseconds, if one is asked for.
    Again(Option<u64>),
    Lost,
    DoneUnheard,
    /// Unheard, and carried out after this part (of 255) of the late-request bound.
    Late(u8),
}

impl Answer {
    pub fn script(self, late_bound_us: u64) -> Scripted {
        match self {
            Self::Done | Self::Untold => Scripted::Done,
            Self::Stale => Scripted::Stale,
            Self::Rejected => Scripted::Rejected,
            Self::Again(after) => Scripted::Again(after.map(Duration::from_micros)),
            Self::Lost => Scripted::Lost,
            Self::DoneUnheard => Scripted::DoneUnheard,
            Self::Late(part) => Scripted::Late(Duration::from_micros(late_bound_us * u64::from(part) / 255)),
        }
    }
}

/// How reads of the base go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    Work,
    Fail,
    /// About half of the keys of each read fail.
    Flicker,
    /// About a quarter of the keys of each read are found damaged.
    Damaged,
}

/// The sink read as a base, on cue badly.
pub struct FaultyBase {
    sink: Arc<MemorySink>,
    /// A base may forget tombstones at any time.
    forgets: bool,
    /// A base that is broken: it says that everything is older than it is.
    wrong_seqs: bool,
    state: Mutex<(Reads, Random)>,
}

impl FaultyBase {
    pub fn new(sink: Arc<MemorySink>, seed: u64, forgets: bool, wrong_seqs: bool) -> Self {
        Self { sink, forgets, wrong_seqs, state: Mutex::new((Reads::Work, Random::new(seed))) }
    }

    pub fn set(&self, reads: Reads) {
        self.state.lock().unwrap().0 = reads;
    }

    pub fn works(&self) -> bool {
        self.state.lock().unwrap().0 == Reads::Work
    }

    fn spoil(&self, found: Option<BaseDocument>) -> Result<Option<BaseDocument>> {
        let (reads, random) = &mut *self.state.lock().unwrap();
        match reads {
            Reads::Fail => return Err(Error::new(ErrorKind::Io, "reads fail by the script")),
            Reads::Flicker if random.chance(50) => return Err(Error::new(ErrorKind::Io, "reads flicker")),
            Reads::Damaged if random.chance(25) => {
                return Err(Error::new(ErrorKind::Damaged, "a flipped bit"));
            }
            _ => {}
        }
        let tombstone = found.as_ref().is_some_and(|stored| stored.source.is_none());
        if tombstone && self.forgets && random.chance(50) {
            return Ok(None);
        }
        let seq = |stored: &BaseDocument| if self.wrong_seqs { stored.seq - 1 } else { stored.seq };
        Ok(found.map(|stored| BaseDocument { seq: seq(&stored), ..stored }))
    }
}

impl Base for FaultyBase {
    fn read(&self, keys: &[BaseKey<'_>]) -> Vec<Result<Option<BaseDocument>>> {
        self.sink.read(keys).into_iter().map(|found| self.spoil(found?)).collect()
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>> {
        self.sink.snapshot()
    }
}

/// A dead letter, as it was recorded.
#[derive(Clone, Debug)]
pub struct Letter {
    pub index: String,
    pub id: String,
    pub routing: Option<String>,
    pub operation: NetOperation,
    pub first_seq: u64,
    pub last_seq: u64,
    pub operations: u64,
}

/// Keeps dead letters, or refuses to.
#[derive(Default)]
pub struct Letters {
    state: Mutex<(Vec<Letter>, bool)>,
}

impl Letters {
    pub fn fail(&self, fail: bool) {
        self.state.lock().unwrap().1 = fail;
    }

    pub fn take(&self) -> Vec<Letter> {
        std::mem::take(&mut self.state.lock().unwrap().0)
    }
}

impl DeadLetters for Letters {
    fn record(&self, letter: &DeadLetter<'_>) -> Result<()> {
        let (letters, fail) = &mut *self.state.lock().unwrap();
        if *fail {
            return Err(Error::new(ErrorKind::Io, "letters fail by the script"));
        }
        letters.push(Letter {
            index: letter.index.to_owned(),
            id: letter.id.to_owned(),
            routing: letter.routing.map(str::to_owned),
            operation: letter.operation.clone(),
            first_seq: letter.first_seq,
            last_seq: letter.last_seq,
            operations: letter.operations,
        });
        Ok(())
    }
}
