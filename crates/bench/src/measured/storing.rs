//! What it costs to keep bytes: staging, transfer, the journal (P10, P11, P21).

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Context;
use votum_ids::{AttemptId, Epoch, FencingToken, JobId, OutputName, TaskId};
use votum_journal::{Bearing, Entry, Journal, OnDisk, Options, Reader, Stream, Urgency};
use votum_shadow::{Declared, OutputPath, Presence, Shadow};

use crate::{
    bench::Bench,
    daemons::{Cluster, Plan},
    jobs::passing,
    limits::{self, mebibytes},
    measured::submitting::committed,
    stopwatch::Stopwatch,
};

/// Copies a file into staging and seals it there, beside a copy that is forced.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn staging(bench: &mut Bench) -> anyhow::Result<()> {
    let home = tempfile::tempdir_in(&bench.scratch)?;
    let source = home.path().join("source");
    fs::write(&source, vec![7; bench.pace.bytes_max / 4])?;
    fs::create_dir(home.path().join("public"))?;
    let roots = [home.path().join("public")];
    let shadow = Shadow::open(&home.path().join("staging"), &roots)?;
    let [mut staged, mut copied] = [const { Vec::new() }; 2];
    for run in 0..bench.pace.runs {
        copied.push(limits::copy_rate(&bench.scratch, &source)?);
        staged.push(staged_rate(&shadow, &source, run as u64)?);
    }
    bench.report.add("staging.rate", "MiB/s", staged);
    bench.report.add("limit.copy.rate", "MiB/s", copied);
    Ok(())
}

fn staged_rate(shadow: &Shadow, source: &Path, counter: u64) -> anyhow::Result<f64> {
    let attempt = AttemptId {
        job: JobId::new("staging")?,
        task: TaskId::new("copy")?,
        token: FencingToken { epoch: Epoch(1), counter },
    };
    let declared = [Declared {
        name: OutputName::new("file")?,
        path: OutputPath::new("file")?,
        presence: Presence::Required,
        publishes: None,
        max_bytes: None,
    }];
    let staging = shadow.stage(&attempt)?;
    let watch = Stopwatch::start();
    let bytes = fs::copy(source, staging.output_path(&declared[0]))?;
    staging.seal(&declared)?;
    let took = watch.elapsed();
    shadow.discard_job(&attempt.job)?;
    Ok(mebibytes(bytes) / took.as_secs_f64())
}

/// Lets a worker fetch what another one has sealed, beside a bare connection.
///
/// # Errors
/// When a daemon does not come up or a job does not commit.
pub(crate) async fn transfer(bench: &mut Bench) -> anyhow::Result<()> {
    let cluster = Cluster::started(&bench.scratch, &Plan::of(2)).await?;
    let size = bench.pace.bytes_max / 4;
    let source = cluster.source(size)?;
    let [mut transferred, mut bare] = [const { Vec::new() }; 2];
    for _ in 0..bench.pace.runs {
        bare.push(limits::tcp_rate(size as u64 * 4)?);
        let (_, view) = committed(&cluster.client(0), passing(&source)).await?;
        let attempt = |task: &str| {
            let task = view.tasks.iter().find(|one| one.task.as_str() == task)?;
            task.attempts.last()
        };
        let sealed = attempt("make").and_then(|one| one.ended).context("no end was told")?;
        let began = attempt("read").and_then(|one| one.started).context("no start was told")?;
        transferred.push(mebibytes(size as u64) / began.since(sealed).as_secs_f64().max(1e-3));
    }
    bench.report.add("transfer.rate", "MiB/s", transferred);
    bench.report.add("limit.tcp.rate", "MiB/s", bare);
    bench.report.note(
        "A transfer is counted from the end of the task that made the file to the start of the \
         program that reads it on another worker: fetched, hashed, written and forced.",
    );
    Ok(())
}

/// Writes to the journal with one and with 64 writers, beside a bare file.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn journal(bench: &mut Bench) -> anyhow::Result<()> {
    let time = bench.pace.time;
    let [mut alone, mut together, mut bare, mut syncs] = [const { Vec::new() }; 4];
    for _ in 0..bench.pace.runs {
        bare.push(limits::append_rate(&bench.scratch, time)?);
        let home = tempfile::tempdir_in(&bench.scratch)?;
        let opened = OnDisk::open(&home.path().join("journal"), Options::new([1; 16]), |_| ())?;
        let (journal, reader) = (Arc::new(Mutex::new(opened.journal)), opened.reader);
        alone.push(1e3 / journal_rate(&journal, &reader, 1, time / 3)?);
        let before = reader.counters();
        together.push(journal_rate(&journal, &reader, 64, time)?);
        let after = reader.counters();
        let forced = after.forced_records - before.forced_records;
        syncs.push((after.fdatasyncs - before.fdatasyncs) as f64 / forced.max(1) as f64);
    }
    bench.report.add("journal.append.c1", "ms", alone);
    bench.report.add("journal.rate.c64", "1/s", together);
    bench.report.add("journal.syncs.c64", "syncs", syncs);
    bench.report.add("limit.append.rate.c64", "1/s", bare);
    Ok(())
}

fn journal_rate(
    journal: &Arc<Mutex<OnDisk>>,
    reader: &Reader,
    writers: usize,
    time: Duration,
) -> anyhow::Result<f64> {
    let whole = Stopwatch::start();
    let writers: Vec<_> = (0..writers)
        .map(|writer| {
            let (journal, reader) = (Arc::clone(journal), reader.clone());
            thread::spawn(move || {
                let mut written = 0_u64;
                while whole.elapsed() < time {
                    let entry = record(writer)?;
                    let lsn = {
                        let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
                        journal.append(entry)
                    };
                    reader.wait_for(lsn);
                    written += 1;
                }
                anyhow::Ok(written)
            })
        })
        .collect();
    let mut written = 0;
    for writer in writers {
        written += writer.join().ok().context("a writer panicked")??;
    }
    Ok(written as f64 / whole.elapsed().as_secs_f64())
}

/// About 300 bytes with its frame.
fn record(writer: usize) -> anyhow::Result<Entry> {
    Ok(Entry {
        stream: Stream::new(format!("job/j{writer}"))?,
        urgency: Urgency::Forced,
        version: 1,
        bearing: Bearing::Continues,
        keys: Vec::new(),
        payload: vec![7; 300 - 72],
    })
}
