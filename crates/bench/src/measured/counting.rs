//! How many writes are waited for, counted by the daemons and by `strace` (P12).

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use anyhow::Context;
use votum_job::JobSpec;

use crate::{
    bench::Bench,
    daemons::{Cluster, Plan},
    jobs::{WORKERS, ordinary, reading},
    measured::{committing::drained, submitting::committed},
    stopwatch::pause,
};

/// Counts forced records a job, as each daemon tells them.
///
/// # Errors
/// When a daemon does not come up or a job does not commit.
pub(crate) async fn forced(bench: &mut Bench) -> anyhow::Result<()> {
    let plan = Plan { metrics: true, ..Plan::of(3) };
    let cluster = Cluster::started(&bench.scratch, &plan).await?;
    let source = cluster.source(4096)?;
    committed(&cluster.client(0), ordinary(&source, 0)).await?;
    let [mut coordinator, mut worker, mut reader] = [const { Vec::new() }; 3];
    for _ in 0..bench.pace.runs {
        let (at_coordinator, at_workers) = counted(&cluster, &ordinary(&source, 0)).await?;
        coordinator.push(at_coordinator);
        worker.push(at_workers / WORKERS.len() as f64);
        reader.push(counted(&cluster, &reading(&source, 0)).await?.1 / WORKERS.len() as f64);
    }
    bench.report.add("forced.coordinator", "records", coordinator);
    bench.report.add("forced.worker", "records", worker);
    bench.report.add("forced.reader", "records", reader);
    Ok(())
}

/// Runs some jobs one after the other; returns the forced records of each at the coordinator, and
/// at all workers together.
async fn counted(cluster: &Cluster, spec: &JobSpec) -> anyhow::Result<(f64, f64)> {
    let client = cluster.client(0);
    let at_workers = || -> anyhow::Result<f64> {
        cluster.metrics.iter().map(|address| forced_records(address)).sum()
    };
    let before = (client.cluster().await?.journal.forced_records, at_workers()?);
    for _ in 0..JOBS_COUNTED {
        committed(&client, spec.clone()).await?;
    }
    drained(&client, Duration::from_secs(30)).await?;
    let after = (client.cluster().await?.journal.forced_records, at_workers()?);
    let each = |count: f64| count / f64::from(JOBS_COUNTED);
    Ok((each((after.0 - before.0) as f64), each(after.1 - before.1)))
}

/// Reads what a worker has counted.
fn forced_records(address: &str) -> anyhow::Result<f64> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let line = answer
        .lines()
        .find(|line| line.starts_with("votum_store_records") && line.contains("\"forced\""));
    let value = line.and_then(|line| line.split_whitespace().nth(1)).context("no such counter")?;
    Ok(value.parse()?)
}

/// Counts syncs a job with `strace`: of the logs, and of files and folders.
///
/// # Errors
/// When a daemon does not come up or a job does not commit.
pub(crate) async fn traced(bench: &mut Bench) -> anyhow::Result<()> {
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        bench.report.note("Syncs were not traced: there is no strace.");
        return Ok(());
    }
    let home = tempfile::tempdir_in(&bench.scratch)?;
    let lazy = vec!["--lazy-sync-ms=10000".to_owned()];
    let plan = Plan { coordinator: lazy, ..Plan::of(3) };
    let mut cluster = Cluster::prepared(&bench.scratch, &plan)?;
    let daemons = std::iter::once(&mut cluster.coordinator).chain(&mut cluster.workers);
    let mut traces = Vec::new();
    for (number, daemon) in daemons.enumerate() {
        let trace = home.path().join(format!("{number}.trace"));
        let into = trace.to_string_lossy().into_owned();
        // With -D the daemon is our child, and the tracer goes with it.
        let wrapper = ["strace", "-D", "-f", "--seccomp-bpf", "-y", "-e", SYNCS, "-o", &into];
        daemon.wrap(&wrapper);
        traces.push(trace);
    }
    cluster.start().await?;
    let (source, client) = (cluster.source(4096)?, cluster.client(0));
    committed(&client, ordinary(&source, 0)).await?;
    // What the first job has left to sync is over.
    pause(Duration::from_millis(500)).await;
    let before = traces.iter().map(|trace| syncs(trace)).collect::<anyhow::Result<Vec<_>>>()?;
    for _ in 0..JOBS_COUNTED {
        committed(&client, ordinary(&source, 0)).await?;
    }
    pause(Duration::from_millis(500)).await;
    // Of the coordinator, and of all workers together.
    let mut counts = [[0.0; KINDS.len()]; 2];
    for (number, (trace, before)) in traces.iter().zip(before).enumerate() {
        let after = syncs(trace)?;
        for (kind, count) in counts[number.min(1)].iter_mut().enumerate() {
            *count += (after[kind] - before[kind]) as f64 / f64::from(JOBS_COUNTED);
        }
    }
    for (who, counts, among) in
        [("coordinator", counts[0], 1.0), ("worker", counts[1], WORKERS.len() as f64)]
    {
        for (kind, count) in KINDS.iter().zip(counts) {
            bench.report.add(&format!("syncs.{kind}.{who}"), "syncs", vec![count / among]);
        }
    }
    bench.report.note(
        "Syncs counted by strace with one job at a time hold those that only lazy records wait \
         for; file syncs are those of supervisors, staging, sealing and publishing.",
    );
    Ok(())
}

/// Counts the syncs of a trace by [`KINDS`].
fn syncs(trace: &Path) -> anyhow::Result<[u64; KINDS.len()]> {
    let text = fs::read_to_string(trace).context("strace has written nothing")?;
    let mut counts = [0; KINDS.len()];
    for kind in text.lines().filter_map(kind_of) {
        counts[kind] += 1;
    }
    Ok(counts)
}

/// Says what a line of a trace syncs; none if it is the end of a call that was counted before.
fn kind_of(line: &str) -> Option<usize> {
    let is_call = line.contains("sync") && line.contains("(") && !line.contains("resumed>");
    is_call.then(|| match line {
        index if index.contains("/journal/index/") => 1,
        log if log.contains("/journal/") => 0,
        _file => 2,
    })
}

/// What is synced: the log, the index over it, anything else.
const KINDS: [&str; 3] = ["log", "index", "file"];
const SYNCS: &str = "trace=fsync,fdatasync,sync_file_range,syncfs";
const JOBS_COUNTED: u32 = 20;
const ANSWER_BYTES_MAX: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_cut_in_two_counts_once() {
        let lines = [
            "7 fdatasync(11</d/journal/00000000000000000001.journal> <unfinished ...>",
            "8 sync_file_range(12</d/journal/index/db>, 8820, 24, WRITE) = 0",
            "7 <... fdatasync resumed>) = 0",
            "9 fsync(20</d/staging/a/t0.1.10/out>) = 0",
            "9 +++ exited with 0 +++",
        ];
        let kinds: Vec<_> = lines.into_iter().map(kind_of).collect();
        assert_eq!(kinds, [Some(0), Some(1), None, Some(2), None]);
    }
}
