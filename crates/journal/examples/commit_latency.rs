//! Measures what a durable record costs beside a bare append and `fdatasync`, in one run.
//!
//! `commit_latency FOLDER [RECORDS]` prints the median and the 99th percentile of one writer with
//! 300-byte forced records, for the journal and for a preallocated file, taken in turns, and the
//! rate of 64 writers that share their syncs.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use votum_journal::{Bearing, Entry, Journal, OnDisk, Options, Reader, Stream, Urgency};

fn main() {
    let folder = std::env::args().nth(1).expect("a folder");
    let records = std::env::args().nth(2).map_or(2_000, |count| count.parse().expect("a number"));
    let folder = Path::new(&folder);
    let opened = OnDisk::open(&folder.join("journal"), Options::new([1; 16]), |_| ());
    let mut opened = opened.expect("the journal opens");
    let bare = BareFile::create(&folder.join("bare"));
    let (mut of_journal, mut of_bare) = (Vec::new(), Vec::new());
    for number in 0..records {
        of_bare.push(took(|| bare.append(number)));
        of_journal.push(took(|| {
            let lsn = opened.journal.append(record(number % 100));
            opened.reader.wait_for(lsn);
        }));
    }
    let (bare, journal) = (quantiles(of_bare), quantiles(of_journal));
    say(&format!("bare append and fdatasync, one writer: p50 {:?}, p99 {:?}", bare.0, bare.1));
    say(&format!("journal, one writer: p50 {:?}, p99 {:?}", journal.0, journal.1));
    say(&format!("ratio of the medians: {:.2}", journal.0.as_secs_f64() / bare.0.as_secs_f64()));

    let before = opened.reader.counters();
    let reader = opened.reader.clone();
    let elapsed = took(|| write_together(opened.journal, reader, records / 4));
    let after = opened.reader.counters();
    let (written, syncs) =
        (after.forced_records - before.forced_records, after.fdatasyncs - before.fdatasyncs);
    let rate = written as f64 / elapsed.as_secs_f64();
    say(&format!("{WRITERS} writers: {written} records, {syncs} syncs, {rate:.0} records/s"));
}

struct BareFile(File);

impl BareFile {
    fn create(path: &Path) -> Self {
        let file = File::create(path).expect("the file is made");
        file.write_all_at(&vec![0; 64 << 20], 0).expect("the disk has room");
        file.sync_all().expect("the disk answers");
        Self(file)
    }

    fn append(&self, number: u64) {
        self.0.write_all_at(&[7; 304], number % 200_000 * 304).expect("the disk has room");
        self.0.sync_data().expect("the disk answers");
    }
}

fn write_together(journal: OnDisk, reader: Reader, records: u64) {
    let journal = Arc::new(Mutex::new(journal));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (journal, reader) = (Arc::clone(&journal), reader.clone());
            thread::spawn(move || {
                for _ in 0..records {
                    let lsn = journal.lock().expect("no writer panics").append(record(writer));
                    reader.wait_for(lsn);
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().expect("no writer panics"));
}

fn record(stream: u64) -> Entry {
    Entry {
        stream: Stream::new(format!("job/j{stream}")).expect("a stream's name"),
        urgency: Urgency::Forced,
        version: 1,
        bearing: Bearing::Continues,
        keys: Vec::new(),
        payload: vec![7; 300 - 72],
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn took(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn quantiles(mut samples: Vec<Duration>) -> (Duration, Duration) {
    samples.sort_unstable();
    (samples[samples.len() / 2], samples[samples.len() * 99 / 100])
}

fn say(line: &str) {
    io::stdout().write_all(format!("{line}\n").as_bytes()).expect("somebody listens");
}

const WRITERS: u64 = 64;
