//! Folding an operation into the one that waits, where that stands.
//!
//! # Design
//! [`compose`] writes the composed operation anew, every byte of it. An update touches a few
//! fields of many, so that most bytes were there before: what is simple is a [`table`] from the
//! start, or from the first update on, and in a table only what differs is written.
//!
//! It takes two steps. [`Folding::find`] finds out what will change and how much room the result needs, and changes
//! nothing; then the shard gets that room, or refuses; then [`Folding::carry_out`] changes the bytes.
//!
//! A counter, which is a patch of one increment, is not worth a table: it stays as it is, and is [written](count_up) anew.
//!
//! # Why there is `compose` beside it
//! Some operations change all of the earlier one: a field that moves, a document that is made for where there was none,
//! long runs. And it is the twin that this is tested against.
//!
//! # Invariants
//! 1. What it gives is what `compose` gives: a document member by member, a patch primitive by primitive; but of two
//!    spellings of one value the later one stays, where `compose` keeps the earlier.
//! 2. Until it is carried out, nothing has changed but the scratch buffer, which is not to be touched meanwhile.

use super::decimal;
use super::encoding::Kind;
use super::json::scan::part;
use super::net::{Composed, HEADER_BYTES, NetRef, Parts, compose};
use super::table::{self, Edits, Flat};

/// How an operation becomes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The later operation comes in its stead.
    Later,
    /// What is in the scratch buffer comes in its stead.
    Composed,
    /// It is a table, or becomes the one in the first so many bytes of the scratch buffer; which is edited with what comes
    /// behind these, and gets this tag.
    Table { made: usize, tag: u8 },
}

/// A fold that was prepared; to be used again and again, as it keeps some memory.
#[derive(Debug)]
pub(crate) struct Folding {
    edits: Edits,
    step: Step,
    needs: usize,
    composed: Composed,
}

impl Default for Folding {
    fn default() -> Self {
        Self { edits: Edits::default(), step: Step::Later, needs: 0, composed: NOTHING }
    }
}

/// What there is beside a result where nothing was joined.
const NOTHING: Composed = Composed { misfits: 0, longest_run: 0 };

impl Folding {
    /// Finds out what folding an operation into the one that the first `len` bytes of `room` are comes to.
    pub(crate) fn find(&mut self, room: &[u8], len: usize, later: NetRef<'_>, scratch: &mut Vec<u8>) {
        if later.decides() {
            (self.step, self.needs, self.composed) = (Step::Later, later.room(), NOTHING);
            return;
        }
        let Parts::Patch(patch) = later.parts() else { return };
        let earlier = NetRef::from_bytes(room.get(..len).unwrap_or_default());
        let bytes = later.as_bytes();
        if !earlier.is_table() && count_up(earlier.as_bytes(), bytes, scratch).is_some() {
            self.composed = Composed { misfits: 0, longest_run: 1 };
            (self.step, self.needs) = (Step::Composed, scratch.len());
            return;
        }
        let is_simple = later.longest_run() <= 1;
        scratch.clear();
        let folded = if !is_simple {
            None
        } else if earlier.is_table() {
            table::fold((room, len), (bytes, patch), &mut self.edits, scratch).map(|folded| (folded, 0))
        } else {
            self.make_table(earlier, later, scratch)
        };
        if let Some((table::Folded { tag, needs, composed }, made)) = folded {
            (self.step, self.needs, self.composed) = (Step::Table { made, tag }, needs, composed);
        } else {
            self.composed = compose(earlier, later, scratch);
            (self.step, self.needs) = (Step::Composed, scratch.len());
        }
    }

    /// Makes a table of the earlier operation, in the scratch buffer, and puts behind it what comes into it.
    #[inline(never)]
    fn make_table(
        &mut self,
        earlier: NetRef<'_>,
        later: NetRef<'_>,
        scratch: &mut Vec<u8>,
    ) -> Option<(table::Folded, usize)> {
        let Parts::Patch(patch) = later.parts() else { return None };
        table::tabulate(earlier, scratch)?;
        let (len, mut made) = (scratch.len(), Vec::new());
        let folded = table::fold((scratch, len), (later.as_bytes(), patch), &mut self.edits, &mut made)?;
        scratch.extend_from_slice(&made);
        // The room must do for both: the table as it is made, and as it then is.
        Some((table::Folded { needs: folded.needs.max(len), ..folded }, len))
    }

    /// The room that the result needs: no less than its length, and no less than that of its common form.
    pub(crate) fn needs(&self) -> usize {
        self.needs
    }

    /// What was found out beside the result.
    pub(crate) fn composed(&self) -> Composed {
        self.composed
    }

    /// Folds, in a room of at least as many bytes as it [needs](Self::needs), of which the first `len` are as they were
    /// when that was found out. The new length.
    pub(crate) fn carry_out(
        &mut self,
        room: &mut [u8],
        len: usize,
        later: NetRef<'_>,
        scratch: &[u8],
    ) -> usize {
        let later = later.as_bytes();
        let put = |room: &mut [u8], bytes: &[u8]| {
            if let Some(room) = room.get_mut(..bytes.len()) {
                room.copy_from_slice(bytes);
            }
            bytes.len()
        };
        match self.step {
            Step::Later => put(room, later),
            Step::Composed => put(room, scratch),
            Step::Table { made, tag } => {
                let (table, made) = scratch.split_at_checked(made).unwrap_or_default();
                let len = if table.is_empty() { len } else { put(room, table) };
                if let Some(first) = room.first_mut() {
                    *first = tag;
                }
                let folded = self.edits.carry_out(room, len, later, made);
                debug_assert!(folded.is_some(), "what was noted can be carried out");
                folded.unwrap_or(len)
            }
        }
    }
}

/// Writes two patches as one, where both are but an increment of one field.
fn count_up(earlier: &[u8], later: &[u8], out: &mut Vec<u8>) -> Option<()> {
    const INC: u8 = Kind::Inc as u8;
    let two = Flat::short(later, HEADER_BYTES).filter(|two| two.kind == INC && two.end == later.len())?;
    let one = Flat::short(earlier, HEADER_BYTES).filter(|one| one.kind == INC && one.end == earlier.len())?;
    // Up to the names' ends: where both have fields there, they are no documents.
    let head = two.run - 1;
    let (before, same) = (earlier.get(..head)?, later.get(..head)?);
    if before != same || !NetRef::from_bytes(later).is_plain_patch() {
        return None;
    }
    out.clear();
    out.extend_from_slice(before);
    out.extend_from_slice(&[0, INC, 0]);
    let numbers = (part(earlier, one.payload, one.end), part(later, two.payload, two.end));
    if !decimal::write_sum(numbers.0, numbers.1, out) {
        return None;
    }
    let length = u8::try_from(out.len() - head - 3).ok().filter(|length| *length < 0x7E)?;
    *out.get_mut(head..)?.first_chunk_mut()? = [length + 2, INC, length];
    Some(())
}
