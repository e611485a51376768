//! zstd frames one after the other, as one stream of bytes.
//!
//! # Why not `ruzstd`'s streaming decoder alone
//! It reads one frame and stops, steps over no skippable frame, and leaves the content checksum to its
//! caller. Files made by parallel compressors, or by appending, have all three.

use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};
use std::io::{self, BufRead, Read};

/// The largest window that is decoded: what `zstd -19` needs, and `--long=23`. It bounds the decoder's memory.
const WINDOW_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// True if the bytes begin a frame that holds no content.
pub(super) fn is_skippable(magic: &[u8]) -> bool {
    matches!(magic, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// The content of all frames.
pub(super) struct Frames<R> {
    raw: R,
    decoder: FrameDecoder,
    within_frame: bool,
}

impl<R: BufRead> Frames<R> {
    pub(super) fn new(raw: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_BYTES_MAX);
        Self { raw, decoder, within_frame: false }
    }

    /// Starts the next frame with content; false at the end of the input.
    fn next_frame(&mut self) -> io::Result<bool> {
        loop {
            if self.raw.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.raw) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    let skipped = io::copy(&mut self.raw.by_ref().take(length), &mut io::sink())?;
                    if skipped < length {
                        return Err(damaged("a skippable frame is cut short"));
                    }
                }
                Err(error) => return Err(damaged(error)),
            }
        }
    }

    fn check(&self) -> io::Result<()> {
        let (stored, found) = (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
        match (stored, found) {
            (Some(stored), Some(found)) if stored != found => {
                Err(damaged("the checksum of a frame does not match its content"))
            }
            _ => Ok(()),
        }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() {
            if !self.within_frame {
                self.within_frame = self.next_frame()?;
                if !self.within_frame {
                    return Ok(0);
                }
            }
            if self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.raw, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(damaged)?;
                continue;
            }
            let count = self.decoder.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            self.check()?;
            self.within_frame = false;
        }
        Ok(0)
    }
}

fn damaged(why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("zstd: {why}"))
}
