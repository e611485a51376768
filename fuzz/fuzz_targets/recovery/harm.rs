//! What somebody does to the files of a journal.

use super::{
    rule::{Files, Originals, is_journal},
    stream::{self, Part},
};

/// One thing done to a file; all numbers are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
pub struct Harm {
    pub kind: u8,
    pub file: u8,
    pub place: u16,
    pub bits: u8,
}

impl Harm {
    /// Does it. All files are there: the lock's and spares too.
    pub fn apply(self, originals: &Originals, files: &mut Files) {
        // Every other time one that counts.
        let of_journal = |name: &&String| self.file & 1 == 0 || is_journal(name);
        let names: Vec<&String> = files.keys().filter(of_journal).collect();
        if names.is_empty() {
            return;
        }
        let name = names[usize::from(self.file >> 1) % names.len()].clone();
        let place = usize::from(self.place);
        let file = files.get_mut(&name).unwrap();
        let length = file.len();
        let bits = if self.bits == 0 { 0xFF } else { self.bits };
        // What was written there, if it still says so.
        let header = file.first_chunk().filter(|header| originals.contains_key(*header));
        let parts: Vec<Part> = header.map(|header| stream::parts(&originals[header])).unwrap_or_default();
        let part = parts.len().checked_sub(1).map(|last| &parts[last - place % parts.len()]);
        match self.kind % 8 {
            // Somewhere in what was written, or close behind.
            0 => {
                let end = parts.last().map_or(stream::FILE_HEADER_BYTES, |last| last.end);
                flip(file, place % (end + 16), bits);
            }
            // In a header of a group, or a record: all are as likely, be they long or short.
            1 => {
                let at = part.map(|part| part.at + usize::from(self.bits) % (part.end - part.at));
                at.into_iter().for_each(|at| flip(file, at, bits));
            }
            2 => flip(file, place, bits),
            3 => {
                let from = place.min(length);
                let to = (from + (1 << (self.bits % 17))).min(length);
                file[from..to].fill(0);
            }
            // The end of what was written, from one of the last parts on.
            4 => {
                let from = part.map_or(length, |part| part.at.min(length));
                file[from..].fill(0);
            }
            5 => file.truncate(place.min(length)),
            6 => drop(files.remove(&name)),
            _ => {
                let (file, number) = (file.clone(), u64::from(self.place));
                let copy = match self.bits % 4 {
                    0 => format!("{number:020}.journal"),
                    1 => format!("{:020}.journal", u64::MAX - number),
                    2 => names_next(&name),
                    _ => format!("{number:020}.spare.tmp"),
                };
                files.insert(copy, file);
            }
        }
    }
}

fn flip(file: &mut [u8], at: usize, bits: u8) {
    if let Some(byte) = file.get_mut(at) {
        *byte ^= bits;
    }
}

/// The name that is one higher.
fn names_next(name: &str) -> String {
    let number = name.strip_suffix(".journal").and_then(|digits| digits.parse::<u64>().ok());
    format!("{:020}.journal", number.map_or(1, |number| number.saturating_add(1)))
}
