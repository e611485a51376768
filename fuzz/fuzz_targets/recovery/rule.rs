//! What an opening must do with the files that are left: the rule in the target's header.

use super::stream::{self, FILE_HEADER_BYTES, Header, Is, Name, Part};
use std::collections::BTreeMap;

/// Files by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What was written to each file that was ever made.
pub type Originals = BTreeMap<Header, Vec<u8>>;

/// What is said where it is not a file that is wrong, but one that is not there.
const NO_FILE: &str = "nothing says that file";
const ZEROES: [u8; 4096] = [0; 4096];

#[derive(Debug)]
pub enum Verdict {
    /// The file, and the first byte that is wrong, where it is one.
    Refused {
        file: String,
        at: Option<usize>,
    },
    Opens(Counting),
}

/// What counts.
#[derive(Clone, Debug)]
pub struct Counting {
    /// In the order in which they were written.
    pub operations: Vec<Name>,
    /// The number of the oldest file.
    pub oldest: Option<u64>,
}

impl Counting {
    /// True where nobody can tell that something is missing, as all is.
    pub fn lacks_unseen(&self, sound: &Self) -> bool {
        self.oldest.is_none() && sound.oldest.is_some()
    }
}

/// One file of those that are left.
struct Left<'a> {
    name: &'a str,
    bytes: &'a [u8],
    header: Header,
    parts: Vec<Part>,
    original: &'a [u8],
}

impl Left<'_> {
    fn is_whole(&self, part: &Part) -> bool {
        self.bytes.get(part.at..part.end) == self.original.get(part.at..part.end)
    }

    /// What its first record says of the file before, if that record is whole.
    fn begin(&self) -> Option<(u64, usize)> {
        let [group, first, ..] = &*self.parts else { return None };
        match first.is {
            Is::Begin { number, end } if self.is_whole(group) && self.is_whole(first) => Some((number, end)),
            _ => None,
        }
    }

    /// The first part that is not as it was written, or the end of all; and whether it is between groups.
    fn sound_to(&self) -> (usize, bool) {
        let wrong = self.parts.iter().find(|part| !self.is_whole(part));
        let end = self.parts.last().map_or(FILE_HEADER_BYTES, |last| last.end);
        wrong.map_or((end, true), |part| (part.at, matches!(part.is, Is::Group { .. })))
    }

    /// Where it ends; or where it is damaged.
    fn judge(&self, known: Option<usize>) -> Result<usize, usize> {
        let (x, is_between) = self.sound_to();
        if let Some(end) = known {
            return if x >= end { Ok(end) } else { Err(x) };
        }
        let is_short = self.bytes.len() < stream::made(&self.header);
        if is_between && is_zero(self.bytes.get(x..).unwrap_or_default()) {
            return if is_short { Err(x) } else { Ok(x) };
        }
        let says_more = |part: &Part| matches!(part.is, Is::Group { synced } if synced > x);
        let behind = self.parts.iter().filter(|part| part.at >= x);
        let is_synced = behind.filter(|part| says_more(part)).any(|part| self.is_whole(part));
        if is_synced || is_short { Err(x) } else { Ok(x) }
    }

    fn parts_to(&self, end: usize) -> impl Iterator<Item = &Is> {
        self.parts.iter().take_while(move |part| part.end <= end).map(|part| &part.is)
    }
}

/// See the module.
pub fn judge(originals: &Originals, files: &Files) -> Verdict {
    let mut left = Vec::new();
    for (name, bytes) in files.iter().filter(|(name, _)| is_journal(name)) {
        let made = bytes.first_chunk().and_then(|header| originals.get_key_value(header));
        let Some((header, original)) = made else { return Verdict::Refused { file: name.clone(), at: None } };
        left.push(Left { name, bytes, header: *header, parts: stream::parts(original), original });
    }
    let oldest = left.iter().map(|file| stream::oldest(&file.header)).max().unwrap_or(0);
    left.retain(|file| stream::number(&file.header) >= oldest);
    let begins: BTreeMap<u64, usize> = left.iter().rev().filter_map(Left::begin).collect();
    let mut counting: Vec<(&Left<'_>, usize)> = Vec::new();
    for file in &left {
        let number = stream::number(&file.header);
        if counting.last().is_some_and(|(before, _)| stream::number(&before.header) + 1 != number) {
            return Verdict::Refused { file: file.name.to_owned(), at: None };
        }
        let known = begins.get(&number).copied();
        match file.judge(known) {
            Ok(FILE_HEADER_BYTES) if known.is_none() => {}
            Ok(end) => counting.push((file, end)),
            Err(x) => return Verdict::Refused { file: file.name.to_owned(), at: Some(x) },
        }
    }
    let parts = || counting.iter().flat_map(|(file, end)| file.parts_to(*end));
    let operation = |is: &Is| if let Is::Operation(name) = is { Some(name.clone()) } else { None };
    let said = parts().map(|is| if let Is::Gone { number } = is { *number } else { 0 }).max();
    if let Some(first) = left.first()
        && stream::number(&first.header) > said.unwrap_or(0).max(oldest)
    {
        return Verdict::Refused { file: NO_FILE.to_owned(), at: None };
    }
    Verdict::Opens(Counting {
        operations: parts().filter_map(operation).collect(),
        oldest: counting.first().map(|(file, _)| stream::number(&file.header)),
    })
}

/// In pieces: a look at each byte is told to the fuzzer.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(ZEROES.len()).all(|piece| *piece == ZEROES[..piece.len()])
}

/// True for a name that a journal gives.
pub fn is_journal(name: &str) -> bool {
    let digits = name.strip_suffix(".journal").filter(|digits| digits.len() == 20);
    digits.and_then(|digits| digits.parse().ok()).is_some_and(|number: u64| number <= u64::MAX / 2)
}
