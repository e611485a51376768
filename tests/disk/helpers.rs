//! The loops around reading and writing at places, over a file that does as little as it may.

use millpond::disk::DiskFile;
use std::{
    io::{self, ErrorKind},
    sync::Mutex,
};

/// Bytes in memory that are read and written one at a time, every second time after an interruption.
#[derive(Debug, Default)]
struct Reluctant {
    bytes: Mutex<Vec<u8>>,
    calls: Mutex<u64>,
    /// What a call says it did, where that is not what it did.
    claims: Option<usize>,
    /// Bytes after which there is no space.
    space: Option<usize>,
}

impl Reluctant {
    fn interrupted(&self) -> io::Result<()> {
        let mut calls = self.calls.lock().unwrap();
        *calls += 1;
        if *calls % 2 == 1 { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}

impl DiskFile for Reluctant {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.interrupted()?;
        let bytes = self.bytes.lock().unwrap();
        let Some(byte) = bytes.get(usize::try_from(offset).unwrap()) else { return Ok(0) };
        into[0] = *byte;
        Ok(self.claims.unwrap_or(1))
    }

    fn write_at(&self, new: &[u8], offset: u64) -> io::Result<usize> {
        self.interrupted()?;
        let mut bytes = self.bytes.lock().unwrap();
        assert_eq!(bytes.len() as u64, offset);
        if self.space.is_some_and(|space| bytes.len() >= space) {
            return Ok(0);
        }
        bytes.push(new[0]);
        Ok(self.claims.unwrap_or(1))
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn set_length(&self, _bytes: u64) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}

#[test]
fn short_and_interrupted_reads_and_writes_are_gone_on_with() {
    let file: Box<dyn DiskFile> = Box::new(Reluctant::default());
    file.write_all_at(b"a mill", 0).unwrap();
    file.write_all_at(b" pond", 6).unwrap();
    assert_eq!(file.read_all().unwrap(), b"a mill pond");
    let mut part = [0; 4];
    file.read_exact_at(&mut part, 2).unwrap();
    assert_eq!(&part, b"mill");
    assert!(file.as_file().is_none());
}

#[test]
fn nothing_to_read_or_write_asks_nothing_of_the_file() {
    let file = Reluctant::default();
    let seam: &dyn DiskFile = &file;
    seam.write_all_at(b"", 99).unwrap();
    seam.read_exact_at(&mut [], 99).unwrap();
    assert_eq!(*file.calls.lock().unwrap(), 0);
}

#[test]
fn an_end_before_all_was_read_is_an_error() {
    let file: Box<dyn DiskFile> = Box::new(Reluctant::default());
    file.write_all_at(b"pond", 0).unwrap();
    let error = file.read_exact_at(&mut [0; 6], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert!(error.to_string().contains("2 bytes before"), "{error}");
    assert_eq!(file.read_exact_at(&mut [0; 1], 4).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_write_of_nothing_is_an_error_and_no_endless_loop() {
    let file = Reluctant { space: Some(3), ..Reluctant::default() };
    let seam: &dyn DiskFile = &file;
    let error = seam.write_all_at(b"pond", 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WriteZero);
    assert_eq!(*file.bytes.lock().unwrap(), b"pon");
}

#[test]
fn a_disk_that_claims_more_than_it_was_asked_for_is_not_believed() {
    let file = Reluctant { claims: Some(9), ..Reluctant::default() };
    let seam: &dyn DiskFile = &file;
    assert!(seam.write_all_at(b"pond", 0).unwrap_err().to_string().contains("says it did 9"));
    assert!(seam.read_exact_at(&mut [0; 1], 0).unwrap_err().to_string().contains("says it did 9"));
}

#[test]
fn a_place_behind_the_last_there_can_be_is_an_error() {
    let file: &dyn DiskFile = &Boundless;
    assert_eq!(file.write_all_at(b"pond", u64::MAX - 1).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(file.read_exact_at(&mut [0; 4], u64::MAX - 1).unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// Takes whatever place it is given, one byte at a time.
#[derive(Debug)]
struct Boundless;

impl DiskFile for Boundless {
    fn read_at(&self, _into: &mut [u8], _offset: u64) -> io::Result<usize> {
        Ok(1)
    }

    fn write_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<usize> {
        Ok(1)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn set_length(&self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }
}
