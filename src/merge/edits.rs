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

/// One edit.
#[derive(Clone, Copy, Debug, Default)]
struct Edit {
    /// What goes: from here
    from: usize,
    /// to here.
    to: usize,
    /// What comes, in the other buffer: from here
    start: usize,
    /// to here.
    end: usize,
}

/// Edits of one buffer.
#[derive(Debug, Default)]
pub(super) struct Edits {
    near: [Edit; EDITS_MAX],
    count: usize,
    /// True where one did not fit.
    overflow: bool,
    /// Where the text that is edited by [`cut`](Self::cut) starts in the buffer.
    pub(super) origin: usize,
}

impl Edits {
    /// Notes an edit, at any place: its bytes, and what comes there.
    #[inline]
    pub(super) fn insert(&mut self, from: usize, to: usize, start: usize, end: usize) {
        let mut at = self.count;
        let Some(slot) = self.near.get_mut(at) else {
            self.overflow = true;
            return;
        };
        *slot = Edit { from, to, start, end };
        self.count += 1;
        while at > 0
            && let Some([before, after]) = self.near.get_mut(at - 1..=at)
            && before.from > after.from
        {
            std::mem::swap(before, after);
            at -= 1;
        }
    }

    /// Notes an edit behind all others, which are of the same text; what comes there is still to be written, from
    /// `start` on.
    pub(super) fn cut(&mut self, from: usize, to: usize, start: usize) {
        let (from, to) = (self.origin + from, self.origin + to);
        if let Some(last) = self.last() {
            last.end = start;
            if last.to == from {
                last.to = to;
                return;
            }
        }
        match self.near.get_mut(self.count) {
            Some(slot) => *slot = Edit { from, to, start, end: start },
            None => self.overflow = true,
        }
        self.count += usize::from(!self.overflow);
    }

    /// Ends what comes for the last edit.
    pub(super) fn close(&mut self, end: usize) {
        if let Some(last) = self.last() {
            last.end = end;
        }
    }

    fn last(&mut self) -> Option<&mut Edit> {
        self.near.get_mut(self.count.checked_sub(1)?)
    }

    fn all(&self) -> &[Edit] {
        self.near.get(..self.count).unwrap_or_default()
    }

    /// Carries the edits out on the first `len` bytes of `room`, with what comes from `new`. The new length; or
    /// nothing, and nothing changed, where that does not fit or the edits were too many.
    pub(super) fn carry_out(&self, room: &mut [u8], len: usize, new: &[u8]) -> Option<usize> {
        let edits = self.all();
        let (mut shift, mut moves, mut place) = (Shift::default(), false, 0);
        for edit in edits {
            // Only bytes that are no operation have others.
            if edit.from < place || edit.to < edit.from || edit.to > len {
                return None;
            }
            place = edit.to;
            shift.add(edit);
            moves |= edit.end - edit.start != edit.to - edit.from;
        }
        let after = shift.of(len);
        if self.overflow || after > room.len() {
            return None;
        }
        if moves {
            self.make_room(room, len);
        }
        let mut shift = Shift::default();
        for edit in edits {
            let at = shift.of(edit.from);
            let new = new.get(edit.start..edit.end)?;
            room.get_mut(at..at + new.len())?.copy_from_slice(new);
            shift.add(edit);
        }
        Some(after)
    }

    /// Moves what lies between the edits to where it will stand.
    fn make_room(&self, room: &mut [u8], len: usize) {
        let edits = self.all();
        let ends = |index: usize| edits.get(index + 1).map_or(len, |next| next.from);
        let mut shift = Shift::default();
        for (index, edit) in edits.iter().enumerate() {
            shift.add(edit);
            if shift.removed > shift.added {
                room.copy_within(edit.to..ends(index), shift.of(edit.to));
            }
        }
        for (index, edit) in edits.iter().enumerate().rev() {
            if shift.added > shift.removed {
                room.copy_within(edit.to..ends(index), shift.of(edit.to));
            }
            shift.take_back(edit);
        }
    }
}

/// By how much things move: what the edits before them add, and take.
#[derive(Clone, Copy, Debug, Default)]
struct Shift {
    added: usize,
    removed: usize,
}

impl Shift {
    fn add(&mut self, edit: &Edit) {
        self.added += edit.end - edit.start;
        self.removed += edit.to - edit.from;
    }

    fn take_back(&mut self, edit: &Edit) {
        self.added -= edit.end - edit.start;
        self.removed -= edit.to - edit.from;
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
                edits.insert(*from, *to, *start, *end);
            }
            let mut room = text.clone();
            room.resize(expected.len().max(text.len()), 0);
            prop_assert_eq!(edits.carry_out(&mut room, text.len(), &new), Some(expected.len()));
            prop_assert_eq!(&room[..expected.len()], &expected[..]);
            if expected.len() > text.len() {
                let mut room = text.clone();
                prop_assert_eq!(edits.carry_out(&mut room, text.len(), &new), None);
                prop_assert_eq!(room, text);
            }
        }
    }

    #[test]
    fn edits_at_one_place_stand_as_they_came_and_too_many_are_none() {
        let mut edits = Edits::default();
        edits.insert(1, 1, 0, 1);
        edits.insert(1, 1, 1, 2);
        edits.insert(0, 0, 2, 3);
        let mut room = *b"xy\0\0\0";
        assert_eq!(edits.carry_out(&mut room, 2, b"abc"), Some(5));
        assert_eq!(&room, b"cxaby");
        (0..EDITS_MAX).for_each(|at| edits.insert(at, at, 0, 0));
        assert_eq!(edits.carry_out(&mut room, 5, b"abc"), None);
    }
}
