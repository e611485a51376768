//! Tests of reading plain and packed input by lines.

use super::*;
use std::io::Write;

fn lines_of(bytes: &[u8]) -> io::Result<Vec<String>> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(bytes)?;
    let position = Arc::new(AtomicU64::new(0));
    let mut lines = Source::new(file.path()).open(Arc::clone(&position))?;
    let (mut line, mut all) = (Vec::new(), Vec::new());
    while lines.read(&mut line, || ())? == Piece::Line {
        all.push(String::from_utf8_lossy(&line).into_owned());
    }
    assert_eq!(position.load(Ordering::Relaxed), bytes.len() as u64);
    assert_eq!(lines.number(), all.len() as u64);
    Ok(all)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
}

#[test]
fn plain_gzip_and_zstd_are_told_by_their_first_bytes() {
    let text = b"one\ntwo\r\nthree";
    let expected = ["one\n", "two\r\n", "three"];
    for bytes in [text.to_vec(), gzip(text), zstd(text)] {
        assert_eq!(lines_of(&bytes).unwrap(), expected);
    }
}

#[test]
fn members_and_frames_follow_one_another_and_skippable_frames_are_skipped() {
    let expected = ["one\n", "two\n"];
    assert_eq!(lines_of(&[gzip(b"one\n"), gzip(b"two\n")].concat()).unwrap(), expected);
    let skippable = [0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9];
    let frames = [&skippable[..], &zstd(b"one\n"), &skippable, &zstd(b""), &zstd(b"two\n")].concat();
    assert_eq!(lines_of(&frames).unwrap(), expected);
}

#[test]
fn an_input_shorter_than_any_magic_is_plain() {
    assert_eq!(lines_of(b"").unwrap(), [""; 0]);
    assert_eq!(lines_of(b"\n").unwrap(), ["\n"]);
    assert_eq!(lines_of(b"{}").unwrap(), ["{}"]);
}

#[test]
fn compressed_input_that_is_cut_short_is_an_error_and_not_an_end() {
    let text = "a line of text that does not compress to nothing\n".repeat(100);
    for bytes in [gzip(text.as_bytes()), zstd(text.as_bytes())] {
        assert!(lines_of(&bytes[..bytes.len() - 5]).is_err());
    }
    assert!(lines_of(&[&zstd(b"one\n")[..], b"garbage behind it"].concat()).is_err());
}

#[test]
fn a_line_over_the_bound_is_handed_on_in_pieces_and_the_next_one_is_whole() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let long = vec![b'x'; LINE_BYTES_MAX + 10];
    file.write_all(&[&long[..], b"\nnext\n"].concat()).unwrap();
    let mut lines = Source::new(file.path()).open(Arc::default()).unwrap();
    let mut line = Vec::new();
    assert_eq!(lines.read(&mut line, || ()).unwrap(), Piece::TooLong);
    assert_eq!(line.len(), LINE_BYTES_MAX);
    let mut rest = 0;
    lines
        .rest(|piece| -> io::Result<()> {
            rest += piece.len();
            Ok(())
        })
        .unwrap();
    assert_eq!(rest, 11);
    assert_eq!(lines.read(&mut line, || ()).unwrap(), Piece::Line);
    assert_eq!((line.as_slice(), lines.number()), (&b"next\n"[..], 2));
    assert_eq!(lines.read(&mut line, || ()).unwrap(), Piece::End);
}

#[test]
fn a_dash_is_standard_input() {
    assert_eq!(Source::new(Path::new("-")), Source::Stdin);
    assert_eq!(Source::Stdin.to_string(), "<stdin>");
    assert_eq!(Source::new(Path::new("./-")).to_string(), "./-");
}
