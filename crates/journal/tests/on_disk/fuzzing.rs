//! A damaged log is refused, or read as far as it is whole; never a panic.

use std::{fs, path::Path};

use votum_fuzz::{Door, feed};

use super::workload;

#[test]
fn fuzz_the_segments_and_the_head() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = workload::open(folder.path(), SEGMENT_BYTES).unwrap();
    workload::perform(&mut opened, 1..=60);
    drop(opened);
    let files: Vec<(String, Vec<u8>)> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    assert!(files.len() >= 2, "{:?}", files.iter().map(|(name, _)| name).collect::<Vec<_>>());
    for (name, seed) in &files {
        let door = Door { name: "journal", rounds: 100, corpus: None };
        feed(door, std::slice::from_ref(seed), |input| {
            let copy = tempfile::tempdir().unwrap();
            for (other, bytes) in &files {
                fs::write(copy.path().join(other), bytes).unwrap();
            }
            fs::write(copy.path().join(name), input).unwrap();
            read_all(copy.path());
        });
    }
}

/// Opens what may be damaged, and reads whatever the journal then says is there.
fn read_all(folder: &Path) {
    let Ok(opened) = workload::open(folder, SEGMENT_BYTES) else { return };
    for stream in &opened.open_streams {
        let _refused_or_read = opened.reader.read(stream);
    }
}

const SEGMENT_BYTES: u64 = 32 << 10;
