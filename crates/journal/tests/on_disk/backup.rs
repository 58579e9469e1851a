//! A copy that is taken while the journal is written and reclaimed holds what had happened by one
//! moment, and a journal made of it goes on from there.

use std::{
    fs,
    io::Cursor,
    sync::atomic::{AtomicU64, Ordering},
};

use votum_journal::{Journal, Reader, RestoreError, restore};

use super::workload;

#[test]
fn a_copy_taken_under_load_is_a_prefix_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = workload::open(folder.path(), SEGMENT_BYTES).unwrap();
    workload::perform(&mut opened, 1..=200);
    let reader = opened.reader.clone();
    let (acknowledged, ended) = (AtomicU64::new(200), AtomicU64::new(0));

    let copies = std::thread::scope(|scope| {
        scope.spawn(|| {
            for first in (201..2_500).step_by(7) {
                workload::perform(&mut opened, first..first + 7);
                acknowledged.store(first + 6, Ordering::SeqCst);
            }
            ended.store(1, Ordering::SeqCst);
        });
        let mut copies = Vec::new();
        while ended.load(Ordering::SeqCst) == 0 || copies.is_empty() {
            let before = acknowledged.load(Ordering::SeqCst);
            copies.push((before, copy_of(&reader)));
        }
        copies
    });

    assert!(reader.counters().segments_removed > 3, "nothing was reclaimed meanwhile");
    let step = (copies.len() / COPIES_CHECKED).max(1);
    for (acknowledged, copy) in copies.iter().step_by(step) {
        let held = held_by(copy);
        assert!(held >= *acknowledged, "holds {held}, though {acknowledged} were acknowledged");
    }
}

#[test]
fn a_restored_journal_goes_on_from_where_the_copy_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = workload::open(folder.path(), SEGMENT_BYTES).unwrap();
    workload::perform(&mut opened, 1..=1_500);
    let copy = copy_of(&opened.reader);
    let (durable, open_streams) = (opened.reader.durable(), opened.journal.open_streams().unwrap());

    let other = tempfile::tempdir().unwrap();
    let restored = restore(Cursor::new(&copy), other.path()).unwrap();
    assert_eq!((restored.cluster, restored.last), (workload::CLUSTER, durable));
    let mut again = workload::open(other.path(), SEGMENT_BYTES).unwrap();
    assert_eq!((again.open_streams.clone(), again.torn_tail.clone()), (open_streams, None));
    workload::perform(&mut again, 1_501..=2_200);
    drop(again);
    let again = workload::open(other.path(), SEGMENT_BYTES).unwrap();
    assert_eq!(workload::operations_held(&again.journal), Ok(2_200));
}

#[test]
fn the_copy_of_an_empty_journal_is_an_empty_journal() {
    let folder = tempfile::tempdir().unwrap();
    let opened = workload::open(folder.path(), SEGMENT_BYTES).unwrap();
    assert_eq!(held_by(&copy_of(&opened.reader)), 0);
}

#[test]
fn a_copy_that_ends_early_or_is_damaged_becomes_no_journal() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = workload::open(folder.path(), SEGMENT_BYTES).unwrap();
    workload::perform(&mut opened, 1..=300);
    let copy = copy_of(&opened.reader);
    for length in [0, 7, 43, 60, copy.len() / 2, copy.len() - 1] {
        let other = tempfile::tempdir().unwrap();
        let refused = restore(Cursor::new(&copy[..length]), other.path());
        assert!(matches!(refused, Err(RestoreError::NoBackup)), "{length}: {refused:?}");
    }
    for at in [0, 9, 20, 45] {
        let mut damaged = copy.clone();
        damaged[at] ^= 1;
        let other = tempfile::tempdir().unwrap();
        assert!(restore(Cursor::new(&damaged), other.path()).is_err(), "a flipped bit at {at}");
    }
}

#[test]
fn nothing_that_lies_in_a_folder_is_restored_over() {
    let folder = tempfile::tempdir().unwrap();
    let opened = workload::open(folder.path(), SEGMENT_BYTES).unwrap();
    let copy = copy_of(&opened.reader);
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("mine"), "mine").unwrap();
    let refused = restore(Cursor::new(&copy), other.path());
    assert!(matches!(refused, Err(RestoreError::NotEmpty { .. })), "{refused:?}");
}

fn copy_of(reader: &Reader) -> Vec<u8> {
    let mut backup = reader.backup().unwrap();
    let mut copy = Vec::new();
    while let Some(chunk) = backup.read().unwrap() {
        copy.extend(chunk);
    }
    assert_eq!(copy.len() as u64, backup.bytes());
    copy
}

/// Returns how many operations a copy holds, all of them without a gap.
fn held_by(copy: &[u8]) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    restore(Cursor::new(copy), folder.path()).unwrap();
    let opened = workload::open(folder.path(), SEGMENT_BYTES).unwrap();
    workload::operations_held(&opened.journal).unwrap()
}

const SEGMENT_BYTES: u64 = 64 << 10;
const COPIES_CHECKED: usize = 8;
