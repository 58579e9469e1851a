//! How many writes are waited for, counted by the daemons and by `strace` (P12).

use std::{
    collections::BTreeMap,
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
    let [mut logs, mut files] = [const { BTreeMap::<bool, f64>::new() }; 2];
    for (number, (trace, before)) in traces.iter().zip(before).enumerate() {
        let after = syncs(trace)?;
        let each = |count: u64| count as f64 / f64::from(JOBS_COUNTED);
        let is_worker = number > 0;
        *logs.entry(is_worker).or_default() += each(after.logs - before.logs);
        *files.entry(is_worker).or_default() += each(after.files - before.files);
    }
    let workers = WORKERS.len() as f64;
    for (name, counts) in [("log", logs), ("file", files)] {
        for (is_worker, count) in counts {
            let (who, among) = if is_worker { ("worker", workers) } else { ("coordinator", 1.0) };
            bench.report.add(&format!("syncs.{name}.{who}"), "syncs", vec![count / among]);
        }
    }
    bench.report.note(
        "Syncs counted by strace with one job at a time hold those that only lazy records wait \
         for; file syncs are those of supervisors, staging, sealing and publishing.",
    );
    Ok(())
}

/// Syncs that a trace holds.
struct Syncs {
    logs: u64,
    files: u64,
}

fn syncs(trace: &Path) -> anyhow::Result<Syncs> {
    let text = fs::read_to_string(trace).context("strace has written nothing")?;
    let (logs, files) =
        text.lines().filter(|line| line.contains("sync")).fold((0, 0), |(logs, files), line| {
            if line.contains("resumed>") {
                (logs, files)
            } else if line.contains("/journal/") {
                (logs + 1, files)
            } else {
                (logs, files + 1)
            }
        });
    Ok(Syncs { logs, files })
}

const SYNCS: &str = "trace=fsync,fdatasync,sync_file_range,syncfs";
const JOBS_COUNTED: u32 = 20;
const ANSWER_BYTES_MAX: u64 = 4 << 20;
