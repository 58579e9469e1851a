//! Starting again on what a crash, a fault or a careless hand left of the log.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use votum_journal::{Bearing, Entry, Journal, Lsn, OnDisk, OpenError, Options};

use super::{entry, stream, workload};

#[test]
fn everything_durable_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = workload::open(folder.path(), 64 << 10).unwrap();
    opened.journal.set_epoch(3);
    workload::perform(&mut opened, 1..=500);
    let durable = opened.journal.durable();
    drop(opened);

    let reopened = workload::open(folder.path(), 64 << 10).unwrap();

    assert_eq!(reopened.journal.durable(), durable);
    assert_eq!((reopened.epoch, reopened.cluster), (3, workload::CLUSTER));
    assert_eq!(reopened.torn_tail, None);
    assert!(reopened.open_streams.contains(&stream("cluster")));
}

#[test]
fn a_closed_stream_is_readable_but_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = workload::open(folder.path(), 64 << 20).unwrap();
    opened.journal.append(entry("job/a", b"one"));
    opened.journal.append(entry("job/b", b"one"));
    opened.journal.append(Entry { bearing: Bearing::Closes, ..entry("job/a", b"two") });
    drop(opened);

    let reopened = workload::open(folder.path(), 64 << 20).unwrap();

    assert_eq!(reopened.open_streams, [stream("job/b")]);
    assert_eq!(reopened.reader.read(&stream("job/a")).unwrap().len(), 2);
}

#[test]
fn numbers_go_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=5 {
        let mut opened = workload::open(folder.path(), 64 << 20).unwrap();
        assert_eq!(opened.journal.append(entry("job/a", &[1])), Lsn(round));
        drop(opened);
    }
    let opened = workload::open(folder.path(), 64 << 20).unwrap();
    assert_eq!(opened.reader.read(&stream("job/a")).unwrap().len(), 5);
}

#[test]
fn a_torn_tail_is_cut_and_said_so() {
    for garbage in [&[0xff; 100][..], &[1], &[0, 0, 0, 0, 0, 0, 0, 9]] {
        let (folder, ends) = written(&[b"one", b"two"]);
        let segment = only_segment(folder.path());
        let file = File::options().write(true).open(&segment).unwrap();
        file.write_all_at(garbage, ends[1]).unwrap();

        let reopened = workload::open(folder.path(), 64 << 20).unwrap();

        let torn = reopened.torn_tail.as_ref().unwrap();
        assert_eq!((&torn.file, torn.offset), (&segment, ends[1]));
        assert_eq!(torn.bytes, garbage.len() as u64);
        assert_eq!(reopened.reader.read(&stream("job/a")).unwrap().len(), 2);
        drop(reopened);
        assert_eq!(workload::open(folder.path(), 64 << 20).unwrap().torn_tail, None);
    }
}

#[test]
fn damage_before_later_records_refuses_the_start() {
    let (folder, ends) = written(&[b"one", b"two", b"three"]);
    let segment = only_segment(folder.path());
    flip(&segment, ends[0] + 70);

    let error = workload::open(folder.path(), 64 << 20).unwrap_err();

    let named = matches!(&error, OpenError::Damaged { file, offset }
        if *file == segment && *offset == ends[0]);
    assert!(named, "{error:?}");
    assert!(error.to_string().contains(&ends[0].to_string()));
}

#[test]
fn damage_within_the_unsynced_group_is_a_torn_tail() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing lazy is written before the journal is closed, so that it is one group.
    let options =
        Options { lazy_sync: Duration::from_secs(3600), ..Options::new(workload::CLUSTER) };
    let mut opened = OnDisk::open(folder.path(), options, |_| ()).unwrap();
    let lsn = opened.journal.append(entry("job/a", b"durable before"));
    opened.reader.wait_for(lsn);
    let start = end_of_log(&only_segment(folder.path()));
    let lazily =
        |payload| Entry { urgency: votum_journal::Urgency::Lazy, ..entry("job/a", payload) };
    opened.journal.append(lazily(&[1; 300]));
    opened.journal.append(lazily(&[2; 300]));
    drop(opened);
    // A power cut may keep the second page of an unsynced write and lose the first.
    flip(&only_segment(folder.path()), start + 100);
    fs::remove_dir_all(folder.path().join("index")).unwrap();

    let reopened = workload::open(folder.path(), 64 << 20).unwrap();

    assert_eq!(reopened.torn_tail.as_ref().unwrap().offset, start);
    assert_eq!(reopened.reader.read(&stream("job/a")).unwrap().len(), 1);
}

#[test]
fn damage_in_an_older_segment_is_found_where_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = workload::open(folder.path(), 16 << 10).unwrap();
    (1..=100).for_each(|number| workload::perform(&mut opened, number..=number));
    drop(opened);
    let oldest = segments(folder.path()).remove(0);
    flip(&oldest, 64 + 70);

    let opened = workload::open(folder.path(), 16 << 10).unwrap();
    let read = opened.reader.read(&stream("job/j0"));
    assert!(matches!(read, Err(votum_journal::ReadError::Misplaced { .. })), "{read:?}");
    drop(opened);

    // The reader could not know which of the two is wrong; the rebuild does.
    let error = workload::open(folder.path(), 16 << 10).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { file, offset: 64 } if file == oldest));
}

#[test]
fn a_missing_segment_refuses_the_start() {
    let many_segments = || {
        let folder = tempfile::tempdir().unwrap();
        let mut opened = workload::open(folder.path(), 16 << 10).unwrap();
        (1..=50).for_each(|number| workload::perform(&mut opened, 4 * number - 3..=4 * number));
        drop(opened);
        let segments = segments(folder.path());
        assert!(segments.len() > 3);
        (folder, segments)
    };
    let (folder, segments) = many_segments();
    fs::remove_file(&segments[0]).unwrap();
    let error = workload::open(folder.path(), 16 << 10).unwrap_err();
    assert!(matches!(error, OpenError::StartMissing { expected: Lsn(1), .. }), "{error:?}");

    let (folder, segments) = many_segments();
    fs::remove_file(&segments[1]).unwrap();
    let error = workload::open(folder.path(), 16 << 10).unwrap_err();
    assert!(matches!(error, OpenError::Unchained { file, .. } if file == segments[2]));

    let (folder, segments) = many_segments();
    let shorter = fs::metadata(&segments[0]).unwrap().len() - 8;
    File::options().write(true).open(&segments[0]).unwrap().set_len(shorter).unwrap();
    let error = workload::open(folder.path(), 16 << 10).unwrap_err();
    assert!(matches!(error, OpenError::Unchained { file, .. } if file == segments[1]));

    let (folder, segments) = many_segments();
    segments.iter().for_each(|segment| fs::remove_file(segment).unwrap());
    let error = workload::open(folder.path(), 16 << 10).unwrap_err();
    assert!(matches!(error, OpenError::StartMissing { expected: Lsn(1), .. }), "{error:?}");
}

#[test]
fn a_segment_of_another_cluster_refuses_the_start() {
    let folder_of = |cluster: [u8; 16]| {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes: 4096, ..Options::new(cluster) };
        let mut opened = OnDisk::open(folder.path(), options, |_| ()).unwrap();
        for number in 1..=20 {
            let lsn = opened.journal.append(entry("job/a", &[number; 1000]));
            opened.reader.wait_for(lsn);
        }
        folder
    };
    let (ours, theirs) = (folder_of([1; 16]), folder_of([2; 16]));
    let segment = segments(ours.path()).remove(1);
    fs::copy(theirs.path().join(segment.file_name().unwrap()), &segment).unwrap();

    let error = workload::open(ours.path(), 4096).unwrap_err();

    assert!(matches!(error, OpenError::OtherCluster { file } if file == segment));
}

#[test]
fn a_damaged_header_refuses_the_start() {
    let (folder, _) = written(&[b"one"]);
    let segment = only_segment(folder.path());
    flip(&segment, 20);
    let error = workload::open(folder.path(), 64 << 20).unwrap_err();
    assert!(matches!(error, OpenError::NotASegment { file } if file == segment));
}

#[test]
fn what_a_crash_left_half_made_is_removed() {
    let (folder, _) = written(&[b"one"]);
    let half_made = folder.path().join("00000000000000000002.journal.aside");
    fs::write(&half_made, b"votu").unwrap();
    let opened = workload::open(folder.path(), 64 << 20).unwrap();
    assert_eq!(opened.journal.durable(), Lsn(1));
    assert!(!half_made.exists());
}

/// Writes records one group each and returns where each of them ends.
fn written(payloads: &[&[u8]]) -> (tempfile::TempDir, Vec<u64>) {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = workload::open(folder.path(), 64 << 20).unwrap();
    let mut ends = Vec::new();
    for payload in payloads {
        let lsn = opened.journal.append(entry("job/a", payload));
        opened.reader.wait_for(lsn);
        ends.push(end_of_log(&only_segment(folder.path())));
    }
    (folder, ends)
}

/// Returns where the zeros of a segment begin, to the next multiple of a frame's alignment.
fn end_of_log(segment: &Path) -> u64 {
    let bytes = fs::read(segment).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64;
    (last + 1).next_multiple_of(8)
}

fn only_segment(folder: &Path) -> PathBuf {
    let mut segments = segments(folder);
    assert_eq!(segments.len(), 1);
    segments.remove(0)
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let items = fs::read_dir(folder).unwrap().map(|item| item.unwrap().path());
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|found| found == "journal");
    let mut segments: Vec<_> = items.filter(is_segment).collect();
    segments.sort();
    segments
}

fn flip(path: &Path, offset: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x55], offset).unwrap();
}
