//! The index is a cache: whatever happens to it, the log brings it back.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
};

use votum_journal::{Doubt, IndexState, Journal, Opened, Reader};

use super::workload;

#[test]
fn a_closed_index_is_believed() {
    let folder = worked(300);
    assert!(matches!(reopened(folder.path(), 300).index, IndexState::Current));
}

#[test]
fn an_index_that_is_behind_catches_up() {
    let folder = worked(300);
    let kept = tempfile::tempdir().unwrap();
    copy_all(&folder.path().join("index"), kept.path());
    let mut opened = reopened(folder.path(), 300);
    workload::perform(&mut opened, 301..=333);
    drop(opened);
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    copy_all(kept.path(), &folder.path().join("index"));

    let opened = reopened(folder.path(), 333);

    assert!(matches!(opened.index, IndexState::CaughtUp { records: 33 }), "{:?}", opened.index);
}

#[test]
fn deleting_the_index_loses_nothing() {
    let folder = worked(300);
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    let opened = reopened(folder.path(), 300);
    assert!(matches!(opened.index, IndexState::Rebuilt { doubt: Doubt::Missing, .. }));
    drop(opened);
    assert!(matches!(reopened(folder.path(), 300).index, IndexState::Current));
}

#[test]
fn an_index_ahead_of_the_log_is_rebuilt() {
    let folder = worked(300);
    let ahead = tempfile::tempdir().unwrap();
    let shorter = worked(100);
    copy_all(&folder.path().join("index"), &ahead.path().join("index"));
    fs::remove_dir_all(shorter.path().join("index")).unwrap();
    copy_all(&ahead.path().join("index"), &shorter.path().join("index"));

    let opened = reopened(shorter.path(), 100);

    let ahead = matches!(opened.index, IndexState::Rebuilt { doubt: Doubt::Ahead { .. }, .. });
    assert!(ahead, "{:?}", opened.index);
    assert!(shorter.path().join("index.doubted").exists());
}

#[test]
fn an_index_of_an_ended_boot_is_rebuilt() {
    let folder = worked(100);
    let mark = "written in boot 11111111-2222-3333-4444-555555555555 mount 1\n";
    fs::write(folder.path().join("index.trust"), mark).unwrap();
    let opened = reopened(folder.path(), 100);
    assert!(matches!(opened.index, IndexState::Rebuilt { doubt: Doubt::Interrupted, .. }));
}

#[test]
fn an_index_that_was_distrusted_is_rebuilt() {
    let folder = worked(100);
    fs::write(folder.path().join("index.trust"), "distrusted\n").unwrap();
    let opened = reopened(folder.path(), 100);
    assert!(matches!(opened.index, IndexState::Rebuilt { doubt: Doubt::Distrusted, .. }));
}

#[test]
fn a_half_made_snapshot_does_no_harm() {
    let folder = worked(100);
    fs::write(folder.path().join("index/snap.FFFFFFFFFFFFFFFF.generating"), b"x").unwrap();
    assert!(matches!(reopened(folder.path(), 100).index, IndexState::Current));
}

#[test]
fn a_damaged_index_loses_nothing() {
    let files = |folder: &Path| {
        let all = fs::read_dir(folder.join("index")).unwrap().map(|item| item.unwrap().path());
        let mut files: Vec<_> = all.filter(|path| path.is_file()).collect();
        files.sort();
        files
    };
    let count = files(worked(120).path()).len();
    for at in 0..count {
        let damages: [fn(&Path); 3] = [
            |path| fs::write(path, b"").unwrap(),
            |path| fs::write(path, b"not what it was, at all").unwrap(),
            |path| {
                let file = File::options().write(true).open(path).unwrap();
                let length = file.metadata().unwrap().len();
                file.write_all_at(&[0xa5; 64], length / 2).unwrap();
                file.set_len(length - length / 3).unwrap();
            },
        ];
        for damage in damages {
            let folder = worked(120);
            damage(&files(folder.path())[at]);
            // A part of the engine's file that nobody reads may be damaged unnoticed until it is
            // read; the start after that rebuilds.
            let opened = workload::open(folder.path(), SEGMENT_BYTES).unwrap();
            if try_everything(&opened.reader) {
                drop(opened);
                reopened(folder.path(), 120);
            } else {
                assert_eq!(workload::operations_held(&opened.journal), Ok(120));
            }
        }
    }
}

/// Reads everything through the index; says whether it had to give up.
fn try_everything(reader: &Reader) -> bool {
    let Ok(streams) = reader.open_streams() else { return true };
    reader.scan(b"", None, usize::MAX).is_err()
        || streams.iter().any(|stream| reader.read(stream).is_err())
}

fn worked(operations: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = workload::open(folder.path(), SEGMENT_BYTES).unwrap();
    workload::perform(&mut opened, 1..=operations);
    drop(opened);
    folder
}

/// Opens the journal and checks that it holds exactly the operations up to `operations`.
fn reopened(folder: &Path, operations: u64) -> Opened {
    let opened = workload::open(folder, SEGMENT_BYTES).unwrap();
    assert_eq!(workload::operations_held(&opened.journal), Ok(operations));
    assert!(opened.journal.durable().0 >= operations);
    opened
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let path = item.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy_all(&path, &target) } else { drop(fs::copy(&path, target)) }
    }
}

const SEGMENT_BYTES: u64 = 256 << 10;
