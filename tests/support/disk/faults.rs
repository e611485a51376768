//! What goes wrong on the simulated disk, and at which call.

use std::{collections::BTreeMap, io};

/// The calls a disk gets. Making a file with space in it is two of them, as it is for a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    CreateDirectory,
    Lock,
    List,
    Create,
    Allocate,
    Open,
    Read,
    Write,
    SyncData,
    SyncAll,
    Length,
    SetLength,
    Rename,
    Remove,
    SyncDirectory,
}

impl Call {
    /// True where the call makes something durable.
    pub fn is_sync(self) -> bool {
        matches!(self, Self::SyncData | Self::SyncAll | Self::SyncDirectory | Self::CreateDirectory)
    }

    /// True where the call changes something.
    pub fn is_change(self) -> bool {
        !matches!(self, Self::List | Self::Open | Self::Read | Self::Length)
    }
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It returns an input/output error.
    Io,
    /// It says that there is no space.
    Full,
    /// A read or a write does some of what it was asked to and says so: no error. Other calls know no such thing.
    Short,
    /// A read or a write is interrupted before it did anything. The system hides this from other calls.
    Interrupted,
    /// The process dies in it: every call from now on fails and changes nothing, until a restart.
    Kill,
}

/// How much of a call takes effect although it returns an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// Nothing.
    Before,
    /// Of a write a prefix; of a sync some sectors or names; of making a directory its name, not durable. Of others nothing.
    Midway,
    /// All.
    After,
}

/// Which calls something happens to. Numbers start at 0, when the disk is made and at each restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The call with this number.
    Call(u64),
    /// The call with this number among those of one kind.
    Nth(Call, u64),
    /// All of one kind, until they are [healed](super::SimulatedDisk::heal).
    Every(Call),
}

/// The faults that were asked for, and the calls that were made.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    faults: Vec<(At, When, Fault)>,
    pub calls: Vec<Call>,
    of_kind: BTreeMap<Call, u64>,
}

impl Schedule {
    pub fn add(&mut self, at: At, when: When, fault: Fault) {
        self.faults.push((at, when, fault));
    }

    pub fn heal(&mut self) {
        self.faults.clear();
    }

    /// Counts a call, and says what happens to it: the fault that was asked for first.
    pub fn next(&mut self, call: Call) -> Option<(When, Fault)> {
        let number = self.calls.len() as u64;
        self.calls.push(call);
        let of_kind = self.of_kind.entry(call).or_default();
        let nth = std::mem::replace(of_kind, *of_kind + 1);
        let is_meant = |at: &At| match *at {
            At::Call(at) => at == number,
            At::Nth(kind, at) => kind == call && at == nth,
            At::Every(kind) => kind == call,
        };
        self.faults.iter().find(|(at, _, _)| is_meant(at)).map(|(_, when, fault)| (*when, *fault))
    }
}

impl Fault {
    /// What the caller sees.
    pub fn error(self, call: Call) -> io::Error {
        match self {
            Self::Io => io::Error::other(format!("simulated input/output error in {call:?}")),
            Self::Full => {
                io::Error::new(io::ErrorKind::StorageFull, format!("no space, simulated, in {call:?}"))
            }
            Self::Interrupted => io::ErrorKind::Interrupted.into(),
            Self::Short | Self::Kill => dead(),
        }
    }
}

pub fn dead() -> io::Error {
    io::Error::other("the process was killed, as far as the simulated disk is concerned")
}
