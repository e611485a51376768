//! A few edits of one buffer, carried out in place.
//!
//! # Design
//! An edit says which bytes go, and which bytes of another buffer come there. All are found before the first is
//! carried out: then it is known whether the result fits. What lies between two edits moves by what all before it
//! add or take: first what moves to the left, from the left; then what moves to the right, from the right. So every
//! byte moves at most once, and none is written over before it has moved. Edits that keep every length, which is
//! common, move nothing.
//!
//! # Why not a vector
//! There are as many edits as fields that change. Where they are more than fit here, writing anew costs little more
//! than moving.
//!
//! # Invariants
//! 1. Edits stand in the order of their places and do not overlap; at one place, in the order in which they came.
//! 2. Where there were too many, none is carried out.

/// How many edits there can be.
const EDITS_MAX: usize = 12;

/// Where the bytes that come are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Source {
    /// In the operation that is folded in.
    #[default]
    Later,
    /// Among what was made for the purpose.
    Made,
}

/// One edit.
#[derive(Clone, Copy, Debug, Default)]
struct Edit {
    /// What goes: from here
    from: u32,
    /// to here.
    to: u32,
    /// What comes: from here
    start: u32,
    /// to here
    end: u32,
    /// of this.
    source: Source,
}

impl Edit {
    #[inline]
    fn new(from: usize, to: usize, source: Source, start: usize, end: usize) -> Self {
        Self { from: place(from), to: place(to), start: place(start), end: place(end), source }
    }

    fn added(&self) -> usize {
        (self.end - self.start) as usize
    }

    fn removed(&self) -> usize {
        (self.to - self.from) as usize
    }
}

/// A place below 4 GiB; beyond, one that no edit is carried out at.
#[inline]
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Edits of one buffer.
#[derive(Debug, Default)]
pub(super) struct Edits {
    near: [Edit; EDITS_MAX],
    count: usize,
    /// True where one did not fit.
    overflow: bool,
}

impl Edits {
    /// Notes an edit, at any place: its bytes, and what comes there.
    #[inline]
    pub(super) fn insert(&mut self, from: usize, to: usize, source: Source, start: usize, end: usize) {
        let mut at = self.count;
        let Some(slot) = self.near.get_mut(at) else {
            self.overflow = true;
            return;
        };
        *slot = Edit::new(from, to, source, start, end);
        self.count += 1;
        while at > 0
            && let Some([before, after]) = self.near.get_mut(at - 1..=at)
            && before.from > after.from
        {
            std::mem::swap(before, after);
            at -= 1;
        }
    }

    fn all(&self) -> &[Edit] {
        self.near.get(..self.count).unwrap_or_default()
    }

    /// Carries the edits out on the first `len` bytes of `room`, with what comes from `later` and `made`. The new
    /// length; or nothing, and nothing changed, where that does not fit or the edits were too many.
    pub(super) fn carry_out(&self, room: &mut [u8], len: usize, later: &[u8], made: &[u8]) -> Option<usize> {
        let edits = self.all();
        let (mut shift, mut moves, mut place) = (Shift::default(), false, 0);
        for edit in edits {
            // Only bytes that are no operation have others.
            if edit.from < place || edit.to < edit.from || edit.end < edit.start {
                return None;
            }
            place = edit.to;
            shift.add(edit);
            moves |= edit.added() != edit.removed();
        }
        let after = shift.of(len);
        if self.overflow || place as usize > len || after > room.len() || later.len().max(made.len()) > MOST {
            return None;
        }
        if moves {
            self.make_room(room, len);
        }
        let mut shift = Shift::default();
        for edit in edits {
            let at = shift.of(edit.from as usize);
            let source = if edit.source == Source::Later { later } else { made };
            let new = source.get(edit.start as usize..edit.end as usize)?;
            room.get_mut(at..at + new.len())?.copy_from_slice(new);
            shift.add(edit);
        }
        Some(after)
    }

    /// Moves what lies between the edits to where it will stand.
    #[inline(never)]
    fn make_room(&self, room: &mut [u8], len: usize) {
        let edits = self.all();
        let ends = |index: usize| edits.get(index + 1).map_or(len, |next| next.from as usize);
        let mut shift = Shift::default();
        for (index, edit) in edits.iter().enumerate() {
            shift.add(edit);
            let from = edit.to as usize;
            if shift.removed > shift.added {
                room.copy_within(from..ends(index), shift.of(from));
            }
        }
        for (index, edit) in edits.iter().enumerate().rev() {
            let from = edit.to as usize;
            if shift.added > shift.removed {
                room.copy_within(from..ends(index), shift.of(from));
            }
            shift.take_back(edit);
        }
    }
}

/// Beyond this a buffer's places do not fit an edit.
const MOST: usize = u32::MAX as usize;

/// By how much things move: what the edits before them add, and take.
#[derive(Clone, Copy, Debug, Default)]
struct Shift {
    added: usize,
    removed: usize,
}

impl Shift {
    fn add(&mut self, edit: &Edit) {
        self.added += edit.added();
        self.removed += edit.removed();
    }

    fn take_back(&mut self, edit: &Edit) {
        self.added -= edit.added();
        self.removed -= edit.removed();
    }

    /// Where a place comes to lie.
    fn of(self, place: usize) -> usize {
        place + self.added - self.removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Edits that cut pieces of a text: how much is kept before each, how much goes, how much comes.
    fn pieces() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
        prop::collection::vec((0..6_usize, 0..6_usize, 0..6_usize), 0..EDITS_MAX)
    }

    proptest! {
        #[test]
        fn edits_in_place_give_what_writing_anew_gives(pieces in pieces(), tail in 0..9_usize, order in 0..36_usize) {
            let (mut edits, mut list, mut new, mut from) = (Edits::default(), Vec::new(), Vec::new(), 0);
            for (kept, goes, comes) in pieces {
                let start = new.len();
                new.extend((b'A'..).take(comes));
                // Two edits at one place stay in the order in which they come.
                from += kept.max(1);
                list.push((from, from + goes, start, new.len()));
                from += goes;
            }
            let text: Vec<u8> = (0..=255).cycle().take(from + tail).collect();
            let (mut expected, mut copied) = (Vec::new(), 0);
            for (from, to, start, end) in &list {
                expected.extend_from_slice(&text[copied..*from]);
                expected.extend_from_slice(&new[*start..*end]);
                copied = *to;
            }
            expected.extend_from_slice(&text[copied..]);
            if order % 3 == 0 {
                list.reverse();
            } else if order % 3 == 1 {
                let middle = order / 3 % list.len().max(1);
                list.rotate_left(middle);
            }
            for (from, to, start, end) in &list {
                edits.insert(*from, *to, Source::Made, *start, *end);
            }
            let mut room = text.clone();
            room.resize(expected.len().max(text.len()), 0);
            prop_assert_eq!(edits.carry_out(&mut room, text.len(), &[], &new), Some(expected.len()));
            prop_assert_eq!(&room[..expected.len()], &expected[..]);
            if expected.len() > text.len() {
                let mut room = text.clone();
                prop_assert_eq!(edits.carry_out(&mut room, text.len(), &[], &new), None);
                prop_assert_eq!(room, text);
            }
        }
    }

    #[test]
    fn edits_at_one_place_stand_as_they_came_and_too_many_are_none() {
        let mut edits = Edits::default();
        edits.insert(1, 1, Source::Made, 0, 1);
        edits.insert(1, 1, Source::Later, 0, 1);
        edits.insert(0, 0, Source::Made, 1, 2);
        let mut room = *b"xy\0\0\0";
        assert_eq!(edits.carry_out(&mut room, 2, b"b", b"ac"), Some(5));
        assert_eq!(&room, b"cxaby");
        (0..EDITS_MAX).for_each(|at| edits.insert(at, at, Source::Made, 0, 0));
        assert_eq!(edits.carry_out(&mut room, 5, b"b", b"ac"), None);
    }
}
