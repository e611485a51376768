//! The operating system's disk.

use millpond::disk::{Disk, LOCK_FILE, SystemDisk};
use std::{fs, io::ErrorKind, path::Path};

#[test]
fn a_second_lock_is_refused_until_the_first_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let lock = SystemDisk.lock(dir.path()).unwrap();
    let error = SystemDisk.lock(dir.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    assert!(error.to_string().contains("in use"), "{error}");
    drop(lock);
    drop(SystemDisk.lock(dir.path()).unwrap());
    assert_eq!(SystemDisk.list(dir.path()).unwrap(), [LOCK_FILE]);
}

#[test]
fn a_lock_makes_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent");
    assert_eq!(SystemDisk.lock(&absent).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(SystemDisk.list(dir.path()).unwrap().is_empty());
}

#[test]
fn directories_above_are_made_and_one_that_is_there_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b/c");
    SystemDisk.create_directory(&deep).unwrap();
    fs::write(deep.join("kept"), b"").unwrap();
    SystemDisk.create_directory(&deep).unwrap();
    assert_eq!(SystemDisk.list(&deep).unwrap(), ["kept"]);
}

#[test]
fn a_file_where_a_directory_should_be_is_refused_and_left() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"mine").unwrap();
    let errors = [
        SystemDisk.create_directory(&file).unwrap_err(),
        SystemDisk.lock(&file).unwrap_err(),
        SystemDisk.create_directory(&file.join("below")).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::NotADirectory, "{error}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_is_refused_however_its_path_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    for path in [link.clone(), link.join(""), link.join(".")] {
        for error in [SystemDisk.lock(&path).unwrap_err(), SystemDisk.create_directory(&path).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::NotADirectory);
            assert!(error.to_string().contains("symbolic link"), "{error}");
        }
    }
    // Above the directory it is nobody's business: /var and /tmp are links on some systems.
    SystemDisk.create_directory(&link.join("below")).unwrap();
    drop(SystemDisk.lock(&link.join("below")).unwrap());
    assert_eq!(SystemDisk.list(&real).unwrap(), ["below"]);
}

#[test]
fn a_new_file_is_zeroes_that_can_be_written_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new");
    let file = SystemDisk.create(&path, 10_000).unwrap();
    assert_eq!(file.length().unwrap(), 10_000);
    file.write_all_at(b"pond", 9_998).unwrap();
    file.sync_data().unwrap();
    SystemDisk.sync_directory(dir.path()).unwrap();
    let mut expected = vec![0; 10_002];
    expected[9_998..].copy_from_slice(b"pond");
    assert_eq!(file.read_all().unwrap(), expected);
    assert_eq!(SystemDisk.open(&path).unwrap().read_all().unwrap(), expected);
    assert_eq!(fs::read(&path).unwrap(), expected);
    assert_eq!(file.as_file().unwrap().metadata().unwrap().len(), 10_002);
}

#[cfg(target_os = "linux")]
#[test]
fn preallocated_bytes_have_blocks_and_lengthened_ones_need_not() {
    use std::os::unix::fs::MetadataExt;
    const BLOCK: u64 = 512;
    let dir = tempfile::tempdir().unwrap();
    let bytes = 1 << 20;
    let path = dir.path().join("new");
    let file = SystemDisk.create(&path, bytes).unwrap();
    let before = fs::metadata(&path).unwrap();
    assert!(before.blocks() * BLOCK >= bytes, "{} blocks", before.blocks());
    file.write_all_at(&vec![7; 1 << 16], 0).unwrap();
    file.sync_all().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().blocks(), before.blocks(), "writing allocated once more");
    file.set_length(0).unwrap();
    assert_eq!(file.length().unwrap(), 0);
}

#[test]
fn a_file_that_does_not_fit_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new");
    // More than any file may have.
    SystemDisk.create(&path, u64::MAX).unwrap_err();
    assert!(SystemDisk.list(dir.path()).unwrap().is_empty());
    SystemDisk.create(&path, 1).unwrap();
}

#[test]
fn a_name_that_is_taken_is_not_created_and_an_absent_one_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("taken");
    fs::write(&path, b"mine").unwrap();
    assert_eq!(SystemDisk.create(&path, 9).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    let absent = dir.path().join("absent");
    for error in [
        SystemDisk.open(&absent).unwrap_err(),
        SystemDisk.open_for_writing(&absent).unwrap_err(),
        SystemDisk.remove(&absent).unwrap_err(),
        SystemDisk.rename(&absent, &path).unwrap_err(),
        SystemDisk.list(&absent).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

#[test]
fn a_read_at_the_end_is_short_and_behind_it_empty() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, b"a mill pond").unwrap();
    let file = SystemDisk.open(&path).unwrap();
    let mut into = [0; 8];
    assert_eq!(file.read_at(&mut into, 7).unwrap(), 4);
    assert_eq!(&into[..4], b"pond");
    assert_eq!(file.read_at(&mut into, 11).unwrap(), 0);
    assert_eq!(file.read_at(&mut into, 1 << 40).unwrap(), 0);
    assert_eq!(file.read_exact_at(&mut into, 7).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_file_opened_for_reading_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, b"mine").unwrap();
    let file = SystemDisk.open(&path).unwrap();
    file.write_at(b"yours", 0).unwrap_err();
    file.set_length(1).unwrap_err();
    let file = SystemDisk.open_for_writing(&path).unwrap();
    file.write_all_at(b"s", 4).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"mines");
}

#[test]
fn a_rename_replaces_and_open_files_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let name = |name: &str| dir.path().join(name);
    fs::write(name("old"), b"old").unwrap();
    let old = SystemDisk.open(&name("old")).unwrap();
    let new = SystemDisk.create(&name("new"), 0).unwrap();
    new.write_all_at(b"new", 0).unwrap();
    SystemDisk.rename(&name("new"), &name("old")).unwrap();
    assert_eq!(old.read_all().unwrap(), b"old");
    assert_eq!(SystemDisk.open(&name("old")).unwrap().read_all().unwrap(), b"new");
    SystemDisk.remove(&name("old")).unwrap();
    assert_eq!(new.read_all().unwrap(), b"new");
    assert!(SystemDisk.list(dir.path()).unwrap().is_empty());
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf_8_are_left_out() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(Path::new(std::ffi::OsStr::from_bytes(b"\xff"))), b"").unwrap();
    fs::write(dir.path().join("ours"), b"").unwrap();
    assert_eq!(SystemDisk.list(dir.path()).unwrap(), ["ours"]);
}
