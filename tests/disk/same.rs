//! Without faults the simulated disk cannot be told from a system's: random calls give the same answers on both.

use crate::simulated::SimulatedDisk;
use millpond::disk::{DirectoryLock, Disk, DiskFile, SystemDisk};
use proptest::prelude::*;
use std::{io, path::Path};

const NAMES: [&str; 4] = ["a", "b", "c.tmp", "c"];
const DIRECTORIES: [&str; 3] = ["one", "one/two", "three"];
const HANDLES: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    CreateDirectory(usize),
    Lock(usize),
    Unlock,
    List(usize),
    Create { handle: usize, directory: usize, name: usize, bytes: u64 },
    Open { handle: usize, directory: usize, name: usize, for_writing: bool },
    Close(usize),
    Rename { directory: usize, from: usize, to: usize },
    Remove { directory: usize, name: usize },
    SyncDirectory(usize),
    Read { handle: usize, offset: u64, bytes: usize },
    Write { handle: usize, offset: u64, bytes: usize, with: u8 },
    SetLength { handle: usize, bytes: u64 },
    Length(usize),
    Sync(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (handle, directory, name) = (0..HANDLES, 0..DIRECTORIES.len(), 0..NAMES.len());
    let place = prop_oneof![0_u64..20, 0_u64..9000];
    let step = prop_oneof![
        3 => directory.clone().prop_map(Step::CreateDirectory),
        1 => directory.clone().prop_map(Step::Lock),
        1 => Just(Step::Unlock),
        1 => directory.clone().prop_map(Step::List),
        4 => (handle.clone(), directory.clone(), name.clone(), prop_oneof![Just(0), 0_u64..9000])
            .prop_map(|(handle, directory, name, bytes)| Step::Create { handle, directory, name, bytes }),
        3 => (handle.clone(), directory.clone(), name.clone(), any::<bool>()).prop_map(
            |(handle, directory, name, for_writing)| Step::Open { handle, directory, name, for_writing }
        ),
        1 => handle.clone().prop_map(Step::Close),
        2 => (directory.clone(), name.clone(), name.clone())
            .prop_map(|(directory, from, to)| Step::Rename { directory, from, to }),
        1 => (directory.clone(), name).prop_map(|(directory, name)| Step::Remove { directory, name }),
        1 => directory.prop_map(Step::SyncDirectory),
        6 => (handle.clone(), place.clone(), 0_usize..9000)
            .prop_map(|(handle, offset, bytes)| Step::Read { handle, offset, bytes }),
        8 => (handle.clone(), place.clone(), prop_oneof![0_usize..30, 0_usize..9000], any::<u8>()).prop_map(
            |(handle, offset, bytes, with)| Step::Write { handle, offset, bytes, with }
        ),
        2 => (handle.clone(), place).prop_map(|(handle, bytes)| Step::SetLength { handle, bytes }),
        2 => handle.clone().prop_map(Step::Length),
        1 => handle.prop_map(Step::Sync),
    ];
    proptest::collection::vec(step, 1..80)
}

/// A process on a disk: its handles and its lock.
struct Process<'d> {
    disk: &'d dyn Disk,
    root: &'d Path,
    files: [Option<Box<dyn DiskFile>>; HANDLES],
    lock: Option<DirectoryLock>,
}

/// What a step shows: bytes and numbers, or what kind of error.
type Seen = Result<String, io::ErrorKind>;

impl Process<'_> {
    fn carry_out(&mut self, step: &Step) -> Seen {
        self.try_out(step).map_err(|error| error.kind())
    }

    fn try_out(&mut self, step: &Step) -> io::Result<String> {
        let directory = |directory: usize| self.root.join(DIRECTORIES[directory]);
        let path = |at: usize, name: usize| directory(at).join(NAMES[name]);
        let mut shown = String::new();
        match *step {
            Step::CreateDirectory(at) => self.disk.create_directory(&directory(at))?,
            Step::Lock(at) => {
                let lock = self.disk.lock(&directory(at))?;
                self.lock = Some(lock);
            }
            Step::Unlock => self.lock = None,
            Step::List(at) => {
                let mut names = self.disk.list(&directory(at))?;
                names.sort();
                shown = names.join(" ");
            }
            Step::Create { handle, directory, name, bytes } => {
                self.files[handle] = Some(self.disk.create(&path(directory, name), bytes)?);
            }
            Step::Open { handle, directory, name, for_writing: false } => {
                self.files[handle] = Some(self.disk.open(&path(directory, name))?);
            }
            Step::Open { handle, directory, name, for_writing: true } => {
                self.files[handle] = Some(self.disk.open_for_writing(&path(directory, name))?);
            }
            Step::Close(handle) => self.files[handle] = None,
            Step::Rename { directory, from, to } => {
                self.disk.rename(&path(directory, from), &path(directory, to))?;
            }
            Step::Remove { directory, name } => self.disk.remove(&path(directory, name))?,
            Step::SyncDirectory(at) => self.disk.sync_directory(&directory(at))?,
            Step::Read { handle, .. }
            | Step::Write { handle, .. }
            | Step::SetLength { handle, .. }
            | Step::Length(handle)
            | Step::Sync(handle) => {
                if let Some(file) = &self.files[handle] {
                    shown = on_file(&**file, step)?;
                }
            }
        }
        Ok(shown)
    }
}

fn on_file(file: &dyn DiskFile, step: &Step) -> io::Result<String> {
    match *step {
        Step::Read { offset, bytes, .. } => {
            let mut into = vec![0; bytes];
            let count = file.read_at(&mut into, offset)?;
            into.truncate(count);
            return Ok(format!("{into:?}"));
        }
        // A system says that the handle is bad, of which the standard library has no kind; only that it fails is compared.
        Step::Write { offset, bytes, with, .. } => {
            let written = file.write_at(&vec![with; bytes], offset).ok();
            return Ok(format!("{written:?}"));
        }
        Step::SetLength { bytes, .. } => return Ok(format!("{}", file.set_length(bytes).is_ok())),
        Step::Length(_) => return Ok(format!("{}", file.length()?)),
        _ => {}
    }
    file.sync_data()?;
    file.sync_all()?;
    Ok(String::new())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_simulated_disk_answers_as_the_systems_does(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let simulated = SimulatedDisk::new(1);
        for disk in [&SystemDisk as &dyn Disk, &simulated] {
            disk.create_directory(&dir.path().join(DIRECTORIES[0])).unwrap();
        }
        let process = |disk| Process { disk, root: dir.path(), files: [None, None, None], lock: None };
        let (mut one, mut other) = (process(&SystemDisk), process(&simulated));
        for (number, step) in steps.iter().enumerate() {
            prop_assert_eq!(one.carry_out(step), other.carry_out(step), "step {}: {:?}", number, step);
            simulated.validate();
        }
        for directory in DIRECTORIES.map(|name| dir.path().join(name)) {
            for name in NAMES.map(|name| directory.join(name)) {
                prop_assert_eq!(std::fs::read(&name).ok(), simulated.read_file(&name).ok());
            }
        }
    }
}
