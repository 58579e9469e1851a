//! The writer is killed at every crash point of the journal, and nothing acknowledged is missing.

#![allow(clippy::unwrap_used, reason = "a test panics where it is surprised")]

#[allow(dead_code, reason = "the other tests use the rest")]
mod rig;

use std::{
    collections::BTreeSet, fs, os::unix::process::ExitStatusExt, path::Path, process::Command,
    thread,
};

use rig::Verdict;

#[test]
fn no_crash_point_loses_an_acknowledged_record() {
    let points = crash_points();
    assert!(points.len() >= 9, "{points:?}");
    thread::scope(|scope| {
        for point in &points {
            scope.spawn(|| [1, 3].into_iter().for_each(|visit| crash_twice_at(point, visit)));
        }
    });
}

#[test]
fn every_crash_point_is_reached() {
    for point in crash_points() {
        let folder = tempfile::tempdir().unwrap();
        let mut write = Command::new(rig::writer());
        write.arg("write").arg(folder.path()).args([SEGMENT_BYTES, OPERATIONS]);
        let status = write.env("VOTUM_CRASH_AT", &point).output().unwrap().status;
        assert_eq!(status.signal(), Some(9), "{point} was not reached");
    }
}

/// Crashes the writer, and crashes it again in or after its recovery.
fn crash_twice_at(point: &str, visit: u32) {
    let folder = tempfile::tempdir().unwrap();
    let mut acked = 0;
    for _ in 0..2 {
        acked = crash_at(folder.path(), &format!("{point}:{visit}")).max(acked);
        match rig::verify(folder.path(), acked) {
            Verdict::Holds(held) => assert!(held >= acked),
            Verdict::Broken(why) => panic!("{point}:{visit}: {why}"),
        }
    }
}

/// Lets the writer die at a point, or finish, and returns what it acknowledged.
fn crash_at(folder: &Path, point: &str) -> u64 {
    let mut write = Command::new(rig::writer());
    write.arg("write").arg(folder).args([SEGMENT_BYTES, OPERATIONS]);
    let output = write.env("VOTUM_CRASH_AT", point).output().unwrap();
    let killed = output.status.signal() == Some(9);
    assert!(killed || output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    rig::last_ack(&String::from_utf8_lossy(&output.stdout)).unwrap_or(0)
}

/// Lists the crash points that the journal's source names.
fn crash_points() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = fs::read_dir(source).unwrap().map(|file| file.unwrap().path());
    let mut points = BTreeSet::new();
    for text in files.map(|file| fs::read_to_string(file).unwrap()) {
        let named = text.split("crash_point!(\"").skip(1);
        points.extend(named.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
    }
    points
}

const SEGMENT_BYTES: &str = "32768";
const OPERATIONS: &str = "1000";
