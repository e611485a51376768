//! Rooms beside a map of what is in them.

use super::{validate::cell_bytes, *};
use proptest::prelude::*;

/// Checks every invariant, and that each room holds what was put there.
fn check(rooms: &Rooms, model: &[(Room, Vec<u8>)]) -> Result<(), TestCaseError> {
    prop_assert_eq!(rooms.validate(), Ok(()));
    prop_assert_eq!(rooms.in_use(), model.len());
    for (room, bytes) in model {
        prop_assert_eq!(rooms.get(room).len(), room.capacity());
        prop_assert_eq!(rooms.get(room).get(..bytes.len()), Some(bytes.as_slice()));
    }
    Ok(())
}

#[derive(Clone, Debug)]
enum Step {
    Insert { len: usize },
    Grow { nth: usize, by: usize },
    Replace { nth: usize, len: usize },
    Remove { nth: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = prop_oneof![8 => 0..100_usize, 4 => 0..2_000_usize, 1 => 7_000..20_000_usize];
    let step = prop_oneof![
        4 => len.prop_map(|len| Step::Insert { len }),
        1 => (any::<usize>(), 1..5_000_usize).prop_map(|(nth, by)| Step::Grow { nth, by }),
        1 => (any::<usize>(), 0..5_000_usize).prop_map(|(nth, len)| Step::Replace { nth, len }),
        3 => any::<usize>().prop_map(|nth| Step::Remove { nth }),
    ];
    prop::collection::vec(step, 1..400)
}

proptest! {
    #[test]
    fn a_room_holds_what_was_put_there_until_it_is_removed(steps in steps()) {
        let (mut rooms, mut model): (_, Vec<(Room, Vec<u8>)>) = (Rooms::new(), Vec::new());
        for (round, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert { len } => {
                    let bytes = vec![u8::try_from(round % 251).unwrap(); len];
                    let room = rooms.insert(&bytes);
                    prop_assert_eq!(room.capacity(), room_bytes(len));
                    model.push((room, bytes));
                }
                Step::Grow { nth, by } if !model.is_empty() => {
                    let nth = nth % model.len();
                    let (room, bytes) = &mut model[nth];
                    let capacity = room.capacity() + by;
                    rooms.grow(room, bytes.len(), capacity);
                    prop_assert_eq!(room.capacity(), room_bytes(capacity));
                }
                Step::Replace { nth, len } if !model.is_empty() => {
                    let nth = nth % model.len();
                    let (room, bytes) = &mut model[nth];
                    *bytes = vec![u8::try_from(round % 251).unwrap(); len];
                    rooms.replace(room, bytes);
                    prop_assert_eq!(room.capacity(), room_bytes(len));
                }
                Step::Remove { nth } if !model.is_empty() => {
                    let (room, _) = model.swap_remove(nth % model.len());
                    rooms.remove(room);
                }
                _ => {}
            }
            check(&rooms, &model)?;
        }
        for (room, _) in model.drain(..) {
            rooms.remove(room);
        }
        check(&rooms, &model)?;
    }
}

#[test]
fn sizes_rise_and_a_room_is_at_most_an_eighth_larger_than_what_is_asked_for() {
    let (mut before, mut largest) = (0, 0);
    for bytes in 0..=CELL_BYTES_MAX {
        let (class, size) = class(bytes);
        assert!(
            size >= bytes.max(1) && size <= (bytes + bytes / STEPS).max(bytes + FINE_STEP),
            "{bytes}: {size}"
        );
        assert!(class == before || class == before + 1, "{bytes}: {class} after {before}");
        assert_eq!((super::class(size), cell_bytes(class)), ((class, size), size), "{bytes}");
        (before, largest) = (class, class);
    }
    assert_eq!(largest, CLASSES - 1);
}

#[test]
fn what_all_leave_goes_back_but_for_a_small_block() {
    let mut rooms = Rooms::new();
    let many: Vec<Room> = (0..10_000).map(|_| rooms.insert(&[7; 200])).collect();
    let (blocks, bytes) = (rooms.blocks.len(), rooms.bytes);
    assert!(
        (10_000 * 208..10_000 * 208 * 3 / 2).contains(&bytes) && blocks > 3,
        "{bytes} bytes in {blocks} blocks"
    );
    for room in many {
        rooms.remove(room);
    }
    assert_eq!(rooms.take_retired().len(), blocks);
    assert_eq!((rooms.take_retired().len(), rooms.bytes), (0, 0));
    for _ in 0..3 {
        let again = rooms.insert(&[8; 200]);
        assert_eq!((rooms.get(&again).first(), rooms.bytes), (Some(&8), BLOCK_BYTES_MIN));
        rooms.remove(again);
        assert_eq!((rooms.take_retired().len(), rooms.validate()), (0, Ok(())));
    }
}

#[test]
fn what_is_large_has_a_block_of_its_own_and_takes_it_along() {
    let mut rooms = Rooms::new();
    let room = rooms.insert(&vec![1; 100_000]);
    assert_eq!((room.capacity(), rooms.in_use()), (100_000, 1));
    rooms.remove(room);
    assert_eq!(rooms.take_retired().iter().map(Vec::len).collect::<Vec<_>>(), [100_000]);
    assert_eq!((rooms.in_use(), rooms.validate()), (0, Ok(())));
}
