//! Many open jobs: what they cost in memory, and how soon a coordinator accepts again after its
//! end (P14 to P17).

use std::time::Duration;

use votum_client::{Client, Options};

use crate::{
    bench::Bench,
    crowd::{Crowd, Keeping, introduce},
    daemons::{Cluster, Plan},
    goals::DRAINED,
    jobs::{WORKERS, ordinary, submission, worker_id},
    load::Load,
    measured::committing::drained,
    statistics::quantile,
    stopwatch::{Stopwatch, pause},
};

/// Measures idle daemons.
///
/// # Errors
/// When a daemon does not come up.
pub(crate) async fn idle(bench: &mut Bench) -> anyhow::Result<()> {
    let [mut coordinator, mut worker] = [const { Vec::new() }; 2];
    for _ in 0..bench.pace.runs {
        let cluster = Cluster::started(&bench.scratch, &Plan::of(1)).await?;
        pause(Duration::from_millis(500)).await;
        coordinator.extend(cluster.coordinator.memory_mb());
        worker.extend(cluster.workers.iter().filter_map(|one| one.memory_mb()));
    }
    bench.report.add("memory.coordinator", "MB", coordinator);
    bench.report.add("memory.worker", "MB", worker);
    Ok(())
}

/// Measures submissions, memory and restarts with more and more open jobs.
///
/// # Errors
/// When a daemon does not come up or a job is refused.
pub(crate) async fn restarts(bench: &mut Bench) -> anyhow::Result<()> {
    let [mut submitting, mut memory, mut restarting] = [const { Vec::new() }; 3];
    let counts = [1_000, 3_000, 10_000, 20_000, 30_000, 100_000];
    for count in counts.into_iter().filter(|&count| count <= bench.pace.jobs_max) {
        let mut cluster = Cluster::started(&bench.scratch, &Plan::of(0)).await?;
        introduce(&cluster).await?;
        let empty = cluster.coordinator.memory_mb().unwrap_or_default();
        let load = filled(&cluster, count).await?;
        submitting.push((count as f64, load.wall.as_secs_f64()));
        let held = cluster.coordinator.memory_mb().unwrap_or_default() - empty;
        let (mut times, mut memories) = (Vec::new(), Vec::new());
        for _ in 0..bench.pace.runs {
            cluster.coordinator.kill();
            let watch = Stopwatch::start();
            cluster.coordinator.start()?;
            accepts(&cluster.address).await?;
            times.push(watch.elapsed().as_secs_f64());
            memories.push(cluster.coordinator.memory_mb().unwrap_or_default() - empty);
        }
        restarting.extend(quantile(&times, 0.5).map(|median| (count as f64, median)));
        memory.push((count as f64, held));
        bench.report.add(&format!("restart.{count}"), "s", times);
        bench.report.add(&format!("memory.jobs.{count}"), "MB", vec![held]);
        bench.report.add(&format!("memory.jobs.{count}.restarted"), "MB", memories);
    }
    bench.report.draw("Submitting by 64 callers", "jobs", "s for all of them", submitting);
    bench.report.draw("Memory of open jobs", "open jobs", "MB beyond an empty one", memory);
    bench.report.draw("Restart after a kill", "open jobs", "s until a job is accepted", restarting);
    bench.report.note("Open jobs are ordinary jobs that wait for workers who are not there.");
    Ok(())
}

/// Measures how soon every job is decided after a restart, on simulated workers that force.
///
/// # Errors
/// When a daemon does not come up or a job is refused.
pub(crate) async fn drained_after_restart(bench: &mut Bench) -> anyhow::Result<()> {
    let mut times = Vec::new();
    for _ in 0..bench.pace.runs.min(3) {
        let mut cluster = Cluster::started(&bench.scratch, &Plan::of(0)).await?;
        introduce(&cluster).await?;
        filled(&cluster, DRAINED as usize).await?;
        cluster.coordinator.kill();
        let watch = Stopwatch::start();
        cluster.coordinator.start()?;
        accepts(&cluster.address).await?;
        let keeping = Keeping::Journals(cluster.home().join("crowd"));
        let workers = WORKERS.map(worker_id);
        let mut crowd = Crowd::connected(&cluster.address, &workers, &keeping).await?;
        drained(&cluster.client(0), Duration::from_mins(5)).await?;
        times.push(watch.elapsed().as_secs_f64());
        crowd.check()?;
    }
    bench.report.add("restart.drained", "s", times);
    Ok(())
}

/// Hands in so many jobs by 64 callers.
async fn filled(cluster: &Cluster, count: usize) -> anyhow::Result<Load> {
    let clients = cluster.clients();
    let left = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(count));
    let mut loops = tokio::task::JoinSet::new();
    let watch = Stopwatch::start();
    for caller in 0..64 {
        let (client, left) = (clients[caller % clients.len()].clone(), left.clone());
        loops.spawn(async move {
            let take = |left: usize| left.checked_sub(1);
            let order = std::sync::atomic::Ordering::Relaxed;
            while left.fetch_update(order, order, take).is_ok() {
                client.submit(&submission(ordinary("nothing", caller))).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = loops.join_next().await {
        ended??;
    }
    Ok(Load { latencies: Vec::new(), wall: watch.elapsed() })
}

/// Waits until a job is received.
async fn accepts(address: &str) -> anyhow::Result<()> {
    let options = Options { timeout: Duration::from_secs(60), patience: Duration::ZERO };
    let watch = Stopwatch::start();
    loop {
        // A client that has failed to connect waits before it connects again.
        let client = Client::connect(address, options)?;
        if client.submit(&submission(ordinary("nothing", 0))).await.is_ok() {
            return Ok(());
        }
        anyhow::ensure!(watch.elapsed() < ACCEPTS_MAX, "the coordinator does not come back");
        pause(Duration::from_millis(2)).await;
    }
}

/// How long a restart may take.
const ACCEPTS_MAX: Duration = Duration::from_mins(5);
