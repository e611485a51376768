//! The door for the fuzz target `segment_reader`: segments in memory, no files.

use super::{
    cursor::{Documents, Merge},
    format::{CHECKSUM_BYTES, FOOTER_BYTES, HEADER_BYTES, MAGIC, Part, Record, checksum, key_hash},
    reader::Segment,
    verify::{VerifyReport, check_segment},
    writer::Builder,
};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc};

/// What a key holds: a document or a tombstone, and its routing.
pub type Entries = BTreeMap<(String, String), (Option<Vec<u8>>, Option<String>)>;

/// A segment's file of these entries; `None` if there are none.
#[must_use]
pub fn build_segment(entries: &Entries) -> Option<Vec<u8>> {
    let mut builder = Builder::new(Vec::new(), 7, entries.len() as u64).ok()?;
    for (seq, ((index, id), (source, routing))) in (1..).zip(entries) {
        let (source, routing) = (source.as_deref(), routing.as_deref());
        builder.add(&Record { index, id, routing, seq, source }).ok()?;
    }
    builder.finish().ok().map(|(bytes, _)| bytes)
}

/// Makes the checksums of a changed file right again, part by part as they lay in the sound one: what then is
/// malformed was not met by a checksum, but by the parser behind it.
pub fn reseal(changed: &mut [u8], sound: &[u8]) {
    let Ok(segment) = Segment::from_bytes(&Bytes::copy_from_slice(sound), None) else { return };
    let number = changed.get(12..20).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
    let index = segment.index();
    let blocks = (0..index.blocks()).filter_map(|block| Some((Part::Block, index.block_range(block)?)));
    let [filter, end] = [segment.footer().filter_offset, segment.footer().index_offset]
        .map(|offset| usize::try_from(offset).unwrap_or(usize::MAX));
    let footer = sound.len() - FOOTER_BYTES;
    let rest = [
        (Part::Header, 0..HEADER_BYTES),
        (Part::Filter, filter..end),
        (Part::Index, end..footer),
        (Part::Footer, footer..sound.len() - MAGIC.len()),
    ];
    for (part, range) in blocks.chain(rest).collect::<Vec<_>>() {
        let start = range.start as u64;
        if let Some((body, sum)) =
            changed.get_mut(range).and_then(<[u8]>::split_last_chunk_mut::<CHECKSUM_BYTES>)
        {
            *sum = checksum(number, part, start, &[body]).to_le_bytes();
        }
    }
}

/// Reads bytes as a segment's file in every way there is. Of `expected`, every answer must be right or an error. True
/// where verification found nothing wrong.
///
/// # Panics
/// On an answer that is wrong.
#[must_use]
pub fn read_segment(bytes: &[u8], expected: Option<&Entries>) -> bool {
    let Ok(segment) = Segment::from_bytes(&Bytes::copy_from_slice(bytes), None) else { return false };
    let segment = Arc::new(segment);
    if let Some(expected) = expected {
        for ((index, id), (source, _)) in expected {
            if let Ok(found) = segment.get(key_hash(index, id), index, id) {
                let found = found.map(|stored| stored.source.map(|source| source.to_vec()));
                assert_eq!(found, Some(source.clone()), "{index}/{id}");
            }
        }
    }
    segment.get(key_hash("absent", "absent"), "absent", "absent").ok();
    if let Ok(merge) = Merge::seek([&segment].into_iter(), "", "") {
        let mut documents = Documents::new(merge);
        let mut live = Vec::new();
        let mut whole = true;
        while let Some(next) = documents.next_while(|index| Some(index.into())) {
            match next {
                Ok(next) => live.push((next.index.to_string(), next.id.to_string(), next.source.to_vec())),
                Err(_) => whole = false,
            }
        }
        if let Some(expected) = expected {
            let document = |((index, id), (source, _)): (&(String, String), &(Option<Vec<u8>>, _))| {
                Some((index.clone(), id.clone(), source.clone()?))
            };
            let all: Vec<_> = expected.iter().filter_map(document).collect();
            assert!(all.starts_with(&live) && (!whole || live.len() == all.len()), "a scan is wrong");
        }
    }
    let mut report = VerifyReport::default();
    check_segment(&segment, &mut report);
    report.is_sound()
}
