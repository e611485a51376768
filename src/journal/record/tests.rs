//! Records: there and back, every kind; and what is refused.

use super::*;
use crate::merge::encode;
use crate::{Action, NetOperation};
use proptest::prelude::*;

/// A record with its own texts.
#[derive(Clone, Debug)]
pub(in crate::journal) struct Owned {
    kind: Kind,
    numbers: [u64; 3],
    counts: [u32; 6],
    texts: [String; 2],
    source: Option<(u32, u64)>,
    routed: bool,
    net: Vec<u8>,
}

impl Owned {
    pub(in crate::journal) fn record(&self) -> Record<'_> {
        let [seq, distance, at] = self.numbers;
        let [index, operations, a, b, c, d] = self.counts;
        let [id, other] = [self.texts[0].as_str(), self.texts[1].as_str()];
        let routing = self.routed.then_some(other);
        let (first, key) = (seq - distance % (seq + 1).max(1), KeyRef { index, id });
        match self.kind {
            Kind::Operation => {
                let verb = Verb::of(a.to_le_bytes()[0]);
                Record::Operation(Operation {
                    seq,
                    verb,
                    index,
                    id,
                    routing,
                    source: self.source,
                    net: &self.net,
                })
            }
            Kind::Moved => Record::Moved(Moved {
                first,
                last: seq,
                index,
                id,
                routing,
                operations,
                not_found: [a, b],
                conflicts: [c, d],
                net: &self.net,
            }),
            Kind::Bounds => Record::Bounds { key, first, last: seq },
            Kind::Unbound => Record::Unbound { key, last: seq },
            Kind::Settled => Record::Settled { key, last: seq },
            Kind::Watermark => Record::Watermark { seq },
            Kind::Ceiling => Record::Ceiling { seq },
            Kind::Index => Record::Index { number: index, name: id },
            Kind::Source => {
                Record::Source { number: index, mark: self.source.map(|source| source.1), name: id }
            }
            Kind::Gone => Record::Gone { number: seq },
            Kind::Begin => Record::Begin(FileEnd { number: seq, at, chain: a }),
        }
    }
}

/// The bytes of an action's net operation, in its common form.
pub(in crate::journal) fn net(action: Action<'_>) -> Vec<u8> {
    NetOperation::new(action).unwrap().as_net().as_bytes().to_vec()
}

fn nets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(net(Action::Delete)),
        "[a-z]{0,300}".prop_map(move |text| net(Action::Index(format!(r#"{{"a":"{text}"}}"#).as_bytes()))),
        (0_u32..1_000_000).prop_map(move |by| net(Action::Update(
            format!(r#"{{"doc":{{"last":{by}}},"inc":{{"n":{by}}},"doc_as_upsert":true}}"#).as_bytes()
        ))),
    ]
}

fn integers() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0_u32..64).prop_map(|(value, shift)| value >> shift)
}

pub(in crate::journal) fn records() -> impl Strategy<Value = Owned> {
    let numbers = [integers(), integers(), integers()];
    let counts = proptest::array::uniform6(any::<u32>().prop_map(|value| value >> (value % 32)));
    let source = proptest::option::of((any::<u32>(), 0..=POSITION_MAX));
    let texts = ["\\PC{0,40}", "[a-z]{0,20}"];
    (0..Kind::ALL.len(), numbers, counts, texts, source, any::<bool>(), nets()).prop_map(
        |(kind, numbers, counts, texts, source, routed, net)| {
            let kind = Kind::ALL[kind];
            Owned { kind, numbers, counts, texts, source, routed, net }
        },
    )
}

/// The bytes of records in a row, sealed, and the chain behind them.
fn write(records: &[Record<'_>], link: Link) -> (Vec<u8>, u32) {
    let (mut out, mut body, mut seq) = (Vec::new(), Vec::new(), link.seq);
    for record in records {
        body.clear();
        record.write_body(&mut body);
        let before = out.len();
        push(&mut out, &mut seq, record.kind(), record.seq(), &body);
        assert!(out.len() - before <= body.len() + BESIDE_BODY_BYTES_MAX);
    }
    let chain = seal(&mut out, link.chain);
    (out, chain)
}

fn read_all<'a>(mut bytes: &'a [u8], link: &mut Link) -> Result<Vec<Record<'a>>, Wrong> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let before = *link;
        let (record, length) = read(bytes, link)?;
        assert_eq!(read_again(&bytes[..length], before.chain, record.seq()), Ok(record));
        records.push(record);
        bytes = &bytes[length..];
    }
    Ok(records)
}

const LINK: Link = Link { chain: 77, seq: 1_000 };

fn operation(net: &[u8]) -> Operation<'_> {
    let source = Some((3, 4_000));
    Operation { seq: 1_001, verb: Verb::Update, index: 300, id: "an id", routing: Some("r"), source, net }
}

proptest! {
    #[test]
    fn records_come_back_as_they_were(owned in proptest::collection::vec(records(), 0..20)) {
        let written: Vec<Record<'_>> = owned.iter().map(Owned::record).collect();
        let (bytes, chain) = write(&written, LINK);
        let mut link = LINK;
        prop_assert_eq!(read_all(&bytes, &mut link), Ok(written.clone()));
        prop_assert_eq!(link.chain, chain);
        prop_assert_eq!(write(&written, LINK).0, bytes);
    }

    #[test]
    fn what_a_body_refers_to_is_found_without_reading_it(owned in records()) {
        let (record, mut body) = (owned.record(), Vec::new());
        record.write_body(&mut body);
        let index = match record {
            Record::Operation(Operation { index, .. }) | Record::Moved(Moved { index, .. }) => Some(index),
            Record::Bounds { key, .. } | Record::Unbound { key, .. } | Record::Settled { key, .. } => {
                Some(key.index)
            }
            _ => None,
        };
        let source = if let Record::Operation(operation) = record { operation.source } else { None };
        prop_assert_eq!(uses(record.kind(), &body), Uses { index, source });
    }

    #[test]
    fn any_bytes_with_a_right_checksum_are_refused_or_are_the_one_spelling(
        content in proptest::collection::vec(any::<u8>(), 0..60),
        kind in 0_u8..12,
        seq in any::<u64>(),
    ) {
        let mut bytes = Vec::new();
        varint::write(&mut bytes, content.len() as u64 + 1);
        bytes.push(kind);
        bytes.extend_from_slice(&content);
        bytes.extend_from_slice(&[0; CHECKSUM_BYTES]);
        seal(&mut bytes, 5);
        let link = Link { chain: 5, seq };
        match read(&bytes, &mut link.clone()) {
            Ok((record, length)) => {
                prop_assert_eq!(length, bytes.len());
                // A table is written joined.
                let is_table = |net: &[u8]| !net.is_empty() && NetRef::from_bytes(net).is_table();
                let joined = match record {
                    Record::Operation(operation) => !is_table(operation.net),
                    Record::Moved(moved) => !is_table(moved.net),
                    _ => true,
                };
                if joined {
                    prop_assert_eq!(write(&[record], link).0, bytes);
                }
            }
            Err(wrong) => prop_assert!(wrong.is_sealed && wrong.at <= bytes.len()),
        }
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let net = net(Action::Index(br#"{"a":1}"#));
    let (bytes, _) = write(&[Record::Operation(operation(&net))], LINK);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&flipped, &mut LINK.clone()).is_err(), "bit {bit}");
    }
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end], &mut LINK.clone()).is_err(), "cut at {end}");
    }
}

#[test]
fn a_record_holds_only_behind_the_one_it_was_written_behind() {
    let (bytes, _) = write(&[Record::Ceiling { seq: 9 }, Record::Ceiling { seq: 9 }], LINK);
    let half = bytes.len() / 2;
    let mut swapped = bytes[half..].to_vec();
    swapped.extend_from_slice(&bytes[..half]);
    assert!(read(&bytes, &mut LINK.clone()).is_ok());
    assert!(!read(&swapped, &mut LINK.clone()).unwrap_err().is_sealed);
}

#[test]
fn what_is_unknown_is_refused_with_its_place_though_the_checksum_is_right() {
    let refused = |kind: u8, body: &[u8]| {
        let mut bytes = Vec::new();
        write_bytes(&mut bytes, &[&[kind], body].concat());
        bytes.extend_from_slice(&[0; CHECKSUM_BYTES]);
        seal(&mut bytes, 0);
        let wrong = read(&bytes, &mut Link { chain: 0, seq: 0 }).unwrap_err();
        assert!(wrong.is_sealed);
        (wrong.at, wrong.what)
    };
    assert_eq!(refused(0, b""), (1, "there is no such kind of record"));
    assert_eq!(refused(12, b""), (1, "there is no such kind of record"));
    assert_eq!(refused(1, &[0, 0x10, 0, 0]), (3, "there is no such flag"));
    assert_eq!(refused(2, &[2, 0, 0x08, 0, 0]), (4, "there is no such flag"));
    assert_eq!(refused(2, &[2, 9]), (3, "its first seq would be below zero"));
    assert_eq!(refused(6, &[1, 2]), (3, "the record goes on behind its end"));
    assert_eq!(refused(5, &[2, 0, 0xFF]), (4, "the id is not UTF-8"));
    assert_eq!(refused(8, &[0x80, 0x80, 0x80, 0x80, 0x10]).1, "the index's number is not one of 32 bits");
    let beyond = [&[0, HAS_SOURCE, 0, 0][..], &[0xFF; 9], &[1]].concat();
    assert_eq!(refused(1, &beyond), (6, "the source's position is above the last there is"));
}

/// The form with a directory is the shard's own business, and larger.
#[test]
fn an_operation_is_written_in_its_common_form() {
    let mut table = Vec::new();
    encode(Action::Index(br#"{"a":1,"b":2}"#), &mut table).unwrap();
    assert!(NetRef::from_bytes(&table).is_table(), "the test is of no use");
    let (bytes, _) = write(&[Record::Operation(operation(&table))], LINK);
    let Ok((Record::Operation(read), _)) = read(&bytes, &mut LINK.clone()) else { panic!() };
    assert_eq!(read.net, net(Action::Index(br#"{"a":1,"b":2}"#)));
    assert_eq!(check_net(read.net), Ok(()));
    assert!(check_net(&table).is_err() && check_net(b"").is_err() && check_net(b"\x00{").is_err());
}

/// A log of many small updates should not be much more than what they say.
#[test]
fn a_small_record_costs_few_bytes_beside_its_names_and_its_operation() {
    let net = net(Action::Update(br#"{"inc":{"n":1}}"#));
    let small = Operation { index: 3, seq: LINK.seq + 40, source: None, routing: None, ..operation(&net) };
    let (bytes, _) = write(&[Record::Operation(small)], LINK);
    // Length, kind, seq, flags, index, length of the id, checksum.
    assert_eq!(bytes.len() - small.id.len() - net.len(), 1 + 1 + 1 + 1 + 1 + 1 + 4);
}
