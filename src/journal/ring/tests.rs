//! The ring against a queue, and under many schedules.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

/// A ring of the least size, and the longest body that lies in it.
const BYTES: usize = 256;

#[derive(Clone, Debug)]
enum Step {
    /// Places a record with a body of so many bytes, if the model says that it fits.
    Place(usize),
    /// Fills the oldest, or the newest, place that is not filled.
    Fill { oldest: bool },
    /// Takes out what is filled, and gives its room back.
    Take,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..100_usize).prop_map(Step::Place),
        3 => any::<bool>().prop_map(|oldest| Step::Fill { oldest }),
        2 => Just(Step::Take),
    ];
    prop::collection::vec(step, 1..200)
}

struct Placed {
    place: Place,
    head: Head,
    body: Vec<u8>,
    is_filled: bool,
}

fn fill(ring: &Ring, placed: &mut Placed) {
    ring.fill(placed.place, placed.head, &placed.body);
    placed.is_filled = true;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn records_come_out_in_the_order_of_their_places_as_they_went_in(steps in steps()) {
        let ring = Ring::new(BYTES);
        let (mut reader, mut body) = (Reader::default(), Vec::new());
        let mut queue: VecDeque<Placed> = VecDeque::new();
        for (seq, step) in (1..).zip(steps) {
            match step {
                Step::Place(length) => {
                    let words = words_of(ring.resident(length));
                    if ring.tail() + words - ring.head() > (ring.bytes() / WORD) as u64 {
                        continue;
                    }
                    let head = Head { kind: u8::try_from(1 + seq % 7).unwrap(), seq };
                    let body = (0..length).map(|at| (at as u64 * seq).to_le_bytes()[0]).collect();
                    queue.push_back(Placed { place: ring.place(words), head, body, is_filled: false });
                }
                Step::Fill { oldest } => {
                    let mut waiting = queue.iter_mut().filter(|placed| !placed.is_filled);
                    let chosen = if oldest { waiting.next() } else { waiting.next_back() };
                    if let Some(placed) = chosen {
                        fill(&ring, placed);
                    }
                }
                Step::Take => {
                    while let Some(head) = ring.take(&mut reader, &mut body) {
                        let placed = queue.pop_front().unwrap();
                        prop_assert!(placed.is_filled);
                        prop_assert_eq!((head, &body), (placed.head, &placed.body));
                        prop_assert_eq!(reader.at(), placed.place.end());
                    }
                    prop_assert!(queue.front().is_none_or(|placed| !placed.is_filled), "held up by nothing");
                    ring.give_back(&reader);
                }
            }
        }
        queue.iter_mut().filter(|placed| !placed.is_filled).for_each(|placed| fill(&ring, placed));
        while ring.take(&mut reader, &mut body).is_some() {}
        ring.give_back(&reader);
        prop_assert_eq!(ring.head(), ring.tail());
        prop_assert_eq!(ring.validate(), Ok(()));
    }
}

#[test]
fn a_body_that_is_too_long_for_the_ring_lies_beside_it() {
    let ring = Ring::new(BYTES);
    let long = vec![7; 10 * BYTES];
    let place = ring.place(words_of(ring.resident(long.len())));
    ring.fill(place, Head { kind: 1, seq: 9 }, &long);
    let mut body = Vec::new();
    assert_eq!(ring.take(&mut Reader::default(), &mut body), Some(Head { kind: 1, seq: 9 }));
    assert_eq!(body, long);
    assert!(ring.aside.lock().is_empty());
}

#[cfg(shuttle)]
mod interleavings {
    use super::*;
    use crate::sync::{schedules::explore, scope};

    #[test]
    fn what_threads_fill_side_by_side_comes_out_whole_and_in_order() {
        explore(|| {
            let ring = Ring::new(BYTES);
            let write = |writer: u64| {
                for n in 0..2 {
                    let body = vec![u8::try_from(writer * 10 + n).unwrap(); 9];
                    let place = ring.place(words_of(body.len()));
                    ring.fill(place, Head { kind: 1, seq: writer * 10 + n }, &body);
                }
            };
            let (mut reader, mut seen) = (Reader::default(), Vec::new());
            scope(|scope| {
                scope.spawn(|| write(1));
                scope.spawn(|| write(2));
                let mut body = Vec::new();
                while seen.len() < 4 {
                    match ring.take(&mut reader, &mut body) {
                        Some(head) => {
                            assert_eq!(body, [u8::try_from(head.seq).unwrap(); 9]);
                            seen.push(head.seq);
                            ring.give_back(&reader);
                        }
                        None => crate::sync::yield_now(),
                    }
                }
            });
            for writer in [1, 2] {
                let of_it: Vec<u64> = seen.iter().copied().filter(|seq| seq / 10 == writer).collect();
                assert_eq!(of_it, [writer * 10, writer * 10 + 1], "in the order in which it placed them");
            }
            assert_eq!(ring.validate(), Ok(()));
        });
    }
}
