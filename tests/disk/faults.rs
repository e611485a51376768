//! The simulated disk against its own rules: calls and faults, processes that die, space, and syncs that fail.

use crate::simulated::{At, Bytes, Call, Changes, Fault, PAGE_BYTES, PowerCut, SimulatedDisk, When};
use millpond::disk::{Disk, DiskFile};
use std::{
    io::ErrorKind,
    path::Path,
    sync::{Arc, Mutex},
};

/// A disk with an open file `d/file` that holds `old`, all of it durable.
fn disk_with(old: &[u8]) -> (SimulatedDisk, Box<dyn DiskFile>) {
    let disk = SimulatedDisk::new(1);
    disk.create_directory(Path::new("d")).unwrap();
    disk.write_file("d/file", old).unwrap();
    let file = disk.open_for_writing(Path::new("d/file")).unwrap();
    (disk, file)
}

fn after_power_cut(disk: &SimulatedDisk, choice: PowerCut) -> Vec<u8> {
    let fork = disk.fork();
    fork.power_cut(choice);
    fork.validate();
    fork.read_file("d/file").unwrap()
}

#[test]
fn calls_are_numbered_in_order_and_making_a_file_with_space_is_two() {
    let (disk, file) = disk_with(b"");
    file.write_all_at(b"pond", 0).unwrap();
    file.sync_data().unwrap();
    disk.create(Path::new("d/new"), 1).unwrap();
    disk.create(Path::new("d/empty"), 0).unwrap();
    let expected = [
        Call::CreateDirectory,
        Call::Open,
        Call::Write,
        Call::SyncData,
        Call::Create,
        Call::Allocate,
        Call::Create,
    ];
    assert_eq!(disk.calls(), expected);
    disk.restart();
    assert!(disk.calls().is_empty());
}

#[test]
fn a_call_fails_before_it_took_effect_or_after() {
    for (fault, kind) in [(Fault::Io, ErrorKind::Other), (Fault::Full, ErrorKind::StorageFull)] {
        for (when, left) in [(When::Before, &b"old!"[..]), (When::After, &b"pond"[..])] {
            let (disk, file) = disk_with(b"old!");
            disk.fail(At::Call(2), when, fault);
            assert_eq!(file.write_at(b"pond", 0).unwrap_err().kind(), kind);
            assert_eq!(disk.read_file("d/file").unwrap(), left, "{fault:?} {when:?}");
            // Only that call.
            file.write_all_at(b"more", 0).unwrap();
            assert_eq!(disk.read_file("d/file").unwrap(), b"more");
        }
    }
}

#[test]
fn every_kind_of_call_that_changes_something_takes_effect_after_and_not_before() {
    type Act = fn(&SimulatedDisk, &dyn DiskFile) -> bool;
    let acts: [(Call, Act); 7] = [
        (Call::CreateDirectory, |disk, _| disk.create_directory(Path::new("d/below")).is_ok()),
        (Call::Create, |disk, _| disk.create(Path::new("d/new"), 0).is_ok()),
        (Call::Rename, |disk, _| disk.rename(Path::new("d/file"), Path::new("d/name")).is_ok()),
        (Call::Remove, |disk, _| disk.remove(Path::new("d/file")).is_ok()),
        (Call::SetLength, |_, file| file.set_length(1).is_ok()),
        (Call::Write, |_, file| file.write_at(b"new", 0).is_ok()),
        (Call::Lock, |disk, _| disk.lock(Path::new("d")).is_ok()),
    ];
    let state = |disk: &SimulatedDisk| (disk.names("d").unwrap(), disk.read_file("d/file").ok());
    for (call, act) in acts {
        for fault in [Fault::Io, Fault::Kill] {
            for when in [When::Before, When::After] {
                let (disk, file) = disk_with(b"old");
                let before = state(&disk);
                disk.fail(At::Nth(call, u64::from(call == Call::CreateDirectory)), when, fault);
                assert!(!act(&disk, &*file), "{call:?}");
                assert_eq!(state(&disk) != before, when == When::After, "{call:?} {when:?}");
                assert_eq!(disk.is_dead(), fault == Fault::Kill);
                disk.validate();
            }
        }
    }
}

#[test]
fn a_short_read_or_write_does_a_part_and_an_interrupted_one_nothing() {
    let (disk, file) = disk_with(b"a mill pond");
    disk.fail(At::Nth(Call::Read, 0), When::Before, Fault::Short);
    disk.fail(At::Nth(Call::Read, 1), When::Before, Fault::Interrupted);
    let mut into = [0; 11];
    let count = file.read_at(&mut into, 0).unwrap();
    assert!((1..11).contains(&count), "{count}");
    assert_eq!(&into[..count], &b"a mill pond"[..count]);
    assert_eq!(file.read_at(&mut into, 0).unwrap_err().kind(), ErrorKind::Interrupted);

    disk.fail(At::Nth(Call::Write, 0), When::Before, Fault::Short);
    disk.fail(At::Nth(Call::Write, 1), When::Before, Fault::Interrupted);
    file.write_all_at(b"two mills and a pond", 0).unwrap();
    assert_eq!(disk.read_file("d/file").unwrap(), b"two mills and a pond");
    assert!(disk.calls().iter().filter(|call| **call == Call::Write).count() >= 3);
}

#[test]
fn a_fault_may_last_until_it_is_healed() {
    let (disk, file) = disk_with(b"old");
    disk.fail(At::Every(Call::SyncData), When::Before, Fault::Io);
    for _ in 0..3 {
        file.sync_data().unwrap_err();
        file.sync_all().unwrap();
    }
    disk.heal();
    file.sync_data().unwrap();
}

#[test]
fn a_killed_process_changes_nothing_more_and_loses_nothing_it_wrote() {
    let (disk, file) = disk_with(b"old");
    let lock = disk.lock(Path::new("d")).unwrap();
    file.write_all_at(b"not synced", 0).unwrap();
    disk.create(Path::new("d/new"), 0).unwrap();
    disk.fail(At::Nth(Call::Rename, 0), When::After, Fault::Kill);
    disk.rename(Path::new("d/new"), Path::new("d/renamed")).unwrap_err();

    file.write_at(b"too late", 0).unwrap_err();
    file.sync_all().unwrap_err();
    disk.remove(Path::new("d/renamed")).unwrap_err();
    disk.list(Path::new("d")).unwrap_err();
    drop(lock);
    assert!(disk.is_dead());

    disk.restart();
    assert_eq!(disk.read_file("d/file").unwrap(), b"not synced");
    assert_eq!(disk.list(Path::new("d")).unwrap(), ["file", "lock", "renamed"]);
}

#[test]
fn after_a_restart_old_handles_fail_and_locks_are_free() {
    let (disk, file) = disk_with(b"old");
    let old = disk.lock(Path::new("d")).unwrap();
    assert_eq!(disk.lock(Path::new("d")).unwrap_err().kind(), ErrorKind::ResourceBusy);
    disk.restart();
    file.read_at(&mut [0], 0).unwrap_err();
    file.write_at(b"x", 0).unwrap_err();
    let new = disk.lock(Path::new("d")).unwrap();
    // The lock of a process that is gone does not let go of another's.
    drop(old);
    disk.lock(Path::new("d")).unwrap_err();
    drop(new);
    drop(disk.lock(Path::new("d")).unwrap());
    assert_eq!(disk.read_file("d/file").unwrap(), b"old");
}

#[test]
fn a_process_that_is_gone_cannot_reach_the_disk_of_the_next() {
    let (disk, _file) = disk_with(b"old");
    let (process, clone) = (disk.of_process(), disk.of_process().clone());
    process.remove(Path::new("d/file")).unwrap();
    disk.restart();
    for gone in [&process, &clone] {
        gone.create(Path::new("d/late"), 0).unwrap_err();
        gone.list(Path::new("d")).unwrap_err();
    }
    let next = disk.of_process();
    next.create(Path::new("d/new"), 0).unwrap();
    assert_eq!(disk.names("d").unwrap(), ["new"]);
}

#[test]
fn written_is_not_durable_and_synced_is() {
    let (disk, file) = disk_with(b"old");
    file.write_all_at(b"new", 0).unwrap();
    assert_eq!(after_power_cut(&disk, PowerCut::LOST), b"old");
    assert_eq!(after_power_cut(&disk, PowerCut::KEPT), b"new");
    file.sync_data().unwrap();
    for choice in PowerCut::all() {
        assert_eq!(after_power_cut(&disk, choice), b"new", "{choice:?}");
    }
}

#[test]
fn a_failed_sync_drops_what_it_could_not_write_and_the_next_one_reports_success() {
    let (disk, file) = disk_with(b"old");
    file.write_all_at(b"new", 0).unwrap();
    disk.fail(At::Nth(Call::SyncData, 0), When::Before, Fault::Io);
    file.sync_data().unwrap_err();
    // The trap: readers see it, the next sync says it is there, and it is not.
    assert_eq!(disk.read_file("d/file").unwrap(), b"new");
    file.sync_data().unwrap();
    file.sync_all().unwrap();
    for choice in PowerCut::all() {
        assert_eq!(after_power_cut(&disk, choice), b"old", "{choice:?}");
    }
    // Writing anywhere in the page makes all of it dirty again.
    file.write_all_at(b"W", 2).unwrap();
    file.sync_data().unwrap();
    assert_eq!(after_power_cut(&disk, PowerCut::LOST), b"neW");
    disk.validate();
}

#[test]
fn a_failed_sync_may_have_written_all_or_some() {
    let old = vec![b'-'; 4 * PAGE_BYTES];
    let new = vec![b'+'; 4 * PAGE_BYTES];
    let left = |when| {
        let (disk, file) = disk_with(&old);
        file.write_all_at(&new, 0).unwrap();
        disk.fail(At::Nth(Call::SyncAll, 0), when, Fault::Io);
        file.sync_all().unwrap_err();
        file.sync_all().unwrap();
        disk.validate();
        after_power_cut(&disk, PowerCut::KEPT)
    };
    assert_eq!(left(When::Before), old);
    assert_eq!(left(When::After), new);
    let some = left(When::Midway);
    assert!(some != old && some != new && some.len() == old.len());
}

#[test]
fn names_that_a_failed_sync_dropped_never_become_durable() {
    let (disk, _file) = disk_with(b"old");
    disk.create(Path::new("d/new"), 0).unwrap();
    disk.fail(At::Nth(Call::SyncDirectory, 0), When::Before, Fault::Io);
    disk.sync_directory(Path::new("d")).unwrap_err();
    disk.sync_directory(Path::new("d")).unwrap();
    assert_eq!(disk.names("d").unwrap(), ["file", "new"]);
    disk.power_cut(PowerCut::KEPT);
    assert_eq!(disk.names("d").unwrap(), ["file"]);
}

#[test]
fn a_sync_in_a_process_that_dies_leaves_everything_as_it_was() {
    let (disk, file) = disk_with(b"old");
    file.write_all_at(b"new", 0).unwrap();
    disk.fail(At::Nth(Call::SyncData, 0), When::Before, Fault::Kill);
    file.sync_data().unwrap_err();
    disk.restart();
    assert_eq!(disk.read_file("d/file").unwrap(), b"new");
    assert_eq!(after_power_cut(&disk, PowerCut::LOST), b"old");
    // The new process syncs what the old one wrote.
    disk.open(Path::new("d/file")).unwrap().sync_data().unwrap();
    assert_eq!(after_power_cut(&disk, PowerCut::LOST), b"new");
}

#[test]
fn a_full_disk_refuses_allocation_writes_what_fits_and_recovers() {
    const PAGE: u64 = PAGE_BYTES as u64;
    let (disk, file) = disk_with(b"");
    disk.set_capacity(4 * PAGE);
    let kept = disk.create(Path::new("d/kept"), 3 * PAGE).unwrap();
    assert_eq!(disk.used(), 3 * PAGE);
    assert_eq!(disk.create(Path::new("d/more"), 2 * PAGE).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.names("d").unwrap(), ["file", "kept"]);

    // One page is left, and half of what is written fits.
    let twice = vec![7; 2 * PAGE_BYTES];
    assert_eq!(file.write_at(&twice, 0).unwrap(), PAGE_BYTES);
    assert_eq!(file.write_at(&twice, PAGE).unwrap_err().kind(), ErrorKind::StorageFull);
    // What is allocated can be written.
    kept.write_all_at(&twice, 0).unwrap();
    kept.write_all_at(&twice, PAGE).unwrap();
    // Lengthening allocates nothing, so that the lack shows when it is written.
    kept.set_length(5 * PAGE).unwrap();
    assert_eq!(kept.write_at(b"x", 4 * PAGE).unwrap_err().kind(), ErrorKind::StorageFull);

    kept.set_length(PAGE).unwrap();
    assert_eq!(disk.used(), 2 * PAGE);
    disk.create(Path::new("d/more"), 2 * PAGE).unwrap();
    disk.remove(Path::new("d/more")).unwrap();
    assert_eq!(disk.used(), 2 * PAGE);
    // A file that is open keeps its space without a name.
    disk.remove(Path::new("d/kept")).unwrap();
    assert_eq!(disk.used(), 2 * PAGE);
    drop(kept);
    assert_eq!(disk.used(), PAGE);
    disk.set_capacity(u64::MAX);
    file.write_all_at(&twice, PAGE).unwrap();
    disk.validate();
}

#[test]
fn a_name_does_not_move_to_another_directory() {
    let (disk, _file) = disk_with(b"old");
    disk.create_directory(Path::new("other")).unwrap();
    let error = disk.rename(Path::new("d/file"), Path::new("other/file")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CrossesDevices);
    assert_eq!(disk.read_file("d/file").unwrap(), b"old");
}

#[test]
fn a_fork_goes_its_own_way() {
    let (disk, file) = disk_with(b"old");
    let fork = disk.fork();
    fork.list(Path::new("d")).unwrap_err();
    fork.restart();
    fork.open_for_writing(Path::new("d/file")).unwrap().write_all_at(b"fork", 0).unwrap();
    file.write_all_at(b"disk", 0).unwrap();
    assert_eq!(disk.read_file("d/file").unwrap(), b"disk");
    assert_eq!(fork.read_file("d/file").unwrap(), b"fork");
}

#[test]
fn a_test_is_told_of_each_call_before_it_is_carried_out() {
    let (disk, file) = disk_with(b"old");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (into, looks) = (Arc::clone(&seen), disk.clone());
    disk.watch(move |call| into.lock().unwrap().push((call, looks.read_file("d/file").unwrap())));
    file.write_all_at(b"new", 0).unwrap();
    file.sync_data().unwrap();
    let expected = [(Call::Write, b"old".to_vec()), (Call::SyncData, b"new".to_vec())];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn the_same_seed_and_calls_give_the_same_disk() {
    let left = |seed| {
        let disk = SimulatedDisk::new(seed);
        disk.create_directory(Path::new("d")).unwrap();
        let file = disk.create(Path::new("d/file"), 20_000).unwrap();
        file.sync_data().unwrap();
        disk.sync_directory(Path::new("d")).unwrap();
        for at in 0..20_u8 {
            file.write_all_at(&[at + 1; 900], u64::from(at) * 900).unwrap();
        }
        disk.power_cut(PowerCut::new(Bytes::Scattered, Changes::Lost));
        disk.read_file("d/file").unwrap()
    };
    assert_eq!(left(7), left(7));
    assert_ne!(left(7), left(8));
}
