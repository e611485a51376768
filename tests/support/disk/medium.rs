//! The whole file system of the simulated disk, as a plain value: nodes by number, found by walking names.

use super::{
    PowerCut,
    faults::Schedule,
    image::{Bytes, Contents, PAGE_BYTES, pages},
    names::{Changes, Names},
    random::Random,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, ErrorKind},
    path::{Component, Path},
};

/// How much of a call is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    Nothing,
    Part,
    All,
}

/// Far more than a simulation can hold.
const FILE_BYTES_MAX: u64 = 1 << 40;

const ROOT: u64 = 0;

#[derive(Clone, Debug)]
enum Node {
    File {
        contents: Contents,
        /// How many handles there are: a file without a name is kept for as long as there is one.
        opened: u64,
    },
    Directory(Names),
}

#[derive(Clone, Debug)]
pub struct Medium {
    nodes: BTreeMap<u64, Node>,
    next_number: u64,
    pub schedule: Schedule,
    /// How many bytes may be allocated.
    pub capacity: u64,
    /// Rises with each restart: a handle of another generation is of a process that is gone.
    pub generation: u64,
    pub is_dead: bool,
    random: Random,
}

fn fail<T>(kind: ErrorKind, path: &Path) -> io::Result<T> {
    Err(io::Error::new(kind, format!("{} ({kind}, simulated)", path.display())))
}

fn usize_of(number: u64) -> io::Result<usize> {
    let fits = number <= FILE_BYTES_MAX;
    usize::try_from(number).ok().filter(|_| fits).ok_or_else(|| ErrorKind::FileTooLarge.into())
}

impl Medium {
    pub fn new(seed: u64) -> Self {
        Self {
            nodes: BTreeMap::from([(ROOT, Node::Directory(Names::default()))]),
            next_number: ROOT + 1,
            schedule: Schedule::default(),
            capacity: u64::MAX,
            generation: 0,
            is_dead: false,
            random: Random::new(seed),
        }
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    /// The node that a path leads to.
    pub fn find(&self, path: &Path) -> io::Result<u64> {
        let mut node = ROOT;
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            let Node::Directory(names) = &self.nodes[&node] else {
                return fail(ErrorKind::NotADirectory, path);
            };
            match name.to_str().and_then(|name| names.seen.get(name)) {
                Some(found) => node = *found,
                None => return fail(ErrorKind::NotFound, path),
            }
        }
        Ok(node)
    }

    pub fn directory(&mut self, path: &Path) -> io::Result<&mut Names> {
        let node = self.find(path)?;
        match self.nodes.get_mut(&node) {
            Some(Node::Directory(names)) => Ok(names),
            _ => fail(ErrorKind::NotADirectory, path),
        }
    }

    /// The directory that a path's last name stands in, and that name.
    fn parent<'p>(&mut self, path: &'p Path) -> io::Result<(&mut Names, &'p str)> {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return fail(ErrorKind::InvalidInput, path);
        };
        Ok((self.directory(path.parent().unwrap_or(path))?, name))
    }

    pub fn file(&mut self, node: u64) -> &mut Contents {
        match self.nodes.get_mut(&node) {
            Some(Node::File { contents, .. }) => contents,
            _ => panic!("node {node} is no file"),
        }
    }

    pub fn open(&self, path: &Path) -> io::Result<u64> {
        let node = self.find(path)?;
        match self.nodes[&node] {
            Node::File { .. } => Ok(node),
            Node::Directory(_) => fail(ErrorKind::IsADirectory, path),
        }
    }

    pub fn change_opened(&mut self, node: u64, change: i64) {
        if let Some(Node::File { opened, .. }) = self.nodes.get_mut(&node) {
            *opened = opened.saturating_add_signed(change);
        }
    }

    /// Makes directories from the top down, each durable before the one below it, unless it is only in `Part`.
    pub fn create_directory(&mut self, path: &Path, extent: Extent) -> io::Result<()> {
        if let Some(parent) = path.parent().filter(|parent| self.directory(parent).is_err()) {
            self.create_directory(parent, extent)?;
        }
        if self.find(path).is_err() {
            let node = self.number();
            self.nodes.insert(node, Node::Directory(Names::default()));
            let (names, name) = self.parent(path)?;
            names.put(name, node);
        }
        self.directory(path)?;
        if extent == Extent::All
            && let Ok((names, _)) = self.parent(path)
        {
            names.sync();
        }
        Ok(())
    }

    /// Locks a directory; returns the number of the lock.
    pub fn lock(&mut self, path: &Path, lock_file: &str) -> io::Result<u64> {
        self.directory(path)?;
        if self.find(&path.join(lock_file)).is_err() {
            self.create(&path.join(lock_file))?;
        }
        let lock = self.number();
        let names = self.directory(path)?;
        if names.locked.is_some() {
            return fail(ErrorKind::ResourceBusy, path);
        }
        names.locked = Some(lock);
        Ok(lock)
    }

    pub fn unlock(&mut self, lock: u64) {
        for node in self.nodes.values_mut() {
            if let Node::Directory(names) = node
                && names.locked == Some(lock)
            {
                names.locked = None;
            }
        }
    }

    pub fn create(&mut self, path: &Path) -> io::Result<u64> {
        let node = self.number();
        let (names, name) = self.parent(path)?;
        if names.seen.contains_key(name) {
            return fail(ErrorKind::AlreadyExists, path);
        }
        names.put(name, node);
        self.nodes.insert(node, Node::File { contents: Contents::default(), opened: 0 });
        Ok(node)
    }

    /// A file that is on the medium as it is, name and all.
    pub fn put(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let node = self.number();
        let (names, name) = self.parent(path)?;
        names.put(name, node);
        names.sync();
        self.nodes.insert(node, Node::File { contents: Contents::stable(bytes), opened: 0 });
        Ok(())
    }

    pub fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.open(from)?;
        if self.find(to).is_ok() {
            self.open(to)?;
        }
        if from.parent() != to.parent() {
            return fail(ErrorKind::CrossesDevices, to);
        }
        let (_, to) = self.parent(to)?;
        let (names, from) = self.parent(from)?;
        if from != to {
            names.rename(from, to);
        }
        Ok(())
    }

    pub fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.open(path)?;
        let (names, name) = self.parent(path)?;
        names.remove(name);
        Ok(())
    }

    pub fn sync_directory(&mut self, path: &Path, extent: Extent) -> io::Result<()> {
        let mut random = self.random.clone();
        let names = self.directory(path)?;
        match extent {
            Extent::Nothing => names.fail_to_sync(Changes::Lost, &mut random),
            Extent::Part => names.fail_to_sync(Changes::Scattered, &mut random),
            Extent::All => names.sync(),
        }
        self.random = random;
        self.forget_the_unreachable();
        Ok(())
    }

    pub fn sync(&mut self, node: u64, extent: Extent) {
        let mut random = self.random.clone();
        let contents = self.file(node);
        match extent {
            Extent::Nothing => contents.fail_to_sync(Bytes::Lost, &mut random),
            Extent::Part => contents.fail_to_sync(Bytes::Scattered, &mut random),
            Extent::All => contents.sync(),
        }
        self.random = random;
    }

    pub fn read(&mut self, node: u64, into: &mut [u8], offset: u64, extent: Extent) -> usize {
        let asked = into.len().min(self.shortened(into.len(), extent));
        let bytes = &self.file(node).seen.bytes;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let count = asked.min(bytes.len() - start);
        into[..count].copy_from_slice(&bytes[start..start + count]);
        count
    }

    pub fn write(&mut self, node: u64, bytes: &[u8], offset: u64, extent: Extent) -> io::Result<usize> {
        let end = usize_of(offset.saturating_add(bytes.len() as u64))?;
        let at = end - bytes.len();
        let asked = self.shortened(bytes.len(), extent);
        let fits = self.fitting(node, at, asked);
        if fits == 0 && asked > 0 {
            return Err(io::Error::new(ErrorKind::StorageFull, "the simulated disk is full"));
        }
        if fits > 0 {
            self.file(node).write(at, &bytes[..fits]);
        }
        Ok(fits)
    }

    /// Some of so many bytes, at least one and not all where that can be.
    fn shortened(&mut self, bytes: usize, extent: Extent) -> usize {
        if extent == Extent::All || bytes < 2 {
            return bytes;
        }
        self.random.within(1, bytes as u64 - 1) as usize
    }

    pub fn set_length(&mut self, node: u64, bytes: u64) -> io::Result<()> {
        let bytes = usize_of(bytes)?;
        self.file(node).set_length(bytes);
        Ok(())
    }

    /// All or nothing, as the caller removes the file where it fails.
    pub fn allocate(&mut self, node: u64, bytes: u64) -> io::Result<()> {
        let bytes = usize_of(bytes)?;
        if self.fitting(node, 0, bytes) < bytes {
            return Err(io::Error::new(ErrorKind::StorageFull, "the simulated disk is full"));
        }
        self.file(node).allocate(bytes);
        Ok(())
    }

    /// Bytes that are allocated now.
    pub fn used(&self) -> u64 {
        let named: BTreeSet<u64> = self.names().flat_map(|names| names.seen.values().copied()).collect();
        let of_node = |(number, node): (&u64, &Node)| match node {
            Node::File { contents, opened } if *opened > 0 || named.contains(number) => {
                (contents.seen.pages.len() * PAGE_BYTES) as u64
            }
            _ => 0,
        };
        self.nodes.iter().map(of_node).sum()
    }

    /// How many of these bytes there is space for.
    fn fitting(&mut self, node: u64, at: usize, bytes: usize) -> usize {
        if self.capacity == u64::MAX {
            return bytes;
        }
        let free = self.capacity.saturating_sub(self.used()) / PAGE_BYTES as u64;
        let has = &self.file(node).seen.pages;
        let mut lacking = pages(at, bytes).filter(|page| !has.contains(page));
        match lacking.nth(usize::try_from(free).unwrap_or(usize::MAX)) {
            Some(page) => (page * PAGE_BYTES).saturating_sub(at),
            None => bytes,
        }
    }

    fn names(&self) -> impl Iterator<Item = &Names> {
        self.nodes.values().filter_map(|node| match node {
            Node::Directory(names) => Some(names),
            Node::File { .. } => None,
        })
    }

    /// Everything that was of the process that is gone: its locks, its handles, its faults.
    pub fn begin_generation(&mut self) {
        self.generation += 1;
        self.schedule = Schedule::default();
        for node in self.nodes.values_mut() {
            match node {
                Node::File { opened, .. } => *opened = 0,
                Node::Directory(names) => names.locked = None,
            }
        }
        self.forget_the_unreachable();
    }

    pub fn cut_power(&mut self, choice: PowerCut) {
        let random = &mut self.random;
        for node in self.nodes.values_mut() {
            match node {
                Node::File { contents, .. } => {
                    contents
                        .cut_power(choice.bytes.unwrap_or_else(|| *random.pick(&PowerCut::BYTES)), random);
                }
                Node::Directory(names) => {
                    names.cut_power(choice.names.unwrap_or_else(|| *random.pick(&PowerCut::NAMES)), random);
                }
            }
        }
    }

    /// Drops what has no name, can get none back, and is not open.
    fn forget_the_unreachable(&mut self) {
        let mut reached = BTreeSet::from([ROOT]);
        let mut open = vec![ROOT];
        while let Some(node) = open.pop() {
            if let Some(Node::Directory(names)) = self.nodes.get(&node) {
                open.extend(names.nodes().filter(|node| reached.insert(*node)));
            }
        }
        self.nodes.retain(|number, node| {
            reached.contains(number) || matches!(node, Node::File { opened, .. } if *opened > 0)
        });
    }

    pub fn validate(&self) {
        for node in self.nodes.values() {
            if let Node::File { contents, .. } = node {
                contents.validate();
            }
        }
        for node in self.names().flat_map(|names| names.seen.values()) {
            assert!(self.nodes.contains_key(node), "a name of nothing");
        }
    }
}
