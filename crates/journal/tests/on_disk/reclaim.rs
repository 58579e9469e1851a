//! What is forgotten gives its bytes back, and nothing else does.

use std::{fs, path::Path};

use votum_journal::{Bearing, Entry, Journal, Lsn, Urgency};

use super::{entry, put, stream, workload};

#[test]
fn ten_thousand_forgotten_streams_leave_a_small_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = workload::open(folder.path(), SEGMENT_BYTES).unwrap();
    let lazily = |entry: Entry| Entry { urgency: Urgency::Lazy, ..entry };
    let kept = lazily(Entry { keys: vec![put("kept", "yes")], ..entry("job/kept", b"kept") });
    opened.journal.append(kept);
    let mut last = Lsn::NONE;
    for number in 0..10_000 {
        let name = format!("job/j{number}");
        let record = Entry { keys: vec![put(&name, "there")], ..entry(&name, &[7; 200]) };
        opened.journal.append(lazily(record));
        let end = Entry { bearing: Bearing::Forgets, ..entry(&name, b"") };
        last = opened.journal.append(lazily(end));
        if number % 100 == 0 {
            opened.reader.wait_for(last);
        }
    }
    opened.reader.wait_for(last);
    drop(opened);

    let opened = workload::open(folder.path(), SEGMENT_BYTES).unwrap();
    assert_eq!(opened.open_streams, [stream("job/kept")]);
    assert_eq!(opened.reader.scan(b"", None, 9).unwrap().len(), 1);
    let bytes = log_bytes(folder.path());
    assert!(bytes <= 4 * SEGMENT_BYTES, "{bytes} bytes are left");
}

#[test]
fn live_records_outlive_the_segments_they_were_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = workload::open(folder.path(), SEGMENT_BYTES).unwrap();
    opened.journal.set_epoch(4);
    for number in (1..=2_000).step_by(10) {
        workload::perform(&mut opened, number..number + 10);
    }
    let counters = opened.reader.counters();
    assert!(counters.segments_removed > 3 && counters.copied_records > 0, "{counters:?}");
    let first_kept = opened.reader.read(&stream("job/j49")).unwrap()[0].lsn;
    drop(opened);

    for rebuilds in [false, true] {
        if rebuilds {
            fs::remove_dir_all(folder.path().join("index")).unwrap();
        }
        let opened = workload::open(folder.path(), SEGMENT_BYTES).unwrap();
        let first = &opened.reader.read(&stream("job/j49")).unwrap()[0];
        assert_eq!((first.lsn, first.epoch), (first_kept, 4));
        assert_eq!(opened.reader.read(&stream("job/j1")).unwrap(), []);
        assert!(opened.journal.durable() > Lsn(2_000), "copies are numbered as well");
    }
}

#[test]
fn reading_goes_on_while_the_log_moves() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = workload::open(folder.path(), 32 << 10).unwrap();
    let name = stream("job/read");
    for number in 0..20 {
        opened.journal.append(entry("job/read", &[number; 100]));
    }
    let reader = opened.reader.clone();
    let (stop, stopped) = std::sync::mpsc::sync_channel::<()>(1);
    let watcher = std::thread::spawn(move || {
        let mut reads = 0_u64;
        while stopped.try_recv().is_err() {
            let records = reader.read(&name).unwrap();
            assert!(records.iter().zip(0..).all(|(stored, at)| stored.payload == [at; 100]));
            reads += 1;
        }
        (reads, reader.read(&name).unwrap().len())
    });
    for number in 0..300 {
        let name = format!("job/j{number}");
        opened.journal.append(entry(&name, &[1; 2_000]));
        let lsn = opened.journal.append(Entry { bearing: Bearing::Forgets, ..entry(&name, b"") });
        opened.reader.wait_for(lsn);
    }
    stop.send(()).unwrap();
    let (reads, records) = watcher.join().unwrap();
    assert!(reads > 0);
    assert_eq!(records, 20);
    assert!(opened.reader.counters().segments_removed > 0);
}

fn log_bytes(folder: &Path) -> u64 {
    let items = fs::read_dir(folder).unwrap().map(|item| item.unwrap());
    let segments = items.filter(|item| item.path().extension().is_some_and(|e| e == "journal"));
    segments.map(|segment| segment.metadata().unwrap().len()).sum()
}

const SEGMENT_BYTES: u64 = 128 << 10;
