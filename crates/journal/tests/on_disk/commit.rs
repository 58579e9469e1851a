//! Appending and committing while the journal runs.

use std::{
    sync::{Arc, Mutex, mpsc::sync_channel},
    thread,
    time::Duration,
};

use votum_journal::{Bearing, Entry, Journal, KeyChange, Lsn, OnDisk, OpenError, Options, Urgency};

use super::{entry, put, stream, workload};

#[test]
fn a_record_is_readable_once_it_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let (sender, reports) = sync_channel(64);
    let report = move |lsn| sender.send(lsn).unwrap();
    let mut opened = OnDisk::open(folder.path(), Options::new([1; 16]), report).unwrap();
    opened.journal.set_epoch(7);

    let lsn = opened.journal.append(entry("job/a", b"one"));

    assert_eq!(lsn, Lsn(1));
    assert_eq!(reports.recv().unwrap(), lsn);
    assert_eq!(opened.journal.durable(), lsn);
    let read = opened.reader.read(&stream("job/a")).unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!((read[0].lsn, read[0].epoch, read[0].version), (lsn, 7, 1));
    assert_eq!(read[0].payload, b"one");
    assert_eq!(opened.reader.open_streams().unwrap(), [stream("job/a")]);
}

#[test]
fn each_lone_forced_record_costs_one_sync() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = workload::open(folder.path(), 64 << 20).unwrap();
    for _ in 0..20 {
        let lsn = opened.journal.append(entry("job/a", b"x"));
        opened.reader.wait_for(lsn);
    }
    let counters = opened.reader.counters();
    assert_eq!((counters.forced_records, counters.fdatasyncs), (20, 20));
    assert_eq!((counters.lazy_records, counters.copied_records), (0, 0));
}

#[test]
fn many_writers_share_their_syncs() {
    let folder = tempfile::tempdir().unwrap();
    let opened = workload::open(folder.path(), 64 << 20).unwrap();
    let (journal, reader) = (Arc::new(Mutex::new(opened.journal)), opened.reader);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (journal, reader) = (Arc::clone(&journal), reader.clone());
            thread::spawn(move || {
                for _ in 0..RECORDS {
                    let record = entry(&format!("job/j{writer}"), &[7; 300]);
                    let lsn = journal.lock().unwrap().append(record);
                    reader.wait_for(lsn);
                    assert!(reader.durable() >= lsn);
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());

    let counters = reader.counters();
    assert_eq!(counters.forced_records, WRITERS * RECORDS);
    assert!(counters.fdatasyncs < WRITERS * RECORDS / 4, "{counters:?}");
    for writer in 0..WRITERS {
        let read = reader.read(&stream(&format!("job/j{writer}"))).unwrap();
        assert_eq!(read.len() as u64, RECORDS);
    }
}

#[test]
fn a_lazy_record_waits_for_a_sync_to_join() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { lazy_sync: Duration::from_secs(3600), ..Options::new([1; 16]) };
    let mut opened = OnDisk::open(folder.path(), options, |_| ()).unwrap();
    for _ in 0..10 {
        opened.journal.append(Entry { urgency: Urgency::Lazy, ..entry("job/a", b"lazy") });
    }
    assert_eq!(opened.journal.durable(), Lsn::NONE);

    let lsn = opened.journal.append(entry("job/a", b"forced"));

    opened.reader.wait_for(lsn);
    let counters = opened.reader.counters();
    assert_eq!((counters.lazy_records, counters.forced_records), (10, 1));
    assert_eq!(counters.fdatasyncs, 1);
}

#[test]
fn a_lazy_record_becomes_durable_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = workload::open(folder.path(), 64 << 20).unwrap();
    let lsn = opened.journal.append(Entry { urgency: Urgency::Lazy, ..entry("job/a", b"lazy") });
    opened.reader.wait_for(lsn);
    assert_eq!(opened.reader.counters().fdatasyncs, 1);
}

#[test]
fn the_end_of_a_stream_does_not_wait_for_company() {
    let folder = tempfile::tempdir().unwrap();
    let (lazy_sync, closing_sync) = (Duration::from_secs(3600), Duration::from_millis(1));
    let options = Options { lazy_sync, closing_sync, ..Options::new([1; 16]) };
    let mut opened = OnDisk::open(folder.path(), options, |_| ()).unwrap();
    let lazy = |bearing| Entry { urgency: Urgency::Lazy, bearing, ..entry("job/a", b"lazy") };
    opened.journal.append(lazy(Bearing::Continues));
    let lsn = opened.journal.append(lazy(Bearing::Closes));

    opened.reader.wait_for(lsn);

    let counters = opened.reader.counters();
    assert_eq!((counters.lazy_records, counters.fdatasyncs), (2, 1));
}

#[test]
fn a_full_backlog_holds_writers_back_without_a_deadlock() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { lazy_sync: Duration::from_secs(3600), ..Options::new([1; 16]) };
    let mut opened = OnDisk::open(folder.path(), options, |_| ()).unwrap();
    for _ in 0..40 {
        let large = Entry { urgency: Urgency::Lazy, ..entry("job/a", &vec![1; 1 << 20]) };
        opened.journal.append(large);
    }
    drop(opened.journal);
    assert_eq!(opened.reader.read(&stream("job/a")).unwrap().len(), 40);
}

#[test]
fn keys_belong_to_the_stream_that_put_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = workload::open(folder.path(), 64 << 20).unwrap();
    let remove = |key: &str| KeyChange::Remove { key: key.into() };
    let with = |name: &str, bearing, keys| Entry { bearing, keys, ..entry(name, b"x") };
    for record in [
        with("job/a", Bearing::Continues, vec![put("k/1", "a"), put("k/2", "a"), put("k/3", "a")]),
        with("job/b", Bearing::Continues, vec![remove("k/1"), put("k/4", "b"), put("l/1", "b")]),
        with("job/a", Bearing::Restates, vec![put("k/2", "again"), put("k/5", "a")]),
        with("job/a", Bearing::Continues, vec![remove("k/5")]),
    ] {
        opened.journal.append(record);
    }
    let lsn = opened.journal.append(with("job/b", Bearing::Closes, Vec::new()));
    opened.reader.wait_for(lsn);

    let pair = |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    let (again, of_b) = (pair("k/2", "again"), pair("k/4", "b"));
    assert_eq!(opened.reader.scan(b"k/", None, 9).unwrap(), [again.clone(), of_b.clone()]);
    assert_eq!(opened.reader.scan(b"k/", None, 1).unwrap(), [again]);
    assert_eq!(opened.reader.scan(b"k/", Some(b"k/2"), 9).unwrap(), [of_b]);
    assert_eq!(opened.reader.get(b"l/1").unwrap(), Some(b"b".to_vec()));

    let lsn = opened.journal.append(with("job/b", Bearing::Forgets, Vec::new()));
    opened.reader.wait_for(lsn);
    assert_eq!(opened.reader.scan(b"", None, 9).unwrap().len(), 1);
    assert_eq!(opened.reader.read(&stream("job/b")).unwrap(), []);
}

#[test]
fn a_second_user_of_the_folder_is_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    let first = workload::open(folder.path(), 64 << 20).unwrap();
    let second = workload::open(folder.path(), 64 << 20).unwrap_err();
    assert!(matches!(&second, OpenError::Locked { folder: named } if named == folder.path()));
    assert!(second.to_string().contains(folder.path().to_str().unwrap()));
    drop(first);
    assert!(workload::open(folder.path(), 64 << 20).is_ok());
}

const WRITERS: u64 = 16;
const RECORDS: u64 = 40;
