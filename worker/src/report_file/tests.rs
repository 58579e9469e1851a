//! What a program may do to its report file, and what the worker makes of it.

use std::{io::Write, os::unix::fs::symlink};

use tempfile::TempDir;
use votum_job::Amount;

use super::*;

/// A program's end of a report file, and the worker's.
struct Desk {
    dir: TempDir,
    file: ReportFile,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        ReportFile::create(dir.path()).unwrap();
        let file = ReportFile::resume(dir.path());
        Self { dir, file }
    }

    fn path(&self) -> PathBuf {
        report_path(self.dir.path())
    }

    fn append(&self, text: impl AsRef<[u8]>) {
        let mut file = File::options().append(true).open(self.path()).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    fn look(&mut self) -> Option<Reading> {
        self.file.look(Follows::More).unwrap()
    }

    /// Returns the counts of the progress that is known.
    fn done(&self) -> (u64, u64) {
        match &self.file.report().progress.as_ref().unwrap().amount {
            Amount::Counted { done, total, unit: _ } => (*done, *total),
            share @ Amount::Share { .. } => panic!("{share:?}"),
        }
    }
}

#[test]
fn a_line_counts_when_it_is_whole() {
    let mut desk = Desk::new();
    assert_eq!(desk.look(), None);

    desk.append("progress 1/4 rows\nprog");
    let first = desk.look();
    let half = desk.look();
    desk.append("ress 2/4 rows\n");
    let second = desk.look();

    assert!(first.is_some() && half.is_none() && second.is_some());
    assert_eq!(desk.done(), (2, 4));
    assert_eq!(desk.file.report().malformed, 0);
}

#[test]
fn the_last_line_needs_no_end() {
    let mut desk = Desk::new();
    desk.append("progress 4/4 rows");
    assert_eq!(desk.look(), None);
    assert!(desk.file.look(Follows::Nothing).unwrap().is_some());
    assert_eq!(desk.done(), (4, 4));
}

#[test]
fn another_daemon_goes_on_where_the_first_stopped() {
    let mut desk = Desk::new();
    desk.append("progress 1/4\nbogus\ncheckpoint a\nwarn");
    let checkpoints = desk.look().unwrap().checkpoints;
    assert_eq!(checkpoints, ["a"]);

    desk.file = ReportFile::resume(desk.dir.path());
    desk.append("ing slow\ncheckpoint b\n");
    let reading = desk.look().unwrap();

    assert_eq!(reading.checkpoints, ["b"]);
    assert_eq!((reading.report.malformed, reading.report.warnings), (1, 1));
    assert_eq!(desk.done(), (1, 4));
}

#[test]
fn a_damaged_memory_costs_repeated_lines_only() {
    let mut desk = Desk::new();
    desk.append("progress 1/4\n");
    desk.look();
    fs::write(desk.dir.path().join(READ_SO_FAR), "{").unwrap();

    desk.file = ReportFile::resume(desk.dir.path());
    desk.look();

    assert_eq!(desk.done(), (1, 4));
}

#[test]
fn a_file_that_is_written_anew_is_read_anew() {
    let mut desk = Desk::new();
    for done in [8, 9, 10, 11, 2] {
        fs::write(desk.path(), format!("progress {done}/12\n")).unwrap();
        // Times of files are as coarse as the kernel's tick.
        let later = std::time::UNIX_EPOCH + std::time::Duration::from_secs(done);
        File::options().append(true).open(desk.path()).unwrap().set_modified(later).unwrap();
        assert!(desk.look().is_some(), "{done}");
        assert_eq!(desk.done(), (done, 12));
    }
    assert_eq!(desk.file.report().malformed, 0);
}

#[test]
fn of_an_endless_line_only_the_beginning_counts() {
    let mut desk = Desk::new();
    desk.append("warning ");
    for _ in 0..40 {
        desk.append([b'x'; 4096]);
        desk.look();
    }
    desk.append("\nprogress 1/4\n");
    while desk.look().is_some() {}

    let report = desk.file.report();
    assert_eq!((report.warnings, report.malformed), (1, 0));
    assert_eq!(desk.done(), (1, 4));
}

#[test]
fn a_flood_is_skipped_counted_and_given_back() {
    let mut desk = Desk::new();
    let line = "progress 1/4 of a flood\n";
    desk.append(line.repeat(300_000 / line.len()));
    while desk.look().is_some() {}
    desk.append(line.repeat(3_000_000 / line.len()));
    desk.append("progress 4/4\n");
    while desk.look().is_some() {}

    let report = desk.file.report();
    assert!(report.skipped_bytes > 2_800_000, "{report:?}");
    assert_eq!((report.malformed, desk.done()), (0, (4, 4)));
    let metadata = fs::metadata(desk.path()).unwrap();
    if metadata.blocks() * 512 > 1 << 20 {
        eprintln!("NOT RUN: this file system frees no part of a file");
    }
}

#[test]
fn what_stands_in_for_the_file_is_not_read() {
    let mut desk = Desk::new();
    fs::remove_file(desk.path()).unwrap();
    assert_eq!(desk.look(), None);
    symlink("/dev/zero", desk.path()).unwrap();
    assert!(desk.file.look(Follows::More).is_err());
    fs::remove_file(desk.path()).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, desk.path(), 0o600.into()).unwrap();
    assert!(desk.file.look(Follows::More).is_err());
}
