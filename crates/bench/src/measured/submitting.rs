//! How fast jobs are received, and how fast ordinary ones run (P1 to P4, P20).

use votum_client::{Client, Until};
use votum_job::JobSpec;

use crate::{
    bench::{Bench, Seen},
    crowd::introduce,
    daemons::{Cluster, Plan},
    jobs::{ordinary, submission},
    limits::{self, Unary},
    load::Load,
    stopwatch::Stopwatch,
};

/// Measures D and G, calls and submissions.
///
/// # Errors
/// When a daemon does not come up or a job is refused.
pub(crate) async fn received(bench: &mut Bench) -> anyhow::Result<()> {
    let unary = Unary::started().await?;
    // Nobody is there to run what is received, so that nothing else is measured.
    let cluster = Cluster::started(&bench.scratch, &Plan::of(0)).await?;
    introduce(&cluster).await?;
    let source = cluster.source(4096)?;
    let time = bench.pace.time;
    let mut seen = Seen::default();
    let [mut calls, mut latencies, mut tails, mut rates, mut bare] = [const { Vec::new() }; 5];
    // Before there is anything to count: what the call says of the cluster grows with its jobs.
    for _ in 0..bench.pace.runs {
        let client = cluster.client(0);
        let called = Load::run(1, time / 3, move |_, _| {
            let client = client.clone();
            async move {
                client.cluster().await?;
                Ok(())
            }
        });
        calls.extend(called.await?.median_ms());
    }
    submitted(cluster.clients(), ordinary(&source, 0), 4, time / 3).await?;
    for _ in 0..bench.pace.runs {
        bench.limits(&unary, &mut seen).await?;
        let alone = submitted(cluster.clients(), ordinary(&source, 0), 1, time).await?;
        latencies.extend(alone.median_ms());
        tails.extend(alone.p99_ms());
        rates.push(submitted(cluster.clients(), ordinary(&source, 0), 64, time).await?.rate());
        bare.push(unary.called(64, time / 3).await?.rate());
    }
    bench.report_limits(seen);
    bench.report.add("call.c1", "ms", calls);
    bench.report.add("submit.received.c1", "ms", latencies);
    bench.report.add("submit.received.c1.p99", "ms", tails);
    bench.report.add("submit.rate.c64", "1/s", rates);
    bench.report.add("limit.unary.rate.c64", "1/s", bare);
    bench.report.note(
        "Submissions are measured while no worker is connected; the limit of requests that one \
         client may make in a second is lifted.",
    );
    Ok(())
}

/// Measures ordinary jobs on three real workers.
///
/// # Errors
/// When a daemon does not come up or a job does not commit.
pub(crate) async fn ordinary_jobs(bench: &mut Bench) -> anyhow::Result<()> {
    let cluster = Cluster::started(&bench.scratch, &Plan::of(3)).await?;
    let source = cluster.source(4096)?;
    let time = bench.pace.time;
    ran(cluster.clients(), &source, 4, time / 3).await?;
    let (mut spawns, mut syncs) = (Vec::new(), Vec::new());
    for callers in [1, 16, 64] {
        let [mut latencies, mut tails, mut rates] = [const { Vec::new() }; 3];
        for _ in 0..bench.pace.runs {
            let before = cluster.client(0).cluster().await?.journal.syncs;
            let load = ran(cluster.clients(), &source, callers, time).await?;
            let after = cluster.client(0).cluster().await?.journal.syncs;
            latencies.extend(load.median_ms());
            tails.extend(load.p99_ms());
            rates.push(load.rate());
            if callers == 64 {
                syncs.push((after - before) as f64 / load.latencies.len().max(1) as f64);
                spawns.push(limits::spawn_rate(time / 3)?);
            }
        }
        bench.report.add(&format!("job.end_to_end.c{callers}"), "ms", latencies);
        bench.report.add(&format!("job.end_to_end.c{callers}.p99"), "ms", tails);
        bench.report.add(&format!("job.rate.c{callers}"), "1/s", rates);
    }
    bench.report.add("job.syncs.c64", "syncs", syncs);
    bench.report.add("limit.spawn.rate", "1/s", spawns);
    bench.report.note(
        "A task of an ordinary job is one process, cp, which leaves a file of 4 KiB; end to end \
         means that every worker has published.",
    );
    Ok(())
}

/// Hands jobs in, so many at a time.
///
/// # Errors
/// When one is refused.
pub(crate) async fn submitted(
    clients: Vec<Client>,
    spec: JobSpec,
    callers: usize,
    time: std::time::Duration,
) -> anyhow::Result<Load> {
    Load::run(callers, time, move |caller, _| {
        let (client, job) = (clients[caller % clients.len()].clone(), submission(spec.clone()));
        async move {
            client.submit(&job).await?;
            Ok(())
        }
    })
    .await
}

/// Runs ordinary jobs to their ends, so many at a time.
///
/// # Errors
/// When one does not commit.
pub(crate) async fn ran(
    clients: Vec<Client>,
    source: &str,
    callers: usize,
    time: std::time::Duration,
) -> anyhow::Result<Load> {
    let source = source.to_owned();
    Load::run(callers, time, move |caller, _| {
        let client = clients[caller % clients.len()].clone();
        let spec = ordinary(&source, caller);
        async move { committed(&client, spec).await.map(|_| ()) }
    })
    .await
}

/// Runs one job to its end and returns how long that took.
///
/// # Errors
/// When it does not commit.
pub(crate) async fn committed(
    client: &Client,
    spec: JobSpec,
) -> anyhow::Result<(std::time::Duration, votum_client::wire::JobView)> {
    let watch = Stopwatch::start();
    let submitted = client.submit(&submission(spec)).await?;
    let received = submitted.job.ok_or_else(|| anyhow::anyhow!("the job was only validated"))?;
    let view = client.wait(&received.job, Until::Ended, Some(ENDED_MAX)).await?;
    let state = view.state;
    anyhow::ensure!(state.is_final() && state.word() == "COMMITTED", "{view:#?}");
    Ok((watch.elapsed(), view))
}

/// A job that has not ended after this never will.
const ENDED_MAX: std::time::Duration = std::time::Duration::from_mins(5);
