//! What can be done to a world, as data.

use super::action::OwnedAction;
use super::faults::{Answer, Reads};

/// One thing done to a world. Numbers that name something (a key, a batch that is out) are taken modulo how many
/// there are, so every step can be done at every time: lists of them can be cut anywhere when they shrink.
#[derive(Clone, Debug)]
pub enum Step {
    Submit {
        key: u8,
        routing: u8,
        tracked: bool,
        write: Write,
    },
    /// All on one key, unless there is one shard.
    Batch(Vec<(u8, u8, Write)>),
    Get(u8),
    GetMany(Vec<u8>),
    Scan {
        index: u8,
        page: u8,
    },
    Flush,
    Stats,
    Watermark,
    Validate,
    /// Lets microseconds pass.
    Advance(u64),
    /// Moves the wall clock by microseconds, either way.
    Wall(i64),
    /// Asks the drain for a batch.
    Take,
    /// Has the sink carry out a batch that is out, item by item as the answers say, over and over.
    Send {
        batch: u8,
        answers: Vec<Answer>,
    },
    /// Brings a batch back, sent or not: what it was not told is unknown.
    Finish {
        batch: u8,
        heard: Heard,
    },
    /// How reads of the base go from now on.
    Reads(Reads),
    /// Whether dead letters can be written from now on.
    Letters(bool),
    /// Begins to close: nothing is accepted from now on.
    Close,
}

/// What the engine hears of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// An outcome for each item.
    All,
    /// One outcome too few.
    TooFew,
    /// Nothing: the flights are dropped.
    Nothing,
}

/// One operation, by small numbers.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// Which of [`KINDS`].
    pub kind: u8,
    pub field: u8,
    pub value: u8,
    /// Bytes of the large kinds.
    pub size: u16,
}

/// How many kinds of operations there are; the last is refused.
pub const KINDS: u8 = 25;
/// The kind that the engine must refuse.
const BAD: u8 = KINDS - 1;
/// The kinds with a large body.
pub const LARGE: [u8; 2] = [18, 19];

const FIELDS: [&str; 3] = ["a", "b", "c"];

impl Write {
    /// True where the engine must refuse the operation.
    pub fn is_bad(self) -> bool {
        self.kind % KINDS == BAD
    }

    pub fn action(self) -> OwnedAction {
        let field = FIELDS[usize::from(self.field) % FIELDS.len()];
        let other = FIELDS[(usize::from(self.field) + 1) % FIELDS.len()];
        let value = self.value % 5;
        let update = OwnedAction::Update;
        match self.kind % KINDS {
            0 => OwnedAction::Index(format!(r#"{{"{field}":{value}}}"#)),
            1 => OwnedAction::Create(format!(r#"{{"{field}":{value},"{other}":[{value}]}}"#)),
            2 => OwnedAction::Delete,
            3 => update(format!(r#"{{"doc":{{"{field}":{value}}}}}"#)),
            4 => update(format!(r#"{{"doc":{{"{field}":{value}}},"detect_noop":false}}"#)),
            5 => update(format!(r#"{{"doc":{{"{field}":{value}}},"upsert":{{"{field}":9}}}}"#)),
            6 => update(format!(r#"{{"doc":{{"{field}":"{value}"}},"doc_as_upsert":true}}"#)),
            7 => update(format!(r#"{{"inc":{{"{field}":{value}}}}}"#)),
            8 => update(format!(r#"{{"inc":{{"{field}":{value}.5}},"doc_as_upsert":true}}"#)),
            9 => update(format!(r#"{{"inc":{{"{field}":-{value}}},"upsert":{{"{field}":0}}}}"#)),
            10 => update(format!(r#"{{"append":{{"{field}":[{value}]}}}}"#)),
            11 => update(format!(r#"{{"union":{{"{field}":[{value},1]}}}}"#)),
            12 => update(format!(r#"{{"subtract":{{"{field}":[{value}]}}}}"#)),
            13 => update(format!(r#"{{"min":{{"{field}":{value}}}}}"#)),
            14 => update(format!(r#"{{"max":{{"{field}":{value}}}}}"#)),
            15 => update(format!(r#"{{"remove":{{"{field}":true}}}}"#)),
            16 => update(format!(r#"{{"set":[[["{field}"],{{"{other}":{value}}}]]}}"#)),
            17 => update(format!(
                r#"{{"max":{{"{field}":{value}}},"then":[{{"append":{{"{field}":[{value}]}}}},{{"min":{{"{field}":2}}}}]}}"#
            )),
            18 => {
                OwnedAction::Index(format!(r#"{{"{field}":{value},"t":"{}"}}"#, "x".repeat(self.size.into())))
            }
            19 => update(format!(
                r#"{{"doc":{{"{field}":"{}"}},"doc_as_upsert":true}}"#,
                "y".repeat(self.size.into())
            )),
            20 => update(format!(r#"{{"doc":{{"{field}":{{"{other}":{value}}}}}}}"#)),
            21 => update(format!(r#"{{"inc":{{"{field}":{{"{other}":{value}}}}}}}"#)),
            22 => update(r#"{"doc":{}}"#.to_owned()),
            23 => update(format!(r#"{{"remove":{{"{field}":{{"{other}":true}}}}}}"#)),
            _ => OwnedAction::Index(format!(r#"{{"{field}":1,"{field}":{value}}}"#)),
        }
    }
}
