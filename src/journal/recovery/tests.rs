//! Recovery against what really happened, and against the words of the rules carried out naively, cut at every record; and
//! the traps by name.

mod world;

use super::*;
use crate::journal::{
    group::{FileHeader, Group},
    reader::begin,
};
use proptest::prelude::*;
use world::{Step, World};

/// Files of these records, a group for each few of them.
fn files(records: &[(u64, Vec<Record<'_>>)]) -> Vec<Vec<u8>> {
    let (mut files, mut last): (Vec<Vec<u8>>, Option<FileEnd>) = (Vec::new(), None);
    let (mut group, mut scratch) = (Group::default(), Vec::new());
    for (number, records) in records {
        let header = FileHeader { engine: 1, salt: 100 + number, number: *number, bytes: 1 << 14, kept: 0 };
        let (mut file, mut chain) = (header.write().to_vec(), header.chain());
        let begin = last.filter(|last| last.number + 1 == *number).or_else(|| {
            number.checked_sub(1).filter(|before| *before > 0).map(|number| FileEnd {
                number,
                at: 0,
                chain: 0,
            })
        });
        let all: Vec<Record<'_>> =
            begin.map(Record::Begin).into_iter().chain(records.iter().copied()).collect();
        for some in if records.is_empty() { [].chunks(3) } else { all.chunks(3) } {
            group.clear(5);
            for record in some {
                group.push_record(record, &mut scratch);
            }
            chain = group.seal(header.salt, file.len() as u64, chain, 64);
            file.extend_from_slice(group.bytes());
        }
        last = Some(FileEnd { number: *number, at: file.len() as u64, chain });
        file.resize(1 << 14, 0);
        files.push(file);
    }
    files
}

fn recover(files: &[Vec<u8>]) -> Result<Recovered> {
    let mut recovery = Recovery::default();
    for (position, file) in files.iter().enumerate() {
        let known = files.get(position + 1).and_then(|next| begin(next));
        let end = recovery.read_file(file, known)?;
        assert!(matches!(end, End::Clean { .. }), "{end:?}");
    }
    recovery.finish()
}

fn recover_records(records: &[(u64, Vec<Record<'_>>)]) -> Result<Recovered> {
    recover(&files(records))
}

const NAME: Record<'static> = Record::Index { number: 1, name: "i" };

fn put(id: &str, seq: u64) -> Record<'_> {
    let verb = crate::journal::record::Verb::Index;
    Record::Operation(Operation { seq, verb, index: 1, id, routing: None, source: None, net: b"\x01" })
}

fn moved(id: &str, first: u64, last: u64) -> Record<'_> {
    Record::Moved(Moved {
        first,
        last,
        index: 1,
        id,
        routing: None,
        operations: 1,
        not_found: [0; 2],
        conflicts: [0; 2],
        net: b"\x01",
    })
}

fn settled(id: &str, last: u64) -> Record<'_> {
    Record::Settled { key: KeyRef { index: 1, id }, last }
}

fn bounds(id: &str, first: u64, last: u64) -> Record<'_> {
    Record::Bounds { key: KeyRef { index: 1, id }, first, last }
}

/// A key's id, its pieces, and how many of them are out.
type Told<'a> = (&'a str, Vec<(u64, u64)>, usize);

fn told(recovered: &Recovered) -> Vec<Told<'_>> {
    let pieces = |key: &Unsettled| key.pieces.iter().map(|piece| (piece.first, piece.last)).collect();
    recovered.keys.iter().map(|key| (&*key.id, pieces(key), key.in_flight)).collect()
}

fn refused(records: &[(u64, Vec<Record<'_>>)]) -> String {
    let error = recover_records(records).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    error.to_string()
}

#[test]
fn a_piece_is_read_again_from_its_place_and_its_operation_is_checked_then() {
    let at = |seq, net| match put("a", seq) {
        Record::Operation(operation) => Record::Operation(Operation { net, routing: Some("r"), ..operation }),
        other => other,
    };
    let all = files(&[(1, vec![NAME, at(5, b"\x01"), at(9, b"\x00no document")])]);
    let recovered = recover(&all).unwrap();
    let [sound, unsound] = &recovered.keys[0].pieces[..] else { panic!() };
    let bytes = |piece: &Piece| {
        let at = usize::try_from(piece.place.at).unwrap();
        &all[0][at..at + piece.place.bytes as usize]
    };
    assert_eq!(sound.routing.as_deref(), Some("r"));
    assert_eq!(sound.read(bytes(sound)).unwrap(), at(5, b"\x01"));
    let error = unsound.read(bytes(unsound)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert!(error.to_string().contains(&format!("file 1, at byte {}", unsound.place.at)), "{error}");
    assert!(sound.read(bytes(unsound)).is_err(), "another record");
}

/// An old put, pinned in file 1 by a cold key; its newer put and the marks that settle both in file 2.
#[test]
fn what_is_pinned_in_an_old_file_does_not_come_back_whichever_file_may_be_deleted() {
    let one = (1, vec![NAME, put("cold", 1), put("hot", 2)]);
    let two = (2, vec![NAME, settled("hot", 2), put("hot", 3), settled("hot", 3)]);
    let cold = vec![("cold", vec![(1, 1)], 0)];
    assert_eq!(told(&recover_records(&[one.clone(), two.clone()]).unwrap()), cold);
    // What keeps the oldest file is moved, then that file goes, then the next.
    let three = (3, vec![NAME, moved("cold", 1, 1)]);
    assert_eq!(told(&recover_records(&[one.clone(), two.clone(), three.clone()]).unwrap()), cold);
    assert_eq!(told(&recover_records(&[two.clone(), three.clone()]).unwrap()), cold);
    assert_eq!(told(&recover_records(&[three]).unwrap()), cold);
    // Had the second gone first, it would have come back: so a gap is refused.
    let three = (3, vec![NAME, put("other", 9)]);
    let error = refused(&[one, three]);
    assert!(error.contains("missing"), "{error}");
}

#[test]
fn a_moved_piece_takes_the_place_of_what_it_was_made_of_and_orders_by_its_seqs() {
    let records = vec![NAME, put("a", 1), put("a", 2), put("a", 3), moved("a", 1, 2)];
    let recovered = recover_records(&[(1, records.clone())]).unwrap();
    assert_eq!(told(&recovered), [("a", vec![(1, 2), (3, 3)], 0)]);
    assert!(recovered.keys[0].pieces[0].place.at > recovered.keys[0].pieces[1].place.at);
    // Of what it was made of, a part may be in files that are gone.
    let records = vec![NAME, put("a", 2), moved("a", 1, 2), settled("a", 2)];
    assert_eq!(told(&recover_records(&[(2, records)]).unwrap()), []);
}

#[test]
fn bounds_hold_a_flight_together_until_it_lands() {
    let start = vec![NAME, put("a", 1), put("a", 2), bounds("a", 1, 2), put("a", 3)];
    let with = |more: &[Record<'static>]| {
        let records = [start.as_slice(), more].concat();
        told(&recover_records(&[(1, records)]).unwrap()).first().map(|key| (key.1.len(), key.2))
    };
    assert_eq!(with(&[]), Some((3, 2)));
    assert_eq!(with(&[settled("a", 2)]), Some((1, 0)));
    let unbound = Record::Unbound { key: KeyRef { index: 1, id: "a" }, last: 2 };
    assert_eq!(with(&[unbound]), Some((3, 0)));
    assert_eq!(with(&[unbound, bounds("a", 1, 3)]), Some((3, 3)));
    assert_eq!(with(&[moved("a", 1, 2)]), Some((2, 1)));
    assert_eq!(with(&[Record::Watermark { seq: 2 }]), Some((1, 0)));
    // The bounds lie in a file behind that of their operation, which was moved and is gone.
    let behind = vec![NAME, bounds("a", 1, 2), moved("a", 1, 2)];
    assert_eq!(told(&recover_records(&[(7, behind)]).unwrap()), [("a", vec![(1, 2)], 1)]);
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let one = |more: &[Record<'static>]| refused(&[(1, [&[NAME, put("a", 5)], more].concat())]);
    let with = |more: &[Record<'static>], message: &str| {
        let error = one(more);
        assert!(error.contains(message), "{error}");
    };
    with(&[put("a", 5)], "follows one of its key with 5");
    with(&[Record::Watermark { seq: 9 }, put("b", 9)], "all up to it had settled");
    with(&[Record::Watermark { seq: 9 }, moved("b", 9, 10)], "that had settled");
    with(&[moved("a", 5, 9), moved("a", 6, 10)], "cuts those from 5 to 9 in two");
    with(&[moved("a", 5, 9), settled("a", 7)], "cuts operations from 5 to 9 in two");
    with(&[moved("a", 5, 9), Record::Watermark { seq: 7 }], "cuts operations from 5 to 9 in two");
    with(&[bounds("a", 4, 5)], "a flight is out from seq 4 to 5, and what waits is from 5 to 5");
    with(&[put("a", 6), bounds("a", 6, 6)], "a flight is out");
    with(&[bounds("b", 6, 6)], "a flight is out");
    with(&[Record::Index { number: 1, name: "j" }], "second name");
    with(&[Record::Settled { key: KeyRef { index: 2, id: "a" }, last: 1 }], "given to no name");
    with(&[Record::Begin(FileEnd { number: 0, at: 64, chain: 1 })], "a file begins once");
    let at = one(&[put("a", 5)]);
    assert!(at.contains("file 1, at byte "), "{at}");
}

#[test]
fn files_must_follow_one_another_end_to_start() {
    let all =
        files(&[(1, vec![NAME, put("a", 1)]), (2, vec![NAME, put("a", 2)]), (3, vec![NAME, put("a", 3)])]);
    assert_eq!(told(&recover(&all).unwrap()).len(), 1);
    assert!(recover(&all[1..]).is_ok(), "the oldest may be gone");
    let [first, _, third] = &all[..] else { panic!() };
    assert!(recover(&[first.clone(), third.clone()]).unwrap_err().to_string().contains("missing"));
    let others = files(&[(1, vec![NAME, put("b", 1), put("b", 2)]), (2, vec![NAME, put("a", 2)])]);
    let mut recovery = Recovery::default();
    recovery.read_file(&all[0], None).unwrap();
    let error = recovery.read_file(&others[1], None).unwrap_err();
    assert!(error.to_string().contains("it says that file 1 ends at byte"), "{error}");
    let mut foreign = FileHeader { engine: 2, salt: 1, number: 2, bytes: 64, kept: 0 }.write().to_vec();
    foreign.resize(64, 0);
    let mut recovery = Recovery::default();
    recovery.read_file(&all[0], None).unwrap();
    assert!(recovery.read_file(&foreign, None).unwrap_err().to_string().contains("another engine"));
    let mut lone = files(&[(1, vec![NAME])]).remove(0);
    let header = FileHeader { engine: 1, salt: 101, number: 2, bytes: 1 << 14, kept: 0 };
    let mut group = Group::default();
    group.push_record(&NAME, &mut Vec::new());
    group.seal(header.salt, 64, header.chain(), 64);
    lone[..64].copy_from_slice(&header.write());
    lone[64..64 + group.len()].copy_from_slice(group.bytes());
    let error = Recovery::default().read_file(&lone, None).unwrap_err();
    assert!(error.to_string().contains("does not say which one it follows"), "{error}");
}

/// A file that took its name and nothing else says nothing of the one before, which may have been torn by the same crash.
#[test]
fn a_file_without_a_group_leaves_the_one_before_the_last() {
    let mut all = files(&[(1, vec![NAME, put("a", 1), put("a", 2)]), (2, vec![])]);
    let torn = all[0].iter().rposition(|byte| *byte != 0).unwrap();
    all[0][torn] ^= 1;
    let mut recovery = Recovery::default();
    assert_eq!(begin(&all[1]), None);
    assert!(matches!(recovery.read_file(&all[0], None).unwrap(), End::Torn { .. }));
    assert!(matches!(recovery.read_file(&all[1], None).unwrap(), End::Clean { at: 64, .. }));
    assert_eq!(told(&recovery.finish().unwrap()), [("a", vec![(1, 1)], 0)]);
}

#[test]
fn what_only_a_watermark_settles_is_not_held_for_ever() {
    let mut recovery = Recovery::default();
    recovery.begin_file(1, 1).unwrap();
    let place = Place { file: 1, at: 0, bytes: 1, chain: 0 };
    recovery.record(&Entry { place, record: NAME }).unwrap();
    let (mut most, mut id) = (0, String::new());
    for seq in 1..=50_000 {
        id.clear();
        id.push_str(&seq.to_string());
        recovery.record(&Entry { place, record: put(&id, seq) }).unwrap();
        if seq % 10 == 0 {
            recovery.record(&Entry { place, record: Record::Watermark { seq: seq - 5 } }).unwrap();
        }
        let held: usize = recovery.indices.all.iter().map(|index| index.of.len()).sum();
        assert_eq!(held, recovery.pieces);
        most = most.max(held);
    }
    assert!(most <= SWEEP_PIECES + 10, "{most}");
    assert_eq!(recovery.finish().unwrap().keys.len(), 5);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// What an engine does, cut at every record: recovery tells what really had not settled, and what the rules say word
    /// for word.
    #[test]
    fn what_is_recovered_is_what_had_not_settled(steps in proptest::collection::vec(any::<Step>(), 1..120)) {
        let mut world = World::default();
        for step in &steps {
            world.step(*step);
        }
        for cut in 0..=world.events.len() {
            let records = world.records(cut);
            let borrowed: Vec<(u64, Vec<Record<'_>>)> = records
                .iter()
                .map(|(number, events)| (*number, events.iter().map(|event| event.record(*number)).collect()))
                .collect();
            let recovered = recover_records(&borrowed).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let naive = world::naive(records.iter().flat_map(|(_, events)| events.iter().copied()));
            prop_assert_eq!(world::told(&recovered), naive, "by the words, cut at {}", cut);
            world.check(cut, &recovered)?;
        }
    }
}
